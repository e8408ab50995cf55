//! Arms that are seldom taken: a loop over the lanes that want one, with the arm's code as it was, on single numbers.
//!
//! ```text
//! if any(mask) {
//!     loop (waiting = mask, results = ..) {
//!         if any(waiting) else break results
//!         lane = first(waiting)
//!         .. the arm, on numbers extracted from this lane ..
//!         continue insert(waiting, lane, false), insert(results, lane, ..)
//!     }
//! }
//! ```
//!
//! Such code compiles several times faster than the same code on all lanes, and leaves the vector registers to what
//! is not rare.

use super::{MASK, Vectorizer};
use crate::analysis::cost::block_units;
use crate::analysis::effects;
use crate::analysis::tree::{make_const, walk_block};
use crate::{Block, DType, Imm, Inst, Opcode, Scalar, Type, Value};
use std::collections::HashMap;

/// An arm that costs more than this (in units of an add) runs lane by lane.
const MAX_ON_ALL_LANES: u32 = 100;

impl Vectorizer<'_> {
    /// Is it an `if` under a rare condition whose first arm only computes, and whose second one does nothing?
    pub(super) fn is_for_single_lanes(&self, inst: Inst) -> bool {
        let src = self.src;
        let data = src.inst(inst);
        let [arm, other] = data.blocks[..] else {
            return false;
        };
        let mut computes = true;
        walk_block(src, arm, &mut |_, inst| {
            let op = src.inst(inst).op;
            computes &= match op {
                Opcode::If | Opcode::Loop => true,
                Opcode::Yield | Opcode::Break | Opcode::Continue | Opcode::Unreachable => true,
                _ => op.is_pure() && op != Opcode::Index,
            };
        });
        let idle = |inst: &Inst| matches!(src.inst(*inst).op, Opcode::Const | Opcode::Yield);
        let ends = |block: Block| {
            let last = src.terminator(block);
            last.is_some_and(|last| src.inst(last).op == Opcode::Yield)
        };
        effects::is_rare(src, data.args[0])
            && block_units(src, arm) > MAX_ON_ALL_LANES
            && computes
            && !effects::of_block(src, arm).leaves
            && ends(arm)
            && ends(other)
            && src.block(other).insts.iter().all(idle)
            && data.results.iter().all(|r| self.uniformity.is_varying(*r))
    }

    /// Such an `if`.
    pub(super) fn rare_if(&mut self, inst: Inst) {
        let src = self.src;
        let data = src.inst(inst);
        let condition = self.map[data.args[0].index()];
        let mask = self.mask_and(self.state.active, condition);
        let mask_value = self.mask_value(mask);
        let some = self.any(mask);
        // What the others yield are constants, or stood before the `if`.
        for &inst in &src.block(data.blocks[1]).insts {
            if src.inst(inst).op == Opcode::Const {
                self.plain(inst);
            }
        }
        let last = |block: Block| match src.terminator(block) {
            Some(last) => src.inst(last),
            None => panic!("bug in kjit: an arm that was seen to end in `yield` has no end"),
        };
        let others: Vec<Value> = last(data.blocks[1])
            .args
            .iter()
            .map(|arg| self.mapped(*arg, true))
            .collect();
        let types: Vec<Type> = others.iter().map(|v| self.dst.ty(*v)).collect();

        let outer = std::mem::take(&mut self.out);
        let body = self.dst.new_block();
        let waiting = self.dst.new_param(body, MASK);
        let results: Vec<Value> = types
            .iter()
            .map(|ty| self.dst.new_param(body, *ty))
            .collect();
        let more = self.op(Opcode::AnyTrue, &[waiting], Type::BOOL);
        let goes_on = self.terminator(Opcode::Yield, &[]);
        let leaves = self.terminator(Opcode::Break, &results);
        self.push_if(more, vec![goes_on], vec![leaves], &[]);
        let lane = self.op(Opcode::First, &[waiting], DType::I32.into());
        let mut numbers = Numbers {
            lane,
            known: HashMap::new(),
        };
        let yielded = last(data.blocks[0]).args.clone();
        self.numbers_used(data.blocks[0], &mut numbers);
        self.lane_block(data.blocks[0], &mut numbers, true);
        let done = make_const(
            &mut self.dst,
            &mut self.out,
            Scalar::bool(false),
            Type::BOOL,
        );
        let mut next = vec![self.op(Opcode::Insert, &[waiting, lane, done], MASK)];
        for (n, arg) in yielded.iter().enumerate() {
            let number = numbers.known[arg];
            next.push(self.op(Opcode::Insert, &[results[n], lane, number], types[n]));
        }
        let again = self.terminator(Opcode::Continue, &next);
        self.out.push(again);
        self.dst.block_mut(body).insts = std::mem::take(&mut self.out);
        let mut initial = vec![mask_value];
        initial.extend(&others);
        let looping = self.push(Opcode::Loop, &initial, Imm::None, &[body], &types);
        let values = self.dst.inst(looping).results.clone();
        let last = self.terminator(Opcode::Yield, &values);
        self.out.push(last);
        let taken = std::mem::replace(&mut self.out, outer);
        let skipped = self.terminator(Opcode::Yield, &others);
        let joined = self.push_if(some, taken, vec![skipped], &types);
        let joined = self.dst.inst(joined).results.clone();
        for (old, new) in data.results.iter().zip(&joined) {
            self.map[old.index()] = *new;
        }
    }

    /// Extracts the numbers that the arm uses and that stood before it.
    fn numbers_used(&mut self, arm: Block, numbers: &mut Numbers) {
        let src = self.src;
        let mut inside = Vec::new();
        let mut used = Vec::new();
        walk_block(src, arm, &mut |_, inst| {
            let data = src.inst(inst);
            inside.extend(&data.results);
            for block in &data.blocks {
                inside.extend(&src.block(*block).params);
            }
            used.extend(&data.args);
        });
        for value in used {
            if inside.contains(&value) || numbers.known.contains_key(&value) {
                continue;
            }
            let here = self.map[value.index()];
            let ty = self.dst.ty(here);
            let number = match ty.varying {
                true => self.op(Opcode::Extract, &[here, numbers.lane], ty.dtype.into()),
                false => here,
            };
            numbers.known.insert(value, number);
        }
    }

    /// Copies the instructions of a block, as scalar code; of the arm itself (`outermost`) without its `yield`.
    fn lane_block(&mut self, block: Block, numbers: &mut Numbers, outermost: bool) {
        let src = self.src;
        for &inst in &src.block(block).insts {
            let data = src.inst(inst);
            self.loc = data.loc;
            if outermost && data.op == Opcode::Yield {
                return;
            }
            let mut blocks = Vec::with_capacity(data.blocks.len());
            for &old in &data.blocks {
                let new = self.dst.new_block();
                for &param in &src.block(old).params {
                    let number = self.dst.new_param(new, src.ty(param));
                    numbers.known.insert(param, number);
                }
                let outer = std::mem::take(&mut self.out);
                self.lane_block(old, numbers, false);
                self.dst.block_mut(new).insts = std::mem::replace(&mut self.out, outer);
                blocks.push(new);
            }
            let args: Vec<Value> = data.args.iter().map(|arg| numbers.known[arg]).collect();
            let types: Vec<Type> = data.results.iter().map(|r| src.ty(*r)).collect();
            let new = self.push(data.op, &args, data.imm, &blocks, &types);
            for (n, old) in data.results.iter().enumerate() {
                let number = self.dst.inst(new).results[n];
                numbers.known.insert(*old, number);
            }
        }
    }
}

/// The numbers of one lane.
struct Numbers {
    lane: Value,
    /// What stands for values of the source.
    known: HashMap<Value, Value>,
}
