//! Code of 256 and 512 bits against loops written by hand with intrinsics of the same width:
//! `cargo bench --bench wide [WORD..]`, the lines with all the words.
//!
//! One process, one core. The contenders take turns: kjit's code, and each hand-written loop with one, two and four
//! vectors at a time, of which the fastest counts. The figure is kjit's time over that one's, of the fast turns. Both
//! compute the same operations in the same order, which is checked bit by bit. `sum` and `dot` are whole calls of the
//! runtime's loops, the others compiled loops alone.

#[path = "common/mod.rs"]
mod common;
#[cfg(target_arch = "x86_64")]
#[path = "wide/mod.rs"]
mod wide;

use common::{Contender, fast_times, geometric_mean, quantile, wanted};
use kjit::{Array, DType, Engine, EngineOptions, KernelSpec, Program, ReduceOp, Source};
use kjit_driver::{CompileOptions, CpuCode, Isa, compile_cpu, scalar_kernel};
use kjit_ir::abi::KernelStatus;
use kjit_ir::target::CompiledKernel;
use kjit_ir::{Access, FusedExpr, FusedNode, FusedOp, Loc};
use std::sync::Arc;
use std::time::Instant;

const SOURCE: &str = "
ufunc saxpy<T: float>(a: T, x: T, y: T) -> T { a * x + y }
ufunc discriminant<T: float>(a: T, b: T, c: T) -> T { sqrt(b * b - 4 * a * c) }
ufunc polynomial<T: float>(x: T) -> T {
    let mut y: T = 0.5;
    y = fma(y, x, 0.1); y = fma(y, x, 0.2); y = fma(y, x, 0.3); y = fma(y, x, 0.4);
    y = fma(y, x, 1.1); y = fma(y, x, 1.2); y = fma(y, x, 1.3); y = fma(y, x, 1.4);
    y = fma(y, x, 2.1); y = fma(y, x, 2.2); y = fma(y, x, 2.3); y = fma(y, x, 2.4);
    y = fma(y, x, 3.1); y = fma(y, x, 3.2); y = fma(y, x, 3.3); y = fma(y, x, 3.4);
    y
}
ufunc gaussian<T: float>(x: T) -> T { exp(-0.5 * x * x) * 0.3989422804014327 }
ufunc black_scholes<T: float>(s: T, k: T, t: T) -> T {
    let root = 0.2 * sqrt(t);
    let d = (log(s / k) + 0.05 * t) / root;
    s * ndtr(d) - k * exp(-0.03 * t) * ndtr(d - root)
}
ufunc mandelbrot<T: float>(cr: T, ci: T) -> i32 {
    let mut zr: T = 0; let mut zi: T = 0; let mut n: i32 = 0;
    while n < 64 && zr * zr + zi * zi <= 4 {
        let next = zr * zr - zi * zi + cr; zi = 2 * zr * zi + ci; zr = next; n += 1;
    }
    n
}
ufunc dot<T: float>(x: T, y: T) -> T { x * y }
";

/// Name, and the values of each input: from and to; the same twice is one for all elements.
const KERNELS: [(&str, &[[f64; 2]]); 8] = [
    ("saxpy", &[[1.5, 1.5], [-0.4, 1.1], [-0.4, 1.1]]),
    ("discriminant", &[[-0.4, 1.1]; 3]),
    ("polynomial", &[[-0.4, 1.1]]),
    ("gaussian", &[[-5.0, 5.0]]),
    ("black_scholes", &[[50.0, 150.0], [50.0, 150.0], [0.1, 2.0]]),
    ("mandelbrot", &[[-2.25, 0.75], [-1.0, 1.0]]),
    ("sum", &[[-0.4, 1.1]]),
    ("dot", &[[-0.4, 1.1], [-0.4, 1.1]]),
];

/// Bytes of an array that fits the first-level cache, the second-level cache, and neither.
const SIZES: [(&str, usize); 3] = [("L1", 8 << 10), ("L2", 128 << 10), ("DRAM", 64 << 20)];

fn main() {
    #[cfg(not(target_arch = "x86_64"))]
    println!("for x86-64 alone");
    #[cfg(target_arch = "x86_64")]
    compare_all();
}

#[cfg(target_arch = "x86_64")]
fn compare_all() {
    let program = Program::compile(Source::new("bench.k", SOURCE)).expect("the benchmark's source");
    let program = Arc::new(program);
    let mut ratios = Vec::new();
    let isas = [Isa::Avx2, Isa::Avx512];
    println!("kjit's time over the best hand-written loop's; ns an element");
    for (name, inputs) in KERNELS {
        for dtype in [DType::F32, DType::F64] {
            for (tier, isa) in isas
                .into_iter()
                .enumerate()
                .filter(|(_, isa)| isa.is_available())
            {
                let hand = wide::of(name)[tier][usize::from(dtype == DType::F64)];
                for (place, bytes) in SIZES {
                    let title = format!("{name} {dtype} {} {place}", isa.name());
                    // Mandelbrot does not depend on memory; a call costs more than to sum up so little.
                    let skipped = matches!(
                        (name, place),
                        ("mandelbrot", "DRAM") | ("sum" | "dot", "L1")
                    );
                    if skipped || !wanted(&title) {
                        continue;
                    }
                    let bytes = match (name, place) {
                        ("sum" | "dot", "L2") => 4 * bytes,
                        _ => bytes,
                    };
                    let n = bytes / dtype.size();
                    let spec = KernelSpec::Ufunc {
                        name: name.into(),
                        generics: vec![dtype],
                        masked: false,
                    };
                    let inputs: Vec<Array> = inputs
                        .iter()
                        .enumerate()
                        .map(|(k, r)| values(dtype, n, *r, k))
                        .collect();
                    let case = Case {
                        program: &program,
                        spec,
                        isa,
                        inputs,
                        dtype,
                        n,
                    };
                    let ours = match name {
                        "sum" | "dot" => case.reduction(),
                        _ => case.loop_alone(),
                    };
                    let ratio = case.versus(&title, ours, hand);
                    ratios.push((ratio, title));
                }
            }
        }
    }
    ratios.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (ratio, title) in ratios.iter().take(8) {
        println!("{ratio:>6.3} {title}");
    }
    let ratios: Vec<f64> = ratios.into_iter().map(|(ratio, _)| ratio).collect();
    println!(
        "geometric mean {:.3} of {}",
        geometric_mean(&ratios),
        ratios.len()
    );
}

/// Numbers all over a range, in no order.
fn values(dtype: DType, n: usize, [from, to]: [f64; 2], k: usize) -> Array {
    let count = if from == to { 1 } else { n };
    let shape: &[usize] = if from == to { &[] } else { &[n] };
    let value = |e: usize| {
        let part = match to - from {
            // The plane of Mandelbrot's set, a row after the other.
            3.0 => (e % 256) as f64 / 256.0,
            2.0 if from == -1.0 => (e / 256) as f64 / (n as f64 / 256.0),
            _ => ((e * 7919 + k * 104_729) % 10_007) as f64 / 10_007.0,
        };
        from + part * (to - from)
    };
    let array = match dtype {
        DType::F32 => Array::from_vec((0..count).map(|e| value(e) as f32).collect(), shape),
        _ => Array::from_vec((0..count).map(value).collect(), shape),
    };
    array.expect("an array")
}

/// One line of the report.
struct Case<'a> {
    program: &'a Arc<Program>,
    spec: KernelSpec,
    isa: Isa,
    inputs: Vec<Array>,
    dtype: DType,
    n: usize,
}

/// Ours, and where it puts its result.
struct Ours<'a> {
    /// The same with code for arrays larger than the caches.
    stream: Option<Box<dyn FnMut(*mut u8) + 'a>>,
    /// Microseconds to make code of the optimised kernel, warm.
    micros: f64,
    run: Box<dyn FnMut(*mut u8) + 'a>,
    dtype: DType,
    count: usize,
}

impl Case<'_> {
    /// Where each input is.
    fn pointers(&self) -> Vec<*mut u8> {
        let inputs = self.inputs.iter();
        inputs
            .map(|i| i.as_ptr().expect("an array on the host").cast_mut())
            .collect()
    }

    /// The compiled loop, called as a hand-written one is.
    fn loop_alone(&self) -> Ours<'_> {
        let kernel = scalar_kernel(self.program, &self.spec, CompileOptions::default());
        let kernel = kernel.expect("a kernel");
        let uniform = |input: &Array| {
            if input.ndim() == 0 {
                Access::Uniform
            } else {
                Access::Contiguous
            }
        };
        let mut access: Vec<Access> = self.inputs.iter().map(uniform).collect();
        access.push(Access::Contiguous);
        let dtypes = kernel.arrays.iter().map(|a| a.dtype.size() as isize);
        let steps = dtypes
            .zip(&access)
            .map(|(size, a)| if *a == Access::Uniform { 0 } else { size });
        let steps: Vec<isize> = steps.collect();
        let code: Arc<dyn CompiledKernel> =
            compile_cpu(&kernel, &access, CpuCode::Vector(self.isa)).expect("code");
        let compile = || {
            let start = Instant::now();
            let code = compile_cpu(&kernel, &access, CpuCode::Vector(self.isa));
            (start.elapsed(), code).0.as_secs_f64() * 1e6
        };
        let micros = quantile((0..30).map(|_| compile()).collect(), 0.25);
        assert!(
            self.n.is_multiple_of(code.lanes()),
            "a whole number of vectors"
        );
        let mut args = self.pointers();
        args.push(std::ptr::null_mut());
        let out = args.len() - 1;
        let dims = self.n as isize;
        let runner = |code: Arc<dyn CompiledKernel>| {
            let (mut args, steps, status) = (args.clone(), steps.clone(), KernelStatus::default());
            Box::new(move |to: *mut u8| {
                args[out] = to;
                let data = std::ptr::from_ref(&status).cast();
                // SAFETY: the arrays have `n` elements, a multiple of the lanes, with steps as their access says; the
                // output is aligned, and no input.
                unsafe { code.call(args.as_ptr(), &dims, steps.as_ptr(), data) };
            })
        };
        let large = self.n >= 1 << 20;
        let stream = large.then(|| compile_cpu(&kernel, &access, CpuCode::Stream(self.isa)));
        Ours {
            stream: stream.map(|code| -> Box<dyn FnMut(*mut u8)> { runner(code.expect("code")) }),
            micros,
            dtype: kernel.arrays[out].dtype,
            count: self.n,
            run: runner(code),
        }
    }

    /// A call of the runtime.
    fn reduction(&self) -> Ours<'_> {
        let options = EngineOptions {
            isa: Some(self.isa),
            ..EngineOptions::default()
        };
        let engine = Engine::new(options).expect("the cpu engine");
        // As array programs ask for the sum of an array.
        let spec = match self.inputs.len() {
            1 => KernelSpec::Fused(FusedExpr {
                inputs: vec![self.dtype],
                nodes: vec![FusedNode {
                    op: FusedOp::Input(0),
                    args: Vec::new(),
                    loc: Loc::default(),
                }],
                outputs: vec![(0, 0)],
            }),
            _ => self.spec.clone(),
        };
        Ours {
            stream: None,
            micros: 0.0,
            dtype: self.dtype,
            count: 1,
            run: Box::new(move |out| {
                let (shape, dtype) = ([self.n], self.dtype);
                let sum = engine.reduce(
                    self.program,
                    &spec,
                    &self.inputs,
                    &shape,
                    dtype,
                    ReduceOp::Sum,
                );
                let sum = sum.expect("a sum").to_f64();
                // SAFETY: there is room for an element.
                unsafe {
                    match dtype {
                        DType::F32 => out.cast::<f32>().write(sum as f32),
                        _ => out.cast::<f64>().write(sum),
                    }
                }
            }),
        }
    }

    /// Checks that all give the same bits, and times them.
    #[cfg(target_arch = "x86_64")]
    fn versus(&self, title: &str, mut ours: Ours, hand: [wide::Loop; 3]) -> f64 {
        let mut out = Array::zeros(ours.dtype, &[ours.count]).expect("an array");
        let expected = {
            (ours.run)(out.bytes_mut().expect("an array on the host").as_mut_ptr());
            out.bytes_mut().expect("an array on the host").to_vec()
        };
        let to = out.bytes_mut().expect("an array on the host").as_mut_ptr();
        let mut args = self.pointers();
        args.push(to);
        let run = |by_hand: wide::Loop| {
            // SAFETY: the machine has the instructions; as many pointers as the kernel has parameters, to `n` elements.
            unsafe { by_hand(&args, self.n) }
        };
        for by_hand in hand {
            run(by_hand);
            // SAFETY: the array is there; nothing else uses it now.
            let got = unsafe { std::slice::from_raw_parts(to, expected.len()) };
            let same = got == expected;
            let start = expected.len().min(8);
            let (ours, by_hand) = (&expected[..start], &got[..start]);
            assert!(same, "{title}: {ours:?}, by hand {by_hand:?}");
        }
        let mut contenders = vec![
            Contender::new("kjit", || (ours.run)(to)),
            Contender::new("1", || run(hand[0])),
            Contender::new("2", || run(hand[1])),
            Contender::new("4", || run(hand[2])),
        ];
        if let Some(stream) = &mut ours.stream {
            contenders.push(Contender::new("stream", || stream(to)));
        }
        let times = fast_times(&mut contenders);
        let best = times[1].min(times[2]).min(times[3]);
        let ratio = times[0] / best;
        let ns = times
            .iter()
            .map(|t| format!("{:>8.4}", t * 1e9 / self.n as f64));
        let ns: Vec<String> = ns.collect();
        let by_hand = ns[1..4].join(" ");
        print!(
            "{title:<32} {ratio:>6.3}   kjit {}   by hand {by_hand}",
            ns[0]
        );
        if ours.micros > 0.0 {
            print!("   compiled in {:.0} us", ours.micros);
        }
        if let Some(stream) = times.get(4) {
            print!("   streaming {:.3} of plain", stream / times[0]);
        }
        println!();
        ratio
    }
}
