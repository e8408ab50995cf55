//! The table of built-in functions: each is declared once, with its type and what it becomes.

use crate::library::library;
use kjit_ir::{Class, DType, Loc, Opcode, Signature, TypeSpec};
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// A built-in function.
#[derive(PartialEq, Eq, Debug)]
pub struct Builtin {
    /// Name.
    pub name: &'static str,
    /// Class of its type parameter `T`.
    pub class: Class,
    /// Parameters.
    pub params: &'static [(&'static str, Ty)],
    /// Result.
    pub result: Ty,
    /// What a call becomes.
    pub code: Code,
    /// One-line documentation.
    pub doc: &'static str,
}

/// Types in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ty {
    /// The type parameter.
    T,
    /// The unsigned integer as wide as the float `T`, or the float as wide as the integer `T`.
    BitsOfT,
    /// The dtype of the parts of a complex `T`; of a real `T`, itself.
    PartOfT,
    /// The complex dtype with parts of the float `T`: c128 of f64, c64 of f32 and f16.
    ComplexOfT,
    /// A fixed dtype.
    D(DType),
    /// Two results, of these types.
    Pair(&'static Ty, &'static Ty),
}

impl Ty {
    /// The results it stands for, each of one dtype.
    pub fn parts(self) -> Vec<Ty> {
        match self {
            Pair(first, second) => vec![*first, *second],
            one => vec![one],
        }
    }
}

/// What a call becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// One instruction; of dtypes that it does not take, a function of the library (`sqrt_complex`).
    Op(Opcode),
    /// A `bitcast`.
    Bitcast,
    /// What this does on complex numbers, by way of their parts; on real ones what the opcode does, if any.
    Parts(Parts, Option<Opcode>),
    /// A function of the library: one of integers (`pow_int`), of complex numbers (`exp_complex`) or of a dtype
    /// (`exp_f32`, `exp_f64`), or generic of this name. Those of f16 are those of f32, rounded, but for `.._f16`.
    Library,
}

/// What becomes of a complex number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parts {
    /// Its distance from zero.
    Abs,
    /// Its angle.
    Arg,
    /// The imaginary part negated.
    Conj,
}

use self::Ty::{BitsOfT, ComplexOfT, D, Pair, PartOfT, T};
use Class::{Any, Complex, Float, Inexact, Int, Number, Real};
use Code::{Bitcast, Library, Op};
use DType::{Bool, F16, F32, F64, I32, I64, U16, U32, U64};

const X: &[(&str, Ty)] = &[("x", T)];
const Z: &[(&str, Ty)] = &[("z", T)];
const AB: &[(&str, Ty)] = &[("a", T), ("b", T)];
const DRAW: &[(&str, Ty)] = &[("index", D(I64)), ("seed", D(U64))];

macro_rules! builtins {
    ($($name:literal $class:ident $params:expr => $result:expr, $code:expr, $doc:literal;)*) => {
        /// The table.
        pub static BUILTINS: &[Builtin] = &[$(Builtin {
            name: $name, class: $class, params: $params, result: $result, code: $code, doc: $doc,
        }),*];
    };
}

builtins! {
    "abs"      Number X => PartOfT, Code::Parts(Parts::Abs, Some(Opcode::Abs)), "absolute value; of a complex number a real one";
    "+"        Number AB => T, Op(Opcode::Add), "sum; a name for `sum` and `cumsum`, which source text cannot write";
    "sqrt"     Inexact X => T, Op(Opcode::Sqrt), "square root, correctly rounded";
    "floor"    Float X => T, Op(Opcode::Floor), "largest integral value not above";
    "ceil"     Float X => T, Op(Opcode::Ceil), "smallest integral value not below";
    "trunc"    Float X => T, Op(Opcode::Trunc), "integral value towards zero";
    "round"    Float X => T, Op(Opcode::Round), "nearest integral value, ties to even";
    "min"      Number AB => T, Op(Opcode::Min), "smaller; NaN if either is NaN";
    "max"      Number AB => T, Op(Opcode::Max), "larger; NaN if either is NaN";
    "rint"     Float X => T, Op(Opcode::Round), "nearest integral value, ties to even: another name of `round`";
    "fabs"     Float X => T, Op(Opcode::Abs), "absolute value";
    "fmin"     Float AB => T, Op(Opcode::FMin), "smaller; a NaN loses against a number";
    "fmax"     Float AB => T, Op(Opcode::FMax), "larger; a NaN loses against a number";
    "fma"      Float &[("a", T), ("b", T), ("c", T)] => T, Op(Opcode::Fma), "a * b + c with one rounding";
    "mulhi"    Int AB => T, Op(Opcode::MulHi), "high half of the double-width product";
    "select"   Any &[("condition", D(Bool)), ("a", T), ("b", T)] => T, Op(Opcode::Select), "a where the condition is true, else b; both are evaluated";
    "rare"     Any &[("condition", D(Bool))] => D(Bool), Op(Opcode::Rare), "the condition, which is seldom true: `if rare(c)` jumps, however small its block";
    "complex"  Float &[("re", T), ("im", T)] => ComplexOfT, Op(Opcode::Complex), "the complex number with these parts";
    "re"       Complex Z => PartOfT, Op(Opcode::Re), "real part";
    "im"       Complex Z => PartOfT, Op(Opcode::Im), "imaginary part";
    "conj"     Number Z => T, Code::Parts(Parts::Conj, None), "complex conjugate; a real number is its own";
    "arg"      Complex Z => PartOfT, Code::Parts(Parts::Arg, None), "angle of a complex number";
    "to_bits"  Float X => BitsOfT, Bitcast, "the bits of a float as an unsigned integer";
    "from_bits" Int X => BitsOfT, Bitcast, "the float with these bits (u16, u32 or u64)";

    "clamp"    Number &[("x", T), ("lo", T), ("hi", T)] => T, Library, "x limited to lo..hi";
    "sign"     Number X => T, Library, "-1, 0 or 1 with the sign of x, z / abs(z) of a complex number; NaN stays";
    "copysign" Float &[("x", T), ("y", T)] => T, Library, "x with the sign bit of y";
    "signbit"  Float X => D(Bool), Library, "is the sign bit set?";
    "isnan"    Inexact X => D(Bool), Library, "is it NaN?";
    "isinf"    Inexact X => D(Bool), Library, "is it infinite?";
    "isfinite" Inexact X => D(Bool), Library, "is it neither NaN nor infinite?";
    "fmod"     Float AB => T, Library, "remainder with the dividend's sign, exact: what `%` means on floats";
    "isposinf" Float X => D(Bool), Library, "is it +inf?";
    "isneginf" Float X => D(Bool), Library, "is it -inf?";
    "nan_to_num" Float X => T, Library, "x, with 0 for NaN and the largest numbers for infinities";
    "remainder" Real AB => T, Library, "remainder with the divisor's sign, of division rounded down";
    "floor_divide" Real AB => T, Library, "quotient rounded down";
    "divmod"   Real AB => Pair(&T, &T), Library, "quotient rounded down, and remainder with the divisor's sign";
    "ieee_remainder" Float AB => T, Library, "a - n * b with the integer n nearest to a / b, exact";
    "modf"     Float X => Pair(&T, &T), Library, "fraction and integral part, both with the sign of x";
    "frexp"    Float X => Pair(&T, &D(I32)), Library, "m and e with x = m * 2^e and 1/2 <= |m| < 1";
    "ldexp"    Float &[("x", T), ("n", D(I32))] => T, Library, "x * 2^n with one rounding";
    "nextafter" Float &[("x", T), ("y", T)] => T, Library, "the number next to x towards y";
    "spacing"  Float X => T, Library, "distance to the next number away from zero, with the sign of x";
    "square"   Number X => T, Library, "x * x";
    "reciprocal" Number X => T, Library, "1 / x";
    "heaviside" Float &[("x", T), ("middle", T)] => T, Library, "0 below zero, 1 above, `middle` at zero";
    "lerp"     Float &[("a", T), ("b", T), ("t", T)] => T, Library, "a + t * (b - a), exact at t = 0 and t = 1";
    "step"     Float &[("edge", T), ("x", T)] => T, Library, "0 below the edge, else 1";
    "smoothstep" Float &[("lo", T), ("hi", T), ("x", T)] => T, Library, "0 below lo, 1 above hi, and a smooth cubic between";
    "degrees"  Float X => T, Library, "radians to degrees";
    "radians"  Float X => T, Library, "degrees to radians";
    "rad2deg"  Float X => T, Library, "radians to degrees: another name of `degrees`";
    "deg2rad"  Float X => T, Library, "degrees to radians: another name of `radians`";
    "sinc"     Float X => T, Library, "sin(pi x) / (pi x), 1 at zero";
    "logaddexp" Float AB => T, Library, "log(exp(a) + exp(b)) without overflow";
    "logaddexp2" Float AB => T, Library, "log2(exp2(a) + exp2(b)) without overflow";
    "gcd"      Int AB => T, Library, "greatest common divisor, not negative";
    "lcm"      Int AB => T, Library, "least common multiple, not negative unless it wraps";
    "popcount" Int X => T, Library, "how many bits are set";
    "clz"      Int X => T, Library, "how many bits above the highest one that is set";
    "ctz"      Int X => T, Library, "how many bits below the lowest one that is set";
    "rotl"     Int &[("x", T), ("n", T)] => T, Library, "the bits of x rotated left by n";
    "rotr"     Int &[("x", T), ("n", T)] => T, Library, "the bits of x rotated right by n";
    "isqrt"    Int X => T, Library, "the largest integer whose square is not above x; 0 below 0";
    "exp"      Inexact X => T, Library, "e to the x";
    "exp2"     Inexact X => T, Library, "2 to the x";
    "exp10"    Float X => T, Library, "10 to the x";
    "expm1"    Inexact X => T, Library, "e to the x, less 1";
    "log"      Inexact X => T, Library, "natural logarithm";
    "log2"     Inexact X => T, Library, "logarithm to base 2";
    "log10"    Inexact X => T, Library, "logarithm to base 10";
    "log1p"    Inexact X => T, Library, "natural logarithm of 1 + x";
    "pow"      Number &[("x", T), ("y", T)] => T, Library, "x to the y";
    "cbrt"     Float X => T, Library, "cube root";
    "rsqrt"    Float X => T, Library, "1 / sqrt(x)";
    "sin"      Inexact X => T, Library, "sine";
    "cos"      Inexact X => T, Library, "cosine";
    "tan"      Inexact X => T, Library, "tangent";
    "sinpi"    Float X => T, Library, "sine of pi x";
    "cospi"    Float X => T, Library, "cosine of pi x";
    "tanpi"    Float X => T, Library, "tangent of pi x";
    "asin"     Inexact X => T, Library, "arc sine";
    "acos"     Inexact X => T, Library, "arc cosine";
    "atan"     Inexact X => T, Library, "arc tangent";
    "atan2"    Float &[("y", T), ("x", T)] => T, Library, "angle of the point (x, y)";
    "sinh"     Inexact X => T, Library, "hyperbolic sine";
    "cosh"     Inexact X => T, Library, "hyperbolic cosine";
    "tanh"     Inexact X => T, Library, "hyperbolic tangent";
    "asinh"    Inexact X => T, Library, "inverse hyperbolic sine";
    "acosh"    Inexact X => T, Library, "inverse hyperbolic cosine";
    "atanh"    Inexact X => T, Library, "inverse hyperbolic tangent";
    "erf"      Float X => T, Library, "error function";
    "erfc"     Float X => T, Library, "1 - erf(x), with the digits of small results";
    "ndtr"     Float X => T, Library, "standard normal distribution: the probability of at most x";
    "erfinv"   Float X => T, Library, "the number whose erf is x";
    "ndtri"    Float &[("p", T)] => T, Library, "the number whose ndtr is p";
    "gamma"    Float X => T, Library, "gamma function; NaN at negative integers";
    "lgamma"   Float X => T, Library, "logarithm of the size of gamma(x)";
    "digamma"  Float X => T, Library, "derivative of the logarithm of gamma(x)";
    "hypot"    Float AB => T, Library, "sqrt(a * a + b * b) without overflow";
    "powi"     Float &[("x", T), ("n", D(I32))] => T, Library, "x to an integer power, by repeated squaring";

    "philox_uniform_f32" Any DRAW => D(F32), Library, "uniform number in [0, 1) of this index and seed";
    "philox_uniform_f64" Any DRAW => D(F64), Library, "uniform number in [0, 1) of this index and seed";
    "philox_normal_f32"  Any DRAW => D(F32), Library, "standard normal number of this index and seed";
    "philox_normal_f64"  Any DRAW => D(F64), Library, "standard normal number of this index and seed";
    "linspace_f32" Any &[("index", D(I64)), ("start", D(F32)), ("stop", D(F32)), ("n", D(I64))] => D(F32), Library, "element of n evenly spaced values";
    "linspace_f64" Any &[("index", D(I64)), ("start", D(F64)), ("stop", D(F64)), ("n", D(I64))] => D(F64), Library, "element of n evenly spaced values";
}

impl Builtin {
    /// Has it the type parameter `T`?
    pub fn is_generic(&self) -> bool {
        self.params.iter().any(|(_, ty)| *ty == T)
    }

    /// Its type as a call signature; `None` when that cannot say it.
    pub fn signature(&self) -> Option<Signature> {
        let spec = |ty: Ty| match ty {
            T => Some(TypeSpec::Generic(0)),
            PartOfT => Some(TypeSpec::Part(0)),
            ComplexOfT => Some(TypeSpec::ComplexOf(0)),
            D(dtype) => Some(TypeSpec::DType(dtype)),
            BitsOfT | Pair(..) => None,
        };
        let inputs: Option<Vec<(String, TypeSpec)>> = self
            .params
            .iter()
            .map(|(name, ty)| Some((name.to_string(), spec(*ty)?)))
            .collect();
        Some(Signature {
            name: self.name.to_string(),
            generics: if self.is_generic() {
                vec![("T".to_string(), self.class)]
            } else {
                Vec::new()
            },
            inputs: inputs?,
            outputs: match self.result.parts()[..] {
                [one] => vec![("out".to_string(), spec(one)?)],
                ref several => (several.iter().enumerate())
                    .map(|(n, ty)| Some((format!("out{n}"), spec(*ty)?)))
                    .collect::<Option<_>>()?,
            },
            identity: (self.name == "+").then_some(0.0),
            reorderable: matches!(self.name, "+" | "min" | "max" | "fmin" | "fmax"),
            core: None,
            loc: Loc::default(),
        })
    }
}

/// The names that source text can write.
pub fn names<'a>() -> impl Iterator<Item = &'a str> {
    let names = BUILTINS.iter().map(|b| b.name);
    names.filter(|name| name.starts_with(char::is_alphabetic))
}

/// The built-in function of that name: one of the table, or the fast form of one (`exp_fast`), which kernels may call
/// that are not `fast` as a whole.
pub fn find(name: &str) -> Option<&'static Builtin> {
    static MAP: OnceLock<FxHashMap<&'static str, &'static Builtin>> = OnceLock::new();
    MAP.get_or_init(|| BUILTINS.iter().map(|b| (b.name, b)).collect())
        .get(name)
        .copied()
        .or_else(|| Some(&fast_form(name)?.0))
}

/// The call signature of the element-wise built-in function of that name.
pub fn signature(name: &str) -> Option<&'static Signature> {
    static MAP: OnceLock<FxHashMap<&'static str, Signature>> = OnceLock::new();
    MAP.get_or_init(|| {
        BUILTINS
            .iter()
            .filter_map(|b| Some((b.name, b.signature()?)))
            .collect()
    })
    .get(name)
    .or_else(|| fast_form(name)?.1.as_ref())
}

/// The fast form of this name, if the library has it.
fn fast_form(name: &str) -> Option<&'static (Builtin, Option<Signature>)> {
    type Form = (Builtin, Option<Signature>);
    static MAP: OnceLock<FxHashMap<&'static str, Form>> = OnceLock::new();
    // Other names do not cost a look into the library.
    if !name.ends_with("_fast") {
        return None;
    }
    MAP.get_or_init(|| {
        let written = |b: &&Builtin| {
            let of = |end: &str| library().find(&format!("{}_fast{end}", b.name)).is_some();
            b.code == Library && (of("") || of("_f32"))
        };
        let form = |b: &Builtin| {
            let form = Builtin {
                name: format!("{}_fast", b.name).leak(),
                class: Float,
                params: b.params,
                result: b.result,
                code: Library,
                doc: "the form that fast kernels use",
            };
            let signature = form.signature();
            (form.name, (form, signature))
        };
        BUILTINS.iter().filter(written).map(form).collect()
    })
    .get(name)
}

/// What to call instead of `sqrt_fast`, which there is not.
pub fn no_fast_form(name: &str) -> Option<String> {
    let of = find(name.strip_suffix("_fast")?)?.name;
    Some(format!("`{of}` has no fast form: call `{of}(..)`"))
}

/// The other side of a bit cast: `f16 <-> u16`, `f32 <-> u32`, `f64 <-> u64`.
pub fn bits_of(dtype: DType) -> Option<DType> {
    Some(match dtype {
        F16 => U16,
        U16 => F16,
        F32 => U32,
        F64 => U64,
        U32 => F32,
        U64 => F64,
        _ => return None,
    })
}
