//! Masks: mask registers with AVX-512, vectors of all ones and zeros without.

use super::{A, Copies, Lower, Val, table};
use crate::encode::{Cc, Op, Width};
use crate::{Extra, Input, VReg};
use kjit_ir::{DType, Opcode, Scalar, Value};
use smallvec::smallvec;

impl Lower<'_> {
    /// The mask that a bool is; where masks are vectors, with lanes of so many bytes.
    pub(super) fn mask(&mut self, value: Value, lane: u8) -> Copies {
        match self.vals[value.index()].clone() {
            Val::Mask(regs, made) => {
                let regs = regs.iter().map(|reg| self.mask_lanes(*reg, made, lane));
                regs.collect()
            }
            Val::Const(scalar) => smallvec![self.mask_const(scalar.as_bool(), lane)],
            Val::Int(bit) => smallvec![self.mask_of_bit(bit, lane)],
            Val::Lanes(_) | Val::Memory(_) | Val::None => {
                self.refuse("a mask that is none");
                smallvec![self.mask_const(false, lane)]
            }
        }
    }

    /// A mask of all lanes, or of none.
    pub(super) fn mask_const(&mut self, set: bool, lane: u8) -> VReg {
        if !self.masks {
            let ones = u64::MAX >> (64 - 8 * u32::from(lane));
            return self.constant(if set { ones } else { 0 }, lane);
        }
        let bits = if set { (1 << self.lanes) - 1 } else { 0 };
        let bits = self.int_const(bits);
        self.op(Op::KmovdFromG, Width::None, &[bits.into()])
    }

    /// The mask of all lanes, in a mask register.
    pub(super) fn all_lanes(&mut self) -> VReg {
        self.mask_const(true, 4)
    }

    /// A bool of a general register in all lanes.
    fn mask_of_bit(&mut self, bit: VReg, lane: u8) -> VReg {
        let all = self.op(Op::Neg, Width::Q, &[bit.into()]);
        if !self.masks {
            return self.splat_int(all, lane);
        }
        // Bits behind the last lane stay clear.
        match self.lanes {
            16 => return self.op(Op::KmovwFromG, Width::None, &[all.into()]),
            8 => return self.op(Op::KmovbFromG, Width::None, &[all.into()]),
            _ => {}
        }
        let mask = self.op(Op::KmovdFromG, Width::None, &[all.into()]);
        let every = self.all_lanes();
        self.mask_op(Opcode::And, mask, every, lane)
    }

    /// The same mask with lanes of another size.
    pub(super) fn mask_lanes(&mut self, mask: VReg, from: u8, to: u8) -> VReg {
        if self.masks || from == to {
            return mask;
        }
        match to {
            8 => self.v(Op::Vpmovsxdq, 8, &[mask.into()]),
            _ => self.low_words(mask),
        }
    }

    /// `and`, `or`, `xor` of masks.
    pub(super) fn mask_op(&mut self, op: Opcode, a: VReg, b: VReg, lane: u8) -> VReg {
        if !self.masks {
            let op = table::binary(op, if lane == 8 { DType::I64 } else { DType::I32 }, false);
            let op = op.unwrap_or(Op::Vpandd);
            return self.v(op, lane, &[a.into(), b.into()]);
        }
        let op = match (op, self.lanes > 8) {
            (Opcode::And, false) => Op::Kandb,
            (Opcode::And, true) => Op::Kandw,
            (Opcode::Or, false) => Op::Korb,
            (Opcode::Or, true) => Op::Korw,
            (_, false) => Op::Kxorb,
            (_, true) => Op::Kxorw,
        };
        self.op(op, Width::None, &[a.into(), b.into()])
    }

    /// The lanes where a mask is not set. (Bits behind the last lane may be set.)
    pub(super) fn mask_not(&mut self, a: VReg, lane: u8) -> VReg {
        if !self.masks {
            let ones = u64::MAX >> (64 - 8 * u32::from(lane));
            return self.v(Op::Vpxord, lane, &[a.into(), A::C(ones, lane)]);
        }
        let op = if self.lanes > 8 { Op::Knotw } else { Op::Knotb };
        self.op(op, Width::None, &[a.into()])
    }

    /// Sets flags by whether a lane that exists is set in some copy; gives the condition that says so.
    pub(super) fn some(&mut self, masks: &[VReg], lane: u8) -> Cc {
        let mut all = masks[0];
        for mask in &masks[1..] {
            all = self.mask_op(Opcode::Or, all, *mask, lane);
        }
        if !self.masks {
            let width = self.width(lane);
            self.op(Op::Vptest, width, &[all.into(), all.into()]);
            return Cc::Ne;
        }
        let (op, by) = match (self.exists, self.lanes > 8) {
            (Some(exists), false) => (Op::Ktestb, exists),
            (Some(exists), true) => (Op::Ktestw, exists),
            (None, false) => (Op::Kortestb, all),
            (None, true) => (Op::Kortestw, all),
        };
        self.op(op, Width::None, &[all.into(), by.into()]);
        Cc::Ne
    }

    /// Tests `any` of a bool.
    pub(super) fn test_any(&mut self, value: Value) -> Cc {
        match self.vals[value.index()].clone() {
            Val::Mask(masks, lane) => self.some(&masks, lane),
            _ => {
                let bit = self.int(value);
                self.op(Op::Test, Width::D, &[bit.into(), bit.into()]);
                Cc::Ne
            }
        }
    }

    /// The lanes of a mask, as the low bits of a general register.
    pub(super) fn bits(&mut self, mask: VReg, lane: u8) -> VReg {
        match (self.masks, lane) {
            (true, _) => self.op(Op::KmovdToG, Width::None, &[mask.into()]),
            (false, 8) => self.f.op(Op::Vmovmskpd, self.width(8), &[mask.into()]),
            (false, _) => self.f.op(Op::Vmovmskps, self.width(4), &[mask.into()]),
        }
    }

    /// The first lane of a mask as 0 or 1.
    pub(super) fn first_bit(&mut self, mask: VReg, lane: u8) -> VReg {
        let bits = self.bits(mask, lane);
        self.op(Op::AndImm8, Width::D, &[bits.into(), Input::Imm(1)])
    }

    /// An operation on bools.
    pub(super) fn mask_operation(&mut self, op: Opcode, given: &[A], lane: u8) -> VReg {
        let regs: Copies = given.iter().map(|a| self.reg(*a)).collect();
        match op {
            Opcode::Not => self.mask_not(regs[0], lane),
            Opcode::And | Opcode::Or | Opcode::Xor => self.mask_op(op, regs[0], regs[1], lane),
            Opcode::Ne => self.mask_op(Opcode::Xor, regs[0], regs[1], lane),
            Opcode::Eq => {
                let differ = self.mask_op(Opcode::Xor, regs[0], regs[1], lane);
                self.mask_not(differ, lane)
            }
            Opcode::Select => self.mask_select(regs[0], regs[1], regs[2], lane),
            _ => {
                self.refuse(format!("{op} of bools"));
                regs[0]
            }
        }
    }

    fn mask_select(&mut self, mask: VReg, a: VReg, b: VReg, lane: u8) -> VReg {
        if !self.masks {
            return self.blend(mask, a.into(), b.into(), lane);
        }
        let differ = self.mask_op(Opcode::Xor, a, b, lane);
        let taken = self.mask_op(Opcode::And, differ, mask, lane);
        self.mask_op(Opcode::Xor, taken, b, lane)
    }

    /// Lanes of `a` where the mask is set, else of `b`.
    pub(super) fn blend(&mut self, mask: VReg, a: A, b: A, lane: u8) -> VReg {
        let width = self.width(lane);
        let b = self.reg(b);
        if !self.masks {
            let op = if lane == 8 {
                Op::Vblendvpd
            } else {
                Op::Vblendvps
            };
            return self.v_with(op, width, Extra::NONE, &[b.into(), a, mask.into()]);
        }
        let op = if lane == 8 {
            Op::Vblendmpd
        } else {
            Op::Vblendmps
        };
        self.v_with(op, width, Extra::masked(mask), &[b.into(), a])
    }

    /// Lanes of `a` where the mask is set, else zero.
    pub(super) fn zero_unless(&mut self, mask: VReg, a: A, lane: u8) -> VReg {
        if !self.masks {
            let op = if lane == 8 { Op::Vpandq } else { Op::Vpandd };
            return self.v(op, lane, &[mask.into(), a]);
        }
        let width = self.width(lane);
        let op = if lane == 8 {
            Op::Vblendmpd
        } else {
            Op::Vblendmps
        };
        match a {
            A::C(..) => {
                let zero = self.constant(0, lane);
                self.v_with(op, width, Extra::masked(mask), &[zero.into(), a])
            }
            a => {
                let op = if lane == 8 {
                    Op::Vmovdqa64
                } else {
                    Op::Vmovdqa32
                };
                self.v_with(op, width, Extra::masked(mask), &[a])
            }
        }
    }

    /// A mask as numbers: 1 of a dtype where it is set, else 0.
    pub(super) fn mask_to_number(&mut self, mask: VReg, to: DType) -> VReg {
        let one = table::constant(Scalar::one(to));
        self.zero_unless(mask, one, table::lane(to))
    }

    /// The lanes that are not zero, and the size of the mask's lanes.
    pub(super) fn nonzero(&mut self, a: A, dtype: DType) -> (VReg, u8) {
        let zero = A::C(0, table::lane(dtype));
        self.compare(Opcode::Ne, table::computed(dtype), [a, zero], None)
    }

    /// A compare of lanes: the mask, and the size of its lanes. With mask registers it may be `under` another mask,
    /// whose lanes it leaves out where that is not set.
    pub(super) fn compare(
        &mut self,
        op: Opcode,
        dtype: DType,
        [a, b]: [A; 2],
        under: Option<VReg>,
    ) -> (VReg, u8) {
        let lane = table::lane(dtype);
        let predicate = match dtype.is_float() {
            true => table::float_predicate(op),
            false => table::int_predicate(op),
        };
        let Some(predicate) = predicate else {
            self.refuse(format!("{op} as a compare"));
            return (self.mask_const(false, lane), lane);
        };
        let mask = match dtype.is_float() {
            true => self.compare_floats(predicate, lane, [a, b], under),
            false => self.compare_ints(op, predicate, dtype, [a, b], under),
        };
        (mask, lane)
    }

    /// A compare of floats by predicate.
    pub(super) fn compare_floats(
        &mut self,
        predicate: i64,
        lane: u8,
        [a, b]: [A; 2],
        under: Option<VReg>,
    ) -> VReg {
        let op = match (self.masks, lane) {
            (true, 4) => Op::VcmppsK,
            (true, _) => Op::VcmppdK,
            (false, 4) => Op::Vcmpps,
            (false, _) => Op::Vcmppd,
        };
        self.masked_compare(op, lane, &[a, b, A::I(predicate)], under)
    }

    fn masked_compare(&mut self, op: Op, lane: u8, inputs: &[A; 3], under: Option<VReg>) -> VReg {
        let extra = under.map_or(Extra::NONE, Extra::masked);
        let a = self.reg(inputs[0]);
        let width = self.width(lane);
        self.v_with(op, width, extra, &[a.into(), inputs[1], inputs[2]])
    }

    fn compare_ints(
        &mut self,
        op: Opcode,
        predicate: i64,
        dtype: DType,
        [a, b]: [A; 2],
        under: Option<VReg>,
    ) -> VReg {
        let lane = table::lane(dtype);
        let unsigned = dtype.is_unsigned_int();
        if self.masks {
            let op = match (lane, unsigned) {
                (4, false) => Op::VpcmpdK,
                (4, true) => Op::VpcmpudK,
                (_, false) => Op::VpcmpqK,
                (_, true) => Op::VpcmpuqK,
            };
            return self.masked_compare(op, lane, &[a, b, A::I(predicate)], under);
        }
        let (equal, greater) = match lane {
            4 => (Op::Vpcmpeqd, Op::Vpcmpgtd),
            _ => (Op::Vpcmpeqq, Op::Vpcmpgtq),
        };
        let order = matches!(op, Opcode::Lt | Opcode::Le | Opcode::Gt | Opcode::Ge);
        let [a, b] = match order && unsigned {
            // Signed order, with the upper half moved below the lower one.
            true => [a, b].map(|x| A::R(self.flip_sign(x, lane))),
            false => [a, b],
        };
        let not = matches!(op, Opcode::Ne | Opcode::Le | Opcode::Ge);
        let (op, x, y) = match op {
            Opcode::Eq | Opcode::Ne => (equal, a, b),
            Opcode::Gt | Opcode::Le => (greater, a, b),
            _ => (greater, b, a),
        };
        let x = self.reg(x);
        let mask = self.v(op, lane, &[x.into(), y]);
        if not { self.mask_not(mask, lane) } else { mask }
    }

    /// The sign bit of every lane turned over.
    pub(super) fn flip_sign(&mut self, a: A, lane: u8) -> VReg {
        let sign = 1 << (8 * u32::from(lane) - 1);
        let a = self.reg(a);
        let op = if lane == 8 { Op::Vpxorq } else { Op::Vpxord };
        self.v(op, lane, &[a.into(), A::C(sign, lane)])
    }
}
