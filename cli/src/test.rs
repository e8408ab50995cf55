//! `kjit test`: runs the assertions of files on every target and compares what they print.

use crate::options::{EngineArgs, ScheduleArg, TargetArg};
use crate::report::{Failure, Outcome, read_source};
use kjit::{Program, RunOptions, Source};
use std::io::Write;

/// Run the assertions of files on every target, and compare what they print
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The programs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Targets to run on (default: cpu, parallel, and gpu if this machine has one)
    #[arg(long, value_enum, value_delimiter = ',')]
    targets: Vec<TargetArg>,
    /// Set a `param` of the programs
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
}

/// Runs the subcommand.
pub fn main(args: Args) -> Outcome {
    let params = args
        .params
        .iter()
        .map(|p| match p.split_once('=') {
            Some((name, value)) => Ok((name.to_string(), value.to_string())),
            None => Err(Failure::Usage(format!(
                "-p {p}: expected NAME=VALUE, such as n=1e8"
            ))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut out = std::io::stdout().lock();
    let targets = if args.targets.is_empty() {
        default_targets(&mut out)?
    } else {
        args.targets
    };
    let (mut passed, mut failed) = (0, 0);
    for file in &args.files {
        let source = read_source(file)?;
        let program = Program::compile(source.clone())
            .map_err(|list| Failure::diagnostics(&list, &source))?;
        let mut first: Option<(TargetArg, Vec<u8>)> = None;
        for &target in &targets {
            let verdict = match run_on(&program, &source, target, &params) {
                Err(failure) => Err(failure),
                Ok(printed) => match &first {
                    Some((other, expected)) if *expected != printed => Err(format!(
                        "prints\n{}but {other:?} prints\n{}",
                        String::from_utf8_lossy(&printed),
                        String::from_utf8_lossy(expected)
                    )),
                    Some(_) => Ok(()),
                    None => {
                        first = Some((target, printed));
                        Ok(())
                    }
                },
            };
            let name = format!("{target:?}").to_lowercase();
            match verdict {
                Ok(()) => {
                    passed += 1;
                    writeln!(out, "{file} {name} ... ok")?;
                }
                Err(why) => {
                    failed += 1;
                    writeln!(out, "{file} {name} ... FAILED\n{why}")?;
                }
            }
        }
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    if failed == 0 {
        Ok(())
    } else {
        Err(Failure::Said)
    }
}

fn default_targets(out: &mut impl Write) -> Result<Vec<TargetArg>, Failure> {
    let mut targets = vec![TargetArg::Cpu, TargetArg::Parallel];
    match kjit::gpu_available() {
        Ok(()) => targets.push(TargetArg::Gpu),
        Err(error) => writeln!(out, "gpu: left out: {}", error.message)?,
    }
    Ok(targets)
}

fn run_on(
    program: &Program,
    source: &Source,
    target: TargetArg,
    params: &[(String, String)],
) -> Result<Vec<u8>, String> {
    let options = EngineArgs {
        isa: None,
        target,
        threads: None,
        schedule: ScheduleArg::Guided,
        fast: false,
    };
    let text = |failure: Failure| match failure {
        Failure::Message(text) | Failure::Usage(text) => text,
        Failure::Said | Failure::BrokenPipe => String::new(),
    };
    let engine = options.engine().map_err(text)?;
    let mut printed = Vec::new();
    kjit::run(
        &engine,
        program,
        RunOptions {
            params: params.to_vec(),
            out: &mut printed,
            base_dir: None,
        },
    )
    .map_err(|error| text(Failure::runtime(&error, Some(source))))?;
    Ok(printed)
}
