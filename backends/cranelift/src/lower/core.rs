//! Core dimensions of gufunc kernels: extents, and access to the sub-array that an element is.
//!
//! An access with uniform indices is one of the element's own array, moved by a number of bytes: side by
//! side lanes stay side by side. Vector form runs it only while some lane is active, so the indices are in
//! bounds for one lane and thus for all. With varying indices lanes go one by one, and the address of a lane
//! that is not active is replaced by that of a place on the stack: there are no branches.

use super::{Clif, Lower, Val, array_flags, shape};
use cranelift_codegen::ir::{
    InstBuilder, MemFlagsData, StackSlot, StackSlotData, StackSlotKind, types,
};
use kjit_ir::analysis::tree::loop_depths;
use kjit_ir::target::How;
use kjit_ir::{ArrayRef, DType, DimRef, Imm, Opcode, Scalar, Type, Value};

/// What core accesses need, loaded once a call.
#[derive(Default)]
pub(super) struct Frame {
    /// Extents of the core dimensions that the kernel asks for.
    extents: Vec<Option<Clif>>,
    /// For each array the steps of its core axes, if it is used.
    steps: Vec<Vec<Clif>>,
    /// In how many loops each value is defined.
    depths: Vec<u32>,
    /// Where accesses of inactive lanes go.
    nowhere: Option<StackSlot>,
}

/// The bytes from an element to a part of its sub-array.
enum Offset {
    /// None.
    Zero,
    /// One number for all lanes.
    Uniform(Clif),
    /// One number a lane.
    Lanes(Vec<Clif>),
}

impl Lower<'_> {
    /// Loads extents and core steps.
    pub(super) fn open_core(&mut self, dims: Clif, steps: Clif) {
        let kernel = self.kernel;
        if kernel.dims.is_empty() {
            return;
        }
        let mut frame = Frame {
            extents: vec![None; kernel.dims.len()],
            steps: vec![Vec::new(); kernel.arrays.len()],
            depths: loop_depths(kernel),
            nowhere: None,
        };
        let mut used = vec![false; kernel.arrays.len()];
        for inst in shape::live_insts(kernel) {
            match kernel.inst(inst).imm {
                Imm::Array(array) => used[array.index()] = true,
                Imm::Dim(dim) if frame.extents[dim.index()].is_none() => {
                    frame.extents[dim.index()] = Some(self.word(dims, 1 + dim.index()));
                }
                _ => {}
            }
        }
        let mut next = kernel.arrays.len();
        for (n, array) in kernel.arrays.iter().enumerate() {
            for axis in 0..array.core.len() {
                if used[n] {
                    let step = self.word(steps, next + axis);
                    frame.steps[n].push(step);
                }
            }
            next += array.core.len();
        }
        self.core = frame;
    }

    /// Number `n` of a list of words that the caller gave.
    fn word(&mut self, from: Clif, n: usize) -> Clif {
        let flags = MemFlagsData::trusted();
        self.b.ins().load(types::I64, flags, from, 8 * n as i32)
    }

    /// `dim`.
    pub(super) fn extent(&self, dim: DimRef) -> Clif {
        match self.core.extents.get(dim.index()) {
            Some(Some(extent)) => *extent,
            _ => panic!("bug in kjit: the extent of {dim} was not loaded"),
        }
    }

    /// `core.load`; `args` are the indices and perhaps a mask.
    pub(super) fn core_load(&mut self, array: ArrayRef, args: &[Value], ty: Type) -> Val {
        let axes = self.kernel.arrays[array.index()].core.len();
        let (index, mask) = (&args[..axes], args.get(axes).copied());
        match self.offset(array, index) {
            Offset::Zero => self.load(array, None, mask, ty),
            Offset::Uniform(offset) => self.load(array, Some(offset), mask, ty),
            Offset::Lanes(offsets) => {
                self.note(Opcode::CoreLoad, ty.dtype, How::ByLanes);
                let addresses = self.masked_addresses(array, &offsets, mask);
                let lanes: Vec<Clif> = addresses
                    .into_iter()
                    .map(|address| self.load_one(ty.dtype, address))
                    .collect();
                let val = Val::Chunks(self.build(ty.dtype, &lanes));
                match mask {
                    Some(mask) => self.zero_inactive(val, mask, ty.dtype),
                    None => val,
                }
            }
        }
    }

    /// `core.store`; `args` are the indices, the value and perhaps a mask.
    pub(super) fn core_store(&mut self, array: ArrayRef, args: &[Value]) {
        let axes = self.kernel.arrays[array.index()].core.len();
        let (index, value, mask) = (&args[..axes], args[axes], args.get(axes + 1).copied());
        match self.offset(array, index) {
            Offset::Zero => self.store(array, None, value, mask),
            Offset::Uniform(offset) => self.store(array, Some(offset), value, mask),
            Offset::Lanes(offsets) => {
                let dtype = self.kernel.arrays[array.index()].dtype;
                let chunks = match dtype {
                    DType::Bool => self.mask(value, self.wide_masks),
                    _ => self.chunks(value),
                };
                self.note(Opcode::CoreStore, dtype, How::ByLanes);
                let addresses = self.masked_addresses(array, &offsets, mask);
                for (lane, address) in addresses.into_iter().enumerate() {
                    let value = self.extract(dtype, &chunks, lane);
                    self.b.ins().store(array_flags(), value, address, 0);
                }
            }
        }
    }

    /// The sum of index times step. What changes least comes first: it can be summed outside of loops.
    fn offset(&mut self, array: ArrayRef, index: &[Value]) -> Offset {
        let kernel = self.kernel;
        let zero = Scalar::int(DType::I64, 0);
        let one = Scalar::int(DType::I64, 1);
        let mut axes: Vec<usize> = (0..index.len())
            .filter(|axis| kernel.as_const(index[*axis]) != Some(zero))
            .collect();
        axes.sort_by_key(|axis| self.core.depths[index[*axis].index()]);
        let mut sum: Option<Clif> = None;
        let mut varying = Vec::new();
        for axis in axes {
            let step = self.core.steps[array.index()][axis];
            let part = match self.as_uniform(index[axis]) {
                Some(_) if kernel.as_const(index[axis]) == Some(one) => step,
                Some(index) => self.b.ins().imul(index, step),
                None => {
                    varying.push((self.chunks(index[axis]), step));
                    continue;
                }
            };
            sum = Some(match sum {
                Some(sum) => self.b.ins().iadd(sum, part),
                None => part,
            });
        }
        if varying.is_empty() {
            return sum.map_or(Offset::Zero, Offset::Uniform);
        }
        let mut lanes = Vec::with_capacity(self.lanes);
        for lane in 0..self.lanes {
            let mut offset = sum;
            for (chunks, step) in &varying {
                let index = self.extract(DType::I64, chunks, lane);
                let part = self.b.ins().imul(index, *step);
                offset = Some(match offset {
                    Some(offset) => self.b.ins().iadd(offset, part),
                    None => part,
                });
            }
            lanes.extend(offset);
        }
        Offset::Lanes(lanes)
    }

    /// The address of each lane; of inactive lanes, one that nobody reads.
    fn masked_addresses(
        &mut self,
        array: ArrayRef,
        offsets: &[Clif],
        mask: Option<Value>,
    ) -> Vec<Clif> {
        let mask = mask.map(|mask| self.mask(mask, self.wide_masks));
        let elements = self.lane_addresses(array, None);
        let addresses = elements.into_iter().zip(offsets).enumerate();
        addresses
            .map(|(lane, (element, offset))| {
                let address = self.b.ins().iadd(element, *offset);
                let Some(mask) = &mask else {
                    return address;
                };
                let active = self.extract(DType::Bool, mask, lane);
                let nowhere = self.nowhere();
                self.b.ins().select(active, address, nowhere)
            })
            .collect()
    }

    /// Room on the stack for an element that no lane has.
    fn nowhere(&mut self) -> Clif {
        // The address is computed anew where it is used: that costs nothing, and is in reach everywhere.
        let slot = match self.core.nowhere {
            Some(slot) => slot,
            None => self.b.create_sized_stack_slot(StackSlotData::new(
                StackSlotKind::ExplicitSlot,
                16,
                4,
            )),
        };
        self.core.nowhere = Some(slot);
        self.b.ins().stack_addr(types::I64, slot, 0)
    }
}
