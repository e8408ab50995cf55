//! Runs a bound kernel over a range of positions, block by block.

use super::gather::{gather, scatter};
use super::{Execution, Feed, Param};
use crate::dtype::cast::{cast_block, copy_block};
use crate::nest::{Cursor, Few};
use crate::scratch::Scratch;
use crate::stats::SharedStats;
use crate::{Result, RuntimeError};
use kjit_driver::CpuCode;
use kjit_ir::abi::KernelStatus;
use kjit_ir::target::CompiledKernel;
use kjit_ir::{Access, ArrayMode};
use std::ops::Range;
use std::sync::atomic::Ordering;

/// What the blocks of a range share.
struct Frame {
    /// One a parameter: where its elements of the block under way begin.
    args: Few<*mut u8>,
    /// One a parameter: bytes from one element to the next.
    steps: Few<isize>,
    /// This thread's scratch memory.
    scratch: *mut u8,
    status: KernelStatus,
}

impl Execution<'_> {
    /// Number of positions.
    pub(crate) fn size(&self) -> usize {
        self.nest.size()
    }

    /// Runs a range of positions. Outputs bound to no operand are written one after the other to
    /// `given`, starting there with the range's first position.
    ///
    /// # Safety
    /// What [`Execution::bind`] asks for; ranges run at the same time must not overlap; if there is an
    /// output without operand, `given` must have room for the range's elements.
    pub(crate) unsafe fn run(&self, range: Range<usize>, given: *mut u8) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        debug_assert!(range.end <= self.nest.size(), "range inside the nest");
        Scratch::with(self.scratch_len, |scratch| {
            let mut at = range.start;
            let mut cursor = self.nest.cursor(at);
            // SAFETY: the caller's promise; the range is not empty.
            let mut frame = unsafe { self.frame(&cursor, scratch, range.len()) };
            while at < range.end {
                let mut n = (range.end - at).min(self.block);
                if !self.gathered {
                    n = n.min(cursor.run());
                }
                if at == range.start {
                    n = n.min(self.ahead_of_stream(&cursor));
                }
                let done = at - range.start;
                // SAFETY: the caller's promise; the block is inside the range.
                unsafe { self.run_block(&cursor, at, n, &mut frame, (given, done))? };
                at += n;
                if !self.gathered {
                    cursor.advance(n);
                } else if at < range.end {
                    cursor = self.nest.cursor(at);
                }
            }
            Ok(())
        })
    }

    /// Prepares what stays the same for all blocks of a range of `n` positions from the cursor on.
    ///
    /// # Safety
    /// As [`Execution::run`].
    unsafe fn frame(&self, cursor: &Cursor, scratch: *mut u8, n: usize) -> Frame {
        let mut args: Few<*mut u8> = Few::new();
        let mut steps: Few<isize> = Few::new();
        for param in &self.params {
            let size = param.dtype.size();
            let place = scratch.wrapping_add(param.scratch);
            args.push(place);
            steps.push(match param.feed {
                Feed::Position => 1,
                Feed::Fixed => 0,
                Feed::Zero if param.mode == ArrayMode::In => 0,
                Feed::Stride => self.nest.inner_step(param.operand),
                _ => size as isize,
            });
            if param.feed == Feed::Zero && param.mode == ArrayMode::In {
                // SAFETY: scratch has room for an element.
                unsafe { std::ptr::write_bytes(place, 0, size) };
            }
            if param.feed == Feed::Pattern {
                let (period, whole) = (self.nest.inner().min(n), self.block.min(n));
                // SAFETY: the positions are inside the nest; scratch has room for a block.
                unsafe {
                    let to = (place, param.dtype);
                    gather(&self.nest, cursor, param.place(), period, to);
                    let mut done = period;
                    while done < whole {
                        let more = done.min(whole - done);
                        std::ptr::copy_nonoverlapping(place, place.add(done * size), more * size);
                        done += more;
                    }
                }
            }
        }
        Frame {
            args,
            steps,
            scratch,
            status: KernelStatus::default(),
        }
    }

    /// Runs `n` positions from `at`, where the cursor is; `given` has the address of the given memory and
    /// how many positions are written there.
    ///
    /// # Safety
    /// As [`Execution::run`].
    unsafe fn run_block(
        &self,
        cursor: &Cursor,
        at: usize,
        n: usize,
        frame: &mut Frame,
        (given, done): (*mut u8, usize),
    ) -> Result<()> {
        let given = |size: usize| given.wrapping_add(done * size);
        for (param, arg) in self.params.iter().zip(&mut frame.args) {
            let here = || param.ptr.wrapping_offset(cursor.offsets[param.operand]);
            match param.feed {
                Feed::Position => *arg = at as *mut u8,
                Feed::Run | Feed::Linear | Feed::Stride => *arg = here(),
                Feed::Fixed if param.memory == param.dtype => *arg = here(),
                Feed::Fixed => {
                    // SAFETY: one element on each side; scratch has room for it.
                    unsafe { cast_block(param.memory, (here(), 0), param.dtype, (*arg, 0), 1) };
                }
                Feed::Given => *arg = given(param.dtype.size()),
                Feed::Copy if param.mode != ArrayMode::Out => {
                    // SAFETY: the caller's promise; scratch has room for a block.
                    unsafe { gather(&self.nest, cursor, param.place(), n, (*arg, param.dtype)) };
                }
                Feed::Copy | Feed::Pattern | Feed::GivenPart | Feed::Zero => {}
            }
        }
        let main = n - n % self.lanes;
        if main > 0 {
            let code = self.code_for(&frame.args);
            // SAFETY: every parameter has `main` elements at its argument, with the steps of the
            // access classes the code was made for; `main` is a multiple of the lanes.
            unsafe { call(code, &frame.args, main, &frame.steps, &frame.status) };
        }
        let rest = n - main;
        if rest > 0 {
            // SAFETY: `rest` elements follow the first `main`; scratch has room for a vector.
            unsafe { self.run_tail(main, rest, frame) };
        }
        if self.copies_out {
            for (param, arg) in self.params.iter().zip(&frame.args) {
                match param.feed {
                    Feed::Copy if param.mode != ArrayMode::In => {
                        let from = (arg.cast_const(), param.dtype);
                        // SAFETY: the caller's promise; the block's elements are at the argument.
                        unsafe { scatter(&self.nest, cursor, from, n, param.place()) };
                    }
                    Feed::GivenPart => {
                        let size = param.dtype.size();
                        let place = given(2 * size).wrapping_add(param.offset);
                        let from = (arg.cast_const(), size as isize);
                        // SAFETY: as above; the memory given has room for the complex numbers of the block.
                        unsafe { copy_block(size, from, (place, 2 * size as isize), n) };
                    }
                    _ => {}
                }
            }
        }
        let trap = frame.status.trap.load(Ordering::Relaxed);
        if trap != 0 {
            frame.status.trap.store(0, Ordering::Relaxed);
            // SAFETY: the arguments are still those of this block.
            unsafe { self.explain_trap(&frame.args, n, &frame.steps, trap)? };
        }
        Ok(())
    }

    /// Runs the last `rest` elements behind the first `done` of a block, fewer than a vector: as scalar code
    /// or on copies padded with the last one.
    ///
    /// # Safety
    /// The arguments must have `done + rest` elements.
    unsafe fn run_tail(&self, done: usize, rest: usize, frame: &Frame) {
        let mut tail: Few<*mut u8> = Few::new();
        for ((param, arg), step) in self.params.iter().zip(&frame.args).zip(&frame.steps) {
            let source = arg.wrapping_offset(done as isize * step);
            let place = match param.feed {
                _ if self.tail.is_some() => source,
                Feed::Run | Feed::Linear | Feed::Stride | Feed::Given => {
                    frame.scratch.wrapping_add(param.scratch)
                }
                // Scratch has room for a vector more: padded where it is.
                _ => source,
            };
            tail.push(place);
            let is_read = match param.feed {
                Feed::Pattern => true,
                Feed::Copy | Feed::Run | Feed::Linear | Feed::Stride => {
                    param.mode != ArrayMode::Out
                }
                _ => false,
            };
            if is_read && self.tail.is_none() {
                let size = param.dtype.size();
                // SAFETY: `rest` elements from `source` on; room for `lanes` at `place`.
                unsafe {
                    if place != source {
                        copy_block(size, (source, *step), (place, size as isize), rest);
                    }
                    let last = place.add((rest - 1) * size);
                    for lane in rest..self.lanes {
                        std::ptr::copy_nonoverlapping(last, place.add(lane * size), size);
                    }
                }
            }
        }
        if let Some(code) = self.tail {
            // SAFETY: this code takes any number of elements.
            unsafe { call(code, &tail, rest, &frame.steps, &frame.status) };
            return;
        }
        // Code for strided parameters takes any step.
        let stride = |param: &Param, step: isize| match param.feed {
            Feed::Stride => param.dtype.size() as isize,
            _ => step,
        };
        let steps: Few<isize> = self
            .params
            .iter()
            .zip(&frame.steps)
            .map(|(param, step)| stride(param, *step))
            .collect();
        // SAFETY: every parameter has a whole vector there.
        unsafe { call(self.code, &tail, self.lanes, &steps, &frame.status) };
        let params = self.params.iter().zip(&frame.args).zip(&frame.steps);
        for (((param, arg), step), place) in params.zip(&tail) {
            let in_place = matches!(
                param.feed,
                Feed::Run | Feed::Linear | Feed::Stride | Feed::Given
            );
            if in_place && matches!(param.mode, ArrayMode::Out | ArrayMode::InOut) {
                let size = param.dtype.size();
                let to = arg.wrapping_offset(done as isize * step);
                // SAFETY: `rest` valid elements belong behind the first `done`.
                unsafe { copy_block(size, (place.cast_const(), size as isize), (to, *step), rest) };
            }
        }
    }

    /// Finds the first element whose check failed, by running the block again on the interpreter.
    ///
    /// # Safety
    /// `args` and `steps` must be those of a block of `n` elements that has just run.
    unsafe fn explain_trap(
        &self,
        args: &[*mut u8],
        n: usize,
        steps: &[isize],
        trap: u32,
    ) -> Result<()> {
        let traps = &self.kernel.function.traps;
        let reported = |number: u32| match traps.get(number as usize - 1) {
            Some(trap) => RuntimeError::trap(trap),
            None => RuntimeError::internal("bug in kjit: a kernel reported an unknown check"),
        };
        if self.interp && n == 1 {
            return Err(reported(trap));
        }
        let access = vec![Access::Strided; self.params.len()];
        let interp = self
            .kernel
            .code(&access, CpuCode::Interp, &SharedStats::default())?;
        let mut element: Few<*mut u8> = args.into();
        for _ in 0..n {
            let status = KernelStatus::default();
            let data = std::ptr::from_ref(&status).cast::<u8>();
            let one = 1isize;
            // SAFETY: one element of each parameter, all of which are inside the block.
            unsafe { interp.call(element.as_ptr(), &one, steps.as_ptr(), data) };
            let number = status.trap.load(Ordering::Relaxed);
            if number != 0 {
                return Err(reported(number));
            }
            for (arg, step) in element.iter_mut().zip(steps) {
                *arg = arg.wrapping_offset(*step);
            }
        }
        // No element fails by itself. With an index parameter it was one of the padding, which has
        // indices past the end; otherwise an input that the kernel has since overwritten in place.
        if self.has_index && !n.is_multiple_of(self.lanes) {
            return Ok(());
        }
        Err(reported(trap))
    }
}

/// Calls code for `n` elements.
///
/// # Safety
/// As [`CompiledKernel::call`].
unsafe fn call(
    code: &dyn CompiledKernel,
    args: &[*mut u8],
    n: usize,
    steps: &[isize],
    status: &KernelStatus,
) {
    let dims = n as isize;
    let data = std::ptr::from_ref(status).cast::<u8>();
    // SAFETY: the caller's promise.
    unsafe { code.call(args.as_ptr(), &dims, steps.as_ptr(), data) }
}
