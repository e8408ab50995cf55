//! Indices of the extremes of rows: `argmin` and `argmax` along an axis.

use super::{Accumulator, ArgExtreme, Source, complex, of, reduce};
use crate::schedule::Scheduler;
use crate::{Array, Element, ReduceOp, Result};
use half::f16;
use kjit_ir::DType;
use num_complex::Complex;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Rows of at least as many elements are shared between threads each by itself.
const LONG: usize = 1 << 17;

/// For each row of `n` elements, one or more, of an array that lies in host memory in C order: the index of
/// its first extreme element, or of its first NaN.
pub(crate) fn arg_extremes(
    array: &Array,
    n: usize,
    op: ReduceOp,
    scheduler: &Scheduler,
) -> Result<Vec<i64>> {
    let rows = array.size() / n;
    if n >= LONG {
        let array = array.reshape(&[rows, n])?;
        let index = |row: usize| {
            let row = array.slice(&[crate::SliceIndex::At(row as i64)])?;
            let index = reduce(&Source::Memory(&row), row.dtype(), n, op, scheduler)?;
            Ok(index.as_int() as i64)
        };
        return (0..rows).map(index).collect();
    }
    let max = op == ReduceOp::ArgMax;
    macro_rules! with {
        ($T:ty, $min:ty, $max:ty, $index:expr) => {
            match max {
                false => each::<$T, $min>(array, n, scheduler, $index),
                true => each::<$T, $max>(array, n, scheduler, $index),
            }
        };
        ($T:ty) => {
            with!($T, ArgExtreme<$T, false>, ArgExtreme<$T, true>, |i| i)
        };
    }
    match array.dtype() {
        // The caller has made 0 and 1 of bools.
        DType::Bool | DType::U8 => with!(u8),
        DType::I8 => with!(i8),
        DType::I16 => with!(i16),
        DType::I32 => with!(i32),
        DType::I64 => with!(i64),
        DType::U16 => with!(u16),
        DType::U32 => with!(u32),
        DType::U64 => with!(u64),
        DType::F16 => with!(f16),
        DType::F32 => with!(f32),
        DType::F64 => with!(f64),
        DType::C64 => with!(
            Complex<f32>,
            complex::Extreme<f32, false>,
            complex::Extreme<f32, true>,
            |e| e.index
        ),
        DType::C128 => with!(
            Complex<f64>,
            complex::Extreme<f64, false>,
            complex::Extreme<f64, true>,
            |e| e.index
        ),
    }
}

fn each<T: Element + bytemuck::Pod, A: Accumulator<T>>(
    array: &Array,
    n: usize,
    scheduler: &Scheduler,
    index: fn(A::Output) -> usize,
) -> Result<Vec<i64>> {
    let bytes = array.bytes().expect("bug in kjit: rows in host memory");
    let (rows, size) = (array.size() / n, n * size_of::<T>());
    let parts: Mutex<Vec<(usize, Vec<i64>)>> = Mutex::default();
    let ns = 5.0 + 0.5 * n as f64;
    scheduler.run(rows, 1, ns, &|range: Range<usize>| {
        // Memory may be unaligned, so rows are copied; a row is small.
        let mut row = vec![T::zeroed(); n];
        let part = bytes[range.start * size..range.end * size].chunks_exact(size);
        let found = part.map(|values| {
            bytemuck::cast_slice_mut(&mut row).copy_from_slice(values);
            index(of::<T, A>(&row, 0).finish()) as i64
        });
        let found: Vec<i64> = found.collect();
        let mut parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push((range.start, found));
        Ok(())
    })?;
    let mut parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner);
    parts.sort_unstable_by_key(|(start, _)| *start);
    Ok(parts.into_iter().flat_map(|(_, found)| found).collect())
}
