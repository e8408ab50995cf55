//! How many elements an invocation computes, and who writes narrow elements how.
//!
//! WGSL memory has no elements of one or two bytes. Reading one out of its word is easy; writing one
//! would race with the neighbours' invocations. So where an output is contiguous, an invocation computes
//! all elements of a word of the narrowest such output, gathers them in a register and stores the word
//! once ([`is_packed`]). Where elements of a word may belong to anyone (outputs with core dimensions or
//! strides, and those that are read as well), words are atomic and only the element's bits are changed
//! ([`is_atomic`]).

use kjit_ir::{Access, ArrayMode, ArrayParam, Function};

/// 1, 2 or 4: elements of the narrowest gathered output that share a word.
pub fn elements_per_invocation(kernel: &Function) -> u32 {
    kernel
        .arrays
        .iter()
        .filter(|a| is_packed(kernel, a))
        .map(|a| 4u32.div_ceil(a.dtype.size() as u32))
        .max()
        .unwrap_or(1)
}

/// Are elements of this output gathered into words?
///
/// Not in gufunc kernels: what they leave unwritten has to stay as it was.
pub fn is_packed(kernel: &Function, array: &ArrayParam) -> bool {
    array.mode == ArrayMode::Out
        && array.dtype.size() < 4
        && array.access == Access::Contiguous
        && array.core.is_empty()
        && kernel.dims.is_empty()
        && kernel.loops.is_empty()
}

/// Are words of this array atomic?
pub fn is_atomic(kernel: &Function, array: &ArrayParam) -> bool {
    matches!(array.mode, ArrayMode::Out | ArrayMode::InOut)
        && array.dtype.size() < 4
        && !is_packed(kernel, array)
}
