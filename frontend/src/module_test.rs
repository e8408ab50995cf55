//! From text to verified IR.

use super::*;

/// The module of one ufunc's kernel, verified.
fn lower(text: &str, ufunc: &str, generics: &[DType]) -> Module {
    let source = Source::new("test.k", text);
    let checked = check(&source).unwrap_or_else(|d| {
        panic!("{}", crate::render::render(&d, &[&source], false));
    });
    let (module, _) = checked
        .kernel(ufunc, generics, false, false)
        .expect("no instantiation errors");
    verify(&module);
    module
}

fn verify(module: &Module) {
    for function in &module.functions {
        if let Err(errors) = kjit_ir::verify::verify(function, Some(module)) {
            panic!("{errors:?}\n{function}");
        }
    }
}

/// The text of one function of the module.
fn ir(text: &str, ufunc: &str, generics: &[DType]) -> String {
    let module = lower(text, ufunc, generics);
    let name = &module.functions[0].name;
    assert!(name.starts_with(ufunc), "{name}");
    module.functions[0].to_string()
}

/// Compares IR text without the source places.
fn expect_ir(text: &str, ufunc: &str, generics: &[DType], expected: &str) {
    let found = ir(text, ufunc, generics);
    let found: Vec<String> = found
        .lines()
        .map(|l| {
            l.split(" @1:")
                .next()
                .unwrap_or_default()
                .trim_end()
                .to_string()
        })
        .collect();
    let found = found.join("\n");
    assert_eq!(found.trim(), expected.trim(), "\n{found}");
}

#[test]
fn straight_line() {
    expect_ir(
        "ufunc saxpy<T: float>(a: T, x: T, y: T) -> T { a * x + y }",
        "saxpy",
        &[DType::F32],
        "
function saxpy.f32(v0: f32, v1: f32, v2: f32) -> f32 {
    v3 = mul v0, v1
    v4 = add v3, v2
    return v4
}",
    );
}

#[test]
fn loop_carries_what_it_assigns() {
    expect_ir(
        "ufunc f(n: i32) -> i32 { let k = 3; let mut s = 0; for i in 0..n { if i == k { continue; } s += i; } s }",
        "f",
        &[],
        "
function f(v0: i32) -> i32 {
    v1 = const i32 3
    v2 = const i32 0
    v3 = const i32 0
    v4 = loop (v5: i32 = v3, v6: i32 = v2) -> (i32) {
        v7 = lt v5, v0
        if v7 {
            yield
        } else {
            break v6
        }
        v8 = eq v5, v1
        if v8 {
            v9 = const i32 1
            v10 = add v5, v9
            continue v10, v6
        } else {
            yield
        }
        v11 = add v6, v5
        v12 = const i32 1
        v13 = add v5, v12
        continue v13, v11
    }
    return v4
}",
    );
}

#[test]
fn arms_that_leave() {
    expect_ir(
        "ufunc f(x: f32) -> f32 { if x < 0 { return 0; } else { return x; } }",
        "f",
        &[],
        "
function f(v0: f32) -> f32 {
    v1 = const f32 0.0
    v2 = lt v0, v1
    if v2 {
        v3 = const f32 0.0
        return v3
    } else {
        return v0
    }
    unreachable
}",
    );
}

#[test]
fn dynamic_index_is_guarded_and_constant_index_is_not() {
    let text = "ufunc f(i: u8, x: f32) -> f32 { let mut a = [x; 3]; a[1] = 2; a[i] }";
    let found = ir(text, "f", &[]);
    assert_eq!(found.matches("guard").count(), 1, "{found}");
    assert!(found.contains("trap trap0 index_out_of_bounds"), "{found}");
}

/// What one function gives for some arguments, on the interpreter.
fn run(
    text: &str,
    ufunc: &str,
    generics: &[DType],
    args: &[kjit_ir::Scalar],
) -> Vec<kjit_ir::Scalar> {
    let module = lower(text, ufunc, generics);
    kjit_interp::run_function(Some(&module), &module.functions[0], args).expect("runs")
}

fn int(value: i128) -> kjit_ir::Scalar {
    kjit_ir::Scalar::int(DType::I32, value)
}

#[test]
fn programs_give_their_values() {
    let list: &[(&str, i128, i128)] = &[
        (
            "ufunc f(n: i32) -> i32 { let mut s = 0; let mut i = 0; loop { if i >= n { break; } s += i * i; i += 1; } s }",
            5,
            30,
        ),
        (
            "ufunc f(n: i32) -> i32 { let mut s = 0; for i in 0..n { for j in i..n { if j == 3 { break; } s += 1; } } s }",
            5,
            7,
        ),
        (
            "ufunc f(n: i32) -> i32 { for i in 0..n { if i * i > 10 { return i; } } -1 }",
            9,
            4,
        ),
        (
            "fn two(x: i32) -> (i32, i32) { (x + 1, x * 2) } ufunc f(n: i32) -> i32 { let (a, b) = two(n); a * b }",
            3,
            24,
        ),
        (
            "ufunc f(n: i32) -> i32 { let mut t = [1, 2, 3]; let u = t; t[n] = 9; t = [t[2], t[1], t[0]]; t[0] * 10 + u[1] }",
            2,
            92,
        ),
        (
            "ufunc f(n: i32) -> i32 { let mut a = [0; 40]; for i in 0..40 { a[i] = i * i; } a[n] }",
            7,
            49,
        ),
        (
            "ufunc f(n: i32) -> i32 { let mut y = 1; let c = n > 2 && { y += 5; y > 3 }; if c { y } else { -y } }",
            3,
            6,
        ),
        (
            "ufunc f(n: i32) -> i32 { let mut y = 1; let c = n > 2 && { y += 5; y > 3 }; if c { y } else { -y } }",
            1,
            -1,
        ),
        (
            "const K: i32 = 3 * 4 - 2; ufunc f(n: i32) -> i32 { let a = [n; K]; a[K - 1] + K << 1 }",
            1,
            22,
        ),
        (
            "ufunc f(n: i32) -> i32 { let x = 1; let x = x + n; let y = { let x = 100; x + n }; y + x }",
            2,
            105,
        ),
        (
            "ufunc f(n: i32) -> i32 { (n as f64 % 2.5 * 10.0) as i32 }",
            4,
            15,
        ),
        (
            "ufunc f(n: i32) -> i32 { if n > 3 || 10 / n > 4 { n.max(5) } else { n.abs().min(2) } }",
            2,
            5,
        ),
        (
            "ufunc f(n: i32) -> i32 { let mut x = n; while x != 1 { if x % 2 == 0 { x /= 2; continue; } x = 3 * x + 1; } x }",
            27,
            1,
        ),
        (
            "ufunc f(n: i32) -> i32 { let a = if n > 0 { [n, 1] } else { [2, 3] }; a[0] + a[1] }",
            5,
            6,
        ),
    ];
    for (text, argument, expected) in list {
        assert_eq!(
            run(text, "f", &[], &[int(*argument)])[0].as_int(),
            *expected,
            "{text}"
        );
    }
}

/// Codes of the messages for a program.
fn codes(text: &str) -> Vec<&'static str> {
    let source = Source::new("test.k", text);
    let list = check(&source).err().unwrap_or_default();
    list.iter().map(|d| d.code.as_str()).collect()
}

#[test]
fn all_mistakes_of_all_functions_are_reported() {
    let text =
        "ufunc f(x: f32) -> f32 { y }\nufunc g(x: f32) -> i32 { x }\nmain { print(z); f(); }";
    assert_eq!(codes(text), ["E0201", "E0301", "E0201", "E0304"]);
}

#[test]
fn one_mistake_gives_one_message() {
    let list = [
        (
            "ufunc f(x: f32) -> f32 { let a = y; let b = a + 1; sqrt(b) * a }",
            "E0201",
        ),
        ("ufunc f(x: foo) -> f32 { let y = x + 1; y * 2.0 }", "E0203"),
        (
            "ufunc f(x: f32) -> f32 { let (a, b) = x; a + b * a }",
            "E0301",
        ),
        ("ufunc f(x: i32) -> f32 { let a = sqrt(x); a + 1 }", "E0310"),
        ("ufunc f(x: f32) -> f32 { x = 1; x = 2; x }", "E0209"),
        (
            "const A: i32 = 1.5; ufunc f(x: i32) -> i32 { x + A }",
            "E0301",
        ),
        (
            "ufunc f<T: fleat>(x: T) -> T { x * 0.5 + sqrt(x) }",
            "E0204",
        ),
    ];
    for (text, code) in list {
        assert_eq!(codes(text), [code], "{text}");
    }
}

#[test]
fn literals_of_generic_type_are_checked_when_instantiated() {
    let source = Source::new("test.k", "ufunc f<T: int>(x: T) -> T { x + 200 }");
    let checked = check(&source).expect("right for most types");
    assert!(checked.kernel("f", &[DType::U8], false, false).is_ok());
    let errors = checked
        .kernel("f", &[DType::I8], false, false)
        .expect_err("200 is no i8");
    assert_eq!(errors[0].code.as_str(), "E0303");
    assert_eq!(errors.len(), 1);
}

#[test]
fn fused_expression() {
    use kjit_ir::{BinaryOp, FusedNode, FusedOp, Loc};
    let source = Source::new("test.k", "ufunc twice<T: number>(x: T) -> T { x + x }");
    let checked = check(&source).expect("right");
    let node = |op, args: &[usize]| FusedNode {
        op,
        args: args.iter().map(|n| (*n, 0)).collect(),
        loc: Loc::default(),
    };
    let expr = FusedExpr {
        inputs: vec![DType::F32],
        nodes: vec![
            node(FusedOp::Input(0), &[]),
            node(FusedOp::Index, &[]),
            node(FusedOp::Cast(DType::F32), &[1]),
            node(FusedOp::Call("twice".to_string(), vec![DType::F32]), &[0]),
            node(FusedOp::Binary(BinaryOp::Rem), &[3, 2]),
            node(FusedOp::Call("exp".to_string(), vec![DType::F32]), &[4]),
        ],
        outputs: vec![(5, 0), (4, 0)],
    };
    let (module, root) = checked.fuse(&expr, false).expect("lowers");
    verify(&module);
    let modes: Vec<ArrayMode> = module[root].arrays.iter().map(|a| a.mode).collect();
    assert_eq!(
        modes,
        [
            ArrayMode::In,
            ArrayMode::Index,
            ArrayMode::Out,
            ArrayMode::Out
        ]
    );
    let builtin = checked
        .kernel("hypot", &[DType::F64], false, false)
        .expect("a built-in as a kernel");
    verify(&builtin.0);
}

#[test]
fn examples_pass_and_lower() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let mut n = 0;
    for entry in std::fs::read_dir(folder).expect("examples") {
        let path = entry.expect("entry").path();
        if path.extension().is_none_or(|e| e != "k") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        let source = Source::new(path.to_string_lossy(), text);
        let checked = check(&source).unwrap_or_else(|d| {
            panic!("{}", crate::render::render(&d, &[&source], false));
        });
        for signature in checked.signatures() {
            for dtype in [DType::F32, DType::F64] {
                let generics = vec![dtype; signature.generics.len()];
                let (module, _) = checked
                    .kernel(&signature.name, &generics, false, false)
                    .expect("lowers");
                verify(&module);
            }
        }
        assert!(checked.host().is_some(), "{path:?}");
        n += 1;
    }
    assert!(n >= 8, "{n} examples");
}

#[test]
fn as_deep_as_the_parser_allows() {
    let depth = crate::parser::MAX_DEPTH as usize - 20;
    let nested = |open: &str, close: &str| {
        format!(
            "ufunc f(x: f32) -> f32 {{ {}x{} }}",
            open.repeat(depth / 3),
            close.repeat(depth / 3)
        )
    };
    let list = [
        nested("(1 + ", ")"),
        nested("sqrt(", ")"),
        nested("{ ", " }"),
        format!("ufunc f(x: f32) -> f32 {{ x{} }}", " + x * 2".repeat(depth)),
    ];
    for text in &list {
        verify(&lower(text, "f", &[]));
    }
}

/// The text of every function that a kernel needs.
fn all_ir(text: &str, ufunc: &str, generics: &[DType]) -> String {
    let source = Source::new("test.k", text);
    let checked = check(&source).unwrap_or_else(|d| {
        panic!("{}", crate::render::render(&d, &[&source], false));
    });
    let (module, _) = checked
        .kernel(ufunc, generics, false, false)
        .expect("no instantiation errors");
    let texts: Vec<String> = module.functions.iter().map(|f| f.to_string()).collect();
    texts.join("\n")
}

#[test]
fn complex_literals_adopt_the_type_of_their_context() {
    let text = "ufunc f<T: complex>(z: T) -> T { 2 * z + complex(0, 0.5) * conj(z) }";
    for (dtype, part) in [(DType::C64, "f32"), (DType::C128, "f64")] {
        let ir = all_ir(text, "f", &[dtype]);
        assert!(ir.contains(&format!("const {part} 0.5")), "{ir}");
        assert!(ir.contains("= complex "), "{ir}");
    }
}

#[test]
fn a_complex_number_of_literals_alone_is_c128() {
    let text = "ufunc f(x: f64) -> f64 { let z = complex(0, 1); re(z * z) + x }";
    assert!(all_ir(text, "f", &[]).contains("const f64 1.0"));
    let text = "ufunc f(x: f32) -> f32 { let z = complex(0, 1); im(z) + x }";
    assert!(all_ir(text, "f", &[]).contains("const f32 1.0"));
}

#[test]
fn parts_of_a_type_parameter_have_a_type_of_their_own() {
    let text = "ufunc unit<T: complex>(z: T) -> T {
        let r = abs(z);
        if r == 0.0 { z } else { complex(re(z) / r, im(z) / r) }
    }";
    let ir = all_ir(text, "unit", &[DType::C64]);
    assert!(ir.contains("std.hypot.f32"), "{ir}");
    let ir = all_ir(text, "unit", &[DType::C128]);
    assert!(ir.contains("std.hypot.f64"), "{ir}");
}

#[test]
fn library_functions_of_f16_compute_in_f32() {
    let text = "ufunc f<T: float>(x: T) -> T { exp(x) + x % x }";
    let ir = all_ir(text, "f", &[DType::F16]);
    assert!(ir.contains("std.exp.f32"), "{ir}");
    assert!(ir.contains("std.fmod_f32"), "{ir}");
    assert!(!ir.contains("std.exp.f16"), "{ir}");
}

#[test]
fn reorderable_stands_behind_the_signature() {
    let text = "ufunc a(x: f32, y: f32) -> f32 reorderable { x + y }
ufunc b(x: f32, y: f32) -> f32 identity 0 { x + y }
ufunc c(x: bool, y: bool) -> bool identity true { x && y }
ufunc d(x: f32, y: f32) -> f32 { x - y }";
    let checked = check(&Source::new("test.k", text)).expect("well formed");
    let said: Vec<_> = checked
        .signatures()
        .iter()
        .map(|s| (s.identity, s.reorderable))
        .collect();
    let expected = [
        (None, true),
        (Some(0.0), true),
        (Some(1.0), true),
        (None, false),
    ];
    assert_eq!(said, expected);
}
