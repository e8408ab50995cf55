//! Each pass on small functions: text before and text after.

use crate::passes::{self, Pass};
use crate::text::parse_module;
use crate::{FuncRef, Function};

fn parse(text: &str) -> Function {
    let module = parse_module(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    module[FuncRef(0)].clone()
}

/// Runs one pass and compares what it made with `after`, up to the numbering of values.
#[track_caller]
fn check(pass: fn(&mut Function) -> bool, before: &str, after: &str) {
    let mut func = parse(before);
    crate::verify::verify(&func, None).unwrap_or_else(|e| panic!("before: {e}"));
    pass(&mut func);
    crate::verify::verify(&func, None).unwrap_or_else(|e| panic!("after: {e}\n{func}"));
    let expected = parse(after).to_string();
    assert!(
        func.to_string() == expected,
        "got\n{func}\nexpected\n{expected}"
    );
}

/// `check` of a function body that computes v9 (or nothing: then v0 is the result) from parameters
/// `v0: dtype, v1: dtype`, and of a clean-up of what it leaves unused.
#[track_caller]
fn check_body(pass: fn(&mut Function) -> bool, dtype: &str, before: &str, after: &str) {
    let wrap = |body: &str| {
        let (out, body) = body.split_once(':').expect("result dtype first");
        let (body, result) = (
            body.replace(';', "\n"),
            if body.contains("v9") { "v9" } else { "v0" },
        );
        format!("function f(v0: {dtype}, v1: {dtype}) -> {out} {{\n{body}\nreturn {result}\n}}")
    };
    let mut func = parse(&wrap(before));
    pass(&mut func);
    passes::dce(&mut func);
    crate::verify::verify(&func, None).unwrap_or_else(|e| panic!("after: {e}\n{func}"));
    let mut expected = parse(&wrap(after));
    passes::dce(&mut expected);
    let (got, expected) = (func.to_string(), expected.to_string());
    assert!(
        got == expected,
        "of {before}\ngot\n{got}\nexpected\n{expected}"
    );
}

const MANDELBROT: &str = r#"
kernel mandelbrot {
    array a0 in f32 contiguous "cr"
    array a1 in f32 contiguous "ci"
    array a2 in i32 uniform "limit"
    array a3 out i32 contiguous "n"
    v0 = load a0
    v1 = load a1
    v2 = load a2
    v3 = const i32 0
    v4 = const f32 0.0
    v5 = loop (v6: f32 = v4, v7: f32 = v4, v8: i32 = v3) -> (i32) {
        v9 = mul v6, v6
        v10 = mul v7, v7
        v11 = add v9, v10
        v12 = const f32 4.0
        v13 = le v11, v12
        v14 = lt v8, v2
        v15 = and v14, v13
        if v15 { yield } else { break v8 }
        v16 = sub v9, v10
        v17 = add v16, v0
        v18 = mul v6, v7
        v19 = add v18, v18
        v20 = add v19, v1
        v21 = const i32 1
        v22 = add v8, v21
        continue v17, v20, v22
    }
    store a3, v5
    return
}
"#;

#[test]
fn mandelbrot_blends_once() {
    check(
        |f| {
            *f = passes::vectorize(f);
            true
        },
        MANDELBROT,
        r#"
vector kernel mandelbrot {
    array a0 in f32 contiguous "cr"
    array a1 in f32 contiguous "ci"
    array a2 in i32 uniform "limit"
    array a3 out i32 contiguous "n"
    v0 = load a0
    v1 = load a1
    v2 = load a2
    v3 = const i32 0
    v4 = const f32 0.0
    v5 = splat v4
    v6 = const bool true
    v7 = splat v6
    v8 = splat v3
    v9 = const f32 4.0
    v10 = splat v9
    v11 = const i32 1
    v12 = loop (v13: f32* = v5, v14: f32* = v5, v15: i32 = v3, v16: bool* = v7, v17: i32* = v8) -> (i32*) {
        v18 = mul v13, v13
        v19 = mul v14, v14
        v20 = add v18, v19
        v21 = le v20, v10
        v22 = lt v15, v2
        v23 = splat v22
        v24 = and v23, v21
        v26 = and v16, v24
        v28 = splat v15
        v29 = select v16, v28, v17
        v30 = any v26
        if v30 { yield } else { break v29 }
        v31 = sub v18, v19
        v32 = add v31, v0
        v33 = mul v13, v14
        v34 = add v33, v33
        v35 = add v34, v1
        v36 = add v15, v11
        continue v32, v35, v36, v26, v29
    }
    store a3, v12
    return
}
"#,
    );
}

#[test]
fn loops_that_lanes_take_alike_stay_scalar() {
    check(
        |f| {
            *f = passes::vectorize(f);
            true
        },
        r#"
kernel sum {
    array a0 in f32 contiguous "x"
    array a1 out f32 contiguous "y"
    v0 = load a0
    v1 = const f32 0.0
    v2 = gt v0, v1
    v3 = if v2 -> (f32) {
        v4 = const i32 0
        v5 = const i32 10
        v6 = const i32 1
        v7 = loop (v8: i32 = v4, v9: f32 = v1) -> (f32) {
            v10 = lt v8, v5
            if v10 { yield } else { break v9 }
            v11 = add v9, v0
            v12 = add v8, v6
            continue v12, v11
        }
        yield v7
    } else {
        yield v0
    }
    store a1, v3
    return
}
"#,
        r#"
vector kernel sum {
    array a0 in f32 contiguous "x"
    array a1 out f32 contiguous "y"
    v0 = load a0
    v1 = const f32 0.0
    v2 = splat v1
    v3 = gt v0, v2
    v4 = any v3
    v5 = if v4 -> (f32*) {
        v6 = const i32 0
        v7 = const i32 10
        v8 = const i32 1
        v9 = loop (v10: i32 = v6, v11: f32* = v2) -> (f32*) {
            v12 = lt v10, v7
            if v12 { yield } else { break v11 }
            v13 = add v11, v0
            v14 = add v10, v8
            continue v14, v13
        }
        v15 = select v3, v9, v0
        yield v15
    } else {
        yield v0
    }
    store a1, v5
    return
}
"#,
    );
}

#[test]
fn stores_under_a_varying_condition_are_masked() {
    check(
        |f| {
            *f = passes::vectorize(f);
            true
        },
        r#"
kernel k {
    array a0 in bool contiguous "c"
    array a1 out i32 contiguous "y"
    v0 = load a0
    v1 = const i32 7
    if v0 { store a1, v1 yield } else { yield }
    return
}
"#,
        r#"
vector kernel k {
    array a0 in bool contiguous "c"
    array a1 out i32 contiguous "y"
    v0 = load a0
    v1 = const i32 7
    v2 = any v0
    if v2 { v3 = splat v1 store a1, v3, v0 yield } else { yield }
    return
}
"#,
    );
}

#[test]
fn algebra() {
    // dtype, before, after; v9 is the result.
    let cases = [
        ("i32", "i32: v2 = const i32 0; v9 = add v0, v2", "i32:"),
        (
            "u8",
            "u8: v2 = const u8 8; v9 = mul v2, v0",
            "u8: v2 = const u8 3; v9 = shl v0, v2",
        ),
        (
            "u8",
            "u8: v2 = const u8 8; v9 = div v0, v2",
            "u8: v2 = const u8 3; v9 = shr v0, v2",
        ),
        (
            "i8",
            "i8: v2 = const i8 8; v9 = div v0, v2",
            "i8: v2 = const i8 8; v9 = div v0, v2",
        ),
        (
            "u8",
            "u8: v2 = const u8 8; v9 = rem v0, v2",
            "u8: v2 = const u8 7; v9 = and v0, v2",
        ),
        ("i16", "i16: v9 = sub v0, v0", "i16: v9 = const i16 0"),
        ("f32", "f32: v9 = sub v0, v0", "f32: v9 = sub v0, v0"),
        // x + 0 is not x for x = -0.
        (
            "f32",
            "f32: v2 = const f32 0.0; v9 = add v0, v2",
            "f32: v2 = const f32 0.0; v9 = add v0, v2",
        ),
        ("f32", "f32: v2 = const f32 -0.0; v9 = add v0, v2", "f32:"),
        (
            "f32",
            "f32: v2 = const f32 -1.0; v9 = mul v0, v2",
            "f32: v9 = neg v0",
        ),
        (
            "f64",
            "f64: v2 = const f64 4.0; v9 = div v0, v2",
            "f64: v2 = const f64 0.25; v9 = mul v0, v2",
        ),
        (
            "f64",
            "f64: v2 = const f64 3.0; v9 = div v0, v2",
            "f64: v2 = const f64 3.0; v9 = div v0, v2",
        ),
        (
            "i32",
            "bool: v2 = lt v0, v1; v9 = not v2",
            "bool: v9 = ge v0, v1",
        ),
        (
            "f32",
            "bool: v2 = lt v0, v1; v9 = not v2",
            "bool: v2 = lt v0, v1; v9 = not v2",
        ),
        (
            "bool",
            "bool: v2 = const bool false; v9 = select v0, v1, v2",
            "bool: v9 = and v0, v1",
        ),
        (
            "bool",
            "bool: v2 = const bool true; v9 = select v0, v1, v2",
            "bool: v2 = not v0; v9 = or v2, v1",
        ),
        ("i8", "i8: v2 = cast i32 v0; v9 = cast i8 v2", "i8:"),
        (
            "i32",
            "i32: v2 = cast i8 v0; v9 = cast i32 v2",
            "i32: v2 = cast i8 v0; v9 = cast i32 v2",
        ),
        (
            "i64",
            "i16: v2 = cast i32 v0; v9 = cast i16 v2",
            "i16: v9 = cast i16 v0",
        ),
        (
            "f64",
            "f64: v2 = cast f32 v0; v9 = cast f64 v2",
            "f64: v2 = cast f32 v0; v9 = cast f64 v2",
        ),
    ];
    for (dtype, before, after) in cases {
        check_body(twice, dtype, before, after);
    }
}

/// `simplify` to its fixed point: one rewriting may open another.
fn twice(func: &mut Function) -> bool {
    passes::simplify(func) | passes::simplify(func)
}

#[test]
fn constants_fold_through_control_flow() {
    check_body(
        passes::const_fold,
        "i32",
        "i32: v2 = const i32 5; v3 = const i32 7; v4 = lt v2, v3; \
         v9 = if v4 -> (i32) { v5 = add v2, v3; yield v5 } else { yield v0 }",
        "i32: v9 = const i32 12",
    );
    check_body(
        passes::const_fold,
        "i32",
        "i32: v2 = const i32 3; v9 = loop (v3: i32 = v2, v4: i32 = v0) -> (i32) { \
         v5 = const i32 2; v6 = lt v3, v5; if v6 { yield } else { break v4 }; \
         v7 = add v3, v5; v8 = add v4, v1; continue v7, v8 }",
        "i32:",
    );
}

#[test]
fn common_subexpressions() {
    check(
        passes::cse,
        "function f(v0: f32, v1: f32, v2: bool) -> f32 {
            v3 = mul v0, v1
            v4 = if v2 -> (f32) { v5 = mul v1, v0 v6 = neg v5 yield v6 } else { v7 = neg v3 yield v7 }
            v8 = neg v3
            v9 = add v4, v8
            return v9
        }",
        "function f(v0: f32, v1: f32, v2: bool) -> f32 {
            v3 = mul v0, v1
            v4 = if v2 -> (f32) { v6 = neg v3 yield v6 } else { v7 = neg v3 yield v7 }
            v8 = neg v3
            v9 = add v4, v8
            return v9
        }",
    );
}

const COUNTED: &str = "function f(v0: f32, v1: i32) -> f32 {
    v2 = const i32 0
    v3, v4 = loop (v5: i32 = v2, v6: f32 = v0, v7: f32 = v0) -> (f32, i32) {
        v8 = lt v5, v1
        if v8 { yield } else { break v6, v5 }
        v9 = sqrt v0
        v10 = add v6, v9
        v11 = mul v7, v7
        v12 = const i32 1
        v13 = add v5, v12
        continue v13, v10, v11
    }
    return v3
}";

#[test]
fn invariant_code_leaves_the_loop() {
    check(
        passes::licm,
        COUNTED,
        "function f(v0: f32, v1: i32) -> f32 {
    v2 = const i32 0
    v9 = sqrt v0
    v12 = const i32 1
    v3, v4 = loop (v5: i32 = v2, v6: f32 = v0, v7: f32 = v0) -> (f32, i32) {
        v8 = lt v5, v1
        if v8 { yield } else { break v6, v5 }
        v10 = add v6, v9
        v11 = mul v7, v7
        v13 = add v5, v12
        continue v13, v10, v11
    }
    return v3
}",
    );
}

#[test]
fn dead_carried_values_and_results_go() {
    check(
        passes::dce,
        COUNTED,
        "function f(v0: f32, v1: i32) -> f32 {
    v2 = const i32 0
    v3 = loop (v5: i32 = v2, v6: f32 = v0) -> (f32) {
        v8 = lt v5, v1
        if v8 { yield } else { break v6 }
        v9 = sqrt v0
        v10 = add v6, v9
        v12 = const i32 1
        v13 = add v5, v12
        continue v13, v10
    }
    return v3
}",
    );
}

#[test]
fn only_loops_that_end_are_dead() {
    let with_step = |step: &str, kept: bool| {
        let text = format!(
            "function f(v0: i32) -> i32 {{
    v1 = const i32 0
    loop (v2: i32 = v1) {{
        v3 = lt v2, v0
        if v3 {{ yield }} else {{ break }}
        v4 = const i32 {step}
        v5 = add v2, v4
        continue v5
    }}
    return v0
}}"
        );
        let after = "function f(v0: i32) -> i32 { return v0 }".to_string();
        check(passes::dce, &text, if kept { &text } else { &after });
    };
    with_step("1", false);
    with_step("0", true);
}

#[test]
fn small_ifs_become_selects() {
    check(
        passes::if_convert,
        "function f(v0: f32, v1: bool) -> f32 {
            v2 = if v1 -> (f32) { v3 = neg v0 yield v3 } else { yield v0 }
            v4 = if v1 -> (f32) { v5 = sqrt v2 yield v5 } else { yield v0 }
            return v4
        }",
        "function f(v0: f32, v1: bool) -> f32 {
            v3 = neg v0
            v2 = select v1, v3, v0
            v4 = if v1 -> (f32) { v5 = sqrt v2 yield v5 } else { yield v0 }
            return v4
        }",
    );
}

#[test]
fn contraction_only_when_fast() {
    let body = "{ v3 = mul v0, v1 v4 = sub v2, v3 return v4 }";
    let strict = format!("function f(v0: f32, v1: f32, v2: f32) -> f32 {body}");
    let fast = format!("function f(v0: f32, v1: f32, v2: f32) -> f32 fast {body}");
    check(passes::contract, &strict, &strict);
    let pipeline: &[Pass] = &[("contract", passes::contract), ("dce", passes::dce)];
    let mut func = parse(&fast);
    assert!(passes::run_passes(&mut func, pipeline));
    let expected = "function f(v0: f32, v1: f32, v2: f32) -> f32 fast {
        v3 = neg v0 v4 = fma v3, v1, v2 return v4 }";
    assert_eq!(func.to_string(), parse(expected).to_string());
}

#[test]
fn returns_become_exits() {
    check(
        passes::lower_returns,
        "function f(v0: i32, v1: i32) -> i32 {
            v2 = lt v0, v1
            v3 = if v2 -> (i32) { return v0 } else { v4 = add v0, v1 yield v4 }
            v5 = mul v3, v3
            return v5
        }",
        "function f(v0: i32, v1: i32) -> i32 {
            v2 = lt v0, v1
            v3 = if v2 -> (i32) { yield v0 } else { v4 = add v0, v1 v5 = mul v4, v4 yield v5 }
            return v3
        }",
    );
    check(
        passes::lower_returns,
        "function f(v0: i32, v1: i32) -> i32 {
            loop (v2: i32 = v0) {
                v3 = lt v2, v1
                if v3 { return v2 } else { yield }
                continue v1
            }
            unreachable
        }",
        "function f(v0: i32, v1: i32) -> i32 {
            v4 = loop (v2: i32 = v0) -> (i32) {
                v3 = lt v2, v1
                if v3 { break v2 } else { yield }
                continue v1
            }
            return v4
        }",
    );
}

#[test]
fn calls_are_inlined() {
    let module = parse_module(
        "function f(v0: i32) -> i32 { v1 = call fn1, v0, v0 -> i32 v2 = neg v1 return v2 }
         function g(v0: i32, v1: i32) -> i32 { v2 = add v0, v1 return v2 }",
    )
    .expect("parses");
    let expected = "function f(v0: i32) -> i32 { v1 = add v0, v0 v2 = neg v1 return v2 }";
    let inlined = passes::inline(&module, FuncRef(0));
    assert_eq!(inlined.to_string(), parse(expected).to_string());
    // A function that calls itself keeps the call.
    let module = parse_module("function f(v0: i32) -> i32 { v1 = call fn0, v0 -> i32 return v1 }")
        .expect("parses");
    let inlined = passes::inline(&module, FuncRef(0));
    assert!(inlined.insts.iter().any(|i| i.op == crate::Opcode::Call));
}
