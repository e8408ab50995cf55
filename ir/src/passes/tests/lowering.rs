//! `lower_complex` and `lower_half`: the function before and after them does the same.

use super::run::{Outcome, run_kernel};
use crate::eval::{eval, same};
use crate::passes::{lower_numbers, optimize, vectorize};
use crate::testing::{Options, random_module, random_scalar};
use crate::verify::verify;
use crate::{
    Access, ArrayMode, ArrayParam, DType, Form, Function, FunctionBuilder, Opcode, Part, Scalar,
};

/// The arrays of the lowered kernel: parts beside each other.
fn split(arrays: &[Vec<Scalar>]) -> Vec<Vec<Scalar>> {
    let mut parts = Vec::new();
    for array in arrays {
        match array.first().and_then(|s| s.parts()) {
            None => parts.push(array.clone()),
            Some(_) => {
                for n in 0..2 {
                    let part = array.iter().filter_map(|s| s.parts());
                    parts.push(part.map(|p| p[n]).collect());
                }
            }
        }
    }
    parts
}

#[track_caller]
fn check(before: &Function, after: &Function, inputs: &[Vec<Scalar>], lanes: usize) {
    verify(after, None).unwrap_or_else(|e| panic!("{e}\nbefore:\n{before}"));
    let n = inputs[0].len();
    let expected = run_kernel(None, before, inputs, n, 1);
    let got = run_kernel(None, after, &split(inputs), n, lanes);
    let expected = Outcome {
        outputs: split(&expected.outputs),
        ..expected
    };
    let wrong = expected
        .outputs
        .iter()
        .zip(&got.outputs)
        .enumerate()
        .flat_map(|(array, (e, g))| (0..n).map(move |i| (array, i, e[i], g[i])))
        .find(|(_, _, e, g)| !same(*e, *g));
    if let Some((array, element, e, g)) = wrong {
        let given: Vec<Scalar> = inputs.iter().map(|i| i[element]).collect();
        panic!("array {array}: {g:?}, not {e:?} of {given:?}\nbefore:\n{before}\nafter:\n{after}");
    }
    assert_eq!(
        got.traps, expected.traps,
        "before:\n{before}\nafter:\n{after}"
    );
}

/// What no backend computes with is gone, but for f16 in storage.
fn check_dtypes(func: &Function) {
    for data in &func.insts {
        let dtypes = data.args.iter().chain(&data.results);
        for dtype in dtypes.map(|v| func.ty(*v).dtype) {
            let moved = !data.op.is_pure()
                || matches!(data.op, Opcode::Const | Opcode::Select | Opcode::Bitcast);
            let fits = dtype.is_native() || (dtype == DType::F16 && moved);
            assert!(fits, "{} on {dtype}:\n{func}", data.op);
        }
    }
}

#[test]
fn random_functions() {
    let mut state = 99u64;
    let mut next = move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as u32
    };
    let dtypes = [DType::F16, DType::C64, DType::C128, DType::F32, DType::F64];
    for size in 0..400 {
        let options = Options {
            dtypes: dtypes.to_vec(),
            size: 4 + size % 40,
            ..Options::default()
        };
        let (module, root) = random_module(&mut next, &options);
        let before = optimize(&module, root);
        let after = lower_numbers(before.clone());
        check_dtypes(&after);
        let inputs: Vec<Vec<Scalar>> = before
            .arrays
            .iter()
            .map(|a| (0..8).map(|_| random_scalar(&mut next, a.dtype)).collect())
            .collect();
        check(&before, &after, &inputs, 1);
        let vector = vectorize(&after);
        assert_eq!(vector.form, Form::Vector);
        check(&before, &vector, &inputs, 8);
    }
}

/// `out = op(in, ..)` for each element.
fn kernel(op: Opcode, from: &[DType], to: Option<DType>) -> Option<Function> {
    let types: Vec<_> = from.iter().map(|d| (*d).into()).collect();
    let result = op.result_type(&types, to).ok()?.dtype;
    let mut b = FunctionBuilder::new("k");
    let array = |dtype, mode| ArrayParam::new("x", dtype, mode, Access::Contiguous);
    let args: Vec<_> = from
        .iter()
        .map(|d| {
            let input = b.array(array(*d, ArrayMode::In));
            b.load(input)
        })
        .collect();
    let out = b.array(array(result, ArrayMode::Out));
    let value = b.op(op, &args, to);
    b.store(out, value);
    Some(b.ret(&[]))
}

/// Every operation on every pair of edges of f16 and of complex numbers.
#[test]
fn every_operation_on_edges() {
    let half: Vec<Scalar> = [
        0u16, 1, 2, 0x3ff, 0x400, 0x401, 0x3555, 0x3800, 0x3bff, 0x3c00, 0x3c01, 0x3e00, 0x4100,
        0x5bff, 0x63ff, 0x6401, 0x77ff, 0x7800, 0x7bff, 0x7c00, 0x7e01,
    ]
    .iter()
    .flat_map(|b| [*b, b | 0x8000])
    .map(|b| Scalar::from_bits(DType::F16, b as u128))
    .collect();
    let parts = |d: DType| -> Vec<Scalar> {
        let all = [
            0.0,
            -0.0,
            1.0,
            -2.5,
            1e-30,
            3e38,
            f64::INFINITY,
            -f64::INFINITY,
            f64::NAN,
        ];
        let part = d.part().unwrap_or(d);
        let all = all.map(|x| eval(Opcode::Cast, Some(part), &[Scalar::f64(x)]).unwrap());
        let pairs = all.iter().flat_map(|re| all.iter().map(|im| (*re, *im)));
        pairs
            .map(|(re, im)| Scalar::complex(re, im).unwrap())
            .collect()
    };
    for (dtype, values) in [
        (DType::F16, half),
        (DType::C64, parts(DType::C64)),
        (DType::C128, parts(DType::C128)),
    ] {
        let n = values.len();
        let first: Vec<Scalar> = (0..n * n).map(|i| values[i / n]).collect();
        let second: Vec<Scalar> = (0..n * n).map(|i| values[i % n]).collect();
        let third: Vec<Scalar> = (0..n * n).map(|i| values[(i * 7 + i / n) % n]).collect();
        let condition: Vec<Scalar> = (0..n * n).map(|i| Scalar::bool(i % 3 == 0)).collect();
        let mut tried = 0;
        for &op in Opcode::ALL.iter().filter(|op| op.is_pure()) {
            let mut arguments = vec![(vec![dtype], vec![first.clone()])];
            arguments.push((vec![dtype; 2], vec![first.clone(), second.clone()]));
            let three = vec![first.clone(), second.clone(), third.clone()];
            arguments.push((vec![dtype; 3], three));
            let chosen = vec![condition.clone(), first.clone(), second.clone()];
            arguments.push((vec![DType::Bool, dtype, dtype], chosen));
            for (dtypes, mut inputs) in arguments {
                if op.arity() != Some(dtypes.len()) {
                    continue;
                }
                for &to in DType::ALL {
                    let to = (op.rule() == crate::opcode::Rule::Convert).then_some(to);
                    let Some(before) = kernel(op, &dtypes, to) else {
                        continue;
                    };
                    let out = before.arrays[dtypes.len()].dtype;
                    inputs.truncate(dtypes.len());
                    inputs.push(vec![Scalar::zero(out); n * n]);
                    let after = lower_numbers(before.clone());
                    check_dtypes(&after);
                    check(&before, &after, &inputs, 1);
                    tried += 1;
                    if to.is_none() {
                        break;
                    }
                }
            }
        }
        assert!(tried >= 25, "{tried} operations on {dtype}");
    }
}

/// All casts to f16 around the numbers where rounding turns.
#[test]
fn casts_to_half_around_every_middle() {
    let mut values = Vec::new();
    for bits in 0..0x7c00u16 {
        let value = |b: u16| Scalar::from_bits(DType::F16, b as u128).to_f64();
        let high = if bits == 0x7bff {
            65536.0
        } else {
            value(bits + 1)
        };
        let middle = (value(bits) + high) / 2.0;
        // For an f64, just off the middle is far nearer than an f32 can be.
        let sign = if bits % 2 == 0 { 1.0 } else { -1.0 };
        values.extend([middle.next_down(), middle, middle.next_up()].map(|x| x * sign));
    }
    values.extend([
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        65520.0,
        1e-46,
        -1e-46,
    ]);
    let wide: Vec<Scalar> = values.iter().map(|x| Scalar::f64(*x)).collect();
    let single = |x: &f64| {
        let x = *x as f32;
        [x.next_down(), x, x.next_up()].map(Scalar::f32)
    };
    let single: Vec<Scalar> = values.iter().flat_map(single).collect();
    for (dtype, input) in [(DType::F64, wide), (DType::F32, single)] {
        let before = kernel(Opcode::Cast, &[dtype], Some(DType::F16)).unwrap();
        let after = lower_numbers(before.clone());
        let zeros = vec![Scalar::zero(DType::F16); input.len()];
        for group in input.chunks(30_000) {
            let inputs = [group.to_vec(), zeros[..group.len()].to_vec()];
            check(&before, &after, &inputs, 1);
        }
    }
}

/// Every f16, against exact arithmetic.
#[test]
fn casts_from_every_half() {
    let before = kernel(Opcode::Cast, &[DType::F16], Some(DType::F32)).unwrap();
    let after = lower_numbers(before);
    let all: Vec<Scalar> = (0..=u16::MAX)
        .map(|bits| Scalar::from_bits(DType::F16, bits as u128))
        .collect();
    for half in all.chunks(16_384) {
        let zeros = vec![Scalar::zero(DType::F32); half.len()];
        let outcome = run_kernel(None, &after, &[half.to_vec(), zeros], half.len(), 1);
        for (half, got) in half.iter().zip(&outcome.outputs[1]) {
            let bits = half.bits() as i32;
            let (exponent, fraction) = (bits >> 10 & 31, bits & 1023);
            let magnitude = match exponent {
                31 if fraction != 0 => f64::NAN,
                31 => f64::INFINITY,
                0 => fraction as f64 * 2f64.powi(-24),
                _ => (1024 + fraction) as f64 * 2f64.powi(exponent - 25),
            };
            let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
            let expected = Scalar::f32((sign * magnitude) as f32);
            assert!(same(*got, expected), "{got:?}, not {expected:?}");
        }
    }
}

#[test]
fn parts_stand_side_by_side() {
    let before = kernel(Opcode::Add, &[DType::C64, DType::C64], None).unwrap();
    let after = lower_numbers(before);
    let parts: Vec<_> = after.arrays.iter().map(|a| (a.part, a.dtype)).collect();
    let pair = [(Part::Re, DType::F32), (Part::Im, DType::F32)];
    assert_eq!(parts, [pair, pair, pair].concat());
    // Without such dtypes nothing happens.
    let plain = kernel(Opcode::Add, &[DType::F32, DType::F32], None).unwrap();
    assert_eq!(lower_numbers(plain.clone()).to_string(), plain.to_string());
}

/// NumPy's answers, recorded by the script beside them.
#[test]
fn complex_numbers_as_numpy_computes_them() {
    let recorded = include_str!("../../../tests/data/numpy_complex.txt");
    let mut lines = 0;
    for line in recorded.lines().filter(|l| !l.starts_with('#')) {
        let mut words = line.split(' ');
        let op = Opcode::from_name(words.next().unwrap()).unwrap();
        let numbers: Vec<Scalar> = words.map(|w| Scalar::f64(w.parse().unwrap())).collect();
        let number = |n: usize| Scalar::complex(numbers[n], numbers[n + 1]).unwrap();
        let expected = match numbers.len() {
            6 => number(4),
            _ => Scalar::bool(numbers[4].as_f64() != 0.0),
        };
        let got = eval(op, None, &[number(0), number(2)]).unwrap();
        assert!(same(got, expected), "{line}: {got:?}");
        lines += 1;
    }
    assert!(lines > 1000);
}
