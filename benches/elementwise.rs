//! saxpy, discriminant, polynomial and Mandelbrot on one core, against loops written by hand and compiled
//! into this binary at the same vector width (128 bits: the baseline of x86-64 and of aarch64).
//!
//! `cargo bench --bench elementwise [WORD..]`: lines with all the words. The second figure of a line is the
//! ratio to the hand-written loop: below 1 kjit is faster.

#[path = "common/mod.rs"]
mod common;
#[path = "common/hand.rs"]
mod hand;

use common::{Contender, compare, geometric_mean, wanted};
use kjit::{
    Access, Array, CompileOptions, CpuCode, DType, Engine, EngineOptions, Isa, KernelSpec, Program,
    Source,
};
use kjit_driver::{compile_cpu, scalar_kernel};
use kjit_ir::abi::KernelStatus;

const SOURCE: &str = "
ufunc saxpy<T: float>(a: T, x: T, y: T) -> T { a * x + y }
ufunc discriminant<T: float>(a: T, b: T, c: T) -> T { sqrt(b * b - 4 * a * c) }
ufunc horner<T: float>(x: T) -> T {
    let mut p: T = 1.0;
    p = p * x + 0.9; p = p * x + 0.8; p = p * x + 0.7; p = p * x + 0.6;
    p = p * x + 0.5; p = p * x + 0.4; p = p * x + 0.3; p = p * x + 0.2;
    p = p * x + 0.1; p = p * x + 0.9; p = p * x + 0.8; p = p * x + 0.7;
    p = p * x + 0.6; p = p * x + 0.5; p = p * x + 0.4; p = p * x + 0.3;
    p
}
ufunc mandelbrot<T: float>(cr: T, ci: T) -> i32 {
    let mut zr: T = 0;
    let mut zi: T = 0;
    let mut n: i32 = 0;
    while n < 256 && zr * zr + zi * zi <= 4 {
        let next = zr * zr - zi * zi + cr;
        zi = 2 * zr * zi + ci;
        zr = next;
        n += 1;
    }
    n
}
";

/// Bytes of an array, so that four of them fit the first-level cache, the second-level cache, and neither.
const SIZES: [(&str, usize); 3] = [("L1", 8 << 10), ("L2", 256 << 10), ("DRAM", 64 << 20)];

/// A float that both sides compute with.
trait Float: kjit::Element {
    fn new(value: f64) -> Self;
}

impl Float for f32 {
    fn new(value: f64) -> f32 {
        value as f32
    }
}

impl Float for f64 {
    fn new(value: f64) -> f64 {
        value
    }
}

fn main() {
    let program = Program::compile(Source::new("bench.k", SOURCE)).expect("the benchmark's source");
    let engine = Engine::new(EngineOptions::default()).expect("the cpu engine");
    let mut ratios = Vec::new();
    ratios.extend(bench_dtype::<f32>(&program, &engine, hand::F32));
    ratios.extend(bench_dtype::<f64>(&program, &engine, hand::F64));
    println!(
        "geometric mean of kjit / hand: {:.3}",
        geometric_mean(&ratios)
    );
}

fn bench_dtype<T: Float>(program: &Program, engine: &Engine, by_hand: hand::Loops<T>) -> Vec<f64> {
    let mut ratios = Vec::new();
    for (place, bytes) in SIZES {
        let n = bytes / size_of::<T>();
        let title = |name: &str| format!("{name} {} {place}", T::DTYPE);
        if !["saxpy", "discriminant", "polynomial", "mandelbrot"]
            .iter()
            .any(|name| wanted(&title(name)))
        {
            continue; // and spare the making of its data
        }
        let data = |seed: f64| -> Vec<T> {
            (0..n)
                .map(|i| T::new(((i as f64 * 0.37 + seed) % 1.0) + 0.25))
                .collect()
        };
        let (a, x, y) = (data(0.1), data(0.2), data(0.3));
        let arrays = |list: &[&Vec<T>]| -> Vec<Array> {
            list.iter()
                .map(|v| Array::from_vec(v.to_vec(), &[n]).expect("an array"))
                .collect()
        };
        let spec = |name: &str| KernelSpec::Ufunc {
            name: name.into(),
            generics: vec![T::DTYPE],
            masked: false,
        };

        let mut inputs = arrays(&[&x, &y]);
        inputs.insert(
            0,
            Array::from_vec(vec![T::new(2.5)], &[]).expect("a scalar"),
        );
        let mut z = vec![T::new(0.0); n];
        ratios.extend(versus(
            &title("saxpy"),
            n,
            || (by_hand.saxpy)(T::new(2.5), &x, &y, &mut z),
            (engine, program, &spec("saxpy"), &inputs, T::DTYPE),
        ));
        let inputs = arrays(&[&a, &x, &y]);
        let mut z = vec![T::new(0.0); n];
        ratios.extend(versus(
            &title("discriminant"),
            n,
            || (by_hand.discriminant)(&a, &x, &y, &mut z),
            (engine, program, &spec("discriminant"), &inputs, T::DTYPE),
        ));
        let inputs = arrays(&[&x]);
        let mut z = vec![T::new(0.0); n];
        ratios.extend(versus(
            &title("polynomial"),
            n,
            || (by_hand.horner)(&x, &mut z),
            (engine, program, &spec("horner"), &inputs, T::DTYPE),
        ));
        if n > 1 << 20 {
            continue; // Mandelbrot does not depend on memory
        }
        let cr: Vec<T> = (0..n)
            .map(|i| T::new(-2.25 + 3.0 * (i % 256) as f64 / 256.0))
            .collect();
        let ci: Vec<T> = (0..n)
            .map(|i| T::new(-1.0 + 2.0 * (i / 256) as f64 / (n as f64 / 256.0)))
            .collect();
        let inputs = arrays(&[&cr, &ci]);
        let mut counts = vec![0i32; n];
        ratios.extend(versus(
            &title("mandelbrot"),
            n,
            || (by_hand.mandelbrot)(&cr, &ci, &mut counts),
            (engine, program, &spec("mandelbrot"), &inputs, DType::I32),
        ));
    }
    ratios
}

type Call<'a> = (&'a Engine, &'a Program, &'a KernelSpec, &'a [Array], DType);

/// Compares a hand-written loop with a call that writes into an array allocated beforehand.
fn versus(title: &str, n: usize, by_hand: impl FnMut(), call: Call) -> Option<f64> {
    if !wanted(title) {
        return None;
    }
    let (engine, program, spec, inputs, out) = call;
    let mut outs = [Array::zeros(out, &[n]).expect("an array")];
    let kernel = engine.kernel(program, spec).expect("a kernel");
    let mut bare = bare_kernel(program, spec, inputs, out, n);
    let ratios = compare(
        title,
        n,
        &mut [
            Contender::new("hand", by_hand),
            Contender::new("kjit", || {
                engine
                    .call_into(&kernel, inputs, &mut outs)
                    .expect("a call");
            }),
            Contender::new("kjit, bare", &mut bare),
        ],
    );
    Some(ratios[2])
}

/// The compiled loop alone, called as a hand-written one is: with the pointers at hand.
fn bare_kernel(
    program: &Program,
    spec: &KernelSpec,
    inputs: &[Array],
    out: DType,
    n: usize,
) -> impl FnMut() {
    let kernel = scalar_kernel(program, spec, CompileOptions::default()).expect("a kernel");
    let mut out = Array::zeros(out, &[n]).expect("an array");
    let mut access = Vec::new();
    let mut args = Vec::new();
    let mut steps = Vec::new();
    for input in inputs {
        let uniform = input.ndim() == 0;
        access.push(if uniform {
            Access::Uniform
        } else {
            Access::Contiguous
        });
        args.push(input.as_ptr().expect("an array on the host").cast_mut());
        steps.push(if uniform {
            0
        } else {
            input.dtype().size() as isize
        });
    }
    access.push(Access::Contiguous);
    args.push(out.bytes_mut().expect("an array on the host").as_mut_ptr());
    steps.push(out.dtype().size() as isize);
    let code = compile_cpu(&kernel, &access, CpuCode::Vector(Isa::preferred())).expect("code");
    assert_eq!(n % code.lanes(), 0);
    let inputs = inputs.to_vec();
    let (dims, status) = (n as isize, KernelStatus::default());
    move || {
        // The arrays are owned here, and so outlive every call.
        let _ = (&inputs, &out);
        let data = std::ptr::from_ref(&status).cast();
        // SAFETY: all arrays are contiguous with `n` elements, or have one and are uniform; `n` is a multiple of
        // the lanes; the output is an array of its own.
        unsafe { code.call(args.as_ptr(), &dims, steps.as_ptr(), data) }
    }
}
