//! Whole kernels: control flow, masks, locals, guards, indices.

use super::*;
use kjit_ir::{Loc, LocalArray, Trap, TrapKind};

/// Every backend; `true` for vector form.
fn each(mut f: impl FnMut(&str, &Cranelift, bool)) {
    for (name, backend) in &backends() {
        f(name, backend, true);
        f(name, backend, false);
    }
}

fn f32s(values: impl Iterator<Item = f32>) -> Vec<Scalar> {
    values.map(Scalar::f32).collect()
}

/// Collatz steps by a loop that lanes leave at different times.
#[test]
fn a_loop_with_lanes_that_leave() {
    for dtype in [DType::I32, DType::I64, DType::U8] {
        each(|name, backend, vector| {
            let mut k = Build::new(vector);
            let x = k.array(dtype, ArrayMode::In, Access::Contiguous);
            let out = k.array(DType::I32, ArrayMode::Out, Access::Contiguous);
            let start = k.load(x);
            let zero = k.constant(Scalar::int(DType::I32, 0));
            let count = k.constant(Scalar::int(DType::I32, 1));
            let one = k.constant(Scalar::int(dtype, 1));
            let two = k.constant(Scalar::int(dtype, 2));
            let three = k.constant(Scalar::int(dtype, 3));
            let truth = k.constant(Scalar::bool(true));
            let result_ty = k.ty(DType::I32);
            let initial = [start, zero, truth];
            let result = k.b.loop_(&initial, &[result_ty], |b, params| {
                let (value, steps, active) = (params[0], params[1], params[2]);
                let more = b.binary(Opcode::Gt, value, one);
                let active = b.binary(Opcode::And, more, active);
                let going = if vector {
                    let any = b.push(Opcode::AnyTrue, &[active], Imm::None, &[], &[Type::BOOL]);
                    b.func.result(any)
                } else {
                    active
                };
                b.if_else(going, &[], |b| b.yield_(&[]), |b| b.break_(&[steps]));
                let bit = b.binary(Opcode::And, value, one);
                let odd = b.binary(Opcode::Eq, bit, one);
                let half = b.binary(Opcode::Div, value, two);
                let tripled = b.binary(Opcode::Mul, value, three);
                let tripled = b.binary(Opcode::Add, tripled, one);
                let next = b.select(odd, tripled, half);
                let next = b.select(active, next, value);
                let more_steps = b.binary(Opcode::Add, steps, count);
                let steps = b.select(active, more_steps, steps);
                b.continue_(&[next, steps, active]);
            });
            k.b.store(out, result[0]);
            let code = compile(backend, &k.finish());
            let inputs: Vec<Scalar> = (0..48).map(|n| Scalar::int(dtype, n % 27)).collect();
            let mut memory = [
                Memory::holding(Access::Contiguous, &inputs),
                Memory::new(DType::I32, Access::Contiguous, 48),
            ];
            call(&*code, &mut memory, 48);
            for (n, input) in inputs.iter().enumerate() {
                let mut value = *input;
                let mut steps = 0;
                let op = |op, a, b| kjit_ir::eval::eval(op, None, &[a, b]).unwrap();
                let c = |v| Scalar::int(dtype, v);
                while op(Opcode::Gt, value, c(1)).as_bool() {
                    value = if value.bits() & 1 == 1 {
                        op(Opcode::Add, op(Opcode::Mul, value, c(3)), c(1))
                    } else {
                        op(Opcode::Div, value, c(2))
                    };
                    steps += 1;
                }
                assert_eq!(memory[1].get(n).as_int(), steps, "{name} {dtype} {input}");
            }
        });
    }
}

/// An `if` on a uniform condition, with results, inside and outside of the element loop.
#[test]
fn uniform_branches() {
    each(|name, backend, vector| {
        let mut k = Build::new(vector);
        let flag = k.array(DType::Bool, ArrayMode::In, Access::Uniform);
        let x = k.array(DType::F64, ArrayMode::In, Access::Strided);
        let out = k.array(DType::F64, ArrayMode::Out, Access::Strided);
        let flag = k.b.load(flag);
        let x = k.load(x);
        let ty = k.ty(DType::F64);
        let mask_ty = k.ty(DType::Bool);
        let zero = k.constant(Scalar::f64(0.0));
        let positive = k.b.binary(Opcode::Gt, x, zero);
        let results = k.b.if_else(
            flag,
            &[ty, mask_ty],
            |b| {
                let double = b.binary(Opcode::Add, x, x);
                b.yield_(&[double, positive]);
            },
            |b| {
                let not = b.unary(Opcode::Not, positive);
                b.yield_(&[x, not]);
            },
        );
        let value = k.b.select(results[1], results[0], zero);
        k.b.store(out, value);
        let code = compile(backend, &k.finish());
        let inputs: Vec<Scalar> = (0..32).map(|n| Scalar::f64(f64::from(n) - 15.5)).collect();
        for flag in [false, true] {
            let mut memory = [
                Memory::holding(Access::Uniform, &[Scalar::bool(flag)]),
                Memory::holding(Access::Strided, &inputs),
                Memory::new(DType::F64, Access::Strided, 32),
            ];
            call(&*code, &mut memory, 32);
            for (n, input) in inputs.iter().enumerate() {
                let x = input.as_f64();
                let expected = match (flag, x > 0.0) {
                    (true, true) => 2.0 * x,
                    (false, false) => x,
                    _ => 0.0,
                };
                assert_eq!(memory[2].get(n).as_f64(), expected, "{name} {x}");
            }
        }
    });
}

/// Masked stores leave the other lanes as they were, masked loads read zero there.
#[test]
fn masked_memory() {
    for access in [Access::Contiguous, Access::Strided] {
        for dtype in dtypes() {
            for (name, backend) in &backends() {
                let mut k = Build::new(true);
                let m = k.array(DType::Bool, ArrayMode::In, Access::Contiguous);
                let x = k.array(dtype, ArrayMode::In, access);
                let out = k.array(dtype, ArrayMode::Out, access);
                let all = k.array(dtype, ArrayMode::Out, access);
                let mask = k.load(m);
                let value = k.load(x);
                k.b.push(Opcode::Store, &[value, mask], Imm::Array(out), &[], &[]);
                let ty = [k.ty(dtype)];
                let inst = k.b.push(Opcode::Load, &[mask], Imm::Array(x), &[], &ty);
                let masked = k.b.func.result(inst);
                k.b.store(all, masked);
                let code = compile(backend, &k.finish());
                let one = Scalar::one(dtype);
                let zero = Scalar::zero(dtype);
                let inputs = vec![one; 32];
                let masks: Vec<Scalar> = (0..32)
                    .map(|n| Scalar::bool(n % 3 == 0 || n > 27))
                    .collect();
                let mut memory = [
                    Memory::holding(Access::Contiguous, &masks),
                    Memory::holding(access, &inputs),
                    Memory::holding(access, &vec![zero; 32]),
                    Memory::new(dtype, access, 32),
                ];
                call(&*code, &mut memory, 32);
                for (n, mask) in masks.iter().enumerate() {
                    let expected = if mask.as_bool() { one } else { zero };
                    assert_eq!(memory[2].get(n), expected, "store {name} {dtype} {n}");
                    assert_eq!(memory[3].get(n), expected, "load {name} {dtype} {n}");
                }
            }
        }
    }
}

/// Bytes other than 0 and 1 are true.
#[test]
fn bools_are_normalised() {
    each(|name, backend, vector| {
        let mut k = Build::new(vector);
        let x = k.array(DType::Bool, ArrayMode::In, Access::Contiguous);
        let out = k.array(DType::Bool, ArrayMode::Out, Access::Contiguous);
        let value = k.load(x);
        k.b.store(out, value);
        let code = compile(backend, &k.finish());
        let mut memory = [
            Memory::new(DType::Bool, Access::Contiguous, 16),
            Memory::new(DType::Bool, Access::Contiguous, 16),
        ];
        for n in 0..16 {
            memory[0].bytes[n + 1] = [0, 1, 2, 0x80, 0xff][n % 5];
        }
        call(&*code, &mut memory, 16);
        for n in 0..16 {
            assert_eq!(memory[1].bytes[n + 1], u8::from(n % 5 != 0), "{name}");
        }
    });
}

/// Local arrays: cleared for each element, clamped indices, one array a lane.
#[test]
fn local_arrays() {
    for dtype in dtypes() {
        for len in [3u32, 300] {
            each(|name, backend, vector| {
                let mut k = Build::new(vector);
                let i = k.array(DType::I32, ArrayMode::In, Access::Contiguous);
                let j = k.array(DType::I32, ArrayMode::In, Access::Contiguous);
                let out = k.array(dtype, ArrayMode::Out, Access::Contiguous);
                let fixed = k.array(dtype, ArrayMode::Out, Access::Contiguous);
                let local = k.b.local(LocalArray {
                    name: "l".into(),
                    dtype,
                    len,
                });
                let (i, j) = (k.load(i), k.load(j));
                let one = k.constant(Scalar::one(dtype));
                k.b.local_store(local, i, one);
                let ty = [k.ty(dtype)];
                let inst =
                    k.b.push(Opcode::LocalLoad, &[j], Imm::Local(local), &[], &ty);
                let value = k.b.func.result(inst);
                k.b.store(out, value);
                let one_index = k.b.int(DType::I32, 1);
                let inst =
                    k.b.push(Opcode::LocalLoad, &[one_index], Imm::Local(local), &[], &ty);
                let value = k.b.func.result(inst);
                k.b.store(fixed, value);
                let code = compile(backend, &k.finish());
                let int = |v: i128| Scalar::int(DType::I32, v);
                let is: Vec<Scalar> = (0..64)
                    .map(|n| int([0, 1, 2, 3, -1, 1000][n % 6]))
                    .collect();
                let js: Vec<Scalar> = (0..64).map(|n| int([0, 1, 2, -5, 7][n % 5])).collect();
                let mut memory = [
                    Memory::holding(Access::Contiguous, &is),
                    Memory::holding(Access::Contiguous, &js),
                    Memory::new(dtype, Access::Contiguous, 64),
                    Memory::new(dtype, Access::Contiguous, 64),
                ];
                call(&*code, &mut memory, 64);
                let clamp = |s: Scalar| s.as_int().clamp(0, i128::from(len) - 1) as u32;
                for n in 0..64 {
                    let hit = |index: u32| {
                        if clamp(is[n]) == index {
                            Scalar::one(dtype)
                        } else {
                            Scalar::zero(dtype)
                        }
                    };
                    assert_eq!(memory[2].get(n), hit(clamp(js[n])), "{name} {dtype} {n}");
                    assert_eq!(memory[3].get(n), hit(1), "{name} {dtype} {n}");
                }
            });
        }
    }
}

/// A failed guard is reported, a masked-off one is not.
#[test]
fn guards() {
    each(|name, backend, vector| {
        let mut k = Build::new(vector);
        let x = k.array(DType::F64, ArrayMode::In, Access::Contiguous);
        let trap = |k: &mut Build| {
            k.b.trap(Trap {
                kind: TrapKind::LoopLimit,
                loc: Loc::default(),
            })
        };
        trap(&mut k);
        let trap = trap(&mut k);
        let x = k.load(x);
        let limit = k.constant(Scalar::f64(10.0));
        let ok = k.b.binary(Opcode::Lt, x, limit);
        k.b.guard(ok, trap);
        if vector {
            let never = k.constant(Scalar::bool(false));
            let first = kjit_ir::TrapRef::new(0);
            k.b.push(Opcode::Guard, &[never, never], Imm::Trap(first), &[], &[]);
        }
        let code = compile(backend, &k.finish());
        let inputs: Vec<Scalar> = (0..16).map(|n| Scalar::f64(f64::from(n))).collect();
        let mut memory = [Memory::holding(Access::Contiguous, &inputs)];
        assert_eq!(call(&*code, &mut memory, 16), 2, "{name}");
        let fine: Vec<Scalar> = (0..16).map(|_| Scalar::f64(1.0)).collect();
        let mut memory = [Memory::holding(Access::Contiguous, &fine)];
        assert_eq!(call(&*code, &mut memory, 16), 0, "{name}");
        assert_eq!(call(&*code, &mut memory, 0), 0, "{name}");
    });
}

/// Index parameters of each access class.
#[test]
fn indices() {
    for (access, step) in [
        (Access::Contiguous, 1),
        (Access::Strided, -3),
        (Access::Uniform, 0),
    ] {
        each(|name, backend, vector| {
            let mut k = Build::new(vector);
            let i = k.array(DType::I64, ArrayMode::Index, access);
            let out = k.array(DType::I64, ArrayMode::Out, Access::Contiguous);
            let value = k.load(i);
            k.b.store(out, value);
            let code = compile(backend, &k.finish());
            let mut memory = Memory::new(DType::I64, Access::Contiguous, 48);
            let args = [1000usize as *mut u8, memory.pointer()];
            // SAFETY: the output has 48 elements, and indices are no memory.
            unsafe { call_raw(&*code, &args, &[step, 8], 48) };
            for n in 0..48 {
                let expected = 1000 + n as i128 * step as i128;
                assert_eq!(memory.get(n).as_int(), expected, "{name} {access:?}");
            }
        });
    }
}

/// In place: an output on its own input.
#[test]
fn in_place() {
    each(|name, backend, vector| {
        for access in [Access::Contiguous, Access::Strided] {
            let mut k = Build::new(vector);
            let x = k.array(DType::F32, ArrayMode::InOut, access);
            let value = k.load(x);
            let square = k.b.binary(Opcode::Mul, value, value);
            k.b.store(x, square);
            let code = compile(backend, &k.finish());
            let inputs = f32s((0..32).map(|n| n as f32));
            let mut memory = [Memory::holding(access, &inputs)];
            call(&*code, &mut memory, 32);
            for n in 0..32 {
                assert_eq!(memory[0].get(n).as_f32(), (n * n) as f32, "{name}");
            }
        }
    });
}

/// What is not supported is said so.
#[test]
fn clean_errors() {
    use kjit_ir::target::BackendError;
    let backend = Cranelift::new().unwrap();
    let mut k = Build::new(false);
    k.array(DType::C64, ArrayMode::In, Access::Contiguous);
    assert!(matches!(
        backend.compile(&k.finish()),
        Err(BackendError::Unsupported(_))
    ));
    let mut k = Build::new(true);
    k.array(DType::F32, ArrayMode::In, Access::Contiguous);
    k.b.local(LocalArray {
        name: "big".into(),
        dtype: DType::F32,
        len: 1 << 28,
    });
    assert!(matches!(
        backend.compile(&k.finish()),
        Err(BackendError::Unsupported(_))
    ));
    assert!(backend.emit(&Build::new(false).finish(), "wgsl").is_none());
}

/// The stages that people read.
#[test]
fn stages() {
    let backend = Cranelift::new().unwrap();
    let mut k = Build::new(true);
    let x = k.array(DType::F32, ArrayMode::InOut, Access::Contiguous);
    let value = k.load(x);
    let root = k.b.unary(Opcode::Sqrt, value);
    k.b.store(x, root);
    let kernel = k.finish();
    let clif = backend.emit(&kernel, "clif").unwrap().unwrap();
    assert!(clif.contains("f32x4") && clif.contains("sqrt"), "{clif}");
    let asm = backend.emit(&kernel, "asm").unwrap().unwrap();
    assert!(!asm.is_empty());
    if cfg!(target_arch = "x86_64") {
        assert!(asm.contains("sqrtps"), "{asm}");
    }
}

/// Compiled kernels are shared by threads, and their memory comes back.
#[test]
fn threads_compile_and_drop() {
    let backend = Cranelift::new().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..20 {
                    let mut k = Build::new(true);
                    let x = k.array(DType::F32, ArrayMode::InOut, Access::Contiguous);
                    let mut value = k.load(x);
                    for _ in 0..n {
                        value = k.b.binary(Opcode::Add, value, value);
                    }
                    k.b.store(x, value);
                    let code = compile(&backend, &k.finish());
                    let mut memory = [Memory::holding(
                        Access::Contiguous,
                        &f32s((0..16).map(|_| 1.0)),
                    )];
                    call(&*code, &mut memory, 16);
                    assert_eq!(memory[0].get(5).as_f32(), (1u32 << n) as f32);
                }
            });
        }
    });
    assert_eq!(backend.arena.used(), 0);
}

/// Low and high halves of the same 32-bit products, which share their multiplications.
#[test]
fn both_halves_of_products() {
    for dtype in [DType::I32, DType::U32] {
        each(|name, backend, vector| {
            let mut k = Build::new(vector);
            let x = k.array(dtype, ArrayMode::In, Access::Contiguous);
            let low = k.array(dtype, ArrayMode::Out, Access::Contiguous);
            let high = k.array(dtype, ArrayMode::Out, Access::Contiguous);
            let squared = k.array(dtype, ArrayMode::Out, Access::Contiguous);
            let value = k.load(x);
            let factor = k.constant(Scalar::int(dtype, 0x5251_1F53));
            let halves = [Opcode::MulHi, Opcode::Mul].map(|op| k.b.binary(op, value, factor));
            let square = k.b.binary(Opcode::Mul, value, value);
            k.b.store(high, halves[0]);
            k.b.store(low, halves[1]);
            k.b.store(squared, square);
            let code = compile(backend, &k.finish());
            let inputs: Vec<Scalar> = (0..64i128)
                .map(|n| n * 0x3456_789B % 0x7FFF_FFFF)
                .map(|n| {
                    if dtype == DType::I32 && n % 2 == 1 {
                        -n
                    } else {
                        2 * n
                    }
                })
                .map(|n| Scalar::int(dtype, if dtype == DType::I32 { n / 2 } else { n }))
                .collect();
            let mut memory = [
                Memory::holding(Access::Contiguous, &inputs),
                Memory::new(dtype, Access::Contiguous, 64),
                Memory::new(dtype, Access::Contiguous, 64),
                Memory::new(dtype, Access::Contiguous, 64),
            ];
            call(&*code, &mut memory, 64);
            for (n, &input) in inputs.iter().enumerate() {
                let eval = |op, other| kjit_ir::eval::eval(op, None, &[input, other]).unwrap();
                let factor = Scalar::int(dtype, 0x5251_1F53);
                let place = format!("{name} {dtype} {input}");
                assert_eq!(memory[1].get(n), eval(Opcode::Mul, factor), "{place}");
                assert_eq!(memory[2].get(n), eval(Opcode::MulHi, factor), "{place}");
                assert_eq!(memory[3].get(n), eval(Opcode::Mul, input), "{place}");
            }
        });
    }
}

/// A panic (a bug of ours) while a thread compiles leaves nothing behind that the next kernel sees.
#[test]
fn compiles_after_a_panic() {
    let backend = Cranelift::new().unwrap();
    let square = |broken: bool| {
        let mut k = Build::new(false);
        let x = k.array(DType::F32, ArrayMode::In, Access::Contiguous);
        let y = k.array(DType::F32, ArrayMode::Out, Access::Contiguous);
        let value = k.load(x);
        let square = k.b.binary(Opcode::Mul, value, value);
        k.b.store(y, square);
        let mut function = k.finish();
        if broken {
            // A use ahead of the definition.
            let entry = function.entry;
            function.block_mut(entry).insts.swap(0, 1);
        }
        function
    };
    let broken = square(true);
    let compile_broken = std::panic::AssertUnwindSafe(|| backend.compile(&broken).is_ok());
    assert!(std::panic::catch_unwind(compile_broken).is_err());
    let code = compile(&backend, &square(false));
    let values = f32s([3.0, -4.0].into_iter());
    let mut memory = [
        Memory::holding(Access::Contiguous, &values),
        Memory::new(DType::F32, Access::Contiguous, 2),
    ];
    call(&*code, &mut memory, 2);
    assert_eq!(memory[1].get(0), Scalar::f32(9.0));
    assert_eq!(memory[1].get(1), Scalar::f32(16.0));
}

/// 800 small `if`s with constants of their own took seconds: Cranelift moved each constant out of the loop, where they outlive
/// all else, and regalloc2 takes quadratic time for that.
#[test]
fn many_constants_are_not_kept_across_the_loop() {
    let backend = Cranelift::new().unwrap();
    let mut k = Build::new(true);
    let x = k.array(DType::F64, ArrayMode::InOut, Access::Contiguous);
    let mut value = k.load(x);
    for n in 0..400 {
        let addend = k.constant(Scalar::f64(f64::from(n) + 0.5));
        value = k.b.binary(Opcode::Add, value, addend);
    }
    k.b.store(x, value);
    let kernel = k.finish();
    let asm = backend.emit(&kernel, "asm").unwrap().unwrap();
    let moved = asm.lines().filter(|line| line.contains("rsp")).count();
    assert!(moved < 20, "{moved} of {}", asm.lines().count());
    let ones = [Scalar::f64(1.0); 16];
    let mut memory = [Memory::holding(Access::Contiguous, &ones)];
    assert_eq!(call(&*compile(&backend, &kernel), &mut memory, 16), 0);
    assert_eq!(memory[0].get(3), Scalar::f64(1.0 + 400.0 * 200.0));
}
