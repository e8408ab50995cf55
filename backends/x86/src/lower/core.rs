//! Core dimensions of gufunc kernels: extents, and access to the sub-array that an element is.
//!
//! An access with uniform indices is one of the element's own array, moved by a number of bytes: side by side lanes
//! stay side by side. Vector form runs it only while some lane is active, so the indices are in bounds for one lane and
//! thus for all. With varying indices lanes have offsets of their own, and those that are not active are masked.

use super::{Copies, Lower, Val};
use crate::encode::{Op, Width};
use crate::{Addr, VReg};
use kjit_ir::analysis::tree::loop_depths;
use kjit_ir::analysis::tree::walk;
use kjit_ir::{ArrayRef, DType, DimRef, Imm, Opcode, Scalar, Type, Value, ValueDef};

/// What core accesses need, loaded once a call.
#[derive(Default)]
pub(super) struct Frame {
    /// Extents of the core dimensions that the kernel asks for.
    extents: Vec<Option<VReg>>,
    /// For each array the steps of its core axes, if it is used.
    steps: Vec<Vec<VReg>>,
    /// In how many loops each value is defined.
    depths: Vec<u32>,
}

/// The bytes from an element to a part of its sub-array.
pub(super) enum Offset {
    /// None.
    Zero,
    /// One number for all lanes.
    Uniform(VReg),
    /// One number for all lanes, and one a lane.
    Lanes(Option<VReg>, Copies),
}

impl Lower<'_> {
    /// Loads extents and core steps.
    pub(super) fn open_core(&mut self, dims: VReg, steps: VReg) {
        let kernel = self.kernel;
        if kernel.dims.is_empty() {
            return;
        }
        let mut used = vec![false; kernel.arrays.len()];
        let mut asked = vec![false; kernel.dims.len()];
        walk(kernel, &mut |_, inst| match kernel.inst(inst).imm {
            Imm::Array(array) => used[array.index()] = true,
            Imm::Dim(dim) => asked[dim.index()] = true,
            _ => {}
        });
        let extents = asked.iter().enumerate();
        self.core.extents = extents
            .map(|(n, asked)| asked.then(|| self.word(dims, 1 + n)))
            .collect();
        let mut next = kernel.arrays.len();
        for (n, array) in kernel.arrays.iter().enumerate() {
            let mut own = Vec::new();
            for axis in 0..array.core.len() {
                if used[n] {
                    own.push(self.word(steps, next + axis));
                }
            }
            self.core.steps.push(own);
            next += array.core.len();
        }
        self.core.depths = loop_depths(kernel);
    }

    /// `dim`.
    pub(super) fn extent(&mut self, dim: DimRef) -> VReg {
        match self.core.extents.get(dim.index()) {
            Some(Some(extent)) => *extent,
            _ => {
                self.refuse("an extent that was not loaded");
                self.status
            }
        }
    }

    /// `core.load`; `args` are the indices and perhaps a mask.
    pub(super) fn core_load(&mut self, array: ArrayRef, args: &[Value], ty: Type) -> Val {
        let axes = self.kernel.arrays[array.index()].core.len();
        let offset = self.offset(array, &args[..axes]);
        self.load(array, offset, args.get(axes).copied(), ty, false)
    }

    /// `core.store`; `args` are the indices, the value and perhaps a mask.
    pub(super) fn core_store(&mut self, array: ArrayRef, args: &[Value]) {
        let axes = self.kernel.arrays[array.index()].core.len();
        let offset = self.offset(array, &args[..axes]);
        self.store(array, offset, args[axes], args.get(axes + 1).copied());
    }

    /// The uniform value behind a value, if that is what it is.
    fn uniform(&self, value: Value) -> Option<Value> {
        if !self.kernel.ty(value).varying {
            return Some(value);
        }
        match self.kernel.def(value) {
            ValueDef::Result(inst, _) if self.kernel.inst(inst).op == Opcode::Splat => {
                Some(self.kernel.inst(inst).args[0])
            }
            _ => None,
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
        let mut sum: Option<VReg> = None;
        let mut lanes: Option<Copies> = None;
        for axis in axes {
            let step = self.core.steps[array.index()][axis];
            let Some(uniform) = self.uniform(index[axis]) else {
                let all = self.splat_int(step, 8);
                let index = self.numbers(index[axis]);
                let own = index.iter().map(|i| self.mul_words(*i, all));
                let own: Copies = own.collect();
                lanes = Some(match lanes {
                    Some(before) => self.add_lists(&before, &own),
                    None => own,
                });
                continue;
            };
            let part = match kernel.as_const(uniform) == Some(one) {
                true => step,
                false => {
                    let index = self.int(uniform);
                    self.op(Op::Imul, Width::Q, &[index.into(), step.into()])
                }
            };
            sum = Some(match sum {
                Some(sum) => self.lea(Addr::indexed(sum, part, 0, 0)),
                None => part,
            });
        }
        match (sum, lanes) {
            (sum, Some(lanes)) => Offset::Lanes(sum, lanes),
            (Some(sum), None) => Offset::Uniform(sum),
            (None, None) => Offset::Zero,
        }
    }

    /// Sums of 64-bit lanes.
    fn add_lists(&mut self, a: &Copies, b: &Copies) -> Copies {
        let count = a.len().max(b.len());
        let pick = |list: &Copies, n: usize| *list.get(n).unwrap_or(&list[0]);
        (0..count)
            .map(|n| {
                let (a, b) = (pick(a, n), pick(b, n));
                self.v(Op::Vpaddq, 8, &[a.into(), b.into()])
            })
            .collect()
    }
}
