//! Methods of ufuncs: `reduce`, `accumulate`, `reduceat`, `outer` and `at`, as NumPy defines them.
//!
//! A reduction with a *reorderable* ufunc (it declares an `identity`, or its body is one of `+ * min max fmin
//! fmax & | ^`) combines elements on the fixed tree of [`crate::tree`], for every axis, layout and target;
//! with any other it goes from left to right. The elements of several axes are numbered in C order. Inputs
//! of other dtypes are converted in blocks.
//!
//! ```
//! use kjit_runtime::{Array, Axis, Engine, EngineOptions, Program, Reduce, Ufunc};
//! use std::sync::Arc;
//!
//! let source = kjit_driver::Source::new("add.k", "ufunc add<T: number>(a: T, b: T) -> T identity 0 { a + b }");
//! let program = Arc::new(Program::compile(source).unwrap());
//! let engine = Engine::new(EngineOptions::default())?;
//! let add = Ufunc::new(&program, "add")?;
//! let x = Array::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
//!
//! let columns = add.reduce(&engine, &x, &Reduce::default())?; // along axis 0
//! assert_eq!(columns.to_vec::<f32>()?, [4.0, 6.0]);
//! let all = add.reduce(&engine, &x, &Reduce { axis: Axis::All, ..Reduce::default() })?;
//! assert_eq!(all.item()?.as_f32(), 10.0);
//! let running = add.accumulate(&engine, &x, 1, None)?;
//! assert_eq!(running.to_vec::<f32>()?, [1.0, 3.0, 3.0, 7.0]);
//! # Ok::<(), kjit_runtime::RuntimeError>(())
//! ```

mod accumulate;
mod at;
mod combine;
#[cfg(feature = "gpu")]
mod device;
mod fold;
mod loops;
mod masked;
mod native;
mod outer;
mod reduce;
mod reduceat;
mod source;

pub(crate) use combine::plain_operation;
pub use loops::Axis;
pub(crate) use loops::resolve_axis;
pub use reduce::Reduce;

use crate::broadcast::format_shape;
use crate::{Array, Casting, Result, RuntimeError, can_cast};
use kjit_ir::DType;

/// Writes a result to an array that is there already, if it may go there.
fn deliver(name: &str, result: Array, out: &mut Array) -> Result<()> {
    check_out(name, result.shape(), result.dtype(), out)?;
    out.assign(&[], &result)
}

/// May a result of this shape and dtype go to an output?
fn check_out(name: &str, shape: &[usize], dtype: DType, out: &Array) -> Result<()> {
    if out.shape() != shape {
        return Err(RuntimeError::shape(format!(
            "{name}: out has shape {}, and the result {}",
            format_shape(out.shape()),
            format_shape(shape)
        ))
        .help("give an output of the result's shape"));
    }
    if !can_cast(dtype, out.dtype(), Casting::SameKind) {
        return Err(RuntimeError::dtype(format!(
            "{name}: out is {}, to which the result's {dtype} does not cast with casting = same_kind",
            out.dtype()
        ))
        .help(format!("give an output of {dtype}")));
    }
    Ok(())
}
