//! The function library on every target: within its bounds, the same bits, and NumPy's own tables. The bounds and the inputs
//! are those of `cargo xtask accuracy`.

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
use table::functions;

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

/// Arguments and correctly rounded answers of a function and dtype, as bits.
type Answers = BTreeMap<(String, String), Vec<Vec<u64>>>;

fn answers() -> Answers {
    let read = |name: &str| {
        std::fs::read_to_string(repo("frontend/src/library").join(name)).expect("answers")
    };
    let text = read("answers.txt") + &read("special_answers.txt");
    let mut answers = Answers::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let Some(function) = functions().into_iter().find(|f| f.name == words[0]) else {
            continue;
        };
        if !["f32", "f64"].contains(&words[1]) {
            continue;
        }
        let bits = words[2..]
            .iter()
            .map(|w| u64::from_str_radix(w, 16).expect("bits"));
        let bits: Vec<u64> = bits.collect();
        assert_eq!(bits.len(), function.arguments + 1, "{line}");
        let key = (words[0].to_string(), words[1].to_string());
        answers.entry(key).or_default().push(bits);
    }
    answers
}

/// An error of at most n ulp allows for the n floats on either side of the correctly rounded one.
#[test]
fn answers_are_within_the_bounds_on_every_target() {
    let answers = answers();
    assert!(answers.len() >= 2 * 28, "{}", answers.len());
    for fast in [false, true] {
        let engines = engines_of(fast);
        for ((name, dtype), rows) in &answers {
            let function = functions()
                .into_iter()
                .find(|f| f.name == name)
                .expect("a function");
            let dtype = DType::from_name(dtype).expect("a dtype");
            let column = |n: usize| {
                let bits: Vec<u64> = rows.iter().map(|row| row[n]).collect();
                from_bits(&bits, dtype)
            };
            let inputs: Vec<Array> = (0..function.arguments).map(column).collect();
            let wanted = ordinals(&column(function.arguments));
            let program = kernel(name, function.arguments, dtype);
            let most = (function.bound(dtype == DType::F64, fast) + 0.5) as u64;
            for (target, engine) in &engines {
                // A driver may contract and reassociate in fast kernels, and functions do not survive all of that.
                if fast && *target == "gpu" {
                    continue;
                }
                let got = ordinals(&call(engine, &program, &inputs, dtype));
                for ((got, want), row) in got.into_iter().zip(&wanted).zip(rows) {
                    assert!(
                        apart(got, *want) <= most,
                        "{name} of {dtype} on {target}, fast {fast}: {got:x?} for {row:x?}"
                    );
                }
            }
        }
    }
}
