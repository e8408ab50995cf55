//! From source text to callable code, stage by stage: `cargo bench --bench compile_time`.
//!
//! The limit that a one-line ufunc must keep is a millisecond, warm.

#[path = "common/mod.rs"]
mod common;

use common::quantile;
use kjit_driver::{
    CompileOptions, CpuCode, Isa, KernelSpec, Program, Source, compile_cpu, scalar_kernel,
};
use kjit_ir::{Access, DType};
use std::time::Instant;

const KERNELS: [(&str, &str); 4] = [
    (
        "saxpy",
        "ufunc saxpy<T: float>(a: T, x: T, y: T) -> T { a * x + y }",
    ),
    (
        "discriminant",
        "ufunc discriminant<T: float>(a: T, b: T, c: T) -> T { sqrt(b * b - 4 * a * c) }",
    ),
    (
        "mandelbrot",
        "ufunc mandelbrot<T: float>(cr: T, ci: T) -> i32 {
            let mut zr: T = 0; let mut zi: T = 0; let mut n: i32 = 0;
            while n < 256 && zr * zr + zi * zi <= 4 {
                let next = zr * zr - zi * zi + cr; zi = 2 * zr * zi + ci; zr = next; n += 1;
            }
            n
        }",
    ),
    (
        "gaussian",
        "ufunc gaussian<T: float>(x: T, s: T) -> T { exp(-(x * x) / (2 * s * s)) / s }",
    ),
];

fn main() {
    println!("microseconds, median of 200 warm compilations");
    println!(
        "{:<14} {:>9} {:>9} {:>9} {:>9}   first",
        "kernel", "check", "IR", "code", "total"
    );
    for (name, text) in KERNELS {
        for dtype in [DType::F32, DType::F64] {
            let first = compile(name, text, dtype);
            let rounds: Vec<[f64; 3]> = (0..200).map(|_| compile(name, text, dtype)).collect();
            let stage = |s: usize| quantile(rounds.iter().map(|r| r[s]).collect(), 0.5);
            let total = quantile(rounds.iter().map(|r| r.iter().sum()).collect(), 0.5);
            println!(
                "{:<14} {:>9.1} {:>9.1} {:>9.1} {:>9.1}   {:.1}",
                format!("{name} {dtype}"),
                stage(0),
                stage(1),
                stage(2),
                total,
                first.iter().sum::<f64>()
            );
        }
    }
}

/// Times of the front end's check, of lowering with the scalar passes, and of vectorisation with code
/// generation, in microseconds.
fn compile(name: &str, text: &str, dtype: DType) -> [f64; 3] {
    let start = Instant::now();
    let program = Program::compile(Source::new("bench.k", text)).expect("the benchmark's source");
    let checked = start.elapsed();
    let spec = KernelSpec::Ufunc {
        name: name.into(),
        generics: vec![dtype],
        masked: false,
    };
    let kernel = scalar_kernel(&program, &spec, CompileOptions::default()).expect("a kernel");
    let lowered = start.elapsed();
    let access = vec![Access::Contiguous; kernel.arrays.len()];
    let code = compile_cpu(&kernel, &access, CpuCode::Vector(Isa::preferred())).expect("code");
    let compiled = start.elapsed();
    assert!(code.code_size() > 0);
    [checked, lowered - checked, compiled - lowered].map(|d| d.as_secs_f64() * 1e6)
}
