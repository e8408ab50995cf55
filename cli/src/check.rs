//! `kjit check`: diagnostics only.

use crate::report::{Failure, Outcome, read_source, render};
use clap::ValueEnum;
use kjit::{Diagnostic, Program, Source};
use serde_json::{Value, json};
use std::io::Write;

/// Check a file and print its mistakes
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The programs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// How to print the mistakes
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// For people, on stderr
    Text,
    /// For programs, on stdout: one object a file
    Json,
}

/// Runs the subcommand.
pub fn main(args: Args) -> Outcome {
    let mut failed = false;
    let mut out = std::io::stdout().lock();
    for file in &args.files {
        let source = read_source(file)?;
        let diagnostics = Program::compile(source.clone()).err().unwrap_or_default();
        failed |= !diagnostics.is_empty();
        match args.format {
            Format::Json => writeln!(out, "{}", to_json(&diagnostics, &source))?,
            Format::Text if diagnostics.is_empty() => {}
            Format::Text => {
                let mut err = std::io::stderr().lock();
                writeln!(err, "{}", render(&diagnostics, &source).trim_end())?;
            }
        }
    }
    if failed { Err(Failure::Said) } else { Ok(()) }
}

fn to_json(diagnostics: &[Diagnostic], source: &Source) -> Value {
    let place = |loc: kjit::Loc| {
        let (line, column) = source.line_col(loc.start);
        let (end_line, end_column) = source.line_col(loc.end);
        json!({ "line": line, "column": column, "end_line": end_line, "end_column": end_column })
    };
    let list: Vec<Value> = diagnostics
        .iter()
        .map(|d| {
            json!({
                "code": d.code.as_str(),
                "message": d.message,
                "label": d.label,
                "place": place(d.loc),
                "notes": d.notes.iter().map(|(loc, text)| json!({ "message": text, "place": place(*loc) })).collect::<Vec<_>>(),
                "help": d.help,
            })
        })
        .collect();
    json!({ "file": source.name, "errors": list })
}
