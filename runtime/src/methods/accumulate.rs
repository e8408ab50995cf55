//! `accumulate`: all the results on the way from the first element to the last.

use super::deliver;
#[cfg(feature = "gpu")]
use super::device;
use super::fold::Place;
use super::loops::{recurrence, resolve_axis};
use super::reduce::Split;
use super::source::Source;
#[cfg(feature = "gpu")]
use crate::Target;
use crate::array::Storage;
use crate::broadcast::checked_size;
use crate::dtype::cast::copy_block;
use crate::fpe::FpeMode;
use crate::launch::{Input, Output};
use crate::nest::Order;
use crate::{Array, Casting, Engine, HostBuffer, Result, RuntimeError, SliceIndex, Ufunc};
use kjit_ir::DType;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Columns that are worked on together.
const WIDTH: usize = 1024;

impl Ufunc {
    /// The results of combining the elements up to each one along an axis, strictly from left to right.
    ///
    /// # Errors
    /// The ufunc is not binary or cannot combine its result with an element; an axis that is not there; a
    /// single value, which has no axis.
    pub fn accumulate(
        &self,
        engine: &Engine,
        x: &Array,
        axis: i64,
        dtype: Option<DType>,
    ) -> Result<Array> {
        let name = format!("{}.accumulate", self.name());
        let result = self.accumulate_unjudged(&name, engine, x, axis, dtype)?;
        if engine.options().fpe != FpeMode::Ignore {
            self.judge_accumulated(&name, engine, x, axis, dtype, &result)?;
        }
        Ok(result)
    }

    /// Looks for the status flags of results, each combined of the one before and an element.
    fn judge_accumulated(
        &self,
        name: &str,
        engine: &Engine,
        x: &Array,
        axis: i64,
        dtype: Option<DType>,
        result: &Array,
    ) -> Result<()> {
        let found = recurrence(self, engine, "accumulate", x.dtype(), dtype, true)?;
        let axis = resolve_axis(&name, axis, x)?;
        let Some(kernel) = &found.flagged else {
            return Ok(());
        };
        let mut index = vec![SliceIndex::ALL; axis + 1];
        index[axis] = SliceIndex::range(None, Some(-1));
        let before = result.slice(&index)?;
        index[axis] = SliceIndex::range(Some(1), None);
        let elements = x.slice(&index)?.to_host()?.cast(found.dtype)?;
        let inputs = [Input::Array(&before), Input::Array(&elements)];
        let mode = FpeMode::Warn;
        let rules = (Casting::No, Casting::No);
        let mut outs = [Output::New(found.dtype)];
        let shape = before.shape();
        let (_, mut report) = engine.launch(kernel, &inputs, shape, &mut outs, rules, mode)?;
        report.elements = result.size() as u64;
        report.map_first(|first| first[axis] += 1);
        engine.judge(name, &report, engine.options().fpe)
    }

    fn accumulate_unjudged(
        &self,
        name: &str,
        engine: &Engine,
        x: &Array,
        axis: i64,
        dtype: Option<DType>,
    ) -> Result<Array> {
        let found = recurrence(self, engine, "accumulate", x.dtype(), dtype, true)?;
        let dtype = found.dtype;
        if x.ndim() == 0 {
            return Err(
                RuntimeError::value(format!("{name}: cannot accumulate on a scalar"))
                    .help("give an array with at least one axis"),
            );
        }
        let axis = resolve_axis(&name, axis, x)?;
        let mut chosen = vec![false; x.ndim()];
        chosen[axis] = true;
        let size = dtype.size();
        let total = checked_size(x.shape(), size)?;
        #[cfg(feature = "gpu")]
        if engine.options().target == Target::Gpu && total > 0 {
            let device = device::OnDevice {
                engine,
                ufunc: self,
                found: &found,
            };
            return device.accumulate(x, axis);
        }
        let x = x.to_host()?;
        let began = Instant::now();
        let parts = Split::of(&x, &chosen);
        let source = Source::new(&x, dtype, parts.kept(), parts.rows(), Order::Any)?;
        let mut buffer = HostBuffer::zeroed(total * size)?;
        let across = source.is_across();
        let (columns, rows) = match total {
            0 => (0, 0),
            _ => (source.columns.size(), source.rows.size()),
        };
        // Across columns, rows lie one after the other; else columns do.
        let (row_step, column_step) = match across {
            true => (columns * size, size),
            false => (size, rows * size),
        };
        let combine = found.combine(engine)?;
        let width = if across { WIDTH } else { 1 };
        let ns = (combine.ns() + 1.0) * (rows * width.min(columns)) as f64;
        let out = Place(buffer.as_mut_ptr());
        let body = |range: Range<usize>| {
            for block in range {
                let block = block * width..((block + 1) * width).min(columns);
                let n = block.len();
                let first = out.add(block.start * column_step);
                let here = source.runs(block);
                // SAFETY: rows and columns are those of the source, and `out` has as many elements;
                // blocks are different places.
                unsafe {
                    if !across {
                        let to = (first, size as isize);
                        let next = first.wrapping_add(size);
                        let all = source.row_runs(0..rows);
                        if let Some(x) = source.strided(here.first(), &all) {
                            copy_block(size, x, to, 1);
                            let x = (x.0.wrapping_offset(x.1), x.1);
                            combine.scan(x, to, rows - 1)?;
                        } else {
                            source.copy(here.first(), &all, first);
                            combine.scan((next, size as isize), to, rows - 1)?;
                        }
                        continue;
                    }
                    let mut cursor = source.rows.cursor(0);
                    for row in 0..rows {
                        let to = first.wrapping_add(row * row_step);
                        if row == 0 {
                            source.copy(cursor.offsets[0], &here, to);
                        } else {
                            let x = source.fetch(cursor.offsets[0], &here, to);
                            combine.rows(to.wrapping_sub(row_step), x, to, n)?;
                        }
                        cursor.advance(1);
                    }
                }
            }
            Ok(())
        };
        engine
            .scheduler
            .run(columns.div_ceil(width), 1, ns, &body)?;
        engine.record(began, x.nbytes(), total * size);
        let mut steps = source.out_strides.iter();
        let strides: Vec<isize> = (0..x.ndim())
            .map(|a| match steps_of(a == axis, &mut steps) {
                // A column's place in elements, in the units of this layout.
                Some(step) => step / size as isize * column_step as isize,
                None => row_step as isize,
            })
            .collect();
        Array::from_storage(
            Storage::Host(Arc::new(buffer)),
            dtype,
            x.shape(),
            &strides,
            0,
        )
    }

    /// As [`Ufunc::accumulate`], to an array that is there already.
    ///
    /// # Errors
    /// Also when the output has another shape, or a dtype that the result does not go into. Then nothing is
    /// written.
    pub fn accumulate_into(
        &self,
        engine: &Engine,
        x: &Array,
        axis: i64,
        dtype: Option<DType>,
        out: &mut Array,
    ) -> Result<()> {
        let result = self.accumulate(engine, x, axis, dtype)?;
        deliver(&format!("{}.accumulate", self.name()), result, out)
    }
}

/// The stride of the next axis that stays, or none for the one that does not.
fn steps_of<'a>(worked_off: bool, steps: &mut impl Iterator<Item = &'a isize>) -> Option<isize> {
    if worked_off {
        None
    } else {
        steps.next().copied()
    }
}
