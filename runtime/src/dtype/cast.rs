//! Which casts are permitted, and typed loops that carry them out.
//!
//! The conversion of one value is the IR's `cast`: integers wrap, floats truncate towards zero and
//! saturate, NaN gives 0, anything not zero is true; a real number is a complex one without imaginary
//! part, and a complex number as a real one loses it.

use super::promote::{promote, rank};
use crate::element::with_element;
use crate::{Array, Result};
use half::f16;
use kjit_ir::DType;
use num_complex::{Complex32, Complex64};

/// How much a cast may lose, in NumPy's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Casting {
    /// Nothing changes.
    No,
    /// At most the byte order changes (there is one here, so the same as `No`).
    Equiv,
    /// Every value is kept.
    Safe,
    /// Within a kind, or to a kind that contains it: `f64` to `f32`, but not to `i64`.
    #[default]
    SameKind,
    /// Anything.
    Unsafe,
}

impl Casting {
    /// Every rule, strictest first.
    pub const ALL: [Casting; 5] = [
        Casting::No,
        Casting::Equiv,
        Casting::Safe,
        Casting::SameKind,
        Casting::Unsafe,
    ];

    /// NumPy's name: `same_kind`.
    pub const fn name(self) -> &'static str {
        match self {
            Casting::No => "no",
            Casting::Equiv => "equiv",
            Casting::Safe => "safe",
            Casting::SameKind => "same_kind",
            Casting::Unsafe => "unsafe",
        }
    }

    /// The rule of that name.
    pub fn from_name(name: &str) -> Option<Casting> {
        Casting::ALL.into_iter().find(|c| c.name() == name)
    }
}

/// NumPy's name.
impl std::fmt::Display for Casting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// May `from` be cast to `to`?
pub fn can_cast(from: DType, to: DType, casting: Casting) -> bool {
    match casting {
        Casting::No | Casting::Equiv => from == to,
        Casting::Safe => promote(from, to) == Some(to),
        Casting::SameKind => rank(from) <= rank(to),
        Casting::Unsafe => true,
    }
}

/// Conversion of one value, with the meaning of the IR's `cast`.
trait CastTo<T> {
    fn cast_to(self) -> T;
}

macro_rules! casts {
    ($($from:ty => [$($to:ty),*];)*) => {$($(
        impl CastTo<$to> for $from {
            #[inline(always)]
            fn cast_to(self) -> $to { self as $to }
        }
    )*)*};
}

casts! {
    i8 => [i8, i16, i32, i64, u8, u16, u32, u64, f32, f64];
    i16 => [i8, i16, i32, i64, u8, u16, u32, u64, f32, f64];
    i32 => [i8, i16, i32, i64, u8, u16, u32, u64, f32, f64];
    i64 => [i8, i16, i32, i64, u8, u16, u32, u64, f32, f64];
    u8 => [i8, i16, i32, i64, u8, u16, u32, u64, f32, f64];
    u16 => [i8, i16, i32, i64, u8, u16, u32, u64, f32, f64];
    u32 => [i8, i16, i32, i64, u8, u16, u32, u64, f32, f64];
    u64 => [i8, i16, i32, i64, u8, u16, u32, u64, f32, f64];
    f32 => [i8, i16, i32, i64, u8, u16, u32, u64, f32, f64];
    f64 => [i8, i16, i32, i64, u8, u16, u32, u64, f32, f64];
}

macro_rules! half_casts {
    ($($ty:ty)*) => {$(
        impl CastTo<f16> for $ty {
            #[inline(always)]
            // No integer is rounded twice: those that f32 does not hold are larger than any f16.
            fn cast_to(self) -> f16 { f16::from_f32(self as f32) }
        }
        impl CastTo<$ty> for f16 {
            #[inline(always)]
            fn cast_to(self) -> $ty { self.to_f32() as $ty }
        }
    )*};
}

half_casts! { i8 i16 i32 i64 u8 u16 u32 u64 f32 }

impl CastTo<f16> for f64 {
    #[inline(always)]
    fn cast_to(self) -> f16 {
        // `f16::from_f64` rounds to f32 on the way.
        f16::from_bits(kjit_ir::half::from_f64(self))
    }
}

impl CastTo<f64> for f16 {
    #[inline(always)]
    fn cast_to(self) -> f64 {
        f64::from(self.to_f32())
    }
}

/// A `bool` as it lies in memory, where any byte but 0 counts as true.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Flag(u8);

macro_rules! flag_casts {
    ($($ty:ty)*) => {$(
        impl CastTo<Flag> for $ty {
            #[inline(always)]
            fn cast_to(self) -> Flag { Flag((self != (0 as $ty)) as u8) }
        }
        impl CastTo<$ty> for Flag {
            #[inline(always)]
            fn cast_to(self) -> $ty { (self.0 != 0) as u8 as $ty }
        }
    )*};
}

flag_casts! { i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 }

impl CastTo<Flag> for f16 {
    #[inline(always)]
    fn cast_to(self) -> Flag {
        Flag((self.to_bits() & 0x7fff != 0) as u8)
    }
}

impl CastTo<f16> for Flag {
    #[inline(always)]
    fn cast_to(self) -> f16 {
        if self.0 != 0 { f16::ONE } else { f16::ZERO }
    }
}

macro_rules! complex_casts {
    ($complex:ident: $($ty:ty)*) => {
        $(impl CastTo<$complex> for $ty {
            #[inline(always)]
            fn cast_to(self) -> $complex { $complex::new(self.cast_to(), 0.0) }
        }
        impl CastTo<$ty> for $complex {
            #[inline(always)]
            fn cast_to(self) -> $ty { self.re.cast_to() }
        })*
        impl CastTo<$complex> for Flag {
            #[inline(always)]
            fn cast_to(self) -> $complex { $complex::new(self.cast_to(), 0.0) }
        }
        impl CastTo<Flag> for $complex {
            #[inline(always)]
            fn cast_to(self) -> Flag { Flag((self.re != 0.0 || self.im != 0.0) as u8) }
        }
        impl CastTo<Complex32> for $complex {
            #[inline(always)]
            fn cast_to(self) -> Complex32 { Complex32::new(self.re.cast_to(), self.im.cast_to()) }
        }
        impl CastTo<Complex64> for $complex {
            #[inline(always)]
            fn cast_to(self) -> Complex64 { Complex64::new(self.re.cast_to(), self.im.cast_to()) }
        }
    };
}

complex_casts! { Complex32: i8 i16 i32 i64 u8 u16 u32 u64 f16 f32 f64 }
complex_casts! { Complex64: i8 i16 i32 i64 u8 u16 u32 u64 f16 f32 f64 }

impl CastTo<f16> for f16 {
    #[inline(always)]
    fn cast_to(self) -> f16 {
        self
    }
}

impl CastTo<Flag> for Flag {
    #[inline(always)]
    fn cast_to(self) -> Flag {
        Flag((self.0 != 0) as u8)
    }
}

/// # Safety
/// As [`cast_block`], with `F` and `T` the types of the dtypes.
unsafe fn cast_typed<F: CastTo<T> + Copy, T>(
    from: (*const u8, isize),
    to: (*mut u8, isize),
    n: usize,
) {
    let ((src, src_step), (dst, dst_step)) = (from, to);
    if src_step == size_of::<F>() as isize && dst_step == size_of::<T>() as isize {
        for i in 0..n {
            // SAFETY: the caller vouches for `n` elements on both sides.
            unsafe {
                let value = src.cast::<F>().add(i).read_unaligned();
                dst.cast::<T>().add(i).write_unaligned(value.cast_to());
            }
        }
    } else {
        for i in 0..n as isize {
            // SAFETY: as above.
            unsafe {
                let value = src.offset(i * src_step).cast::<F>().read_unaligned();
                dst.offset(i * dst_step)
                    .cast::<T>()
                    .write_unaligned(value.cast_to());
            }
        }
    }
}

/// Converts `n` elements from one strided run to another; both sides may be unaligned.
///
/// # Safety
/// `src` must point to `n` readable elements of `from` at `src_step` bytes from each other, `dst` to as
/// many writable ones of `to`; the two must not overlap, except element upon same element.
pub unsafe fn cast_block(
    from: DType,
    (src, src_step): (*const u8, isize),
    to: DType,
    (dst, dst_step): (*mut u8, isize),
    n: usize,
) {
    macro_rules! to {
        ($F:ty) => {
            match to {
                // SAFETY: passed on.
                DType::Bool => unsafe {
                    cast_typed::<$F, Flag>((src, src_step), (dst, dst_step), n)
                },
                _ => {
                    // SAFETY: passed on.
                    with_element!(to, T => unsafe {
                        cast_typed::<$F, <T as Raw>::Type>((src, src_step), (dst, dst_step), n)
                    })
                }
            }
        };
    }
    if from == to && from != DType::Bool {
        // SAFETY: passed on.
        unsafe { copy_block(from.size(), (src, src_step), (dst, dst_step), n) };
        return;
    }
    with_element!(from, F => to!(<F as Raw>::Type))
}

/// The type that casts work on: [`Flag`] for bool, the Rust type for others.
trait Raw {
    type Type;
}

macro_rules! raw {
    ($($ty:ty => $raw:ty),*) => {$(impl Raw for $ty { type Type = $raw; })*};
}

raw!(bool => Flag, i8 => i8, i16 => i16, i32 => i32, i64 => i64, u8 => u8, u16 => u16, u32 => u32,
     u64 => u64, f16 => f16, f32 => f32, f64 => f64, Complex32 => Complex32, Complex64 => Complex64);

/// Copies `n` elements of a size from one strided run to another.
///
/// # Safety
/// As [`cast_block`].
pub unsafe fn copy_block(
    size: usize,
    (src, src_step): (*const u8, isize),
    (dst, dst_step): (*mut u8, isize),
    n: usize,
) {
    if src_step == size as isize && dst_step == size as isize {
        // SAFETY: the caller vouches for both runs; `copy` allows them to be the same.
        unsafe { std::ptr::copy(src, dst, n * size) };
        return;
    }
    let (src, dst) = ((src, src_step), (dst, dst_step));
    // SAFETY: passed on.
    unsafe {
        match size {
            1 => copy_elements::<u8>(src, dst, n),
            2 => copy_elements::<u16>(src, dst, n),
            4 => copy_elements::<u32>(src, dst, n),
            8 => copy_elements::<u64>(src, dst, n),
            16 => copy_elements::<u128>(src, dst, n),
            _ => panic!("bug in kjit: no element of {size} bytes"),
        }
    }
}

/// Copies elements, aligned or not, from one step to another.
///
/// # Safety
/// Both sides must have `n` elements.
#[inline(always)]
pub(crate) unsafe fn copy_elements<T: Copy>(
    (mut src, src_step): (*const u8, isize),
    (mut dst, dst_step): (*mut u8, isize),
    n: usize,
) {
    // SAFETY: the caller's promise.
    let mut one = || unsafe {
        let value = src.cast::<T>().read_unaligned();
        dst.cast::<T>().write_unaligned(value);
        (src, dst) = (src.wrapping_offset(src_step), dst.wrapping_offset(dst_step));
    };
    for _ in 0..n / 4 {
        one();
        one();
        one();
        one();
    }
    for _ in 0..n % 4 {
        one();
    }
}

/// Copies all elements of `src` into `dst`, which has the same shape, converting them.
pub fn copy_array(src: &Array, dst: &mut Array) -> Result<()> {
    let src = src.to_host()?.broadcast_to(dst.shape())?;
    if src.size() == 0 {
        return Ok(());
    }
    let (shape, strides, offset) = (dst.shape().to_vec(), dst.strides().to_vec(), dst.offset());
    let dtype = dst.dtype();
    let base = dst.make_mut()?.as_mut_ptr();
    // SAFETY: both arrays lie inside their storage, and `make_mut` made `dst`'s its own.
    unsafe {
        copy_strided(
            &shape,
            (
                src.dtype(),
                src.as_ptr().expect("bug in kjit: on the host"),
                src.strides(),
            ),
            (dtype, base.add(offset), &strides),
        );
    }
    Ok(())
}

/// Converts a block of any shape, element by element of the same index.
///
/// # Safety
/// Every element that `shape` and the strides name must be readable (`src`) or writable (`dst`); the two
/// must not overlap.
pub(crate) unsafe fn copy_strided(
    shape: &[usize],
    (from, src, src_strides): (DType, *const u8, &[isize]),
    (to, dst, dst_strides): (DType, *mut u8, &[isize]),
) {
    let Some((inner, outer)) = shape.split_last() else {
        // SAFETY: one element on each side.
        unsafe { cast_block(from, (src, 0), to, (dst, 0), 1) };
        return;
    };
    let axis = outer.len();
    let (src_step, dst_step) = (src_strides[axis], dst_strides[axis]);
    let mut index = vec![0usize; axis];
    let (mut src, mut dst) = (src, dst);
    loop {
        // SAFETY: `src` and `dst` are the starts of the runs at `index`.
        unsafe { cast_block(from, (src, src_step), to, (dst, dst_step), *inner) };
        let mut d = axis;
        loop {
            if d == 0 {
                return;
            }
            d -= 1;
            index[d] += 1;
            src = src.wrapping_offset(src_strides[d]);
            dst = dst.wrapping_offset(dst_strides[d]);
            if index[d] < outer[d] {
                break;
            }
            src = src.wrapping_offset(-(src_strides[d] * outer[d] as isize));
            dst = dst.wrapping_offset(-(dst_strides[d] * outer[d] as isize));
            index[d] = 0;
        }
    }
}
