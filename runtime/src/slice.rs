//! Basic indexing, with NumPy's rules for negative and out-of-range bounds.

use crate::{Result, RuntimeError};

/// One index of a view: a position, or a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SliceIndex {
    /// One position, which removes the axis; negative counts from the end.
    At(i64),
    /// `start..end` in steps; bounds are clamped, negative ones count from the end.
    Range {
        /// First position (default: the first the step can reach).
        start: Option<i64>,
        /// One past the last position (default: all the step can reach).
        end: Option<i64>,
        /// Distance between positions, not zero.
        step: i64,
    },
}

impl SliceIndex {
    /// The whole axis.
    pub const ALL: SliceIndex = SliceIndex::Range {
        start: None,
        end: None,
        step: 1,
    };

    /// `start..end` with step one.
    pub const fn range(start: Option<i64>, end: Option<i64>) -> SliceIndex {
        SliceIndex::Range {
            start,
            end,
            step: 1,
        }
    }
}

/// Positions an axis of `len` elements keeps: the first one, how many, and the step.
pub(crate) fn resolve_range(
    len: usize,
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
) -> Result<(usize, usize, i64)> {
    if step == 0 {
        return Err(RuntimeError::value("the step of a slice cannot be zero"));
    }
    let n = len as i128;
    let clamp = |bound: i64, low: i128, high: i128| {
        let b = bound as i128;
        (if b < 0 { b + n } else { b }).clamp(low, high)
    };
    let (first, count) = if step > 0 {
        let a = start.map_or(0, |s| clamp(s, 0, n));
        let b = end.map_or(n, |e| clamp(e, 0, n));
        (a, (b - a).max(0))
    } else {
        let a = start.map_or(n - 1, |s| clamp(s, -1, n - 1));
        let b = end.map_or(-1, |e| clamp(e, -1, n - 1));
        (a, (a - b).max(0))
    };
    let width = (step as i128).abs();
    let count = (count + width - 1) / width;
    let first = if count == 0 { 0 } else { first };
    Ok((first as usize, count as usize, step))
}

/// The position that `index` names on an axis.
pub(crate) fn resolve_at(len: usize, axis: usize, index: i64) -> Result<usize> {
    let i = index as i128 + if index < 0 { len as i128 } else { 0 };
    if i < 0 || i >= len as i128 {
        return Err(RuntimeError::value(format!(
            "index {index} is out of bounds for axis {axis} with {len} elements"
        )));
    }
    Ok(i as usize)
}
