//! Gufunc kernels: core dimensions of any layout, against the interpreter.

use super::random::generator;
use super::*;
use kjit_interp::Interp;
use kjit_ir::passes::{optimize, vectorize};
use kjit_ir::testing::{Options, random_module, random_scalar};
use kjit_ir::text::parse_module;

/// Elements a kernel runs on.
const N: usize = 16;

/// The memory of an array parameter: sub-arrays, one an element.
#[derive(Clone)]
struct Sub {
    bytes: Vec<u8>,
    /// Of the first element of the first sub-array.
    offset: isize,
    step: isize,
    core_steps: Vec<isize>,
    dtype: DType,
    /// Where each element of each sub-array starts.
    places: Vec<usize>,
}

impl Sub {
    /// A layout that fits the access class, in which all elements have their own place.
    fn new(param: &ArrayParam, extents: &[usize], next: &mut impl FnMut() -> u32) -> Sub {
        let size = param.dtype.size() as isize;
        // The loop axis is number 0; the order of axes is that of steps, smallest first.
        let mut axes: Vec<usize> = (1..=extents.len()).collect();
        if next().is_multiple_of(2) {
            axes.reverse();
        }
        match param.access {
            Access::Contiguous => axes.insert(0, 0),
            Access::Strided => axes.insert(next() as usize % (axes.len() + 1), 0),
            Access::Uniform => {}
        }
        let mut steps = vec![0; extents.len() + 1];
        let (mut step, mut offset) = (size, 1);
        for axis in axes {
            let extent = if axis == 0 { N } else { extents[axis - 1] }.max(1) as isize;
            if param.access != Access::Contiguous || axis != 0 {
                step += (next() % 3) as isize;
            }
            steps[axis] = step;
            if (axis != 0 || param.access == Access::Strided) && next().is_multiple_of(4) {
                steps[axis] = -step;
                offset += step * (extent - 1);
            }
            step *= extent;
        }
        let mut sub = Sub {
            bytes: vec![FILL; (step + size) as usize + 2],
            offset,
            step: steps[0],
            core_steps: steps[1..].to_vec(),
            dtype: param.dtype,
            places: Vec::new(),
        };
        sub.places = sub.find_places(extents);
        for place in sub.places.clone() {
            let value = match param.mode {
                ArrayMode::Out => Scalar::one(param.dtype),
                _ => random_scalar(next, param.dtype),
            };
            let (image, size) = value.to_ne_bytes();
            sub.bytes[place..place + size].copy_from_slice(&image[..size]);
        }
        sub
    }

    /// Where each element of each sub-array is.
    fn find_places(&self, extents: &[usize]) -> Vec<usize> {
        let mut places: Vec<isize> = (0..N as isize)
            .map(|n| self.offset + n * self.step)
            .collect();
        for (extent, step) in extents.iter().zip(&self.core_steps) {
            let inner = places
                .iter()
                .flat_map(|place| (0..*extent as isize).map(move |n| place + n * step));
            places = inner.collect();
        }
        places.into_iter().map(|place| place as usize).collect()
    }

    fn values(&self) -> Vec<Scalar> {
        let size = self.dtype.size();
        let places = self.places.iter();
        places
            .map(|p| Scalar::from_ne_bytes(self.dtype, &self.bytes[*p..p + size]))
            .collect()
    }

    /// The bytes that belong to no element.
    fn padding(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for place in &self.places {
            bytes[*place..place + self.dtype.size()].fill(0);
        }
        bytes
    }
}

/// Runs a kernel on a copy of its arrays.
fn run(
    code: &dyn CompiledKernel,
    kernel: &Function,
    arrays: &[Sub],
    extents: &[usize],
) -> (Vec<Sub>, bool) {
    let mut arrays = arrays.to_vec();
    let (mut args, mut steps) = (Vec::new(), Vec::new());
    for (param, array) in kernel.arrays.iter().zip(&mut arrays) {
        if param.mode == ArrayMode::Index {
            args.push(5usize as *mut u8);
            steps.push(match param.access {
                Access::Contiguous => 1,
                Access::Strided => 3,
                Access::Uniform => 0,
            });
        } else {
            args.push(array.bytes[array.offset as usize..].as_mut_ptr());
            steps.push(array.step);
        }
    }
    steps.extend(arrays.iter().flat_map(|array| array.core_steps.iter()));
    let dims: Vec<isize> = [N].iter().chain(extents).map(|e| *e as isize).collect();
    let status = KernelStatus::default();
    // SAFETY: the arrays hold `N` elements of these extents.
    unsafe {
        code.call(
            args.as_ptr(),
            dims.as_ptr(),
            steps.as_ptr(),
            (&raw const status).cast(),
        );
    }
    (arrays, status.trap.load(Ordering::Relaxed) != 0)
}

/// Compares every backend and form with the interpreter on the kernel as it is.
fn check(kernel: &Function, next: &mut impl FnMut() -> u32, what: &str) {
    let mut kernel = kernel.clone();
    let extents: Vec<usize> = kernel.dims.iter().map(|_| next() as usize % 5).collect();
    for param in &mut kernel.arrays {
        if param.access != Access::Uniform {
            param.access = match next() % 2 {
                0 => Access::Strided,
                _ => Access::Contiguous,
            };
        }
    }
    let arrays = kernel.arrays.iter().map(|param| {
        let own: Vec<usize> = param.core.iter().map(|d| extents[d.index()]).collect();
        Sub::new(param, &own, next)
    });
    let arrays: Vec<Sub> = arrays.collect();
    let oracle = |form: &Function, lanes| {
        let code = Interp::with_lanes(lanes).compile(form);
        let code = code.unwrap_or_else(|e| panic!("{what}: {e}\n{form}"));
        run(&*code, form, &arrays, &extents)
    };
    let expected = oracle(&kernel, 1);
    let compare = |name: &str, form: &Function, got: (Vec<Sub>, bool)| {
        assert_eq!(got.1, expected.1, "{what}, {name}: trap\n{form}");
        for (n, (a, b)) in expected.0.iter().zip(&got.0).enumerate() {
            if form.arrays[n].mode == ArrayMode::Index {
                continue;
            }
            let (a_values, b_values) = (a.values(), b.values());
            assert!(
                a_values.iter().zip(&b_values).all(|(a, b)| same(*a, *b)),
                "{what}, {name}, {extents:?}: a{n} is {b_values:?}, not {a_values:?}\n{kernel}\n{form}"
            );
            assert!(
                a.padding() == b.padding(),
                "{what}, {name}: stray bytes\n{form}"
            );
        }
    };
    let vector = vectorize(&kernel);
    for lanes in [1, 4, 8] {
        compare("interpreted", &vector, oracle(&vector, lanes));
    }
    for (n, (name, backend)) in backends().iter().enumerate() {
        compare(
            name,
            &vector,
            run(&*compile(backend, &vector), &vector, &arrays, &extents),
        );
        if n % 3 == 0 {
            compare(
                name,
                &kernel,
                run(&*compile(backend, &kernel), &kernel, &arrays, &extents),
            );
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
