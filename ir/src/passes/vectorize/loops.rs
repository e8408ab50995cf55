//! The loops of [`vectorize`](super::vectorize()): live masks, exits as mask updates, accumulators.

use super::{Arm, Around, End, MASK, Mask, State, Vectorizer};
use crate::analysis::tree::{make_const, walk_exits};
use crate::{Block, Imm, Inst, Opcode, Scalar, Type, Value};

impl Vectorizer<'_> {
    /// Leaves the loop where no lane is live any more: right behind the `if` by which lanes left.
    pub(super) fn check_after_if(&mut self) {
        let divergent = self.around.as_ref().is_some_and(|a| a.divergent);
        if !divergent || !self.uniform_control || self.state.checked || !self.state.thinned {
            return;
        }
        let live = self.live();
        let some = self.any(live);
        let results = self.results_of_the_left();
        let stay = self.terminator(Opcode::Yield, &[]);
        let leave = self.terminator(Opcode::Break, &results);
        self.push_if(some, vec![stay], vec![leave], &[]);
        self.state.checked = true;
        self.state.thinned = false;
        self.state.occupied = self.state.continued.is_none();
    }

    /// Lanes that have not left the loop.
    fn live(&mut self) -> Mask {
        let continued = self.state.continued.map_or(Mask::Nobody, Mask::Lanes);
        self.mask_or(self.state.active, continued)
    }

    fn around(&self) -> Around {
        match &self.around {
            Some(around) => around.clone(),
            None => panic!("bug in kjit: vectorize met a loop exit outside loops"),
        }
    }

    /// The results of a divergent loop when no lane is live.
    fn results_of_the_left(&mut self) -> Vec<Value> {
        let around = self.around();
        let mut results = Vec::new();
        for (n, param) in around.result_param.iter().enumerate() {
            results.push(match (param, self.state.left[n]) {
                (Some(p), _) => around.params[*p],
                (None, Some(value)) => value,
                (None, None) => panic!("bug in kjit: a loop result without accumulator"),
            });
        }
        results
    }

    pub(super) fn break_(&mut self, inst: Inst) -> End {
        let src = self.src;
        let around = self.around();
        let results = &src.inst(around.looping).results;
        let given = &src.inst(inst).args;
        if !around.divergent {
            let mut args = Vec::new();
            for (arg, result) in given.iter().zip(results) {
                let varying = self.uniformity.is_varying(*result);
                args.push(self.mapped(*arg, varying));
            }
            self.push(Opcode::Break, &args, Imm::None, &[], &[]);
            return End::Closed;
        }
        // The accumulators of lanes still live may hold anything. So the first to leave in an iteration
        // may write to all lanes that began it: that mask exists already.
        let active = self.state.active;
        if let (Some(live), false) = (around.live, self.state.departed) {
            self.state.active = Mask::Lanes(live);
        }
        for (n, &arg) in given.iter().enumerate() {
            if let Some(old) = self.state.left[n] {
                let value = self.mapped(arg, true);
                self.state.left[n] = Some(self.blend(value, old));
            }
        }
        self.state.active = active;
        if self.uniform_control && self.state.continued.is_none() {
            let results = self.results_of_the_left();
            self.push(Opcode::Break, &results, Imm::None, &[], &[]);
            return End::Closed;
        }
        self.state.active = Mask::Nobody;
        self.state.occupied = false;
        self.state.thinned = true;
        self.state.departed = true;
        End::Left
    }

    pub(super) fn continue_(&mut self, inst: Inst) -> End {
        let src = self.src;
        let given = &src.inst(inst).args;
        if self.uniform_control {
            self.next_iteration(Some(given));
            return End::Closed;
        }
        let around = self.around();
        for (n, &arg) in given.iter().enumerate() {
            let varying = self.dst.ty(around.params[n]).varying;
            let value = self.mapped(arg, varying);
            let old = self.state.next[n];
            self.state.next[n] = Some(match old {
                Some(old) if varying => self.blend(value, old),
                _ => value,
            });
        }
        let active = self.state.active;
        let continued = self.state.continued.map_or(Mask::Nobody, Mask::Lanes);
        let continued = self.mask_or(continued, active);
        self.state.continued = Some(self.mask_value(continued));
        self.state.active = Mask::Nobody;
        self.state.occupied = false;
        End::Left
    }

    /// Ends the iteration: the active lanes with the `given` values, those that continued before with theirs.
    pub(super) fn next_iteration(&mut self, given: Option<&[Value]>) {
        let around = self.around();
        let mut args = Vec::new();
        for (n, &param) in around.params.iter().enumerate() {
            let ty = self.dst.ty(param);
            let value = given.map(|g| self.mapped(g[n], ty.varying));
            let old = self.state.next[n];
            args.push(match (value, old) {
                (Some(value), Some(old)) if ty.varying => self.blend(value, old),
                (Some(value), _) => value,
                (None, Some(old)) => old,
                (None, None) => self.zero(ty),
            });
        }
        if !around.divergent {
            self.push(Opcode::Continue, &args, Imm::None, &[], &[]);
            return;
        }
        let results = self.results_of_the_left();
        let live = self.live();
        if live == Mask::Nobody {
            self.push(Opcode::Break, &results, Imm::None, &[], &[]);
            return;
        }
        args.push(self.mask_value(live));
        args.extend(self.state.left.iter().flatten());
        let again = self.terminator(Opcode::Continue, &args);
        if self.state.checked {
            self.out.push(again);
            return;
        }
        let some = self.any(live);
        let leave = self.terminator(Opcode::Break, &results);
        self.push_if(some, vec![again], vec![leave], &[]);
        self.push(Opcode::Unreachable, &[], Imm::None, &[], &[]);
    }

    pub(super) fn loop_(&mut self, inst: Inst) {
        let src = self.src;
        let results = &src.inst(inst).results;
        let divergent = self.uniformity.is_divergent(inst);
        if divergent || self.state.occupied {
            self.loop_core(inst, divergent);
            return;
        }
        // Without a lane, a uniform loop might not end.
        let before = self.state.clone();
        let some = self.any(before.active);
        let outer = std::mem::take(&mut self.out);
        self.state.occupied = true;
        self.loop_core(inst, divergent);
        let arm = Arm {
            values: results.iter().map(|r| self.map[r.index()]).collect(),
            insts: std::mem::replace(&mut self.out, outer),
            closed: false,
            left: false,
            state: before.clone(),
        };
        let types: Vec<Type> = results.iter().map(|r| self.vector_type(*r)).collect();
        let mut skipped = Arm {
            insts: Vec::new(),
            closed: false,
            left: false,
            values: Vec::new(),
            state: before.clone(),
        };
        for ty in &types {
            let zero = Scalar::zero(ty.dtype);
            let value = make_const(&mut self.dst, &mut skipped.insts, zero, *ty);
            skipped.values.push(value);
        }
        if let Some(values) = self.join(some, &before, arm, skipped, &types) {
            for (old, new) in results.iter().zip(values) {
                self.map[old.index()] = new;
            }
        }
    }

    fn loop_core(&mut self, inst: Inst, divergent: bool) {
        let src = self.src;
        let data = src.inst(inst);
        let old_body = data.blocks[0];
        let old_params = &src.block(old_body).params;
        let body = self.dst.new_block();
        let mut initial = Vec::new();
        let mut params = Vec::new();
        for (&param, &value) in old_params.iter().zip(&data.args) {
            let ty = self.vector_type(param);
            initial.push(self.mapped(value, ty.varying));
            let new = self.dst.new_param(body, ty);
            self.map[param.index()] = new;
            params.push(new);
        }
        let mut result_param = vec![None; data.results.len()];
        let mut frozen = vec![false; params.len()];
        let mut left = vec![None; data.results.len()];
        let mut active = self.state.active;
        let mut live = None;
        if divergent {
            initial.push(self.mask_value(active));
            let param = self.dst.new_param(body, MASK);
            live = Some(param);
            active = Mask::Lanes(param);
            for (n, &result) in data.results.iter().enumerate() {
                result_param[n] = self.breaks_with_param(old_body, n);
                if let Some(p) = result_param[n] {
                    frozen[p] = true;
                } else {
                    let ty = Type::varying(src.ty(result).dtype);
                    initial.push(self.zero(ty));
                    left[n] = Some(self.dst.new_param(body, ty));
                }
            }
        }
        let state = State {
            active,
            occupied: !divergent && self.state.occupied,
            continued: None,
            // A frozen value stays unless a lane brings a new one.
            next: (params.iter().zip(&frozen))
                .map(|(param, frozen)| frozen.then_some(*param))
                .collect(),
            left,
            checked: false,
            thinned: false,
            departed: false,
        };
        let around = Around {
            looping: inst,
            divergent,
            params,
            live,
            result_param,
        };
        let outer_state = std::mem::replace(&mut self.state, state);
        let outer_around = self.around.replace(around);
        let outer_control = std::mem::replace(&mut self.uniform_control, true);
        let outer = std::mem::take(&mut self.out);
        match self.block(old_body) {
            End::Closed => {}
            End::Left => self.next_iteration(None),
            End::Falls(_) => panic!("bug in kjit: vectorize met a loop body that yields"),
        }
        self.dst.block_mut(body).insts = std::mem::replace(&mut self.out, outer);
        self.uniform_control = outer_control;
        self.around = outer_around;
        self.state = outer_state;
        self.loc = data.loc;
        let types: Vec<Type> = data.results.iter().map(|r| self.vector_type(*r)).collect();
        let new = self.push(Opcode::Loop, &initial, Imm::None, &[body], &types);
        for (n, old) in data.results.iter().enumerate() {
            self.map[old.index()] = self.dst.inst(new).results[n];
        }
    }

    /// The varying carried value that every `break` gives as result `n`, if there is one.
    fn breaks_with_param(&self, body: Block, n: usize) -> Option<usize> {
        let mut values = Vec::new();
        walk_exits(self.src, body, &mut |exit| {
            let data = self.src.inst(exit);
            if data.op == Opcode::Break {
                values.push(data.args[n]);
            }
        });
        let first = *values.first()?;
        let params = &self.src.block(body).params;
        let p = params.iter().position(|p| *p == first)?;
        (self.uniformity.is_varying(first) && values.iter().all(|v| *v == first)).then_some(p)
    }
}
