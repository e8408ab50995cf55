//! From source text to callable code, stage by stage: `cargo bench --bench compile_time`.
//!
//! The limit that a one-line ufunc must keep is a millisecond, warm. Code is that of the widest instructions here; beside it what
//! Cranelift takes for code of 128 bits, from the same vector IR on. (What Numba takes: `cargo bench --bench numba`.)

#[path = "common/mod.rs"]
mod common;
#[path = "common/kernels.rs"]
mod kernels;

use common::{quantile, wanted};
use kjit_driver::{
    CompileOptions, CpuCode, Isa, KernelSpec, Program, Source, compile_cpu, scalar_kernel,
};
use kjit_ir::{Access, DType};
use std::time::Instant;

const ROUNDS: usize = 200;

fn main() {
    println!(
        "microseconds, median of {ROUNDS} warm compilations; {}",
        Isa::preferred().name()
    );
    println!(
        "{:<20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "kernel", "check", "IR", "code", "total", "first", "cranelift"
    );
    let many = many_operations();
    let own = [("operations_500", many.as_str())];
    let shared = kernels::KERNELS.iter().map(|k| (k.name, k.text));
    for (name, text) in shared.chain(own) {
        for dtype in [DType::F32, DType::F64] {
            let title = format!("{name} {dtype}");
            if !wanted(&title) {
                continue;
            }
            let first = compile(name, text, dtype);
            let rounds: Vec<[f64; 4]> = (0..ROUNDS).map(|_| compile(name, text, dtype)).collect();
            let stage = |s: usize| quantile(rounds.iter().map(|r| r[s]).collect(), 0.5);
            let total = |r: &[f64; 4]| r[..3].iter().sum::<f64>();
            println!(
                "{title:<20} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
                stage(0),
                stage(1),
                stage(2),
                quantile(rounds.iter().map(total).collect(), 0.5),
                total(&first),
                stage(3)
            );
        }
    }
}

/// A kernel of 500 multiplications and additions that nothing shortens.
fn many_operations() -> String {
    let steps: String = (0..250)
        .map(|n| format!("let v{} = v{n} * v{} + x; ", n + 1, n & !3))
        .collect();
    format!("ufunc operations_500<T: float>(x: T) -> T {{ let v0 = x; {steps} v250 }}")
}

/// Times of the front end's check, of lowering with the scalar passes, of vectorisation with code generation, and of the same
/// through Cranelift, in microseconds.
fn compile(name: &str, text: &str, dtype: DType) -> [f64; 4] {
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
    let narrow = compile_cpu(&kernel, &access, CpuCode::Vector(Isa::Sse)).expect("code");
    let both = start.elapsed();
    assert!(narrow.code_size() > 0);
    [
        checked,
        lowered - checked,
        compiled - lowered,
        both - compiled,
    ]
    .map(|d| d.as_secs_f64() * 1e6)
}
