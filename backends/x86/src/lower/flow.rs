//! Structured control flow: blocks, `if`, `loop`, `guard`.

use super::{Lower, Val};
use crate::encode::{Cc, Op, Width};
use crate::{Addr, BlockId, Input, VReg};
use kjit_ir::abi::KernelStatus;
use kjit_ir::analysis::effects::is_rare;
use kjit_ir::target::How;
use kjit_ir::{Block, DType, Inst, Opcode, TrapRef, Type, Value, ValueDef};

/// Where values go that an arm yields or a loop breaks with.
#[derive(Clone)]
pub(super) struct Target {
    block: BlockId,
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
            self.f.set_place(data.loc);
            let target = match data.op {
                Opcode::Yield => self.yields.last().cloned(),
                Opcode::Continue => self.loops.last().map(|l| l.again.clone()),
                Opcode::Break => self.loops.last().map(|l| l.leave.clone()),
                Opcode::Unreachable => {
                    self.op(Op::Ud2, Width::None, &[]);
                    self.f.ret();
                    continue;
                }
                Opcode::Return => continue,
                _ => {
                    self.inst(inst);
                    continue;
                }
            };
            match target {
                Some(target) => {
                    let values = self.carry(&data.args, &target.types);
                    self.f.jump(target.block, &values);
                }
                None => self.refuse("a terminator outside of its if or loop"),
            }
        }
    }

    /// The registers that carry these values to a block.
    fn carry(&mut self, values: &[Value], types: &[Type]) -> Vec<VReg> {
        let mut regs = Vec::with_capacity(values.len());
        for (value, ty) in values.iter().zip(types) {
            let (_, count) = self.carriers(*ty);
            let list = match (ty.dtype, ty.varying) {
                (DType::Bool, true) => self.mask(*value, self.mask_lane),
                (DType::F32 | DType::F64, false) | (_, true) => self.numbers(*value),
                _ => smallvec::smallvec![self.int(*value)],
            };
            regs.extend((0..count).map(|n| *list.get(n).unwrap_or(&list[0])));
        }
        regs
    }

    /// A block with parameters for values of these types, and the values they make.
    fn target(&mut self, types: Vec<Type>) -> (Target, Vec<Val>) {
        let mut classes = Vec::new();
        for ty in &types {
            let (class, count) = self.carriers(*ty);
            classes.extend(std::iter::repeat_n(class, count));
        }
        let (block, params) = self.f.block(&classes);
        let mut params = params.into_iter();
        let mut vals = Vec::with_capacity(types.len());
        for ty in &types {
            let (_, count) = self.carriers(*ty);
            let regs = params.by_ref().take(count).collect::<super::Copies>();
            vals.push(match (ty.dtype, ty.varying) {
                (DType::Bool, true) => Val::Mask(regs, self.mask_lane),
                (DType::F32 | DType::F64, false) | (_, true) => Val::Lanes(regs),
                _ => Val::Int(regs[0]),
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

    /// Sets flags by a uniform bool; gives the condition.
    fn test(&mut self, condition: Value) -> Cc {
        let kernel = self.kernel;
        if matches!(self.vals[condition.index()], Val::None)
            && let ValueDef::Result(inst, _) = kernel.def(condition)
        {
            let data = kernel.inst(inst);
            if data.op == Opcode::AnyTrue {
                return self.test_any(data.args[0]);
            }
            if let [a, b] = *data.args {
                return self.scalar_compare(data.op, kernel.ty(a).dtype, a, b);
            }
        }
        let bit = self.int(condition);
        self.op(Op::Test, Width::D, &[bit.into(), bit.into()]);
        Cc::Ne
    }

    /// An `if` whose condition is one bool.
    pub(super) fn lower_if(&mut self, inst: Inst) {
        let data = self.kernel.inst(inst);
        let after = self.result_target(inst);
        let (then, _) = self.f.block(&[]);
        let (other, _) = self.f.block(&[]);
        let cc = self.test(data.args[0]);
        self.f.branch(cc, (then, &[]), (other, &[]));
        self.yields.push(after.clone());
        let rare = is_rare(self.kernel, data.args[0]);
        let lanes_differ = rare || self.kernel.tests_lanes(data.args[0]);
        if lanes_differ {
            let how = if rare { How::Seldom } else { How::Skipped };
            self.note(Opcode::If, DType::Bool, how);
        }
        for (n, (block, arm)) in [then, other].into_iter().zip(&data.blocks).enumerate() {
            let cold = (rare && n == 0).then(|| self.f.set_cold(true));
            self.f.start(block);
            self.block(*arm);
            if let Some(before) = cold {
                self.f.set_cold(before);
            }
        }
        self.yields.pop();
        self.f.start(after.block);
    }

    /// A `loop`.
    pub(super) fn lower_loop(&mut self, inst: Inst) {
        let kernel = self.kernel;
        let data = kernel.inst(inst);
        let body = data.blocks[0];
        let params = &kernel.block(body).params;
        let (again, vals) = self.target(params.iter().map(|v| kernel.ty(*v)).collect());
        let initial = self.carry(&data.args, &again.types);
        self.f.jump(again.block, &initial);
        for (param, val) in params.iter().zip(vals) {
            self.vals[param.index()] = val;
        }
        let leave = self.result_target(inst);
        let outside = self.open_part(Some(inst), self.in_rest());
        self.f.start(again.block);
        self.f.align(again.block, 16);
        self.loops.push(Loop {
            again,
            leave: leave.clone(),
        });
        self.block(body);
        self.loops.pop();
        self.f.set_part(outside);
        self.f.start(leave.block);
    }

    /// Reports a failed check.
    pub(super) fn guard(&mut self, trap: TrapRef, ok: Value, mask: Option<Value>) {
        let lane = self.mask_lane;
        let ok = self.mask(ok, lane);
        let mut bad: super::Copies = ok.iter().map(|ok| self.mask_not(*ok, lane)).collect();
        if let Some(mask) = mask {
            let mask = self.mask(mask, lane);
            let count = bad.len().max(mask.len());
            bad = (0..count)
                .map(|n| {
                    let bad = *bad.get(n).unwrap_or(&bad[0]);
                    let mask = *mask.get(n).unwrap_or(&mask[0]);
                    self.mask_op(Opcode::And, bad, mask, lane)
                })
                .collect();
        }
        let (report, _) = self.f.block(&[]);
        let (after, _) = self.f.block(&[]);
        let cc = self.some(&bad, lane);
        self.f.branch(cc, (report, &[]), (after, &[]));
        let before = self.f.set_cold(true);
        self.f.start(report);
        let number = self.op(
            Op::MovImm32,
            Width::None,
            &[Input::Imm(trap.index() as i64 + 1)],
        );
        let offset = std::mem::offset_of!(KernelStatus, trap) as i32;
        let to = Addr::base(self.status, offset);
        self.op(Op::MovStore, Width::D, &[to.into(), number.into()]);
        self.f.jump(after, &[]);
        self.f.set_cold(before);
        self.f.start(after);
    }
}
