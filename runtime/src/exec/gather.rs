//! Copies between the strided elements of an operand and contiguous scratch memory, short runs included: what
//! an element costs here is a load and a store, and what a run costs a few instructions.

use crate::dtype::cast::{cast_block, copy_elements};
use crate::nest::{Cursor, LoopNest};
use kjit_ir::DType;

/// Bytes behind the elements of a block that [`gather`] may write to.
pub(super) const SLACK: usize = 16;

/// An operand of a nest, in memory.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Address of the element with index zero.
    pub(super) ptr: *mut u8,
    pub(super) dtype: DType,
    /// Its number in the nest.
    pub(super) operand: usize,
}

/// Rows of equal length, at a step.
#[derive(Clone, Copy)]
struct Rows {
    ptr: *mut u8,
    /// How many.
    count: usize,
    /// Bytes from one to the next.
    stride: isize,
    /// Elements of a row.
    run: usize,
    /// Bytes from an element to the next.
    step: isize,
}

/// Copies the `n` elements from the cursor on to `to`, one after the other, converted to a dtype.
///
/// # Safety
/// The positions must be inside the nest, its elements readable, and `to` have room for as many and
/// [`SLACK`] bytes more, which are overwritten.
pub(super) unsafe fn gather(
    nest: &LoopNest,
    cursor: &Cursor,
    from: Place,
    n: usize,
    (to, dtype): (*mut u8, DType),
) {
    let size = dtype.size();
    let mut to = to;
    each_row(nest, cursor, from, n, |rows| {
        let elements = rows.count * rows.run;
        // SAFETY: the caller's promise, for a part of the positions.
        unsafe {
            if from.dtype != dtype {
                for row in 0..rows.count {
                    let source = rows.ptr.wrapping_offset(rows.stride * row as isize);
                    let place = (to.add(row * rows.run * size), size as isize);
                    cast_block(from.dtype, (source, rows.step), dtype, place, rows.run);
                }
            } else {
                match size {
                    1 => gather_rows::<u8>(rows, to),
                    2 => gather_rows::<u16>(rows, to),
                    4 => gather_rows::<u32>(rows, to),
                    8 => gather_rows::<u64>(rows, to),
                    16 => gather_rows::<u128>(rows, to),
                    _ => panic!("bug in kjit: no element of {size} bytes"),
                }
            }
        }
        to = to.wrapping_add(elements * size);
    });
}

/// Copies the `n` elements that follow each other from `from` on to those from the cursor on.
///
/// # Safety
/// The positions must be inside the nest, its elements writable, and `from` have as many.
pub(super) unsafe fn scatter(
    nest: &LoopNest,
    cursor: &Cursor,
    (from, dtype): (*const u8, DType),
    n: usize,
    to: Place,
) {
    let size = dtype.size();
    let mut from = from;
    each_row(nest, cursor, to, n, |rows| {
        // SAFETY: the caller's promise, for a part of the positions.
        unsafe {
            if to.dtype != dtype {
                for row in 0..rows.count {
                    let place = rows.ptr.wrapping_offset(rows.stride * row as isize);
                    let source = (from.add(row * rows.run * size), size as isize);
                    cast_block(dtype, source, to.dtype, (place, rows.step), rows.run);
                }
            } else {
                match size {
                    1 => scatter_rows::<u8>(rows, from),
                    2 => scatter_rows::<u16>(rows, from),
                    4 => scatter_rows::<u32>(rows, from),
                    8 => scatter_rows::<u64>(rows, from),
                    16 => scatter_rows::<u128>(rows, from),
                    _ => panic!("bug in kjit: no element of {size} bytes"),
                }
            }
        }
        from = from.wrapping_add(rows.count * rows.run * size);
    });
}

/// Calls `f` with the rows that the `n` elements from the cursor on are made of.
fn each_row(nest: &LoopNest, cursor: &Cursor, place: Place, n: usize, mut f: impl FnMut(Rows)) {
    let (inner, step) = (nest.inner(), nest.inner_step(place.operand));
    let at = |cursor: &Cursor| place.ptr.wrapping_offset(cursor.offsets[place.operand]);
    let run = |cursor: &Cursor, run: usize| Rows {
        ptr: at(cursor),
        count: 1,
        stride: 0,
        run,
        step,
    };
    if n <= cursor.run() {
        return f(run(cursor, n));
    }
    let mut cursor = cursor.clone();
    let mut left = n;
    while left > 0 {
        let (count, stride) = cursor.rows(place.operand);
        let count = count.min(left / inner);
        if cursor.run() < inner || count == 0 {
            // The end of a row, or the beginning of one.
            let part = cursor.run().min(left);
            f(run(&cursor, part));
            cursor.advance(part);
            left -= part;
        } else {
            f(Rows {
                ptr: at(&cursor),
                count,
                stride,
                run: inner,
                step,
            });
            cursor.advance_rows(count);
            left -= count * inner;
        }
    }
}

/// An element that is copied.
trait Word: Copy {
    /// Writes it over `bytes` bytes or some more, at most [`SLACK`].
    ///
    /// # Safety
    /// There must be room.
    unsafe fn fill(self, to: *mut u8, bytes: usize);
}

macro_rules! words {
    ($($ty:ty: $ones:literal),*) => {$(
        impl Word for $ty {
            #[inline(always)]
            unsafe fn fill(self, to: *mut u8, bytes: usize) {
                let pattern = (self as u64).wrapping_mul($ones);
                // Whole words: rows are so short that their ends would cost more than they do.
                for at in (0..bytes).step_by(16) {
                    // SAFETY: begins inside of the bytes, and reaches no further than the slack.
                    unsafe {
                        to.add(at).cast::<u64>().write_unaligned(pattern);
                        to.add(at + 8).cast::<u64>().write_unaligned(pattern);
                    }
                }
            }
        }
    )*};
}

words! { u8: 0x0101_0101_0101_0101, u16: 0x0001_0001_0001_0001, u32: 0x0000_0001_0000_0001, u64: 1 }

impl Word for u128 {
    #[inline(always)]
    unsafe fn fill(self, to: *mut u8, bytes: usize) {
        for at in (0..bytes).step_by(16) {
            // SAFETY: inside of the bytes.
            unsafe { to.add(at).cast::<u128>().write_unaligned(self) };
        }
    }
}

/// # Safety
/// As [`gather`], for these rows.
unsafe fn gather_rows<T: Word>(rows: Rows, to: *mut u8) {
    let size = size_of::<T>();
    let bytes = rows.run * size;
    let mut source = rows.ptr.cast_const();
    let mut to = to;
    // SAFETY: the caller's promise; what a fill writes too much is written over or in the slack.
    unsafe {
        if rows.step == 0 {
            for _ in 0..rows.count {
                source.cast::<T>().read_unaligned().fill(to, bytes);
                (source, to) = (source.wrapping_offset(rows.stride), to.wrapping_add(bytes));
            }
        } else if rows.step == size as isize {
            for _ in 0..rows.count {
                copy_run(source, to, bytes);
                (source, to) = (source.wrapping_offset(rows.stride), to.wrapping_add(bytes));
            }
        } else {
            for _ in 0..rows.count {
                copy_elements::<T>((source, rows.step), (to, size as isize), rows.run);
                (source, to) = (source.wrapping_offset(rows.stride), to.wrapping_add(bytes));
            }
        }
    }
}

/// # Safety
/// As [`scatter`], for these rows.
unsafe fn scatter_rows<T: Word>(rows: Rows, from: *const u8) {
    let size = size_of::<T>();
    let bytes = rows.run * size;
    let (mut from, mut to) = (from, rows.ptr);
    for _ in 0..rows.count {
        // SAFETY: the caller's promise.
        unsafe {
            if rows.step == size as isize {
                copy_run(from, to, bytes);
            } else {
                copy_elements::<T>((from, size as isize), (to, rows.step), rows.run);
            }
        }
        (from, to) = (from.wrapping_add(bytes), to.wrapping_offset(rows.stride));
    }
}

/// Copies bytes; short runs without a call.
///
/// # Safety
/// Both sides must have as many, and not overlap.
#[inline(always)]
unsafe fn copy_run(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: the last word ends where the run does.
    unsafe {
        let word = |at: usize| {
            let value = from.add(at).cast::<u128>().read_unaligned();
            to.add(at).cast::<u128>().write_unaligned(value);
        };
        if (16..=64).contains(&bytes) {
            let mut at = 0;
            while at + 16 < bytes {
                word(at);
                at += 16;
            }
            word(bytes - 16);
        } else {
            std::ptr::copy_nonoverlapping(from, to, bytes);
        }
    }
}
