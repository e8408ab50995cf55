//! Arrays of test calls of kernels: bytes at odd addresses, at any step.

use super::random_scalar;
use crate::abi::KernelStatus;
use crate::eval::same;
use crate::target::CompiledKernel;
use crate::{Access, ArrayMode, DType, Function, Scalar};
use std::sync::atomic::Ordering;

/// An array of a test call: bytes at an odd address, any step.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Its dtype.
    pub dtype: DType,
    /// What holds the elements, and bytes around them.
    pub bytes: Vec<u8>,
    /// Bytes from one element to the next.
    pub step: isize,
    /// Where the first element is.
    pub offset: usize,
}

/// Bytes that no test value consists of.
pub const FILL: u8 = 0xa5;

impl Memory {
    /// Memory for `n` elements of an access class, starting one byte off.
    pub fn new(dtype: DType, access: Access, n: usize) -> Memory {
        let size = dtype.size() as isize;
        let step = match access {
            Access::Contiguous => size,
            Access::Uniform => 0,
            Access::Strided => -(2 * size + 1),
        };
        let span = (step.unsigned_abs() + size as usize) * n + 2;
        let offset = if step < 0 {
            (n.max(1) - 1) * step.unsigned_abs() + 1
        } else {
            1
        };
        Memory {
            dtype,
            bytes: vec![FILL; span],
            step,
            offset,
        }
    }

    /// Memory that holds these values, of one dtype.
    ///
    /// # Panics
    /// If there are none.
    pub fn holding(access: Access, values: &[Scalar]) -> Memory {
        let mut memory = Memory::new(values[0].dtype(), access, values.len());
        for (n, value) in values.iter().enumerate() {
            let (bytes, size) = value.to_ne_bytes();
            let at = memory.at(n);
            memory.bytes[at..at + size].copy_from_slice(&bytes[..size]);
        }
        memory
    }

    /// Where element `n` is.
    pub fn at(&self, n: usize) -> usize {
        (self.offset as isize + n as isize * self.step) as usize
    }

    /// Element `n`.
    pub fn get(&self, n: usize) -> Scalar {
        let at = self.at(n);
        Scalar::from_ne_bytes(self.dtype, &self.bytes[at..at + self.dtype.size()])
    }

    /// The first element.
    pub fn pointer(&mut self) -> *mut u8 {
        self.bytes[self.offset..].as_mut_ptr()
    }

    /// Bytes that belong to no element.
    pub fn padding(&self, n: usize) -> Vec<u8> {
        let mut own = vec![true; self.bytes.len()];
        for k in 0..n {
            let at = self.at(k);
            own[at..at + self.dtype.size()].fill(false);
        }
        let bytes = self.bytes.iter().zip(own);
        bytes.filter(|(_, own)| *own).map(|(b, _)| *b).collect()
    }
}

/// Random arrays of so many elements for a kernel; outputs hold ones.
pub fn random_arrays(next: &mut impl FnMut() -> u32, kernel: &Function, n: usize) -> Vec<Memory> {
    let params = kernel.arrays.iter();
    let arrays = params.map(|param| {
        let one = random_scalar(next, param.dtype);
        let values = (0..n).map(|_| match (param.mode, param.access) {
            (_, Access::Uniform) => one,
            (ArrayMode::Out, _) => Scalar::one(param.dtype),
            _ => random_scalar(next, param.dtype),
        });
        Memory::holding(param.access, &values.collect::<Vec<_>>())
    });
    arrays.collect()
}

/// The first element, or byte beside the elements, in which what a kernel gives differs from what it should; of `n`
/// elements.
pub fn difference(
    kernel: &Function,
    expected: &[Memory],
    got: &[Memory],
    n: usize,
) -> Option<String> {
    for (k, (a, b)) in expected.iter().zip(got).enumerate() {
        if kernel.arrays[k].mode == ArrayMode::Index {
            continue;
        }
        if let Some(e) = (0..n).find(|e| !same(a.get(*e), b.get(*e))) {
            let (a, b) = (a.get(e), b.get(e));
            return Some(format!("a{k}[{e}] of {n} is {b:?}, not {a:?}"));
        }
        if a.padding(n) != b.padding(n) {
            return Some(format!("bytes beside the elements of a{k} changed"));
        }
    }
    None
}

/// Calls a kernel on so many elements; returns the trap reported. Index parameters start at 5.
///
/// # Safety
/// The code is the kernel's, and there is an array for each parameter with so many elements (for a uniform one, one).
pub unsafe fn run(
    code: &dyn CompiledKernel,
    kernel: &Function,
    memory: &mut [Memory],
    n: usize,
) -> u32 {
    let (mut args, mut steps) = (Vec::new(), Vec::new());
    for (param, memory) in kernel.arrays.iter().zip(memory) {
        if param.mode == ArrayMode::Index {
            args.push(5_usize as *mut u8);
            steps.push(match param.access {
                Access::Contiguous => 1,
                Access::Strided => 3,
                Access::Uniform => 0,
            });
        } else {
            args.push(memory.pointer());
            steps.push(memory.step);
        }
    }
    // SAFETY: the caller's promise.
    unsafe { call_raw(code, &args, &steps, n) }
}

/// Calls a kernel; returns the trap reported.
///
/// # Safety
/// As [`CompiledKernel::call`]: the arrays hold `n` elements at the steps given.
pub unsafe fn call_raw(
    kernel: &dyn CompiledKernel,
    args: &[*mut u8],
    steps: &[isize],
    n: usize,
) -> u32 {
    let status = KernelStatus::default();
    let dims = [n as isize];
    // SAFETY: the caller's promise.
    unsafe {
        kernel.call(
            args.as_ptr(),
            dims.as_ptr(),
            steps.as_ptr(),
            (&raw const status).cast(),
        );
    }
    status.trap.load(Ordering::Relaxed)
}
