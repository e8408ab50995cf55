//! Complex numbers: what NumPy's loops compute, step by step, each step rounded to the dtype of the parts.

use super::{binary as part, cast as cast_part};
use crate::{DType, Opcode, Scalar};

/// Operations on one complex number.
pub(super) fn unary(op: Opcode, a: Scalar) -> Option<Scalar> {
    let [re, im] = a.parts()?;
    match op {
        Opcode::Re => Some(re),
        Opcode::Im => Some(im),
        Opcode::Neg => Scalar::complex(super::unary(op, re)?, super::unary(op, im)?),
        _ => None,
    }
}

/// Operations on two complex numbers of one dtype.
pub(super) fn binary(op: Opcode, x: Scalar, y: Scalar) -> Option<Scalar> {
    let ([a, b], [c, d]) = (x.parts()?, y.parts()?);
    let both = |p: Scalar, q: Scalar| Some(Scalar::bool(p.as_bool() && q.as_bool()));
    match op {
        Opcode::Add | Opcode::Sub => Scalar::complex(part(op, a, c)?, part(op, b, d)?),
        Opcode::Mul => {
            let re = part(Opcode::Sub, part(op, a, c)?, part(op, b, d)?)?;
            let im = part(Opcode::Add, part(op, a, d)?, part(op, b, c)?)?;
            Scalar::complex(re, im)
        }
        Opcode::Div => divide([a, b], [c, d]),
        Opcode::Eq => both(part(op, a, c)?, part(op, b, d)?),
        Opcode::Ne => binary(Opcode::Eq, x, y).map(|equal| Scalar::bool(!equal.as_bool())),
        Opcode::Lt | Opcode::Le | Opcode::Gt | Opcode::Ge => {
            let strict = match op {
                Opcode::Lt | Opcode::Le => Opcode::Lt,
                _ => Opcode::Gt,
            };
            let comparable = !super::is_nan(b) && !super::is_nan(d);
            let apart = comparable && part(strict, a, c)?.as_bool();
            let tied = part(Opcode::Eq, a, c)?.as_bool() && part(op, b, d)?.as_bool();
            Some(Scalar::bool(apart || tied))
        }
        Opcode::Min | Opcode::Max => {
            let keeps = match op {
                Opcode::Min => Opcode::Le,
                _ => Opcode::Ge,
            };
            let first = super::is_nan(x) || binary(keeps, x, y)?.as_bool();
            Some(if first { x } else { y })
        }
        _ => None,
    }
}

/// The quotient as NumPy computes it (R. Smith, Algorithm 116: Complex division, 1962), with its own rule
/// for division by zero.
fn divide([a, b]: [Scalar; 2], [c, d]: [Scalar; 2]) -> Option<Scalar> {
    let (add, sub, mul, div) = (Opcode::Add, Opcode::Sub, Opcode::Mul, Opcode::Div);
    let size = [super::unary(Opcode::Abs, c)?, super::unary(Opcode::Abs, d)?];
    let zero = Scalar::zero(c.dtype());
    let one = Scalar::one(c.dtype());
    if size == [zero; 2] {
        return Scalar::complex(part(div, a, size[0])?, part(div, b, size[0])?);
    }
    let (re, im, scale) = if part(Opcode::Ge, size[0], size[1])?.as_bool() {
        let ratio = part(div, d, c)?;
        let scale = part(div, one, part(add, c, part(mul, d, ratio)?)?)?;
        let re = part(add, a, part(mul, b, ratio)?)?;
        let im = part(sub, b, part(mul, a, ratio)?)?;
        (re, im, scale)
    } else {
        let ratio = part(div, c, d)?;
        let scale = part(div, one, part(add, d, part(mul, c, ratio)?)?)?;
        let re = part(add, part(mul, a, ratio)?, b)?;
        let im = part(sub, part(mul, b, ratio)?, a)?;
        (re, im, scale)
    };
    Scalar::complex(part(mul, re, scale)?, part(mul, im, scale)?)
}

/// Casts from or to a complex dtype, or both.
pub(super) fn cast(a: Scalar, to: DType) -> Option<Scalar> {
    match (a.parts(), to.part()) {
        (Some([re, im]), Some(part)) => Scalar::complex(cast_part(re, part)?, cast_part(im, part)?),
        (Some([re, im]), None) if to == DType::Bool => {
            let nonzero = |x: Scalar| cast_part(x, to).is_some_and(|b| b.as_bool());
            Some(Scalar::bool(nonzero(re) || nonzero(im)))
        }
        (Some([re, _]), None) => cast_part(re, to),
        (None, Some(part)) => Scalar::complex(cast_part(a, part)?, Scalar::zero(part)),
        (None, None) => cast_part(a, to),
    }
}
