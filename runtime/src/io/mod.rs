//! Arrays in files: `.npy`, `.npz`, `.csv`, and pictures as `.png`; the extension says which.
//!
//! Reading never trusts a header: nothing is allocated that the file does not hold. Writing goes to a
//! temporary file in the same directory that replaces the target at the end, so an error leaves
//! nothing half-written.

mod csv;
mod npy;
mod npz;
mod png;
#[cfg(test)]
mod tests;

use crate::{Array, Result, RuntimeError};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A kind of file, and for `.npz` the member.
enum Format<'a> {
    Npy,
    Npz(Option<&'a str>),
    Csv,
    Png,
}

/// Reads an array: `x.npy`, `a.npz:name`, `table.csv`.
pub fn load(path: &str) -> Result<Array> {
    let (file, format) = split(path)?;
    if matches!(format, Format::Png) {
        return Err(
            RuntimeError::io(format!("cannot load {path}: pictures can only be saved"))
                .help("load a .npy, .npz or .csv file"),
        );
    }
    let (mut input, len) = open(file)?;
    match format {
        Format::Npy => npy::read(&mut input, len, path),
        Format::Npz(member) => npz::read(input, member, file),
        Format::Csv => csv::read(input, path),
        Format::Png => unreachable!("bug in kjit: handled above"),
    }
}

/// Writes an array: `x.npy`, `a.npz:name` (other members stay), `table.csv`, `picture.png`.
pub fn save(path: &str, array: &Array) -> Result<()> {
    let (file, format) = split(path)?;
    let array = array.to_host()?;
    match format {
        Format::Npy => write_with(file, |out| npy::write(out, &array)),
        Format::Npz(member) => npz::write(file, member.unwrap_or("arr_0"), &array),
        Format::Csv => {
            csv::check(&array, path)?;
            write_with(file, |out| csv::write(out, &array))
        }
        Format::Png => {
            let bytes = png::encode(&array, path)?;
            write_file(file, &bytes)
        }
    }
}

/// An error if [`save`] could not write to this path: to be asked before long work.
pub fn check_save_path(path: &str) -> Result<()> {
    let (file, _) = split(path)?;
    let folder = folder_of(Path::new(file));
    if !folder.is_dir() {
        return Err(RuntimeError::io(format!(
            "cannot write {file}: there is no folder {}",
            folder.display()
        ))
        .help("create the folder first"));
    }
    if Path::new(file).is_dir() {
        return Err(RuntimeError::io(format!(
            "cannot write {file}: it is a folder"
        )));
    }
    Ok(())
}

/// An error if [`save`] could not write this array in the format of the path: of several files, all can
/// be asked before the first is written.
pub fn check_save(path: &str, array: &Array) -> Result<()> {
    match split(path)?.1 {
        Format::Npy | Format::Npz(_) => Ok(()),
        Format::Csv => csv::check(array, path),
        Format::Png => png::check(array, path).map(|_| ()),
    }
}

/// Writes a file as a whole: it has the new content or the old one, never a part.
pub fn write_file(path: &str, bytes: &[u8]) -> Result<()> {
    write_with(path, |out| out.write_all(bytes))
}

/// What an I/O error says, without the operating system's number: `no such file or directory`.
pub fn io_reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        // Not words in capitals.
        (Some(a), Some(b)) if a.is_uppercase() && b.is_lowercase() => {
            format!("{}{}", a.to_lowercase(), &text[a.len_utf8()..])
        }
        _ => text.to_string(),
    }
}

/// The file and its format.
fn split(path: &str) -> Result<(&str, Format<'_>)> {
    let lower = path.to_ascii_lowercase();
    if let Some(at) = lower.find(".npz:") {
        let member = &path[at + 5..];
        if member.is_empty() || member.contains(['/', '\\', '\0']) {
            return Err(RuntimeError::io(format!(
                "`{member}` cannot be the name of an .npz member"
            ))
            .help("name it as in `file.npz:name`"));
        }
        return Ok((&path[..at + 4], Format::Npz(Some(member))));
    }
    let format = match Path::new(&lower).extension().and_then(|e| e.to_str()) {
        Some("npy") => Format::Npy,
        Some("npz") => Format::Npz(None),
        Some("csv") => Format::Csv,
        Some("png") => Format::Png,
        _ => {
            return Err(RuntimeError::io(format!(
                "the name {path} does not say what kind of file it is"
            ))
            .help("end it in .npy, .npz, .csv or .png"));
        }
    };
    Ok((path, format))
}

/// A file that can be read and sought, and its length. What is no plain file is read as a whole.
fn open(path: &str) -> Result<(Input, u64)> {
    let failed = |e: io::Error| {
        RuntimeError::io(format!("cannot read {path}: {}", io_reason(&e)))
            .help("name an existing file")
    };
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_file() {
        return Ok((Input::File(file), metadata.len()));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    let len = bytes.len() as u64;
    Ok((Input::Bytes(io::Cursor::new(bytes)), len))
}

/// A plain file, or the bytes of something else.
pub(crate) enum Input {
    File(File),
    Bytes(io::Cursor<Vec<u8>>),
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::File(file) => file.read(buffer),
            Input::Bytes(bytes) => bytes.read(buffer),
        }
    }
}

impl io::Seek for Input {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        match self {
            Input::File(file) => file.seek(to),
            Input::Bytes(bytes) => bytes.seek(to),
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes through a temporary file beside the target, which it replaces when all went well.
fn write_with(
    path: &str,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    write_inner(path, content).map_err(|e| {
        let error = RuntimeError::io(format!("cannot write {path}: {}", io_reason(&e)));
        match e.kind() {
            io::ErrorKind::NotFound => error.help("create the folder first"),
            io::ErrorKind::PermissionDenied => error.help("write to a folder of your own"),
            _ => error,
        }
    })
}

fn write_inner(
    path: &str,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    // A link is followed, so that it still is one afterwards.
    let target = fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    let existing = fs::metadata(&target).ok();
    if let Some(metadata) = &existing
        && !metadata.is_file()
    {
        if metadata.is_dir() {
            return Err(io::Error::other("it is a folder"));
        }
        // A device or pipe: nothing to keep whole.
        let mut out = BufWriter::new(OpenOptions::new().write(true).open(&target)?);
        content(&mut out)?;
        return out.flush();
    }
    let (temporary, file) = create_temporary(&target)?;
    let written = (|| {
        let mut out = BufWriter::with_capacity(1 << 16, file);
        content(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?;
        if let Some(metadata) = existing {
            fs::set_permissions(&temporary, metadata.permissions())?;
        }
        fs::rename(&temporary, &target)
    })();
    if written.is_err() {
        // The error that matters is the one above.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn create_temporary(target: &Path) -> io::Result<(PathBuf, File)> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    // Long names must not grow past what the file system takes.
    let stem: String = name.chars().take(40).collect();
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder_of(target).join(format!(".{stem}.{}-{number}.part", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}
