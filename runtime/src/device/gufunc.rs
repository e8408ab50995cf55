//! gufunc-form kernels: invocations are the elements of the loop dimensions, promoted loops included.

use super::launch::{Mode, is_loop_limit};
use super::operand::{Memory, Nest, Operand, place, place_all, span};
use super::{Device, copy_kernel, launch};
use crate::broadcast::checked_size;
use crate::{Array, Result, RuntimeError, Stats};
use kjit_ir::{Access, ArrayMode, ArrayParam, DType, DimRef, Function, Part, Role};
use std::sync::Arc;
use std::time::Instant;

/// An output of a gufunc-form kernel.
pub struct GufuncOut {
    /// Element type.
    pub dtype: DType,
    /// What it holds before the kernel runs: zeros, or these elements.
    pub initial: Option<Array>,
}

impl Device {
    /// Runs kernels one after the other for every element of `loop_shape` (and of the loops that were
    /// promoted), given the extents of their core dimensions.
    ///
    /// `inputs` are the arguments read, in order: their last axes are the core axes, the others
    /// broadcast to `loop_shape`. `outs` are the arguments written, in order; new C-ordered device
    /// arrays of `loop_shape` and their core axes come back.
    #[expect(
        clippy::too_many_arguments,
        reason = "a call of a gufunc has that many sides"
    )]
    pub fn gufunc(
        &self,
        kernels: &[Function],
        inputs: &[Array],
        loop_shape: &[usize],
        extents: &[usize],
        outs: &[GufuncOut],
        fast: bool,
        stats: &mut Stats,
    ) -> Result<Vec<Array>> {
        stats.calls += 1;
        let Some(first) = kernels.first() else {
            return Err(RuntimeError::internal("a gufunc without kernels"));
        };
        let arguments: Vec<_> = arguments(first).collect();
        let (reads, writes): (Vec<_>, Vec<_>) =
            (arguments.iter()).partition(|(_, param, _)| param.mode == ArrayMode::In);
        let dtypes = |of: &[&(usize, &ArrayParam, DType)]| -> Vec<DType> {
            of.iter().map(|(_, _, dtype)| *dtype).collect()
        };
        let given: Vec<DType> = inputs.iter().map(Array::dtype).collect();
        let made: Vec<DType> = outs.iter().map(|o| o.dtype).collect();
        if dtypes(&reads) != given || dtypes(&writes) != made || extents.len() != first.dims.len() {
            return Err(RuntimeError::internal(format!(
                "bug in kjit: gufunc {} was called with arrays that it does not take",
                first.name
            )));
        }
        let dims = extents
            .iter()
            .map(|n| u32::try_from(*n))
            .collect::<std::result::Result<Vec<u32>, _>>()
            .map_err(|_| {
                RuntimeError::limit(format!(
                    "a core dimension of 2^32 or more elements is too large for device {}",
                    self.name()
                ))
                .help("use target cpu or parallel")
            })?;
        let full = |param: &ArrayParam| -> Vec<usize> {
            let core = param.core.iter().map(|d| extents[d.index()]);
            loop_shape.iter().copied().chain(core).collect()
        };
        let start = Instant::now();
        let placed_inputs = place_all(&self.0, inputs, &|n| full(reads[n].1))?;
        stats.transfer += start.elapsed();
        let run = |mode: Mode, stats: &mut Stats| {
            let mut results = Vec::with_capacity(outs.len());
            for (out, (_, param, _)) in outs.iter().zip(&writes) {
                results.push(self.initial(out, &full(param), stats)?);
            }
            let mut placed: Vec<Option<Operand>> = vec![None; first.arrays.len()];
            for ((array, _, _), operand) in reads.iter().zip(&placed_inputs) {
                placed[*array] = Some(operand.clone());
            }
            for ((array, param, _), result) in writes.iter().zip(&results) {
                placed[*array] = Some(place(&self.0, result, &full(param))?);
            }
            for kernel in kernels {
                let loops = loop_extents(kernel, extents);
                let shape: Vec<usize> = loop_shape.iter().copied().chain(loops).collect();
                if shape.contains(&0) {
                    continue;
                }
                let operands = (kernel.arrays.iter().enumerate())
                    .map(|(k, param)| {
                        let argument = placed.get(argument(kernel, k)).and_then(Option::as_ref);
                        moved(kernel, param, argument, loop_shape, extents)
                    })
                    .collect::<Result<Vec<Operand>>>()?;
                let nest = Nest::over(&shape, operands, 0);
                launch::gufunc(&self.0, kernel, nest, &dims, mode, stats)?;
            }
            Ok(results)
        };
        let mode = Mode::from(fast);
        let results = match run(mode, stats) {
            // From the start, for outputs may be read as well.
            Err(e) if is_loop_limit(&e) => run(
                Mode {
                    unroll: true,
                    ..mode
                },
                stats,
            )?,
            results => results?,
        };
        stats.bytes_read += inputs.iter().map(|a| a.nbytes() as u64).sum::<u64>();
        stats.bytes_written += results.iter().map(|a| a.nbytes() as u64).sum::<u64>();
        Ok(results)
    }

    /// A new array that holds what an output holds before the kernels run.
    fn initial(&self, out: &GufuncOut, shape: &[usize], stats: &mut Stats) -> Result<Array> {
        let size = checked_size(shape, out.dtype.size())?;
        match &out.initial {
            Some(array) if size > 0 => {
                let copy = copy_kernel(out.dtype);
                let array = std::slice::from_ref(array);
                let dtypes = [out.dtype];
                Ok(self
                    .map(&copy, array, shape, &dtypes, false, stats)?
                    .remove(0))
            }
            _ => {
                let buffer = self.0.allocate(size * out.dtype.size())?;
                self.0.clear(&[&buffer])?;
                Array::from_device(Arc::new(buffer), out.dtype, shape)
            }
        }
    }
}

/// The array parameters that stand for an argument of the caller, with its dtype.
fn arguments(kernel: &Function) -> impl Iterator<Item = (usize, &ArrayParam, DType)> {
    launch::arguments(kernel).filter(|(k, _, _)| argument(kernel, *k) == *k)
}

/// The first array parameter that stands for the same argument.
fn argument(kernel: &Function, array: usize) -> usize {
    let param = &kernel.arrays[array];
    match (param.part, param.role) {
        (Part::Im, _) => argument(kernel, array - 1),
        (_, Role::Alias(of)) => argument(kernel, of.index()),
        _ => array,
    }
}

/// Extents of the loops that were promoted.
fn loop_extents<'a>(
    kernel: &'a Function,
    extents: &'a [usize],
) -> impl Iterator<Item = usize> + 'a {
    kernel.loops.iter().map(|l| {
        let of = |(dim, coefficient): &(DimRef, i64)| coefficient * extents[dim.index()] as i64;
        (l.constant + l.dims.iter().map(of).sum::<i64>()).max(0) as usize
    })
}

/// The operand of one array parameter: the argument as it lies, moved along by the promoted loops.
fn moved(
    kernel: &Function,
    param: &ArrayParam,
    argument: Option<&Operand>,
    loop_shape: &[usize],
    extents: &[usize],
) -> Result<Operand> {
    let rank = loop_shape.len();
    if let Role::Iota(of) = param.role {
        let mut strides = vec![0; rank + kernel.loops.len()];
        strides[rank + of as usize] = 1;
        return Ok(Operand {
            memory: None::<Memory>,
            dtype: DType::I64,
            offset: 0,
            strides,
            core: Vec::new(),
            span: None,
            access: Access::Strided,
        });
    }
    let argument = argument.ok_or_else(|| {
        RuntimeError::internal(format!(
            "array `{}` of gufunc {} stands for no argument",
            param.name, kernel.name
        ))
    })?;
    let (outer, core) = argument.strides.split_at(rank);
    let mut strides = outer.to_vec();
    for k in 0..kernel.loops.len() {
        let along = param.along.get(k).into_iter().flatten();
        let steps = along.map(|(axis, coefficient)| coefficient * core[*axis as usize]);
        strides.push(steps.sum());
    }
    let full: Vec<usize> = loop_shape
        .iter()
        .copied()
        .chain(param.core.iter().map(|d| extents[d.index()]))
        .collect();
    if full.contains(&0) {
        // The kernel touches no element of it, and what is bound need not reach anywhere.
        return Ok(Operand {
            offset: 0,
            strides: vec![0; strides.len()],
            core: vec![0; core.len()],
            span: Some((0, 0)),
            ..argument.clone()
        });
    }
    Ok(Operand {
        strides,
        core: core.to_vec(),
        span: (!core.is_empty()).then(|| span(&full, &argument.strides)),
        ..argument.clone()
    })
}
