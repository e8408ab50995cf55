//! Random arrays: every dtype and layout, with the values that break things.

use crate::rng::Rng;
use kjit::{Array, DType, HostBuffer, Scalar, SliceIndex, Storage};
use std::sync::Arc;

/// A value: often one at the edge of its dtype.
pub fn value(rng: &mut Rng, dtype: DType) -> Scalar {
    if let Some(part) = dtype.part() {
        let (re, im) = (value(rng, part), value(rng, part));
        return Scalar::complex(re, im).expect("parts of a complex dtype");
    }
    let bits = rng.bits();
    match dtype {
        DType::F16 => match rng.below(4) {
            0 => Scalar::f16(*rng.pick(&[
                0.0,
                -0.0,
                1.0,
                -1.0,
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                6e-8,
                6.104e-5,
                65504.0,
                2049.0,
            ])),
            1 => Scalar::from_bits(dtype, (bits & 0xffff) as u128),
            _ => Scalar::f16(((bits % 2000) as f64 - 1000.0) / 16.0),
        },
        DType::Bool => Scalar::bool(bits & 1 == 1),
        DType::F32 => Scalar::f32(match rng.below(4) {
            0 => *rng.pick(&[
                0.0,
                -0.0,
                1.0,
                -1.0,
                f32::NAN,
                f32::INFINITY,
                f32::NEG_INFINITY,
                f32::MIN_POSITIVE,
                1e-45,
                f32::MAX,
                -2147483648.0,
                16777217.0,
                0.5,
                -1.5,
                2.5,
            ]),
            1 => f32::from_bits(bits as u32),
            _ => ((bits % 20_000) as f32 - 10_000.0) / 64.0,
        }),
        DType::F64 => Scalar::f64(match rng.below(4) {
            0 => *rng.pick(&[
                0.0,
                -0.0,
                1.0,
                -1.0,
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::MIN_POSITIVE,
                5e-324,
                f64::MAX,
                -9223372036854775808.0,
                18446744073709551616.0,
                0.5,
                -1.5,
                2.5,
                1e-40,
            ]),
            1 => f64::from_bits(bits),
            _ => ((bits % 20_000) as f64 - 10_000.0) / 64.0,
        }),
        _ => {
            let width = dtype.bits();
            let value = match rng.below(3) {
                0 => *rng.pick(&[0, 1, -1, 1 << (width - 1), (1 << (width - 1)) - 1, 2, 3]),
                1 => bits as i128,
                _ => (bits % 200) as i128 - 100,
            };
            Scalar::int(dtype, value)
        }
    }
}

/// A shape of at most three axes, sometimes empty or long.
pub fn shape(rng: &mut Rng) -> Vec<usize> {
    match rng.below(8) {
        0 => vec![],
        1 => vec![rng.below(3)],
        2 => vec![1 + rng.below(3000)],
        3 | 4 => vec![1 + rng.below(70)],
        5 | 6 => vec![1 + rng.below(9), 1 + rng.below(40)],
        _ => vec![1 + rng.below(4), 1 + rng.below(5), rng.below(20)],
    }
}

/// An array that broadcasts to `shape`, in a random layout; the name of the layout comes with it.
pub fn array(rng: &mut Rng, dtype: DType, shape: &[usize]) -> (Array, &'static str) {
    match rng.below(8) {
        0 => (dense(rng, dtype, &[]), "scalar"),
        1 if !shape.is_empty() => {
            let mut own = shape.to_vec();
            let axis = rng.below(own.len());
            own[axis] = 1;
            (dense(rng, dtype, &own), "broadcast")
        }
        2 if !shape.is_empty() => {
            // every step-th element, backwards or forwards, along each axis
            let step = *rng.pick(&[-3i64, -2, -1, 2, 3]);
            let own: Vec<usize> = shape
                .iter()
                .map(|n| n * step.unsigned_abs() as usize)
                .collect();
            let index: Vec<SliceIndex> = own
                .iter()
                .map(|_| SliceIndex::Range {
                    start: None,
                    end: None,
                    step,
                })
                .collect();
            (
                dense(rng, dtype, &own).slice(&index).expect("a slice"),
                "strided",
            )
        }
        3 if shape.len() > 1 => {
            let own: Vec<usize> = shape.iter().rev().copied().collect();
            (dense(rng, dtype, &own).transpose(), "transposed")
        }
        4 => (unaligned(rng, dtype, shape), "unaligned"),
        5 if shape.len() == 2 => (windows(rng, dtype, shape), "overlapping"),
        _ => (dense(rng, dtype, shape), "contiguous"),
    }
}

/// A C-ordered array of random values.
pub fn dense(rng: &mut Rng, dtype: DType, shape: &[usize]) -> Array {
    let bytes = random_bytes(rng, dtype, shape.iter().product());
    let buffer = HostBuffer::from_bytes(&bytes).expect("memory");
    Array::from_buffer(buffer, dtype, shape).expect("an array")
}

/// One byte off any alignment.
fn unaligned(rng: &mut Rng, dtype: DType, shape: &[usize]) -> Array {
    let mut bytes = vec![0];
    bytes.extend(random_bytes(rng, dtype, shape.iter().product()));
    let storage = Storage::Host(Arc::new(HostBuffer::from_bytes(&bytes).expect("memory")));
    let strides = kjit::c_strides(shape, dtype.size());
    Array::from_storage(storage, dtype, shape, &strides, 1).expect("an array")
}

/// Rows that overlap: row i starts one element after row i - 1.
fn windows(rng: &mut Rng, dtype: DType, shape: &[usize]) -> Array {
    let bytes = random_bytes(rng, dtype, shape[0] + shape[1]);
    let storage = Storage::Host(Arc::new(HostBuffer::from_bytes(&bytes).expect("memory")));
    let step = dtype.size() as isize;
    Array::from_storage(storage, dtype, shape, &[step, step], 0).expect("an array")
}

fn random_bytes(rng: &mut Rng, dtype: DType, count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count * dtype.size());
    for _ in 0..count {
        let (image, size) = value(rng, dtype).to_ne_bytes();
        bytes.extend_from_slice(&image[..size]);
    }
    bytes
}
