//! Random kernels: compiled scalar and vector code against the interpreter.

use super::*;
use kjit_interp::Interp;
use kjit_ir::Part;
use kjit_ir::passes::{lower_numbers, optimize, vectorize::vectorize};
use kjit_ir::testing::{Options, random_module, random_scalar};

/// Elements a kernel runs on.
const N: usize = 48;

pub(super) fn generator(seed: u32) -> impl FnMut() -> u32 {
    let mut state = u64::from(seed) << 17 | 0x1234_5671;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as u32
    }
}

/// Runs a kernel on copies of the arrays; index parameters start at 5.
fn run(code: &dyn CompiledKernel, kernel: &Function, arrays: &[Vec<Scalar>]) -> (Vec<Memory>, u32) {
    let mut memory: Vec<Memory> = kernel
        .arrays
        .iter()
        .zip(arrays)
        .map(|(param, values)| Memory::holding(param.access, values))
        .collect();
    let (mut args, mut steps) = (Vec::new(), Vec::new());
    for (param, memory) in kernel.arrays.iter().zip(&mut memory) {
        if param.mode == ArrayMode::Index {
            args.push(5usize as *mut u8);
            steps.push(match param.access {
                Access::Contiguous => 1,
                Access::Strided => 3,
                Access::Uniform => 0,
            });
        } else {
            args.push(memory.pointer());
            steps.push(memory.step);
        }
    }
    // SAFETY: the arrays hold `N` elements at these steps.
    let trap = unsafe { call_raw(code, &args, &steps, N) };
    (memory, trap)
}

fn one_seed(seed: u32, backends: &[(&str, Cranelift)], options: &Options) {
    let mut next = generator(seed);
    let (module, root) = random_module(&mut next, options);
    let mut kernel = lower_numbers(optimize(&module, root));
    let mut previous = Access::Strided;
    for param in &mut kernel.arrays {
        if param.part == Part::Im {
            param.access = previous;
        } else if param.access != Access::Uniform {
            param.access = if next().is_multiple_of(2) {
                Access::Strided
            } else {
                Access::Contiguous
            };
        }
        previous = param.access;
    }
    let arrays: Vec<Vec<Scalar>> = kernel
        .arrays
        .iter()
        .map(|param| {
            let one = random_scalar(&mut next, param.dtype);
            (0..N)
                .map(|_| match (param.mode, param.access) {
                    (_, Access::Uniform) => one,
                    (ArrayMode::Out, _) => Scalar::one(param.dtype),
                    _ => random_scalar(&mut next, param.dtype),
                })
                .collect()
        })
        .collect();
    let vector = vectorize(&kernel);
    for form in [&kernel, &vector] {
        // Each form against itself: whether both mean the same is for the tests of the passes.
        let oracle = Interp::default().compile(form).unwrap();
        let (expected, trap) = run(&*oracle, form, &arrays);
        for (n, (name, backend)) in backends.iter().enumerate() {
            if form.form == kjit_ir::Form::Scalar && n % 3 != 0 {
                continue;
            }
            let code = match backend.compile(form) {
                Ok(code) => code,
                Err(error) => panic!("seed {seed}, {name}: {error}\n{form}"),
            };
            let (got, got_trap) = run(&*code, form, &arrays);
            assert_eq!(
                got_trap == 0,
                trap == 0,
                "seed {seed}, {name}: trap {got_trap}, not {trap}\n{form}"
            );
            for (k, (a, b)) in expected.iter().zip(&got).enumerate() {
                if kernel.arrays[k].mode == ArrayMode::Index {
                    continue;
                }
                for e in 0..N {
                    assert!(
                        same(a.get(e), b.get(e)),
                        "seed {seed}, {name}: a{k}[{e}] is {:?}, not {:?}\n{form}",
                        b.get(e),
                        a.get(e),
                    );
                }
            }
        }
    }
}

#[test]
fn random_kernels() {
    let backends = backends();
    for seed in 1..=150 {
        one_seed(seed, &backends, &Options::default());
    }
}

#[test]
fn random_small_kernels() {
    let backends = backends();
    let options = Options {
        size: 12,
        ..Options::default()
    };
    for seed in 1000..1200 {
        one_seed(seed, &backends, &options);
    }
}

#[test]
fn random_kernels_of_half_and_complex() {
    let backends = backends();
    let options = Options {
        dtypes: vec![DType::F16, DType::C64, DType::C128, DType::F32],
        size: 20,
        ..Options::default()
    };
    for seed in 2000..2120 {
        one_seed(seed, &backends, &options);
    }
}
