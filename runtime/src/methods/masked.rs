//! Reductions of the elements that a mask selects.
//!
//! Elements that are not selected are absent from the tree, as lanes without elements are: an absent
//! operand leaves the other one as it is.

use super::combine::{Combine, RowMut};
use super::fold::{Grouping, Place};
use super::source::Source;
use crate::dtype::cast::copy_block;
use crate::schedule::Scheduler;
use crate::scratch::Scratch;
use crate::tree::{LANES, LEAF, Tree};
use crate::{Result, RuntimeError};
use std::ops::Range;

/// Columns worked on together.
const WIDTH: usize = 64;

/// A reduction of the selected elements of each column.
pub(super) struct MaskedFold<'a> {
    pub source: &'a Source,
    /// A bool an element of the source, numbered alike.
    pub mask: &'a Source,
    pub combine: &'a dyn Combine,
    pub grouping: Grouping<'a>,
}

impl RowMut {
    fn at(self, element: usize, size: usize) -> RowMut {
        RowMut {
            values: self.values.wrapping_add(element * size),
            present: self.present.wrapping_add(element),
        }
    }
}

impl MaskedFold<'_> {
    /// Reduces each of some columns to one element of `out`, which begins with the first of all; `present` tells for
    /// which there was any. A sequence has to have a start.
    ///
    /// # Safety
    /// As [`super::fold::Fold::run_all`]; `present` has a byte for each column.
    pub(super) unsafe fn run_all(
        &self,
        all: Range<usize>,
        scheduler: &Scheduler,
        out: *mut u8,
        present: *mut u8,
    ) -> Result<()> {
        let (columns, rows) = (all.len(), self.source.rows.size());
        let size = self.source.size();
        let width = if self.source.is_across() { WIDTH } else { 1 };
        let slots = rows.div_ceil(LEAF).max(1).ilog2() as usize + 3;
        // Per row of lanes: the lanes, what is fetched, and two that pairs are gathered in.
        let row = (LANES * WIDTH * (size + 1)).next_multiple_of(64);
        let slot = (width * (size + 1)).next_multiple_of(64);
        let ns = (self.combine.ns() + 3.0) * (rows * width.min(columns)) as f64;
        let (out, present) = (Place(out), Place(present));
        scheduler.run(columns.div_ceil(width), 1, ns, &|range: Range<usize>| {
            Scratch::with(4 * row + (slots + 1) * slot, |scratch| {
                for block in range {
                    let block = block * width..((block + 1) * width).min(columns);
                    let block = all.start + block.start..all.start + block.end;
                    let to = RowMut {
                        values: out.add(block.start * size),
                        present: present.add(block.start),
                    };
                    // SAFETY: blocks are different places; scratch has room for all that is kept there.
                    unsafe { self.column(block, scratch, (row, slot), to)? };
                }
                Ok(())
            })
        })
    }

    /// # Safety
    /// As [`MaskedFold::run_all`].
    unsafe fn column(
        &self,
        columns: Range<usize>,
        scratch: *mut u8,
        (row, slot): (usize, usize),
        to: RowMut,
    ) -> Result<()> {
        let (size, width) = (self.source.size(), columns.len());
        let memory = |n: usize, bytes: usize, elements: usize| {
            let values = scratch.wrapping_add(n * bytes);
            let present = values.wrapping_add(elements * size);
            RowMut { values, present }
        };
        let lanes = memory(0, row, LANES * width);
        let fetched = memory(1, row, LANES * WIDTH);
        let pairs = [2, 3].map(|n| scratch.wrapping_add(n * row));
        let slots = scratch.wrapping_add(4 * row);
        let slot = |n: usize| {
            let values = slots.wrapping_add(n * slot);
            let present = values.wrapping_add(width * size);
            RowMut { values, present }
        };
        let rows = 0..self.source.rows.size();
        if let Grouping::Sequence(start) = self.grouping {
            let start = start.ok_or_else(|| {
                RuntimeError::internal("bug in kjit: a masked sequence without a start")
            })?;
            // SAFETY: room for `width` elements; rows are fetched to where there is room for 16.
            unsafe {
                copy_block(size, (start.as_ptr(), 0), (to.values, size as isize), width);
                to.present.write_bytes(1, width);
                for at in rows {
                    self.fetch(columns.clone(), at..at + 1, fetched);
                    self.join(to, fetched, width, pairs)?;
                }
            }
            return Ok(());
        }
        let mut failure = None;
        let mut join = |left: usize, right: usize| {
            // SAFETY: different slots, each of `width` elements.
            if let Err(error) = unsafe { self.join(slot(left), slot(right), width, pairs) } {
                failure.get_or_insert(error);
            }
            left
        };
        // SAFETY: everything has room for 16 rows, slots for one.
        unsafe {
            slot(0).present.write_bytes(0, width);
            let mut tree = Tree::new();
            for start in rows.clone().step_by(LEAF) {
                let end = (start + LEAF).min(rows.end);
                lanes.present.write_bytes(0, LANES * width);
                // As many rows at a time as there is room for.
                let room = LANES * WIDTH / width / LANES * LANES;
                for at in (start..end).step_by(room) {
                    let some = at..(at + room).min(end);
                    let count = some.len();
                    self.fetch(columns.clone(), some, fetched);
                    for n in (0..count).step_by(LANES) {
                        let row = fetched.at(n * width, size);
                        self.join(lanes, row, LANES.min(count - n) * width, pairs)?;
                    }
                }
                for w in [8, 4, 2, 1] {
                    self.join(lanes, lanes.at(w * width, size), w * width, pairs)?;
                }
                let free = tree.depth();
                copy_row(lanes, slot(free), width, size);
                tree.push(free, &mut join);
            }
            tree.finish(&mut join);
            copy_row(slot(0), to, width, size);
        }
        failure.map_or(Ok(()), Err)
    }

    /// Rows one after the other, and their mask.
    ///
    /// # Safety
    /// `to` has room for them.
    unsafe fn fetch(&self, columns: Range<usize>, rows: Range<usize>, to: RowMut) {
        let width = columns.len();
        for (source, place) in [(self.source, to.values), (self.mask, to.present)] {
            let here = source.runs(columns.clone());
            // SAFETY: the caller's promise.
            unsafe {
                if width == 1 {
                    source.copy(here.first(), &source.row_runs(rows.clone()), place);
                } else {
                    for (n, row) in rows.clone().enumerate() {
                        let place = place.wrapping_add(n * width * source.size());
                        source.copy(source.row_offset(row), &here, place);
                    }
                }
            }
        }
    }

    /// Combines elements where both are present, and takes the right one where only that is.
    ///
    /// # Safety
    /// Both have `n` elements, `pairs` room for as many; nothing overlaps.
    unsafe fn join(
        &self,
        left: RowMut,
        right: RowMut,
        n: usize,
        pairs: [*mut u8; 2],
    ) -> Result<()> {
        let size = self.source.size();
        let step = size as isize;
        // SAFETY: the caller's promise.
        unsafe {
            if self.combine.join(left, right, n) {
                return Ok(());
            }
            let mut both = 0;
            for i in 0..n {
                if *right.present.add(i) == 0 {
                    continue;
                }
                let (a, b) = (left.at(i, size), right.at(i, size));
                if *a.present == 0 {
                    copy_row(b, a, 1, size);
                } else {
                    for (pair, from) in pairs.iter().zip([a.values, b.values]) {
                        copy_block(size, (from, step), (pair.add(both * size), step), 1);
                    }
                    both += 1;
                    // Marks the place that the combined element returns to.
                    *a.present = 2;
                }
            }
            self.combine.rows(pairs[0], pairs[1], pairs[0], both)?;
            let mut next = 0;
            for i in 0..n {
                let a = left.at(i, size);
                if *a.present == 2 {
                    copy_block(size, (pairs[0].add(next * size), step), (a.values, step), 1);
                    *a.present = 1;
                    next += 1;
                }
            }
        }
        Ok(())
    }
}

/// # Safety
/// Both have `n` elements and do not overlap.
unsafe fn copy_row(from: RowMut, to: RowMut, n: usize, size: usize) {
    let step = size as isize;
    // SAFETY: the caller's promise.
    unsafe {
        copy_block(size, (from.values, step), (to.values, step), n);
        copy_block(1, (from.present, 1), (to.present, 1), n);
    }
}
