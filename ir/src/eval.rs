//! The meaning of every pure operation, on constants: the one place that says it in code.
//!
//! Every operation is total: integers wrap, `x / 0` and `x % 0` are 0, shift counts are taken modulo
//! the width, casts to integers saturate and take NaN to 0. An operation on f16 computes in f32 and rounds
//! once more, which for `+ - * / sqrt` is as good as rounding once (S. Figueroa, When is double rounding
//! innocuous?, 1995). The sign and payload of a NaN that
//! *arithmetic* produces are unspecified, so results are compared with [`same`]; `neg`, `abs`,
//! `select` and `bitcast` move bits and are exact for NaNs too.

mod complex;

use crate::opcode::reinterprets;
use crate::{DType, Opcode, Scalar, half};

/// What the pure operation `op` computes from constant arguments; `to` is the dtype of a `cast` or
/// `bitcast`.
///
/// `None` when `op` is not pure (or is `const` or `index`, which have no arguments to compute from)
/// and when the arguments do not fit it. `splat` and `any` are taken at one lane, where both are the
/// identity.
///
/// ```
/// use kjit_ir::{DType, Opcode, Scalar, eval::eval};
///
/// let (a, zero) = (Scalar::int(DType::I32, 7), Scalar::zero(DType::I32));
/// assert_eq!(eval(Opcode::Div, None, &[a, zero]), Some(zero));
/// assert_eq!(eval(Opcode::Add, None, &[a, Scalar::f32(1.0)]), None);
/// ```
pub fn eval(op: Opcode, to: Option<DType>, args: &[Scalar]) -> Option<Scalar> {
    match *args {
        [a] => match op {
            Opcode::Cast => cast(a, to?),
            Opcode::Bitcast => bitcast(a, to?),
            Opcode::Splat => Some(a),
            Opcode::AnyTrue => (a.dtype() == DType::Bool).then_some(a),
            _ => unary(op, a),
        },
        [re, im] if op == Opcode::Complex => Scalar::complex(re, im),
        [a, b] if a.dtype() == b.dtype() => binary(op, a, b),
        [a, b, c] if op == Opcode::Select => {
            let fits = a.dtype() == DType::Bool && b.dtype() == c.dtype();
            fits.then_some(if a.as_bool() { b } else { c })
        }
        [a, b, c] if op == Opcode::Fma && a.dtype() == b.dtype() && b.dtype() == c.dtype() => {
            match a.dtype() {
                DType::F16 => {
                    let [a, b, c] = [a, b, c].map(|x| x.bits() as u16);
                    Some(Scalar::from_bits(DType::F16, half::fma(a, b, c) as u128))
                }
                DType::F32 => Some(Scalar::f32(a.as_f32().mul_add(b.as_f32(), c.as_f32()))),
                DType::F64 => Some(Scalar::f64(a.as_f64().mul_add(b.as_f64(), c.as_f64()))),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Are two results the same answer: equal bits, or NaNs of the same dtype? Complex numbers part by part.
pub fn same(a: Scalar, b: Scalar) -> bool {
    if let (Some(a), Some(b)) = (a.parts(), b.parts()) {
        return same(a[0], b[0]) && same(a[1], b[1]);
    }
    a == b || (a.dtype() == b.dtype() && is_nan(a) && is_nan(b))
}

/// Is it a NaN, or has it a part that is one?
pub fn is_nan(a: Scalar) -> bool {
    if let Some(parts) = a.parts() {
        return parts.into_iter().any(is_nan);
    }
    match a.dtype() {
        DType::F16 => a.as_f16().is_nan(),
        DType::F32 => a.as_f32().is_nan(),
        DType::F64 => a.as_f64().is_nan(),
        _ => false,
    }
}

fn unary(op: Opcode, a: Scalar) -> Option<Scalar> {
    match a.dtype() {
        dtype if op == Opcode::Rare => Opcode::Rare.domain().contains(dtype).then_some(a),
        DType::Bool => (op == Opcode::Not).then_some(Scalar::bool(!a.as_bool())),
        DType::C64 | DType::C128 => complex::unary(op, a),
        DType::F16 => match op {
            Opcode::Neg => Some(Scalar::from_bits(DType::F16, a.bits() ^ 0x8000)),
            Opcode::Abs => Some(Scalar::from_bits(DType::F16, a.bits() & 0x7fff)),
            _ => unary_f32(op, a.as_f16()).map(|r| Scalar::f16(r as f64)),
        },
        DType::F32 => unary_f32(op, a.as_f32()).map(Scalar::f32),
        DType::F64 => unary_f64(op, a.as_f64()).map(Scalar::f64),
        dtype => match op {
            // `Scalar::int` wraps to the width, and 128 bits hold every intermediate result.
            Opcode::Neg => Some(Scalar::int(dtype, -a.as_int())),
            Opcode::Abs => Some(Scalar::int(dtype, a.as_int().abs())),
            Opcode::Not => Some(Scalar::int(dtype, !a.as_int())),
            _ => None,
        },
    }
}

fn binary(op: Opcode, a: Scalar, b: Scalar) -> Option<Scalar> {
    match a.dtype() {
        DType::Bool => {
            let (x, y) = (a.as_bool(), b.as_bool());
            Some(Scalar::bool(match op {
                Opcode::And => x & y,
                Opcode::Or => x | y,
                Opcode::Xor | Opcode::Ne => x != y,
                Opcode::Eq => x == y,
                _ => return None,
            }))
        }
        DType::C64 | DType::C128 => complex::binary(op, a, b),
        DType::F16 => {
            let (x, y) = (a.as_f16(), b.as_f16());
            binary_f32(op, x, y)
                .map(|r| Scalar::f16(r as f64))
                .or_else(|| compare(op, &x, &y))
        }
        DType::F32 => {
            let (x, y) = (a.as_f32(), b.as_f32());
            binary_f32(op, x, y)
                .map(Scalar::f32)
                .or_else(|| compare(op, &x, &y))
        }
        DType::F64 => {
            let (x, y) = (a.as_f64(), b.as_f64());
            binary_f64(op, x, y)
                .map(Scalar::f64)
                .or_else(|| compare(op, &x, &y))
        }
        _ => binary_int(op, a, b),
    }
}

fn compare<T: PartialOrd>(op: Opcode, x: &T, y: &T) -> Option<Scalar> {
    Some(Scalar::bool(match op {
        Opcode::Eq => x == y,
        Opcode::Ne => x != y,
        Opcode::Lt => x < y,
        Opcode::Le => x <= y,
        Opcode::Gt => x > y,
        Opcode::Ge => x >= y,
        _ => return None,
    }))
}

fn binary_int(op: Opcode, a: Scalar, b: Scalar) -> Option<Scalar> {
    let dtype = a.dtype();
    let (x, y) = (a.as_int(), b.as_int());
    let count = (b.bits() % dtype.bits() as u128) as u32;
    let result = match op {
        Opcode::Add => x + y,
        Opcode::Sub => x - y,
        // The product of two u64 needs all 128 bits, as an unsigned number: wrap, then cut.
        Opcode::Mul => x.wrapping_mul(y),
        Opcode::MulHi if dtype == DType::U64 => ((x as u128 * y as u128) >> 64) as i128,
        Opcode::MulHi => (x * y) >> dtype.bits(),
        // MIN / -1 does not overflow 128 bits, and wraps to MIN.
        Opcode::Div => x.checked_div(y).unwrap_or(0),
        Opcode::Rem => x.checked_rem(y).unwrap_or(0),
        Opcode::Min => x.min(y),
        Opcode::Max => x.max(y),
        Opcode::And => x & y,
        Opcode::Or => x | y,
        Opcode::Xor => x ^ y,
        Opcode::Shl => x.wrapping_shl(count),
        Opcode::Shr => x >> count,
        _ => return compare(op, &x, &y),
    };
    Some(Scalar::int(dtype, result))
}

macro_rules! float_ops {
    ($unary:ident $binary:ident $float:ty) => {
        fn $unary(op: Opcode, a: $float) -> Option<$float> {
            Some(match op {
                Opcode::Neg => -a,
                Opcode::Abs => a.abs(),
                Opcode::Sqrt => a.sqrt(),
                Opcode::Floor => a.floor(),
                Opcode::Ceil => a.ceil(),
                Opcode::Trunc => a.trunc(),
                Opcode::Round => a.round_ties_even(),
                _ => return None,
            })
        }

        fn $binary(op: Opcode, a: $float, b: $float) -> Option<$float> {
            // The total order of numbers in which -0 comes before +0.
            let less = a < b || (a == b && a.is_sign_negative());
            let (min, max) = if less { (a, b) } else { (b, a) };
            Some(match op {
                Opcode::Add => a + b,
                Opcode::Sub => a - b,
                Opcode::Mul => a * b,
                Opcode::Div => a / b,
                Opcode::Min | Opcode::Max if a.is_nan() => a,
                Opcode::Min | Opcode::Max if b.is_nan() => b,
                Opcode::FMin | Opcode::FMax if a.is_nan() => b,
                Opcode::FMin | Opcode::FMax if b.is_nan() => a,
                Opcode::Min | Opcode::FMin => min,
                Opcode::Max | Opcode::FMax => max,
                _ => return None,
            })
        }
    };
}

float_ops!(unary_f32 binary_f32 f32);
float_ops!(unary_f64 binary_f64 f64);

fn cast(a: Scalar, to: DType) -> Option<Scalar> {
    if a.dtype() == to {
        return Some(a);
    }
    if a.dtype().is_complex() || to.is_complex() {
        return complex::cast(a, to);
    }
    Some(match (a.dtype(), to) {
        (DType::F16, DType::F32) => Scalar::f32(a.as_f16()),
        (DType::F16, DType::F64) => Scalar::f64(a.as_f16() as f64),
        (DType::F32, DType::F64) => Scalar::f64(a.as_f32() as f64),
        (DType::F64, DType::F32) => Scalar::f32(a.as_f64() as f32),
        // What f64 does not hold exactly is larger than any f16.
        (_, DType::F16) => Scalar::f16(a.to_f64()),
        (DType::F16 | DType::F32 | DType::F64, _) => float_to(a.to_f64(), to),
        (_, DType::Bool) => Scalar::bool(a.bits() != 0),
        (_, DType::F32) => Scalar::f32(a.as_int() as f32),
        (_, DType::F64) => Scalar::f64(a.as_int() as f64),
        _ => Scalar::int(to, a.as_int()),
    })
}

/// From a float (widened, which is exact) to bool or an integer.
fn float_to(value: f64, to: DType) -> Scalar {
    let int = match to {
        DType::Bool => return Scalar::bool(value != 0.0),
        DType::I8 => value as i8 as i128,
        DType::I16 => value as i16 as i128,
        DType::I32 => value as i32 as i128,
        DType::I64 => value as i64 as i128,
        DType::U8 => value as u8 as i128,
        DType::U16 => value as u16 as i128,
        DType::U32 => value as u32 as i128,
        _ => value as u64 as i128,
    };
    Scalar::int(to, int)
}

fn bitcast(a: Scalar, to: DType) -> Option<Scalar> {
    reinterprets(a.dtype(), to).then(|| Scalar::from_bits(to, a.bits()))
}

#[cfg(test)]
#[path = "eval_test.rs"]
mod tests;
