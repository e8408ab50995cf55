//! Renders docs/conformance.md.

use super::answers::Answers;
use super::{Cell, Cells, Key};
use crate::support::repo;
use kjit::DType;
use std::fmt::Write;

/// Layouts in the order of the page.
const LAYOUTS: [&str; 8] = [
    "contiguous",
    "strided",
    "negative",
    "fortran",
    "unaligned",
    "broadcast",
    "overlapping",
    "empty",
];

const HEAD: &str = "# Conformance with NumPy

Written by `cargo xtask conformance`; a test checks that the tables of cpu and parallel are current, and runs a sample of
the calls on the gpu. Each number counts calls whose answer is
the one recorded from NumPy, on this target, with this dtype and with arguments in this layout; `2/3` would be two that
agree out of three. `tests/conformance/generate.py` records the answers (in `tests/conformance/answers.txt`) and tells how
each is compared: by its bits, but for sums that round (within the bound of docs/numerics.md of the exact sum) and for
softmax (within 4 units in the last place). `tests/conformance/ops.k` has the kernels.

Calls that NumPy refuses count as agreeing when kjit refuses them too.

Layouts: *strided*, every second element along each axis; *negative*, all axes backwards; *fortran*, column-major;
*unaligned*, one byte off; *broadcast*, axes of step 0 and smaller operands; *overlapping*, elements that share memory with
each other, or outputs with inputs; *empty*, no elements.
";

/// Cells that are known to differ from NumPy: a line of `tests/conformance/open.txt`.
pub struct Open {
    /// Methods, dtypes, layouts and targets; `None` stands for all.
    lists: [Option<Vec<String>>; 4],
    why: String,
}

impl Open {
    /// Does it speak of the gpu alone?
    pub fn is_of_gpu(&self) -> bool {
        self.lists[3].as_deref() == Some(&["gpu".to_string()])
    }

    /// Is a cell one of these?
    pub fn covers(&self, (target, method, dtype, layout): &Key) -> bool {
        let names = [method.as_str(), dtype, layout, target];
        self.lists.iter().zip(names).all(|(list, name)| {
            list.as_ref()
                .is_none_or(|list| list.iter().any(|word| word == name))
        })
    }
}

/// Reads `tests/conformance/open.txt`.
pub fn read_open() -> Vec<Open> {
    let text = std::fs::read_to_string(repo("tests/conformance/open.txt")).expect("open.txt");
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let list = |word: &str| match word {
        "*" => None,
        _ => Some(word.split(',').map(str::to_string).collect()),
    };
    lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            Open {
                lists: [words[0], words[1], words[2], words[3]].map(list),
                why: words[4..].join(" "),
            }
        })
        .collect()
}

/// The text of a page from a target's headline to the next one.
pub fn section<'a>(page: &'a str, target: &str) -> &'a str {
    let headline = format!("\n## {target}\n");
    let from = page.find(&headline).map_or("", |at| &page[at + 1..]);
    from.find("\n## ").map_or(from, |end| &from[..end])
}

/// The page, with a table for each of these targets.
///
/// # Panics
/// When a cell is blank without a reason.
pub fn page(answers: &Answers, cells: &Cells, open: &[Open], targets: &[&'static str]) -> String {
    let mut methods: Vec<&str> = Vec::new();
    let named = answers.cases.iter().map(|c| &c.method);
    for method in named.chain(answers.reasons.iter().map(|r| &r.method)) {
        if !methods.contains(&method.as_str()) {
            methods.push(method);
        }
    }
    let mut page = HEAD.to_string();
    let (passed, failed) = cells.values().fold((0, 0), |(p, f), cell| {
        (p + cell.passed, f + cell.failures.len())
    });
    let _ = writeln!(
        page,
        "\nAnswers of {}. {} recorded calls, made {} times: {passed} agree, {failed} do not.",
        answers.versions.join(", "),
        answers.cases.len(),
        passed + failed
    );
    let mut reasons: Vec<String> = Vec::new();
    for &target in targets {
        let _ = writeln!(page, "\n## {target}\n");
        let names: Vec<&str> = DType::ALL.iter().map(|d| d.name()).collect();
        let _ = writeln!(page, "| method | layout | {} |", names.join(" | "));
        let _ = writeln!(page, "|---|---|{}", "---|".repeat(names.len()));
        for method in &methods {
            for layout in LAYOUTS {
                let row: Vec<String> = names
                    .iter()
                    .map(|dtype| {
                        let key = (
                            target,
                            method.to_string(),
                            dtype.to_string(),
                            layout.to_string(),
                        );
                        match cells.get(&key) {
                            Some(cell) => count(cell, &key, open, &mut reasons),
                            None => reason(answers, method, dtype, layout, &mut reasons),
                        }
                    })
                    .collect();
                let _ = writeln!(page, "| {method} | {layout} | {} |", row.join(" | "));
            }
        }
    }
    let _ = writeln!(page, "\n## Reasons\n");
    for (number, why) in reasons.iter().enumerate() {
        let _ = writeln!(page, "- ({}) {why}", number + 1);
    }
    page
}

fn count(cell: &Cell, key: &Key, open: &[Open], reasons: &mut Vec<String>) -> String {
    if cell.failures.is_empty() {
        return cell.passed.to_string();
    }
    let count = format!("{}/{}", cell.passed, cell.passed + cell.failures.len());
    match open.iter().find(|o| o.covers(key)) {
        Some(open) => format!("{count} {}", mark(&open.why, reasons)),
        None => format!("**{count}**"),
    }
}

/// The mark of a reason.
fn mark(why: &str, reasons: &mut Vec<String>) -> String {
    let number = reasons.iter().position(|r| r == why).unwrap_or_else(|| {
        reasons.push(why.to_string());
        reasons.len() - 1
    });
    format!("({})", number + 1)
}

/// The mark of the reason why a cell has no case.
fn reason(
    answers: &Answers,
    method: &str,
    dtype: &str,
    layout: &str,
    reasons: &mut Vec<String>,
) -> String {
    let found = answers.reasons.iter().find(|r| {
        r.method == method
            && r.dtypes.iter().any(|d| d == dtype)
            && r.layouts.iter().any(|l| l == layout)
    });
    match found {
        Some(reason) => mark(&reason.why, reasons),
        None => panic!("the cell {method}, {dtype}, {layout} has neither a case nor a reason"),
    }
}
