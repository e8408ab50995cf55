//! Kernels over every kind of layout, on every kind of code and schedule.

use super::Rng;
use crate::{
    Array, Complex32, Element, Engine, EngineOptions, Kernel, ReduceOp, Schedule, SliceIndex,
    Target, f16,
};
use kjit_ir::{
    Access, ArrayMode, ArrayParam, DType, Function, FunctionBuilder, Loc, Opcode, Trap, TrapKind,
    Type, passes,
};

pub(super) fn param(name: &str, dtype: DType, mode: ArrayMode) -> ArrayParam {
    ArrayParam::new(name, dtype, mode, Access::Strided)
}

/// `z = a * x + y` on i64, where wrong elements cannot hide in rounding.
fn saxpy() -> Function {
    let mut b = FunctionBuilder::new("saxpy");
    let [a, x, y] = ["a", "x", "y"].map(|n| b.array(param(n, DType::I64, ArrayMode::In)));
    let z = b.array(param("z", DType::I64, ArrayMode::Out));
    let (a, x, y) = (b.load(a), b.load(x), b.load(y));
    let ax = b.binary(Opcode::Mul, a, x);
    let sum = b.binary(Opcode::Add, ax, y);
    b.store(z, sum);
    b.ret(&[])
}

/// `z = index + x`, which fails where `x` is negative.
fn guarded() -> Function {
    let mut b = FunctionBuilder::new("guarded");
    let x = b.array(param("x", DType::I64, ArrayMode::In));
    let i = b.array(param("i", DType::I64, ArrayMode::Index));
    let z = b.array(param("z", DType::I64, ArrayMode::Out));
    let kind = TrapKind::IndexOutOfBounds {
        array: "t".into(),
        len: 4,
    };
    let trap = b.trap(Trap {
        kind,
        loc: Loc {
            file: 1,
            start: 7,
            end: 9,
        },
    });
    let (x, i) = (b.load(x), b.load(i));
    let zero = b.int(DType::I64, 0);
    let ok = b.binary(Opcode::Ge, x, zero);
    b.guard(ok, trap);
    let sum = b.binary(Opcode::Add, i, x);
    b.store(z, sum);
    b.ret(&[])
}

pub(super) fn engines() -> Vec<Engine> {
    let base = EngineOptions::default;
    let parallel = |threads, schedule| EngineOptions {
        target: Target::Parallel,
        threads: Some(threads),
        schedule,
        ..base()
    };
    [
        EngineOptions {
            interp: true,
            ..base()
        },
        EngineOptions {
            scalar: true,
            ..base()
        },
        base(),
        parallel(2, Schedule::Static),
        parallel(3, Schedule::Dynamic),
        parallel(5, Schedule::Guided),
    ]
    .into_iter()
    .map(|options| Engine::new(options).unwrap())
    .collect()
}

/// An array of random numbers of this shape, laid out in some odd way.
fn odd_array(rng: &mut Rng, shape: &[usize]) -> Array {
    let mut kept: Vec<usize> = shape.to_vec();
    for n in &mut kept {
        // Broadcast along some axes.
        if rng.below(5) == 0 {
            *n = 1;
        }
    }
    let leading = if rng.below(4) == 0 {
        rng.below(kept.len() + 1)
    } else {
        0
    };
    let kept = &kept[leading..];
    let flip = rng.below(3) == 0;
    let step = 1 + rng.below(2) as i64;
    let full: Vec<usize> = kept.iter().map(|n| n * step as usize).collect();
    let full: Vec<usize> = if flip {
        full.iter().rev().copied().collect()
    } else {
        full
    };
    let n = full.iter().product();
    let narrow = rng.below(4) == 0;
    let array = if narrow {
        let values = (0..n).map(|_| rng.next() as i32).collect();
        Array::from_vec::<i32>(values, &full).unwrap()
    } else {
        let values = (0..n).map(|_| rng.next() as i64).collect();
        Array::from_vec::<i64>(values, &full).unwrap()
    };
    let array = if flip { array.transpose() } else { array };
    let backwards = rng.below(3) == 0;
    let index: Vec<SliceIndex> = kept
        .iter()
        .map(|_| SliceIndex::Range {
            start: None,
            end: None,
            step: if backwards { -step } else { step },
        })
        .collect();
    array.slice(&index).unwrap()
}

fn wide(array: &Array, shape: &[usize]) -> Vec<i64> {
    array
        .broadcast_to(shape)
        .unwrap()
        .cast(DType::I64)
        .unwrap()
        .to_vec()
        .unwrap()
}

fn expected_saxpy(inputs: &[Array], shape: &[usize]) -> Vec<i64> {
    let [a, x, y] = [0, 1, 2].map(|i| wide(&inputs[i], shape));
    (0..a.len())
        .map(|i| a[i].wrapping_mul(x[i]).wrapping_add(y[i]))
        .collect()
}

#[test]
fn every_layout_on_every_engine() {
    let mut rng = Rng(11);
    let kernel = Kernel::new(saxpy());
    let engines = engines();
    let fixed: [&[usize]; 9] = [
        &[],
        &[0],
        &[1],
        &[17],
        &[5, 0, 3],
        &[3000],
        &[700, 3],
        &[3, 700],
        &[9, 8, 40],
    ];
    for case in 0..120 {
        let shape: Vec<usize> = match fixed.get(case / 4) {
            Some(shape) => shape.to_vec(),
            None => (0..1 + rng.below(3)).map(|_| 1 + rng.below(12)).collect(),
        };
        let inputs: Vec<Array> = (0..3).map(|_| odd_array(&mut rng, &shape)).collect();
        let expected = expected_saxpy(&inputs, &shape);
        for engine in &engines {
            let out = engine
                .call(&kernel, &inputs, &shape, &[DType::I64])
                .unwrap()
                .remove(0);
            assert_eq!(out.shape(), shape);
            assert_eq!(
                out.to_vec::<i64>().unwrap(),
                expected,
                "case {case} {inputs:?} {engine:?}"
            );
        }
    }
}

#[test]
fn large_arrays_on_many_threads() {
    let kernel = Kernel::new(saxpy());
    let n = 300_007;
    let x = Array::from_vec((0..n as i64).collect(), &[n]).unwrap();
    let a = Array::from_vec(vec![3i64], &[]).unwrap();
    let inputs = [
        a,
        x.clone(),
        x.slice(&[SliceIndex::Range {
            start: None,
            end: None,
            step: -1,
        }])
        .unwrap(),
    ];
    let expected = expected_saxpy(&inputs, &[n]);
    for engine in &engines()[1..] {
        let out = engine
            .call(&kernel, &inputs, &[n], &[DType::I64])
            .unwrap()
            .remove(0);
        assert!(out.to_vec::<i64>().unwrap() == expected, "{engine:?}");
    }
}

/// The error is that of the first failing element, with its place, whatever the code and schedule; and
/// the padding of the last vector, whose indices lie past the end, never fails.
#[test]
fn traps_and_index() {
    let kernel = Kernel::new(guarded());
    for engine in engines() {
        for n in [1usize, 5, 4097, 100_003] {
            let values: Vec<i64> = vec![1; n];
            let x = Array::from_vec(values.clone(), &[n]).unwrap();
            let out = engine
                .call(&kernel, &[x], &[n], &[DType::I64])
                .unwrap()
                .remove(0);
            let expected: Vec<i64> = (1..=n as i64).collect();
            assert!(out.to_vec::<i64>().unwrap() == expected, "{n} {engine:?}");
            for bad in [0, n / 2, n - 1] {
                let mut values = values.clone();
                values[bad] = -1;
                let x = Array::from_vec(values, &[n]).unwrap();
                let error = engine.call(&kernel, &[x], &[n], &[DType::I64]).unwrap_err();
                assert_eq!(error.message, "index out of bounds: `t` has 4 elements");
                assert_eq!(
                    error.loc,
                    Loc {
                        file: 1,
                        start: 7,
                        end: 9
                    }
                );
            }
        }
    }
}

#[test]
fn wrong_calls() {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let kernel = Kernel::new(saxpy());
    let x = Array::from_vec(vec![1i64, 2, 3], &[3]).unwrap();
    let f = Array::from_vec(vec![1.0f64], &[]).unwrap();
    let call = |inputs: &[Array], shape: &[usize], out: DType| {
        engine
            .call(&kernel, inputs, shape, &[out])
            .unwrap_err()
            .message
    };
    let three = [x.clone(), x.clone(), x.clone()];
    assert_eq!(
        call(&three[..2], &[3], DType::I64),
        "saxpy takes 3 inputs, not 2"
    );
    assert_eq!(
        call(&[f, x.clone(), x], &[3], DType::I64),
        "input `a` of saxpy is i64, not f64"
    );
    assert_eq!(
        call(&three, &[4], DType::I64),
        "an array of shape (3,) cannot be broadcast to (4,)"
    );
    assert_eq!(
        call(&three, &[3], DType::I32),
        "output `z` of saxpy is i64 and does not go into an array of i32"
    );
    let no_threads = EngineOptions {
        target: Target::Parallel,
        threads: Some(0),
        ..Default::default()
    };
    assert_eq!(
        Engine::new(no_threads).unwrap_err().message,
        "the number of threads cannot be 0"
    );
}

/// `z = steps from 100 - index down to 0`, which never ends for an index past 100.
fn countdown() -> Function {
    let mut b = FunctionBuilder::new("countdown");
    let x = b.array(param("x", DType::I64, ArrayMode::In));
    let i = b.array(param("i", DType::I64, ArrayMode::Index));
    let z = b.array(param("z", DType::I64, ArrayMode::Out));
    let (x, i) = (b.load(x), b.load(i));
    let hundred = b.int(DType::I64, 100);
    let (zero, one) = (b.int(DType::I64, 0), b.int(DType::I64, 1));
    let from = b.binary(Opcode::Sub, hundred, i);
    let number = Type::scalar(DType::I64);
    let steps = b.loop_(&[from, x], &[number], |b, state| {
        let done = b.binary(Opcode::Eq, state[0], zero);
        b.if_else(done, &[], |b| b.break_(&[state[1]]), |b| b.yield_(&[]));
        let left = b.binary(Opcode::Sub, state[0], one);
        let count = b.binary(Opcode::Add, state[1], one);
        b.continue_(&[left, count]);
    });
    b.store(z, steps[0]);
    b.ret(&[])
}

/// Lanes that only fill a vector have no position of their own: a loop that ends for every element ends.
#[test]
fn loops_over_positions_end() {
    let kernel = Kernel::new(countdown());
    for engine in engines() {
        let x = Array::from_vec((0..101i64).collect(), &[101]).unwrap();
        let out = engine
            .call(&kernel, std::slice::from_ref(&x), &[101], &[DType::I64])
            .unwrap()
            .remove(0);
        assert_eq!(out.to_vec::<i64>().unwrap(), [100; 101], "{engine:?}");
        let sum = engine
            .reduce_call(&kernel, &[x], &[101], DType::I64, ReduceOp::Sum)
            .unwrap();
        assert_eq!(sum.as_int(), 10_100);
    }
}

/// Functions that are no kernels in the form the engine binds: an error, and nothing is run.
#[test]
fn malformed_kernels_are_refused() {
    use kjit_ir::{ArrayRef, Imm};
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let x = Array::from_vec((0..16i64).collect(), &[16]).unwrap();
    let refusal = |function: Function, inputs: &[Array]| {
        let kernel = Kernel::new(function);
        let into = engine.call_into(&kernel, inputs, &mut [x.clone()]);
        let new = engine.call(&kernel, inputs, &[16], &[DType::I64]);
        let value = engine.reduce_call(&kernel, inputs, &[16], DType::I64, ReduceOp::Sum);
        let message = new.unwrap_err().message;
        assert_eq!(into.unwrap_err().message, message);
        assert_eq!(value.unwrap_err().message, message);
        message
    };
    let three = [x.clone(), x.clone(), x.clone()];
    let mut outputs_first = saxpy();
    outputs_first.arrays.rotate_right(1);
    for inst in &mut outputs_first.insts {
        if let Imm::Array(array) = &mut inst.imm {
            *array = ArrayRef::new((array.index() + 1) % 4);
        }
    }
    assert_eq!(
        refusal(outputs_first, &three),
        "kernel saxpy has an input behind an output"
    );
    let mut writes_input = saxpy();
    for inst in &mut writes_input.insts {
        if inst.op == Opcode::Store {
            inst.imm = Imm::Array(ArrayRef::new(0));
        }
    }
    assert!(refusal(writes_input, &three).starts_with("kernel saxpy is malformed: "));
    let mut both = saxpy();
    both.arrays[3].mode = ArrayMode::InOut;
    assert_eq!(
        refusal(both, &three),
        "kernel saxpy has an array that is input and output"
    );
    assert_eq!(
        refusal(passes::vectorize(&saxpy()), &three),
        "saxpy is not a kernel in scalar form"
    );
    let mut b = FunctionBuilder::new("early");
    let input = b.array(param("x", DType::I64, ArrayMode::In));
    let z = b.array(param("z", DType::I64, ArrayMode::Out));
    let value = b.load(input);
    let zero = b.int(DType::I64, 0);
    let stop = b.binary(Opcode::Lt, value, zero);
    b.if_else(stop, &[], |b| b.yield_(&[]), |b| b.yield_(&[]));
    b.store(z, value);
    let mut early = b.ret(&[]);
    let arm = early.insts.iter_mut().find(|i| i.op == Opcode::Yield);
    arm.unwrap().op = Opcode::Return;
    assert_eq!(
        refusal(early, &three[..1]),
        "kernel early still has a nested `return`"
    );
    assert_eq!(x.to_vec::<i64>().unwrap(), (0..16).collect::<Vec<i64>>());
}

/// f16 and complex arrays convert where that is safe, and only there.
#[test]
fn half_and_complex_operands_convert() {
    let mut b = FunctionBuilder::new("copy");
    let x = b.array(param("x", DType::F32, ArrayMode::In));
    let z = b.array(param("z", DType::F32, ArrayMode::Out));
    let value = b.load(x);
    b.store(z, value);
    let kernel = Kernel::new(b.ret(&[]));
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let values: Vec<f16> = (0..100).map(|n| f16::from_f32(n as f32 / 8.0)).collect();
    let half = Array::from_vec(values, &[100]).unwrap();
    let wide: Vec<f32> = (0..100).map(|n| n as f32 / 8.0).collect();
    let outs = engine
        .call(&kernel, &[half], &[100], &[DType::F32])
        .unwrap();
    assert_eq!(outs[0].to_vec::<f32>().unwrap(), wide);
    let complex = Array::zeros(DType::C64, &[100]).unwrap();
    let error = engine.call(&kernel, &[complex], &[100], &[DType::F32]);
    assert_eq!(
        error.unwrap_err().message,
        "input `x` of copy is f32, not c64"
    );
    let mut outs = [Array::zeros(DType::C64, &[100]).unwrap()];
    engine
        .call_into(&kernel, &outs_of(&wide), &mut outs)
        .unwrap();
    let expected: Vec<Complex32> = wide.iter().map(|x| Complex32::new(*x, 0.0)).collect();
    assert_eq!(outs[0].to_vec::<Complex32>().unwrap(), expected);
}

fn outs_of(values: &[f32]) -> [Array; 1] {
    [Array::from_vec(values.to_vec(), &[values.len()]).unwrap()]
}

/// Both parts of complex operands, in any layout: contiguous, strided backwards, broadcast, real, of another
/// complex dtype; and outputs likewise.
#[test]
fn complex_operands_are_bound_by_parts() {
    let mut b = FunctionBuilder::new("product");
    let x = b.array(param("x", DType::C64, ArrayMode::In));
    let y = b.array(param("y", DType::C64, ArrayMode::In));
    let z = b.array(param("z", DType::C64, ArrayMode::Out));
    let (a, c) = (b.load(x), b.load(y));
    let value = b.binary(Opcode::Mul, a, c);
    b.store(z, value);
    let kernel = Kernel::new(passes::lower_numbers(b.ret(&[])));
    for engine in engines() {
        for n in [1usize, 7, 64, 5001] {
            let numbers: Vec<Complex32> = (0..2 * n)
                .map(|i| Complex32::new(i as f32 % 13.0 - 6.0, i as f32 % 7.0))
                .collect();
            let all = Array::from_vec(numbers.clone(), &[2 * n]).unwrap();
            let back = SliceIndex::Range {
                start: None,
                end: None,
                step: -2,
            };
            let backwards = all.slice(&[back]).unwrap();
            let first = all
                .slice(&[SliceIndex::range(Some(0), Some(n as i64))])
                .unwrap();
            let real = Array::from_vec((0..n).map(|i| i as i16 % 9).collect(), &[n]).unwrap();
            let one = Array::from_vec(vec![Complex32::new(0.0, 2.0)], &[1]).unwrap();
            for other in [&backwards, &first, &real, &one] {
                let inputs = [first.clone(), other.clone()];
                let wide = other.cast(DType::C64).unwrap().broadcast_to(&[n]).unwrap();
                let wide = wide.to_vec::<Complex32>().unwrap();
                let expected: Vec<Complex32> =
                    numbers.iter().zip(&wide).map(|(x, y)| x * y).collect();
                let outs = engine.call(&kernel, &inputs, &[n], &[DType::C64]).unwrap();
                assert_eq!(outs[0].to_vec::<Complex32>().unwrap(), expected);
                let mut outs = [Array::zeros(DType::C128, &[n]).unwrap()];
                engine.call_into(&kernel, &inputs, &mut outs).unwrap();
                let doubled = outs[0].cast(DType::C64).unwrap();
                assert_eq!(doubled.to_vec::<Complex32>().unwrap(), expected);
                let largest = engine.reduce_call(&kernel, &inputs, &[n], DType::C64, ReduceOp::Max);
                let order = |x: &&Complex32, y: &&Complex32| {
                    x.re.total_cmp(&y.re).then(x.im.total_cmp(&y.im))
                };
                // Of equal ones any will do: zeros have signs.
                let expected = *expected.iter().max_by(order).unwrap();
                assert_eq!(Complex32::from_scalar(largest.unwrap()), expected);
            }
        }
    }
}

/// Where there are no elements, the extents of the other axes may be anything.
#[test]
fn nothing_of_a_huge_shape() {
    let kernel = Kernel::new(saxpy());
    let shape = [1 << 40, 1 << 40, 0];
    let one = Array::from_vec(vec![1i64], &[1, 1, 1]).unwrap();
    let inputs = [one.clone(), one.clone(), one];
    for engine in engines() {
        let outs = engine
            .call(&kernel, &inputs, &shape, &[DType::I64])
            .unwrap();
        assert_eq!(outs[0].shape(), shape);
        let mut outs = [Array::zeros(DType::F64, &shape).unwrap()];
        engine.call_into(&kernel, &inputs, &mut outs).unwrap();
        let sum = engine.reduce_call(&kernel, &inputs, &shape, DType::I64, ReduceOp::Sum);
        assert_eq!(sum.unwrap().as_int(), 0);
    }
}

/// Results go into arrays that are there: in place where they own their memory, else into fresh memory,
/// so that inputs which are views of an output keep their elements.
#[test]
fn into_outputs() {
    for engine in engines() {
        let kernel = Kernel::new(saxpy());
        let line = |n: usize| Array::from_vec((0..n as i64).collect(), &[n]).unwrap();
        let two = Array::from_vec(vec![2i64], &[]).unwrap();
        let into = |inputs: &[Array], out: &mut Array| {
            engine.call_into(&kernel, inputs, std::slice::from_mut(out))
        };
        // A wider dtype, every second element of memory of its own.
        let mut out = Array::zeros(DType::F64, &[10]).unwrap();
        let every_second = SliceIndex::Range {
            start: None,
            end: None,
            step: 2,
        };
        out = out.slice(&[every_second]).unwrap();
        into(&[two.clone(), line(5), line(5)], &mut out).unwrap();
        assert_eq!(out.strides(), [16]);
        assert_eq!(out.to_vec::<f64>().unwrap(), [0.0, 3.0, 6.0, 9.0, 12.0]);
        // Inputs that are shifted and reversed views of the output.
        let mut out = line(6);
        let reversed = SliceIndex::Range {
            start: None,
            end: None,
            step: -1,
        };
        let inputs = [two.clone(), out.clone(), out.slice(&[reversed]).unwrap()];
        into(&inputs, &mut out).unwrap();
        assert_eq!(out.to_vec::<i64>().unwrap(), [5, 6, 7, 8, 9, 10]);
        assert_eq!(inputs[1].to_vec::<i64>().unwrap(), [0, 1, 2, 3, 4, 5]);
        // Elements that share memory; no narrowing; shapes.
        let mut repeated = Array::zeros(DType::I64, &[1])
            .unwrap()
            .broadcast_to(&[3])
            .unwrap();
        into(&[two.clone(), line(3), line(3)], &mut repeated).unwrap();
        assert_eq!(repeated.to_vec::<i64>().unwrap(), [0, 3, 6]);
        let mut narrow = Array::zeros(DType::I32, &[3]).unwrap();
        assert!(into(&[two.clone(), line(3), line(3)], &mut narrow).is_err());
        assert!(into(&[two, line(4), line(3)], &mut repeated).is_err());
        assert_eq!(repeated.to_vec::<i64>().unwrap(), [0, 3, 6]);
    }
}

/// Small work on simple operands takes a short way, which must not show.
#[test]
fn small_calls_are_as_others() {
    let kernel = Kernel::new(saxpy());
    let numbers = |n: usize, seed: i64| -> Array {
        let values: Vec<i64> = (0..n as i64).map(|i| i * i * seed - 7).collect();
        Array::from_vec(values, &[n]).unwrap()
    };
    for engine in engines() {
        let mut calls = 0;
        for n in [1usize, 16, 63, 64, 192] {
            let whole = numbers(n + 1, 5);
            let rest = SliceIndex::Range {
                start: Some(1),
                end: None,
                step: 1,
            };
            let shifted = whole.slice(&[rest]).unwrap();
            let factor = Array::from_vec(vec![3i64], &[1]).unwrap();
            let y = numbers(n, 11);
            let mut outs = [Array::zeros(DType::I64, &[n]).unwrap()];
            let inputs = [factor, shifted, y];
            engine.call_into(&kernel, &inputs, &mut outs).unwrap();
            // An output that is also an input gets memory of its own.
            let mut again = [inputs[2].clone()];
            engine.call_into(&kernel, &inputs, &mut again).unwrap();
            calls += 2;
            for i in 0..n as i64 {
                let wanted = 3 * ((i + 1) * (i + 1) * 5 - 7) + i * i * 11 - 7;
                for result in [&outs[0], &again[0]] {
                    assert_eq!(result.get(&[i as usize]).unwrap().as_int(), wanted as i128);
                }
            }
            assert_eq!(
                inputs[2].to_vec::<i64>().unwrap(),
                numbers(n, 11).to_vec::<i64>().unwrap()
            );
        }
        let stats = engine.stats();
        assert_eq!(stats.calls, calls);
        assert_eq!(stats.bytes_written, 2 * 8 * (1 + 16 + 63 + 64 + 192));
    }
}
