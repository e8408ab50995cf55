//! Random kernels: compiled scalar and vector code against the interpreter.

use super::*;
use kjit_interp::Interp;
use kjit_ir::passes::{lower_numbers, optimize, vectorize::vectorize};
use kjit_ir::testing::memory::{self, difference, random_arrays};
use kjit_ir::testing::{Options, generator, random_layouts, random_module};

/// Elements a kernel runs on.
const N: usize = 48;

fn one_seed(seed: u32, backends: &[(&str, Cranelift)], options: &Options) {
    let mut next = generator(seed);
    let (module, root) = random_module(&mut next, options);
    let mut kernel = lower_numbers(optimize(&module, root));
    random_layouts(&mut next, &mut kernel);
    let arrays = random_arrays(&mut next, &kernel, N);
    let vector = vectorize(&kernel);
    for form in [&kernel, &vector] {
        // Each form against itself: whether both mean the same is for the tests of the passes.
        let oracle = Interp::default().compile(form).unwrap();
        let run = |code: &dyn CompiledKernel| {
            let mut arrays = arrays.clone();
            // SAFETY: the arrays hold `N` elements.
            let trap = unsafe { memory::run(code, form, &mut arrays, N) };
            (arrays, trap)
        };
        let (expected, trap) = run(&*oracle);
        for (n, (name, backend)) in backends.iter().enumerate() {
            if form.form == kjit_ir::Form::Scalar && n % 3 != 0 {
                continue;
            }
            let code = match backend.compile(form) {
                Ok(code) => code,
                Err(error) => panic!("seed {seed}, {name}: {error}\n{form}"),
            };
            let (got, got_trap) = run(&*code);
            assert_eq!(
                got_trap == 0,
                trap == 0,
                "seed {seed}, {name}: trap {got_trap}, not {trap}\n{form}"
            );
            if let Some(why) = difference(&kernel, &expected, &got, N) {
                panic!("seed {seed}, {name}: {why}\n{form}");
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
