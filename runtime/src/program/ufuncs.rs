//! Calls of ufuncs and gufuncs that say more than their arguments, methods of ufuncs, and reductions along
//! axes. They are computed at once, unlike plain calls of ufuncs: their operands are made arrays first.

use super::value::Value;
use super::{Evaluator, integer_value, scalar};
use crate::broadcast::format_shape;
use crate::call::UfuncCall;
use crate::engine::ReduceOp;
use crate::methods::{Axis, Reduce, resolve_axis};
use crate::ufunc::{Arg, Ufunc};
use crate::{Array, Casting, Result, RuntimeError};
use kjit_ir::host::{HostExpr, HostExprKind, HostFn, UfuncMethod};
use kjit_ir::{BinaryOp, DType, Loc, Scalar};

/// The built-in ufunc behind `sum` and `cumsum`.
const SUM: &str = "+";

impl Evaluator<'_> {
    /// `f(x, y, where = m)`, and any call of a gufunc.
    pub(super) fn call_ufunc(
        &self,
        name: &str,
        args: &[HostExpr],
        named: &[(String, HostExpr)],
        loc: Loc,
    ) -> Result<Value> {
        let ufunc = self.ufunc(name, loc)?;
        let args = args
            .iter()
            .map(|a| self.argument(a))
            .collect::<Result<Vec<Arg>>>()?;
        let mut call = ufunc.on(self.engine);
        for (key, expr) in named {
            call = self.with_argument(call, name, key, expr)?;
        }
        let results = call.call(&args).map_err(|e| e.at(loc))?;
        self.locate_warnings(loc);
        values(results, loc)
    }

    fn with_argument<'u>(
        &self,
        call: UfuncCall<'u>,
        name: &str,
        key: &str,
        expr: &HostExpr,
    ) -> Result<UfuncCall<'u>> {
        Ok(match key {
            "where" => call.where_(&self.operand_array(expr, "where")?),
            "casting" => call.casting(self.casting(expr)?),
            "dtype" => call.dtype(dtype(expr)?),
            "signature" => match self.expr(expr)? {
                Value::Str(text) => call.signature(&text),
                other => return Err(wrong(key, "text such as \"ff->f\"", &other, expr)),
            },
            "axes" => call.axes(&self.axes(expr)?),
            "axis" => match self.axis(expr)? {
                Axis::One(axis) => call.axis(axis),
                _ => {
                    return Err(RuntimeError::value(format!(
                        "{name} takes one axis, which is the core axis of every argument"
                    ))
                    .help("give several as axes = [(0, 1), ..], a tuple for each argument")
                    .at(expr.loc));
                }
            },
            "keepdims" => call.keepdims(self.truth(expr, key)?),
            dim => {
                let extent = self.integer(expr, "the extent of a dimension is an integer")?;
                let extent = usize::try_from(extent).map_err(|_| {
                    RuntimeError::shape(format!("the extent {dim} of {name} cannot be {extent}"))
                        .help("give a number that is not negative")
                        .at(expr.loc)
                })?;
                call.dim(dim, extent)
            }
        })
    }

    /// `f.reduce(x, axis = 0)` and the other methods.
    pub(super) fn call_method(
        &self,
        name: &str,
        method: UfuncMethod,
        args: &[HostExpr],
        named: &[(String, HostExpr)],
        loc: Loc,
    ) -> Result<Value> {
        let ufunc = self.ufunc(name, loc)?;
        if method == UfuncMethod::Outer {
            return self.outer(&ufunc, args, named, loc);
        }
        let full = format!("{name}.{}", method.name());
        let mut array = self.operand_array(&args[0], &full)?;
        let options = self.method_options(named)?;
        let mask = options.mask.as_ref();
        let result = match method {
            UfuncMethod::Reduce => ufunc.reduce(
                self.engine,
                &array,
                &Reduce {
                    axis: options.axis.unwrap_or_default(),
                    keepdims: options.keepdims,
                    initial: options.initial,
                    where_: mask,
                    dtype: options.dtype,
                },
            ),
            UfuncMethod::Accumulate => {
                let axis = one_axis(&full, options.axis, loc)?;
                ufunc.accumulate(self.engine, &array, axis, options.dtype)
            }
            UfuncMethod::ReduceAt => {
                let axis = one_axis(&full, options.axis, loc)?;
                let indices = self.operand_array(&args[1], &full)?;
                ufunc.reduceat(self.engine, &array, &indices, axis, options.dtype)
            }
            UfuncMethod::At => {
                let indices = match self.expr(&args[1])? {
                    Value::Tuple(list) => list,
                    one => vec![one],
                };
                let indices = indices
                    .into_iter()
                    .map(|v| self.value_array(v, &full, args[1].loc))
                    .collect::<Result<Vec<_>>>()?;
                let values = args.get(2).map(|v| self.argument(v)).transpose()?;
                ufunc
                    .at_axes(self.engine, &mut array, &indices, values.as_ref())
                    .map(|()| array)
            }
            UfuncMethod::Outer => return Err(RuntimeError::internal("bug in kjit: outer")),
        };
        let result = result.map_err(|e| e.at(loc))?;
        self.locate_warnings(loc);
        Value::from_array(result, loc)
    }

    /// A call on every pair of elements: the axes of the first argument, then those of the second.
    fn outer(
        &self,
        ufunc: &Ufunc,
        args: &[HostExpr],
        named: &[(String, HostExpr)],
        loc: Loc,
    ) -> Result<Value> {
        let mut first = self.argument(&args[0])?;
        let second = self.argument(&args[1])?;
        if let (Arg::Array(a), Arg::Array(b)) = (&first, &second) {
            let ones = std::iter::repeat_n(1, b.ndim());
            let shape: Vec<usize> = a.shape().iter().copied().chain(ones).collect();
            first = Arg::Array(a.reshape(&shape).map_err(|e| e.at(loc))?);
        }
        let mut call = ufunc.on(self.engine);
        for (key, expr) in named {
            call = self.with_argument(call, ufunc.name(), key, expr)?;
        }
        let results = call.call(&[first, second]).map_err(|e| e.at(loc))?;
        self.locate_warnings(loc);
        values(results, loc)
    }

    /// `sum`, `mean`, `min`, `max` along axes, and `cumsum`.
    pub(super) fn reduce_axes(
        &self,
        function: HostFn,
        arg: &HostExpr,
        named: &[(String, HostExpr)],
        loc: Loc,
    ) -> Result<Value> {
        let options = self.method_options(named)?;
        let array = self.operand_array(arg, function.name())?;
        let name = match function {
            HostFn::Min => "min",
            HostFn::Max => "max",
            _ => SUM,
        };
        let ufunc = self.ufunc(name, loc)?;
        // What the user wrote is named, not the ufunc behind it.
        let renamed = |mut e: RuntimeError| {
            for method in ["reduce", "accumulate"] {
                e.message = e
                    .message
                    .replace(&format!("{name}.{method}"), function.name());
            }
            e.at(loc)
        };
        let to = match (function, array.dtype()) {
            (HostFn::Min | HostFn::Max, DType::Bool) => DType::U8,
            (HostFn::Mean, DType::F16) => DType::F32,
            (HostFn::Mean, d) if !d.is_float() && !d.is_complex() => DType::F64,
            (_, DType::Bool) => DType::I64,
            (_, d) => d,
        };
        let from = array.dtype();
        let array = match self.cast(Value::from_array(array, loc)?, to, loc)? {
            Value::Array(lazy) => self.array(&lazy)?,
            Value::Scalar(s) => Array::scalar(s),
            _ => {
                return Err(RuntimeError::internal(
                    "bug in kjit: an array became no number",
                ));
            }
        };
        if function == HostFn::CumSum {
            let axis = one_axis("cumsum", options.axis, loc)?;
            let sums = ufunc.accumulate(self.engine, &array, axis, None);
            return Value::from_array(sums.map_err(renamed)?, loc);
        }
        let reduced = ufunc
            .reduce(
                self.engine,
                &array,
                &Reduce {
                    axis: options.axis.unwrap_or(Axis::All),
                    keepdims: options.keepdims,
                    ..Reduce::default()
                },
            )
            .map_err(renamed)?;
        self.locate_warnings(loc);
        let count = array.size().checked_div(reduced.size());
        let value = Value::from_array(reduced, loc)?;
        match function {
            HostFn::Mean => {
                let count = match count {
                    Some(0) => {
                        return Err(RuntimeError::value("mean of no elements along the axis")
                            .help("check size(x) > 0 first")
                            .at(loc));
                    }
                    // No results: nothing is divided.
                    count => count.unwrap_or(1),
                };
                let count = scalar::cast(Scalar::int(DType::I64, count as i128), to, loc)?;
                let mean = self.binary(BinaryOp::Div, value, Value::Scalar(count), loc)?;
                match from {
                    DType::F16 => self.cast(mean, from, loc),
                    _ => Ok(mean),
                }
            }
            HostFn::Min | HostFn::Max if from == DType::Bool => self.cast(value, from, loc),
            _ => Ok(value),
        }
    }

    /// `argmin` and `argmax` along an axis.
    pub(super) fn arg_extremes(
        &self,
        function: HostFn,
        arg: &HostExpr,
        named: &[(String, HostExpr)],
        loc: Loc,
    ) -> Result<Value> {
        let name = function.name();
        let options = self.method_options(named)?;
        let array = self.operand_array(arg, name)?.to_host()?;
        let array = match array.dtype() {
            // As bytes, bools may be other than 0 and 1.
            DType::Bool => array.cast(DType::U8)?,
            _ => array,
        };
        let (axis, lanes) = match options.axis {
            None | Some(Axis::All) => (None, array.reshape(&[array.size()])?),
            axis => {
                let axis = resolve_axis(&name, one_axis(name, axis, loc)?, &array);
                let axis = axis.map_err(|e| e.at(loc))?;
                (Some(axis), array.with_axis_last(axis))
            }
        };
        let n = lanes.shape().last().copied().unwrap_or(1);
        if n == 0 {
            return Err(RuntimeError::value(format!(
                "{name} of no elements: the shape is {}",
                format_shape(array.shape())
            ))
            .help("check size(x) > 0 first")
            .at(loc));
        }
        let op = match function {
            HostFn::ArgMin => ReduceOp::ArgMin,
            _ => ReduceOp::ArgMax,
        };
        let found = self.engine.arg_extremes(&lanes.to_contiguous()?, n, op)?;
        let is_gone = |n: usize| axis.is_none_or(|axis| axis == n);
        let shape = array.shape().iter().enumerate();
        let shape: Vec<usize> = match options.keepdims {
            true => shape
                .map(|(n, extent)| if is_gone(n) { 1 } else { *extent })
                .collect(),
            false => shape
                .filter(|(n, _)| !is_gone(*n))
                .map(|(_, e)| *e)
                .collect(),
        };
        let found = Array::from_vec(found, &shape).map_err(|e| e.at(loc))?;
        Value::from_array(found, loc)
    }

    fn method_options(&self, named: &[(String, HostExpr)]) -> Result<MethodOptions> {
        let mut options = MethodOptions::default();
        for (key, expr) in named {
            match key.as_str() {
                "axis" => options.axis = Some(self.axis(expr)?),
                "dtype" => options.dtype = Some(dtype(expr)?),
                "keepdims" => options.keepdims = self.truth(expr, key)?,
                "initial" => options.initial = Some(self.argument(expr)?),
                "where" => options.mask = Some(self.operand_array(expr, "where")?),
                _ => {
                    let bug = format!("bug in kjit: argument {key}");
                    return Err(RuntimeError::internal(bug).at(expr.loc));
                }
            }
        }
        Ok(options)
    }

    fn ufunc(&self, name: &str, loc: Loc) -> Result<Ufunc> {
        Ufunc::new(&self.shared_program, name).map_err(|e| e.at(loc))
    }

    /// A number or array as an argument of a call; a literal stays one, and adopts a dtype.
    fn argument(&self, expr: &HostExpr) -> Result<Arg> {
        match self.expr(expr)? {
            Value::Int(n) => Ok(Arg::Int(n)),
            Value::Float(x) => Ok(Arg::Float(x)),
            Value::Scalar(s) => Ok(Arg::Array(Array::scalar(s))),
            Value::Array(lazy) => Ok(Arg::Array(self.array(&lazy)?)),
            other => Err(not_numbers("an argument of a call", &other, expr.loc)),
        }
    }

    /// A number or array as an array.
    fn operand_array(&self, expr: &HostExpr, what: &str) -> Result<Array> {
        self.value_array(self.expr(expr)?, what, expr.loc)
    }

    fn value_array(&self, value: Value, what: &str, loc: Loc) -> Result<Array> {
        match value {
            Value::Array(lazy) => self.array(&lazy),
            Value::Scalar(s) => Ok(Array::scalar(s)),
            value @ Value::Int(_) => Ok(Array::scalar(scalar::adopt(&value, DType::I64, loc)?)),
            Value::Float(x) => Ok(Array::scalar(Scalar::f64(x))),
            other => Err(not_numbers(what, &other, loc)),
        }
    }

    fn truth(&self, expr: &HostExpr, key: &str) -> Result<bool> {
        match self.expr(expr)? {
            Value::Scalar(s) if s.dtype() == DType::Bool => Ok(s.as_bool()),
            other => Err(wrong(key, "true or false", &other, expr)),
        }
    }

    fn casting(&self, expr: &HostExpr) -> Result<Casting> {
        match self.expr(expr)? {
            Value::Str(text) => Casting::from_name(&text).ok_or_else(|| {
                RuntimeError::value(format!("there is no casting {text}"))
                    .help("the rules are no, equiv, safe, same_kind and unsafe")
                    .at(expr.loc)
            }),
            other => Err(wrong("casting", "text such as \"same_kind\"", &other, expr)),
        }
    }

    /// An axis, several, or `none` for all.
    fn axis(&self, expr: &HostExpr) -> Result<Axis> {
        if matches!(expr.kind, HostExprKind::None) {
            return Ok(Axis::All);
        }
        let value = self.expr(expr)?;
        let number = |v: &Value| {
            integer_value(v)
                .ok_or_else(|| wrong("axis", "an integer, a tuple of them, or none", v, expr))
        };
        match &value {
            Value::Tuple(list) => Ok(Axis::Many(
                list.iter().map(number).collect::<Result<Vec<_>>>()?,
            )),
            one => Ok(Axis::One(number(one)?)),
        }
    }

    /// `[(0, 1), 2, ()]`: the core axes of each argument.
    fn axes(&self, expr: &HostExpr) -> Result<Vec<Vec<i64>>> {
        let (HostExprKind::Array(list) | HostExprKind::Tuple(list)) = &expr.kind else {
            return Err(
                RuntimeError::value("axes is a list with the axes of each argument")
                    .help("write it as axes = [(0, 1), (1, 2), (0, 1)]")
                    .at(expr.loc),
            );
        };
        list.iter()
            .map(|entry| match self.axis(entry)? {
                Axis::One(axis) => Ok(vec![axis]),
                Axis::Many(axes) => Ok(axes),
                Axis::All => Err(
                    RuntimeError::value("axes takes integers and tuples of them")
                        .help("write () for an argument without core axes")
                        .at(entry.loc),
                ),
            })
            .collect()
    }
}

#[derive(Default)]
struct MethodOptions {
    axis: Option<Axis>,
    dtype: Option<DType>,
    keepdims: bool,
    initial: Option<Arg>,
    mask: Option<Array>,
}

/// The one axis of a method that takes no more; the first by default.
fn one_axis(method: &str, axis: Option<Axis>, loc: Loc) -> Result<i64> {
    match axis {
        None => Ok(0),
        Some(Axis::One(axis)) => Ok(axis),
        Some(_) => Err(RuntimeError::value(format!("{method} goes along one axis"))
            .help(
                "give it as axis = 0, and flatten the array first for all elements: reshape(x, -1)",
            )
            .at(loc)),
    }
}

fn dtype(expr: &HostExpr) -> Result<DType> {
    match expr.kind {
        HostExprKind::DType(dtype) => Ok(dtype),
        _ => Err(RuntimeError::internal("bug in kjit: a dtype that is none").at(expr.loc)),
    }
}

fn wrong(key: &str, wants: &str, found: &Value, expr: &HostExpr) -> RuntimeError {
    RuntimeError::dtype(format!("{key} is {wants}, not {}", found.describe())).at(expr.loc)
}

fn not_numbers(what: &str, value: &Value, loc: Loc) -> RuntimeError {
    RuntimeError::dtype(format!(
        "{what} is a number or an array, not {}",
        value.describe()
    ))
    .at(loc)
}

/// The results of a call: one value, or several.
fn values(results: Vec<Array>, loc: Loc) -> Result<Value> {
    let mut values = results
        .into_iter()
        .map(|array| Value::from_array(array, loc))
        .collect::<Result<Vec<Value>>>()?;
    if values.len() == 1 {
        return Ok(values.swap_remove(0));
    }
    Ok(Value::Tuple(values))
}
