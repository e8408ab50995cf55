//! The kernel ABI: NumPy's inner loop, and the record a kernel leaves when a run-time check fails.
//!
//! ```text
//! fn(args: *const *mut u8, dims: *const isize, steps: *const isize, data: *const u8)
//! ```
//!
//! `args[k]` and `steps[k]` belong to the `k`-th [`crate::ArrayParam`]; `dims[0]` is the number of
//! elements. Steps are in bytes. A gufunc kernel has `dims[1 + d]`, the extent of its core dimension `d`
//! (none is negative), and behind the steps of the arrays, array by array, one step for each of its core axes. For an [`crate::ArrayMode::Index`] parameter `args[k]` is not a
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
    /// Reserved.
    pub flags: AtomicU32,
}

/// Status flags of an element, as NumPy counts them; several may be set.
pub mod fpe {
    /// Division of a finite number other than zero by zero (floats), or of anything by zero (integers);
    /// a function with a pole, at it (`log(0)`).
    pub const DIVIDE: u8 = 1;
    /// A NaN out of numbers, or a float that no integer can hold cast to one.
    pub const INVALID: u8 = 2;
    /// An infinity out of finite numbers, or the most negative integer divided by -1.
    pub const OVERFLOW: u8 = 4;
}
