//! Value conversions, and halves of vectors.

use super::{A, Lower, helpers, table};
use crate::encode::{Op, Width};
use crate::{Extra, VReg};
use kjit_ir::dtype::Kind;
use kjit_ir::target::How;
use kjit_ir::{DType, Opcode};

impl Lower<'_> {
    /// Value conversion of one vector, to anything but bool.
    pub(super) fn cast(&mut self, a: A, from: DType, to: DType) -> VReg {
        let a = self.reg(a);
        match (from.kind(), to.kind()) {
            (Kind::Bool, _) => self.mask_to_number(a, to),
            (Kind::Float, Kind::Float) => match (from, to) {
                (DType::F32, DType::F64) => self.v(Op::Vcvtps2pd, 8, &[a.into()]),
                (DType::F64, DType::F32) => self.v(Op::Vcvtpd2ps, 8, &[a.into()]),
                _ => a,
            },
            (Kind::Float, _) => self.float_to_int(a, from, to),
            (_, Kind::Float) => self.int_to_float(a, from, to),
            _ => self.int_to_int(a, from, to),
        }
    }

    fn int_to_int(&mut self, a: VReg, from: DType, to: DType) -> VReg {
        match (table::lane(from), table::lane(to)) {
            (4, 8) if from.is_signed_int() => self.v(Op::Vpmovsxdq, 8, &[a.into()]),
            (4, 8) => self.v(Op::Vpmovzxdq, 8, &[a.into()]),
            (8, 4) => {
                let low = self.low_words(a);
                self.normalize(low, to)
            }
            (8, _) => a,
            _ => {
                let fits = table::is_small(from) && to.size() == 4 || {
                    let ((low, high), (from_low, from_high)) =
                        (table::int_range(to), table::int_range(from));
                    low <= from_low && from_high <= high
                };
                if fits { a } else { self.normalize(a, to) }
            }
        }
    }

    fn int_to_float(&mut self, a: VReg, from: DType, to: DType) -> VReg {
        // Eight and sixteen bits are an i32 in range, whatever their sign.
        let unsigned = matches!(from, DType::U32 | DType::U64);
        match (table::lane(from), to, unsigned, self.masks) {
            (4, DType::F32, false, _) => self.v(Op::Vcvtdq2ps, 4, &[a.into()]),
            (4, DType::F32, true, true) => self.v(Op::Vcvtudq2ps, 4, &[a.into()]),
            (4, DType::F32, true, false) => {
                // Both halves are exact; their sum is rounded once.
                let low = self.v(Op::Vpandd, 4, &[a.into(), A::C(0xffff, 4)]);
                let high = self.v(Op::VpsrldImm, 4, &[a.into(), A::I(16)]);
                let low = self.v(Op::Vcvtdq2ps, 4, &[low.into()]);
                let high = self.v(Op::Vcvtdq2ps, 4, &[high.into()]);
                let scale = A::C(u64::from(65536_f32.to_bits()), 4);
                let high = self.v(Op::Vmulps, 4, &[high.into(), scale]);
                self.v(Op::Vaddps, 4, &[high.into(), low.into()])
            }
            (4, _, false, _) => self.v(Op::Vcvtdq2pd, 8, &[a.into()]),
            (4, _, true, true) => self.v(Op::Vcvtudq2pd, 8, &[a.into()]),
            (4, _, true, false) => self.word_to_double(a, self.width(8)),
            (_, DType::F32, false, true) => self.v(Op::Vcvtqq2ps, 8, &[a.into()]),
            (_, DType::F32, true, true) => self.v(Op::Vcvtuqq2ps, 8, &[a.into()]),
            (_, _, false, true) => self.v(Op::Vcvtqq2pd, 8, &[a.into()]),
            (_, _, true, true) => self.v(Op::Vcvtuqq2pd, 8, &[a.into()]),
            (_, _, _, false) => {
                self.note(Opcode::Cast, from, How::Called);
                let helper = helpers::address(Opcode::Cast, from, Some(to));
                self.call_lanes(helper, from, to, &[a])
            }
        }
    }

    /// Saturating; NaN gives 0.
    fn float_to_int(&mut self, a: VReg, from: DType, to: DType) -> VReg {
        let lane = table::lane(from);
        let wide = lane == 8;
        let pick = |narrow, other| if wide { other } else { narrow };
        let max = pick(Op::Vmaxps, Op::Vmaxpd);
        let bits = |value: f64| match wide {
            true => A::C(value.to_bits(), 8),
            false => A::C(u64::from((value as f32).to_bits()), 4),
        };
        if to.size() == 8 && !self.masks {
            self.note(Opcode::Cast, from, How::Called);
            let helper = helpers::address(Opcode::Cast, from, Some(to));
            return self.call_lanes(helper, from, to, &[a]);
        }
        // `vmaxps` gives its second operand for a NaN: unsigned numbers start from 0.
        if to.is_unsigned_int() {
            let a = self.v(max, lane, &[a.into(), bits(0.0)]);
            return self.unsigned_of(a, from, to);
        }
        let number = self.compare_floats(table::ORDERED, lane, [a.into(); 2], None);
        if to.size() < 4 || (wide && to.size() == 4) {
            // All bounds are floats.
            let (low, high) = table::int_range(to);
            let a = self.zero_unless(number, a.into(), lane);
            let a = self.v(max, lane, &[a.into(), bits(low as f64)]);
            let a = self.v(
                pick(Op::Vminps, Op::Vminpd),
                lane,
                &[a.into(), bits(high as f64)],
            );
            return self.v(pick(Op::Vcvttps2dq, Op::Vcvttpd2dq), lane, &[a.into()]);
        }
        // What is out of range becomes MIN; that is turned over where it should be MAX.
        let limit = bits((to.bits() as f64 - 1.0).exp2());
        let over = self.compare_floats(29, lane, [a.into(), limit], None);
        if !self.masks {
            let value = self.v(Op::Vcvttps2dq, 4, &[a.into()]);
            let value = self.v(Op::Vpxord, 4, &[value.into(), over.into()]);
            return self.v(Op::Vpandd, 4, &[value.into(), number.into()]);
        }
        let (op, lane, top) = match (wide, to.size()) {
            (false, 4) => (Op::Vcvttps2dq, 4, i32::MAX as u64),
            (false, _) => (Op::Vcvttps2qq, 8, i64::MAX as u64),
            (true, _) => (Op::Vcvttpd2qq, 8, i64::MAX as u64),
        };
        let width = self.width(lane);
        let value = self.v_with(op, width, Extra::masked(number), &[a.into()]);
        self.blend(over, A::C(top, lane), value.into(), lane)
    }

    /// To an unsigned integer, from a number that is not negative.
    fn unsigned_of(&mut self, a: VReg, from: DType, to: DType) -> VReg {
        let wide = from == DType::F64;
        if to.size() < 4 {
            let (_, high) = table::int_range(to);
            return match wide {
                true => {
                    let high = A::C((high as f64).to_bits(), 8);
                    let a = self.v(Op::Vminpd, 8, &[a.into(), high]);
                    self.v(Op::Vcvttpd2dq, 8, &[a.into()])
                }
                false => {
                    let high = A::C(u64::from((high as f32).to_bits()), 4);
                    let a = self.v(Op::Vminps, 4, &[a.into(), high]);
                    self.v(Op::Vcvttps2dq, 4, &[a.into()])
                }
            };
        }
        match (wide, to.size(), self.masks) {
            // What is too large becomes all ones.
            (false, 4, true) => self.v(Op::Vcvttps2udq, 4, &[a.into()]),
            (true, 4, true) => self.v(Op::Vcvttpd2udq, 8, &[a.into()]),
            (false, _, true) => self.v(Op::Vcvttps2uqq, 8, &[a.into()]),
            (true, _, true) => self.v(Op::Vcvttpd2uqq, 8, &[a.into()]),
            (true, _, false) => {
                let top = A::C(f64::from(u32::MAX).to_bits(), 8);
                let a = self.v(Op::Vminpd, 8, &[a.into(), top]);
                self.double_to_unsigned(a, self.width(8))
            }
            (false, _, false) => {
                let half = A::C(u64::from(2_147_483_648_f32.to_bits()), 4);
                let all = A::C(u64::from(4_294_967_296_f32.to_bits()), 4);
                let low = self.v(Op::Vcvttps2dq, 4, &[a.into()]);
                let rest = self.v(Op::Vsubps, 4, &[a.into(), half]);
                let high = self.v(Op::Vcvttps2dq, 4, &[rest.into()]);
                let high = self.flip_sign(high.into(), 4);
                let upper = self.compare_floats(29, 4, [a.into(), half], None);
                let over = self.compare_floats(29, 4, [a.into(), all], None);
                let value = self.blend(upper, high.into(), low.into(), 4);
                self.v(Op::Vpord, 4, &[value.into(), over.into()])
            }
        }
    }

    // ---- parts of vectors

    /// The low 32 bits of 64-bit lanes.
    pub(super) fn low_words(&mut self, a: VReg) -> VReg {
        self.low_words_of(a, self.width(8))
    }

    /// The low 32 bits of 64-bit lanes of a vector of this width.
    pub(super) fn low_words_of(&mut self, a: VReg, width: Width) -> VReg {
        if self.masks {
            return self.v_with(Op::Vpmovqd, width, Extra::NONE, &[a.into()]);
        }
        let high = self.v_with(
            Op::Vextracti32x4,
            Width::Y,
            Extra::NONE,
            &[a.into(), A::I(1)],
        );
        let even = A::I(0b10_00_10_00);
        self.v_with(
            Op::Vshufps,
            Width::X,
            Extra::NONE,
            &[a.into(), high.into(), even],
        )
    }

    /// The upper half of a vector of the whole width, in one of half the width.
    pub(super) fn upper(&mut self, a: VReg) -> VReg {
        let (op, width) = match self.f.target().width {
            Width::Z => (Op::Vextracti32x8, Width::Z),
            _ => (Op::Vextracti32x4, Width::Y),
        };
        self.v_with(op, width, Extra::NONE, &[a.into(), A::I(1)])
    }

    /// Two halves as one vector of this width.
    pub(super) fn join(&mut self, low: VReg, high: VReg, width: Width) -> VReg {
        let op = match width {
            Width::Z => Op::Vinserti32x8,
            _ => Op::Vinserti32x4,
        };
        self.v_with(op, width, Extra::NONE, &[low.into(), high.into(), A::I(1)])
    }
}
