//! What running a block does besides computing values.

use super::tree::{walk_block, walk_exits};
use crate::{ArrayMode, Block, Function, Imm, Inst, Opcode, Value, ValueDef};

/// Effects of a block and of all below it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Effects {
    /// Stores to an array or reports a failed check.
    pub writes: bool,
    /// Stores to a local array.
    pub writes_locals: bool,
    /// Reads a local array, or an array that is also written.
    pub reads: bool,
    /// Contains a loop.
    pub loops: bool,
    /// Contains a call.
    pub calls: bool,
    /// May leave the loop iteration around it (`break`, `continue`), or the function (`return`).
    pub leaves: bool,
}

/// Effects of a block and of all below it.
pub fn of_block(func: &Function, block: Block) -> Effects {
    let mut effects = Effects::default();
    walk_block(func, block, &mut |_, inst| {
        let data = func.inst(inst);
        match data.op {
            Opcode::Store | Opcode::CoreStore | Opcode::Guard => effects.writes = true,
            Opcode::LocalStore => effects.writes_locals = true,
            // Moving one could take it to where its index is out of bounds.
            Opcode::LocalLoad | Opcode::CoreLoad => effects.reads = true,
            Opcode::Load => effects.reads |= !is_invariant_load(func, inst),
            Opcode::Loop => effects.loops = true,
            Opcode::Call => effects.calls = true,
            Opcode::Return => effects.leaves = true,
            _ => {}
        }
    });
    walk_exits(func, block, &mut |_| effects.leaves = true);
    effects
}

/// Is it a `load` of an array that this kernel never writes, so that it always gives the same value?
pub fn is_invariant_load(func: &Function, inst: Inst) -> bool {
    let data = func.inst(inst);
    match (data.op, data.imm) {
        (Opcode::Load, Imm::Array(array)) => {
            data.args.is_empty() && func.arrays[array.index()].mode == ArrayMode::In
        }
        _ => false,
    }
}

/// May the instruction be removed when unused, repeated, hoisted and speculated?
pub fn is_movable(func: &Function, inst: Inst) -> bool {
    func.inst(inst).op.is_pure() || is_invariant_load(func, inst)
}

/// Does a loop provably end? True for `loop (i = ..) { if i < n .. else break; ..; continue i + 1 }`
/// and its mirror images, with `n` a constant or defined outside: stepping by one cannot miss `n`.
pub fn provably_ends(func: &Function, inst: Inst) -> bool {
    let body = func.inst(inst).blocks[0];
    let mut continues = Vec::new();
    walk_exits(func, body, &mut |exit| {
        if func.inst(exit).op == Opcode::Continue {
            continues.push(exit);
        }
    });
    if continues.is_empty() {
        return !of_block(func, body).loops;
    }
    // Nested loops must end too; calls are not looked into.
    let mut nested_end = true;
    for &inner in &func.block(body).insts {
        let data = func.inst(inner);
        nested_end &= match data.op {
            Opcode::Loop => provably_ends(func, inner),
            Opcode::If => data.blocks.iter().all(|b| !of_block(func, *b).loops),
            Opcode::Call => false,
            _ => true,
        };
    }
    if !nested_end {
        return false;
    }
    // The test must come before any `continue`, or an iteration could go round it.
    for &test in &func.block(body).insts {
        let data = func.inst(test);
        if data.op != Opcode::If {
            continue;
        }
        if is_counted_exit(func, body, data, &continues) {
            return true;
        }
        let mut goes_round = false;
        for &arm in &data.blocks {
            walk_exits(func, arm, &mut |exit| {
                goes_round |= func.inst(exit).op == Opcode::Continue;
            });
        }
        if goes_round {
            return false;
        }
    }
    false
}

/// Is this top-level `if` of a loop body the exit test of a counter that steps by one?
fn is_counted_exit(
    func: &Function,
    body: Block,
    test: &crate::InstData,
    continues: &[Inst],
) -> bool {
    let leaves = |arm: Block| {
        func.terminator(arm)
            .is_some_and(|last| func.inst(last).op == Opcode::Break)
    };
    let stay_if_true = leaves(test.blocks[1]) && !leaves(test.blocks[0]);
    let stay_if_false = leaves(test.blocks[0]) && !leaves(test.blocks[1]);
    if !stay_if_true && !stay_if_false {
        return false;
    }
    let ValueDef::Result(cmp, _) = func.def(test.args[0]) else {
        return false;
    };
    let cmp = func.inst(cmp);
    if cmp.args.len() != 2 || !func.ty(cmp.args[0]).dtype.is_int() {
        return false;
    }
    let counter = |v: Value| match func.def(v) {
        ValueDef::Param(block, n) if block == body => Some(n as usize),
        _ => None,
    };
    let (n, limit, flipped) = match (counter(cmp.args[0]), counter(cmp.args[1])) {
        (Some(n), None) => (n, cmp.args[1], false),
        (None, Some(n)) => (n, cmp.args[0], true),
        _ => return false,
    };
    let invariant = func.as_const(limit).is_some() || !defined_below(func, body, limit);
    let stay = if stay_if_true {
        cmp.op
    } else {
        match cmp.op {
            Opcode::Ge => Opcode::Lt,
            Opcode::Le => Opcode::Gt,
            Opcode::Eq => Opcode::Ne,
            _ => return false,
        }
    };
    let step = match (stay, flipped) {
        (Opcode::Lt, false) | (Opcode::Gt, true) => 1,
        (Opcode::Gt, false) | (Opcode::Lt, true) => -1,
        (Opcode::Ne, _) => 1,
        _ => return false,
    };
    let param = func.block(body).params[n];
    invariant
        && continues
            .iter()
            .all(|c| steps_by(func, func.inst(*c).args[n], param, step))
}

/// Is `next` the value `param + step`?
fn steps_by(func: &Function, next: Value, param: Value, step: i128) -> bool {
    let ValueDef::Result(inst, _) = func.def(next) else {
        return false;
    };
    let data = func.inst(inst);
    let dtype = func.ty(param).dtype;
    let by = |v: Value, s: i128| func.as_const(v) == Some(crate::Scalar::int(dtype, s));
    match data.op {
        Opcode::Add => {
            data.args[0] == param && by(data.args[1], step)
                || data.args[1] == param && by(data.args[0], step)
        }
        Opcode::Sub => data.args[0] == param && by(data.args[1], -step),
        _ => false,
    }
}

/// Is the value defined in this block or below?
pub(crate) fn defined_below(func: &Function, block: Block, value: Value) -> bool {
    let mut found = func.block(block).params.contains(&value);
    walk_block(func, block, &mut |_, inst| {
        let data = func.inst(inst);
        found |= data.results.contains(&value)
            || data
                .blocks
                .iter()
                .any(|b| func.block(*b).params.contains(&value));
    });
    found
}

/// Is the condition known to be seldom true? In vector form, of any active lane.
pub fn is_rare(func: &Function, condition: Value) -> bool {
    // A mask joins few conditions, the innermost last.
    fn look(func: &Function, condition: Value, depth: u32) -> bool {
        let ValueDef::Result(inst, _) = func.def(condition) else {
            return false;
        };
        let data = func.inst(inst);
        match data.op {
            Opcode::Rare => true,
            Opcode::AnyTrue | Opcode::And if depth > 0 => {
                data.args.iter().any(|arg| look(func, *arg, depth - 1))
            }
            _ => false,
        }
    }
    look(func, condition, 4)
}
