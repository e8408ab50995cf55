//! gufunc-form kernels on the device: core dimensions, promoted loops, narrow and complex elements.

use super::super::GufuncOut;
use super::*;
use kjit_ir::{ArrayRef, DimRef, LoopDim, Part, Role, Trap};

fn zeros(dtype: DType) -> GufuncOut {
    GufuncOut {
        dtype,
        initial: None,
    }
}

fn call(
    device: &Device,
    kernel: &Function,
    inputs: &[Array],
    loop_shape: &[usize],
    extents: &[usize],
    outs: &[GufuncOut],
) -> crate::Result<Vec<Array>> {
    let kernels = std::slice::from_ref(kernel);
    let stats = &mut Stats::default();
    device.gufunc(kernels, inputs, loop_shape, extents, outs, false, stats)
}

/// A counted loop from zero over an extent.
fn count(b: &mut FunctionBuilder, n: Value, body: impl FnOnce(&mut FunctionBuilder, Value)) {
    let zero = b.int(DType::I64, 0);
    let one = b.int(DType::I64, 1);
    b.loop_(&[zero], &[], |b, carried| {
        let done = b.binary(Opcode::Ge, carried[0], n);
        b.if_else(done, &[], |b| b.break_(&[]), |b| b.yield_(&[]));
        body(b, carried[0]);
        let next = b.binary(Opcode::Add, carried[0], one);
        b.continue_(&[next]);
    });
}

/// `(m,k),(k,n)->(m,n)` for one element of the result; loops over m and n are promoted, or are not.
fn matmul(promoted: bool) -> Function {
    let mut b = FunctionBuilder::new("matmul");
    let [m, k, n] = ["m", "k", "n"].map(|d| b.dim(d));
    let mut array = |dims: &[DimRef], mode, along: [Option<u32>; 2]| {
        let mut p = param(DType::F32, mode).with_core(dims);
        if promoted {
            p.along = along
                .map(|a| a.map(|axis| (axis, 1)).into_iter().collect())
                .to_vec();
        }
        b.array(p)
    };
    let x = array(&[m, k], ArrayMode::In, [Some(0), None]);
    let y = array(&[k, n], ArrayMode::In, [None, Some(1)]);
    let z = array(&[m, n], ArrayMode::Out, [Some(0), Some(1)]);
    let one = |b: &mut FunctionBuilder, i, j| {
        let zero = b.f32(0.0);
        let start = b.int(DType::I64, 0);
        let step = b.int(DType::I64, 1);
        let extent = b.extent(k);
        let sum = b.loop_(&[start, zero], &[Type::scalar(DType::F32)], |b, carried| {
            let done = b.binary(Opcode::Ge, carried[0], extent);
            b.if_else(done, &[], |b| b.break_(&[carried[1]]), |b| b.yield_(&[]));
            let p = b.core_load(x, &[i, carried[0]]);
            let q = b.core_load(y, &[carried[0], j]);
            let product = b.binary(Opcode::Mul, p, q);
            let sum = b.binary(Opcode::Add, carried[1], product);
            let next = b.binary(Opcode::Add, carried[0], step);
            b.continue_(&[next, sum]);
        });
        b.core_store(z, &[i, j], sum[0]);
    };
    if promoted {
        let zero = b.int(DType::I64, 0);
        one(&mut b, zero, zero);
        b.func.loops = [m, n]
            .map(|d| LoopDim {
                dims: [(d, 1)].into_iter().collect(),
                constant: 0,
            })
            .to_vec();
    } else {
        let (rows, columns) = (b.extent(m), b.extent(n));
        count(&mut b, rows, |b, i| count(b, columns, |b, j| one(b, i, j)));
    }
    b.ret(&[])
}

#[test]
fn matmul_over_batches() {
    for device in [patched(), barriers()] {
        for promoted in [false, true] {
            let kernel = matmul(promoted);
            for (m, k, n) in [(2, 3, 5), (1, 1, 1), (3, 0, 2), (0, 3, 2), (7, 4, 3)] {
                let x: Vec<f32> = (0..4 * m * k).map(|v| v as f32 * 0.5 - 3.0).collect();
                let y: Vec<f32> = (0..k * n).map(|v| (v as f32).sin()).collect();
                let batch = Array::from_vec(x.clone(), &[4, m, k]).unwrap();
                // The second operand has no batches, and lies the other way round.
                let mut turned = vec![0.0; k * n];
                for i in 0..k * n {
                    turned[i % n * k + i / n] = y[i];
                }
                let other = Array::from_vec(turned, &[n, k]).unwrap().transpose();
                let inputs = [batch, other];
                let out = [zeros(DType::F32)];
                let got = call(device, &kernel, &inputs, &[4], &[m, k, n], &out).unwrap();
                assert_eq!(got[0].shape(), [4, m, n]);
                let mut want = Vec::new();
                for at in 0..4 * m * n {
                    let (row, column) = (at / n, at % n);
                    let terms = (0..k).map(|p| x[row * k + p] * y[p * n + column]);
                    want.push(terms.fold(0.0f32, |a, b| a + b));
                }
                assert_eq!(got[0].to_vec::<f32>().unwrap(), want, "{m} {k} {n}");
            }
        }
    }
}

/// `(n)->(n)`: the row backwards; of complex numbers both parts.
fn reversed(dtype: DType) -> Function {
    let mut b = FunctionBuilder::new("reversed");
    let n = b.dim("n");
    let of = match dtype.part() {
        None => vec![(dtype, Part::Whole)],
        Some(part) => vec![(part, Part::Re), (part, Part::Im)],
    };
    let mut arrays = |mode| {
        let array = |(dtype, part): &(DType, Part)| {
            b.array(ArrayParam {
                part: *part,
                ..param(*dtype, mode).with_core(&[n])
            })
        };
        of.iter().map(array).collect::<Vec<ArrayRef>>()
    };
    let (x, y) = (arrays(ArrayMode::In), arrays(ArrayMode::Out));
    let extent = b.extent(n);
    count(&mut b, extent, |b, i| {
        let one = b.int(DType::I64, 1);
        let back = b.binary(Opcode::Sub, extent, i);
        let back = b.binary(Opcode::Sub, back, one);
        for (x, y) in x.iter().zip(&y) {
            let value = b.core_load(*x, &[i]);
            b.core_store(*y, &[back], value);
        }
    });
    b.ret(&[])
}

/// Elements of a word belong to several invocations: rows of three.
#[test]
fn narrow_and_complex_elements() {
    let dtypes = [DType::Bool, DType::U8, DType::I16, DType::F16, DType::I64];
    for dtype in dtypes.into_iter().chain([DType::C64, DType::C128]) {
        let (rows, n, size) = (301, 3, dtype.size());
        let bytes: Vec<u8> = (0..rows * n * size)
            .map(|i| match dtype {
                DType::Bool => (i % 5 < 2) as u8,
                _ => (i * 7 % 251) as u8,
            })
            .collect();
        let buffer = HostBuffer::from_bytes(&bytes).unwrap();
        let x = Array::from_buffer(buffer, dtype, &[rows, n]).unwrap();
        let out = [zeros(dtype)];
        let got = call(patched(), &reversed(dtype), &[x], &[rows], &[n], &out).unwrap();
        let host = got[0].to_host().unwrap();
        let want: Vec<u8> = bytes
            .chunks(n * size)
            .flat_map(|row| {
                row.chunks(size)
                    .rev()
                    .flatten()
                    .copied()
                    .collect::<Vec<u8>>()
            })
            .collect();
        assert_eq!(&host.bytes().unwrap()[..want.len()], want, "{dtype}");
    }
}

/// What a kernel does not write is zero, or what the output held before.
#[test]
fn outputs_start_as_they_are_asked_to() {
    // Adds one to every second element, and notes which it wrote.
    let mut b = FunctionBuilder::new("bump");
    let n = b.dim("n");
    let y = b.array(param(DType::U8, ArrayMode::InOut).with_core(&[n]));
    let written = param(DType::U32, ArrayMode::Out).with_core(&[n]);
    let written = b.array(written.with_role(Role::Written(y)));
    let extent = b.extent(n);
    let two = b.int(DType::I64, 2);
    let half = b.binary(Opcode::Div, extent, two);
    count(&mut b, half, |b, i| {
        let at = b.binary(Opcode::Mul, i, two);
        let old = b.core_load(y, &[at]);
        let one = b.int(DType::U8, 1);
        let new = b.binary(Opcode::Add, old, one);
        b.core_store(y, &[at], new);
        let yes = b.int(DType::U32, 1);
        b.core_store(written, &[at], yes);
    });
    let kernel = b.ret(&[]);
    let start = Array::from_vec(vec![255u8, 9, 8], &[3]).unwrap();
    for (initial, want) in [(None, [1u8, 0, 0]), (Some(start), [0, 9, 8])] {
        let out = GufuncOut {
            dtype: DType::U8,
            initial,
        };
        let outs = [out, zeros(DType::U32)];
        let got = call(patched(), &kernel, &[], &[5], &[3], &outs).unwrap();
        assert_eq!(got[0].to_vec::<u8>().unwrap(), [want; 5].concat());
        assert_eq!(got[1].to_vec::<u32>().unwrap(), [[1, 0, 0]; 5].concat());
    }
    let error = call(patched(), &kernel, &[], &[5], &[], &[zeros(DType::U8)]);
    assert_eq!(error.unwrap_err().kind, ErrorKind::Internal);
}

/// A promoted loop whose index is needed, of an extent of its own: `(n)->(n-1)`, differences times i.
#[test]
fn promoted_loops_have_indices_and_extents() {
    let mut b = FunctionBuilder::new("differences");
    let [n, less] = ["n", "n-1"].map(|d| b.dim(d));
    let along = |mut p: ArrayParam| {
        p.along = vec![[(0, 1)].into_iter().collect()];
        p
    };
    let x = b.array(along(param(DType::I16, ArrayMode::In).with_core(&[n])));
    let y = b.array(along(param(DType::I16, ArrayMode::Out).with_core(&[less])));
    let iota = b.array(param(DType::I64, ArrayMode::Index).with_role(Role::Iota(0)));
    let (zero, one) = (b.int(DType::I64, 0), b.int(DType::I64, 1));
    let (left, right) = (b.core_load(x, &[zero]), b.core_load(x, &[one]));
    let difference = b.binary(Opcode::Sub, right, left);
    let i = b.load(iota);
    let i = b.cast(i, DType::I16);
    let value = b.binary(Opcode::Mul, difference, i);
    b.core_store(y, &[zero], value);
    b.func.loops = vec![LoopDim {
        dims: [(n, 1)].into_iter().collect(),
        constant: -1,
    }];
    let kernel = b.ret(&[]);
    let x: Vec<i16> = (0..4 * 9).map(|v| v * v).collect();
    let array = Array::from_vec(x.clone(), &[4, 9]).unwrap();
    // Backwards, too: strides are negative.
    let back = SliceIndex::Range {
        start: None,
        end: None,
        step: -1,
    };
    for view in [array.clone(), array.slice(&[back, back]).unwrap()] {
        let rows = view.to_vec::<i16>().unwrap();
        let out = [zeros(DType::I16)];
        let got = call(patched(), &kernel, &[view], &[4], &[9, 8], &out).unwrap();
        let want: Vec<i16> = rows
            .chunks(9)
            .flat_map(|r| {
                (0..8)
                    .map(|i| (r[i + 1] - r[i]) * i as i16)
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(got[0].to_vec::<i16>().unwrap(), want);
    }
    // No rounds of the loop.
    let x = Array::zeros(DType::I16, &[4, 1]).unwrap();
    let got = call(
        patched(),
        &kernel,
        &[x],
        &[4],
        &[1, 0],
        &[zeros(DType::I16)],
    )
    .unwrap();
    assert_eq!(got[0].shape(), [4, 0]);
}

#[test]
fn an_index_out_of_bounds_is_an_error() {
    let mut b = FunctionBuilder::new("pick");
    let n = b.dim("n");
    let x = b.array(param(DType::F32, ArrayMode::In).with_core(&[n]));
    let at = b.array(param(DType::I64, ArrayMode::In));
    let y = b.array(param(DType::F32, ArrayMode::Out));
    let trap = b.trap(Trap {
        kind: TrapKind::CoreIndexOutOfBounds {
            array: "x".to_string(),
            axis: 0,
            dim: n,
        },
        loc: Loc::default(),
    });
    let (i, extent, zero) = (b.load(at), b.extent(n), b.int(DType::I64, 0));
    let low = b.binary(Opcode::Ge, i, zero);
    let high = b.binary(Opcode::Lt, i, extent);
    let ok = b.binary(Opcode::And, low, high);
    b.guard(ok, trap);
    let nothing = b.f32(0.0);
    let value = b.if_else(
        ok,
        &[Type::scalar(DType::F32)],
        |b| {
            let value = b.core_load(x, &[i]);
            b.yield_(&[value]);
        },
        |b| b.yield_(&[nothing]),
    );
    b.store(y, value[0]);
    let kernel = b.ret(&[]);
    let x = Array::from_vec(vec![1.0f32, 2.0, 4.0], &[3]).unwrap();
    for (at, want) in [
        (vec![2i64, 0], Some([4.0f32, 1.0])),
        (vec![2, 3], None),
        (vec![-1, 0], None),
    ] {
        let at = Array::from_vec(at, &[2]).unwrap();
        let out = [zeros(DType::F32)];
        let got = call(patched(), &kernel, &[x.clone(), at], &[2], &[3], &out);
        match want {
            Some(want) => assert_eq!(got.unwrap()[0].to_vec::<f32>().unwrap(), want),
            None => assert!(got.unwrap_err().message.contains("`x`")),
        }
    }
}
