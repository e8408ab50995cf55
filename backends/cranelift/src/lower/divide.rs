//! Division of 32-bit (and narrower) integer lanes, through f64.
//!
//! A quotient of two 32-bit integers, rounded to 53 bits, never rounds up to the next integer, so
//! truncation of the f64 quotient is the integer quotient.

use super::{Chunks, Clif, Lower};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, types};
use kjit_ir::target::How;
use kjit_ir::{DType, Opcode};

impl Lower<'_> {
    /// `div` or `rem` of chunks whose lanes fit 32 bits; the caller normalises narrow lanes.
    pub(super) fn divide32(&mut self, op: Opcode, dtype: DType, a: &Chunks, c: &Chunks) -> Chunks {
        self.note(op, dtype, How::ByFloats(64));
        let zero = self.zero_chunk(types::I32X4);
        let signed = dtype != DType::U32;
        a.iter()
            .zip(c)
            .map(|(&x, &y)| {
                let low = self.divide_half(x, y, signed);
                let (x_high, y_high) = (self.upper_half(x), self.upper_half(y));
                let high = self.divide_half(x_high, y_high, signed);
                let mut value = self.lower_halves(low, high);
                if dtype == DType::I32 {
                    // MIN / -1 has saturated; it must wrap.
                    let minus_one = self.iconst(types::I32, u64::MAX);
                    let minus_one = self.b.ins().splat(types::I32X4, minus_one);
                    let wraps = self.b.ins().icmp(IntCC::Equal, y, minus_one);
                    let negated = self.b.ins().ineg(x);
                    value = self.blend(wraps, negated, value);
                }
                if op == Opcode::Rem {
                    let back = self.b.ins().imul(value, y);
                    value = self.b.ins().isub(x, back);
                }
                let by_zero = self.b.ins().icmp(IntCC::Equal, y, zero);
                self.b.ins().band_not(value, by_zero)
            })
            .collect()
    }

    /// Quotients of the two low lanes, in the low half.
    fn divide_half(&mut self, x: Clif, y: Clif, signed: bool) -> Clif {
        let x = self.half_to_f64(x, signed);
        let y = self.half_to_f64(y, signed);
        let quotient = self.b.ins().fdiv(x, y);
        self.f64_to_int(quotient, !signed)
    }
}
