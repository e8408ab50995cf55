//! Changes of representation: mask widths, lane widths, value conversions, reinterpretation.

use super::scalar::int_range;
use super::{Chunks, Clif, Lower, chunk_type, is_wide, mask_type};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    ConstantData, Endianness, InstBuilder, MemFlagsData, Type as ClifType, types,
};
use kjit_ir::dtype::Kind;
use kjit_ir::{DType, Opcode, Scalar};

impl Lower<'_> {
    /// The same 128 bits as another vector type.
    pub(super) fn reinterpret(&mut self, ty: ClifType, chunk: Clif) -> Clif {
        let from = self.b.func.dfg.value_type(chunk);
        if from == ty {
            return chunk;
        }
        let mut flags = MemFlagsData::new();
        if from.lane_count() != ty.lane_count() {
            flags = flags.with_endianness(Endianness::Little);
        }
        self.b.ins().bitcast(ty, flags, chunk)
    }

    /// A shuffle of the bytes of two chunks: `select[n]` is the 32-bit lane that lane `n` of the
    /// result takes, 4 and up from `b`.
    pub(super) fn shuffle32(&mut self, a: Clif, b: Clif, select: [u8; 4]) -> Clif {
        let ty = self.b.func.dfg.value_type(a);
        let a = self.reinterpret(types::I8X16, a);
        let b = self.reinterpret(types::I8X16, b);
        // One immediate for each pattern: Cranelift takes shuffles by different ones for different.
        let known = self.shuffles.iter().find(|(known, _)| *known == select);
        let mask = known.map(|(_, mask)| *mask).unwrap_or_else(|| {
            let bytes = select.map(|lane| [0, 1, 2, 3].map(|byte| lane * 4 + byte));
            let bytes = ConstantData::from(bytes.as_flattened());
            let mask = self.b.func.dfg.immediates.push(bytes);
            self.shuffles.push((select, mask));
            mask
        });
        let shuffled = self.b.ins().shuffle(a, b, mask);
        self.reinterpret(ty, shuffled)
    }

    /// The upper 64 bits in both halves.
    pub(super) fn upper_half(&mut self, a: Clif) -> Clif {
        self.shuffle32(a, a, [2, 3, 2, 3])
    }

    /// The lower halves of two chunks.
    pub(super) fn lower_halves(&mut self, a: Clif, b: Clif) -> Clif {
        self.shuffle32(a, b, [0, 1, 4, 5])
    }

    /// A mask at the width asked for.
    pub(super) fn mask_width(&mut self, mask: &Chunks, wide: bool) -> Chunks {
        if self.is_wide_mask(mask) == wide {
            mask.clone()
        } else if wide {
            mask.iter()
                .flat_map(|chunk| {
                    [
                        self.shuffle32(*chunk, *chunk, [0, 0, 1, 1]),
                        self.shuffle32(*chunk, *chunk, [2, 2, 3, 3]),
                    ]
                })
                .map(|chunk| (chunk, types::I64X2))
                .collect::<Vec<_>>()
                .into_iter()
                .map(|(chunk, ty)| self.reinterpret(ty, chunk))
                .collect()
        } else {
            self.low_words(mask)
        }
    }

    /// The low 32 bits of 64-bit lanes.
    pub(super) fn low_words(&mut self, wide: &Chunks) -> Chunks {
        wide.chunks(2)
            .map(|pair| {
                let words = self.shuffle32(pair[0], pair[1], [0, 2, 4, 6]);
                self.reinterpret(types::I32X4, words)
            })
            .collect()
    }

    /// 32-bit integer lanes as 64-bit lanes.
    fn widen(&mut self, narrow: &Chunks, signed: bool) -> Chunks {
        let mut wide = Chunks::new();
        for chunk in narrow {
            if signed {
                wide.push(self.b.ins().swiden_low(*chunk));
                wide.push(self.b.ins().swiden_high(*chunk));
            } else {
                wide.push(self.b.ins().uwiden_low(*chunk));
                wide.push(self.b.ins().uwiden_high(*chunk));
            }
        }
        wide
    }

    /// Brings results of 8- and 16-bit arithmetic, computed in 32 bits, back into range.
    pub(super) fn normalize(&mut self, dtype: DType, chunks: Chunks) -> Chunks {
        if dtype.size() > 2 {
            return chunks;
        }
        if dtype.is_signed_int() {
            let up = self.iconst(types::I32, u64::from(32 - dtype.bits()));
            self.map1(&chunks, |b, x| {
                let top = b.ins().ishl(x, up);
                b.ins().sshr(top, up)
            })
        } else {
            let bits = self.iconst(types::I32, (1 << dtype.bits()) - 1);
            let bits = self.b.ins().splat(types::I32X4, bits);
            self.map1(&chunks, |b, x| b.ins().band(x, bits))
        }
    }

    /// A mask as numbers: `one` where it is set, zero elsewhere.
    fn mask_to_number(&mut self, mask: &Chunks, to: DType) -> Chunks {
        let mask = self.mask_width(mask, is_wide(to));
        let bits = Scalar::one(to).bits() as u64;
        let (lane, ty) = if is_wide(to) {
            (types::I64, types::I64X2)
        } else {
            (types::I32, types::I32X4)
        };
        let one = self.iconst(lane, bits);
        let one = self.b.ins().splat(ty, one);
        mask.iter()
            .map(|chunk| {
                let number = self.b.ins().band(*chunk, one);
                self.reinterpret(chunk_type(to), number)
            })
            .collect()
    }

    /// Nonzero lanes as a mask.
    pub(super) fn nonzero(&mut self, chunks: &Chunks, dtype: DType) -> Chunks {
        let zero = self.constant(Scalar::zero(dtype));
        let zero = self.splat(dtype, zero);
        if dtype.is_float() {
            return self.map1(chunks, |b, x| b.ins().fcmp(FloatCC::NotEqual, x, zero));
        }
        if is_wide(dtype) && !self.machine.wide_compare {
            let zeros = chunks.iter().map(|_| zero).collect();
            return self.by_lanes(
                Opcode::Ne,
                dtype,
                None,
                DType::Bool,
                &[chunks.clone(), zeros],
            );
        }
        self.map1(chunks, |b, x| b.ins().icmp(IntCC::NotEqual, x, zero))
    }

    /// Value conversion of a varying value.
    pub(super) fn vector_cast(&mut self, a: &Chunks, from: DType, to: DType) -> Chunks {
        match (from.kind(), to.kind()) {
            (Kind::Bool, Kind::Bool) => a.clone(),
            (Kind::Bool, _) => self.mask_to_number(a, to),
            (_, Kind::Bool) => self.nonzero(a, from),
            (Kind::Float, Kind::Float) => self.float_to_float(a, from, to),
            (Kind::Float, _) => self.floats_to_ints(a, from, to),
            (_, Kind::Float) => self.ints_to_floats(a, from, to),
            _ => self.int_to_int(a, from, to),
        }
    }

    fn int_to_int(&mut self, a: &Chunks, from: DType, to: DType) -> Chunks {
        match (is_wide(from), is_wide(to)) {
            (false, true) => self.widen(a, from.is_signed_int()),
            (true, true) => a.clone(),
            (true, false) => {
                let words = self.low_words(a);
                self.normalize(to, words)
            }
            (false, false) => {
                let (low, high) = int_range(to);
                let (from_low, from_high) = int_range(from);
                if to.size() == 4 || (low <= from_low && from_high <= high) {
                    a.clone()
                } else {
                    self.normalize(to, a.clone())
                }
            }
        }
    }

    fn float_to_float(&mut self, a: &Chunks, from: DType, to: DType) -> Chunks {
        match (from, to) {
            (DType::F32, DType::F64) => {
                let mut wide = Chunks::new();
                for chunk in a {
                    wide.push(self.b.ins().fvpromote_low(*chunk));
                    let upper = self.upper_half(*chunk);
                    wide.push(self.b.ins().fvpromote_low(upper));
                }
                wide
            }
            (DType::F64, DType::F32) => a
                .chunks(2)
                .map(|pair| {
                    let low = self.b.ins().fvdemote(pair[0]);
                    let high = self.b.ins().fvdemote(pair[1]);
                    self.lower_halves(low, high)
                })
                .collect(),
            _ => a.clone(),
        }
    }

    fn ints_to_floats(&mut self, a: &Chunks, from: DType, to: DType) -> Chunks {
        // Eight- and sixteen-bit lanes are i32 in range, whatever their sign.
        let signed = from != DType::U32 && from != DType::U64;
        match (is_wide(from), to) {
            (false, DType::F32) if signed => {
                self.map1(a, |b, x| b.ins().fcvt_from_sint(types::F32X4, x))
            }
            (false, DType::F32) => self.map1(a, |b, x| b.ins().fcvt_from_uint(types::F32X4, x)),
            (false, _) => {
                let mut wide = Chunks::new();
                for chunk in a {
                    let upper = self.upper_half(*chunk);
                    for half in [*chunk, upper] {
                        wide.push(self.half_to_f64(half, signed));
                    }
                }
                wide
            }
            (true, DType::F64) if signed => {
                self.map1(a, |b, x| b.ins().fcvt_from_sint(types::F64X2, x))
            }
            (true, DType::F64) => self.map1(a, |b, x| b.ins().fcvt_from_uint(types::F64X2, x)),
            (true, _) => self.by_lanes(Opcode::Cast, from, Some(to), to, std::slice::from_ref(a)),
        }
    }

    /// The two low i32 or u32 lanes as f64.
    pub(super) fn half_to_f64(&mut self, half: Clif, signed: bool) -> Clif {
        if signed {
            let wide = self.b.ins().swiden_low(half);
            self.b.ins().fcvt_from_sint(types::F64X2, wide)
        } else {
            let wide = self.b.ins().uwiden_low(half);
            self.b.ins().fcvt_from_uint(types::F64X2, wide)
        }
    }

    fn floats_to_ints(&mut self, a: &Chunks, from: DType, to: DType) -> Chunks {
        if is_wide(to) || (to == DType::U32 && from == DType::F64 && !self.machine.rounding) {
            return self.by_lanes(Opcode::Cast, from, Some(to), to, std::slice::from_ref(a));
        }
        let ints: Chunks = match (from, to) {
            (DType::F32, DType::U32) => {
                self.map1(a, |b, x| b.ins().fcvt_to_uint_sat(types::I32X4, x))
            }
            (DType::F32, _) => self.map1(a, |b, x| b.ins().fcvt_to_sint_sat(types::I32X4, x)),
            (_, to) => a
                .chunks(2)
                .map(|pair| {
                    let low = self.f64_to_int(pair[0], to == DType::U32);
                    let high = self.f64_to_int(pair[1], to == DType::U32);
                    self.lower_halves(low, high)
                })
                .collect(),
        };
        if to.size() == 4 {
            return ints;
        }
        let (low, high) = int_range(to);
        let mut bound = |value: i64| {
            let value = self.iconst(types::I32, value as u64);
            self.b.ins().splat(types::I32X4, value)
        };
        let (low, high) = (bound(low), bound(high));
        ints.iter()
            .map(|chunk| {
                let chunk = self.int_min_max(Opcode::Max, DType::I32, *chunk, low);
                self.int_min_max(Opcode::Min, DType::I32, chunk, high)
            })
            .collect()
    }

    /// Two f64 lanes as saturated 32-bit integers in the low half.
    pub(super) fn f64_to_int(&mut self, a: Clif, unsigned: bool) -> Clif {
        let zero = self.zero_chunk(types::I64X2);
        if unsigned {
            let wide = self.b.ins().fcvt_to_uint_sat(types::I64X2, a);
            self.b.ins().uunarrow(wide, zero)
        } else {
            let wide = self.b.ins().fcvt_to_sint_sat(types::I64X2, a);
            self.b.ins().snarrow(wide, zero)
        }
    }

    /// The zero vector as a constant, which Cranelift's patterns for narrowing look for.
    pub(super) fn zero_chunk(&mut self, ty: ClifType) -> Clif {
        let zero = self
            .b
            .func
            .dfg
            .constants
            .insert(ConstantData::from([0u8; 16].as_slice()));
        self.b.ins().vconst(ty, zero)
    }

    /// Reinterpretation of a varying value.
    pub(super) fn vector_bitcast(&mut self, a: &Chunks, from: DType, to: DType) -> Chunks {
        if from == to {
            return a.clone();
        }
        if to.size() <= 2 {
            return self.normalize(to, a.clone());
        }
        a.iter()
            .map(|chunk| self.reinterpret(chunk_type(to), *chunk))
            .collect()
    }

    /// Lanes of `a` where the mask is set, else of `c`.
    pub(super) fn blend(&mut self, mask: Clif, a: Clif, c: Clif) -> Clif {
        use cranelift_codegen::ir::Opcode as ClifOp;
        let ty = self.b.func.dfg.value_type(a);
        let made_by = self
            .b
            .func
            .dfg
            .value_def(mask)
            .inst()
            .map(|inst| self.b.func.dfg.insts[inst].opcode());
        if made_by == Some(ClifOp::Fcmp) && ty.lane_type().is_float() {
            // This form becomes `minps` and the like where it can, else one blend.
            let mask = self.reinterpret(ty, mask);
            return self.b.ins().bitselect(mask, a, c);
        }
        let lanes = mask_type(ty.lane_bits() == 64);
        let a = self.reinterpret(lanes, a);
        let c = self.reinterpret(lanes, c);
        let compared = matches!(made_by, Some(ClifOp::Fcmp | ClifOp::Icmp));
        let chosen = if self.machine.blend && !compared {
            self.b.ins().blendv(mask, a, c)
        } else {
            self.b.ins().bitselect(mask, a, c)
        };
        self.reinterpret(ty, chosen)
    }
}
