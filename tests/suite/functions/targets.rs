//! The same bits on every target, for a sample that `cargo xtask accuracy --targets` makes large.

use super::inputs::{Inputs, fill};
use super::table::{Domain, Function, functions};
use super::{builtins, call, from_bits, kernel, page, table};
use crate::support::{engines_of, repo};
use kjit::{Array, DType, Engine};
use kjit_fuzz::compile::first_difference;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Inputs of a function in a test run: special values, edges and hard ones come first.
const INPUTS: u64 = 1500;

/// The functions of one or two numbers that give a number of the same dtype.
fn all() -> Vec<Function> {
    let mut list = functions();
    for (name, rest) in builtins() {
        let exact = table::names()
            .iter()
            .any(|(n, kind)| *n == name && *kind != "bound");
        let arguments = match () {
            _ if !exact => continue,
            _ if rest.contains(" X => T,") || rest.contains(" X => PartOfT,") => 1,
            _ if rest.contains(" AB => T,") || rest.contains("(\"y\", T)] => T,") => 2,
            _ => continue,
        };
        list.push(Function {
            name: name.leak(),
            arguments,
            domain: Domain::All,
            bounds: [0.0; 4],
            sum: false,
        });
    }
    list
}

/// Arguments as bits, in two columns.
fn sample(function: &Function, dtype: DType, count: u64) -> Vec<Array> {
    let double = dtype == DType::F64;
    // Whole chunks, as many as it takes: a domain may leave some numbers out.
    let inputs = Inputs::Sample(u64::MAX);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let (mut columns, mut chunk) = ([Vec::new(), Vec::new()], 0);
    while (columns[0].len() as u64) < count {
        fill(function, double, inputs, chunk, &mut x, &mut y);
        for (column, values) in columns.iter_mut().zip([&x, &y]) {
            let bits = |v: &f64| match double {
                true => v.to_bits(),
                false => (*v as f32).to_bits().into(),
            };
            column.extend(values.iter().map(bits));
        }
        chunk += 1;
    }
    // A small sample takes its numbers from all of the first chunk, so that edges and random numbers are among them.
    let step = (columns[0].len() as u64 / count).max(1) as usize;
    let columns = columns.iter().take(function.arguments);
    let array = |column: &Vec<u64>| {
        let bits: Vec<u64> = column
            .iter()
            .copied()
            .step_by(step)
            .take(count as usize)
            .collect();
        from_bits(&bits, dtype)
    };
    columns.map(array).collect()
}

/// Compares one function on all engines with the first.
fn compare(
    function: &Function,
    dtype: DType,
    fast: bool,
    engines: &[(&'static str, Engine)],
    count: u64,
) {
    let inputs = sample(function, dtype, count);
    let program = kernel(function.name, function.arguments, dtype);
    let mut wanted = None;
    for (target, engine) in engines {
        // A driver may compute as it likes in fast kernels.
        if fast && *target == "gpu" {
            continue;
        }
        let got = call(engine, &program, &inputs, dtype);
        let wanted = wanted.get_or_insert_with(|| got.clone());
        if let Some((place, a, b)) = first_difference(wanted, &got) {
            let args: Vec<_> = inputs
                .iter()
                .map(|x| x.get(&[place]).expect("an element"))
                .collect();
            panic!(
                "{} of {dtype}, fast {fast}: {b:?} on {target}, not {a:?}, for {args:?}",
                function.name
            );
        }
    }
}

#[test]
fn the_same_bits_on_every_target() {
    let count = std::env::var("KJIT_TARGET_INPUTS").ok();
    let large = count.is_some();
    let count = count.and_then(|n| n.parse().ok()).unwrap_or(INPUTS);
    let functions = all();
    let mut cases = Vec::new();
    for fast in [false, true] {
        for function in &functions {
            for dtype in [DType::F32, DType::F64] {
                cases.push((function, dtype, fast));
            }
        }
    }
    let grades = [engines_of(false), engines_of(true)];
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((function, dtype, fast)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            compare(function, *dtype, *fast, &grades[usize::from(*fast)], count);
            if large {
                println!(
                    "{} {dtype}{}: the same bits",
                    function.name,
                    if *fast { " fast" } else { "" }
                );
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    if std::env::var_os("KJIT_TARGETS_RECORD").is_some() {
        let mut names: Vec<String> = functions.iter().map(|f| format!("`{}`", f.name)).collect();
        names.dedup();
        let (_, gpu) = grades[0].last().expect("the gpu");
        let text = format!(
            "On {}, {count} arguments of each of these {} functions in f32 and f64 gave the same bits on interp, scalar code,\n\
             vector code, parallel and {}; in `fast` kernels, too, where the gpu was left out: {}.",
            page::today(),
            names.len(),
            gpu.describe(),
            names.join(" ")
        );
        page::replace(&repo("docs/numerics.md"), "targets", |_| text).expect("the page");
    }
}
