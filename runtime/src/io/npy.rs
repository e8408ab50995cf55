//! NumPy's `.npy` format, versions 1 to 3.

use super::io_reason;
use crate::array::{Storage, c_strides};
use crate::broadcast::checked_size;
use crate::{Array, HostBuffer, Result, RuntimeError};
use kjit_ir::DType;
use kjit_ir::dtype::Kind;
use std::io::{self, Read, Write};
use std::sync::Arc;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// As many axes as NumPy allows.
const MAX_NDIM: usize = 64;
/// Longer headers are not made by anyone (NumPy itself refuses above 10,000 by default).
const MAX_HEADER: u64 = 1 << 20;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    dtype: DType,
    /// Is the byte order that of this machine?
    native: bool,
    fortran: bool,
    shape: Vec<usize>,
}

/// Reads an array of a file of `len` bytes; `name` is for messages.
pub(super) fn read(input: &mut impl Read, len: u64, name: &str) -> Result<Array> {
    let bad = |what: &str| bad_file(name, what);
    let read_error = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => bad("it ends inside the header"),
        _ => RuntimeError::io(format!("cannot read {name}: {}", io_reason(&e))),
    };
    let mut start = [0u8; 8];
    input.read_exact(&mut start).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => bad("it is shorter than the header"),
        _ => read_error(e),
    })?;
    if &start[..6] != MAGIC {
        return Err(bad("it does not start with the .npy signature"));
    }
    let width = match start[6] {
        1 => 2,
        2 | 3 => 4,
        v => {
            return Err(bad(&format!("format version {v}.{} is unknown", start[7])));
        }
    };
    let mut field = [0u8; 4];
    input.read_exact(&mut field[..width]).map_err(read_error)?;
    let header_len = u32::from_le_bytes(field) as u64;
    let data_start = 8 + width as u64 + header_len;
    if data_start > len {
        return Err(bad(&format!(
            "its header claims {header_len} bytes but the file has {len}"
        )));
    }
    if header_len > MAX_HEADER {
        return Err(bad(&format!("a header of {header_len} bytes is too long")));
    }
    let mut text = vec![0u8; header_len as usize];
    input.read_exact(&mut text).map_err(read_error)?;
    let text = String::from_utf8_lossy(&text);
    let header = parse_header(&text).map_err(|problem| match problem {
        Problem::Malformed(what) => bad(&what),
        Problem::DType(what) => RuntimeError::dtype(format!("cannot load {name}: {what}"))
            .help("convert it with NumPy's astype first"),
    })?;

    let size = checked_size(&header.shape, header.dtype.size())
        .map_err(|_| bad("its header claims more elements than memory can hold"))?;
    let nbytes = (size * header.dtype.size()) as u64;
    let held = len - data_start;
    if nbytes > held {
        return Err(bad(&format!(
            "it is truncated: the header promises {nbytes} bytes of elements, {held} are there"
        )));
    }
    if nbytes < held {
        return Err(bad(&format!(
            "{} bytes follow the elements that the header promises",
            held - nbytes
        )));
    }
    let mut buffer = HostBuffer::zeroed(nbytes as usize)?;
    input
        .read_exact(buffer.as_mut_slice())
        .map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => bad("it is truncated"),
            _ => read_error(e),
        })?;
    // The end of a packed member is where its checksum is compared.
    if input.read(&mut [0]).map_err(read_error)? != 0 {
        return Err(bad("bytes follow its elements"));
    }
    if header.dtype == DType::Bool {
        for byte in buffer.as_mut_slice() {
            *byte = (*byte != 0) as u8;
        }
    }
    if !header.native {
        let number = header.dtype.part().unwrap_or(header.dtype);
        swap_bytes(buffer.as_mut_slice(), number.size());
    }
    if !header.fortran {
        return Array::from_buffer(buffer, header.dtype, &header.shape);
    }
    let mut reversed = header.shape.clone();
    reversed.reverse();
    let mut strides = c_strides(&reversed, header.dtype.size());
    strides.reverse();
    let storage = Storage::Host(Arc::new(buffer));
    Array::from_storage(storage, header.dtype, &header.shape, &strides, 0)
}

/// Writes an array of the host: in Fortran order if it is so in memory, else in C order.
pub(super) fn write(out: &mut impl Write, array: &Array) -> io::Result<()> {
    let fortran = !array.is_contiguous() && array.is_fortran_contiguous();
    out.write_all(&header_bytes(array, fortran))?;
    let laid_out = if fortran {
        array.transpose()
    } else {
        array.to_contiguous().map_err(io::Error::other)?
    };
    let bytes = laid_out
        .bytes()
        .ok_or_else(|| io::Error::other("bug in kjit: an array to be written is not contiguous"))?;
    out.write_all(bytes)
}

/// Bytes that [`write`] will write.
pub(super) fn written_len(array: &Array) -> u64 {
    header_bytes(array, false).len() as u64 + array.nbytes() as u64
}

fn header_bytes(array: &Array, fortran: bool) -> Vec<u8> {
    let dtype = array.dtype();
    let order = match (dtype.size(), cfg!(target_endian = "big")) {
        (1, _) => '|',
        (_, true) => '>',
        (_, false) => '<',
    };
    let kind = match dtype.kind() {
        Kind::Bool => 'b',
        Kind::Signed => 'i',
        Kind::Unsigned => 'u',
        Kind::Float => 'f',
        Kind::Complex => 'c',
    };
    let extents: String = match array.shape() {
        [n] => format!("{n},"),
        shape => {
            let parts: Vec<String> = shape.iter().map(usize::to_string).collect();
            parts.join(", ")
        }
    };
    let order_word = if fortran { "True" } else { "False" };
    let mut text = format!(
        "{{'descr': '{order}{kind}{}', 'fortran_order': {order_word}, 'shape': ({extents}), }}",
        dtype.size()
    );
    // Signature, version and length take 10 bytes; elements start at a multiple of 64.
    let padding = (10 + text.len() + 1).next_multiple_of(64) - (10 + text.len() + 1);
    text.push_str(&" ".repeat(padding));
    text.push('\n');
    let mut bytes = MAGIC.to_vec();
    if text.len() <= u16::MAX as usize {
        bytes.extend([1, 0]);
        bytes.extend((text.len() as u16).to_le_bytes());
    } else {
        bytes.extend([2, 0]);
        bytes.extend((text.len() as u32).to_le_bytes());
    }
    bytes.extend(text.as_bytes());
    bytes
}

fn swap_bytes(bytes: &mut [u8], size: usize) {
    match size {
        2 => bytes
            .as_chunks_mut::<2>()
            .0
            .iter_mut()
            .for_each(|e| e.reverse()),
        4 => bytes
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .for_each(|e| e.reverse()),
        8 => bytes
            .as_chunks_mut::<8>()
            .0
            .iter_mut()
            .for_each(|e| e.reverse()),
        _ => {}
    }
}

fn bad_file(name: &str, what: &str) -> RuntimeError {
    RuntimeError::io(format!("{name} is not a usable .npy file: {what}"))
        .help("write it again with NumPy's save")
}

/// What can be wrong with a header.
#[derive(Debug, PartialEq, Eq)]
enum Problem {
    Malformed(String),
    DType(String),
}

fn malformed<T>(what: impl Into<String>) -> std::result::Result<T, Problem> {
    Err(Problem::Malformed(what.into()))
}

/// Reads the Python dictionary that a header is: three keys, in any order.
fn parse_header(text: &str) -> std::result::Result<Header, Problem> {
    let mut p = Parser { rest: text };
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    p.expect('{')?;
    while !p.eat('}') {
        let key = p.string()?;
        p.expect(':')?;
        let repeated = match key {
            "descr" => descr.replace(p.descr()?).is_some(),
            "fortran_order" => fortran.replace(p.boolean()?).is_some(),
            "shape" => shape.replace(p.shape()?).is_some(),
            _ => return malformed("its header has a key that is not one of the format"),
        };
        if repeated {
            return malformed(format!("its header gives `{key}` twice"));
        }
        if !p.eat(',') {
            p.expect('}')?;
            break;
        }
    }
    p.skip_blanks();
    if !p.rest.trim_end_matches('\0').is_empty() {
        return malformed("something follows the dictionary in its header");
    }
    let missing = |key: &str| Problem::Malformed(format!("its header lacks `{key}`"));
    let (dtype, native) = parse_descr(descr.ok_or_else(|| missing("descr"))?)?;
    Ok(Header {
        dtype,
        native,
        fortran: fortran.ok_or_else(|| missing("fortran_order"))?,
        shape: shape.ok_or_else(|| missing("shape"))?,
    })
}

/// `<f4` and the like.
fn parse_descr(descr: &str) -> std::result::Result<(DType, bool), Problem> {
    let (big, code) = match descr.split_at_checked(1) {
        Some((">", code)) => (true, code),
        Some(("<", code)) => (false, code),
        Some(("|" | "=", code)) => (cfg!(target_endian = "big"), code),
        _ => (cfg!(target_endian = "big"), descr),
    };
    let dtype = match code {
        "b1" | "?" => DType::Bool,
        "i1" | "b" => DType::I8,
        "i2" => DType::I16,
        "i4" => DType::I32,
        "i8" => DType::I64,
        "u1" | "B" => DType::U8,
        "u2" => DType::U16,
        "u4" => DType::U32,
        "u8" => DType::U64,
        "f2" => DType::F16,
        "f4" => DType::F32,
        "f8" => DType::F64,
        "c8" => DType::C64,
        "c16" => DType::C128,
        _ => {
            let known = descr.len() <= 20 && descr.chars().all(|c| c.is_ascii_graphic());
            let shown = if known { descr } else { "of the header" };
            return Err(Problem::DType(format!(
                "its dtype {shown} is not a number that kjit computes with"
            )));
        }
    };
    Ok((dtype, big == cfg!(target_endian = "big")))
}

/// A cursor over the header's text.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn eat(&mut self, c: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, c: char) -> std::result::Result<(), Problem> {
        if self.eat(c) {
            Ok(())
        } else {
            malformed(format!("its header lacks a `{c}`"))
        }
    }

    fn string(&mut self) -> std::result::Result<&'a str, Problem> {
        self.skip_blanks();
        let quote = match self.rest.chars().next() {
            Some(q @ ('\'' | '"')) => q,
            _ => return malformed("its header has something else where a string belongs"),
        };
        let body = &self.rest[1..];
        let Some(end) = body.find(quote) else {
            return malformed("its header has a string without end");
        };
        self.rest = &body[end + 1..];
        Ok(&body[..end])
    }

    fn descr(&mut self) -> std::result::Result<&'a str, Problem> {
        self.skip_blanks();
        if self.rest.starts_with(['[', '(', '{']) {
            return Err(Problem::DType(
                "records with several fields are not supported".to_string(),
            ));
        }
        self.string()
    }

    fn boolean(&mut self) -> std::result::Result<bool, Problem> {
        self.skip_blanks();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        malformed("its header gives `fortran_order` neither as True nor as False")
    }

    fn shape(&mut self) -> std::result::Result<Vec<usize>, Problem> {
        self.expect('(')?;
        let mut shape = Vec::new();
        while !self.eat(')') {
            self.skip_blanks();
            let digits = self.rest.len()
                - self
                    .rest
                    .trim_start_matches(|c: char| c.is_ascii_digit())
                    .len();
            let (number, rest) = self.rest.split_at(digits);
            let Ok(extent) = number.parse::<usize>() else {
                return malformed("its header has a shape that is not a tuple of sizes");
            };
            // Python 2 wrote long integers as `3L`.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            shape.push(extent);
            if shape.len() > MAX_NDIM {
                return malformed(format!("its header gives more than {MAX_NDIM} axes"));
            }
            if !self.eat(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }
}
