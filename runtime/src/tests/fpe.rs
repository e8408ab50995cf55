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
ufunc exp2_<T: float>(x: T) -> T { exp2(x) }
ufunc expm1_<T: float>(x: T) -> T { expm1(x) }
ufunc log1p_<T: float>(x: T) -> T { log1p(x) }
ufunc sin_<T: float>(x: T) -> T { sin(x) }
ufunc cos_<T: float>(x: T) -> T { cos(x) }
ufunc tan_<T: float>(x: T) -> T { tan(x) }
ufunc asin_<T: float>(x: T) -> T { asin(x) }
ufunc acos_<T: float>(x: T) -> T { acos(x) }
ufunc atan_<T: float>(x: T) -> T { atan(x) }
ufunc sinh_<T: float>(x: T) -> T { sinh(x) }
ufunc cosh_<T: float>(x: T) -> T { cosh(x) }
ufunc tanh_<T: float>(x: T) -> T { tanh(x) }
ufunc asinh_<T: float>(x: T) -> T { asinh(x) }
ufunc acosh_<T: float>(x: T) -> T { acosh(x) }
ufunc atanh_<T: float>(x: T) -> T { atanh(x) }
ufunc cbrt_<T: float>(x: T) -> T { cbrt(x) }
ufunc reciprocal_<T: float>(x: T) -> T { reciprocal(x) }
ufunc spacing_<T: float>(x: T) -> T { spacing(x) }
ufunc floor_<T: float>(x: T) -> T { floor(x) }
ufunc sign_<T: float>(x: T) -> T { sign(x) }
ufunc pow_<T: float>(x: T, y: T) -> T { pow(x, y) }
ufunc hypot_<T: float>(x: T, y: T) -> T { hypot(x, y) }
ufunc atan2_<T: float>(x: T, y: T) -> T { atan2(x, y) }
ufunc fmod_<T: float>(x: T, y: T) -> T { fmod(x, y) }
ufunc nextafter_<T: float>(x: T, y: T) -> T { nextafter(x, y) }
ufunc copysign_<T: float>(x: T, y: T) -> T { copysign(x, y) }
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

/// SciPy sets no flags, and NumPy lacks these functions: poles are divisions, NaN out of numbers is invalid.
#[test]
fn flags_of_special_functions() {
    const CASES: &[(&str, &[(f64, u8)])] = &[
        (
            "gamma",
            &[(0.0, 1), (-0.0, 1), (-1.0, 2), (1e9, 4), (-0.5, 0)],
        ),
        ("lgamma", &[(0.0, 1), (-3.0, 1), (-0.5, 0), (1e9, 0)]),
        ("digamma", &[(0.0, 1), (-1.0, 2), (-0.5, 0), (1e9, 0)]),
        ("erf", &[(0.0, 0), (1e9, 0), (-1e9, 0)]),
        ("erfc", &[(0.0, 0), (1e9, 0), (-1e9, 0)]),
        ("ndtr", &[(0.0, 0), (1e9, 0), (-1e9, 0)]),
        ("erfinv", &[(1.0, 1), (-1.0, 1), (2.0, 2), (0.5, 0)]),
        ("ndtri", &[(0.0, 1), (1.0, 1), (-1.0, 2), (0.5, 0)]),
        ("rsqrt", &[(0.0, 1), (-0.0, 1), (-1.0, 2), (4.0, 0)]),
        ("exp10", &[(400.0, 4), (-400.0, 0), (1.0, 0)]),
        ("tanpi", &[(0.5, 1), (-1.5, 1), (1.0, 0)]),
        ("sinpi", &[(0.5, 0), (1e9, 0)]),
        ("cospi", &[(0.5, 0), (1e9, 0)]),
    ];
    for (name, cases) in CASES {
        for dtype in [DType::F32, DType::F64] {
            let text = format!("ufunc f(x: {dtype}) -> {dtype} {{ {name}(x) }}");
            let program = Arc::new(Program::compile(Source::new("fpe.k", text)).unwrap());
            let f = Ufunc::new(&program, "f").unwrap();
            let more = [(f64::NAN, 0)];
            for (x, flags) in cases.iter().chain(&more) {
                let x = Array::from_vec(vec![*x; 3], &[3]).unwrap();
                let x = x.cast(dtype).unwrap();
                for engine in engines() {
                    let call = f.on(&engine).fpe(FpeMode::Warn);
                    let (_, report) = call.report(&[Arg::from(&x)]).unwrap();
                    let counts = [&report.divide, &report.invalid, &report.overflow];
                    let want = [0, 1, 2].map(|n| if flags >> n & 1 == 1 { 3 } else { 0 });
                    assert_eq!(
                        counts.map(|c| c.count),
                        want,
                        "{name} of {dtype}: {x:?} ({engine:?})"
                    );
                }
            }
        }
    }
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
