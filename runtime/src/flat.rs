//! The short way to run small work on simple operands.
//!
//! Planning a loop nest takes longer than a thousand additions. Where every operand has the kernel's dtype and is
//! of one element, or of the output's shape with one step from each element to the next, there is nothing to
//! plan.

use crate::array::Storage;
use crate::cache::Kernel;
use crate::dtype::cast::copy_block;
use crate::launch::Input;
use crate::nest::Few;
use crate::stats::SharedStats;
use crate::{Array, Result};
use kjit_driver::CpuCode;
use kjit_ir::abi::KernelStatus;
use kjit_ir::target::CompiledKernel;
use kjit_ir::{Access, ArrayMode, ArrayParam, Part};
use std::mem::MaybeUninit;

/// Room for the elements that do not fill a vector.
const TAIL_BYTES: usize = 4096;

/// Memory on the stack, aligned as arrays are.
#[repr(align(64))]
struct Tail([MaybeUninit<u8>; TAIL_BYTES]);

/// Runs a kernel that cannot fail. `None` when something is not as simple as that; then nothing has
/// happened.
pub(crate) fn run<'a>(
    kernel: &Kernel,
    code: CpuCode,
    mut inputs: impl Iterator<Item = Input<'a>>,
    out: &mut Array,
    stats: &SharedStats,
) -> Option<Result<()>> {
    let arrays = &kernel.function.arrays;
    if !kernel.function.traps.is_empty() {
        return None;
    }
    let size = out.size();
    let target = {
        let offset = out.offset();
        out.unique_mut()?.as_mut_ptr().wrapping_add(offset)
    };
    let out = &*out;
    let out_step = single_step(out).filter(|step| *step != 0)?;
    let out_operand = |target: *mut u8, param: &ArrayParam| {
        let width = param.dtype.size();
        if param.dtype != out.dtype() {
            return None;
        }
        Some((access(out_step, width)?, aligned(target, width)?, out_step))
    };
    let mut access: Few<Access> = Few::new();
    let mut args: Few<*mut u8> = Few::new();
    let mut steps: Few<isize> = Few::new();
    let mut bytes_read = 0;
    let mut has_index = false;
    let mut outputs = 0;
    for param in arrays {
        let width = param.dtype.size();
        if param.part != Part::Whole {
            return None;
        }
        let (class, arg, step) = match param.mode {
            ArrayMode::In => {
                let (class, arg, step) = match inputs.next()? {
                    Input::Array(array) => input(array, param, out.shape())?,
                    Input::Out(_) => out_operand(target, param)?,
                };
                let elements = if step == 0 { 1 } else { size };
                bytes_read += elements * width;
                (class, arg, step)
            }
            ArrayMode::Out if outputs == 0 => {
                outputs += 1;
                out_operand(target, param)?
            }
            ArrayMode::Index => {
                has_index = true;
                (Access::Contiguous, std::ptr::null_mut(), 1)
            }
            ArrayMode::Out | ArrayMode::InOut => return None,
        };
        access.push(class);
        args.push(arg);
        steps.push(step);
    }
    let code = match kernel.code(&access, code, stats) {
        Ok(code) => code,
        Err(error) => return Some(Err(error)),
    };
    let lanes = code.lanes().max(1);
    let rest = size % lanes;
    let room: usize = arrays
        .iter()
        .map(|a| (a.dtype.size() * lanes).next_multiple_of(64))
        .sum();
    // Padding has positions past the end, for which a loop of the kernel may never end.
    let no_padding = has_index && kernel.has_loops || room > TAIL_BYTES;
    if size == 0 || rest > 0 && no_padding {
        return None;
    }
    let call = || {
        if size > rest {
            // SAFETY: arrays lie inside their storage, so every contiguous one has `size` elements at its
            // argument and every uniform one has one; the output is the only handle of its memory, so it
            // overlaps no input but itself, element upon same element; the number is a multiple of the lanes.
            unsafe { call(code, &args, size - rest, &steps) };
        }
        if rest > 0 {
            // SAFETY: as above; the tail has room for a vector of every parameter.
            unsafe { run_tail(code, kernel, &args, &steps, size - rest, rest, lanes) };
        }
    };
    // How long loops take is a guess: such a call may not be small.
    let exact = kernel.has_loops;
    stats.small_call(exact, bytes_read, size * out.dtype().size(), call);
    Some(Ok(()))
}

/// Runs the last `rest` elements, fewer than a vector, on padded copies.
///
/// # Safety
/// Every parameter must have `done + rest` elements (or one, if its step is 0) at its argument; the vectors
/// of all must fit into the tail.
unsafe fn run_tail(
    code: &dyn CompiledKernel,
    kernel: &Kernel,
    args: &[*mut u8],
    steps: &[isize],
    done: usize,
    rest: usize,
    lanes: usize,
) {
    let mut tail = Tail([MaybeUninit::uninit(); TAIL_BYTES]);
    let base = tail.0.as_mut_ptr().cast::<u8>();
    let mut padded: Few<*mut u8> = Few::new();
    // Code for strided parameters takes any step.
    let mut padded_steps: Few<isize> = Few::new();
    let mut room = 0;
    for ((param, arg), step) in kernel.function.arrays.iter().zip(args).zip(steps) {
        let size = param.dtype.size();
        if param.mode == ArrayMode::Index {
            padded.push(arg.wrapping_add(done));
            padded_steps.push(*step);
            continue;
        }
        if *step == 0 {
            padded.push(*arg);
            padded_steps.push(0);
            continue;
        }
        padded_steps.push(size as isize);
        let place = base.wrapping_add(room);
        room += (size * lanes).next_multiple_of(64);
        if param.mode == ArrayMode::In {
            let source = arg.wrapping_offset(done as isize * step);
            // SAFETY: `rest` elements at `source`, and room for `lanes` at `place`.
            unsafe {
                if !kernel.has_loops {
                    // Any number will do.
                    std::ptr::write_bytes(place.add(rest * size), 0, (lanes - rest) * size);
                } else {
                    // A loop that ends for the elements must end for the padding.
                    let last = source.wrapping_offset((rest - 1) as isize * step);
                    for lane in rest..lanes {
                        std::ptr::copy_nonoverlapping(last, place.add(lane * size), size);
                    }
                }
                copy_block(size, (source, *step), (place, size as isize), rest);
            }
        }
        padded.push(place);
    }
    // SAFETY: every parameter has a whole vector at `padded`.
    unsafe { call(code, &padded, lanes, &padded_steps) };
    let arrays = kernel.function.arrays.iter();
    for (((param, arg), step), place) in arrays.zip(args).zip(steps).zip(&padded) {
        if param.mode == ArrayMode::Out {
            let size = param.dtype.size();
            let to = arg.wrapping_offset(done as isize * step);
            // SAFETY: `rest` valid elements belong behind the first `done`.
            unsafe { copy_block(size, (place.cast_const(), size as isize), (to, *step), rest) };
        }
    }
}

/// Calls code of a kernel without run-time checks.
///
/// # Safety
/// As [`CompiledKernel::call`].
unsafe fn call(code: &dyn CompiledKernel, args: &[*mut u8], n: usize, steps: &[isize]) {
    let status = KernelStatus::default();
    let dims = n as isize;
    let data = std::ptr::from_ref(&status).cast::<u8>();
    // SAFETY: the caller's promise.
    unsafe { code.call(args.as_ptr(), &dims, steps.as_ptr(), data) };
}

/// How the kernel gets at an input.
fn input(array: &Array, param: &ArrayParam, shape: &[usize]) -> Option<(Access, *mut u8, isize)> {
    let Storage::Host(buffer) = array.storage() else {
        return None;
    };
    let arg = buffer.as_ptr().wrapping_add(array.offset()).cast_mut();
    let dtype = param.dtype;
    if array.dtype() != dtype {
        return None;
    }
    let arg = aligned(arg, dtype.size())?;
    // As for a loop nest: one element is not uniform where the output has but one.
    if array.shape() == shape {
        let step = single_step(array)?;
        Some((access(step, dtype.size())?, arg, step))
    } else if array.ndim() <= shape.len() && array.shape().iter().all(|n| *n == 1) {
        Some((Access::Uniform, arg, 0))
    } else {
        None
    }
}

/// Bytes from each element to the next in C order, if that is one number.
fn single_step(array: &Array) -> Option<isize> {
    let mut axes = array.shape().iter().zip(array.strides()).rev();
    // An axis of one element has any stride.
    let step = match axes.find(|(n, _)| **n != 1) {
        None => return Some(array.dtype().size() as isize),
        Some((n, stride)) => {
            let mut next = stride.checked_mul(*n as isize)?;
            for (n, stride) in axes.filter(|(n, _)| **n != 1) {
                if *stride != next {
                    return None;
                }
                next = next.checked_mul(*n as isize)?;
            }
            *stride
        }
    };
    Some(step)
}

/// How a kernel walks at this step; `None` where elements would lie unaligned.
fn access(step: isize, width: usize) -> Option<Access> {
    if step == width as isize {
        Some(Access::Contiguous)
    } else if step == 0 {
        Some(Access::Uniform)
    } else {
        (step % width as isize == 0).then_some(Access::Strided)
    }
}

fn aligned(ptr: *mut u8, size: usize) -> Option<*mut u8> {
    ptr.addr().is_multiple_of(size).then_some(ptr)
}
