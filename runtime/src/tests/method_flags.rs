//! Status flags of methods, reductions and gufuncs: those that NumPy warns of in the same calls.

use crate::{
    Arg, Array, Axis, Engine, EngineOptions, FpeMode, Program, Reduce, ReduceOp, Target, Ufunc,
};
use kjit_driver::{KernelSpec, Source};
use kjit_ir::DType;
use std::sync::Arc;

const TEXT: &str = "
ufunc add<T: number>(a: T, b: T) -> T identity 0 { a + b }
ufunc multiply<T: number>(a: T, b: T) -> T identity 1 { a * b }
ufunc divide<T: float>(a: T, b: T) -> T { a / b }
ufunc maximum<T: number>(a: T, b: T) -> T { max(a, b) }
ufunc inverse<T: float>(a: T) -> T { 1 / a }
gufunc mean(x: [f64; n]) -> (y: f64) {
    let mut sum = 0.0;
    for i in 0..n { sum += x[i]; }
    y = sum / n as f64;
}";

fn ufunc(name: &str) -> Ufunc {
    let program = Program::compile(Source::new("flags.k", TEXT)).unwrap();
    Ufunc::new(&Arc::new(program), name).unwrap()
}

/// Engines of each kind, with this mode.
fn engines(fpe: FpeMode) -> Vec<Engine> {
    let base = || EngineOptions {
        fpe,
        ..EngineOptions::default()
    };
    let mut all = vec![
        base(),
        EngineOptions {
            interp: true,
            ..base()
        },
        EngineOptions {
            scalar: true,
            ..base()
        },
        EngineOptions {
            target: Target::Parallel,
            threads: Some(3),
            ..base()
        },
    ];
    if crate::gpu_available().is_ok() {
        all.push(EngineOptions {
            target: Target::Gpu,
            ..base()
        });
    }
    all.into_iter()
        .map(|options| Engine::new(options).unwrap())
        .collect()
}

/// What a call warns of on each engine, and that it fails with the same words where flags are errors.
fn check(f: impl Fn(&Engine) -> crate::Result<()>, expected: &[&str]) {
    for engine in engines(FpeMode::Ignore) {
        f(&engine).unwrap();
        assert!(engine.take_warnings().is_empty());
    }
    for engine in engines(FpeMode::Warn) {
        f(&engine).unwrap();
        assert_eq!(engine.take_warnings(), expected, "{engine:?}");
    }
    for engine in engines(FpeMode::Raise) {
        let result = f(&engine);
        match result {
            Ok(()) => assert!(expected.is_empty(), "{engine:?}"),
            Err(error) => assert_eq!(error.message, expected.join("; "), "{engine:?}"),
        }
    }
}

fn floats(values: &[f32], shape: &[usize]) -> Array {
    Array::from_vec(values.to_vec(), shape).unwrap()
}

const M: f32 = f32::MAX;
const INF: f32 = f32::INFINITY;

#[test]
fn reduce_reports_the_results_concerned() {
    let (add, maximum) = (ufunc("add"), ufunc("maximum"));
    let reduce = |f: &Ufunc, x: &Array, options: &Reduce, expected: &[&str]| {
        check(|engine| f.reduce(engine, x, options).map(drop), expected);
    };
    let all = || Reduce {
        axis: Axis::All,
        ..Reduce::default()
    };
    let one = ["overflow in add.reduce at 1 of 1 element, first at index ()"];
    reduce(&add, &floats(&[M, M], &[2]), &all(), &one);
    reduce(&add, &floats(&[M, 1.0, -M, 1.0], &[4]), &all(), &[]);
    reduce(&add, &floats(&[INF, 1.0], &[2]), &all(), &[]);
    let odd = ["invalid value in add.reduce at 1 of 1 element, first at index ()"];
    reduce(&add, &floats(&[INF, -INF], &[2]), &all(), &odd);
    // Of three columns the second one.
    let x = floats(&[1.0, M, 2.0, 3.0, M, 4.0], &[2, 3]);
    let second = ["overflow in add.reduce at 1 of 3 elements, first at index (1,)"];
    reduce(&add, &x, &Reduce::default(), &second);
    let x = x.transpose();
    let rows = Reduce {
        axis: Axis::One(1),
        keepdims: true,
        ..Reduce::default()
    };
    let kept = ["overflow in add.reduce at 1 of 3 elements, first at index (1, 0)"];
    reduce(&add, &x, &rows, &kept);
    // What a mask leaves out raises nothing; what comes first does.
    let mask = Array::from_vec(vec![true, false, true], &[3]).unwrap();
    let masked = Reduce {
        where_: Some(&mask),
        ..Reduce::default()
    };
    reduce(&add, &floats(&[M, M, 1.0], &[3]), &masked, &[]);
    let mask = Array::from_vec(vec![true, true, false], &[3]).unwrap();
    let masked = Reduce {
        where_: Some(&mask),
        ..Reduce::default()
    };
    reduce(&add, &floats(&[M, M, 1.0], &[3]), &masked, &one);
    let initial = Reduce {
        initial: Some(Arg::Float(f64::from(M))),
        ..Reduce::default()
    };
    reduce(&add, &floats(&[M], &[1]), &initial, &one);
    // Comparisons with NaN are valid.
    reduce(&maximum, &floats(&[f32::NAN, 1.0], &[2]), &all(), &[]);
    // From left to right.
    let zero = ["divide by zero in divide.reduce at 1 of 2 elements, first at index (1,)"];
    let x = floats(&[1.0, 1.0, 2.0, 0.0], &[2, 2]);
    reduce(&ufunc("divide"), &x, &Reduce::default(), &zero);
    // Long enough for leaves, units and threads.
    let mut values = vec![1.0; 300_000];
    (values[123_456], values[123_472]) = (M, M);
    reduce(&add, &floats(&values, &[300_000]), &all(), &one);
    let columns = floats(&values, &[100_000, 3]);
    reduce(&add, &columns, &Reduce::default(), &[]);
}

#[test]
fn complex_reductions_report_too() {
    let big = num_complex::Complex32::new(0.0, M);
    let x = Array::from_vec(vec![big, big], &[2]).unwrap();
    let one = ["overflow in add.reduce at 1 of 1 element, first at index ()"];
    let add = ufunc("add");
    check(
        |engine| add.reduce(engine, &x, &Reduce::default()).map(drop),
        &one,
    );
}

#[test]
fn other_methods_report_too() {
    let (add, multiply, divide) = (ufunc("add"), ufunc("multiply"), ufunc("divide"));
    let x = floats(&[1e30, 1e30, 1e30, 2.0, 3.0, 4.0], &[2, 3]);
    let running = ["overflow in multiply.accumulate at 1 of 6 elements, first at index (0, 1)"];
    check(
        |engine| multiply.accumulate(engine, &x, 1, None).map(drop),
        &running,
    );
    let x = floats(&[M, M, 1.0, 2.0], &[4]);
    let at = Array::from_vec(vec![2i64, 0, 2], &[3]).unwrap();
    let slices = ["overflow in add.reduceat at 1 of 3 elements, first at index (1,)"];
    check(
        |engine| add.reduceat(engine, &x, &at, 0, None).map(drop),
        &slices,
    );
    let (a, b) = (floats(&[1.0, 2.0], &[2]), floats(&[0.0, 1.0], &[2]));
    let pairs = ["divide by zero in divide at 2 of 4 elements, first at index (0, 0)"];
    check(
        |engine| divide.outer(engine, &(&a).into(), &(&b).into()).map(drop),
        &pairs,
    );
}

/// The target of a call that fails keeps its elements; indices are places in the list.
#[test]
fn at_reports_places_of_the_list() {
    let (divide, inverse) = (ufunc("divide"), ufunc("inverse"));
    let list = Array::from_vec(vec![2i64, 0, 1, 0], &[4]).unwrap();
    let expected = [
        "divide by zero in divide.at at 1 of 4 elements, first at index (0,)",
        "invalid value in divide.at at 1 of 4 elements, first at index (2,)",
    ];
    let values = floats(&[0.0, 2.0, 0.0, 2.0], &[4]);
    check(
        |engine| {
            let mut target = floats(&[8.0, 0.0, 1.0], &[3]);
            let result = divide.at(engine, &mut target, &list, Some(&Arg::from(&values)));
            let host = target.to_host().unwrap().to_vec::<f32>().unwrap();
            if result.is_err() {
                assert_eq!(host, [8.0, 0.0, 1.0]);
            } else {
                assert_eq!((host[0], host[2]), (2.0, INF));
            }
            result
        },
        &expected,
    );
    let pole = ["divide by zero in inverse.at at 1 of 6 elements, first at index (1, 1)"];
    let list = Array::from_vec(vec![1i64, 0, 0], &[3]).unwrap();
    check(
        |engine| {
            let mut target = floats(&[2.0, 0.0, 1.0, 1.0], &[2, 2]);
            inverse.at(engine, &mut target, &list, None)
        },
        &pole,
    );
}

/// `Engine::reduce`: what is summed first, then the sum.
#[test]
fn named_reductions_report_too() {
    let program = Program::compile(Source::new("flags.k", TEXT)).unwrap();
    let spec = |name: &str| KernelSpec::Ufunc {
        name: name.into(),
        generics: vec![DType::F32],
        masked: false,
    };
    let reduce = |name: &str, inputs: &[Array], op, expected: &[&str]| {
        let shape = inputs[0].shape().to_vec();
        let call =
            |engine: &Engine| engine.reduce(&program, &spec(name), inputs, &shape, DType::F32, op);
        check(|engine| call(engine).map(drop), expected);
    };
    let product = ["overflow in multiply at 1 of 2 elements, first at index (1,)"];
    let (x, y) = (floats(&[1.0, 1e30], &[2]), floats(&[1.0, 1e30], &[2]));
    reduce("multiply", &[x, y], ReduceOp::Sum, &product);
    let (x, y) = (floats(&[M, M], &[2]), floats(&[1.0, 1.0], &[2]));
    let sum = ["overflow in sum at 1 of 1 element, first at index ()"];
    reduce("multiply", &[x.clone(), y.clone()], ReduceOp::Sum, &sum);
    reduce("multiply", &[x, y], ReduceOp::Max, &[]);
    let pole = ["divide by zero in inverse at 1 of 2 elements, first at index (0,)"];
    reduce(
        "inverse",
        &[floats(&[0.0, 1.0], &[2])],
        ReduceOp::Min,
        &pole,
    );
}

/// A gufunc reports once for each element of its loop dimensions, whatever its core dimensions hold.
#[test]
fn gufuncs_report_loop_elements() {
    let mean = ufunc("mean");
    let m = f64::MAX;
    let x = Array::from_vec(vec![1.0, 2.0, m, m, f64::INFINITY, -f64::INFINITY], &[3, 2]).unwrap();
    let expected = [
        "invalid value in mean at 1 of 3 elements, first at index (2,)",
        "overflow in mean at 1 of 3 elements, first at index (1,)",
    ];
    check(
        |engine| mean.on(engine).call(&[Arg::from(&x)]).map(drop),
        &expected,
    );
    let none = Array::from_vec(Vec::<f64>::new(), &[2, 0]).unwrap();
    let invalid = ["invalid value in mean at 2 of 2 elements, first at index (0,)"];
    check(
        |engine| mean.on(engine).call(&[Arg::from(&none)]).map(drop),
        &invalid,
    );
}
