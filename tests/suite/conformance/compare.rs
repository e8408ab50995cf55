//! Compares what kjit gives with what was recorded.

use super::answers::{Tolerance, Values};
use kjit::{Array, DType, Storage};

/// Why `got` is not the answer, if it is not.
pub fn difference(expected: &Values, got: &Array, tolerance: Tolerance) -> Option<String> {
    if got.dtype() != expected.dtype || got.shape() != expected.shape {
        return Some(format!(
            "{} of shape {:?}, not {} of shape {:?}",
            got.dtype(),
            got.shape(),
            expected.dtype,
            expected.shape
        ));
    }
    let bytes = match bytes(got) {
        Ok(bytes) => bytes,
        Err(error) => return Some(error),
    };
    let part = part(expected.dtype);
    let pairs = expected
        .bytes
        .chunks_exact(part.size())
        .zip(bytes.chunks_exact(part.size()));
    let parts = expected.dtype.size() / part.size();
    for (number, (want, have)) in pairs.enumerate() {
        if want != have && !near(part, want, have, tolerance) {
            return Some(format!(
                "element {} is {}, not {}",
                number / parts,
                show(part, have),
                show(part, want)
            ));
        }
    }
    None
}

/// Elements in C order.
pub fn bytes(array: &Array) -> Result<Vec<u8>, String> {
    let array = array.to_contiguous().map_err(|e| e.to_string())?;
    let Storage::Host(buffer) = array.storage() else {
        return Err("the result is not on the host".into());
    };
    Ok(buffer.as_slice()[array.offset()..][..array.nbytes()].to_vec())
}

/// What is compared: the dtype itself, or that of a complex number's parts.
fn part(dtype: DType) -> DType {
    dtype.part().unwrap_or(dtype)
}

fn near(dtype: DType, want: &[u8], have: &[u8], tolerance: Tolerance) -> bool {
    if !dtype.is_float() {
        return false;
    }
    let (a, b) = (float(dtype, want), float(dtype, have));
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    match tolerance {
        Tolerance::Exact => false,
        Tolerance::Zeros => a == 0.0 && b == 0.0,
        Tolerance::Ulp(n) => place(dtype, want).abs_diff(place(dtype, have)) <= n,
        Tolerance::Bound(bound) => (a - b).abs() <= bound,
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |w, b| w << 8 | *b as u64)
}

/// A float's number in the order of floats.
fn place(dtype: DType, bytes: &[u8]) -> i64 {
    let bits = word(bytes) as i64;
    let sign = 1i64 << (dtype.bits() - 1);
    if bits & sign == 0 {
        bits
    } else {
        -(bits & (sign - 1))
    }
}

fn float(dtype: DType, bytes: &[u8]) -> f64 {
    let bits = word(bytes);
    match dtype {
        DType::F32 => f32::from_bits(bits as u32) as f64,
        DType::F64 => f64::from_bits(bits),
        _ => half(bits as u16),
    }
}

fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, digits) = ((bits >> 10 & 31) as i32, (bits & 1023) as f64);
    sign * match exponent {
        0 => digits * f64::powi(2.0, -24),
        31 if digits == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + digits) * f64::powi(2.0, exponent - 25),
    }
}

fn show(dtype: DType, bytes: &[u8]) -> String {
    if dtype.is_float() {
        return format!("{:?}", float(dtype, bytes));
    }
    let bits = word(bytes);
    let unused = 64 - dtype.bits();
    if dtype.is_signed_int() {
        format!("{}", ((bits << unused) as i64) >> unused)
    } else {
        format!("{bits}")
    }
}
