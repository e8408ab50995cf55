//! The function library on every target: within its bounds, the same bits, and NumPy's own tables. The bounds and the inputs
//! are those of `cargo xtask accuracy`.

mod complex;
#[path = "../../../accuracy/src/inputs.rs"]
#[allow(
    dead_code,
    reason = "the tests need less of it than the program it belongs to"
)]
mod inputs;
mod numpy;
#[path = "../../../accuracy/src/page.rs"]
mod page;
#[path = "../../../accuracy/src/table.rs"]
mod table;
mod targets;

use crate::support::{engines_of, repo};
use kjit::{Array, DType, Engine, KernelSpec, Program, Source};
use std::collections::BTreeMap;
use table::{Function, functions};

/// A function of one or two numbers of a dtype as a kernel.
fn kernel(name: &str, arguments: usize, dtype: DType) -> Program {
    let (params, args) = match arguments {
        1 => (format!("x: {dtype}"), "x"),
        _ => (format!("x: {dtype}, y: {dtype}"), "x, y"),
    };
    let text = format!("ufunc f({params}) -> {dtype} {{ {name}({args}) }}");
    let source = Source::new("function.k", text);
    Program::compile(source.clone())
        .unwrap_or_else(|list| panic!("{}", kjit::render_diagnostics(&list, &source, false)))
}

fn call(engine: &Engine, program: &Program, inputs: &[Array], dtype: DType) -> Array {
    let spec = KernelSpec::Ufunc {
        name: "f".into(),
        generics: vec![],
        masked: false,
    };
    let shape = inputs[0].shape();
    let outs = engine.elementwise(program, &spec, inputs, shape, &[dtype]);
    let out = outs.and_then(|outs| outs[0].to_host());
    out.unwrap_or_else(|e| panic!("{e}"))
}

/// An array of numbers with these bits.
fn from_bits(bits: &[u64], dtype: DType) -> Array {
    let n = [bits.len()];
    let array = match dtype {
        DType::F32 => Array::from_vec(bits.iter().map(|b| f32::from_bits(*b as u32)).collect(), &n),
        _ => Array::from_vec(bits.iter().map(|b| f64::from_bits(*b)).collect(), &n),
    };
    array.expect("an array")
}

/// The places of floats in the order of all of them; `None` for a NaN.
fn ordinals(array: &Array) -> Vec<Option<i64>> {
    let place = |magnitude: u64, negative: bool, infinity: u64| {
        let magnitude = i64::try_from(magnitude).expect("63 bits");
        let place = if negative { -magnitude } else { magnitude };
        (magnitude as u64 <= infinity).then_some(place)
    };
    match array.dtype() {
        DType::F32 => {
            let infinity = f32::INFINITY.to_bits().into();
            let place = |x: &f32| place(x.abs().to_bits().into(), x.is_sign_negative(), infinity);
            array
                .as_slice::<f32>()
                .expect("f32")
                .iter()
                .map(place)
                .collect()
        }
        _ => {
            let infinity = f64::INFINITY.to_bits();
            let place = |x: &f64| place(x.abs().to_bits(), x.is_sign_negative(), infinity);
            array
                .as_slice::<f64>()
                .expect("f64")
                .iter()
                .map(place)
                .collect()
        }
    }
}

/// The numbers of an array of floats.
fn values(array: &Array) -> Vec<f64> {
    match array.dtype() {
        DType::F32 => {
            let values = array.as_slice::<f32>().expect("f32").iter();
            values.map(|x| f64::from(*x)).collect()
        }
        _ => array.as_slice::<f64>().expect("f64").to_vec(),
    }
}

/// The distance of the two floats around a number.
fn ulp(x: f64, dtype: DType) -> f64 {
    let x = x.abs();
    match dtype {
        DType::F32 => {
            let x = (x as f32).clamp(f32::MIN_POSITIVE, f32::MAX / 2.0);
            f64::from(x.next_up() - x)
        }
        _ => {
            let x = x.clamp(f64::MIN_POSITIVE, f64::MAX / 2.0);
            x.next_up() - x
        }
    }
}

/// How far a result is from another in ulp of a number of this size: infinitely if one is a NaN and the other is not.
fn off(got: f64, want: f64, size: f64, dtype: DType) -> f64 {
    let error = (got - want).abs() / ulp(size, dtype);
    match () {
        _ if got == want || got.is_nan() && want.is_nan() => 0.0,
        _ if error.is_nan() => f64::INFINITY,
        _ => error,
    }
}

/// How far apart two results are in floats between them; NaNs are equal to each other.
fn apart(a: Option<i64>, b: Option<i64>) -> u64 {
    match (a, b) {
        (Some(a), Some(b)) => a.abs_diff(b),
        (None, None) => 0,
        _ => u64::MAX,
    }
}

/// A line of the front end's table: name, class, parameters and result.
fn builtins() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(repo("frontend/src/builtins.rs")).expect("the table");
    let rows = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix('"'));
    let row = |row: &str| {
        let (name, rest) = row.split_once('"')?;
        rest.contains("=>")
            .then(|| (name.to_string(), rest.trim_start().to_string()))
    };
    rows.filter_map(row).collect()
}

#[test]
fn every_float_function_has_a_bound_or_is_exact() {
    let known: Vec<&str> = table::names().into_iter().map(|(name, _)| name).collect();
    let mut found = 0;
    for (name, rest) in builtins() {
        let float = rest.starts_with("Float ") || rest.starts_with("Inexact ");
        let numbers = rest.starts_with("Number ") || rest.starts_with("Real ");
        if !(float || numbers) || ["to_bits", "complex", "conj", "+"].contains(&name.as_str()) {
            continue;
        }
        assert!(
            known.contains(&name.as_str()),
            "{name} is neither measured nor said to be exact: it needs a line in accuracy/functions.txt"
        );
        found += 1;
    }
    assert!(
        found >= 45,
        "{found}: the table of built-in functions looks otherwise than this test expects"
    );
    let names: Vec<String> = builtins().into_iter().map(|(name, _)| name).collect();
    for name in known {
        assert!(
            names.iter().any(|n| n == name),
            "{name} of accuracy/functions.txt is no built-in function"
        );
    }
}

/// Arguments and correctly rounded answers of a line of `functions.txt` and a dtype, as bits.
type Answers = BTreeMap<(usize, String), Vec<Vec<u64>>>;

fn answers(functions: &[Function]) -> Answers {
    let read = |name: &str| {
        std::fs::read_to_string(repo("frontend/src/library").join(name)).expect("answers")
    };
    let text = read("answers.txt") + &read("special_answers.txt");
    let mut answers = Answers::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if !["f32", "f64"].contains(&words[1]) {
            continue;
        }
        let bits = words[2..]
            .iter()
            .map(|w| u64::from_str_radix(w, 16).expect("bits"));
        let bits: Vec<u64> = bits.collect();
        let first = match words[1] {
            "f32" => f32::from_bits(bits[0] as u32).into(),
            _ => f64::from_bits(bits[0]),
        };
        let judges = |f: &Function| f.name == words[0] && f.domain.has(first);
        let Some(line) = functions.iter().position(judges) else {
            continue;
        };
        assert_eq!(bits.len(), functions[line].arguments + 1, "{words:?}");
        let key = (line, words[1].to_string());
        answers.entry(key).or_default().push(bits);
    }
    answers
}

/// The sizes of the largest terms of a function that is judged as a sum. Their binades are all that counts, so that the function
/// itself serves, where it is no such sum.
fn largest_terms(function: &Function, inputs: &[Array], engine: &Engine) -> Vec<f64> {
    let dtype = inputs[0].dtype();
    let of = |move_by: f64| {
        let x = values(&inputs[0]);
        let bits = x.iter().map(|x| match dtype {
            DType::F32 => u64::from(((move_by - x) as f32).to_bits()),
            _ => (move_by - x).to_bits(),
        });
        let other = from_bits(&bits.collect::<Vec<_>>(), dtype);
        let terms = call(engine, &kernel(function.name, 1, dtype), &[other], dtype);
        values(&terms)
            .iter()
            .map(|t| t.abs().max(1.0))
            .collect::<Vec<f64>>()
    };
    match function.name {
        "lgamma" => of(0.0),
        "digamma" => of(1.0),
        "logaddexp" | "logaddexp2" => {
            let pairs = values(&inputs[0]).into_iter().zip(values(&inputs[1]));
            pairs.map(|(x, y)| x.max(y).abs()).collect()
        }
        name => panic!("{name}: what are its terms?"),
    }
}

/// An error of at most n ulp allows for the n floats on either side of the correctly rounded one.
#[test]
fn answers_are_within_the_bounds_on_every_target() {
    let functions = functions();
    let answers = answers(&functions);
    assert!(answers.len() >= 2 * 40, "{}", answers.len());
    for fast in [false, true] {
        let engines = engines_of(fast);
        for ((line, dtype), rows) in &answers {
            let function = &functions[*line];
            let name = function.name;
            let dtype = DType::from_name(dtype).expect("a dtype");
            let column = |n: usize| {
                let bits: Vec<u64> = rows.iter().map(|row| row[n]).collect();
                from_bits(&bits, dtype)
            };
            let inputs: Vec<Array> = (0..function.arguments).map(column).collect();
            let wanted = column(function.arguments);
            let program = kernel(name, function.arguments, dtype);
            let most = function.bound(dtype == DType::F64, fast) + 0.5;
            let terms = (function.sum).then(|| largest_terms(function, &inputs, &engines[0].1));
            for (target, engine) in &engines {
                // A driver may contract and reassociate in fast kernels, and functions do not survive all of that.
                if fast && *target == "gpu" {
                    continue;
                }
                let results = call(engine, &program, &inputs, dtype);
                let found: Vec<bool> = match &terms {
                    Some(terms) => {
                        let pairs = values(&results).into_iter().zip(values(&wanted));
                        let sized = pairs.zip(terms).map(|((got, want), term)| {
                            off(got, want, want.abs().max(*term), dtype) <= most
                        });
                        sized.collect()
                    }
                    None => {
                        let pairs = ordinals(&results).into_iter().zip(ordinals(&wanted));
                        pairs.map(|(a, b)| apart(a, b) <= most as u64).collect()
                    }
                };
                assert_eq!(found.len(), rows.len());
                if let Some(place) = found.iter().position(|good| !good) {
                    let got = results.get(&[place]).expect("a result");
                    let row = &rows[place];
                    panic!("{name} of {dtype} on {target}, fast {fast}: {got:x?} for {row:x?}");
                }
            }
        }
    }
}

/// The difference of the arguments is rounded, and its exponential was 42 ulp off by that.
#[test]
fn logaddexp_of_one_argument_near_zero() {
    let inputs = [-2.905377222122756e-15f64, -32.7740976859942]
        .map(|x| from_bits(&[x.to_bits()], DType::F64));
    let program = kernel("logaddexp", 2, DType::F64);
    for (target, engine) in engines_of(false) {
        let got = values(&call(&engine, &program, &inputs, DType::F64))[0];
        let want = 2.934318592325394e-15;
        assert!(off(got, want, want, DType::F64) <= 4.5, "{target}: {got}");
    }
}
