//! Tests of array programs: the parts that need no kernel by themselves, then whole programs from
//! source text against answers worked out by hand or with NumPy.

use super::value::Value;
use super::{RunOptions, format, format_array, generate, params, run, scalar, uses};
use crate::array::Array;
use crate::engine::{Engine, EngineOptions, Target};
use crate::error::{ErrorKind, RuntimeError};
use kjit_driver::{Program, Source};
use kjit_ir::host::{
    HostCallee, HostExpr, HostExprKind, HostFn, HostParam, HostProgram, HostStmt, HostStmtKind,
};
use kjit_ir::{BinaryOp, DType, Loc, Scalar};

// Formatting.

fn formatted<T: crate::Element>(values: Vec<T>, shape: &[usize]) -> String {
    format::array(&Array::from_vec(values, shape).unwrap()).unwrap()
}

#[test]
fn numbers_print_as_their_shortest_text() {
    assert_eq!(
        format::scalar(Scalar::f64(0.1 + 0.2)),
        "0.30000000000000004"
    );
    assert_eq!(format::scalar(Scalar::f32(0.1)), "0.1");
    assert_eq!(format::scalar(Scalar::f64(3.0)), "3.0");
    assert_eq!(format::scalar(Scalar::f64(f64::NAN)), "nan");
    assert_eq!(format::scalar(Scalar::f64(f64::NEG_INFINITY)), "-inf");
    assert_eq!(
        format::scalar(Scalar::int(DType::U64, u64::MAX as i128)),
        "18446744073709551615"
    );
    assert_eq!(format::scalar(Scalar::int(DType::I8, -128)), "-128");
    assert_eq!(format::scalar(Scalar::bool(true)), "true");
}

#[test]
fn arrays_print_as_numpy_prints_them() {
    assert_eq!(formatted(vec![1i64, -20, 3], &[3]), "[  1 -20   3]");
    assert_eq!(
        formatted(vec![1.0f64, 2.5, -3.25], &[3]),
        "[ 1.    2.5  -3.25]"
    );
    assert_eq!(
        formatted(vec![1.0f64, f64::NAN, f64::INFINITY], &[3]),
        "[ 1. nan inf]"
    );
    assert_eq!(formatted(vec![1e-10f64, 1.0], &[2]), "[1.e-10 1.e+00]");
    assert_eq!(
        formatted(vec![1.5e10f64, -2.25], &[2]),
        "[ 1.50e+10 -2.25e+00]"
    );
    assert_eq!(
        formatted(vec![1.0f64 / 3.0, 0.5], &[2]),
        "[0.33333333 0.5       ]"
    );
    assert_eq!(formatted(vec![0.1f32, 0.25], &[2]), "[0.1  0.25]");
    assert_eq!(formatted(vec![true, false], &[2]), "[ true false]");
    assert_eq!(formatted(Vec::<f64>::new(), &[0]), "[]");
    assert_eq!(formatted((0..4i32).collect(), &[2, 2]), "[[0 1]\n [2 3]]");
    assert_eq!(
        formatted((0..8u8).collect(), &[2, 2, 2]),
        "[[[0 1]\n  [2 3]]\n\n [[4 5]\n  [6 7]]]"
    );
}

#[test]
fn long_arrays_are_abbreviated() {
    assert_eq!(
        formatted((0..1001i64).collect(), &[1001]),
        "[   0    1    2 ...  998  999 1000]"
    );
    let whole = formatted((0..1000i64).collect(), &[1000]);
    assert!(whole.contains(" 500 ") && whole.lines().all(|l| l.len() <= 76));
    let plane = formatted((0..1200i64).collect(), &[40, 30]);
    assert_eq!(plane.lines().count(), 7);
    assert!(plane.lines().nth(3) == Some(" ..."));
}

// Literals and params.

#[test]
fn literals_adopt_dtypes_they_fit() {
    let loc = Loc::default();
    assert_eq!(
        scalar::adopt(&Value::Int(255), DType::U8, loc),
        Ok(Scalar::int(DType::U8, 255))
    );
    assert_eq!(
        scalar::adopt(&Value::Int(2), DType::F32, loc),
        Ok(Scalar::f32(2.0))
    );
    let error = scalar::adopt(&Value::Int(256), DType::U8, loc).unwrap_err();
    assert_eq!(error.message, "256 does not fit u8, which holds 0 to 255");
    assert!(scalar::adopt(&Value::Int(-1), DType::U64, loc).is_err());
    assert!(scalar::adopt(&Value::Float(1e300), DType::F32, loc).is_err());
    assert!(scalar::adopt(&Value::Float(1.0), DType::I32, loc).is_err());
}

fn param(name: &str, default: HostExprKind, dtype: Option<DType>) -> HostParam {
    HostParam {
        name: name.into(),
        default: expr(default),
        dtype,
        loc: Loc::default(),
    }
}

fn param_value(default: Value, dtype: Option<DType>, text: &str) -> Result<String, RuntimeError> {
    let param = param("n", HostExprKind::Int(0), dtype);
    params::value(&param, default, Some(text)).map(|v| {
        format!(
            "{} {}",
            format::simple(&v).unwrap(),
            if let Value::Scalar(s) = v {
                s.dtype().name()
            } else {
                "plain"
            }
        )
    })
}

#[test]
fn params_take_numbers_of_their_kind() {
    let int = || Value::Int(1);
    assert_eq!(
        param_value(int(), None, "1e8").as_deref(),
        Ok("100000000 plain")
    );
    assert_eq!(
        param_value(int(), None, "1_000").as_deref(),
        Ok("1000 plain")
    );
    assert_eq!(param_value(int(), None, "-3").as_deref(), Ok("-3 plain"));
    assert!(
        param_value(int(), None, "1.5")
            .unwrap_err()
            .message
            .contains("integer")
    );
    assert!(param_value(int(), None, "many").is_err());
    assert!(param_value(int(), None, "1e30").is_err());
    assert_eq!(
        param_value(Value::Float(0.5), None, "2").as_deref(),
        Ok("2.0 plain")
    );
    assert!(param_value(Value::Float(0.5), None, "x").is_err());
    assert_eq!(
        param_value(int(), Some(DType::I32), "7").as_deref(),
        Ok("7 i32")
    );
    assert!(param_value(int(), Some(DType::U8), "256").is_err());
    assert_eq!(
        param_value(Value::Float(1.0), Some(DType::F32), "0.1").as_deref(),
        Ok("0.1 f32")
    );
    assert_eq!(
        param_value(Value::Scalar(Scalar::bool(false)), None, "true").as_deref(),
        Ok("true bool")
    );
    assert!(param_value(Value::Scalar(Scalar::bool(false)), None, "2").is_err());
}

#[test]
fn unknown_params_are_errors_that_name_the_known_ones() {
    let known = [
        param("n", HostExprKind::Int(1), None),
        param("seed", HostExprKind::Int(2), None),
    ];
    let given = [("m".to_string(), "3".to_string())];
    let error = params::overrides(&known, &given).unwrap_err();
    assert_eq!(error.message, "there is no param named m");
    assert_eq!(
        error.help.as_deref(),
        Some("the params of the program are n, seed")
    );
    let twice = [
        ("n".to_string(), "3".to_string()),
        ("n".to_string(), "4".to_string()),
    ];
    assert_eq!(
        params::overrides(&known, &twice).unwrap(),
        [Some("4"), None]
    );
}

// Which variables are stored.

fn expr(kind: HostExprKind) -> HostExpr {
    HostExpr {
        kind,
        loc: Loc::default(),
    }
}

fn slot(n: usize) -> HostExpr {
    expr(HostExprKind::Slot(n))
}

fn times(a: HostExpr, b: HostExpr) -> HostExpr {
    expr(HostExprKind::Binary(
        BinaryOp::Mul,
        Box::new(a),
        Box::new(b),
    ))
}

fn call(function: HostFn, args: Vec<HostExpr>) -> HostExpr {
    expr(HostExprKind::Call {
        callee: HostCallee::Builtin(function),
        args,
        named: Vec::new(),
    })
}

fn stmt(kind: HostStmtKind) -> HostStmt {
    HostStmt {
        kind,
        loc: Loc::default(),
    }
}

fn assign(slot: usize, value: HostExpr) -> HostStmt {
    stmt(HostStmtKind::Assign {
        targets: vec![slot],
        value,
    })
}

fn shared(slots: usize, body: Vec<HostStmt>) -> Vec<bool> {
    let names = (0..slots).map(|n| format!("x{n}")).collect();
    let program = HostProgram {
        params: Vec::new(),
        slots: names,
        body,
    };
    uses::shared_slots(&program, &|_| false)
}

#[test]
fn only_variables_with_several_consumers_are_stored() {
    let make = || assign(0, call(HostFn::Uniform, vec![expr(HostExprKind::Int(3))]));
    let print = |e| stmt(HostStmtKind::Expr(call(HostFn::Print, vec![e])));
    let sum = |e| call(HostFn::Sum, vec![e]);
    // One reduction, however often it names the variable.
    assert_eq!(
        shared(1, vec![make(), print(sum(times(slot(0), slot(0))))]),
        [false]
    );
    // Two reductions, in one statement or in two.
    assert_eq!(
        shared(1, vec![make(), print(times(sum(slot(0)), sum(slot(0))))]),
        [true]
    );
    assert_eq!(
        shared(1, vec![make(), print(sum(slot(0))), print(sum(slot(0)))]),
        [true]
    );
    // A chain of single uses.
    let chain = vec![
        make(),
        assign(1, times(slot(0), slot(0))),
        print(sum(slot(1))),
    ];
    assert_eq!(shared(2, chain), [false, false]);
    // Only the shape is looked at.
    assert_eq!(
        shared(
            1,
            vec![
                make(),
                print(call(HostFn::Size, vec![slot(0)])),
                print(sum(slot(0)))
            ]
        ),
        [false]
    );
    // Used again in every round of a loop.
    let looped = |body| {
        stmt(HostStmtKind::For {
            slot: 1,
            start: expr(HostExprKind::Int(0)),
            end: expr(HostExprKind::Int(9)),
            body,
        })
    };
    assert!(shared(2, vec![make(), looped(vec![print(sum(slot(0)))])])[0]);
    // Made anew in every round and used once in it.
    assert!(!shared(2, vec![looped(vec![make(), print(sum(slot(0)))])])[0]);
    // Carried from round to round.
    let carried = vec![make(), looped(vec![assign(0, times(slot(0), slot(0)))])];
    assert!(shared(2, carried)[0]);
}

// Whole programs.

/// Runs a program on a target: what it prints, or how it fails.
fn run_on(target: Target, text: &str, params: &[(&str, &str)]) -> Result<String, RuntimeError> {
    let program = Program::compile(Source::new("test.k", text)).unwrap_or_else(|list| {
        let messages: Vec<&str> = list.iter().map(|d| d.message.as_str()).collect();
        panic!("{messages:?} in:\n{text}")
    });
    let engine = Engine::new(EngineOptions {
        target,
        ..EngineOptions::default()
    })?;
    let mut out = Vec::new();
    let params = params
        .iter()
        .map(|(n, v)| (n.to_string(), v.to_string()))
        .collect();
    run(
        &engine,
        &program,
        RunOptions {
            params,
            out: &mut out,
            base_dir: None,
        },
    )?;
    Ok(String::from_utf8(out).unwrap())
}

pub(super) fn prints(text: &str, expected: &str) {
    match run_on(Target::Cpu, text, &[]) {
        Ok(out) => assert_eq!(out.trim_end(), expected.trim_end(), "in:\n{text}"),
        Err(error) => panic!("{error} in:\n{text}"),
    }
}

/// Fails with this message, at this part of the source.
pub(super) fn fails(text: &str, kind: ErrorKind, message: &str, place: &str) {
    let error = run_on(Target::Cpu, text, &[]).expect_err(text);
    assert_eq!(
        (&error.kind, error.message.as_str()),
        (&kind, message),
        "in:\n{text}"
    );
    let found = &text[error.loc.start as usize..error.loc.end as usize];
    assert_eq!(found, place, "place of: {message}");
}

#[test]
fn operators_promote_as_numpy_2() {
    prints(
        "main {
            let i = arange(3, dtype = i32);
            let f = linspace(0.0, 1.0, 3, dtype = f32);
            print(2 * i, 2.5 * i, f * 2, f * 2.5);
            print(i + f, i / 2, i % 2, -i);
            print(i < 2, i == 1 || i == 2, !(i > 0));
            print(i & 1, i << 2, i as u8 | 4);
        }",
        "[0 2 4] [0.  2.5 5. ] [0. 1. 2.] [0.   1.25 2.5 ]\n\
         [0.  1.5 3. ] [0 0 1] [0 1 0] [ 0 -1 -2]\n\
         [ true  true false] [false  true  true] [ true false false]\n\
         [0 1 0] [0 4 8] [4 5 6]",
    );
}

#[test]
fn reductions_match_numpy() {
    prints(
        "main {
            let x = [3, 1, 4, 1, 5, 9, 2, 6];
            print(sum(x), mean(x), min(x), max(x), argmin(x), argmax(x), dot(x, x));
            let y = x as f32 / 8.0;
            print(sum(y), mean(y), min(y), max(y), argmin(-y), argmax(-y));
            print(sum(x > 2), mean(x > 2), min(x > 0), max(x > 9));
            print(sum(zeros(0)), sum(x as u8), len(x), size(reshape(x, (2, 4))));
        }",
        "31 3.875 1 9 1 5 173\n3.875 0.484375 0.125 1.125 5 1\n5 0.625 true false\n0.0 31 8 8",
    );
}

#[test]
fn expressions_broadcast_and_generators_keep_their_index() {
    prints(
        "main {
            let row = arange(4) * 10;
            let column = reshape(arange(3), (3, 1));
            print(row + column);
            print(row + zeros((3, 4), dtype = i64) + column);
            let u = uniform(3, seed = 5);
            let v = u + zeros((2, 3));
            assert(v[0] == u && v[1] == u);
            assert(reshape(uniform((2, 3), seed = 5), 6)[0..3] == u);
        }",
        "[[ 0 10 20 30]\n [ 1 11 21 31]\n [ 2 12 22 32]]\n[[ 0 10 20 30]\n [ 1 11 21 31]\n [ 2 12 22 32]]",
    );
}

#[test]
fn slices_read_and_write_copies() {
    prints(
        "main {
            let mut x = reshape(arange(12), (3, 4));
            let y = x;
            x[0, ..] = -1;
            x[1.., 1..3] = 100 + x[1.., 1..3];
            x[-1, -1] = 7;
            print(x);
            print(y[0], y[1, 2], x[.., 0]);
            let z = x[0..2, ..] + 1;
            x[0, 0] = 50;
            print(z[0, 0], sum(transpose(x)[0]));
        }",
        "[[ -1  -1  -1  -1]\n [  4 105 106   7]\n [  8 109 110   7]]\n[0 1 2 3] 6 [-1  4  8]\n0 62",
    );
}

#[test]
fn loops_carry_arrays() {
    prints(
        "main {
            let mut x = ones(3);
            let mut total = 0;
            for i in 0..300 { x = x + i; total = total + i; }
            print(x, total);
            for i in 5..5 { print(i); }
            if total > 5 { print(\"many\"); } else { print(\"few\"); }
        }",
        "[44851. 44851. 44851.] 44850\nmany",
    );
}

#[test]
fn very_large_expressions_are_split() {
    // Each round nearly doubles the expression; written out it would have 2^40 operators.
    prints(
        "main {
            let x = arange(4) as f64;
            let mut y = x;
            let mut z = x;
            for i in 0..40 { y = (y + z) * 0.5; z = (z + y) * 0.5; }
            print(y);
        }",
        "[0. 1. 2. 3.]",
    );
    let terms: Vec<String> = (0..200).map(|i| format!("x * {i}.5")).collect();
    prints(
        &format!("main {{ let x = ones(2); print({}); }}", terms.join(" + ")),
        "[20000. 20000.]",
    );
}

#[test]
fn ufuncs_resolve_and_broadcast() {
    prints(
        "ufunc axpy<T: float>(a: T, x: T, y: T) -> T { a * x + y }
         ufunc split(x: f64) -> (whole: i32, part: f64) { (x as i32, x - floor(x)) }
         main {
            let x = arange(3) as f32;
            print(axpy(2, x, 1), axpy(2.0, 3.0, 1), axpy(0.5, x as f64, x));
            let (w, p) = split([1.5, 2.25]);
            let (a, b) = split(3.75);
            print(w, p, a, b);
        }",
        "[1. 3. 5.] 7.0 [0.  1.5 3. ]\n[1 2] [0.5  0.25] 3 0.75",
    );
}

#[test]
fn params_come_from_outside() {
    let text = "param n = 3; param m = 2 * n; param h: f32 = 0.5; main { print(n, m, h * ones(2, dtype = f32)); }";
    assert_eq!(run_on(Target::Cpu, text, &[]).unwrap(), "3 6 [0.5 0.5]\n");
    assert_eq!(
        run_on(Target::Cpu, text, &[("n", "1e2"), ("h", "2")]).unwrap(),
        "100 200 [2. 2.]\n"
    );
    assert!(run_on(Target::Cpu, text, &[("x", "1")]).is_err());
}

#[test]
fn errors_name_the_place() {
    fails(
        "main { let x = ones(3); print(1 + (x * ones(4))); }",
        ErrorKind::Shape,
        "shapes (3,) and (4,) cannot be broadcast together",
        "(x * ones(4))",
    );
    fails(
        "main { let x = ones(3); x[5]; }",
        ErrorKind::Value,
        "index 5 is out of bounds for axis 0 with 3 elements",
        "x[5]",
    );
    fails(
        "main { let x = [1, 2, 3]; assert(x < 3, \"small\"); }",
        ErrorKind::Value,
        "assertion failed at element 2: small",
        "x < 3",
    );
    fails(
        "main { assert(1 > 2); }",
        ErrorKind::Value,
        "assertion failed",
        "1 > 2",
    );
    fails(
        "main { print(zeros(-1)); }",
        ErrorKind::Shape,
        "an extent cannot be negative: -1",
        "zeros(-1)",
    );
    fails(
        "main { print(max(zeros(0))); }",
        ErrorKind::Value,
        "max of an array without elements (shape (0,))",
        "max(zeros(0))",
    );
    fails(
        "main { let mut x = ones(2, dtype = f32); x[0] = ones(1); }",
        ErrorKind::DType,
        "an f64 array of shape (1,) cannot be stored in an array of f32 without loss",
        "x[0] = ones(1);",
    );
    fails(
        "main { let x = arange(3, dtype = u8); print(x + 300); }",
        ErrorKind::Value,
        "300 does not fit u8, which holds 0 to 255",
        "x + 300",
    );
}

#[test]
fn arguments_outside_a_class_name_its_members() {
    // A float parameter takes integers: the smallest float that holds them all.
    let text = "ufunc half<T: float>(x: T) -> T { x / 2 } main { print(half([1, 2])); }";
    prints(text, "[0.5 1. ]");
    let text = "ufunc neg<T: int>(x: T) -> T { -x } main { print(neg([1.5])); }";
    fails(
        text,
        ErrorKind::DType,
        "neg is not defined for x: f64, since T must be i8, i16, i32, i64, u8, u16, u32 or u64",
        "neg([1.5])",
    );
    let text = "ufunc low<T: uint>(x: T) -> T { x & 1 } main { print(low(3), low([1.5])); }";
    fails(
        text,
        ErrorKind::DType,
        "low is not defined for x: f64, since T must be u8, u16, u32 or u64",
        "low([1.5])",
    );
}

#[test]
fn every_error_has_a_cure() {
    for text in [
        "main { print(zeros(-1)); }",
        "main { print(arange(0, 1, 0)); }",
        "main { for i in 0..2.5 { print(i); } }",
        "main { let x = arange(3); print(x[1.5]); }",
        "main { print(!1.5); }",
        "main { print(len(3)); }",
        "main { print(1 << 64); }",
        "main { let x = 5; print(x[0]); }",
        "main { let x = (1, 2); print(x + 1); }",
        "main { print(dot([1, 2], [1, 2, 3])); }",
        "main { print(uniform(3, seed = 1.5)); }",
        "main { print(full([1], 2)); }",
        "main { print([[1], [1, 2]]); }",
        "main { let mut x = 5; x[0] = 1; }",
        "main { let mut x = ones(3); x[..] = ones(2); }",
        "main { print(reshape(ones(5), (2, -1))); }",
        "main { save([1], \"x.npy\"); }",
        "ufunc f(x: bool) -> bool { !x } main { print(f(1)); }",
        "ufunc f<T: int>(x: T) -> T { x } main { print(f(1.5)); }",
    ] {
        let error = run_on(Target::Cpu, text, &[]).expect_err(text);
        assert!(error.help.is_some(), "{error} in:\n{text}");
    }
}

#[test]
fn articles_fit_the_dtype() {
    fails(
        "main { if [1, 2] > 1 { print(1); } }",
        ErrorKind::DType,
        "the condition of if is one bool, not a bool array of shape (2,)",
        "[1, 2] > 1",
    );
}

#[test]
fn numbers_beyond_every_float_are_errors() {
    let text = "param a = 1.0; main { print(a); }";
    let error = run_on(Target::Cpu, text, &[("a", "1e400")]).unwrap_err();
    assert_eq!(
        error.message,
        "param a cannot be 1e400: no float is as large"
    );
    assert_eq!(run_on(Target::Cpu, text, &[("a", "inf")]).unwrap(), "inf\n");
}

#[test]
fn absurd_sizes_are_errors() {
    for text in [
        "main { print(zeros((1 << 40, 1 << 40))); }",
        "main { print(ones(9_000_000_000_000_000_000)); }",
        "main { print(sum(arange(1 << 62) * 1.0 + zeros((1 << 62, 1)))); }",
        "main { let x = zeros((1 << 30, 1)); print(x + zeros(1 << 40)); }",
    ] {
        let error = run_on(Target::Cpu, text, &[]).expect_err(text);
        assert_eq!(error.kind, ErrorKind::Limit, "{text}: {error}");
        assert!(error.loc.file != 0, "{text}");
    }
}

#[test]
fn targets_print_the_same() {
    let text = "ufunc f<T: float>(x: T) -> T { sqrt(x) * 0.1 + x }
        main {
            let x = uniform(100_003, seed = 3);
            let y = normal((7, 1001), seed = 4, dtype = f32);
            print(sum(x), mean(f(x)), sum(x < 0.25), max(y), argmin(y), mean(y * y));
        }";
    let cpu = run_on(Target::Cpu, text, &[]).unwrap();
    assert_eq!(run_on(Target::Parallel, text, &[]).unwrap(), cpu);
    let near: Vec<f64> = cpu.split_whitespace().map(|t| t.parse().unwrap()).collect();
    assert!((near[0] / 100_003.0 - 0.5).abs() < 0.01, "{cpu}");
    assert!((near[5] - 1.0).abs() < 0.1, "{cpu}");
}

/// Kernels compiled, engine calls, and bytes of arrays stored by a program.
fn work(text: &str) -> (usize, usize, u64) {
    let program = Program::compile(Source::new("test.k", text)).unwrap();
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let mut out = Vec::new();
    run(
        &engine,
        &program,
        RunOptions {
            params: Vec::new(),
            out: &mut out,
            base_dir: None,
        },
    )
    .unwrap();
    let stats = engine.stats();
    (stats.kernels_compiled, stats.calls, stats.bytes_written)
}

#[test]
fn expressions_fuse_into_one_loop() {
    let (kernels, calls, bytes) = work(
        "main {
            let x = uniform(10_000, seed = 1);
            let y = uniform(10_000, seed = 2);
            let r = x * x + y * y;
            print(sum(r < 1.0));
        }",
    );
    assert_eq!((kernels, calls), (1, 1));
    assert!(bytes < 100, "{bytes} bytes stored");
    // Two consumers: the array is stored once and read twice.
    let (_, calls, bytes) = work(
        "main {
            let x = uniform(10_000, seed = 1);
            let r = x * x + 1.0;
            print(min(r), max(r));
        }",
    );
    assert_eq!(calls, 3);
    assert!((80_000..80_100).contains(&bytes), "{bytes} bytes stored");
}

#[test]
fn numbers_are_no_part_of_kernels() {
    let (kernels, calls, _) = work(
        "main {
            let x = uniform(100, seed = 1);
            let y = x + 1.0;
            for i in 1..11 { print(sum(y * i + 0.5 * i)); }
        }",
    );
    assert_eq!((kernels, calls), (2, 11));
}

#[test]
fn files_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::compile(Source::new(
        "files.k",
        "main {
            let x = reshape(arange(6), (2, 3)) as f32;
            save(\"x.npy\", x * 0.5);
            let y = load(\"x.npy\");
            assert(x == 2 * y);
            print(y);
        }",
    ))
    .unwrap();
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let mut out = Vec::new();
    let base_dir = Some(dir.path().to_path_buf());
    run(
        &engine,
        &program,
        RunOptions {
            params: Vec::new(),
            out: &mut out,
            base_dir,
        },
    )
    .unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "[[0.  0.5 1. ]\n [1.5 2.  2.5]]\n"
    );
    assert!(dir.path().join("x.npy").exists());
}

#[test]
fn arrays_are_made_from_command_line_text() {
    let program = Program::compile(Source::new("id.k", "ufunc id(x: f64) -> f64 { x }")).unwrap();
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let make = |maker: &str, rest: &str| generate(&engine, &program, maker, rest);
    let text = |maker: &str, rest: &str| format_array(&make(maker, rest).unwrap());
    assert_eq!(text("arange", "5"), "[0 1 2 3 4]");
    assert_eq!(text("arange", "1:2:0.25"), "[1.   1.25 1.5  1.75]");
    assert_eq!(text("arange", "5:0:-2:dtype=i8"), "[5 3 1]");
    assert_eq!(
        text("linspace", "0:1:5:dtype=f32"),
        "[0.   0.25 0.5  0.75 1.  ]"
    );
    assert_eq!(text("full", "2x3:7"), "[[7 7 7]\n [7 7 7]]");
    assert_eq!(text("zeros", "3:dtype=bool"), "[false false false]");
    let uniform = make("uniform", "1e3:seed=1").unwrap();
    assert_eq!(
        (uniform.shape(), uniform.dtype()),
        (&[1000][..], DType::F64)
    );
    assert_eq!(
        make("uniform", "2x500:seed=1").unwrap().to_vec::<f64>(),
        uniform.to_vec::<f64>()
    );
    assert!(
        uniform
            .to_vec::<f64>()
            .unwrap()
            .iter()
            .all(|x| (0.0..1.0).contains(x))
    );
    assert_eq!(
        make("arange", "300:dtype=u8").unwrap_err().kind,
        ErrorKind::Value
    );
    assert_eq!(make("zeros", "-1").unwrap_err().kind, ErrorKind::Shape);
    assert!(
        make("zeros", "3:seed=1")
            .unwrap_err()
            .message
            .contains("no argument seed")
    );
    assert!(make("linspace", "0:1").is_err());
    assert!(make("random", "3").is_err());
}
