//! Loops over core dimensions become loop dimensions: `for i in 0..n { for j in 0..m { out[i, j] = .. } }` of a
//! gufunc body is not a loop inside an element, but more elements.
//!
//! The top-level statements of the body with an effect are split into several kernels, to be run one after
//! the other. A statement that is a nest of counted loops loses those whose iterations write different
//! elements: they are [`Function::loops`] of its kernel, and the rest of the nest runs inside. What it needs of the straight-line code before it
//! is computed again in each iteration. In its `core.load` and `core.store` the counters are gone from the
//! indices: [`ArrayParam::along`] says how far an iteration moves in each array. What is left of an index
//! counts from there, and so may be negative. An input read with different movements (`x[i, j] + x[j, i]`)
//! is several array parameters, the further ones of role [`Role::Alias`]; a counter needed as a number is an
//! input of role [`Role::Iota`].
//!
//! Iterations are independent when the nest writes by `core.store` alone and each array it writes has, for
//! each counter, a core axis that all its accesses in the nest index by one and the same multiple of that
//! counter plus something that does not change in the nest: an iteration then has slabs of its own.
//! Statements that are no such nest stay together as they are, between the others.

mod affine;
mod nest;
mod rewrite;

use crate::analysis::effects;
use crate::analysis::tree::{compact, walk_block};
use crate::passes::{const_fold, cse, dce, licm, run_passes, simplify};
use crate::{ArrayMode, Block, Form, Function, Imm, Inst, Opcode, ValueDef};
use nest::Nest;

/// The kernels that together do what this gufunc kernel does, to be run one after the other, each over all
/// elements. The arrays of each start with those of the kernel given. One kernel, the one given, if
/// no loop can be promoted.
pub fn promote_loops(func: &Function) -> Vec<Function> {
    split(func).unwrap_or_else(|| vec![func.clone()])
}

/// What becomes a kernel of its own.
enum Part {
    /// Statements that stay as they are.
    Plain(Vec<Inst>),
    /// A statement whose loops go.
    Promoted(Box<Function>),
}

fn split(func: &Function) -> Option<Vec<Function>> {
    if func.form != Form::Scalar || func.dims.is_empty() || !func.loops.is_empty() {
        return None;
    }
    let mut calls_or_returns = 0;
    walk_block(func, func.entry, &mut |_, inst| {
        let op = func.inst(inst).op;
        calls_or_returns += usize::from(matches!(op, Opcode::Call | Opcode::Return));
    });
    let last = func.terminator(func.entry)?;
    if func.inst(last).op != Opcode::Return || calls_or_returns != 1 {
        return None;
    }
    let insts = &func.block(func.entry).insts;
    let top = &insts[..insts.len() - 1];
    let statements: Vec<Inst> = top
        .iter()
        .copied()
        .filter(|i| has_effect(func, *i))
        .collect();
    let uses = crate::analysis::tree::use_counts(func);
    let has_used_results = |inst: &Inst| {
        let results = &func.inst(*inst).results;
        results.iter().any(|r| uses[r.index()] > 0)
    };
    // Values that statements hand on, or that are read from what statements write, tie them together.
    let values = || top.iter().filter(|i| !has_effect(func, **i));
    if statements.iter().any(has_used_results) || values().any(|i| reads_outputs(func, *i)) {
        return None;
    }
    let mut parts: Vec<Part> = Vec::new();
    for &statement in &statements {
        if let Some(kernel) = promoted(func, statement) {
            parts.push(Part::Promoted(Box::new(kernel)));
        } else if let Some(Part::Plain(list)) = parts.last_mut() {
            list.push(statement);
        } else {
            parts.push(Part::Plain(vec![statement]));
        }
    }
    if !parts.iter().any(|part| matches!(part, Part::Promoted(_))) {
        return None;
    }
    let kernels = parts.into_iter().map(|part| match part {
        Part::Promoted(kernel) => *kernel,
        Part::Plain(list) => without_other_statements(func, &statements, &list),
    });
    let kernels: Vec<Function> = kernels.map(tidied).collect();
    // Local arrays are those of one kernel.
    let with_locals = kernels
        .iter()
        .filter(|kernel| touches_locals(kernel, kernel.entry));
    (with_locals.count() <= 1).then_some(kernels)
}

/// The kernel of one statement, without its loops.
fn promoted(func: &Function, statement: Inst) -> Option<Function> {
    let nest = Nest::find(func, statement)?;
    rewrite::promoted(func, &nest)
}

/// The kernel with these of its statements only.
fn without_other_statements(func: &Function, statements: &[Inst], keep: &[Inst]) -> Function {
    let mut kernel = func.clone();
    let entry = kernel.entry;
    let insts = &mut kernel.block_mut(entry).insts;
    insts.retain(|inst| !statements.contains(inst) || keep.contains(inst));
    kernel
}

fn tidied(mut kernel: Function) -> Function {
    run_passes(
        &mut kernel,
        &[
            ("const_fold", const_fold),
            ("simplify", simplify),
            ("cse", cse),
            ("licm", licm),
            ("cse", cse),
            ("dce", dce),
        ],
    );
    let mut kernel = compact(&kernel);
    rewrite::drop_unused_inputs(&mut kernel);
    kernel
}

/// Does running it do more than compute its results?
fn has_effect(func: &Function, inst: Inst) -> bool {
    let data = func.inst(inst);
    match data.op {
        Opcode::Store | Opcode::CoreStore | Opcode::LocalStore | Opcode::Guard => true,
        Opcode::Unreachable => true,
        _ => data.blocks.iter().any(|block| {
            let effects = effects::of_block(func, *block);
            effects.writes || effects.writes_locals
        }),
    }
}

/// Does it read, itself or below, an array that the kernel may write?
fn reads_outputs(func: &Function, inst: Inst) -> bool {
    any_below(func, inst, &mut |inst| {
        let data = func.inst(inst);
        match (data.op, data.imm) {
            (Opcode::Load | Opcode::CoreLoad, Imm::Array(array)) => {
                func.arrays[array.index()].mode != ArrayMode::In
            }
            _ => false,
        }
    })
}

/// Does a block use local arrays?
fn touches_locals(func: &Function, block: Block) -> bool {
    let mut found = false;
    walk_block(func, block, &mut |_, inst| {
        found |= matches!(func.inst(inst).imm, Imm::Local(_));
    });
    found
}

/// Is it true of an instruction or one below it?
fn any_below(func: &Function, inst: Inst, test: &mut impl FnMut(Inst) -> bool) -> bool {
    let mut found = test(inst);
    for &block in &func.inst(inst).blocks {
        walk_block(func, block, &mut |_, inner| found |= test(inner));
    }
    found
}

/// The instruction that gives a value, unless it is a parameter.
fn definition(func: &Function, value: crate::Value) -> Option<Inst> {
    match func.def(value) {
        ValueDef::Result(inst, _) => Some(inst),
        ValueDef::Param(..) => None,
    }
}
