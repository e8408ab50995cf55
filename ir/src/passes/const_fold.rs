//! Computes what depends on constants only: operations, `if`s with a constant condition, loops that
//! never start or never repeat.

use crate::analysis::tree::{Subst, make_const, walk_exits};
use crate::eval::eval;
use crate::{Block, Function, Imm, Inst, Opcode, Scalar, Type, Value, ValueDef};
use smallvec::SmallVec;

/// Runs the pass.
pub fn const_fold(func: &mut Function) -> bool {
    let mut pass = ConstFold {
        subst: Subst::new(func),
        func,
        changed: false,
    };
    pass.block(pass.func.entry);
    pass.changed
}

struct ConstFold<'a> {
    func: &'a mut Function,
    subst: Subst,
    changed: bool,
}

/// The constant an operation gives for constant arguments.
fn fold(func: &Function, inst: Inst) -> Option<Scalar> {
    let data = func.inst(inst);
    if !data.op.is_pure() || data.args.is_empty() || data.op == Opcode::Splat {
        return None;
    }
    let args: SmallVec<[Scalar; 3]> = data
        .args
        .iter()
        .map(|a| func.as_const(*a))
        .collect::<Option<_>>()?;
    if data.op == Opcode::AnyTrue {
        return Some(args[0]);
    }
    let to = match data.imm {
        Imm::DType(dtype) => Some(dtype),
        _ => None,
    };
    eval(data.op, to, &args)
}

impl ConstFold<'_> {
    fn block(&mut self, block: Block) {
        let insts = std::mem::take(&mut self.func.block_mut(block).insts);
        let mut out = Vec::with_capacity(insts.len());
        self.list(&insts, &mut out);
        self.func.block_mut(block).insts = out;
    }

    /// Folds a list of instructions into `out`; true if they end with a terminator that was not there
    /// before, so that what follows cannot be reached.
    fn list(&mut self, insts: &[Inst], out: &mut Vec<Inst>) -> bool {
        for &inst in insts {
            self.subst.apply(self.func.inst_mut(inst));
            match self.func.inst(inst).op {
                Opcode::If => {
                    let condition = self.func.inst(inst).args[0];
                    if let Some(known) = self.func.as_const(condition) {
                        self.changed = true;
                        if self.splice_arm(inst, known.as_bool(), out) {
                            return true;
                        }
                        continue;
                    }
                    for arm in self.func.inst(inst).blocks.clone() {
                        self.block(arm);
                    }
                }
                Opcode::Loop => {
                    if self.never_starts(inst, out) {
                        continue;
                    }
                    let body = self.func.inst(inst).blocks[0];
                    self.block(body);
                    if self.runs_once(body) {
                        self.splice_body(inst, body, out);
                        continue;
                    }
                }
                _ => {
                    if let Some(value) = fold(self.func, inst) {
                        let old = self.func.result(inst);
                        let ty = self.func.ty(old);
                        let new = make_const(self.func, out, value, ty);
                        self.subst.set(old, new);
                        self.changed = true;
                        continue;
                    }
                }
            }
            out.push(inst);
        }
        false
    }

    /// Puts the arm taken in place of the `if`.
    fn splice_arm(&mut self, inst: Inst, taken: bool, out: &mut Vec<Inst>) -> bool {
        let arm = self.func.inst(inst).blocks[if taken { 0 } else { 1 }];
        let mut insts = std::mem::take(&mut self.func.block_mut(arm).insts);
        let last = insts[insts.len() - 1];
        if self.func.inst(last).op != Opcode::Yield {
            self.list(&insts, out);
            return true;
        }
        insts.pop();
        if self.list(&insts, out) {
            return true;
        }
        self.bind_results(inst, last);
        false
    }

    /// The results of `inst` are the arguments of the terminator `last`.
    fn bind_results(&mut self, inst: Inst, last: Inst) {
        let results = self.func.inst(inst).results.clone();
        let values = self.func.inst(last).args.clone();
        for (result, value) in results.iter().zip(&values) {
            self.subst.set(*result, *value);
        }
    }

    /// A loop whose body ends with `break` and has no other exit.
    fn runs_once(&self, body: Block) -> bool {
        let mut exits = 0;
        walk_exits(self.func, body, &mut |_| exits += 1);
        exits == 1
            && self
                .func
                .terminator(body)
                .is_some_and(|last| self.func.inst(last).op == Opcode::Break)
    }

    fn splice_body(&mut self, inst: Inst, body: Block, out: &mut Vec<Inst>) {
        self.changed = true;
        let initial = self.func.inst(inst).args.clone();
        let params = self.func.block(body).params.clone();
        for (param, value) in params.iter().zip(&initial) {
            self.subst.set(*param, *value);
        }
        let mut insts = std::mem::take(&mut self.func.block_mut(body).insts);
        if let Some(last) = insts.pop() {
            self.list(&insts, out);
            let data = self.func.inst_mut(last);
            self.subst.apply(data);
            self.bind_results(inst, last);
        }
    }

    /// Follows the first iteration with constants; if it leaves at the first test, the loop is gone.
    fn never_starts(&mut self, inst: Inst, out: &mut Vec<Inst>) -> bool {
        let initial = self.func.inst(inst).args.clone();
        if !initial.iter().any(|v| self.func.as_const(*v).is_some()) {
            return false;
        }
        let body = self.func.inst(inst).blocks[0];
        let mut known: Vec<(Value, Scalar)> = Vec::new();
        let params = &self.func.block(body).params;
        for (param, value) in params.iter().zip(&initial) {
            if let Some(scalar) = self.func.as_const(*value) {
                known.push((*param, scalar));
            }
        }
        let scalar_of = |func: &Function, known: &[(Value, Scalar)], v: Value| {
            known
                .iter()
                .find(|(k, _)| *k == v)
                .map(|(_, s)| *s)
                .or_else(|| func.as_const(v))
        };
        let mut exit = None;
        for &next in &self.func.block(body).insts {
            let data = self.func.inst(next);
            if data.op == Opcode::If {
                let condition = self.subst.get(data.args[0]);
                let Some(taken) = scalar_of(self.func, &known, condition) else {
                    return false;
                };
                let arm = data.blocks[if taken.as_bool() { 0 } else { 1 }];
                match self.func.block(arm).insts[..] {
                    [only] if self.func.inst(only).op == Opcode::Break => exit = Some(only),
                    _ => return false,
                }
                break;
            }
            if !data.op.is_pure() {
                return false;
            }
            let args: Option<SmallVec<[Scalar; 3]>> = data
                .args
                .iter()
                .map(|a| scalar_of(self.func, &known, self.subst.get(*a)))
                .collect();
            let to = match data.imm {
                Imm::DType(dtype) => Some(dtype),
                _ => None,
            };
            if let Some(args) = args
                && let Some(value) = eval(data.op, to, &args)
            {
                known.push((data.results[0], value));
            }
        }
        let Some(exit) = exit else { return false };
        // Each result must be a parameter, a known value, or come from outside the loop.
        let mut values: Vec<Result<Value, (Scalar, Type)>> = Vec::new();
        let body_insts = &self.func.block(body).insts;
        for &arg in &self.func.inst(exit).args {
            let arg = self.subst.get(arg);
            let is_param = self.func.block(body).params.iter().position(|p| *p == arg);
            let here =
                matches!(self.func.def(arg), ValueDef::Result(i, _) if body_insts.contains(&i));
            if let Some(n) = is_param {
                values.push(Ok(initial[n]));
            } else if let Some((_, scalar)) = known.iter().find(|(k, _)| *k == arg) {
                values.push(Err((*scalar, self.func.ty(arg))));
            } else if here {
                match self.func.as_const(arg) {
                    Some(scalar) => values.push(Err((scalar, self.func.ty(arg)))),
                    None => return false,
                }
            } else {
                values.push(Ok(arg));
            }
        }
        self.changed = true;
        let results = self.func.inst(inst).results.clone();
        for (result, value) in results.iter().zip(values) {
            let value = match value {
                Ok(value) => value,
                Err((scalar, ty)) => make_const(self.func, out, scalar, ty),
            };
            self.subst.set(*result, value);
        }
        true
    }
}
