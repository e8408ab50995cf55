//! The array parameters of a kernel call: where their elements are.

use kjit_ir::{ArrayMode, DType, Function, Scalar};

/// What the interpreter keeps of the array parameters of a kernel.
#[derive(Clone, Debug)]
pub(crate) struct Params {
    arrays: Vec<Param>,
    dims: usize,
}

#[derive(Clone, Debug)]
struct Param {
    name: String,
    dtype: DType,
    index: bool,
    /// Indices of the core axes' dimensions.
    core: Vec<usize>,
    /// Loops of the body were made loop dimensions: an index counts from where these have moved the
    /// array to, so it cannot be compared with the extent.
    moved: bool,
}

/// The arguments of one call.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub arrays: Vec<ArrayArg>,
    /// Extents of the core dimensions.
    pub extents: Vec<i64>,
}

/// One array parameter of a kernel call.
#[derive(Clone, Debug)]
pub(crate) struct ArrayArg {
    name: String,
    /// First element; for an index array the first index.
    base: *mut u8,
    /// Bytes (or index growth) per element.
    step: isize,
    dtype: DType,
    index: bool,
    core: Vec<CoreAxis>,
}

/// A core axis of an argument.
#[derive(Clone, Copy, Debug)]
struct CoreAxis {
    step: isize,
    /// What indices are checked against.
    extent: Option<i64>,
}

impl Params {
    pub fn new(kernel: &Function) -> Params {
        let arrays = kernel.arrays.iter().map(|param| Param {
            name: param.name.clone(),
            dtype: param.dtype,
            index: param.mode == ArrayMode::Index,
            core: param.core.iter().map(|dim| dim.index()).collect(),
            moved: param.along.iter().any(|steps| !steps.is_empty()),
        });
        Params {
            arrays: arrays.collect(),
            dims: kernel.dims.len(),
        }
    }

    /// The arguments of a call.
    ///
    /// # Safety
    /// `args`, `dims` and `steps` are what [`kjit_ir::abi`] says.
    pub unsafe fn args(
        &self,
        args: *const *mut u8,
        dims: *const isize,
        steps: *const isize,
    ) -> Args {
        // SAFETY: the extents stand behind the number of elements.
        let extents = (0..self.dims).map(|d| unsafe { *dims.add(1 + d) } as i64);
        let extents: Vec<i64> = extents.collect();
        let mut next_core = self.arrays.len();
        let arrays = self.arrays.iter().enumerate().map(|(n, param)| {
            let core = param.core.iter().map(|dim| {
                // SAFETY: the core steps stand behind the steps, in this order.
                let step = unsafe { *steps.add(next_core) };
                next_core += 1;
                let extent = (!param.moved).then(|| extents[*dim]);
                CoreAxis { step, extent }
            });
            let core = core.collect();
            ArrayArg {
                name: param.name.clone(),
                // SAFETY: there is an item for each array.
                base: unsafe { *args.add(n) },
                // SAFETY: as above.
                step: unsafe { *steps.add(n) },
                dtype: param.dtype,
                index: param.index,
                core,
            }
        });
        let arrays = arrays.collect();
        Args { arrays, extents }
    }
}

impl ArrayArg {
    /// The address of element number `element`, at these indices of its core axes.
    ///
    /// # Panics
    /// If an index is out of bounds: the front end promises that none is.
    pub fn address(&self, element: isize, index: &[i64]) -> *mut u8 {
        let mut offset = self.step.wrapping_mul(element);
        for (n, (index, axis)) in index.iter().zip(&self.core).enumerate() {
            if let Some(extent) = axis.extent {
                assert!(
                    (0..extent).contains(index),
                    "bug in kjit: index {index} of core axis {n} of `{}` is not below its extent {extent}",
                    self.name
                );
            }
            offset = offset.wrapping_add(axis.step.wrapping_mul(*index as isize));
        }
        self.base.wrapping_offset(offset)
    }

    /// Element number `element`, or its index.
    ///
    /// # Safety
    /// The element may be read (unless this is an index array).
    pub unsafe fn read(&self, element: isize) -> Scalar {
        if self.index {
            return self.element_index(element);
        }
        // SAFETY: the caller's promise.
        unsafe { self.read_at(self.address(element, &[])) }
    }

    /// What an index array says of an element.
    fn element_index(&self, element: isize) -> Scalar {
        let index = (self.base as isize).wrapping_add(self.step.wrapping_mul(element));
        Scalar::int(DType::I64, index as i128)
    }

    /// The element at an address.
    ///
    /// # Safety
    /// It may be read.
    pub unsafe fn read_at(&self, address: *const u8) -> Scalar {
        let size = self.dtype.size();
        let mut bytes = [0u8; 16];
        // SAFETY: the caller says that these `size` bytes may be read; the copy needs no alignment.
        unsafe {
            std::ptr::copy_nonoverlapping(address, bytes.as_mut_ptr(), size);
        }
        self.scalar(&bytes[..size])
    }

    /// The element that these bytes are.
    pub fn scalar(&self, bytes: &[u8]) -> Scalar {
        let scalar = Scalar::from_ne_bytes(self.dtype, bytes);
        match self.dtype {
            // Any byte but 0 is true; inside, true is 1.
            DType::Bool => Scalar::bool(scalar.as_bool()),
            _ => scalar,
        }
    }

    /// Writes the element at an address.
    ///
    /// # Safety
    /// It may be written.
    pub unsafe fn write_at(&self, address: *mut u8, value: Scalar) {
        let (bytes, size) = value.to_ne_bytes();
        // SAFETY: the caller says that these `size` bytes may be written; the copy needs no alignment.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), address, size);
        }
    }

    /// Is it no memory, but the element's index?
    pub fn is_index(&self) -> bool {
        self.index
    }
}
