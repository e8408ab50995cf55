//! The table of built-in functions: each is declared once, with its type and what it becomes.

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
}

/// What a call becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// One instruction.
    Op(Opcode),
    /// A `bitcast`.
    Bitcast,
    /// What this does on complex numbers, by way of their parts; on real ones what the opcode does, if any.
    Parts(Parts, Option<Opcode>),
    /// A function of the library: generic of this name, or one a dtype (`exp_f32`, `exp_f64`).
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

use self::Ty::{BitsOfT, ComplexOfT, D, PartOfT, T};
use Class::{Any, Complex, Float, Int, Number, Real};
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
    "sqrt"     Float X => T, Op(Opcode::Sqrt), "square root, correctly rounded";
    "floor"    Float X => T, Op(Opcode::Floor), "largest integral value not above";
    "ceil"     Float X => T, Op(Opcode::Ceil), "smallest integral value not below";
    "trunc"    Float X => T, Op(Opcode::Trunc), "integral value towards zero";
    "round"    Float X => T, Op(Opcode::Round), "nearest integral value, ties to even";
    "min"      Number AB => T, Op(Opcode::Min), "smaller; NaN if either is NaN";
    "max"      Number AB => T, Op(Opcode::Max), "larger; NaN if either is NaN";
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
    "sign"     Real X => T, Library, "-1, 0 or 1 with the sign of x; NaN stays";
    "copysign" Float &[("x", T), ("y", T)] => T, Library, "x with the sign bit of y";
    "signbit"  Float X => D(Bool), Library, "is the sign bit set?";
    "isnan"    Float X => D(Bool), Library, "is it NaN?";
    "isinf"    Float X => D(Bool), Library, "is it infinite?";
    "isfinite" Float X => D(Bool), Library, "is it neither NaN nor infinite?";
    "fmod"     Float AB => T, Library, "remainder with the dividend's sign, exact: what `%` means on floats";
    "exp"      Float X => T, Library, "e to the x";
    "exp2"     Float X => T, Library, "2 to the x";
    "exp10"    Float X => T, Library, "10 to the x";
    "expm1"    Float X => T, Library, "e to the x, less 1";
    "log"      Float X => T, Library, "natural logarithm";
    "log2"     Float X => T, Library, "logarithm to base 2";
    "log10"    Float X => T, Library, "logarithm to base 10";
    "log1p"    Float X => T, Library, "natural logarithm of 1 + x";
    "pow"      Float &[("x", T), ("y", T)] => T, Library, "x to the y";
    "cbrt"     Float X => T, Library, "cube root";
    "rsqrt"    Float X => T, Library, "1 / sqrt(x)";
    "sin"      Float X => T, Library, "sine";
    "cos"      Float X => T, Library, "cosine";
    "tan"      Float X => T, Library, "tangent";
    "sinpi"    Float X => T, Library, "sine of pi x";
    "cospi"    Float X => T, Library, "cosine of pi x";
    "tanpi"    Float X => T, Library, "tangent of pi x";
    "asin"     Float X => T, Library, "arc sine";
    "acos"     Float X => T, Library, "arc cosine";
    "atan"     Float X => T, Library, "arc tangent";
    "atan2"    Float &[("y", T), ("x", T)] => T, Library, "angle of the point (x, y)";
    "sinh"     Float X => T, Library, "hyperbolic sine";
    "cosh"     Float X => T, Library, "hyperbolic cosine";
    "tanh"     Float X => T, Library, "hyperbolic tangent";
    "asinh"    Float X => T, Library, "inverse hyperbolic sine";
    "acosh"    Float X => T, Library, "inverse hyperbolic cosine";
    "atanh"    Float X => T, Library, "inverse hyperbolic tangent";
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
            BitsOfT => None,
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
            outputs: vec![("out".to_string(), spec(self.result)?)],
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

/// The built-in function of that name.
pub fn find(name: &str) -> Option<&'static Builtin> {
    static MAP: OnceLock<FxHashMap<&'static str, &'static Builtin>> = OnceLock::new();
    MAP.get_or_init(|| BUILTINS.iter().map(|b| (b.name, b)).collect())
        .get(name)
        .copied()
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
