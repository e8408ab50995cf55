//! Between chunks and single lanes.

use super::{Chunks, Clif, Lower, Val, chunk_type, is_wide, mask_type, scalar_type};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    ConstantData, InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, types,
};
use kjit_ir::target::How;
use kjit_ir::{DType, Opcode, Value};
use smallvec::SmallVec;

impl Lower<'_> {
    /// A number in every lane of a chunk; for bool a mask good for both widths.
    pub(super) fn splat(&mut self, dtype: DType, scalar: Clif) -> Clif {
        let lane = self.lane_form(dtype, scalar);
        self.b.ins().splat(chunk_type(dtype), lane)
    }

    /// A number as it sits in a lane.
    fn lane_form(&mut self, dtype: DType, scalar: Clif) -> Clif {
        match dtype {
            DType::Bool => self.b.ins().bmask(types::I32, scalar),
            DType::I8 | DType::I16 | DType::U8 | DType::U16 => {
                self.extend(scalar, types::I32, dtype.is_signed_int())
            }
            _ => scalar,
        }
    }

    /// One lane of a varying value, as a number.
    pub(super) fn extract(&mut self, dtype: DType, chunks: &Chunks, lane: usize) -> Clif {
        let per = self.lanes / chunks.len();
        let lane_value = self
            .b
            .ins()
            .extractlane(chunks[lane / per], (lane % per) as u8);
        self.number_form(dtype, lane_value)
    }

    /// What sits in a lane, as a number.
    fn number_form(&mut self, dtype: DType, lane: Clif) -> Clif {
        match dtype {
            DType::Bool => {
                let byte = self.extend(lane, types::I8, false);
                let one = self.iconst(types::I8, 1);
                self.b.ins().band(byte, one)
            }
            DType::I8 | DType::I16 | DType::U8 | DType::U16 => {
                self.extend(lane, scalar_type(dtype), false)
            }
            _ => lane,
        }
    }

    /// A varying value from its lanes. Bools make 32-bit masks.
    pub(super) fn build(&mut self, dtype: DType, lanes: &[Clif]) -> Chunks {
        let ty = chunk_type(dtype);
        lanes
            .chunks(ty.lane_count() as usize)
            .map(|group| {
                let first = self.lane_form(dtype, group[0]);
                let mut chunk = self.b.ins().scalar_to_vector(ty, first);
                for (n, scalar) in group.iter().enumerate().skip(1) {
                    let lane = self.lane_form(dtype, *scalar);
                    chunk = self.b.ins().insertlane(chunk, lane, n as u8);
                }
                chunk
            })
            .collect()
    }

    /// An operation done lane by lane.
    pub(super) fn by_lanes(
        &mut self,
        op: Opcode,
        from: DType,
        to: Option<DType>,
        result: DType,
        args: &[Chunks],
    ) -> Chunks {
        self.note(op, from, How::ByLanes);
        let lanes: Vec<Clif> = (0..self.lanes)
            .map(|lane| {
                let scalars: SmallVec<[Clif; 3]> = args
                    .iter()
                    .map(|chunks| self.extract(from, chunks, lane))
                    .collect();
                self.scalar_op(op, from, to, &scalars)
            })
            .collect();
        self.build(result, &lanes)
    }

    /// The chunks of a value that is not a bool; a uniform value is repeated.
    pub(super) fn chunks(&mut self, value: Value) -> Chunks {
        let dtype = self.kernel.ty(value).dtype;
        self.chunks_of(&self.vals[value.index()].clone(), dtype)
    }

    /// As [`Lower::chunks`], for a value that the kernel has no name for.
    pub(super) fn chunks_of(&mut self, val: &Val, dtype: DType) -> Chunks {
        let chunk = match val {
            Val::Chunks(chunks) => return chunks.clone(),
            Val::Splat(_, chunk) => *chunk,
            Val::Scalar(scalar) => self.splat(dtype, *scalar),
            Val::None => panic!("bug in kjit: a value is used before it is lowered"),
        };
        let count = self.lanes / chunk_type(dtype).lane_count() as usize;
        SmallVec::from_elem(chunk, count)
    }

    /// The mask that a bool is, with 64-bit (`wide`) or 32-bit lanes.
    pub(super) fn mask(&mut self, value: Value, wide: bool) -> Chunks {
        let val = self.vals[value.index()].clone();
        self.mask_of(&val, wide)
    }

    /// As [`Lower::mask`], for a value that the kernel has no name for.
    pub(super) fn mask_of(&mut self, val: &Val, wide: bool) -> Chunks {
        let chunk = match val {
            Val::Chunks(chunks) => return self.mask_width(chunks, wide),
            Val::Splat(_, chunk) => *chunk,
            Val::Scalar(scalar) => self.splat(DType::Bool, *scalar),
            Val::None => panic!("bug in kjit: a mask is used before it is lowered"),
        };
        let ty = mask_type(wide);
        let chunk = self.reinterpret(ty, chunk);
        SmallVec::from_elem(chunk, self.lanes / ty.lane_count() as usize)
    }

    /// Is it a mask with 64-bit lanes?
    pub(super) fn is_wide_mask(&self, mask: &Chunks) -> bool {
        mask.len() * 2 == self.lanes
    }

    /// A function of each chunk.
    pub(super) fn map1(
        &mut self,
        a: &Chunks,
        mut f: impl FnMut(&mut super::FunctionBuilder<'_>, Clif) -> Clif,
    ) -> Chunks {
        a.iter().map(|a| f(&mut self.b, *a)).collect()
    }

    /// A function of two chunks each.
    pub(super) fn map2(
        &mut self,
        a: &Chunks,
        c: &Chunks,
        mut f: impl FnMut(&mut super::FunctionBuilder<'_>, Clif, Clif) -> Clif,
    ) -> Chunks {
        a.iter()
            .zip(c)
            .map(|(a, c)| f(&mut self.b, *a, *c))
            .collect()
    }

    /// Is any lane of a mask set? A `bool`.
    pub(super) fn any_of(&mut self, mask: &Chunks) -> Clif {
        let mut all = mask[0];
        for chunk in &mask[1..] {
            all = self.b.ins().bor(all, *chunk);
        }
        self.b.ins().vany_true(all)
    }

    /// `any` of a bool.
    pub(super) fn any(&mut self, value: Value) -> Clif {
        match self.vals[value.index()].clone() {
            Val::Chunks(mask) => self.any_of(&mask),
            _ => self.scalar(value),
        }
    }

    /// `first`: the lowest lane that is set, or 0.
    pub(super) fn first_lane(&mut self, value: Value) -> Clif {
        let mask = self.mask(value, self.wide_masks);
        let per = self.lanes / mask.len();
        let mut bits = None;
        for (n, chunk) in mask.iter().enumerate() {
            let high = self.b.ins().vhigh_bits(types::I32, *chunk);
            let high = self.b.ins().ishl_imm_u(high, (n * per) as i64);
            bits = Some(bits.map_or(high, |bits| self.b.ins().bor(bits, high)));
        }
        // A bit above all lanes stands for none: lane 0, modulo the number of lanes.
        let none = self.iconst(types::I32, 1 << self.lanes);
        let bits = bits.map_or(none, |bits| self.b.ins().bor(bits, none));
        let first = self.b.ins().ctz(bits);
        self.b.ins().band_imm_u(first, self.lanes as i64 - 1)
    }

    /// `extract`: by way of the stack.
    pub(super) fn extract_at(&mut self, value: Value, lane: Value) -> Clif {
        let dtype = self.kernel.ty(value).dtype;
        let chunks = match dtype {
            DType::Bool => self.mask(value, false),
            _ => self.chunks(value),
        };
        let slot = self.b.create_sized_stack_slot(StackSlotData::new(
            StackSlotKind::ExplicitSlot,
            16 * chunks.len() as u32,
            4,
        ));
        for (n, chunk) in chunks.iter().enumerate() {
            self.b
                .ins()
                .stack_store(types::I64, *chunk, slot, 16 * n as i32);
        }
        let lane = self.scalar(lane);
        let lane = self.b.ins().band_imm_u(lane, self.lanes as i64 - 1);
        let lane = self.extend(lane, types::I64, false);
        let lane_type = chunk_type(dtype).lane_type();
        let offset = self.b.ins().imul_imm_u(lane, i64::from(lane_type.bytes()));
        let start = self.b.ins().stack_addr(types::I64, slot, 0);
        let address = self.b.ins().iadd(start, offset);
        let flags = MemFlagsData::trusted();
        let number = self.b.ins().load(lane_type, flags, address, 0);
        self.number_form(dtype, number)
    }

    /// `insert`: a blend under the mask of one lane.
    pub(super) fn insert_at(&mut self, value: Value, lane: Value, number: Value) -> Chunks {
        let dtype = self.kernel.ty(value).dtype;
        let wide = match dtype {
            DType::Bool => self.wide_masks,
            _ => is_wide(dtype),
        };
        let ty = mask_type(wide);
        let number = self.scalar(number);
        let mut number = self.splat(dtype, number);
        let old = match dtype {
            DType::Bool => {
                number = self.reinterpret(ty, number);
                self.mask(value, wide)
            }
            _ => self.chunks(value),
        };
        let lane = self.scalar(lane);
        let lane = self.extend(lane, ty.lane_type(), false);
        let lane = self.b.ins().splat(ty, lane);
        let per = ty.lane_count() as usize;
        let mut new = Chunks::new();
        for (n, old) in old.iter().enumerate() {
            let bytes: Vec<u8> = (n * per..(n + 1) * per)
                .flat_map(|lane| match wide {
                    true => (lane as u64).to_le_bytes().to_vec(),
                    false => (lane as u32).to_le_bytes().to_vec(),
                })
                .collect();
            let data = ConstantData::from(bytes.as_slice());
            let data = self.b.func.dfg.constants.insert(data);
            let lanes = self.b.ins().vconst(ty, data);
            let here = self.b.ins().icmp(IntCC::Equal, lanes, lane);
            let blended = self.blend(here, number, *old);
            new.push(blended);
        }
        new
    }
}
