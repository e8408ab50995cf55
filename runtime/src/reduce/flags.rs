//! The status flags of sums: what the additions on the tree raise.

use crate::tree::subtree;
use crate::{Array, Result};
use half::f16;
use kjit_ir::DType;
use kjit_ir::abi::fpe;
use num_complex::{Complex32, Complex64};

/// The flags that the sum of a contiguous array raises, of integers none.
pub(crate) fn flags_of_sum(array: &Array) -> Result<u8> {
    if array.size() == 0 {
        return Ok(0);
    }
    macro_rules! sum {
        ($T:ty, |$x:ident| $first:expr) => {{
            let values = array.to_vec::<$T>()?;
            subtree(&values, |$x: $T| Sum::new($first), Sum::plus)
        }};
    }
    Ok(match array.dtype() {
        DType::F16 => {
            let sum = sum!(f16, |x| [x.to_f32()]);
            // Only the result is rounded.
            let rounded = f16::from_f32(sum.value[0]);
            sum.flags
                | if rounded.is_infinite() && sum.value[0].is_finite() {
                    fpe::OVERFLOW
                } else {
                    0
                }
        }
        DType::F32 => sum!(f32, |x| [x]).flags,
        DType::F64 => sum!(f64, |x| [x]).flags,
        DType::C64 => sum!(Complex32, |x| [x.re, x.im]).flags,
        DType::C128 => sum!(Complex64, |x| [x.re, x.im]).flags,
        _ => 0,
    })
}

/// A sum, part by part, and the flags that it has raised.
#[derive(Clone, Copy)]
struct Sum<F, const N: usize> {
    value: [F; N],
    flags: u8,
}

/// A part of a number.
trait Part: Copy {
    fn plus(self, other: Self) -> (Self, u8);
}

macro_rules! parts {
    ($($F:ident)*) => {$(
        impl Part for $F {
            #[inline(always)]
            fn plus(self, other: $F) -> ($F, u8) {
                let sum = self + other;
                let overflow = sum.is_infinite() && self.is_finite() && other.is_finite();
                let invalid = sum.is_nan() && !self.is_nan() && !other.is_nan();
                let flag = |raised, flag| if raised { flag } else { 0 };
                (sum, flag(overflow, fpe::OVERFLOW) | flag(invalid, fpe::INVALID))
            }
        }
    )*};
}

parts! { f32 f64 }

impl<F: Part, const N: usize> Sum<F, N> {
    fn new(value: [F; N]) -> Sum<F, N> {
        Sum { value, flags: 0 }
    }

    fn plus(mut self, other: Sum<F, N>) -> Sum<F, N> {
        self.flags |= other.flags;
        for (sum, part) in self.value.iter_mut().zip(other.value) {
            let (value, flags) = sum.plus(part);
            *sum = value;
            self.flags |= flags;
        }
        self
    }
}
