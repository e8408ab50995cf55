//! Structured control flow: blocks, `if` and `loop`.

use super::{Lower, Val, carriers};
use cranelift_codegen::ir::{self, BlockArg, InstBuilder, TrapCode};
use kjit_ir::analysis::effects::is_rare;
use kjit_ir::target::How;
use kjit_ir::{Block, DType, Inst, Opcode, Type, Value};

/// Where values go that an arm yields or a loop breaks with.
#[derive(Clone)]
pub(super) struct Target {
    block: ir::Block,
    /// Types of the values carried.
    types: Vec<Type>,
}

/// A loop around the current instruction.
#[derive(Clone)]
pub(super) struct Loop {
    again: Target,
    leave: Target,
}

impl Lower<'_> {
    /// Lowers a block with its terminator. A `return` leaves the position at the end of the body.
    pub(super) fn block(&mut self, block: Block) {
        let kernel = self.kernel;
        for &inst in &kernel.block(block).insts {
            if self.hoisted[inst.index()] {
                continue;
            }
            let data = kernel.inst(inst);
            match data.op {
                Opcode::Yield => {
                    let target = self.yields.last().cloned();
                    self.leave(target, &data.args);
                }
                Opcode::Continue => {
                    let target = self.loops.last().map(|l| l.again.clone());
                    self.leave(target, &data.args);
                }
                Opcode::Break => {
                    let target = self.loops.last().map(|l| l.leave.clone());
                    self.leave(target, &data.args);
                }
                Opcode::Unreachable => {
                    self.b.ins().trap(TrapCode::unwrap_user(1));
                }
                Opcode::Return => {}
                _ => self.inst(inst),
            }
        }
    }

    /// Jumps to a target with values.
    fn leave(&mut self, target: Option<Target>, values: &[Value]) {
        let Some(target) = target else {
            panic!("bug in kjit: a terminator outside its if or loop")
        };
        let args = self.carry(values, &target.types);
        self.b.ins().jump(target.block, &args);
    }

    /// The Cranelift values that carry these values to a block.
    fn carry(&mut self, values: &[Value], types: &[Type]) -> Vec<BlockArg> {
        let mut args = Vec::with_capacity(values.len());
        for (value, ty) in values.iter().zip(types) {
            if !ty.varying {
                args.push(BlockArg::Value(self.scalar(*value)));
            } else {
                let chunks = match ty.dtype {
                    DType::Bool => self.mask(*value, self.wide_masks),
                    _ => self.chunks(*value),
                };
                args.extend(chunks.iter().map(|chunk| BlockArg::Value(*chunk)));
            }
        }
        args
    }

    /// A block with parameters for values of these types, and the values they make.
    fn target(&mut self, types: Vec<Type>) -> (Target, Vec<Val>) {
        let block = self.b.create_block();
        let mut vals = Vec::with_capacity(types.len());
        for ty in &types {
            let (count, clif) = carriers(*ty, self.lanes, self.wide_masks);
            let mut params = (0..count).map(|_| self.b.append_block_param(block, clif));
            vals.push(if ty.varying {
                Val::Chunks(params.collect())
            } else {
                params.next().map_or(Val::None, Val::Scalar)
            });
        }
        (Target { block, types }, vals)
    }

    /// A target for the results of an instruction, which are defined there.
    fn result_target(&mut self, inst: Inst) -> Target {
        let kernel = self.kernel;
        let results = &kernel.inst(inst).results;
        let (target, vals) = self.target(results.iter().map(|v| kernel.ty(*v)).collect());
        for (result, val) in results.iter().zip(vals) {
            self.vals[result.index()] = val;
        }
        target
    }

    /// An `if` whose condition is one bool.
    pub(super) fn lower_if(&mut self, inst: Inst) {
        let data = self.kernel.inst(inst);
        let condition = self.scalar(data.args[0]);
        let after = self.result_target(inst);
        let arm = self.b.create_block();
        if is_rare(self.kernel, data.args[0]) {
            self.b.set_cold_block(arm);
            self.note(Opcode::If, DType::Bool, How::Seldom);
        } else if self.kernel.tests_lanes(data.args[0]) {
            self.note(Opcode::If, DType::Bool, How::Skipped);
        }
        // An arm that only yields is no block of its own: Cranelift computes a value where it is first used, and would
        // compute what both arms use, and what comes behind, once for each.
        let mut arms = vec![(arm, data.blocks[0])];
        if let Some(values) = self.only_yields(data.blocks[1]) {
            let args = self.carry(&values, &after.types);
            self.b.ins().brif(condition, arm, &[], after.block, &args);
        } else {
            let other = self.b.create_block();
            self.b.ins().brif(condition, arm, &[], other, &[]);
            arms.push((other, data.blocks[1]));
        }
        self.yields.push(after.clone());
        for (arm, block) in arms {
            self.b.switch_to_block(arm);
            self.block(block);
        }
        self.yields.pop();
        self.b.switch_to_block(after.block);
    }

    /// What a block yields that computes nothing but constants.
    fn only_yields(&mut self, block: Block) -> Option<Vec<Value>> {
        let kernel = self.kernel;
        let (last, insts) = kernel.block(block).insts.split_last()?;
        let plain = |inst: &Inst| matches!(kernel.inst(*inst).op, Opcode::Const | Opcode::Splat);
        if kernel.inst(*last).op != Opcode::Yield || !insts.iter().all(plain) {
            return None;
        }
        for inst in insts {
            self.inst(*inst);
        }
        Some(kernel.inst(*last).args.to_vec())
    }

    /// A `loop`.
    pub(super) fn lower_loop(&mut self, inst: Inst) {
        let kernel = self.kernel;
        let data = kernel.inst(inst);
        let body = data.blocks[0];
        let params = &kernel.block(body).params;
        let (again, vals) = self.target(params.iter().map(|v| kernel.ty(*v)).collect());
        let initial = self.carry(&data.args, &again.types);
        self.b.ins().jump(again.block, &initial);
        for (param, val) in params.iter().zip(vals) {
            self.vals[param.index()] = val;
        }
        let leave = self.result_target(inst);
        self.b.switch_to_block(again.block);
        self.loops.push(Loop {
            again,
            leave: leave.clone(),
        });
        self.block(body);
        self.loops.pop();
        self.b.switch_to_block(leave.block);
    }
}
