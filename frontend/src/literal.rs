//! Numbers as written, as values of a dtype.

use crate::diagnostic::{Code, Diagnostic};
use crate::hir::Literal;
use crate::source::{Source, Span};
use kjit_ir::eval::eval;
use kjit_ir::{DType, Opcode, Scalar};

/// Smallest and largest value of an integer dtype.
pub fn int_range(dtype: DType) -> (i128, i128) {
    let bits = dtype.bits();
    if dtype.is_signed_int() {
        (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
    } else {
        (0, (1i128 << bits) - 1)
    }
}

/// The value, if the dtype has it. Floats round to nearest; only overflow is an error.
pub fn value(literal: &Literal, dtype: DType) -> Option<Scalar> {
    match (literal, dtype) {
        (_, DType::C64 | DType::C128) => {
            let part = value(literal, dtype.part()?)?;
            Some(Scalar::from_bits(dtype, part.bits()))
        }
        (Literal::Int(v), DType::F16) => half(*v as f64),
        (Literal::Float(digits), DType::F16) => digits.parse().ok().and_then(half),
        (Literal::Int(v), DType::F32) => Some(Scalar::f32(*v as f32)),
        (Literal::Int(v), DType::F64) => Some(Scalar::f64(*v as f64)),
        (Literal::Int(v), d) if d.is_int() => {
            let (min, max) = int_range(d);
            (min..=max).contains(v).then(|| Scalar::int(d, *v))
        }
        (Literal::Float(digits), DType::F32) => digits
            .parse()
            .ok()
            .filter(|v: &f32| v.is_finite())
            .map(Scalar::f32),
        (Literal::Float(digits), DType::F64) => digits
            .parse()
            .ok()
            .filter(|v: &f64| v.is_finite())
            .map(Scalar::f64),
        _ => None,
    }
}

/// The f16 nearest to a number; none if that is infinite.
fn half(value: f64) -> Option<Scalar> {
    let scalar = eval(Opcode::Cast, Some(DType::F16), &[Scalar::f64(value)])?;
    (scalar.bits() & 0x7c00 != 0x7c00).then_some(scalar)
}

/// Complains if the dtype does not have the value.
pub fn check(
    literal: &Literal,
    dtype: DType,
    source: &Source,
    span: Span,
) -> Result<(), Diagnostic> {
    if value(literal, dtype).is_some() {
        return Ok(());
    }
    let text = match literal {
        Literal::Int(i128::MAX) => "the literal".to_string(),
        Literal::Int(v) => format!("the literal {v}"),
        Literal::Float(_) => "the literal".to_string(),
    };
    let help = if dtype.is_int() {
        let (min, max) = int_range(dtype);
        match literal {
            Literal::Int(_) if dtype == DType::I32 => {
                format!("{dtype} holds {min} to {max}; for more, add a suffix such as `i64`")
            }
            _ => format!("{dtype} holds {min} to {max}"),
        }
    } else {
        format!("use a value that {dtype} can hold")
    };
    Err(Diagnostic::new(
        Code::LiteralRange,
        source,
        span,
        format!("{text} is out of range for {dtype}"),
    )
    .label(format!("does not fit {dtype}"))
    .help(help))
}
