//! Which loop of a ufunc a method runs, and what its axes and first elements are.

use super::combine::{self, Combine};
use crate::broadcast::format_shape;
use crate::cache::Kernel;
use crate::fpe::FpeMode;
use crate::nest::Few;
use crate::resolve::{ArgType, resolve_loop};
use crate::ufunc::{Arg, Literal};
use crate::{Array, Casting, Engine, KernelSpec, Result, RuntimeError, Ufunc};
use kjit_ir::dtype::Kind;
use kjit_ir::{DType, Opcode, Scalar};
use std::fmt::Display;
use std::sync::Arc;

/// The axes that a reduction works off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Axis {
    /// All of them.
    All,
    /// One; negative counts from the end.
    One(i64),
    /// Several; negative ones count from the end. None at all leaves the array as it is.
    Many(Vec<i64>),
}

impl Default for Axis {
    /// The first one, as in NumPy.
    fn default() -> Axis {
        Axis::One(0)
    }
}

impl From<i64> for Axis {
    fn from(axis: i64) -> Axis {
        Axis::One(axis)
    }
}

/// The loop `(dtype, dtype) -> dtype` of a ufunc.
pub(super) struct Loop {
    pub dtype: DType,
    pub kernel: Arc<Kernel>,
    /// The kernel with an output of status flags, if these are looked for.
    pub flagged: Option<Arc<Kernel>>,
    /// May elements be combined in any grouping and order?
    pub reorderable: bool,
}

impl Loop {
    pub(super) fn combine(&self, engine: &Engine) -> Result<Box<dyn Combine>> {
        let kernel = self.flagged.as_ref().unwrap_or(&self.kernel);
        combine::of_kernel(engine, kernel, self.dtype)
    }
}

/// The dtype as wide as the widest integer in which sums and products of small integers are taken.
fn widened(dtype: DType) -> Option<DType> {
    match dtype.kind() {
        Kind::Bool => Some(DType::I64),
        Kind::Signed if dtype != DType::I64 => Some(DType::I64),
        Kind::Unsigned if dtype != DType::U64 => Some(DType::U64),
        _ => None,
    }
}

/// The loop that a method combines elements of a dtype with; `widen` lets sums and products of small
/// integers be taken in 64 bits.
pub(super) fn recurrence(
    ufunc: &Ufunc,
    engine: &Engine,
    method: &str,
    of: DType,
    dtype: Option<DType>,
    widen: bool,
) -> Result<Loop> {
    let name = ufunc.name();
    if ufunc.signature().core.is_some() {
        return Err(RuntimeError::value(format!(
            "{name} is a gufunc, and {method} is only for ufuncs"
        ))
        .help(format!("call {name} itself")));
    }
    if ufunc.nin() != 2 || ufunc.nout() != 1 {
        return Err(RuntimeError::value(format!(
            "{name}.{method} is only for ufuncs with two inputs and one output, and {name} has {} and {}",
            ufunc.nin(),
            ufunc.nout()
        ))
        .help(format!("call {name} itself, or declare a ufunc of two arguments")));
    }
    if let Some(dtype) = dtype {
        return loop_of(ufunc, engine, method, dtype);
    }
    if widen
        && let Some(wide) = widened(of)
        && let Ok(found) = loop_of(ufunc, engine, method, wide)
        && found.dtype == wide
        && matches!(found.kernel.operation, Some(Opcode::Add | Opcode::Mul))
    {
        return Ok(found);
    }
    loop_of(ufunc, engine, method, of)
}

fn loop_of(ufunc: &Ufunc, engine: &Engine, method: &str, of: DType) -> Result<Loop> {
    let signature = ufunc.signature();
    let name = ufunc.name();
    let generics = resolve_loop(signature, &[ArgType::Typed(of), ArgType::Typed(of)])?;
    let of_spec = |spec: &kjit_ir::TypeSpec| spec.resolve(&generics);
    let [a, b] = [0, 1].map(|n| of_spec(&signature.inputs[n].1));
    let out = of_spec(&signature.outputs[0].1);
    if a != out || b != out {
        return Err(RuntimeError::dtype(format!(
            "{name}.{method} of {of} has no loop: ({a}, {b}) -> {out} cannot combine its result with \
             the next element"
        ))
        .help("all three dtypes must be the same: give one for which they are, as in dtype = bool"));
    }
    let spec = KernelSpec::Ufunc {
        name: name.to_string(),
        generics,
        masked: false,
    };
    let kernel = engine.kernel(ufunc.program(), &spec)?;
    let flagged = match engine.options().fpe {
        FpeMode::Ignore => None,
        _ => Some(engine.kernel_flagged(ufunc.program(), &spec, true)?),
    };
    let reorderable = signature.reorderable || kernel.operation.is_some();
    Ok(Loop {
        dtype: out,
        kernel,
        flagged,
        reorderable,
    })
}

/// The combination of a kernel, if all its dtypes are the same.
pub(super) fn recurrence_of(
    engine: &Engine,
    kernel: &Arc<Kernel>,
    inputs: &[DType],
    output: DType,
) -> Result<Option<Box<dyn Combine>>> {
    if inputs != [output, output] {
        return Ok(None);
    }
    combine::of_kernel(engine, kernel, output).map(Some)
}

/// The axis of an array, counted from the front.
pub(crate) fn resolve_axis(name: &dyn Display, axis: i64, x: &Array) -> Result<usize> {
    let n = x.ndim() as i64;
    let at = if axis < 0 {
        axis.saturating_add(n)
    } else {
        axis
    };
    if at < 0 || at >= n {
        return Err(RuntimeError::value(format!(
            "{name}: axis {axis} is out of bounds for an array of {n} dimension{}",
            if n == 1 { "" } else { "s" }
        ))
        .help(match n {
            0 => "the array is a single value".to_string(),
            _ => format!(
                "its shape is {}, so axes are -{n} to {}",
                format_shape(x.shape()),
                n - 1
            ),
        }));
    }
    Ok(at as usize)
}

/// For each axis of an array, is it one of these?
pub(super) fn resolve_axes(name: &dyn Display, axis: &Axis, x: &Array) -> Result<Few<bool>> {
    let mut chosen = Few::from_elem(false, x.ndim());
    let list: &[i64] = match axis {
        Axis::All => {
            chosen.fill(true);
            &[]
        }
        // A single value may be reduced along its first axis or its last, as in NumPy.
        Axis::One(0 | -1) if x.ndim() == 0 => &[],
        Axis::One(axis) => std::slice::from_ref(axis),
        Axis::Many(list) => list,
    };
    for axis in list {
        let at = resolve_axis(name, *axis, x)?;
        if std::mem::replace(&mut chosen[at], true) {
            return Err(RuntimeError::value(format!(
                "{name}: duplicate value in axis: axis {axis} is given twice"
            ))
            .help("name each axis once; negative ones count from the end"));
        }
    }
    Ok(chosen)
}

/// The bytes of what a reduction starts from if nothing else is said.
pub(super) fn identity(ufunc: &Ufunc, dtype: DType) -> Result<Option<Vec<u8>>> {
    let Some(value) = ufunc.signature().identity else {
        return Ok(None);
    };
    let scalar = match dtype.kind() {
        // As written in the source, where -1 stands for all bits.
        Kind::Signed | Kind::Unsigned => Scalar::int(dtype, value as i128),
        _ => Scalar::f64(value),
    };
    let array = Array::scalar(scalar).cast(dtype)?;
    Ok(Some(array.bytes().unwrap_or_default().to_vec()))
}

/// A literal as an array of one element.
pub(super) fn literal(ufunc: &Ufunc, parameter: &str, arg: &Arg, to: DType) -> Result<Array> {
    match (arg, Literal::of(arg)) {
        (_, Some(literal)) => ufunc.literal(parameter, literal, to, Casting::Unsafe),
        (Arg::Array(array), None) => Ok(array.clone()),
        (_, None) => Err(RuntimeError::value(format!(
            "{parameter} of {}: methods have no outputs that are inputs",
            ufunc.name()
        ))
        .help("give the array itself")),
    }
}

/// The bytes of the element that a reduction starts from.
pub(super) fn initial(ufunc: &Ufunc, arg: &Arg, dtype: DType) -> Result<Vec<u8>> {
    let name = ufunc.name();
    let array = match arg {
        Arg::Array(array) if array.size() != 1 => {
            return Err(RuntimeError::shape(format!(
                "{name}.reduce: initial is one number, not an array of shape {}",
                format_shape(array.shape())
            )));
        }
        Arg::Array(array) => array.cast(dtype)?,
        other => literal(ufunc, "initial", other, dtype)?,
    };
    if array.dtype() != dtype {
        return Err(RuntimeError::dtype(format!(
            "{name}.reduce: initial is {}, and elements are {dtype}",
            array.dtype()
        )));
    }
    let bytes = array.to_contiguous()?;
    Ok(bytes.bytes().unwrap_or_default().to_vec())
}
