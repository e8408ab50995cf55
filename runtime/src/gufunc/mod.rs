//! Calls of gufuncs: core dimensions are bound, arguments converted, outputs allocated, and the kernels run over
//! the loop dimensions.

mod exec;
mod shape;

use crate::array::Storage;
use crate::call::{CallTypes, UfuncCall};
use crate::engine::Target;
use crate::fpe::{FpeMode, FpeReport, index_of};
use crate::launch::overlaps_itself;
use crate::nest::Few;
use crate::ufunc::Arg;
use crate::{Array, Kernel, KernelSpec, Result, RuntimeError, format_shape};
use exec::{CoreOperand, CoreRun, can_trap, part_offset};
use kjit_ir::{ArrayMode, ArrayParam, ArrayRef, CoreSignature, DType, Part, Role};
use shape::{CoreAxes, CoreCall, OperandShape, bind};
use std::time::Instant;

/// A call with everything settled but the memory of its outputs.
struct Call<'a, 'b> {
    call: &'a UfuncCall<'b>,
    kernel: &'a Kernel,
    dims: CoreCall,
    inputs: Vec<Array>,
    types: &'a CallTypes,
}

/// What a call gives.
struct Outcome {
    /// One an output; `None` where it was written in place.
    results: Vec<Option<Array>>,
    /// Which elements of outputs were written, where that had to be watched.
    written: Vec<(usize, Array)>,
    flags: Option<Array>,
}

impl UfuncCall<'_> {
    /// Calls a gufunc.
    pub(crate) fn gufunc(
        &self,
        core: &CoreSignature,
        args: &[Arg],
        types: &CallTypes,
        outs: &mut [Option<&mut Array>],
    ) -> Result<(Vec<Array>, FpeReport)> {
        let signature = self.ufunc.signature();
        let inputs = args
            .iter()
            .zip(&types.inputs)
            .enumerate()
            .map(|(n, (arg, to))| {
                if let Some(literal) = self.literal(n, arg, *to)? {
                    return Ok(literal);
                }
                match arg {
                    Arg::Array(array) => Ok(array.clone()),
                    Arg::Out(k) => match &outs[*k] {
                        Some(out) => Ok((**out).clone()),
                        None => unreachable!("bug in kjit: an argument that is no output"),
                    },
                    Arg::Int(_) | Arg::Float(_) => {
                        unreachable!("bug in kjit: a literal that is no array")
                    }
                }
            })
            .collect::<Result<Vec<Array>>>()?;
        let dims = {
            let inputs: Vec<OperandShape> = inputs.iter().map(OperandShape::from).collect();
            let outs: Vec<Option<OperandShape>> = outs
                .iter()
                .map(|out| out.as_ref().map(|out| OperandShape::from(&**out)))
                .collect();
            bind(signature, core, &self.core, &inputs, &outs)?
        };
        let spec = KernelSpec::Ufunc {
            name: signature.name.clone(),
            generics: types.generics.clone(),
            masked: false,
        };
        let flagged = self.flags() != FpeMode::Ignore;
        let kernel = self
            .engine
            .kernel_flagged(self.ufunc.program(), &spec, flagged)?;
        if let Some(fault) = &kernel.fault {
            return Err(RuntimeError::value(fault));
        }
        let on_device = self.engine.options().target == Target::Gpu;
        // As whole arrays: a sub-array has no block that could be converted by itself.
        let inputs = inputs
            .iter()
            .zip(&types.inputs)
            .map(|(array, to)| {
                if on_device && array.dtype() == *to {
                    Ok(array.clone())
                } else {
                    ready(array, *to)
                }
            })
            .collect::<Result<Vec<Array>>>()?;
        let call = Call {
            call: self,
            kernel: &kernel,
            dims,
            inputs,
            types,
        };
        let outcome = if on_device {
            call.on_device()?
        } else {
            call.on_host(outs)?
        };
        for (output, written) in &outcome.written {
            call.check_written(*output, written)?;
        }
        let report = match &outcome.flags {
            Some(flags) => FpeReport::of(flags)?,
            None => FpeReport::default(),
        };
        self.engine.judge(&signature.name, &report, self.flags())?;
        let results = outcome
            .results
            .into_iter()
            .zip(outs.iter())
            .map(|(result, out)| match (result, out) {
                (Some(result), Some(out)) if result.dtype() != out.dtype() => {
                    result.cast(out.dtype()).map(Some)
                }
                (result, _) => Ok(result),
            })
            .collect::<Result<Vec<_>>>()?;
        // Nothing fails from here on.
        let mut fresh = Vec::new();
        for (result, out) in results.into_iter().zip(outs) {
            match (result, out) {
                (Some(result), Some(out)) => **out = result,
                (Some(result), None) => fresh.push(result),
                (None, _) => {}
            }
        }
        Ok((fresh, report))
    }
}

impl Call<'_, '_> {
    /// The parameters of the kernel with the number of the argument each belongs to: of an input, of an
    /// output, or of neither.
    fn params(&self) -> impl Iterator<Item = (ArrayRef, &ArrayParam)> {
        let arrays = self.kernel.function.arrays.iter().enumerate();
        arrays.map(|(n, param)| (ArrayRef::new(n), param))
    }

    /// Which output an array parameter is.
    fn output_of(&self, array: ArrayRef) -> usize {
        let before = self.params().take_while(|(other, _)| *other != array);
        before
            .filter(|(_, p)| p.role == Role::Argument && p.mode != ArrayMode::In)
            .filter(|(_, p)| p.part != Part::Im)
            .count()
    }

    fn on_host(&self, outs: &mut [Option<&mut Array>]) -> Result<Outcome> {
        let (nin, nout) = (self.types.inputs.len(), self.types.outputs.len());
        let function = &self.kernel.function;
        let watched: Vec<usize> = self
            .params()
            .filter_map(|(_, p)| match p.role {
                Role::Written(array) => Some(self.output_of(array)),
                _ => None,
            })
            .collect();
        let may_fail =
            can_trap(function) || !watched.is_empty() || (self.call.flags() == FpeMode::Raise);
        let mut results: Vec<Option<Array>> = Vec::new();
        for (k, out) in outs.iter_mut().enumerate() {
            let dtype = self.types.outputs[k];
            let read = self.params().any(|(array, p)| {
                p.mode == ArrayMode::InOut && p.role == Role::Argument && self.output_of(array) == k
            });
            let in_place = match out {
                Some(out) => {
                    !may_fail
                        && !read
                        && out.dtype() == dtype
                        && is_aligned(out)
                        && out.is_unique()
                        && !overlaps_itself(out)
                }
                None => false,
            };
            results.push(if in_place {
                None
            } else {
                Some(Array::zeros(dtype, &self.dims.out_shapes[k])?)
            });
        }
        // Sub-arrays of what the caller does not see lie at the end of the axes.
        let behind_loop = |core: &[kjit_ir::DimRef]| -> Vec<usize> {
            let core = core.iter().map(|dim| self.dims.extents[dim.index()]);
            self.dims.loop_shape.iter().copied().chain(core).collect()
        };
        let mut written: Vec<(usize, Array)> = Vec::new();
        let mut flags = None;
        for (_, param) in self.params() {
            match param.role {
                Role::Written(array) => {
                    let shape = behind_loop(&param.core);
                    written.push((self.output_of(array), Array::zeros(param.dtype, &shape)?));
                }
                Role::Fpe => flags = Some(Array::zeros(param.dtype, &behind_loop(&param.core))?),
                _ => {}
            }
        }
        let mut bytes_written = 0;
        let mut operands: Vec<CoreOperand> = Vec::new();
        let (mut input, mut watch) = (0, 0);
        for (array, param) in self.params() {
            let mut operand = match (param.role, param.mode) {
                (Role::Written(_), _) => {
                    let place = &mut written[watch].1;
                    watch += 1;
                    self.trailing(place, param)?
                }
                (Role::Fpe, _) => match &mut flags {
                    Some(flags) => self.trailing(flags, param)?,
                    None => unreachable!("bug in kjit: flags without an array"),
                },
                (_, ArrayMode::In) => {
                    let number = if param.part == Part::Im {
                        input - 1
                    } else {
                        input
                    };
                    input = number + 1;
                    let array = &self.inputs[number];
                    let base = array.as_ptr().unwrap_or(std::ptr::null());
                    self.operand(base.cast_mut(), array, &self.dims.operands[number])
                }
                _ => {
                    let k = self.output_of(array);
                    let k = if param.part == Part::Im { k - 1 } else { k };
                    let place = match (&mut results[k], &mut outs[k]) {
                        (Some(result), _) => result,
                        (None, Some(out)) => &mut **out,
                        (None, None) => unreachable!("bug in kjit: an output without a place"),
                    };
                    if param.part != Part::Im {
                        bytes_written += place.nbytes();
                    }
                    let offset = place.offset();
                    let base = place.make_mut()?.as_mut_ptr().wrapping_add(offset);
                    self.operand(base, place, &self.dims.operands[nin + k])
                }
            };
            operand.ptr = operand.ptr.wrapping_add(part_offset(param));
            operands.push(operand);
        }
        debug_assert_eq!(results.len(), nout);
        let run = CoreRun {
            kernel: self.kernel,
            operands: &operands,
            loop_shape: &self.dims.loop_shape,
            extents: &self.dims.extents,
        };
        let start = Instant::now();
        // SAFETY: arrays lie inside their storage; outputs are the only handles of theirs, so they overlap
        // neither each other nor an input; `self` and `outs` keep all of them alive.
        if !unsafe { run.run(self.call.engine)? } {
            // Kernels with checks write to new arrays, which were zeros.
            for array in results
                .iter_mut()
                .flatten()
                .chain(written.iter_mut().map(|w| &mut w.1))
            {
                array.make_mut()?.as_mut_slice().fill(0);
            }
            // SAFETY: as above.
            return Err(unsafe { run.explain() });
        }
        let bytes_read = self.inputs.iter().map(Array::nbytes).sum();
        self.call.engine.record(start, bytes_read, bytes_written);
        Ok(Outcome {
            results,
            written,
            flags,
        })
    }

    /// An operand of the kernel: an array with its steps along loops and core axes.
    fn operand(&self, ptr: *mut u8, array: &Array, axes: &CoreAxes) -> CoreOperand {
        let (loops, core) = axes.steps(array.into(), &self.dims.loop_shape);
        CoreOperand { ptr, loops, core }
    }

    /// The same for an array whose core axes come last.
    fn trailing(&self, array: &mut Array, param: &ArrayParam) -> Result<CoreOperand> {
        let ndim = array.ndim();
        let axes = CoreAxes {
            axes: (ndim - param.core.len()..ndim).map(Some).collect(),
            kept: Few::new(),
        };
        let offset = array.offset();
        let base = array.make_mut()?.as_mut_ptr().wrapping_add(offset);
        Ok(self.operand(base, array, &axes))
    }

    /// An error if an element of an output was never written.
    fn check_written(&self, output: usize, written: &Array) -> Result<()> {
        let list = written.to_vec::<u32>()?;
        let Some(number) = list.iter().position(|flag| *flag == 0) else {
            return Ok(());
        };
        let signature = self.call.ufunc.signature();
        let loops = self.dims.loop_shape.len();
        let index = index_of(number, written.shape());
        // In the order of the axes of the output.
        let axes = &self.dims.operands[self.types.inputs.len() + output];
        let ndim = self.dims.out_shapes[output].len();
        let mut place = vec![0; ndim];
        let own: Vec<usize> = axes.loop_axes(ndim).collect();
        for (axis, i) in own.into_iter().zip(&index[..loops]) {
            place[axis] = *i;
        }
        for (axis, i) in axes.axes.iter().zip(&index[loops..]) {
            if let Some(axis) = axis {
                place[*axis] = *i;
            }
        }
        Err(RuntimeError::value(format!(
            "{} does not write the element {} of its output {}",
            signature.name,
            format_shape(&place),
            signature.outputs[output].0
        ))
        .help("every element of an output must be written, on every path")
        .at(signature.loc))
    }

    /// Runs on the device. Its outputs have their core axes last, and are turned here.
    fn on_device(&self) -> Result<Outcome> {
        let inputs = self
            .inputs
            .iter()
            .zip(&self.dims.operands)
            .map(|(array, axes)| core_last(array, axes))
            .collect::<Result<Vec<Array>>>()?;
        let arrays = match gpu::gufunc(self, &inputs) {
            Ok(arrays) => arrays,
            // The host tells which index it was.
            Err(error) if can_trap(&self.kernel.function) => {
                let inputs = self.inputs.iter().zip(&self.types.inputs);
                let on_host = Call {
                    dims: self.dims.clone(),
                    inputs: inputs
                        .map(|(array, to)| ready(array, *to))
                        .collect::<Result<_>>()?,
                    ..*self
                };
                let mut outs: Vec<Option<&mut Array>> =
                    self.types.outputs.iter().map(|_| None).collect();
                return Err(on_host.on_host(&mut outs).err().unwrap_or(error));
            }
            Err(error) => return Err(error),
        };
        let mut outcome = Outcome {
            results: Vec::new(),
            written: Vec::new(),
            flags: None,
        };
        let outputs = self.params().filter(|(_, p)| {
            p.part != Part::Im && matches!(p.mode, ArrayMode::Out | ArrayMode::InOut)
        });
        for ((_, param), array) in outputs.zip(arrays) {
            match param.role {
                Role::Written(output) => outcome.written.push((self.output_of(output), array)),
                Role::Fpe => outcome.flags = Some(array),
                _ => {
                    let k = outcome.results.len();
                    let axes = &self.dims.operands[self.types.inputs.len() + k];
                    let shape = &self.dims.out_shapes[k];
                    outcome
                        .results
                        .push(Some(core_in_place(&array, axes, shape)?));
                }
            }
        }
        Ok(outcome)
    }
}

/// The array in a dtype, on the host, with every element where its dtype may lie.
fn ready(array: &Array, to: DType) -> Result<Array> {
    let host = array.to_host()?;
    if host.dtype() != to {
        return host.cast(to);
    }
    if is_aligned(&host) {
        return Ok(host);
    }
    let mut copy = Array::zeros(to, host.shape())?;
    copy.assign(&[], &host)?;
    Ok(copy)
}

/// Is every element where its dtype may lie?
fn is_aligned(array: &Array) -> bool {
    let dtype = array.dtype();
    let size = dtype.part().unwrap_or(dtype).size();
    let Storage::Host(_) = array.storage() else {
        return false;
    };
    let base = array
        .as_ptr()
        .is_some_and(|ptr| ptr.addr().is_multiple_of(size));
    base && array
        .strides()
        .iter()
        .all(|s| s.unsigned_abs().is_multiple_of(size))
}

/// A view with the core axes last: every core dimension has one, those that are missing too.
fn core_last(array: &Array, axes: &CoreAxes) -> Result<Array> {
    let size = array.dtype().size() as isize;
    let loops = axes.loop_axes(array.ndim()).map(Some);
    let order: Vec<Option<usize>> = loops.chain(axes.axes.iter().copied()).collect();
    let shape: Vec<usize> = order
        .iter()
        .map(|a| a.map_or(1, |a| array.shape()[a]))
        .collect();
    let strides: Vec<isize> = order
        .iter()
        .map(|a| a.map_or(size, |a| array.strides()[a]))
        .collect();
    let storage = array.storage().clone();
    Array::from_storage(storage, array.dtype(), &shape, &strides, array.offset())
}

/// A view of an array whose core axes are last, with the axes where the caller wants them.
fn core_in_place(array: &Array, axes: &CoreAxes, shape: &[usize]) -> Result<Array> {
    let mut strides = vec![array.dtype().size() as isize; shape.len()];
    let loops: Vec<usize> = axes.loop_axes(shape.len()).collect();
    let (outer, core) = array.strides().split_at(loops.len());
    for (axis, stride) in loops.iter().zip(outer) {
        strides[*axis] = *stride;
    }
    for (axis, stride) in axes.axes.iter().zip(core) {
        if let Some(axis) = axis {
            strides[*axis] = *stride;
        }
    }
    let storage = array.storage().clone();
    Array::from_storage(storage, array.dtype(), shape, &strides, array.offset())
}

/// What calls ask of the device layer.
#[cfg(feature = "gpu")]
mod gpu {
    use super::Call;
    use crate::device::{Device, GufuncOut};
    use crate::launch::argument_dtype;
    use crate::{Array, Result, Stats};
    use kjit_ir::{ArrayMode, Function, Part};

    pub(super) fn gufunc(call: &Call, inputs: &[Array]) -> Result<Vec<Array>> {
        let engine = call.call.engine;
        let kernels: Vec<Function> = call
            .kernel
            .parts()
            .iter()
            .map(|part| part.function.clone())
            .collect();
        let outs: Vec<GufuncOut> = call
            .params()
            .filter(|(_, p)| p.part != Part::Im)
            .filter(|(_, p)| matches!(p.mode, ArrayMode::Out | ArrayMode::InOut))
            .map(|(_, param)| GufuncOut {
                dtype: argument_dtype(param),
                initial: None,
            })
            .collect();
        let mut stats = Stats::default();
        let (loops, extents) = (&call.dims.loop_shape, &call.dims.extents);
        let fast = engine.options().fast;
        let device = Device::global()?;
        let result = device.gufunc(&kernels, inputs, loops, extents, &outs, fast, &mut stats);
        engine.stats.add(&stats);
        result
    }
}

/// A build without the device layer.
#[cfg(not(feature = "gpu"))]
mod gpu {
    use super::Call;
    use crate::{Array, Result, RuntimeError};

    pub(super) fn gufunc(_: &Call, _: &[Array]) -> Result<Vec<Array>> {
        Err(
            RuntimeError::device("this build of kjit has no GPU support")
                .help("build it with the cargo feature `gpu`"),
        )
    }
}
