//! `kjit run`: executes the `main` of a file.

use crate::options::{EngineArgs, FpeArg, warn};
use crate::progress::Progress;
use crate::report::{Failure, Outcome, read_source};
use kjit::{Engine, Program, RunOptions, Stats};
use std::io::{BufWriter, Write};
use std::time::Instant;

/// Run the `main` of a file
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The program
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    engine: EngineArgs,
    /// What to do about divisions by zero, invalid values and overflows
    #[arg(long, value_enum)]
    fpe: Option<FpeArg>,
    /// Set a `param` of the program: -p n=1e8
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE", value_parser = parse_param)]
    params: Vec<(String, String)>,
    /// Print compile, run and transfer times and the bandwidth to stderr, a line each
    #[arg(long)]
    time: bool,
    /// Do not print the closing line on stderr that says how long it took
    #[arg(short, long, conflicts_with = "time")]
    quiet: bool,
}

fn parse_param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.trim().to_string(), value.trim().to_string()))
        }
        _ => Err("expected NAME=VALUE, such as n=1e8".into()),
    }
}

/// Runs the subcommand.
pub fn main(args: Args) -> Outcome {
    let started = Instant::now();
    let source = read_source(&args.file)?;
    let program =
        Program::compile(source.clone()).map_err(|list| Failure::diagnostics(&list, &source))?;
    let engine = args.engine.engine_with(args.fpe)?;
    let mut out = BufWriter::new(std::io::stdout());
    let progress = Progress::start(&engine);
    let result = kjit::run(
        &engine,
        &program,
        RunOptions {
            params: args.params,
            out: &mut out,
            base_dir: None,
        },
    );
    progress.finish();
    out.flush()?;
    warn(&engine, None)?;
    result.map_err(|error| Failure::runtime(&error, Some(&source)))?;
    if args.time {
        print_times(&engine.stats(), &engine, started)?;
    } else if !args.quiet {
        print_summary(&engine.stats(), &engine)?;
    }
    Ok(())
}

/// How long the kernels took and how fast they went through memory, in one line on stderr; nothing when
/// there were none.
fn print_summary(stats: &Stats, engine: &Engine) -> Outcome {
    if stats.calls == 0 {
        return Ok(());
    }
    let (gigabytes, rate) = traffic(stats);
    writeln!(
        std::io::stderr(),
        "ran in {:.3} ms on {}: {gigabytes:.3} GB, {rate:.2} GB/s",
        stats.run.as_secs_f64() * 1e3,
        engine.describe(),
    )?;
    Ok(())
}

/// Gigabytes that kernels read and wrote, and how many a second.
fn traffic(stats: &Stats) -> (f64, f64) {
    let gigabytes = (stats.bytes_read + stats.bytes_written) as f64 / 1e9;
    let seconds = stats.run.as_secs_f64();
    (
        gigabytes,
        if seconds > 0.0 {
            gigabytes / seconds
        } else {
            0.0
        },
    )
}

/// One line a figure, on stderr so that the program's own output stays clean.
pub fn print_times(stats: &Stats, engine: &Engine, started: Instant) -> Outcome {
    let mut err = std::io::stderr().lock();
    let run = stats.run.as_secs_f64();
    let (gigabytes, rate) = traffic(stats);
    writeln!(err, "target    {}", engine.describe())?;
    writeln!(
        err,
        "compile   {:>9.3} ms  ({} kernels, {} calls)",
        stats.compile.as_secs_f64() * 1e3,
        stats.kernels_compiled,
        stats.calls
    )?;
    writeln!(
        err,
        "run       {:>9.3} ms  ({gigabytes:.2} GB, {rate:.2} GB/s)",
        run * 1e3
    )?;
    writeln!(
        err,
        "transfer  {:>9.3} ms",
        stats.transfer.as_secs_f64() * 1e3
    )?;
    writeln!(
        err,
        "total     {:>9.3} ms",
        started.elapsed().as_secs_f64() * 1e3
    )?;
    Ok(())
}
