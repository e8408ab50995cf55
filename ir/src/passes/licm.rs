//! Loop-invariant code motion: what does not depend on the iteration is done before the loop.
//!
//! Every pure operation is total, so all may be done even if the loop would not have come to them.
//! Out of the arms of an `if` only constants are taken: anything else might be wasted work.

use crate::analysis::effects::is_movable;
use crate::{Block, Function, Inst, Opcode, Value};

/// Runs the pass.
pub fn licm(func: &mut Function) -> bool {
    if !func.insts.iter().any(|i| i.op == Opcode::Loop) {
        return false;
    }
    let mut pass = Licm {
        depth: vec![0; func.values.len()],
        func,
        changed: false,
    };
    let entry = pass.func.entry;
    pass.block(entry, 0, &mut Vec::new());
    pass.changed
}

struct Licm<'a> {
    func: &'a mut Function,
    /// How many loops each value is defined in. A visible value of smaller depth is defined outside.
    depth: Vec<u32>,
    changed: bool,
}

impl Licm<'_> {
    fn define(&mut self, value: Value, depth: u32) {
        self.depth[value.index()] = depth;
    }

    /// Walks a block inside `depth` loops. Instructions that may go before the innermost loop move from
    /// the block to `hoisted`.
    fn block(&mut self, block: Block, depth: u32, hoisted: &mut Vec<Inst>) {
        for n in 0..self.func.block(block).params.len() {
            self.define(self.func.block(block).params[n], depth);
        }
        let insts = std::mem::take(&mut self.func.block_mut(block).insts);
        let mut out = Vec::with_capacity(insts.len());
        for inst in insts {
            match self.func.inst(inst).op {
                Opcode::If => {
                    for n in 0..2 {
                        let arm = self.func.inst(inst).blocks[n];
                        self.arm(arm, depth, hoisted);
                    }
                    self.place(inst, depth, &mut out);
                }
                Opcode::Loop => {
                    let body = self.func.inst(inst).blocks[0];
                    let mut before = Vec::new();
                    self.block(body, depth + 1, &mut before);
                    for moved in before {
                        self.place_or_hoist(moved, depth, &mut out, hoisted);
                    }
                    self.place(inst, depth, &mut out);
                }
                _ => self.place_or_hoist(inst, depth, &mut out, hoisted),
            }
        }
        self.func.block_mut(block).insts = out;
    }

    /// Like `block` for an arm of an `if`, of which only constants leave.
    fn arm(&mut self, arm: Block, depth: u32, hoisted: &mut Vec<Inst>) {
        let mut candidates = Vec::new();
        self.block(arm, depth, &mut candidates);
        let mut stay = Vec::new();
        for inst in candidates {
            let data = self.func.inst(inst);
            let leaves = match data.op {
                Opcode::Const => true,
                Opcode::Splat => self.depth[data.args[0].index()] < depth,
                _ => false,
            };
            if leaves {
                hoisted.push(inst);
            } else {
                // Depends on nothing of this arm but on others that stay: its start is a place as
                // good as theirs was.
                self.define(self.func.result(inst), depth);
                stay.push(inst);
            }
        }
        if !stay.is_empty() {
            stay.append(&mut self.func.block_mut(arm).insts);
            self.func.block_mut(arm).insts = stay;
        }
    }

    fn place(&mut self, inst: Inst, depth: u32, out: &mut Vec<Inst>) {
        for n in 0..self.func.inst(inst).results.len() {
            self.define(self.func.inst(inst).results[n], depth);
        }
        out.push(inst);
    }

    fn place_or_hoist(
        &mut self,
        inst: Inst,
        depth: u32,
        out: &mut Vec<Inst>,
        hoisted: &mut Vec<Inst>,
    ) {
        let data = self.func.inst(inst);
        let invariant = depth > 0
            && is_movable(self.func, inst)
            && data.args.iter().all(|a| self.depth[a.index()] < depth);
        if invariant {
            self.changed = true;
            self.place(inst, depth - 1, hoisted);
        } else {
            self.place(inst, depth, out);
        }
    }
}
