//! Core dimensions in random kernels: sub-arrays that are read and written at checked indices.

use super::Generator;
use crate::{Access, ArrayMode, ArrayParam, ArrayRef, DType, DimRef, Opcode, Scalar, Type, Value};

impl<R: FnMut() -> u32> Generator<'_, R> {
    /// Two dimensions and some arrays over them, the last two of which are outputs.
    pub(super) fn core_arrays(&mut self) {
        let dims = ["n", "m"].map(|name| self.builder.dim(name));
        let shapes: [&[DimRef]; 4] = [&dims[..1], &dims[1..], &dims, &[dims[0], dims[0]]];
        for n in 0..5 {
            let mode = match n {
                0..=2 => ArrayMode::In,
                3 => ArrayMode::InOut,
                _ => ArrayMode::Out,
            };
            let access = match self.pick(3) {
                0 if mode == ArrayMode::In => Access::Uniform,
                1 => Access::Contiguous,
                _ => Access::Strided,
            };
            let (dtype, shape) = (self.dtype(), shapes[self.pick(4) as usize]);
            let param = ArrayParam::new(format!("c{n}"), dtype, mode, access);
            let array = self.builder.array(param.with_core(shape));
            self.core.push(array);
        }
    }

    /// The extent of a core dimension as an i32, if there is one.
    pub(super) fn core_extent(&mut self) -> Option<Value> {
        let n = self.builder.func.dims.len() as u32;
        if n == 0 {
            return None;
        }
        let dim = DimRef::new(self.pick(n) as usize);
        let extent = self.builder.extent(dim);
        let extent = self.builder.cast(extent, DType::I32);
        self.mark_uniform(extent);
        Some(extent)
    }

    /// Reads or writes an element where the index is in bounds.
    pub(super) fn core_access(&mut self) {
        let at = self.pick(self.core.len() as u32) as usize;
        let array = self.core[at];
        let param = self.builder.func.arrays[array.index()].clone();
        let mut index = Vec::new();
        let mut ok = self.builder.constant(Scalar::bool(true));
        let mut together = true;
        for dim in &param.core {
            let uniform = self.pick(4) != 0;
            together &= uniform;
            let value = match self.pick(5) {
                0 => {
                    let number = self.pick(4) as i128;
                    self.builder.int(DType::I64, number)
                }
                _ => {
                    let value = self.value_of(DType::I32, uniform);
                    self.builder.cast(value, DType::I64)
                }
            };
            let (zero, extent) = (self.builder.int(DType::I64, 0), self.builder.extent(*dim));
            let low = self.builder.binary(Opcode::Ge, value, zero);
            let high = self.builder.binary(Opcode::Lt, value, extent);
            ok = self.builder.binary(Opcode::And, ok, low);
            ok = self.builder.binary(Opcode::And, ok, high);
            index.push(value);
        }
        let reads = match param.mode {
            ArrayMode::In => true,
            ArrayMode::Out => false,
            _ => self.pick(2) == 0,
        };
        if reads {
            self.checked_load(array, &param, &index, ok, together);
        } else {
            let value = self.value(param.dtype);
            self.builder.if_else(
                ok,
                &[],
                |b| {
                    b.core_store(array, &index, value);
                    b.yield_(&[]);
                },
                |b| b.yield_(&[]),
            );
        }
    }

    fn checked_load(
        &mut self,
        array: ArrayRef,
        param: &ArrayParam,
        index: &[Value],
        ok: Value,
        together: bool,
    ) {
        let other = Scalar::one(param.dtype);
        let ty = Type::scalar(param.dtype);
        let results = self.builder.if_else(
            ok,
            &[ty],
            |b| {
                let value = b.core_load(array, index);
                b.yield_(&[value]);
            },
            |b| {
                let other = b.constant(other);
                b.yield_(&[other]);
            },
        );
        if together && param.access == Access::Uniform {
            self.mark_uniform(results[0]);
        }
        self.scope.extend(results);
    }
}
