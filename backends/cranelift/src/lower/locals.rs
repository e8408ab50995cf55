//! Local arrays: stack memory private to an element.
//!
//! In vector form an element of a local array is stored as the chunks of a varying value, so lane `n` of every
//! element is lane `n`'s own array; a varying index picks lane by lane.

use super::{Clif, Lower, Val, carriers, is_wide, scalar_type, shape};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, types};
use kjit_ir::target::BackendError;
use kjit_ir::{DType, LocalRef, Opcode, Type, Value};

/// Stores that clear a local array are written out up to this many.
const UNROLLED: usize = 32;

/// Where one local array is.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    base: Clif,
    /// Bytes of one element, all lanes.
    stride: usize,
    /// Bytes in all, a multiple of 16.
    bytes: usize,
    /// Index of the last element.
    last: u32,
}

impl Lower<'_> {
    /// Makes room on the stack.
    pub(super) fn open_locals(&mut self) -> Result<(), BackendError> {
        let kernel = self.kernel;
        let mut total = 0usize;
        for local in &kernel.locals {
            let ty = Type {
                dtype: local.dtype,
                varying: !self.is_scalar_form(),
            };
            let (count, clif) = carriers(ty, self.lanes, self.wide_masks);
            let stride = count * clif.bytes() as usize;
            let bytes = stride.saturating_mul(local.len as usize).saturating_add(15) & !15;
            total = total.saturating_add(bytes);
            if total > 4 * shape::LOCAL_BYTES {
                return Err(BackendError::Unsupported(format!(
                    "the local arrays of {} take more than {} bytes",
                    kernel.name,
                    4 * shape::LOCAL_BYTES
                )));
            }
            let slot = self.b.create_sized_stack_slot(StackSlotData::new(
                StackSlotKind::ExplicitSlot,
                bytes as u32,
                4,
            ));
            let base = self.b.ins().stack_addr(types::I64, slot, 0);
            self.locals.push(Frame {
                base,
                stride,
                bytes,
                last: local.len.saturating_sub(1),
            });
        }
        Ok(())
    }

    /// Zeroes every local array: an element starts.
    pub(super) fn clear_locals(&mut self) {
        for frame in self.locals.clone() {
            let zero = self.zero_chunk(types::I32X4);
            let flags = MemFlagsData::new().with_notrap();
            if frame.bytes / 16 <= UNROLLED {
                for offset in (0..frame.bytes).step_by(16) {
                    self.b.ins().store(flags, zero, frame.base, offset as i32);
                }
                continue;
            }
            let again = self.b.create_block();
            let after = self.b.create_block();
            let offset = self.b.append_block_param(again, types::I64);
            let start = self.iconst(types::I64, 0);
            self.b.ins().jump(again, &[start.into()]);
            self.b.switch_to_block(again);
            let address = self.b.ins().iadd(frame.base, offset);
            self.b.ins().store(flags, zero, address, 0);
            let step = self.iconst(types::I64, 16);
            let next = self.b.ins().iadd(offset, step);
            let end = self.iconst(types::I64, frame.bytes as u64);
            let more = self.b.ins().icmp(IntCC::UnsignedLessThan, next, end);
            self.b.ins().brif(more, again, &[next.into()], after, &[]);
            self.b.switch_to_block(after);
        }
    }

    /// Address of an element, for one index; the index is clamped.
    fn local_address(&mut self, frame: Frame, index: Clif) -> Clif {
        let last = self.iconst(types::I32, u64::from(frame.last));
        let first = self.iconst(types::I32, 0);
        let index = self.b.ins().smax(index, first);
        let index = self.b.ins().smin(index, last);
        let index = self.b.ins().uextend(types::I64, index);
        let stride = self.iconst(types::I64, frame.stride as u64);
        let offset = self.b.ins().imul(index, stride);
        self.b.ins().iadd(frame.base, offset)
    }

    /// `local.load`.
    pub(super) fn local_load(&mut self, local: LocalRef, index: Value, ty: Type) -> Val {
        let frame = self.locals[local.index()];
        let flags = MemFlagsData::new().with_notrap();
        if self.is_scalar_form() {
            let index = self.scalar(index);
            let address = self.local_address(frame, index);
            return Val::Scalar(self.b.ins().load(scalar_type(ty.dtype), flags, address, 0));
        }
        let varying = Type::varying(ty.dtype);
        let (count, clif) = carriers(varying, self.lanes, self.wide_masks);
        if let Some(index) = self.as_uniform(index) {
            let address = self.local_address(frame, index);
            return Val::Chunks(
                (0..count)
                    .map(|n| self.b.ins().load(clif, flags, address, 16 * n as i32))
                    .collect(),
            );
        }
        let indices = self.chunks(index);
        let lane_bytes = clif.lane_type().bytes() as usize;
        let per = clif.lane_count() as usize;
        let lanes: Vec<Clif> = (0..self.lanes)
            .map(|lane| {
                let index = self.extract(DType::I32, &indices, lane);
                let address = self.local_address(frame, index);
                let offset = (lane * lane_bytes) as i32;
                self.b.ins().load(clif.lane_type(), flags, address, offset)
            })
            .collect();
        Val::Chunks(
            lanes
                .chunks(per)
                .map(|group| {
                    let mut chunk = self.b.ins().scalar_to_vector(clif, group[0]);
                    for (n, lane) in group.iter().enumerate().skip(1) {
                        chunk = self.b.ins().insertlane(chunk, *lane, n as u8);
                    }
                    chunk
                })
                .collect(),
        )
    }

    /// `local.store`.
    pub(super) fn local_store(
        &mut self,
        local: LocalRef,
        index: Value,
        value: Value,
        mask: Option<Value>,
    ) {
        let frame = self.locals[local.index()];
        let dtype = self.kernel.locals[local.index()].dtype;
        let flags = MemFlagsData::new().with_notrap();
        if self.is_scalar_form() {
            let index = self.scalar(index);
            let address = self.local_address(frame, index);
            let value = self.scalar(value);
            self.b.ins().store(flags, value, address, 0);
            return;
        }
        let (_, clif) = carriers(Type::varying(dtype), self.lanes, self.wide_masks);
        let wide = match dtype {
            DType::Bool => self.wide_masks,
            dtype => is_wide(dtype),
        };
        let chunks = match dtype {
            DType::Bool => self.mask(value, wide),
            _ => self.chunks(value),
        };
        let mask = mask.map(|mask| self.mask(mask, wide));
        if let Some(index) = self.as_uniform(index) {
            let address = self.local_address(frame, index);
            for (n, chunk) in chunks.iter().enumerate() {
                let offset = 16 * n as i32;
                let mut chunk = *chunk;
                if let Some(mask) = &mask {
                    let old = self.b.ins().load(clif, flags, address, offset);
                    chunk = self.blend(mask[n], chunk, old);
                }
                self.b.ins().store(flags, chunk, address, offset);
            }
            return;
        }
        let indices = self.chunks(index);
        let per = clif.lane_count() as usize;
        for lane in 0..self.lanes {
            let index = self.extract(DType::I32, &indices, lane);
            let address = self.local_address(frame, index);
            let offset = (lane * clif.lane_type().bytes() as usize) as i32;
            let mut value = self
                .b
                .ins()
                .extractlane(chunks[lane / per], (lane % per) as u8);
            if let Some(mask) = &mask {
                let active = self.extract(DType::Bool, mask, lane);
                let old = self.b.ins().load(clif.lane_type(), flags, address, offset);
                value = self.scalar_op(Opcode::Select, dtype, None, &[active, value, old]);
            }
            self.b.ins().store(flags, value, address, offset);
        }
    }
}
