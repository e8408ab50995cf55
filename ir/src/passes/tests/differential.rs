//! Random functions before and after each pass, and in both forms, must do the same.

use super::run::{Outcome, run_kernel};
use crate::eval::same;
use crate::passes::{ALL, inline, optimize, vectorize};
use crate::testing::{Options, random_module, random_scalar};
use crate::{FuncRef, Function, Module, Scalar, verify::verify};

const ELEMENTS: usize = 16;

fn check_same(what: &str, before: &Function, after: &Function, a: &Outcome, b: &Outcome) {
    let equal = a
        .outputs
        .iter()
        .flatten()
        .zip(b.outputs.iter().flatten())
        .all(|(x, y)| same(*x, *y));
    if !equal || a.traps != b.traps {
        panic!("{what} changed the outcome\n{a:?}\n{b:?}\nbefore:\n{before}\nafter:\n{after}");
    }
}

fn verified(what: &str, before: &Function, func: &Function) {
    if let Err(errors) = verify(func, None) {
        panic!("{what}: {errors}\nbefore:\n{before}\nafter:\n{func}");
    }
}

fn check(module: &Module, root: FuncRef, inputs: &[Vec<Scalar>]) {
    for func in &module.functions {
        verify(func, Some(module)).unwrap_or_else(|e| panic!("generator: {e}\n{func}"));
    }
    let source = &module[root];
    let expected = run_kernel(Some(module), source, inputs, ELEMENTS, 1);

    let inlined = inline(module, root);
    verified("inline", source, &inlined);
    let got = run_kernel(None, &inlined, inputs, ELEMENTS, 1);
    check_same("inline", source, &inlined, &expected, &got);

    // Each pass alone, then behind the ones before it.
    let mut chained = inlined.clone();
    for (name, pass) in ALL {
        let mut alone = inlined.clone();
        pass(&mut alone);
        verified(name, &inlined, &alone);
        let got = run_kernel(None, &alone, inputs, ELEMENTS, 1);
        check_same(name, &inlined, &alone, &expected, &got);

        let before = chained.clone();
        pass(&mut chained);
        verified(name, &before, &chained);
        let got = run_kernel(None, &chained, inputs, ELEMENTS, 1);
        check_same(name, &before, &chained, &expected, &got);
    }
    let optimized = optimize(module, root);
    for form in [&inlined, &optimized] {
        let vector = vectorize(form);
        verified("vectorize", form, &vector);
        for lanes in [1, 4, 8] {
            let got = run_kernel(None, &vector, inputs, ELEMENTS, lanes);
            let what = format!("vectorize ({lanes} lanes)");
            check_same(&what, form, &vector, &expected, &got);
        }
    }
}

#[test]
fn random_functions() {
    arbtest::arbtest(|u| {
        let seed: u64 = u.arbitrary()?;
        check_seed(seed, 5 + (seed % 64) as u32);
        Ok(())
    })
    .budget_ms(1500);
}

/// Small functions, whose failures can be read.
#[test]
fn small_functions() {
    let count = 120;
    for size in [4, 10, 24] {
        for seed in 0..count {
            check_seed(seed, size);
        }
    }
}

/// Generates and checks the function of one seed.
fn check_seed(seed: u64, size: u32) {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    };
    let options = Options {
        size,
        ..Options::default()
    };
    let (module, root) = random_module(&mut next, &options);
    let inputs: Vec<Vec<Scalar>> = module[root]
        .arrays
        .iter()
        .map(|a| {
            (0..ELEMENTS)
                .map(|_| random_scalar(&mut next, a.dtype))
                .collect()
        })
        .collect();
    check(&module, root, &inputs);
}
