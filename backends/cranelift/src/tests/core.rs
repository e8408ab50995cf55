//! Gufunc kernels: core dimensions of any layout, against the interpreter.

use super::*;
use kjit_interp::Interp;
use kjit_ir::passes::{optimize, vectorize};
use kjit_ir::testing::subarrays::{SubArrays, difference, run};
use kjit_ir::testing::{Options, generator, random_layouts, random_module};
use kjit_ir::text::parse_module;

/// Elements a kernel runs on.
const N: usize = 16;

/// Compares every backend and form with the interpreter on the kernel as it is.
fn check(kernel: &Function, next: &mut impl FnMut() -> u32, what: &str) {
    let mut kernel = kernel.clone();
    let extents: Vec<usize> = kernel.dims.iter().map(|_| next() as usize % 5).collect();
    random_layouts(next, &mut kernel);
    let arrays = kernel.arrays.iter().map(|param| {
        let own: Vec<usize> = param.core.iter().map(|d| extents[d.index()]).collect();
        SubArrays::new(param, &own, N, next)
    });
    let arrays: Vec<SubArrays> = arrays.collect();
    let oracle = |form: &Function, lanes| {
        let code = Interp::with_lanes(lanes).compile(form);
        let code = code.unwrap_or_else(|e| panic!("{what}: {e}\n{form}"));
        // SAFETY: the code is the kernel's, and the arrays are made for it.
        unsafe { run(&*code, form, &arrays, &extents) }
    };
    let expected = oracle(&kernel, 1);
    let compare = |name: &str, form: &Function, got: (Vec<SubArrays>, bool)| {
        assert_eq!(got.1, expected.1, "{what}, {name}: trap\n{form}");
        if let Some(why) = difference(form, &expected.0, &got.0) {
            panic!("{what}, {name}, {extents:?}: {why}\n{kernel}\n{form}");
        }
    };
    let vector = vectorize(&kernel);
    for lanes in [1, 4, 8] {
        compare("interpreted", &vector, oracle(&vector, lanes));
    }
    for (n, (name, backend)) in backends().iter().enumerate() {
        for form in [&vector, &kernel] {
            if form.form == kjit_ir::Form::Vector || n % 3 == 0 {
                let code = compile(backend, form);
                // SAFETY: as above.
                compare(name, form, unsafe { run(&*code, form, &arrays, &extents) });
            }
        }
    }
}

#[test]
fn random_gufuncs() {
    for seed in 1..=60 {
        let mut next = generator(seed);
        let options = Options {
            size: 12 + seed % 40,
            core: true,
            ..Options::default()
        };
        let (module, root) = random_module(&mut next, &options);
        check(&optimize(&module, root), &mut next, &format!("seed {seed}"));
    }
}

/// A loop whose body loads at a uniform index under a mask that may be empty, and gathers.
const MASKED: &str = "kernel masked {
    dim d0 \"n\"
    array a0 in f32 strided \"x\" core (d0)
    array a1 in f32 strided \"limit\"
    array a2 in i64 strided \"at\" core (d0)
    array a3 out f32 strided \"y\" core (d0)
    v0 = dim d0
    v1 = const i64 0
    v2 = const i64 1
    v3 = const f32 0.0
    v4 = load a1
    loop (v5: i64 = v1, v6: f32 = v3) {
        v7 = lt v5, v0
        if v7 {
            yield
        } else {
            break
        }
        v8 = core.load a0, v5
        v9 = add v6, v8
        v10 = gt v9, v4
        if v10 {
            v11 = core.load a2, v5
            v12 = ge v11, v1
            v13 = lt v11, v0
            v14 = and v12, v13
            if v14 {
                v15 = core.load a0, v11
                core.store a3, v11, v15
                yield
            } else {
                core.store a3, v5, v9
                yield
            }
            yield
        } else {
            yield
        }
        v16 = add v5, v2
        continue v16, v9
    }
    return
}";

#[test]
fn accesses_under_masks() {
    let kernel = parse_module(MASKED).unwrap().functions.remove(0);
    for seed in 1..=20 {
        check(&kernel, &mut generator(seed), &format!("seed {seed}"));
    }
}

/// A sum along a core axis of columns side by side: four chunks under way, whatever the indices' dtype.
#[test]
fn a_fold_over_a_core_axis_keeps_four_chunks_under_way() {
    for (dtype, lanes) in [("f32", 16), ("f64", 8)] {
        let text = format!(
            "kernel fold {{
    dim d0 \"n\"
    array a0 in {dtype} contiguous \"x\" core (d0)
    array a1 out {dtype} contiguous \"y\"
    v0 = dim d0
    v1 = const i64 0
    v2 = const i64 1
    v3 = const {dtype} 0.0
    v4 = loop (v5: i64 = v1, v6: {dtype} = v3) -> {dtype} {{
        v7 = lt v5, v0
        if v7 {{
            yield
        }} else {{
            break v6
        }}
        v8 = core.load a0, v5
        v9 = add v6, v8
        v10 = add v5, v2
        continue v10, v9
    }}
    store a1, v4
    return
}}"
        );
        let kernel = parse_module(&text).unwrap().functions.remove(0);
        let backend = Cranelift::new().unwrap();
        assert_eq!(compile(&backend, &vectorize(&kernel)).lanes(), lanes);
    }
}
