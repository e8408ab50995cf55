//! Code of 128, 256 and 512 bits, side by side: `cargo bench --bench wide`.
//!
//! One process, one core; the widths take turns, and the ratio is the median of the rounds'. Words on the command line
//! pick kernels.

#[path = "common/mod.rs"]
mod common;

use common::quantile;
use kjit_driver::{
    CompileOptions, CpuCode, Isa, KernelSpec, Program, Source, compile_cpu, scalar_kernel,
};
use kjit_ir::abi::KernelStatus;
use kjit_ir::target::CompiledKernel;
use kjit_ir::{Access, DType, Function};
use std::sync::Arc;
use std::time::Instant;

/// Name, source, and how many arguments are one number for all elements.
const KERNELS: [(&str, &str, usize); 7] = [
    (
        "saxpy",
        "ufunc saxpy<T: float>(a: T, x: T, y: T) -> T { a * x + y }",
        1,
    ),
    (
        "discriminant",
        "ufunc discriminant<T: float>(a: T, b: T, c: T) -> T { sqrt(b * b - 4 * a * c) }",
        0,
    ),
    (
        "polynomial",
        "ufunc polynomial<T: float>(x: T) -> T {
            let mut y: T = 0.5;
            y = fma(y, x, 0.1); y = fma(y, x, 0.2); y = fma(y, x, 0.3); y = fma(y, x, 0.4);
            y = fma(y, x, 1.1); y = fma(y, x, 1.2); y = fma(y, x, 1.3); y = fma(y, x, 1.4);
            y = fma(y, x, 2.1); y = fma(y, x, 2.2); y = fma(y, x, 2.3); y = fma(y, x, 2.4);
            y = fma(y, x, 3.1); y = fma(y, x, 3.2); y = fma(y, x, 3.3); y = fma(y, x, 3.4);
            y
        }",
        0,
    ),
    ("exp", "ufunc e<T: float>(x: T) -> T { exp(x) }", 0),
    ("log", "ufunc l<T: float>(x: T) -> T { log(x) }", 0),
    ("sin", "ufunc s<T: float>(x: T) -> T { sin(x) }", 0),
    (
        "mandelbrot",
        "ufunc mandelbrot<T: float>(cr: T, ci: T) -> i32 {
            let mut zr: T = 0; let mut zi: T = 0; let mut n: i32 = 0;
            while n < 64 && zr * zr + zi * zi <= 4 {
                let next = zr * zr - zi * zi + cr; zi = 2 * zr * zi + ci; zr = next; n += 1;
            }
            n
        }",
        0,
    ),
];

/// Numbers of the arrays, in bytes.
const SIZES: [(&str, usize); 2] = [("L1", 8 << 10), ("L2", 256 << 10)];

fn main() {
    let picked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let isas: Vec<Isa> = Isa::ALL.into_iter().filter(|i| i.is_available()).collect();
    println!("ns an element of 128 bits; times faster; microseconds to compile, warm");
    for (name, text, uniform) in KERNELS {
        if !picked.is_empty() && !picked.iter().any(|p| p == name) {
            continue;
        }
        for dtype in [DType::F32, DType::F64] {
            let kernel = kernel(text, dtype);
            let inputs = kernel.arrays.len() - 1;
            let access: Vec<Access> = (0..=inputs)
                .map(|n| {
                    if n < uniform {
                        Access::Uniform
                    } else {
                        Access::Contiguous
                    }
                })
                .collect();
            let compile = |isa: Isa| compile_cpu(&kernel, &access, CpuCode::Vector(isa));
            let codes: Vec<_> = isas
                .iter()
                .map(|isa| compile(*isa).expect("code"))
                .collect();
            let micros: Vec<f64> = isas.iter().map(|isa| median_of(|| compile(*isa))).collect();
            for (place, bytes) in SIZES {
                let n = bytes / dtype.size();
                let times = measure(&kernel, &access, &codes, n);
                let of = |k: usize| quantile(times.iter().map(|t| t[k]).collect(), 0.5);
                let ratio = |k: usize| quantile(times.iter().map(|t| t[0] / t[k]).collect(), 0.5);
                print!("{name:<13} {dtype} {place}  {:>8.3}", of(0));
                for (k, isa) in isas.iter().enumerate().skip(1) {
                    print!("  {} {:>5.2}", isa.name(), ratio(k));
                }
                let micros: Vec<String> = micros.iter().map(|m| format!("{m:.0}")).collect();
                println!("   compile {}", micros.join(" "));
            }
        }
    }
}

fn kernel(text: &str, dtype: DType) -> Function {
    let program = Program::compile(Source::new("bench.k", text)).expect("the benchmark's source");
    let start = text.find(' ').map_or(0, |at| at + 1);
    let end = text.find('<').unwrap_or(text.len());
    let spec = KernelSpec::Ufunc {
        name: text[start..end].into(),
        generics: vec![dtype],
        masked: false,
    };
    scalar_kernel(&program, &spec, CompileOptions::default()).expect("a kernel")
}

/// Microseconds of a compilation.
fn median_of<T>(compile: impl Fn() -> T) -> f64 {
    let rounds = (0..60).map(|_| {
        let start = Instant::now();
        let code = compile();
        let time = start.elapsed();
        drop(code);
        time.as_secs_f64() * 1e6
    });
    quantile(rounds.collect(), 0.5)
}

/// Nanoseconds an element of each code, round by round.
fn measure(
    kernel: &Function,
    access: &[Access],
    codes: &[Arc<dyn CompiledKernel>],
    n: usize,
) -> Vec<Vec<f64>> {
    let dtypes: Vec<DType> = kernel.arrays.iter().map(|a| a.dtype).collect();
    // Aligned as arrays of the runtime are.
    let mut memory: Vec<Vec<Line>> = dtypes
        .iter()
        .map(|_| vec![Line { _bytes: [0; 64] }; n / 8])
        .collect();
    let mut arrays: Vec<&mut [u8]> = memory.iter_mut().map(|m| bytes_of(m)).collect();
    for (k, (array, dtype)) in arrays.iter_mut().zip(&dtypes).enumerate() {
        for (e, element) in array.chunks_exact_mut(dtype.size()).take(n).enumerate() {
            let value = ((e * 7919 + k * 104_729) % 1009) as f64 / 1009.0 * 1.5 - 0.4;
            match dtype {
                DType::F32 => element.copy_from_slice(&(value as f32).to_ne_bytes()),
                DType::F64 => element.copy_from_slice(&value.to_ne_bytes()),
                _ => {}
            }
        }
    }
    let args: Vec<*mut u8> = arrays.iter_mut().map(|a| a.as_mut_ptr()).collect();
    let steps: Vec<isize> = access
        .iter()
        .zip(&dtypes)
        .map(|(a, d)| {
            if *a == Access::Uniform {
                0
            } else {
                d.size() as isize
            }
        })
        .collect();
    let (dims, status) = (n as isize, KernelStatus::default());
    let run = |code: &dyn CompiledKernel, times: usize| {
        let start = Instant::now();
        for _ in 0..times {
            let data = std::ptr::from_ref(&status).cast();
            // SAFETY: the arrays have `n` elements, a multiple of every lane count, with steps as their access says.
            unsafe { code.call(args.as_ptr(), &dims, steps.as_ptr(), data) };
        }
        start.elapsed().as_secs_f64() * 1e9 / (times * n) as f64
    };
    let once = run(&*codes[0], 2) * n as f64;
    let times = (150e3 / once).ceil().max(1.0) as usize;
    let rounds = 0..60;
    rounds
        .map(|_| codes.iter().map(|code| run(&**code, times)).collect())
        .collect()
}

/// A cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    _bytes: [u8; 64],
}

/// The bytes of cache lines.
fn bytes_of(lines: &mut [Line]) -> &mut [u8] {
    let (start, len) = (lines.as_mut_ptr(), size_of_val(lines));
    // SAFETY: a line is 64 bytes and nothing else.
    unsafe { std::slice::from_raw_parts_mut(start.cast(), len) }
}
