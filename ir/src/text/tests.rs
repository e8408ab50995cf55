//! Round trips, error messages, and that no text makes the parser panic.

use super::*;
use crate::verify::verify;
use crate::{DType, Function, FunctionBuilder, Imm, Loc, Module, Opcode, Scalar, Type, Value};
use arbitrary::Unstructured;

/// Every construct of the grammar, numbered and laid out as the printer does.
const ALL: &str = include_str!("all.kir");

#[track_caller]
fn round_trip(text: &str) {
    let module = parse_module(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    for function in &module.functions {
        verify(function, Some(&module)).unwrap_or_else(|e| panic!("{e}"));
    }
    assert_eq!(print_module(&module), text);
}

#[test]
fn every_construct_round_trips() {
    round_trip(ALL);
}

#[test]
fn numbering_and_layout_are_free() {
    let text = "kernel \"k\" { array a0 in f32 contiguous \"x\" // comment ; here\n
        array a1 out f32 strided \"y\" ; and here { }\n local l0 [f32; 4] \"t\"
        v70 = load a0 @1:2-3 v8 = const f32 -0.0
        v9=lt v70,v8 v1 = if v9 -> f32 { yield v8 } else { yield v70 } store a1, v1\nreturn }";
    let expected = "kernel k {
    array a0 in f32 contiguous \"x\"
    array a1 out f32 strided \"y\"
    local l0 [f32; 4] \"t\"
    v0 = load a0 @1:2-3
    v1 = const f32 -0.0
    v2 = lt v0, v1
    v3 = if v2 -> (f32) {
        yield v1
    } else {
        yield v0
    }
    store a1, v3
    return
}
";
    let module = parse_module(text).unwrap();
    assert_eq!(print_module(&module), expected);
}

#[test]
fn constants_keep_their_bits() {
    let scalars = [
        Scalar::f32(f32::NAN),
        Scalar::from_bits(DType::F32, 0xff80_0001),
        Scalar::f32(f32::NEG_INFINITY),
        Scalar::f32(-0.0),
        Scalar::f32(1e-45),
        Scalar::f32(f32::MAX),
        Scalar::f64(1e300),
        Scalar::f64(0.1),
        Scalar::f64(f64::NAN),
        Scalar::int(DType::I64, i64::MIN as i128),
        Scalar::int(DType::U64, u64::MAX as i128),
        Scalar::int(DType::I8, -128),
        Scalar::bool(true),
        Scalar::bool(false),
    ];
    for scalar in scalars {
        let mut b = FunctionBuilder::new("constant");
        let v = b.constant(scalar);
        let text = b.ret(&[v]).to_string();
        let module = parse_module(&text).unwrap();
        let func = &module.functions[0];
        assert_eq!(
            func.as_const(func.result(func.blocks[0].insts[0])),
            Some(scalar)
        );
        assert_eq!(print_module(&module), text);
    }
}

#[test]
fn names_are_quoted_where_they_must_be() {
    for name in [
        "plain.f32",
        "two words",
        "quote\"d\\",
        "line\nbreak",
        "\u{7f}é",
        "",
        "1st",
    ] {
        let text = FunctionBuilder::new(name).ret(&[]).to_string();
        let module = parse_module(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(module.functions[0].name, name);
        assert_eq!(print_module(&module), text);
    }
}

#[test]
fn mistakes_have_a_line_and_a_cause() {
    let cases = [
        ("", "ok"),
        (
            "bogus",
            "line 1: expected `function` or `kernel`, not `bogus`",
        ),
        (
            "function f() {",
            "line 1: expected an instruction, not the end of the text",
        ),
        (
            "kernel k {\n return }",
            "line 1: a kernel has at least one array",
        ),
        (
            "function f() {\n array a0 in f32 strided \"x\"\n return }",
            "line 2: a function with arrays is a `kernel`",
        ),
        (
            "kernel k {\n array a1 in f32 strided \"x\"\n return }",
            "line 2: an array declared here must be `a0`, not `a1`",
        ),
        (
            "kernel k {\n array a0 up f32 strided \"x\"\n return }",
            "line 2: there is no array mode `up`",
        ),
        (
            "function f() {\n v0 = frobnicate v1\n}",
            "line 2: there is no operation `frobnicate`",
        ),
        (
            "function f() {\n v0 = neg v1\n}",
            "line 2: `v1` is not defined before its use",
        ),
        (
            "function f(v0: f32) {\n v0 = neg v0\n}",
            "line 2: `v0` is defined twice",
        ),
        (
            "function f(v0: f31) {\n}",
            "line 1: there is no dtype `f31`",
        ),
        (
            "function f() {\n v0 = const i8 128\n}",
            "line 2: `128` is not a constant of type i8",
        ),
        (
            "function f() {\n v0 = const f32 nan\n}",
            "line 2: `nan` is not a constant of type f32",
        ),
        (
            "function f() {\n v0 = const u8 0x100\n}",
            "line 2: `0x100` is not a constant of type u8",
        ),
        (
            "function f() {\n v0 = load a0\n}",
            "line 2: `a0` is not declared",
        ),
        (
            "function f() {\n neg\n}",
            "line 2: `neg` has 1 results here, not 0",
        ),
        (
            "function f() {\n return @1:2\n}",
            "line 2: a place is written @file:start-end",
        ),
        (
            "function f() {\n if v0 { yield }\n}",
            "line 2: `v0` is not defined before its use",
        ),
        ("function \"f\\q\"", "line 1: unknown escape in a string"),
        ("function \"f", "line 1: a string without closing quote"),
        (
            "function f() { \u{1F980} }",
            "line 1: unexpected character '🦀'",
        ),
        (
            "function f(v00: f32) { }",
            "line 1: expected a parameter (`v0`), not `v00`",
        ),
    ];
    for (text, expected) in cases {
        let got = match parse_module(text) {
            Ok(_) => "ok".into(),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected, "{text}");
    }
}

#[test]
fn depth_is_limited_not_fatal() {
    let nest = |n: usize| {
        format!(
            "function f(v0: bool) {{\n{}{}return\n}}\n",
            "if v0 {\n".repeat(n),
            "yield\n} else {\nyield\n}\n".repeat(n)
        )
    };
    let deep = parse_module(&nest(MAX_DEPTH - 1)).unwrap();
    verify(&deep.functions[0], None).unwrap();
    let again = parse_module(&print_module(&deep)).unwrap();
    assert_eq!(print_module(&again), print_module(&deep));
    let error = parse_module(&nest(100_000)).unwrap_err();
    assert_eq!(error.message, "blocks nest deeper than 1000");
}

/// Cutting or changing a valid text at every place gives an error or other IR, never a panic; and what
/// parses prints as a fixed point where it is well formed.
#[test]
fn damaged_text_is_harmless() {
    let check = |text: &str| {
        let Ok(module) = parse_module(text) else {
            return;
        };
        let valid = module
            .functions
            .iter()
            .all(|f| verify(f, Some(&module)).is_ok());
        let printed = print_module(&module);
        if valid {
            assert_eq!(print_module(&parse_module(&printed).unwrap()), printed);
        }
    };
    crate::testing::cases(3000, |u| {
        let mut text = ALL.as_bytes().to_vec();
        for _ in 0..u.int_in_range(1..=3)? {
            let at = u.choose_index(text.len())?;
            let len = u.int_in_range(0..=20)?.min(text.len() - at);
            match u.int_in_range(0..=3)? {
                0 => drop(text.drain(at..at + len)),
                1 => text.truncate(at.max(1)),
                2 => text[at] = *u.choose(b"v019a{}()[],:;=*@-\"\\ \n.ex")?,
                _ => {
                    let from = u.choose_index(text.len())?;
                    let piece = text[from..(from + len).min(text.len())].to_vec();
                    text.splice(at..at, piece);
                }
            }
        }
        check(&String::from_utf8_lossy(&text));
        Ok(())
    });
}

#[test]
fn random_functions_round_trip() {
    crate::testing::cases(1500, |u| {
        let mut module = Module::default();
        for n in 0..u.int_in_range(1..=2)? {
            let function = random_function(u, &format!("f{n}"))?;
            module.push(function);
        }
        round_trip(&print_module(&module));
        Ok(())
    });
}

/// A well-formed function of f32, i32 and bool values, ifs and loops.
fn random_function(u: &mut Unstructured<'_>, name: &str) -> arbitrary::Result<Function> {
    let mut b = FunctionBuilder::new(name);
    let mut values = Vec::new();
    for dtype in [DType::F32, DType::I32, DType::Bool, DType::U64] {
        values.push(b.param(dtype.into()));
        values.push(b.constant(Scalar::one(dtype)));
    }
    random_block(u, &mut b, &mut values, 0)?;
    let result = *u.choose(&values)?;
    Ok(b.ret(&[result]))
}

fn random_block(
    u: &mut Unstructured<'_>,
    b: &mut FunctionBuilder,
    values: &mut Vec<Value>,
    depth: usize,
) -> arbitrary::Result<()> {
    for _ in 0..u.int_in_range(0..=8)? {
        if u.ratio(1, 3)? {
            let start = u.int_in_range(0..=1000)?;
            b.set_loc(Loc {
                file: u.int_in_range(0..=2)?,
                start,
                end: start + 5,
            });
        }
        let op = *u.choose(Opcode::ALL)?;
        let ty = b.func.ty(*u.choose(values)?);
        if matches!(op, Opcode::Complex | Opcode::Re | Opcode::Im) {
            continue;
        }
        match op {
            Opcode::If if depth < 4 => {
                let bools = of_type(b, values, Type::BOOL);
                let condition = *u.choose(&bools)?;
                let arms = [b.func.new_block(), b.func.new_block()];
                let outer = b.block();
                for arm in arms {
                    b.switch_to(arm);
                    let mut inner = values.clone();
                    random_block(u, b, &mut inner, depth + 1)?;
                    let result = *u.choose(&of_type(b, &inner, ty))?;
                    b.yield_(&[result]);
                }
                b.switch_to(outer);
                let inst = b.push(Opcode::If, &[condition], Imm::None, &arms, &[ty]);
                values.push(b.func.result(inst));
            }
            Opcode::Loop if depth < 4 => {
                let initial = *u.choose(&of_type(b, values, ty))?;
                let body = b.func.new_block();
                let param = b.func.new_param(body, ty);
                let outer = b.block();
                b.switch_to(body);
                let mut inner = values.clone();
                inner.push(param);
                random_block(u, b, &mut inner, depth + 1)?;
                let next = *u.choose(&of_type(b, &inner, ty))?;
                if u.arbitrary()? {
                    b.break_(&[next]);
                } else {
                    b.continue_(&[next]);
                }
                b.switch_to(outer);
                let inst = b.push(Opcode::Loop, &[initial], Imm::None, &[body], &[ty]);
                values.push(b.func.result(inst));
            }
            Opcode::Const => {
                let scalar = Scalar::from_bits(ty.dtype, u.arbitrary::<u64>()? as u128);
                let scalar = match ty.dtype {
                    DType::Bool => Scalar::bool(scalar.as_bool()),
                    _ => scalar,
                };
                values.push(b.constant(scalar));
            }
            _ => {
                let mut args = Vec::new();
                for n in 0..op.arity().unwrap_or(0) {
                    let ty = if op == Opcode::Select && n == 0 {
                        Type::BOOL
                    } else {
                        ty
                    };
                    args.push(*u.choose(&of_type(b, values, ty))?);
                }
                let types: Vec<Type> = args.iter().map(|v| b.func.ty(*v)).collect();
                let to = b.func.ty(*u.choose(values)?).dtype;
                let to = matches!(op, Opcode::Cast | Opcode::Bitcast).then_some(to);
                if !args.is_empty() && op.result_type(&types, to).is_ok() {
                    values.push(b.op(op, &args, to));
                }
            }
        }
    }
    Ok(())
}

fn of_type(b: &FunctionBuilder, values: &[Value], ty: Type) -> Vec<Value> {
    values
        .iter()
        .copied()
        .filter(|v| b.func.ty(*v) == ty)
        .collect()
}
