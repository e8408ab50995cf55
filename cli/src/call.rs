//! `kjit call`: calls one ufunc on numbers and files.

use crate::call_options::CallOptions;
use crate::options::{EngineArgs, FpeArg, warn};
use crate::progress::Progress;
use crate::report::{Failure, Outcome, read_source};
use crate::run::print_times;
use kjit::{Arg, Array, Engine, Program, Scalar, SliceIndex, Ufunc};
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

/// Call a ufunc of a file on numbers and arrays
///
/// ARG is a number (2.5), true or false, an array file (x.npy, x.npz:name, x.csv), or made on the spot:
/// uniform:SHAPE[:seed=N][:dtype=f32], normal:.., linspace:START:STOP:N, arange:[START:]STOP[:STEP],
/// zeros:SHAPE, ones:SHAPE, where SHAPE is 1e6 or 1000x1000. A file may be sliced as in NumPy: x.npy[::2], a.npy[0, -3:].
#[derive(clap::Args, Debug)]
#[command(allow_negative_numbers = true)]
pub struct Args {
    /// The program
    #[arg(value_name = "FILE")]
    file: String,
    /// The ufunc
    #[arg(value_name = "UFUNC")]
    ufunc: String,
    /// Its arguments
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    args: Vec<String>,
    /// Where to write the result(s), one -o for each output; without it they are printed. A file that is there is
    /// replaced; in an .npz (x.npz or x.npz:name) the array is, and others stay
    #[arg(short = 'o', long = "out", value_name = "OUT")]
    out: Vec<String>,
    #[command(flatten)]
    options: CallOptions,
    #[command(flatten)]
    engine: EngineArgs,
    /// What to do about divisions by zero, invalid values and overflows
    #[arg(long, value_enum)]
    fpe: Option<FpeArg>,
    /// Print compile, run and transfer times and the bandwidth to stderr
    #[arg(long)]
    time: bool,
}

/// Runs the subcommand.
pub fn main(args: Args) -> Outcome {
    let started = Instant::now();
    let source = read_source(&args.file)?;
    let runtime = |error: kjit::RuntimeError| Failure::runtime(&error, Some(&source));
    let program = Program::compile(source.clone())
        .map_err(|list| Failure::diagnostics(&list, &source))
        .map(Arc::new)?;
    let ufunc = Ufunc::new(&program, &args.ufunc).map_err(runtime)?;
    let nout = if args.options.is_method() {
        1
    } else {
        ufunc.nout()
    };
    if !args.out.is_empty() && args.out.len() != nout {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let (outputs, files) = (nout, args.out.len());
        return Err(Failure::with_help(
            format!(
                "{} has {outputs} output{} but {files} file{} given",
                ufunc.name(),
                plural(outputs),
                if files == 1 { " was" } else { "s were" }
            ),
            "give one -o for each output, in their order",
        ));
    }
    if let Some((_, path)) = (1..args.out.len())
        .map(|n| (n, &args.out[n]))
        .find(|(n, path)| args.out[..*n].contains(path))
    {
        return Err(Failure::with_help(
            format!("two outputs cannot both be written to {path}"),
            "give each -o a file of its own",
        ));
    }
    for path in &args.out {
        kjit::check_save_path(path).map_err(runtime)?;
    }
    let engine = args.engine.engine_with(args.fpe)?;
    let values = args
        .args
        .iter()
        .map(|text| parse_arg(text, &engine, &program))
        .collect::<Result<Vec<_>, _>>()?;
    // Status flags have no place of their own: they are shown at what was called.
    let raises = args.fpe == Some(FpeArg::Raise);
    let called = |error: kjit::RuntimeError| {
        runtime(match error.kind {
            kjit::ErrorKind::Value if raises => error.at(ufunc.signature().loc),
            _ => error,
        })
    };
    let progress = Progress::start(&engine);
    let results = args
        .options
        .run(&ufunc, &engine, &program, (&values, &args.args), &called);
    progress.finish();
    let declared = ufunc.signature().loc;
    warn(&engine, source.place(declared).as_deref())?;
    let results = results?
        .iter()
        .map(Array::to_host)
        .collect::<Result<Vec<_>, _>>()
        .map_err(runtime)?;
    if args.out.is_empty() {
        let mut out = std::io::stdout().lock();
        for array in &results {
            writeln!(out, "{}", kjit::format_array(array))?;
        }
    }
    // What one file cannot hold is found before another is written.
    for (path, array) in args.out.iter().zip(&results) {
        kjit::check_save(path, array).map_err(runtime)?;
    }
    for (path, array) in args.out.iter().zip(&results) {
        kjit::save(path, array).map_err(runtime)?;
    }
    if args.time {
        print_times(&engine.stats(), &engine, started)?;
    }
    Ok(())
}

/// An argument of the command line as an argument of the call.
pub fn parse_arg(text: &str, engine: &Engine, program: &Program) -> Result<Arg, Failure> {
    if let Ok(value) = text.replace('_', "").parse::<i128>() {
        return Ok(Arg::Int(value));
    }
    if let Ok(value) = text.parse::<f64>() {
        if value.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) {
            return Err(Failure::with_help(
                format!("{text} is larger than any float"),
                "write a smaller number, or inf",
            ));
        }
        return Ok(Arg::Float(value));
    }
    if let Ok(value) = text.parse::<bool>() {
        return Ok(Arg::Array(Array::scalar(Scalar::bool(value))));
    }
    if let Some((maker, rest)) = text.split_once(':')
        && !maker.contains('.')
        && !maker.contains('/')
    {
        let array = kjit::generate(engine, program, maker, rest)
            .map_err(|error| Failure::runtime(&error, None))?;
        return Ok(Arg::Array(array));
    }
    let (path, slice) = match text.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
        Some((path, slice)) => (path, parse_slice(slice).ok_or_else(|| bad_slice(text))?),
        None => (text, Vec::new()),
    };
    let lower = path.to_ascii_lowercase();
    if ![".npy", ".npz", ".csv"]
        .iter()
        .any(|kind| lower.contains(kind))
    {
        return Err(Failure::with_help(
            format!("`{text}` is neither a number, nor true or false, nor an array"),
            "arrays are files (x.npy, x.npz:name, x.csv) or made on the spot, as arange:10 and zeros:2x3 are",
        ));
    }
    kjit::load(path)
        .and_then(|array| array.slice(&slice))
        .map(Arg::Array)
        .map_err(|error| Failure::runtime(&error, None))
}

/// NumPy's basic indexing: `3`, `1:-1`, `::2`, separated by commas.
fn parse_slice(text: &str) -> Option<Vec<SliceIndex>> {
    let bound = |word: &str| match word.trim() {
        "" => Some(None),
        word => word.parse::<i64>().ok().map(Some),
    };
    text.split(',')
        .map(|index| {
            let parts: Vec<&str> = index.split(':').collect();
            match parts.as_slice() {
                [at] => at.trim().parse().ok().map(SliceIndex::At),
                [start, end] => Some(SliceIndex::Range {
                    start: bound(start)?,
                    end: bound(end)?,
                    step: 1,
                }),
                [start, end, step] => Some(SliceIndex::Range {
                    start: bound(start)?,
                    end: bound(end)?,
                    step: bound(step)?.unwrap_or(1),
                }),
                _ => None,
            }
        })
        .collect()
}

fn bad_slice(text: &str) -> Failure {
    Failure::with_help(
        format!("{text} is not a slice of a file"),
        "write start:stop:step for each axis, as in x.npy[::2, 0]",
    )
}
