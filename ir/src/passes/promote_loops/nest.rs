//! Finds nests of counted loops.

use super::affine::{Affine, SMALL, Term};
use super::any_below;
use crate::analysis::tree::walk_exits;
use crate::{Block, DType, Function, Inst, Opcode, Value};

/// One loop: `for counter in low..high`.
#[derive(Clone, Debug)]
pub(super) struct Level {
    /// The `loop`.
    pub inst: Inst,
    pub body: Block,
    pub counter: Value,
    /// Where the counter starts, and `high - low`: of extents and constants.
    pub low: Affine,
    pub extent: Affine,
    /// What the body does, without the counting: its instructions in order.
    pub insts: Vec<Inst>,
}

/// Loops each of which is all that the one around it does.
pub(super) struct Nest {
    /// Outermost first.
    pub levels: Vec<Level>,
}

impl Nest {
    /// The loops that a statement is, as deep as they go.
    pub fn find(func: &Function, statement: Inst) -> Option<Nest> {
        let mut levels: Vec<Level> = Vec::new();
        let mut next = Some(statement);
        while let Some(level) = next.and_then(|inst| level(func, inst)) {
            // Beside the next loop there may be what can be computed again in each of its iterations.
            let (effects, others): (Vec<Inst>, Vec<Inst>) = level
                .insts
                .iter()
                .partition(|i| super::has_effect(func, **i));
            let mut is_loop = |inst: Inst| func.inst(inst).op == Opcode::Loop;
            next = match effects[..] {
                [only] if !others.iter().any(|i| any_below(func, *i, &mut is_loop)) => Some(only),
                _ => None,
            };
            levels.push(level);
        }
        (!levels.is_empty()).then_some(Nest { levels })
    }
}

fn level(func: &Function, inst: Inst) -> Option<Level> {
    let data = func.inst(inst);
    if data.op != Opcode::Loop || data.args.len() != 1 || !data.results.is_empty() {
        return None;
    }
    let body = data.blocks[0];
    if !matches!(func.ty(data.args[0]).dtype, DType::I32 | DType::I64) {
        return None;
    }
    let counter = func.block(body).params[0];
    let insts = &func.block(body).insts;
    let (mut breaks, mut continues) = (0, 0);
    walk_exits(func, body, &mut |exit| match func.inst(exit).op {
        Opcode::Break => breaks += 1,
        _ => continues += 1,
    });
    let last = func.inst(*insts.last()?);
    if (breaks, continues) != (1, 1) || last.op != Opcode::Continue {
        return None;
    }
    let dtype = func.ty(counter).dtype;
    let by_one = Affine {
        constant: 1,
        terms: vec![(Term::Counter(0), 1)],
    };
    if Affine::of(func, last.args[0], &[counter]) != by_one {
        return None;
    }
    // The exit test is the first instruction that is not pure.
    let at = insts.iter().position(|i| !func.inst(*i).op.is_pure())?;
    let high = exit_test(func, insts[at], counter)?;
    let low = Affine::of(func, data.args[0], &[]);
    let high = Affine::of(func, high, &[]);
    let known = |bound: &Affine| {
        let extents = bound
            .terms
            .iter()
            .all(|(t, _)| matches!(t, Term::Extent(_)));
        match dtype {
            DType::I64 => extents,
            DType::I32 => bound.terms.is_empty() && (-SMALL..SMALL).contains(&bound.constant),
            _ => false,
        }
    };
    if !known(&low) || !known(&high) {
        return None;
    }
    let mut extent = high;
    extent.add(&low, -1);
    let rest = insts[..insts.len() - 1].iter().enumerate();
    let rest = rest.filter(|(n, _)| *n != at).map(|(_, inst)| *inst);
    Some(Level {
        inst,
        body,
        counter,
        low,
        extent,
        insts: rest.collect(),
    })
}

/// Where a counter that steps by one stops: of `if counter < high {} else { break }` and the like.
fn exit_test(func: &Function, inst: Inst, counter: Value) -> Option<Value> {
    let data = func.inst(inst);
    if data.op != Opcode::If || !data.results.is_empty() {
        return None;
    }
    let only = |arm: Block| match func.block(arm).insts[..] {
        [only] => Some(func.inst(only).op),
        _ => None,
    };
    let stays = match (only(data.blocks[0])?, only(data.blocks[1])?) {
        (Opcode::Yield, Opcode::Break) => true,
        (Opcode::Break, Opcode::Yield) => false,
        _ => return None,
    };
    let compare = func.inst(super::definition(func, data.args[0])?);
    let [a, b] = compare.args[..] else {
        return None;
    };
    let high = match (compare.op, stays) {
        (Opcode::Lt, true) | (Opcode::Ge, false) if a == counter => b,
        (Opcode::Gt, true) | (Opcode::Le, false) if b == counter => a,
        _ => return None,
    };
    Some(high)
}
