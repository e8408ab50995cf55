//! Random kernels: against the interpreter.

use super::{backends, compile, run};
use crate::X86;
use kjit_interp::Interp;
use kjit_ir::eval::same;
use kjit_ir::passes::{lower_numbers, optimize, vectorize};
use kjit_ir::target::Backend;
use kjit_ir::testing::memory::Memory;
use kjit_ir::testing::{Options, random_module, random_scalar};
use kjit_ir::{Access, ArrayMode, DType, Part, Scalar};

pub(super) fn generator(seed: u32) -> impl FnMut() -> u32 {
    let mut state = u64::from(seed) << 17 | 0x1234_5671;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as u32
    }
}

fn one_seed(seed: u32, backends: &[(String, X86)], options: &Options) {
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
    let vector = vectorize(&kernel);
    let oracle = Interp::default().compile(&kernel).unwrap();
    for (name, backend) in backends {
        let code = compile(&format!("seed {seed}, {name}"), backend, &vector);
        // Any length where lanes that do not exist are masked.
        let n = match code.lanes() {
            1 => next() as usize % 100 + 1,
            lanes => 64_usize.next_multiple_of(lanes),
        };
        let arrays: Vec<Memory> = kernel
            .arrays
            .iter()
            .map(|param| {
                let one = random_scalar(&mut next, param.dtype);
                let values: Vec<Scalar> = (0..n)
                    .map(|_| match (param.mode, param.access) {
                        (_, Access::Uniform) => one,
                        (ArrayMode::Out, _) => Scalar::one(param.dtype),
                        _ => random_scalar(&mut next, param.dtype),
                    })
                    .collect();
                Memory::holding(param.access, &values)
            })
            .collect();
        let (mut expected, mut got) = (arrays.clone(), arrays);
        let trap = run(&*oracle, &kernel, &mut expected, n);
        let got_trap = run(&*code, &vector, &mut got, n);
        assert_eq!(
            got_trap == 0,
            trap == 0,
            "seed {seed}, {name}: trap {got_trap}, not {trap}\n{vector}"
        );
        for (k, (a, b)) in expected.iter().zip(&got).enumerate() {
            if kernel.arrays[k].mode == ArrayMode::Index {
                continue;
            }
            assert_eq!(a.padding(n), b.padding(n), "seed {seed}, {name}: a{k}");
            for e in 0..n {
                assert!(
                    same(a.get(e), b.get(e)),
                    "seed {seed}, {name}: a{k}[{e}] of {n} is {:?}, not {:?}\n{vector}",
                    b.get(e),
                    a.get(e),
                );
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
