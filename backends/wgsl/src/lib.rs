//! The WGSL backend of `kjit`: raises scalar-form kernels and prints them as compute shaders.
//!
//! [`emit`] takes one kernel (verified, inlined, without nested `return`) and gives a [`Shader`]: its
//! text, and what whoever runs it has to know of bindings and parameters; [`emit_leaves`] and
//! [`emit_tree`] do for reductions. Nothing here knows a device
//! API. Two steps, in order:
//!
//! 1. [`raise`]: decides what WGSL cannot express directly (widths, loop budgets, arithmetic mode)
//!    and refuses what the device lacks;
//! 2. [`printer`]: walks the structured IR and prints one `let` a value. It decides nothing.
//!
//! Strict arithmetic is what the IR says, bit for bit. WGSL itself promises less, so it needs help
//! from one side or the other, see [`StrictMode`].
//!
//! ```
//! use kjit_ir::{Access, ArrayMode, ArrayParam, DType, FunctionBuilder, Opcode};
//! use kjit_wgsl::{WgslOptions, emit};
//!
//! let array = |name: &str, mode| ArrayParam::new(name, DType::F32, mode, Access::Contiguous);
//! let mut b = FunctionBuilder::new("square");
//! let x = b.array(array("x", ArrayMode::In));
//! let y = b.array(array("y", ArrayMode::Out));
//! let v = b.load(x);
//! let square = b.binary(Opcode::Mul, v, v);
//! b.store(y, square);
//! let shader = emit(&b.ret(&[]), &WgslOptions::default())?;
//! assert!(shader.source.contains("let v1 = v0 * v0;"));
//! # Ok::<(), kjit_ir::target::BackendError>(())
//! ```

pub mod options;
pub mod printer;
pub mod raise;
pub mod shader;

#[cfg(test)]
mod tests;

pub use options::{Features, StrictMode, WgslOptions};
pub use shader::{
    ArrayBinding, BindingMode, OperandParams, ParamsLayout, PartialBinding, ReduceParams, Shader,
};

use kjit_ir::Function;
use kjit_ir::target::BackendError;

/// Emits the shader of a scalar-form kernel.
///
/// [`BackendError::Unsupported`] says what the device (as [`WgslOptions`] describe it) lacks.
pub fn emit(kernel: &Function, options: &WgslOptions) -> Result<Shader, BackendError> {
    let plan = raise::raise(kernel, options)?;
    printer::print(kernel, options, &plan)
}

/// Emits the shader of a reduction's first pass: it runs `map` (any inputs, as many outputs as `combine`
/// has, or one when that is a pair) and combines the elements of leaves, and neighbouring leaves of a
/// workgroup, with `combine`.
///
/// `combine` is an element-wise kernel of twice as many inputs as outputs, first those of the left
/// operand, then those of the right one. What `map` computes is converted to its dtypes. The order in
/// which elements meet is that of the tree of leaves, see [`ReduceParams`]; the shader never changes it.
pub fn emit_leaves(
    map: &Function,
    combine: &Function,
    options: &WgslOptions,
) -> Result<Shader, BackendError> {
    let plans = (
        raise::raise_reduced(map, options)?,
        raise::raise_reduced(combine, options)?,
    );
    printer::print_leaves(map, &plans.0, combine, &plans.1, options)
}

/// Emits the shader of a reduction's other passes: it combines partial results with `combine`.
pub fn emit_tree(combine: &Function, options: &WgslOptions) -> Result<Shader, BackendError> {
    printer::print_tree(combine, &raise::raise_reduced(combine, options)?, options)
}
