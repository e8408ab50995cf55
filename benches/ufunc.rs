//! Ufunc calls and methods on one core against NumPy, which runs beside this process and takes turns with it.
//!
//! `cargo bench --bench ufunc [WORD..]`: lines with all the words. The figure is NumPy's time over kjit's, each the
//! median of the turns: above 1 kjit is faster. `KJIT_PYTHON` names a Python with NumPy (else `python3`).

#[path = "common/mod.rs"]
mod common;
#[path = "common/peer.rs"]
mod peer;

use common::{geometric_mean, wanted};
use kjit::{
    Arg, Array, Axis, Casting, DType, Engine, EngineOptions, KernelSpec, Program, Reduce, ReduceOp,
    SliceIndex, Source, Ufunc,
};
use peer::Peer;
use std::sync::Arc;

const SOURCE: &str = "
ufunc add<T: number>(a: T, b: T) -> T identity 0 { a + b }
ufunc multiply<T: number>(a: T, b: T) -> T identity 1 { a * b }
ufunc maximum<T: number>(a: T, b: T) -> T { max(a, b) }
ufunc discriminant<T: float>(a: T, b: T, c: T) -> T { sqrt(b * b + 4 * a * c) }
";

/// Elements of an array that fits the first-level cache, the second-level cache, and neither.
const SIZES: [(&str, usize); 3] = [("L1", 1000), ("L2", 50_000), ("DRAM", 4_000_000)];

struct Bench {
    engine: Engine,
    program: Arc<Program>,
    peer: Peer,
    ratios: Vec<f64>,
}

fn main() {
    let program = Program::compile(Source::new("bench.k", SOURCE)).expect("the benchmark's source");
    let mut bench = Bench {
        engine: Engine::new(EngineOptions::default()).expect("the cpu engine"),
        program: Arc::new(program),
        peer: Peer::start(),
        ratios: Vec::new(),
    };
    println!(
        "{}; NumPy's time over kjit's, above 1 kjit is faster",
        bench.peer.version
    );
    for dtype in [DType::F32, DType::F64] {
        bench.contiguous(dtype);
        bench.strided(dtype);
        bench.broadcast(dtype);
        bench.reductions(dtype);
        bench.listed(dtype);
        bench.fused(dtype);
    }
    bench.casting();
    bench.overhead();
    let slow = bench.ratios.iter().filter(|r| **r < 0.9).count();
    println!(
        "geometric mean {:.2}, {} lines, {slow} below 0.9",
        geometric_mean(&bench.ratios),
        bench.ratios.len()
    );
}

/// Numbers in 0.5 .. 1.5, as NumPy's side makes them.
fn numbers(dtype: DType, shape: &[usize]) -> Array {
    let n = shape.iter().product();
    let values: Vec<f64> = (0..n).map(|i| (i % 1009) as f64 / 1009.0 + 0.5).collect();
    let array = Array::from_vec(values, shape).expect("an array");
    match dtype {
        DType::F32 | DType::F64 => array.cast(dtype).expect("a float array"),
        _ => {
            let values: Vec<i64> = (0..n).map(|i| (i % 101) as i64).collect();
            let array = Array::from_vec(values, shape).expect("an array");
            array.cast(dtype).expect("an integer array")
        }
    }
}

/// The statement that makes the same array in NumPy.
fn numpy(name: &str, dtype: DType, shape: &[usize]) -> String {
    let n: usize = shape.iter().product();
    let values = match dtype {
        DType::F32 | DType::F64 => format!("np.arange({n}) % 1009 / 1009 + 0.5"),
        _ => format!("np.arange({n}) % 101"),
    };
    format!(
        "{name} = ({values}).astype(np.{}).reshape({shape:?}); ",
        dtype.numpy_name()
    )
}

/// Every second element of the first axis.
fn every_second(array: &Array) -> Array {
    let index = SliceIndex::Range {
        start: None,
        end: None,
        step: 2,
    };
    array.slice(&[index]).expect("a slice")
}

impl Bench {
    fn ufunc(&self, name: &str) -> Ufunc {
        Ufunc::new(&self.program, name).expect("a ufunc")
    }

    /// Compares one statement of NumPy with what `run` does.
    fn versus(&mut self, title: &str, setup: &str, statement: &str, mut run: impl FnMut(&Engine)) {
        if wanted(title) {
            let engine = &self.engine;
            self.ratios
                .push(self.peer.versus(title, setup, statement, || run(engine)));
        }
    }

    /// Compares a call of a ufunc into an array that is there already.
    fn call(
        &mut self,
        title: &str,
        setup: &str,
        statement: &str,
        f: &str,
        args: &[Arg],
        out: Array,
    ) {
        let f = self.ufunc(f);
        let mut outs = [out];
        self.versus(title, setup, statement, |engine| {
            let call = f.on(engine).casting(Casting::SameKind).out(&mut outs);
            call.call(args).expect("a call");
        });
    }

    fn contiguous(&mut self, dtype: DType) {
        for (place, n) in SIZES {
            for f in ["add", "multiply"] {
                let shape = [n];
                let title = format!("{f} {dtype} contiguous {place}");
                if !wanted(&title) {
                    continue; // and spare the making of its data
                }
                let setup = numpy("x", dtype, &shape) + "y = x.copy(); z = x.copy()";
                let (x, y) = (numbers(dtype, &shape), numbers(dtype, &shape));
                let out = Array::zeros(dtype, &shape).expect("an array");
                let args = [Arg::from(&x), Arg::from(&y)];
                self.call(
                    &title,
                    &setup,
                    &format!("np.{f}(x, y, out=z)"),
                    f,
                    &args,
                    out,
                );
            }
        }
    }

    fn strided(&mut self, dtype: DType) {
        for (place, n) in SIZES {
            let title = format!("add {dtype} strided {place}");
            if !wanted(&title) {
                continue;
            }
            let setup = numpy("x", dtype, &[2 * n]) + "y = x.copy()[::2]; x = x[::2]; z = x.copy()";
            let x = every_second(&numbers(dtype, &[2 * n]));
            let y = every_second(&numbers(dtype, &[2 * n]));
            let out = Array::zeros(dtype, &[n]).expect("an array");
            let args = [Arg::from(&x), Arg::from(&y)];
            self.call(&title, &setup, "np.add(x, y, out=z)", "add", &args, out);
        }
        for side in [100, 1000] {
            let shape = [side, side];
            let setup = numpy("x", dtype, &shape) + "y = x.copy().T; z = x.copy()";
            let x = numbers(dtype, &shape);
            let y = numbers(dtype, &shape).transpose();
            let out = Array::zeros(dtype, &shape).expect("an array");
            let args = [Arg::from(&x), Arg::from(&y)];
            let title = format!("add {dtype} transposed {side}x{side}");
            self.call(&title, &setup, "np.add(x, y, out=z)", "add", &args, out);
        }
    }

    fn broadcast(&mut self, dtype: DType) {
        for (rows, columns) in [(1000, 1000), (10_000, 10), (10, 10_000)] {
            let shape = [rows, columns];
            let setup = numpy("x", dtype, &shape)
                + "row = x[0].copy(); column = x[:, :1].copy(); one = x[0, 0]; z = x.copy()";
            let x = numbers(dtype, &shape);
            let whole = SliceIndex::ALL;
            let row = x.slice(&[SliceIndex::At(0)]).expect("a row");
            let first = SliceIndex::Range {
                start: Some(0),
                end: Some(1),
                step: 1,
            };
            let column = x.slice(&[whole, first]).expect("a column");
            let column = column
                .cast(DType::F64)
                .and_then(|c| c.cast(dtype))
                .expect("a copy");
            let others = [
                ("row", Arg::from(&row)),
                ("column", Arg::from(&column)),
                ("one", Arg::from(0.5)),
            ];
            for (name, other) in others {
                let out = Array::zeros(dtype, &shape).expect("an array");
                let title = format!("add {dtype} {name} to {rows}x{columns}");
                let statement = format!("np.add(x, {name}, out=z)");
                self.call(
                    &title,
                    &setup,
                    &statement,
                    "add",
                    &[Arg::from(&x), other],
                    out,
                );
            }
        }
    }

    fn casting(&mut self) {
        use DType::{F32, F64, I8, I16, I32, I64};
        let cases = [
            (I32, F64, F64),
            (F32, F64, F64),
            (F32, F32, F64),
            (F64, F64, F32),
            (I8, I16, I16),
            (I32, I64, I64),
            (I32, I32, F64),
        ];
        for (a, b, out) in cases {
            for (place, n) in [("L2", 20_000), ("DRAM", 2_000_000)] {
                let shape = [n];
                let title = format!("add {a} {b} out {out} {place}");
                if !wanted(&title) {
                    continue;
                }
                let setup =
                    numpy("x", a, &shape) + &numpy("y", b, &shape) + &numpy("z", out, &shape);
                let args = [
                    Arg::from(&numbers(a, &shape)),
                    Arg::from(&numbers(b, &shape)),
                ];
                let z = Array::zeros(out, &shape).expect("an array");
                self.call(&title, &setup, "np.add(x, y, out=z)", "add", &args, z);
            }
        }
    }

    /// What a call costs whatever its size.
    fn overhead(&mut self) {
        for dtype in [DType::F64, DType::F32] {
            for n in [1, 10, 1000] {
                let shape = [n];
                let setup = numpy("x", dtype, &shape) + "y = x.copy(); z = x.copy()";
                let args = [
                    Arg::from(&numbers(dtype, &shape)),
                    Arg::from(&numbers(dtype, &shape)),
                ];
                let f = self.ufunc("add");
                let title = format!("add {dtype} of {n} new");
                self.versus(&title, &setup, "np.add(x, y)", |engine| {
                    f.call(engine, &args).expect("a call");
                });
                let title = format!("add {dtype} of {n} and a number");
                let half = [args[0].clone(), Arg::from(0.5)];
                self.versus(&title, &setup, "np.add(x, 0.5)", |engine| {
                    f.call(engine, &half).expect("a call");
                });
                let out = Array::zeros(dtype, &shape).expect("an array");
                let title = format!("add {dtype} of {n} out");
                self.call(&title, &setup, "np.add(x, y, out=z)", "add", &args, out);
            }
            let setup = numpy("x", dtype, &[10]);
            let x = numbers(dtype, &[10]);
            let f = self.ufunc("add");
            let title = format!("add.reduce {dtype} of 10");
            self.versus(&title, &setup, "np.add.reduce(x)", |engine| {
                f.reduce(engine, &x, &Reduce::default()).expect("a sum");
            });
            let (shape, setup) = ([10, 10], numpy("x", dtype, &[10, 10]));
            let x = numbers(dtype, &shape);
            let f = self.ufunc("add");
            let title = format!("add.reduce {dtype} of 10x10 axis 0");
            self.versus(&title, &setup, "np.add.reduce(x, axis=0)", |engine| {
                f.reduce(engine, &x, &Reduce::default()).expect("sums");
            });
        }
    }

    fn reductions(&mut self, dtype: DType) {
        for (rows, columns) in [(30, 30), (1000, 1000), (100_000, 20), (20, 100_000)] {
            let shape = [rows, columns];
            let setup = numpy("x", dtype, &shape) + "y = x.copy(); v = x.ravel(); w = y.ravel()";
            let (x, y) = (numbers(dtype, &shape), numbers(dtype, &shape));
            let axes = [
                ("all", Axis::All, "None"),
                ("axis 0", Axis::One(0), "0"),
                ("axis 1", Axis::One(1), "1"),
            ];
            for (word, axis, text) in axes {
                for f in ["add", "maximum"] {
                    let options = Reduce {
                        axis: axis.clone(),
                        ..Default::default()
                    };
                    let ufunc = self.ufunc(f);
                    let title = format!("{f}.reduce {dtype} {rows}x{columns} {word}");
                    let statement = format!("np.{f}.reduce(x, axis={text})");
                    self.versus(&title, &setup, &statement, |engine| {
                        ufunc.reduce(engine, &x, &options).expect("a reduction");
                    });
                }
            }
            let program = self.program.clone();
            let spec = KernelSpec::Ufunc {
                name: "multiply".into(),
                generics: vec![dtype],
                masked: false,
            };
            let inputs = [x.clone(), y.clone()];
            let title = format!("dot {dtype} {rows}x{columns}");
            self.versus(&title, &setup, "np.dot(v, w)", |engine| {
                let sum = engine.reduce(&program, &spec, &inputs, &shape, dtype, ReduceOp::Sum);
                sum.expect("a product");
            });
            for (axis, text) in [(0, "0"), (1, "1")] {
                let add = self.ufunc("add");
                let title = format!("add.accumulate {dtype} {rows}x{columns} axis {axis}");
                let statement = format!("np.add.accumulate(x, axis={text})");
                self.versus(&title, &setup, &statement, |engine| {
                    add.accumulate(engine, &x, axis, None).expect("sums");
                });
            }
        }
    }

    /// Slices and positions that a list names.
    fn listed(&mut self, dtype: DType) {
        let (n, bins) = (100_000, 1000);
        let x = numbers(dtype, &[n]);
        for length in [3, 10, 100] {
            let starts: Vec<i64> = (0..n as i64).step_by(length).collect();
            let starts = Array::from_vec(starts.clone(), &[starts.len()]).expect("an array");
            let setup = numpy("x", dtype, &[n]) + &format!("i = np.arange(0, {n}, {length})");
            for f in ["add", "maximum"] {
                let ufunc = self.ufunc(f);
                let title = format!("{f}.reduceat {dtype} slices of {length}");
                let statement = format!("np.{f}.reduceat(x, i)");
                self.versus(&title, &setup, &statement, |engine| {
                    ufunc.reduceat(engine, &x, &starts, 0, None).expect("sums");
                });
            }
        }
        let places: Vec<i64> = (0..n as i64).map(|i| i * 7919 % bins).collect();
        let places = Array::from_vec(places, &[n]).expect("an array");
        let setup = numpy("x", dtype, &[n])
            + &format!("i = np.arange({n}) * 7919 % {bins}; z = x[:{bins}].copy()");
        let mut target = numbers(dtype, &[bins as usize]);
        let values = Arg::from(&x);
        for f in ["add", "maximum"] {
            let ufunc = self.ufunc(f);
            let title = format!("{f}.at {dtype} in {bins} places");
            let statement = format!("np.{f}.at(z, i, x)");
            self.versus(&title, &setup, &statement, |engine| {
                let done = ufunc.at(engine, &mut target, &places, Some(&values));
                done.expect("a change");
            });
        }
        let few = Array::from_vec(vec![3i64, 1, 3], &[3]).expect("an array");
        let ufunc = self.ufunc("add");
        let setup = numpy("z", dtype, &[10]) + "i = np.array([3, 1, 3])";
        let mut target = numbers(dtype, &[10]);
        let title = format!("add.at {dtype} of 3");
        self.versus(&title, &setup, "np.add.at(z, i, 1)", |engine| {
            let done = ufunc.at(engine, &mut target, &few, Some(&Arg::from(1)));
            done.expect("a change");
        });
    }

    fn fused(&mut self, dtype: DType) {
        for (place, n) in SIZES {
            let shape = [n];
            let title = format!("discriminant {dtype} {place}");
            if !wanted(&title) {
                continue;
            }
            let setup = numpy("x", dtype, &shape) + "y = x.copy(); w = x.copy()";
            let x = numbers(dtype, &shape);
            let args = [Arg::from(&x), Arg::from(&x), Arg::from(&x)];
            let f = self.ufunc("discriminant");
            self.versus(&title, &setup, "np.sqrt(y * y + 4 * x * w)", |engine| {
                f.call(engine, &args).expect("a call");
            });
        }
    }
}
