//! The kernel ABI: NumPy's inner loop, and the record a kernel leaves when a run-time check fails.
//!
//! ```text
//! fn(args: *const *mut u8, dims: *const isize, steps: *const isize, data: *const u8)
//! ```
//!
//! `args[k]` and `steps[k]` belong to the `k`-th [`crate::ArrayParam`]; `dims[0]` is the number of
//! elements. Steps are in bytes. For an [`crate::ArrayMode::Index`] parameter `args[k]` is not a
//! pointer but the index of the first element, and `steps[k]` what it grows by per element.
//! `data` points to a [`KernelStatus`].

use std::sync::atomic::AtomicU32;

/// NumPy's inner loop signature, which every compiled kernel has.
pub type KernelFn = unsafe extern "C" fn(
    args: *const *mut u8,
    dims: *const isize,
    steps: *const isize,
    data: *const u8,
);

/// What a kernel call reports back through its `data` argument.
#[derive(Debug, Default)]
#[repr(C)]
pub struct KernelStatus {
    /// 0, or one more than the index of a [`crate::TrapRef`] whose guard failed. Any failing lane may
    /// win; the runtime finds the first by running the block again on the interpreter.
    pub trap: AtomicU32,
    /// Reserved for status flags (divide, invalid, overflow).
    pub flags: AtomicU32,
}
