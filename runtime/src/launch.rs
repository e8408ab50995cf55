//! Element-wise calls of kernels: inputs and outputs bound to a kernel's parameters and run on the engine's
//! target, in place where nothing can go wrong.

use crate::array::Storage;
use crate::broadcast::{checked_size, format_shape};
use crate::cache::Kernel;
use crate::engine::{Engine, Target, gpu, input_operand};
use crate::exec::{Execution, Operand};
use crate::flat;
use crate::fpe::{FpeMode, FpeReport};
use crate::nest::{Few, Layout, Order, matching_strides};
use crate::schedule::Scheduler;
use crate::{Array, Casting, HostBuffer, KernelSpec, Program, Result, RuntimeError, can_cast};
use kjit_driver::CpuCode;
use kjit_ir::{ArrayMode, ArrayParam, DType, Part, Role};
use std::borrow::Cow;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// Positions at which ranges handed to threads start: whole cache lines of every dtype.
const GRAIN: usize = 1024;
/// The same for kernels with loops, where few elements can be much work.
const LOOP_GRAIN: usize = 64;

/// An input of a call.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    /// An array.
    Array(&'a Array),
    /// The array that this output is written to, as it was before.
    Out(usize),
}

/// Where the outputs of a call go: to arrays that are there, or to new ones of a dtype.
pub(crate) enum Output<'a> {
    /// A new array.
    New(DType),
    /// This one.
    Into(&'a mut Array),
}

impl Output<'_> {
    fn dtype(&self) -> DType {
        match self {
            Output::New(dtype) => *dtype,
            Output::Into(array) => array.dtype(),
        }
    }
}

impl Engine {
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
        let flags = self.options.fpe != FpeMode::Ignore;
        let kernel = self.kernel_flagged(program, spec, flags)?;
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
        let inputs: Few<Input> = inputs.iter().map(Input::Array).collect();
        let mut outs: Few<Output> = out_dtypes.iter().map(|d| Output::New(*d)).collect();
        let mode = self.options.fpe;
        let rules = (Casting::Safe, Casting::No);
        let (new, report) = self.launch(kernel, &inputs, shape, &mut outs, rules, mode)?;
        self.judge(&kernel.function.name, &report, mode)?;
        Ok(new.into_iter().flatten().collect())
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
        let flags = self.options.fpe != FpeMode::Ignore;
        let kernel = self.kernel_flagged(program, spec, flags)?;
        self.call_into(&kernel, inputs, outs)
    }

    /// As [`Engine::elementwise_into`], with a kernel at hand. A call that fails leaves the outputs as
    /// they were.
    pub fn call_into(&self, kernel: &Kernel, inputs: &[Array], outs: &mut [Array]) -> Result<()> {
        let dtypes: Few<DType> = outs.iter().map(|o| o.dtype()).collect();
        check_call(kernel, &dtypes_of(inputs), &dtypes, Casting::Safe)?;
        if let [out] = outs
            && let Some(result) = self.call_flat(kernel, inputs.iter().map(Input::Array), out)
        {
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
        let inputs: Few<Input> = inputs.iter().map(Input::Array).collect();
        let mode = self.options.fpe;
        let rules = (Casting::Safe, Casting::Safe);
        let (new, report) = {
            let mut targets: Few<Output> = outs.iter_mut().map(Output::Into).collect();
            self.launch(kernel, &inputs, &shape, &mut targets, rules, mode)?
        };
        self.judge(&kernel.function.name, &report, mode)?;
        for (out, new) in outs.iter_mut().zip(new) {
            if let Some(new) = new {
                *out = new;
            }
        }
        Ok(())
    }

    /// Small work on simple operands, if that is what it is.
    pub(crate) fn call_flat<'a>(
        &self,
        kernel: &Kernel,
        inputs: impl Iterator<Item = Input<'a>>,
        out: &mut Array,
    ) -> Option<Result<()>> {
        let small = Scheduler::is_small(out.size(), self.ns_per_element(kernel));
        let vector = matches!(self.code(), CpuCode::Vector(_));
        if !small || self.options.target == Target::Gpu || !vector {
            return None;
        }
        flat::run(kernel, self.code(), inputs, out, &self.stats)
    }

    /// Runs a kernel over inputs that broadcast to `shape`. Outputs that could not be written in place
    /// come back as new arrays, for the caller to put there once it knows that all went well; those
    /// written in place as `None`. Nothing is written in place by a call that can still fail: of kernels
    /// with run-time checks, or whose status flags are errors.
    ///
    /// `rules` says which casts of inputs and of outputs are permitted.
    pub(crate) fn launch(
        &self,
        kernel: &Kernel,
        inputs: &[Input],
        shape: &[usize],
        outs: &mut [Output],
        rules: (Casting, Casting),
        mode: FpeMode,
    ) -> Result<(Vec<Option<Array>>, FpeReport)> {
        let from: Few<DType> = inputs
            .iter()
            .map(|input| match input {
                Input::Array(array) => array.dtype(),
                Input::Out(n) => outs[*n].dtype(),
            })
            .collect();
        let mut dtypes: Few<DType> = outs.iter().map(Output::dtype).collect();
        check_rules(kernel, &from, &dtypes, rules)?;
        let flags = has_flags(kernel);
        if flags {
            dtypes.push(DType::U8);
        }
        let mut new = if self.options.target == Target::Gpu {
            self.launch_gpu(kernel, inputs, shape, outs, &dtypes)?
        } else {
            let in_place = kernel.function.traps.is_empty() && !(flags && mode == FpeMode::Raise);
            self.launch_host(kernel, inputs, shape, outs, &dtypes, in_place)?
        };
        let report = match new.pop_if(|_| flags).flatten() {
            Some(array) => FpeReport::of(&array)?,
            None => FpeReport::default(),
        };
        Ok((new, report))
    }

    /// What the status flags of a call lead to.
    pub(crate) fn judge(&self, name: &str, report: &FpeReport, mode: FpeMode) -> Result<()> {
        if mode == FpeMode::Ignore || report.is_empty() {
            return Ok(());
        }
        let messages = report.describe(name);
        if mode == FpeMode::Raise {
            return Err(RuntimeError::value(messages.join("; "))
                .help("status flags are errors here: avoid those elements, or ask for warnings"));
        }
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.len() < MOST_WARNINGS {
            warnings.extend(messages);
        }
        Ok(())
    }

    /// Files warnings again, for [`Engine::take_warnings`].
    pub(crate) fn warn(&self, messages: Vec<String>) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.extend(messages);
    }

    /// What calls have warned of since this was last asked, under [`FpeMode::Warn`].
    pub fn take_warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *warnings)
    }

    fn launch_gpu(
        &self,
        kernel: &Kernel,
        inputs: &[Input],
        shape: &[usize],
        outs: &[Output],
        dtypes: &[DType],
    ) -> Result<Vec<Option<Array>>> {
        let inputs: Vec<Array> = inputs
            .iter()
            .map(|input| match input {
                Input::Array(array) => (*array).clone(),
                Input::Out(n) => match &outs[*n] {
                    Output::Into(array) => (**array).clone(),
                    Output::New(_) => unreachable!("bug in kjit: a new output has no old elements"),
                },
            })
            .collect();
        let kernel_dtypes = output_dtypes(kernel);
        let results = gpu::elementwise(self, kernel, &inputs, shape, &kernel_dtypes)?;
        let results = results.into_iter().zip(dtypes);
        results
            .map(|(result, dtype)| {
                if result.dtype() == *dtype {
                    Ok(Some(result))
                } else {
                    result.cast(*dtype).map(Some)
                }
            })
            .collect()
    }

    fn launch_host(
        &self,
        kernel: &Kernel,
        inputs: &[Input],
        shape: &[usize],
        outs: &mut [Output],
        dtypes: &[DType],
        in_place: bool,
    ) -> Result<Vec<Option<Array>>> {
        // Whether an output is the only handle of its memory is asked before anything else takes one.
        let in_place: Few<bool> = outs
            .iter_mut()
            .map(|out| match out {
                Output::Into(out) => in_place && out.is_unique() && !overlaps_itself(out),
                Output::New(_) => false,
            })
            .collect();
        let host: Few<Option<Cow<Array>>> = inputs
            .iter()
            .map(|input| match input {
                Input::Array(array) => self.host_input(array).map(Some),
                Input::Out(n) => match &outs[*n] {
                    // The handle that is written through is read through as well.
                    Output::Into(_) if in_place[*n] => Ok(None),
                    Output::Into(array) => {
                        let array = self.host_input(array)?.into_owned();
                        Ok(Some(Cow::Owned(array)))
                    }
                    Output::New(_) => unreachable!("bug in kjit: a new output has no old elements"),
                },
            })
            .collect::<Result<_>>()?;
        let strides: Few<Option<Few<isize>>> = host
            .iter()
            .map(|array| {
                array
                    .as_ref()
                    .map(|a| a.broadcast_strides(shape))
                    .transpose()
            })
            .collect::<Result<_>>()?;
        let layouts: Few<Layout> = host
            .iter()
            .zip(&strides)
            .filter_map(|(array, strides)| {
                Some(Layout {
                    strides: strides.as_ref()?,
                    size: array.as_ref()?.dtype().size(),
                })
            })
            .collect();
        let mut new: Vec<Option<Array>> = Vec::with_capacity(dtypes.len());
        for (k, dtype) in dtypes.iter().enumerate() {
            if in_place.get(k) == Some(&true) {
                new.push(None);
                continue;
            }
            let size = checked_size(shape, dtype.size())?;
            let buffer = HostBuffer::zeroed(size * dtype.size())?;
            let strides = matching_strides(shape, &layouts, dtype.size());
            let storage = Storage::Host(Arc::new(buffer));
            new.push(Some(Array::from_storage(
                storage, *dtype, shape, &strides, 0,
            )?));
        }
        drop(layouts);

        let mut outputs: Few<Place> = Few::new();
        for (k, fresh) in new.iter_mut().enumerate() {
            let array = match (fresh, outs.get_mut(k)) {
                (Some(fresh), _) => fresh,
                (None, Some(Output::Into(out))) => &mut **out,
                (None, _) => unreachable!("bug in kjit: an output without a place"),
            };
            outputs.push(Place::of(array)?);
        }
        let mut operands: Few<Option<Operand>> = Few::new();
        for ((input, array), strides) in inputs.iter().zip(&host).zip(&strides) {
            let operand = match (array, strides, input) {
                (Some(array), Some(strides), _) => input_operand(array, strides),
                (_, _, Input::Out(n)) => outputs[*n].operand(),
                _ => unreachable!("bug in kjit: an input without a place"),
            };
            operands.push(Some(operand));
        }
        operands.extend(outputs.iter().map(|place| Some(place.operand())));
        let empty = shape.contains(&0);
        let bytes = |places: &[Option<Operand>]| -> usize {
            let sizes = places.iter().flatten().map(|o| {
                let axes = shape.iter().zip(o.strides);
                let moving = axes.filter(|(_, s)| **s != 0);
                moving.fold(o.dtype.size(), |bytes, (n, _)| bytes.saturating_mul(*n))
            });
            if empty { 0 } else { sizes.sum() }
        };
        // SAFETY: arrays lie inside their storage; each output is the only handle of its memory, so it
        // overlaps no other, nor an input except the one that reads it, element upon same element; all are
        // kept alive.
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
        let (read, written) = operands.split_at(inputs.len());
        self.record(start, bytes(read), bytes(written));
        Ok(new)
    }

    fn host_input<'a>(&self, array: &'a Array) -> Result<Cow<'a, Array>> {
        let mut list = self.host_inputs(std::slice::from_ref(array))?;
        Ok(list.remove(0))
    }
}

/// Warnings kept until somebody asks.
const MOST_WARNINGS: usize = 100;

/// Memory of an output.
struct Place {
    ptr: *mut u8,
    dtype: DType,
    strides: Few<isize>,
    memory: (usize, usize),
}

impl Place {
    /// The memory of an array that is its only handle (or becomes that).
    fn of(array: &mut Array) -> Result<Place> {
        let (dtype, offset) = (array.dtype(), array.offset());
        let strides: Few<isize> = array.strides().into();
        let buffer = array.make_mut()?;
        let (base, len) = (buffer.as_mut_ptr(), buffer.len());
        Ok(Place {
            ptr: base.wrapping_add(offset),
            dtype,
            strides,
            memory: (base.addr(), base.addr() + len),
        })
    }

    fn operand(&self) -> Operand<'_> {
        Operand {
            ptr: self.ptr,
            dtype: self.dtype,
            strides: &self.strides,
            memory: self.memory,
        }
    }
}

pub(crate) fn dtypes_of(arrays: &[Array]) -> Few<DType> {
    arrays.iter().map(Array::dtype).collect()
}

/// Has it an output of status flags?
pub(crate) fn has_flags(kernel: &Kernel) -> bool {
    let last = kernel.function.arrays.last();
    last.is_some_and(|array| array.role == Role::Fpe)
}

/// Its parameters of a mode, one for each array of the caller: the second parts of complex ones fall away.
fn of_mode(kernel: &Kernel, mode: ArrayMode) -> impl Iterator<Item = &ArrayParam> + Clone {
    let arrays = kernel.function.arrays.iter();
    arrays.filter(move |a| a.mode == mode && a.part != Part::Im)
}

/// The dtype of the caller's array for a parameter.
pub(crate) fn argument_dtype(param: &ArrayParam) -> DType {
    match param.part {
        Part::Whole => param.dtype,
        Part::Re | Part::Im => param.dtype.complex_of_part().unwrap_or(param.dtype),
    }
}

pub(crate) fn output_dtypes(kernel: &Kernel) -> Few<DType> {
    of_mode(kernel, ArrayMode::Out)
        .map(argument_dtype)
        .collect()
}

/// Do inputs and outputs fit the kernel, where inputs may be cast safely and outputs under `casting`?
pub(crate) fn check_call(
    kernel: &Kernel,
    inputs: &[DType],
    outputs: &[DType],
    casting: Casting,
) -> Result<()> {
    check_rules(kernel, inputs, outputs, (Casting::Safe, casting))
}

fn check_rules(
    kernel: &Kernel,
    inputs: &[DType],
    outputs: &[DType],
    rules: (Casting, Casting),
) -> Result<()> {
    if let Some(fault) = &kernel.fault {
        return Err(RuntimeError::value(fault));
    }
    let name = &kernel.function.name;
    if kernel.is_core {
        return Err(RuntimeError::value(format!(
            "{name} has core dimensions and cannot be run element by element"
        )));
    }
    let ins = of_mode(kernel, ArrayMode::In);
    let outs = of_mode(kernel, ArrayMode::Out).filter(|a| a.role != Role::Fpe);
    let counts = [
        ("inputs", ins.clone().count(), inputs.len()),
        ("outputs", outs.clone().count(), outputs.len()),
    ];
    for (word, wanted, given) in counts {
        if wanted != given {
            return Err(RuntimeError::value(format!(
                "{name} takes {wanted} {word}, not {given}"
            )));
        }
    }
    for (param, from) in ins.zip(inputs) {
        let to = argument_dtype(param);
        if *from != to && !can_cast(*from, to, rules.0) {
            return Err(RuntimeError::dtype(format!(
                "input `{}` of {name} is {to}, not {from}",
                param.name
            ))
            .help(format!("convert it with `as {to}`")));
        }
    }
    for (param, to) in outs.zip(outputs) {
        let from = argument_dtype(param);
        if from != *to && !can_cast(from, *to, rules.1) {
            return Err(RuntimeError::dtype(format!(
                "output `{}` of {name} is {from} and does not go into an array of {to}",
                param.name
            )));
        }
    }
    Ok(())
}

/// Do two of its elements share memory (or might they)?
pub(crate) fn overlaps_itself(array: &Array) -> bool {
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
