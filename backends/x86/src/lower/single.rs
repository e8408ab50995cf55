//! Single lanes of varying values: which is the first, what is in one, another number there.
//!
//! Lanes are numbered through all copies.

use super::{A, Copies, Lower, Val, table};
use crate::encode::{Op, Width};
use crate::{Addr, Input, VReg};
use kjit_ir::{DType, Opcode, Value};
use smallvec::smallvec;

impl Lower<'_> {
    /// A mask's lanes as the bits of a general register.
    fn all_bits(&mut self, masks: &[VReg], lane: u8) -> VReg {
        let mut all: Option<VReg> = None;
        for (n, mask) in masks.iter().enumerate() {
            let mut bits = self.bits(*mask, lane);
            if n > 0 {
                let by = Input::Imm((n * self.lanes) as i64);
                bits = self.op(Op::ShlImm, Width::Q, &[bits.into(), by]);
            }
            all = Some(match all {
                Some(all) => self.op(Op::Or, Width::Q, &[all.into(), bits.into()]),
                None => bits,
            });
        }
        all.unwrap_or(self.status)
    }

    /// Lanes of an iteration.
    fn count(&self) -> i64 {
        (self.lanes * self.copies) as i64
    }

    /// The lowest lane that is set and exists, or 0.
    pub(super) fn first(&mut self, value: Value) -> VReg {
        let lane = self.mask_lane;
        let mut masks = self.mask(value, lane);
        if let Some(exists) = self.exists {
            for mask in &mut masks {
                *mask = self.mask_op(Opcode::And, *mask, exists, lane);
            }
        }
        let bits = self.all_bits(&masks, lane);
        // 64 if there is none.
        let first = self.op(Op::Tzcnt, Width::Q, &[bits.into()]);
        let top = Input::Imm(self.count() - 1);
        self.op(Op::AndImm8, Width::D, &[first.into(), top])
    }

    /// The number in a lane, taken modulo the number of lanes.
    pub(super) fn extract(&mut self, value: Value, number: Value) -> Val {
        let dtype = self.kernel.ty(value).dtype;
        let number = self.int(number);
        if dtype == DType::Bool {
            let lane = self.mask_lane;
            let masks = self.mask(value, lane);
            let number = self.modulo(number, masks.len());
            let bits = self.all_bits(&masks, lane);
            let bit = self.op(Op::Shrx, Width::Q, &[bits.into(), number.into()]);
            return Val::Int(self.op(Op::AndImm8, Width::D, &[bit.into(), Input::Imm(1)]));
        }
        let lane = table::lane(dtype);
        let regs = self.numbers(value);
        let number = self.modulo(number, regs.len());
        for (n, reg) in regs.iter().enumerate() {
            let at = n * self.lanes * usize::from(lane);
            self.spread(0, at as i32, *reg, lane);
        }
        let mut from = Addr::stack(self.scratch(0), 0);
        (from.index, from.scale) = (Some(number), lane.trailing_zeros() as u8);
        if dtype.is_float() {
            let op = if lane == 8 {
                Op::Vbroadcastsd
            } else {
                Op::Vbroadcastss
            };
            return Val::Lanes(smallvec![self.v(op, lane, &[A::M(from)])]);
        }
        // Small integers are extended in their lanes.
        let stored = match (lane, dtype.is_unsigned_int()) {
            (8, _) => dtype,
            (_, true) => DType::U32,
            (_, false) => DType::I32,
        };
        Val::Int(self.load_int(stored, from))
    }

    /// A lane's number modulo the lanes of so many vectors.
    fn modulo(&mut self, number: VReg, copies: usize) -> VReg {
        let top = Input::Imm((self.lanes * copies) as i64 - 1);
        self.op(Op::AndImm8, Width::D, &[number.into(), top])
    }

    /// A value with another number in a lane, if there is such a lane.
    pub(super) fn insert(&mut self, value: Value, place: Value, number: Value) -> Val {
        let dtype = self.kernel.ty(value).dtype;
        let place = self.int(place);
        let places = self.splat_int(place, 4);
        let lane = match dtype {
            DType::Bool => self.mask_lane,
            dtype => table::lane(dtype),
        };
        let (old, new): (Copies, VReg) = match dtype {
            DType::Bool => (self.mask(value, lane), self.mask(number, lane)[0]),
            _ => (self.numbers(value), self.numbers(number)[0]),
        };
        let mut regs = Copies::new();
        for copy in 0..self.copies {
            let first = (copy * self.lanes) as i64;
            let own = A::M(self.lane_values(4, |n| first + n));
            let (here, made) = self.compare(Opcode::Eq, DType::I32, [places.into(), own], None);
            let here = self.mask_lanes(here, made, lane);
            let old = *old.get(copy).unwrap_or(&old[0]);
            regs.push(match dtype {
                DType::Bool => self.mask_operation(
                    Opcode::Select,
                    &[here.into(), new.into(), old.into()],
                    lane,
                ),
                _ => self.blend(here, new.into(), old.into(), lane),
            });
        }
        match dtype {
            DType::Bool => Val::Mask(regs, lane),
            _ => Val::Lanes(regs),
        }
    }
}
