//! A constant of any dtype, compared by its bits.

use crate::{DType, half};
use std::fmt;

/// One value of one dtype, held as raw bits so that NaNs and signed zeros compare as what they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scalar {
    dtype: DType,
    bits: u128,
}

impl Scalar {
    /// A scalar from its bit pattern; bits above the dtype's width are dropped.
    pub const fn from_bits(dtype: DType, bits: u128) -> Scalar {
        let width = dtype.bits();
        let bits = if width >= 128 {
            bits
        } else {
            bits & ((1 << width) - 1)
        };
        Scalar { dtype, bits }
    }

    /// A `bool`.
    pub const fn bool(value: bool) -> Scalar {
        Scalar {
            dtype: DType::Bool,
            bits: value as u128,
        }
    }

    /// The `f16` nearest to a number.
    pub const fn f16(value: f64) -> Scalar {
        Scalar {
            dtype: DType::F16,
            bits: half::from_f64(value) as u128,
        }
    }

    /// An `f32`.
    pub const fn f32(value: f32) -> Scalar {
        Scalar {
            dtype: DType::F32,
            bits: value.to_bits() as u128,
        }
    }

    /// An `f64`.
    pub const fn f64(value: f64) -> Scalar {
        Scalar {
            dtype: DType::F64,
            bits: value.to_bits() as u128,
        }
    }

    /// A complex number of these parts, two `f32` or two `f64`; `None` for any others.
    pub const fn complex(re: Scalar, im: Scalar) -> Option<Scalar> {
        if re.dtype as u8 != im.dtype as u8 {
            return None;
        }
        match re.dtype.complex_of_part() {
            Some(dtype) => Some(Scalar {
                dtype,
                bits: re.bits | im.bits << re.dtype.bits(),
            }),
            None => None,
        }
    }

    /// The real and the imaginary part, for a complex scalar.
    pub const fn parts(self) -> Option<[Scalar; 2]> {
        match self.dtype.part() {
            Some(part) => Some([
                Scalar::from_bits(part, self.bits),
                Scalar::from_bits(part, self.bits >> part.bits()),
            ]),
            None => None,
        }
    }

    /// An integer of the given dtype, wrapped to its width.
    pub const fn int(dtype: DType, value: i128) -> Scalar {
        Scalar::from_bits(dtype, value as u128)
    }

    /// Zero (or false) of a dtype.
    pub const fn zero(dtype: DType) -> Scalar {
        Scalar { dtype, bits: 0 }
    }

    /// One (or true) of a dtype.
    pub fn one(dtype: DType) -> Scalar {
        match dtype {
            DType::F16 => Scalar::from_bits(dtype, 0x3c00),
            DType::F32 | DType::C64 => Scalar::from_bits(dtype, 1f32.to_bits() as u128),
            DType::F64 | DType::C128 => Scalar::from_bits(dtype, 1f64.to_bits() as u128),
            _ => Scalar::int(dtype, 1),
        }
    }

    /// Its dtype.
    pub const fn dtype(self) -> DType {
        self.dtype
    }

    /// Its bit pattern, zero-extended.
    pub const fn bits(self) -> u128 {
        self.bits
    }

    /// The integer value, sign-extended for signed dtypes (raw bits for the others).
    pub const fn as_int(self) -> i128 {
        if self.dtype.is_signed_int() {
            let shift = 128 - self.dtype.bits();
            ((self.bits << shift) as i128) >> shift
        } else {
            self.bits as i128
        }
    }

    /// The truth value of a `bool`: are any bits set?
    pub const fn as_bool(self) -> bool {
        self.bits != 0
    }

    /// The value of an `f16` scalar: exact.
    pub const fn as_f16(self) -> f32 {
        half::to_f32(self.bits as u16)
    }

    /// The value as `f32`, for an `f32` scalar.
    pub const fn as_f32(self) -> f32 {
        f32::from_bits(self.bits as u32)
    }

    /// The value as `f64`, for an `f64` scalar.
    pub const fn as_f64(self) -> f64 {
        f64::from_bits(self.bits as u64)
    }

    /// The numeric value rounded to `f64`, whatever the dtype; of a complex number the real part.
    pub fn to_f64(self) -> f64 {
        if let Some([re, _]) = self.parts() {
            return re.to_f64();
        }
        match self.dtype {
            DType::F16 => self.as_f16() as f64,
            DType::F32 => self.as_f32() as f64,
            DType::F64 => self.as_f64(),
            _ => self.as_int() as f64,
        }
    }

    /// Reads one element from its memory image (native byte order).
    ///
    /// # Panics
    /// If `bytes` is not `dtype.size()` long.
    pub fn from_ne_bytes(dtype: DType, bytes: &[u8]) -> Scalar {
        assert_eq!(bytes.len(), dtype.size(), "size of one {dtype}");
        if let Some(part) = dtype.part() {
            // The real part comes first in any byte order.
            let (re, im) = bytes.split_at(part.size());
            let [re, im] = [re, im].map(|b| Scalar::from_ne_bytes(part, b).bits);
            let bits = re | im << part.bits();
            return Scalar { dtype, bits };
        }
        let mut wide = [0u8; 16];
        if cfg!(target_endian = "little") {
            wide[..bytes.len()].copy_from_slice(bytes);
        } else {
            wide[16 - bytes.len()..].copy_from_slice(bytes);
        }
        Scalar {
            dtype,
            bits: u128::from_ne_bytes(wide),
        }
    }

    /// The memory image of one element (native byte order), in the first `dtype.size()` bytes.
    pub fn to_ne_bytes(self) -> ([u8; 16], usize) {
        let size = self.dtype.size();
        if let Some(parts) = self.parts() {
            let mut bytes = [0u8; 16];
            for (half, part) in bytes.chunks_mut(size / 2).zip(parts) {
                half.copy_from_slice(&part.to_ne_bytes().0[..size / 2]);
            }
            return (bytes, size);
        }
        let mut bytes = self.bits.to_ne_bytes();
        if cfg!(target_endian = "big") {
            bytes.rotate_left(16 - size);
        }
        (bytes, size)
    }
}

/// The IR text form: `true`, `-3`, `1.5`, `0x7fc00000` (floats that decimal text cannot carry),
/// `(1.0, -2.5)` (complex).
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some([re, im]) = self.parts() {
            return write!(f, "({re}, {im})");
        }
        match self.dtype {
            DType::Bool => write!(f, "{}", self.as_bool()),
            DType::F16 if self.as_f16().is_finite() => write!(f, "{:?}", self.as_f16()),
            DType::F32 if self.as_f32().is_finite() => write!(f, "{:?}", self.as_f32()),
            DType::F64 if self.as_f64().is_finite() => write!(f, "{:?}", self.as_f64()),
            DType::F16 | DType::F32 | DType::F64 => write!(f, "{:#x}", self.bits),
            _ => write!(f, "{}", self.as_int()),
        }
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self, self.dtype)
    }
}
