//! Arithmetic on single numbers: literals without a dtype, and typed scalars. It happens here, at
//! once; only arrays become kernels.

use super::value::Value;
use crate::{Result, RuntimeError};
use kjit_ir::eval::eval;
use kjit_ir::{BinaryOp, DType, Loc, Opcode, Scalar, UnaryOp};

/// A literal in the dtype that it adopts.
pub(crate) fn adopt(value: &Value, dtype: DType, loc: Loc) -> Result<Scalar> {
    let unfit = |text: String, range: String| {
        RuntimeError::value(format!("{text} does not fit {dtype}, which holds {range}"))
            .help("use a number that fits, or a wider dtype for what it is combined with")
            .at(loc)
    };
    match (value, dtype) {
        (Value::Int(_) | Value::Float(_), DType::C64 | DType::C128) => {
            let part = dtype.part().unwrap_or(dtype);
            cast(adopt(value, part, loc)?, dtype, loc)
        }
        (Value::Int(n), DType::F16) => adopt(&Value::Float(*n as f64), dtype, loc),
        (Value::Float(x), DType::F16) => {
            let narrow = Scalar::f16(*x);
            if narrow.to_f64().is_infinite() && x.is_finite() {
                return Err(unfit(format!("{x:?}"), "numbers up to 65504".into()));
            }
            Ok(narrow)
        }
        (Value::Int(n), DType::F32) => Ok(Scalar::f32(*n as f32)),
        (Value::Int(n), DType::F64) => Ok(Scalar::f64(*n as f64)),
        (Value::Int(n), _) if dtype.is_int() => {
            let scalar = Scalar::int(dtype, *n);
            if scalar.as_int() == *n {
                return Ok(scalar);
            }
            let (low, high) = int_range(dtype);
            Err(unfit(n.to_string(), format!("{low} to {high}")))
        }
        (Value::Float(x), DType::F64) => Ok(Scalar::f64(*x)),
        (Value::Float(x), DType::F32) => {
            let narrow = *x as f32;
            if narrow.is_infinite() && x.is_finite() {
                return Err(unfit(format!("{x:?}"), "numbers up to 3.4028235e38".into()));
            }
            Ok(Scalar::f32(narrow))
        }
        _ => {
            Err(RuntimeError::dtype(format!("{} cannot become {dtype}", value.describe())).at(loc))
        }
    }
}

fn int_range(dtype: DType) -> (i128, i128) {
    let bits = dtype.bits();
    if dtype.is_signed_int() {
        (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
    } else {
        (0, (1i128 << bits) - 1)
    }
}

/// `s as dtype`, the same conversion as in kernels.
pub(crate) fn cast(s: Scalar, dtype: DType, loc: Loc) -> Result<Scalar> {
    if s.dtype() == dtype {
        return Ok(s);
    }
    eval(Opcode::Cast, Some(dtype), &[s]).ok_or_else(|| {
        RuntimeError::dtype(format!("{} cannot be converted to {dtype}", s.dtype())).at(loc)
    })
}

/// `value as dtype` for a literal.
pub(crate) fn cast_weak(value: &Value, dtype: DType, loc: Loc) -> Result<Scalar> {
    match value {
        Value::Int(n) if dtype.is_int() => Ok(Scalar::int(dtype, *n)),
        Value::Int(n) if dtype == DType::Bool => Ok(Scalar::bool(*n != 0)),
        Value::Int(n) if dtype == DType::F32 => Ok(Scalar::f32(*n as f32)),
        Value::Int(n) => cast(Scalar::f64(*n as f64), dtype, loc),
        Value::Float(x) => cast(Scalar::f64(*x), dtype, loc),
        Value::Scalar(s) => cast(*s, dtype, loc),
        _ => Err(RuntimeError::dtype(format!(
            "{} cannot be converted to {dtype}",
            value.describe()
        ))
        .at(loc)),
    }
}

/// An operator on two scalars of one dtype that is known to take it.
pub(crate) fn binary(op: BinaryOp, a: Scalar, b: Scalar, loc: Loc) -> Result<Scalar> {
    // The IR has no float remainder (it is a library function): Rust's `%` is the same exact one.
    match (op, a.dtype()) {
        (BinaryOp::Rem, DType::F16) => return Ok(Scalar::f16(a.to_f64() % b.to_f64())),
        (BinaryOp::Rem, DType::F32) => return Ok(Scalar::f32(a.as_f32() % b.as_f32())),
        (BinaryOp::Rem, DType::F64) => return Ok(Scalar::f64(a.as_f64() % b.as_f64())),
        _ => {}
    }
    eval(op.opcode(), None, &[a, b]).ok_or_else(|| {
        RuntimeError::dtype(format!(
            "operator `{}` is not defined for {}",
            op.symbol(),
            a.dtype()
        ))
        .at(loc)
    })
}

/// An operator on one scalar.
pub(crate) fn unary(op: UnaryOp, a: Scalar, loc: Loc) -> Result<Scalar> {
    let (opcode, symbol) = match op {
        UnaryOp::Neg => (Opcode::Neg, "-"),
        UnaryOp::Not => (Opcode::Not, "!"),
    };
    let defined = opcode.domain().contains(a.dtype());
    defined
        .then(|| eval(opcode, None, &[a]))
        .flatten()
        .ok_or_else(|| {
            RuntimeError::dtype(format!(
                "operator `{symbol}` is not defined for {}",
                a.dtype()
            ))
            .at(loc)
        })
}

/// An operator on two literals; `None` when the operator does not take them.
pub(crate) fn weak_binary(op: BinaryOp, a: &Value, b: &Value, loc: Loc) -> Result<Option<Value>> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => weak_int(op, *a, *b, loc),
        _ => {
            let float = |v: &Value| match v {
                Value::Int(n) => *n as f64,
                Value::Float(x) => *x,
                _ => unreachable!("bug in kjit: not a literal"),
            };
            Ok(weak_float(op, float(a), float(b)))
        }
    }
}

fn weak_int(op: BinaryOp, a: i128, b: i128, loc: Loc) -> Result<Option<Value>> {
    let truth = |b: bool| Ok(Some(Value::Scalar(Scalar::bool(b))));
    let number = match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Sub => a.checked_sub(b),
        BinaryOp::Mul => a.checked_mul(b),
        // Division by zero gives zero, as it does in kernels.
        BinaryOp::Div => Some(if b == 0 { 0 } else { a / b }),
        BinaryOp::Rem => Some(if b == 0 { 0 } else { a % b }),
        BinaryOp::BitAnd => Some(a & b),
        BinaryOp::BitOr => Some(a | b),
        BinaryOp::BitXor => Some(a ^ b),
        BinaryOp::Shl => u32::try_from(b)
            .ok()
            .filter(|b| *b < 64)
            .and_then(|b| a.checked_mul(1 << b)),
        BinaryOp::Shr => u32::try_from(b).ok().filter(|b| *b < 64).map(|b| a >> b),
        BinaryOp::Eq => return truth(a == b),
        BinaryOp::Ne => return truth(a != b),
        BinaryOp::Lt => return truth(a < b),
        BinaryOp::Le => return truth(a <= b),
        BinaryOp::Gt => return truth(a > b),
        BinaryOp::Ge => return truth(a >= b),
        BinaryOp::And | BinaryOp::Or => return Ok(None),
    };
    match number.filter(|n| (i64::MIN as i128..=u64::MAX as i128).contains(n)) {
        Some(n) => Ok(Some(Value::Int(n))),
        None => Err(RuntimeError::value(format!(
            "{a} {} {b} is outside the range of 64-bit integers",
            op.symbol()
        ))
        .help(match op {
            BinaryOp::Shl | BinaryOp::Shr => {
                "shift by 0 to 63, or a number of a dtype: 1 as i64 << n"
            }
            _ => "compute it with floats, as in 2.0 * n",
        })
        .at(loc)),
    }
}

fn weak_float(op: BinaryOp, a: f64, b: f64) -> Option<Value> {
    let truth = |b: bool| Some(Value::Scalar(Scalar::bool(b)));
    let number = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Rem => a % b,
        BinaryOp::Eq => return truth(a == b),
        BinaryOp::Ne => return truth(a != b),
        BinaryOp::Lt => return truth(a < b),
        BinaryOp::Le => return truth(a <= b),
        BinaryOp::Gt => return truth(a > b),
        BinaryOp::Ge => return truth(a >= b),
        _ => return None,
    };
    Some(Value::Float(number))
}
