//! The WGSL backend of `kjit`: raises scalar-form kernels and prints them as compute shaders.
//!
//! [`emit`] takes one kernel (verified, inlined, without nested `return`) and gives a [`Shader`]: its
//! text, and what whoever runs it has to know of bindings and parameters. Nothing here knows a device
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

pub use options::{Features, Reduction, StrictMode, WgslOptions};
pub use shader::{ArrayBinding, BindingMode, OperandParams, ParamsLayout, Shader};

use kjit_ir::Function;
use kjit_ir::target::BackendError;

/// Emits the shader of a scalar-form kernel.
///
/// [`BackendError::Unsupported`] says what the device (as [`WgslOptions`] describe it) lacks.
pub fn emit(kernel: &Function, options: &WgslOptions) -> Result<Shader, BackendError> {
    let plan = raise::raise(kernel, options)?;
    printer::print(kernel, options, &plan)
}
