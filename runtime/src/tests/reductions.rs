//! Reductions against a plain reading of the tree's definition.

use super::Rng;
use super::execution::{engines, param};
use crate::{
    Array, Engine, EngineOptions, HostBuffer, Kernel, KernelSpec, Program, ReduceOp, Target,
};
use kjit_driver::Source;
use kjit_ir::{
    ArrayMode, DType, Function, FunctionBuilder, FusedExpr, FusedNode, FusedOp, Loc, Opcode, Scalar,
};

/// The tree as ../tree.rs words it, literally.
fn naive_sum(values: &[f32]) -> f32 {
    fn leaf(values: &[f32]) -> f32 {
        let mut lanes: Vec<Option<f32>> = vec![None; 16];
        for (i, v) in values.iter().enumerate() {
            let lane = &mut lanes[i % 16];
            *lane = Some(lane.map_or(*v, |sum| sum + v));
        }
        for w in [8, 4, 2, 1] {
            for j in 0..w {
                if let (Some(a), Some(b)) = (lanes[j], lanes[j + w]) {
                    lanes[j] = Some(a + b);
                }
            }
        }
        lanes[0].unwrap()
    }
    fn tree(leaves: &[f32]) -> f32 {
        match leaves {
            [one] => *one,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                tree(&leaves[..split]) + tree(&leaves[split..])
            }
        }
    }
    tree(&values.chunks(1024).map(leaf).collect::<Vec<_>>())
}

/// `z = x` as a kernel, so that reductions go through the map.
fn copy(dtype: DType) -> Function {
    let mut b = FunctionBuilder::new("copy");
    let x = b.array(param("x", dtype, ArrayMode::In));
    let z = b.array(param("z", dtype, ArrayMode::Out));
    let x = b.load(x);
    b.store(z, x);
    b.ret(&[])
}

fn square(dtype: DType) -> Function {
    let mut b = FunctionBuilder::new("square");
    let x = b.array(param("x", dtype, ArrayMode::In));
    let z = b.array(param("z", dtype, ArrayMode::Out));
    let x = b.load(x);
    let xx = b.binary(Opcode::Mul, x, x);
    b.store(z, xx);
    b.ret(&[])
}

fn with_threads(threads: usize) -> Engine {
    let options = EngineOptions {
        target: Target::Parallel,
        threads: Some(threads),
        ..EngineOptions::default()
    };
    Engine::new(options).unwrap()
}

#[test]
fn float_sums_have_the_bits_of_the_tree() {
    let mut rng = Rng(3);
    let kernel = Kernel::new(square(DType::F32));
    let mut engines = engines();
    engines.extend([1, 2, 3, 5, 8, 64].map(with_threads));
    for n in [
        1usize, 2, 7, 15, 16, 17, 31, 1000, 1023, 1024, 1025, 4096, 5000, 70_001, 200_000,
    ] {
        let values: Vec<f32> = (0..n)
            .map(|_| rng.below(1 << 20) as f32 / 1e3 - 400.0)
            .collect();
        let squares: Vec<f32> = values.iter().map(|v| v * v).collect();
        let expected = naive_sum(&squares);
        let x = Array::from_vec(values, &[n]).unwrap();
        for engine in &engines {
            if engine.options().interp && n > 10_000 {
                continue;
            }
            let sum = engine.reduce_call(
                &kernel,
                std::slice::from_ref(&x),
                &[n],
                DType::F32,
                ReduceOp::Sum,
            );
            assert_eq!(sum.unwrap(), Scalar::f32(expected), "{n} {engine:?}");
        }
    }
    // -0 is the sum of -0s: no lane starts from +0.
    let zeros = Array::from_vec(vec![-0.0f32; 3], &[3]).unwrap();
    let kernel = Kernel::new(copy(DType::F32));
    let sum = engines[2]
        .reduce_call(&kernel, &[zeros], &[3], DType::F32, ReduceOp::Sum)
        .unwrap();
    assert_eq!(sum, Scalar::f32(-0.0));
}

#[test]
fn ten_million_ones() {
    let n = 10_000_000;
    let ones = Array::full(Scalar::f32(1.0), &[n]).unwrap();
    let kernel = Kernel::new(copy(DType::F32));
    let engine = with_threads(3);
    let sum = engine
        .reduce_call(&kernel, &[ones], &[n], DType::F32, ReduceOp::Sum)
        .unwrap();
    assert_eq!(sum.as_f32(), 1e7);
}

/// Elements are taken in C order of the shape, whatever the layout in memory.
#[test]
fn layout_does_not_matter() {
    let values: Vec<f32> = (0..6000).map(|i| (i as f32).sin()).collect();
    let x = Array::from_vec(values, &[60, 100]).unwrap();
    let mut flipped = Array::zeros(DType::F32, &[100, 60]).unwrap();
    flipped.assign(&[], &x.transpose()).unwrap();
    let kernel = Kernel::new(copy(DType::F32));
    let engine = with_threads(2);
    for op in [
        ReduceOp::Sum,
        ReduceOp::ArgMax,
        ReduceOp::ArgMin,
        ReduceOp::Max,
    ] {
        let run = |a: &Array| {
            engine
                .reduce_call(&kernel, std::slice::from_ref(a), &[60, 100], DType::F32, op)
                .unwrap()
        };
        assert_eq!(run(&x), run(&flipped.transpose()), "{op:?}");
    }
}

#[test]
fn extremes() {
    use ReduceOp as R;
    const NAN: f32 = f32::NAN;
    let far = |at: usize, v: f32| {
        let mut values = vec![0.5f32; 3000];
        values[at] = v;
        values
    };
    let cases: &[(Vec<f32>, R, f64)] = &[
        (vec![3.0, 1.0, 2.0, 1.0], R::Min, 1.0),
        (vec![3.0, 1.0, 2.0, 1.0], R::ArgMin, 1.0),
        (vec![3.0, 1.0, 3.0], R::ArgMax, 0.0),
        (vec![3.0, 1.0, 4.0], R::Max, 4.0),
        (vec![1.0, NAN, 0.0, NAN], R::ArgMin, 1.0),
        (vec![1.0, NAN, 9.0], R::ArgMax, 1.0),
        (vec![0.0, -0.0], R::ArgMin, 0.0),
        (vec![f32::INFINITY; 20], R::ArgMin, 0.0),
        (vec![f32::NEG_INFINITY; 20], R::ArgMax, 0.0),
        (far(2999, 7.0), R::ArgMax, 2999.0),
        (far(1030, -7.0), R::ArgMin, 1030.0),
        (far(2047, NAN), R::ArgMax, 2047.0),
        (far(5, NAN), R::ArgMin, 5.0),
        (far(2500, -7.0), R::Min, -7.0),
    ];
    let engine = with_threads(2);
    let kernel = Kernel::new(copy(DType::F32));
    let run = |values: &[f32], op| {
        let x = Array::from_vec(values.to_vec(), &[values.len()]).unwrap();
        engine
            .reduce_call(&kernel, &[x], &[values.len()], DType::F32, op)
            .unwrap()
    };
    for (values, op, expected) in cases {
        assert_eq!(
            run(values, *op).to_f64(),
            *expected,
            "{op:?} {:?}",
            &values[..values.len().min(8)]
        );
    }
    assert!(run(&far(1700, NAN), R::Min).as_f32().is_nan());
    assert!(run(&far(1700, NAN), R::Max).as_f32().is_nan());
    for zeros in [[0.0, -0.0], [-0.0, 0.0]] {
        assert_eq!(run(&zeros, R::Min), Scalar::f32(-0.0));
        assert_eq!(run(&zeros, R::Max), Scalar::f32(0.0));
    }
    assert_eq!(
        engine
            .reduce_call(
                &kernel,
                &[Array::zeros(DType::F32, &[0]).unwrap()],
                &[0],
                DType::F32,
                R::Max
            )
            .unwrap_err()
            .message,
        "max of no elements has no value"
    );
}

/// Sums of every dtype: accumulated in 64 bits, wrapping.
#[test]
fn dtypes() {
    let engine = with_threads(2);
    for &dtype in DType::ALL {
        let n = 2500usize;
        let x = Array::from_vec((0..n).map(|i| (i % 100) as u8).collect(), &[n])
            .unwrap()
            .cast(dtype)
            .unwrap();
        let kernel = Kernel::new(kjit_ir::passes::lower_numbers(copy(dtype)));
        let run = |op| {
            engine
                .reduce_call(&kernel, std::slice::from_ref(&x), &[n], dtype, op)
                .unwrap()
        };
        let sum = run(ReduceOp::Sum);
        assert_eq!(
            sum.dtype(),
            crate::reduce::result_dtype(ReduceOp::Sum, dtype)
        );
        let expected = match dtype {
            DType::Bool => 2475.0,
            // Beyond the largest f16.
            DType::F16 => f64::INFINITY,
            _ => 123_750.0,
        };
        assert_eq!(sum.to_f64(), expected, "{dtype}");
        let top = if dtype == DType::Bool { 1.0 } else { 99.0 };
        assert_eq!(run(ReduceOp::Max).to_f64(), top);
        assert_eq!(run(ReduceOp::Max).dtype(), dtype);
        assert_eq!(run(ReduceOp::ArgMax).to_f64(), top);
        assert_eq!(run(ReduceOp::Min).to_f64(), 0.0);
        let none = Array::zeros(dtype, &[0]).unwrap();
        let sum = engine
            .reduce_call(&kernel, &[none], &[0], dtype, ReduceOp::Sum)
            .unwrap();
        assert_eq!(sum.to_f64(), 0.0);
    }
}

/// A bool is what is not 0, also where it was read from foreign bytes.
#[test]
fn bools_of_any_byte() {
    let bytes = HostBuffer::from_bytes(&[0, 1, 2, 255, 0x80]).unwrap();
    let x = Array::from_buffer(bytes, DType::Bool, &[5]).unwrap();
    let program = Program::compile(Source::new("x.k", "")).unwrap();
    let spec = KernelSpec::Fused(FusedExpr {
        inputs: vec![DType::Bool],
        nodes: vec![FusedNode {
            op: FusedOp::Input(0),
            args: vec![],
            loc: Loc::default(),
        }],
        outputs: vec![(0, 0)],
    });
    for engine in engines() {
        let inputs = std::slice::from_ref(&x);
        let of = |op| engine.reduce(&program, &spec, inputs, &[5], DType::Bool, op);
        assert_eq!(of(ReduceOp::Sum).unwrap().as_int(), 4, "{engine:?}");
        assert_eq!(of(ReduceOp::ArgMax).unwrap().as_int(), 1, "{engine:?}");
    }
}
