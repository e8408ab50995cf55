//! The short way to run small work on simple operands.
//!
//! Planning a loop nest takes longer than a thousand additions. Where every operand is contiguous, of the
//! output's shape or of one element, and has the kernel's dtype, there is nothing to plan.

use crate::array::Storage;
use crate::cache::Kernel;
use crate::nest::Few;
use crate::stats::SharedStats;
use crate::{Array, Result};
use kjit_driver::CpuCode;
use kjit_ir::abi::KernelStatus;
use kjit_ir::{Access, ArrayMode, DType};

/// Runs a kernel that cannot fail over whole vectors of elements. `None` when something is not as simple as
/// that; then nothing has happened.
pub(crate) fn run(
    kernel: &Kernel,
    inputs: &[Array],
    out: &mut Array,
    stats: &SharedStats,
) -> Option<Result<()>> {
    let arrays = &kernel.function.arrays;
    if !kernel.function.traps.is_empty() || !out.is_contiguous() {
        return None;
    }
    let size = out.size();
    let mut access: Few<Access> = Few::new();
    let mut args: Few<*mut u8> = Few::new();
    let mut steps: Few<isize> = Few::new();
    let mut given = inputs.iter();
    let mut bytes_read = 0;
    for param in arrays {
        let (class, arg, step) = match param.mode {
            ArrayMode::In => {
                let (class, arg, step) = input(given.next()?, param.dtype, out.shape())?;
                let elements = if step == 0 { 1 } else { size };
                bytes_read += elements * param.dtype.size();
                (class, arg, step)
            }
            ArrayMode::Out if param.dtype == out.dtype() => {
                let offset = out.offset();
                let arg = out.unique_mut()?.as_mut_ptr().wrapping_add(offset);
                let step = param.dtype.size();
                (Access::Contiguous, aligned(arg, step)?, step as isize)
            }
            ArrayMode::Index => (Access::Contiguous, std::ptr::null_mut(), 1),
            ArrayMode::Out | ArrayMode::InOut => return None,
        };
        access.push(class);
        args.push(arg);
        steps.push(step);
    }
    let code = match kernel.code(&access, CpuCode::Vector, stats) {
        Ok(code) => code,
        Err(error) => return Some(Err(error)),
    };
    if size == 0 || !size.is_multiple_of(code.lanes().max(1)) {
        return None;
    }
    let status = KernelStatus::default();
    let dims = size as isize;
    let data = std::ptr::from_ref(&status).cast::<u8>();
    // SAFETY: arrays lie inside their storage, so every contiguous one has `size` elements at its argument
    // and every uniform one has one; the output is the only handle of its memory, so it overlaps no input;
    // `size` is a multiple of the lanes.
    let call = || unsafe { code.call(args.as_ptr(), &dims, steps.as_ptr(), data) };
    // How long loops take is a guess: such a call may not be small.
    let exact = kernel.has_loops;
    stats.small_call(exact, bytes_read, size * out.dtype().size(), call);
    Some(Ok(()))
}

/// How the kernel gets at an input.
fn input(array: &Array, dtype: DType, shape: &[usize]) -> Option<(Access, *mut u8, isize)> {
    let Storage::Host(buffer) = array.storage() else {
        return None;
    };
    let arg = buffer.as_ptr().wrapping_add(array.offset()).cast_mut();
    if array.dtype() != dtype {
        return None;
    }
    let arg = aligned(arg, dtype.size())?;
    // As for a loop nest: one element is not uniform where the output has but one.
    if array.shape() == shape && array.is_contiguous() {
        Some((Access::Contiguous, arg, dtype.size() as isize))
    } else if array.ndim() <= shape.len() && array.shape().iter().all(|n| *n == 1) {
        Some((Access::Uniform, arg, 0))
    } else {
        None
    }
}

fn aligned(ptr: *mut u8, size: usize) -> Option<*mut u8> {
    ptr.addr().is_multiple_of(size).then_some(ptr)
}
