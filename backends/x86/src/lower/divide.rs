//! Division of integer lanes: through floats where these are exact enough, else by a function.
//!
//! A quotient of integers of up to 32 bits, rounded to the 53 bits of an f64, never rounds up to the next integer, so
//! the truncated quotient is the integer one; so it is with 16 bits and the 24 bits of an f32.

use super::{A, Lower, helpers, table};
use crate::encode::{Op, Width};
use crate::{Extra, VReg};
use kjit_ir::target::How;
use kjit_ir::{DType, Opcode};

impl Lower<'_> {
    /// `div` and `rem`.
    pub(super) fn divide(&mut self, op: Opcode, dtype: DType, a: A, b: A) -> VReg {
        let (x, y) = (self.reg(a), self.reg(b));
        self.note(
            op,
            dtype,
            match (dtype.size(), table::is_small(dtype)) {
                (8, _) => How::Called,
                (_, true) => How::ByFloats(32),
                (_, false) => How::ByFloats(64),
            },
        );
        if dtype.size() == 8 {
            return self.call_lanes(helpers::address(op, dtype, None), dtype, dtype, &[x, y]);
        }
        let small = table::is_small(dtype);
        let quotient = match small {
            true => {
                let [p, q] = [x, y].map(|v| self.v(Op::Vcvtdq2ps, 4, &[v.into()]));
                let quotient = self.v(Op::Vdivps, 4, &[p.into(), q.into()]);
                self.v(Op::Vcvttps2dq, 4, &[quotient.into()])
            }
            false => self.divide_words(dtype, x, y),
        };
        let mut result = quotient;
        if op == Opcode::Rem {
            let back = self.v(Op::Vpmulld, 4, &[quotient.into(), y.into()]);
            result = self.v(Op::Vpsubd, 4, &[x.into(), back.into()]);
        }
        // Only -128 / -1 and the like leave the range.
        let result = match dtype {
            DType::I8 | DType::I16 => self.normalize(result, dtype),
            _ => result,
        };
        if let A::C(bits, _) = b
            && bits != 0
        {
            return result;
        }
        let (some, _) = self.nonzero(y.into(), dtype);
        self.zero_unless(some, result.into(), 4)
    }

    /// Quotients of 32-bit lanes; anything where the divisor is zero, MIN where MIN is divided by -1.
    fn divide_words(&mut self, dtype: DType, x: VReg, y: VReg) -> VReg {
        let unsigned = dtype == DType::U32;
        let [p, q] = [x, y].map(|v| self.words_to_doubles(v, unsigned));
        let quotients: Vec<VReg> = p
            .iter()
            .zip(&q)
            .map(|(p, q)| {
                let width = self.doubles_width();
                let quotient =
                    self.v_with(Op::Vdivpd, width, Extra::NONE, &[(*p).into(), (*q).into()]);
                self.double_to_word(quotient, unsigned)
            })
            .collect();
        self.join_words(&quotients)
    }

    /// The width of vectors of f64 that belong to lanes of 32 bits: all lanes, or half of them.
    fn doubles_width(&self) -> Width {
        match self.lanes * 8 > self.f.target().width.bytes() {
            true => self.width(4),
            false => self.width(8),
        }
    }

    /// 32-bit integers as f64: one vector, or two where that is twice the width.
    fn words_to_doubles(&mut self, v: VReg, unsigned: bool) -> Vec<VReg> {
        let to = self.doubles_width();
        let halves = match self.lanes * 8 > self.f.target().width.bytes() {
            false => vec![v],
            true => vec![v, self.upper(v)],
        };
        halves
            .into_iter()
            .map(|half| match (unsigned, self.masks) {
                (false, _) => self.v_with(Op::Vcvtdq2pd, to, Extra::NONE, &[half.into()]),
                (true, true) => self.v_with(Op::Vcvtudq2pd, to, Extra::NONE, &[half.into()]),
                (true, false) => self.word_to_double(half, to),
            })
            .collect()
    }

    /// u32 as f64 without an instruction: as the low bits of 2^52.
    pub(super) fn word_to_double(&mut self, half: VReg, to: Width) -> VReg {
        let magic = A::C(0x4330_0000_0000_0000, 8);
        let wide = self.v_with(Op::Vpmovzxdq, to, Extra::NONE, &[half.into()]);
        let wide = self.v_with(Op::Vporq, to, Extra::NONE, &[wide.into(), magic]);
        self.v_with(Op::Vsubpd, to, Extra::NONE, &[wide.into(), magic])
    }

    /// Quotients, truncated to 32 bits, in vectors of half the width.
    fn double_to_word(&mut self, quotient: VReg, unsigned: bool) -> VReg {
        let width = self.doubles_width();
        if !unsigned {
            return self.v_with(Op::Vcvttpd2dq, width, Extra::NONE, &[quotient.into()]);
        }
        if self.masks {
            return self.v_with(Op::Vcvttpd2udq, width, Extra::NONE, &[quotient.into()]);
        }
        self.double_to_unsigned(quotient, width)
    }

    /// f64 from 0 up to 2^32, truncated to u32, without an instruction.
    pub(super) fn double_to_unsigned(&mut self, a: VReg, width: Width) -> VReg {
        let whole = self.v_with(Op::Vroundpd, width, Extra::NONE, &[a.into(), A::I(11)]);
        let magic = A::C(0x4330_0000_0000_0000, 8);
        let low = self.v_with(Op::Vaddpd, width, Extra::NONE, &[whole.into(), magic]);
        self.low_words_of(low, width)
    }

    /// One vector of all lanes of 32 bits out of one or two.
    fn join_words(&mut self, parts: &[VReg]) -> VReg {
        match *parts {
            [low, high] => self.join(low, high, self.width(4)),
            _ => parts[0],
        }
    }
}
