//! The engine: runs kernels over arrays on a target.

use crate::array::Storage;
use crate::broadcast::checked_size;
use crate::cache::{Kernel, KernelCache};
use crate::exec::{Execution, Operand};
use crate::fpe::{FpeMode, FpeReport};
use crate::launch::{Input, Output, check_call, dtypes_of};
use crate::nest::{Few, Order};
use crate::reduce::{self, Source, result_dtype};
use crate::schedule::{Progress, Scheduler};
use crate::stats::SharedStats;
use crate::{Array, Casting, CompileOptions, KernelSpec, Program, Result, RuntimeError, Stats};
use kjit_driver::{CpuCode, Isa, Profile};
use kjit_ir::{DType, FusedOp, Scalar};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
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
    /// Vector instructions to make code of; by default what `KJIT_ISA` names, or else [`Isa::preferred`].
    pub isa: Option<Isa>,
    /// Make scalar machine code only.
    pub scalar: bool,
    /// What becomes of status flags: divisions by zero, invalid operations, overflows.
    pub fpe: FpeMode,
    /// Who is told the names of kernels, for the whole process, from now on; by default those that `KJIT_PROFILE` names.
    pub profile: Option<Profile>,
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

impl ReduceOp {
    /// What array programs call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            ReduceOp::Sum => "sum",
            ReduceOp::Min => "min",
            ReduceOp::Max => "max",
            ReduceOp::ArgMin => "argmin",
            ReduceOp::ArgMax => "argmax",
        }
    }
}

/// Runs kernels over arrays; shared freely between threads.
pub struct Engine {
    pub(crate) options: EngineOptions,
    pub(crate) cache: KernelCache,
    pub(crate) scheduler: Scheduler,
    pub(crate) stats: SharedStats,
    pub(crate) warnings: Mutex<Vec<String>>,
    isa: Isa,
    number: u64,
}

/// The instructions asked for, if this machine has them.
fn isa(wanted: Option<Isa>) -> Result<Isa> {
    let isa = match (wanted, std::env::var("KJIT_ISA")) {
        (Some(isa), _) => isa,
        (None, Ok(name)) if !name.is_empty() => Isa::from_name(&name).ok_or_else(|| {
            let names = Isa::ALL.map(Isa::name).join(", ");
            RuntimeError::value(format!("KJIT_ISA is `{name}`"))
                .help(format!("it names vector instructions: {names}"))
        })?,
        _ => Isa::preferred(),
    };
    if isa.is_available() {
        return Ok(isa);
    }
    let others = Isa::ALL.into_iter().filter(|isa| isa.is_available());
    let others: Vec<&str> = others.map(Isa::name).collect();
    Err(
        RuntimeError::device(format!("this machine has no {} instructions", isa.name()))
            .help(format!("it has {}", others.join(", "))),
    )
}

/// Tells profilers of kernels made from now on, if that is asked for.
fn enable_profile(wanted: Option<Profile>) -> Result<()> {
    let profile = match (wanted, std::env::var("KJIT_PROFILE")) {
        (Some(profile), _) => profile,
        (None, Ok(names)) => Profile::from_names(&names).map_err(|_| {
            RuntimeError::value(format!("KJIT_PROFILE is `{names}`"))
                .help("it names who is told of kernels: perf, gdb, or both as perf,gdb")
        })?,
        (None, Err(_)) => return Ok(()),
    };
    profile.enable().map_err(|why| {
        RuntimeError::device(format!("the names of kernels cannot be told: {why}"))
            .help("leave KJIT_PROFILE and EngineOptions::profile out")
    })
}

/// Engines made so far.
static ENGINES: AtomicU64 = AtomicU64::new(0);

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
        let isa = isa(options.isa)?;
        enable_profile(options.profile)?;
        Ok(Engine {
            isa,
            options,
            cache: KernelCache::default(),
            scheduler,
            stats: SharedStats::default(),
            warnings: Mutex::default(),
            number: ENGINES.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// What it was made with.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// A number that no other engine of the process has.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The vector instructions that code is made of.
    pub fn isa(&self) -> Isa {
        self.isa
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
            CpuCode::Vector(isa) | CpuCode::Stream(isa) => &format!(", {}-bit SIMD", isa.bits()),
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
        self.kernel_flagged(program, spec, false)
    }

    /// As [`Engine::kernel`], with an output of status flags if that is asked for.
    pub(crate) fn kernel_flagged(
        &self,
        program: &Program,
        spec: &KernelSpec,
        flags: bool,
    ) -> Result<Arc<Kernel>> {
        let options = CompileOptions {
            fast: self.options.fast,
            fpe: flags,
        };
        self.cache.kernel(program, spec, options, &self.stats)
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
        if self.options.fpe != FpeMode::Ignore {
            self.judge_reduction(program, spec, inputs, shape, dtype, op)?;
        }
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

    /// Looks for the status flags of what is reduced, then for those of its sum.
    fn judge_reduction(
        &self,
        program: &Program,
        spec: &KernelSpec,
        inputs: &[Array],
        shape: &[usize],
        dtype: DType,
        op: ReduceOp,
    ) -> Result<()> {
        let mode = self.options.fpe;
        let kernel = self.kernel_flagged(program, spec, true)?;
        check_call(&kernel, &dtypes_of(inputs), &[dtype], Casting::No)?;
        let inputs: Few<Input> = inputs.iter().map(Input::Array).collect();
        let (rules, mut outs) = ((Casting::No, Casting::No), [Output::New(dtype)]);
        let (new, report) =
            self.launch(&kernel, &inputs, shape, &mut outs, rules, FpeMode::Warn)?;
        let name = match spec {
            KernelSpec::Ufunc { name, .. } => name,
            _ => &kernel.function.name,
        };
        self.judge(name, &report, mode)?;
        if let (ReduceOp::Sum, Some(mapped)) = (op, new.into_iter().flatten().next()) {
            let flags = reduce::flags_of_sum(&mapped.to_host()?.to_contiguous()?)?;
            let flags = Array::scalar(Scalar::int(DType::U8, flags as i128));
            self.judge("sum", &FpeReport::of(&flags)?, mode)?;
        }
        Ok(())
    }

    /// As [`Engine::reduce`], with a kernel at hand. Status flags are not looked for.
    pub fn reduce_call(
        &self,
        kernel: &Kernel,
        inputs: &[Array],
        shape: &[usize],
        dtype: DType,
        op: ReduceOp,
    ) -> Result<Scalar> {
        let size = checked_size(shape, dtype.size())?;
        check_call(kernel, &dtypes_of(inputs), &[dtype], Casting::No)?;
        if self.options.target == Target::Gpu && size > 0 {
            return gpu::reduce(self, kernel, inputs, shape, dtype, op);
        }
        let inputs = self.host_inputs(inputs)?;
        if self.code() != CpuCode::Interp
            && op == ReduceOp::Sum
            && let Some(source) = Source::products(kernel, &inputs, shape, dtype)
        {
            let start = Instant::now();
            let value = reduce::reduce(&source, dtype, size, op, &self.scheduler)?;
            let bytes = inputs.iter().map(|a| a.nbytes()).sum();
            self.record(start, bytes, result_dtype(op, dtype).size());
            return Ok(value);
        }
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

    /// For each row of `n` elements of a host array in C order, the index of its extreme.
    pub(crate) fn arg_extremes(&self, array: &Array, n: usize, op: ReduceOp) -> Result<Vec<i64>> {
        let start = Instant::now();
        let found = reduce::arg_extremes(array, n, op, &self.scheduler)?;
        self.record(start, array.nbytes(), found.len() * size_of::<i64>());
        Ok(found)
    }

    pub(crate) fn record(&self, start: Instant, bytes_read: usize, bytes_written: usize) {
        self.stats.add(&Stats {
            run: start.elapsed(),
            bytes_read: bytes_read as u64,
            bytes_written: bytes_written as u64,
            calls: 1,
            ..Stats::default()
        });
    }

    pub(crate) fn code(&self) -> CpuCode {
        if self.options.interp {
            CpuCode::Interp
        } else if self.options.scalar {
            CpuCode::Scalar
        } else {
            CpuCode::Vector(self.isa)
        }
    }

    /// Rough time per element on one core.
    pub(crate) fn ns_per_element(&self, kernel: &Kernel) -> f64 {
        let times = match self.code() {
            CpuCode::Interp => 50.0,
            CpuCode::Scalar => 1.0,
            CpuCode::Vector(Isa::Sse) => 0.4,
            CpuCode::Vector(_) | CpuCode::Stream(_) => 0.2,
        };
        kernel.ns_per_element * times
    }

    pub(crate) fn host_inputs<'a>(&self, inputs: &'a [Array]) -> Result<Few<Cow<'a, Array>>> {
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

pub(crate) fn input_operand<'a>(array: &Array, strides: &'a [isize]) -> Operand<'a> {
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
pub(crate) mod gpu {
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

    pub(crate) fn elementwise(
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
pub(crate) mod gpu {
    use super::{Array, DType, Engine, Kernel, ReduceOp, Result, Scalar};
    use crate::RuntimeError;

    pub(crate) fn check() -> Result<()> {
        Err(
            RuntimeError::device("this build of kjit has no GPU support")
                .help("build it with the cargo feature `gpu`"),
        )
    }

    pub(super) fn describe() -> String {
        "gpu (not in this build)".to_string()
    }

    pub(super) fn settle(_: &Engine) {}

    pub(crate) fn elementwise(
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
