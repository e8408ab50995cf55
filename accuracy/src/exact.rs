//! Values in 200 bits by MPFR, and errors measured with them.

use rug::Float;
use rug::float::Constant;
use rug::ops::Pow;

/// Bits of a reference; more where terms cancel.
const BITS: u32 = 200;
const MORE: u32 = 500;

/// The function's value, if it is a function we know.
pub fn exact(name: &str, x: f64, y: f64, near: f64) -> Option<Float> {
    let a = Float::with_val(BITS, x);
    let b = Float::with_val(BITS, y);
    let wide = |v: f64| Float::with_val(MORE, v);
    let pi = || Float::with_val(MORE, Constant::Pi);
    Some(match name {
        "exp" => a.exp(),
        "exp2" => a.exp2(),
        "exp10" => a.exp10(),
        "expm1" => a.exp_m1(),
        "log" => a.ln(),
        "log2" => a.log2(),
        "log10" => a.log10(),
        "log1p" => a.ln_1p(),
        "cbrt" => a.cbrt(),
        "rsqrt" => a.recip_sqrt(),
        "sin" => a.sin(),
        "cos" => a.cos(),
        "tan" => a.tan(),
        "sinpi" => a.sin_pi(),
        "cospi" => a.cos_pi(),
        "tanpi" => a.tan_pi(),
        "asin" => a.asin(),
        "acos" => a.acos(),
        "atan" => a.atan(),
        "sinh" => a.sinh(),
        "cosh" => a.cosh(),
        "tanh" => a.tanh(),
        "asinh" => a.asinh(),
        "acosh" => a.acosh(),
        "atanh" => a.atanh(),
        "erf" => a.erf(),
        "erfc" => a.erfc(),
        "gamma" => a.gamma(),
        "lgamma" => a.ln_abs_gamma().0,
        "digamma" => a.digamma(),
        "pow" => a.pow(&b),
        "hypot" => a.hypot(&b),
        "atan2" => a.atan2(&b),
        "ndtr" => ndtr(wide(x)),
        "erfinv" => inverse(
            wide(x),
            wide(near),
            |v| v.erf(),
            |v| {
                // 2 / sqrt(pi) exp(-v^2)
                2 * Float::exp(-Float::with_val(MORE, v * v)) / pi().sqrt()
            },
        ),
        "ndtri" => inverse(wide(x), wide(near), ndtr, |v| {
            Float::exp(-Float::with_val(MORE, v * v) / 2u32) / Float::sqrt(2 * pi())
        }),
        "sinc" if x == 0.0 => wide(1.0),
        "sinc" => a.sin_pi() / (pi() * x),
        "degrees" => 180 * wide(x) / pi(),
        "radians" => pi() * x / 180,
        "logaddexp" => Float::exp(-(wide(x) - y).abs()).ln_1p() + x.max(y),
        "logaddexp2" => {
            let less = Float::exp2(-(wide(x) - y).abs()).ln_1p();
            less / Float::with_val(MORE, Constant::Log2) + x.max(y)
        }
        _ => return None,
    })
}

/// The size of the largest term of a function that is judged as a sum.
pub fn largest_term(name: &str, x: f64, y: f64) -> Float {
    let one = Float::with_val(BITS, 1);
    match name {
        "lgamma" => Float::with_val(BITS, -x).ln_abs_gamma().0.abs().max(&one),
        "digamma" => (one.clone() - x).digamma().abs().max(&one),
        _ => Float::with_val(BITS, x.max(y)).abs(),
    }
}

fn ndtr(x: Float) -> Float {
    let half = Float::with_val(MORE, 0.5).sqrt();
    (-x * half).erfc() / 2u32
}

/// Newton's method from a value that is nearly right.
fn inverse(
    value: Float,
    near: Float,
    f: impl Fn(Float) -> Float,
    slope: impl Fn(&Float) -> Float,
) -> Float {
    let mut x = near;
    for _ in 0..6 {
        let rest = f(x.clone()) - &value;
        x -= rest / slope(&x);
    }
    x
}

/// How far a result is from the value, in ulp of f64 or f32: the distance of the two numbers around the value, or around `term`
/// where that is larger.
pub fn error(got: f64, want: &Float, term: Option<&Float>, double: bool) -> f64 {
    let (least, most, digits, top) = match double {
        true => (-1074, 971, 53, 1024),
        false => (-149, 104, 24, 128),
    };
    let Some(exponent) = want.get_exp() else {
        // Zero, infinity or NaN.
        let same = got == want.to_f64() || (got.is_nan() && want.is_nan());
        return if same { 0.0 } else { f64::INFINITY };
    };
    if got.is_nan() {
        return f64::INFINITY;
    }
    let near = match got.is_infinite() {
        true if exponent > top && got.is_sign_negative() == want.is_sign_negative() => return 0.0,
        true => Float::with_val(MORE, 2)
            .pow(top)
            .copysign(&Float::with_val(2, got)),
        false => Float::with_val(MORE, got),
    };
    let term = term.and_then(Float::get_exp).unwrap_or(exponent);
    let ulp = (exponent.max(term) - digits).clamp(least, most);
    ((near - want).abs() * Float::with_val(2, 2).pow(-ulp)).to_f64()
}
