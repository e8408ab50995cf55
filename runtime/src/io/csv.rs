//! Tables of numbers as comma-separated text.

use super::io_reason;
use crate::broadcast::format_shape;
use crate::element::with_element;
use crate::program::format::shortest_half;
use crate::{Array, Result, RuntimeError};
use std::fmt::Write as _;
use std::io::{self, Read, Write};

/// Reads a table as f64: two axes, or one if it has a single column.
pub(super) fn read(mut input: impl Read, name: &str) -> Result<Array> {
    let mut text = Vec::new();
    input
        .read_to_end(&mut text)
        .map_err(|e| RuntimeError::io(format!("cannot read {name}: {}", io_reason(&e))))?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(text.as_slice());
    let mut record = csv::ByteRecord::new();
    let mut values: Vec<f64> = Vec::new();
    let (mut rows, mut columns) = (0usize, 0usize);
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => {
                return Err(RuntimeError::io(format!(
                    "cannot read {name}: it is not comma-separated text"
                )));
            }
        }
        let line = || record.position().map_or(0, |p| line_of(&text, p));
        if rows == 0 {
            columns = record.len();
        } else if record.len() != columns {
            return Err(RuntimeError::io(format!(
                "line {} of {name} has {} fields where the first has {columns}",
                line(),
                record.len()
            ))
            .help("give every line the same number of fields"));
        }
        for field in &record {
            let value = std::str::from_utf8(field).ok().and_then(|f| f.parse().ok());
            let Some(value) = value else {
                let shown: String = String::from_utf8_lossy(field).chars().take(20).collect();
                return Err(RuntimeError::io(format!(
                    "line {} of {name} has `{}` where a number belongs",
                    line(),
                    shown.escape_debug()
                ))
                .help("start lines that are not data with `#`"));
            };
            values.push(value);
        }
        rows += 1;
    }
    if columns <= 1 {
        Array::from_vec(values, &[rows])
    } else {
        Array::from_vec(values, &[rows, columns])
    }
}

/// The line of a record, whose position may be that of blank lines and comments before it.
fn line_of(text: &[u8], position: &csv::Position) -> u64 {
    let mut line = position.line();
    let mut rest = text.get(position.byte() as usize..).unwrap_or_default();
    // The end of the record before may still be there.
    if rest.starts_with(b"\n") && position.byte() > 0 && text[position.byte() as usize - 1] == b'\r'
    {
        rest = &rest[1..];
        line += 1;
    }
    while let Some(end) = rest.iter().position(|b| *b == b'\n') {
        let blank = rest[..end].iter().all(|b| *b == b'\r');
        if !blank && !rest.starts_with(b"#") {
            break;
        }
        rest = &rest[end + 1..];
        line += 1;
    }
    line
}

/// An error unless the array is a table.
pub(super) fn check(array: &Array, name: &str) -> Result<()> {
    if array.ndim() > 2 {
        return Err(RuntimeError::shape(format!(
            "cannot write {name}: an array of shape {} is not a table",
            format_shape(array.shape())
        ))
        .help("save arrays with more than two axes as .npy"));
    }
    if array.dtype().is_complex() {
        return Err(RuntimeError::dtype(format!(
            "cannot write {name}: numbers of a table are real, not {}",
            array.dtype()
        ))
        .help("save both parts, re(x) and im(x), or save it as .npy"));
    }
    Ok(())
}

/// Writes a table, one line a row; numbers are the shortest that read back as the same.
pub(super) fn write(out: &mut impl Write, array: &Array) -> io::Result<()> {
    let columns = match array.shape() {
        [_, columns] => *columns,
        _ => 1,
    };
    if columns == 0 {
        return Ok(());
    }
    let mut line = String::new();
    let mut rows = |texts: &mut dyn Iterator<Item = Field>| -> io::Result<()> {
        for (i, field) in texts.enumerate() {
            // Writing to a string cannot fail.
            let _ = match field {
                Field::Int(v) => write!(line, "{v}"),
                Field::F32(v) => write!(line, "{v:?}"),
                Field::F64(v) => write!(line, "{v:?}"),
            };
            if i % columns == columns - 1 {
                line.push('\n');
                out.write_all(line.as_bytes())?;
                line.clear();
            } else {
                line.push(',');
            }
        }
        Ok(())
    };
    let dtype = array.dtype();
    with_element!(dtype, T => {
        let values = array.to_vec::<T>().map_err(io::Error::other)?;
        rows(&mut values.into_iter().map(Field::from))
    })
}

/// A number as it is written.
enum Field {
    Int(i128),
    F32(f32),
    F64(f64),
}

macro_rules! fields {
    ($($ty:ty)*) => {$(
        impl From<$ty> for Field {
            fn from(v: $ty) -> Field { Field::Int(v as i128) }
        }
    )*};
}

fields! { bool i8 i16 i32 i64 u8 u16 u32 u64 }

impl From<half::f16> for Field {
    fn from(v: half::f16) -> Field {
        Field::F64(shortest_half(v.to_bits()))
    }
}

/// The real part: [`check`] lets no complex array pass.
impl<T: Into<Field>> From<num_complex::Complex<T>> for Field {
    fn from(v: num_complex::Complex<T>) -> Field {
        v.re.into()
    }
}

impl From<f32> for Field {
    fn from(v: f32) -> Field {
        Field::F32(v)
    }
}

impl From<f64> for Field {
    fn from(v: f64) -> Field {
        Field::F64(v)
    }
}
