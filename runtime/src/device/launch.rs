//! Launches: the shader for the operands at hand, windows over binding limits, dispatch grids,
//! parameters, status.

use super::Shared;
use super::buffer::DeviceBuffer;
use super::operand::{Nest, Operand};
use super::shader::Compiled;
use crate::{Array, ErrorKind, Result, RuntimeError, Stats};
use kjit_driver::CompileError;
use kjit_driver::wgsl::{ParamsLayout, ReduceParams, Shader, WgslOptions};
use kjit_ir::target::BackendError;
use kjit_ir::{Access, ArrayMode, ArrayParam, DType, Function, Part};
use std::sync::Arc;
use std::time::Instant;

/// Windows start at multiples of this many elements: whole leaves of a reduction, and aligned bindings
/// of elements and of partial results.
const WINDOW_GRAIN: usize = 1 << 14;
/// Elements of the largest window: indices of elements and invocations stay within 32 bits.
const MAX_WINDOW: usize = 1 << 30;
/// Bytes of a binding that may go to alignment.
const SLACK: u64 = 512;

/// The array parameters that stand for an argument of the caller, with its dtype: one for both parts of
/// a complex argument, none for an index.
pub(super) fn arguments(kernel: &Function) -> impl Iterator<Item = (usize, &ArrayParam, DType)> {
    let params = kernel.arrays.iter().enumerate();
    let own = params.filter(|(_, a)| a.mode != ArrayMode::Index && a.part != Part::Im);
    own.map(|(k, a)| match a.part {
        Part::Whole => (k, a, a.dtype),
        _ => (k, a, a.dtype.complex_of_part().unwrap_or(a.dtype)),
    })
}

/// The dtypes of a kernel's arguments of a mode.
pub(super) fn dtypes(kernel: &Function, mode: ArrayMode) -> Vec<DType> {
    let arguments = arguments(kernel).filter(|(_, a, _)| a.mode == mode);
    arguments.map(|(_, _, dtype)| dtype).collect()
}

/// Do the arrays fit the kernel?
pub(super) fn check(kernel: &Function, inputs: &[Array], out_dtypes: &[DType]) -> Result<()> {
    // Operands are matched by their order: inputs, then outputs.
    let fits = kernel.arrays.is_sorted_by_key(|a| a.mode == ArrayMode::Out)
        && !kernel.arrays.iter().any(|a| a.mode == ArrayMode::InOut)
        && kernel.dims.is_empty()
        && (dtypes(kernel, ArrayMode::In).into_iter()).eq(inputs.iter().map(|a| a.dtype()))
        && dtypes(kernel, ArrayMode::Out) == out_dtypes;
    if fits {
        Ok(())
    } else {
        Err(RuntimeError::internal(format!(
            "bug in kjit: kernel {} was called with arrays that it does not take",
            kernel.name
        )))
    }
}

/// For each array parameter, the operand it is when operands are the arguments in order.
fn in_order(kernel: &Function) -> Vec<Option<usize>> {
    let mut operands = vec![None; kernel.arrays.len()];
    for (n, (array, _, _)) in arguments(kernel).enumerate() {
        operands[array] = Some(n);
    }
    operands
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
    let operands = in_order(kernel);
    let mode = Mode::from(fast);
    let mut launch = Launch::new(shared, kernel, nest, operands, None, mode, stats)?;
    launch.base = base;
    match launch.run_windows(stats) {
        // Outputs are written only, so the kernel can run again.
        Err(e) if is_loop_limit(&e) => {
            let mode = Mode {
                unroll: true,
                ..mode
            };
            let (nest, operands) = (&launch.nest, &launch.operands);
            launch.compiled = compile(shared, kernel, nest, operands, None, mode, stats)?;
            launch.run_windows(stats)
        }
        result => result,
    }
}

/// Runs a gufunc-form kernel, whose operands are its array parameters, one each.
pub(super) fn gufunc(
    shared: &Arc<Shared>,
    kernel: &Function,
    nest: Nest,
    dims: &[u32],
    mode: Mode,
    stats: &mut Stats,
) -> Result<()> {
    let operands = (0..kernel.arrays.len()).map(Some).collect();
    let mut launch = Launch::new(shared, kernel, nest, operands, None, mode, stats)?;
    launch.dims = dims.to_vec();
    launch.run_windows(stats)
}

/// How a shader is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Mode {
    /// With contraction, reassociation and approximate functions.
    pub(super) fast: bool,
    /// With many rounds of an innermost loop in one iteration, on a device that limits iterations.
    pub(super) unroll: bool,
}

impl From<bool> for Mode {
    fn from(fast: bool) -> Mode {
        Mode {
            fast,
            unroll: false,
        }
    }
}

/// What a launch fails with whose loops the device stops.
const LOOP_LIMIT: &str = "a loop runs longer than device";

/// Has a device stopped a loop?
pub(super) fn is_loop_limit(error: &RuntimeError) -> bool {
    error.kind == ErrorKind::Limit && error.message.starts_with(LOOP_LIMIT)
}

/// A shader and what it runs over.
pub(super) struct Launch<'a> {
    shared: &'a Arc<Shared>,
    kernel: &'a Function,
    compiled: Arc<Compiled>,
    pub(super) nest: Nest,
    /// For each array parameter, the operand it is.
    operands: Vec<Option<usize>>,
    /// Index of the nest's first element, for index parameters.
    base: usize,
    /// Extents of core dimensions.
    dims: Vec<u32>,
}

/// One of the dispatches of a launch.
pub(super) struct Dispatch<'b> {
    /// The window of the nest: its first element, and their number.
    pub(super) first: usize,
    pub(super) n: usize,
    /// Workgroups.
    pub(super) groups: u64,
    /// What the shader of a reduction is told.
    pub(super) reduce: Option<[u32; ReduceParams::WORDS]>,
    /// Buffers of partial results, with their bindings.
    pub(super) partials: Vec<(u32, &'b DeviceBuffer)>,
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
    /// The shader for a kernel over a nest; with `combine`, the one that reduces leaves.
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        kernel: &'a Function,
        nest: Nest,
        operands: Vec<Option<usize>>,
        combine: Option<&Function>,
        mode: Mode,
        stats: &mut Stats,
    ) -> Result<Launch<'a>> {
        let compiled = compile(shared, kernel, &nest, &operands, combine, mode, stats)?;
        Ok(Launch {
            shared,
            kernel,
            compiled,
            nest,
            operands,
            base: 0,
            dims: Vec::new(),
        })
    }
    /// The shader that is launched.
    pub(super) fn shader(&self) -> &Shader {
        &self.compiled.shader
    }

    /// The shader of a reduction's passes over partial results.
    pub(super) fn tree(
        shared: &'a Arc<Shared>,
        combine: &'a Function,
        fast: bool,
        stats: &mut Stats,
    ) -> Result<Launch<'a>> {
        let options = shared.shader_options(fast);
        Ok(Launch {
            shared,
            kernel: combine,
            compiled: shared.compiled((None, Some(combine), &options), stats)?,
            nest: Nest::over(&[1], Vec::new(), 0),
            operands: Vec::new(),
            base: 0,
            dims: Vec::new(),
        })
    }

    /// Elements of a window: as many as the bindings of its contiguous operands allow.
    pub(super) fn window(&self) -> usize {
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

    /// Launches all windows of the nest.
    fn run_windows(&self, stats: &mut Stats) -> Result<()> {
        let size = self.nest.size;
        let window = self.window();
        let dispatches: Vec<Dispatch> = (0..size)
            .step_by(window)
            .map(|first| {
                let n = window.min(size - first);
                let workgroup = self.shader().workgroup as u64;
                Dispatch {
                    first,
                    n,
                    groups: self.shader().invocations(n as u64).div_ceil(workgroup),
                    reduce: None,
                    partials: Vec::new(),
                }
            })
            .collect();
        self.run(&dispatches, stats)
    }

    /// Launches. Kernels that report are waited for; others are in the queue afterwards.
    pub(super) fn run(&self, dispatches: &[Dispatch], stats: &mut Stats) -> Result<()> {
        let start = Instant::now();
        let status = match self.shader().status_binding {
            Some(_) => Some(self.shared.allocate(8)?),
            None => None,
        };
        let mut params = Vec::new();
        for dispatch in dispatches {
            params.push(self.shared.allocate(self.shader().params.words * 4)?);
            debug_assert!(dispatch.first % WINDOW_GRAIN == 0);
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
                pass.set_pipeline(&self.compiled.pipeline.pipeline);
                for (dispatch, params) in dispatches.iter().zip(&params) {
                    let group = self.bind(dispatch, params, status.as_ref())?;
                    pass.set_bind_group(0, &group, &[]);
                    let (x, y) = self.grid(dispatch.groups)?;
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
    fn grid(&self, groups: u64) -> Result<(u32, u32)> {
        let max = self.shared.limits.max_compute_workgroups_per_dimension as u64;
        let y = groups.div_ceil(max);
        let x = groups.div_ceil(y);
        match (u32::try_from(x), u32::try_from(y)) {
            (Ok(x), Ok(y)) if y as u64 <= max => Ok((x, y)),
            _ => Err(RuntimeError::limit(format!(
                "{groups} groups of elements are too many for one launch on device {}",
                self.shared.name
            ))),
        }
    }

    /// The bind group of a dispatch; fills in its parameters.
    fn bind(
        &self,
        dispatch: &Dispatch,
        params: &DeviceBuffer,
        status: Option<&DeviceBuffer>,
    ) -> Result<wgpu::BindGroup> {
        let layout = &self.shader().params;
        let mut words = vec![0u32; layout.words];
        words[ParamsLayout::N] = dispatch.n as u32;
        words[ParamsLayout::FIRST] = dispatch.first as u32;
        let index = (self.base + dispatch.first) as u64;
        words[ParamsLayout::BASE] = index as u32;
        words[ParamsLayout::BASE + 1] = (index >> 32) as u32;
        let mut fill = |at: Option<usize>, values: &mut dyn Iterator<Item = u32>| {
            if let Some(at) = at {
                for (word, value) in words[at..].iter_mut().zip(values) {
                    *word = value;
                }
            }
        };
        fill(layout.shape, &mut self.nest.shape.iter().map(|n| *n as u32));
        fill(layout.dims, &mut self.dims.iter().copied());
        fill(
            layout.reduce,
            &mut dispatch.reduce.iter().flatten().copied(),
        );
        let mut bindings: Vec<(u32, Binding)> = Vec::new();
        for array in &self.shader().arrays {
            let operand = self.operands[array.array]
                .and_then(|n| self.nest.operands.get(n))
                .ok_or_else(|| RuntimeError::internal("a kernel's array is no operand"))?;
            let params = &array.params;
            fill(
                params.strides,
                &mut operand.strides.iter().map(|s| *s as u32),
            );
            fill(params.core, &mut operand.core.iter().map(|s| *s as u32));
            let Some(at) = array.binding else {
                continue;
            };
            let binding = self.part(operand, dispatch.first, dispatch.n)?;
            fill(
                Some(params.offset),
                &mut std::iter::once(binding.offset as u32),
            );
            // Parameters that share a binding are the same view.
            if bindings.last().is_none_or(|(last, _)| *last < at) {
                bindings.push((at, binding));
            }
        }
        let whole = |buffer, len: usize| Binding {
            buffer,
            start: 0,
            len: len as u64,
            offset: 0,
        };
        for (at, buffer) in &dispatch.partials {
            bindings.push((*at, whole(buffer, buffer.size())));
        }
        bindings.push((
            self.shader().params_binding,
            whole(params, layout.words * 4),
        ));
        if let (Some(at), Some(buffer)) = (self.shader().status_binding, status) {
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
                layout: &self.compiled.pipeline.layout,
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
            Access::Uniform if operand.span.is_none() => {
                let start = operand.offset as i64;
                (start, start + size, start)
            }
            Access::Uniform | Access::Strided => {
                let (low, high) = self.nest.extent(operand);
                let zero = operand.offset as i64;
                (zero + low * size, zero + (high + 1) * size, zero)
            }
        };
        let alignment = self
            .shared
            .limits
            .min_storage_buffer_offset_alignment
            .max(16) as i64;
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
        let memory = operand.memory.as_ref();
        Ok(Binding {
            buffer: memory
                .ok_or_else(|| RuntimeError::internal("an index has no memory"))?
                .buffer()?,
            start: start as u64,
            len: len as u64,
            offset: (zero - start) / size,
        })
    }

    /// What the kernel reported.
    fn report(&self, status: &DeviceBuffer) -> Result<()> {
        let words = self.shared.download(status.raw(), 0, 8)?;
        let word = |n: usize| {
            let bytes = &words.as_slice()[n * 4..n * 4 + 4];
            u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        if word(1) != 0 {
            return Err(RuntimeError::limit(format!(
                "{LOOP_LIMIT} {} allows: it stops all loops of an element after {} iterations, each with up to 64 \
                 rounds of an innermost loop",
                self.shared.name,
                self.shared.loop_limit.unwrap_or(u32::MAX) / self.shader().elements_per_invocation
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

/// The shader of a kernel for its operands.
fn compile(
    shared: &Shared,
    kernel: &Function,
    nest: &Nest,
    operands: &[Option<usize>],
    combine: Option<&Function>,
    mode: Mode,
    stats: &mut Stats,
) -> Result<Arc<Compiled>> {
    let access = |(array, param): (usize, &ArrayParam)| -> Access {
        let operand = match param.part {
            // The first part is the one that is known.
            Part::Im => operands.get(array.wrapping_sub(1)).copied().flatten(),
            _ => operands[array],
        };
        match operand.and_then(|n| nest.operands.get(n)) {
            Some(o) if o.access == Access::Uniform && param.mode != ArrayMode::In => {
                Access::Strided
            }
            Some(o) => o.access,
            None => Access::Contiguous,
        }
    };
    let access: Vec<Access> = kernel.arrays.iter().enumerate().map(access).collect();
    let strided = access.contains(&Access::Strided);
    if strided && nest.size > u32::MAX as usize {
        return Err(RuntimeError::limit(format!(
            "{} elements are too many for views that are not contiguous on device {}",
            nest.size, shared.name
        ))
        .help("make the arrays contiguous, or use target cpu or parallel"));
    }
    let options = WgslOptions {
        rank: if strided { nest.shape.len() } else { 1 },
        kept: nest.kept,
        unroll: mode.unroll,
        ..shared.shader_options(mode.fast)
    };
    shared.compiled((Some((kernel, &access)), combine, &options), stats)
}

impl Shared {
    /// What every shader for this device has in common.
    pub(super) fn shader_options(&self, fast: bool) -> WgslOptions {
        WgslOptions {
            fast,
            strict: self.strict,
            rank: 1,
            kept: 0,
            unroll: false,
            features: self.features,
            loop_limit: self.loop_limit,
            workgroup: 256.min(self.limits.max_compute_invocations_per_workgroup),
        }
    }

    pub(super) fn not_compiled(&self, error: CompileError) -> RuntimeError {
        match error {
            CompileError::Backend(BackendError::Unsupported(what)) => {
                RuntimeError::dtype(format!("device {} cannot run this: {what}", self.name))
                    .help("use target cpu or parallel")
            }
            other => other.into(),
        }
    }
}
