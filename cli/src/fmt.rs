//! `kjit fmt`: formats source files in place.

use crate::report::{Failure, Outcome, read_source};
use std::io::Write;

/// Format files in place
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The programs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Change nothing; fail if a file is not formatted
    #[arg(long)]
    check: bool,
}

/// Runs the subcommand.
pub fn main(args: Args) -> Outcome {
    // All files are formatted before the first is written: a mistake in one leaves all as they were.
    let mut changed = Vec::new();
    for file in &args.files {
        let source = read_source(file)?;
        let text =
            kjit::format_source(&source).map_err(|list| Failure::diagnostics(&list, &source))?;
        if text != source.text {
            changed.push((file, text));
        }
    }
    if args.check {
        for (file, _) in &changed {
            writeln!(std::io::stderr(), "{file}: not formatted")?;
        }
        return if changed.is_empty() {
            Ok(())
        } else {
            Err(Failure::Said)
        };
    }
    for (file, text) in changed {
        kjit::write_file(file, text.as_bytes()).map_err(|error| Failure::runtime(&error, None))?;
    }
    Ok(())
}
