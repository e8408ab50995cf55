//! Every text must parse and validate in naga; two are compared with what they should read like.

use crate::{
    BindingMode, Features, ReduceParams, Shader, StrictMode, WgslOptions, emit, emit_leaves,
    emit_tree,
};
use kjit_ir::opcode::Rule;
use kjit_ir::target::BackendError;
use kjit_ir::{
    Access, ArrayMode, ArrayParam, ArrayRef, DType, Function, FunctionBuilder, Imm, Loc,
    LocalArray, Opcode, Part, Scalar, Trap, TrapKind, Type,
};

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

fn array(name: &str, dtype: DType, mode: ArrayMode, access: Access) -> ArrayParam {
    ArrayParam::new(name, dtype, mode, access)
}

fn contiguous(name: &str, dtype: DType, mode: ArrayMode) -> ArrayParam {
    array(name, dtype, mode, Access::Contiguous)
}

/// A kernel that stores `op` of its inputs.
fn op_kernel(op: Opcode, inputs: &[DType], to: Option<DType>) -> Function {
    let mut b = FunctionBuilder::new(format!("{op}"));
    let arrays: Vec<_> = inputs
        .iter()
        .map(|d| b.array(contiguous("x", *d, ArrayMode::In)))
        .collect();
    let args: Vec<_> = arrays.iter().map(|a| b.load(*a)).collect();
    let result = b.op(op, &args, to);
    let dtype = b.func.ty(result).dtype;
    let out = b.array(contiguous("y", dtype, ArrayMode::Out));
    b.store(out, result);
    b.ret(&[])
}

/// All pure operations of all dtypes they take.
fn all_ops() -> Vec<Function> {
    let mut kernels = Vec::new();
    for op in Opcode::ALL.iter().copied().filter(|op| op.is_pure()) {
        for dtype in DTYPES {
            let inputs = match op {
                op if op.rule() == Rule::Special => continue,
                Opcode::Select => vec![DType::Bool, dtype, dtype],
                _ if !op.domain().contains(dtype) => continue,
                _ => vec![dtype; op.arity().unwrap()],
            };
            match op {
                Opcode::Cast | Opcode::Bitcast => {
                    for to in DTYPES {
                        let types = [Type::scalar(dtype)];
                        if op.result_type(&types, Some(to)).is_ok() {
                            kernels.push(op_kernel(op, &inputs, Some(to)));
                        }
                    }
                }
                _ => kernels.push(op_kernel(op, &inputs, None)),
            }
        }
    }
    kernels
}

fn validate(shader: &Shader) {
    let source = &shader.source;
    let module = naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|e| panic!("{}\n{source}", e.emit_to_string(source)));
    let mut validator = naga::valid::Validator::new(
        naga::valid::ValidationFlags::all(),
        naga::valid::Capabilities::all(),
    );
    let info = validator
        .validate(&module)
        .unwrap_or_else(|e| panic!("{}\n{source}", e.emit_to_string(source)));
    let options = naga::back::spv::Options {
        lang_version: (1, 5),
        ..Default::default()
    };
    naga::back::spv::write_vec(&module, &info, &options, None)
        .unwrap_or_else(|e| panic!("{e}\n{source}"));
}

fn modes() -> Vec<WgslOptions> {
    let base = WgslOptions::default();
    vec![
        base.clone(),
        WgslOptions {
            strict: StrictMode::Barrier,
            ..base.clone()
        },
        WgslOptions { fast: true, ..base },
    ]
}

#[test]
fn every_operation_is_valid() {
    let kernels = all_ops();
    assert!(kernels.len() > 300, "{} kernels", kernels.len());
    for kernel in kernels {
        for options in modes() {
            let shader = emit(&kernel, &options).unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
            validate(&shader);
        }
    }
}

/// Constants that WGSL's own constant evaluation would reject.
#[test]
fn constants_are_valid() {
    for dtype in DTYPES {
        let mut b = FunctionBuilder::new("constants");
        let values: Vec<u128> = match dtype {
            DType::F32 => vec![0, 1, 0x8000_0000, 0x7f80_0000, 0x7fc0_0000, 0x7f7f_ffff],
            DType::F64 => vec![0, 1, 1 << 63, 0x7ff << 52, 0x7ff8 << 48, (0x7ff << 52) - 1],
            DType::Bool => vec![0, 1],
            _ => vec![0, 1, u128::MAX, 1 << (dtype.bits() - 1), 200],
        };
        for (n, bits) in values.into_iter().enumerate() {
            let out = b.array(contiguous(&format!("y{n}"), dtype, ArrayMode::Out));
            let value = b.constant(Scalar::from_bits(dtype, bits));
            b.store(out, value);
            let zero = b.constant(Scalar::zero(dtype));
            if dtype.is_int() {
                for op in [
                    Opcode::Div,
                    Opcode::Rem,
                    Opcode::Shl,
                    Opcode::Shr,
                    Opcode::Mul,
                ] {
                    b.binary(op, value, zero);
                    b.binary(op, value, value);
                }
            }
            if dtype.is_float() {
                b.binary(Opcode::Div, zero, zero);
                let cast = b.cast(value, DType::I8);
                b.cast(cast, dtype);
            }
        }
        let kernel = b.ret(&[]);
        for options in modes() {
            validate(&emit(&kernel, &options).unwrap());
        }
    }
}

/// The number of steps of a Collatz sequence: a loop, an `if` with results, a break.
fn collatz(access: Access) -> Function {
    let mut b = FunctionBuilder::new("collatz.i32");
    let x = b.array(array("x", DType::I32, ArrayMode::In, access));
    let y = b.array(contiguous("y", DType::I32, ArrayMode::Out));
    let start = b.load(x);
    let zero = b.int(DType::I32, 0);
    let one = b.int(DType::I32, 1);
    let three = b.int(DType::I32, 3);
    let i32_ = Type::scalar(DType::I32);
    let steps = b.loop_(&[start, zero], &[i32_], |b, carried| {
        let (n, steps) = (carried[0], carried[1]);
        let done = b.binary(Opcode::Le, n, one);
        b.if_else(done, &[], |b| b.break_(&[steps]), |b| b.yield_(&[]));
        let bit = b.binary(Opcode::And, n, one);
        let odd = b.binary(Opcode::Eq, bit, one);
        let next = b.if_else(
            odd,
            &[i32_],
            |b| {
                let tripled = b.binary(Opcode::Mul, n, three);
                let next = b.binary(Opcode::Add, tripled, one);
                b.yield_(&[next]);
            },
            |b| {
                let next = b.binary(Opcode::Shr, n, one);
                b.yield_(&[next]);
            },
        );
        let more = b.binary(Opcode::Add, steps, one);
        b.continue_(&[next[0], more]);
    });
    b.store(y, steps[0]);
    b.ret(&[])
}

#[test]
fn control_flow_reads_like_this() {
    let kernel = collatz(Access::Contiguous);
    let shader = emit(&kernel, &WgslOptions::default()).unwrap();
    validate(&shader);
    assert_eq!(
        shader.source,
        "\
// collatz.i32
@group(0) @binding(0) var<storage, read> a0: array<i32>;
@group(0) @binding(1) var<storage, read_write> a1: array<i32>;
@group(0) @binding(2) var<storage, read> params: array<u32, 8>;

fn element(i: u32) {
    let o0 = params[6] + i;
    let o1 = params[7] + i;
    let v0 = a0[o0];
    let v1 = 0i;
    let v2 = 1i;
    let v3 = 3i;
    var v14: i32;
    var next_v4: i32 = v0;
    var next_v5: i32 = v1;
    loop {
        let v4 = next_v4;
        let v5 = next_v5;
        let v6 = v4 <= v2;
        if v6 {
            v14 = v5;
            break;
        }
        let v7 = v4 & v2;
        let v8 = v7 == v2;
        var v12: i32;
        if v8 {
            let v9 = v4 * v3;
            let v10 = v9 + v2;
            v12 = v10;
        } else {
            let v11 = v4 >> (bitcast<u32>(v2) & 31u);
            v12 = v11;
        }
        let v13 = v5 + v2;
        next_v4 = v12;
        next_v5 = v13;
        continue;
    }
    a1[o1] = v14;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let thread = (group.y * groups.x + group.x) * 256u + local;
    if thread < params[0] {
        element(thread);
    }
}
"
    );
}

#[test]
fn innermost_loops_are_repeated_for_kernels_that_ran_into_the_limit() {
    let options = |unroll| WgslOptions {
        loop_limit: Some(65000),
        unroll,
        ..WgslOptions::default()
    };
    let text = |unroll| {
        let shader = emit(&collatz(Access::Contiguous), &options(unroll)).unwrap();
        validate(&shader);
        shader.source
    };
    let count = |text: &str, what: &str| text.matches(what).count();
    let (plain, unrolled) = (text(false), text(true));
    // One loop, one count, and many rounds of it.
    assert_eq!(count(&unrolled, "loop {"), count(&plain, "loop {"));
    assert_eq!(
        count(&unrolled, "iterations = "),
        count(&plain, "iterations = ")
    );
    assert!(
        count(&unrolled, "break;") > 10 * count(&plain, "break;"),
        "{unrolled}"
    );
    assert_eq!(count(&unrolled, "continue;"), count(&plain, "continue;"));
    // A device that stops nothing has no use for it.
    let free = WgslOptions {
        unroll: true,
        ..WgslOptions::default()
    };
    let free = emit(&collatz(Access::Contiguous), &free).unwrap().source;
    assert_eq!(
        free,
        emit(&collatz(Access::Contiguous), &WgslOptions::default())
            .unwrap()
            .source
    );
}

#[test]
fn loops_are_counted_where_the_device_stops_them() {
    let limited = WgslOptions {
        loop_limit: Some(65000),
        ..WgslOptions::default()
    };
    let shader = emit(&collatz(Access::Contiguous), &limited).unwrap();
    validate(&shader);
    assert!(shader.source.contains("if taken >= 65000u {"));
    assert!(shader.status_binding.is_some());
    assert_eq!(shader.workgroup, 256);
    // In a reduction the kernel itself runs in a loop, and neighbours may go separate ways.
    let add = combine(Opcode::Add, DType::I32);
    let shader = emit_leaves(&collatz(Access::Contiguous), &add, &limited).unwrap();
    validate(&shader);
    assert!(shader.source.contains("if taken >= 4062u {"));
    assert_eq!(shader.source.matches("iterations = 0u;").count(), 0);
    let counted = combine_by_counting();
    let copy = op_kernel(Opcode::Add, &[DType::I32, DType::I32], None);
    for shader in [
        emit_leaves(&copy, &counted, &limited).unwrap(),
        emit_tree(&counted, &limited).unwrap(),
    ] {
        validate(&shader);
        assert!(shader.source.contains("var<private> iterations: u32;"));
        assert!(shader.status_binding.is_some());
    }
}

/// The kernel that combines with an operation.
fn combine(op: Opcode, dtype: DType) -> Function {
    op_kernel(op, &[dtype, dtype], None)
}

/// A sum, one at a time.
fn combine_by_counting() -> Function {
    let mut b = FunctionBuilder::new("count");
    let x = b.array(contiguous("x", DType::I32, ArrayMode::In));
    let y = b.array(contiguous("y", DType::I32, ArrayMode::In));
    let z = b.array(contiguous("z", DType::I32, ArrayMode::Out));
    let (x, y) = (b.load(x), b.load(y));
    let zero = b.int(DType::I32, 0);
    let one = b.int(DType::I32, 1);
    let sum = b.loop_(&[x, y], &[Type::scalar(DType::I32)], |b, carried| {
        let done = b.binary(Opcode::Le, carried[1], zero);
        b.if_else(done, &[], |b| b.break_(&[carried[0]]), |b| b.yield_(&[]));
        let more = b.binary(Opcode::Add, carried[0], one);
        let less = b.binary(Opcode::Sub, carried[1], one);
        b.continue_(&[more, less]);
    });
    b.store(z, sum[0]);
    b.ret(&[])
}

#[test]
fn access_classes_are_valid() {
    for dtype in DTYPES {
        for access in [Access::Contiguous, Access::Uniform, Access::Strided] {
            let mut b = FunctionBuilder::new("copy");
            let x = b.array(array("x", dtype, ArrayMode::In, access));
            let y = b.array(contiguous("y", dtype, ArrayMode::Out));
            let v = b.load(x);
            b.store(y, v);
            let kernel = b.ret(&[]);
            for mut options in modes() {
                options.rank = 3;
                let shader = emit(&kernel, &options).unwrap();
                validate(&shader);
                assert_eq!(shader.params.shape.is_some(), access == Access::Strided);
            }
        }
    }
}

/// Sums of every dtype (of narrow ones in wider ones), over some of the axes and over all of them.
#[test]
fn reductions_are_valid() {
    for dtype in DTYPES {
        for access in [Access::Contiguous, Access::Strided] {
            let mut b = FunctionBuilder::new("copy");
            let x = b.array(array("x", dtype, ArrayMode::In, access));
            let y = b.array(contiguous("y", dtype, ArrayMode::Out));
            let v = b.load(x);
            b.store(y, v);
            let map = b.ret(&[]);
            let wide = match dtype {
                _ if dtype.is_float() => dtype,
                _ if dtype.is_unsigned_int() => DType::U64,
                _ => DType::I64,
            };
            let own = if dtype == DType::Bool {
                Opcode::And
            } else {
                Opcode::Max
            };
            for combine in [combine(Opcode::Add, wide), combine(own, dtype)] {
                for mut options in modes() {
                    (options.rank, options.kept) = (3, 1);
                    let shader = emit_leaves(&map, &combine, &options).unwrap();
                    validate(&shader);
                    assert_eq!(shader.workgroup, ReduceParams::WORKGROUP);
                    assert_eq!(shader.partials.len(), 1);
                    let tree = emit_tree(&combine, &options).unwrap();
                    validate(&tree);
                    assert_eq!(tree.sources[0].dtype, shader.partials[0].dtype);
                }
            }
        }
    }
    // As many results as accumulators.
    let pair = argmax();
    let one = op_kernel(Opcode::Add, &[DType::F32, DType::F32], None);
    assert!(emit_leaves(&one, &pair, &WgslOptions::default()).is_err());
    assert!(emit_tree(&argmax_map(), &WgslOptions::default()).is_err());
    validate(&emit_leaves(&argmax_map(), &pair, &WgslOptions::default()).unwrap());
    validate(&emit_tree(&pair, &WgslOptions::default()).unwrap());
}

/// Accumulators of two variables: a value and its index.
fn argmax() -> Function {
    let mut b = FunctionBuilder::new("argmax");
    let dtypes = [DType::F32, DType::I64];
    let inputs: Vec<_> = [dtypes, dtypes]
        .as_flattened()
        .iter()
        .map(|d| b.array(contiguous("x", *d, ArrayMode::In)))
        .collect();
    let outputs = dtypes.map(|d| b.array(contiguous("y", d, ArrayMode::Out)));
    let args: Vec<_> = inputs.iter().map(|a| b.load(*a)).collect();
    let better = b.binary(Opcode::Ge, args[0], args[2]);
    for p in 0..2 {
        let value = b.select(better, args[p], args[p + 2]);
        b.store(outputs[p], value);
    }
    b.ret(&[])
}

/// An element and its index.
fn argmax_map() -> Function {
    let mut b = FunctionBuilder::new("indexed");
    let x = b.array(contiguous("x", DType::F32, ArrayMode::In));
    let index = b.array(contiguous("i", DType::I64, ArrayMode::Index));
    let value = b.array(contiguous("value", DType::F32, ArrayMode::Out));
    let at = b.array(contiguous("at", DType::I64, ArrayMode::Out));
    let (x, i) = (b.load(x), b.load(index));
    b.store(value, x);
    b.store(at, i);
    b.ret(&[])
}

/// Copies between arrays of every dtype with core dimensions, backwards: an index, extents, strides,
/// narrow elements one by one, `f16` as its bits, pairs in one binding.
#[test]
fn core_dimensions_are_valid() {
    for dtype in DTYPES.into_iter().chain([DType::F16]) {
        for part in [Part::Whole, Part::Re] {
            if part == Part::Re && dtype.complex_of_part().is_none() {
                continue;
            }
            let mut b = FunctionBuilder::new("reversed");
            let dims = [b.dim("m"), b.dim("n")];
            let sides = [("x", ArrayMode::In), ("y", ArrayMode::InOut)];
            let arrays = sides.map(|(name, mode)| {
                let mut param = array(name, dtype, mode, Access::Strided).with_core(&dims);
                param.part = part;
                let first = b.array(param.clone());
                if part == Part::Re {
                    param.part = Part::Im;
                    b.array(param);
                }
                first
            });
            let [m, n] = dims.map(|d| b.extent(d));
            let zero = b.int(DType::I64, 0);
            let one = b.int(DType::I64, 1);
            b.loop_(&[zero], &[], |b, carried| {
                let done = b.binary(Opcode::Ge, carried[0], n);
                b.if_else(done, &[], |b| b.break_(&[]), |b| b.yield_(&[]));
                let back = b.binary(Opcode::Sub, n, carried[0]);
                let back = b.binary(Opcode::Sub, back, one);
                let last = b.binary(Opcode::Sub, m, one);
                for k in 0..1 + (part == Part::Re) as usize {
                    let [x, y] = arrays.map(|a| ArrayRef::new(a.index() + k));
                    let value = b.core_load(x, &[zero, carried[0]]);
                    b.core_store(y, &[last, back], value);
                    let old = b.core_load(y, &[one, back]);
                    b.core_store(y, &[zero, back], old);
                }
                let next = b.binary(Opcode::Add, carried[0], one);
                b.continue_(&[next]);
            });
            let kernel = b.ret(&[]);
            for options in modes() {
                let shader = emit(&kernel, &options).unwrap();
                validate(&shader);
                assert_eq!(shader.elements_per_invocation, 1);
                assert_eq!(shader.arrays.len(), 2);
                assert_eq!(shader.params_binding, 2);
                assert_eq!(shader.arrays[1].mode, BindingMode::ReadWrite);
                assert!(shader.params.dims.is_some());
                let atomic = shader.source.contains("atomicOr(&a1[");
                assert_eq!(atomic, dtype.size() < 4);
            }
        }
    }
}

#[test]
fn half_precision_is_only_moved() {
    let copy = |op: Option<Opcode>| {
        let mut b = FunctionBuilder::new("half");
        let x = b.array(contiguous("x", DType::F16, ArrayMode::In));
        let y = b.array(contiguous("y", DType::F16, ArrayMode::Out));
        let one = b.constant(Scalar::from_bits(DType::F16, 0x3c00));
        let v = b.load(x);
        let bits = b.bitcast(v, DType::I16);
        let v = b.bitcast(bits, DType::F16);
        let v = op.map_or(v, |op| b.binary(op, v, one));
        b.store(y, v);
        b.ret(&[])
    };
    let shader = emit(&copy(None), &WgslOptions::default()).unwrap();
    validate(&shader);
    assert_eq!(shader.elements_per_invocation, 2);
    let error = emit(&copy(Some(Opcode::Add)), &WgslOptions::default()).unwrap_err();
    assert!(matches!(error, BackendError::Internal(_)), "{error}");
}

#[test]
fn locals_guards_index_and_mixed_widths_are_valid() {
    let mut b = FunctionBuilder::new("mixed");
    let index = b.array(contiguous("i", DType::I64, ArrayMode::Index));
    let bytes = b.array(contiguous("bytes", DType::U8, ArrayMode::Out));
    let halves = b.array(contiguous("halves", DType::I16, ArrayMode::Out));
    let words = b.array(contiguous("words", DType::F64, ArrayMode::Out));
    let local = b.local(LocalArray {
        name: "tmp".to_string(),
        dtype: DType::F64,
        len: 4,
    });
    let trap = b.trap(Trap {
        kind: TrapKind::IndexOutOfBounds {
            array: "tmp".to_string(),
            len: 4,
        },
        loc: Loc::default(),
    });
    let i = b.load(index);
    let at = b.cast(i, DType::I32);
    let four = b.int(DType::I32, 4);
    let ok = b.binary(Opcode::Lt, at, four);
    b.guard(ok, trap);
    let value = b.cast(i, DType::F64);
    b.local_store(local, at, value);
    let value = b.local_load(local, at);
    b.store(words, value);
    let byte = b.cast(i, DType::U8);
    b.store(bytes, byte);
    let half = b.cast(i, DType::I16);
    b.store(halves, half);
    let shader = emit(&b.ret(&[]), &WgslOptions::default()).unwrap();
    validate(&shader);
    assert_eq!(shader.elements_per_invocation, 4);
    assert_eq!(shader.traps.len(), 1);
    assert!(shader.uses_f64 && shader.uses_i64);
    assert!(
        shader
            .source
            .contains("var<private> packed2: array<u32, 2>;")
    );
}

#[test]
fn missing_features_are_named() {
    let f64_ = op_kernel(Opcode::Add, &[DType::F64, DType::F64], None);
    let options = WgslOptions {
        features: Features {
            f64: false,
            i64: false,
        },
        ..WgslOptions::default()
    };
    let message = emit(&f64_, &options).unwrap_err().to_string();
    assert!(message.contains("f64"), "{message}");
    let u64_ = op_kernel(Opcode::Not, &[DType::U64], None);
    let message = emit(&u64_, &options).unwrap_err().to_string();
    assert!(message.contains("64-bit integers"), "{message}");
    // Everything on 32 bits works without, but multiply-add with one rounding.
    for kernel in all_ops() {
        let small = kernel.arrays.iter().all(|a| a.dtype.size() <= 4);
        let fma = kernel.name == "fma";
        match emit(&kernel, &options) {
            Ok(shader) => {
                assert!(small && !fma, "{}", kernel.name);
                assert!(!shader.uses_f64 && !shader.uses_i64, "{}", kernel.name);
                validate(&shader);
            }
            Err(BackendError::Unsupported(_)) => assert!(!small || fma, "{}", kernel.name),
            Err(e) => panic!("{}: {e}", kernel.name),
        }
    }
}

#[test]
fn kernels_without_wgsl_form_are_refused() {
    let mut deep = FunctionBuilder::new("deep");
    let x = deep.array(contiguous("x", DType::Bool, ArrayMode::In));
    let y = deep.array(contiguous("y", DType::Bool, ArrayMode::Out));
    let v = deep.load(x);
    deep.store(y, v);
    fn nest(b: &mut FunctionBuilder, v: kjit_ir::Value, depth: usize) {
        if depth > 0 {
            b.if_else(
                v,
                &[],
                |b| {
                    nest(b, v, depth - 1);
                    b.yield_(&[]);
                },
                |b| b.yield_(&[]),
            );
        }
    }
    let mut fine = FunctionBuilder::at_end(deep.func.clone(), deep.func.entry);
    nest(&mut fine, v, 60);
    validate(&emit(&fine.ret(&[]), &WgslOptions::default()).unwrap());
    nest(&mut deep, v, 61);
    let error = emit(&deep.ret(&[]), &WgslOptions::default()).unwrap_err();
    assert!(matches!(error, BackendError::Unsupported(_)), "{error}");

    let mut call = FunctionBuilder::new("call");
    call.array(contiguous("y", DType::Bool, ArrayMode::Out));
    call.push(Opcode::Call, &[], Imm::None, &[], &[]);
    let error = emit(&call.ret(&[]), &WgslOptions::default()).unwrap_err();
    assert!(matches!(error, BackendError::Internal(_)), "{error}");
}
