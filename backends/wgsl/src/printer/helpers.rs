//! Helper functions of the text: what takes WGSL more than an expression.

use super::{Printer, names};
use crate::shader::ParamsLayout;
use kjit_ir::target::BackendError;
use kjit_ir::{DType, Scalar};
use std::fmt;

/// A helper function; its `Display` is its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Helper {
    /// An `f32` that optimisers know nothing of.
    Barrier32,
    /// An `f64` that optimisers know nothing of.
    Barrier64,
    /// A `bool` that optimisers know nothing of.
    BarrierBool,
    /// As the barriers above, by another zero: two by the same one would cancel out.
    Operand(DType),
    /// Total quotient of a register dtype.
    Div(DType),
    /// Total remainder of a register dtype.
    Rem(DType),
    /// High half of the product of a register dtype.
    MulHi(DType),
    /// `min`, `max`, `fmin` or `fmax` of a float dtype.
    Pick(&'static str, DType),
    /// Saturating conversion.
    FloatToInt(DType, DType),
    /// Correctly rounded quotient by way of `f64`.
    DivF32,
    /// Multiply-add with one rounding by way of `f64` and rounding to odd.
    FmaF32,
    /// Multiply-add with one rounding in integers.
    FmaF64,
}

impl fmt::Display for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Helper::Barrier32 => f.write_str("opaque_f32"),
            Helper::Barrier64 => f.write_str("opaque_f64"),
            Helper::BarrierBool => f.write_str("opaque_bool"),
            Helper::Operand(dtype) => write!(f, "operand_{dtype}"),
            Helper::Div(dtype) => write!(f, "div_{dtype}"),
            Helper::Rem(dtype) => write!(f, "rem_{dtype}"),
            Helper::MulHi(dtype) => write!(f, "mulhi_{dtype}"),
            Helper::Pick(name, dtype) => write!(f, "{name}_{dtype}"),
            Helper::FloatToInt(from, to) => write!(f, "{from}_to_{to}"),
            Helper::DivF32 => f.write_str("div_f32"),
            Helper::FmaF32 => f.write_str("fma_f32"),
            Helper::FmaF64 => f.write_str("fma_f64"),
        }
    }
}

impl Helper {
    /// Notes (and demands of the device) the dtypes that the helper computes with.
    pub(super) fn require(self, printer: &Printer<'_>) -> Result<(), BackendError> {
        let dtypes: &[DType] = match self {
            Helper::Operand(DType::F64)
            | Helper::Barrier64
            | Helper::FmaF64
            | Helper::Pick(_, DType::F64) => &[DType::F64, DType::U64],
            Helper::DivF32 => &[DType::F64],
            Helper::FmaF32 => {
                if !printer.options.features.f64 || !printer.options.features.i64 {
                    return Err(BackendError::Unsupported(format!(
                        "kernel {} has a multiply-add with one rounding, which takes f64 and 64-bit integers that the device does not have",
                        printer.kernel.name
                    )));
                }
                &[DType::F64, DType::U64]
            }
            Helper::Div(dtype) | Helper::Rem(dtype) | Helper::MulHi(dtype) => &[dtype],
            Helper::FloatToInt(from, to) => &[from, to],
            Helper::Barrier32 | Helper::BarrierBool | Helper::Operand(_) | Helper::Pick(..) => &[],
        };
        dtypes.iter().try_for_each(|d| printer.require(*d))
    }
}

impl Printer<'_> {
    /// Text of every helper asked for, and of those that they ask for.
    pub(super) fn helper_text(&self) -> Result<String, BackendError> {
        let mut texts = std::collections::BTreeMap::new();
        loop {
            let missing: Vec<Helper> = self
                .helpers
                .borrow()
                .iter()
                .copied()
                .filter(|h| !texts.contains_key(h))
                .collect();
            if missing.is_empty() {
                return Ok(texts.into_values().collect::<Vec<String>>().join("\n"));
            }
            for helper in missing {
                texts.insert(helper, self.text_of(helper)?);
            }
        }
    }

    fn text_of(&self, helper: Helper) -> Result<String, BackendError> {
        Ok(match helper {
            Helper::Barrier32 => format!(
                "fn opaque_f32(x: f32) -> f32 {{\n    return bitcast<f32>(bitcast<u32>(x) ^ {});\n}}\n",
                self.zero()
            ),
            Helper::Barrier64 => format!(
                "fn opaque_f64(x: f64) -> f64 {{\n    return bitcast<f64>(bitcast<u64>(x) ^ {});\n}}\n",
                self.zero_wide()?
            ),
            Helper::BarrierBool => format!(
                "fn opaque_bool(x: bool) -> bool {{\n    return (select(0u, 1u, x) ^ {}) != 0u;\n}}\n",
                self.zero()
            ),
            Helper::Operand(DType::F64) => format!(
                "fn operand_f64(x: f64) -> f64 {{\n    return bitcast<f64>(bitcast<u64>(x) ^ ((u64(params[{}]) << 32u) | u64(params[{}])));\n}}\n",
                ParamsLayout::ZERO,
                ParamsLayout::ZERO + 1
            ),
            Helper::Operand(_) => format!(
                "fn operand_f32(x: f32) -> f32 {{\n    return bitcast<f32>(bitcast<u32>(x) ^ params[{}]);\n}}\n",
                ParamsLayout::ZERO + 1
            ),
            Helper::Div(dtype) | Helper::Rem(dtype) => divide(helper, dtype),
            Helper::MulHi(dtype) => self.mulhi(dtype)?,
            Helper::Pick(name, dtype) => pick(name, dtype),
            Helper::FloatToInt(from, to) => float_to_int(helper, from, to),
            Helper::DivF32 => {
                let quotient = self.arithmetic("/", DType::F64, "f64(a)", "f64(b)");
                // The quotient's 53 bits are more than twice 24 and 2: rounding twice is harmless.
                let quotient = self.barrier(DType::F32, &format!("f32({})", quotient?))?;
                format!("fn div_f32(a: f32, b: f32) -> f32 {{\n    return {quotient};\n}}\n")
            }
            Helper::FmaF32 => self.fma_f32()?,
            Helper::FmaF64 => {
                self.helper(Helper::MulHi(DType::U64))?;
                FMA_F64
                    .replace("PRODUCT", &self.arithmetic("*", DType::F64, "a", "b")?)
                    .replace("SUM", &self.arithmetic("+", DType::F64, "product", "c")?)
            }
        })
    }

    fn mulhi(&self, dtype: DType) -> Result<String, BackendError> {
        let native = self.options.features.i64;
        Ok(match dtype {
            DType::U32 if native => {
                self.require(DType::U64)?;
                "fn mulhi_u32(a: u32, b: u32) -> u32 {\n    return u32((u64(a) * u64(b)) >> 32u);\n}\n"
                    .to_string()
            }
            DType::U32 | DType::U64 => {
                let half = dtype.bits() / 2;
                let mask = match dtype {
                    DType::U32 => "0xffffu",
                    _ => "0xfffffffflu",
                };
                format!(
                    "fn mulhi_{dtype}(a: {dtype}, b: {dtype}) -> {dtype} {{
    let al = a & {mask};
    let ah = a >> {half}u;
    let bl = b & {mask};
    let bh = b >> {half}u;
    let lh = al * bh;
    let hl = ah * bl;
    let middle = ((al * bl) >> {half}u) + (lh & {mask}) + (hl & {mask});
    return ah * bh + (lh >> {half}u) + (hl >> {half}u) + (middle >> {half}u);
}}
"
                )
            }
            _ => {
                let unsigned = dtype.unsigned_of_width();
                let high = self.helper(Helper::MulHi(unsigned))?;
                let zero = super::ops::zero(dtype);
                format!(
                    "fn mulhi_{dtype}(a: {dtype}, b: {dtype}) -> {dtype} {{
    let high = bitcast<{dtype}>({high}(bitcast<{unsigned}>(a), bitcast<{unsigned}>(b)));
    return high - select({zero}, b, a < {zero}) - select({zero}, a, b < {zero});
}}
"
                )
            }
        })
    }

    /// The product of two f32 is exact in f64. The sum is rounded to odd there: then the last rounding,
    /// to f32, sees on which side of a tie the exact sum lies.
    fn fma_f32(&self) -> Result<String, BackendError> {
        let f64_ = |symbol: &str, a: &str, b: &str| self.arithmetic(symbol, DType::F64, a, b);
        Ok(format!(
            "fn fma_f32(a: f32, b: f32, c: f32) -> f32 {{
    let product = {};
    let addend = f64(c);
    let sum = {};
    let part = {};
    let rest = {};
    let lost_product = {};
    let lost_addend = {};
    let lost = {};
    let inexact = (lost > 0.0lf) | (lost < 0.0lf);
    let bits = bitcast<u64>(sum);
    let odd = select(bits - 1lu, bits + 1lu, (lost > 0.0lf) == (sum > 0.0lf));
    return {};
}}
",
            f64_("*", "f64(a)", "f64(b)")?,
            f64_("+", "product", "addend")?,
            f64_("-", "sum", "product")?,
            f64_("-", "sum", "part")?,
            f64_("-", "product", "rest")?,
            f64_("-", "addend", "part")?,
            f64_("+", "lost_product", "lost_addend")?,
            self.barrier(
                DType::F32,
                "f32(bitcast<f64>(select(bits, odd, inexact & ((bits & 1lu) == 0lu))))"
            )?,
        ))
    }
}

/// Division that cares for 0 and -1 itself.
fn divide(helper: Helper, dtype: DType) -> String {
    let (zero, one) = (
        names::constant(Scalar::zero(dtype)),
        names::constant(Scalar::one(dtype)),
    );
    let symbol = match helper {
        Helper::Rem(_) => "%",
        _ => "/",
    };
    let bad = if dtype.is_signed_int() {
        let minus_one = names::constant(Scalar::int(dtype, -1));
        let least = names::constant(Scalar::int(
            dtype,
            i128::from(i64::MIN) >> (64 - dtype.bits()),
        ));
        format!("(b == {zero}) | ((b == {minus_one}) & (a == {least}))")
    } else {
        format!("b == {zero}")
    };
    format!(
        "fn {helper}(a: {dtype}, b: {dtype}) -> {dtype} {{
    let divisor = select(b, {one}, {bad});
    return select(a {symbol} divisor, {zero}, b == {zero});
}}
"
    )
}

/// Minimum and maximum by the order of the bits, in which -0 comes before +0.
fn pick(name: &str, dtype: DType) -> String {
    let (signed, unsigned, shift, magnitude, infinity) = match dtype {
        DType::F32 => ("i32", "u32", 31, "0x7fffffffu", "0x7f800000u"),
        _ => (
            "i64",
            "u64",
            63,
            "0x7ffffffffffffffflu",
            "0x7ff0000000000000lu",
        ),
    };
    let before = if name.ends_with("min") { "<=" } else { ">=" };
    // Which of the two a NaN makes the result.
    let (nan_a, nan_b) = if name.starts_with('f') {
        ("b", "a")
    } else {
        ("a", "b")
    };
    format!(
        "fn {name}_{dtype}(a: {dtype}, b: {dtype}) -> {dtype} {{
    let x = bitcast<{signed}>(a);
    let y = bitcast<{signed}>(b);
    let p = x ^ bitcast<{signed}>(bitcast<{unsigned}>(x >> {shift}u) >> 1u);
    let q = y ^ bitcast<{signed}>(bitcast<{unsigned}>(y >> {shift}u) >> 1u);
    let number = select(b, a, p {before} q);
    let a_nan = (bitcast<{unsigned}>(a) & {magnitude}) > {infinity};
    let b_nan = (bitcast<{unsigned}>(b) & {magnitude}) > {infinity};
    return select(select(number, {nan_b}, b_nan), {nan_a}, a_nan);
}}
"
    )
}

/// Conversion that truncates, saturates and takes NaN to 0.
fn float_to_int(helper: Helper, from: DType, to: DType) -> String {
    let register = names::register(to);
    let bits = to.bits() as i32;
    let (low, high, least, greatest) = if to.is_signed_int() {
        let half = 1i128 << (bits - 1);
        (-(half as f64) - 1.0, half as f64, -half, half - 1)
    } else {
        let whole = 1i128 << bits;
        (-1.0, whole as f64, 0, whole - 1)
    };
    // Where `least - 1` rounds to `least` there are no numbers in between, and `least` itself
    // gives `least` from the other branch.
    let float = |value: f64| match from {
        DType::F32 => names::constant(Scalar::f32(value as f32)),
        _ => names::constant(Scalar::f64(value)),
    };
    let int = |value: i128| names::constant(Scalar::int(names::register_dtype(to), value));
    let (low, high) = (float(low), float(high));
    let (least, greatest, zero) = (int(least), int(greatest), int(0));
    format!(
        "fn {helper}(x: {from}) -> {register} {{
    let inside = (x > {low}) & (x < {high});
    let y = {register}(select({from}(0), x, inside));
    let outside = select(select({zero}, {greatest}, x >= {high}), {least}, x <= {low});
    return select(outside, y, inside);
}}
"
    )
}

/// Multiply-add in 128-bit integers: both terms aligned, summed, rounded once.
const FMA_F64: &str = "struct Wide {
    hi: u64,
    lo: u64,
}

struct Unpacked {
    significand: u64,
    exponent: i32,
}

fn leading_zeros_u64(x: u64) -> u32 {
    let hi = u32(x >> 32u);
    let lo = u32(x & 0xfffffffflu);
    return select(countLeadingZeros(hi), 32u + countLeadingZeros(lo), hi == 0u);
}

// Shifted right; bits shifted out leave their trace in the last one.
fn shift_right_sticky(x: Wide, count: u32) -> Wide {
    if count == 0u {
        return x;
    }
    if count < 64u {
        let lost = select(0lu, 1lu, (x.lo << (64u - count)) != 0lu);
        return Wide(x.hi >> count, (x.hi << (64u - count)) | (x.lo >> count) | lost);
    }
    if count < 128u {
        let more = count - 64u;
        let lost = x.lo | select(0lu, x.hi << ((64u - more) & 63u), more > 0u);
        return Wide(0lu, (x.hi >> more) | select(0lu, 1lu, lost != 0lu));
    }
    return Wide(0lu, select(0lu, 1lu, (x.hi | x.lo) != 0lu));
}

// A finite number that is not zero: significand (its 53rd bit set) times 2^(exponent - 1075).
fn unpack_f64(bits: u64) -> Unpacked {
    let fraction = bits & 0xffffffffffffflu;
    let biased = i32(u32(bits >> 52u) & 0x7ffu);
    if biased == 0i {
        let shift = leading_zeros_u64(fraction) - 11u;
        return Unpacked(fraction << shift, 1i - i32(shift));
    }
    return Unpacked(fraction | 0x10000000000000lu, biased);
}

fn fma_f64(a: f64, b: f64, c: f64) -> f64 {
    let x = bitcast<u64>(a);
    let y = bitcast<u64>(b);
    let z = bitcast<u64>(c);
    let magnitude = 0x7ffffffffffffffflu;
    let infinity = 0x7ff0000000000000lu;
    let product = PRODUCT;
    if (x & magnitude) >= infinity || (y & magnitude) >= infinity || (x & magnitude) == 0lu || (y & magnitude) == 0lu {
        return SUM;
    }
    if (z & magnitude) >= infinity {
        return c;
    }
    if (z & magnitude) == 0lu {
        return product;
    }
    let ux = unpack_f64(x);
    let uy = unpack_f64(y);
    let uz = unpack_f64(z);
    // Both terms with their leading bit near bit 124.
    let hi = mulhi_u64(ux.significand, uy.significand);
    let lo = ux.significand * uy.significand;
    var p = Wide((hi << 20u) | (lo >> 44u), lo << 20u);
    var q = Wide(uz.significand << 8u, 0lu);
    let p_exponent = ux.exponent + uy.exponent - 2170i;
    let q_exponent = uz.exponent - 1147i;
    var exponent = p_exponent;
    if p_exponent >= q_exponent {
        q = shift_right_sticky(q, u32(p_exponent - q_exponent));
    } else {
        exponent = q_exponent;
        p = shift_right_sticky(p, u32(q_exponent - p_exponent));
    }
    var sign = (x ^ y) & 0x8000000000000000lu;
    let z_sign = z & 0x8000000000000000lu;
    var s = p;
    if sign == z_sign {
        s.lo = p.lo + q.lo;
        s.hi = p.hi + q.hi + select(0lu, 1lu, s.lo < p.lo);
    } else if p.hi > q.hi || (p.hi == q.hi && p.lo >= q.lo) {
        s.lo = p.lo - q.lo;
        s.hi = p.hi - q.hi - select(0lu, 1lu, p.lo < q.lo);
    } else {
        s.lo = q.lo - p.lo;
        s.hi = q.hi - p.hi - select(0lu, 1lu, q.lo < p.lo);
        sign = z_sign;
    }
    if (s.hi | s.lo) == 0lu {
        return bitcast<f64>(s.lo);
    }
    let top = 127i - i32(select(leading_zeros_u64(s.hi), 64u + leading_zeros_u64(s.lo), s.hi == 0lu));
    let scale = top + exponent;
    if scale > 1023i {
        return bitcast<f64>(sign | infinity);
    }
    let subnormal = scale < -1022i;
    let drop = top - 52i + select(0i, -1022i - scale, subnormal);
    // The significand, two bits more, and the trace of the rest.
    var kept = 0lu;
    if drop >= 2i {
        kept = shift_right_sticky(s, u32(drop - 2i)).lo;
    } else {
        kept = s.lo << u32(2i - drop);
    }
    let last = (kept >> 2u) & 1lu;
    let rest = kept & 3lu;
    let rounded = (kept >> 2u) + select(0lu, 1lu, rest == 3lu || (rest == 2lu && last == 1lu));
    let biased = select(u64(u32(scale + 1022i)) << 52u, 0lu, subnormal);
    return bitcast<f64>(sign | (biased + rounded));
}
";
