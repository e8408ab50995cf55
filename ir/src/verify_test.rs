//! One bad IR for each rule: as text where text can say it, by changing a good function where not.

use super::*;
use crate::text::parse_module;
use crate::{BlockData, FuncRef, Loc, Scalar, TrapRef};

fn first_error(text: &str) -> String {
    let module = parse_module(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    match verify(&module.functions[0], Some(&module)) {
        Ok(()) => "ok".into(),
        Err(errors) => errors.errors[0].message.clone(),
    }
}

#[track_caller]
fn check(header: &str, body: &str, expected: &str) {
    let text = format!("{header} {{\n{body}\n}}");
    assert_eq!(first_error(&text), expected, "{text}");
}

const F: &str = "function f(v0: f32, v1: i32, v2: bool) -> f32";

#[test]
fn declarations() {
    check(
        "kernel k",
        "array a0 in f32 strided \"x\" re array a1 in f64 strided \"x\" im return",
        "a0 is one part without the other",
    );
    check(
        "kernel k",
        "array a0 index i32 strided \"i\" return",
        "index array a0 is i32, not i64",
    );
    check(
        F,
        "local l0 [f32; 0] \"t\" return v0",
        "local array l0 has no element",
    );
    check(
        "kernel k -> f32",
        "array a0 in f32 strided \"x\" unreachable",
        "a kernel has no results",
    );
    check(
        "kernel k(v0: f32)",
        "array a0 in f32 strided \"x\" return",
        "a kernel has no parameters",
    );
}

#[test]
fn structure() {
    check(F, "", "the block is empty: it needs a terminator");
    check(
        F,
        "v3 = neg v0",
        "the block ends with `neg`, not a terminator",
    );
    check(
        F,
        "return v0\nv3 = neg v0\nreturn v3",
        "`return` stands before the end of its block",
    );
    check(
        F,
        "if v2 {} else { yield } return v0",
        "the block is empty: it needs a terminator",
    );
    check(
        F,
        "if v2 { v3 = neg v0\nyield } else { yield } v4 = neg v3\nreturn v4",
        "v3 is not visible here",
    );
    check(
        F,
        "if v2 { v3 = neg v0\nyield } else { v4 = neg v3\nyield } return v0",
        "v3 is not visible here",
    );
    check(
        F,
        "v3 = loop (v4: f32 = v0) -> f32 { break v4 } v5 = neg v4\nreturn v5",
        "v4 is not visible here",
    );
}

#[test]
fn operations() {
    check(F, "v3 = add v0\nreturn v3", "add takes 2 arguments, not 1");
    check(
        F,
        "v3 = add v0, v1\nreturn v3",
        "add needs arguments of one type, not f32 and i32",
    );
    check(F, "v3 = add v2, v2\nreturn v0", "add does not take bool");
    check(F, "v3 = rem v0, v0\nreturn v3", "rem does not take f32");
    check(F, "v3 = and v0, v0\nreturn v3", "and does not take f32");
    check(
        F,
        "v3 = select v0, v0, v0\nreturn v3",
        "select needs a bool condition, not f32",
    );
    check(
        F,
        "v3 = bitcast f64 v0\nreturn v0",
        "bitcast cannot reinterpret f32 as f64",
    );
    check(
        "function f(v0: c64) -> u64",
        "v1 = bitcast u64 v0\nreturn v1",
        "bitcast cannot reinterpret c64 as u64",
    );
    check(
        "function f(v0: c64) -> c64",
        "v1 = abs v0\nreturn v1",
        "abs does not take c64",
    );
    check(
        "function f(v0: f16) -> f16",
        "v1 = complex v0, v0\nreturn v0",
        "complex does not take f16",
    );
    check(
        F,
        "v3: i32 = neg v0\nreturn v0",
        "types of the results are (i32), not (f32)",
    );
    check(
        F,
        "v3: bool = const f32 1.0\nreturn v0",
        "types of the results are (bool), not (f32)",
    );
    check(F, "v3 = lt v2, v2\nreturn v0", "lt does not take bool");
    let local = |body: &str| format!("local l0 [f32; 4] \"t\"\n{body}\nreturn v0");
    check(F, &local("v3 = local.load l0, v1"), "ok");
    check(
        F,
        &local("v3 = local.load l0, v0"),
        "types of the arguments are (f32), not (i32)",
    );
    check(
        F,
        &local("local.store l0, v1, v1"),
        "types of the arguments are (i32, i32), not (i32, f32)",
    );
    check(
        F,
        "trap trap0 loop_limit\nguard trap0, v0\nreturn v0",
        "types of the arguments are (f32), not (bool)",
    );
    let kernel = |body: &str| {
        format!(
            "array a0 in f32 strided \"x\" array a1 out f32 strided \"y\"
            array a2 index i64 strided \"i\" array a3 inout i32 strided \"z\"
            v0 = load a0\n{body}\nreturn"
        )
    };
    check("kernel k", &kernel("store a1, v0"), "ok");
    check(
        "kernel k",
        &kernel("v1 = load a1"),
        "`load` of a1, whose mode is `out`",
    );
    check(
        "kernel k",
        &kernel("v1 = load a2"),
        "`load` of a2, whose mode is `index`",
    );
    check(
        "kernel k",
        &kernel("store a0, v0"),
        "`store` of a0, whose mode is `in`",
    );
    check(
        "kernel k",
        &kernel("v1 = index a0"),
        "`index` of a0, whose mode is `in`",
    );
    check(
        "kernel k",
        &kernel("store a3, v0"),
        "types of the arguments are (f32), not (i32)",
    );
    check(
        "kernel k",
        &kernel("store a1"),
        "types of the arguments are (), not (f32)",
    );
}

#[test]
fn calls() {
    let with = |body: &str| {
        format!(
            "{F} {{ {body}\n return v0 }}
            function g(v0: f32) -> i32 {{ v1 = const i32 1\nreturn v1 }}
            kernel k {{ array a0 in f32 strided \"x\" return }}"
        )
    };
    for (body, expected) in [
        ("v3 = call fn1, v0 -> i32", "ok"),
        ("call fn7", "there is no function fn7"),
        ("call fn2", "`call` of a kernel"),
        (
            "v3 = call fn1, v1 -> i32",
            "types of the arguments are (i32), not (f32)",
        ),
        (
            "v3 = call fn1, v0 -> f32",
            "types of the results are (f32), not (i32)",
        ),
        ("call fn1, v0", "types of the results are (), not (i32)"),
    ] {
        assert_eq!(first_error(&with(body)), expected, "{body}");
    }
}

#[test]
fn control() {
    check(
        F,
        "if v1 { yield } else { yield } return v0",
        "types of the arguments are (i32), not (bool)",
    );
    check(F, "yield v0", "`yield` outside an arm of an `if`");
    check(F, "break v0", "`break` outside a loop");
    check(
        F,
        "if v2 { continue } else { yield } return v0",
        "`continue` outside a loop",
    );
    check(
        F,
        "loop () { yield } return v0",
        "`yield` outside an arm of an `if`",
    );
    check(
        F,
        "v3 = if v2 -> f32 { yield v0 } else { yield v1 } return v3",
        "yielded types are (i32), not (f32)",
    );
    check(
        F,
        "if v2 { yield v0 } else { yield } return v0",
        "yielded types are (f32), not ()",
    );
    check(
        F,
        "loop (v3: i32 = v0) { break } return v0",
        "types of initial values are (f32), not (i32)",
    );
    check(
        F,
        "v3 = loop () -> f32 { break v1 } return v3",
        "types carried out are (i32), not (f32)",
    );
    check(
        F,
        "loop (v3: i32 = v1) { continue v0 } return v0",
        "types carried on are (f32), not (i32)",
    );
    check(F, "return v1", "returned types are (i32), not (f32)");
    check(F, "return", "returned types are (), not (f32)");
    check(F, "unreachable v0", "unreachable takes 0 arguments, not 1");
    // A break belongs to the innermost loop, through any number of arms.
    let nested = "v3 = loop () -> f32 {
        loop () { if v2 { if v2 { break } else { yield } yield } else { continue } break }
        break v0 }
        return v3";
    check(F, nested, "ok");
}

#[test]
fn scalar_form() {
    check(
        "function f(v0: f32*)",
        "return",
        "varying type f32* in scalar form",
    );
    check(F, "v3: f32 = splat v0\nreturn v0", "`splat` in scalar form");
    check(F, "v3 = any v2\nreturn v0", "`any` in scalar form");
    check(
        "kernel k",
        "array a0 out bool strided \"y\"\nv0 = const bool true\nstore a0, v0, v0\nreturn",
        "a mask where none is allowed",
    );
}

#[test]
fn vector_form() {
    let vector = |body: &str, expected: &str| {
        let declarations = "array a0 in f32 strided \"x\" array a1 in f32 uniform \"u\"
            array a2 out f32 strided \"y\" array a3 index i64 strided \"i\"
            local l0 [f32; 2] \"t\" trap trap0 loop_limit
            v0 = load a0\nv1 = load a1\nv2 = lt v0, v0\nv3 = const bool true\nv4 = const i32 0";
        let body = format!("{declarations}\n{body}");
        check("vector kernel k", &body, expected);
    };
    vector(
        "v5 = splat v1\nv6 = add v0, v5\nstore a2, v6, v2\nreturn",
        "ok",
    );
    vector(
        "v5 = add v0, v1\nreturn",
        "add needs arguments of one type, not f32* and f32",
    );
    vector(
        "v5 = select v2, v1, v1\nreturn",
        "select has a varying condition but uniform arguments",
    );
    vector("v5 = select v3, v0, v0\nreturn", "ok");
    vector(
        "if v2 { yield } else { yield } return",
        "types of the arguments are (bool*), not (bool)",
    );
    vector("v5 = splat v0\nreturn", "`splat` of a varying value");
    vector(
        "v5 = any v3\nreturn",
        "types of the arguments are (bool), not (bool*)",
    );
    vector(
        "v5: f32 = load a0\nreturn",
        "types of the results are (f32), not (f32*)",
    );
    vector(
        "v5: f32* = load a1\nreturn",
        "types of the results are (f32*), not (f32)",
    );
    vector(
        "v5: i64 = index a3\nreturn",
        "types of the results are (i64), not (i64*)",
    );
    vector("v5 = load a0, v2\nreturn", "ok");
    vector("v5 = load a0, v3\nreturn", "a mask of type bool, not bool*");
    vector("v5 = load a1, v2\nreturn", "a mask where none is allowed");
    vector(
        "store a2, v1\nreturn",
        "types of the arguments are (f32), not (f32*)",
    );
    vector("store a2, v0, v0\nreturn", "a mask of type f32*, not bool*");
    vector(
        "guard trap0, v3\nreturn",
        "types of the arguments are (bool), not (bool*)",
    );
    vector(
        "v5: f32 = local.load l0, v4\nreturn",
        "types of the results are (f32), not (f32*)",
    );
    vector(
        "v5 = local.load l0, v4, v2\nreturn",
        "a mask where none is allowed",
    );
    vector("local.store l0, v4, v0, v2\nreturn", "ok");
    vector("v5 = splat v4\nlocal.store l0, v5, v0\nreturn", "ok");
    vector(
        "local.store l0, v4, v1\nreturn",
        "types of the arguments are (i32, f32), not (i32, f32*)",
    );
    vector("call fn0\nreturn", "`call` in vector form");
    vector(
        "if v3 { return } else { yield } return",
        "`return` inside a block in vector form",
    );
}

/// A good function with a bit of everything, then spoilt.
fn spoil(change: impl FnOnce(&mut Function)) -> String {
    let text = "kernel k {
    array a0 in f32 strided \"x\"
    local l0 [f32; 2] \"t\"
    trap trap0 loop_limit
    v0 = load a0
    v1 = lt v0, v0
    v2 = const i32 0
    if v1 {
        yield
    } else {
        v3 = local.load l0, v2
        guard trap0, v1
        yield
    }
    v4 = loop (v5: f32 = v0) -> (f32) {
        break v5
    }
    return
}";
    let mut func = parse_module(text).unwrap().functions.remove(0);
    verify(&func, None).unwrap();
    change(&mut func);
    let errors = verify(&func, None).unwrap_err();
    // The listing is made whatever is wrong.
    assert!(errors.to_string().contains("kernel k"));
    errors.errors[0].message.clone()
}

fn find(func: &Function, op: Opcode) -> &InstData {
    func.insts.iter().find(|data| data.op == op).unwrap()
}

fn find_mut(func: &mut Function, op: Opcode) -> &mut InstData {
    func.insts.iter_mut().find(|data| data.op == op).unwrap()
}

#[test]
fn entities_out_of_range() {
    assert_eq!(spoil(|f| f.entry = Block(99)), "there is no such block");
    assert_eq!(
        spoil(|f| f.blocks[0].insts.insert(0, Inst(99))),
        "there is no such instruction"
    );
    assert_eq!(
        spoil(|f| find_mut(f, Opcode::If).blocks[0] = Block(99)),
        "there is no such block"
    );
    assert_eq!(
        spoil(|f| find_mut(f, Opcode::Loop).blocks[0] = Block(99)),
        "types of initial values are (f32), not ()"
    );
    assert_eq!(
        spoil(|f| find_mut(f, Opcode::Lt).args[0] = Value(99)),
        "there is no value v99"
    );
    assert_eq!(
        spoil(|f| find_mut(f, Opcode::Lt).results[0] = Value(99)),
        "types of the results are (), not (bool)"
    );
    assert_eq!(
        spoil(|f| find_mut(f, Opcode::Load).imm = Imm::Array(ArrayRef(9))),
        "there is no array a9"
    );
    assert_eq!(
        spoil(|f| find_mut(f, Opcode::LocalLoad).imm = Imm::Local(LocalRef(9))),
        "there is no local array l9"
    );
    assert_eq!(
        spoil(|f| find_mut(f, Opcode::Guard).imm = Imm::Trap(TrapRef(9))),
        "there is no trap trap9"
    );
}

#[test]
fn tables_that_disagree() {
    assert_eq!(
        spoil(|f| find_mut(f, Opcode::Const).imm = Imm::None),
        "`const` has the wrong immediate"
    );
    assert_eq!(
        spoil(|f| find_mut(f, Opcode::Lt).imm = Imm::Func(FuncRef(0))),
        "`lt` has the wrong immediate"
    );
    assert_eq!(
        spoil(|f| find_mut(f, Opcode::If).blocks.truncate(1)),
        "`if` owns 2 blocks, not 1"
    );
    assert_eq!(
        spoil(|f| find_mut(f, Opcode::Lt).blocks.push(Block(1))),
        "`lt` owns 0 blocks, not 1"
    );
    assert_eq!(
        spoil(|f| find_mut(f, Opcode::If).blocks[1] = Block(1)),
        "the block is owned twice"
    );
    assert_eq!(
        spoil(|f| find_mut(f, Opcode::If).blocks[1] = Block(0)),
        "the block is owned twice"
    );
    assert_eq!(
        spoil(|f| {
            let first = f.blocks[0].insts[0];
            f.blocks[0].insts.insert(0, first);
        }),
        "the instruction stands in two places"
    );
    assert_eq!(
        spoil(|f| {
            let block = find(f, Opcode::If).blocks[0];
            f.new_param(block, Type::BOOL);
        }),
        "an arm of an `if` has no parameters"
    );
    assert_eq!(
        spoil(|f| f.values[0].def = ValueDef::Param(Block(0), 3)),
        "v0 says it is Param(block0, 3), not Result(inst0, 0)"
    );
    assert_eq!(
        spoil(|f| {
            let again = find(f, Opcode::Load).results[0];
            find_mut(f, Opcode::Loop).results[0] = again;
        }),
        "v0 says it is Result(inst0, 0), not Result(inst8, 0)"
    );
    assert_eq!(
        spoil(|f| {
            let first = f.blocks[0].insts.remove(0);
            f.blocks[0].insts.insert(1, first);
        }),
        "v0 is not visible here"
    );
}

#[test]
fn nesting_is_limited() {
    let mut func = Function::new("deep");
    let mut outer = func.entry;
    for _ in 0..2000 {
        let body = func.new_block();
        let inst = func.new_inst(Opcode::Loop, &[], Imm::None, &[body], &[], Loc::default());
        let end = func.new_inst(
            Opcode::Unreachable,
            &[],
            Imm::None,
            &[],
            &[],
            Loc::default(),
        );
        func.block_mut(outer).insts = vec![inst, end];
        outer = body;
    }
    func.block_mut(outer).insts = Vec::new();
    let errors = verify(&func, None).unwrap_err();
    assert_eq!(errors.errors[0].message, "blocks nest deeper than 1000");
}

#[test]
fn blocks_inside_themselves_are_listed_once() {
    let mut func = Function::new("knot");
    let entry = func.entry;
    let condition = func.new_param(entry, Type::BOOL);
    let arms = [entry, entry];
    let knot = func.new_inst(
        Opcode::If,
        &[condition],
        Imm::None,
        &arms,
        &[],
        Loc::default(),
    );
    func.block_mut(entry).insts = vec![knot];
    let listing = verify(&func, None).unwrap_err().listing;
    assert_eq!(listing.matches("...").count(), 2);
}

#[test]
fn errors_are_shown_in_the_ir() {
    let module = parse_module("function f(v0: f32) -> f32 {\n v1 = not v0\n return v1\n}").unwrap();
    let errors = verify(&module.functions[0], None).unwrap_err();
    let expected = "inst0: not does not take f32
function f(v0: f32) -> f32 {
    v1 = not v0
    // ^ not does not take f32
    return v1
}
";
    assert_eq!(errors.to_string(), expected);
}

/// Whatever the tables hold, verifying and listing ends without a panic.
#[test]
fn random_damage_is_harmless() {
    let text = include_str!("text/all.kir");
    let module = parse_module(text).unwrap();
    crate::testing::cases(3000, |u| {
        let mut func = u.choose(&module.functions)?.clone();
        for _ in 0..u.int_in_range(1..=4)? {
            let n = u.int_in_range(0..=40)?;
            if func.insts.is_empty() {
                break;
            }
            let at = u.choose_index(func.insts.len())?;
            match u.int_in_range(0..=9)? {
                0 => func.insts[at].op = *u.choose(Opcode::ALL)?,
                1 => func.insts[at].args.push(Value(n)),
                2 => func.insts[at].args.clear(),
                3 => func.insts[at].blocks.push(Block(n)),
                4 => func.insts[at].blocks.truncate(1),
                5 => func.insts[at].results.push(Value(n)),
                6 => func.insts[at].results.clear(),
                7 => {
                    func.insts[at].imm = *u.choose(&[
                        Imm::None,
                        Imm::Array(ArrayRef(n)),
                        Imm::Const(Scalar::f32(0.0)),
                        Imm::Func(FuncRef(n)),
                    ])?
                }
                8 => {
                    let block = u.choose_index(func.blocks.len())?;
                    func.blocks[block].insts.push(Inst(n));
                }
                _ => {
                    let block = u.choose_index(func.blocks.len())?;
                    func.blocks[block] = BlockData {
                        params: vec![Value(n)],
                        insts: vec![Inst(n)],
                    };
                }
            }
        }
        if let Err(errors) = verify(&func, Some(&module)) {
            assert!(!errors.to_string().is_empty());
        }
        Ok(())
    });
}
