//! Reductions of rows, column by column, on the tree or from left to right.

use super::combine::{Column, Combine};
use super::source::Source;
use crate::dtype::cast::copy_block;
use crate::schedule::Scheduler;
use crate::scratch::Scratch;
use crate::tree::{LANES, LEAF, Tree};
use crate::{HostBuffer, Result, RuntimeError};
use std::ops::Range;

/// Bytes of the accumulators of a block of columns, which stay in a core's own caches; wider blocks make
/// longer runs of memory.
const BLOCK_BYTES: usize = 128 << 10;
/// Leaves of the largest unit of work: a power of two, so that a unit is a whole subtree.
const MAX_UNIT: usize = 64;
/// With so many columns (or blocks of them) there is no need to split rows among threads.
const MANY: usize = 256;

/// In which order elements are combined.
#[derive(Clone, Copy)]
pub(super) enum Grouping<'a> {
    /// On the tree of [`crate::tree`].
    Tree,
    /// From left to right, starting from an element if one is given, else from the first.
    Sequence(Option<&'a [u8]>),
}

/// A reduction of each column of a source.
pub(super) struct Fold<'a> {
    pub source: &'a Source,
    pub combine: &'a dyn Combine,
    pub grouping: Grouping<'a>,
}

/// An address that threads write to at different places.
#[derive(Clone, Copy)]
pub(super) struct Place(pub *mut u8);

// SAFETY: whoever writes through it sees to it that threads write to different places.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

impl Place {
    /// The address `bytes` behind it.
    pub(super) fn add(self, bytes: usize) -> *mut u8 {
        self.0.wrapping_add(bytes)
    }
}

impl Fold<'_> {
    /// Columns that are worked on together.
    pub(super) fn width(&self) -> usize {
        if !self.source.is_across() || self.runs_down(0, 0..self.source.rows.size(), 0, None) {
            return 1;
        }
        let lanes = match self.grouping {
            Grouping::Tree => self.source.rows.size().clamp(1, LANES),
            Grouping::Sequence(_) => 1,
        };
        let most = BLOCK_BYTES / ((lanes + 1) * self.source.size());
        let most = most.next_multiple_of(64).clamp(64, 4096);
        // As few blocks as that allows, all of about the same width.
        let columns = self.source.columns.size().max(1);
        let width = columns.div_ceil(columns.div_ceil(most));
        width.next_multiple_of(64)
    }

    /// Reduces `count` columns with a loop for columns of contiguous elements, if there is one. Without a place for
    /// the results only tells whether there is.
    fn runs_down(
        &self,
        column: usize,
        rows: Range<usize>,
        count: usize,
        out: Option<*mut u8>,
    ) -> bool {
        if rows.is_empty() || !matches!(self.grouping, Grouping::Tree) {
            return false;
        }
        let Some((first, from)) = self.source.column(column, rows.clone()) else {
            return false;
        };
        let x = Column {
            first,
            len: rows.len(),
            step: self.source.columns.inner_step(0),
        };
        let (out, count) = (
            out.unwrap_or(std::ptr::null_mut()),
            out.map_or(0, |_| count),
        );
        // SAFETY: the elements of these columns, aligned; `out` has room for as many.
        unsafe { self.combine.subtrees(from, x, count, out) }
    }

    /// Reduces slices of the rows of a single column, if there is a loop for that.
    pub(super) fn slices(&self, slices: &[Range<usize>], out: *mut u8) -> bool {
        let source = self.source;
        if source.columns.size() != 1 || !matches!(self.grouping, Grouping::Tree) {
            return false;
        }
        let Some((first, from)) = source.column(0, 0..source.rows.size()) else {
            return false;
        };
        // SAFETY: elements of the column, aligned; the caller has room for as many results.
        unsafe { self.combine.slices(from, first, slices, out) }
    }

    /// The loop for neighbouring columns that lie side by side.
    ///
    /// # Safety
    /// As [`Fold::run`].
    unsafe fn runs_across(
        &self,
        columns: Range<usize>,
        rows: Range<usize>,
        scratch: *mut u8,
        out: *mut u8,
    ) -> bool {
        let (source, width) = (self.source, columns.len());
        let (here, n) = (source.runs(columns), rows.len());
        let first = source.row_runs(rows);
        let (Some(_), Some((x, step))) = (
            source.direct(first.first(), &here),
            source.strided(here.first(), &first),
        ) else {
            return false;
        };
        // SAFETY: passed on; scratch has room for all lanes.
        width > 1 && unsafe { self.combine.across((x, step), n, scratch, out, width) }
    }

    /// Rough time for one element.
    fn ns(&self) -> f64 {
        self.combine.ns() + 0.03 * self.source.size() as f64
    }

    /// Reduces all rows of each column to one element of `out`, where columns follow each other.
    ///
    /// # Safety
    /// `out` is aligned and has room for an element of each column, and nobody else uses it.
    pub(super) unsafe fn run_all(&self, scheduler: &Scheduler, out: *mut u8) -> Result<()> {
        let (columns, rows) = (self.source.columns.size(), self.source.rows.size());
        let size = self.source.size();
        let width = self.width();
        let blocks = columns.div_ceil(width);
        let mut unit = rows.max(1);
        if blocks < MANY && matches!(self.grouping, Grouping::Tree) {
            let wanted = (20_000.0 / (self.ns() * (LEAF * width.min(columns)) as f64)) as usize;
            unit = wanted.clamp(1, MAX_UNIT).next_power_of_two().min(MAX_UNIT) * LEAF;
        }
        let units = rows.div_ceil(unit).max(1);
        // Without units, results go to their place; else the units' results are combined in the end.
        let mut parts = HostBuffer::zeroed(if units > 1 { units * columns * size } else { 0 })?;
        let to = Place(if units > 1 { parts.as_mut_ptr() } else { out });
        let ns = self.ns() * (unit.min(rows) * width.min(columns)) as f64 + 20.0;
        scheduler.run(blocks * units, 1, ns, &|range: Range<usize>| {
            Scratch::with(self.scratch(unit.min(rows), width), |scratch| {
                let (from, count) = (range.start, range.len());
                if width == 1
                    && units == 1
                    && self.runs_down(from, 0..rows, count, Some(to.add(from * size)))
                {
                    return Ok(());
                }
                for task in range {
                    let (block, u) = (task / units, task % units);
                    let block = block * width..((block + 1) * width).min(columns);
                    let part = u * unit..((u + 1) * unit).min(rows);
                    let place = to.add((u * columns + block.start) * size);
                    // SAFETY: blocks of a unit are different places, for which there is room.
                    unsafe { self.run(block, part, scratch, place)? };
                }
                Ok(())
            })
        })?;
        if units > 1 {
            let part = |u: usize| to.add(u * columns * size);
            let mut failure = None;
            let mut join = |left: usize, right: usize| {
                // SAFETY: different parts, each of all columns.
                let done = unsafe {
                    self.combine
                        .rows(part(left), part(right), part(left), columns)
                };
                if let Err(error) = done {
                    failure.get_or_insert(error);
                }
                left
            };
            let mut tree = Tree::new();
            for u in 0..units {
                tree.push(u, &mut join);
            }
            let first = tree.finish(&mut join).unwrap_or(0);
            if let Some(error) = failure {
                return Err(error);
            }
            let step = size as isize;
            // SAFETY: the parts and `out` have room for all columns.
            unsafe { copy_block(size, (part(first), step), (out, step), columns) };
        }
        Ok(())
    }

    /// Reduces all rows of some columns, at most [`Fold::width`] of them or one.
    ///
    /// # Safety
    /// `out` has room for these columns.
    pub(super) unsafe fn run_one(&self, columns: Range<usize>, out: *mut u8) -> Result<()> {
        let rows = 0..self.source.rows.size();
        Scratch::with(self.scratch(rows.len(), columns.len()), |scratch| {
            // SAFETY: passed on.
            unsafe { self.run(columns, rows, scratch, out) }
        })
    }

    /// Bytes of scratch memory that [`Fold::run`] needs.
    pub(super) fn scratch(&self, rows: usize, width: usize) -> usize {
        let slots = rows.div_ceil(LEAF).max(1).ilog2() as usize + 3;
        let leaf = if width == 1 {
            LEAF
        } else {
            (LANES + 1) * width
        };
        slots * self.slot(width) + leaf * self.source.size() + 64
    }

    /// Bytes from one subtree's results to those of the next.
    fn slot(&self, width: usize) -> usize {
        (width * self.source.size()).next_multiple_of(64)
    }

    /// Reduces a range of rows of at most [`Fold::width`] columns to an element each.
    ///
    /// # Safety
    /// `out` is aligned and has room for the elements, `scratch` for what [`Fold::scratch`] says.
    pub(super) unsafe fn run(
        &self,
        columns: Range<usize>,
        rows: Range<usize>,
        scratch: *mut u8,
        out: *mut u8,
    ) -> Result<()> {
        // SAFETY: passed on.
        unsafe {
            match self.grouping {
                Grouping::Tree
                    if self.runs_down(columns.start, rows.clone(), columns.len(), Some(out)) =>
                {
                    Ok(())
                }
                Grouping::Tree if self.runs_across(columns.clone(), rows.clone(), scratch, out) => {
                    Ok(())
                }
                Grouping::Tree if rows.len() <= LEAF => self.leaf(columns, rows, scratch, out),
                Grouping::Tree => self.tree(columns, rows, scratch, out),
                Grouping::Sequence(start) => self.sequence(columns, rows, start, scratch, out),
            }
        }
    }

    /// # Safety
    /// As [`Fold::run`].
    unsafe fn tree(
        &self,
        columns: Range<usize>,
        rows: Range<usize>,
        scratch: *mut u8,
        out: *mut u8,
    ) -> Result<()> {
        let width = columns.len();
        let slots = rows.len().div_ceil(LEAF).ilog2() as usize + 3;
        let bytes = self.slot(width);
        let slot = |n: usize| scratch.wrapping_add(n * bytes);
        let rest = slot(slots);
        let mut failure: Option<RuntimeError> = None;
        let mut join = |left: usize, right: usize| {
            // SAFETY: different slots, each of `width` elements.
            let done = unsafe {
                self.combine
                    .rows(slot(left), slot(right), slot(left), width)
            };
            if let Err(error) = done {
                failure.get_or_insert(error);
            }
            left
        };
        let mut tree = Tree::new();
        for start in rows.clone().step_by(LEAF) {
            let leaf = start..(start + LEAF).min(rows.end);
            // The subtrees so far lie in the first slots, one a level.
            let free = tree.depth();
            // SAFETY: passed on; the tree has fewer levels than there are slots.
            unsafe {
                if !self.runs_across(columns.clone(), leaf.clone(), rest, slot(free)) {
                    self.leaf(columns.clone(), leaf, rest, slot(free))?;
                }
            }
            tree.push(free, &mut join);
        }
        tree.finish(&mut join);
        if let Some(error) = failure {
            return Err(error);
        }
        let (size, step) = (self.source.size(), self.source.size() as isize);
        // SAFETY: room for `width` elements in both.
        unsafe { copy_block(size, (slot(0), step), (out, step), width) };
        Ok(())
    }

    /// # Safety
    /// As [`Fold::run`].
    unsafe fn leaf(
        &self,
        columns: Range<usize>,
        rows: Range<usize>,
        scratch: *mut u8,
        out: *mut u8,
    ) -> Result<()> {
        let (source, size) = (self.source, self.source.size());
        let width = columns.len();
        let here = source.runs(columns);
        if width == 1 {
            let offset = here.first();
            let n = rows.len();
            let runs = source.row_runs(rows);
            // SAFETY: the elements of a leaf, for which scratch has room.
            return unsafe {
                let x = source.fetch(offset, &runs, scratch);
                self.combine.leaf(x, n, out)
            };
        }
        let bytes = width * size;
        let present = rows.len().min(LANES);
        let spare = scratch.wrapping_add(LANES * bytes);
        let mut cursor = source.rows.cursor(rows.start);
        for n in 0..rows.len() {
            let lane = scratch.wrapping_add(n % LANES * bytes);
            // SAFETY: scratch has room for all lanes and one row more.
            unsafe {
                if n < LANES {
                    source.copy(cursor.offsets[0], &here, lane);
                } else {
                    let row = source.fetch(cursor.offsets[0], &here, spare);
                    self.combine.rows(lane, row, lane, width)?;
                }
            }
            cursor.advance(1);
        }
        for w in [8, 4, 2, 1] {
            let count = present.saturating_sub(w).min(w);
            if count > 0 {
                let upper = scratch.wrapping_add(w * bytes);
                // SAFETY: lanes `w..w + count` lie behind lanes `0..count`.
                unsafe { self.combine.rows(scratch, upper, scratch, count * width)? };
            }
        }
        let step = size as isize;
        // SAFETY: room for `width` elements in both.
        unsafe { copy_block(size, (scratch, step), (out, step), width) };
        Ok(())
    }

    /// # Safety
    /// As [`Fold::run`].
    unsafe fn sequence(
        &self,
        columns: Range<usize>,
        mut rows: Range<usize>,
        start: Option<&[u8]>,
        scratch: *mut u8,
        out: *mut u8,
    ) -> Result<()> {
        let (source, size) = (self.source, self.source.size());
        let width = columns.len();
        let here = source.runs(columns);
        let step = size as isize;
        match start {
            // SAFETY: room for `width` elements; the given one is repeated.
            Some(start) => unsafe { copy_block(size, (start.as_ptr(), 0), (out, step), width) },
            None => {
                // SAFETY: the first row, for which there is room.
                unsafe { source.copy(source.row_offset(rows.start), &here, out) };
                rows.start += 1;
            }
        }
        if width == 1 {
            let all = source.row_runs(rows.clone());
            if let Some(x) = source.strided(here.first(), &all) {
                // SAFETY: the rows of this column.
                return unsafe { self.combine.fold(out, x, rows.len()) };
            }
            for at in rows.clone().step_by(LEAF) {
                let block = at..(at + LEAF).min(rows.end);
                let n = block.len();
                let runs = source.row_runs(block);
                // SAFETY: scratch has room for a leaf.
                unsafe {
                    let x = source.fetch(here.first(), &runs, scratch);
                    self.combine.fold(out, (x, step), n)?;
                }
            }
            return Ok(());
        }
        let mut cursor = source.rows.cursor(rows.start);
        for _ in rows {
            // SAFETY: one row, for which scratch has room.
            unsafe {
                let row = source.fetch(cursor.offsets[0], &here, scratch);
                self.combine.rows(out, row, out, width)?;
            }
            cursor.advance(1);
        }
        Ok(())
    }
}
