//! Reductions of complex numbers: sums part by part, extremes in lexicographic order.

use super::{Accumulator, Addend, FromIndex, Job, Sum, Widen};
use crate::wide::Level;
use crate::{Element, ReduceOp, Result};
use kjit_ir::Scalar;
use num_complex::Complex;

/// The parts of a complex element.
pub(super) trait Part: Copy + PartialOrd + std::ops::Add<Output = Self> + Send {}

impl Part for f32 {}
impl Part for f64 {}

/// Reduces complex elements.
pub(super) fn reduce<P: Part>(job: &Job, op: ReduceOp) -> Result<Scalar>
where
    Complex<P>: Element + bytemuck::Pod,
{
    match op {
        ReduceOp::Sum => job
            .run::<Complex<P>, Sum<Complex<P>>>()
            .map(Element::to_scalar),
        ReduceOp::Min => job
            .run::<Complex<P>, Extreme<P, false>>()
            .map(|e| e.value.to_scalar()),
        ReduceOp::Max => job
            .run::<Complex<P>, Extreme<P, true>>()
            .map(|e| e.value.to_scalar()),
        ReduceOp::ArgMin => job
            .run::<Complex<P>, Extreme<P, false>>()
            .map(|e| Scalar::from_index(e.index)),
        ReduceOp::ArgMax => job
            .run::<Complex<P>, Extreme<P, true>>()
            .map(|e| Scalar::from_index(e.index)),
    }
}

impl<P: Part> Addend for Complex<P>
where
    Complex<P>: Element,
{
    #[inline(always)]
    fn plus(self, other: Complex<P>) -> Complex<P> {
        Complex {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }
}

impl<P: Part> Widen<Complex<P>> for Complex<P>
where
    Complex<P>: Element,
{
    #[inline(always)]
    fn widen(self) -> Complex<P> {
        self
    }
}

/// The first element with a NaN if there is one, else the first of the extreme ones, with its index.
#[derive(Clone, Copy)]
pub(super) struct Extreme<P, const MAX: bool> {
    value: Complex<P>,
    pub(super) index: usize,
}

fn has_nan<P: Part>(value: Complex<P>) -> bool {
    value.re.partial_cmp(&value.re).is_none() || value.im.partial_cmp(&value.im).is_none()
}

impl<P: Part, const MAX: bool> Extreme<P, MAX> {
    /// The better of two, this one being the earlier.
    fn or(self, later: Self) -> Self {
        if has_nan(self.value) {
            return self;
        }
        let (a, b) = (self.value, later.value);
        let better = if MAX {
            b.re > a.re || (b.re == a.re && b.im > a.im)
        } else {
            b.re < a.re || (b.re == a.re && b.im < a.im)
        };
        if better || has_nan(b) { later } else { self }
    }
}

impl<P: Part, const MAX: bool> Accumulator<Complex<P>> for Extreme<P, MAX> {
    type Output = Self;

    #[inline(always)]
    fn of<L: Level>(_: L, values: &[Complex<P>], start: usize) -> Self {
        let element = |n: usize| Extreme {
            value: values[n],
            index: start + n,
        };
        (1..values.len()).fold(element(0), |best, n| best.or(element(n)))
    }

    fn combine(self, right: Self) -> Self {
        self.or(right)
    }

    fn finish(self) -> Self {
        self
    }
}
