//! Errors of kjit's functions against MPFR, with fast references in between: `cargo xtask accuracy` runs this.

mod exact;
mod inputs;
mod measure;
mod page;
mod record;
mod table;

use inputs::Inputs;
use measure::{Found, Place};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use table::Function;

const USAGE: &str = "usage: cargo xtask accuracy [--exhaustive] [--count N] [--f32] [--f64] [--record] [FUNCTION..]

Errors of the functions (all, or those named) in default and fast grade, of compiled vector code, on every core.
  --exhaustive  f32 functions of one argument: all 2^32 numbers, not one in 61
  --count N     random, hard and edge arguments of the others: so many (default 4000000)
  --f32 --f64   this dtype alone
  --record      write what was found into docs/numerics.md
  --targets     instead: the same bits on every target, a million arguments a function (goes with --record alone)
Exit code 1 if an error is above the bound of accuracy/functions.txt, or a special value is wrong.";

struct Options {
    exhaustive: bool,
    record: bool,
    count: u64,
    dtypes: Vec<bool>,
    functions: Vec<Function>,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        exhaustive: false,
        record: false,
        count: 4_000_000,
        dtypes: Vec::new(),
        functions: Vec::new(),
    };
    let all = table::functions();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--exhaustive" => options.exhaustive = true,
            "--record" => options.record = true,
            "--f32" => options.dtypes.push(false),
            "--f64" => options.dtypes.push(true),
            "--count" => {
                let number = words.next().and_then(|n| n.replace('_', "").parse().ok());
                options.count = number.ok_or("--count takes a number")?;
            }
            name => match all.iter().filter(|f| f.name == name).collect::<Vec<_>>() {
                found if !found.is_empty() => options.functions.extend(found),
                _ if name.starts_with('-') => {
                    return Err(format!("{name}: no such option\n\n{USAGE}"));
                }
                _ => {
                    let kind = table::names().into_iter().find(|(n, _)| *n == name);
                    return Err(match kind {
                        Some((_, kind)) => {
                            format!("{name}: {kind}, so that it has no errors to measure")
                        }
                        None => format!("{name}: no such function in accuracy/functions.txt"),
                    });
                }
            },
        }
    }
    if options.functions.is_empty() {
        options.functions = all;
    }
    if options.dtypes.is_empty() {
        options.dtypes = vec![false, true];
    }
    Ok(options)
}

fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--help" || word == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match options().and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("accuracy: {message}");
            ExitCode::from(2)
        }
    }
}

/// Measures what is asked for: are all within their bounds?
fn run(options: &Options) -> Result<bool, String> {
    let page = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/numerics.md"));
    let functions = table::functions();
    let order: Vec<String> = functions.iter().map(record::label).collect();
    let mut good = true;
    for function in &options.functions {
        for &double in &options.dtypes {
            let inputs = match (double, function.arguments) {
                (false, 1) if options.exhaustive => Inputs::Every(1),
                (false, 1) => Inputs::Every(61),
                _ => Inputs::Sample(options.count),
            };
            let start = Instant::now();
            let found = match measure::measure(function, double, inputs) {
                Ok(found) => found,
                Err(message) => {
                    good = false;
                    println!("{} {}: {message}", record::label(function), dtype(double));
                    continue;
                }
            };
            for fast in [false, true] {
                good &= report(function, double, fast, &found[usize::from(fast)]);
            }
            let reference = measure::reference(function, double);
            let row = record::row(function, double, inputs, &found, reference);
            println!("{row} {:.1} s", start.elapsed().as_secs_f64());
            if options.record {
                record::record(page, &row, &order)?;
            }
        }
    }
    Ok(good)
}

fn dtype(double: bool) -> &'static str {
    if double { "f64" } else { "f32" }
}

/// Prints what was found; is it within the bound?
fn report(function: &Function, double: bool, fast: bool, found: &Found) -> bool {
    let bound = function.bound(double, fast);
    let grade = if fast { "fast" } else { "" };
    let good = found.worst.error <= bound && found.wrong == 0;
    println!(
        "{:9} {} {grade:5} {:8.4} ulp{} of {bound} at {}, {} above, {} special values wrong ({} by MPFR){}",
        record::label(function),
        dtype(double),
        found.worst.error,
        if function.sum {
            " of the largest term"
        } else {
            ""
        },
        place(function, double, &found.worst),
        found.above,
        found.wrong,
        found.asked,
        if good { "" } else { "  <" }
    );
    if let Some(first) = &found.first_wrong {
        println!(
            "{:22} wrong first at {}",
            "",
            place(function, double, first)
        );
    }
    good
}

/// Arguments and result, with the bits that say them exactly.
fn place(function: &Function, double: bool, at: &Place) -> String {
    let number = |v: f64| match double {
        true => format!("{v:e} ({:#018x})", v.to_bits()),
        false => format!("{:e} ({:#010x})", v as f32, (v as f32).to_bits()),
    };
    let args = match function.arguments {
        1 => number(at.x),
        _ => format!("{}, {}", number(at.x), number(at.y)),
    };
    format!("{args} -> {}", number(at.got))
}
