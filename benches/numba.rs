//! Whole kernels on one core and on every core against Numba with Intel's SVML, which runs beside this process and takes turns
//! with it: `benches/numba.sh`, then `cargo bench --bench numba [WORD..]`, the lines with all the words.
//!
//! The figure is Numba's time over kjit's: above 1 kjit is faster. Both are whole calls that write into an array that is there
//! already (sum and dot give a number), in the default grade: no `fastmath`. Numba's threads spin for a while when their work is
//! done, so that its process is stopped while kjit has its turn. Then what compiling took, from text to code, once
//! everything is warm; and at the end how much faster kjit's parallel target is than one core.

#[path = "common/mod.rs"]
mod common;
#[path = "common/kernels.rs"]
mod kernels;
#[path = "common/peer.rs"]
mod peer;

use common::{geometric_mean, quantile, wanted};
use kernels::{Bench, KERNELS};
use kjit::{
    Array, CompileOptions, CpuCode, DType, Engine, EngineOptions, Isa, KernelSpec, Program,
    ReduceOp, Source, Target,
};
use kjit_driver::{compile_cpu, scalar_kernel};
use kjit_ir::Access;
use peer::Peer;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Bytes of an array that fits the second-level cache, and of one that fits none.
const SIZES: [(&str, usize); 2] = [("L2", 128 << 10), ("DRAM", 64 << 20)];
const TARGETS: [Target; 2] = [Target::Cpu, Target::Parallel];
const NAMES: [&str; 2] = ["cpu", "parallel"];
/// Turns of each side.
const ROUNDS: usize = 15;

fn main() {
    let mut peer = start();
    println!(
        "{}; us a call, Numba's time over kjit's; us to compile",
        peer.version
    );
    println!(
        "{:<32} {:>11} {:>11} {:>7}   {:>8} {:>9}",
        "kernel", "kjit", "numba", "ratio", "kjit", "numba"
    );
    let mut ratios = [Vec::new(), Vec::new()];
    let mut speedups = Vec::new();
    for bench in &KERNELS {
        let name = bench.name;
        for dtype in [DType::F32, DType::F64] {
            for (place, bytes) in SIZES {
                let case = Case::new(bench, dtype, bytes / dtype.size());
                let mut times = [0.0; 2];
                for (parallel, target) in TARGETS.into_iter().enumerate() {
                    let title = format!("{name} {dtype} {} {place}", NAMES[parallel]);
                    // Mandelbrot does not depend on memory.
                    if !wanted(&title) || (name, place) == ("mandelbrot", "DRAM") {
                        continue;
                    }
                    let (ours, theirs) = case.versus(&mut peer, target);
                    let (kjit, numba) = case.compilations(&mut peer, target);
                    println!(
                        "{title:<32} {:>11.1} {:>11.1} {:>7.2}   {kjit:>8.0} {numba:>9.0}",
                        ours * 1e6,
                        theirs * 1e6,
                        theirs / ours
                    );
                    ratios[parallel].push((theirs / ours, title));
                    times[parallel] = ours;
                }
                if times.iter().all(|t| *t > 0.0) {
                    speedups.push((times[0] / times[1], format!("{name} {dtype} {place}")));
                }
            }
        }
    }
    for (list, target) in ratios.into_iter().zip(NAMES) {
        report(&format!("{target}: Numba's time over kjit's"), list);
    }
    report("kjit on every core over one", speedups);
}

fn report(what: &str, mut list: Vec<(f64, String)>) {
    list.sort_by(|a, b| a.0.total_cmp(&b.0));
    let Some((least, title)) = list.first() else {
        return;
    };
    let all: Vec<f64> = list.iter().map(|(ratio, _)| *ratio).collect();
    println!(
        "{what}: geometric mean {:.2} of {}, lowest {least:.2} ({title})",
        geometric_mean(&all),
        all.len()
    );
}

fn start() -> Peer {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("target/numba");
    let python = folder.join("bin/python");
    assert!(python.exists(), "no Numba: run benches/numba.sh first");
    let mut command = Command::new(&python);
    // Where Numba looks for SVML.
    command.env("LD_LIBRARY_PATH", folder.join("lib"));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    command.env("NUMBA_NUM_THREADS", threads.to_string());
    let mut peer = Peer::of(command.arg(root.join("benches/numba_peer.py")));
    peer.turn = Duration::from_millis(4);
    assert!(
        peer.version.ends_with("with SVML"),
        "Numba does not call SVML: run benches/numba.sh again"
    );
    peer
}

struct Case {
    bench: &'static Bench,
    dtype: DType,
    n: usize,
    inputs: Vec<Array>,
}

impl Case {
    fn new(bench: &'static Bench, dtype: DType, n: usize) -> Case {
        let inputs = bench.inputs.iter().enumerate();
        let inputs = inputs.map(|(k, r)| values(dtype, n, *r, k)).collect();
        Case {
            bench,
            dtype,
            n,
            inputs,
        }
    }

    fn source(&self) -> Source {
        Source::new("numba.k", self.bench.text)
    }

    fn spec(&self) -> KernelSpec {
        KernelSpec::Ufunc {
            name: self.bench.name.into(),
            generics: vec![self.dtype],
            masked: false,
        }
    }

    /// Arrays of the other side, the same numbers; then its loop.
    fn setup(&self, target: Target) -> String {
        format!(
            "inputs = [values({}, {:?}, k, r) for k, r in enumerate({:?})]; f = kernel({:?}, {:?}, {}, inputs); \
             out = result({:?}, inputs)",
            self.n,
            numpy(self.dtype),
            self.bench.inputs,
            self.bench.name,
            numpy(self.dtype),
            if target == Target::Parallel {
                "True"
            } else {
                "False"
            },
            self.bench.name,
        )
    }

    /// Seconds of a call of ours and of theirs: the fast quarter of their turns.
    fn versus(&self, peer: &mut Peer, target: Target) -> (f64, f64) {
        let program = Program::compile(self.source()).expect("the benchmark's source");
        let options = EngineOptions {
            target,
            ..EngineOptions::default()
        };
        let engine = Engine::new(options).expect("an engine of the cpu");
        let kernel = engine.kernel(&program, &self.spec()).expect("a kernel");
        let out = if self.bench.name == "mandelbrot" {
            DType::I32
        } else {
            self.dtype
        };
        let mut outs = [Array::zeros(out, &[self.n]).expect("an array")];
        let mut call = || {
            if self.bench.is_sum() {
                let (shape, dtype) = ([self.n], self.dtype);
                let sum = engine.reduce_call(&kernel, &self.inputs, &shape, dtype, ReduceOp::Sum);
                std::hint::black_box(sum.expect("a sum"));
            } else {
                engine
                    .call_into(&kernel, &self.inputs, &mut outs)
                    .expect("a call");
            }
        };
        let (setup, statement) = (self.setup(target), "f(*inputs, *out)");
        call();
        peer.turn(&setup, statement);
        let once = (0..3).map(|_| time(1, &mut call)).fold(f64::MAX, f64::min);
        let repeats = ((peer.turn.as_secs_f64() / once) as usize).max(1);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            peer.pause(true);
            call();
            ours.push(time(repeats, &mut call));
            peer.pause(false);
            theirs.push(peer.turn(&setup, statement));
        }
        (quantile(ours, 0.25), quantile(theirs, 0.25))
    }

    /// Microseconds to compile, warm.
    fn compilations(&self, peer: &mut Peer, target: Target) -> (f64, f64) {
        let compile = || {
            let start = Instant::now();
            let program = Program::compile(self.source()).expect("a kernel");
            let kernel = scalar_kernel(&program, &self.spec(), CompileOptions::default());
            let kernel = kernel.expect("a kernel");
            let access = vec![Access::Contiguous; kernel.arrays.len()];
            compile_cpu(&kernel, &access, CpuCode::Vector(Isa::preferred())).expect("code");
            start.elapsed().as_secs_f64() * 1e6
        };
        let ours = (0..15).map(|_| compile()).collect();
        let theirs = peer.ask(&self.setup(target), "?f.microseconds");
        (quantile(ours, 0.5), theirs.parse().expect("a time"))
    }
}

fn numpy(dtype: DType) -> &'static str {
    if dtype == DType::F32 { "f4" } else { "f8" }
}

/// Numbers all over a range, in no order; the other side makes the same ones.
fn values(dtype: DType, n: usize, [from, to]: [f64; 2], k: usize) -> Array {
    let (count, shape) = if from == to {
        (1, vec![])
    } else {
        (n, vec![n])
    };
    let value =
        |e: usize| from + (to - from) * ((e * 7919 + k * 104_729) % 10_007) as f64 / 10_007.0;
    let array = match dtype {
        DType::F32 => Array::from_vec((0..count).map(|e| value(e) as f32).collect(), &shape),
        _ => Array::from_vec((0..count).map(value).collect(), &shape),
    };
    array.expect("an array")
}

/// Seconds of one of `repeats` runs.
fn time(repeats: usize, run: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..repeats {
        run();
    }
    start.elapsed().as_secs_f64() / repeats as f64
}
