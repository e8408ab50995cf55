//! The engine: runs kernels over arrays on a target.

use crate::array::Storage;
use crate::broadcast::{checked_size, format_shape};
use crate::cache::{Kernel, KernelCache};
use crate::exec::{Execution, Operand};
use crate::flat;
use crate::nest::{Few, Layout, Order, matching_strides};
use crate::reduce::{self, Source, result_dtype};
use crate::schedule::{Progress, Scheduler};
use crate::stats::SharedStats;
use crate::{
    Array, Casting, CompileOptions, HostBuffer, KernelSpec, Program, Result, RuntimeError, Stats,
    can_cast,
};
use kjit_driver::CpuCode;
use kjit_ir::{ArrayMode, DType, FusedOp, Scalar};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// Where kernels run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Target {
    /// One core.
    #[default]
    Cpu,
    /// Every core (small work stays on the calling thread).
    Parallel,
    /// A GPU.
    Gpu,
    /// The best of the host: parallel when the work is large, else one core.
    Auto,
}

/// How `parallel` hands out blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Schedule {
    /// One equal share a thread.
    Static,
    /// Blocks of one size, taken when a thread is free.
    Dynamic,
    /// Blocks that get smaller towards the end, taken when a thread is free.
    #[default]
    Guided,
}

/// What an engine is asked for.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// Where kernels run.
    pub target: Target,
    /// Threads of `parallel`; by default those of the pool it is called in.
    pub threads: Option<usize>,
    /// How `parallel` hands out blocks.
    pub schedule: Schedule,
    /// Allow contraction, reassociation and approximate functions.
    pub fast: bool,
    /// Interpret kernels instead of compiling them: the oracle.
    pub interp: bool,
    /// Make scalar machine code only.
    pub scalar: bool,
}

/// Reductions of all elements to one value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReduceOp {
    /// Sum: `i64` for bool and signed integers, `u64` for unsigned ones, floats keep their dtype.
    Sum,
    /// Smallest element; NaN if any is.
    Min,
    /// Largest element; NaN if any is.
    Max,
    /// Index of the first smallest element, or of the first NaN.
    ArgMin,
    /// Index of the first largest element, or of the first NaN.
    ArgMax,
}

/// Positions at which ranges handed to threads start: whole cache lines of every dtype.
const GRAIN: usize = 1024;
/// The same for kernels with loops, where few elements can be much work.
const LOOP_GRAIN: usize = 64;

/// Runs kernels over arrays; shared freely between threads.
pub struct Engine {
    options: EngineOptions,
    cache: KernelCache,
    scheduler: Scheduler,
    stats: SharedStats,
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: EngineOptions) -> Result<Engine> {
        let scheduler = match options.target {
            Target::Parallel | Target::Auto => {
                Scheduler::parallel(options.schedule, options.threads)?
            }
            Target::Cpu | Target::Gpu => Scheduler::single(),
        };
        if options.target == Target::Gpu {
            gpu::check()?;
        }
        Ok(Engine {
            options,
            cache: KernelCache::default(),
            scheduler,
            stats: SharedStats::default(),
        })
    }

    /// What it was made with.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// How many threads take part in large work.
    pub fn threads(&self) -> usize {
        self.scheduler.threads()
    }

    /// The target in words: `parallel (16 threads, guided schedule)`.
    pub fn describe(&self) -> String {
        let code = match self.code() {
            CpuCode::Interp => ", interpreted",
            CpuCode::Scalar => ", scalar code",
            CpuCode::Vector => "",
        };
        match self.options.target {
            Target::Cpu => format!("cpu (1 thread{code})"),
            Target::Gpu => gpu::describe(),
            Target::Parallel | Target::Auto => {
                let schedule = match self.options.schedule {
                    Schedule::Static => "static",
                    Schedule::Dynamic => "dynamic",
                    Schedule::Guided => "guided",
                };
                let n = self.threads();
                let s = if n == 1 { "" } else { "s" };
                format!("parallel ({n} thread{s}, {schedule} schedule{code})")
            }
        }
    }

    /// A view of how far the call under way is, for another thread to watch.
    pub fn progress(&self) -> Progress {
        self.scheduler.progress()
    }

    /// Totals so far. On a gpu, waits for what is under way.
    pub fn stats(&self) -> Stats {
        if self.options.target == Target::Gpu {
            gpu::settle(self);
        }
        self.stats.get()
    }

    /// The kernel of a specification, compiled at most once; for callers that run it many times.
    pub fn kernel(&self, program: &Program, spec: &KernelSpec) -> Result<Arc<Kernel>> {
        let options = CompileOptions {
            fast: self.options.fast,
        };
        self.cache.kernel(program, spec, options, &self.stats)
    }

    /// Runs an element-wise kernel over inputs broadcast to `shape`; fresh arrays come back. An index
    /// parameter is the element's position in C order.
    pub fn elementwise(
        &self,
        program: &Program,
        spec: &KernelSpec,
        inputs: &[Array],
        shape: &[usize],
        out_dtypes: &[DType],
    ) -> Result<Vec<Array>> {
        let kernel = self.kernel(program, spec)?;
        self.call(&kernel, inputs, shape, out_dtypes)
    }

    /// As [`Engine::elementwise`], with a kernel at hand.
    pub fn call(
        &self,
        kernel: &Kernel,
        inputs: &[Array],
        shape: &[usize],
        out_dtypes: &[DType],
    ) -> Result<Vec<Array>> {
        check_call(kernel, inputs, out_dtypes, Casting::No)?;
        if self.options.target == Target::Gpu {
            return gpu::elementwise(self, kernel, inputs, shape, out_dtypes);
        }
        let inputs = self.host_inputs(inputs)?;
        let strides = input_strides(&inputs, shape)?;
        let layouts: Few<Layout> = inputs
            .iter()
            .zip(&strides)
            .map(|(a, s)| Layout {
                strides: s,
                size: a.dtype().size(),
            })
            .collect();
        let mut outs = Vec::with_capacity(out_dtypes.len());
        for dtype in out_dtypes {
            let size = checked_size(shape, dtype.size())?;
            let buffer = HostBuffer::zeroed(size * dtype.size())?;
            let strides = matching_strides(shape, &layouts, dtype.size());
            let storage = Storage::Host(Arc::new(buffer));
            outs.push(Array::from_storage(storage, *dtype, shape, &strides, 0)?);
        }
        {
            let mut targets: Few<&mut Array> = outs.iter_mut().collect();
            self.run_host(kernel, &inputs, &strides, shape, &mut targets)?;
        }
        Ok(outs)
    }

    /// Runs an element-wise kernel into arrays that are there already, all of one shape, to which the
    /// inputs broadcast. Safe casts are made on the way out. An output whose memory another array
    /// shares (an input that is a view of it, say) gets memory of its own, so the inputs keep their
    /// elements whatever overlaps.
    pub fn elementwise_into(
        &self,
        program: &Program,
        spec: &KernelSpec,
        inputs: &[Array],
        outs: &mut [Array],
    ) -> Result<()> {
        let kernel = self.kernel(program, spec)?;
        self.call_into(&kernel, inputs, outs)
    }

    /// As [`Engine::elementwise_into`], with a kernel at hand.
    pub fn call_into(&self, kernel: &Kernel, inputs: &[Array], outs: &mut [Array]) -> Result<()> {
        let dtypes: Few<DType> = outs.iter().map(|o| o.dtype()).collect();
        check_call(kernel, inputs, &dtypes, Casting::Safe)?;
        if let Some(result) = self.call_flat(kernel, inputs, outs) {
            return result;
        }
        let Some(first) = outs.first() else {
            return Ok(());
        };
        let shape: Few<usize> = first.shape().into();
        if let Some(other) = outs.iter().find(|o| o.shape() != shape.as_slice()) {
            return Err(RuntimeError::shape(format!(
                "outputs of shapes {} and {} cannot be written by one call",
                format_shape(&shape),
                format_shape(other.shape())
            )));
        }
        if self.options.target == Target::Gpu {
            let dtypes = output_dtypes(kernel);
            let results = gpu::elementwise(self, kernel, inputs, &shape, &dtypes)?;
            for (out, result) in outs.iter_mut().zip(results) {
                out.assign(&[], &result)?;
            }
            return Ok(());
        }
        let inputs = self.host_inputs(inputs)?;
        let strides = input_strides(&inputs, &shape)?;
        // Results go to fresh memory where the old one is shared; it is swapped in at the end, so that
        // a failing call leaves such outputs as they were.
        let mut new: Few<Option<Array>> = Few::new();
        for out in outs.iter_mut() {
            let swap = !out.is_unique() || overlaps_itself(out);
            new.push(
                swap.then(|| Array::zeros(out.dtype(), &shape))
                    .transpose()?,
            );
        }
        {
            let mut targets: Few<&mut Array> = (outs.iter_mut().zip(&mut new))
                .map(|(out, new)| new.as_mut().unwrap_or(out))
                .collect();
            self.run_host(kernel, &inputs, &strides, &shape, &mut targets)?;
        }
        for (out, new) in outs.iter_mut().zip(new) {
            if let Some(new) = new {
                *out = new;
            }
        }
        Ok(())
    }

    /// Small work on simple operands, if that is what it is.
    fn call_flat(
        &self,
        kernel: &Kernel,
        inputs: &[Array],
        outs: &mut [Array],
    ) -> Option<Result<()>> {
        let [out] = outs else {
            return None;
        };
        let small = Scheduler::is_small(out.size(), self.ns_per_element(kernel));
        if !small || self.options.target == Target::Gpu || self.code() != CpuCode::Vector {
            return None;
        }
        flat::run(kernel, inputs, out, &self.stats)
    }

    /// Reduces what a kernel with one output computes to one value, without a temporary array.
    /// `dtype` is the kernel's output; the tree is fixed (see [`crate::reduce`]).
    pub fn reduce(
        &self,
        program: &Program,
        spec: &KernelSpec,
        inputs: &[Array],
        shape: &[usize],
        dtype: DType,
        op: ReduceOp,
    ) -> Result<Scalar> {
        let size = checked_size(shape, dtype.size())?;
        if self.options.target != Target::Gpu
            && let Some(input) = identity_of(spec)
            && let [array] = inputs
            && input == 0
            && array.dtype() == dtype
            // As bytes, bools may be other than 0 and 1.
            && dtype != DType::Bool
            && array.shape() == shape
        {
            let array = self.host_inputs(inputs)?.remove(0);
            if array.is_contiguous() {
                let start = Instant::now();
                let source = Source::Memory(&array);
                let value = reduce::reduce(&source, dtype, size, op, &self.scheduler)?;
                self.record(start, array.nbytes(), 0);
                return Ok(value);
            }
        }
        let kernel = self.kernel(program, spec)?;
        self.reduce_call(&kernel, inputs, shape, dtype, op)
    }

    /// As [`Engine::reduce`], with a kernel at hand.
    pub fn reduce_call(
        &self,
        kernel: &Kernel,
        inputs: &[Array],
        shape: &[usize],
        dtype: DType,
        op: ReduceOp,
    ) -> Result<Scalar> {
        let size = checked_size(shape, dtype.size())?;
        check_call(kernel, inputs, &[dtype], Casting::No)?;
        if self.options.target == Target::Gpu && size > 0 {
            return gpu::reduce(self, kernel, inputs, shape, dtype, op);
        }
        let inputs = self.host_inputs(inputs)?;
        let strides = input_strides(&inputs, shape)?;
        let mut operands: Few<Option<Operand>> = inputs
            .iter()
            .zip(&strides)
            .map(|(array, strides)| Some(input_operand(array, strides)))
            .collect();
        operands.push(None);
        // SAFETY: the inputs are arrays, whose elements lie inside their storage, and are kept alive.
        let execution = unsafe {
            Execution::bind(kernel, self.code(), shape, &operands, Order::C, &self.stats)?
        };
        let start = Instant::now();
        let source = Source::Map(&execution, self.ns_per_element(kernel));
        let value = reduce::reduce(&source, dtype, size, op, &self.scheduler)?;
        let bytes = inputs.iter().map(|a| a.nbytes()).sum();
        self.record(start, bytes, result_dtype(op, dtype).size());
        Ok(value)
    }

    fn run_host(
        &self,
        kernel: &Kernel,
        inputs: &[Cow<Array>],
        strides: &[Few<isize>],
        shape: &[usize],
        outs: &mut [&mut Array],
    ) -> Result<()> {
        let out_strides: Few<Few<isize>> = outs.iter().map(|o| o.strides().into()).collect();
        let mut operands: Few<Option<Operand>> = inputs
            .iter()
            .zip(strides)
            .map(|(array, strides)| Some(input_operand(array, strides)))
            .collect();
        let mut bytes_written = 0;
        for (out, strides) in outs.iter_mut().zip(&out_strides) {
            bytes_written += out.nbytes();
            let (dtype, offset) = (out.dtype(), out.offset());
            let buffer = out.make_mut()?;
            let (base, len) = (buffer.as_mut_ptr(), buffer.len());
            operands.push(Some(Operand {
                ptr: base.wrapping_add(offset),
                dtype,
                strides,
                memory: (base.addr(), base.addr() + len),
            }));
        }
        // SAFETY: arrays lie inside their storage; `make_mut` made each output the only owner of its
        // memory, so it overlaps neither the inputs nor another output; all are kept alive.
        let execution = unsafe {
            Execution::bind(
                kernel,
                self.code(),
                shape,
                &operands,
                Order::Any,
                &self.stats,
            )?
        };
        let start = Instant::now();
        let ns = self.ns_per_element(kernel);
        let grain = if kernel.has_loops { LOOP_GRAIN } else { GRAIN };
        self.scheduler.run(execution.size(), grain, ns, &|range| {
            // SAFETY: ranges do not overlap; every output has an operand.
            unsafe { execution.run(range, std::ptr::null_mut()) }
        })?;
        let bytes_read = inputs.iter().map(|a| a.nbytes()).sum();
        self.record(start, bytes_read, bytes_written);
        Ok(())
    }

    fn record(&self, start: Instant, bytes_read: usize, bytes_written: usize) {
        self.stats.add(&Stats {
            run: start.elapsed(),
            bytes_read: bytes_read as u64,
            bytes_written: bytes_written as u64,
            calls: 1,
            ..Stats::default()
        });
    }

    fn code(&self) -> CpuCode {
        if self.options.interp {
            CpuCode::Interp
        } else if self.options.scalar {
            CpuCode::Scalar
        } else {
            CpuCode::Vector
        }
    }

    /// Rough time per element on one core.
    fn ns_per_element(&self, kernel: &Kernel) -> f64 {
        let times = match self.code() {
            CpuCode::Interp => 50.0,
            CpuCode::Scalar => 1.0,
            CpuCode::Vector => 0.4,
        };
        kernel.ns_per_element * times
    }

    fn host_inputs<'a>(&self, inputs: &'a [Array]) -> Result<Few<Cow<'a, Array>>> {
        inputs
            .iter()
            .map(|array| {
                if array.is_host() {
                    return Ok(Cow::Borrowed(array));
                }
                let start = Instant::now();
                let host = array.to_host()?;
                self.stats.add(&Stats {
                    transfer: start.elapsed(),
                    ..Stats::default()
                });
                Ok(Cow::Owned(host))
            })
            .collect()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn input_strides(inputs: &[Cow<Array>], shape: &[usize]) -> Result<Few<Few<isize>>> {
    inputs.iter().map(|a| a.broadcast_strides(shape)).collect()
}

fn input_operand<'a>(array: &Array, strides: &'a [isize]) -> Operand<'a> {
    let Storage::Host(buffer) = array.storage() else {
        unreachable!("bug in kjit: inputs were brought to the host");
    };
    let base = buffer.as_ptr();
    Operand {
        ptr: base.wrapping_add(array.offset()).cast_mut(),
        dtype: array.dtype(),
        strides,
        memory: (base.addr(), base.addr() + buffer.len()),
    }
}

fn output_dtypes(kernel: &Kernel) -> Few<DType> {
    let outputs = kernel.function.arrays.iter();
    outputs
        .filter(|a| a.mode == ArrayMode::Out)
        .map(|a| a.dtype)
        .collect()
}

/// Do inputs and outputs fit the kernel, where inputs may be cast safely and outputs under `casting`?
fn check_call(
    kernel: &Kernel,
    inputs: &[Array],
    outputs: &[DType],
    casting: Casting,
) -> Result<()> {
    if let Some(fault) = &kernel.fault {
        return Err(RuntimeError::value(fault));
    }
    let arrays = &kernel.function.arrays;
    let of_mode = |mode: ArrayMode| arrays.iter().filter(move |a| a.mode == mode);
    for (word, mode, given) in [
        ("inputs", ArrayMode::In, inputs.len()),
        ("outputs", ArrayMode::Out, outputs.len()),
    ] {
        let wanted = of_mode(mode).count();
        if wanted != given {
            return Err(RuntimeError::value(format!(
                "{} takes {wanted} {word}, not {given}",
                kernel.function.name
            )));
        }
    }
    for (param, array) in of_mode(ArrayMode::In).zip(inputs) {
        let from = array.dtype();
        if !from.is_supported() || !can_cast(from, param.dtype, Casting::Safe) {
            return Err(RuntimeError::dtype(format!(
                "input `{}` of {} is {}, not {}",
                param.name, kernel.function.name, param.dtype, from
            ))
            .help(format!("convert it with `as {}`", param.dtype)));
        }
    }
    for (param, dtype) in of_mode(ArrayMode::Out).zip(outputs) {
        if !dtype.is_supported() || !can_cast(param.dtype, *dtype, casting) {
            return Err(RuntimeError::dtype(format!(
                "output `{}` of {} is {} and does not go into an array of {dtype}",
                param.name, kernel.function.name, param.dtype
            )));
        }
    }
    Ok(())
}

/// Do two of its elements share memory (or might they)?
fn overlaps_itself(array: &Array) -> bool {
    if array.size() == 0 {
        return false;
    }
    let mut axes: Few<(usize, usize)> = array
        .strides()
        .iter()
        .zip(array.shape())
        .filter(|(_, n)| **n > 1)
        .map(|(s, n)| (s.unsigned_abs(), *n))
        .collect();
    axes.sort_unstable();
    let mut reach = array.dtype().size();
    for (stride, extent) in axes {
        if stride < reach {
            return true;
        }
        reach += stride * (extent - 1);
    }
    false
}

/// The input that a specification passes on unchanged, if that is all it does.
fn identity_of(spec: &KernelSpec) -> Option<usize> {
    let KernelSpec::Fused(expr) = spec else {
        return None;
    };
    let [(node, 0)] = expr.outputs.as_slice() else {
        return None;
    };
    match expr.nodes.get(*node)?.op {
        FusedOp::Input(input) => Some(input),
        _ => None,
    }
}

/// What the engine asks of the device layer.
#[cfg(feature = "gpu")]
mod gpu {
    use super::{Array, DType, Engine, Kernel, ReduceOp, Result, Scalar};
    use crate::Stats;
    use crate::device::Device;

    pub(super) fn check() -> Result<()> {
        Device::global().map(|_| ())
    }

    pub(super) fn describe() -> String {
        match Device::global() {
            Ok(device) => format!("gpu ({})", device.name()),
            Err(_) => "gpu (missing)".to_string(),
        }
    }

    /// Waits for kernels under way and adds the time that this and downloads took. A failure here is
    /// one of the device, which the next use of it reports.
    pub(super) fn settle(engine: &Engine) {
        if let Ok(late) = Device::global().and_then(Device::settle) {
            engine.stats.add(&late);
        }
    }

    pub(super) fn elementwise(
        engine: &Engine,
        kernel: &Kernel,
        inputs: &[Array],
        shape: &[usize],
        out_dtypes: &[DType],
    ) -> Result<Vec<Array>> {
        let mut stats = Stats::default();
        let fast = engine.options.fast;
        let result = Device::global()?.elementwise(
            &kernel.function,
            inputs,
            shape,
            out_dtypes,
            fast,
            &mut stats,
        );
        engine.stats.add(&stats);
        result
    }

    pub(super) fn reduce(
        engine: &Engine,
        kernel: &Kernel,
        inputs: &[Array],
        shape: &[usize],
        dtype: DType,
        op: ReduceOp,
    ) -> Result<Scalar> {
        let mut stats = Stats::default();
        let fast = engine.options.fast;
        let result =
            Device::global()?.reduce(&kernel.function, inputs, shape, dtype, op, fast, &mut stats);
        engine.stats.add(&stats);
        result
    }
}

/// A build without the device layer.
#[cfg(not(feature = "gpu"))]
mod gpu {
    use super::{Array, DType, Engine, Kernel, ReduceOp, Result, RuntimeError, Scalar};

    pub(super) fn check() -> Result<()> {
        Err(
            RuntimeError::device("this build of kjit has no GPU support")
                .help("build it with the cargo feature `gpu`"),
        )
    }

    pub(super) fn describe() -> String {
        "gpu (not in this build)".to_string()
    }

    pub(super) fn settle(_: &Engine) {}

    pub(super) fn elementwise(
        _: &Engine,
        _: &Kernel,
        _: &[Array],
        _: &[usize],
        _: &[DType],
    ) -> Result<Vec<Array>> {
        check().map(|()| Vec::new())
    }

    pub(super) fn reduce(
        _: &Engine,
        _: &Kernel,
        _: &[Array],
        _: &[usize],
        _: DType,
        _: ReduceOp,
    ) -> Result<Scalar> {
        check().map(|()| Scalar::zero(DType::I64))
    }
}
