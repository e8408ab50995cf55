//! Between general registers and lanes, and lanes one by one.

use super::{A, Copies, Lower, Val, shape, table};
use crate::encode::{Cc, Op, Width};
use crate::{Addr, Extra, Input, RegClass, StackSlot, VReg};
use kjit_ir::{DType, Value};
use smallvec::smallvec;

impl Lower<'_> {
    /// The vectors of a value that is not a bool.
    pub(super) fn numbers(&mut self, value: Value) -> Copies {
        let dtype = self.kernel.ty(value).dtype;
        match self.vals[value.index()].clone() {
            Val::Lanes(regs) => regs,
            Val::Memory(at) => {
                let lane = table::lane(dtype);
                let read = at.iter().map(|at| self.v(Op::Vmovups, lane, &[A::M(*at)]));
                let regs: Copies = read.collect();
                self.vals[value.index()] = Val::Lanes(regs.clone());
                regs
            }
            Val::Const(scalar) => smallvec![self.reg(table::constant(scalar))],
            Val::Int(reg) => smallvec![self.splat_int(reg, table::lane(dtype))],
            Val::Mask(..) | Val::None => {
                self.refuse("a value used before it is lowered");
                smallvec![self.constant(0, table::lane(dtype))]
            }
        }
    }

    /// A uniform value in all lanes.
    pub(super) fn splat(&mut self, value: Value) -> Val {
        match self.vals[value.index()].clone() {
            Val::Int(reg) if self.kernel.ty(value).dtype == DType::Bool => {
                let lane = self.mask_lane;
                self.vals[value.index()] = Val::Int(reg);
                Val::Mask(self.mask(value, lane), lane)
            }
            Val::Int(_) => Val::Lanes(self.numbers(value)),
            val => val,
        }
    }

    /// A general register in all lanes.
    pub(super) fn splat_int(&mut self, reg: VReg, lane: u8) -> VReg {
        let width = self.width(lane);
        if self.masks {
            let op = if lane == 8 {
                Op::VpbroadcastqG
            } else {
                Op::VpbroadcastdG
            };
            return self.f.op(op, width, &[reg.into()]);
        }
        let (moved, op) = match lane {
            8 => (Op::VmovqG, Op::Vpbroadcastq),
            _ => (Op::Vmovd, Op::Vpbroadcastd),
        };
        let low = self.f.op(moved, Width::X, &[reg.into()]);
        self.f.op(op, width, &[low.into()])
    }

    /// A uniform integer or bool in a general register.
    pub(super) fn int(&mut self, value: Value) -> VReg {
        let dtype = self.kernel.ty(value).dtype;
        match self.vals[value.index()].clone() {
            Val::Int(reg) => reg,
            Val::Const(scalar) => self.int_const(scalar.as_int() as i64),
            Val::Mask(regs, lane) => self.first_bit(regs[0], lane),
            Val::Lanes(regs) => self.first_lane(regs[0], dtype),
            Val::Memory(_) => {
                let regs = self.numbers(value);
                self.first_lane(regs[0], dtype)
            }
            Val::None => {
                self.refuse("a value used before it is lowered");
                self.int_const(0)
            }
        }
    }

    /// The first lane of a vector, as an integer.
    fn first_lane(&mut self, reg: VReg, dtype: DType) -> VReg {
        if dtype.size() == 8 {
            return self.f.op(Op::VmovqGStore, Width::X, &[reg.into()]);
        }
        let low = self.f.op(Op::VmovdStore, Width::X, &[reg.into()]);
        match dtype.is_unsigned_int() {
            // The upper half is zero.
            true => low,
            false => self.op(Op::Movsxd, Width::None, &[low.into()]),
        }
    }

    /// Room on the stack for a vector, one of several.
    pub(super) fn scratch(&mut self, n: usize) -> StackSlot {
        while self.scratch.len() <= n {
            // As many vectors as there are copies.
            let slot = self.f.stack(64 * shape::COPIES as u32, 64);
            self.scratch.push(slot);
        }
        self.scratch[n]
    }

    /// Calls a function on vectors of lanes of `from`; gives one of lanes of `to`.
    pub(super) fn call_lanes(
        &mut self,
        helper: Option<usize>,
        from: DType,
        to: DType,
        given: &[VReg],
    ) -> VReg {
        let Some(address) = helper else {
            self.refuse(format!("a function from {from} to {to}"));
            return given[0];
        };
        let (lane, result) = (table::lane(from), table::lane(to));
        let mut pointers = Vec::new();
        for n in 0..2 {
            let slot = Addr::stack(self.scratch(n), 0);
            if let Some(reg) = given.get(n) {
                let width = self.width(lane);
                self.f
                    .op(Op::VmovupsStore, width, &[slot.into(), (*reg).into()]);
                pointers.push(self.lea(slot));
            } else {
                pointers.push(pointers[0]);
            }
        }
        let slot = Addr::stack(self.scratch(2), 0);
        pointers.push(self.lea(slot));
        pointers.push(self.int_const(self.lanes as i64));
        let to = self.op(Op::MovImm64, Width::None, &[Input::Imm(address as i64)]);
        self.f.call(to, &pointers, &[]);
        self.f.op(Op::Vmovups, self.width(result), &[slot.into()])
    }

    /// The lanes that take part, as bits of a general register.
    pub(super) fn active_bits(&mut self, mask: Option<(VReg, u8)>) -> VReg {
        let all = (1 << self.lanes) - 1;
        match (mask, self.exists) {
            (None, None) => self.int_const(all),
            (None, Some(exists)) => self.bits(exists, 4),
            (Some((mask, lane)), None) => self.bits(mask, lane),
            (Some((mask, lane)), Some(exists)) => {
                let both = self.mask_op(kjit_ir::Opcode::And, mask, exists, lane);
                self.bits(both, lane)
            }
        }
    }

    /// Writes code that runs once for each bit that is set, with its number.
    pub(super) fn each_lane(&mut self, bits: VReg, code: impl FnOnce(&mut Self, VReg)) {
        let (head, left) = self.f.block(&[RegClass::Int]);
        let (body, _) = self.f.block(&[]);
        let (after, _) = self.f.block(&[]);
        self.f.jump(head, &[bits]);
        self.f.start(head);
        self.op(Op::Test, Width::Q, &[left[0].into(), left[0].into()]);
        self.f.branch(Cc::E, (after, &[]), (body, &[]));
        self.f.start(body);
        let lane = self.op(Op::Tzcnt, Width::Q, &[left[0].into()]);
        code(self, lane);
        let next = self.op(Op::Blsr, Width::Q, &[left[0].into()]);
        self.f.jump(head, &[next]);
        self.f.start(after);
    }

    /// Stores a vector to the stack, where lanes are read one by one.
    pub(super) fn spread(&mut self, n: usize, at: i32, reg: VReg, lane: u8) {
        let to = Addr::stack(self.scratch(n), at);
        let width = self.width(lane);
        let store = match width {
            Width::X => Op::VmovupsStore,
            _ => Op::Vmovdqu32Store,
        };
        self.f.op(store, width, &[to.into(), reg.into()]);
    }

    /// A vector from the stack.
    pub(super) fn collect(&mut self, n: usize, lane: u8) -> VReg {
        let from = Addr::stack(self.scratch(n), 0);
        self.v_with(Op::Vmovups, self.width(lane), Extra::NONE, &[A::M(from)])
    }
}
