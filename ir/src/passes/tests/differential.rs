//! Random functions before and after each pass, and in both forms, must do the same.

use super::run::{Outcome, run_kernel};
use crate::eval::same;
use crate::passes::{ALL, inline, optimize, vectorize};
use crate::testing::{Options, random_module, random_scalar};
use crate::text::parse_module;
use crate::{DType, Form, FuncRef, Function, Module, Scalar, verify::verify};

const ELEMENTS: usize = 8;

/// How many functions are only vectorized.
const VECTORIZED: u64 = 2000;

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

fn generator(seed: u64) -> impl FnMut() -> u32 {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }
}

/// A kernel, its inputs, and what it does.
struct Case {
    module: Module,
    root: FuncRef,
    inputs: Vec<Vec<Scalar>>,
    expected: Outcome,
}

impl Case {
    fn new(seed: u64, size: u32) -> Case {
        let mut next = generator(seed);
        let mut options = Options {
            size,
            ..Options::default()
        };
        if seed.is_multiple_of(3) {
            options.dtypes = DType::ALL.to_vec();
        }
        let (module, root) = random_module(&mut next, &options);
        Case::of(module, root, &mut next)
    }

    /// A kernel on random inputs.
    fn of(module: Module, root: FuncRef, next: &mut impl FnMut() -> u32) -> Case {
        for func in &module.functions {
            verify(func, Some(&module)).unwrap_or_else(|e| panic!("before: {e}\n{func}"));
        }
        let mut inputs = Vec::new();
        for array in &module[root].arrays {
            let elements = (0..ELEMENTS).map(|_| random_scalar(next, array.dtype));
            inputs.push(elements.collect::<Vec<Scalar>>());
        }
        let expected = run_kernel(Some(&module), &module[root], &inputs, ELEMENTS, 1);
        Case {
            module,
            root,
            inputs,
            expected,
        }
    }

    /// Checks that `after` is right and does what the kernel did.
    fn check(&self, what: &str, before: &Function, after: &Function, lanes: usize) {
        verified(what, before, after);
        let got = run_kernel(None, after, &self.inputs, ELEMENTS, lanes);
        check_same(what, before, after, &self.expected, &got);
    }

    fn inlined(&self) -> Function {
        let inlined = inline(&self.module, self.root);
        self.check("inline", &self.module[self.root], &inlined, 1);
        inlined
    }

    fn check_vectorize(&self, func: &Function, lanes: usize) {
        let vector = vectorize(func);
        let what = format!("vectorize ({lanes} lanes)");
        self.check(&what, func, &vector, lanes);
    }

    fn check_all(&self) {
        let inlined = self.inlined();
        // Each pass alone, then behind the ones before it.
        let mut chained = inlined.clone();
        for (name, pass) in ALL {
            let mut alone = inlined.clone();
            if apply(*pass, &mut alone) {
                self.check(name, &inlined, &alone, 1);
            }
            let before = chained.clone();
            if apply(*pass, &mut chained) {
                self.check(name, &before, &chained, 1);
            }
        }
        self.check_vectorize(&inlined, 4);
        let optimized = optimize(&self.module, self.root);
        self.check("optimize", &inlined, &optimized, 1);
        for lanes in [1, 8] {
            self.check_vectorize(&optimized, lanes);
        }
    }
}

/// Runs a pass; true if it changed the function, whatever it says itself.
fn apply(pass: fn(&mut Function) -> bool, func: &mut Function) -> bool {
    let before = func.to_string();
    pass(func);
    func.to_string() != before
}

#[test]
fn random_functions() {
    for seed in 1000..1200 {
        Case::new(seed, 5 + (seed % 64) as u32).check_all();
    }
}

/// Small functions, whose failures can be read.
#[test]
fn small_functions() {
    for size in [4, 10, 24] {
        for seed in 0..80 {
            Case::new(seed, size).check_all();
        }
    }
}

/// The kernels of the file tests mean the same after every pass, too.
#[test]
fn kernels_of_the_file_tests() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/filetests/passes");
    // A published crate comes without them.
    let Ok(files) = std::fs::read_dir(folder) else {
        return;
    };
    for file in files {
        let path = file.expect("an entry").path();
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{e}"));
        let module = parse_module(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let root = FuncRef(0);
        // Gufuncs are for the tests of the interpreter and of Cranelift: the evaluator here has no memory.
        let is_gufunc = !module[root].dims.is_empty();
        if !module[root].is_kernel() || module[root].form != Form::Scalar || is_gufunc {
            continue;
        }
        for seed in 0..20 {
            Case::of(module.clone(), root, &mut generator(seed)).check_all();
        }
    }
}

/// Vectorization is where most can go wrong, so it is tried on more functions than the other passes.
#[test]
fn vectorized_functions() {
    for seed in 0..VECTORIZED {
        let case = Case::new(1000 + seed, 8 + (seed % 32) as u32);
        case.check_vectorize(&case.inlined(), 8);
    }
}
