//! Operators, conversions and calls of element-wise functions: dtypes and shapes are settled here, at
//! the operator, so that an error names its place; the elements are computed later.

use super::Evaluator;
use super::limits::check_shape;
use super::scalar::{self, adopt};
use super::value::{Lazy, Op, Operand, Value};
use crate::broadcast::broadcast_shapes;
use crate::dtype::{WeakKind, promote, promote_weak};
use crate::resolve::{ArgType, real_part_help, resolve_loop};
use crate::{Result, RuntimeError};
use kjit_ir::{BinaryOp, DType, Loc, Opcode, UnaryOp};

impl Evaluator<'_> {
    /// `a op b`
    pub(super) fn binary(&self, op: BinaryOp, a: Value, b: Value, loc: Loc) -> Result<Value> {
        let undefined = |a: &Value, b: &Value| {
            let error = RuntimeError::dtype(format!(
                "operator `{}` is not defined for {} and {}",
                op.symbol(),
                a.describe(),
                b.describe()
            ));
            let error = match op {
                BinaryOp::And | BinaryOp::Or => {
                    error.help("both sides must be bool: compare first, as in x != 0")
                }
                _ if [a, b].iter().any(|v| matches!(v, Value::Tuple(_))) => {
                    error.help("take the values apart first: let (a, b) = ..;")
                }
                _ if [a, b].iter().any(|v| arg_type(v).is_none()) => {
                    error.help("use numbers or arrays")
                }
                _ if [a, b].iter().any(|v| is_complex(v)) => {
                    let to = match op {
                        BinaryOp::Rem => DType::F64,
                        _ => DType::I64,
                    };
                    error.help(real_part_help("x", to))
                }
                BinaryOp::BitAnd
                | BinaryOp::BitOr
                | BinaryOp::BitXor
                | BinaryOp::Shl
                | BinaryOp::Shr => error.help("convert to integers first, as in x as i64"),
                _ => error.help("convert first, as in x as i64"),
            };
            error.at(loc)
        };
        let (Some(ta), Some(tb)) = (arg_type(&a), arg_type(&b)) else {
            return Err(undefined(&a, &b));
        };
        let common = match (ta, tb) {
            (ArgType::Weak(_), ArgType::Weak(_)) => {
                return scalar::weak_binary(op, &a, &b, loc)?.ok_or_else(|| undefined(&a, &b));
            }
            (ArgType::Typed(x), ArgType::Typed(y)) => promote(x, y),
            (ArgType::Typed(x), ArgType::Weak(kind)) | (ArgType::Weak(kind), ArgType::Typed(x)) => {
                Some(promote_weak(x, kind))
            }
        };
        let common = common.ok_or_else(|| undefined(&a, &b))?;
        let dtype = compute_dtype(op, common).ok_or_else(|| undefined(&a, &b))?;
        let result = if op.is_comparison() {
            DType::Bool
        } else {
            dtype
        };
        let (a, b) = (self.operand(a, dtype, loc)?, self.operand(b, dtype, loc)?);
        if let (Operand::Scalar(a), Operand::Scalar(b)) = (&a, &b) {
            return Ok(Value::Scalar(scalar::binary(op, *a, *b, loc)?));
        }
        let shape = broadcast_shapes(&[a.shape(), b.shape()]).map_err(|e| e.at(loc))?;
        self.lazy(Op::Binary(op), vec![a, b], shape, result, loc)
    }

    /// `-x`, `!x`
    pub(super) fn unary(&self, op: UnaryOp, x: Value, loc: Loc) -> Result<Value> {
        let (symbol, opcode) = match op {
            UnaryOp::Neg => ("-", Opcode::Neg),
            UnaryOp::Not => ("!", Opcode::Not),
        };
        match (op, x) {
            (UnaryOp::Neg, Value::Int(n)) => {
                scalar::weak_binary(BinaryOp::Sub, &Value::Int(0), &Value::Int(n), loc)?
                    .ok_or_else(|| RuntimeError::internal("bug in kjit: negation of a literal"))
            }
            (UnaryOp::Neg, Value::Float(x)) => Ok(Value::Float(-x)),
            (UnaryOp::Not, Value::Int(n)) => Ok(Value::Int(!n)),
            (_, Value::Scalar(s)) => Ok(Value::Scalar(scalar::unary(op, s, loc)?)),
            (_, Value::Array(lazy)) if opcode.domain().contains(lazy.dtype()) => {
                let (shape, dtype) = (lazy.shape().to_vec(), lazy.dtype());
                self.lazy(Op::Unary(op), vec![Operand::Lazy(lazy)], shape, dtype, loc)
            }
            (_, x) => Err(RuntimeError::dtype(format!(
                "operator `{symbol}` is not defined for {}",
                x.describe()
            ))
            .help(match op {
                UnaryOp::Neg => "negate numbers with `-`, and bools with `!`",
                UnaryOp::Not => "compare first, as in x == 0",
            })
            .at(loc)),
        }
    }

    /// `x as dtype`
    pub(super) fn cast(&self, x: Value, dtype: DType, loc: Loc) -> Result<Value> {
        if let Some(ArgType::Typed(from)) = arg_type(&x)
            && from.is_complex()
            && !dtype.is_complex()
            && dtype != DType::Bool
        {
            return Err(RuntimeError::dtype(format!(
                "{} cannot be converted to {dtype}, which has no imaginary part",
                x.describe()
            ))
            .help("take its real part, as in re(z), or its length, as in abs(z)")
            .at(loc));
        }
        match x {
            Value::Int(_) | Value::Float(_) | Value::Scalar(_) => {
                Ok(Value::Scalar(scalar::cast_weak(&x, dtype, loc)?))
            }
            Value::Array(lazy) if lazy.dtype() == dtype => Ok(Value::Array(lazy)),
            Value::Array(lazy) => {
                let shape = lazy.shape().to_vec();
                self.lazy(
                    Op::Cast(dtype),
                    vec![Operand::Lazy(lazy)],
                    shape,
                    dtype,
                    loc,
                )
            }
            x => Err(RuntimeError::dtype(format!(
                "{} cannot be converted to {dtype}",
                x.describe()
            ))
            .at(loc)),
        }
    }

    /// `f(a, b)` for a ufunc of the file or an element-wise built-in function.
    pub(super) fn call_elementwise(&self, name: &str, args: Vec<Value>, loc: Loc) -> Result<Value> {
        let signature = self.program.signature(name).ok_or_else(|| {
            RuntimeError::internal(format!("bug in kjit: no signature of {name}")).at(loc)
        })?;
        let types = args
            .iter()
            .zip(&signature.inputs)
            .map(|(arg, (parameter, _))| match arg_type(arg) {
                Some(ty) => Ok(ty),
                None => Err(RuntimeError::dtype(format!(
                    "{name} takes numbers or arrays for {parameter}, not {}",
                    arg.describe()
                ))
                .at(loc)),
            })
            .collect::<Result<Vec<_>>>()?;
        let generics = resolve_loop(signature, &types).map_err(|e| e.at(loc))?;
        let args = args
            .into_iter()
            .zip(&signature.inputs)
            .map(|(arg, (_, spec))| self.operand(arg, spec.resolve(&generics), loc))
            .collect::<Result<Vec<_>>>()?;
        let shapes: Vec<&[usize]> = args.iter().map(Operand::shape).collect();
        let shape = broadcast_shapes(&shapes).map_err(|e| e.at(loc))?;
        let dtypes: Vec<DType> = signature
            .outputs
            .iter()
            .map(|(_, spec)| spec.resolve(&generics))
            .collect();
        check_shape(&shape, &dtypes).map_err(|e| e.at(loc))?;
        let scalars = args.iter().all(|arg| matches!(arg, Operand::Scalar(_)));
        let node = self.node(
            Op::Call(name.to_string(), generics),
            args,
            shape,
            dtypes,
            loc,
        )?;
        let mut results = if scalars {
            let arrays = self.force(&node)?;
            arrays
                .into_iter()
                .map(|a| Value::from_array(a, loc))
                .collect::<Result<Vec<_>>>()?
        } else {
            (0..node.dtypes.len())
                .map(|result| {
                    Value::Array(Lazy {
                        node: node.clone(),
                        result,
                    })
                })
                .collect()
        };
        if results.len() == 1 {
            Ok(results.swap_remove(0))
        } else {
            Ok(Value::Tuple(results))
        }
    }

    /// A number or array in a dtype that it is known to convert to.
    pub(super) fn operand(&self, value: Value, dtype: DType, loc: Loc) -> Result<Operand> {
        match value {
            Value::Int(_) | Value::Float(_) => Ok(Operand::Scalar(adopt(&value, dtype, loc)?)),
            Value::Scalar(s) => Ok(Operand::Scalar(scalar::cast(s, dtype, loc)?)),
            Value::Array(lazy) if lazy.dtype() == dtype => Ok(Operand::Lazy(lazy)),
            Value::Array(lazy) => {
                let shape = lazy.shape().to_vec();
                let node = self.node(
                    Op::Cast(dtype),
                    vec![Operand::Lazy(lazy)],
                    shape,
                    vec![dtype],
                    loc,
                )?;
                Ok(Operand::Lazy(Lazy { node, result: 0 }))
            }
            _ => Err(RuntimeError::internal("bug in kjit: operand is no number").at(loc)),
        }
    }

    /// A pending array with one result.
    pub(super) fn lazy(
        &self,
        op: Op,
        args: Vec<Operand>,
        shape: Vec<usize>,
        dtype: DType,
        loc: Loc,
    ) -> Result<Value> {
        check_shape(&shape, &[dtype]).map_err(|e| e.at(loc))?;
        let node = self.node(op, args, shape, vec![dtype], loc)?;
        Ok(Value::Array(Lazy { node, result: 0 }))
    }
}

/// The type of a number or array; `None` for text, dtypes and tuples.
pub(super) fn arg_type(value: &Value) -> Option<ArgType> {
    match value {
        Value::Int(_) => Some(ArgType::Weak(WeakKind::Int)),
        Value::Float(_) => Some(ArgType::Weak(WeakKind::Float)),
        Value::Scalar(s) => Some(ArgType::Typed(s.dtype())),
        Value::Array(lazy) => Some(ArgType::Typed(lazy.dtype())),
        Value::Str(_) | Value::DType(_) | Value::Tuple(_) => None,
    }
}

fn is_complex(value: &Value) -> bool {
    matches!(arg_type(value), Some(ArgType::Typed(dtype)) if dtype.is_complex())
}

/// The dtype an operator computes in, given what its operands promote to.
fn compute_dtype(op: BinaryOp, common: DType) -> Option<DType> {
    let is_bool = common == DType::Bool;
    match op {
        BinaryOp::Rem if common.is_complex() => None,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem => {
            (!is_bool).then_some(common)
        }
        BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor => {
            (common.is_int() || is_bool).then_some(common)
        }
        BinaryOp::Shl | BinaryOp::Shr => common.is_int().then_some(common),
        BinaryOp::And | BinaryOp::Or => is_bool.then_some(common),
        BinaryOp::Eq | BinaryOp::Ne => Some(common),
        // false < true, by way of numbers.
        BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
            Some(if is_bool { DType::U8 } else { common })
        }
    }
}
