//! Arrays of test calls of gufunc kernels: sub-arrays of any layout.

use super::memory::FILL;
use super::random_scalar;
use crate::abi::KernelStatus;
use crate::eval::same;
use crate::target::CompiledKernel;
use crate::{Access, ArrayMode, ArrayParam, DType, Function, Scalar};
use std::sync::atomic::Ordering;

/// The memory of an array parameter: sub-arrays, one an element.
#[derive(Clone, Debug)]
pub struct SubArrays {
    bytes: Vec<u8>,
    /// Of the first element of the first sub-array.
    offset: isize,
    step: isize,
    core_steps: Vec<isize>,
    dtype: DType,
    elements: usize,
    /// Where each element of each sub-array starts.
    places: Vec<usize>,
}

impl SubArrays {
    /// A layout that fits the access class, in which all elements have their own place.
    pub fn new(
        param: &ArrayParam,
        extents: &[usize],
        elements: usize,
        next: &mut impl FnMut() -> u32,
    ) -> SubArrays {
        let size = param.dtype.size() as isize;
        // The loop axis is number 0; the order of axes is that of steps, smallest first.
        let mut axes: Vec<usize> = (1..=extents.len()).collect();
        if next().is_multiple_of(2) {
            axes.reverse();
        }
        match param.access {
            Access::Contiguous => axes.insert(0, 0),
            Access::Strided => axes.insert(next() as usize % (axes.len() + 1), 0),
            Access::Uniform => {}
        }
        let mut steps = vec![0; extents.len() + 1];
        let (mut step, mut offset) = (size, 1);
        for axis in axes {
            let extent = if axis == 0 {
                elements
            } else {
                extents[axis - 1]
            }
            .max(1) as isize;
            if param.access != Access::Contiguous || axis != 0 {
                step += (next() % 3) as isize;
            }
            steps[axis] = step;
            if (axis != 0 || param.access == Access::Strided) && next().is_multiple_of(4) {
                steps[axis] = -step;
                offset += step * (extent - 1);
            }
            step *= extent;
        }
        let mut sub = SubArrays {
            bytes: vec![FILL; (step + size) as usize + 2],
            offset,
            step: steps[0],
            core_steps: steps[1..].to_vec(),
            dtype: param.dtype,
            elements,
            places: Vec::new(),
        };
        sub.places = sub.find_places(extents, elements);
        for place in sub.places.clone() {
            let value = match param.mode {
                ArrayMode::Out => Scalar::one(param.dtype),
                _ => random_scalar(next, param.dtype),
            };
            let (image, size) = value.to_ne_bytes();
            sub.bytes[place..place + size].copy_from_slice(&image[..size]);
        }
        sub
    }

    /// Where each element of each sub-array is.
    fn find_places(&self, extents: &[usize], elements: usize) -> Vec<usize> {
        let mut places: Vec<isize> = (0..elements as isize)
            .map(|n| self.offset + n * self.step)
            .collect();
        for (extent, step) in extents.iter().zip(&self.core_steps) {
            let inner = places
                .iter()
                .flat_map(|place| (0..*extent as isize).map(move |n| place + n * step));
            places = inner.collect();
        }
        places.into_iter().map(|place| place as usize).collect()
    }

    /// The elements of all sub-arrays.
    pub fn values(&self) -> Vec<Scalar> {
        let size = self.dtype.size();
        let places = self.places.iter();
        places
            .map(|p| Scalar::from_ne_bytes(self.dtype, &self.bytes[*p..p + size]))
            .collect()
    }

    /// The bytes, zero where they belong to an element.
    pub fn padding(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for place in &self.places {
            bytes[*place..place + self.dtype.size()].fill(0);
        }
        bytes
    }
}

/// The first array in which what a kernel gives differs from what it should.
pub fn difference(kernel: &Function, expected: &[SubArrays], got: &[SubArrays]) -> Option<String> {
    for (k, (a, b)) in expected.iter().zip(got).enumerate() {
        if kernel.arrays[k].mode == ArrayMode::Index {
            continue;
        }
        let (values, found) = (a.values(), b.values());
        if !values.iter().zip(&found).all(|(a, b)| same(*a, *b)) {
            return Some(format!("a{k} is {found:?}, not {values:?}"));
        }
        if a.padding() != b.padding() {
            return Some(format!("bytes beside the elements of a{k} changed"));
        }
    }
    None
}

/// Runs a kernel on a copy of its arrays; says whether a check failed. Index parameters start at 5.
///
/// # Safety
/// The code is the kernel's, and the arrays were made for its parameters.
pub unsafe fn run(
    code: &dyn CompiledKernel,
    kernel: &Function,
    arrays: &[SubArrays],
    extents: &[usize],
) -> (Vec<SubArrays>, bool) {
    let mut arrays = arrays.to_vec();
    let (mut args, mut steps) = (Vec::new(), Vec::new());
    for (param, array) in kernel.arrays.iter().zip(&mut arrays) {
        if param.mode == ArrayMode::Index {
            args.push(5usize as *mut u8);
            steps.push(match param.access {
                Access::Contiguous => 1,
                Access::Strided => 3,
                Access::Uniform => 0,
            });
        } else {
            args.push(array.bytes[array.offset as usize..].as_mut_ptr());
            steps.push(array.step);
        }
    }
    steps.extend(arrays.iter().flat_map(|array| array.core_steps.iter()));
    let elements = arrays.first().map_or(0, |array| array.elements);
    let dims: Vec<isize> = [elements]
        .iter()
        .chain(extents)
        .map(|e| *e as isize)
        .collect();
    let status = KernelStatus::default();
    // SAFETY: the arrays hold so many elements of these extents, and the caller's promise.
    unsafe {
        code.call(
            args.as_ptr(),
            dims.as_ptr(),
            steps.as_ptr(),
            (&raw const status).cast(),
        );
    }
    (arrays, status.trap.load(Ordering::Relaxed) != 0)
}
