//! `reduceat`: reductions of slices that a list of indices cuts.

use super::deliver;
#[cfg(feature = "gpu")]
use super::device;
use super::fold::{Fold, Grouping, Place};
use super::loops::{recurrence, resolve_axis};
use super::reduce::Split;
use super::source::Source;
#[cfg(feature = "gpu")]
use crate::Target;
use crate::array::Storage;
use crate::broadcast::{checked_size, format_shape};
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
        let slices = slices(&name, indices, x.shape()[axis])?;
        let mut chosen = vec![false; x.ndim()];
        chosen[axis] = true;
        let size = dtype.size();
        let mut shape = x.shape().to_vec();
        shape[axis] = slices.len();
        let total = checked_size(&shape, size)?;
        #[cfg(feature = "gpu")]
        if engine.options().target == Target::Gpu && total > 0 {
            let device = device::OnDevice {
                engine,
                ufunc: self,
                found: &found,
            };
            return device.reduceat(x, axis, &slices);
        }
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
        let mut buffer = HostBuffer::zeroed(total * size)?;
        let out = Place(buffer.as_mut_ptr());
        if total > 0 {
            let columns = source.columns.size();
            let width = fold.width();
            let blocks = columns.div_ceil(width);
            let longest = slices.iter().map(Range::len).max().unwrap_or(1);
            let rows: usize = slices.iter().map(Range::len).sum();
            let ns = combine.ns() * (rows * columns) as f64 / (blocks * slices.len()) as f64 + 20.0;
            engine
                .scheduler
                .run(blocks * slices.len(), 1, ns, &|range: Range<usize>| {
                    Scratch::with(fold.scratch(longest, width), |scratch| {
                        for task in range {
                            let (slice, block) = (task / blocks, task % blocks);
                            let block = block * width..((block + 1) * width).min(columns);
                            let place = out.add((slice * columns + block.start) * size);
                            // SAFETY: slices and blocks are different places of `out`.
                            unsafe { fold.run(block, slices[slice].clone(), scratch, place)? };
                        }
                        Ok(())
                    })
                })?;
        }
        engine.record(began, x.nbytes(), total * size);
        // One slice's results lie behind those of the one before.
        let mut strides = source.out_strides.clone();
        let slice_step = match total {
            0 => size,
            _ => total / slices.len() * size,
        };
        strides.insert(axis, slice_step as isize);
        Array::from_storage(Storage::Host(Arc::new(buffer)), dtype, &shape, &strides, 0)
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
    let list = indices.cast(DType::I64)?.to_vec::<i64>()?;
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
