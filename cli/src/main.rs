//! The `kjit` command: runs, checks, tests and explains `.k` programs.
//!
//! Exit code 0: done; 1: the program or its data is wrong (one message on stderr, nothing written);
//! 2: wrong usage.

mod call;
mod call_options;
mod check;
mod emit;
mod explain;
mod fmt;
mod listing;
mod options;
mod progress;
mod report;
mod run;
mod targets;
mod test;

use clap::{Parser, Subcommand};
use report::Failure;
use std::ffi::OsString;
use std::process::ExitCode;

/// A data-parallel JIT: kernels written once, per element, run on one core, on every core, or on a GPU
#[derive(Parser, Debug)]
#[command(
    name = "kjit",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::Args),
    Call(Box<call::Args>),
    Check(check::Args),
    Emit(emit::Args),
    Explain(explain::Args),
    Test(test::Args),
    Targets(targets::Args),
    Fmt(fmt::Args),
}

/// Stack of the thread that does the work: syntax trees are walked recursively, and their depth is
/// limited by the parser to what fits here with room to spare, whatever `ulimit -s` says.
const STACK_BYTES: usize = 64 << 20;

/// `-1e-3` as `-0.001`: the parser of the command line takes the first for flags.
fn plain_number(arg: OsString) -> OsString {
    let Some(text) = arg.to_str() else { return arg };
    if !text.starts_with('-') || !text.contains(['e', 'E']) {
        return arg;
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => {
            let digits = value.to_string();
            let point = if digits.contains('.') { "" } else { ".0" };
            format!("{digits}{point}").into()
        }
        _ => arg,
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse_from(std::env::args_os().map(plain_number));
    report::quiet_panics();
    quiet_mesa();
    let work = std::thread::Builder::new()
        .name("kjit".into())
        .stack_size(STACK_BYTES)
        .spawn(move || match cli.command {
            Command::Run(args) => run::main(args),
            Command::Call(args) => call::main(*args),
            Command::Check(args) => check::main(args),
            Command::Emit(args) => emit::main(args),
            Command::Explain(args) => explain::main(args),
            Command::Test(args) => test::main(args),
            Command::Targets(args) => targets::main(args),
            Command::Fmt(args) => fmt::main(args),
        });
    let result = match work.map(|thread| thread.join()) {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(Failure::bug(panic.as_ref())),
        Err(error) => Err(Failure::message(format!("cannot start a thread: {error}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Mesa's drivers print an error of their own, on every run, when there is no folder for run-time files,
/// which they do not need here. Where the variable is not set, the folder for temporary files is as good.
fn quiet_mesa() {
    const NAME: &str = "XDG_RUNTIME_DIR";
    if cfg!(target_os = "linux") && std::env::var_os(NAME).is_none() {
        // SAFETY: no other thread has been started that could read the environment.
        unsafe { std::env::set_var(NAME, std::env::temp_dir()) }
    }
}
