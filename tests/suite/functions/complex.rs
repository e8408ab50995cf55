//! Functions of complex numbers on every target: the same bits, and for the arguments of `complex_answers.txt` within the bounds.

use super::{call, inputs::Rng, off, table};
use crate::support::{engines_of, repo};
use kjit::{Array, DType, HostBuffer, Program, Source};
use kjit_fuzz::compile::first_difference;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Arguments that are random, or drawn from the edges where a function has two; `cargo xtask accuracy --targets` takes more.
const INPUTS: u64 = 500;

/// How much smaller a large sample is than one of real functions, which the interpreter computes sooner.
const FEWER: u64 = 16;

/// The real and the imaginary part.
type Number = [f64; 2];

/// A function of complex numbers of the library.
struct Function {
    name: String,
    arguments: usize,
    /// Is the result true or false?
    asks: bool,
}

/// Those of `complex.k`.
fn functions() -> Vec<Function> {
    let text = std::fs::read_to_string(repo("frontend/src/library/complex.k")).expect("complex.k");
    let function = |line: &str| {
        let (name, rest) = line
            .strip_prefix("fn ")?
            .split_once("_complex<T: complex>(")?;
        Some(Function {
            name: name.into(),
            arguments: rest.split(')').next()?.split(',').count(),
            asks: rest.contains("-> bool"),
        })
    };
    text.lines().filter_map(function).collect()
}

/// A line of the answers: arguments first, the answer last.
struct Row {
    numbers: Vec<Number>,
    /// Are signs of zeros and infinities, or NaN, part of the answer?
    edge: bool,
}

/// What `complex_answers.txt` says about a function, as `complex_answers.py` tells.
fn answers(name: &str, dtype: DType) -> Vec<Row> {
    let text = std::fs::read_to_string(repo("frontend/src/library/complex_answers.txt"));
    let text = text.expect("answers");
    let row = |line: &str| {
        let (edge, line) = match line.strip_prefix("edge ") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let mut words = line.split(' ');
        let (function, part) = (words.next()?.replacen("arc", "a", 1), words.next()?);
        // Lines of edges are all f64.
        let wanted = if dtype == DType::C64 { "f32" } else { "f64" };
        if function != name || part != wanted {
            return None;
        }
        let number = |word: &str| {
            let bits = u64::from_str_radix(word, 16).expect("bits");
            match part {
                "f32" => f32::from_bits(bits as u32).into(),
                _ => f64::from_bits(bits),
            }
        };
        let parts: Vec<f64> = words.map(number).collect();
        let numbers = parts.chunks(2).map(|pair| [pair[0], pair[1]]).collect();
        Some(Row { numbers, edge })
    };
    text.lines().filter_map(row).collect()
}

/// The bounds of the test of the interpreter: of each part in ulp of itself, and of both in ulp of the larger one.
fn bounds(name: &str) -> (f64, f64) {
    let text = std::fs::read_to_string(repo("frontend/src/library_complex_test.rs")).expect("test");
    let row = text.lines().find_map(|line| {
        let row = line.trim().strip_prefix(&format!("(\"{name}\", "))?;
        let (part, both) = row.strip_suffix("),")?.split_once(", ")?;
        let number = |word: &str| match word {
            "f64::INFINITY" => f64::INFINITY,
            word => word.parse().expect("a number"),
        };
        Some((number(part), number(both)))
    });
    row.unwrap_or_else(|| panic!("{name} has no bound in library_complex_test.rs"))
}

/// Parts where something happens in one function or another.
fn edges(double: bool) -> Vec<f64> {
    let (least, most) = match double {
        true => (f64::from_bits(1), f64::MAX),
        false => (f64::from(f32::from_bits(1)), f64::from(f32::MAX)),
    };
    let sizes = [0.0, least, 1.0, 40.0, 1e30, most, f64::INFINITY];
    let both = sizes.into_iter().flat_map(|x| [x, -x]);
    both.chain([f64::NAN]).collect()
}

/// A number with parts of any sizes, or of like ones.
fn random(rng: &mut Rng, double: bool) -> Number {
    let (least, most) = if double {
        (-1074.0, 1024.0)
    } else {
        (-149.0, 128.0)
    };
    let like = rng.between(-8.0, 8.0);
    let exponents = match rng.below(4) {
        0 => [like, like + rng.between(-4.0, 4.0)],
        1 => {
            let e = rng.between(least, most);
            [e, (e + rng.between(-60.0, 60.0)).clamp(least, most)]
        }
        _ => [rng.between(least, most), rng.between(least, most)],
    };
    exponents.map(|e| rng.sign() * e.exp2())
}

fn array(numbers: &[Number], dtype: DType) -> Array {
    let mut bytes = Vec::new();
    for part in numbers.iter().flatten() {
        match dtype {
            DType::C64 => bytes.extend((*part as f32).to_ne_bytes()),
            _ => bytes.extend(part.to_ne_bytes()),
        }
    }
    let buffer = HostBuffer::from_bytes(&bytes).expect("memory");
    Array::from_buffer(buffer, dtype, &[numbers.len()]).expect("an array")
}

/// Arguments in columns: those of the answers, all pairs of edges, random numbers.
fn sample(function: &Function, dtype: DType, rows: &[Row], large: Option<u64>) -> Vec<Array> {
    let double = dtype == DType::C128;
    let edges = edges(double);
    let pairs = edges.iter().flat_map(|x| edges.iter().map(|y| [*x, *y]));
    let pairs: Vec<Number> = pairs.collect();
    let mut rng = Rng::new(1);
    let mut column = |n: usize| {
        let mut numbers: Vec<Number> = rows.iter().map(|row| row.numbers[n]).collect();
        match n {
            0 => numbers.extend(&pairs),
            // The second argument of each pair is some other one.
            _ => numbers.extend(
                pairs
                    .iter()
                    .map(|_| pairs[rng.below(pairs.len() as u64) as usize]),
            ),
        }
        for _ in 0..large.map_or(INPUTS, |count| count / FEWER) {
            let edge = function.arguments == 2 && rng.below(2) == 0;
            numbers.push(match edge {
                true => pairs[rng.below(pairs.len() as u64) as usize],
                false => random(&mut rng, double),
            });
        }
        array(&numbers, dtype)
    };
    (0..function.arguments).map(&mut column).collect()
}

fn kernel(function: &Function, dtype: DType) -> (Program, DType) {
    let (params, args) = match function.arguments {
        1 => (format!("x: {dtype}"), "x"),
        _ => (format!("x: {dtype}, y: {dtype}"), "x, y"),
    };
    let result = if function.asks { DType::Bool } else { dtype };
    let name = &function.name;
    let text = format!("ufunc f({params}) -> {result} {{ {name}({args}) }}");
    let source = Source::new("function.k", text);
    let program = Program::compile(source.clone())
        .unwrap_or_else(|list| panic!("{}", kjit::render_diagnostics(&list, &source, false)));
    (program, result)
}

/// Is a result what the line says?
fn is_right(got: Number, row: &Row, bound: (f64, f64), part: DType) -> bool {
    let want = *row.numbers.last().expect("an answer");
    let larger = want[0].abs().max(want[1].abs());
    (0..2).all(|n| {
        let (got, want, other) = (got[n], want[n], want[1 - n]);
        if row.edge && (want == 0.0 || want.is_infinite()) {
            // Beside a NaN C99 leaves signs open.
            let sign = other.is_nan() || got.is_sign_negative() == want.is_sign_negative();
            return got.abs() == want.abs() && sign;
        }
        off(got, want, want, part) <= bound.0 + 0.5
            && (row.edge || off(got, want, larger, part) <= bound.1 + 0.5)
    })
}

/// Compares a function on all engines with the first one, and that one with the answers, which bind strict kernels alone.
fn compare(
    function: &Function,
    dtype: DType,
    fast: bool,
    engines: &[(&'static str, kjit::Engine)],
    large: Option<u64>,
) {
    let name = &function.name;
    let rows = match function.asks {
        true => Vec::new(),
        false => answers(name, dtype),
    };
    // What is defined by its operations has no answers.
    let formula = table::names().contains(&(name.as_str(), "formula"));
    assert!(
        function.asks || formula || rows.len() >= 40,
        "{name}: {} answers",
        rows.len()
    );
    let inputs = sample(function, dtype, &rows, large);
    let (program, result) = kernel(function, dtype);
    let mut wanted: Option<Array> = None;
    for (target, engine) in engines {
        // A software driver takes 10 to 40 s to compile a c128 function: that is left to large samples. Drivers may compute as they
        // like in fast kernels.
        let slow = dtype == DType::C128 && large.is_none();
        if (slow || fast) && *target == "gpu" {
            continue;
        }
        let got = call(engine, &program, &inputs, result);
        let Some(wanted) = &wanted else {
            let part = if dtype == DType::C64 {
                DType::F32
            } else {
                DType::F64
            };
            for (place, row) in rows.iter().enumerate() {
                let value = got.get(&[place]).expect("a result");
                let value = value.parts().expect("two parts").map(|x| x.to_f64());
                assert!(
                    fast || is_right(value, row, bounds(name), part),
                    "{name} of {dtype} on {target}: {value:?} for {:?}",
                    row.numbers
                );
            }
            wanted = Some(got);
            continue;
        };
        if let Some((place, a, b)) = first_difference(wanted, &got) {
            let args = inputs.iter().map(|x| x.get(&[place]).expect("an element"));
            let args: Vec<_> = args.collect();
            panic!("{name} of {dtype}, fast {fast}: {b:?} on {target}, not {a:?}, for {args:?}");
        }
    }
}

/// One algorithm, the same bits: so the answers that the first engine gives are those of all.
#[test]
fn the_same_bits_on_every_target_and_within_the_bounds() {
    let functions = functions();
    assert!(functions.len() >= 24, "{}", functions.len());
    let large = std::env::var("KJIT_TARGET_INPUTS").ok();
    let large = large.and_then(|n| n.parse().ok());
    let grades = [engines_of(false), engines_of(true)];
    let mut cases = Vec::new();
    for fast in [false, true] {
        for dtype in [DType::C128, DType::C64] {
            cases.extend(functions.iter().map(|f| (f, dtype, fast)));
        }
    }
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((function, dtype, fast)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            compare(function, *dtype, *fast, &grades[usize::from(*fast)], large);
            if large.is_some() {
                let grade = if *fast { " fast" } else { "" };
                println!("{} {dtype}{grade}: the same bits", function.name);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
}
