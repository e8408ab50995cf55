//! Sums of many numbers: exact where they can be, near the exact sum, and the same bits whoever computes them.

use crate::support::engines;
use kjit::{
    Array, Axis, DType, Engine, EngineOptions, Program, Reduce, Schedule, Source, Target, Ufunc,
};
use std::sync::Arc;

const N: usize = 10_000_000;

fn add() -> Ufunc {
    let source = Source::new(
        "add.k",
        "ufunc add<T: number>(a: T, b: T) -> T identity 0 { a + b }",
    );
    let program = Arc::new(Program::compile(source).expect("a program"));
    Ufunc::new(&program, "add").expect("the ufunc")
}

fn sum(engine: &Engine, x: &Array, axis: Axis) -> Array {
    let options = Reduce {
        axis,
        ..Default::default()
    };
    let sum = add().reduce(engine, x, &options).expect("a sum");
    sum.to_host().expect("a host array")
}

/// All but the interpreter and scalar code, which would take long.
fn fast_engines() -> Vec<(&'static str, Engine)> {
    let mut list = engines();
    list.retain(|(name, _)| !matches!(*name, "interp" | "scalar"));
    list
}

#[test]
fn ten_million_ones_sum_to_ten_million() {
    for (name, engine) in fast_engines() {
        let ones = Array::from_vec(vec![1f32; N], &[N]).expect("an array");
        let total = sum(&engine, &ones, Axis::All);
        assert_eq!(total.to_vec::<f32>().expect("one value"), [1e7], "{name}");
        let rows = ones.reshape(&[10, N / 10]).expect("rows");
        let total = sum(&engine, &rows, Axis::One(1));
        assert_eq!(total.to_vec::<f32>().expect("ten"), [1e6; 10], "{name}");
        let columns = ones.reshape(&[N / 10, 10]).expect("columns");
        let total = sum(&engine, &columns, Axis::One(0));
        assert_eq!(total.to_vec::<f32>().expect("ten"), [1e6; 10], "{name}");
    }
}

/// Uniform numbers of 24 bits: integers after a shift, so that their exact sum is known.
fn uniform() -> (Array, f64) {
    let mut state = 1u64;
    let mut exact = 0u64;
    let values: Vec<f32> = (0..N)
        .map(|_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let bits = state >> 40;
            exact += bits;
            bits as f32 / (1 << 24) as f32
        })
        .collect();
    let array = Array::from_vec(values, &[N]).expect("an array");
    (array, exact as f64 / (1 << 24) as f64)
}

#[test]
fn f32_sum_of_ten_million_uniform_numbers_is_within_4_ulp() {
    let (x, exact) = uniform();
    let ulp = (exact as f32).next_up() - exact as f32;
    let mut first = None;
    for (name, engine) in fast_engines() {
        let total = sum(&engine, &x, Axis::All).to_vec::<f32>().expect("one")[0];
        let error = (total as f64 - exact).abs() / ulp as f64;
        assert!(error <= 4.0, "{name}: {total} is {error} ulp from {exact}");
        let first = *first.get_or_insert(total.to_bits());
        assert_eq!(total.to_bits(), first, "{name}");
    }
}

#[test]
fn sums_have_the_same_bits_for_1_to_64_threads() {
    let (x, _) = uniform();
    let x = x.reshape(&[1000, 100, 100]).expect("a cube");
    let axes = [Axis::All, Axis::One(0), Axis::One(1), Axis::One(2)];
    let axes = axes.into_iter().chain([Axis::Many(vec![0, 2])]);
    for axis in axes {
        let expected = bits(&sum(&engine(None, Schedule::default()), &x, axis.clone()));
        for threads in [1, 2, 3, 7, 16, 64] {
            for schedule in [Schedule::Static, Schedule::Dynamic, Schedule::Guided] {
                let got = bits(&sum(&engine(Some(threads), schedule), &x, axis.clone()));
                assert!(got == expected, "{axis:?} {threads} threads, {schedule:?}");
            }
        }
    }
}

/// One core, or so many threads.
fn engine(threads: Option<usize>, schedule: Schedule) -> Engine {
    let target = match threads {
        None => Target::Cpu,
        Some(_) => Target::Parallel,
    };
    let options = EngineOptions {
        target,
        threads,
        schedule,
        ..Default::default()
    };
    Engine::new(options).expect("an engine")
}

fn bits(x: &Array) -> Vec<u32> {
    assert_eq!(x.dtype(), DType::F32);
    let values = x.to_vec::<f32>().expect("f32 values");
    values.iter().map(|v| v.to_bits()).collect()
}
