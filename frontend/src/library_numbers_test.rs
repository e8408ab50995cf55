//! Functions with one right answer, against NumPy's and against exact arithmetic, on the interpreter.

use super::tests::{call, ordinal};
use crate::hir::Program;
use crate::instantiate::Instances;
use crate::source::Source;
use kjit_ir::{DType, FuncRef, FunctionBuilder, Module, Scalar, Type, TypeSpec, Value};
use std::collections::HashMap;

/// A built-in function of these dtypes as IR, its parameters being those of the function.
pub(super) fn builtin_function(name: &str, generics: &[DType], fast: bool) -> (Module, FuncRef) {
    let builtin = crate::builtins::find(name).expect("a function");
    let signature = crate::builtins::signature(name).expect("a signature");
    let program = Program::default();
    let source = Source::new("none", "");
    let mut instances = Instances::new(&program, &source, fast);
    let mut b = FunctionBuilder::new(name);
    let types = |list: &[(String, TypeSpec)]| -> Vec<Type> {
        let dtypes = list.iter().map(|(_, spec)| spec.resolve(generics));
        dtypes.map(Type::scalar).collect()
    };
    let params = types(&signature.inputs);
    let args: Vec<Value> = params.into_iter().map(|ty| b.param(ty)).collect();
    b.func.results = types(&signature.outputs);
    let results = instances.call_builtin(&mut b, builtin, generics, &args);
    let func = instances.module.push(b.ret(&results));
    let module = instances.finish().expect("no literal is out of range");
    for f in &module.functions {
        if let Err(errors) = kjit_ir::verify::verify(f, Some(&module)) {
            panic!("{errors:?}\n{f}");
        }
    }
    (module, func)
}

/// Built-in functions as IR, made when first asked for.
#[derive(Default)]
struct Functions(HashMap<(String, DType), (Module, FuncRef)>);

impl Functions {
    fn call(&mut self, name: &str, args: &[Scalar]) -> Vec<Scalar> {
        let dtype = args[0].dtype();
        let code = (self.0)
            .entry((name.to_string(), dtype))
            .or_insert_with(|| builtin_function(name, &[dtype], false));
        call(code, args)
    }
}

fn same(a: Scalar, b: Scalar) -> bool {
    a == b || (a.dtype().is_float() && a.to_f64().is_nan() && b.to_f64().is_nan())
}

/// `numpy_answers.py` says how the answers were made.
#[test]
fn answers_are_those_of_numpy() {
    let mut functions = Functions::default();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for line in include_str!("library/numpy_answers.txt").lines() {
        let (head, numbers) = line.split_once(": ").expect("dtypes and numbers");
        let (args, answers) = numbers.split_once(" -> ").expect("an answer");
        let mut head = head.split(' ');
        let name = head.next().expect("a name");
        let mut scalars = |words: &str| -> Vec<Scalar> {
            let words = words.split(' ').map(|word| {
                let dtype = head.next().and_then(DType::from_name).expect("a dtype");
                let bits = u128::from_str_radix(word, 16).expect("a hexadecimal number");
                Scalar::from_bits(dtype, bits)
            });
            words.collect()
        };
        let (args, answers) = (scalars(args), scalars(answers));
        let got = functions.call(name, &args);
        if got.len() != answers.len() || !got.iter().zip(&answers).all(|(a, b)| same(*a, *b)) {
            wrong.push(format!("{name} of {args:?} is {got:?}, not {answers:?}"));
        }
        checked += 1;
    }
    assert!(
        wrong.is_empty(),
        "{} of {checked}:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(40)].join("\n")
    );
    assert!(checked > 3000, "{checked}");
}

/// Numbers of every size, by xorshift.
fn random() -> impl FnMut() -> u64 {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> (state % 64)
    }
}

const INTEGERS: [DType; 8] = [
    DType::I8,
    DType::U8,
    DType::I16,
    DType::U16,
    DType::I32,
    DType::U32,
    DType::I64,
    DType::U64,
];

#[test]
fn bits_of_integers() {
    let mut functions = Functions::default();
    let mut next = random();
    for dtype in INTEGERS {
        let width = dtype.bits();
        let mask = u64::MAX >> (64 - width);
        let top = 1u64 << (width - 1);
        for x in [0, 1, 2, 3, top, top - 1, mask, mask - 1]
            .into_iter()
            .chain((0..60).map(|_| next()))
        {
            let x = x & mask;
            let scalar = |bits: u64| Scalar::from_bits(dtype, u128::from(bits & mask));
            let mut of = |name: &str, args: &[Scalar]| functions.call(name, args)[0];
            let small = |n: u32| scalar(u64::from(n));
            assert_eq!(
                of("popcount", &[scalar(x)]),
                small(x.count_ones()),
                "{dtype} {x}"
            );
            assert_eq!(
                of("clz", &[scalar(x)]),
                small(x.leading_zeros() - (64 - width)),
                "{dtype} {x}"
            );
            assert_eq!(
                of("ctz", &[scalar(x)]),
                small(x.trailing_zeros().min(width)),
                "{dtype} {x}"
            );
            for n in [0, 1, 3, width - 1, width, width + 5] {
                let k = n % width;
                let left = if k == 0 {
                    x
                } else {
                    (x << k) | (x >> (width - k))
                };
                let right = if k == 0 {
                    x
                } else {
                    (x >> k) | (x << (width - k))
                };
                assert_eq!(
                    of("rotl", &[scalar(x), small(n)]),
                    scalar(left),
                    "{dtype} {x} {n}"
                );
                assert_eq!(
                    of("rotr", &[scalar(x), small(n)]),
                    scalar(right),
                    "{dtype} {x} {n}"
                );
            }
            let value = scalar(x).as_int();
            let root = if value < 0 {
                0
            } else {
                (value as u128).isqrt() as i128
            };
            assert_eq!(
                of("isqrt", &[scalar(x)]),
                Scalar::int(dtype, root),
                "{dtype} {x}"
            );
        }
    }
}

#[test]
fn negative_powers_of_integers_are_those_of_the_reciprocal() {
    let mut functions = Functions::default();
    for dtype in [DType::I8, DType::I32, DType::I64] {
        let int = |v| Scalar::int(dtype, v);
        for (x, n, want) in [
            (1, -1, 1),
            (1, -128, 1),
            (-1, -1, -1),
            (-1, -2, 1),
            (0, -1, 0),
            (2, -1, 0),
            (-7, -3, 0),
            (0, 0, 1),
        ] {
            assert_eq!(
                functions.call("pow", &[int(x), int(n)])[0],
                int(want),
                "{x}^{n}"
            );
        }
    }
}

/// `n` is the even one of two integers that are as near.
#[test]
fn ieee_remainder_is_exact() {
    let mut functions = Functions::default();
    let mut next = random();
    let mut of = |x: f64, y: f64| {
        functions.call("ieee_remainder", &[Scalar::f64(x), Scalar::f64(y)])[0].as_f64()
    };
    let cases: [(f64, f64, f64); 11] = [
        (5.0, 2.0, 1.0),
        (7.0, 2.0, -1.0),
        (6.0, 4.0, -2.0),
        (2.0, 4.0, 2.0),
        (-5.0, 3.0, 1.0),
        (3.0, f64::INFINITY, 3.0),
        (-4.0, 2.0, -0.0),
        (1.7e308, 1.2e308, 1.7e308 - 1.2e308),
        (1.0e308, 1.7e308, 1.0e308 - 1.7e308),
        (5e-324, 1e-323, 5e-324),
        (1.5e-323, 1e-323, -5e-324),
    ];
    for (x, y, want) in cases {
        assert_eq!(of(x, y).to_bits(), want.to_bits(), "{x} and {y}");
    }
    for (x, y) in [
        (1.0, 0.0),
        (f64::INFINITY, 1.0),
        (f64::NAN, 1.0),
        (1.0, f64::NAN),
    ] {
        assert!(of(x, y).is_nan());
    }
    for _ in 0..500 {
        let (x, y) = ((next() >> 32) as i64, (next() >> 40) as i64 + 1);
        let (quotient, rest) = (x / y, x % y);
        let up = 2 * rest > y || (2 * rest == y && quotient % 2 == 1);
        let want = if up { rest - y } else { rest };
        assert_eq!(of(x as f64, y as f64), want as f64, "{x} and {y}");
    }
}

#[test]
fn curves_are_exact_at_their_ends() {
    let mut functions = Functions::default();
    let mut of =
        |name: &str, args: [f64; 3]| functions.call(name, &args.map(Scalar::f64))[0].as_f64();
    for (a, b) in [(1.0, 3.0), (0.1, 0.7), (-1e300, 3.0), (2.5, 2.5)] {
        assert_eq!((of("lerp", [a, b, 0.0]), of("lerp", [a, b, 1.0])), (a, b));
    }
    assert_eq!(of("lerp", [1.0, 3.0, 0.5]), 2.0);
    let smooth: Vec<f64> = [-1.0, 1.0, 2.0, 3.0, 9.0]
        .iter()
        .map(|x| of("smoothstep", [1.0, 3.0, *x]))
        .collect();
    assert_eq!(smooth, [0.0, 0.0, 0.5, 1.0, 1.0]);
}

/// Where results are near zero they are as far away as the larger argument's last digits.
#[test]
fn sums_of_exponentials() {
    let mut functions = Functions::default();
    const INF: f64 = f64::INFINITY;
    let mut of =
        |name: &str, a: f64, b: f64| functions.call(name, &[a, b].map(Scalar::f64))[0].as_f64();
    for name in ["logaddexp", "logaddexp2"] {
        assert_eq!(of(name, INF, INF), INF);
        assert_eq!(of(name, -INF, -INF), -INF);
        assert_eq!(of(name, -INF, 3.0), 3.0);
        assert_eq!(of(name, INF, -INF), INF);
        assert!(of(name, f64::NAN, 1.0).is_nan() && of(name, -INF, f64::NAN).is_nan());
        assert_eq!(of(name, 1e300, -1e300), 1e300);
    }
    assert_eq!(of("logaddexp2", 5.0, 5.0), 6.0);
    for (a, b) in [(0.0, 1.0), (-3.0, 2.5), (700.0, 699.5), (1e-9, -1e-9)] {
        let want = f64::max(a, b) + (-f64::abs(a - b)).exp().ln_1p();
        let got = Scalar::f64(of("logaddexp", a, b));
        assert!(
            (ordinal(got.bits(), DType::F64) - ordinal(Scalar::f64(want).bits(), DType::F64)).abs()
                <= 2
        );
    }
}
