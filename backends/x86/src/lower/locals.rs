//! Local arrays: stack memory private to an element.
//!
//! An element of a local array is stored as the copies of a varying value, so lane `n` of every element is lane `n`'s
//! own array. A bool is 0 or 1 in a lane of 32 bits.

use super::{A, Copies, Lower, Val, shape, table};
use crate::encode::{Cc, Op, Width};
use crate::{Addr, Extra, Input, RegClass, StackSlot, VReg};
use kjit_ir::target::BackendError;
use kjit_ir::{DType, LocalRef, Value};

/// Stores that clear a local array are written out up to this many.
const UNROLLED: usize = 32;

/// Where one local array is.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    slot: StackSlot,
    /// Bytes of one element, all lanes of all copies.
    stride: usize,
    /// Bytes in all.
    bytes: usize,
    /// Index of the last element.
    last: u32,
    dtype: DType,
}

/// Which element of a local array.
enum Spot {
    /// Address of the first lane of the first copy.
    One(Addr),
    /// Bytes from the array's start to the lane, in lanes of 32 bits, copy by copy.
    Lanes(Copies),
}

impl Lower<'_> {
    /// Makes room on the stack.
    pub(super) fn open_locals(&mut self) -> Result<(), BackendError> {
        let mut total = 0usize;
        for local in &self.kernel.locals {
            let stride = self.lanes * self.shape.copies * usize::from(table::lane(local.dtype));
            let bytes = stride.saturating_mul(local.len as usize);
            total = total.saturating_add(bytes);
            if total > shape::LOCAL_BYTES {
                return Err(BackendError::Unsupported(format!(
                    "unsupported: the local arrays of {} take more than {} bytes",
                    self.kernel.name,
                    shape::LOCAL_BYTES
                )));
            }
            let slot = self.f.stack(bytes as u32, 64);
            self.locals.push(Frame {
                slot,
                stride,
                bytes,
                last: local.len.saturating_sub(1),
                dtype: local.dtype,
            });
        }
        Ok(())
    }

    /// Zeroes every local array: an element starts.
    pub(super) fn clear_locals(&mut self) {
        for frame in self.locals.clone() {
            let width = self.width(4);
            let zero = self.constant(0, 4);
            let step = width.bytes();
            if frame.bytes / step <= UNROLLED {
                for at in (0..frame.bytes).step_by(step) {
                    let to = Addr::stack(frame.slot, at as i32);
                    self.f
                        .op(Op::VmovupsStore, width, &[to.into(), zero.into()]);
                }
                continue;
            }
            let (again, at) = self.f.block(&[RegClass::Int]);
            let (after, _) = self.f.block(&[]);
            let start = self.int_const(0);
            self.f.jump(again, &[start]);
            self.f.start(again);
            let mut to = Addr::stack(frame.slot, 0);
            to.index = Some(at[0]);
            self.f
                .op(Op::VmovupsStore, width, &[to.into(), zero.into()]);
            let next = self.lea(Addr::base(at[0], step as i32));
            let end = Input::Imm(frame.bytes as i64);
            self.op(Op::CmpImm, Width::Q, &[next.into(), end]);
            self.f.branch(Cc::B, (again, &[next]), (after, &[]));
            self.f.start(after);
        }
    }

    /// The element at an index, which is clamped.
    fn spot(&mut self, frame: Frame, index: Value) -> Spot {
        let last = i64::from(frame.last);
        let stride = frame.stride as i64;
        if !self.kernel.ty(index).varying {
            let mut to = Addr::stack(frame.slot, 0);
            if let Some(known) = self.kernel.as_const(index) {
                let known = (known.as_int() as i64).clamp(0, last);
                to.disp = (known * stride) as i32;
                return Spot::One(to);
            }
            let index = self.int(index);
            let zero = self.int_const(0);
            self.op(Op::Test, Width::Q, &[index.into(), index.into()]);
            let index = self.op(
                Op::Cmovcc,
                Width::Q,
                &[Cc::S.into(), index.into(), zero.into()],
            );
            let last = self.int_const(last);
            self.op(Op::Cmp, Width::Q, &[index.into(), last.into()]);
            let index = self.op(
                Op::Cmovcc,
                Width::Q,
                &[Cc::G.into(), index.into(), last.into()],
            );
            let offset = self.op(Op::ImulImm, Width::Q, &[index.into(), Input::Imm(stride)]);
            to.index = Some(offset);
            return Spot::One(to);
        }
        let bytes = i64::from(Self::lane_bytes(frame.dtype));
        let indices = self.numbers(index);
        let mut spots = Copies::new();
        for copy in 0..self.copies {
            let index = *indices.get(copy).unwrap_or(&indices[0]);
            let index = self.v(Op::Vpmaxsd, 4, &[index.into(), A::C(0, 4)]);
            let index = self.v(Op::Vpminsd, 4, &[index.into(), A::C(last as u64, 4)]);
            let offset = self.v(Op::Vpmulld, 4, &[index.into(), A::C(stride as u64, 4)]);
            let first = (copy * self.lanes) as i64;
            let own = self.lane_values(4, |n| (first + n) * bytes);
            spots.push(self.v(Op::Vpaddd, 4, &[offset.into(), A::M(own)]));
        }
        Spot::Lanes(spots)
    }

    /// The dtype as which an element is stored.
    fn stored(frame: Frame) -> DType {
        match frame.dtype {
            DType::Bool => DType::U8,
            dtype => dtype,
        }
    }

    /// `local.load`. Lanes that are masked off may read anything: elements are there for all.
    pub(super) fn local_load(&mut self, local: LocalRef, index: Value) -> Val {
        let frame = self.locals[local.index()];
        let lane = table::lane(frame.dtype);
        let hop = (self.lanes * usize::from(lane)) as i32;
        let mut regs = Copies::new();
        match self.spot(frame, index) {
            Spot::One(mut at) => {
                for _ in 0..self.copies {
                    regs.push(self.v(Op::Vmovups, lane, &[A::M(at)]));
                    at.disp += hop;
                }
            }
            Spot::Lanes(spots) => {
                for spot in spots {
                    regs.push(self.local_gather(frame, spot));
                }
            }
        }
        if frame.dtype != DType::Bool {
            return Val::Lanes(regs);
        }
        let masks = regs
            .iter()
            .map(|r| self.nonzero((*r).into(), Self::stored(frame)).0);
        Val::Mask(masks.collect(), 4)
    }

    fn local_gather(&mut self, frame: Frame, spot: VReg) -> VReg {
        let lane = table::lane(frame.dtype);
        let mut place = Addr::stack(frame.slot, 0);
        place.index = Some(spot);
        let zero = self.constant(0, lane);
        let mask = self.mask_const(true, lane);
        let op = match (self.masks, lane) {
            (true, 4) => Op::VpgatherddK,
            (true, _) => Op::VpgatherdqK,
            (false, 4) => Op::Vpgatherdd,
            (false, _) => Op::Vpgatherdq,
        };
        match self.masks {
            true => {
                let width = self.width(lane);
                self.v_with(op, width, Extra::masked(mask), &[zero.into(), A::M(place)])
            }
            false => self.v(op, lane, &[zero.into(), A::M(place), mask.into()]),
        }
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
        let lane = table::lane(frame.dtype);
        let hop = (self.lanes * usize::from(lane)) as i32;
        let values: Copies = match frame.dtype {
            DType::Bool => {
                let masks = self.mask(value, 4);
                let numbers = masks.iter();
                numbers
                    .map(|m| self.mask_to_number(*m, DType::U8))
                    .collect()
            }
            _ => self.numbers(value),
        };
        let masks = mask.map(|mask| self.mask(mask, lane));
        let spot = self.spot(frame, index);
        for n in 0..self.copies {
            let value = *values.get(n).unwrap_or(&values[0]);
            let mask = masks.as_ref().map(|m| *m.get(n).unwrap_or(&m[0]));
            match &spot {
                Spot::One(at) => {
                    let mut at = *at;
                    at.disp += n as i32 * hop;
                    self.local_write(lane, at, value, mask);
                }
                Spot::Lanes(spots) => self.local_scatter(frame, spots[n], value, mask),
            }
        }
    }

    fn local_write(&mut self, lane: u8, at: Addr, value: VReg, mask: Option<VReg>) {
        let width = self.width(lane);
        let inputs = [A::M(at), value.into()];
        match mask {
            None => self.v(Op::VmovupsStore, lane, &inputs),
            Some(mask) if self.masks => {
                let op = if lane == 8 {
                    Op::Vmovdqu64Store
                } else {
                    Op::Vmovdqu32Store
                };
                self.v_with(op, width, Extra::masked(mask), &inputs)
            }
            Some(mask) => {
                let op = if lane == 8 {
                    Op::VpmaskmovqStore
                } else {
                    Op::VpmaskmovdStore
                };
                self.v(op, lane, &[A::M(at), mask.into(), value.into()])
            }
        };
    }

    fn local_scatter(&mut self, frame: Frame, spot: VReg, value: VReg, mask: Option<VReg>) {
        let lane = table::lane(frame.dtype);
        let mut place = Addr::stack(frame.slot, 0);
        if self.masks {
            place.index = Some(spot);
            let mask = mask.unwrap_or_else(|| self.all_lanes());
            let op = if lane == 8 {
                Op::VpscatterdqK
            } else {
                Op::VpscatterddK
            };
            let width = self.width(lane);
            self.v_with(op, width, Extra::masked(mask), &[A::M(place), value.into()]);
            return;
        }
        self.spread(1, 0, spot, 4);
        self.spread(2, 0, value, lane);
        let bits = self.active_bits(mask.map(|mask| (mask, lane)));
        let mut from = Addr::stack(self.scratch(2), 0);
        let mut offsets = Addr::stack(self.scratch(1), 0);
        self.each_lane(bits, |this, number| {
            (offsets.index, offsets.scale) = (Some(number), 2);
            let offset = this.op(Op::Mov, Width::D, &[offsets.into()]);
            (from.index, from.scale) = (Some(number), lane.trailing_zeros() as u8);
            let width = if lane == 8 { Width::Q } else { Width::D };
            let value = this.op(Op::Mov, width, &[from.into()]);
            place.index = Some(offset);
            this.op(Op::MovStore, width, &[place.into(), value.into()]);
        });
    }
}
