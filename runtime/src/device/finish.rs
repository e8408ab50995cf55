//! The host's part of a reduction: lanes of a leaf, then the tree of leaves.

use super::launch::Partials;
use crate::element::Element;
use crate::{Result, RuntimeError};
use kjit_driver::wgsl::Reduction;
use kjit_ir::{DType, Scalar};

/// Combines the partial results of `n` elements into a value of dtype `to`.
pub(super) fn finish(
    partials: &Partials,
    n: usize,
    reduction: Reduction,
    to: DType,
) -> Result<Scalar> {
    let bytes = partials.bytes.as_slice();
    macro_rules! with {
        ($T:ty, $sum:expr) => {{
            let values: Vec<$T> = bytemuck::pod_collect_to_vec(bytes);
            match reduction {
                Reduction::Sum => tree(&values, $sum),
                Reduction::Min => tree(&values, minimum::<$T>),
                Reduction::Max => tree(&values, maximum::<$T>),
            }
            .map(|v| v.to_scalar())
        }};
    }
    let value = match partials.dtype {
        DType::I32 => with!(i32, i32::wrapping_add),
        DType::U32 => with!(u32, u32::wrapping_add),
        DType::I64 => with!(i64, i64::wrapping_add),
        DType::U64 => with!(u64, u64::wrapping_add),
        DType::F32 => with!(f32, |a, b| a + b),
        DType::F64 => with!(f64, |a, b| a + b),
        _ => None,
    };
    match value {
        // Extremes of narrow integers come back in 32 bits.
        Some(value) if value.dtype() != to => Ok(Scalar::int(to, value.as_int())),
        Some(value) => Ok(value),
        None => Err(RuntimeError::internal(format!(
            "no partial results of {n} elements"
        ))),
    }
}

/// A number that may be a NaN or a zero with a sign.
trait Real: Copy + PartialOrd + bytemuck::Pod + Element {
    fn is_nan(self) -> bool {
        false
    }
    fn is_negative(self) -> bool {
        false
    }
}

impl Real for i32 {}
impl Real for u32 {}
impl Real for i64 {}
impl Real for u64 {}

impl Real for f32 {
    fn is_nan(self) -> bool {
        self.is_nan()
    }
    fn is_negative(self) -> bool {
        self.is_sign_negative()
    }
}

impl Real for f64 {
    fn is_nan(self) -> bool {
        self.is_nan()
    }
    fn is_negative(self) -> bool {
        self.is_sign_negative()
    }
}

/// The smaller of two; NaN beats numbers, and -0 is below +0.
fn minimum<T: Real>(a: T, b: T) -> T {
    if a.is_nan() || (!b.is_nan() && (a < b || (a == b && a.is_negative()))) {
        a
    } else {
        b
    }
}

/// The larger of two, likewise.
fn maximum<T: Real>(a: T, b: T) -> T {
    if a.is_nan() || (!b.is_nan() && (a > b || (a == b && b.is_negative()))) {
        a
    } else {
        b
    }
}

/// The tree of [`crate::reduce`] over partial results, [`Reduction::LANES`] a leaf.
fn tree<T: Copy>(partials: &[T], op: impl Fn(T, T) -> T) -> Option<T> {
    // Subtrees and the number of leaves in each: falling powers of two.
    let mut subtrees: Vec<(T, usize)> = Vec::new();
    for leaf in partials.chunks(Reduction::LANES as usize) {
        let mut lanes = leaf.to_vec();
        for w in [8, 4, 2, 1] {
            for j in 0..w {
                if j + w < lanes.len() {
                    lanes[j] = op(lanes[j], lanes[j + w]);
                }
            }
        }
        let (mut value, mut leaves) = (lanes[0], 1);
        while let Some((left, _)) = subtrees.pop_if(|(_, n)| *n == leaves) {
            value = op(left, value);
            leaves *= 2;
        }
        subtrees.push((value, leaves));
    }
    let (mut right, _) = subtrees.pop()?;
    while let Some((left, _)) = subtrees.pop() {
        right = op(left, right);
    }
    Some(right)
}
