//! Runs a compiled kernel over a loop nest.
//!
//! Kernels are compiled for how their operands move: contiguous, not at all, or at a step. Every other operand
//! (unaligned, of another dtype, in short runs) is copied, a block at a time, to contiguous scratch memory that
//! stays in the innermost cache. A block's last elements, too few
//! for whole vectors, run on a copy padded with the last valid element (or as scalar code, where padding
//! could loop for ever); nothing past an array's end is ever read or written.

use crate::cache::Kernel;
use crate::dtype::cast::{cast_block, copy_block};
use crate::nest::{Cursor, Few, Layout, LoopNest, Order};
use crate::scratch::Scratch;
use crate::stats::SharedStats;
use crate::{Result, RuntimeError};
use kjit_driver::CpuCode;
use kjit_ir::abi::KernelStatus;
use kjit_ir::target::CompiledKernel;
use kjit_ir::{Access, ArrayMode, DType, Part};
use std::ops::Range;
use std::sync::atomic::Ordering;

/// Elements of a block that is copied to scratch memory, at most.
const BLOCK: usize = 2048;
/// Scratch bytes of a block, roughly: most of the innermost cache.
const BLOCK_BYTES: usize = 32 << 10;
/// Elements of a block that needs no copies: between looks at the status.
const DIRECT_BLOCK: usize = 1 << 16;
/// Inner runs shorter than this are gathered into longer blocks.
const SHORT_RUN: usize = 256;

/// Memory of one array parameter of a kernel (index parameters have none).
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// Address of the element with index zero.
    pub ptr: *mut u8,
    /// Dtype in memory.
    pub dtype: DType,
    /// Bytes between neighbours along each axis of the shape.
    pub strides: &'a [isize],
    /// First and one past the last address that may be touched.
    pub memory: (usize, usize),
}

/// How a parameter gets its elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Feed {
    /// The element's position.
    Position,
    /// One element for the whole inner run.
    Fixed,
    /// In place: contiguous along the inner run.
    Run,
    /// In place: contiguous over the whole nest.
    Linear,
    /// In place: at a step along the inner run that is not an element's size.
    Stride,
    /// Through scratch memory.
    Copy,
    /// To the memory given to [`Execution::run`], from its beginning.
    Given,
    /// As `Given`, for a part of complex elements: through scratch memory.
    GivenPart,
    /// The imaginary parts of real memory: zeros to read, and nowhere to write to.
    Zero,
}

impl Feed {
    /// Does it take a block of scratch memory?
    fn is_copied(self) -> bool {
        matches!(self, Feed::Copy | Feed::GivenPart | Feed::Zero)
    }
}

#[derive(Clone, Copy, Debug)]
struct Param {
    feed: Feed,
    mode: ArrayMode,
    /// Dtype in the kernel.
    dtype: DType,
    /// Dtype in memory.
    memory: DType,
    ptr: *mut u8,
    /// Number of the operand in the nest.
    operand: usize,
    /// Is it a part of complex elements in memory?
    complex: bool,
    /// Bytes of an element ahead of this part.
    offset: usize,
    /// Where its scratch begins.
    scratch: usize,
}

/// A kernel bound to operands, ready to run over any range of positions.
pub struct Execution<'a> {
    kernel: &'a Kernel,
    code: &'a dyn CompiledKernel,
    /// Code for the elements that do not fill a vector, where they cannot be padded.
    tail: Option<&'a dyn CompiledKernel>,
    interp: bool,
    lanes: usize,
    nest: LoopNest,
    params: Few<Param>,
    /// Elements of a block.
    block: usize,
    /// May blocks reach over several inner runs?
    gathered: bool,
    scratch_len: usize,
    has_index: bool,
}

// SAFETY: the pointers are to memory that the maker of the execution vouches for; ranges of positions
// that do not overlap write to different elements.
unsafe impl Send for Execution<'_> {}
// SAFETY: as above.
unsafe impl Sync for Execution<'_> {}

impl<'a> Execution<'a> {
    /// Binds a kernel. `operands` holds one operand per array parameter that is not an index, and one for
    /// both parts of a complex argument (its memory may be real, then the imaginary part is 0); an output without one (`None`) goes to the memory given to [`Execution::run`].
    ///
    /// # Safety
    /// As long as the execution lives, the elements that `shape` and the strides name must be readable
    /// and, for outputs, writable and not overlap anything else, except element upon same element.
    pub(crate) unsafe fn bind(
        kernel: &'a Kernel,
        code: CpuCode,
        shape: &[usize],
        operands: &[Option<Operand>],
        order: Order,
        stats: &SharedStats,
    ) -> Result<Execution<'a>> {
        let arrays = &kernel.function.arrays;
        let has_index = arrays.iter().any(|a| a.mode == ArrayMode::Index);
        let order = if has_index { Order::C } else { order };
        let layouts: Few<Layout> = operands
            .iter()
            .flatten()
            .map(|o| Layout {
                strides: o.strides,
                size: o.dtype.size(),
            })
            .collect();
        let nest = LoopNest::plan(shape, &layouts, order);
        let gathered = nest.ndim() > 1 && nest.inner() < SHORT_RUN;

        let mut given = operands.iter();
        let mut bound = 0;
        let mut params: Few<Param> = Few::new();
        for array in arrays {
            let mut param = Param {
                feed: Feed::Position,
                mode: array.mode,
                dtype: array.dtype,
                memory: array.dtype,
                ptr: std::ptr::null_mut(),
                operand: 0,
                complex: false,
                offset: 0,
                scratch: 0,
            };
            if array.part == Part::Im {
                bind_imaginary(&mut param, params.last(), &nest, gathered);
            } else if array.mode != ArrayMode::Index {
                match given.next() {
                    None => {
                        return Err(RuntimeError::internal(format!(
                            "bug in kjit: kernel {} misses operands",
                            kernel.function.name
                        )));
                    }
                    Some(None) if array.part == Part::Whole => param.feed = Feed::Given,
                    Some(None) => param.feed = Feed::GivenPart,
                    Some(Some(operand)) => {
                        param.ptr = operand.ptr;
                        param.memory = match array.part {
                            Part::Whole => operand.dtype,
                            _ => operand.dtype.part().unwrap_or(operand.dtype),
                        };
                        param.complex = param.memory != operand.dtype;
                        param.operand = bound;
                        debug_assert!(
                            inside(&nest, bound, operand),
                            "an operand of {} reaches outside its memory",
                            kernel.function.name
                        );
                        param.feed = choose_feed(&nest, bound, &param, gathered);
                        bound += 1;
                    }
                }
            }
            params.push(param);
        }

        let access: Few<Access> = params
            .iter()
            .map(|p| match p.feed {
                Feed::Fixed => Access::Uniform,
                Feed::Stride => Access::Strided,
                Feed::Zero if p.mode == ArrayMode::In => Access::Uniform,
                _ => Access::Contiguous,
            })
            .collect();
        let code_kind = code;
        let code = kernel.code(&access, code_kind, stats)?;
        let lanes = code.lanes().max(1);
        // Padding has positions past the end, for which a loop of the kernel may never end.
        let no_padding = has_index && kernel.has_loops && !nest.inner().is_multiple_of(lanes);
        let tail = if no_padding {
            Some(kernel.code(&access, CpuCode::Scalar, stats)?)
        } else {
            None
        };

        let copied: usize = params
            .iter()
            .filter(|p| p.feed.is_copied())
            .map(|p| p.dtype.size())
            .sum();
        let block = match BLOCK_BYTES.checked_div(copied) {
            Some(elements) => (elements / 64 * 64).clamp(256, BLOCK),
            None => DIRECT_BLOCK,
        };
        let block = block.div_ceil(lanes) * lanes;
        let mut scratch_len = 0;
        for param in &mut params {
            param.scratch = scratch_len;
            let elements = match param.feed {
                Feed::Position => 0,
                Feed::Fixed => 1,
                Feed::Copy | Feed::GivenPart | Feed::Zero => block + lanes,
                Feed::Run | Feed::Linear | Feed::Stride | Feed::Given => lanes,
            };
            // A line more than needed, so that neighbours do not fall into the same cache set.
            scratch_len += (elements * param.dtype.size()).next_multiple_of(64) + 64;
        }
        Ok(Execution {
            kernel,
            code,
            tail,
            interp: code_kind == CpuCode::Interp,
            lanes,
            nest,
            params,
            block,
            gathered,
            scratch_len,
            has_index,
        })
    }

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
            while at < range.end {
                let mut n = (range.end - at).min(self.block);
                if !self.gathered {
                    n = n.min(cursor.run());
                }
                let out = |size: usize| given.wrapping_add((at - range.start) * size);
                let mut next = cursor.clone();
                // SAFETY: the caller's promise; the block is inside the range.
                unsafe { self.run_block(&cursor, &mut next, at, n, scratch, &out)? };
                cursor = next;
                at += n;
            }
            Ok(())
        })
    }

    /// Runs `n` positions from `at`, where `cursor` is; moves `next` behind them.
    ///
    /// # Safety
    /// As [`Execution::run`].
    unsafe fn run_block(
        &self,
        cursor: &Cursor,
        next: &mut Cursor,
        at: usize,
        n: usize,
        scratch: *mut u8,
        given: &dyn Fn(usize) -> *mut u8,
    ) -> Result<()> {
        let mut args: Few<*mut u8> = Few::new();
        let mut steps: Few<isize> = Few::new();
        for param in &self.params {
            let size = param.dtype.size();
            let here = || param.ptr.wrapping_offset(cursor.offsets[param.operand]);
            let (arg, step) = match param.feed {
                Feed::Position => (at as *mut u8, 1),
                Feed::Fixed if param.memory == param.dtype => (here(), 0),
                Feed::Fixed => {
                    let place = scratch.wrapping_add(param.scratch);
                    // SAFETY: one element on each side; scratch has room for it.
                    unsafe { cast_block(param.memory, (here(), 0), param.dtype, (place, 0), 1) };
                    (place, 0)
                }
                Feed::Run | Feed::Linear => (here(), size as isize),
                Feed::Stride => (here(), self.nest.inner_step(param.operand)),
                Feed::Zero if param.mode == ArrayMode::In => {
                    let place = scratch.wrapping_add(param.scratch);
                    // SAFETY: scratch has room for an element.
                    unsafe { std::ptr::write_bytes(place, 0, size) };
                    (place, 0)
                }
                Feed::Copy | Feed::GivenPart | Feed::Zero => {
                    (scratch.wrapping_add(param.scratch), size as isize)
                }
                Feed::Given => (given(size), size as isize),
            };
            args.push(arg);
            steps.push(step);
        }
        let copies = self.params.iter().any(|p| p.feed == Feed::Copy);
        if copies {
            // SAFETY: the caller's promise; scratch has room for a block.
            unsafe { self.copy_block(cursor.clone(), n, &args, true) };
        }
        let status = KernelStatus::default();
        let main = n - n % self.lanes;
        if main > 0 {
            // SAFETY: every parameter has `main` elements at its argument, with the steps of the
            // access classes the code was made for; `main` is a multiple of the lanes.
            unsafe { call(self.code, &args, main, &steps, &status) };
        }
        let rest = n - main;
        if rest > 0 {
            if let Some(tail) = self.tail {
                let mut args = args.clone();
                for (arg, step) in args.iter_mut().zip(&steps) {
                    *arg = arg.wrapping_offset(main as isize * step);
                }
                // SAFETY: `rest` elements follow the first `main`; this code takes any number.
                unsafe { call(tail, &args, rest, &steps, &status) };
            } else {
                // SAFETY: `rest` elements follow the first `main`; scratch has room for a vector.
                unsafe { self.run_tail(&args, main, rest, &steps, scratch, &status) };
            }
        }
        if copies {
            // SAFETY: as for the copy in.
            unsafe { self.copy_block(cursor.clone(), n, &args, false) };
        }
        for (param, arg) in self.params.iter().zip(&args) {
            if param.feed == Feed::GivenPart {
                let size = param.dtype.size();
                let place = given(2 * size).wrapping_add(param.offset);
                let (from, to) = (
                    (arg.cast_const(), size as isize),
                    (place, 2 * size as isize),
                );
                // SAFETY: `n` elements each, in scratch and where the caller gave room for them.
                unsafe { cast_block(param.dtype, from, param.dtype, to, n) };
            }
        }
        let trap = status.trap.load(Ordering::Relaxed);
        if trap != 0 {
            // SAFETY: the arguments are still those of this block.
            unsafe { self.explain_trap(&args, n, &steps, trap)? };
        }
        if self.gathered {
            let mut left = n;
            while left > 0 {
                let run = next.run().min(left);
                next.advance(run);
                left -= run;
            }
        } else {
            next.advance(n);
        }
        Ok(())
    }

    /// Runs the last `rest` elements, fewer than a vector, on copies padded with the last one.
    ///
    /// # Safety
    /// `args` must have `done + rest` elements; scratch must be this thread's.
    unsafe fn run_tail(
        &self,
        args: &[*mut u8],
        done: usize,
        rest: usize,
        steps: &[isize],
        scratch: *mut u8,
        status: &KernelStatus,
    ) {
        let mut padded: Few<*mut u8> = Few::new();
        let mut padded_steps: Few<isize> = Few::new();
        for ((param, arg), step) in self.params.iter().zip(args).zip(steps) {
            let size = param.dtype.size();
            let source = arg.wrapping_offset(done as isize * step);
            padded_steps.push(if param.feed == Feed::Stride {
                size as isize
            } else {
                *step
            });
            let place = match param.feed {
                Feed::Position => arg.wrapping_add(done),
                Feed::Fixed => *arg,
                Feed::Zero if param.mode == ArrayMode::In => *arg,
                // Scratch has room for a vector more: padded where it is.
                Feed::Copy | Feed::GivenPart | Feed::Zero => source,
                Feed::Run | Feed::Linear | Feed::Stride | Feed::Given => {
                    scratch.wrapping_add(param.scratch)
                }
            };
            let reads = matches!(param.mode, ArrayMode::In | ArrayMode::InOut);
            if reads
                && matches!(
                    param.feed,
                    Feed::Copy | Feed::Run | Feed::Linear | Feed::Stride
                )
            {
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
            padded.push(place);
        }
        // SAFETY: every parameter has a whole vector at `padded`.
        unsafe { call(self.code, &padded, self.lanes, &padded_steps, status) };
        for (((param, arg), step), place) in self.params.iter().zip(args).zip(steps).zip(&padded) {
            let writes = matches!(param.mode, ArrayMode::Out | ArrayMode::InOut);
            if writes
                && matches!(
                    param.feed,
                    Feed::Run | Feed::Linear | Feed::Stride | Feed::Given
                )
            {
                let size = param.dtype.size();
                let to = arg.wrapping_offset(done as isize * step);
                // SAFETY: `rest` valid elements belong behind the first `done`.
                unsafe { copy_block(size, (place.cast_const(), size as isize), (to, *step), rest) };
            }
        }
    }

    /// Copies the operands that need it between memory and scratch: inputs in, or outputs out.
    ///
    /// # Safety
    /// The `n` positions from the cursor on must be inside the nest, and `args` of copied parameters
    /// have room for as many elements.
    unsafe fn copy_block(&self, mut cursor: Cursor, n: usize, args: &[*mut u8], inwards: bool) {
        let wanted = |mode: ArrayMode| match mode {
            ArrayMode::In => inwards,
            ArrayMode::Out => !inwards,
            ArrayMode::InOut => true,
            ArrayMode::Index => false,
        };
        let mut done = 0;
        while done < n {
            let run = cursor.run().min(n - done);
            for (param, arg) in self.params.iter().zip(args) {
                if param.feed != Feed::Copy || !wanted(param.mode) {
                    continue;
                }
                let size = param.dtype.size();
                let memory = param.ptr.wrapping_offset(cursor.offsets[param.operand]);
                let step = self.nest.inner_step(param.operand);
                let place = arg.wrapping_add(done * size);
                // SAFETY: the caller's promise.
                unsafe {
                    if inwards {
                        let to = (place, size as isize);
                        cast_block(param.memory, (memory, step), param.dtype, to, run);
                    } else {
                        let from = (place.cast_const(), size as isize);
                        cast_block(param.dtype, from, param.memory, (memory, step), run);
                    }
                }
            }
            cursor.advance(run);
            done += run;
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

/// Do all elements that the nest visits lie in the operand's memory?
fn inside(nest: &LoopNest, number: usize, operand: &Operand) -> bool {
    let (low, high) = nest.extent_of(number);
    let first = operand.ptr.addr().wrapping_add_signed(low);
    let end = operand.ptr.addr().wrapping_add_signed(high) + operand.dtype.size();
    nest.size() == 0 || (first >= operand.memory.0 && end <= operand.memory.1)
}

/// Binds the imaginary part of a complex argument beside the real part, `re`.
fn bind_imaginary(param: &mut Param, re: Option<&Param>, nest: &LoopNest, gathered: bool) {
    let Some(re) = re else {
        unreachable!("bug in kjit: a verified kernel has no part without the other");
    };
    (param.memory, param.operand) = (re.memory, re.operand);
    if re.feed == Feed::GivenPart {
        (param.feed, param.offset) = (Feed::GivenPart, param.dtype.size());
    } else if re.complex {
        param.ptr = re.ptr.wrapping_add(re.memory.size());
        param.feed = choose_feed(nest, param.operand, param, gathered);
    } else {
        param.feed = Feed::Zero;
    }
}

/// Chooses how a bound parameter gets its elements.
fn choose_feed(nest: &LoopNest, operand: usize, param: &Param, gathered: bool) -> Feed {
    let size = param.dtype.size();
    let reads_only = param.mode == ArrayMode::In;
    let (low, _) = nest.extent_of(operand);
    let aligned = param.ptr.wrapping_offset(low).align_offset(size) == 0
        && nest.strides(operand).iter().all(|s| s % size as isize == 0);
    let as_is = param.memory == param.dtype && aligned;
    if reads_only && nest.is_fixed(operand) && (aligned || param.memory != param.dtype) {
        Feed::Fixed
    } else if as_is && nest.is_linear(operand, size) {
        Feed::Linear
    } else if !gathered && as_is && nest.inner_step(operand) == size as isize {
        Feed::Run
    } else if !gathered && reads_only && aligned && nest.inner_step(operand) == 0 {
        Feed::Fixed
    } else if !gathered && as_is {
        Feed::Stride
    } else {
        Feed::Copy
    }
}
