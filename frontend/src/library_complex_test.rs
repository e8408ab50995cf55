//! Functions of complex numbers, on the interpreter: against values of 400 bits, and where parts are zero, infinite or NaN.

use super::numbers_tests::builtin_function;
use super::tests::call;
use kjit_ir::{DType, FuncRef, Module, Scalar};
use std::collections::HashMap;

/// Built-in functions as IR, made when first asked for.
#[derive(Default)]
struct Functions(HashMap<(String, DType), (Module, FuncRef)>);

impl Functions {
    /// Of c64 numbers with parts of f32, of c128 with parts of f64.
    fn call(&mut self, name: &str, dtype: DType, args: &[[f64; 2]]) -> [f64; 2] {
        let code = (self.0)
            .entry((name.to_string(), dtype))
            .or_insert_with(|| builtin_function(name, &[dtype], false));
        let part = |x: f64| match dtype {
            DType::C64 => Scalar::f32(x as f32),
            _ => Scalar::f64(x),
        };
        let args = args
            .iter()
            .map(|[re, im]| Scalar::complex(part(*re), part(*im)));
        let args: Vec<Scalar> = args.map(|z| z.expect("two parts of a dtype")).collect();
        let parts = call(code, &args)[0].parts();
        parts.expect("a complex number").map(Scalar::to_f64)
    }
}

/// The distance of two floats around a number, by its size.
fn ulp(x: f64, dtype: DType) -> f64 {
    match dtype {
        DType::C64 => {
            let x = (x.abs() as f32).clamp(f32::MIN_POSITIVE, f32::MAX / 2.0);
            f64::from(f32::from_bits(x.to_bits() + 1) - x)
        }
        _ => {
            let x = x.abs().clamp(f64::MIN_POSITIVE, f64::MAX / 2.0);
            f64::from_bits(x.to_bits() + 1) - x
        }
    }
}

/// The largest errors allowed: of each part in ulp of itself, and of both in ulp of the larger one.
const BOUNDS: &[(&str, f64, f64)] = &[
    ("acos", 3.0, 3.0),
    ("acosh", 3.0, 3.0),
    ("asin", 3.0, 3.0),
    ("asinh", 3.0, 3.0),
    ("atan", 3.0, 3.0),
    ("atanh", 3.0, 3.0),
    ("cos", 3.0, 3.0),
    ("cosh", 3.0, 3.0),
    ("exp", 3.0, 3.0),
    ("exp2", 3.0, 3.0),
    ("expm1", f64::INFINITY, 3.0),
    ("log", 3.0, 3.0),
    ("log10", 3.0, 3.0),
    ("log1p", 3.0, 3.0),
    ("log2", 3.0, 3.0),
    ("pow", f64::INFINITY, 16.0),
    ("sign", 2.0, 2.0),
    ("sin", 3.0, 3.0),
    ("sinh", 3.0, 3.0),
    ("sqrt", 3.0, 3.0),
    ("tan", 4.0, 4.0),
    ("tanh", 4.0, 4.0),
];

/// Arguments and answer of a line after the function's name.
fn numbers(words: &[&str]) -> (DType, Vec<[f64; 2]>) {
    let parts = words[1..].iter().map(|word| {
        let bits = u64::from_str_radix(word, 16).expect("a hexadecimal number");
        match words[0] {
            "f32" => f64::from(f32::from_bits(bits as u32)),
            _ => f64::from_bits(bits),
        }
    });
    let parts: Vec<f64> = parts.collect();
    let dtype = match words[0] {
        "f32" => DType::C64,
        _ => DType::C128,
    };
    (
        dtype,
        parts.chunks(2).map(|pair| [pair[0], pair[1]]).collect(),
    )
}

/// `complex_answers.py` says where the answers come from. Signs of NaN, and of zeros and infinities beside which C99 leaves
/// them open, do not count.
#[test]
fn edges_are_those_of_c99() {
    let mut functions = Functions::default();
    let mut wrong = Vec::new();
    let mut checked = 0;
    let edges = include_str!("library/complex_answers.txt").lines();
    for line in edges.filter_map(|line| line.strip_prefix("edge ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let (dtype, numbers) = numbers(&words[1..]);
        let name = words[0].replacen("arc", "a", 1);
        let (z, want) = (numbers[0], numbers[1]);
        let got = functions.call(&name, dtype, &[z]);
        let same = |got: f64, want: f64, other: f64| match want {
            _ if want.is_nan() => got.is_nan(),
            _ if want == 0.0 || want.is_infinite() => {
                let open = other.is_nan();
                got == want && got.is_sign_negative() == want.is_sign_negative()
                    || open && got.abs() == want.abs()
            }
            _ => (got - want).abs() <= 4.0 * ulp(want, dtype),
        };
        if !same(got[0], want[0], want[1]) || !same(got[1], want[1], want[0]) {
            wrong.push(format!("{name} of {z:?} is {got:?}, not {want:?}"));
        }
        checked += 1;
    }
    assert!(
        wrong.is_empty(),
        "{} of {checked}\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(checked > 1000, "{checked}");
}

#[test]
fn values_are_within_their_bounds() {
    let mut functions = Functions::default();
    let mut worst: HashMap<String, [f64; 2]> = HashMap::new();
    let lines = include_str!("library/complex_answers.txt").lines();
    for line in lines.filter(|line| !line.starts_with("edge ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let (dtype, numbers) = numbers(&words[1..]);
        let (want, args) = numbers.split_last().expect("an answer");
        let got = functions.call(words[0], dtype, args);
        let size = ulp(want[0].abs().max(want[1].abs()), dtype);
        let worst = worst.entry(words[0].to_string()).or_default();
        for (got, want) in got.iter().zip(want) {
            let error = if got == want { 0.0 } else { (got - want).abs() };
            let errors = [error / ulp(*want, dtype), error / size];
            for (worst, error) in worst.iter_mut().zip(errors) {
                *worst = worst.max(if error.is_nan() { f64::INFINITY } else { error });
            }
        }
    }
    let mut names: Vec<_> = worst.into_iter().collect();
    names.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, [part, both]) in names {
        let bound = BOUNDS.iter().find(|(n, ..)| *n == name).expect("a bound");
        assert!(
            part <= bound.1 && both <= bound.2,
            "{name}: {part} and {both} ulp"
        );
    }
}
