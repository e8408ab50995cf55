//! Random kernels: against the interpreter.

use super::{backends, compile, run};
use crate::X86;
use kjit_interp::Interp;
use kjit_ir::DType;
use kjit_ir::passes::{lower_numbers, optimize, vectorize};
use kjit_ir::target::Backend;
use kjit_ir::testing::memory::{difference, random_arrays};
use kjit_ir::testing::{Options, generator, random_layouts, random_module};

fn one_seed(seed: u32, backends: &[(String, X86)], options: &Options) {
    let mut next = generator(seed);
    let (module, root) = random_module(&mut next, options);
    let mut kernel = lower_numbers(optimize(&module, root));
    random_layouts(&mut next, &mut kernel);
    let vector = vectorize(&kernel);
    let oracle = Interp::default().compile(&kernel).unwrap();
    for (name, backend) in backends {
        let code = compile(&format!("seed {seed}, {name}"), backend, &vector);
        // Any length where lanes that do not exist are masked.
        let n = match code.lanes() {
            1 => next() as usize % 100 + 1,
            lanes => 64_usize.next_multiple_of(lanes),
        };
        let arrays = random_arrays(&mut next, &kernel, n);
        let (mut expected, mut got) = (arrays.clone(), arrays);
        let trap = run(&*oracle, &kernel, &mut expected, n);
        let got_trap = run(&*code, &vector, &mut got, n);
        assert_eq!(
            got_trap == 0,
            trap == 0,
            "seed {seed}, {name}: trap {got_trap}, not {trap}\n{vector}"
        );
        if let Some(why) = difference(&kernel, &expected, &got, n) {
            panic!("seed {seed}, {name}: {why}\n{vector}");
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
