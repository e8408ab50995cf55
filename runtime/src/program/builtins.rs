//! The functions of the host language that take or give more than elements: input and output,
//! assertions, reductions, shapes.

use super::generators::shape_of;
use super::value::{Lazy, Op, Operand, Value};
use super::{Evaluator, format, integer_value, scalar};
use crate::array::Array;
use crate::broadcast::format_shape;
use crate::dtype::promote;
use crate::engine::ReduceOp;
use crate::{Result, RuntimeError, io};
use kjit_ir::host::{HostExpr, HostFn};
use kjit_ir::{BinaryOp, DType, Loc, Scalar};
use std::path::Path;

impl Evaluator<'_> {
    /// `f(args, name = value)`
    pub(super) fn call_builtin(
        &self,
        function: HostFn,
        args: &[HostExpr],
        named: &[(String, HostExpr)],
        loc: Loc,
    ) -> Result<Value> {
        let places: Vec<Loc> = args.iter().map(|a| a.loc).collect();
        let args = args
            .iter()
            .map(|a| self.expr(a))
            .collect::<Result<Vec<_>>>()?;
        let (fewest, most) = function.arity();
        if args.len() < fewest || args.len() > most {
            return Err(RuntimeError::internal(format!(
                "bug in kjit: {} called with {} arguments",
                function.name(),
                args.len()
            ))
            .at(loc));
        }
        let mut dtype = None;
        let mut seed = None;
        for (name, expr) in named {
            let value = self.expr(expr)?;
            match (name.as_str(), value) {
                ("dtype", Value::DType(d)) => dtype = Some(d),
                ("dtype", value) => {
                    return Err(RuntimeError::dtype(format!(
                        "dtype is a dtype, not {}",
                        value.describe()
                    ))
                    .help("write it as dtype = f32")
                    .at(expr.loc));
                }
                ("seed", value) => seed = Some(value),
                _ => {
                    return Err(
                        RuntimeError::internal(format!("bug in kjit: argument {name}")).at(loc),
                    );
                }
            }
        }
        let nothing = Value::Tuple(Vec::new());
        match function {
            HostFn::Load => self.load(&args[0], loc),
            HostFn::Save => self.save(&args[0], &args[1], loc).map(|()| nothing),
            HostFn::Print => self.print(&args, loc).map(|()| nothing),
            HostFn::Assert => self
                .assert(&args[0], args.get(1), places[0])
                .map(|()| nothing),
            HostFn::Zeros => self.constant(0, &args[0], dtype, loc),
            HostFn::Ones => self.constant(1, &args[0], dtype, loc),
            HostFn::Full => self.fill(&args[1], &args[0], dtype, loc),
            HostFn::Arange => self.arange(&args, dtype, loc),
            HostFn::Linspace => self.linspace(&args, dtype, loc),
            HostFn::Uniform => self.random("uniform", &args[0], seed.as_ref(), dtype, loc),
            HostFn::Normal => self.random("normal", &args[0], seed.as_ref(), dtype, loc),
            HostFn::Sum => self.sum(args.into_iter().next(), loc),
            HostFn::Mean => self.mean(args.into_iter().next(), loc),
            HostFn::Min => self.extreme(ReduceOp::Min, "min", args.into_iter().next(), loc),
            HostFn::Max => self.extreme(ReduceOp::Max, "max", args.into_iter().next(), loc),
            HostFn::ArgMin => {
                self.extreme(ReduceOp::ArgMin, "argmin", args.into_iter().next(), loc)
            }
            HostFn::ArgMax => {
                self.extreme(ReduceOp::ArgMax, "argmax", args.into_iter().next(), loc)
            }
            HostFn::CumSum => Err(RuntimeError::internal("bug in kjit: cumsum is a method")),
            HostFn::Dot => self.dot(&args[0], &args[1], loc),
            HostFn::Len => len(&args[0], loc),
            HostFn::Size => size(&args[0], loc),
            HostFn::Reshape => self.reshape(&args[0], &args[1], loc),
            HostFn::Transpose => match &args[0] {
                Value::Array(lazy) => Value::from_array(self.array(lazy)?.transpose(), loc),
                value if is_number(value) => Ok(value.clone()),
                value => Err(not_an_array("transpose", value, loc)),
            },
        }
    }

    /// A path of the program, relative to where relative paths start.
    fn path(&self, value: &Value, function: &str, loc: Loc) -> Result<String> {
        let Value::Str(path) = value else {
            return Err(RuntimeError::dtype(format!(
                "{function} takes a path, not {}",
                value.describe()
            ))
            .help(match function {
                "save" => "the path comes first: save(\"x.npy\", x)",
                _ => "write it as load(\"x.npy\")",
            })
            .at(loc));
        };
        Ok(match &self.base_dir {
            Some(base) if Path::new(path.as_ref()).is_relative() => {
                base.join(path.as_ref()).to_string_lossy().into_owned()
            }
            _ => path.to_string(),
        })
    }

    fn load(&self, path: &Value, loc: Loc) -> Result<Value> {
        let path = self.path(path, "load", loc)?;
        Value::from_array(io::load(&path).map_err(|e| e.at(loc))?, loc)
    }

    fn save(&self, path: &Value, value: &Value, loc: Loc) -> Result<()> {
        let path = self.path(path, "save", loc)?;
        let array = self.to_array(value, "save", loc)?;
        io::save(&path, &array).map_err(|e| e.at(loc))
    }

    /// The elements of an array or number, on the host.
    fn to_array(&self, value: &Value, function: &str, loc: Loc) -> Result<Array> {
        match value {
            Value::Array(lazy) => self.array(lazy)?.to_host().map_err(|e| e.at(loc)),
            Value::Int(_) => Ok(Array::scalar(scalar::adopt(value, DType::I64, loc)?)),
            Value::Float(x) => Ok(Array::scalar(Scalar::f64(*x))),
            Value::Scalar(s) => Ok(Array::scalar(*s)),
            value => Err(not_an_array(function, value, loc)),
        }
    }

    fn print(&self, args: &[Value], loc: Loc) -> Result<()> {
        let texts = args
            .iter()
            .map(|a| self.text(a))
            .collect::<Result<Vec<_>>>()?;
        format::write(*self.out.borrow_mut(), &texts.join(" ")).map_err(|e| e.at(loc))
    }

    fn text(&self, value: &Value) -> Result<String> {
        if let Some(text) = format::simple(value) {
            return Ok(text);
        }
        match value {
            Value::Array(lazy) => format::array(&self.array(lazy)?.to_host()?),
            Value::Tuple(values) => {
                let texts = values
                    .iter()
                    .map(|v| self.text(v))
                    .collect::<Result<Vec<_>>>()?;
                Ok(format!("({})", texts.join(", ")))
            }
            _ => Err(RuntimeError::internal("bug in kjit: a value without text")),
        }
    }

    fn assert(&self, condition: &Value, message: Option<&Value>, loc: Loc) -> Result<()> {
        let failed = |place: String| -> Result<()> {
            let reason = match message {
                Some(message) => format!(": {}", self.text(message)?),
                None => String::new(),
            };
            Err(RuntimeError::value(format!("assertion failed{place}{reason}")).at(loc))
        };
        match condition {
            Value::Scalar(s) if s.dtype() == DType::Bool => {
                if s.as_bool() {
                    Ok(())
                } else {
                    failed(String::new())
                }
            }
            Value::Array(lazy) if lazy.dtype() == DType::Bool => {
                if lazy.size() == 0 {
                    return Ok(());
                }
                let numbers = self.as_numbers(lazy, DType::U8, loc)?;
                if self.reduce(&numbers, ReduceOp::Min, loc)?.as_int() != 0 {
                    return Ok(());
                }
                let first = self.reduce(&numbers, ReduceOp::ArgMin, loc)?.as_int() as usize;
                failed(format!(" at element {}", position(first, lazy.shape())))
            }
            value => Err(RuntimeError::dtype(format!(
                "assert takes bools, not {}",
                value.describe()
            ))
            .help("compare, as in x > 0")
            .at(loc)),
        }
    }

    /// The expression in another dtype.
    fn as_numbers(&self, lazy: &Lazy, dtype: DType, loc: Loc) -> Result<Lazy> {
        match self.operand(Value::Array(lazy.clone()), dtype, loc)? {
            Operand::Lazy(lazy) => Ok(lazy),
            Operand::Scalar(_) => {
                Err(RuntimeError::internal("bug in kjit: an array became a number").at(loc))
            }
        }
    }

    fn sum(&self, value: Option<Value>, loc: Loc) -> Result<Value> {
        match checked("sum", value, loc)? {
            Value::Scalar(s) => Ok(Value::Scalar(scalar::cast(s, sum_dtype(s.dtype()), loc)?)),
            Value::Array(lazy) if lazy.size() == 0 => {
                Ok(Value::Scalar(Scalar::zero(sum_dtype(lazy.dtype()))))
            }
            Value::Array(lazy) => Ok(Value::Scalar(self.reduce(&lazy, ReduceOp::Sum, loc)?)),
            weak => Ok(weak),
        }
    }

    /// The sum divided by the number of elements: in f64 for integers and bools, else in the dtype of
    /// the array.
    fn mean(&self, value: Option<Value>, loc: Loc) -> Result<Value> {
        let lazy = match checked("mean", value, loc)? {
            Value::Array(lazy) => lazy,
            Value::Scalar(s) if !s.dtype().is_float() => {
                return Ok(Value::Scalar(scalar::cast(s, DType::F64, loc)?));
            }
            Value::Int(n) => return Ok(Value::Float(n as f64)),
            number => return Ok(number),
        };
        let count = lazy.size();
        if count == 0 {
            return Err(empty("mean", lazy.shape(), loc));
        }
        let dtype = if lazy.dtype().is_float() {
            lazy.dtype()
        } else {
            DType::F64
        };
        let sum = self.reduce(&self.as_numbers(&lazy, dtype, loc)?, ReduceOp::Sum, loc)?;
        let count = scalar::cast(Scalar::int(DType::I64, count as i128), dtype, loc)?;
        Ok(Value::Scalar(scalar::binary(
            BinaryOp::Div,
            sum,
            count,
            loc,
        )?))
    }

    fn extreme(&self, op: ReduceOp, name: &str, value: Option<Value>, loc: Loc) -> Result<Value> {
        let is_index = matches!(op, ReduceOp::ArgMin | ReduceOp::ArgMax);
        match checked(name, value, loc)? {
            Value::Array(lazy) if lazy.size() == 0 => Err(empty(name, lazy.shape(), loc)),
            Value::Array(lazy) if lazy.dtype() == DType::Bool => {
                let numbers = self.as_numbers(&lazy, DType::U8, loc)?;
                let found = self.reduce(&numbers, op, loc)?;
                let to = if is_index { DType::I64 } else { DType::Bool };
                Ok(Value::Scalar(scalar::cast(found, to, loc)?))
            }
            Value::Array(lazy) => Ok(Value::Scalar(self.reduce(&lazy, op, loc)?)),
            _ if is_index => Ok(Value::Scalar(Scalar::zero(DType::I64))),
            number => Ok(number),
        }
    }

    fn dot(&self, a: &Value, b: &Value, loc: Loc) -> Result<Value> {
        let (Value::Array(x), Value::Array(y)) = (a, b) else {
            return Err(not_an_array(
                "dot",
                if matches!(a, Value::Array(_)) { b } else { a },
                loc,
            ));
        };
        let (x, y) = (x.clone(), y.clone());
        if x.shape().len() != 1 || x.shape() != y.shape() {
            return Err(RuntimeError::shape(format!(
                "dot takes two 1-D arrays of one length, not shapes {} and {}",
                format_shape(x.shape()),
                format_shape(y.shape())
            ))
            .help("multiply and sum arrays of other shapes: sum(x * y)")
            .at(loc));
        }
        let dtype = promote(x.dtype(), y.dtype()).filter(|d| *d != DType::Bool);
        let dtype = dtype.ok_or_else(|| {
            RuntimeError::dtype(format!(
                "dot is not defined for {} and {}",
                x.dtype(),
                y.dtype()
            ))
            .help("convert the arrays, as in x as f64")
            .at(loc)
        })?;
        // Integers are multiplied in the dtype they are summed in, so that products do not wrap.
        let dtype = sum_dtype(dtype);
        let args = vec![
            self.operand(Value::Array(x), dtype, loc)?,
            self.operand(Value::Array(y), dtype, loc)?,
        ];
        let shape = args[0].shape().to_vec();
        let product = self.lazy(Op::Binary(BinaryOp::Mul), args, shape, dtype, loc)?;
        self.sum(Some(product), loc)
    }

    fn reshape(&self, value: &Value, shape: &Value, loc: Loc) -> Result<Value> {
        let array = self.to_array(value, "reshape", loc)?;
        let shape = inferred_shape(shape, array.size(), loc)?;
        Value::from_array(array.reshape(&shape).map_err(|e| e.at(loc))?, loc)
    }
}

/// The dtype that a sum accumulates in.
fn sum_dtype(dtype: DType) -> DType {
    match dtype {
        d if d.is_unsigned_int() => DType::U64,
        d if d.is_signed_int() || d == DType::Bool => DType::I64,
        d => d,
    }
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Float(_) | Value::Scalar(_))
}

/// An array or number of a dtype that can be computed with.
fn checked(function: &str, value: Option<Value>, loc: Loc) -> Result<Value> {
    match value {
        Some(value @ Value::Array(_)) => Ok(value),
        Some(value) if is_number(&value) => Ok(value),
        Some(value) => Err(not_an_array(function, &value, loc)),
        None => Err(RuntimeError::internal("bug in kjit: a reduction of nothing").at(loc)),
    }
}

fn not_an_array(function: &str, value: &Value, loc: Loc) -> RuntimeError {
    RuntimeError::dtype(format!(
        "{function} takes an array, not {}",
        value.describe()
    ))
    .help("make one, as in [1, 2, 3] or arange(n)")
    .at(loc)
}

fn empty(function: &str, shape: &[usize], loc: Loc) -> RuntimeError {
    RuntimeError::value(format!(
        "{function} of an array without elements (shape {})",
        format_shape(shape)
    ))
    .help("check size(x) > 0 first")
    .at(loc)
}

/// The index of an element as written in source: `17`, or `(1, 2)`.
fn position(mut linear: usize, shape: &[usize]) -> String {
    let mut index = Vec::with_capacity(shape.len());
    for n in shape.iter().rev() {
        index.push((linear % n).to_string());
        linear /= n;
    }
    index.reverse();
    if index.len() == 1 {
        index.swap_remove(0)
    } else {
        format!("({})", index.join(", "))
    }
}

fn len(value: &Value, loc: Loc) -> Result<Value> {
    match value {
        Value::Array(lazy) => Ok(Value::Int(lazy.shape()[0] as i128)),
        Value::Tuple(values) => Ok(Value::Int(values.len() as i128)),
        value => Err(not_an_array("len", value, loc)),
    }
}

fn size(value: &Value, loc: Loc) -> Result<Value> {
    match value {
        Value::Array(lazy) => Ok(Value::Int(lazy.size() as i128)),
        value if is_number(value) => Ok(Value::Int(1)),
        value => Err(not_an_array("size", value, loc)),
    }
}

/// A shape in which one extent may be -1: whatever is left over.
fn inferred_shape(value: &Value, size: usize, loc: Loc) -> Result<Vec<usize>> {
    let list = match value {
        Value::Tuple(list) => list.clone(),
        one => vec![one.clone()],
    };
    let unknown: Vec<usize> = (0..list.len())
        .filter(|i| integer_value(&list[*i]) == Some(-1))
        .collect();
    let [axis] = unknown[..] else {
        if unknown.is_empty() {
            return shape_of(value, loc);
        }
        return Err(RuntimeError::shape("only one extent can be -1")
            .help("write the others as numbers")
            .at(loc));
    };
    let mut shape = Vec::with_capacity(list.len());
    for (i, value) in list.iter().enumerate() {
        shape.push(if i == axis {
            1
        } else {
            super::generators::extent(value, loc)?
        });
    }
    let rest = shape
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul(*d))
        .unwrap_or(0);
    if rest == 0 || !size.is_multiple_of(rest) {
        return Err(RuntimeError::shape(format!(
            "{size} elements do not divide into extents of {rest} elements"
        ))
        .help("the product of the extents must divide the number of elements")
        .at(loc));
    }
    shape[axis] = size / rest;
    Ok(shape)
}
