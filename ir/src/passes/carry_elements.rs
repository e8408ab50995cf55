//! An element of an output that a loop changes again and again, `for l in .. { c[i, j] += .. }`, stays in a
//! register: it is read once before the loop, carried by it, and written once behind it.
//!
//! The accesses must stand in the loop's body itself, behind the one test that leaves the loop, so that every
//! iteration makes them, and their indices must come from outside. Nothing else in the loop may touch the
//! element: not another access of the same array, unless a constant index says that it is elsewhere. Different
//! arrays are different memory, for outputs overlap nothing. A loop of no iterations must touch no memory, since
//! its indices may be out of bounds: what is before and behind the loop asks the loop's test first.

use crate::analysis::effects::defined_below;
use crate::analysis::tree::{Subst, make_const, walk_block, walk_exits};
use crate::{
    ArrayRef, Block, Form, Function, Imm, Inst, InstData, Opcode, Role, Scalar, Type, Value,
};
use rustc_hash::FxHashMap;

/// Runs the pass.
pub fn carry_elements(func: &mut Function) -> bool {
    let stores = |data: &InstData| data.op == Opcode::CoreStore;
    if func.form != Form::Scalar || !func.insts.iter().any(stores) {
        return false;
    }
    block(func, func.entry)
}

fn block(func: &mut Function, at: Block) -> bool {
    let mut changed = false;
    for inst in func.block(at).insts.clone() {
        for inner in func.inst(inst).blocks.clone() {
            changed |= block(func, inner);
        }
        if func.inst(inst).op == Opcode::Loop {
            while let Some((test, element)) = candidate(func, inst) {
                carry(func, at, inst, &test, &element);
                changed = true;
            }
        }
    }
    changed
}

/// The one way out of a loop.
struct Test {
    /// Where in the body the `if` stands; what is before it is pure.
    place: usize,
    /// The condition is true where the loop goes on.
    stays_if_true: bool,
    exit: Inst,
}

/// An element that can be carried.
struct Element {
    array: ArrayRef,
    index: Vec<Value>,
}

/// An element that a loop can carry, if there is one.
fn candidate(func: &Function, inst: Inst) -> Option<(Test, Element)> {
    let body = func.inst(inst).blocks[0];
    let test = test_of(func, body)?;
    let insts = &func.block(body).insts;
    let here = &insts[test.place + 1..];
    let mut accesses = Vec::new();
    walk_block(func, body, &mut |_, inner| {
        let data = func.inst(inner);
        if matches!(data.op, Opcode::CoreLoad | Opcode::CoreStore) {
            accesses.push((inner, here.contains(&inner)));
        }
    });
    let stores = accesses
        .iter()
        .filter(|(access, here)| *here && func.inst(*access).op == Opcode::CoreStore);
    let found = stores.map(|(store, _)| element(func, *store)).find(|own| {
        let comes_from_outside = |v: &Value| !defined_below(func, body, *v);
        own.index.iter().all(comes_from_outside)
            && accesses.iter().all(|(access, here)| {
                let other = element(func, *access);
                let is_own = *here && own.array == other.array && own.index == other.index;
                is_own || is_elsewhere(func, own, &other)
            })
    })?;
    Some((test, found))
}

/// The test that a body leaves its loop by, if that is the only one and no iteration ends early.
fn test_of(func: &Function, body: Block) -> Option<Test> {
    let (mut exits, mut continues) = (Vec::new(), Vec::new());
    walk_exits(func, body, &mut |exit| match func.inst(exit).op {
        Opcode::Break => exits.push(exit),
        _ => continues.push(exit),
    });
    let ([exit], [next]) = (&*exits, &*continues) else {
        return None;
    };
    let insts = &func.block(body).insts;
    if insts.last() != Some(next) {
        return None;
    }
    let place = insts.iter().position(|i| !func.inst(*i).op.is_pure())?;
    let data = func.inst(insts[place]);
    if data.op != Opcode::If || !data.results.is_empty() {
        return None;
    }
    // An arm that leaves, and one that does nothing.
    let last = |arm: usize| func.terminator(data.blocks[arm]);
    let leaving = (0..2).find(|arm| last(*arm) == Some(*exit))?;
    let staying = func.block(data.blocks[1 - leaving]);
    let is_plain = func.block(data.blocks[leaving]).insts.iter();
    let is_plain = is_plain.rev().skip(1).all(|i| func.inst(*i).op.is_pure());
    (is_plain && staying.insts.len() == 1).then_some(Test {
        place,
        stays_if_true: leaving == 1,
        exit: *exit,
    })
}

/// What an access is of.
fn element(func: &Function, access: Inst) -> Element {
    let data = func.inst(access);
    let Imm::Array(array) = data.imm else {
        unreachable!("bug in kjit: an access without array");
    };
    let array = match func.arrays[array.index()].role {
        Role::Alias(of) => of,
        _ => array,
    };
    let indices = match data.op {
        Opcode::CoreStore => data.args.len() - 1,
        _ => data.args.len(),
    };
    Element {
        array,
        index: data.args[..indices].to_vec(),
    }
}

/// Are two elements certainly different ones?
fn is_elsewhere(func: &Function, a: &Element, b: &Element) -> bool {
    let differ = |(x, y): (&Value, &Value)| match (func.as_const(*x), func.as_const(*y)) {
        (Some(x), Some(y)) => x.as_int() != y.as_int(),
        _ => false,
    };
    // Aliases of an array may move in other ways along promoted loops.
    let is_alias = |of: ArrayRef| {
        let params = func.arrays.iter();
        params.into_iter().any(|p| p.role == Role::Alias(of))
    };
    a.array != b.array || !is_alias(a.array) && a.index.iter().zip(&b.index).any(differ)
}

/// Makes a loop, an instruction of a block, carry an element.
fn carry(func: &mut Function, at: Block, inst: Inst, test: &Test, own: &Element) {
    let body = func.inst(inst).blocks[0];
    let loc = func.inst(inst).loc;
    let dtype = func.arrays[own.array.index()].dtype;
    let ty = Type::scalar(dtype);
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    let runs = first_test(func, inst, test, &mut before);
    let is_own = |func: &Function, access: Inst| {
        let is_access = matches!(func.inst(access).op, Opcode::CoreLoad | Opcode::CoreStore);
        is_access && {
            let other = element(func, access);
            own.array == other.array && own.index == other.index
        }
    };
    let insts = func.block(body).insts.clone();
    let first = insts.iter().find(|i| is_own(func, **i));
    let is_read = first.is_some_and(|i| func.inst(*i).op == Opcode::CoreLoad);
    let start = match is_read {
        true => {
            let imm = Imm::Array(own.array);
            let load = func.new_inst(Opcode::CoreLoad, &own.index, imm, &[], &[ty], loc);
            let loaded = func.result(load);
            let read = arm(func, vec![load], &[loaded]);
            let mut nothing = Vec::new();
            let zero = make_const(func, &mut nothing, Scalar::zero(dtype), ty);
            let other = arm(func, nothing, &[zero]);
            let arms = arms(test, read, other);
            let choice = func.new_inst(Opcode::If, &[runs], Imm::None, &arms, &[ty], loc);
            before.push(choice);
            func.result(choice)
        }
        // Written before it is read: what it was does not matter.
        false => make_const(func, &mut before, Scalar::zero(dtype), ty),
    };
    func.inst_mut(inst).args.push(start);
    let mut now = func.new_param(body, ty);
    func.inst_mut(test.exit).args.push(now);
    let end = func.new_result(inst, ty);
    let mut subst = Subst::new(func);
    let mut stay = Vec::with_capacity(insts.len());
    for access in insts {
        if !is_own(func, access) {
            stay.push(access);
            continue;
        }
        let data = func.inst(access);
        match data.op {
            Opcode::CoreLoad => subst.set(func.result(access), now),
            _ => now = subst.get(data.args[data.args.len() - 1]),
        }
    }
    let next = stay.last().copied();
    func.block_mut(body).insts = stay;
    if let Some(next) = next {
        func.inst_mut(next).args.push(now);
    }
    subst.apply_all(func);
    let args: Vec<Value> = own.index.iter().copied().chain([end]).collect();
    let imm = Imm::Array(own.array);
    let store = func.new_inst(Opcode::CoreStore, &args, imm, &[], &[], loc);
    let written = arm(func, vec![store], &[]);
    let other = arm(func, Vec::new(), &[]);
    let arms = arms(test, written, other);
    behind.push(func.new_inst(Opcode::If, &[runs], Imm::None, &arms, &[], loc));
    let insts = &mut func.block_mut(at).insts;
    let place = insts.iter().position(|i| *i == inst);
    let place = place.expect("bug in kjit: a loop outside of its block");
    insts.splice(place + 1..place + 1, behind);
    insts.splice(place..place, before);
}

/// The loop's test as its first iteration makes it, in front of the loop.
fn first_test(func: &mut Function, inst: Inst, test: &Test, before: &mut Vec<Inst>) -> Value {
    let (body, initial) = (func.inst(inst).blocks[0], func.inst(inst).args.clone());
    let params = func.block(body).params.clone();
    let mut first: FxHashMap<Value, Value> = params.into_iter().zip(initial).collect();
    let insts = func.block(body).insts[..=test.place].to_vec();
    let (choice, pure) = insts
        .split_last()
        .expect("bug in kjit: a loop without test");
    for inst in pure {
        let data = func.inst(*inst).clone();
        let at = |v: &Value| first.get(v).copied().unwrap_or(*v);
        let args: Vec<Value> = data.args.iter().map(at).collect();
        let types: Vec<Type> = data.results.iter().map(|v| func.ty(*v)).collect();
        let copy = func.new_inst(data.op, &args, data.imm, &[], &types, data.loc);
        first.extend(
            data.results
                .iter()
                .copied()
                .zip(func.inst(copy).results.clone()),
        );
        before.push(copy);
    }
    let condition = func.inst(*choice).args[0];
    first.get(&condition).copied().unwrap_or(condition)
}

/// A block that yields.
fn arm(func: &mut Function, insts: Vec<Inst>, results: &[Value]) -> Block {
    let block = func.new_block();
    let loc = Default::default();
    let end = func.new_inst(Opcode::Yield, results, Imm::None, &[], &[], loc);
    func.block_mut(block).insts = insts;
    func.block_mut(block).insts.push(end);
    block
}

/// The arms of an `if` on the loop's condition, given what is done where the loop runs and where it does not.
fn arms(test: &Test, runs: Block, does_not: Block) -> [Block; 2] {
    match test.stays_if_true {
        true => [runs, does_not],
        false => [does_not, runs],
    }
}
