//! Loops of the operations whose reductions are run most: `+ * min max fmin fmax & | ^` of plain numbers.

use super::combine::{Combine, Run, RunMut};
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
    Add [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a.wrapping_add(b);
    Mul [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a.wrapping_mul(b);
    Min [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a.min(b);
    Max [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a.max(b);
    And [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a & b;
    Or [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a | b;
    Xor [i8 i16 i32 i64 u8 u16 u32 u64] |a, b| a ^ b;
    Add [f32 f64] |a, b| a + b;
    Mul [f32 f64] |a, b| a * b;
    FMin [f32 f64] |a, b| if b.is_nan() { a } else if a.is_nan() { b } else { lower(a, b) };
    FMax [f32 f64] |a, b| if b.is_nan() { a } else if a.is_nan() { b } else { upper(a, b) };
}

macro_rules! extremes {
    ($($T:ty)*) => {$(
        impl Op<$T> for Min {
            #[inline(always)]
            fn apply(a: $T, b: $T) -> $T {
                if a.is_nan() { a } else if b.is_nan() { b } else { lower(a, b) }
            }

            #[inline(always)]
            fn leaf(values: &[$T]) -> $T {
                Extreme::<$T, false>::of(values)
            }
        }

        impl Op<$T> for Max {
            #[inline(always)]
            fn apply(a: $T, b: $T) -> $T {
                if a.is_nan() { a } else if b.is_nan() { b } else { upper(a, b) }
            }

            #[inline(always)]
            fn leaf(values: &[$T]) -> $T {
                Extreme::<$T, true>::of(values)
            }
        }
    )*};
}

extremes! { f32 f64 }

/// The smaller of two numbers, where -0 comes before +0.
#[inline(always)]
fn lower<T: Real>(a: T, b: T) -> T {
    let less = a < b || (a == b && a.is_negative_zero());
    if less { a } else { b }
}

/// The larger of two numbers, where -0 comes before +0.
#[inline(always)]
fn upper<T: Real>(a: T, b: T) -> T {
    let less = a < b || (a == b && a.is_negative_zero());
    if less { b } else { a }
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

    fn ns(&self) -> f64 {
        0.05 + 0.03 * size_of::<T>() as f64
    }
}
