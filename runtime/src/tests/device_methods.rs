//! Methods on the gpu target give what they give on the host: the same bits for strict floats.

use super::Rng;
use crate::{Arg, Array, Axis, Engine, EngineOptions, Program, Reduce, Target, Ufunc};
use kjit_driver::Source;
use kjit_ir::DType;
use std::sync::Arc;

const TEXT: &str = "
ufunc add<T: number>(a: T, b: T) -> T identity 0 { a + b }
ufunc mul<T: number>(a: T, b: T) -> T { a * b }
ufunc sub<T: number>(a: T, b: T) -> T { a - b }
ufunc least<T: number>(a: T, b: T) -> T { min(a, b) }
ufunc prob<T: float>(a: T, b: T) -> T identity 0 { a + b - 0.001 * a * b }
ufunc twice<T: number>(a: T) -> T { a + a }
gufunc total<T: float>(x: [T; n]) -> (s: T) { s = 0.0; for i in 0..n { s += 0.1 * x[i]; } }
";

fn engines() -> [Engine; 2] {
    [Target::Cpu, Target::Gpu].map(|target| {
        Engine::new(EngineOptions {
            target,
            ..EngineOptions::default()
        })
        .unwrap()
    })
}

fn ufunc(name: &str) -> Ufunc {
    let program = Program::compile(Source::new("m.k", TEXT)).unwrap();
    Ufunc::new(&Arc::new(program), name).unwrap()
}

fn same(what: &str, [host, gpu]: [Array; 2]) {
    assert_eq!(host.dtype(), gpu.dtype(), "{what}");
    assert_eq!(host.shape(), gpu.shape(), "{what}");
    let [host, gpu] = [host, gpu].map(|a| a.to_contiguous().unwrap());
    assert_eq!(host.bytes(), gpu.bytes(), "{what}");
}

fn numbers(rng: &mut Rng, dtype: DType, shape: &[usize]) -> Array {
    let n = shape.iter().product();
    let values: Vec<f64> = (0..n).map(|_| rng.below(201) as f64 - 100.0).collect();
    Array::from_vec(values, shape).unwrap().cast(dtype).unwrap()
}

#[test]
fn reductions_are_the_hosts() {
    let (engines, mut rng) = (engines(), Rng(7));
    for (name, dtype) in [
        ("add", DType::F32),
        ("prob", DType::F32),
        ("least", DType::I16),
        ("add", DType::C64),
        ("sub", DType::F64),
        ("add", DType::Bool),
    ] {
        let f = ufunc(name);
        for (shape, axis) in [
            (vec![3, 1030], Axis::One(1)),
            (vec![1030, 3], Axis::One(0)),
            (vec![2, 40, 3], Axis::Many(vec![0, 2])),
            (vec![5], Axis::All),
        ] {
            if name == "sub" && matches!(axis, Axis::Many(_)) {
                continue;
            }
            let x = numbers(&mut rng, dtype, &shape);
            let n = shape.iter().product();
            let flags: Vec<u8> = (0..n).map(|_| rng.below(3) as u8 / 2).collect();
            let wanted = Array::from_vec(flags, &shape).unwrap();
            let wanted = wanted.cast(DType::Bool).unwrap();
            for (initial, masked, keepdims) in [
                (false, false, false),
                (true, false, true),
                (true, true, false),
            ] {
                let options = Reduce {
                    axis: axis.clone(),
                    keepdims,
                    initial: initial.then_some(Arg::Int(1)),
                    where_: masked.then_some(&wanted),
                    dtype: None,
                };
                let results = engines
                    .each_ref()
                    .map(|e| f.reduce(e, &x, &options).unwrap());
                let what = format!("{name} {dtype} {shape:?} {axis:?} {initial} {masked}");
                same(&what, results);
            }
        }
    }
}

#[test]
fn accumulate_reduceat_outer_and_at_are_the_hosts() {
    let (engines, mut rng) = (engines(), Rng(9));
    for (name, dtype) in [
        ("add", DType::F32),
        ("sub", DType::I32),
        ("mul", DType::C64),
        ("least", DType::F16),
    ] {
        let f = ufunc(name);
        let x = numbers(&mut rng, dtype, &[4, 37]);
        for (x, axis) in [(x.clone(), 1), (x.clone(), 0), (x.transpose(), 0)] {
            same(
                &format!("{name}.accumulate {dtype} {axis}"),
                engines
                    .each_ref()
                    .map(|e| f.accumulate(e, &x, axis, None).unwrap()),
            );
        }
        let cuts = Array::from_vec(vec![0i64, 9, 3, 30, 36], &[5]).unwrap();
        same(
            &format!("{name}.reduceat {dtype}"),
            engines
                .each_ref()
                .map(|e| f.reduceat(e, &x, &cuts, 1, None).unwrap()),
        );
        let (a, b) = (
            numbers(&mut rng, dtype, &[5]),
            numbers(&mut rng, dtype, &[2, 3]),
        );
        same(
            &format!("{name}.outer {dtype}"),
            engines
                .each_ref()
                .map(|e| f.outer(e, &(&a).into(), &(&b).into()).unwrap().remove(0)),
        );
        let places = Array::from_vec(vec![3i64, 0, 3, -1, 0, 3], &[6]).unwrap();
        let values = numbers(&mut rng, dtype, &[6, 37]);
        same(
            &format!("{name}.at {dtype}"),
            engines.each_ref().map(|e| {
                let mut target = x.clone();
                f.at(e, &mut target, &places, Some(&(&values).into()))
                    .unwrap();
                target
            }),
        );
    }
    let (twice, places) = (
        ufunc("twice"),
        Array::from_vec(vec![1i64, 1, 0], &[3]).unwrap(),
    );
    same(
        "twice.at",
        engines.each_ref().map(|e| {
            let mut target = Array::from_vec(vec![1i32, 3, 5], &[3]).unwrap();
            twice.at(e, &mut target, &places, None).unwrap();
            assert_eq!(target.to_vec::<i32>().unwrap(), [2, 12, 5]);
            target
        }),
    );
}

/// A software driver leaves loops after 65535 iterations, without a word.
#[test]
fn folds_longer_than_a_driver_lets_loops_run() {
    let (engines, mut rng) = (engines(), Rng(12));
    let x = numbers(&mut rng, DType::F64, &[2, 70_000]);
    let f = ufunc("sub");
    let options = Reduce {
        axis: Axis::One(1),
        ..Reduce::default()
    };
    same(
        "reduce",
        engines
            .each_ref()
            .map(|e| f.reduce(e, &x, &options).unwrap()),
    );
    same(
        "accumulate",
        engines
            .each_ref()
            .map(|e| f.accumulate(e, &x, 1, None).unwrap()),
    );
    let zeros = Array::from_vec(vec![0i64; 70_000], &[70_000]).unwrap();
    let at = |e: &Engine| {
        let mut target = Array::from_vec(vec![1.0f64, 2.0], &[2]).unwrap();
        f.at(e, &mut target, &zeros, Some(&Arg::Float(0.1)))
            .unwrap();
        target
    };
    same("at", engines.each_ref().map(at));
    let rows = numbers(&mut rng, DType::F32, &[2, 1_000_000]);
    let total = ufunc("total");
    let sums = |e: &Engine| total.call(e, &[Arg::from(&rows)]).unwrap().remove(0);
    same("a gufunc", engines.each_ref().map(sums));
}

/// The loop computes in a wider dtype, and each result is stored in the target's.
#[test]
fn at_of_a_target_narrower_than_the_loop() {
    let engines = engines();
    let places = Array::from_vec(vec![1i64, 0, 1, 1, -1, 1], &[6]).unwrap();
    let values = Array::from_vec(vec![0.1f64, 0.2, 1e-9, 0.7, 3.3, 1e5], &[6]).unwrap();
    for (name, dtype) in [
        ("add", DType::F32),
        ("sub", DType::F16),
        ("mul", DType::F32),
        ("prob", DType::F16),
    ] {
        let f = ufunc(name);
        let changed = |e: &Engine| {
            let mut target = Array::from_vec(vec![1.5f64, 2.25, -3.0], &[3]).unwrap();
            target = target.cast(dtype).unwrap();
            f.at(e, &mut target, &places, Some(&(&values).into()))
                .unwrap();
            target
        };
        same(&format!("{name} {dtype}"), engines.each_ref().map(changed));
    }
    let places = Array::from_vec(vec![2i32, 2], &[2]).unwrap();
    let added = |e: &Engine| {
        let mut target = Array::from_vec(vec![1.5f32, 2.25, 3.0], &[3]).unwrap();
        ufunc("prob")
            .at(e, &mut target, &places, Some(&(&places).into()))
            .unwrap();
        target
    };
    same("integers for floats", engines.each_ref().map(added));
}

#[test]
fn at_takes_indices_of_any_number_of_axes() {
    let (engines, mut rng) = (engines(), Rng(3));
    let add = ufunc("add");
    for rest in [&[][..], &[3], &[2, 2]] {
        let shape = |first: &[usize]| [first, rest].concat();
        let start = numbers(&mut rng, DType::I32, &shape(&[4]));
        for (list, axes) in [
            (vec![2i64], &[][..]),
            (vec![0, 3, 0, -1], &[2, 2]),
            (vec![1, 1, 2, 0, 1, 3], &[1, 3, 2]),
        ] {
            let places = Array::from_vec(list, axes).unwrap();
            let values = numbers(&mut rng, DType::I32, &shape(axes));
            same(
                &format!("at {axes:?} {rest:?}"),
                engines.each_ref().map(|e| {
                    let mut target = start.clone();
                    let values = Arg::from(&values);
                    add.at(e, &mut target, &places, Some(&values)).unwrap();
                    target
                }),
            );
        }
    }
}
