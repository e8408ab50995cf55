//! Operations on varying values, chunk by chunk; what vectors lack is composed from what they have or done
//! lane by lane.

use super::scalar::{float_compare, int_compare};
use super::{Chunks, Clif, Lower, Val, chunk_type, is_wide};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, types};
use kjit_ir::dtype::Kind;
use kjit_ir::{DType, Opcode, Value, ValueDef};
use smallvec::SmallVec;

impl Lower<'_> {
    /// One pure operation with a varying result; `from` is the dtype of its arguments (of its arms, for `select`).
    pub(super) fn vector_op(
        &mut self,
        op: Opcode,
        from: DType,
        to: Option<DType>,
        args: &[Value],
    ) -> Val {
        if let Some(uniform) = self.uniform_op(op, from, to, args) {
            return uniform;
        }
        if op == Opcode::Select {
            return Val::Chunks(self.vector_select(from, args));
        }
        if from == DType::Bool {
            return Val::Chunks(self.vector_bool(op, to, args));
        }
        if let (Opcode::Shl | Opcode::Shr, Some(count)) =
            (op, self.as_uniform(args[args.len() - 1]))
        {
            let a = self.chunks(args[0]);
            return Val::Chunks(self.shift_all(op, from, &a, count));
        }
        if op == Opcode::Fma && self.machine.fma {
            return Val::Chunks(self.vector_fma(args));
        }
        let chunks: Vec<Chunks> = args.iter().map(|arg| self.chunks(*arg)).collect();
        let a = &chunks[0];
        Val::Chunks(match (op, to) {
            (Opcode::Cast, Some(to)) => self.vector_cast(a, from, to),
            (Opcode::Bitcast, Some(to)) => self.vector_bitcast(a, from, to),
            _ if from.kind() == Kind::Float => self.vector_float(op, from, &chunks),
            _ => {
                let long = op == Opcode::Mul && self.long_products.contains(args);
                self.vector_int(op, from, &chunks, long)
            }
        })
    }

    /// An operation on splats alone is done once.
    fn uniform_op(
        &mut self,
        op: Opcode,
        from: DType,
        to: Option<DType>,
        args: &[Value],
    ) -> Option<Val> {
        let scalars: Option<Vec<Clif>> = args.iter().map(|arg| self.as_uniform(*arg)).collect();
        let value = self.scalar_op(op, from, to, &scalars?);
        let dtype = match op.rule() {
            kjit_ir::opcode::Rule::Compare => DType::Bool,
            _ => to.unwrap_or(from),
        };
        let chunk = self.splat(dtype, value);
        Some(Val::Splat(value, chunk))
    }

    fn vector_select(&mut self, dtype: DType, args: &[Value]) -> Chunks {
        let wide = match dtype {
            DType::Bool => self.common_width(&args[1..]),
            dtype => is_wide(dtype),
        };
        let arm = |this: &mut Self, value| match dtype {
            DType::Bool => this.mask(value, wide),
            _ => this.chunks(value),
        };
        let a = arm(self, args[1]);
        let c = arm(self, args[2]);
        if let Some(condition) = self.as_uniform(args[0]) {
            return self.map2(&a, &c, |b, a, c| b.ins().select(condition, a, c));
        }
        let mask = self.mask(args[0], wide);
        mask.iter()
            .zip(a.iter().zip(&c))
            .map(|(mask, (a, c))| self.blend(*mask, *a, *c))
            .collect()
    }

    /// The mask width that asks for the fewest conversions.
    fn common_width(&self, args: &[Value]) -> bool {
        let mut widths = args.iter().filter_map(|arg| match &self.vals[arg.index()] {
            Val::Chunks(mask) => Some(self.is_wide_mask(mask)),
            _ => None,
        });
        match (widths.next(), widths.next()) {
            (Some(a), Some(b)) if a != b => self.wide_masks,
            (Some(a), _) => a,
            (None, _) => self.wide_masks,
        }
    }

    fn vector_bool(&mut self, op: Opcode, to: Option<DType>, args: &[Value]) -> Chunks {
        let wide = self.common_width(args);
        let a = self.mask(args[0], wide);
        if let (Opcode::Cast, Some(to)) = (op, to) {
            return self.vector_cast(&a, DType::Bool, to);
        }
        if op == Opcode::Rare {
            return a;
        }
        let Some(second) = args.get(1) else {
            return self.map1(&a, |b, x| b.ins().bnot(x));
        };
        let c = self.mask(*second, wide);
        self.map2(&a, &c, |b, x, y| match op {
            Opcode::And => b.ins().band(x, y),
            Opcode::Or => b.ins().bor(x, y),
            Opcode::Xor | Opcode::Ne => b.ins().bxor(x, y),
            _ => {
                let differ = b.ins().bxor(x, y);
                b.ins().bnot(differ)
            }
        })
    }

    fn vector_float(&mut self, op: Opcode, dtype: DType, args: &[Chunks]) -> Chunks {
        if let Some(cc) = float_compare(op) {
            return self.map2(&args[0], &args[1], |b, x, y| b.ins().fcmp(cc, x, y));
        }
        let rounding = self.machine.rounding;
        match op {
            Opcode::Add => self.map2(&args[0], &args[1], |b, x, y| b.ins().fadd(x, y)),
            Opcode::Sub => self.map2(&args[0], &args[1], |b, x, y| b.ins().fsub(x, y)),
            Opcode::Mul => self.map2(&args[0], &args[1], |b, x, y| b.ins().fmul(x, y)),
            Opcode::Div => self.map2(&args[0], &args[1], |b, x, y| b.ins().fdiv(x, y)),
            Opcode::Min => self.map2(&args[0], &args[1], |b, x, y| b.ins().fmin(x, y)),
            Opcode::Max => self.map2(&args[0], &args[1], |b, x, y| b.ins().fmax(x, y)),
            Opcode::FMin | Opcode::FMax => self.number_min_max(op, &args[0], &args[1]),
            Opcode::Neg | Opcode::Abs => self.sign_bit(op, dtype, &args[0]),
            Opcode::Sqrt => self.map1(&args[0], |b, x| b.ins().sqrt(x)),
            Opcode::Floor if rounding => self.map1(&args[0], |b, x| b.ins().floor(x)),
            Opcode::Ceil if rounding => self.map1(&args[0], |b, x| b.ins().ceil(x)),
            Opcode::Trunc if rounding => self.map1(&args[0], |b, x| b.ins().trunc(x)),
            Opcode::Round if rounding => self.map1(&args[0], |b, x| b.ins().nearest(x)),
            _ => self.by_lanes(op, dtype, None, dtype, args),
        }
    }

    /// `fma`; negated operands become part of the instruction.
    fn vector_fma(&mut self, args: &[Value]) -> Chunks {
        let kernel = self.kernel;
        let mut operands: SmallVec<[Chunks; 3]> = SmallVec::new();
        for arg in args {
            let negated = match kernel.def(*arg) {
                ValueDef::Result(inst, _) if kernel.ty(*arg).varying => Some(kernel.inst(inst)),
                _ => None,
            };
            operands.push(match negated.filter(|inst| inst.op == Opcode::Neg) {
                Some(neg) => {
                    let x = self.chunks(neg.args[0]);
                    self.map1(&x, |b, x| b.ins().fneg(x))
                }
                None => self.chunks(*arg),
            });
        }
        let [a, b, c] = &operands[..] else {
            panic!("bug in kjit: fma of {} operands", args.len())
        };
        (0..a.len())
            .map(|n| self.b.ins().fma(a[n], b[n], c[n]))
            .collect()
    }

    /// `fmin` and `fmax`: a NaN loses against a number.
    fn number_min_max(&mut self, op: Opcode, a: &Chunks, c: &Chunks) -> Chunks {
        a.iter()
            .zip(c)
            .map(|(&a, &c)| {
                let both = if op == Opcode::FMin {
                    self.b.ins().fmin(a, c)
                } else {
                    self.b.ins().fmax(a, c)
                };
                let no_c = self.b.ins().fcmp(FloatCC::Unordered, c, c);
                let no_a = self.b.ins().fcmp(FloatCC::Unordered, a, a);
                let value = self.blend(no_c, a, both);
                self.blend(no_a, c, value)
            })
            .collect()
    }

    /// `neg` and `abs` of floats, by a mask that can be hoisted.
    fn sign_bit(&mut self, op: Opcode, dtype: DType, a: &Chunks) -> Chunks {
        let (lane, ints, sign) = if is_wide(dtype) {
            (types::I64, types::I64X2, 1 << 63)
        } else {
            (types::I32, types::I32X4, 1 << 31)
        };
        let bits = if op == Opcode::Neg { sign } else { !sign };
        let mask = self.iconst(lane, bits);
        let mask = self.b.ins().splat(ints, mask);
        let floats = chunk_type(dtype);
        let mask = self.reinterpret(floats, mask);
        self.map1(a, |b, x| {
            if op == Opcode::Neg {
                b.ins().bxor(x, mask)
            } else {
                b.ins().band(x, mask)
            }
        })
    }

    /// With `long`, the high halves of the product are computed too.
    fn vector_int(&mut self, op: Opcode, dtype: DType, args: &[Chunks], long: bool) -> Chunks {
        let a = &args[0];
        let wide = is_wide(dtype);
        // Lanes of 8 and 16 bits are i32 in range.
        let signed = dtype != DType::U32 && dtype != DType::U64;
        let full = self.machine.wide_compare;
        if let Some(cc) = int_compare(op, signed) {
            if wide && !full {
                return self.by_lanes(op, dtype, None, DType::Bool, args);
            }
            return self.map2(a, &args[1], |b, x, y| b.ins().icmp(cc, x, y));
        }
        let value = match op {
            Opcode::Add => self.map2(a, &args[1], |b, x, y| b.ins().iadd(x, y)),
            Opcode::Sub => self.map2(a, &args[1], |b, x, y| b.ins().isub(x, y)),
            Opcode::Mul if long && full => self.mul32_long(dtype, a, &args[1], false),
            Opcode::Mul if wide || full => self.map2(a, &args[1], |b, x, y| b.ins().imul(x, y)),
            Opcode::And => self.map2(a, &args[1], |b, x, y| b.ins().band(x, y)),
            Opcode::Or => self.map2(a, &args[1], |b, x, y| b.ins().bor(x, y)),
            Opcode::Xor => self.map2(a, &args[1], |b, x, y| b.ins().bxor(x, y)),
            Opcode::Not => self.map1(a, |b, x| b.ins().bnot(x)),
            Opcode::Rare => a.clone(),
            Opcode::Neg => self.map1(a, |b, x| b.ins().ineg(x)),
            Opcode::Abs if dtype.is_signed_int() => self.map1(a, |b, x| b.ins().iabs(x)),
            Opcode::Abs => a.clone(),
            Opcode::Min | Opcode::Max if !wide || full => a
                .iter()
                .zip(&args[1])
                .map(|(x, y)| self.int_min_max(op, dtype, *x, *y))
                .collect(),
            Opcode::MulHi if dtype.size() == 4 && full => self.mul32_long(dtype, a, &args[1], true),
            Opcode::Div | Opcode::Rem if !wide && full => self.divide32(op, dtype, a, &args[1]),
            _ => return self.by_lanes(op, dtype, None, dtype, args),
        };
        match op {
            Opcode::And | Opcode::Or | Opcode::Xor | Opcode::Min | Opcode::Max => value,
            _ => self.normalize(dtype, value),
        }
    }

    /// Integer minimum or maximum of a chunk.
    pub(super) fn int_min_max(&mut self, op: Opcode, dtype: DType, x: Clif, y: Clif) -> Clif {
        let signed = dtype != DType::U32 && dtype != DType::U64;
        if !self.machine.wide_compare {
            let cc = match (op == Opcode::Min, signed) {
                (true, true) => IntCC::SignedLessThan,
                (true, false) => IntCC::UnsignedLessThan,
                (false, true) => IntCC::SignedGreaterThan,
                (false, false) => IntCC::UnsignedGreaterThan,
            };
            let first = self.b.ins().icmp(cc, x, y);
            return self.blend(first, x, y);
        }
        match (op == Opcode::Min, signed) {
            (true, true) => self.b.ins().smin(x, y),
            (true, false) => self.b.ins().umin(x, y),
            (false, true) => self.b.ins().smax(x, y),
            (false, false) => self.b.ins().umax(x, y),
        }
    }

    /// High or low halves of 32-bit products, through 64-bit ones: where both are wanted, Cranelift
    /// finds the products equal.
    fn mul32_long(&mut self, dtype: DType, a: &Chunks, c: &Chunks, upper: bool) -> Chunks {
        let signed = dtype.is_signed_int();
        a.iter()
            .zip(c)
            .map(|(&x, &y)| {
                let (x, y) = (self.plain_chunk(x), self.plain_chunk(y));
                let mut half = |high: bool| {
                    let (x, y) = match (signed, high) {
                        (true, false) => (self.b.ins().swiden_low(x), self.b.ins().swiden_low(y)),
                        (true, true) => (self.b.ins().swiden_high(x), self.b.ins().swiden_high(y)),
                        (false, false) => (self.b.ins().uwiden_low(x), self.b.ins().uwiden_low(y)),
                        (false, true) => (self.b.ins().uwiden_high(x), self.b.ins().uwiden_high(y)),
                    };
                    self.b.ins().imul(x, y)
                };
                let (low, high) = (half(false), half(true));
                let select = if upper { [1, 3, 5, 7] } else { [0, 2, 4, 6] };
                let words = self.shuffle32(low, high, select);
                self.reinterpret(types::I32X4, words)
            })
            .collect()
    }

    /// The same 32-bit lanes, not as a `splat`: Cranelift would move the widening of a splat to its
    /// scalar, and then multiply 64-bit lanes in full instead of by `pmuludq`.
    fn plain_chunk(&mut self, chunk: Clif) -> Clif {
        use cranelift_codegen::ir::{InstructionData, Opcode as ClifOp};
        let dfg = &self.b.func.dfg;
        let scalar = match dfg.value_def(chunk).inst().map(|inst| dfg.insts[inst]) {
            Some(InstructionData::Unary {
                opcode: ClifOp::Splat,
                arg,
            }) => arg,
            _ => return chunk,
        };
        let first = self.b.ins().scalar_to_vector(types::I32X4, scalar);
        self.shuffle32(first, first, [0; 4])
    }

    /// Shift of all lanes by one count.
    fn shift_all(&mut self, op: Opcode, dtype: DType, a: &Chunks, count: Clif) -> Chunks {
        let modulus = self.iconst(super::scalar_type(dtype), u64::from(dtype.bits()) - 1);
        let count = self.b.ins().band(count, modulus);
        // A wider count than its lanes keeps Cranelift's own modulo from mattering.
        let count = self.extend(count, types::I32, false);
        let shifted = self.map1(a, |b, x| match op {
            Opcode::Shl => b.ins().ishl(x, count),
            _ if dtype.is_signed_int() => b.ins().sshr(x, count),
            _ => b.ins().ushr(x, count),
        });
        if op == Opcode::Shl {
            self.normalize(dtype, shifted)
        } else {
            shifted
        }
    }
}
