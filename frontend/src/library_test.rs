//! The library against `std` (whose f32 functions are compared through f64), on the interpreter.

use super::*;
use crate::hir::Program;
use crate::instantiate::{Home, Instances};
use kjit_interp::run_function;
use kjit_ir::{DType, FuncRef, Module, Scalar};
use std::f64::consts::PI;

#[path = "../../accuracy/src/table.rs"]
#[allow(
    dead_code,
    reason = "the tests need less of it than the program it belongs to"
)]
mod table;

/// A library function as IR.
pub(super) fn function(name: &str, generics: &[DType]) -> (Module, FuncRef) {
    let program = Program::default();
    let source = Source::new("none", "");
    let mut instances = Instances::new(&program, &source, false);
    let func = match library().find(name) {
        Some(id) => instances.function(Home::Library, id, generics),
        None => {
            let member = library().find(&format!("{name}_{}", generics[0]));
            instances.function(Home::Library, member.expect("a function"), &[])
        }
    };
    let module = instances.finish().expect("no literal is out of range");
    for f in &module.functions {
        if let Err(errors) = kjit_ir::verify::verify(f, Some(&module)) {
            panic!("{errors:?}\n{f}");
        }
    }
    (module, func)
}

pub(super) fn has_function(name: &str, dtype: DType) -> bool {
    let of_dtype = format!("{name}_{dtype}");
    library().find(name).is_some() || library().find(&of_dtype).is_some()
}

pub(super) fn call(code: &(Module, FuncRef), args: &[Scalar]) -> Vec<Scalar> {
    run_function(Some(&code.0), &code.0[code.1], args).expect("runs")
}

/// Distance in units of the last place of `want` (f32), NaN and infinities exact.
fn ulps32(got: f32, want: f64) -> f64 {
    let near = want as f32;
    if near.is_nan() || got.is_nan() {
        return if near.is_nan() && got.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if near.is_infinite() || got.is_infinite() {
        return if near == got { 0.0 } else { f64::INFINITY };
    }
    let a = near.abs().max(f32::MIN_POSITIVE);
    let ulp = f64::from(f32::from_bits(a.to_bits() + 1)) - f64::from(a);
    (f64::from(got) - want).abs() / ulp
}

fn ulps64(got: f64, want: f64) -> f64 {
    if want.is_nan() || got.is_nan() {
        return if want.is_nan() && got.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if got == want {
        return 0.0;
    }
    if want.is_infinite() || got.is_infinite() {
        return f64::INFINITY;
    }
    let a = want.abs().max(f64::MIN_POSITIVE);
    (got - want).abs() / (f64::from_bits(a.to_bits() + 1) - a)
}

const SPECIAL: [f64; 14] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    1e-45,
    -1e-40,
    0.5,
    2.0,
    1e30,
    -1e30,
    3.0e38,
];

/// A float's place in the order of all of them.
pub(super) fn ordinal(bits: u128, dtype: DType) -> i128 {
    let sign = 1u128 << (dtype.bits() - 1);
    match bits & sign {
        0 => bits as i128,
        _ => -((bits ^ sign) as i128),
    }
}

/// The functions of a dtype as IR, made when first asked for.
#[derive(Default)]
pub(super) struct Functions(std::collections::HashMap<(String, DType), (Module, FuncRef)>);

impl Functions {
    pub(super) fn call(&mut self, name: &str, dtype: DType, args: &[Scalar]) -> Scalar {
        let key = (name.to_string(), dtype);
        let code = self
            .0
            .entry(key)
            .or_insert_with(|| function(name, &[dtype]));
        call(code, args)[0]
    }
}

/// `answers.py` and `special_answers.py` say how the answers were made. An error of at most n ulp allows for the n floats on either side of the
/// correctly rounded one.
#[test]
fn answers_are_within_the_bounds() {
    let bounds = table::functions();
    let mut functions = Functions::default();
    let mut checked = 0;
    let special = include_str!("library/special_answers.txt").lines();
    for line in include_str!("library/answers.txt").lines().chain(special) {
        let words: Vec<&str> = line.split(' ').collect();
        let dtype = DType::from_name(words[1]).expect("a dtype");
        let scalar = |word: &str| {
            let bits = u128::from_str_radix(word, 16).expect("a hexadecimal number");
            Scalar::from_bits(dtype, bits)
        };
        let numbers: Vec<Scalar> = words[2..].iter().map(|word| scalar(word)).collect();
        let (want, args) = numbers.split_last().expect("an answer");
        let first = args[0].to_f64();
        let judges = |f: &&table::Function| f.name == words[0] && f.domain.has(first);
        let line_of_table = bounds.iter().find(judges);
        let most = |fast| line_of_table.map_or(1.0, |f| f.bound(dtype == DType::F64, fast)) as i128;
        for (name, most) in [
            (words[0].to_string(), most(false)),
            (format!("{}_fast", words[0]), most(true)),
        ] {
            if name.ends_with("_fast") && !has_function(&name, dtype) {
                continue;
            }
            let got = functions.call(&name, dtype, args);
            let apart = ordinal(got.bits(), dtype) - ordinal(want.bits(), dtype);
            assert!(
                apart.abs() <= most,
                "{name} of {:?} is {}, not {} ({line})",
                args.iter().map(|x| x.to_f64()).collect::<Vec<_>>(),
                got.to_f64(),
                want.to_f64()
            );
        }
        checked += 1;
    }
    assert!(checked > 1500, "{checked}");
}

/// The f32 functions against those of f64 in `std`, over values spread over ranges.
#[test]
fn f32_functions_are_at_most_one_ulp_from_f64_ones() {
    type Case = (&'static str, fn(f64) -> f64, &'static [(f64, f64)]);
    const WIDE: &[(f64, f64)] = &[(-1.0, 1.0), (-30.0, 30.0), (-2000.0, 2000.0), (0.0, 3e38)];
    const LOGS: &[(f64, f64)] = &[(0.0, 1e-38), (0.5, 2.0), (0.0, 1e6), (0.0, 3e38)];
    const UNIT: &[(f64, f64)] = &[(-1.0, 1.0), (-1e-3, 1e-3)];
    let cases: &[Case] = &[
        ("exp", f64::exp, &[(-105.0, 90.0), (-1.0, 1.0)]),
        ("exp2", f64::exp2, &[(-151.0, 130.0), (-1.0, 1.0)]),
        ("expm1", f64::exp_m1, &[(-20.0, 90.0), (-1.0, 1.0)]),
        ("log", f64::ln, LOGS),
        ("log2", f64::log2, LOGS),
        ("log10", f64::log10, LOGS),
        (
            "log1p",
            f64::ln_1p,
            &[(-1.0, 1.0), (-1e-3, 1e-3), (0.0, 3e38)],
        ),
        ("cbrt", f64::cbrt, WIDE),
        ("sin", f64::sin, WIDE),
        ("cos", f64::cos, WIDE),
        ("tan", f64::tan, WIDE),
        ("asin", f64::asin, UNIT),
        ("acos", f64::acos, UNIT),
        ("atan", f64::atan, WIDE),
        ("sinh", f64::sinh, &[(-1.0, 1.0), (-90.0, 90.0)]),
        ("cosh", f64::cosh, &[(-1.0, 1.0), (-90.0, 90.0)]),
        ("tanh", f64::tanh, &[(-1.0, 1.0), (-10.0, 10.0)]),
    ];
    let mut state = 12345u64;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut functions = Functions::default();
    for (name, reference, ranges) in cases {
        for (low, high) in *ranges {
            for _ in 0..400 {
                let x = (low + (high - low) * next()) as f32;
                let want = reference(f64::from(x));
                let got = functions.call(name, DType::F32, &[Scalar::f32(x)]).as_f32();
                let e = ulps32(got, want);
                assert!(e <= 1.0, "{name}({x}) = {got}, not {want}: {e} ulp");
            }
        }
    }
}

/// Arguments and results that C99 (annex F) and IEEE 754 name; `None` is NaN. For the functions of multiples of pi, C23.
#[test]
fn special_values() {
    const INF: f64 = f64::INFINITY;
    type Unary = (&'static str, &'static [(f64, Option<f64>)]);
    type Binary = (&'static str, &'static [(f64, f64, Option<f64>)]);
    let unary: &[Unary] = &[
        (
            "exp",
            &[
                (0.0, Some(1.0)),
                (-0.0, Some(1.0)),
                (INF, Some(INF)),
                (-INF, Some(0.0)),
            ],
        ),
        (
            "exp2",
            &[
                (0.0, Some(1.0)),
                (3.0, Some(8.0)),
                (INF, Some(INF)),
                (-INF, Some(0.0)),
            ],
        ),
        (
            "exp10",
            &[(0.0, Some(1.0)), (INF, Some(INF)), (-INF, Some(0.0))],
        ),
        (
            "expm1",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (INF, Some(INF)),
                (-INF, Some(-1.0)),
            ],
        ),
        (
            "log",
            &[
                (0.0, Some(-INF)),
                (-0.0, Some(-INF)),
                (1.0, Some(0.0)),
                (-1.0, None),
                (-INF, None),
                (INF, Some(INF)),
            ],
        ),
        (
            "log2",
            &[
                (0.0, Some(-INF)),
                (-0.0, Some(-INF)),
                (8.0, Some(3.0)),
                (-1.0, None),
                (-INF, None),
                (INF, Some(INF)),
            ],
        ),
        (
            "log10",
            &[
                (0.0, Some(-INF)),
                (-0.0, Some(-INF)),
                (1.0, Some(0.0)),
                (-1.0, None),
                (INF, Some(INF)),
            ],
        ),
        (
            "log1p",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (-1.0, Some(-INF)),
                (-2.0, None),
                (-INF, None),
                (INF, Some(INF)),
            ],
        ),
        (
            "cbrt",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (-27.0, Some(-3.0)),
                (INF, Some(INF)),
                (-INF, Some(-INF)),
            ],
        ),
        (
            "rsqrt",
            &[
                (0.0, Some(INF)),
                (-0.0, Some(-INF)),
                (4.0, Some(0.5)),
                (-1.0, None),
                (INF, Some(0.0)),
                (-INF, None),
            ],
        ),
        (
            "sin",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (INF, None),
                (-INF, None),
            ],
        ),
        (
            "cos",
            &[
                (0.0, Some(1.0)),
                (-0.0, Some(1.0)),
                (INF, None),
                (-INF, None),
            ],
        ),
        (
            "tan",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (INF, None),
                (-INF, None),
            ],
        ),
        (
            "sinpi",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (1.0, Some(0.0)),
                (-1.0, Some(-0.0)),
                (2.0, Some(0.0)),
                (0.5, Some(1.0)),
                (1.5, Some(-1.0)),
                (1e30, Some(0.0)),
                (INF, None),
            ],
        ),
        (
            "cospi",
            &[
                (0.0, Some(1.0)),
                (0.5, Some(0.0)),
                (-0.5, Some(0.0)),
                (1.5, Some(0.0)),
                (1.0, Some(-1.0)),
                (1e30, Some(1.0)),
                (INF, None),
            ],
        ),
        (
            "tanpi",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (1.0, Some(-0.0)),
                (-1.0, Some(0.0)),
                (2.0, Some(0.0)),
                (-2.0, Some(-0.0)),
                (0.5, Some(INF)),
                (-0.5, Some(-INF)),
                (1.5, Some(-INF)),
                (2.5, Some(INF)),
                (0.25, Some(1.0)),
                (INF, None),
            ],
        ),
        (
            "asin",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (1.5, None),
                (-1.5, None),
                (INF, None),
            ],
        ),
        (
            "acos",
            &[(1.0, Some(0.0)), (1.5, None), (-1.5, None), (-INF, None)],
        ),
        (
            "atan",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (INF, Some(std::f64::consts::FRAC_PI_2)),
                (-INF, Some(-std::f64::consts::FRAC_PI_2)),
            ],
        ),
        (
            "sinh",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (1e30, Some(INF)),
                (INF, Some(INF)),
                (-INF, Some(-INF)),
            ],
        ),
        (
            "cosh",
            &[
                (0.0, Some(1.0)),
                (-1e30, Some(INF)),
                (INF, Some(INF)),
                (-INF, Some(INF)),
            ],
        ),
        (
            "tanh",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (1e30, Some(1.0)),
                (INF, Some(1.0)),
                (-INF, Some(-1.0)),
            ],
        ),
        (
            "asinh",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (INF, Some(INF)),
                (-INF, Some(-INF)),
            ],
        ),
        (
            "acosh",
            &[
                (1.0, Some(0.0)),
                (0.5, None),
                (-1.0, None),
                (INF, Some(INF)),
                (-INF, None),
            ],
        ),
        (
            "atanh",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (1.0, Some(INF)),
                (-1.0, Some(-INF)),
                (1.5, None),
                (INF, None),
            ],
        ),
    ];
    let binary: &[Binary] = &[
        (
            "pow",
            &[
                (0.0, -3.0, Some(INF)),
                (-0.0, -3.0, Some(-INF)),
                (-0.0, -2.0, Some(INF)),
                (0.0, -INF, Some(INF)),
                (0.0, 3.0, Some(0.0)),
                (-0.0, 3.0, Some(-0.0)),
                (-0.0, 2.5, Some(0.0)),
                (-1.0, INF, Some(1.0)),
                (-1.0, -INF, Some(1.0)),
                (1.0, f64::NAN, Some(1.0)),
                (f64::NAN, 0.0, Some(1.0)),
                (-2.0, 0.0, Some(1.0)),
                (-8.0, 1.0 / 3.0, None),
                (0.5, -INF, Some(INF)),
                (2.0, -INF, Some(0.0)),
                (0.5, INF, Some(0.0)),
                (-2.0, INF, Some(INF)),
                (-INF, -3.0, Some(-0.0)),
                (-INF, -2.5, Some(0.0)),
                (-INF, 3.0, Some(-INF)),
                (-INF, 2.0, Some(INF)),
                (INF, -1.0, Some(0.0)),
                (INF, 0.5, Some(INF)),
                (-2.0, 3.0, Some(-8.0)),
                (-2.0, 2.0, Some(4.0)),
                (f64::NAN, 1.0, None),
                (2.0, f64::NAN, None),
                (-3.0, 1e30, Some(INF)),
            ],
        ),
        (
            "hypot",
            &[
                (3.0, -4.0, Some(5.0)),
                (0.0, -0.0, Some(0.0)),
                (-0.0, -2.0, Some(2.0)),
                (INF, f64::NAN, Some(INF)),
                (f64::NAN, -INF, Some(INF)),
                (f64::NAN, 1.0, None),
                (0.0, f64::NAN, None),
                (1e30, f64::NAN, None),
            ],
        ),
        (
            "atan2",
            &[
                (0.0, 0.0, Some(0.0)),
                (-0.0, 0.0, Some(-0.0)),
                (0.0, -0.0, Some(PI)),
                (-0.0, -1.0, Some(-PI)),
                (0.0, 1.0, Some(0.0)),
                (-1.0, 0.0, Some(-PI / 2.0)),
                (1.0, -0.0, Some(PI / 2.0)),
                (1.0, -INF, Some(PI)),
                (-1.0, INF, Some(-0.0)),
                (INF, -3.0, Some(PI / 2.0)),
                (INF, -INF, Some(0.75 * PI)),
                (-INF, INF, Some(-PI / 4.0)),
                (f64::NAN, 1.0, None),
                (1.0, f64::NAN, None),
            ],
        ),
    ];
    let mut functions = Functions::default();
    let mut check = |name: &str, args: &[f64], want: Option<f64>| {
        for dtype in [DType::F32, DType::F64] {
            let scalar = |x: f64| match dtype {
                DType::F32 => Scalar::f32(x as f32),
                _ => Scalar::f64(x),
            };
            let scalars: Vec<Scalar> = args.iter().map(|x| scalar(*x)).collect();
            for (name, most) in [(name.to_string(), 0), (format!("{name}_fast"), 4)] {
                let got = functions.call(&name, dtype, &scalars);
                let right = match want {
                    None => got.to_f64().is_nan(),
                    Some(want) if want == 0.0 || want.is_infinite() => got == scalar(want),
                    Some(want) => {
                        let want = ordinal(scalar(want).bits(), dtype);
                        (ordinal(got.bits(), dtype) - want).abs() <= most
                    }
                };
                assert!(right, "{name} of {args:?} as {dtype} is {}", got.to_f64());
            }
        }
    };
    for (name, cases) in unary {
        check(name, &[f64::NAN], None);
        for (x, want) in *cases {
            check(name, &[*x], *want);
        }
    }
    for (name, cases) in binary {
        for (x, y, want) in *cases {
            check(name, &[*x, *y], *want);
        }
    }
}

#[test]
fn remainder_is_exact() {
    let values = [
        0.0f64,
        -0.0,
        1.0,
        -1.5,
        3.7,
        1e30,
        -7.25,
        1e-40,
        1e-45,
        1e-38,
        0.1,
        16777216.0,
        3e38,
        f64::INFINITY,
        f64::NAN,
        1e-310,
        5e-324,
        1e308,
    ];
    let narrow = function("fmod", &[DType::F32]);
    let wide = function("fmod", &[DType::F64]);
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    for x in values {
        for y in values {
            let got = call(&wide, &[Scalar::f64(x), Scalar::f64(y)])[0].as_f64();
            assert!(same(got, x % y), "{x} % {y} = {got}, not {}", x % y);
            let (x, y) = (x as f32, y as f32);
            let got = call(&narrow, &[Scalar::f32(x), Scalar::f32(y)])[0].as_f32();
            assert!(
                same(got.into(), (x % y).into()),
                "{x} % {y} = {got}, not {} (f32)",
                x % y
            );
        }
    }
}

#[test]
fn small_functions() {
    let bool_of =
        |name: &str, x: f64| call(&function(name, &[DType::F64]), &[Scalar::f64(x)])[0].as_bool();
    for x in SPECIAL {
        assert_eq!(bool_of("isnan", x), x.is_nan());
        assert_eq!(bool_of("isinf", x), x.is_infinite());
        assert_eq!(bool_of("isfinite", x), x.is_finite());
        assert_eq!(bool_of("signbit", x), x.is_sign_negative());
    }
    let powi = function("powi", &[DType::F64]);
    for n in [-3i32, -1, 0, 1, 2, 10, i32::MIN] {
        let got = call(
            &powi,
            &[Scalar::f64(1.5), Scalar::int(DType::I32, n.into())],
        )[0]
        .as_f64();
        assert!(ulps64(got, 1.5f64.powi(n)) <= 4.0, "1.5^{n} = {got}");
    }
    let sign = function("sign", &[DType::U8]);
    assert_eq!(
        call(&sign, &[Scalar::int(DType::U8, 200)])[0],
        Scalar::int(DType::U8, 1)
    );
    let clamp = function("clamp", &[DType::I32]);
    let int = |v| Scalar::int(DType::I32, v);
    assert_eq!(call(&clamp, &[int(9), int(-1), int(5)])[0], int(5));
}

#[test]
fn philox_known_answers() {
    let philox = function("philox", &[]);
    let run = |words: [u32; 6]| -> Vec<u32> {
        let args: Vec<Scalar> = words
            .iter()
            .map(|w| Scalar::int(DType::U32, i128::from(*w)))
            .collect();
        call(&philox, &args)
            .iter()
            .map(|s| s.bits() as u32)
            .collect()
    };
    assert_eq!(
        run([0; 6]),
        [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]
    );
    assert_eq!(
        run([u32::MAX; 6]),
        [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]
    );
    assert_eq!(
        run([
            0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0
        ]),
        [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
    );
}

#[test]
fn random_numbers_are_spread_as_they_should() {
    for (uniform, normal) in [
        ("philox_uniform_f32", "philox_normal_f32"),
        ("philox_uniform_f64", "philox_normal_f64"),
    ] {
        let (uniform, normal) = (function(uniform, &[]), function(normal, &[]));
        let n = 4000;
        let draw = |code: &(Module, FuncRef), i: i64| {
            call(
                code,
                &[
                    Scalar::int(DType::I64, i.into()),
                    Scalar::int(DType::U64, 7),
                ],
            )[0]
            .to_f64()
        };
        let (mut sum, mut square, mut mean) = (0.0, 0.0, 0.0);
        for i in 0..n {
            let u = draw(&uniform, i);
            assert!((0.0..1.0).contains(&u));
            mean += u / n as f64;
            let z = draw(&normal, i);
            sum += z / n as f64;
            square += z * z / n as f64;
        }
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert!(sum.abs() < 0.06, "{sum}");
        assert!((square - 1.0).abs() < 0.08, "{square}");
    }
}

#[test]
fn linspace_ends_exactly() {
    let linspace = function("linspace_f64", &[]);
    let at = |i: i64, n: i64| {
        let int = |v: i64| Scalar::int(DType::I64, v.into());
        call(
            &linspace,
            &[int(i), Scalar::f64(0.1), Scalar::f64(0.7), int(n)],
        )[0]
        .as_f64()
    };
    assert_eq!((at(0, 7), at(6, 7), at(0, 1)), (0.1, 0.7, 0.1));
}
