//! `reduceat`: reductions of slices that a list of indices cuts.

use super::deliver;
#[cfg(feature = "gpu")]
use super::device;
use super::fold::{Fold, Grouping, Place};
use super::loops::{Loop, recurrence, resolve_axis};
use super::reduce::Split;
use super::source::Source;
#[cfg(feature = "gpu")]
use crate::Target;
use crate::array::Storage;
use crate::broadcast::{checked_size, format_shape};
use crate::fpe::FpeReport;
use crate::nest::Order;
use crate::scratch::Scratch;
use crate::{Array, Engine, HostBuffer, Result, RuntimeError, Ufunc};
use kjit_ir::DType;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

impl Ufunc {
    /// Reduces, for each index `i`, the elements from `indices[i]` to before `indices[i + 1]` (for the last
    /// one, to the end) along an axis; where the next index is not larger, the element at `indices[i]` is
    /// the result. Each slice is a reduction with a tree of its own.
    ///
    /// ```
    /// use kjit_runtime::{Array, Engine, EngineOptions, Program, Ufunc};
    /// # use std::sync::Arc;
    /// let source = kjit_driver::Source::new("add.k", "ufunc add<T: number>(a: T, b: T) -> T { a + b }");
    /// let program = Arc::new(Program::compile(source).unwrap());
    /// let engine = Engine::new(EngineOptions::default())?;
    /// let add = Ufunc::new(&program, "add")?;
    /// let x = Array::from_vec((0..8i64).collect(), &[8])?;
    /// let at = Array::from_vec(vec![0i64, 4, 1, 5], &[4])?;
    /// let sums = add.reduceat(&engine, &x, &at, 0, None)?;
    /// assert_eq!(sums.to_vec::<i64>()?, [6, 4, 10, 18]);
    /// # Ok::<(), kjit_runtime::RuntimeError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Ufunc::reduce`]; indices that are no 1-D integer array, or outside the axis.
    pub fn reduceat(
        &self,
        engine: &Engine,
        x: &Array,
        indices: &Array,
        axis: i64,
        dtype: Option<DType>,
    ) -> Result<Array> {
        let name = format!("{}.reduceat", self.name());
        let found = recurrence(self, engine, "reduceat", x.dtype(), dtype, true)?;
        let dtype = found.dtype;
        if x.ndim() == 0 {
            return Err(
                RuntimeError::value(format!("{name}: cannot reduceat on a scalar"))
                    .help("give an array with at least one axis"),
            );
        }
        let axis = resolve_axis(&name, axis, x)?;
        let flags = found.flagged.is_some();
        let judge = |report: &FpeReport| engine.judge(&name, report, engine.options().fpe);
        let slices = slices(&name, indices, x.shape()[axis])?;
        let mut shape = x.shape().to_vec();
        shape[axis] = slices.len();
        checked_size(&shape, dtype.size())?;
        #[cfg(feature = "gpu")]
        if engine.options().target == Target::Gpu && !shape.contains(&0) {
            if flags {
                // The same bits raise the same flags.
                judge(&on_host(engine, &found, x, axis, &slices, &shape)?.1)?;
            }
            let device = device::OnDevice {
                engine,
                ufunc: self,
                found: &found,
            };
            return device.reduceat(x, axis, &slices);
        }
        let (result, report) = on_host(engine, &found, x, axis, &slices, &shape)?;
        if flags {
            judge(&report)?;
        }
        Ok(result)
    }

    /// As [`Ufunc::reduceat`], to an array that is there already.
    ///
    /// # Errors
    /// Also when the output has another shape, or a dtype that the result does not go into. Then nothing is
    /// written.
    pub fn reduceat_into(
        &self,
        engine: &Engine,
        x: &Array,
        indices: &Array,
        axis: i64,
        dtype: Option<DType>,
        out: &mut Array,
    ) -> Result<()> {
        let result = self.reduceat(engine, x, indices, axis, dtype)?;
        deliver(&format!("{}.reduceat", self.name()), result, out)
    }
}

/// The reductions of the slices, of which the results have this shape, and their status flags.
fn on_host(
    engine: &Engine,
    found: &Loop,
    x: &Array,
    axis: usize,
    slices: &[Range<usize>],
    shape: &[usize],
) -> Result<(Array, FpeReport)> {
    let dtype = found.dtype;
    let size = dtype.size();
    let total: usize = shape.iter().product();
    let mut chosen = vec![false; x.ndim()];
    chosen[axis] = true;
    let x = x.to_host()?;
    let began = Instant::now();
    let parts = Split::of(&x, &chosen);
    let source = Source::new(&x, dtype, parts.kept(), parts.rows(), Order::Any)?;
    let combine = found.combine(engine)?;
    let fold = Fold {
        source: &source,
        combine: &*combine,
        grouping: match found.reorderable {
            true => Grouping::Tree,
            false => Grouping::Sequence(None),
        },
    };
    // One slice's results lie behind those of the one before.
    let as_array = |buffer: HostBuffer, dtype: DType| {
        let of = |step: isize| step / size as isize * dtype.size() as isize;
        let mut strides: Vec<isize> = source.out_strides.iter().map(|s| of(*s)).collect();
        let slice = total.checked_div(slices.len()).unwrap_or(1).max(1);
        strides.insert(axis, (slice * dtype.size()) as isize);
        Array::from_storage(Storage::Host(Arc::new(buffer)), dtype, shape, &strides, 0)
    };
    let mut buffer = HostBuffer::zeroed(total * size)?;
    let mut report = FpeReport::none(total);
    if total > 0 {
        let out = Place(buffer.as_mut_ptr());
        let columns = source.columns.size();
        let longest = slices.iter().map(Range::len).max().unwrap_or(1);
        let rows: usize = slices.iter().map(Range::len).sum();
        let run = |width: usize, tasks: Range<usize>| {
            let blocks = columns.div_ceil(width);
            if blocks == 1 && fold.slices(&slices[tasks.clone()], out.add(tasks.start * size)) {
                return Ok(());
            }
            Scratch::with(fold.scratch(longest, width), |scratch| {
                for task in tasks {
                    let (slice, block) = (task / blocks, task % blocks);
                    let block = block * width..((block + 1) * width).min(columns);
                    let place = out.add((slice * columns + block.start) * size);
                    // SAFETY: slices and blocks are different places of `out`.
                    unsafe { fold.run(block, slices[slice].clone(), scratch, place)? };
                }
                Ok(())
            })
        };
        let width = fold.width();
        let tasks = columns.div_ceil(width) * slices.len();
        let ns = combine.ns() * (rows * columns) as f64 / tasks as f64 + 20.0;
        (engine.scheduler).run(tasks, 1, ns, &|range| run(width, range))?;
        if combine.take_flags() != 0 {
            // Once more, result by result, to see which ones.
            let mut flags = HostBuffer::zeroed(total)?;
            for (task, flag) in flags.as_mut_slice().iter_mut().enumerate() {
                run(1, task..task + 1)?;
                *flag = combine.take_flags();
            }
            report = FpeReport::of(&as_array(flags, DType::U8)?)?;
        }
    }
    engine.record(began, x.nbytes(), total * size);
    Ok((as_array(buffer, dtype)?, report))
}

/// The slices of an axis that indices cut: none is empty.
fn slices(name: &str, indices: &Array, extent: usize) -> Result<Vec<Range<usize>>> {
    if !indices.dtype().is_int() || indices.dtype() == DType::U64 {
        return Err(RuntimeError::dtype(format!(
            "{name}: indices are {}, and must be integers that i64 can hold",
            indices.dtype()
        ))
        .help("convert them to i64"));
    }
    if indices.ndim() != 1 {
        return Err(RuntimeError::shape(format!(
            "{name}: indices have shape {}, and must have one axis",
            format_shape(indices.shape())
        )));
    }
    let list = indices.cast(DType::I64)?;
    let copy = match list.as_slice::<i64>() {
        Some(_) => Vec::new(),
        None => list.to_vec::<i64>()?,
    };
    let list = list.as_slice::<i64>().unwrap_or(&copy);
    if let Some(index) = list.iter().find(|i| **i < 0 || **i >= extent as i64) {
        return Err(RuntimeError::value(format!(
            "index {index} out-of-bounds in {name} [0, {extent})"
        ))
        .help("indices count from the front"));
    }
    let next = |n: usize| list.get(n + 1).map_or(extent, |i| *i as usize);
    let slice = |(n, start): (usize, &i64)| {
        let start = *start as usize;
        start..next(n).max(start + 1)
    };
    Ok(list.iter().enumerate().map(slice).collect())
}
