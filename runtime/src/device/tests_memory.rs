//! Where arrays live: odd views, pieces, conversions, launches that nobody waits for, silence.

use super::super::pieces::each_piece;
use super::*;
use crate::{Storage, c_strides};
use std::sync::Arc;

#[test]
fn place_realigns_unaligned_views() {
    for device in [patched(), barriers()] {
        for (dtype, shape) in [
            (DType::F32, [4, 5]),
            (DType::I16, [3, 7]),
            (DType::F64, [2, 3]),
        ] {
            let size = dtype.size();
            let n = shape[0] * shape[1];
            for shift in [1, 2, 3, 5] {
                let bytes: Vec<u8> = (0..shift + n * size).map(|b| (b * 7 % 61) as u8).collect();
                let storage = Storage::Host(Arc::new(HostBuffer::from_bytes(&bytes).unwrap()));
                let strides = c_strides(&shape, size);
                let view = Array::from_storage(storage, dtype, &shape, &strides, shift).unwrap();
                for view in [view.clone(), view.transpose()] {
                    let copy = run(
                        device,
                        &copy_kernel(dtype),
                        std::slice::from_ref(&view),
                        view.shape(),
                    );
                    assert_eq!(
                        scalars(&copy[0]),
                        scalars(&view),
                        "{dtype} shifted by {shift}"
                    );
                }
            }
        }
    }
}

#[test]
fn shapes_that_do_not_broadcast_are_errors() {
    let none = Array::zeros(DType::F32, &[0]).unwrap();
    let three = Array::zeros(DType::F32, &[3]).unwrap();
    for (array, shape) in [(&none, 5), (&three, 5), (&three, 0)] {
        let inputs = std::slice::from_ref(array);
        let copy = copy_kernel(DType::F32);
        let stats = &mut Stats::default();
        let map = patched().elementwise(&copy, inputs, &[shape], &[DType::F32], false, stats);
        assert_eq!(map.unwrap_err().kind, ErrorKind::Shape);
        let (f32_, sum) = (DType::F32, ReduceOp::Sum);
        let sum = patched().reduce(&copy, inputs, &[shape], f32_, sum, false, stats);
        assert_eq!(sum.unwrap_err().kind, ErrorKind::Shape);
    }
}

#[test]
fn one_array_as_several_inputs() {
    let sub = kernel("sub", &[DType::I32, DType::I32, DType::I32], |b, args| {
        let difference = b.binary(Opcode::Sub, args[0], args[1]);
        vec![b.binary(Opcode::Add, difference, args[2])]
    });
    let x = Array::from_vec((0..100).collect::<Vec<i32>>(), &[10, 10]).unwrap();
    let wanted: Vec<i32> = (0..100).map(|i| i % 10 * 10 + i / 10).collect();
    let copy = run(
        patched(),
        &copy_kernel(DType::I32),
        std::slice::from_ref(&x),
        &[10, 10],
    )
    .remove(0);
    for x in [x, copy] {
        let args = [x.clone(), x.clone(), x.transpose()];
        let got = run(patched(), &sub, &args, &[10, 10]);
        assert_eq!(got[0].to_vec::<i32>().unwrap(), wanted);
    }
}

#[test]
fn inputs_are_cast() {
    let half = kernel("half", &[DType::F64, DType::F64], |b, args| {
        vec![b.binary(Opcode::Mul, args[0], args[1])]
    });
    let x = Array::from_vec(vec![1i16, -2, 3, 4, 5, 6], &[2, 3])
        .unwrap()
        .transpose();
    let y = Array::scalar(Scalar::f32(0.5));
    let got = run(patched(), &half, &[x, y], &[3, 2]);
    assert_eq!(
        got[0].to_vec::<f64>().unwrap(),
        [0.5, 2.0, -1.0, 2.5, 1.5, 3.0]
    );
    let wide = Array::from_vec(vec![1i64], &[1]).unwrap();
    let narrow = copy_kernel(DType::I32);
    // Which casts are allowed is for the caller to say.
    let got = run(patched(), &narrow, &[wide], &[1]);
    assert_eq!(got[0].to_vec::<i32>().unwrap(), [1]);
}

/// The kernel knows where it is, however the work is cut.
#[test]
fn arrays_that_do_not_fit_are_done_in_pieces() {
    let mut b = FunctionBuilder::new("weights");
    let x = b.array(param(DType::I16, ArrayMode::In));
    let index = b.array(param(DType::I64, ArrayMode::Index));
    let wide = b.array(param(DType::I64, ArrayMode::Out));
    let narrow = b.array(param(DType::U8, ArrayMode::Out));
    let value = b.load(x);
    let i = b.load(index);
    let value = b.cast(value, DType::I64);
    let million = b.int(DType::I64, 1_000_000);
    let value = b.binary(Opcode::Mul, value, million);
    let sum = b.binary(Opcode::Add, value, i);
    b.store(wide, sum);
    let byte = b.cast(sum, DType::U8);
    b.store(narrow, byte);
    let kernel = b.ret(&[]);
    let x = Array::from_vec((0..5 * 6).map(|v| v as i16).collect(), &[5, 6])
        .unwrap()
        .transpose();
    let shape = [3, 6, 5];
    let whole = run(patched(), &kernel, std::slice::from_ref(&x), &shape);
    let dtypes = outputs(&kernel);
    for most in [0, 1, 4, 5, 7, 30, 31, 1000] {
        let stats = &mut Stats::default();
        let inputs = std::slice::from_ref(&x);
        let parts = patched()
            .in_pieces_of(most, &kernel, inputs, &shape, &dtypes, false, stats)
            .unwrap();
        for (part, whole) in parts.iter().zip(&whole) {
            assert!(part.is_host());
            assert_eq!(scalars(part), scalars(whole), "pieces of {most}");
        }
    }
}

#[test]
fn pieces_cover_a_shape_in_order() {
    for shape in [&[][..], &[1], &[7], &[2, 3, 4], &[5, 1, 2]] {
        for most in 0..30 {
            let mut next = 0;
            each_piece(shape, most, &mut |piece| {
                let n = piece.shape.iter().product::<usize>();
                assert_eq!(piece.base, next);
                assert!(n <= most.max(1));
                next += n;
                Ok(())
            })
            .unwrap();
            assert_eq!(next, shape.iter().product::<usize>());
        }
    }
}

/// More launches than the queue may hold, each on the results of the one before.
#[test]
fn launches_without_reports_are_not_waited_for() {
    let device = Device::open(None, None).unwrap();
    let add = kernel("add", &[DType::F32, DType::F32], |b, args| {
        vec![b.binary(Opcode::Add, args[0], args[1])]
    });
    let one = Array::scalar(Scalar::f32(1.0));
    let mut x = Array::from_vec(vec![0.0f32; 5000], &[5000]).unwrap();
    for _ in 0..200 {
        x = run(&device, &add, &[x, one.clone()], &[5000]).remove(0);
    }
    assert_eq!(x.to_vec::<f32>().unwrap(), vec![200.0; 5000]);
    let late = device.settle().unwrap();
    assert!(
        !late.transfer.is_zero(),
        "the download's time is not lost: {late:?}"
    );
    assert!(
        device.settle().unwrap().transfer.is_zero(),
        "it is counted once"
    );
    // What traps is waited for.
    let counted = counting(false);
    let long = Array::from_vec(vec![5_000_000], &[1]).unwrap();
    let stats = &mut Stats::default();
    let result = device.elementwise(&counted, &[long], &[1], &[DType::I32], false, stats);
    assert_eq!(result.is_err(), device.0.loop_limit.is_some());
}

#[test]
fn unused_memory_is_bounded() {
    let device = Device::open(None, None).unwrap();
    for size in [300 << 20, 500 << 20, 600 << 20, 1000] {
        drop(device.0.allocate(size).unwrap());
        assert!(device.0.pool.bytes() <= 1 << 30);
    }
    // The last one is kept, whatever was there before it.
    let kept = device.0.pool.bytes();
    let again = device.0.allocate(1000).unwrap();
    assert!(device.0.pool.bytes() < kept);
    drop(again);
}

/// In a process of its own, whose output can be looked at.
#[test]
fn guarded_panics_are_silent() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "device::tests::memory::panic_in_a_guard",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{text}");
    assert!(!text.contains("within"), "{text}");
    assert!(
        text.contains("outside"),
        "other panics are reported: {text}"
    );
}

#[test]
#[ignore = "run by guarded_panics_are_silent"]
fn panic_in_a_guard() {
    use super::super::guard::no_panic;
    let error = no_panic("a test", || -> crate::Result<()> { panic!("within") }).unwrap_err();
    assert!(error.message.contains("within"));
    let outside = std::panic::catch_unwind(|| panic!("outside"));
    assert!(outside.is_err());
}

/// What is read of a device array is what comes over: here two rows of a hundred.
#[test]
fn parts_of_device_arrays_are_downloaded_alone() {
    let x = Array::from_vec((0..1000).collect::<Vec<i16>>(), &[100, 10]).unwrap();
    let x = run(
        patched(),
        &copy_kernel(DType::I16),
        std::slice::from_ref(&x),
        &[100, 10],
    )
    .remove(0);
    let rows = SliceIndex::Range {
        start: Some(50),
        end: Some(53),
        step: -2,
    };
    for range in [SliceIndex::range(Some(51), Some(53)), rows] {
        let part = x.slice(&[range]).unwrap();
        let Storage::Host(buffer) = part.to_host().unwrap().storage().clone() else {
            panic!("not on the host");
        };
        assert!(buffer.len() <= 3 * 20 + 16, "{} bytes", buffer.len());
    }
    let last = x.slice(&[SliceIndex::At(-1), SliceIndex::At(-1)]).unwrap();
    assert_eq!(last.item().unwrap().as_int(), 999);
    let rows = x.slice(&[SliceIndex::range(Some(51), Some(52))]).unwrap();
    let wanted: Vec<i16> = (510..520).collect();
    assert_eq!(rows.to_vec::<i16>().unwrap(), wanted);
}
