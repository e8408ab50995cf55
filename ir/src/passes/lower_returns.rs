//! Makes nested `return`s structured exits, so that `return` only ends the entry block.
//!
//! Inside a loop, `return x` becomes `break true, x, ..` and the loop is followed by
//! `if left { return x }`. Outside loops, what follows an `if` that may return moves into the arm that
//! goes on; when both arms may go on, a bool says which way it went.

use crate::analysis::tree::{Subst, add_result, falls_through, make_const};
use crate::{Block, DType, Function, Imm, Inst, Opcode, Scalar, Type, Value};

/// Runs the pass. Afterwards the only `return` is the entry block's last instruction (there is none
/// when the function cannot end).
pub fn lower_returns(func: &mut Function) -> bool {
    let entry = func.entry;
    let nested = func
        .block(entry)
        .insts
        .iter()
        .any(|i| contains_return(func, *i));
    if !nested {
        return false;
    }
    let mut pass = LowerReturns {
        types: func.results.clone(),
        subst: Subst::new(func),
        func,
    };
    pass.out_of_loops(entry);
    pass.finish(entry, Exit::Return);
    let subst = pass.subst;
    subst.apply_all(func);
    true
}

/// Does an `if` or `loop` contain a `return`?
fn contains_return(func: &Function, inst: Inst) -> bool {
    func.inst(inst).blocks.iter().any(|b| {
        func.block(*b)
            .insts
            .iter()
            .any(|i| func.inst(*i).op == Opcode::Return || contains_return(func, *i))
    })
}

/// How a block hands over what it ends with.
#[derive(Clone)]
enum Exit {
    /// The entry block: `return results`.
    Return,
    /// Every way through the block returns: `yield results`.
    Results,
    /// Some ways go on with values of these types: `yield returned, results, values`.
    Maybe(Vec<Type>),
}

struct LowerReturns<'a> {
    func: &'a mut Function,
    types: Vec<Type>,
    subst: Subst,
}

impl LowerReturns<'_> {
    fn inst(
        &mut self,
        op: Opcode,
        args: &[Value],
        blocks: &[Block],
        results: &[Type],
        like: Inst,
    ) -> Inst {
        let loc = self.func.inst(like).loc;
        self.func
            .new_inst(op, args, Imm::None, blocks, results, loc)
    }

    fn zeros(&mut self, out: &mut Vec<Inst>, types: &[Type]) -> Vec<Value> {
        types
            .iter()
            .map(|ty| make_const(self.func, out, Scalar::zero(ty.dtype), *ty))
            .collect()
    }

    /// Turns returns inside loops into breaks, innermost loops first.
    fn out_of_loops(&mut self, block: Block) {
        let insts = std::mem::take(&mut self.func.block_mut(block).insts);
        let mut out = Vec::with_capacity(insts.len());
        for inst in insts {
            for inner in self.func.inst(inst).blocks.clone() {
                self.out_of_loops(inner);
            }
            out.push(inst);
            if self.func.inst(inst).op == Opcode::Loop && contains_return(self.func, inst) {
                self.returns_to_breaks(inst, &mut out);
            }
        }
        // A loop left only by `return` is followed by nothing.
        if let Some(end) = out
            .iter()
            .position(|i| self.func.inst(*i).op == Opcode::Return)
        {
            out.truncate(end + 1);
        }
        self.func.block_mut(block).insts = out;
    }

    fn returns_to_breaks(&mut self, looping: Inst, out: &mut Vec<Inst>) {
        let body = self.func.inst(looping).blocks[0];
        let mut breaks = Vec::new();
        collect_exits(self.func, body, &mut breaks);
        let may_break = breaks
            .iter()
            .any(|(_, i)| self.func.inst(*i).op == Opcode::Break);
        let old = self.func.inst(looping).results.clone();
        let old_types: Vec<Type> = old.iter().map(|v| self.func.ty(*v)).collect();
        let types = self.types.clone();
        // New results in front: [returned,] returned values.., then the old results.
        self.func.inst_mut(looping).results.clear();
        let flag = may_break.then(|| add_result(self.func, looping, Type::BOOL));
        let returned: Vec<Value> = types
            .iter()
            .map(|ty| add_result(self.func, looping, *ty))
            .collect();
        for (value, ty) in old.iter().zip(&old_types) {
            let new = add_result(self.func, looping, *ty);
            self.subst.set(*value, new);
        }
        for (block, exit) in breaks {
            let mut consts = Vec::new();
            let is_return = self.func.inst(exit).op == Opcode::Return;
            let given = self.func.inst(exit).args.to_vec();
            let mut args = Vec::new();
            if may_break {
                let returned = Scalar::bool(is_return);
                args.push(make_const(self.func, &mut consts, returned, Type::BOOL));
            }
            if is_return {
                args.extend(given);
                args.extend(self.zeros(&mut consts, &old_types));
            } else {
                args.extend(self.zeros(&mut consts, &types));
                args.extend(given);
            }
            let data = self.func.inst_mut(exit);
            data.op = Opcode::Break;
            data.args = args.into();
            let insts = &mut self.func.block_mut(block).insts;
            let at = insts.len() - 1;
            insts.splice(at..at, consts);
        }
        let ret = self.inst(Opcode::Return, &returned, &[], &[], looping);
        match flag {
            None => out.push(ret),
            Some(flag) => {
                let then_arm = self.func.new_block();
                let else_arm = self.func.new_block();
                let go_on = self.inst(Opcode::Yield, &[], &[], &[], looping);
                self.func.block_mut(then_arm).insts.push(ret);
                self.func.block_mut(else_arm).insts.push(go_on);
                let arms = [then_arm, else_arm];
                out.push(self.inst(Opcode::If, &[flag], &arms, &[], looping));
            }
        }
    }

    /// Rewrites a block outside loops so that it ends in the one way that `exit` says.
    fn finish(&mut self, block: Block, exit: Exit) {
        let mut insts = std::mem::take(&mut self.func.block_mut(block).insts);
        let at = insts
            .iter()
            .position(|i| self.func.inst(*i).op == Opcode::If && contains_return(self.func, *i));
        let Some(at) = at else {
            let last = insts[insts.len() - 1];
            self.end(&mut insts, last, &exit);
            self.func.block_mut(block).insts = insts;
            return;
        };
        let rest = insts.split_off(at + 1);
        let test = insts[at];
        let arms = self.func.inst(test).blocks.clone();
        let falls = [
            falls_through(self.func, arms[0]),
            falls_through(self.func, arms[1]),
        ];
        match falls {
            [true, true] => {
                let test = insts.pop().unwrap_or(test);
                self.finish_flagged(test, &mut insts, rest, exit);
            }
            _ => {
                // What follows the `if` belongs to the arm that goes on.
                if let Some(n) = falls.iter().position(|f| *f) {
                    self.append_rest(test, arms[n], &rest);
                }
                let inner = match &exit {
                    Exit::Return => Exit::Results,
                    other => other.clone(),
                };
                for arm in arms {
                    self.finish(arm, inner.clone());
                }
                self.func.inst_mut(test).results.clear();
                let results: Vec<Value> = self
                    .exit_types(&inner)
                    .iter()
                    .map(|ty| add_result(self.func, test, *ty))
                    .collect();
                let op = match exit {
                    Exit::Return => Opcode::Return,
                    _ => Opcode::Yield,
                };
                insts.push(self.inst(op, &results, &[], &[], test));
            }
        }
        self.func.block_mut(block).insts = insts;
    }

    /// Moves `rest` behind the code of `arm`, where the results of the `if` are what `arm` yielded.
    fn append_rest(&mut self, test: Inst, arm: Block, rest: &[Inst]) {
        let results = self.func.inst(test).results.clone();
        if let Some(last) = self.func.block_mut(arm).insts.pop() {
            let yielded = self.func.inst(last).args.clone();
            for (result, value) in results.iter().zip(&yielded) {
                self.subst.set(*result, *value);
            }
        }
        self.func.block_mut(arm).insts.extend_from_slice(rest);
    }

    /// Both arms may go on and at least one may return: the `if` says which by a bool.
    fn finish_flagged(&mut self, test: Inst, insts: &mut Vec<Inst>, rest: Vec<Inst>, exit: Exit) {
        let old = self.func.inst(test).results.clone();
        let going_on: Vec<Type> = old.iter().map(|v| self.func.ty(*v)).collect();
        for arm in self.func.inst(test).blocks.clone() {
            self.finish(arm, Exit::Maybe(going_on.clone()));
        }
        self.func.inst_mut(test).results.clear();
        insts.push(test);
        let flag = add_result(self.func, test, Type::BOOL);
        let returned: Vec<Value> = self
            .types
            .clone()
            .iter()
            .map(|ty| add_result(self.func, test, *ty))
            .collect();
        for (value, ty) in old.iter().zip(&going_on) {
            let new = add_result(self.func, test, *ty);
            self.subst.set(*value, new);
        }
        // if flag { return returned } else { rest }
        let then_arm = self.func.new_block();
        let else_arm = self.func.new_block();
        let ret = self.inst(Opcode::Return, &returned, &[], &[], test);
        self.func.block_mut(then_arm).insts.push(ret);
        self.func.block_mut(else_arm).insts = rest;
        let inner = match &exit {
            Exit::Return => Exit::Results,
            other => other.clone(),
        };
        self.finish(then_arm, inner.clone());
        self.finish(else_arm, inner.clone());
        let types = self.exit_types(&inner);
        let arms = [then_arm, else_arm];
        let second = self.inst(Opcode::If, &[flag], &arms, &types, test);
        insts.push(second);
        let results = self.func.inst(second).results.to_vec();
        let op = match exit {
            Exit::Return => Opcode::Return,
            _ => Opcode::Yield,
        };
        insts.push(self.inst(op, &results, &[], &[], test));
    }

    fn exit_types(&self, exit: &Exit) -> Vec<Type> {
        match exit {
            Exit::Return | Exit::Results => self.types.clone(),
            Exit::Maybe(values) => {
                let mut types = vec![Type::scalar(DType::Bool)];
                types.extend(&self.types);
                types.extend(values);
                types
            }
        }
    }

    /// Rewrites the terminator of a block without nested returns.
    fn end(&mut self, insts: &mut Vec<Inst>, last: Inst, exit: &Exit) {
        let op = self.func.inst(last).op;
        let given = self.func.inst(last).args.to_vec();
        let args = match (op, exit) {
            (Opcode::Return, Exit::Results) => given,
            (Opcode::Return, Exit::Maybe(values)) => {
                insts.pop();
                let mut args = vec![make_const(self.func, insts, Scalar::bool(true), Type::BOOL)];
                args.extend(given);
                args.extend(self.zeros(insts, values));
                insts.push(last);
                args
            }
            (Opcode::Yield, Exit::Maybe(_)) => {
                insts.pop();
                let no = Scalar::bool(false);
                let mut args = vec![make_const(self.func, insts, no, Type::BOOL)];
                let types = self.types.clone();
                args.extend(self.zeros(insts, &types));
                args.extend(given);
                insts.push(last);
                args
            }
            // `return` of the entry block, or `unreachable`.
            _ => return,
        };
        let data = self.func.inst_mut(last);
        data.op = Opcode::Yield;
        data.args = args.into();
    }
}

/// The `break`s of a loop and the `return`s in it, with their blocks. Nested loops have no returns
/// any more, and their breaks are their own.
fn collect_exits(func: &Function, block: Block, exits: &mut Vec<(Block, Inst)>) {
    for &inst in &func.block(block).insts {
        let data = func.inst(inst);
        match data.op {
            Opcode::Break | Opcode::Return => exits.push((block, inst)),
            Opcode::If => {
                for &arm in &data.blocks {
                    collect_exits(func, arm, exits);
                }
            }
            _ => {}
        }
    }
}
