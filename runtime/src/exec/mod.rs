//! Runs a compiled kernel over a loop nest.
//!
//! Kernels are compiled for how their operands move: contiguous, not at all, or at a step. Every other operand
//! (unaligned, of another dtype, in short runs) is copied, a block at a time, to contiguous scratch memory that
//! stays in the innermost cache (`gather.rs`); one that repeats with every run is copied once. A block's last
//! elements, too few for whole vectors, run on a copy padded with the last valid element (or as scalar code,
//! where padding could loop for ever, or where there are many such ends); nothing past an array's end is ever
//! read or written.

mod gather;
mod run;
mod stream;

use crate::cache::Kernel;
use crate::nest::{Few, Layout, LoopNest, Order};
use crate::stats::SharedStats;
use crate::{Result, RuntimeError};
use kjit_driver::CpuCode;
use kjit_ir::target::CompiledKernel;
use kjit_ir::{Access, ArrayMode, DType, Part};

/// Elements of a block that is copied to scratch memory, at most.
const BLOCK: usize = 2048;
/// Scratch bytes of a block, roughly: most of the innermost cache.
const BLOCK_BYTES: usize = 32 << 10;
/// Elements of a block that needs no copies: between looks at the status.
const DIRECT_BLOCK: usize = 1 << 16;
/// Inner runs shorter than this are gathered into longer blocks.
const SHORT_RUN: usize = 256;
/// Ends of inner runs for which code of their own is worth its compilation.
const MANY_TAILS: usize = 64;

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
    /// Through scratch memory, once: every inner run has the same elements, and blocks are whole runs.
    Pattern,
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
        matches!(
            self,
            Feed::Copy | Feed::Pattern | Feed::GivenPart | Feed::Zero
        )
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

impl Param {
    fn place(&self) -> gather::Place {
        gather::Place {
            ptr: self.ptr,
            dtype: self.memory,
            operand: self.operand,
        }
    }
}

/// A kernel bound to operands, ready to run over any range of positions.
pub struct Execution<'a> {
    kernel: &'a Kernel,
    code: &'a dyn CompiledKernel,
    /// Code for blocks whose outputs are aligned, where the arrays are larger than the caches.
    stream: Option<&'a dyn CompiledKernel>,
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
    /// Do outputs go through scratch memory?
    copies_out: bool,
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
        let stream = match stream::variant(code_kind, kernel, &nest, &params) {
            Some(variant) => Some(kernel.code(&access, variant, stats)?),
            None => None,
        };
        let stream = stream.filter(|stream| stream.lanes().max(1) == lanes);
        // Padding has positions past the end, for which a loop of the kernel may never end.
        let no_padding = has_index && kernel.has_loops && !nest.inner().is_multiple_of(lanes);
        let many_tails = !gathered
            && !nest.inner().is_multiple_of(lanes)
            && nest.size() / nest.inner().max(1) >= MANY_TAILS;
        let tail = if no_padding || many_tails {
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
        let mut block = block.div_ceil(lanes) * lanes;
        if params.iter().any(|p| p.feed == Feed::Pattern) {
            let whole = whole_runs(nest.inner(), lanes);
            block = whole * (block / whole).max(1);
        }
        let mut scratch_len = 0;
        for param in &mut params {
            param.scratch = scratch_len;
            let elements = match param.feed {
                Feed::Position => 0,
                Feed::Fixed => 1,
                Feed::Copy | Feed::Pattern | Feed::GivenPart | Feed::Zero => block + lanes,
                Feed::Run | Feed::Linear | Feed::Stride | Feed::Given => lanes,
            };
            // A line more than needed, so that neighbours do not fall into the same cache set.
            const _: () = assert!(gather::SLACK <= 64);
            scratch_len += (elements * param.dtype.size()).next_multiple_of(64) + 64;
        }
        let copies_out = params.iter().any(|p| match p.feed {
            Feed::Copy => p.mode != ArrayMode::In,
            feed => feed == Feed::GivenPart,
        });
        Ok(Execution {
            kernel,
            code,
            stream,
            tail,
            interp: code_kind == CpuCode::Interp,
            lanes,
            nest,
            params,
            block,
            gathered,
            scratch_len,
            has_index,
            copies_out,
        })
    }
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
    } else if gathered && reads_only && nest.repeats(operand) {
        Feed::Pattern
    } else {
        Feed::Copy
    }
}

/// Elements of the fewest runs that make whole vectors, or of one run where that would be many.
fn whole_runs(inner: usize, lanes: usize) -> usize {
    let (mut a, mut b) = (inner, lanes);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let both = inner / a * lanes;
    if both <= BLOCK { both } else { inner }
}
