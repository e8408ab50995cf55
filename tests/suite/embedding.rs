//! kjit inside other programs: the macro, and many threads on one engine.

use kjit::{Arg, Array, Engine, EngineOptions, Program, Target, Ufunc};
use std::sync::Arc;

#[test]
fn kernel_macro_checks_source_while_this_crate_builds() {
    let source = kjit::kernel!(
        r#"
        // a raw string with "quotes"
        ufunc twice<T: number>(x: T) -> T { x + x }
        "#
    );
    let program = Arc::new(Program::compile(source).expect("it was checked"));
    let engine = Engine::new(EngineOptions::default()).expect("the cpu engine");
    let twice = Ufunc::new(&program, "twice").expect("the ufunc");
    let z = twice.call(&engine, &[Arg::from(21)]).expect("a call");
    assert_eq!(z[0].item().expect("a scalar").as_int(), 42);
}

/// Every thread compiles, calls and reduces at once, from a cold cache, on one engine of each target.
#[test]
fn many_threads_share_an_engine() {
    let source = kjit::Source::new(
        "t.k",
        "ufunc f<T: float>(x: T, y: T) -> T { sqrt(x * x + y) }",
    );
    let program = Arc::new(Program::compile(source).expect("a program"));
    let x: Vec<f64> = (0..100_003).map(|i| i as f64 / 7.0).collect();
    let expected: Vec<f64> = x.iter().map(|x| (x * x + 2.0).sqrt()).collect();
    let array = Array::from_vec(x, &[100_003]).expect("an array");
    for target in [Target::Cpu, Target::Parallel, Target::Auto, Target::Gpu] {
        let engine = Engine::new(EngineOptions {
            target,
            ..Default::default()
        })
        .expect("an engine");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let f = Ufunc::new(&program, "f").expect("the ufunc");
                    for _ in 0..3 {
                        let z = f
                            .call(&engine, &[Arg::from(&array), Arg::from(2.0)])
                            .expect("a call");
                        assert_eq!(
                            z[0].to_vec::<f64>().expect("the values"),
                            expected,
                            "{target:?}"
                        );
                    }
                });
            }
        });
        let stats = engine.stats();
        assert_eq!(stats.calls, 24, "{target:?}");
    }
}

/// Many sub-arrays without elements: their steps reach further than their memory.
#[test]
fn gufunc_of_empty_rows_on_every_target() {
    let source = kjit::Source::new(
        "t.k",
        "gufunc total<T: number>(x: [T; n]) -> (y: T) {
            let mut sum: T = 0;
            for i in 0..n { sum += x[i]; }
            y = sum;
        }",
    );
    let program = Arc::new(Program::compile(source).expect("a program"));
    let x = Array::zeros(kjit::DType::F64, &[100, 0]).expect("an array");
    for target in [Target::Cpu, Target::Parallel, Target::Gpu] {
        let engine = Engine::new(EngineOptions {
            target,
            ..Default::default()
        })
        .expect("an engine");
        let total = Ufunc::new(&program, "total").expect("the gufunc");
        let y = total.call(&engine, &[Arg::from(&x)]).expect("a call");
        assert_eq!(y[0].to_vec::<f64>().expect("the values"), [0.0; 100]);
    }
}
