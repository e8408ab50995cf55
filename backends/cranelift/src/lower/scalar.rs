//! Operations on single numbers: all of scalar form, the uniform part of vector form, and single
//! lanes where vectors lack an operation. No operation here branches.

use super::{Lower, scalar_type};
use crate::helpers;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    AbiParam, InstBuilder, InstructionData, MemFlagsData, Opcode as ClifOp, Signature,
    Value as Clif, ValueDef, types,
};
use kjit_ir::dtype::Kind;
use kjit_ir::{DType, Opcode};

impl Lower<'_> {
    /// One pure operation on arguments of dtype `from` (for `select`: its arms).
    pub(super) fn scalar_op(
        &mut self,
        op: Opcode,
        from: DType,
        to: Option<DType>,
        args: &[Clif],
    ) -> Clif {
        match (op, to) {
            (Opcode::Select, _) => return self.b.ins().select(args[0], args[1], args[2]),
            (Opcode::Cast, Some(to)) => return self.scalar_cast(args[0], from, to),
            (Opcode::Bitcast, Some(to)) => {
                let to = scalar_type(to);
                return if to == scalar_type(from) {
                    args[0]
                } else {
                    self.b.ins().bitcast(to, MemFlagsData::new(), args[0])
                };
            }
            _ => {}
        }
        match from.kind() {
            Kind::Float => self.scalar_float(op, from, args),
            Kind::Bool => self.scalar_bool(op, args),
            _ => self.scalar_int(op, from, args),
        }
    }

    fn scalar_bool(&mut self, op: Opcode, args: &[Clif]) -> Clif {
        match op {
            Opcode::And => self.b.ins().band(args[0], args[1]),
            Opcode::Or => self.b.ins().bor(args[0], args[1]),
            Opcode::Xor | Opcode::Ne => self.b.ins().bxor(args[0], args[1]),
            Opcode::Eq => self.b.ins().icmp(IntCC::Equal, args[0], args[1]),
            Opcode::Rare => args[0],
            Opcode::Not => {
                let one = self.iconst(types::I8, 1);
                self.b.ins().bxor(args[0], one)
            }
            _ => panic!("bug in kjit: {op} on bool"),
        }
    }

    fn scalar_int(&mut self, op: Opcode, dtype: DType, args: &[Clif]) -> Clif {
        let signed = dtype.is_signed_int();
        if let Some(cc) = int_compare(op, signed) {
            return self.b.ins().icmp(cc, args[0], args[1]);
        }
        let a = args[0];
        let Some(&b) = args.get(1) else {
            return match op {
                Opcode::Neg => self.b.ins().ineg(a),
                Opcode::Not => self.b.ins().bnot(a),
                Opcode::Rare => a,
                Opcode::Abs if signed => self.b.ins().iabs(a),
                Opcode::Abs => a,
                _ => panic!("bug in kjit: {op} on {dtype}"),
            };
        };
        match op {
            Opcode::Add => self.b.ins().iadd(a, b),
            Opcode::Sub => self.b.ins().isub(a, b),
            Opcode::Mul => self.b.ins().imul(a, b),
            Opcode::Div | Opcode::Rem => self.scalar_divide(op, dtype, a, b),
            Opcode::MulHi => self.scalar_mulhi(dtype, a, b),
            Opcode::Min if signed => self.b.ins().smin(a, b),
            Opcode::Min => self.b.ins().umin(a, b),
            Opcode::Max if signed => self.b.ins().smax(a, b),
            Opcode::Max => self.b.ins().umax(a, b),
            Opcode::And => self.b.ins().band(a, b),
            Opcode::Or => self.b.ins().bor(a, b),
            Opcode::Xor => self.b.ins().bxor(a, b),
            // Cranelift takes counts modulo the width, as the IR does.
            Opcode::Shl => self.b.ins().ishl(a, b),
            Opcode::Shr if signed => self.b.ins().sshr(a, b),
            Opcode::Shr => self.b.ins().ushr(a, b),
            _ => panic!("bug in kjit: {op} on {dtype}"),
        }
    }

    /// Division that never traps.
    fn scalar_divide(&mut self, op: Opcode, dtype: DType, a: Clif, b: Clif) -> Clif {
        let ty = scalar_type(dtype);
        let signed = dtype.is_signed_int();
        let quotient = op == Opcode::Div;
        let harmless = self
            .known(b)
            .is_some_and(|bits| bits != 0 && (!signed || bits != u64::MAX >> (64 - ty.bits())));
        let one = self.iconst(ty, 1);
        let zero = self.iconst(ty, 0);
        let divide = |this: &mut Self, by: Clif| match (quotient, signed) {
            (true, true) => this.b.ins().sdiv(a, by),
            (true, false) => this.b.ins().udiv(a, by),
            (false, true) => this.b.ins().srem(a, by),
            (false, false) => this.b.ins().urem(a, by),
        };
        if harmless {
            return divide(self, b);
        }
        let by_zero = self.b.ins().icmp(IntCC::Equal, b, zero);
        let mut by = self.b.ins().select(by_zero, one, b);
        if !signed {
            let value = divide(self, by);
            return self.b.ins().select(by_zero, zero, value);
        }
        let minus_one = self.iconst(ty, u64::MAX);
        let by_minus_one = self.b.ins().icmp(IntCC::Equal, b, minus_one);
        by = self.b.ins().select(by_minus_one, one, by);
        let value = divide(self, by);
        let negated = if quotient { self.b.ins().ineg(a) } else { zero };
        let value = self.b.ins().select(by_minus_one, negated, value);
        self.b.ins().select(by_zero, zero, value)
    }

    fn scalar_mulhi(&mut self, dtype: DType, a: Clif, b: Clif) -> Clif {
        let ty = scalar_type(dtype);
        let signed = dtype.is_signed_int();
        if ty == types::I64 {
            return if signed {
                self.b.ins().smulhi(a, b)
            } else {
                self.b.ins().umulhi(a, b)
            };
        }
        let a = self.extend(a, types::I64, signed);
        let b = self.extend(b, types::I64, signed);
        let product = self.b.ins().imul(a, b);
        let width = self.iconst(types::I64, u64::from(ty.bits()));
        let high = self.b.ins().ushr(product, width);
        self.b.ins().ireduce(ty, high)
    }

    fn scalar_float(&mut self, op: Opcode, dtype: DType, args: &[Clif]) -> Clif {
        if let Some(cc) = float_compare(op) {
            return self.b.ins().fcmp(cc, args[0], args[1]);
        }
        let a = args[0];
        let rounding = self.machine.rounding;
        match (op, args) {
            (Opcode::Add, [_, b]) => self.b.ins().fadd(a, *b),
            (Opcode::Sub, [_, b]) => self.b.ins().fsub(a, *b),
            (Opcode::Mul, [_, b]) => self.b.ins().fmul(a, *b),
            (Opcode::Div, [_, b]) => self.b.ins().fdiv(a, *b),
            (Opcode::Neg, _) => self.b.ins().fneg(a),
            (Opcode::Abs, _) => self.b.ins().fabs(a),
            (Opcode::Sqrt, _) => self.b.ins().sqrt(a),
            (Opcode::Min, [_, b]) => self.b.ins().fmin(a, *b),
            (Opcode::Max, [_, b]) => self.b.ins().fmax(a, *b),
            (Opcode::FMin | Opcode::FMax, [_, b]) => {
                let both = if op == Opcode::FMin {
                    self.b.ins().fmin(a, *b)
                } else {
                    self.b.ins().fmax(a, *b)
                };
                let no_b = self.b.ins().fcmp(FloatCC::Unordered, *b, *b);
                let no_a = self.b.ins().fcmp(FloatCC::Unordered, a, a);
                let value = self.b.ins().select(no_b, a, both);
                self.b.ins().select(no_a, *b, value)
            }
            (Opcode::Fma, [_, b, c]) if self.machine.fma => self.b.ins().fma(a, *b, *c),
            (Opcode::Floor, _) if rounding => self.b.ins().floor(a),
            (Opcode::Ceil, _) if rounding => self.b.ins().ceil(a),
            (Opcode::Trunc, _) if rounding => self.b.ins().trunc(a),
            (Opcode::Round, _) if rounding => self.b.ins().nearest(a),
            _ => self.call_helper(op, dtype, args),
        }
    }

    /// Calls the function that stands in for a missing instruction.
    fn call_helper(&mut self, op: Opcode, dtype: DType, args: &[Clif]) -> Clif {
        let Some(address) = helpers::address(op, dtype) else {
            panic!("bug in kjit: {op} on {dtype}")
        };
        let ty = scalar_type(dtype);
        let mut signature = Signature::new(self.machine.isa.default_call_conv());
        signature.params = vec![AbiParam::new(ty); args.len()];
        signature.returns = vec![AbiParam::new(ty)];
        let signature = self.b.import_signature(signature);
        let callee = self.iconst(self.machine.isa.pointer_type(), address as u64);
        let call = self.b.ins().call_indirect(signature, callee, args);
        self.b.inst_results(call)[0]
    }

    /// Value conversion.
    fn scalar_cast(&mut self, a: Clif, from: DType, to: DType) -> Clif {
        let ty = scalar_type(to);
        match (from.kind(), to.kind()) {
            (Kind::Bool, Kind::Bool) => a,
            (Kind::Float, Kind::Bool) => {
                let zero = self.constant(kjit_ir::Scalar::zero(from));
                self.b.ins().fcmp(FloatCC::NotEqual, a, zero)
            }
            (_, Kind::Bool) => {
                let zero = self.iconst(scalar_type(from), 0);
                self.b.ins().icmp(IntCC::NotEqual, a, zero)
            }
            (Kind::Float, Kind::Float) => match (from, to) {
                (DType::F32, DType::F64) => self.b.ins().fpromote(types::F64, a),
                (DType::F64, DType::F32) => self.b.ins().fdemote(types::F32, a),
                _ => a,
            },
            (Kind::Float, _) => self.float_to_int(a, to),
            (kind, Kind::Float) => {
                let signed = kind == Kind::Signed;
                let a = match from.size() {
                    1 | 2 => self.extend(a, types::I32, signed),
                    _ => a,
                };
                if signed {
                    self.b.ins().fcvt_from_sint(ty, a)
                } else {
                    self.b.ins().fcvt_from_uint(ty, a)
                }
            }
            (kind, _) => self.extend(a, ty, kind == Kind::Signed),
        }
    }

    /// Saturating conversion; NaN gives 0.
    fn float_to_int(&mut self, a: Clif, to: DType) -> Clif {
        let ty = scalar_type(to);
        let signed = to.is_signed_int();
        if to.size() >= 4 {
            return if signed {
                self.b.ins().fcvt_to_sint_sat(ty, a)
            } else {
                self.b.ins().fcvt_to_uint_sat(ty, a)
            };
        }
        let wide = self.b.ins().fcvt_to_sint_sat(types::I32, a);
        let (low, high) = int_range(to);
        let low = self.iconst(types::I32, low as u64);
        let high = self.iconst(types::I32, high as u64);
        let wide = self.b.ins().smax(wide, low);
        let wide = self.b.ins().smin(wide, high);
        self.b.ins().ireduce(ty, wide)
    }

    /// An integer at another width.
    pub(super) fn extend(
        &mut self,
        a: Clif,
        ty: cranelift_codegen::ir::Type,
        signed: bool,
    ) -> Clif {
        let from = self.b.func.dfg.value_type(a).bits();
        if from == ty.bits() {
            a
        } else if from > ty.bits() {
            self.b.ins().ireduce(ty, a)
        } else if signed {
            self.b.ins().sextend(ty, a)
        } else {
            self.b.ins().uextend(ty, a)
        }
    }

    /// The bits of an integer constant, zero-extended.
    pub(super) fn known(&self, value: Clif) -> Option<u64> {
        let dfg = &self.b.func.dfg;
        let ValueDef::Result(inst, _) = dfg.value_def(value) else {
            return None;
        };
        match dfg.insts[inst] {
            InstructionData::UnaryImm {
                opcode: ClifOp::Iconst,
                imm,
            } => Some(imm.bits() as u64 & (u64::MAX >> (64 - dfg.value_type(value).bits()))),
            _ => None,
        }
    }
}

/// Smallest and largest value of an integer dtype of at most 32 bits.
pub(super) fn int_range(dtype: DType) -> (i64, i64) {
    let bits = dtype.bits();
    if dtype.is_signed_int() {
        (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1)
    } else {
        (0, (1i64 << bits) - 1)
    }
}

/// The condition of an integer compare.
pub(super) fn int_compare(op: Opcode, signed: bool) -> Option<IntCC> {
    Some(match (op, signed) {
        (Opcode::Eq, _) => IntCC::Equal,
        (Opcode::Ne, _) => IntCC::NotEqual,
        (Opcode::Lt, true) => IntCC::SignedLessThan,
        (Opcode::Lt, false) => IntCC::UnsignedLessThan,
        (Opcode::Le, true) => IntCC::SignedLessThanOrEqual,
        (Opcode::Le, false) => IntCC::UnsignedLessThanOrEqual,
        (Opcode::Gt, true) => IntCC::SignedGreaterThan,
        (Opcode::Gt, false) => IntCC::UnsignedGreaterThan,
        (Opcode::Ge, true) => IntCC::SignedGreaterThanOrEqual,
        (Opcode::Ge, false) => IntCC::UnsignedGreaterThanOrEqual,
        _ => return None,
    })
}

/// The condition of a float compare.
pub(super) fn float_compare(op: Opcode) -> Option<FloatCC> {
    Some(match op {
        Opcode::Eq => FloatCC::Equal,
        Opcode::Ne => FloatCC::NotEqual,
        Opcode::Lt => FloatCC::LessThan,
        Opcode::Le => FloatCC::LessThanOrEqual,
        Opcode::Gt => FloatCC::GreaterThan,
        Opcode::Ge => FloatCC::GreaterThanOrEqual,
        _ => return None,
    })
}
