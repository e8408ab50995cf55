//! Methods of ufuncs against plain readings of their definitions.

use super::Rng;
use super::execution::engines;
use crate::{
    Arg, Array, Axis, Engine, EngineOptions, Program, Reduce, Result, SliceIndex, Target, Ufunc,
};
use kjit_driver::Source;
use kjit_ir::{DType, Scalar};
use std::sync::Arc;

const TEXT: &str = "
ufunc add<T: number>(a: T, b: T) -> T identity 0 { a + b }
ufunc mul<T: number>(a: T, b: T) -> T { a * b }
ufunc sub<T: number>(a: T, b: T) -> T { a - b }
ufunc least<T: number>(a: T, b: T) -> T { min(a, b) }
ufunc all<T: int>(a: T, b: T) -> T identity -1 { a & b }
ufunc prob<T: float>(a: T, b: T) -> T identity 0 { a + b - 0.001 * a * b }
ufunc blend<T: float>(a: T, b: T) -> T { 0.5 * a + b }
ufunc below<T: number>(a: T, b: T) -> bool { a < b }
ufunc twice<T: number>(a: T) -> T { a + a }
ufunc narrow(a: f32, b: i16) -> f32 { a + b as f32 }
ufunc checked(a: i64, b: i64) -> i64 identity 0 { let t = [1, 2, 3, 4]; a + t[b] }
";

pub(super) fn ufunc(name: &str) -> Ufunc {
    let program = Program::compile(Source::new("m.k", TEXT)).unwrap();
    Ufunc::new(&Arc::new(program), name).unwrap()
}

fn threads(threads: usize) -> Engine {
    Engine::new(EngineOptions {
        target: Target::Parallel,
        threads: Some(threads),
        ..EngineOptions::default()
    })
    .unwrap()
}

pub(super) fn cpu() -> Engine {
    Engine::new(EngineOptions::default()).unwrap()
}

/// The tree as ../tree.rs words it, literally. `None` is absent.
fn tree<T: Copy>(values: &[Option<T>], f: &dyn Fn(T, T) -> T) -> Option<T> {
    let join = |a: Option<T>, b: Option<T>| match (a, b) {
        (Some(a), Some(b)) => Some(f(a, b)),
        (a, b) => a.or(b),
    };
    let leaf = |values: &[Option<T>]| {
        let mut lanes = [None; 16];
        for (i, v) in values.iter().enumerate() {
            lanes[i % 16] = join(lanes[i % 16], *v);
        }
        for w in [8, 4, 2, 1] {
            for j in 0..w {
                lanes[j] = join(lanes[j], lanes[j + w]);
            }
        }
        lanes[0]
    };
    fn halves<T: Copy>(
        leaves: &[Option<T>],
        join: &dyn Fn(Option<T>, Option<T>) -> Option<T>,
    ) -> Option<T> {
        match leaves {
            [] => None,
            [one] => *one,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                join(
                    halves(&leaves[..split], join),
                    halves(&leaves[split..], join),
                )
            }
        }
    }
    let leaves: Vec<Option<T>> = values.chunks(1024).map(leaf).collect();
    halves(&leaves, &join)
}

/// An array of random shape and layout: transposed, with steps, flipped, repeated, and its elements in C
/// order.
fn any_layout(rng: &mut Rng, dtype: DType, most: usize) -> Array {
    let ndim = rng.below(4);
    let mut shape: Vec<usize> = (0..ndim)
        .map(|_| [1, 2, 3, 5, 17, 40, most][rng.below(7)])
        .collect();
    while shape.iter().product::<usize>() > 20_000 {
        shape.pop();
    }
    let size: usize = shape.iter().map(|n| 2 * n).product();
    let values: Vec<i16> = (0..size).map(|_| rng.below(200) as i16 - 60).collect();
    let wide: Vec<usize> = shape.iter().map(|n| 2 * n).collect();
    let mut x = Array::from_vec(values, &wide).unwrap().cast(dtype).unwrap();
    if rng.below(2) == 0 {
        x = x.transpose();
    }
    let ranges: Vec<SliceIndex> = (x.shape().to_vec().iter())
        .map(|n| match rng.below(4) {
            0 => SliceIndex::range(None, Some(*n as i64 / 2)),
            1 => SliceIndex::Range {
                start: None,
                end: None,
                step: 2,
            },
            2 => SliceIndex::Range {
                start: None,
                end: None,
                step: -2,
            },
            _ => SliceIndex::range(Some(*n as i64 / 2), None),
        })
        .collect();
    let x = x.slice(&ranges).unwrap();
    if rng.below(6) == 0 {
        let mut more = vec![3];
        more.extend_from_slice(x.shape());
        return x.broadcast_to(&more).unwrap();
    }
    x
}

/// For each element that stays, the elements that are reduced to it, in C order, from the array's elements.
fn groups(x: &Array, reduced: &[bool]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let shape = x.shape();
    let kept: Vec<usize> = (0..shape.len())
        .filter(|a| !reduced[*a])
        .map(|a| shape[a])
        .collect();
    let mut groups = vec![Vec::new(); kept.iter().product()];
    for i in 0..x.size() {
        let (mut rest, mut place, mut step) = (i, 0, 1);
        for axis in (0..shape.len()).rev() {
            if !reduced[axis] {
                place += rest % shape[axis] * step;
                step *= shape[axis];
            }
            rest /= shape[axis];
        }
        groups[place].push(i);
    }
    (kept, groups)
}

fn random_axes(rng: &mut Rng, ndim: usize) -> (Axis, Vec<bool>) {
    let mut reduced = vec![false; ndim];
    if ndim == 0 || rng.below(4) == 0 {
        reduced.fill(true);
        return (Axis::All, reduced);
    }
    let mut list = Vec::new();
    for (axis, reduced) in reduced.iter_mut().enumerate() {
        if rng.below(2) == 0 {
            *reduced = true;
            let negative = rng.below(2) == 0;
            list.push(if negative {
                axis as i64 - ndim as i64
            } else {
                axis as i64
            });
        }
    }
    match list.as_slice() {
        [one] => (Axis::One(*one), reduced),
        _ => (Axis::Many(list), reduced),
    }
}

fn all_engines() -> Vec<Engine> {
    let mut all = engines();
    all.extend([1, 2, 3, 7, 16].map(threads));
    all
}

#[test]
fn integers_of_any_layout_reduce_as_loops_do() {
    let mut rng = Rng(11);
    let engines = all_engines();
    let dtypes = [DType::I8, DType::U16, DType::I32, DType::I64, DType::U64];
    for case in 0..150 {
        let dtype = dtypes[rng.below(dtypes.len())];
        let x = any_layout(&mut rng, dtype, 1100);
        let (axis, reduced) = random_axes(&mut rng, x.ndim());
        let values = x.cast(DType::I64).unwrap().to_vec::<i64>().unwrap();
        let (kept, groups) = groups(&x, &reduced);
        let several = reduced.iter().filter(|r| **r).count() > 1;
        let (name, f): (&str, fn(i64, i64) -> i64) = match rng.below(5) {
            0 => ("mul", i64::wrapping_mul),
            1 if dtype == DType::U64 => ("least", |a, b| (a as u64).min(b as u64) as i64),
            1 => ("least", |a, b| a.min(b)),
            2 => ("all", |a, b| a & b),
            3 if !several => ("sub", i64::wrapping_sub),
            _ => ("add", i64::wrapping_add),
        };
        let expected: Vec<i64> = groups
            .iter()
            .map(|g| g.iter().map(|i| values[*i]).reduce(f).unwrap())
            .collect();
        let expected = Array::from_vec(expected, &kept).unwrap();
        let keepdims = rng.below(2) == 0;
        let options = Reduce {
            axis,
            keepdims,
            ..Reduce::default()
        };
        let engine = &engines[case % engines.len()];
        let result = ufunc(name).reduce(engine, &x, &options).unwrap();
        let wide = match (name, dtype.is_signed_int()) {
            ("add" | "mul", true) => DType::I64,
            ("add" | "mul", false) => DType::U64,
            _ => dtype,
        };
        assert_eq!(result.dtype(), wide, "{name} of {dtype}");
        assert_eq!(result.ndim(), if keepdims { x.ndim() } else { kept.len() });
        let what = format!("{name} {x:?} {options:?} {engine:?}");
        let expected = expected
            .cast(result.dtype())
            .unwrap()
            .cast(DType::I64)
            .unwrap();
        let result = result.cast(DType::I64).unwrap();
        assert_eq!(
            result.to_vec::<i64>().unwrap(),
            expected.to_vec::<i64>().unwrap(),
            "{what}"
        );
    }
}

/// A ufunc of the user goes the same tree as a sum, on any engine, along any axis.
#[test]
fn user_functions_have_the_bits_of_the_tree() {
    let mut rng = Rng(5);
    let engines = all_engines();
    let prob = |a: f32, b: f32| a + b - 0.001 * a * b;
    let cases: &[(&[usize], i64)] = &[
        (&[5000], 0),
        (&[1], 0),
        (&[17], 0),
        (&[2500, 9], 0),
        (&[9, 2500], 1),
        (&[3000, 70], 0),
        (&[70, 20], 1),
        (&[4, 1030, 8], 1),
        (&[140_000], 0),
    ];
    for (shape, axis) in cases {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = (0..n)
            .map(|_| rng.below(1 << 20) as f32 / 2e6 - 0.2)
            .collect();
        let x = Array::from_vec(values.clone(), shape).unwrap();
        let mut reduced = vec![false; shape.len()];
        reduced[*axis as usize] = true;
        for (name, f) in [
            ("prob", &prob as &dyn Fn(f32, f32) -> f32),
            ("add", &|a, b| a + b),
        ] {
            let (_, groups) = groups(&x, &reduced);
            let expected: Vec<u32> = groups
                .iter()
                .map(|g| {
                    let column: Vec<Option<f32>> = g.iter().map(|i| Some(values[*i])).collect();
                    tree(&column, f).unwrap().to_bits()
                })
                .collect();
            for engine in engines.iter().filter(|e| !e.options().interp || n < 30_000) {
                let options = Reduce {
                    axis: (*axis).into(),
                    ..Reduce::default()
                };
                let result = ufunc(name).reduce(engine, &x, &options).unwrap();
                let bits: Vec<u32> = result
                    .to_vec::<f32>()
                    .unwrap()
                    .iter()
                    .map(|v| v.to_bits())
                    .collect();
                assert_eq!(bits, expected, "{name} {shape:?} {engine:?}");
            }
        }
    }
}

/// A ufunc that is not reorderable goes from left to right, and accumulate always does.
#[test]
fn sequences() {
    let mut rng = Rng(7);
    let blend = |a: f64, b: f64| 0.5 * a + b;
    let engines = all_engines();
    for case in 0..60 {
        let x = any_layout(&mut rng, DType::F64, 1500);
        if x.ndim() == 0 {
            continue;
        }
        let axis = rng.below(x.ndim());
        let mut reduced = vec![false; x.ndim()];
        reduced[axis] = true;
        let values = x.to_vec::<f64>().unwrap();
        let (_, groups) = groups(&x, &reduced);
        let engine = &engines[case % engines.len()];
        let mut running = vec![0.0; x.size()];
        let mut last = Vec::new();
        for group in &groups {
            let mut acc = values[group[0]];
            running[group[0]] = acc;
            for i in &group[1..] {
                acc = blend(acc, values[*i]);
                running[*i] = acc;
            }
            last.push(acc);
        }
        let options = Reduce {
            axis: (axis as i64).into(),
            ..Reduce::default()
        };
        let result = ufunc("blend").reduce(engine, &x, &options).unwrap();
        assert_eq!(
            result.to_vec::<f64>().unwrap(),
            last,
            "{x:?} {axis} {engine:?}"
        );
        let result = ufunc("blend")
            .accumulate(engine, &x, axis as i64, None)
            .unwrap();
        assert_eq!(result.shape(), x.shape());
        assert_eq!(
            result.to_vec::<f64>().unwrap(),
            running,
            "{x:?} {axis} {engine:?}"
        );
    }
}

#[test]
fn masks_leave_elements_out_of_the_tree() {
    let mut rng = Rng(9);
    let engines = all_engines();
    let prob = |a: f64, b: f64| a + b - 0.001 * a * b;
    for case in 0..60 {
        let x = any_layout(&mut rng, DType::F64, 2100);
        let (axis, reduced) = random_axes(&mut rng, x.ndim());
        let few = rng.below(3) == 0;
        let mask: Vec<bool> = (0..x.size())
            .map(|_| rng.below(if few { 40 } else { 2 }) == 0)
            .collect();
        let mask = Array::from_vec(mask, x.shape()).unwrap();
        let (values, picks) = (x.to_vec::<f64>().unwrap(), mask.to_vec::<bool>().unwrap());
        let (_, groups) = groups(&x, &reduced);
        let engine = &engines[case % engines.len()];
        let initial = (rng.below(2) == 0).then_some(0.25);
        let expected: Vec<u64> = groups
            .iter()
            .map(|g| {
                let column: Vec<Option<f64>> =
                    g.iter().map(|i| picks[*i].then_some(values[*i])).collect();
                let value = match (tree(&column, &prob), initial) {
                    (Some(value), Some(initial)) => prob(initial, value),
                    (value, initial) => value.or(initial).unwrap_or(0.0),
                };
                value.to_bits()
            })
            .collect();
        let options = Reduce {
            axis,
            initial: initial.map(Arg::Float),
            where_: Some(&mask),
            ..Reduce::default()
        };
        let result = ufunc("prob").reduce(engine, &x, &options).unwrap();
        let bits: Vec<u64> = result
            .to_vec::<f64>()
            .unwrap()
            .iter()
            .map(|v| v.to_bits())
            .collect();
        assert_eq!(bits, expected, "{x:?} {options:?} {engine:?}");
    }
    // A sequence starts from its initial value, and goes on past what is left out.
    let x = Array::from_vec(vec![10.0f64, 1.0, 2.0, 4.0], &[4]).unwrap();
    let mask = Array::from_vec(vec![true, false, true, true], &[4]).unwrap();
    let options = Reduce {
        initial: Some(Arg::Float(100.0)),
        where_: Some(&mask),
        ..Reduce::default()
    };
    let result = ufunc("sub").reduce(&cpu(), &x, &options).unwrap();
    assert_eq!(result.item().unwrap(), Scalar::f64(84.0));
}

/// Every row of the table of slices is a reduction of its own.
#[test]
fn slices_reduce_on_their_own_trees() {
    let mut rng = Rng(13);
    let engines = all_engines();
    let prob = |a: f64, b: f64| a + b - 0.001 * a * b;
    for case in 0..60 {
        let x = any_layout(&mut rng, DType::F64, 1500);
        if x.ndim() == 0 {
            continue;
        }
        let axis = rng.below(x.ndim());
        let extent = x.shape()[axis];
        let indices: Vec<i64> = (0..rng.below(6))
            .map(|_| rng.below(extent) as i64)
            .collect();
        let mut reduced = vec![false; x.ndim()];
        reduced[axis] = true;
        let values = x.to_vec::<f64>().unwrap();
        let (_, groups) = groups(&x, &reduced);
        let engine = &engines[case % engines.len()];
        let at = Array::from_vec(indices.clone(), &[indices.len()]).unwrap();
        for name in ["prob", "sub"] {
            let result = ufunc(name)
                .reduceat(engine, &x, &at, axis as i64, None)
                .unwrap();
            let mut shape = x.shape().to_vec();
            shape[axis] = indices.len();
            assert_eq!(result.shape(), shape);
            for (n, start) in indices.iter().enumerate() {
                let start = *start as usize;
                let next = indices.get(n + 1).map_or(extent, |i| *i as usize);
                let part = start..next.max(start + 1);
                let mut index = vec![SliceIndex::ALL; x.ndim()];
                index[axis] = SliceIndex::At(n as i64);
                let found = result.slice(&index).unwrap().to_vec::<f64>().unwrap();
                for (group, found) in groups.iter().zip(found) {
                    let slice: Vec<Option<f64>> = group[part.clone()]
                        .iter()
                        .map(|i| Some(values[*i]))
                        .collect();
                    let expected = match name {
                        "prob" => tree(&slice, &prob),
                        _ => slice.into_iter().flatten().reduce(|a, b| a - b),
                    };
                    assert_eq!(Some(found), expected, "{name} {x:?} {axis} {indices:?}");
                }
            }
        }
    }
}

#[test]
fn at_applies_duplicates_in_order() {
    let mut rng = Rng(17);
    for engine in all_engines() {
        for name in ["add", "blend", "prob"] {
            let f = |a: f64, b: f64| match name {
                "add" => a + b,
                "blend" => 0.5 * a + b,
                _ => a + b - 0.001 * a * b,
            };
            let (rows, columns) = (1 + rng.below(40), [1, 3, 1500][rng.below(3)]);
            let start: Vec<f64> = (0..rows * columns).map(|i| i as f64).collect();
            let mut target = Array::from_vec(start.clone(), &[rows, columns]).unwrap();
            let n = rng.below(60);
            let indices: Vec<i64> = (0..n)
                .map(|_| rng.below(2 * rows) as i64 - rows as i64)
                .collect();
            let values: Vec<f64> = (0..n).map(|_| rng.below(100) as f64 / 8.0).collect();
            let mut expected = start;
            for (i, v) in indices.iter().zip(&values) {
                let row = i.rem_euclid(rows as i64) as usize;
                for x in &mut expected[row * columns..(row + 1) * columns] {
                    *x = f(*x, *v);
                }
            }
            let indices = Array::from_vec(indices, &[n]).unwrap();
            let values = Arg::Array(Array::from_vec(values, &[n, 1]).unwrap());
            let old = target.clone();
            ufunc(name)
                .at(&engine, &mut target, &indices, Some(&values))
                .unwrap();
            assert_eq!(
                target.to_vec::<f64>().unwrap(),
                expected,
                "{name} {engine:?}"
            );
            assert_eq!(
                old.get(&[0, 0]).unwrap(),
                Scalar::f64(0.0),
                "other handles keep theirs"
            );
        }
        // Mixed dtypes, a unary ufunc, a strided target.
        let mut target = Array::from_vec(vec![1.0f32; 6], &[6]).unwrap();
        let two = Array::from_vec(vec![1i64, 1, 4], &[3]).unwrap();
        let values = Arg::Array(Array::from_vec(vec![1i16, 2, 3], &[3]).unwrap());
        ufunc("narrow")
            .at(&engine, &mut target, &two, Some(&values))
            .unwrap();
        assert_eq!(
            target.to_vec::<f32>().unwrap(),
            [1.0, 4.0, 1.0, 1.0, 4.0, 1.0]
        );
        ufunc("twice").at(&engine, &mut target, &two, None).unwrap();
        assert_eq!(
            target.to_vec::<f32>().unwrap(),
            [1.0, 16.0, 1.0, 1.0, 8.0, 1.0]
        );
        let step = SliceIndex::Range {
            start: None,
            end: None,
            step: -2,
        };
        let mut part = target.slice(&[step]).unwrap();
        let two = Array::from_vec(vec![0i64, -1, 0], &[3]).unwrap();
        ufunc("add")
            .at(&engine, &mut part, &two, Some(&Arg::Int(1)))
            .unwrap();
        assert_eq!(part.to_vec::<f32>().unwrap(), [3.0, 1.0, 17.0]);
    }
}

#[test]
fn ten_million_ones_are_ten_million() {
    let n = 10_000_000;
    for dtype in [DType::F32, DType::F64] {
        let one = match dtype {
            DType::F32 => Scalar::f32(1.0),
            _ => Scalar::f64(1.0),
        };
        let ones = Array::full(one, &[n]).unwrap();
        for engine in [cpu(), threads(2)] {
            let sum = ufunc("add")
                .reduce(&engine, &ones, &Reduce::default())
                .unwrap();
            assert_eq!(sum.item().unwrap().to_f64(), 1e7, "{dtype} {engine:?}");
        }
    }
}

/// Threads change no bit, and the sum of many f32 is right to a few units in the last place.
#[test]
fn sums_are_accurate_and_the_same_on_any_number_of_threads() {
    let n = 10_000_000;
    let mut rng = Rng(19);
    let values: Vec<f32> = (0..n)
        .map(|_| rng.below(1 << 24) as f32 / (1 << 24) as f32)
        .collect();
    // Multiples of 2^-24 below 1: their sum is exact in 64 bits.
    let exact = values
        .iter()
        .map(|v| (*v * (1 << 24) as f32) as u64)
        .sum::<u64>() as f64;
    let exact = exact / (1 << 24) as f64;
    let x = Array::from_vec(values, &[n]).unwrap();
    let matrix = x.reshape(&[5000, 2000]).unwrap();
    let mut first: Option<(u32, Vec<f32>)> = None;
    for count in [1, 2, 3, 7, 16, 64] {
        let engine = threads(count);
        let sum = ufunc("add")
            .reduce(&engine, &x, &Reduce::default())
            .unwrap();
        let sum = sum.item().unwrap().as_f32();
        let ulp = f32::from_bits(sum.to_bits() + 1) - sum;
        let error = (sum as f64 - exact).abs() / ulp as f64;
        assert!(error <= 4.0, "{sum} {exact}: {error} ulp");
        let columns = ufunc("add")
            .reduce(&engine, &matrix, &Reduce::default())
            .unwrap();
        let found = (sum.to_bits(), columns.to_vec::<f32>().unwrap());
        assert_eq!(
            first.get_or_insert(found.clone()),
            &found,
            "{count} threads"
        );
    }
}

#[test]
fn widening_and_dtypes() -> Result<()> {
    let engine = cpu();
    let flags = Array::from_vec(vec![true; 300], &[300])?;
    let sum = ufunc("add").reduce(&engine, &flags, &Reduce::default())?;
    assert_eq!(sum.item()?, Scalar::int(DType::I64, 300));
    let small = Array::from_vec(vec![100u8; 5], &[5])?;
    let running = ufunc("add").accumulate(&engine, &small, 0, None)?;
    assert_eq!(running.to_vec::<u64>()?, [100, 200, 300, 400, 500]);
    let narrow = Reduce {
        dtype: Some(DType::U8),
        ..Reduce::default()
    };
    let sum = ufunc("add").reduce(&engine, &small, &narrow)?;
    assert_eq!(sum.item()?, Scalar::int(DType::U8, 244));
    // Others stay in their dtype.
    let difference = ufunc("sub").reduce(&engine, &small, &Reduce::default())?;
    assert_eq!(difference.dtype(), DType::U8);
    // Conversion to the dtype asked for may lose something, as in NumPy.
    let x = Array::from_vec(vec![1.75f64, 2.75], &[2])?;
    let whole = Reduce {
        dtype: Some(DType::I32),
        ..Reduce::default()
    };
    assert_eq!(
        ufunc("add").reduce(&engine, &x, &whole)?.item()?,
        Scalar::int(DType::I32, 3)
    );
    // A sum of -0s is -0, and 0-d arrays reduce to themselves.
    let zeros = Array::full(Scalar::f32(-0.0), &[3])?;
    let sum = ufunc("add").reduce(&engine, &zeros, &Reduce::default())?;
    assert_eq!(sum.item()?, Scalar::f32(-0.0));
    let one = Array::scalar(Scalar::f32(7.0));
    assert_eq!(
        ufunc("add")
            .reduce(&engine, &one, &Reduce::default())?
            .item()?,
        Scalar::f32(7.0)
    );
    // Nothing to reduce.
    let none = Array::zeros(DType::F32, &[0, 3])?;
    assert_eq!(
        ufunc("add")
            .reduce(&engine, &none, &Reduce::default())?
            .to_vec::<f32>()?,
        [0.0; 3]
    );
    let along = Reduce {
        axis: Axis::One(1),
        ..Reduce::default()
    };
    assert_eq!(ufunc("least").reduce(&engine, &none, &along)?.shape(), [0]);
    let nowhere = Reduce {
        axis: Axis::Many(vec![]),
        ..Reduce::default()
    };
    assert_eq!(
        ufunc("sub")
            .reduce(&engine, &x, &nowhere)?
            .to_vec::<f64>()?,
        [1.75, 2.75]
    );
    let start = Reduce {
        initial: Some(Arg::Int(5)),
        ..Reduce::default()
    };
    assert_eq!(
        ufunc("sub").reduce(&engine, &x, &start)?.item()?,
        Scalar::f64(0.5)
    );
    let mut out = Array::zeros(DType::F32, &[])?;
    ufunc("add").reduce_into(&engine, &x, &Reduce::default(), &mut out)?;
    assert_eq!(out.item()?, Scalar::f32(4.5));
    let a = Array::from_vec(vec![1i8, 2], &[2, 1])?;
    let table = ufunc("sub")
        .outer(&engine, &Arg::Array(a), &Arg::Int(1))?
        .remove(0);
    assert_eq!(
        (table.shape(), table.to_vec::<i8>()?),
        (&[2, 1][..], vec![0, 1])
    );
    Ok(())
}

/// Extremes with NaNs and zeros of both signs, along either axis, are what folding pairs gives.
#[test]
fn extremes_order_zeros_and_nans() {
    let text = "
        ufunc least<T: float>(a: T, b: T) -> T { min(a, b) }
        ufunc most<T: float>(a: T, b: T) -> T { max(a, b) }
        ufunc fleast<T: float>(a: T, b: T) -> T { fmin(a, b) }
        ufunc fmost<T: float>(a: T, b: T) -> T { fmax(a, b) }";
    let program = Arc::new(Program::compile(Source::new("x.k", text)).unwrap());
    let mut rng = Rng(23);
    let engines = engines();
    let oracle = engines.iter().find(|e| e.options().interp).unwrap();
    let bits = |x: Array| -> Vec<u32> {
        let values = x.to_vec::<f32>().unwrap();
        let canonical = |v: &f32| if v.is_nan() { f32::NAN } else { *v }.to_bits();
        values.iter().map(canonical).collect()
    };
    for case in 0..40 {
        let odd = [
            0.0,
            -0.0,
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            1.0,
            -1.0,
        ];
        let few = 1 + rng.below(odd.len());
        let (rows, columns) = ([1, 5, 40, 1500][case % 4], [1, 9, 40][case % 3]);
        let values = (0..rows * columns).map(|_| odd[rng.below(few)]).collect();
        let x = Array::from_vec(values, &[rows, columns]).unwrap();
        for name in ["least", "most", "fleast", "fmost"] {
            let ufunc = Ufunc::new(&program, name).unwrap();
            for axis in [Axis::One(0), Axis::One(1), Axis::All] {
                let options = Reduce {
                    axis,
                    ..Reduce::default()
                };
                let expected = bits(ufunc.reduce(oracle, &x, &options).unwrap());
                for engine in &engines {
                    let found = bits(ufunc.reduce(engine, &x, &options).unwrap());
                    assert_eq!(found, expected, "{name} {x:?} {options:?} {engine:?}");
                }
            }
        }
    }
}

#[test]
fn plain_operations_may_be_regrouped_in_every_dtype() {
    let text = "ufunc named<T: number>(a: T, b: T) -> T identity 0 { a + b }
                ufunc plain<T: number>(a: T, b: T) -> T { a + b }
                ufunc most<T: number>(a: T, b: T) -> T { max(a, b) }
                ufunc product<T: number>(a: T, b: T) -> T { a * b }";
    let program = Arc::new(Program::compile(Source::new("p.k", text)).unwrap());
    let f = |name: &str| Ufunc::new(&program, name).unwrap();
    let engine = cpu();
    let options = Reduce {
        axis: Axis::All,
        ..Reduce::default()
    };
    for dtype in [DType::F16, DType::F32, DType::C64, DType::C128] {
        let x: Vec<f32> = (0..5000).map(|n| (n % 7) as f32 / 8.0).collect();
        let x = Array::from_vec(x, &[50, 100]).unwrap();
        let x = x.cast(dtype).unwrap();
        let all = |name: &str| f(name).reduce(&engine, &x, &options).unwrap();
        // The tree, not from left to right.
        let bytes = |x: Array| x.bytes().unwrap().to_vec();
        assert_eq!(bytes(all("plain")), bytes(all("named")), "{dtype}");
        all("product");
        all("most");
    }
}
