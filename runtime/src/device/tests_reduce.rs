//! Reductions on the device against the tree of the host, bit for bit.

use super::super::combine::named;
use super::*;
use crate::reduce::{Source, reduce};
use crate::schedule::Scheduler;
use kjit_ir::Part;

/// An array larger than a binding of the software device (128 MiB), in windows.
#[test]
fn windows_over_the_binding_limit() {
    let device = patched();
    let n = 40_000_000usize;
    let mut b = FunctionBuilder::new("halves");
    let index = b.array(param(DType::I64, ArrayMode::Index));
    let y = b.array(param(DType::I32, ArrayMode::Out));
    let i = b.load(index);
    let value = b.cast(i, DType::I32);
    b.store(y, value);
    let kernel = b.ret(&[]);
    let array = run(device, &kernel, &[], &[n]).remove(0);
    let sum = device
        .reduce(
            &copy_kernel(DType::I32),
            std::slice::from_ref(&array),
            &[n],
            DType::I32,
            ReduceOp::Sum,
            false,
            &mut Stats::default(),
        )
        .unwrap();
    assert_eq!(sum.as_int(), (n as i128) * (n as i128 - 1) / 2);
    let tail = array
        .slice(&[SliceIndex::Range {
            start: Some(-3),
            end: None,
            step: 1,
        }])
        .unwrap();
    let tail = run(device, &copy_kernel(DType::I32), &[tail], &[3]).remove(0);
    assert_eq!(
        tail.to_vec::<i32>().unwrap(),
        [39_999_997, 39_999_998, 39_999_999]
    );
}

#[test]
fn reductions_equal_the_host_bit_for_bit() {
    let ops = [
        ReduceOp::Sum,
        ReduceOp::Min,
        ReduceOp::Max,
        ReduceOp::ArgMin,
        ReduceOp::ArgMax,
    ];
    let few = [DType::F64];
    for (device, dtypes) in [(patched(), &DTYPES[..]), (barriers(), &few)] {
        for dtype in dtypes.iter().copied() {
            for n in [1usize, 15, 17, 1023, 1030, 70_001] {
                let mut r = Random(n as u64);
                let values: Vec<_> = (0..n)
                    .map(|_| match dtype {
                        DType::F32 => Scalar::f32(r.next() as f32 / 1e19),
                        DType::F64 => Scalar::f64(r.next() as f64 / 1e19),
                        _ => random(dtype, &mut r),
                    })
                    .collect();
                let array = array_of(&values);
                // Every dtype's sums; the rest for one of each kind.
                let all = [DType::Bool, DType::I8, DType::U64, DType::F32].contains(&dtype);
                for op in ops.into_iter().take(if all { 5 } else { 1 }) {
                    let scheduler = Scheduler::single();
                    let want = reduce(&Source::Memory(&array), dtype, n, op, &scheduler).unwrap();
                    let got = device
                        .reduce(
                            &copy_kernel(dtype),
                            std::slice::from_ref(&array),
                            &[n],
                            dtype,
                            op,
                            false,
                            &mut Stats::default(),
                        )
                        .unwrap_or_else(|e| panic!("{op:?} of {n} {dtype}: {e}"));
                    assert!(
                        same(got, want),
                        "{op:?} of {n} {dtype}: {got:?}, not {want:?}"
                    );
                }
            }
        }
    }
    let none = Array::zeros(DType::I8, &[0]).unwrap();
    let sum = |op| {
        let none = std::slice::from_ref(&none);
        let copy = copy_kernel(DType::I8);
        patched().reduce(
            &copy,
            none,
            &[0],
            DType::I8,
            op,
            false,
            &mut Stats::default(),
        )
    };
    assert_eq!(sum(ReduceOp::Sum).unwrap(), Scalar::int(DType::I64, 0));
    assert_eq!(sum(ReduceOp::Max).unwrap_err().kind, ErrorKind::Value);
}

#[test]
fn half_and_complex_numbers_are_reduced_on_the_device() {
    let reduced = |array: &Array, op, on_device: bool| {
        let (n, dtype) = (array.size(), array.dtype());
        if !on_device {
            let (source, scheduler) = (Source::Memory(array), Scheduler::single());
            return reduce(&source, dtype, n, op, &scheduler).unwrap();
        }
        let (kernel, inputs) = (copy_kernel(dtype), std::slice::from_ref(array));
        let stats = &mut Stats::default();
        patched()
            .reduce(&kernel, inputs, &[n], dtype, op, false, stats)
            .unwrap()
    };
    for dtype in [DType::F16, DType::C64, DType::C128] {
        for (n, nan) in [(1, None), (1030, None), (40_000, None), (3000, Some(1700))] {
            let mut r = Random(n as u64);
            let mut part = |i: usize| match nan {
                Some(at) if i >= at => f64::NAN,
                _ => (r.next() % 401) as f64 / 8.0 - 25.0,
            };
            let parts: Vec<[f64; 2]> = (0..n).map(|i| [part(0), part(i)]).collect();
            let array = match dtype {
                DType::F16 => {
                    let values = parts.iter().map(|p| p[1]).collect();
                    let array = Array::from_vec::<f64>(values, &[n]).unwrap();
                    array.cast(dtype).unwrap()
                }
                _ => {
                    let values = parts.iter().map(|p| crate::Complex64::new(p[0], p[1]));
                    let array = Array::from_vec(values.collect(), &[n]).unwrap();
                    array.cast(dtype).unwrap()
                }
            };
            for op in [
                ReduceOp::Sum,
                ReduceOp::Min,
                ReduceOp::Max,
                ReduceOp::ArgMin,
                ReduceOp::ArgMax,
            ] {
                let [got, want] = [true, false].map(|on| reduced(&array, op, on));
                assert!(
                    same(got, want),
                    "{op:?} of {n} {dtype}: {got:?}, not {want:?}"
                );
            }
        }
    }
}

#[test]
fn extremes_keep_nan_and_signs() {
    let extreme = |values: &[f32], op| {
        let n = values.len();
        let array = Array::from_vec(values.to_vec(), &[n]).unwrap();
        let copy = copy_kernel(DType::F32);
        let stats = &mut Stats::default();
        patched()
            .reduce(&copy, &[array], &[n], DType::F32, op, false, stats)
            .unwrap()
    };
    let zeros = [0.0, -0.0, 0.0];
    assert_eq!(extreme(&zeros, ReduceOp::Min), Scalar::f32(-0.0));
    assert_eq!(extreme(&zeros, ReduceOp::Max), Scalar::f32(0.0));
    assert_eq!(extreme(&zeros, ReduceOp::ArgMax).as_int(), 0);
    let mut values = vec![1.0; 2000];
    (values[1500], values[1300]) = (f32::NAN, f32::NAN);
    for op in [ReduceOp::Min, ReduceOp::Max, ReduceOp::Sum] {
        assert!(extreme(&values, op).as_f32().is_nan());
    }
    for op in [ReduceOp::ArgMin, ReduceOp::ArgMax] {
        assert_eq!(extreme(&values, op).as_int(), 1300);
    }
}

/// The tree of the host over every row along an axis.
fn by_rows(array: &Array, axis: usize, op: ReduceOp) -> Vec<Scalar> {
    let n = array.shape()[axis];
    let mut shape = array.shape().to_vec();
    shape.remove(axis);
    let mut results = Vec::new();
    for row in 0..shape.iter().product::<usize>() {
        let mut rest = row;
        let mut index = vec![SliceIndex::ALL; array.ndim()];
        for (at, own) in (0..array.ndim())
            .filter(|a| *a != axis)
            .zip(0..)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            index[at] = SliceIndex::At((rest % shape[own]) as i64);
            rest /= shape[own];
        }
        let row = array.slice(&index).unwrap().to_contiguous().unwrap();
        let scheduler = Scheduler::single();
        results.push(reduce(&Source::Memory(&row), row.dtype(), n, op, &scheduler).unwrap());
    }
    results
}

#[test]
fn axes_equal_the_host_bit_for_bit() {
    {
        let device = patched();
        for (dtype, op) in [(DType::F32, ReduceOp::Sum), (DType::I8, ReduceOp::Max)] {
            let combine = named(op, dtype);
            let r = &mut Random(7);
            for shape in [&[3, 2100, 2][..], &[2000, 40], &[2, 3, 17, 5]] {
                let n = shape.iter().product();
                let values: Vec<_> = (0..n)
                    .map(|_| match dtype {
                        DType::F32 => Scalar::f32(r.next() as f32 / 1e19),
                        _ => random(dtype, r),
                    })
                    .collect();
                let array = array_of(&values).reshape(shape).unwrap();
                for view in [array.clone(), array.transpose()] {
                    for axis in 0..shape.len() {
                        let stats = &mut Stats::default();
                        let inputs = std::slice::from_ref(&view);
                        let got = device
                            .reduce_axes(
                                None,
                                &combine,
                                inputs,
                                view.shape(),
                                &[axis],
                                false,
                                stats,
                            )
                            .unwrap();
                        let mut kept = view.shape().to_vec();
                        kept.remove(axis);
                        assert_eq!(got.shape(), kept);
                        let want = by_rows(&view, axis, op);
                        let equal = scalars(&got).iter().zip(&want).all(|(a, b)| same(*a, *b));
                        assert!(equal, "{op:?} of {dtype} {:?} along {axis}", view.shape());
                    }
                }
            }
        }
    }
}

/// Several axes at once, a map over broadcast inputs, more passes than two.
#[test]
fn maps_and_several_axes() {
    let device = patched();
    let product = kernel("product", &[DType::I32, DType::I32], |b, args| {
        vec![b.binary(Opcode::Mul, args[0], args[1])]
    });
    let x = Array::from_vec((0..7 * 300 * 5).collect::<Vec<i32>>(), &[7, 300, 5]).unwrap();
    let y = Array::from_vec((0..5).collect::<Vec<i32>>(), &[5]).unwrap();
    let sum = named(ReduceOp::Sum, DType::I32);
    let stats = &mut Stats::default();
    for axes in [&[0, 2][..], &[0, 1], &[1], &[0, 1, 2], &[]] {
        let inputs = [x.clone(), y.clone()];
        let got = device
            .reduce_axes(Some(&product), &sum, &inputs, x.shape(), axes, false, stats)
            .unwrap();
        let kept: Vec<usize> = (0..3).filter(|a| !axes.contains(a)).collect();
        let shape: Vec<usize> = kept.iter().map(|a| x.shape()[*a]).collect();
        let mut want = vec![0i64; shape.iter().product()];
        for i in 0..7 * 300 * 5 {
            let at = [i / 1500, i / 5 % 300, i % 5];
            let own = kept.iter().fold(0, |o, a| o * x.shape()[*a] + at[*a]);
            want[own] += (i * (i % 5)) as i64;
        }
        assert_eq!(got.shape(), shape);
        assert_eq!(got.to_vec::<i64>().unwrap(), want, "{axes:?}");
    }
    // 300 000 rows: the leaves' 293 results take two more passes, for workgroups go along the columns.
    let tall = Array::scalar(Scalar::int(DType::U8, 1));
    let tall = tall.broadcast_to(&[300_000, 17]).unwrap();
    let tall = run(device, &copy_kernel(DType::U8), &[tall], &[300_000, 17]);
    let sum = named(ReduceOp::Sum, DType::U8);
    let got = device
        .reduce_axes(None, &sum, &tall, &[300_000, 17], &[0], false, stats)
        .unwrap();
    assert_eq!(got.to_vec::<u64>().unwrap(), [300_000; 17]);
    // Nothing to keep, and nothing to reduce.
    let none = Array::zeros(DType::U8, &[0, 3]).unwrap();
    let none = std::slice::from_ref(&none);
    let got = device.reduce_axes(None, &sum, none, &[0, 3], &[1], false, stats);
    assert_eq!(got.unwrap().shape(), [0]);
    let got = device.reduce_axes(None, &sum, none, &[0, 3], &[0], false, stats);
    assert_eq!(got.unwrap_err().kind, ErrorKind::Internal);
}

/// Pairs: two variables in one buffer. The order of operands is that of the elements.
#[test]
fn complex_and_ordered_reductions() {
    let device = patched();
    let parts = [Part::Re, Part::Im];
    // A product of numbers of modulus one and two: exact, whatever the order.
    let mut b = FunctionBuilder::new("multiply");
    let pair = |b: &mut FunctionBuilder, mode| {
        parts.map(|part| {
            b.array(ArrayParam {
                part,
                ..param(DType::F64, mode)
            })
        })
    };
    let (x, y) = (pair(&mut b, ArrayMode::In), pair(&mut b, ArrayMode::In));
    let out = pair(&mut b, ArrayMode::Out);
    let [re, im, other_re, other_im] = [x[0], x[1], y[0], y[1]].map(|a| b.load(a));
    let products = [
        (re, other_re),
        (im, other_im),
        (re, other_im),
        (im, other_re),
    ]
    .map(|(p, q)| b.binary(Opcode::Mul, p, q));
    let real = b.binary(Opcode::Sub, products[0], products[1]);
    let imaginary = b.binary(Opcode::Add, products[2], products[3]);
    b.store(out[0], real);
    b.store(out[1], imaginary);
    let multiply = b.ret(&[]);
    // i, -1, 1 and 2i in turn: a product of 4 of them is -2 times ..
    let turn = [[0.0, 1.0], [-1.0, 0.0], [1.0, 0.0], [0.0, 2.0]];
    for rows in [1usize, 5] {
        let n = 40;
        let values: Vec<f64> = (0..rows * n).flat_map(|i| turn[i % 4]).collect();
        let buffer = HostBuffer::from_bytes(bytemuck::cast_slice(&values)).unwrap();
        let array = Array::from_buffer(buffer, DType::C128, &[rows, n]).unwrap();
        let stats = &mut Stats::default();
        let inputs = std::slice::from_ref(&array);
        let got = device
            .reduce_axes(None, &multiply, inputs, &[rows, n], &[1], false, stats)
            .unwrap();
        assert_eq!((got.dtype(), got.shape()), (DType::C128, &[rows][..]));
        // i * -1 * 1 * 2i = 2, ten times.
        let host = got.to_host().unwrap();
        let got: &[f64] = bytemuck::cast_slice(&host.bytes().unwrap()[..rows * 16]);
        assert!(got.chunks(2).all(|z| *z == [1024.0, 0.0]), "{got:?}");
    }
    // Takes the left one: which of all elements is left shows that operands keep their order.
    for (side, want) in [(0, 0), (1, 69_999)] {
        let take = kernel("take", &[DType::I32, DType::I32], |_, args| {
            vec![args[side]]
        });
        let x = Array::from_vec((0..70_000).collect::<Vec<i32>>(), &[70_000]).unwrap();
        let stats = &mut Stats::default();
        let got = device
            .reduce_axes(None, &take, &[x], &[70_000], &[0], false, stats)
            .unwrap();
        let got = got.to_host().unwrap().item().unwrap().as_int();
        assert_eq!(got, want);
    }
}
