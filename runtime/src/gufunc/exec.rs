//! Runs kernels with core dimensions over a loop nest.
//!
//! Elements are sub-arrays, so nothing is copied to scratch memory and no vector is padded: operands have the
//! kernel's dtypes and are aligned, steps of the inner run are whatever they are, and the elements that do not
//! fill a vector run as scalar code.

use crate::cache::Kernel;
use crate::engine::Engine;
use crate::nest::{Few, Layout, LoopNest, Order};
use crate::{Result, RuntimeError};
use kjit_driver::CpuCode;
use kjit_ir::abi::KernelStatus;
use kjit_ir::target::CompiledKernel;
use kjit_ir::{Access, ArrayParam, Function, Part, Role};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Memory of an argument of a gufunc.
#[derive(Clone, Debug)]
pub(crate) struct CoreOperand {
    /// Address of the first element of the sub-array with index zero.
    pub(crate) ptr: *mut u8,
    /// Bytes between neighbours along the loop shape.
    pub(crate) loops: Few<isize>,
    /// Bytes between neighbours along each core axis.
    pub(crate) core: Few<isize>,
}

/// A call: what is the same for all kernels of a gufunc.
pub(crate) struct CoreRun<'a> {
    /// The gufunc's kernel as it was before its loops were promoted.
    pub(crate) kernel: &'a Kernel,
    /// One operand an array parameter of it, both parts of a complex one included.
    pub(crate) operands: &'a [CoreOperand],
    /// Shape of the loop.
    pub(crate) loop_shape: &'a [usize],
    /// Extents of the core dimensions.
    pub(crate) extents: &'a [usize],
}

/// Elements between looks at the status.
const BLOCK: usize = 1 << 12;
/// Ranges handed to threads start at multiples of the inner run, unless it is longer than this.
const LONG_RUN: usize = 4096;
/// Where the inner run is long, ranges start at multiples of this.
const GRAIN: usize = 256;

/// One kernel bound to its operands.
struct Bound<'a> {
    code: &'a dyn CompiledKernel,
    tail: &'a dyn CompiledKernel,
    lanes: usize,
    nest: LoopNest,
    ptrs: Few<*mut u8>,
    /// Steps of the inner run, then the core steps of every array.
    steps: Vec<isize>,
    /// Number of elements (set for each call), then the extents.
    dims: Vec<isize>,
}

// SAFETY: the pointers are to memory that whoever runs the call vouches for; elements of different positions
// are different.
unsafe impl Sync for Bound<'_> {}

impl CoreRun<'_> {
    /// Runs all kernels, one after the other; `false` when a run-time check failed.
    ///
    /// # Safety
    /// The elements that the shapes and the operands' steps name must be readable and, for outputs, writable
    /// and overlap nothing else.
    pub(crate) unsafe fn run(&self, engine: &Engine) -> Result<bool> {
        for part in self.kernel.parts() {
            // SAFETY: the caller's promise.
            if !unsafe { self.run_part(part, engine)? } {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Runs one kernel; `false` when a run-time check of it failed.
    ///
    /// # Safety
    /// As [`CoreRun::run`].
    unsafe fn run_part(&self, kernel: &Kernel, engine: &Engine) -> Result<bool> {
        let function = &kernel.function;
        let mut shape = self.loop_shape.to_vec();
        for promoted in &function.loops {
            let sum = promoted
                .dims
                .iter()
                .try_fold(promoted.constant, |sum, (dim, factor)| {
                    let extent = self.extents[dim.index()] as i64;
                    sum.checked_add(extent.checked_mul(*factor)?)
                });
            let Some(extent) = sum else {
                return Err(RuntimeError::limit(format!(
                    "a loop of {} has more steps than can be counted",
                    function.name
                )));
            };
            shape.push(extent.max(0) as usize);
        }
        crate::broadcast::checked_size(&shape, 1)?;
        let mut ptrs: Few<*mut u8> = Few::new();
        let mut strides: Vec<Few<isize>> = Vec::new();
        let mut core: Vec<isize> = Vec::new();
        for (n, param) in function.arrays.iter().enumerate() {
            if let Role::Iota(k) = param.role {
                // The offset along this nest is the index itself.
                let mut steps: Few<isize> = smallvec::smallvec![0; shape.len()];
                steps[self.loop_shape.len() + k as usize] = 1;
                ptrs.push(std::ptr::null_mut());
                strides.push(steps);
                continue;
            }
            let operand = &self.operands[source(param, n)];
            let along = |k: usize| -> isize {
                let walk = param.along.get(k).map(|w| w.as_slice()).unwrap_or_default();
                let terms = walk.iter();
                terms
                    .map(|(axis, factor)| *factor as isize * operand.core[*axis as usize])
                    .sum()
            };
            let loops = operand.loops.iter().copied();
            strides.push(loops.chain((0..function.loops.len()).map(along)).collect());
            ptrs.push(operand.ptr);
            core.extend_from_slice(&operand.core);
        }
        let sizes = function.arrays.iter().map(|p| match p.role {
            Role::Iota(_) => 1,
            _ => p.dtype.size(),
        });
        let layouts: Few<Layout> = strides
            .iter()
            .zip(sizes)
            .map(|(strides, size)| Layout { strides, size })
            .collect();
        let nest = LoopNest::plan(&shape, &layouts, Order::Any);
        if nest.size() == 0 {
            return Ok(true);
        }
        let inner: Few<isize> = (0..layouts.len()).map(|o| nest.inner_step(o)).collect();
        let access: Few<Access> = inner
            .iter()
            .zip(&layouts)
            .map(|(step, layout)| match *step {
                0 => Access::Uniform,
                step if step == layout.size as isize => Access::Contiguous,
                _ => Access::Strided,
            })
            .collect();
        let code_kind = engine.code();
        let code = kernel.code(&access, code_kind, &engine.stats)?;
        let lanes = code.lanes().max(1);
        let tail = if matches!(code_kind, CpuCode::Vector(_)) && lanes > 1 {
            kernel.code(&access, CpuCode::Scalar, &engine.stats)?
        } else {
            code
        };
        let extents = self.extents.iter().map(|extent| *extent as isize);
        let bound = Bound {
            code,
            tail,
            lanes,
            ptrs,
            steps: inner.iter().copied().chain(core).collect(),
            dims: std::iter::once(0).chain(extents).collect(),
            nest,
        };
        let failed = AtomicBool::new(false);
        let grain = match bound.nest.inner() {
            run if run <= LONG_RUN && bound.nest.ndim() > 1 => run,
            _ => GRAIN.min(bound.nest.size()),
        };
        let ns = engine.ns_per_element(kernel) * self.trips(kernel);
        engine
            .scheduler
            .run(bound.nest.size(), grain, ns, &|range| {
                if !failed.load(Ordering::Relaxed) {
                    // SAFETY: the caller's promise; ranges do not overlap.
                    if !unsafe { bound.run(range) } {
                        failed.store(true, Ordering::Relaxed);
                    }
                }
                Ok(())
            })?;
        Ok(!failed.into_inner())
    }

    /// How much longer the loops of a kernel are than its estimated cost supposes.
    fn trips(&self, kernel: &Kernel) -> f64 {
        let longest = self.extents.iter().copied().max().unwrap_or(1) as f64;
        if kernel.has_loops {
            (longest / 8.0).max(1.0)
        } else {
            1.0
        }
    }

    /// The first check that failed, found by the interpreter.
    ///
    /// # Safety
    /// As [`CoreRun::run`]; outputs hold again what they held before that.
    pub(crate) unsafe fn explain(&self) -> RuntimeError {
        let function = &self.kernel.function;
        let layouts: Few<Layout> = self
            .operands
            .iter()
            .zip(&function.arrays)
            .map(|(operand, param)| Layout {
                strides: &operand.loops,
                size: param.dtype.size(),
            })
            .collect();
        let nest = LoopNest::plan(self.loop_shape, &layouts, Order::C);
        let core = self.operands.iter().flat_map(|o| o.core.iter().copied());
        let inner = (0..layouts.len()).map(|o| nest.inner_step(o));
        let steps: Vec<isize> = inner.chain(core).collect();
        let extents = self.extents.iter().map(|extent| *extent as isize);
        let mut dims: Vec<isize> = std::iter::once(0).chain(extents).collect();
        let mut at = 0;
        let mut cursor = nest.cursor(0);
        while at < nest.size() {
            let run = cursor.run();
            let args: Few<*mut u8> = self
                .operands
                .iter()
                .zip(&cursor.offsets)
                .map(|(operand, offset)| operand.ptr.wrapping_offset(*offset))
                .collect();
            dims[0] = run as isize;
            // SAFETY: the caller's promise; outputs hold what they held before the call.
            let report = unsafe {
                kjit_driver::first_trap(function, args.as_ptr(), dims.as_ptr(), steps.as_ptr())
            };
            if let Some(report) = report {
                let Some(trap) = function.traps.get(report.trap.index()) else {
                    break;
                };
                let index = report.value.map(|value| value.as_int());
                let error = RuntimeError::core_trap(trap, index, report.extent);
                if self.loop_shape.is_empty() {
                    return error;
                }
                let place = crate::fpe::index_of(at + report.element, self.loop_shape);
                let place = crate::format_shape(&place);
                return match error.help.clone() {
                    Some(help) => error.help(format!("{help}; in element {place} of the call")),
                    None => error.help(format!("in element {place} of the call")),
                };
            }
            cursor.advance(run);
            at += run;
        }
        RuntimeError::internal(
            "bug in kjit: a check failed, and the interpreter finds none that does",
        )
    }
}

/// Which array parameter of the unpromoted kernel a parameter is.
fn source(param: &ArrayParam, number: usize) -> usize {
    match param.role {
        Role::Alias(array) => array.index(),
        _ => number,
    }
}

/// Bytes from the beginning of an element to the part that a parameter is.
pub(crate) fn part_offset(param: &ArrayParam) -> usize {
    match param.part {
        Part::Im => param.dtype.size(),
        Part::Whole | Part::Re => 0,
    }
}

/// Has the kernel run-time checks?
pub(crate) fn can_trap(kernel: &Function) -> bool {
    !kernel.traps.is_empty()
}

impl Bound<'_> {
    /// Runs a range of positions; `false` when a check failed.
    ///
    /// # Safety
    /// As [`CoreRun::run`].
    unsafe fn run(&self, range: Range<usize>) -> bool {
        let mut dims = self.dims.clone();
        let status = KernelStatus::default();
        let data = std::ptr::from_ref(&status).cast::<u8>();
        let mut cursor = self.nest.cursor(range.start);
        let mut at = range.start;
        while at < range.end {
            let n = (range.end - at).min(cursor.run()).min(BLOCK);
            let mut args: Few<*mut u8> = self
                .ptrs
                .iter()
                .zip(&cursor.offsets)
                .map(|(ptr, offset)| ptr.wrapping_offset(*offset))
                .collect();
            let rest = n % self.lanes;
            if n > rest {
                dims[0] = (n - rest) as isize;
                // SAFETY: every parameter has so many elements at its argument, with the steps of the access
                // classes the code was made for; the number is a multiple of the lanes.
                unsafe {
                    let (args, steps) = (args.as_ptr(), self.steps.as_ptr());
                    self.code.call(args, dims.as_ptr(), steps, data);
                }
            }
            if rest > 0 {
                for (arg, step) in args.iter_mut().zip(&self.steps) {
                    *arg = arg.wrapping_offset((n - rest) as isize * step);
                }
                dims[0] = rest as isize;
                // SAFETY: `rest` elements follow; this code takes any number.
                unsafe {
                    let (args, steps) = (args.as_ptr(), self.steps.as_ptr());
                    self.tail.call(args, dims.as_ptr(), steps, data);
                }
            }
            if status.trap.load(Ordering::Relaxed) != 0 {
                return false;
            }
            cursor.advance(n);
            at += n;
        }
        true
    }
}
