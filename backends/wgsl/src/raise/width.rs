//! How many elements an invocation computes.
//!
//! WGSL memory has no elements of one or two bytes. Reading one out of its word is easy; writing one
//! would race with the neighbours' invocations. So an invocation computes all elements of a word of
//! its narrowest output, gathers them in a register and stores the word once.

use crate::WgslOptions;
use kjit_ir::{ArrayMode, Function};

/// 1, 2 or 4: elements of the narrowest output that share a word. Reductions store wide partials.
pub fn elements_per_invocation(kernel: &Function, options: &WgslOptions) -> u32 {
    if options.reduce.is_some() {
        return 1;
    }
    kernel
        .arrays
        .iter()
        .filter(|a| a.mode == ArrayMode::Out)
        .map(|a| 4u32.div_ceil(a.dtype.size() as u32))
        .max()
        .unwrap_or(1)
}
