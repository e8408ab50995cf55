//! Status flags against what NumPy reports.

use super::execution::engines;
use crate::{Arg, Array, FpeMode, Kernel, Ufunc};
use kjit_driver::{CompileOptions, KernelSpec, Program, Source, scalar_kernel};
use kjit_ir::{DType, Opcode, Role, Scalar, eval::eval};
use std::collections::BTreeMap;
use std::sync::Arc;

const NUMPY: &str = include_str!("../../tests/golden/fpe.txt");

const PROGRAM: &str = "
ufunc add_<T: number>(x: T, y: T) -> T { x + y }
ufunc subtract_<T: number>(x: T, y: T) -> T { x - y }
ufunc multiply_<T: number>(x: T, y: T) -> T { x * y }
ufunc divide_<T: number>(x: T, y: T) -> T { x / y }
ufunc idivide_<T: int>(x: T, y: T) -> T { x / y }
ufunc sqrt_<T: float>(x: T) -> T { sqrt(x) }
ufunc log_<T: float>(x: T) -> T { log(x) }
ufunc log2_<T: float>(x: T) -> T { log2(x) }
ufunc log10_<T: float>(x: T) -> T { log10(x) }
ufunc exp_<T: float>(x: T) -> T { exp(x) }
ufunc to_f16_<T: float>(x: T) -> f16 { x as f16 }
ufunc to_f32_<T: float>(x: T) -> f32 { x as f32 }
ufunc to_i32_<T: float>(x: T) -> i32 { x as i32 }
ufunc to_i64_<T: float>(x: T) -> i64 { x as i64 }
fn ratio(x: f64, y: f64) -> f64 { x / y }
ufunc guarded(x: f64, y: f64) -> f64 { if y == 0.0 { 0.0 } else { ratio(x, y) } }
ufunc until(x: f64, n: i32) -> f64 {
    let mut sum = 0.0;
    for i in 0..4 {
        sum += 1.0 / (x - i as f64);
        if i == n { break; }
    }
    sum
}";

fn program() -> Arc<Program> {
    Arc::new(Program::compile(Source::new("fpe.k", PROGRAM)).unwrap())
}

#[test]
fn flags_are_numpys() {
    let program = program();
    let mut groups: BTreeMap<(&str, &str), Vec<(&str, u8)>> = BTreeMap::new();
    for line in NUMPY.lines().filter(|l| !l.starts_with('#')) {
        let (case, flags) = line.split_once(" = ").unwrap();
        let mut words = case.splitn(3, ' ');
        let mut word = || words.next().unwrap();
        let key = (word(), word());
        let cases = groups.entry(key).or_default();
        cases.push((word(), flags.parse().unwrap()));
    }
    assert!(groups.len() >= 35);
    for ((name, dtype), cases) in groups {
        let dtype = DType::from_name(dtype).unwrap();
        let spec = KernelSpec::Ufunc {
            name: format!("{name}_"),
            generics: vec![dtype],
            masked: false,
        };
        let options = CompileOptions {
            fpe: true,
            ..CompileOptions::default()
        };
        let mut function = scalar_kernel(&program, &spec, options).unwrap();
        // Here the flags are a result like any other.
        let flags = function.arrays.last_mut().unwrap();
        assert_eq!(flags.role, Role::Fpe);
        flags.role = Role::Argument;
        let kernel = Kernel::new(function);
        let rows: Vec<Vec<Scalar>> = cases.iter().map(|(args, _)| numbers(args, dtype)).collect();
        let inputs: Vec<Array> = (0..rows[0].len())
            .map(|n| column(&rows.iter().map(|r| r[n]).collect::<Vec<_>>()))
            .collect();
        let dtypes: Vec<DType> = kernel
            .function()
            .arrays
            .iter()
            .filter(|a| a.mode == kjit_ir::ArrayMode::Out)
            .filter_map(|a| a.argument_dtype())
            .collect();
        for engine in engines() {
            let outs = engine
                .call(&kernel, &inputs, &[cases.len()], &dtypes)
                .unwrap();
            let got = outs[outs.len() - 1].to_vec::<u8>().unwrap();
            for ((args, expected), got) in cases.iter().zip(got) {
                assert_eq!(got, *expected, "{name} of {dtype}: {args} ({engine:?})");
            }
        }
    }
}

/// The arguments written in a line.
fn numbers(text: &str, dtype: DType) -> Vec<Scalar> {
    let number = |word: &str| -> Scalar {
        if dtype.is_int() {
            return Scalar::int(dtype, word.parse().unwrap());
        }
        let part = dtype.part().unwrap_or(dtype);
        eval(
            Opcode::Cast,
            Some(part),
            &[Scalar::f64(word.parse().unwrap())],
        )
        .unwrap()
    };
    let all: Vec<Scalar> = text.split(' ').map(number).collect();
    if !dtype.is_complex() {
        return all;
    }
    let pairs = all.chunks(2).map(|p| Scalar::complex(p[0], p[1]).unwrap());
    pairs.collect()
}

fn column(values: &[Scalar]) -> Array {
    let dtype = values[0].dtype();
    let mut bytes = Vec::new();
    for value in values {
        let (image, size) = value.to_ne_bytes();
        bytes.extend_from_slice(&image[..size]);
    }
    let buffer = crate::HostBuffer::from_bytes(&bytes).unwrap();
    Array::from_buffer(buffer, dtype, &[values.len()]).unwrap()
}

/// A division under a condition that is not met reports nothing (numba issue 4793), nor does an iteration
/// that a `break` leaves out; what ran before the `break` does.
#[test]
fn branches_not_taken_are_silent() {
    let program = program();
    let guarded = Ufunc::new(&program, "guarded").unwrap();
    let until = Ufunc::new(&program, "until").unwrap();
    let y = Array::from_vec((0..1000).map(|n| f64::from(n % 3)).collect(), &[1000]).unwrap();
    let n = Array::from_vec((0..1000).map(|n| n % 4).collect::<Vec<i32>>(), &[1000]).unwrap();
    for engine in engines() {
        let (_, report) = guarded
            .on(&engine)
            .fpe(FpeMode::Warn)
            .report(&[Arg::from(1.0), Arg::from(&y)])
            .unwrap();
        assert!(report.is_empty(), "{report:?} ({engine:?})");
        // x - i is zero at i = 2, which runs where n is 2 or 3.
        let (_, report) = until
            .on(&engine)
            .fpe(FpeMode::Warn)
            .report(&[Arg::from(2.0), Arg::from(&n)])
            .unwrap();
        assert_eq!(report.divide.count, 500, "{engine:?}");
        assert_eq!(report.divide.first, Some(vec![2]));
        assert_eq!((report.invalid.count, report.overflow.count), (0, 0));
    }
}
