//! Numbers as written, as values of a dtype.

use crate::diagnostic::{Code, Diagnostic};
use crate::hir::Literal;
use crate::source::{Source, Span};
use kjit_ir::eval::eval;
use kjit_ir::{DType, Opcode, Scalar};
use std::cmp::Ordering;

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
        (Literal::Float(digits), DType::F16) => half(round_to_odd(digits)?),
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

/// A number of f64 that rounds to the f16 which a decimal number itself rounds to: the nearest one, but where that
/// may be a tie of two f16 without being the number, its neighbour on the number's side.
fn round_to_odd(digits: &str) -> Option<f64> {
    let near: f64 = digits.parse().ok()?;
    let size = near.abs();
    // Ties of f16 lie in between, are even, and have at most 80 digits behind the point.
    if near.to_bits() & 1 == 1 || !(1e-8..=65536.0).contains(&size) {
        return Some(near);
    }
    let side = decimal(digits).cmp(&decimal(&format!("{near:.80}")));
    let magnitude = match side {
        Ordering::Less => size.next_down(),
        Ordering::Equal => size,
        Ordering::Greater => size.next_up(),
    };
    Some(magnitude.copysign(near))
}

/// The magnitude of a decimal number that is not zero: where its point stands from its first digit on, and its
/// digits. The order of pairs is that of magnitudes.
fn decimal(text: &str) -> (i64, String) {
    let text = text.trim_start_matches('-');
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let zeros = all.len() - digits.len();
    let point = whole.len() as i64 - zeros as i64 + exponent;
    (point, digits.trim_end_matches('0').to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(digits: &str) -> u128 {
        let literal = Literal::Float(digits.to_string());
        value(&literal, DType::F16).expect(digits).bits()
    }

    /// Ties of f16 and numbers so near to them that f64 cannot tell: one rounding, from the digits.
    #[test]
    fn literals_of_f16_round_once() {
        for (tie, even, odd) in [
            ("1.00048828125", 0x3c00, 0x3c01),
            ("1.00146484375", 0x3c02, 0x3c01),
            ("2049.0", 0x6800, 0x6801),
            ("2051.", 0x6802, 0x6801),
            ("2.98023223876953125e-8", 0, 1),
            ("8.94069671630859375E-8", 2, 1),
        ] {
            assert_eq!(bits(tie), even, "{tie}");
            let (mantissa, exponent) = tie.split_at(tie.find(['e', 'E']).unwrap_or(tie.len()));
            let above = format!("{mantissa}000000000000000000000001{exponent}");
            assert!(above.parse::<f64>() == tie.parse(), "f64 cannot tell");
            let up_is_odd = odd > even;
            assert_eq!(bits(&above), if up_is_odd { odd } else { even }, "{above}");
            // One less in the last of many digits.
            let shorter = mantissa.trim_end_matches(".0").trim_end_matches('.');
            let (front, last) = shorter.split_at(shorter.len() - 1);
            let less = last.parse::<u32>().unwrap() - 1;
            let point = if shorter.contains('.') { "" } else { "." };
            let below = format!("{front}{less}{point}99999999999999999999999999{exponent}");
            assert_eq!(bits(&below), if up_is_odd { even } else { odd }, "{below}");
            assert_eq!(bits(&format!("-{above}")), bits(&above) | 0x8000);
        }
        // As integers with an exponent, and with zeros in front.
        assert_eq!(bits("2049000000000000000000000001e-24"), 0x6801);
        assert_eq!(bits("0002048.99999999999999999999999"), 0x6800);
        assert_eq!(bits("0.1"), 0x2e66);
        assert_eq!(bits("1e-999999999999999999999"), 0);
        assert_eq!(bits("65519.99999999999999999999999"), 0x7bff);
        let text = |digits: &str| Literal::Float(digits.to_string());
        assert_eq!(value(&text("65520.0"), DType::F16), None);
        assert_eq!(value(&text("1e99"), DType::F16), None);
    }
}
