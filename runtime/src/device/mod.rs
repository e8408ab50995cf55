//! The GPU: kernels as shaders on one device of this machine, through wgpu on Vulkan.
//!
//! [`Device::global`] opens the device once, when something first asks for it: the adapter that
//! `KJIT_DEVICE` names (an index or a part of its name), else the best one there is. Arrays that a call
//! returns stay on the device; host arrays are uploaded for the call.
//!
//! | file | what it knows |
//! | --- | --- |
//! | `adapter` | which devices there are, and which one to take |
//! | `guard` | how every failure of wgpu (error, panic, lost device) becomes a [`crate::RuntimeError`] |
//! | `buffer` | memory: pool, upload, download |
//! | `backlog` | launches that nobody has waited for yet |
//! | `pieces` | arrays that do not fit: one part after the other |
//! | `shader` | from WGSL to a pipeline, strict arithmetic, pipeline cache |
//! | `spirv` | the patch that makes SPIR-V strict |
//! | `operand` | how an array is bound: access class, strides, byte ranges |
//! | `launch` | windows, dispatch grids, parameters, status |
//! | `gufunc` | kernels with core dimensions |
//! | `reduce` | passes of a reduction |
//! | `combine` | the kernels of the reductions there are names for |
//!
//! Strict arithmetic is kept by patching SPIR-V where the adapter takes SPIR-V as it is, else by
//! barriers in the text. Nothing falls back to another target silently: what the device lacks is an
//! error that names it.

mod adapter;
mod backlog;
mod buffer;
mod combine;
mod guard;
mod gufunc;
mod launch;
mod operand;
mod pieces;
mod reduce;
mod shader;
mod spirv;

#[cfg(test)]
mod tests;

pub use adapter::{AdapterReport, DeviceReport};
pub use buffer::DeviceBuffer;
pub use gufunc::GufuncOut;

use crate::reduce::{Source, reduce as reduce_on_host};
use crate::schedule::Scheduler;
use crate::{Array, ErrorKind, ReduceOp, Result, RuntimeError, Stats};
use guard::Health;
use kjit_driver::wgsl::{Features, StrictMode};
use kjit_ir::passes::lower_numbers;
use kjit_ir::{Access, ArrayMode, ArrayParam, DType, Function, FunctionBuilder, Scalar};
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

/// The iterations that a software device can be trusted with: it stops silently at 65535.
const SOFTWARE_LOOP_LIMIT: u32 = 65_000;

/// An open device.
pub struct Device(Arc<Shared>);

/// What buffers and launches share.
struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    name: String,
    limits: wgpu::Limits,
    features: Features,
    /// SPIR-V is taken as it is.
    passthrough: bool,
    strict: StrictMode,
    loop_limit: Option<u32>,
    health: Health,
    pool: buffer::Pool,
    backlog: backlog::Backlog,
    pipelines: shader::PipelineCache,
    shaders: shader::ShaderCache,
}

impl Device {
    /// The device of this process, opened when first asked for.
    pub fn global() -> Result<&'static Device> {
        static GLOBAL: OnceLock<Result<Device>> = OnceLock::new();
        GLOBAL
            .get_or_init(|| Device::open(adapter::selector().as_deref(), None))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Which devices there are, and which one [`Device::global`] takes (or why none).
    pub fn describe() -> DeviceReport {
        adapter::describe(adapter::selector().as_deref())
    }

    /// Opens the device that a selector names, else the best one. `strict` is for tests; by default
    /// the best mode that the adapter supports is taken.
    pub(crate) fn open(selector: Option<&str>, strict: Option<StrictMode>) -> Result<Device> {
        guard::no_panic("opening the device", || {
            let adapter = adapter::choose(selector)?;
            let info = adapter.get_info();
            let wanted = wgpu::Features::SHADER_F64
                | wgpu::Features::SHADER_INT64
                | wgpu::Features::PASSTHROUGH_SHADERS;
            let features = adapter.features() & wanted;
            let limits = adapter.limits();
            let request = adapter.request_device(&wgpu::DeviceDescriptor {
                label: Some("kjit"),
                required_features: features,
                required_limits: limits.clone(),
                ..Default::default()
            });
            let (device, queue) = pollster::block_on(request).map_err(|e| {
                RuntimeError::device(format!("cannot open device {}: {e}", info.name))
            })?;
            let passthrough = features.contains(wgpu::Features::PASSTHROUGH_SHADERS);
            let health = Health::watch(&device);
            Ok(Device(Arc::new(Shared {
                strict: strict.unwrap_or(if passthrough {
                    StrictMode::Patch
                } else {
                    StrictMode::Barrier
                }),
                features: Features {
                    f64: features.contains(wgpu::Features::SHADER_F64),
                    i64: features.contains(wgpu::Features::SHADER_INT64),
                },
                passthrough,
                loop_limit: adapter::stops_loops(&info).then_some(SOFTWARE_LOOP_LIMIT),
                name: info.name,
                limits,
                device,
                queue,
                health,
                pool: buffer::Pool::default(),
                backlog: backlog::Backlog::default(),
                pipelines: shader::PipelineCache::default(),
                shaders: shader::ShaderCache::default(),
            })))
        })
    }

    /// The adapter's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Waits for everything that is under way; gives the time that waiting and downloading took since
    /// this was last asked for, outside of calls that were given statistics.
    pub fn settle(&self) -> Result<Stats> {
        self.0.settle()?;
        Ok(self.0.backlog.take_late())
    }

    /// Runs a scalar-form kernel for every element of `shape`: inputs broadcast to it (and are cast
    /// safely), an index parameter is the element's position in C order, outputs are new C-ordered
    /// device arrays. Where those or the inputs do not fit the device, the work is done in pieces and
    /// the outputs are host arrays.
    pub fn elementwise(
        &self,
        kernel: &Function,
        inputs: &[Array],
        shape: &[usize],
        out_dtypes: &[DType],
        fast: bool,
        stats: &mut Stats,
    ) -> Result<Vec<Array>> {
        stats.calls += 1;
        self.map(kernel, inputs, shape, out_dtypes, fast, stats)
    }

    /// As [`Device::elementwise`], uncounted.
    fn map(
        &self,
        kernel: &Function,
        inputs: &[Array],
        shape: &[usize],
        out_dtypes: &[DType],
        fast: bool,
        stats: &mut Stats,
    ) -> Result<Vec<Array>> {
        let inputs = &*self.converted(kernel, inputs, stats)?;
        launch::check(kernel, inputs, out_dtypes)?;
        for input in inputs {
            input.broadcast_strides(shape)?;
        }
        if shape.contains(&0) {
            return out_dtypes.iter().map(|d| Array::zeros(*d, shape)).collect();
        }
        let outs = match self.place(inputs, shape, out_dtypes, stats) {
            Ok((nest, outs)) => {
                launch::elementwise(&self.0, kernel, nest, 0, fast, stats)?;
                outs
            }
            // Memory is the one limit that placing meets.
            Err(e) if e.kind == ErrorKind::Limit => {
                self.in_pieces(kernel, inputs, shape, out_dtypes, fast, stats)?
            }
            Err(e) => return Err(e),
        };
        stats.bytes_read += inputs.iter().map(|a| a.nbytes() as u64).sum::<u64>();
        stats.bytes_written += outs.iter().map(|a| a.nbytes() as u64).sum::<u64>();
        Ok(outs)
    }

    /// Makes outputs, and brings inputs to the device.
    fn place(
        &self,
        inputs: &[Array],
        shape: &[usize],
        out_dtypes: &[DType],
        stats: &mut Stats,
    ) -> Result<(operand::Nest, Vec<Array>)> {
        let mut outs = Vec::with_capacity(out_dtypes.len());
        for dtype in out_dtypes {
            let size = crate::broadcast::checked_size(shape, dtype.size())?;
            let buffer = self.0.allocate(size * dtype.size())?;
            outs.push(Array::from_device(Arc::new(buffer), *dtype, shape)?);
        }
        let nest = operand::Nest::new(&self.0, inputs, &outs, shape, stats)?;
        Ok((nest, outs))
    }

    /// The inputs in the kernel's dtypes, cast on the device where they have others: which casts are allowed is for
    /// the caller to say.
    fn converted<'a>(
        &self,
        kernel: &Function,
        inputs: &'a [Array],
        stats: &mut Stats,
    ) -> Result<Cow<'a, [Array]>> {
        let wanted = launch::dtypes(kernel, ArrayMode::In);
        let same = |(to, a): (&DType, &Array)| *to == a.dtype();
        if wanted.len() != inputs.len() || wanted.iter().zip(inputs).all(same) {
            return Ok(Cow::Borrowed(inputs));
        }
        let cast = |(array, to): (&Array, &DType)| {
            if array.dtype() == *to {
                return Ok(array.clone());
            }
            let kernel = cast_kernel(array.dtype(), *to);
            let array = std::slice::from_ref(array);
            Ok(self
                .map(&kernel, array, array[0].shape(), &[*to], false, stats)?
                .remove(0))
        };
        inputs.iter().zip(&wanted).map(cast).collect()
    }

    /// Reduces what a kernel with one output computes to one value, on the tree of [`crate::reduce`].
    #[expect(
        clippy::too_many_arguments,
        reason = "the engine's own arguments and no more"
    )]
    pub fn reduce(
        &self,
        kernel: &Function,
        inputs: &[Array],
        shape: &[usize],
        dtype: DType,
        op: ReduceOp,
        fast: bool,
        stats: &mut Stats,
    ) -> Result<Scalar> {
        let size = crate::broadcast::checked_size(shape, dtype.size())?;
        let inputs = &*self.converted(kernel, inputs, stats)?;
        for input in inputs {
            input.broadcast_strides(shape)?;
        }
        if size == 0 {
            stats.calls += 1;
            let none = Array::zeros(dtype, &[0])?;
            return reduce_on_host(&Source::Memory(&none), dtype, 0, op, &Scheduler::single());
        }
        let all: Vec<usize> = (0..shape.len()).collect();
        let arg = matches!(op, ReduceOp::ArgMin | ReduceOp::ArgMax);
        // Indices, and sums of integers, are 64 bits wide.
        let whole = dtype.is_int() || dtype == DType::Bool;
        let wide = arg || (op == ReduceOp::Sum && whole);
        if dtype == DType::F16 && (!wide || self.0.features.i64) {
            // Every f16 is an f32, in the same order; and sums are f32 until the end.
            let mapped;
            let inputs = match combine::copies(kernel) {
                true => inputs,
                false => {
                    mapped = self.map(kernel, inputs, shape, &[dtype], fast, stats)?;
                    &mapped
                }
            };
            let wider = cast_kernel(DType::F16, DType::F32);
            let value = self.reduce(&wider, inputs, shape, DType::F32, op, fast, stats)?;
            return Ok(if arg {
                value
            } else {
                Scalar::f16(value.to_f64())
            });
        }
        // The first of several complex numbers that are equal or NaN depends on their order.
        if (wide && !self.0.features.i64) || (op != ReduceOp::Sum && dtype.is_complex()) {
            stats.calls += 1;
            let mapped = self.map(kernel, inputs, shape, &[dtype], fast, stats)?;
            let mapped = mapped[0].to_contiguous()?;
            let start = std::time::Instant::now();
            let source = Source::Memory(&mapped);
            let value = reduce_on_host(&source, dtype, size, op, &Scheduler::single());
            stats.run += start.elapsed();
            return value;
        }
        let result = if arg {
            stats.calls += 1;
            let mapped;
            let mut inputs = inputs;
            if !combine::copies(kernel) {
                mapped = self.map(kernel, inputs, shape, &[dtype], fast, stats)?;
                inputs = &mapped;
            }
            let (map, combine) = combine::arg_extreme(dtype, op == ReduceOp::ArgMax);
            self.reduce_all(&map, &combine, inputs, shape, &all, fast, stats)?
                .remove(1)
        } else {
            let combine = lower_numbers(combine::named(op, dtype));
            self.reduce_axes(Some(kernel), &combine, inputs, shape, &all, fast, stats)?
        };
        result.to_host()?.item()
    }
}

/// The kernel that copies an array.
fn copy_kernel(dtype: DType) -> Function {
    cast_kernel(dtype, dtype)
}

/// The kernel that converts an array.
fn cast_kernel(from: DType, to: DType) -> Function {
    let param = |name: &str, dtype, mode| ArrayParam::new(name, dtype, mode, Access::Strided);
    let mut b = FunctionBuilder::new(format!("cast.{from}.{to}"));
    let x = b.array(param("x", from, ArrayMode::In));
    let y = b.array(param("y", to, ArrayMode::Out));
    let value = b.load(x);
    let value = b.cast(value, to);
    b.store(y, value);
    lower_numbers(b.ret(&[]))
}
