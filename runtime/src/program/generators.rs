//! Arrays out of nothing: `zeros ones full arange linspace uniform normal` and array literals. All but
//! the literals are expressions of the element's index, so that they fuse with what uses them.

use super::elementwise::arg_type;
use super::limits::check_shape;
use super::value::{Lazy, Op, Operand, Value};
use super::{Evaluator, integer_value, scalar};
use crate::array::Array;
use crate::dtype::{WeakKind, promote, promote_weak};
use crate::resolve::ArgType;
use crate::{Result, RuntimeError};
use kjit_ir::host::HostExpr;
use kjit_ir::{BinaryOp, DType, Loc, Scalar};

/// Most axes of an array.
const MAX_AXES: usize = 32;

impl Evaluator<'_> {
    /// `zeros(shape)`, `ones(shape)`
    pub(super) fn constant(
        &self,
        value: i128,
        shape: &Value,
        dtype: Option<DType>,
        loc: Loc,
    ) -> Result<Value> {
        self.fill(
            &Value::Int(value),
            shape,
            Some(dtype.unwrap_or(DType::F64)),
            loc,
        )
    }

    /// `full(shape, value)`
    pub(super) fn fill(
        &self,
        value: &Value,
        shape: &Value,
        dtype: Option<DType>,
        loc: Loc,
    ) -> Result<Value> {
        let dtype = match (dtype, arg_type(value)) {
            (Some(dtype), _) => dtype,
            (None, Some(ArgType::Typed(dtype))) => dtype,
            (None, Some(ArgType::Weak(WeakKind::Int))) => DType::I64,
            (None, _) => DType::F64,
        };
        let element = match value {
            Value::Int(_) | Value::Float(_) | Value::Scalar(_) => {
                scalar::cast_weak(value, dtype, loc)?
            }
            _ => {
                return Err(RuntimeError::dtype(format!(
                    "full takes one number, not {}",
                    value.describe()
                ))
                .help("the shape comes first: full((2, 3), 1.5)")
                .at(loc));
            }
        };
        self.spread(
            Operand::Scalar(element),
            Op::Fill,
            &shape_of(shape, loc)?,
            dtype,
            loc,
        )
    }

    /// `arange(start, stop, step)`
    pub(super) fn arange(&self, args: &[Value], dtype: Option<DType>, loc: Loc) -> Result<Value> {
        let (start, stop, step) = match args {
            [stop] => (Value::Int(0), stop.clone(), Value::Int(1)),
            [start, stop] => (start.clone(), stop.clone(), Value::Int(1)),
            [start, stop, step] => (start.clone(), stop.clone(), step.clone()),
            _ => return Err(RuntimeError::internal("bug in kjit: arguments of arange").at(loc)),
        };
        let (count, natural) = arange_extent(&start, &stop, &step, loc)?;
        let dtype = dtype.unwrap_or(natural);
        if dtype == DType::Bool {
            return Err(RuntimeError::dtype("arange does not make bools").at(loc));
        }
        if dtype.is_int() {
            if natural.is_float() {
                return Err(
                    RuntimeError::dtype(format!("arange of floats does not make {dtype}"))
                        .help(format!("convert the result: arange(..) as {dtype}"))
                        .at(loc),
                );
            }
            let number = |v: &Value| integer_value(v).unwrap_or_default() as i128;
            let last = number(&start) + (count as i128 - 1).max(0) * number(&step);
            // The first and the last element must fit: nothing wraps around.
            scalar::adopt(&start_value(&start), dtype, loc)?;
            scalar::adopt(&Value::Int(last), dtype, loc)?;
        }
        let shape = [count];
        check_shape(&shape, &[dtype]).map_err(|e| e.at(loc))?;
        let index = self.index_of(&shape, loc)?;
        let index = self.cast(index, dtype, loc)?;
        let step = scalar::cast_weak(&step, dtype, loc)?;
        let scaled = if step == Scalar::one(dtype) {
            index
        } else {
            self.binary(BinaryOp::Mul, index, Value::Scalar(step), loc)?
        };
        let start = scalar::cast_weak(&start, dtype, loc)?;
        if start == Scalar::zero(dtype) {
            return Ok(scaled);
        }
        self.binary(BinaryOp::Add, Value::Scalar(start), scaled, loc)
    }

    /// `linspace(start, stop, n)`
    pub(super) fn linspace(&self, args: &[Value], dtype: Option<DType>, loc: Loc) -> Result<Value> {
        let [start, stop, n] = args else {
            return Err(RuntimeError::internal("bug in kjit: arguments of linspace").at(loc));
        };
        let n = extent(n, loc)?;
        let (name, dtype) = float_function("linspace", dtype, loc)?;
        let shape = [n];
        check_shape(&shape, &[dtype]).map_err(|e| e.at(loc))?;
        let number = |v: &Value| match v {
            Value::Int(_) | Value::Float(_) | Value::Scalar(_) => scalar::cast_weak(v, dtype, loc),
            v => Err(
                RuntimeError::dtype(format!("linspace takes numbers, not {}", v.describe()))
                    .at(loc),
            ),
        };
        let args = vec![
            self.operand(self.index_of(&shape, loc)?, DType::I64, loc)?,
            Operand::Scalar(number(start)?),
            Operand::Scalar(number(stop)?),
            Operand::Scalar(Scalar::int(DType::I64, n as i128)),
        ];
        self.lazy(Op::Call(name, Vec::new()), args, shape.to_vec(), dtype, loc)
    }

    /// `uniform(shape)`, `normal(shape)`: element i depends on the seed and i alone.
    pub(super) fn random(
        &self,
        kind: &str,
        shape: &Value,
        seed: Option<&Value>,
        dtype: Option<DType>,
        loc: Loc,
    ) -> Result<Value> {
        let seed = match seed {
            None => 0,
            Some(Value::Int(n)) => *n as u64,
            Some(Value::Scalar(s)) if s.dtype().is_int() => s.as_int() as u64,
            Some(other) => {
                return Err(RuntimeError::dtype(format!(
                    "a seed is an integer, not {}",
                    other.describe()
                ))
                .help("write it as seed = 1")
                .at(loc));
            }
        };
        let (name, dtype) = float_function(&format!("philox_{kind}"), dtype, loc)?;
        let shape = shape_of(shape, loc)?;
        check_shape(&shape, &[dtype]).map_err(|e| e.at(loc))?;
        let args = vec![
            self.operand(self.index_of(&shape, loc)?, DType::I64, loc)?,
            Operand::Scalar(Scalar::int(DType::U64, seed as i128)),
        ];
        let array = self.lazy(Op::Call(name, Vec::new()), args, shape.clone(), dtype, loc)?;
        self.scalar_if_0d(array, &shape, loc)
    }

    /// `[1.0, 2.0]`, nested for more axes.
    pub(super) fn array_literal(&self, list: &[HostExpr], loc: Loc) -> Result<Value> {
        let values = list
            .iter()
            .map(|e| self.expr(e))
            .collect::<Result<Vec<_>>>()?;
        let (mut typed, mut weak): (Option<DType>, Option<WeakKind>) = (None, None);
        let mut shape: Option<Vec<usize>> = None;
        for (value, expr) in values.iter().zip(list) {
            let inner: &[usize] = if let Value::Array(lazy) = value {
                lazy.shape()
            } else {
                &[]
            };
            match &shape {
                Some(first) if first != inner => {
                    return Err(RuntimeError::shape(
                        "the elements of an array literal have different shapes",
                    )
                    .help("give all rows the same number of elements")
                    .at(expr.loc));
                }
                _ => shape = Some(inner.to_vec()),
            }
            match arg_type(value) {
                Some(ArgType::Typed(dtype)) => {
                    typed = match typed {
                        None => Some(dtype),
                        Some(other) => Some(promote(other, dtype).ok_or_else(|| {
                            RuntimeError::dtype(format!("{other} and {dtype} have no common dtype"))
                                .at(expr.loc)
                        })?),
                    }
                }
                Some(ArgType::Weak(WeakKind::Float)) => weak = Some(WeakKind::Float),
                Some(ArgType::Weak(WeakKind::Int)) => weak = weak.or(Some(WeakKind::Int)),
                None => {
                    return Err(RuntimeError::dtype(format!(
                        "an array literal holds numbers, not {}",
                        value.describe()
                    ))
                    .help("write several values in parentheses")
                    .at(expr.loc));
                }
            }
        }
        let dtype = match (typed, weak) {
            (Some(dtype), None) => dtype,
            (Some(dtype), Some(kind)) => promote_weak(dtype, kind),
            (None, Some(WeakKind::Int)) => DType::I64,
            (None, _) => DType::F64,
        };
        let mut full_shape = vec![values.len()];
        full_shape.extend(shape.unwrap_or_default());
        let mut array = Array::zeros(dtype, &full_shape).map_err(|e| e.at(loc))?;
        for (i, (value, expr)) in values.into_iter().zip(list).enumerate() {
            let element = match self.operand(value, dtype, expr.loc)? {
                Operand::Scalar(scalar) => Array::scalar(scalar),
                Operand::Lazy(lazy) => self.array(&lazy)?,
            };
            array
                .assign(&[crate::slice::SliceIndex::At(i as i64)], &element)
                .map_err(|e| e.at(expr.loc))?;
        }
        Ok(Value::Array(Lazy::leaf(array, loc)))
    }

    /// The linear index of each element of a shape.
    fn index_of(&self, shape: &[usize], loc: Loc) -> Result<Value> {
        self.lazy(Op::Index, Vec::new(), shape.to_vec(), DType::I64, loc)
    }

    /// A node over a shape with one scalar argument.
    fn spread(
        &self,
        arg: Operand,
        op: Op,
        shape: &[usize],
        dtype: DType,
        loc: Loc,
    ) -> Result<Value> {
        let array = self.lazy(op, vec![arg], shape.to_vec(), dtype, loc)?;
        self.scalar_if_0d(array, shape, loc)
    }

    fn scalar_if_0d(&self, value: Value, shape: &[usize], loc: Loc) -> Result<Value> {
        match value {
            Value::Array(lazy) if shape.is_empty() => Value::from_array(self.array(&lazy)?, loc),
            value => Ok(value),
        }
    }
}

/// The library function that makes floats of the dtype asked for.
fn float_function(name: &str, dtype: Option<DType>, loc: Loc) -> Result<(String, DType)> {
    match dtype.unwrap_or(DType::F64) {
        dtype @ (DType::F32 | DType::F64) => Ok((format!("{name}_{dtype}"), dtype)),
        dtype => Err(RuntimeError::dtype(format!(
            "these numbers are made as f32 or f64, not {dtype}"
        ))
        .help(format!("convert them: .. as {dtype}"))
        .at(loc)),
    }
}

/// A shape: one extent, or a tuple of them.
pub(super) fn shape_of(value: &Value, loc: Loc) -> Result<Vec<usize>> {
    match value {
        Value::Tuple(list) if list.len() > MAX_AXES => Err(RuntimeError::limit(format!(
            "an array has at most {MAX_AXES} axes, not {}",
            list.len()
        ))
        .at(loc)),
        Value::Tuple(list) => list.iter().map(|v| extent(v, loc)).collect(),
        value => Ok(vec![extent(value, loc)?]),
    }
}

/// One extent of a shape.
pub(super) fn extent(value: &Value, loc: Loc) -> Result<usize> {
    match integer_value(value) {
        Some(n) if n >= 0 => Ok(n as usize),
        Some(n) => Err(
            RuntimeError::shape(format!("an extent cannot be negative: {n}"))
                .help("an axis has 0 or more elements")
                .at(loc),
        ),
        None => {
            let error =
                RuntimeError::dtype(format!("an extent is an integer, not {}", value.describe()))
                    .at(loc);
            Err(match value {
                Value::Float(_) => error.help("write 1_000_000, not 1e6"),
                Value::Scalar(s) if s.dtype().is_float() => error.help("convert it: n as i64"),
                _ => error.help("write an integer, or a tuple of integers: (2, 3)"),
            })
        }
    }
}

/// An integer without its dtype, so that whether it fits another one can be checked.
fn start_value(value: &Value) -> Value {
    match value {
        Value::Scalar(s) => Value::Int(s.as_int()),
        value => value.clone(),
    }
}

/// Number of elements and natural dtype of an `arange`: `ceil((stop - start) / step)`, as NumPy's.
fn arange_extent(start: &Value, stop: &Value, step: &Value, loc: Loc) -> Result<(usize, DType)> {
    let zero_step = || {
        RuntimeError::value("the step of arange cannot be zero")
            .help("write `full(n, v)` for n equal elements")
            .at(loc)
    };
    let mut dtype: Option<DType> = None;
    let mut any_float = false;
    for value in [start, stop, step] {
        match arg_type(value) {
            Some(ArgType::Weak(kind)) => any_float |= kind == WeakKind::Float,
            Some(ArgType::Typed(d)) if !matches!(value, Value::Array(_)) && d.is_number() => {
                dtype = match dtype {
                    None => Some(d),
                    Some(other) => promote(other, d),
                };
            }
            _ => {
                return Err(RuntimeError::dtype(format!(
                    "arange takes numbers, not {}",
                    value.describe()
                ))
                .at(loc));
            }
        }
    }
    let natural = match (dtype, any_float) {
        (Some(d), true) => promote_weak(d, WeakKind::Float),
        (Some(d), false) => d,
        (None, true) => DType::F64,
        (None, false) => DType::I64,
    };
    let count = if natural.is_float() {
        let number = |v: &Value| match v {
            Value::Int(n) => *n as f64,
            Value::Float(x) => *x,
            Value::Scalar(s) => s.to_f64(),
            _ => f64::NAN,
        };
        let step = number(step);
        if step == 0.0 {
            return Err(zero_step());
        }
        let count = ((number(stop) - number(start)) / step).ceil();
        if count.is_nan() || count > 9e18 {
            return Err(
                RuntimeError::limit(format!("arange cannot have {count} elements")).at(loc),
            );
        }
        count.max(0.0) as usize
    } else {
        let number = |v: &Value| match v {
            Value::Int(n) => *n,
            Value::Scalar(s) => s.as_int(),
            _ => 0,
        };
        let step = number(step);
        if step == 0 {
            return Err(zero_step());
        }
        let span = number(stop) - number(start);
        let count = if (span > 0) == (step > 0) {
            (span.abs() + step.abs() - 1) / step.abs()
        } else {
            0
        };
        usize::try_from(count).map_err(|_| {
            RuntimeError::limit(format!("arange cannot have {count} elements")).at(loc)
        })?
    };
    Ok((count, natural))
}
