//! The operand of a method as columns of rows: rows are numbered along the axes that are worked off,
//! columns over the axes that stay.

use crate::array::c_strides;
use crate::dtype::cast::cast_block;
use crate::nest::{Few, Layout, LoopNest, Order, matching_strides};
use crate::{Array, Result, RuntimeError};
use kjit_ir::DType;
use std::ops::Range;

/// Elements of an array, converted to a dtype as they are fetched.
pub(super) struct Source {
    ptr: *const u8,
    from: DType,
    /// The dtype that is worked in.
    pub to: DType,
    /// Axes that stay; operand 0 is the array.
    pub columns: LoopNest,
    /// Strides, along the axes that stay, of an array that has the columns one after the other.
    pub out_strides: Vec<isize>,
    /// Axes worked off, in C order.
    pub rows: LoopNest,
    /// Offset of the first column.
    first: isize,
    /// Elements are aligned for their dtype in memory.
    is_aligned: bool,
    /// Elements can be used where they are, as far as they follow each other.
    in_place: bool,
}

// SAFETY: memory that is only read, of an array that whoever made the source keeps alive.
unsafe impl Send for Source {}
// SAFETY: as above.
unsafe impl Sync for Source {}

impl Source {
    /// The elements of a host array, given the shapes and strides of the axes that stay and of those worked
    /// off. With [`Order::Any`] columns are numbered as suits the memory.
    pub(super) fn new(
        array: &Array,
        to: DType,
        columns: (&[usize], &[isize]),
        rows: (&[usize], &[isize]),
        order: Order,
    ) -> Result<Source> {
        let Some(ptr) = array.as_ptr() else {
            return Err(RuntimeError::internal(
                "bug in kjit: a method of an array not on the host",
            ));
        };
        let from = array.dtype();
        fn layout(strides: &[isize], dtype: DType) -> Layout<'_> {
            let size = dtype.size();
            Layout { strides, size }
        }
        let size = to.size();
        let plan = |out: &[isize], order| {
            let operands = [layout(columns.1, from), layout(out, to)];
            LoopNest::plan(columns.0, &operands, order)
        };
        let mut out_strides = match order {
            Order::Any => matching_strides(columns.0, &[layout(columns.1, from)], size).into_vec(),
            Order::C => c_strides(columns.0, size),
        };
        let mut nest = plan(&out_strides, order);
        if !nest.is_linear(1, size) {
            out_strides = c_strides(columns.0, size);
            nest = plan(&out_strides, Order::C);
        }
        let is_aligned = ptr.addr().is_multiple_of(from.size())
            && (columns.1.iter().chain(rows.1))
                .all(|s| s.unsigned_abs().is_multiple_of(from.size()));
        Ok(Source {
            ptr,
            from,
            to,
            out_strides,
            rows: LoopNest::plan(rows.0, &[layout(rows.1, from)], Order::C),
            // A bool in memory may be any byte.
            in_place: from == to && from != DType::Bool && is_aligned,
            first: nest.cursor(0).offsets[0],
            is_aligned,
            columns: nest,
        })
    }

    /// Bytes of an element in the dtype that is worked in.
    pub(super) fn size(&self) -> usize {
        self.to.size()
    }

    /// Should rows be worked on across columns, because columns lie closer together or are short?
    pub(super) fn is_across(&self) -> bool {
        let step = |nest: &LoopNest| match nest.size() {
            0 | 1 => usize::MAX,
            _ => nest.inner_step(0).unsigned_abs(),
        };
        self.columns.size() >= 8
            && (step(&self.columns) <= step(&self.rows) || self.rows.size() < 32)
    }

    /// Bytes from the array's first element to the beginning of each row, and of each column.
    pub(super) fn row_offset(&self, row: usize) -> isize {
        self.rows.cursor(row).offsets[0]
    }

    /// The runs that a range of columns consists of.
    pub(super) fn runs(&self, columns: Range<usize>) -> Runs {
        runs(&self.columns, columns)
    }

    /// The runs that a range of rows consists of.
    pub(super) fn row_runs(&self, rows: Range<usize>) -> Runs {
        runs(&self.rows, rows)
    }

    /// The elements of some runs, one after the other: where they are, or copied to `scratch`.
    ///
    /// # Safety
    /// Offset and runs are those of elements of the array; `scratch` has room for them.
    pub(super) unsafe fn fetch(&self, offset: isize, runs: &Runs, scratch: *mut u8) -> *const u8 {
        if let Some(ptr) = self.direct(offset, runs) {
            return ptr;
        }
        // SAFETY: passed on.
        unsafe { self.copy(offset, runs, scratch) };
        scratch
    }

    /// Where some elements of a column are, if they follow each other there, and their dtype in memory: what
    /// [`Source::runs`] and [`Source::fetch`] find out too, and take longer to.
    #[inline]
    pub(super) fn column(&self, column: usize, rows: Range<usize>) -> Option<(*const u8, DType)> {
        let size = self.from.size();
        let simple = self.columns.ndim() == 1 && self.rows.ndim() == 1 && self.is_aligned;
        let (down, right) = (self.rows.inner_step(0), self.columns.inner_step(0));
        if !simple || self.from == DType::Bool || down != size as isize {
            return None;
        }
        let offset = self.first + column as isize * right + (rows.start * size) as isize;
        Some((self.ptr.wrapping_offset(offset), self.from))
    }

    /// Where the elements of some runs are, if they can be used there.
    pub(super) fn direct(&self, offset: isize, runs: &Runs) -> Option<*const u8> {
        let [(at, n)] = runs.list.as_slice() else {
            return None;
        };
        let close = *n == 1 || runs.step == self.size() as isize;
        (self.in_place && close).then(|| self.ptr.wrapping_offset(offset + at))
    }

    /// Where a single run is and its step, if its elements can be used there.
    pub(super) fn strided(&self, offset: isize, runs: &Runs) -> Option<(*const u8, isize)> {
        let [(at, _)] = runs.list.as_slice() else {
            return None;
        };
        (self.in_place).then(|| (self.ptr.wrapping_offset(offset + at), runs.step))
    }

    /// Copies the elements of some runs, one after the other.
    ///
    /// # Safety
    /// As [`Source::fetch`].
    pub(super) unsafe fn copy(&self, offset: isize, runs: &Runs, to: *mut u8) {
        let step = self.size() as isize;
        // SAFETY: passed on.
        unsafe { self.copy_strided(offset, runs, (to, step)) }
    }

    /// Copies the elements of some runs to elements at a distance from each other.
    ///
    /// # Safety
    /// As [`Source::fetch`].
    pub(super) unsafe fn copy_strided(&self, offset: isize, runs: &Runs, to: (*mut u8, isize)) {
        let mut place = to.0;
        for (at, n) in &runs.list {
            let from = (self.ptr.wrapping_offset(offset + at), runs.step);
            // SAFETY: the caller vouches for the elements and the room.
            unsafe { cast_block(self.from, from, self.to, (place, to.1), *n) };
            place = place.wrapping_offset(to.1 * *n as isize);
        }
    }
}

/// Runs of elements: the offset of each one's first element and how many; bytes between neighbours.
pub(super) struct Runs {
    list: Few<(isize, usize)>,
    step: isize,
}

impl Runs {
    /// Offset of the first element.
    pub(super) fn first(&self) -> isize {
        self.list.first().map_or(0, |run| run.0)
    }
}

fn runs(nest: &LoopNest, range: Range<usize>) -> Runs {
    let mut list = Few::new();
    let mut cursor = nest.cursor(range.start);
    let mut left = range.len();
    while left > 0 {
        let n = cursor.run().min(left);
        list.push((cursor.offsets[0], n));
        cursor.advance(n);
        left -= n;
    }
    Runs {
        list,
        step: nest.inner_step(0),
    }
}
