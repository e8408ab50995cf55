//! Launches: the shader for the operands at hand, windows over binding limits, dispatch grids,
//! parameters, status.

use super::Shared;
use super::buffer::DeviceBuffer;
use super::operand::{Nest, Operand};
use super::shader::Pipeline;
use crate::{Array, Result, RuntimeError, Stats};
use kjit_driver::CompileError;
use kjit_driver::wgsl::{ParamsLayout, Reduction, Shader, WgslOptions};
use kjit_ir::target::BackendError;
use kjit_ir::{Access, ArrayMode, DType, Function};
use std::sync::Arc;
use std::time::Instant;

/// Windows start at multiples of this many elements: whole leaves of a reduction, and aligned bindings
/// of elements and of partial results.
const WINDOW_GRAIN: usize = 1 << 14;
/// Elements of the largest window: indices of elements and invocations stay within 32 bits.
const MAX_WINDOW: usize = 1 << 30;
/// Bytes of a binding that may go to alignment.
const SLACK: u64 = 512;

/// Do the arrays fit the kernel?
pub(super) fn check(kernel: &Function, inputs: &[Array], out_dtypes: &[DType]) -> Result<()> {
    let params = |mode| kernel.arrays.iter().filter(move |a| a.mode == mode);
    // Operands are matched by their order: inputs, then outputs.
    let fits = kernel.arrays.is_sorted_by_key(|a| a.mode == ArrayMode::Out)
        && params(ArrayMode::InOut).next().is_none()
        && params(ArrayMode::In)
            .map(|a| a.dtype)
            .eq(inputs.iter().map(|a| a.dtype()))
        && params(ArrayMode::Out)
            .map(|a| a.dtype)
            .eq(out_dtypes.iter().copied());
    if fits {
        Ok(())
    } else {
        Err(RuntimeError::internal(format!(
            "bug in kjit: kernel {} was called with arrays that it does not take",
            kernel.name
        )))
    }
}

/// Runs a kernel for every element of a nest (at least one); its index parameter counts from `base`.
pub(super) fn elementwise(
    shared: &Arc<Shared>,
    kernel: &Function,
    nest: Nest,
    base: usize,
    fast: bool,
    stats: &mut Stats,
) -> Result<()> {
    let mut launch = Launch::new(shared, kernel, nest, None, fast, stats)?;
    launch.base = base;
    launch.run(None, stats)
}

/// The partial results of a reduction, on the host: their bytes and dtype.
pub(super) struct Partials {
    pub(super) bytes: crate::HostBuffer,
    pub(super) dtype: DType,
}

/// Runs a kernel with one output for every element of `shape` (at least one); gives partial results.
pub(super) fn partials(
    shared: &Arc<Shared>,
    kernel: &Function,
    inputs: &[Array],
    shape: &[usize],
    reduction: Reduction,
    fast: bool,
    stats: &mut Stats,
) -> Result<Partials> {
    let nest = Nest::new(shared, inputs, &[], shape, stats)?;
    let n = nest.size;
    let launch = Launch::new(shared, kernel, nest, Some(reduction), fast, stats)?;
    let Some((_, dtype)) = launch.shader.partials else {
        return Err(RuntimeError::internal(
            "a reduction without partial results",
        ));
    };
    let (leaf, lanes) = (Reduction::LEAF as usize, Reduction::LANES as usize);
    let len = (n / leaf * lanes + (n % leaf).min(lanes)) * dtype.size();
    // Invocations of absent lanes store nothing, so this is all that is written.
    let buffer = shared.allocate(len)?;
    launch.run(Some(&buffer), stats)?;
    stats.bytes_read += inputs.iter().map(|a| a.nbytes() as u64).sum::<u64>();
    shared.settle()?;
    let start = Instant::now();
    let bytes = shared.download(buffer.raw(), len)?;
    stats.transfer += start.elapsed();
    Ok(Partials { bytes, dtype })
}

/// A shader and what it runs over.
struct Launch<'a> {
    shared: &'a Arc<Shared>,
    kernel: &'a Function,
    shader: Shader,
    pipeline: Arc<Pipeline>,
    nest: Nest,
    /// Index of the nest's first element, for index parameters.
    base: usize,
}

/// A part of a buffer.
struct Binding<'b> {
    buffer: &'b DeviceBuffer,
    start: u64,
    len: u64,
    /// Elements from the start of the part to element zero of the window (of the nest, for operands
    /// that are bound as a whole).
    offset: i64,
}

impl<'a> Launch<'a> {
    fn new(
        shared: &'a Arc<Shared>,
        kernel: &'a Function,
        nest: Nest,
        reduce: Option<Reduction>,
        fast: bool,
        stats: &mut Stats,
    ) -> Result<Launch<'a>> {
        let start = Instant::now();
        let operands = &mut nest.operands.iter().map(|o| o.access);
        let access: Vec<Access> = kernel
            .arrays
            .iter()
            .map(|a| match a.mode {
                ArrayMode::Index => Access::Contiguous,
                _ => operands.next().unwrap_or(Access::Contiguous),
            })
            .collect();
        let strided = access.contains(&Access::Strided);
        if strided && nest.size > u32::MAX as usize {
            return Err(RuntimeError::limit(format!(
                "{} elements are too many for views that are not contiguous on device {}",
                nest.size, shared.name
            ))
            .help("make the arrays contiguous, or use target cpu or parallel"));
        }
        let options = WgslOptions {
            fast,
            strict: shared.strict,
            rank: if strided { nest.shape.len() } else { 1 },
            features: shared.features,
            loop_limit: shared.loop_limit,
            reduce,
            workgroup: 256.min(shared.limits.max_compute_invocations_per_workgroup),
        };
        let shader = kjit_driver::compile_wgsl(kernel, &access, &options).map_err(|e| match e {
            CompileError::Backend(BackendError::Unsupported(what)) => {
                RuntimeError::dtype(format!("device {} cannot run this: {what}", shared.name))
                    .help("use target cpu or parallel")
            }
            other => other.into(),
        })?;
        stats.compile += start.elapsed();
        let pipeline = shared.pipeline(&shader, stats)?;
        Ok(Launch {
            shared,
            kernel,
            shader,
            pipeline,
            nest,
            base: 0,
        })
    }

    /// Elements of a window: as many as the bindings of its contiguous operands allow.
    fn window(&self) -> usize {
        let limit = self.shared.limits.max_storage_buffer_binding_size - SLACK;
        let widest = self
            .nest
            .operands
            .iter()
            .filter(|o| o.access == Access::Contiguous)
            .map(|o| o.dtype.size() as u64)
            .max()
            .unwrap_or(1);
        let elements = usize::try_from(limit / widest).unwrap_or(MAX_WINDOW);
        (elements.min(MAX_WINDOW) / WINDOW_GRAIN).max(1) * WINDOW_GRAIN
    }

    /// Launches all windows. Kernels that report are waited for; others are in the queue afterwards.
    fn run(&self, partials: Option<&DeviceBuffer>, stats: &mut Stats) -> Result<()> {
        let start = Instant::now();
        let status = match self.shader.status_binding {
            Some(_) => Some(self.shared.allocate(8)?),
            None => None,
        };
        let mut params = Vec::new();
        let size = self.nest.size;
        let window = self.window();
        for first in (0..size).step_by(window) {
            params.push(self.shared.allocate(self.shader.params.words * 4)?);
            debug_assert!(first % WINDOW_GRAIN == 0);
        }
        self.shared.guarded("running a kernel", || {
            let mut encoder = self
                .shared
                .device
                .create_command_encoder(&Default::default());
            if let Some(status) = &status {
                encoder.clear_buffer(status.raw(), 0, Some(8));
            }
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                pass.set_pipeline(&self.pipeline.pipeline);
                for (first, params) in (0..size).step_by(window).zip(&params) {
                    let n = window.min(size - first);
                    let group = self.bind(first, n, params, partials, status.as_ref())?;
                    pass.set_bind_group(0, &group, &[]);
                    let (x, y) = self.grid(n)?;
                    pass.dispatch_workgroups(x, y, 1);
                }
            }
            let submission = self.shared.queue.submit([encoder.finish()]);
            match status {
                Some(_) => self.shared.wait(Some(submission)),
                None => self.shared.launched(),
            }
        })?;
        stats.run += start.elapsed();
        match status {
            Some(status) => self.report(&status),
            None => Ok(()),
        }
    }

    /// Workgroups along x and y: more than one dimension takes are folded.
    fn grid(&self, n: usize) -> Result<(u32, u32)> {
        let max = self.shared.limits.max_compute_workgroups_per_dimension as u64;
        let groups = self
            .shader
            .invocations(n as u64)
            .div_ceil(self.shader.workgroup as u64);
        let y = groups.div_ceil(max);
        let x = groups.div_ceil(y);
        match (u32::try_from(x), u32::try_from(y)) {
            (Ok(x), Ok(y)) if y as u64 <= max => Ok((x, y)),
            _ => Err(RuntimeError::limit(format!(
                "{n} elements are too many for one launch on device {}",
                self.shared.name
            ))),
        }
    }

    /// The bind group of the window of `n` elements from `first` on; fills in its parameters.
    fn bind(
        &self,
        first: usize,
        n: usize,
        params: &DeviceBuffer,
        partials: Option<&DeviceBuffer>,
        status: Option<&DeviceBuffer>,
    ) -> Result<wgpu::BindGroup> {
        let layout = &self.shader.params;
        let mut words = vec![0u32; layout.words];
        words[ParamsLayout::N] = n as u32;
        words[ParamsLayout::FIRST] = first as u32;
        let index = (self.base + first) as u64;
        words[ParamsLayout::BASE] = index as u32;
        words[ParamsLayout::BASE + 1] = (index >> 32) as u32;
        if let Some(at) = layout.shape {
            for (word, extent) in words[at..].iter_mut().zip(&self.nest.shape) {
                *word = *extent as u32;
            }
        }
        let mut bindings = Vec::new();
        for (array, operand) in self.shader.arrays.iter().zip(&self.nest.operands) {
            let binding = self.part(operand, first, n)?;
            words[array.params.offset] = binding.offset as u32;
            if let Some(at) = array.params.strides {
                for (word, stride) in words[at..].iter_mut().zip(&operand.strides) {
                    *word = *stride as u32;
                }
            }
            bindings.push((array.binding, binding));
        }
        let whole = |buffer, len: usize| Binding {
            buffer,
            start: 0,
            len: len as u64,
            offset: 0,
        };
        if let (Some((at, dtype)), Some(buffer)) = (self.shader.partials, partials) {
            let lanes = (Reduction::LANES * dtype.size() as u32) as u64;
            let start = (first as u64 / Reduction::LEAF as u64) * lanes;
            let end = (start + (n as u64).div_ceil(Reduction::LEAF as u64) * lanes)
                .min(buffer.raw().size());
            let binding = Binding {
                buffer,
                start,
                len: end - start,
                offset: 0,
            };
            bindings.push((at, binding));
        }
        bindings.push((self.shader.params_binding, whole(params, layout.words * 4)));
        if let (Some(at), Some(buffer)) = (self.shader.status_binding, status) {
            bindings.push((at, whole(buffer, 8)));
        }
        self.shared
            .queue
            .write_buffer(params.raw(), 0, bytemuck::cast_slice(&words));
        let entries: Vec<_> = bindings
            .iter()
            .map(|(binding, part)| wgpu::BindGroupEntry {
                binding: *binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: part.buffer.raw(),
                    offset: part.start,
                    size: std::num::NonZeroU64::new(part.len),
                }),
            })
            .collect();
        Ok(self
            .shared
            .device
            .create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &self.pipeline.layout,
                entries: &entries,
            }))
    }

    /// The part of an operand's buffer that a window touches.
    fn part<'b>(&self, operand: &'b Operand, first: usize, n: usize) -> Result<Binding<'b>> {
        let size = operand.dtype.size() as i64;
        // The first and one past the last byte that are touched, and element zero's.
        let (low, high, zero) = match operand.access {
            Access::Contiguous => {
                let start = operand.offset as i64 + first as i64 * size;
                (start, start + n as i64 * size, start)
            }
            Access::Uniform => {
                let start = operand.offset as i64;
                (start, start + size, start)
            }
            Access::Strided => {
                let (low, high) = self.nest.extent(operand);
                let zero = operand.offset as i64;
                (zero + low * size, zero + (high + 1) * size, zero)
            }
        };
        let alignment = self
            .shared
            .limits
            .min_storage_buffer_offset_alignment
            .max(8) as i64;
        let start = low / alignment * alignment;
        let len = (high - start + 3) / 4 * 4;
        let limit = self.shared.limits.max_storage_buffer_binding_size;
        if len as u64 > limit {
            return Err(RuntimeError::limit(format!(
                "a view that is not contiguous spans {len} bytes, more than the {limit} that a kernel sees at a time on device {}",
                self.shared.name
            ))
            .help("make the array contiguous first, or use target cpu or parallel"));
        }
        Ok(Binding {
            buffer: operand.memory.buffer()?,
            start: start as u64,
            len: len as u64,
            offset: (zero - start) / size,
        })
    }

    /// What the kernel reported.
    fn report(&self, status: &DeviceBuffer) -> Result<()> {
        let words = self.shared.download(status.raw(), 8)?;
        let word = |n: usize| {
            let bytes = &words.as_slice()[n * 4..n * 4 + 4];
            u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        if word(1) != 0 {
            return Err(RuntimeError::limit(format!(
                "a loop runs longer than device {} allows: it stops all loops of an element after {} iterations",
                self.shared.name,
                self.shared.loop_limit.unwrap_or(u32::MAX) / self.shader.elements_per_invocation
            ))
            .help("use target cpu or parallel"));
        }
        match word(0) as usize {
            0 => Ok(()),
            trap => Err(match self.kernel.traps.get(trap - 1) {
                Some(trap) => RuntimeError::trap(trap),
                None => RuntimeError::internal("a kernel reported a trap that it does not have"),
            }),
        }
    }
}
