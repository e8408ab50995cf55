//! Code that stores past the caches.

use super::Rng;
use super::execution::param;
use crate::{Array, Engine, EngineOptions, Kernel, SliceIndex, Target};
use kjit_driver::Isa;
use kjit_ir::{ArrayMode, DType, Function, FunctionBuilder, Opcode};

/// `z = x * y + x` and `w`, that as an `i32`.
fn two_results() -> Function {
    let mut b = FunctionBuilder::new("two_results");
    let [x, y] = ["x", "y"].map(|n| b.array(param(n, DType::F64, ArrayMode::In)));
    let z = b.array(param("z", DType::F64, ArrayMode::Out));
    let w = b.array(param("w", DType::I32, ArrayMode::Out));
    let (x, y) = (b.load(x), b.load(y));
    let product = b.binary(Opcode::Mul, x, y);
    let sum = b.binary(Opcode::Add, product, x);
    b.store(z, sum);
    let whole = b.op(Opcode::Cast, &[sum], Some(DType::I32));
    b.store(w, whole);
    b.ret(&[])
}

fn engine(isa: Isa, target: Target) -> Engine {
    let options = EngineOptions {
        isa: Some(isa),
        target,
        threads: (target == Target::Parallel).then_some(3),
        ..EngineOptions::default()
    };
    Engine::new(options).unwrap()
}

/// Elements `start..start + n` of an array of more.
fn part(array: Array, start: usize, n: usize) -> Array {
    let range = SliceIndex::Range {
        start: Some(start as i64),
        end: Some((start + n) as i64),
        step: 1,
    };
    array.slice(&[range]).unwrap()
}

/// The same results as of any other code, wherever the arrays start; and into an input.
#[test]
fn large_arrays_stream() {
    let n = 300_003;
    let mut rng = Rng(77);
    let mut numbers = || {
        let values = (0..n + 16).map(|_| rng.below(1 << 20) as f64 / 64.0);
        Array::from_vec(values.collect(), &[n + 16]).unwrap()
    };
    let (x, y) = (numbers(), numbers());
    for isa in [Isa::Avx2, Isa::Avx512] {
        if !isa.is_available() {
            continue;
        }
        for start in [0, 1, 3, 7] {
            let inputs = [part(x.clone(), start, n), part(y.clone(), 2, n)];
            let run = |isa, target| {
                let kernel = Kernel::new(two_results());
                let engine = engine(isa, target);
                let mut outs = [
                    part(Array::zeros(DType::F64, &[n + 16]).unwrap(), start, n),
                    part(Array::zeros(DType::I32, &[n + 16]).unwrap(), 2 * start, n),
                ];
                engine.call_into(&kernel, &inputs, &mut outs).unwrap();
                let compiled = engine.stats().kernels_compiled;
                let [z, w] = outs;
                let (z, w) = (z.to_vec::<f64>().unwrap(), w.to_vec::<i32>().unwrap());
                (z, w, compiled)
            };
            let (z, w, _) = run(Isa::Sse, Target::Cpu);
            for target in [Target::Cpu, Target::Parallel] {
                let (got_z, got_w, compiled) = run(isa, target);
                assert!(
                    got_z == z && got_w == w,
                    "{} from {start}, {target:?}",
                    isa.name()
                );
                // Plain code, and code for what is aligned.
                assert_eq!(compiled, 2, "{} from {start}", isa.name());
            }
        }
    }
}
