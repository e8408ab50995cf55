//! The library against `std` (whose f32 functions are compared through f64), on the interpreter.

use super::*;
use crate::hir::Program;
use crate::instantiate::{Home, Instances};
use kjit_interp::run_function;
use kjit_ir::{DType, FuncRef, Module, Scalar};

/// A library function as IR.
fn function(name: &str, generics: &[DType]) -> (Module, FuncRef) {
    let program = Program::default();
    let source = Source::new("none", "");
    let mut instances = Instances::new(&program, &source);
    let names = &library().program.names;
    let func = match names.get(name) {
        Some(id) => instances.function(Home::Library, *id, generics),
        None => {
            let id = names[format!("{name}_{}", generics[0]).as_str()];
            instances.function(Home::Library, id, &[])
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

fn call(code: &(Module, FuncRef), args: &[Scalar]) -> Vec<Scalar> {
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

/// Largest error over values spread over `range`, and the special values.
fn check_unary(name: &str, range: (f64, f64), reference: fn(f64) -> f64, bound: f64) {
    let mut state = 12345u64;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let inputs: Vec<f64> = SPECIAL
        .into_iter()
        .chain((0..3000).map(|_| range.0 + (range.1 - range.0) * next()))
        .collect();
    let code = function(name, &[DType::F32]);
    let mut worst = (0.0, 0.0);
    for x in &inputs {
        let x = *x as f32;
        let got = call(&code, &[Scalar::f32(x)])[0].as_f32();
        let want = reference(f64::from(x));
        let e = ulps32(got, want);
        if e > worst.0 {
            worst = (e, f64::from(x));
        }
        if want == 0.0 {
            assert_eq!(
                got.is_sign_negative(),
                want.is_sign_negative(),
                "{name}({x})"
            );
        }
    }
    println!("{name} f32: {} ulp at {}", worst.0, worst.1);
    assert!(
        worst.0 <= bound,
        "{name}: {} ulp at {} as f32",
        worst.0,
        worst.1
    );
    let code = function(name, &[DType::F64]);
    let mut worst = (0.0, 0.0);
    for x in &inputs {
        let e = ulps64(call(&code, &[Scalar::f64(*x)])[0].as_f64(), reference(*x));
        if e > worst.0 {
            worst = (e, *x);
        }
    }
    println!("{name} f64: {} ulp at {}", worst.0, worst.1);
    assert!(
        worst.0 <= bound + 0.5,
        "{name}: {} ulp at {} as f64",
        worst.0,
        worst.1
    );
}

#[test]
fn exponentials() {
    check_unary("exp", (-110.0, 95.0), f64::exp, 2.0);
    check_unary("exp", (-1.0, 1.0), f64::exp, 2.0);
    check_unary("exp2", (-160.0, 135.0), f64::exp2, 2.0);
    check_unary("tanh", (-3.0, 3.0), f64::tanh, 3.0);
}

#[test]
fn logarithms() {
    for range in [(0.0, 1e-38), (0.5, 2.0), (0.0, 1e6)] {
        check_unary("log", range, f64::ln, 2.0);
        check_unary("log2", range, f64::log2, 2.0);
        check_unary("log10", range, f64::log10, 2.5);
    }
}

#[test]
fn trigonometry() {
    for range in [
        (-1.0, 1.0),
        (-30.0, 30.0),
        (-2000.0, 2000.0),
        (-1e7, 1e7),
        (0.0, 3e38),
    ] {
        check_unary("sin", range, f64::sin, 2.0);
        check_unary("cos", range, f64::cos, 2.0);
        check_unary("tan", range, f64::tan, 4.0);
        check_unary("atan", range, f64::atan, 2.5);
    }
    // Where the reduction cancels most: multiples of pi/2 as f32.
    let sin = function("sin", &[DType::F32]);
    for k in 1..4000 {
        let x = (f64::from(k) * std::f64::consts::FRAC_PI_2) as f32;
        let got = call(&sin, &[Scalar::f32(x)])[0].as_f32();
        let e = ulps32(got, f64::from(x).sin());
        assert!(e <= 2.0, "sin({x}): {e} ulp");
    }
}

#[test]
fn two_arguments() {
    let values = [
        0.0f64,
        -0.0,
        1.0,
        -1.5,
        3.7,
        1e30,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        1e-44,
    ];
    type Reference = fn(f64, f64) -> f64;
    let list: [(&str, Reference, f64); 2] =
        [("atan2", f64::atan2, 3.0), ("hypot", f64::hypot, 2.0)];
    for (name, reference, bound) in list {
        let narrow = function(name, &[DType::F32]);
        let wide = function(name, &[DType::F64]);
        for y in values {
            for x in values {
                let got = call(&wide, &[Scalar::f64(y), Scalar::f64(x)])[0].as_f64();
                let e = ulps64(got, reference(y, x));
                assert!(e <= bound, "{name}({y}, {x}) = {got}: {e} ulp");
                let (y, x) = (y as f32, x as f32);
                let got = call(&narrow, &[Scalar::f32(y), Scalar::f32(x)])[0].as_f32();
                let e = ulps32(got, reference(y.into(), x.into()));
                assert!(e <= bound, "{name}({y}, {x}) = {got} as f32: {e} ulp");
            }
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

#[test]
fn every_builtin_of_the_table_is_in_the_library() {
    for builtin in crate::builtins::BUILTINS {
        if builtin.code != crate::builtins::Code::Library {
            continue;
        }
        let generics: &[DType] = if builtin.is_generic() {
            &[DType::F32]
        } else {
            &[]
        };
        function(builtin.name, generics);
    }
}
