//! `at`: applies a ufunc in place at listed positions, one after the other.

use super::combine::Combine;
#[cfg(feature = "gpu")]
use super::device;
use super::loops::{literal, recurrence_of};
use super::source::Source;
#[cfg(feature = "gpu")]
use crate::Target;
use crate::broadcast::{broadcast_shapes, checked_size, format_shape};
use crate::cache::Kernel;
use crate::dtype::cast::cast_block;
use crate::fpe::{FpeMode, FpeReport, index_of};
use crate::launch::{Input, Output};
use crate::nest::{Layout, LoopNest, Order};
use crate::resolve::{ArgType, resolve_loop};
use crate::slice::resolve_at;
use crate::ufunc::Arg;
use crate::{
    Array, Casting, Engine, HostBuffer, KernelSpec, Result, RuntimeError, Ufunc, WeakKind, can_cast,
};
use kjit_ir::{DType, Scalar};
#[cfg(feature = "gpu")]
use kjit_ir::{FusedExpr, FusedNode, FusedOp, Loc};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Elements worked on together, where positions do not repeat.
const BLOCK: usize = 1024;

impl Ufunc {
    /// Applies a ufunc to the elements of `target` at positions of its first axis and stores the results
    /// there, one after the other: a position that is listed twice is changed twice. `values`, the second
    /// arguments of a binary ufunc, broadcast to the shape of the indices followed by the other axes of
    /// `target`. Negative indices count from the end. [`Ufunc::at_axes`] takes positions along several axes.
    ///
    /// ```
    /// use kjit_runtime::{Arg, Array, Engine, EngineOptions, Program, Ufunc};
    /// # use std::sync::Arc;
    /// let source = kjit_driver::Source::new("add.k", "ufunc add<T: number>(a: T, b: T) -> T { a + b }");
    /// let program = Arc::new(Program::compile(source).unwrap());
    /// let engine = Engine::new(EngineOptions::default())?;
    /// let add = Ufunc::new(&program, "add")?;
    /// let mut histogram = Array::from_vec(vec![0i32; 4], &[4])?;
    /// let bins = Array::from_vec(vec![1i64, 3, 1, -1, 1], &[5])?;
    /// add.at(&engine, &mut histogram, &bins, Some(&Arg::Int(1)))?;
    /// assert_eq!(histogram.to_vec::<i32>()?, [0, 3, 0, 2]);
    /// # Ok::<(), kjit_runtime::RuntimeError>(())
    /// ```
    ///
    /// # Errors
    /// The ufunc has not one or two inputs and one output; a second argument too many or missing; indices
    /// that are not integers or out of bounds; results that do not cast to the target's dtype with
    /// `casting = same_kind`. Then nothing is written.
    pub fn at(
        &self,
        engine: &Engine,
        target: &mut Array,
        indices: &Array,
        values: Option<&Arg>,
    ) -> Result<()> {
        let name = format!("{}.at", self.name());
        let call = self.resolve_at_call(&name, engine, target.dtype(), values)?;
        let list = Positions::new(&name, indices, target)?;
        let (positions, shape) = (list.as_slice(), &list.shape);
        let values = match values {
            Some(arg) => {
                let to = call.inputs[1];
                let values = match arg {
                    Arg::Array(array) => array.to_host()?,
                    other => literal(self, "b", other, to)?,
                };
                Some(values.broadcast_to(shape).map_err(|_| {
                    RuntimeError::shape(format!(
                        "{name}: values of shape {} do not broadcast to {}, the shape of the indices and \
                         the other axes of the target",
                        format_shape(values.shape()),
                        format_shape(shape)
                    ))
                    .help("aligned from the right, their extents must be equal or 1")
                })?)
            }
            None => None,
        };
        #[cfg(feature = "gpu")]
        if engine.options().target == Target::Gpu && shape.iter().all(|n| *n > 0) {
            if call.flagged.is_some() {
                // The same bits raise the same flags.
                let mut copy = target.to_host()?.to_contiguous()?;
                let values = values.as_ref();
                let job = Job::new(engine, &call, &mut copy, values, shape, indices.ndim())?;
                engine.judge(&name, &job.run(positions)?, engine.options().fpe)?;
            }
            // The device takes the positions as one axis.
            let rest = &shape[indices.ndim()..];
            let listed: Vec<usize> = [positions.len()].iter().chain(rest).copied().collect();
            let cast = |v: &Array| {
                let values = device::cast(engine, self, v, call.inputs[1])?;
                match indices.ndim() {
                    1 => Ok(values),
                    _ => values.reshape(&listed),
                }
            };
            let values = values.as_ref().map(cast).transpose()?;
            let (kernel, values) = (
                self.kernel_of(engine, &call, target.dtype())?,
                values.as_ref(),
            );
            return device::at(engine, kernel.function(), target, positions, values);
        }
        let began = Instant::now();
        if target.strides().contains(&0) {
            // Elements that share memory must get their own before one of them changes.
            *target = target.to_contiguous()?;
        }
        // Where a check may fail half-way, or flags may be errors, a copy is changed.
        let may_fail = !call.kernel.function().traps.is_empty() || call.flagged.is_some();
        let mut copy = may_fail.then(|| target.clone());
        let changed = copy.as_mut().unwrap_or(target);
        let bytes = changed.nbytes();
        if shape.iter().all(|n| *n > 0) {
            let values = values.as_ref();
            let job = Job::new(engine, &call, changed, values, shape, indices.ndim())?;
            let report = job.run(positions)?;
            engine.judge(&name, &report, engine.options().fpe)?;
        }
        if let Some(copy) = copy {
            *target = copy;
        }
        engine.record(began, bytes, bytes);
        Ok(())
    }

    /// As [`Ufunc::at`], at positions along the first axes of `target`: one array of indices an axis, which broadcast
    /// to one shape.
    ///
    /// # Errors
    /// As for [`Ufunc::at`]; more arrays of indices than axes, or none; indices that do not broadcast together.
    pub fn at_axes(
        &self,
        engine: &Engine,
        target: &mut Array,
        indices: &[Array],
        values: Option<&Arg>,
    ) -> Result<()> {
        if let [indices] = indices {
            return self.at(engine, target, indices, values);
        }
        let name = format!("{}.at", self.name());
        let (shape, n) = (target.shape().to_vec(), indices.len());
        if n == 0 || n > shape.len() {
            return Err(RuntimeError::shape(format!(
                "{name}: there are indices for {n} axes, and the target has {}",
                shape.len()
            ))
            .help("give an array of indices for each of the first axes, or fewer"));
        }
        let shapes: Vec<&[usize]> = indices.iter().map(Array::shape).collect();
        let together = broadcast_shapes(&shapes).map_err(|_| {
            let shapes: Vec<String> = shapes.iter().map(|s| format_shape(s)).collect();
            RuntimeError::shape(format!(
                "{name}: indices of shapes {} cannot be broadcast together",
                shapes.join(" and ")
            ))
            .help("aligned from the right, extents must be equal or one of them 1")
        })?;
        let size = checked_size(&together, size_of::<i64>())?;
        let mut merged = vec![checked_size(&shape[..n], 1)?];
        merged.extend(&shape[n..]);
        let mut positions: Vec<i64> = Vec::new();
        positions.try_reserve_exact(size).map_err(|_| {
            RuntimeError::limit(format!("{name}: there is no memory for {size} indices"))
                .help("give them in parts")
        })?;
        positions.resize(size, 0);
        for (axis, indices) in indices.iter().enumerate() {
            check_indices(&name, indices)?;
            let list = indices.cast(DType::I64)?.broadcast_to(&together)?;
            for (position, index) in positions.iter_mut().zip(list.iter::<i64>()?) {
                let index = resolve_at(shape[axis], axis, index)?;
                // Overflows only where an axis to come has no elements, and hence no index.
                *position = position.wrapping_mul(shape[axis] as i64) + index as i64;
            }
        }
        let positions = Array::from_vec(positions, &together)?;
        let mut flat = target.reshape(&merged)?;
        // The only handle, so that elements are changed where they are.
        *target = Array::scalar(Scalar::zero(target.dtype()));
        let result = self.at(engine, &mut flat, &positions, values);
        *target = flat.reshape(&shape)?;
        result
    }

    /// The kernel of a loop that takes and gives the target's dtype, as the elements are stored each time.
    #[cfg(feature = "gpu")]
    fn kernel_of(&self, engine: &Engine, call: &Call, target: DType) -> Result<Arc<Kernel>> {
        if call.inputs[0] == target && call.output == target {
            return Ok(call.kernel.clone());
        }
        let node = |op: FusedOp, args: &[usize]| FusedNode {
            op,
            args: args.iter().map(|n| (*n, 0)).collect(),
            loc: Loc::default(),
        };
        let mut inputs = call.inputs.clone();
        inputs[0] = target;
        let n = inputs.len();
        let mut nodes: Vec<FusedNode> = (0..n).map(|i| node(FusedOp::Input(i), &[])).collect();
        nodes.push(node(FusedOp::Cast(call.inputs[0]), &[0]));
        let args: Vec<usize> = [n].into_iter().chain(1..n).collect();
        let name = self.name().to_string();
        nodes.push(node(FusedOp::Call(name, call.generics.clone()), &args));
        nodes.push(node(FusedOp::Cast(target), &[n + 1]));
        let expr = FusedExpr {
            inputs,
            nodes,
            outputs: vec![(n + 2, 0)],
        };
        engine.kernel(self.program(), &KernelSpec::Fused(expr))
    }

    /// The loop that `at` runs.
    fn resolve_at_call(
        &self,
        name: &str,
        engine: &Engine,
        target: DType,
        values: Option<&Arg>,
    ) -> Result<Call> {
        let signature = self.signature();
        let (nin, nout) = (self.nin(), self.nout());
        if !(1..=2).contains(&nin) || nout != 1 || signature.core.is_some() {
            return Err(RuntimeError::value(format!(
                "{name} is only for ufuncs with one or two inputs and one output, and {} has {nin} and {nout}",
                self.name()
            )));
        }
        let mut types = vec![ArgType::Typed(target)];
        match (nin, values) {
            (2, Some(Arg::Array(array))) => types.push(ArgType::Typed(array.dtype())),
            (2, Some(Arg::Int(_))) => types.push(ArgType::Weak(WeakKind::Int)),
            (2, Some(Arg::Float(_))) => types.push(ArgType::Weak(WeakKind::Float)),
            (1, None) => {}
            (1, Some(_)) => {
                return Err(RuntimeError::value(format!(
                    "{name} takes no values, since {} has one argument",
                    self.name()
                )));
            }
            _ => {
                return Err(
                    RuntimeError::value(format!("{name} needs a second operand")).help(format!(
                        "give the values that {} combines with",
                        self.name()
                    )),
                );
            }
        }
        let generics = resolve_loop(signature, &types)?;
        let dtype = |spec: &kjit_ir::TypeSpec| spec.resolve(&generics);
        let inputs: Vec<DType> = signature.inputs.iter().map(|(_, s)| dtype(s)).collect();
        let output = dtype(&signature.outputs[0].1);
        if !can_cast(output, target, Casting::SameKind) {
            return Err(RuntimeError::dtype(format!(
                "{name}: results are {output}, which does not cast to the target's {target} with \
                 casting = same_kind"
            ))
            .help(format!("use a target of {output}")));
        }
        let spec = KernelSpec::Ufunc {
            name: self.name().to_string(),
            generics: generics.clone(),
            masked: false,
        };
        let kernel = engine.kernel(self.program(), &spec)?;
        let flagged = match engine.options().fpe {
            FpeMode::Ignore => None,
            _ => Some(engine.kernel_flagged(self.program(), &spec, true)?),
        };
        Ok(Call {
            kernel,
            flagged,
            #[cfg(feature = "gpu")]
            generics,
            inputs,
            output,
        })
    }
}

/// A loop: its kernel and dtypes.
struct Call {
    kernel: Arc<Kernel>,
    /// The kernel with an output of status flags, if these are looked for.
    flagged: Option<Arc<Kernel>>,
    #[cfg(feature = "gpu")]
    generics: Vec<DType>,
    inputs: Vec<DType>,
    output: DType,
}

/// Are these indices?
fn check_indices(name: &str, indices: &Array) -> Result<()> {
    if !indices.dtype().is_int() || indices.dtype() == DType::U64 {
        return Err(RuntimeError::dtype(format!(
            "{name}: indices are {}, and must be integers that i64 can hold",
            indices.dtype()
        ))
        .help("convert them to i64"));
    }
    Ok(())
}

/// Positions along the target's first axis.
struct Positions {
    list: Array,
    /// The positions, if the list cannot be used as it is.
    counted: Vec<usize>,
    /// The shape of all elements that are changed.
    shape: Vec<usize>,
}

impl Positions {
    fn new(name: &str, indices: &Array, target: &Array) -> Result<Positions> {
        check_indices(name, indices)?;
        let Some((extent, rest)) = target.shape().split_first() else {
            return Err(RuntimeError::value(format!(
                "{name}: a single value has no axis to index"
            ))
            .help("give a target with at least one axis"));
        };
        let shape: Vec<usize> = indices.shape().iter().chain(rest).copied().collect();
        checked_size(&shape, target.dtype().size())?;
        let list = indices.cast(DType::I64)?;
        let n = *extent as u64;
        // Negative ones are large here.
        let inside = |list: &[i64]| list.iter().fold(true, |ok, i| ok & ((*i as u64) < n));
        let counted = match list.as_slice::<i64>() {
            Some(list) if usize::BITS == 64 && inside(list) => Vec::new(),
            _ => (list.iter::<i64>()?)
                .map(|i| resolve_at(*extent, 0, i))
                .collect::<Result<Vec<usize>>>()?,
        };
        Ok(Positions {
            list,
            counted,
            shape,
        })
    }

    fn as_slice(&self) -> &[usize] {
        match self.list.as_slice::<i64>() {
            // None is negative, and a `usize` has the same bits.
            Some(list) if self.counted.is_empty() => bytemuck::cast_slice(list),
            _ => &self.counted,
        }
    }
}

/// The work on one target.
struct Job<'a> {
    engine: &'a Engine,
    call: &'a Call,
    /// The combination of a loop whose dtypes are all the same.
    combine: Option<Box<dyn Combine>>,
    dtype: DType,
    base: *mut u8,
    extent: usize,
    stride: isize,
    /// The other axes of the target.
    rest: LoopNest,
    values: Option<Source>,
    /// Of all elements that are changed, in the order of the list.
    shape: &'a [usize],
}

impl<'a> Job<'a> {
    fn new(
        engine: &'a Engine,
        call: &'a Call,
        target: &mut Array,
        values: Option<&Array>,
        shape: &'a [usize],
        index_axes: usize,
    ) -> Result<Job<'a>> {
        let source = |values: &Array| {
            let (shape, strides) = (values.shape(), values.strides());
            let columns = (&shape[..index_axes], &strides[..index_axes]);
            let rows = (&shape[index_axes..], &strides[index_axes..]);
            Source::new(values, call.inputs[1], columns, rows, Order::C)
        };
        let values = values.map(source).transpose()?;
        let combine = recurrence_of(engine, &call.kernel, &call.inputs, call.output)?;
        let (dtype, offset) = (target.dtype(), target.offset());
        let layout = Layout {
            strides: &target.strides()[1..],
            size: dtype.size(),
        };
        let rest = LoopNest::plan(&target.shape()[1..], &[layout], Order::C);
        let (extent, stride) = (target.shape()[0], target.strides()[0]);
        Ok(Job {
            engine,
            call,
            combine,
            dtype,
            base: target.make_mut()?.as_mut_ptr().wrapping_add(offset),
            extent,
            stride,
            rest,
            values,
            shape,
        })
    }

    /// Says which status flags were raised, if these are looked for.
    fn run(&self, positions: &[usize]) -> Result<FpeReport> {
        let mut report = FpeReport::default();
        if self.rest.size() == 1
            && self.call.flagged.is_none()
            && let (Some(combine), Some(values)) = (&self.combine, &self.values)
            && self.dtype == self.call.output
            && self.dtype != DType::Bool
            && self.base.addr().is_multiple_of(self.dtype.size())
            && self.stride.unsigned_abs().is_multiple_of(self.dtype.size())
            && let Some(x) = values.strided(0, &values.runs(0..positions.len()))
            // SAFETY: positions lie inside the target, whose memory is ours; as many values.
            && unsafe { combine.scatter((self.base, self.stride), positions, x) }
        {
            return Ok(report);
        }
        let each = self.rest.size();
        let most = (BLOCK / each).max(1);
        // The number of the block that last changed a position.
        let mut seen = vec![0usize; self.extent];
        let mut memory = Memory::new(self.call, most.min(positions.len()) * each)?;
        let (mut start, mut block) = (0, 0);
        while start < positions.len() {
            block += 1;
            let mut end = start;
            while end < positions.len() && end - start < most && seen[positions[end]] != block {
                seen[positions[end]] = block;
                end += 1;
            }
            let mut part = self.block(positions, start..end, &mut memory)?;
            part.map_first(|first| *first = index_of(first[0] + start * each, self.shape));
            report.append(part);
            start = end;
        }
        Ok(report)
    }

    /// Changes the elements at positions that are all different.
    fn block(
        &self,
        positions: &[usize],
        block: Range<usize>,
        memory: &mut Memory,
    ) -> Result<FpeReport> {
        let mut report = FpeReport::default();
        let (each, n) = (self.rest.size(), block.len() * self.rest.size());
        let here = &positions[block.clone()];
        // SAFETY: positions and the nest name elements of the target, whose memory is ours; there is room
        // for the elements of a block.
        unsafe {
            self.each_run(here, |at, place, run| {
                let to = self.call.inputs[0];
                let place = memory.a.as_mut_ptr().wrapping_add(place * to.size());
                cast_block(
                    self.dtype,
                    (at.0.cast_const(), at.1),
                    to,
                    (place, to.size() as isize),
                    run,
                );
            });
            if let Some(values) = &self.values {
                let place = memory.b.as_mut_ptr();
                if each == 1 {
                    values.copy(0, &values.runs(block), place);
                } else {
                    let rest = values.row_runs(0..each);
                    for (k, column) in block.enumerate() {
                        let place = place.wrapping_add(k * each * values.size());
                        values.copy(values.runs(column..column + 1).first(), &rest, place);
                    }
                }
            }
            let from = self.call.output;
            let results = match &self.combine {
                Some(combine) if self.call.flagged.is_none() => {
                    let a = memory.a.as_mut_ptr();
                    combine.rows(a, memory.b.as_ptr(), a, n)?;
                    a.cast_const()
                }
                _ => {
                    let result;
                    (result, report) = self.evaluate(memory, n)?;
                    memory.result = Some(result);
                    let result = memory.result.as_ref().and_then(Array::as_ptr);
                    result.unwrap_or(memory.a.as_ptr())
                }
            };
            self.each_run(here, |at, place, run| {
                let place = results.wrapping_add(place * from.size());
                cast_block(from, (place, from.size() as isize), self.dtype, at, run);
            });
        }
        Ok(report)
    }

    /// Calls `f` with each run of the target's elements at some positions, and its place among all.
    fn each_run(&self, positions: &[usize], mut f: impl FnMut((*mut u8, isize), usize, usize)) {
        let step = self.rest.inner_step(0);
        let mut place = 0;
        for position in positions {
            let row = self.base.wrapping_offset(*position as isize * self.stride);
            if self.rest.size() == 1 {
                f((row, step), place, 1);
                place += 1;
                continue;
            }
            let mut cursor = self.rest.cursor(0);
            let mut left = self.rest.size();
            while left > 0 {
                let run = cursor.run();
                f((row.wrapping_offset(cursor.offsets[0]), step), place, run);
                cursor.advance(run);
                place += run;
                left -= run;
            }
        }
    }

    /// The kernel's results for `n` fetched elements, and their status flags.
    fn evaluate(&self, memory: &Memory, n: usize) -> Result<(Array, FpeReport)> {
        let array = |buffer: &HostBuffer, dtype: DType| {
            let bytes = &buffer.as_slice()[..n * dtype.size()];
            Array::from_buffer(HostBuffer::from_bytes(bytes)?, dtype, &[n])
        };
        let mut inputs = vec![array(&memory.a, self.call.inputs[0])?];
        if let Some(dtype) = self.call.inputs.get(1) {
            inputs.push(array(&memory.b, *dtype)?);
        }
        let kernel = (self.call.flagged.as_ref()).unwrap_or(&self.call.kernel);
        let inputs: Vec<Input> = inputs.iter().map(Input::Array).collect();
        let mut outs = [Output::New(self.call.output)];
        let rules = (Casting::No, Casting::No);
        let (mut new, report) =
            (self.engine).launch(kernel, &inputs, &[n], &mut outs, rules, FpeMode::Warn)?;
        match new.pop().flatten() {
            Some(result) => Ok((result.to_contiguous()?, report)),
            None => Err(RuntimeError::internal("bug in kjit: a call without output")),
        }
    }
}

/// The fetched elements of a block.
struct Memory {
    a: HostBuffer,
    b: HostBuffer,
    result: Option<Array>,
}

impl Memory {
    fn new(call: &Call, n: usize) -> Result<Memory> {
        let buffer = |dtype: Option<&DType>| HostBuffer::zeroed(n * dtype.map_or(0, |d| d.size()));
        Ok(Memory {
            a: buffer(call.inputs.first())?,
            b: buffer(call.inputs.get(1))?,
            result: None,
        })
    }
}
