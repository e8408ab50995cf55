//! Array parameters: addresses, loads and stores by access class, and the element's index.

use super::{Chunks, Clif, Lower, Val, array_flags, chunk_type, is_wide, scalar_type};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, ConstantData, InstBuilder, MemFlagsData, types};
use kjit_ir::target::How;
use kjit_ir::{Access, ArrayRef, DType, Imm, Opcode, Type, Value};

/// How one array parameter is reached.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    access: Access,
    /// Address of the first element (for an index parameter, the first index).
    base: Clif,
    /// Bytes between elements, and between iterations, when not known.
    step: Option<(Clif, Clif)>,
    /// Address of this iteration's first element, when the loop carries it.
    cursor: Option<Clif>,
    used: bool,
}

impl Frame {
    pub(super) fn is_uniform(&self) -> bool {
        self.access == Access::Uniform
    }

    fn is_carried(&self) -> bool {
        self.used && self.access == Access::Strided
    }
}

impl Lower<'_> {
    /// Loads pointers and steps.
    pub(super) fn open_arrays(&mut self, args: Clif, steps: Clif) {
        let kernel = self.kernel;
        let mut used = vec![false; kernel.arrays.len()];
        for inst in super::shape::live_insts(kernel) {
            if let Imm::Array(array) = kernel.inst(inst).imm {
                used[array.index()] = true;
            }
        }
        for (n, array) in kernel.arrays.iter().enumerate() {
            let offset = (n * 8) as i32;
            let word = |this: &mut Self, from| {
                this.b
                    .ins()
                    .load(types::I64, MemFlagsData::trusted(), from, offset)
            };
            let mut frame = Frame {
                access: array.access,
                base: args,
                step: None,
                cursor: None,
                used: used[n],
            };
            if frame.used {
                frame.base = word(self, args);
            }
            if frame.is_carried() {
                let step = word(self, steps);
                let lanes = self.iconst(types::I64, self.lanes as u64);
                let all = self.b.ins().imul(step, lanes);
                frame.step = Some((step, all));
            }
            self.arrays.push(frame);
        }
    }

    /// First values of what the element loop carries for strided arrays.
    pub(super) fn cursors(&self) -> impl Iterator<Item = Clif> {
        self.arrays
            .iter()
            .filter(|frame| frame.is_carried())
            .map(|frame| frame.base)
    }

    /// Parameters of the element loop for strided arrays.
    pub(super) fn open_cursors(&mut self, body: ir::Block) {
        for frame in &mut self.arrays {
            if frame.is_carried() {
                frame.cursor = Some(self.b.append_block_param(body, types::I64));
            }
        }
    }

    /// Next values of what the element loop carries.
    pub(super) fn advance_cursors(&mut self) -> Vec<Clif> {
        let frames = self.arrays.clone();
        frames
            .iter()
            .filter_map(|frame| Some((frame.cursor?, frame.step?.1)))
            .map(|(cursor, all)| self.b.ins().iadd(cursor, all))
            .collect()
    }

    /// Address of the first element of this iteration, moved by `offset` bytes.
    fn address(&mut self, array: ArrayRef, offset: Option<Clif>) -> Clif {
        let frame = self.arrays[array.index()];
        let address = match (frame.access, frame.cursor) {
            (Access::Strided, Some(cursor)) => cursor,
            (Access::Contiguous, _) => {
                let size = self.kernel.arrays[array.index()].dtype.size();
                let shift = self.iconst(types::I64, u64::from(size.trailing_zeros()));
                let offset = self.b.ins().ishl(self.index, shift);
                self.b.ins().iadd(frame.base, offset)
            }
            _ => frame.base,
        };
        match offset {
            Some(offset) => self.b.ins().iadd(address, offset),
            None => address,
        }
    }

    /// `index`.
    pub(super) fn element_index(&mut self, array: ArrayRef, ty: Type) -> Val {
        let frame = self.arrays[array.index()];
        let first = match (frame.access, frame.cursor) {
            (Access::Strided, Some(cursor)) => cursor,
            (Access::Contiguous, _) => self.b.ins().iadd(frame.base, self.index),
            _ => frame.base,
        };
        if !ty.varying {
            return Val::Scalar(first);
        }
        if frame.access == Access::Uniform {
            let chunk = self.splat(DType::I64, first);
            return Val::Splat(first, chunk);
        }
        let first = self.b.ins().splat(types::I64X2, first);
        let count = self.lanes / 2;
        Val::Chunks(
            (0..count)
                .map(|n| {
                    let offsets = match frame.step {
                        Some((step, _)) => {
                            let lanes = [2 * n, 2 * n + 1].map(|lane| {
                                let lane = self.iconst(types::I64, lane as u64);
                                self.b.ins().imul(step, lane)
                            });
                            let low = self.b.ins().scalar_to_vector(types::I64X2, lanes[0]);
                            self.b.ins().insertlane(low, lanes[1], 1)
                        }
                        None => {
                            let lanes = [2 * n as u64, 2 * n as u64 + 1];
                            let bytes: Vec<u8> =
                                lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect();
                            let data = ConstantData::from(bytes.as_slice());
                            let data = self.b.func.dfg.constants.insert(data);
                            self.b.ins().vconst(types::I64X2, data)
                        }
                    };
                    self.b.ins().iadd(first, offsets)
                })
                .collect(),
        )
    }

    /// `load`, or `core.load` at a uniform offset.
    pub(super) fn load(
        &mut self,
        array: ArrayRef,
        offset: Option<Clif>,
        mask: Option<Value>,
        ty: Type,
    ) -> Val {
        let address = self.address(array, offset);
        let access = self.arrays[array.index()].access;
        let val = if !ty.varying {
            Val::Scalar(self.load_one(ty.dtype, address))
        } else if access == Access::Uniform {
            let scalar = self.load_one(ty.dtype, address);
            Val::Splat(scalar, self.splat(ty.dtype, scalar))
        } else if access == Access::Contiguous {
            Val::Chunks(self.load_contiguous(ty.dtype, address))
        } else {
            self.note(Opcode::Load, ty.dtype, How::Apart);
            let lanes: Vec<Clif> = self
                .lane_addresses(array, offset)
                .into_iter()
                .map(|address| self.load_one(ty.dtype, address))
                .collect();
            Val::Chunks(self.build(ty.dtype, &lanes))
        };
        match mask {
            Some(mask) if ty.varying => self.zero_inactive(val, mask, ty.dtype),
            _ => val,
        }
    }

    /// Zero in the lanes where the mask is not set.
    pub(super) fn zero_inactive(&mut self, val: Val, mask: Value, dtype: DType) -> Val {
        let wide = match dtype {
            DType::Bool => self.wide_masks,
            dtype => is_wide(dtype),
        };
        let mask = self.mask(mask, wide);
        let chunks = match dtype {
            DType::Bool => self.mask_of(&val, wide),
            dtype => self.chunks_of(&val, dtype),
        };
        let zeroed = chunks
            .iter()
            .zip(&mask)
            .map(|(chunk, mask)| {
                let ty = self.b.func.dfg.value_type(*chunk);
                let mask = self.reinterpret(ty, *mask);
                self.b.ins().band(*chunk, mask)
            })
            .collect();
        Val::Chunks(zeroed)
    }

    /// One element.
    pub(super) fn load_one(&mut self, dtype: DType, address: Clif) -> Clif {
        let value = self
            .b
            .ins()
            .load(scalar_type(dtype), array_flags(), address, 0);
        if dtype != DType::Bool {
            return value;
        }
        let zero = self.iconst(types::I8, 0);
        self.b.ins().icmp(IntCC::NotEqual, value, zero)
    }

    /// The addresses of an iteration's elements, moved by `offset` bytes.
    pub(super) fn lane_addresses(&mut self, array: ArrayRef, offset: Option<Clif>) -> Vec<Clif> {
        let mut address = self.address(array, offset);
        let frame = self.arrays[array.index()];
        let step = match (frame.access, frame.step) {
            (Access::Contiguous, _) => {
                let size = self.kernel.arrays[array.index()].dtype.size();
                Some(self.iconst(types::I64, size as u64))
            }
            (_, step) => step.map(|(step, _)| step),
        };
        let mut addresses = vec![address];
        while addresses.len() < self.lanes {
            if let Some(step) = step {
                address = self.b.ins().iadd(address, step);
            }
            addresses.push(address);
        }
        addresses
    }

    /// An iteration's elements that lie side by side.
    fn load_contiguous(&mut self, dtype: DType, address: Clif) -> Chunks {
        let ty = chunk_type(dtype);
        let count = self.lanes / ty.lane_count() as usize;
        match dtype.size() {
            4 | 8 => (0..count)
                .map(|n| {
                    let offset = 16 * n as i32;
                    self.load_chunk(ty, address, offset)
                })
                .collect(),
            2 => (0..count)
                .map(|n| {
                    let offset = 8 * n as i32;
                    if dtype.is_signed_int() {
                        self.b.ins().sload16x4(array_flags(), address, offset)
                    } else {
                        self.b.ins().uload16x4(array_flags(), address, offset)
                    }
                })
                .collect(),
            _ => {
                let words = self.widen_bytes(dtype, address);
                if dtype == DType::Bool {
                    self.nonzero(&words, DType::U8)
                } else {
                    words
                }
            }
        }
    }

    /// 16 bytes of any alignment.
    fn load_chunk(&mut self, ty: ir::Type, address: Clif, offset: i32) -> Clif {
        if self.machine.unaligned_operands {
            return self.b.ins().load(ty, array_flags(), address, offset);
        }
        // Without AVX an operand in memory must be aligned, but Cranelift makes any load the operand
        // of a float compare. It does not look through the change of type.
        let other = if ty == types::I32X4 {
            types::F32X4
        } else {
            types::I32X4
        };
        let chunk = self.b.ins().load(other, array_flags(), address, offset);
        self.reinterpret(ty, chunk)
    }

    /// One byte a lane, as 32-bit lanes.
    fn widen_bytes(&mut self, dtype: DType, address: Clif) -> Chunks {
        let signed = dtype.is_signed_int();
        let (ty, vector) = match self.lanes {
            4 => (types::I32, types::I32X4),
            8 => (types::I64, types::I64X2),
            _ => (types::I8X16, types::I8X16),
        };
        let raw = self.b.ins().load(ty, array_flags(), address, 0);
        let raw = if ty == vector {
            raw
        } else {
            self.b.ins().scalar_to_vector(vector, raw)
        };
        let bytes = self.reinterpret(types::I8X16, raw);
        let widen = |this: &mut Self, chunk: Clif, high: bool| match (signed, high) {
            (true, false) => this.b.ins().swiden_low(chunk),
            (true, true) => this.b.ins().swiden_high(chunk),
            (false, false) => this.b.ins().uwiden_low(chunk),
            (false, true) => this.b.ins().uwiden_high(chunk),
        };
        let mut words = Chunks::new();
        for n in 0..self.lanes / 4 {
            let halves = widen(self, bytes, n >= 2);
            words.push(widen(self, halves, n % 2 == 1));
        }
        words
    }

    /// `store`, or `core.store` at a uniform offset.
    pub(super) fn store(
        &mut self,
        array: ArrayRef,
        offset: Option<Clif>,
        value: Value,
        mask: Option<Value>,
    ) {
        let dtype = self.kernel.arrays[array.index()].dtype;
        if self.is_scalar_form() {
            let address = self.address(array, offset);
            let value = self.scalar(value);
            self.b.ins().store(array_flags(), value, address, 0);
            return;
        }
        let chunks = match dtype {
            DType::Bool => self.mask(value, self.wide_masks),
            _ => self.chunks(value),
        };
        if self.arrays[array.index()].access != Access::Contiguous {
            self.note(Opcode::Store, dtype, How::Apart);
            let addresses = self.lane_addresses(array, offset);
            self.store_lanes(&addresses, dtype, &chunks, mask);
            return;
        }
        let address = self.address(array, offset);
        let chunks = match mask {
            None => chunks,
            Some(mask) => {
                let wide = match dtype {
                    DType::Bool => self.wide_masks,
                    dtype => is_wide(dtype),
                };
                let mask = self.mask(mask, wide);
                let old = self.load_contiguous(dtype, address);
                let old = match dtype {
                    DType::Bool => self.mask_width(&old, wide),
                    _ => old,
                };
                (0..chunks.len())
                    .map(|n| self.blend(mask[n], chunks[n], old[n]))
                    .collect()
            }
        };
        self.store_contiguous(dtype, &chunks, address);
    }

    /// Element by element; with a mask, the old element goes where it is not set.
    fn store_lanes(
        &mut self,
        addresses: &[Clif],
        dtype: DType,
        chunks: &Chunks,
        mask: Option<Value>,
    ) {
        let mask = mask.map(|mask| self.mask(mask, self.wide_masks));
        for (lane, address) in addresses.iter().copied().enumerate() {
            let mut value = self.extract(dtype, chunks, lane);
            if let Some(mask) = &mask {
                let active = self.extract(DType::Bool, mask, lane);
                let old = self.load_one(dtype, address);
                value = self.scalar_op(Opcode::Select, dtype, None, &[active, value, old]);
            }
            self.b.ins().store(array_flags(), value, address, 0);
        }
    }

    /// An iteration's elements side by side.
    fn store_contiguous(&mut self, dtype: DType, chunks: &Chunks, address: Clif) {
        if dtype.size() >= 4 {
            for (n, chunk) in chunks.iter().enumerate() {
                self.b
                    .ins()
                    .store(array_flags(), *chunk, address, 16 * n as i32);
            }
            return;
        }
        let words = match dtype {
            DType::Bool => self.mask_width(chunks, false),
            _ => chunks.clone(),
        };
        let halves: Chunks = words
            .chunks(2)
            .map(|pair| {
                let second = *pair.last().unwrap_or(&pair[0]);
                if dtype == DType::U16 {
                    self.b.ins().unarrow(pair[0], second)
                } else {
                    self.b.ins().snarrow(pair[0], second)
                }
            })
            .collect();
        let packed: Chunks = if dtype.size() == 2 {
            halves
        } else {
            halves
                .chunks(2)
                .map(|pair| {
                    let second = *pair.last().unwrap_or(&pair[0]);
                    let bytes = if dtype == DType::U8 {
                        self.b.ins().unarrow(pair[0], second)
                    } else {
                        self.b.ins().snarrow(pair[0], second)
                    };
                    if dtype == DType::Bool {
                        let one = self.iconst(types::I8, 1);
                        let one = self.b.ins().splat(types::I8X16, one);
                        self.b.ins().band(bytes, one)
                    } else {
                        bytes
                    }
                })
                .collect()
        };
        for (n, chunk) in packed.iter().enumerate() {
            let left = self.lanes * dtype.size() - 16 * n;
            let value = match left {
                4 => {
                    let words = self.reinterpret(types::I32X4, *chunk);
                    self.b.ins().extractlane(words, 0)
                }
                8 => {
                    let words = self.reinterpret(types::I64X2, *chunk);
                    self.b.ins().extractlane(words, 0)
                }
                _ => *chunk,
            };
            self.b
                .ins()
                .store(array_flags(), value, address, 16 * n as i32);
        }
    }
}
