//! Functions of the library on one core: default and fast grade against a scalar loop over the C library's function, against
//! NumPy (and SciPy), and against Numba with Intel's SVML, which run beside this process and take turns with it.
//!
//! `cargo bench --bench math [WORD..]`: functions and dtypes with all the words. Nanoseconds an element; in brackets the
//! time of that contender over kjit's of the same grade (`fast` for Numba's fastmath): above 1 kjit is faster. Then what compiling a
//! kernel of that function took, the first of the process and later ones. `KJIT_PYTHON` names a Python with NumPy (else
//! `python3`); `benches/numba.sh` makes the one with Numba, without which that column is empty.

#[path = "common/mod.rs"]
mod common;
#[path = "math/functions.rs"]
mod functions;
#[path = "common/peer.rs"]
mod peer;

use common::{geometric_mean, quantile, wanted};
use functions::{Case, FUNCTIONS, Loop};
use kjit::{
    Access, Array, CompileOptions, CpuCode, DType, Element, Engine, EngineOptions, Isa, KernelSpec,
    Program, Source,
};
use kjit_driver::{compile_cpu, scalar_kernel};
use peer::Peer;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Elements of an array: three of f64 fit the first-level cache of most machines.
const N: usize = 1000;
/// A turn lasts about this long: shorter than a time slice, so that most turns are not interrupted.
const TURN: Duration = Duration::from_micros(300);
/// Turns of each contender.
const ROUNDS: usize = 40;
/// Warm compilations of a kernel.
const COMPILATIONS: usize = 15;

/// A name, and a turn: the seconds of one run.
type Contender<'a> = (&'static str, Box<dyn FnMut() -> f64 + 'a>);

/// The other processes.
struct Peers {
    numpy: Peer,
    numba: Option<Peer>,
}

/// Ratios to kjit, for the last lines.
#[derive(Default)]
struct Ratios {
    libm: Vec<f64>,
    numpy: Vec<f64>,
    numba: Vec<f64>,
    numba_fast: Vec<f64>,
}

fn main() {
    let mut peers = start();
    println!(
        "ns an element of {N}; in brackets over kjit's of the same grade, above 1 kjit is faster; compilation in us"
    );
    println!(
        "{:<14} {:>7} {:>7}   {:>14} {:>14} {:>14} {:>14}   {:>7} {:>7}",
        "function", "kjit", "fast", "libm", "numpy", "numba", "numba fast", "first", "later"
    );
    let (mut single, mut double) = (Ratios::default(), Ratios::default());
    for case in FUNCTIONS {
        bench(case, &mut peers, &mut single, case.loop32);
        bench(case, &mut peers, &mut double, case.loop64);
    }
    for (dtype, ratios) in [("f32", &single), ("f64", &double)] {
        let lists = [
            ("libm", &ratios.libm),
            ("numpy", &ratios.numpy),
            ("numba", &ratios.numba),
            ("numba fast", &ratios.numba_fast),
        ];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            let least = list.iter().copied().fold(f64::INFINITY, f64::min);
            let mean = geometric_mean(list);
            println!(
                "{dtype} over {name}: geometric mean {mean:.2}, lowest {least:.2}, {} functions",
                list.len()
            );
        }
    }
}

fn start() -> Peers {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("benches/math_peer.py");
    let python = std::env::var("KJIT_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut numpy = Peer::of(Command::new(python).arg(&script).arg("numpy"));
    numpy.turn = TURN;
    let folder = root.join("target/numba");
    let python = folder.join("bin/python");
    let numba = python.exists().then(|| {
        let mut command = Command::new(&python);
        // Where Numba looks for SVML.
        command.env("LD_LIBRARY_PATH", folder.join("lib"));
        let mut numba = Peer::of(command.arg(&script).arg("numba"));
        numba.turn = TURN;
        numba
    });
    match &numba {
        Some(numba) => println!("{}; {}", numpy.version, numba.version),
        None => println!("{}; no Numba (benches/numba.sh)", numpy.version),
    }
    if let Some(numba) = &numba {
        assert!(
            numba.version.ends_with("with SVML"),
            "Numba does not call SVML: run benches/numba.sh again"
        );
    }
    Peers { numpy, numba }
}

/// Numbers a benchmark computes with.
trait Float: Element {
    fn of(value: f64) -> Self;
    const NUMPY: &str;
}

impl Float for f32 {
    fn of(value: f64) -> f32 {
        value as f32
    }
    const NUMPY: &str = "f4";
}

impl Float for f64 {
    fn of(value: f64) -> f64 {
        value
    }
    const NUMPY: &str = "f8";
}

/// Numbers spread over a range, in no order; Python makes the same ones.
fn numbers<T: Float>((low, high): (f64, f64)) -> Vec<T> {
    let part = |i: usize| (i * 619 % 1009) as f64 / 1009.0;
    (0..N)
        .map(|i| T::of(low + (high - low) * part(i)))
        .collect()
}

/// One function in one dtype.
fn bench<T: Float>(case: &Case, peers: &mut Peers, ratios: &mut Ratios, by_hand: Option<Loop<T>>) {
    let title = format!("{} {}", case.name, T::DTYPE);
    if !wanted(&title) {
        return;
    }
    let compiled = compilations(case, T::DTYPE);
    let arguments = case.ranges.len();
    let columns: Vec<Vec<T>> = case.ranges.iter().map(|r| numbers(*r)).collect();
    let arrays: Vec<Array> = columns
        .iter()
        .map(|c| Array::from_vec(c.clone(), &[N]).expect("an array"))
        .collect();
    let program = program(case);
    let mut contenders: Vec<Contender<'_>> = Vec::new();
    for fast in [false, true] {
        let options = EngineOptions {
            fast,
            ..Default::default()
        };
        let engine = Engine::new(options).expect("the cpu engine");
        let kernel = engine.kernel(&program, &spec(T::DTYPE)).expect("a kernel");
        let mut outs = [Array::zeros(T::DTYPE, &[N]).expect("an array")];
        let arrays = arrays.clone();
        let mut repeats = 0;
        let run = move || {
            turn(&mut repeats, || {
                engine
                    .call_into(&kernel, &arrays, &mut outs)
                    .expect("a call");
            })
        };
        contenders.push((if fast { "fast" } else { "kjit" }, Box::new(run)));
    }
    if let Some(by_hand) = by_hand {
        let mut out = vec![T::of(0.0); N];
        let mut repeats = 0;
        let (x, y) = (&columns[0], &columns[arguments - 1]);
        contenders.push((
            "libm",
            Box::new(move || turn(&mut repeats, || by_hand(x, y, &mut out))),
        ));
    }
    let setup = |compile: &str| {
        let mut text = String::new();
        for (name, (low, high)) in ["x", "y"].iter().zip(case.ranges) {
            let part = format!("np.arange({N}) * 619 % 1009 / 1009");
            text += &format!(
                "{name} = ({low} + ({high} - {low}) * ({part})).astype('{}'); ",
                T::NUMPY
            );
        }
        text + "z = np.empty_like(x); " + compile
    };
    let inputs = ["x", "x, y"][arguments - 1];
    if !case.numpy.is_empty()
        && (!case.numpy.starts_with("special.") || peers.numpy.version.contains("scipy"))
    {
        let statement = format!("{}({inputs}, out=z)", case.numpy);
        let (peer, setup) = (&mut peers.numpy, setup(""));
        contenders.push(("numpy", Box::new(move || peer.turn(&setup, &statement))));
    }
    let mut vectorised = Vec::new();
    if let Some(peer) = peers.numba.as_mut().filter(|_| !case.numba.is_empty()) {
        // Both loops are made before the first turn.
        let make = |name: &str, fast: &str| {
            format!(
                "{name}, {name}_svml = loop('{}', {arguments}, '{}', {fast}); ",
                case.numba,
                T::NUMPY
            )
        };
        let setup = setup(&(make("f", "False") + &make("g", "True")));
        vectorised = ["f", "g"]
            .map(|f| peer.ask(&setup, &format!("?{f}_svml")) == "True")
            .to_vec();
        let peer = std::cell::RefCell::new(peer);
        let peer = std::rc::Rc::new(peer);
        for (name, f) in [("numba", "f"), ("numba fast", "g")] {
            let (peer, setup) = (peer.clone(), setup.clone());
            let statement = format!("{f}({inputs}, z)");
            contenders.push((
                name,
                Box::new(move || peer.borrow_mut().turn(&setup, &statement)),
            ));
        }
    }
    let mut times = vec![Vec::with_capacity(ROUNDS); contenders.len()];
    for (_, run) in &mut contenders {
        run();
    }
    for round in 0..ROUNDS {
        // Each is first in turn, so that none always comes when the time slice ends.
        for place in 0..contenders.len() {
            let place = (round + place) % contenders.len();
            times[place].push((contenders[place].1)() * 1e9 / N as f64);
        }
    }
    let names: Vec<&str> = contenders.iter().map(|(name, _)| *name).collect();
    let times: Vec<f64> = times.into_iter().map(|t| quantile(t, 0.25)).collect();
    let time = |name: &str| {
        names
            .iter()
            .position(|n| *n == name)
            .map(|place| times[place])
    };
    let (ours, fast) = (times[0], times[1]);
    let cell = |name: &str, to: f64, list: &mut Vec<f64>| match time(name) {
        None => format!("{:>14}", "-"),
        Some(t) => {
            list.push(t / to);
            format!("{t:>6.2} ({:>5.2})", t / to)
        }
    };
    let libm = cell("libm", ours, &mut ratios.libm);
    let numpy = cell("numpy", ours, &mut ratios.numpy);
    let numba = cell("numba", ours, &mut ratios.numba);
    let numba_fast = cell("numba fast", fast, &mut ratios.numba_fast);
    let scalar = match vectorised.contains(&false) {
        true => "  no SVML",
        false => "",
    };
    println!(
        "{title:<14} {ours:>7.2} {fast:>7.2}   {libm} {numpy} {numba} {numba_fast}   {:>7.0} {:>7.0}{scalar}",
        compiled.0, compiled.1
    );
}

/// Seconds of one of as many runs as a turn has time for.
fn turn(repeats: &mut usize, mut run: impl FnMut()) -> f64 {
    let mut time = |n: usize| {
        let start = Instant::now();
        (0..n).for_each(|_| run());
        start.elapsed().as_secs_f64() / n as f64
    };
    if *repeats == 0 {
        let once = (0..3).map(|_| time(1)).fold(f64::MAX, f64::min);
        *repeats = ((TURN.as_secs_f64() / once.max(2e-8)) as usize).max(1);
    }
    time(*repeats)
}

fn program(case: &Case) -> Program {
    let text = match case.ranges.len() {
        1 => format!("ufunc f<T: float>(x: T) -> T {{ {}(x) }}", case.name),
        _ => format!(
            "ufunc f<T: float>(x: T, y: T) -> T {{ {}(x, y) }}",
            case.name
        ),
    };
    Program::compile(Source::new("math.k", text)).expect("the benchmark's source")
}

fn spec(dtype: DType) -> KernelSpec {
    KernelSpec::Ufunc {
        name: "f".into(),
        generics: vec![dtype],
        masked: false,
    }
}

/// Microseconds from text to code: the first time in this process, and later on.
fn compilations(case: &Case, dtype: DType) -> (f64, f64) {
    let compile = || {
        let start = Instant::now();
        let kernel = scalar_kernel(&program(case), &spec(dtype), CompileOptions::default());
        let kernel = kernel.expect("a kernel");
        let access = vec![Access::Contiguous; kernel.arrays.len()];
        compile_cpu(&kernel, &access, CpuCode::Vector(Isa::preferred())).expect("code");
        start.elapsed().as_secs_f64() * 1e6
    };
    let first = compile();
    let later = (0..COMPILATIONS).map(|_| compile()).collect();
    (first, quantile(later, 0.25))
}
