//! The table in docs/numerics.md: a run replaces the rows of what it measured.

use crate::inputs::Inputs;
use crate::measure::Found;
use crate::page;
use crate::table::{Domain, Function};
use std::path::Path;

const HEAD: &str = "| function | dtype | arguments | largest error | fast | reference | date |\n|---|---|---|---|---|---|---|\n";

/// How the page calls a function.
pub fn label(function: &Function) -> String {
    let arguments = match function.domain {
        Domain::From0 => ", x >= 0",
        Domain::Below0 => ", x < 0",
        _ => "",
    };
    format!("`{}`{arguments}", function.name)
}

/// A row: function and dtype are its key.
pub fn row(
    function: &Function,
    double: bool,
    inputs: Inputs,
    found: &[Found; 2],
    reference: &str,
) -> String {
    let error = |fast: bool| {
        let worst = found[usize::from(fast)].worst.error;
        // Rounded up, so that nothing measured exceeds what is written.
        let shown = (worst * 1000.0).ceil() / 1000.0;
        let of = if function.sum { " of the terms" } else { "" };
        format!("{shown:.3} of {}{of}", function.bound(double, fast))
    };
    let dtype = if double { "f64" } else { "f32" };
    let tested = inputs.describe();
    let (default, fast) = (error(false), error(true));
    format!(
        "| {} | {dtype} | {tested} | {default} | {fast} | {reference}, MPFR | {} |",
        label(function),
        page::today()
    )
}

fn key(row: &str) -> Vec<&str> {
    row.split('|').take(3).map(str::trim).collect()
}

/// Writes a row into the page, in the order of the table of functions.
///
/// # Errors
/// When the page cannot be read or written, or lacks the markers.
pub fn record(page: &Path, row: &str, order: &[String]) -> Result<(), String> {
    page::replace(page, "accuracy", |old| {
        let other = |line: &&str| line.starts_with("| `") && key(line) != key(row);
        let mut all: Vec<&str> = old.lines().filter(other).collect();
        all.push(row);
        let place = |row: &str| {
            let name = key(row)[1];
            order.iter().position(|n| n == name)
        };
        all.retain(|row| place(row).is_some());
        all.sort_by_key(|row| (place(row), key(row)[2].to_string()));
        format!("{HEAD}{}", all.join("\n"))
    })
}
