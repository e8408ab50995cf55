//! Makes f16 a dtype of storage: whatever computes with it computes with f32 and rounds.
//!
//! Afterwards f16 values are only loaded, stored, selected, handed on by control flow, and reinterpreted
//! as u16. The conversions are branch-free integer code that every backend vectorises (after F. Giesen,
//! "Float->half variants", 2012); an operation that f32 does not round innocuously (`fma`, and casts
//! from f64) is rounded to odd first, after which a second rounding does no harm (S. Boldo,
//! G. Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd,
//! 2008).

use crate::analysis::tree::{Subst, compact, walk};
use crate::opcode::Rule;
use crate::{Block, DType, Function, FunctionBuilder, Imm, Inst, Opcode, Scalar, Value};

/// Runs the pass, on a function in scalar form.
pub fn lower_half(func: &mut Function) -> bool {
    if !func.values.iter().any(|v| v.ty.dtype == DType::F16) {
        return false;
    }
    let entry = func.entry;
    let mut pass = LowerHalf {
        subst: Subst::new(func),
        b: FunctionBuilder::at_end(func.clone(), entry),
        changed: false,
    };
    pass.block(entry);
    *func = compact(&pass.b.func);
    pass.changed
}

/// Replaces f16 by u16 everywhere in a function that [`lower_half`] ran on (a function that computes with
/// f16 is left alone), for backends to which storage is bytes. In either form.
pub fn half_as_u16(func: &mut Function) -> bool {
    let half = |v: &Value| func.ty(*v).dtype == DType::F16;
    let mut computes = false;
    walk(func, &mut |_, inst| {
        let data = func.inst(inst);
        let moves = matches!(
            data.op,
            Opcode::Const | Opcode::Select | Opcode::Bitcast | Opcode::Splat
        );
        computes |= data.op.is_pure() && !moves && data.args.iter().chain(&data.results).any(half);
    });
    if computes {
        return false;
    }
    let mut changed = false;
    let mut replace = |dtype: &mut DType| {
        if *dtype == DType::F16 {
            (*dtype, changed) = (DType::U16, true);
        }
    };
    func.values
        .iter_mut()
        .for_each(|v| replace(&mut v.ty.dtype));
    func.arrays.iter_mut().for_each(|a| replace(&mut a.dtype));
    func.locals.iter_mut().for_each(|l| replace(&mut l.dtype));
    func.results
        .iter_mut()
        .for_each(|ty| replace(&mut ty.dtype));
    for data in &mut func.insts {
        match &mut data.imm {
            Imm::DType(dtype) => replace(dtype),
            Imm::Const(scalar) if scalar.dtype() == DType::F16 => {
                *scalar = Scalar::from_bits(DType::U16, scalar.bits());
            }
            _ => {}
        }
    }
    changed
}

struct LowerHalf {
    b: FunctionBuilder,
    subst: Subst,
    changed: bool,
}

impl LowerHalf {
    fn block(&mut self, block: Block) {
        let insts = std::mem::take(&mut self.b.func.block_mut(block).insts);
        for inst in insts {
            self.subst.apply(self.b.func.inst_mut(inst));
            for inner in self.b.func.inst(inst).blocks.clone() {
                self.block(inner);
            }
            self.b.switch_to(block);
            self.b.set_loc(self.b.func.inst(inst).loc);
            match self.lowered(inst) {
                Some(new) => {
                    self.changed = true;
                    self.subst.set(self.b.func.result(inst), new);
                }
                None => self.b.func.block_mut(block).insts.push(inst),
            }
        }
    }

    fn dtype(&self, value: Value) -> DType {
        self.b.func.ty(value).dtype
    }

    /// What stands for the result of an operation on f16, if it is one that must be replaced.
    fn lowered(&mut self, inst: Inst) -> Option<Value> {
        let data = self.b.func.inst(inst);
        let (op, imm, args) = (data.op, data.imm, data.args.clone());
        let from = self.dtype(*args.first()?);
        match (op, imm) {
            (Opcode::Cast | Opcode::Bitcast, Imm::DType(DType::F16)) if from == DType::F16 => {
                Some(args[0])
            }
            (Opcode::Cast, Imm::DType(to)) if from == DType::F16 => {
                let wide = self.widen(args[0]);
                Some(self.b.cast(wide, to))
            }
            (Opcode::Cast, Imm::DType(DType::F16)) => {
                let wide = match from {
                    DType::F64 => self.odd_of_f64(args[0]),
                    _ => self.b.cast(args[0], DType::F32),
                };
                Some(self.narrow(wide))
            }
            (Opcode::Bitcast, Imm::DType(to)) => {
                let through = from == DType::F16 || to == DType::F16;
                if !through || from == DType::U16 || to == DType::U16 {
                    return None;
                }
                let bits = self.b.bitcast(args[0], DType::U16);
                Some(self.b.bitcast(bits, to))
            }
            _ if from != DType::F16 => None,
            (Opcode::Neg, _) => Some(self.on_bits(args[0], Opcode::Xor, 0x8000)),
            (Opcode::Abs, _) => Some(self.on_bits(args[0], Opcode::And, 0x7fff)),
            (Opcode::Fma, _) => {
                let [a, b, c] = [0, 1, 2].map(|n| self.widen(args[n]));
                let odd = self.odd_of_fma(a, b, c);
                Some(self.narrow(odd))
            }
            (op, _) => {
                let rule = op.rule();
                if !matches!(rule, Rule::Same | Rule::Compare) {
                    return None;
                }
                let wide: Vec<Value> = args.iter().map(|v| self.widen(*v)).collect();
                let result = self.b.op(op, &wide, None);
                Some(match rule {
                    Rule::Compare => result,
                    _ => self.narrow(result),
                })
            }
        }
    }

    fn i32(&mut self, value: u32) -> Value {
        self.b.int(DType::I32, value as i32 as i128)
    }

    fn with(&mut self, op: Opcode, a: Value, value: u32) -> Value {
        let value = self.i32(value);
        self.b.binary(op, a, value)
    }

    /// A bitwise operation with a constant.
    fn on_bits(&mut self, half: Value, op: Opcode, mask: i128) -> Value {
        let bits = self.b.bitcast(half, DType::U16);
        let mask = self.b.int(DType::U16, mask);
        let bits = self.b.binary(op, bits, mask);
        self.b.bitcast(bits, DType::F16)
    }

    /// f16 to f32: exact.
    fn widen(&mut self, half: Value) -> Value {
        let bits = self.b.bitcast(half, DType::U16);
        let bits = self.b.cast(bits, DType::I32);
        let sign = self.with(Opcode::And, bits, 0x8000);
        let sign = self.with(Opcode::Shl, sign, 16);
        let magnitude = self.with(Opcode::And, bits, 0x7fff);
        let magnitude = self.with(Opcode::Shl, magnitude, 13);
        let normal = self.with(Opcode::Add, magnitude, 0x3800_0000);
        let special = self.with(Opcode::Add, magnitude, 0x7000_0000);
        // With exponent -14 put in: 2^-14 too much, for numbers that have no leading one.
        let above = self.with(Opcode::Add, magnitude, 0x3880_0000);
        let above = self.b.bitcast(above, DType::F32);
        let smallest = self.b.f32(f32::from_bits(0x3880_0000));
        let subnormal = self.b.binary(Opcode::Sub, above, smallest);
        let subnormal = self.b.bitcast(subnormal, DType::I32);
        let is_special = self.with(Opcode::Ge, magnitude, 0x0f80_0000);
        let is_subnormal = self.with(Opcode::Lt, magnitude, 0x0080_0000);
        let result = self.b.select(is_special, special, normal);
        let result = self.b.select(is_subnormal, subnormal, result);
        let result = self.b.binary(Opcode::Or, result, sign);
        self.b.bitcast(result, DType::F32)
    }

    /// f32 to f16, to nearest even.
    fn narrow(&mut self, wide: Value) -> Value {
        let bits = self.b.bitcast(wide, DType::I32);
        let magnitude = self.with(Opcode::And, bits, 0x7fff_ffff);
        let sign = self.with(Opcode::Shr, bits, 16);
        let sign = self.with(Opcode::And, sign, 0x8000);
        // Half a unit less one, one more where the last bit kept is set, and the exponent moved.
        let last = self.with(Opcode::Shr, magnitude, 13);
        let last = self.with(Opcode::And, last, 1);
        let normal = self.with(Opcode::Add, magnitude, 0xc800_0fff);
        let normal = self.b.binary(Opcode::Add, normal, last);
        let normal = self.with(Opcode::Shr, normal, 13);
        // The unit of 0.5 in f32 is the unit of small f16: the sum is rounded where it should be.
        let half = self.b.f32(0.5);
        let small = self.b.bitcast(magnitude, DType::F32);
        let small = self.b.binary(Opcode::Add, small, half);
        let small = self.b.bitcast(small, DType::I32);
        let small = self.with(Opcode::Sub, small, 0x3f00_0000);
        let [infinity, nan] = [0x7c00, 0x7e00].map(|bits| self.i32(bits));
        let is_nan = self.with(Opcode::Gt, magnitude, 0x7f80_0000);
        let special = self.b.select(is_nan, nan, infinity);
        let is_large = self.with(Opcode::Ge, magnitude, 0x4780_0000);
        let is_small = self.with(Opcode::Lt, magnitude, 0x3880_0000);
        let result = self.b.select(is_large, special, normal);
        let result = self.b.select(is_small, small, result);
        let result = self.b.binary(Opcode::Or, result, sign);
        let result = self.b.cast(result, DType::U16);
        self.b.bitcast(result, DType::F16)
    }

    /// Of the two neighbours of an inexact number in f32, the one with odd bits. `nearest` is one of
    /// them; `outward` says that the number lies on its side away from zero.
    fn odd_neighbour(&mut self, nearest: Value, inexact: Value, outward: Value) -> Value {
        let bits = self.b.bitcast(nearest, DType::I32);
        let last = self.with(Opcode::And, bits, 1);
        let even = self.with(Opcode::Eq, last, 0);
        let wrong = self.b.binary(Opcode::And, even, inexact);
        let [up, down] = [1, u32::MAX].map(|step| self.with(Opcode::Add, bits, step));
        let other = self.b.select(outward, up, down);
        let bits = self.b.select(wrong, other, bits);
        self.b.bitcast(bits, DType::F32)
    }

    fn odd_of_f64(&mut self, exact: Value) -> Value {
        let nearest = self.b.cast(exact, DType::F32);
        let back = self.b.cast(nearest, DType::F64);
        let zero = self.b.f64(0.0);
        let below = self.b.binary(Opcode::Lt, back, exact);
        let above = self.b.binary(Opcode::Gt, back, exact);
        let inexact = self.b.binary(Opcode::Or, below, above);
        let positive = self.b.binary(Opcode::Gt, exact, zero);
        let outward = self.b.binary(Opcode::Eq, below, positive);
        self.odd_neighbour(nearest, inexact, outward)
    }

    /// `a * b + c` in f32, rounded to odd, for numbers that are f16: the product is exact.
    fn odd_of_fma(&mut self, a: Value, b: Value, c: Value) -> Value {
        let product = self.b.binary(Opcode::Mul, a, b);
        let sum = self.b.binary(Opcode::Add, product, c);
        // What the sum lost (D. Knuth, The Art of Computer Programming 2, 4.2.2): NaN for what is not
        // finite.
        let back = self.b.binary(Opcode::Sub, sum, product);
        let rest = self.b.binary(Opcode::Sub, sum, back);
        let lost_product = self.b.binary(Opcode::Sub, product, rest);
        let lost_c = self.b.binary(Opcode::Sub, c, back);
        let lost = self.b.binary(Opcode::Add, lost_product, lost_c);
        let zero = self.b.f32(0.0);
        let negative = self.b.binary(Opcode::Lt, lost, zero);
        let positive = self.b.binary(Opcode::Gt, lost, zero);
        let inexact = self.b.binary(Opcode::Or, negative, positive);
        let sum_negative = self.b.binary(Opcode::Lt, sum, zero);
        let outward = self.b.binary(Opcode::Eq, negative, sum_negative);
        self.odd_neighbour(sum, inexact, outward)
    }
}
