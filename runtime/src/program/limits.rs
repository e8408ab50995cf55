//! Refusing arrays that cannot exist, before anything is allocated.

use crate::broadcast::{checked_size, format_shape};
use crate::{Result, RuntimeError};
use kjit_ir::DType;

/// Arrays below this are allocated without asking how much memory there is.
const ASK_FROM: usize = 256 << 20;

/// Checks that arrays of these dtypes and this shape can exist at all.
pub(crate) fn check_shape(shape: &[usize], dtypes: &[DType]) -> Result<()> {
    let widest = dtypes.iter().map(|d| d.size()).max().unwrap_or(1);
    checked_size(shape, widest).map(|_| ())
}

/// Checks that arrays of these dtypes and this shape fit into the memory that is free now.
pub(crate) fn check_memory(shape: &[usize], dtypes: &[DType]) -> Result<()> {
    check_shape(shape, dtypes)?;
    let size: usize = shape.iter().product();
    let bytes = dtypes.iter().fold(0usize, |n, d| {
        n.saturating_add(size.saturating_mul(d.size()))
    });
    if bytes < ASK_FROM {
        return Ok(());
    }
    match available_memory() {
        Some(available) if bytes as u64 > available => Err(RuntimeError::limit(format!(
            "an array of shape {} needs {:.1} GB of memory, and {:.1} GB are free",
            format_shape(shape),
            bytes as f64 / 1e9,
            available as f64 / 1e9
        ))
        .help("use fewer elements, a smaller dtype, or reduce the expression without storing it")),
        _ => Ok(()),
    }
}

/// Bytes that can be allocated without swapping, where the system says so.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}
