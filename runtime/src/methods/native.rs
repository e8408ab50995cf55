//! Loops of the operations whose reductions are run most: `+ * min max fmin fmax & | ^` of plain numbers.

use super::combine::{Combine, RowMut, Run, RunMut};
use crate::Result;
use crate::reduce::{Extreme, Real};
use crate::tree::leaf;
use kjit_ir::{DType, Opcode};
use std::marker::PhantomData;

/// An operation on a type.
trait Op<T>: Send + Sync {
    fn apply(a: T, b: T) -> T;

    /// Of a leaf.
    #[inline(always)]
    fn leaf(values: &[T]) -> T
    where
        T: Copy,
    {
        leaf(values, |v| v, Self::apply)
    }

    /// Of a leaf of another dtype, if there is a loop for that.
    ///
    /// # Safety
    /// There are `n` aligned elements.
    unsafe fn widening_leaf(_from: DType, _x: *const u8, _n: usize) -> Option<T> {
        None
    }
}

struct Add;
struct Mul;
struct Min;
struct Max;
struct FMin;
struct FMax;
struct And;
struct Or;
struct Xor;

macro_rules! ops {
    ($($Op:ident [$($T:ty)*] |$a:ident, $b:ident| $value:expr;)*) => {$($(
        impl Op<$T> for $Op {
            #[inline(always)]
            fn apply($a: $T, $b: $T) -> $T { $value }
        }
    )*)*};
}

ops! {
    Add [i8 i16 i32 u8 u16 u32] |a, b| a.wrapping_add(b);
    Mul [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a.wrapping_mul(b);
    Min [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a.min(b);
    Max [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a.max(b);
    And [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a & b;
    Or [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a | b;
    Xor [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a ^ b;
    Add [f32 f64] |a, b| a + b;
    Mul [f32 f64] |a, b| a * b;
}

macro_rules! extremes {
    ($($Op:ident $max:literal $leaf:ident |$a:ident, $b:ident| $odd:expr;)*) => {$(
        extremes!($Op f32 $max $leaf |$a, $b| $odd);
        extremes!($Op f64 $max $leaf |$a, $b| $odd);
    )*};
    ($Op:ident $T:ident $max:literal $leaf:ident |$a:ident, $b:ident| $odd:expr) => {
        impl Op<$T> for $Op {
            // Selects only, so that loops vectorise.
            #[inline(always)]
            fn apply($a: $T, $b: $T) -> $T {
                let better = if $max { $b > $a } else { $b < $a };
                let best = if better { $b } else { $a };
                let best = if $a == $b { $a.zero_of($b, $max) } else { best };
                let (odd, instead) = $odd;
                if odd { instead } else { best }
            }

            #[inline(always)]
            fn leaf(values: &[$T]) -> $T {
                Extreme::<$T, $max>::$leaf(values)
            }
        }
    };
}

// Where the first is NaN, the comparison has picked it; see to what else NaNs ask for.
extremes! {
    Min false of |a, b| (b.is_nan(), b);
    Max true of |a, b| (b.is_nan(), b);
    FMin false of_numbers |a, b| (a.is_nan(), b);
    FMax true of_numbers |a, b| (a.is_nan(), b);
}

/// The loops of an operation on a dtype, where there are any.
pub(super) fn combine(op: Opcode, dtype: DType) -> Option<Box<dyn Combine>> {
    macro_rules! native {
        ($T:ty: $($Op:ident)*) => {
            match op {
                $(Opcode::$Op => Some(Box::new(Native::<$T, $Op>(PhantomData)) as Box<dyn Combine>),)*
                _ => None,
            }
        };
        (int $T:ty) => { native!($T: Add Mul Min Max And Or Xor) };
        (float $T:ty) => { native!($T: Add Mul Min Max FMin FMax) };
    }
    match dtype {
        // A bool is a byte that is 0 or 1.
        DType::Bool => native!(u8: And Or Xor),
        DType::I8 => native!(int i8),
        DType::I16 => native!(int i16),
        DType::I32 => native!(int i32),
        DType::I64 => native!(int i64),
        DType::U8 => native!(int u8),
        DType::U16 => native!(int u16),
        DType::U32 => native!(int u32),
        DType::U64 => native!(int u64),
        DType::F32 => native!(float f32),
        DType::F64 => native!(float f64),
        DType::F16 | DType::C64 | DType::C128 => None,
    }
}

/// Sums of small integers, widened on the way.
macro_rules! widening {
    ($($T:ty: $($dtype:ident $from:ty),*;)*) => {$(
        impl Op<$T> for Add {
            #[inline(always)]
            fn apply(a: $T, b: $T) -> $T { a.wrapping_add(b) }

            unsafe fn widening_leaf(from: DType, x: *const u8, n: usize) -> Option<$T> {
                match from {
                    $(DType::$dtype => {
                        // SAFETY: the caller vouches for `n` aligned elements.
                        let values = unsafe { std::slice::from_raw_parts(x.cast::<$from>(), n) };
                        Some(leaf(values, |v| v as $T, |a: $T, b| a.wrapping_add(b)))
                    })*
                    _ => None,
                }
            }
        }
    )*};
}

widening! {
    i64: I8 i8, I16 i16, I32 i32;
    u64: U8 u8, U16 u16, U32 u32;
}

/// The loops of one operation on one type.
struct Native<T, O>(PhantomData<(T, O)>);

impl<T: Copy + Send + Sync, O: Op<T>> Combine for Native<T, O> {
    unsafe fn rows(&self, a: *const u8, b: *const u8, to: *mut u8, n: usize) -> Result<()> {
        let (a, b, to) = (a.cast::<T>(), b.cast::<T>(), to.cast::<T>());
        // Loops over two runs instead of three need no check at run time that these do not overlap.
        for i in 0..n {
            // SAFETY: the caller vouches for `n` elements of each.
            unsafe {
                if std::ptr::eq(a, to) {
                    *to.add(i) = O::apply(*to.add(i), *b.add(i));
                } else if std::ptr::eq(b, to) {
                    *to.add(i) = O::apply(*a.add(i), *to.add(i));
                } else {
                    *to.add(i) = O::apply(*a.add(i), *b.add(i));
                }
            }
        }
        Ok(())
    }

    unsafe fn fold(&self, acc: *mut u8, x: Run, n: usize) -> Result<()> {
        let acc = acc.cast::<T>();
        // SAFETY: the caller vouches for the accumulator and `n` elements.
        unsafe {
            let mut value = *acc;
            for i in 0..n as isize {
                value = O::apply(value, *x.0.offset(i * x.1).cast::<T>());
            }
            *acc = value;
        }
        Ok(())
    }

    unsafe fn scan(&self, x: Run, to: RunMut, n: usize) -> Result<()> {
        // SAFETY: the caller vouches for `n` elements of `x` and one more of `to`.
        unsafe {
            let mut value = *to.0.cast::<T>();
            for i in 0..n as isize {
                value = O::apply(value, *x.0.offset(i * x.1).cast::<T>());
                *to.0.offset((i + 1) * to.1).cast::<T>() = value;
            }
        }
        Ok(())
    }

    unsafe fn leaf(&self, x: *const u8, n: usize, to: *mut u8) -> Result<()> {
        // SAFETY: the caller vouches for `n` aligned elements and the result.
        unsafe {
            let values = std::slice::from_raw_parts(x.cast::<T>(), n);
            *to.cast::<T>() = O::leaf(values);
        }
        Ok(())
    }

    unsafe fn leaf_of(&self, from: DType, x: *const u8, n: usize, to: *mut u8) -> bool {
        // SAFETY: the caller vouches for `n` aligned elements of that dtype.
        match unsafe { O::widening_leaf(from, x, n) } {
            Some(value) => {
                // SAFETY: room for the result.
                unsafe { *to.cast::<T>() = value };
                true
            }
            None => false,
        }
    }

    unsafe fn scatter(&self, to: RunMut, positions: &[usize], x: Run) -> bool {
        for (n, i) in positions.iter().enumerate() {
            // SAFETY: the caller vouches for the positions and the elements.
            unsafe {
                let place = to.0.offset(*i as isize * to.1).cast::<T>();
                *place = O::apply(*place, *x.0.offset(n as isize * x.1).cast::<T>());
            }
        }
        true
    }

    unsafe fn join(&self, a: RowMut, b: RowMut, n: usize) -> bool {
        let (x, y) = (a.values.cast::<T>(), b.values.cast::<T>());
        for i in 0..n {
            // SAFETY: the caller vouches for `n` elements of each. Absent elements are initialised memory,
            // and the operations are total.
            unsafe {
                let (p, q) = (*a.present.add(i), *b.present.add(i));
                let (left, right) = (*x.add(i), *y.add(i));
                let both = O::apply(left, right);
                let value = if p != 0 { both } else { right };
                *x.add(i) = if q != 0 { value } else { left };
                *a.present.add(i) = p | q;
            }
        }
        true
    }

    fn ns(&self) -> f64 {
        0.05 + 0.03 * size_of::<T>() as f64
    }
}
