//! Operations on one vector each: arithmetic, logic, shifts, compares, choices.

use super::{A, Lower, table};
use crate::encode::Op;
use crate::{Extra, VReg};
use kjit_ir::target::How;
use kjit_ir::{DType, Inst, Opcode, Value};

impl Lower<'_> {
    /// A pure operation on vectors, `from` the dtype of its last argument: the result and, if it is a bool, the bytes
    /// of a lane of it.
    pub(super) fn vector_op(
        &mut self,
        op: Opcode,
        from: DType,
        to: Option<DType>,
        given: &[A],
    ) -> (VReg, u8) {
        let lane = table::lane(from);
        match (op, to) {
            (Opcode::Cast, Some(DType::Bool)) => return self.nonzero(given[0], from),
            (Opcode::Cast, Some(to)) => return (self.cast(given[0], from, to), 0),
            (Opcode::Bitcast, Some(to)) => {
                let a = self.reg(given[0]);
                return (self.normalize(a, to), 0);
            }
            _ => {}
        }
        if from == DType::Bool {
            return (
                self.mask_operation(op, given, self.mask_lane),
                self.mask_lane,
            );
        }
        if table::int_predicate(op).is_some() {
            return self.compare(op, table::computed(from), [given[0], given[1]], None);
        }
        let result = match op {
            Opcode::Select => {
                let mask = self.reg(given[0]);
                self.blend(mask, given[1], given[2], lane)
            }
            Opcode::Min | Opcode::Max | Opcode::FMin | Opcode::FMax if from.is_float() => {
                self.float_min_max(op, lane, given)
            }
            _ if given.len() == 1 => self.unary(op, from, given[0]),
            _ => self.binary(op, from, given[0], given[1]),
        };
        (result, 0)
    }

    fn unary(&mut self, op: Opcode, dtype: DType, a: A) -> VReg {
        let lane = table::lane(dtype);
        let wide = lane == 8;
        let sign = 1_u64 << (8 * u32::from(lane) - 1);
        let pick = |narrow, other| if wide { other } else { narrow };
        if let Some(mode) = table::rounding(op) {
            return self.v(pick(Op::Vroundps, Op::Vroundpd), lane, &[a, A::I(mode)]);
        }
        match (op, dtype.is_float()) {
            (Opcode::Sqrt, _) => self.v(pick(Op::Vsqrtps, Op::Vsqrtpd), lane, &[a]),
            (Opcode::Neg, true) => self.flip_sign(a, lane),
            (Opcode::Abs, true) => {
                let a = self.reg(a);
                let bits = A::C(sign - 1, lane);
                self.v(pick(Op::Vpandd, Op::Vpandq), lane, &[a.into(), bits])
            }
            (Opcode::Neg, false) => {
                let zero = self.constant(0, lane);
                let result = self.v(pick(Op::Vpsubd, Op::Vpsubq), lane, &[zero.into(), a]);
                self.normalize(result, dtype)
            }
            (Opcode::Not, _) => {
                let a = self.reg(a);
                let ones = A::C(sign | (sign - 1), lane);
                let result = self.v(pick(Op::Vpxord, Op::Vpxorq), lane, &[a.into(), ones]);
                self.normalize(result, dtype)
            }
            (Opcode::Abs, _) if dtype.is_unsigned_int() => self.reg(a),
            (Opcode::Abs, _) if wide && !self.masks => {
                let zero = self.constant(0, 8);
                let a = self.reg(a);
                let negative = self.v(Op::Vpcmpgtq, 8, &[zero.into(), a.into()]);
                let flipped = self.v(Op::Vpxorq, 8, &[a.into(), negative.into()]);
                self.v(Op::Vpsubq, 8, &[flipped.into(), negative.into()])
            }
            (Opcode::Abs, _) => {
                let result = self.v(pick(Op::Vpabsd, Op::Vpabsq), lane, &[a]);
                self.normalize(result, dtype)
            }
            _ => {
                self.refuse(format!("{op} of {dtype}"));
                self.reg(a)
            }
        }
    }

    fn binary(&mut self, op: Opcode, dtype: DType, a: A, b: A) -> VReg {
        let lane = table::lane(dtype);
        match op {
            Opcode::Div | Opcode::Rem if !dtype.is_float() => {
                return self.divide(op, dtype, a, b);
            }
            Opcode::MulHi => return self.mul_high(dtype, a, b),
            Opcode::Shl | Opcode::Shr => return self.shift(op, dtype, a, b),
            _ => {}
        }
        if let Some(found) = table::binary(op, dtype, self.masks) {
            let (a, b) = match (a, b) {
                // A constant is better the last operand.
                (A::C(..), A::R(_)) if op.is_commutative(dtype) => (b, a),
                pair => pair,
            };
            let a = self.reg(a);
            let result = self.v(found, lane, &[a.into(), b]);
            return match op {
                Opcode::Min | Opcode::Max | Opcode::And | Opcode::Or | Opcode::Xor => result,
                _ => self.normalize(result, dtype),
            };
        }
        let (a, b) = (self.reg(a), self.reg(b));
        match op {
            Opcode::Mul => {
                self.note(op, dtype, How::Instructions(8));
                self.mul_words(a, b)
            }
            Opcode::Min | Opcode::Max => {
                self.note(op, dtype, How::Instructions(2));
                let less = if op == Opcode::Min {
                    Opcode::Lt
                } else {
                    Opcode::Gt
                };
                let (mask, _) = self.compare(less, dtype, [a.into(), b.into()], None);
                self.blend(mask, a.into(), b.into(), lane)
            }
            _ => {
                self.refuse(format!("{op} of {dtype}"));
                a
            }
        }
    }

    /// Brings lanes of 8- and 16-bit integers, computed in 32 bits, back into range.
    pub(super) fn normalize(&mut self, a: VReg, dtype: DType) -> VReg {
        if !table::is_small(dtype) {
            return a;
        }
        if dtype.is_unsigned_int() {
            let bits = A::C((1 << dtype.bits()) - 1, 4);
            return self.v(Op::Vpandd, 4, &[a.into(), bits]);
        }
        let up = A::I(i64::from(32 - dtype.bits()));
        let top = self.v(Op::VpslldImm, 4, &[a.into(), up]);
        self.v(Op::VpsradImm, 4, &[top.into(), up])
    }

    // ---- floats

    /// `a * b + c`: the form is the one that overwrites an operand that nobody needs any more.
    ///
    /// `negative` says whether the product and the sum's other term have their signs turned over.
    pub(super) fn fma(
        &mut self,
        inst: Inst,
        args: &[Value],
        given: &[A],
        negative: [bool; 2],
    ) -> VReg {
        let lane = table::lane(self.kernel.ty(args[0]).dtype);
        let [f132, f213, f231] = table::fma(lane, negative);
        let [mut a, mut b, c] = [given[0], given[1], given[2]];
        let dies = |n: usize| self.shape.last_use[args[n].index()] == Some(inst);
        let mut dying = [dies(0), dies(1), dies(2)];
        if matches!(a, A::C(..)) || (dying[1] && !dying[0] && matches!(b, A::R(_))) {
            std::mem::swap(&mut a, &mut b);
            dying.swap(0, 1);
        }
        let a = self.reg(a);
        let overwritten = dying[0] || dying[2] && matches!(c, A::R(_));
        match (b, c) {
            // A constant loaded for this is overwritten; of two, the sum's stays in memory.
            (A::C(bits, of), _) if !overwritten && !self.constants.contains_key(&(bits, of)) => {
                let b = self.reg(b);
                self.v(f213, lane, &[b.into(), a.into(), c])
            }
            (_, A::C(..) | A::M(_)) => {
                let b = self.reg(b);
                self.v(f213, lane, &[a.into(), b.into(), c])
            }
            (A::C(..), _) if dying[0] && !dying[2] => self.v(f132, lane, &[a.into(), c, b]),
            (A::R(_), _) if dying[0] && !dying[2] => self.v(f213, lane, &[a.into(), b, c]),
            _ => self.v(f231, lane, &[c, a.into(), b]),
        }
    }

    /// `min` and `max`, where NaN wins, and `fmin` and `fmax`, where it loses; -0 is less than +0.
    fn float_min_max(&mut self, op: Opcode, lane: u8, given: &[A]) -> VReg {
        let wide = lane == 8;
        let pick = |narrow, other| if wide { other } else { narrow };
        let min = matches!(op, Opcode::Min | Opcode::FMin);
        let machine = match min {
            true => pick(Op::Vminps, Op::Vminpd),
            false => pick(Op::Vmaxps, Op::Vmaxpd),
        };
        let number_wins = matches!(op, Opcode::FMin | Opcode::FMax);
        // The machine's gives the second operand where one is a NaN or both are zeros.
        let plain = |a: A| matches!(a, A::C(bits, lane) if is_plain(bits, lane));
        let (a, b) = match (plain(given[0]), plain(given[1])) {
            (true, _) => (given[1], given[0]),
            _ => (given[0], given[1]),
        };
        if plain(b) {
            if number_wins {
                let a = self.reg(a);
                return self.v(machine, lane, &[a.into(), b]);
            }
            let b = self.reg(b);
            return self.v(machine, lane, &[b.into(), a]);
        }
        let (a, b) = (self.reg(a), self.reg(b));
        let ordered = match self.masks {
            true => {
                let op = pick(Op::Vrangeps, Op::Vrangepd);
                // Result with its own sign; smaller or larger.
                let select = A::I(if min { 4 } else { 5 });
                self.v(op, lane, &[a.into(), b.into(), select])
            }
            false => {
                let one = self.v(machine, lane, &[a.into(), b.into()]);
                let other = self.v(machine, lane, &[b.into(), a.into()]);
                let op = match min {
                    true => pick(Op::Vporq, Op::Vporq),
                    false => pick(Op::Vpandd, Op::Vpandq),
                };
                self.v(op, lane, &[one.into(), other.into()])
            }
        };
        if number_wins {
            let no_a = self.compare_floats(table::UNORDERED, lane, [a.into(); 2], None);
            let no_b = self.compare_floats(table::UNORDERED, lane, [b.into(); 2], None);
            let result = self.blend(no_a, b.into(), ordered.into(), lane);
            return self.blend(no_b, a.into(), result.into(), lane);
        }
        if min && !self.masks {
            // A NaN in one of the two results of the machine's shows in their `or`.
            return ordered;
        }
        let nan = self.compare_floats(table::UNORDERED, lane, [a.into(), b.into()], None);
        if !self.masks {
            return self.v(
                pick(Op::Vpord, Op::Vporq),
                lane,
                &[ordered.into(), nan.into()],
            );
        }
        let add = pick(Op::Vaddps, Op::Vaddpd);
        let width = self.width(lane);
        self.v_with(
            add,
            width,
            Extra::merged(nan, ordered),
            &[a.into(), b.into()],
        )
    }

    // ---- integers

    fn shift(&mut self, op: Opcode, dtype: DType, a: A, count: A) -> VReg {
        let lane = table::lane(dtype);
        let top = u64::from(dtype.bits()) - 1;
        let a = self.reg(a);
        let computed = match table::is_small(dtype) && dtype.is_unsigned_int() {
            true => DType::U32,
            false => table::computed(dtype),
        };
        if let A::C(bits, _) = count {
            let count = A::I((bits & top) as i64);
            if let Some(found) = table::shift_imm(op, computed, self.masks) {
                let shifted = self.v(found, lane, &[a.into(), count]);
                return match op {
                    Opcode::Shl => self.normalize(shifted, dtype),
                    _ => shifted,
                };
            }
        }
        let and = if lane == 8 { Op::Vpandq } else { Op::Vpandd };
        let count = self.reg(count);
        let count = self.v(and, lane, &[count.into(), A::C(top, lane)]);
        if let Some(found) = table::binary(op, computed, self.masks) {
            let shifted = self.v(found, lane, &[a.into(), count.into()]);
            return match op {
                Opcode::Shl => self.normalize(shifted, dtype),
                _ => shifted,
            };
        }
        // Arithmetic, of 64 bits, without an instruction: negative numbers are shifted as their complements.
        self.note(op, dtype, How::Instructions(5));
        let zero = self.constant(0, 8);
        let negative = self.v(Op::Vpcmpgtq, 8, &[zero.into(), a.into()]);
        let positive = self.v(Op::Vpxorq, 8, &[a.into(), negative.into()]);
        let shifted = self.v(Op::Vpsrlvq, 8, &[positive.into(), count.into()]);
        self.v(Op::Vpxorq, 8, &[shifted.into(), negative.into()])
    }

    /// Product of 64-bit lanes, of three products of halves.
    pub(super) fn mul_words(&mut self, a: VReg, b: VReg) -> VReg {
        if self.masks {
            return self.v(Op::Vpmullq, 8, &[a.into(), b.into()]);
        }
        let half = A::I(32);
        let a_high = self.v(Op::VpsrlqImm, 8, &[a.into(), half]);
        let b_high = self.v(Op::VpsrlqImm, 8, &[b.into(), half]);
        let one = self.v(Op::Vpmuludq, 8, &[a_high.into(), b.into()]);
        let other = self.v(Op::Vpmuludq, 8, &[a.into(), b_high.into()]);
        let cross = self.v(Op::Vpaddq, 8, &[one.into(), other.into()]);
        let cross = self.v(Op::VpsllqImm, 8, &[cross.into(), half]);
        let low = self.v(Op::Vpmuludq, 8, &[a.into(), b.into()]);
        self.v(Op::Vpaddq, 8, &[low.into(), cross.into()])
    }

    fn mul_high(&mut self, dtype: DType, a: A, b: A) -> VReg {
        let (a, b) = (self.reg(a), self.reg(b));
        if table::is_small(dtype) {
            let product = self.v(Op::Vpmulld, 4, &[a.into(), b.into()]);
            let op = match dtype.is_unsigned_int() {
                true => Op::VpsrldImm,
                false => Op::VpsradImm,
            };
            return self.v(op, 4, &[product.into(), A::I(i64::from(dtype.bits()))]);
        }
        if dtype.size() == 4 {
            let op = match dtype.is_unsigned_int() {
                true => Op::Vpmuludq,
                false => Op::Vpmuldq,
            };
            // The products of even lanes and of odd ones are 64 bits each.
            let width = self.width(4);
            let even = self.v(op, 4, &[a.into(), b.into()]);
            let [a_odd, b_odd] = [a, b]
                .map(|x| self.v_with(Op::VpsrlqImm, width, Extra::NONE, &[x.into(), A::I(32)]));
            let odd = self.v(op, 4, &[a_odd.into(), b_odd.into()]);
            let even = self.v_with(Op::VpsrlqImm, width, Extra::NONE, &[even.into(), A::I(32)]);
            let high = self.lane_values(4, |n| if n % 2 == 1 { -1 } else { 0 });
            let odd = self.v(Op::Vpandd, 4, &[odd.into(), A::M(high)]);
            return self.v(Op::Vpord, 4, &[even.into(), odd.into()]);
        }
        self.note(
            Opcode::MulHi,
            dtype,
            How::Instructions(if dtype.is_unsigned_int() { 14 } else { 20 }),
        );
        self.mul_high_words(dtype, a, b)
    }

    /// High halves of products of 64-bit lanes, from the four products of halves.
    fn mul_high_words(&mut self, dtype: DType, a: VReg, b: VReg) -> VReg {
        let half = A::I(32);
        let low_half = A::C(0xffff_ffff, 8);
        let mul =
            |this: &mut Self, x: VReg, y: VReg| this.v(Op::Vpmuludq, 8, &[x.into(), y.into()]);
        let high = |this: &mut Self, x: VReg| this.v(Op::VpsrlqImm, 8, &[x.into(), half]);
        let add = |this: &mut Self, x: VReg, y: VReg| this.v(Op::Vpaddq, 8, &[x.into(), y.into()]);
        let (a_high, b_high) = (high(self, a), high(self, b));
        let low = mul(self, a, b);
        let left = mul(self, a_high, b);
        let right = mul(self, a, b_high);
        let top = mul(self, a_high, b_high);
        // No sum overflows: (2^32 - 1)^2 + 2 (2^32 - 1) < 2^64.
        let carried = high(self, low);
        let left = add(self, left, carried);
        let left_low = self.v(Op::Vpandq, 8, &[left.into(), low_half]);
        let right = add(self, right, left_low);
        let (left, right) = (high(self, left), high(self, right));
        let sum = add(self, left, right);
        let product = add(self, top, sum);
        if dtype.is_unsigned_int() {
            return product;
        }
        // A negative factor was taken for 2^64 more.
        let mut product = product;
        for (x, y) in [(a, b), (b, a)] {
            let (negative, lane) =
                self.compare(Opcode::Lt, DType::I64, [x.into(), A::C(0, 8)], None);
            let excess = self.zero_unless(negative, y.into(), lane);
            product = self.v(Op::Vpsubq, 8, &[product.into(), excess.into()]);
        }
        product
    }
}

/// Is it a number other than zero?
fn is_plain(bits: u64, lane: u8) -> bool {
    let value = match lane {
        4 => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    };
    value != 0.0 && !value.is_nan()
}
