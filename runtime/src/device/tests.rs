//! The device against the definition of every operation. These tests need a device (a software one
//! will do) and fail without: `apt-get install libvulkan1 mesa-vulkan-drivers`.

use super::operand::{Memory, Operand, coalesce};
use super::{Device, adapter, buffer, copy_kernel, spirv};
use crate::{Array, ErrorKind, HostBuffer, ReduceOp, SliceIndex, Stats};
use kjit_driver::wgsl::StrictMode;
use kjit_ir::eval::{eval, same};
use kjit_ir::{
    Access, ArrayMode, ArrayParam, DType, Function, FunctionBuilder, Loc, LocalArray, Opcode,
    Scalar, Trap, TrapKind, Type, Value,
};
use std::sync::OnceLock;

#[path = "tests_exact.rs"]
mod exact;
#[path = "tests_gufunc.rs"]
mod gufunc;
#[path = "tests_memory.rs"]
mod memory;
#[path = "tests_reduce.rs"]
mod reductions;

/// The device, keeping strict arithmetic by patching.
fn patched() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| Device::open(None, None).expect("these tests need a Vulkan device"))
}

/// The same, by barriers.
fn barriers() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| {
        Device::open(None, Some(StrictMode::Barrier)).expect("these tests need a Vulkan device")
    })
}

fn param(dtype: DType, mode: ArrayMode) -> ArrayParam {
    ArrayParam::new("x", dtype, mode, Access::Strided)
}

/// A kernel whose outputs are what `body` makes of its inputs.
fn kernel(
    name: &str,
    inputs: &[DType],
    body: impl FnOnce(&mut FunctionBuilder, &[Value]) -> Vec<Value>,
) -> Function {
    let mut b = FunctionBuilder::new(name);
    let arrays: Vec<_> = inputs
        .iter()
        .map(|d| b.array(param(*d, ArrayMode::In)))
        .collect();
    let args: Vec<_> = arrays.iter().map(|a| b.load(*a)).collect();
    for value in body(&mut b, &args) {
        let dtype = b.func.ty(value).dtype;
        let out = b.array(param(dtype, ArrayMode::Out));
        b.store(out, value);
    }
    b.ret(&[])
}

fn outputs(kernel: &Function) -> Vec<DType> {
    let outs = kernel.arrays.iter().filter(|a| a.mode == ArrayMode::Out);
    outs.map(|a| a.dtype).collect()
}

fn array_of(values: &[Scalar]) -> Array {
    let dtype = values[0].dtype();
    let mut bytes = Vec::new();
    for value in values {
        let (image, size) = value.to_ne_bytes();
        bytes.extend_from_slice(&image[..size]);
    }
    Array::from_buffer(
        HostBuffer::from_bytes(&bytes).unwrap(),
        dtype,
        &[values.len()],
    )
    .unwrap()
}

fn scalars(array: &Array) -> Vec<Scalar> {
    let host = array.to_contiguous().unwrap();
    let size = host.dtype().size();
    let crate::Storage::Host(buffer) = host.storage() else {
        panic!("not on the host");
    };
    buffer.as_slice()[host.offset()..][..host.nbytes()]
        .chunks_exact(size)
        .map(|b| Scalar::from_ne_bytes(host.dtype(), b))
        .collect()
}

fn run(device: &Device, kernel: &Function, inputs: &[Array], shape: &[usize]) -> Vec<Array> {
    device
        .elementwise(
            kernel,
            inputs,
            shape,
            &outputs(kernel),
            false,
            &mut Stats::default(),
        )
        .unwrap_or_else(|e| panic!("{}: {e}", kernel.name))
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Values at which something happens.
fn edges(dtype: DType) -> Vec<Scalar> {
    let floats = [
        0.0,
        1.0,
        0.5,
        1.5,
        2.5,
        3.0,
        0.1,
        1e-3,
        127.5,
        128.0,
        255.9,
        256.0,
        32768.0,
        65535.5,
        2147483647.0,
        2147483648.0,
        4294967295.0,
        4294967296.0,
        9.223372036854775e18,
        9.223372036854776e18,
        1.8446744073709552e19,
        8388607.5,
        4503599627370495.5,
        1e38,
        f64::INFINITY,
        f64::NAN,
    ];
    let signed = |v: &f64| [*v, -*v];
    match dtype {
        DType::Bool => vec![Scalar::bool(false), Scalar::bool(true)],
        DType::F32 => {
            let special = [
                f32::MAX,
                f32::MIN_POSITIVE,
                1e-45,
                1.1754942e-38,
                f32::EPSILON,
            ];
            let special = special.iter().flat_map(|v| [*v, -*v]);
            let plain = floats.iter().flat_map(signed).map(|v| v as f32);
            plain.chain(special).map(Scalar::f32).collect()
        }
        DType::F64 => {
            let special = [
                f64::MAX,
                f64::MIN_POSITIVE,
                5e-324,
                2.2250738585072e-308,
                1e300,
            ];
            let all = floats.iter().chain(&special);
            all.flat_map(signed).map(Scalar::f64).collect()
        }
        _ => [0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 33, 63, 64, 100, 127]
            .into_iter()
            .flat_map(|v: i128| {
                let top = 1i128 << (dtype.bits() - 1);
                [v, -v, top + v, top - 1 - v].map(|v| Scalar::int(dtype, v))
            })
            .collect(),
    }
}

/// A random value; floats of all magnitudes, with exponents near each other now and then.
fn random(dtype: DType, r: &mut Random) -> Scalar {
    let bits = r.next();
    match dtype {
        DType::Bool => Scalar::bool(bits & 1 == 1),
        DType::F32 if bits & 1 == 0 => Scalar::f32((bits >> 20) as f32 / 3e9 - 1000.0),
        DType::F64 if bits & 1 == 0 => Scalar::f64((bits >> 8) as f64 / 3e13 - 1000.0),
        DType::F32 => Scalar::from_bits(dtype, (bits >> 32) as u128),
        _ => Scalar::from_bits(dtype, bits as u128),
    }
}

const DTYPES: [DType; 11] = [
    DType::Bool,
    DType::I8,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::U8,
    DType::U16,
    DType::U32,
    DType::U64,
    DType::F32,
    DType::F64,
];

#[test]
fn views_broadcasts_and_index() {
    let device = patched();
    let mut b = FunctionBuilder::new("weights");
    let x = b.array(param(DType::I16, ArrayMode::In));
    let y = b.array(param(DType::F64, ArrayMode::In));
    let index = b.array(param(DType::I64, ArrayMode::Index));
    let z = b.array(param(DType::F64, ArrayMode::Out));
    let narrow = b.array(param(DType::I8, ArrayMode::Out));
    let x = b.load(x);
    let y = b.load(y);
    let i = b.load(index);
    let x64 = b.cast(x, DType::F64);
    let i64_ = b.cast(i, DType::F64);
    let sum = b.binary(Opcode::Add, x64, y);
    let sum = b.binary(Opcode::Add, sum, i64_);
    b.store(z, sum);
    let byte = b.cast(x, DType::I8);
    b.store(narrow, byte);
    let kernel = b.ret(&[]);

    let x: Vec<i16> = (0..7 * 9).map(|v| v * 3 - 50).collect();
    let x = Array::from_vec(x, &[7, 9]).unwrap();
    let y = Array::from_vec((0..5).map(f64::from).collect(), &[5, 1, 1]).unwrap();
    let reversed = |a: &Array| {
        a.slice(&[
            SliceIndex::Range {
                start: None,
                end: None,
                step: -2,
            },
            SliceIndex::Range {
                start: Some(1),
                end: None,
                step: 1,
            },
        ])
        .unwrap()
    };
    // The same views over host memory, over device memory, and over single elements.
    let copy = |a: &Array| {
        run(
            device,
            &copy_kernel(a.dtype()),
            std::slice::from_ref(a),
            a.shape(),
        )
        .remove(0)
    };
    let one = x.slice(&[SliceIndex::At(3), SliceIndex::At(4)]).unwrap();
    for x in [
        reversed(&x),
        reversed(&copy(&x)),
        x.transpose(),
        copy(&x).transpose(),
        one,
    ] {
        let mut shape = vec![5];
        shape.extend_from_slice(if x.ndim() == 2 { x.shape() } else { &[3, 2] });
        let results = run(device, &kernel, &[x.clone(), y.clone()], &shape);
        let wide = x.broadcast_to(&shape).unwrap().to_vec::<i16>().unwrap();
        let tall = y.broadcast_to(&shape).unwrap().to_vec::<f64>().unwrap();
        let wanted: Vec<f64> = (0..wide.len())
            .map(|i| wide[i] as f64 + tall[i] + i as f64)
            .collect();
        assert_eq!(results[0].to_vec::<f64>().unwrap(), wanted);
        let bytes: Vec<i8> = wide.iter().map(|v| *v as i8).collect();
        assert_eq!(results[1].to_vec::<i8>().unwrap(), bytes);
        assert_eq!(results[0].shape(), shape);
    }
}

/// A kernel of bytes and one of floats; together more groups than one grid dimension takes.
#[test]
fn all_sizes() {
    let device = patched();
    let add = |dtype| {
        kernel("add", &[dtype, dtype], |b, args| {
            vec![b.binary(Opcode::Add, args[0], args[1])]
        })
    };
    let (bytes, floats) = (add(DType::U8), add(DType::F32));
    let mut stats = Stats::default();
    for n in [0usize, 1, 17, 1024, 65537] {
        let x: Vec<u8> = (0..n).map(|i| i as u8).collect();
        let array = Array::from_vec(x.clone(), &[n]).unwrap();
        let one = Array::scalar(Scalar::int(DType::U8, 3));
        let sum = &run(device, &bytes, &[array, one], &[n])[0];
        let wanted: Vec<u8> = x.iter().map(|v| v.wrapping_add(3)).collect();
        assert_eq!(sum.to_vec::<u8>().unwrap(), wanted);
    }
    let n = 65535 * 256 + 1000;
    let x: Vec<f32> = (0..n).map(|i| (i % 4096) as f32).collect();
    let array = Array::from_vec(x.clone(), &[n]).unwrap();
    let sum = device
        .elementwise(
            &floats,
            &[array.clone(), array],
            &[n],
            &[DType::F32],
            false,
            &mut stats,
        )
        .unwrap();
    let sum = sum[0].to_vec::<f32>().unwrap();
    assert!(sum.iter().zip(&x).all(|(s, x)| *s == 2.0 * x));
    assert_eq!(stats.calls, 1);
    assert_eq!(stats.bytes_written, n as u64 * 4);
}

/// `x` times one more than itself, by counting; the loop of element `x` runs `x` times.
fn counting(narrow: bool) -> Function {
    kernel("counting", &[DType::I32], |b, args| {
        let zero = b.int(DType::I32, 0);
        let one = b.int(DType::I32, 1);
        let i32_ = Type::scalar(DType::I32);
        let limit = args[0];
        let total = b.loop_(&[zero, zero], &[i32_], |b, carried| {
            let done = b.binary(Opcode::Ge, carried[0], limit);
            b.if_else(done, &[], |b| b.break_(&[carried[1]]), |b| b.yield_(&[]));
            let next = b.binary(Opcode::Add, carried[0], one);
            let total = b.binary(Opcode::Add, carried[1], next);
            b.continue_(&[next, total]);
        });
        vec![if narrow {
            b.cast(total[0], DType::U8)
        } else {
            total[0]
        }]
    })
}

#[test]
fn long_loops_are_errors_where_the_device_stops_them() {
    for device in [patched(), barriers()] {
        let limit = device.0.loop_limit;
        let fine: Vec<i32> = (0..1000).map(|i| (i * 37) % 16_000).collect();
        let array = Array::from_vec(fine.clone(), &[1000]).unwrap();
        let wanted: Vec<i32> = fine.iter().map(|x| x * (x + 1) / 2).collect();
        let sums = run(
            device,
            &counting(false),
            std::slice::from_ref(&array),
            &[1000],
        );
        assert_eq!(sums[0].to_vec::<i32>().unwrap(), wanted);
        let bytes = run(
            device,
            &counting(true),
            std::slice::from_ref(&array),
            &[1000],
        );
        let narrow: Vec<u8> = wanted.iter().map(|x| *x as u8).collect();
        assert_eq!(bytes[0].to_vec::<u8>().unwrap(), narrow);
        let total = device
            .reduce(
                &counting(false),
                &[array],
                &[1000],
                DType::I32,
                ReduceOp::Sum,
                false,
                &mut Stats::default(),
            )
            .unwrap();
        assert_eq!(total.as_int(), wanted.iter().map(|x| *x as i128).sum());
        let count = |to: i32| {
            let input = Array::from_vec(vec![5, 40_000, to], &[3]).unwrap();
            let stats = &mut Stats::default();
            let kernel = counting(false);
            let results = device.elementwise(&kernel, &[input], &[3], &[DType::I32], false, stats);
            results.map(|out| out[0].to_vec::<i32>().unwrap())
        };
        let sum = |to: i64| (to * (to + 1) / 2) as i32;
        // Beyond the limit of iterations, but not of the rounds that iterations can have.
        let wanted = |to: i64| vec![15, 800_020_000, sum(to)];
        assert_eq!(count(1_000_000).unwrap(), wanted(1_000_000));
        match limit {
            Some(_) => {
                let error = count(5_000_000).unwrap_err();
                assert_eq!(error.kind, ErrorKind::Limit);
                assert!(error.help.is_some());
            }
            None => assert_eq!(count(5_000_000).unwrap(), wanted(5_000_000)),
        }
    }
}

#[test]
fn a_launch_like_an_earlier_one_prints_no_shader() {
    let device = patched();
    let kernel = counting(true);
    let input = Array::from_vec(vec![7; 9], &[9]).unwrap();
    for (n, dtype) in [DType::U8, DType::U8].into_iter().enumerate() {
        let mut stats = Stats::default();
        // Another object with the same instructions.
        let kernel = kernel.clone();
        let inputs = std::slice::from_ref(&input);
        device
            .elementwise(&kernel, inputs, &[9], &[dtype], false, &mut stats)
            .unwrap();
        assert!(n == 0 || stats.compile.is_zero(), "{stats:?}");
    }
}

/// Nested loops that neighbours take at different times: the device counts for all of them.
#[test]
fn nested_loops_never_give_wrong_answers() {
    let kernel = kernel("nested", &[DType::I32], |b, args| {
        let zero = b.int(DType::I32, 0);
        let one = b.int(DType::I32, 1);
        let rounds = b.int(DType::I32, 8);
        let i32_ = Type::scalar(DType::I32);
        let own = args[0];
        let total = b.loop_(&[zero, zero], &[i32_], |b, outer| {
            let (round, total) = (outer[0], outer[1]);
            let done = b.binary(Opcode::Ge, round, rounds);
            b.if_else(done, &[], |b| b.break_(&[total]), |b| b.yield_(&[]));
            // Only the element whose turn it is counts.
            let turn = b.binary(Opcode::Eq, own, round);
            let many = b.int(DType::I32, 7_000);
            let limit = b.select(turn, many, one);
            let inner = b.loop_(&[zero, total], &[i32_], |b, inner| {
                let done = b.binary(Opcode::Ge, inner[0], limit);
                b.if_else(done, &[], |b| b.break_(&[inner[1]]), |b| b.yield_(&[]));
                let next = b.binary(Opcode::Add, inner[0], one);
                let total = b.binary(Opcode::Add, inner[1], one);
                b.continue_(&[next, total]);
            });
            let next = b.binary(Opcode::Add, round, one);
            b.continue_(&[next, inner[0]]);
        });
        vec![total[0]]
    });
    let turns: Vec<i32> = (0..64).map(|i| i % 8).collect();
    let array = Array::from_vec(turns, &[64]).unwrap();
    let result = patched().elementwise(
        &kernel,
        &[array],
        &[64],
        &[DType::I32],
        false,
        &mut Stats::default(),
    );
    match result {
        Ok(out) => assert_eq!(out[0].to_vec::<i32>().unwrap(), vec![7_007; 64]),
        Err(e) => assert_eq!(e.kind, ErrorKind::Limit),
    }
}

#[test]
fn guards_and_local_arrays() {
    let mut b = FunctionBuilder::new("pick");
    let x = b.array(param(DType::I32, ArrayMode::In));
    let y = b.array(param(DType::U8, ArrayMode::Out));
    let local = b.local(LocalArray {
        name: "table".to_string(),
        dtype: DType::I32,
        len: 3,
    });
    let trap = b.trap(Trap {
        kind: TrapKind::IndexOutOfBounds {
            array: "table".to_string(),
            len: 3,
        },
        loc: Loc::default(),
    });
    let at = b.load(x);
    let old = b.local_load(local, at);
    let hundred = b.int(DType::I32, 100);
    let value = b.binary(Opcode::Add, at, hundred);
    b.local_store(local, at, value);
    let three = b.int(DType::I32, 3);
    let ok = b.binary(Opcode::Lt, at, three);
    b.guard(ok, trap);
    let new = b.local_load(local, at);
    // What an element stored must not be seen by the next one.
    let sum = b.binary(Opcode::Add, old, new);
    let byte = b.cast(sum, DType::U8);
    b.store(y, byte);
    let kernel = b.ret(&[]);
    let call = |values: Vec<i32>| {
        let n = values.len();
        let array = Array::from_vec(values, &[n]).unwrap();
        let stats = &mut Stats::default();
        patched().elementwise(&kernel, &[array], &[n], &[DType::U8], false, stats)
    };
    let bytes = call(vec![0, 1, 2, 2, 2, 0]).unwrap()[0]
        .to_vec::<u8>()
        .unwrap();
    assert_eq!(bytes, [100, 101, 102, 102, 102, 100]);
    let error = call(vec![0, 3]).unwrap_err();
    assert!(error.message.contains("table"), "{error}");
    // The status of one call is not that of the next.
    assert!(call(vec![1]).is_ok());
}

#[test]
fn selection_and_reports() {
    let report = Device::describe();
    assert!(!report.adapters.is_empty(), "{report}");
    let name = patched().name();
    let infos = |types: &[(&str, wgpu::DeviceType)]| -> Vec<wgpu::AdapterInfo> {
        types
            .iter()
            .map(|(name, kind)| {
                let mut info = wgpu::AdapterInfo::new(*kind, wgpu::Backend::Vulkan);
                info.name = name.to_string();
                info
            })
            .collect()
    };
    let two = infos(&[
        ("llvmpipe", wgpu::DeviceType::Cpu),
        ("Big GPU 4090", wgpu::DeviceType::DiscreteGpu),
    ]);
    assert_eq!(adapter::select(&two, None).unwrap(), 1);
    assert_eq!(adapter::select(&two, Some("0")).unwrap(), 0);
    assert_eq!(adapter::select(&two, Some("LLVM")).unwrap(), 0);
    assert_eq!(adapter::select(&two, Some("4090")).unwrap(), 1);
    for wrong in ["2", "quantum"] {
        let error = adapter::select(&two, Some(wrong)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Device);
        assert!(error.help.unwrap().contains("Big GPU"));
    }
    let error = adapter::select(&[], None).unwrap_err();
    assert!(error.help.unwrap().contains("mesa-vulkan-drivers"));
    let error = Device::open(Some("no such device"), None).err().unwrap();
    assert!(error.help.unwrap().contains(name));
}

/// In a process of its own, for drivers are looked for once: no driver is an error, not a crash.
#[test]
fn no_driver_is_an_error() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "device::tests::without_driver", "--ignored"])
        .env("VK_DRIVER_FILES", "/nonexistent")
        .env("VK_ICD_FILENAMES", "/nonexistent")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[test]
#[ignore = "run by no_driver_is_an_error in an environment without drivers"]
fn without_driver() {
    let error = Device::global().err().expect("there is no driver");
    assert_eq!(error.kind, ErrorKind::Device);
    assert!(error.help.unwrap().contains("mesa-vulkan-drivers"));
    assert!(Device::describe().chosen.is_err());
}

#[test]
fn a_failing_call_leaves_the_device_usable() {
    let device = patched();
    let too_large = device.0.limits.max_buffer_size as usize + 8;
    let error = device.0.allocate(too_large).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Limit);
    // A panic and a validation error inside of wgpu.
    let error = device
        .0
        .guarded("a test", || -> crate::Result<()> { panic!("on purpose") })
        .unwrap_err();
    assert!(error.message.contains("on purpose"));
    let buffer = device.0.upload(&[1, 2, 3, 4]).unwrap();
    let error = device
        .0
        .guarded("a test", || {
            device.0.queue.write_buffer(buffer.raw(), 1 << 40, &[0; 4]);
            Ok(())
        })
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Device);
    let array = Array::from_vec(vec![1i8, 2, 3], &[3]).unwrap();
    let copy = run(device, &copy_kernel(DType::I8), &[array], &[3]).remove(0);
    assert_eq!(copy.to_vec::<i8>().unwrap(), [1, 2, 3]);
}

#[test]
fn many_threads_share_the_device() {
    let kernel = kernel("square", &[DType::F32], |b, args| {
        vec![b.binary(Opcode::Mul, args[0], args[0])]
    });
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let kernel = &kernel;
            scope.spawn(move || {
                for n in 1..20usize {
                    let x: Vec<f32> = (0..n).map(|i| (i * thread) as f32).collect();
                    let array = Array::from_vec(x.clone(), &[n]).unwrap();
                    let out = run(patched(), kernel, &[array], &[n]).remove(0);
                    let wanted: Vec<f32> = x.iter().map(|v| v * v).collect();
                    assert_eq!(out.to_vec::<f32>().unwrap(), wanted);
                }
            });
        }
    });
}

#[test]
fn axes_coalesce() {
    let buffer = || patched().0.allocate(4).unwrap();
    let operands = |strides: &[&[i64]]| -> Vec<Operand> {
        strides
            .iter()
            .map(|s| Operand {
                memory: Some(Memory::Uploaded(std::sync::Arc::new(buffer()))),
                dtype: DType::F32,
                offset: 0,
                strides: s.to_vec(),
                core: Vec::new(),
                span: None,
                access: Access::Strided,
            })
            .collect()
    };
    let mut two = operands(&[&[12, 4, 1], &[0, 0, 0]]);
    assert_eq!(coalesce(&[2, 3, 4], &mut two, 0), (vec![24], 0));
    assert_eq!(two[0].strides, [1]);
    let mut rows = operands(&[&[12, 4, 1], &[0, 4, 1]]);
    assert_eq!(coalesce(&[2, 3, 4], &mut rows, 0), (vec![2, 12], 0));
    assert_eq!(rows[1].strides, [0, 1]);
    let mut none = operands(&[&[], &[]]);
    assert_eq!(coalesce(&[], &mut none, 0), (vec![1], 0));
    // Axes that are kept stay apart from those that are reduced.
    for (kept, axes, first) in [
        (1, vec![2, 12], 1),
        (2, vec![6, 4], 1),
        (3, vec![24], 1),
        (0, vec![24], 0),
    ] {
        let mut one = operands(&[&[12, 4, 1]]);
        assert_eq!(coalesce(&[2, 3, 4], &mut one, kept), (axes, first));
    }
    let mut narrow = operands(&[&[0, 1]]);
    assert_eq!(coalesce(&[1, 4], &mut narrow, 1), (vec![4], 0));
}

#[test]
fn size_classes_waste_little() {
    for len in [
        1u64,
        255,
        256,
        257,
        1000,
        1 << 20,
        (1 << 20) + 1,
        40_000_000,
    ] {
        let class = buffer::size_class(len);
        assert!(class >= len && class.is_multiple_of(4));
        assert!(class <= len.max(256) + len / 7 + 256, "{len} {class}");
        assert_eq!(buffer::size_class(class), class);
    }
}

#[test]
fn words_that_are_not_spirv_are_refused() {
    assert!(spirv::make_strict(&[]).is_none());
    assert!(spirv::make_strict(&[0x0723_0203, 0, 0, 0, 0]).is_none());
    assert!(spirv::make_strict(&[0x0723_0203, 0, 0, 0, 0, 0]).is_none());
}
