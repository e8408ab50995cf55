//! NumPy's `.npz` archives: zip files whose members are `.npy` files.

use super::{Input, io_reason, npy, write_inner};
use crate::{Array, Result, RuntimeError};
use std::fs::File;
use std::io::{self, BufReader};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Deflate makes at most this many bytes of one, so a member that claims more lies.
const MAX_RATIO: u64 = 1040;

/// Reads a member; without a name, the only one.
pub(super) fn read(input: Input, member: Option<&str>, path: &str) -> Result<Array> {
    let mut archive = ZipArchive::new(BufReader::new(input)).map_err(|e| bad(path, e))?;
    let entry = match member {
        Some(name) => format!("{name}.npy"),
        None if archive.len() == 1 => entry_name(&archive, 0),
        None => {
            return Err(RuntimeError::io(format!(
                "{path} has {} members and none was named",
                archive.len()
            ))
            .help(format!("name one as in `{path}:name`; {}", list(&archive))));
        }
    };
    let Some(index) = archive.index_for_name(&entry) else {
        let name = member.unwrap_or(&entry);
        return Err(RuntimeError::io(format!("{path} has no member `{name}`")).help(list(&archive)));
    };
    let mut file = archive.by_index(index).map_err(|e| bad(path, e))?;
    let shown = format!("{path}:{}", entry.trim_end_matches(".npy"));
    let (size, packed) = (file.size(), file.compressed_size());
    if size > packed.saturating_mul(MAX_RATIO).saturating_add(4096) {
        return Err(RuntimeError::io(format!(
            "{shown} claims {size} bytes, more than its {packed} packed bytes can hold"
        ))
        .help("write the archive again with NumPy's savez"));
    }
    npy::read(&mut file, size, &shown)
}

/// Adds or replaces a member; makes the archive if there is none.
pub(super) fn write(path: &str, member: &str, array: &Array) -> Result<()> {
    let entry = format!("{member}.npy");
    let mut old = match File::open(path) {
        Ok(file) => Some(ZipArchive::new(BufReader::new(file)).map_err(|e| bad(path, e))?),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => {
            return Err(RuntimeError::io(format!(
                "cannot read {path}: {}",
                io_reason(&e)
            )));
        }
    };
    let written = write_inner(path, |out| {
        let mut zip = ZipWriter::new(out);
        if let Some(old) = &mut old {
            for i in 0..old.len() {
                if entry_name(old, i) != entry {
                    zip.raw_copy_file(old.by_index_raw(i)?)?;
                }
            }
        }
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(npy::written_len(array) > u32::MAX as u64);
        zip.start_file(entry.as_str(), options)?;
        npy::write(&mut zip, array)?;
        zip.finish()?;
        Ok(())
    });
    written.map_err(|e| RuntimeError::io(format!("cannot write {path}: {}", io_reason(&e))))
}

/// Name of an entry; one that is no text is not asked for by any.
fn entry_name<R: io::Read + io::Seek>(archive: &ZipArchive<R>, index: usize) -> String {
    match archive.name_for_index(index) {
        Some(Ok(name)) => name.into_owned(),
        _ => String::new(),
    }
}

fn list<R: io::Read + io::Seek>(archive: &ZipArchive<R>) -> String {
    let mut names: Vec<String> = (0..archive.len())
        .map(|i| entry_name(archive, i).trim_end_matches(".npy").to_string())
        .collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(10);
    names.truncate(10);
    let tail = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("it has {}{tail}", names.join(", "))
}

fn bad(path: &str, error: ZipError) -> RuntimeError {
    let reason = match &error {
        ZipError::Io(e) => io_reason(e),
        other => {
            let text = other.to_string();
            let mut chars = text.chars();
            let first = chars.next().map(|c| c.to_lowercase().to_string());
            format!("{}{}", first.unwrap_or_default(), chars.as_str())
        }
    };
    RuntimeError::io(format!("{path} is not a usable .npz file: {reason}"))
        .help("write it again with NumPy's savez")
}
