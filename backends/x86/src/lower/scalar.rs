//! What all lanes share, in general registers: integers, extended to 64 bits as their dtype says, and bools.

use super::{Lower, Val, table};
use crate::encode::{Cc, Op, Width};
use crate::{Input, VReg};
use kjit_ir::{DType, Opcode, Value};

/// The condition of a compare of integers.
fn condition(op: Opcode, dtype: DType) -> Option<Cc> {
    // Less than 64 bits are numbers of 64 bits in range.
    let unsigned = dtype == DType::U64;
    Some(match (op, unsigned) {
        (Opcode::Eq, _) => Cc::E,
        (Opcode::Ne, _) => Cc::Ne,
        (Opcode::Lt, false) => Cc::L,
        (Opcode::Lt, true) => Cc::B,
        (Opcode::Le, false) => Cc::Le,
        (Opcode::Le, true) => Cc::Be,
        (Opcode::Gt, false) => Cc::G,
        (Opcode::Gt, true) => Cc::A,
        (Opcode::Ge, false) => Cc::Ge,
        (Opcode::Ge, true) => Cc::Ae,
        _ => return None,
    })
}

/// Is it a compare that general registers do?
pub(super) fn is_compare(op: Opcode, dtype: DType) -> bool {
    !dtype.is_float() && condition(op, dtype).is_some()
}

impl Lower<'_> {
    /// A uniform operation, if general registers do it.
    pub(super) fn scalar_op(
        &mut self,
        op: Opcode,
        from: DType,
        to: Option<DType>,
        args: &[Value],
    ) -> Option<Val> {
        if from.is_float() || to.is_some_and(|to| to.is_float()) {
            return None;
        }
        let q = Width::Q;
        let result = match (op, args) {
            (Opcode::Cast, [a]) if to == Some(DType::Bool) => {
                let a = self.int(*a);
                self.op(Op::Test, q, &[a.into(), a.into()]);
                self.flag(Cc::Ne)
            }
            (Opcode::Cast | Opcode::Bitcast, [a]) => {
                let a = self.int(*a);
                self.extend(a, to.unwrap_or(from))
            }
            (Opcode::Select, [c, a, b]) => {
                let (a, b) = (self.int(*a), self.int(*b));
                let c = self.int(*c);
                self.op(Op::Test, Width::D, &[c.into(), c.into()]);
                self.op(Op::Cmovcc, q, &[Cc::Ne.into(), b.into(), a.into()])
            }
            (Opcode::Not, [a]) if from == DType::Bool => {
                let a = self.int(*a);
                self.op(Op::XorImm8, Width::D, &[a.into(), Input::Imm(1)])
            }
            (Opcode::Not | Opcode::Neg, [a]) => {
                let a = self.int(*a);
                let op = if op == Opcode::Not { Op::Not } else { Op::Neg };
                let result = self.op(op, q, &[a.into()]);
                self.extend(result, from)
            }
            (Opcode::Shl | Opcode::Shr, [a, count]) => self.scalar_shift(op, from, *a, *count),
            (Opcode::Min | Opcode::Max, [a, b]) => {
                let (a, b) = (self.int(*a), self.int(*b));
                let less = if op == Opcode::Min {
                    Opcode::Gt
                } else {
                    Opcode::Lt
                };
                let cc = condition(less, from)?;
                self.op(Op::Cmp, q, &[a.into(), b.into()]);
                self.op(Op::Cmovcc, q, &[cc.into(), a.into(), b.into()])
            }
            (_, [a, b]) if condition(op, from).is_some() => {
                let cc = self.scalar_compare(op, from, *a, *b);
                self.flag(cc)
            }
            (_, [a, b]) => {
                let machine = match op {
                    Opcode::Add => Op::Add,
                    Opcode::Sub => Op::Sub,
                    Opcode::Mul => Op::Imul,
                    Opcode::And => Op::And,
                    Opcode::Or => Op::Or,
                    Opcode::Xor => Op::Xor,
                    _ => return None,
                };
                let result = self.arithmetic(op, machine, *a, *b);
                match op {
                    Opcode::And | Opcode::Or | Opcode::Xor => result,
                    _ => self.extend(result, from),
                }
            }
            _ => return None,
        };
        Some(Val::Int(result))
    }

    /// With an immediate where that is possible.
    fn arithmetic(&mut self, op: Opcode, machine: Op, a: Value, b: Value) -> VReg {
        let known = |this: &Self, v: Value| {
            let value = this.kernel.as_const(v)?.as_int();
            i32::try_from(value).ok().map(i64::from)
        };
        let commutes = !matches!(op, Opcode::Sub);
        let (a, b) = match known(self, a) {
            Some(_) if commutes => (b, a),
            _ => (a, b),
        };
        let x = self.int(a);
        let Some(value) = known(self, b) else {
            let y = self.int(b);
            return self.op(machine, Width::Q, &[x.into(), y.into()]);
        };
        let short = i8::try_from(value).is_ok();
        let op = match (op, short) {
            (Opcode::Add, true) => Op::AddImm8,
            (Opcode::Add, false) => Op::AddImm,
            (Opcode::Sub, true) => Op::SubImm8,
            (Opcode::Sub, false) => Op::SubImm,
            (Opcode::And, true) => Op::AndImm8,
            (Opcode::And, false) => Op::AndImm,
            (Opcode::Or, true) => Op::OrImm8,
            (Opcode::Or, false) => Op::OrImm,
            (Opcode::Xor, true) => Op::XorImm8,
            (Opcode::Xor, false) => Op::XorImm,
            (_, true) => Op::ImulImm8,
            (_, false) => Op::ImulImm,
        };
        self.op(op, Width::Q, &[x.into(), Input::Imm(value)])
    }

    /// Sets flags by a compare; gives the condition.
    pub(super) fn scalar_compare(&mut self, op: Opcode, dtype: DType, a: Value, b: Value) -> Cc {
        let x = self.int(a);
        let known = self.kernel.as_const(b).map(|b| b.as_int());
        match known.and_then(|value| i32::try_from(value).ok()) {
            Some(value) => {
                let short = i8::try_from(value).is_ok();
                let op = if short { Op::CmpImm8 } else { Op::CmpImm };
                self.op(op, Width::Q, &[x.into(), Input::Imm(i64::from(value))]);
            }
            None => {
                let y = self.int(b);
                self.op(Op::Cmp, Width::Q, &[x.into(), y.into()]);
            }
        }
        condition(op, dtype).unwrap_or(Cc::E)
    }

    fn scalar_shift(&mut self, op: Opcode, dtype: DType, a: Value, count: Value) -> VReg {
        let top = i64::from(dtype.bits()) - 1;
        let machine = match (op, dtype.is_unsigned_int()) {
            (Opcode::Shl, _) => Op::Shlx,
            (_, true) => Op::Shrx,
            (_, false) => Op::Sarx,
        };
        let (a, count) = (self.int(a), self.int(count));
        let count = self.op(Op::AndImm8, Width::D, &[count.into(), Input::Imm(top)]);
        let result = self.op(machine, Width::Q, &[a.into(), count.into()]);
        match op {
            Opcode::Shl => self.extend(result, dtype),
            _ => result,
        }
    }

    /// The low bits of a register, extended as the dtype says.
    pub(super) fn extend(&mut self, a: VReg, dtype: DType) -> VReg {
        let signed = dtype.is_signed_int();
        match (dtype.size(), signed) {
            _ if dtype == DType::Bool => a,
            (1, true) => self.op(Op::Movsx8, Width::Q, &[a.into()]),
            (1, false) => self.op(Op::Movzx8, Width::D, &[a.into()]),
            (2, true) => self.op(Op::Movsx16, Width::Q, &[a.into()]),
            (2, false) => self.op(Op::Movzx16, Width::D, &[a.into()]),
            (4, true) => self.op(Op::Movsxd, Width::None, &[a.into()]),
            (4, false) => self.op(Op::Mov, Width::D, &[a.into()]),
            _ => a,
        }
    }

    /// One element in memory, in a general register.
    pub(super) fn load_int(&mut self, dtype: DType, at: crate::Addr) -> VReg {
        let at: Input = at.into();
        match (dtype.size(), dtype.is_signed_int()) {
            (1, true) => self.op(Op::Movsx8, Width::Q, &[at]),
            (1, false) => self.op(Op::Movzx8, Width::D, &[at]),
            (2, true) => self.op(Op::Movsx16, Width::Q, &[at]),
            (2, false) => self.op(Op::Movzx16, Width::D, &[at]),
            (4, true) => self.op(Op::Movsxd, Width::None, &[at]),
            (4, false) => self.op(Op::Mov, Width::D, &[at]),
            _ => self.op(Op::Mov, Width::Q, &[at]),
        }
    }

    /// A general register to memory, as one element.
    pub(super) fn store_int(&mut self, dtype: DType, at: crate::Addr, value: VReg) {
        let (op, width) = match dtype.size() {
            1 => (Op::MovStore8, Width::None),
            2 => (Op::MovStore16, Width::None),
            4 => (Op::MovStore, Width::D),
            _ => (Op::MovStore, Width::Q),
        };
        self.op(op, width, &[at.into(), value.into()]);
    }

    /// The logarithm of a dtype's size.
    pub(super) fn scale(dtype: DType) -> u8 {
        dtype.size().trailing_zeros() as u8
    }

    /// Bytes of one lane as a number.
    pub(super) fn lane_bytes(dtype: DType) -> i32 {
        i32::from(table::lane(dtype))
    }
}
