//! Views, slices, broadcasting, copy on write.

use crate::array::Storage;
use crate::{Array, DeviceStorage, HostBuffer, Result, SliceIndex, broadcast_shapes};
use kjit_ir::{DType, Scalar};
use std::sync::Arc;

fn counting(shape: &[usize]) -> Array {
    let n = shape.iter().product::<usize>() as i32;
    Array::from_vec((0..n).collect(), shape).unwrap()
}

fn at(i: i64) -> SliceIndex {
    SliceIndex::At(i)
}

fn span(start: impl Into<Option<i64>>, end: impl Into<Option<i64>>) -> SliceIndex {
    SliceIndex::range(start.into(), end.into())
}

fn step(start: impl Into<Option<i64>>, end: impl Into<Option<i64>>, step: i64) -> SliceIndex {
    SliceIndex::Range {
        start: start.into(),
        end: end.into(),
        step,
    }
}

/// Expectations are NumPy's for the same index.
#[test]
fn slices() {
    let line = |index: SliceIndex| {
        counting(&[10])
            .slice(&[index])
            .unwrap()
            .to_vec::<i32>()
            .unwrap()
    };
    let cases: &[(SliceIndex, &[i32])] = &[
        (at(3), &[3]),
        (at(-1), &[9]),
        (span(2, 5), &[2, 3, 4]),
        (span(-3, None), &[7, 8, 9]),
        (span(None, -7), &[0, 1, 2]),
        (span(8, 99), &[8, 9]),
        (span(-99, 2), &[0, 1]),
        (span(5, 5), &[]),
        (span(7, 3), &[]),
        (span(99, None), &[]),
        (step(None, None, 4), &[0, 4, 8]),
        (step(1, 8, 3), &[1, 4, 7]),
        (step(None, None, -3), &[9, 6, 3, 0]),
        (step(7, 2, -2), &[7, 5, 3]),
        (step(None, -99, -5), &[9, 4]),
        (step(99, -3, -1), &[9, 8]),
        (step(2, 7, -1), &[]),
        (step(0, None, i64::MAX), &[0]),
        (step(None, None, i64::MIN), &[9]),
        (step(i64::MIN, i64::MAX, 9), &[0, 9]),
    ];
    for (index, expected) in cases {
        assert_eq!(line(*index), *expected, "{index:?}");
    }
    let table = counting(&[3, 4]);
    assert_eq!(
        table.slice(&[at(1)]).unwrap().to_vec::<i32>().unwrap(),
        [4, 5, 6, 7]
    );
    let part = table.slice(&[span(1, None), step(None, None, -2)]).unwrap();
    assert_eq!(part.shape(), [2, 2]);
    assert_eq!(part.to_vec::<i32>().unwrap(), [7, 5, 11, 9]);
    assert_eq!(part.transpose().to_vec::<i32>().unwrap(), [7, 11, 5, 9]);
    let message = |index: &[SliceIndex]| table.slice(index).unwrap_err().message;
    assert_eq!(
        message(&[at(3)]),
        "index 3 is out of bounds for axis 0 with 3 elements"
    );
    assert_eq!(
        message(&[at(0), at(-5)]),
        "index -5 is out of bounds for axis 1 with 4 elements"
    );
    assert_eq!(message(&[at(0); 3]), "3 indices for an array with 2 axes");
    assert_eq!(
        message(&[step(0, 1, 0)]),
        "the step of a slice cannot be zero"
    );
}

#[test]
fn broadcasting() {
    type Case<'a> = (&'a [&'a [usize]], std::result::Result<&'a [usize], &'a str>);
    let cases: &[Case] = &[
        (&[], Ok(&[])),
        (&[&[], &[3]], Ok(&[3])),
        (&[&[2, 1], &[1, 3]], Ok(&[2, 3])),
        (&[&[5, 1, 4], &[3, 1], &[]], Ok(&[5, 3, 4])),
        (&[&[0], &[1]], Ok(&[0])),
        (
            &[&[3], &[4]],
            Err("shapes (3,) and (4,) cannot be broadcast together"),
        ),
        (
            &[&[0], &[2]],
            Err("shapes (0,) and (2,) cannot be broadcast together"),
        ),
        (
            &[&[2, 3], &[1, 1], &[2]],
            Err("shapes (2, 3) and (2,) cannot be broadcast together"),
        ),
        (
            &[&[2, 1], &[1, 3], &[2, 2]],
            Err("shapes (1, 3) and (2, 2) cannot be broadcast together"),
        ),
    ];
    for (shapes, expected) in cases {
        let got = broadcast_shapes(shapes).map_err(|e| e.message);
        assert_eq!(
            got.as_deref().map_err(|e| e.as_str()),
            *expected,
            "{shapes:?}"
        );
    }
    let row = counting(&[3]).broadcast_to(&[2, 3]).unwrap();
    assert_eq!(row.to_vec::<i32>().unwrap(), [0, 1, 2, 0, 1, 2]);
    assert!(counting(&[3]).broadcast_to(&[3, 2]).is_err());
    assert!(counting(&[3]).broadcast_to(&[]).is_err());
}

#[test]
fn reshape_and_layout() -> Result<()> {
    let table = counting(&[2, 3]);
    assert_eq!(table.reshape(&[3, 2])?.to_vec::<i32>()?, [0, 1, 2, 3, 4, 5]);
    assert_eq!(
        table.transpose().reshape(&[6])?.to_vec::<i32>()?,
        [0, 3, 1, 4, 2, 5]
    );
    assert!(table.transpose().is_fortran_contiguous() && !table.transpose().is_contiguous());
    assert!(counting(&[1, 3]).transpose().is_contiguous());
    assert_eq!(
        table.reshape(&[4]).unwrap_err().message,
        "an array of shape (2, 3) with 6 elements cannot be reshaped to (4,)"
    );
    let huge = Array::zeros(DType::F64, &[usize::MAX, 2]).unwrap_err();
    assert_eq!(huge.kind, crate::ErrorKind::Limit);
    assert!(
        Array::zeros(DType::F64, &[usize::MAX, 0])?
            .to_vec::<f64>()?
            .is_empty()
    );
    Ok(())
}

#[test]
fn writing_is_not_seen_through_other_handles() -> Result<()> {
    let mut table = counting(&[2, 3]);
    let before = table.clone();
    let column = table.slice(&[SliceIndex::ALL, at(0)])?;
    table.assign(
        &[SliceIndex::ALL, at(0)],
        &Array::from_vec(vec![10i8, 20], &[2])?,
    )?;
    assert_eq!(table.to_vec::<i32>()?, [10, 1, 2, 20, 4, 5]);
    assert_eq!(before.to_vec::<i32>()?, [0, 1, 2, 3, 4, 5]);
    assert_eq!(column.to_vec::<i32>()?, [0, 3]);
    // A value that is a view of the target, overlapping.
    let shifted = table.slice(&[at(0), span(None, -1)])?;
    table.assign(&[at(0), span(1, None)], &shifted)?;
    assert_eq!(table.to_vec::<i32>()?, [10, 10, 1, 20, 4, 5]);
    // Elements that share memory get their own.
    let mut repeated = Array::scalar(Scalar::f32(1.0)).broadcast_to(&[3])?;
    repeated.assign(&[at(1)], &Array::scalar(Scalar::f32(2.0)))?;
    assert_eq!(repeated.to_vec::<f32>()?, [1.0, 2.0, 1.0]);
    assert!(table.assign(&[at(0)], &counting(&[2])).is_err());
    Ok(())
}

#[test]
fn elements() -> Result<()> {
    let table = counting(&[2, 3]);
    assert_eq!(table.get(&[1, 2])?, Scalar::int(DType::I32, 5));
    assert!(table.get(&[2, 0]).is_err() && table.get(&[0]).is_err() && table.item().is_err());
    assert_eq!(
        Array::scalar(Scalar::bool(true)).item()?,
        Scalar::bool(true)
    );
    assert!(table.to_vec::<f32>().is_err());
    assert_eq!(
        table.cast(DType::U8)?.transpose().to_vec::<u8>()?,
        [0, 3, 1, 4, 2, 5]
    );
    assert_eq!(table.as_slice::<i32>().unwrap().len(), 6);
    let half = Array::zeros(DType::F16, &[2])?;
    assert_eq!(half.cast(DType::F32)?.to_vec::<f32>()?, [0.0; 2]);
    Ok(())
}

/// No storage, offset, strides or shape that a caller makes up lead outside of memory, or to a panic.
#[test]
fn views_of_storage_are_checked() -> Result<()> {
    let view = |bytes: usize, shape: &[usize], strides: &[isize], offset: usize| {
        let storage = Storage::Host(Arc::new(HostBuffer::zeroed(bytes)?));
        Array::from_storage(storage, DType::I32, shape, strides, offset)
    };
    assert!(view(16, &[4], &[4], 0)?.is_contiguous());
    for (shape, strides, offset) in [
        (&[4usize][..], &[4isize][..], 4),
        (&[4], &[5], 0),
        (&[4], &[-4], 8),
        (&[2, 2], &[isize::MAX, isize::MAX], 0),
        (&[2, 2], &[isize::MIN, isize::MIN], 16),
        (&[4], &[4, 4], 0),
        (&[4], &[], 0),
        // Without elements too: they are sliced, broadcast and copied as others are.
        (&[0], &[], 0),
        (&[0], &[4], 17),
        (&[0], &[4], usize::MAX),
    ] {
        let view = view(16, shape, strides, offset);
        assert!(view.is_err(), "{shape:?} {strides:?} {offset}");
    }
    let empty = view(16, &[0], &[4], 16)?;
    assert_eq!(empty.bytes(), Some(&[][..]));
    Ok(())
}

/// Extents whose product overflows, in arrays without elements.
#[test]
fn huge_shapes_without_elements() -> Result<()> {
    let huge = Array::zeros(DType::I64, &[0, 1 << 40, 1 << 40])?;
    let every = step(None, None, 1 << 30);
    let part = huge.slice(&[SliceIndex::ALL, every, every])?;
    assert_eq!(part.shape(), [0, 1 << 10, 1 << 10]);
    assert!(part.to_contiguous()?.to_vec::<i64>()?.is_empty());
    let wide = counting(&[1, 1, 1]).broadcast_to(&[usize::MAX, usize::MAX, 0])?;
    assert_eq!(wide.size(), 0);
    assert!(wide.cast(DType::F32)?.to_vec::<f32>()?.is_empty());
    Ok(())
}

/// Device memory that gives fewer bytes than it says.
struct Short;

impl DeviceStorage for Short {
    fn len(&self) -> usize {
        64
    }

    fn download(&self, _: std::ops::Range<usize>) -> Result<HostBuffer> {
        HostBuffer::zeroed(8)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[test]
fn short_downloads_are_errors() -> Result<()> {
    let mut array = Array::from_device(Arc::new(Short), DType::I32, &[16])?;
    assert!(array.to_host().is_err());
    assert!(array.make_mut().is_err());
    assert!(
        array
            .assign(&[], &Array::scalar(Scalar::int(DType::I32, 1)))
            .is_err()
    );
    assert!(array.bytes_mut().is_err());
    Ok(())
}

#[test]
fn to_vec_of_an_unaligned_array() -> Result<()> {
    let mut bytes = vec![0u8];
    bytes.extend([7i64, -9].iter().flat_map(|v| v.to_ne_bytes()));
    let storage = Storage::Host(Arc::new(HostBuffer::from_bytes(&bytes)?));
    let array = Array::from_storage(storage, DType::I64, &[2], &[8], 1)?;
    assert_eq!(array.to_vec::<i64>()?, [7, -9]);
    Ok(())
}
