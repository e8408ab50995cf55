//! Rust types that are elements of arrays.

use half::f16;
use kjit_ir::{DType, Scalar};
use num_complex::{Complex32, Complex64};

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that is the element of some dtype.
///
/// Sealed: the dtypes are kjit's.
pub trait Element:
    sealed::Sealed
    + bytemuck::NoUninit
    + bytemuck::CheckedBitPattern
    + bytemuck::Zeroable
    + PartialEq
    + Default
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
{
    /// The dtype it is the element of.
    const DTYPE: DType;

    /// As a dynamically typed scalar.
    fn to_scalar(self) -> Scalar;

    /// From a scalar of this very dtype.
    ///
    /// # Panics
    /// If the scalar has another dtype.
    fn from_scalar(scalar: Scalar) -> Self;
}

macro_rules! elements {
    ($($ty:ty, $dtype:ident, $x:ident => $to:expr, $s:ident => $from:expr;)*) => {$(
        impl sealed::Sealed for $ty {}
        impl Element for $ty {
            const DTYPE: DType = DType::$dtype;
            fn to_scalar(self) -> Scalar { let $x = self; $to }
            fn from_scalar($s: Scalar) -> $ty {
                assert_eq!($s.dtype(), Self::DTYPE, "dtype of a scalar");
                $from
            }
        }
    )*};
}

elements! {
    bool, Bool, x => Scalar::bool(x), s => s.as_bool();
    i8, I8, x => Scalar::int(DType::I8, x as i128), s => s.as_int() as i8;
    i16, I16, x => Scalar::int(DType::I16, x as i128), s => s.as_int() as i16;
    i32, I32, x => Scalar::int(DType::I32, x as i128), s => s.as_int() as i32;
    i64, I64, x => Scalar::int(DType::I64, x as i128), s => s.as_int() as i64;
    u8, U8, x => Scalar::int(DType::U8, x as i128), s => s.as_int() as u8;
    u16, U16, x => Scalar::int(DType::U16, x as i128), s => s.as_int() as u16;
    u32, U32, x => Scalar::int(DType::U32, x as i128), s => s.as_int() as u32;
    u64, U64, x => Scalar::int(DType::U64, x as i128), s => s.as_int() as u64;
    f16, F16, x => Scalar::from_bits(DType::F16, x.to_bits() as u128), s => f16::from_bits(s.bits() as u16);
    f32, F32, x => Scalar::f32(x), s => s.as_f32();
    f64, F64, x => Scalar::f64(x), s => s.as_f64();
    Complex32, C64,
        x => Scalar::from_bits(DType::C64, x.re.to_bits() as u128 | (x.im.to_bits() as u128) << 32),
        s => Complex32::new(f32::from_bits(s.bits() as u32), f32::from_bits((s.bits() >> 32) as u32));
    Complex64, C128,
        x => Scalar::from_bits(DType::C128, x.re.to_bits() as u128 | (x.im.to_bits() as u128) << 64),
        s => Complex64::new(f64::from_bits(s.bits() as u64), f64::from_bits((s.bits() >> 64) as u64));
}

/// Calls `$body` with `$T` standing for the Rust type of a dtype.
macro_rules! with_element {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            kjit_ir::DType::Bool => {
                type $T = bool;
                $body
            }
            kjit_ir::DType::I8 => {
                type $T = i8;
                $body
            }
            kjit_ir::DType::I16 => {
                type $T = i16;
                $body
            }
            kjit_ir::DType::I32 => {
                type $T = i32;
                $body
            }
            kjit_ir::DType::I64 => {
                type $T = i64;
                $body
            }
            kjit_ir::DType::U8 => {
                type $T = u8;
                $body
            }
            kjit_ir::DType::U16 => {
                type $T = u16;
                $body
            }
            kjit_ir::DType::U32 => {
                type $T = u32;
                $body
            }
            kjit_ir::DType::U64 => {
                type $T = u64;
                $body
            }
            kjit_ir::DType::F32 => {
                type $T = f32;
                $body
            }
            kjit_ir::DType::F64 => {
                type $T = f64;
                $body
            }
            kjit_ir::DType::F16 => {
                type $T = half::f16;
                $body
            }
            kjit_ir::DType::C64 => {
                type $T = num_complex::Complex32;
                $body
            }
            kjit_ir::DType::C128 => {
                type $T = num_complex::Complex64;
                $body
            }
        }
    };
}
pub(crate) use with_element;
