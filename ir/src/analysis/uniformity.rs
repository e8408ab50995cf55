//! Which values are the same in all lanes that compute them, and which loops lanes leave at different times.
//!
//! A value is *uniform* when all lanes that are active where it is defined would compute the same
//! number: constants, loads of arrays with a zero step, and what follows from them. Control flow makes
//! values varying where it merges:
//!
//! * a result of an `if` with a varying condition, unless one arm leaves or both yield the same value;
//! * a carried value that lanes bring along different ways into the next iteration;
//! * a result of a *divergent* loop: one that some lanes leave while others stay.
//!
//! Inside a divergent loop its counter stays uniform: the lanes that are still in the loop have all done the
//! same number of iterations. That is what keeps trip counters scalar.

use super::tree::{falls_through, same_value};
use crate::{Access, Block, Function, Imm, Inst, Opcode, Value};

/// The result of [`compute`].
#[derive(Clone, Debug)]
pub struct Uniformity {
    varying: Vec<bool>,
    divergent: Vec<bool>,
}

impl Uniformity {
    /// Is the value the same in all lanes that compute it?
    pub fn is_uniform(&self, value: Value) -> bool {
        !self.varying[value.index()]
    }

    /// Is the value possibly different between lanes?
    pub fn is_varying(&self, value: Value) -> bool {
        self.varying[value.index()]
    }

    /// May some lanes leave this `loop` while others stay?
    pub fn is_divergent(&self, looping: Inst) -> bool {
        self.divergent[looping.index()]
    }
}

/// Computes the uniformity of every value of a scalar-form function.
pub fn compute(func: &Function) -> Uniformity {
    let mut analysis = Analysis {
        func,
        out: Uniformity {
            varying: vec![false; func.values.len()],
            divergent: vec![false; func.insts.len()],
        },
        changed: true,
        continues: Vec::new(),
    };
    // Parameters of a function that is not a kernel may be anything.
    for &param in func.params() {
        analysis.out.varying[param.index()] = true;
    }
    // Facts only ever go from uniform to varying, so this ends.
    while analysis.changed {
        analysis.changed = false;
        analysis.block(func.entry, false, false);
    }
    analysis.out
}

struct Analysis<'a> {
    func: &'a Function,
    out: Uniformity,
    changed: bool,
    /// For each open loop: the loop, and the first `continue` seen.
    continues: Vec<(Inst, Option<Inst>)>,
}

impl Analysis<'_> {
    fn set(&mut self, value: Value, varying: bool) {
        if varying && !self.out.varying[value.index()] {
            self.out.varying[value.index()] = true;
            self.changed = true;
        }
    }

    /// Walks a block. `control`: is it under varying control inside the innermost loop? `split`: have
    /// some lanes left the iteration before others? Returns the latter for what follows.
    fn block(&mut self, block: Block, control: bool, mut split: bool) -> bool {
        let func = self.func;
        for &inst in &func.block(block).insts {
            let data = func.inst(inst);
            match data.op {
                Opcode::If => {
                    let varying = self.out.is_varying(data.args[0]);
                    let inner = control || varying;
                    let (then_arm, else_arm) = (data.blocks[0], data.blocks[1]);
                    let then_split = self.block(then_arm, inner, split);
                    let else_split = self.block(else_arm, inner, split);
                    split = then_split || else_split;
                    self.if_results(inst, varying);
                }
                Opcode::Loop => {
                    let body = data.blocks[0];
                    for (&param, &initial) in func.block(body).params.iter().zip(&data.args) {
                        self.set(param, self.out.is_varying(initial));
                    }
                    self.continues.push((inst, None));
                    self.block(body, false, false);
                    self.continues.pop();
                }
                Opcode::Continue => {
                    self.continue_(inst, control || split);
                    split |= control;
                }
                Opcode::Break => {
                    if let Some(&(looping, _)) = self.continues.last() {
                        self.break_(looping, inst, control || split);
                    }
                    split |= control;
                }
                Opcode::Load => {
                    let uniform = matches!(data.imm, Imm::Array(a)
                        if func.arrays[a.index()].access == Access::Uniform);
                    self.set(data.results[0], !uniform);
                }
                Opcode::CoreLoad => {
                    let uniform = matches!(data.imm, Imm::Array(a)
                        if func.arrays[a.index()].access == Access::Uniform);
                    let varying = data.args.iter().any(|a| self.out.is_varying(*a));
                    self.set(data.results[0], !uniform || varying);
                }
                Opcode::Index | Opcode::LocalLoad => self.set(data.results[0], true),
                _ => {
                    let varying = data.op == Opcode::Call
                        || data.args.iter().any(|a| self.out.is_varying(*a));
                    for &result in &data.results {
                        self.set(result, varying);
                    }
                }
            }
        }
        split
    }

    fn if_results(&mut self, inst: Inst, varying: bool) {
        let func = self.func;
        let data = func.inst(inst);
        let yields: Vec<Inst> = data
            .blocks
            .iter()
            .filter(|b| falls_through(func, **b))
            .filter_map(|b| func.terminator(*b))
            .collect();
        for (n, &result) in data.results.iter().enumerate() {
            let mut is_varying = false;
            for y in &yields {
                is_varying |= self.out.is_varying(func.inst(*y).args[n]);
            }
            if let [a, b] = yields[..]
                && varying
            {
                is_varying |= !same_value(func, func.inst(a).args[n], func.inst(b).args[n]);
            }
            self.set(result, is_varying);
        }
    }

    fn continue_(&mut self, inst: Inst, partial: bool) {
        let func = self.func;
        let Some(&(looping, first)) = self.continues.last() else {
            return;
        };
        if first.is_none()
            && let Some(top) = self.continues.last_mut()
        {
            top.1 = Some(inst);
        }
        let body = func.inst(looping).blocks[0];
        for (n, &param) in func.block(body).params.iter().enumerate() {
            let next = func.inst(inst).args[n];
            let mut varying = self.out.is_varying(next);
            if let Some(first) = first
                && partial
            {
                varying |= !same_value(func, func.inst(first).args[n], next);
            }
            self.set(param, varying);
        }
    }

    fn break_(&mut self, looping: Inst, inst: Inst, partial: bool) {
        let func = self.func;
        if partial && !self.out.divergent[looping.index()] {
            self.out.divergent[looping.index()] = true;
            self.changed = true;
        }
        let divergent = self.out.divergent[looping.index()];
        for (n, &result) in func.inst(looping).results.iter().enumerate() {
            let value = func.inst(inst).args[n];
            self.set(result, divergent || self.out.is_varying(value));
        }
    }
}
