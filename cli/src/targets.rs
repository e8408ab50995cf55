//! `kjit targets`: what this machine has, and why a target is missing.

use crate::report::Outcome;
use std::io::Write;

/// Say what this machine has, and why a target is missing
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the subcommand.
pub fn main(_: Args) -> Outcome {
    let mut out = std::io::stdout().lock();
    for line in kjit::describe_targets() {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
