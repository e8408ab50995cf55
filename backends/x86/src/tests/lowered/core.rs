//! Gufunc kernels: core dimensions of any layout, against the interpreter.

use super::{backends, compile};
use kjit_interp::Interp;
use kjit_ir::passes::{optimize, vectorize};
use kjit_ir::target::Backend;
use kjit_ir::testing::subarrays::{SubArrays, difference, run};
use kjit_ir::testing::{Options, generator, random_layouts, random_module};

#[test]
fn random_gufuncs() {
    let backends = backends();
    for seed in 1..=100 {
        let mut next = generator(seed);
        let options = Options {
            size: 12 + seed % 40,
            core: true,
            ..Options::default()
        };
        let (module, root) = random_module(&mut next, &options);
        let mut kernel = optimize(&module, root);
        let extents: Vec<usize> = kernel.dims.iter().map(|_| next() as usize % 5).collect();
        random_layouts(&mut next, &mut kernel);
        let vector = vectorize(&kernel);
        let oracle = Interp::default().compile(&kernel).unwrap();
        for (name, backend) in &backends {
            let code = compile(&format!("seed {seed}, {name}"), backend, &vector);
            let n = match code.lanes() {
                1 => next() as usize % 50 + 1,
                lanes => lanes,
            };
            let arrays = kernel.arrays.iter().map(|param| {
                let own: Vec<usize> = param.core.iter().map(|d| extents[d.index()]).collect();
                SubArrays::new(param, &own, n, &mut next)
            });
            let arrays: Vec<SubArrays> = arrays.collect();
            // SAFETY: the code is the kernel's, and the arrays are made for it.
            let (expected, trap) = unsafe { run(&*oracle, &kernel, &arrays, &extents) };
            // SAFETY: as above.
            let (got, got_trap) = unsafe { run(&*code, &vector, &arrays, &extents) };
            assert_eq!(got_trap, trap, "seed {seed}, {name}: trap\n{vector}");
            if let Some(why) = difference(&kernel, &expected, &got) {
                panic!("seed {seed}, {name}, {extents:?}: {why}\n{vector}");
            }
        }
    }
}
