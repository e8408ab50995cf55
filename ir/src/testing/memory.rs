//! Arrays of test calls of kernels: bytes at odd addresses, at any step.

use crate::abi::KernelStatus;
use crate::target::CompiledKernel;
use crate::{Access, DType, Scalar};
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
