//! The functions of the benchmark: what each contender calls it, and where its arguments lie.

/// A scalar loop over a function of the C library; functions of one argument do not look at the second.
pub type Loop<T> = fn(&[T], &[T], &mut [T]);

/// A function.
pub struct Case {
    pub name: &'static str,
    /// A range for each argument.
    pub ranges: &'static [(f64, f64)],
    /// NumPy's or SciPy's name; empty where it has none.
    pub numpy: &'static str,
    /// An expression of x and y in Numba; empty where it has none.
    pub numba: &'static str,
    pub loop32: Option<Loop<f32>>,
    pub loop64: Option<Loop<f64>>,
}

/// Functions of the C library, declared once for the two loops over them.
macro_rules! libm {
    ($($single:ident $double:ident($($arg:ident),+);)*) => {
        unsafe extern "C" {
            $(
                safe fn $single($($arg: f32),+) -> f32;
                safe fn $double($($arg: f64),+) -> f64;
            )*
        }
    };
}

libm! {
    expf exp(x); exp2f exp2(x); exp10f exp10(x); expm1f expm1(x); logf log(x); log2f log2(x); log10f log10(x); log1pf log1p(x);
    cbrtf cbrt(x); sinf sin(x); cosf cos(x); tanf tan(x); asinf asin(x); acosf acos(x); atanf atan(x); sinhf sinh(x);
    coshf cosh(x); tanhf tanh(x); asinhf asinh(x); acoshf acosh(x); atanhf atanh(x); powf pow(x, y); hypotf hypot(x, y);
    atan2f atan2(x, y); fmodf fmod(x, y); erff erf(x); erfcf erfc(x); tgammaf tgamma(x); lgammaf lgamma(x);
}

/// A function of one argument with the C library's two.
macro_rules! one {
    ($name:literal, $range:expr, $numpy:literal, $numba:literal, $single:ident, $double:ident) => {
        Case {
            name: $name,
            ranges: &[$range],
            numpy: $numpy,
            numba: $numba,
            loop32: Some(|x, _, z| z.iter_mut().zip(x).for_each(|(z, x)| *z = $single(*x))),
            loop64: Some(|x, _, z| z.iter_mut().zip(x).for_each(|(z, x)| *z = $double(*x))),
        }
    };
}

/// A function of two arguments with the C library's two.
macro_rules! two {
    ($name:literal, $x:expr, $y:expr, $numpy:literal, $numba:literal, $single:ident, $double:ident) => {
        Case {
            name: $name,
            ranges: &[$x, $y],
            numpy: $numpy,
            numba: $numba,
            loop32: Some(|x, y, z| {
                let args = x.iter().zip(y);
                z.iter_mut()
                    .zip(args)
                    .for_each(|(z, (x, y))| *z = $single(*x, *y));
            }),
            loop64: Some(|x, y, z| {
                let args = x.iter().zip(y);
                z.iter_mut()
                    .zip(args)
                    .for_each(|(z, (x, y))| *z = $double(*x, *y));
            }),
        }
    };
}

/// A function that the C library lacks.
const fn other(
    name: &'static str,
    ranges: &'static [(f64, f64)],
    numpy: &'static str,
    numba: &'static str,
) -> Case {
    Case {
        name,
        ranges,
        numpy,
        numba,
        loop32: None,
        loop64: None,
    }
}

/// The functions.
pub const FUNCTIONS: &[Case] = &[
    one!("exp", (-10.0, 10.0), "np.exp", "math.exp(x)", expf, exp),
    one!("exp2", (-10.0, 10.0), "np.exp2", "np.exp2(x)", exp2f, exp2),
    one!("exp10", (-10.0, 10.0), "special.exp10", "", exp10f, exp10),
    one!(
        "expm1",
        (-2.0, 2.0),
        "np.expm1",
        "math.expm1(x)",
        expm1f,
        expm1
    ),
    one!("log", (1e-3, 1e3), "np.log", "math.log(x)", logf, log),
    one!("log2", (1e-3, 1e3), "np.log2", "np.log2(x)", log2f, log2),
    one!(
        "log10",
        (1e-3, 1e3),
        "np.log10",
        "math.log10(x)",
        log10f,
        log10
    ),
    one!(
        "log1p",
        (-0.5, 2.0),
        "np.log1p",
        "math.log1p(x)",
        log1pf,
        log1p
    ),
    two!(
        "pow",
        (0.1, 10.0),
        (-10.0, 10.0),
        "np.power",
        "x ** y",
        powf,
        pow
    ),
    one!("cbrt", (-10.0, 10.0), "np.cbrt", "np.cbrt(x)", cbrtf, cbrt),
    other("rsqrt", &[(0.1, 10.0)], "", "1 / math.sqrt(x)"),
    two!(
        "hypot",
        (-10.0, 10.0),
        (-10.0, 10.0),
        "np.hypot",
        "math.hypot(x, y)",
        hypotf,
        hypot
    ),
    one!("sin", (-10.0, 10.0), "np.sin", "math.sin(x)", sinf, sin),
    one!("cos", (-10.0, 10.0), "np.cos", "math.cos(x)", cosf, cos),
    one!("tan", (-10.0, 10.0), "np.tan", "math.tan(x)", tanf, tan),
    other("sinpi", &[(-10.0, 10.0)], "", ""),
    other("cospi", &[(-10.0, 10.0)], "", ""),
    other("tanpi", &[(-10.0, 10.0)], "", ""),
    one!(
        "asin",
        (-1.0, 1.0),
        "np.arcsin",
        "math.asin(x)",
        asinf,
        asin
    ),
    one!(
        "acos",
        (-1.0, 1.0),
        "np.arccos",
        "math.acos(x)",
        acosf,
        acos
    ),
    one!(
        "atan",
        (-10.0, 10.0),
        "np.arctan",
        "math.atan(x)",
        atanf,
        atan
    ),
    two!(
        "atan2",
        (-10.0, 10.0),
        (-10.0, 10.0),
        "np.arctan2",
        "math.atan2(x, y)",
        atan2f,
        atan2
    ),
    one!("sinh", (-5.0, 5.0), "np.sinh", "math.sinh(x)", sinhf, sinh),
    one!("cosh", (-5.0, 5.0), "np.cosh", "math.cosh(x)", coshf, cosh),
    one!("tanh", (-5.0, 5.0), "np.tanh", "math.tanh(x)", tanhf, tanh),
    one!(
        "asinh",
        (-10.0, 10.0),
        "np.arcsinh",
        "math.asinh(x)",
        asinhf,
        asinh
    ),
    one!(
        "acosh",
        (1.0, 100.0),
        "np.arccosh",
        "math.acosh(x)",
        acoshf,
        acosh
    ),
    one!(
        "atanh",
        (-0.99, 0.99),
        "np.arctanh",
        "math.atanh(x)",
        atanhf,
        atanh
    ),
    two!(
        "fmod",
        (-10.0, 10.0),
        (0.5, 3.0),
        "np.fmod",
        "math.fmod(x, y)",
        fmodf,
        fmod
    ),
    one!("erf", (-3.0, 3.0), "special.erf", "math.erf(x)", erff, erf),
    one!(
        "erfc",
        (-3.0, 8.0),
        "special.erfc",
        "math.erfc(x)",
        erfcf,
        erfc
    ),
    other("erfinv", &[(-0.99, 0.99)], "special.erfinv", ""),
    other("ndtr", &[(-5.0, 5.0)], "special.ndtr", ""),
    other("ndtri", &[(0.001, 0.999)], "special.ndtri", ""),
    one!(
        "gamma",
        (-5.0, 30.0),
        "special.gamma",
        "math.gamma(x)",
        tgammaf,
        tgamma
    ),
    one!(
        "lgamma",
        (-5.0, 100.0),
        "special.gammaln",
        "math.lgamma(x)",
        lgammaf,
        lgamma
    ),
    other("digamma", &[(-5.0, 100.0)], "special.digamma", ""),
];
