//! The conformance table: each method, dtype and layout on each target against answers recorded from NumPy.
//!
//! The answers are made by `tests/conformance/generate.py`; `cargo xtask conformance` writes docs/conformance.md, and
//! the test here checks that what is committed is what it would write.

mod answers;
mod arrays;
mod calls;
mod compare;
mod table;

use crate::support::repo;
use answers::{Answers, Case};
use kjit::{Engine, EngineOptions, Program, Schedule, Source, Target, render_diagnostics};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A place in the table.
type Key = (&'static str, String, String, String);

/// How the cases of a cell went.
#[derive(Default)]
pub struct Cell {
    pub passed: usize,
    pub failures: Vec<String>,
}

/// All cells that have cases, by (target, method, dtype, layout).
type Cells = BTreeMap<Key, Cell>;

/// Of the calls on the gpu, whose shaders take a software driver minutes to compile, the test makes one in so many.
const GPU_SAMPLE: usize = 40;

/// The targets of the table. The gpu is never left out: without an adapter the test fails.
const TARGETS: [&str; 3] = ["cpu", "parallel", "gpu"];

fn engine(target: &str) -> Engine {
    let options = match target {
        "cpu" => EngineOptions::default(),
        "parallel" => EngineOptions {
            target: Target::Parallel,
            threads: Some(3),
            schedule: Schedule::Dynamic,
            ..Default::default()
        },
        _ => EngineOptions {
            target: Target::Gpu,
            ..Default::default()
        },
    };
    Engine::new(options).unwrap_or_else(|e| panic!("no engine for {target}: {e}"))
}

fn program() -> Arc<Program> {
    let text = std::fs::read_to_string(repo("tests/conformance/ops.k")).expect("the kernels");
    let source = Source::new("ops.k", text.as_str());
    match Program::compile(source.clone()) {
        Ok(program) => Arc::new(program),
        Err(list) => panic!("{}", render_diagnostics(&list, &source, false)),
    }
}

/// Runs the cases that are wanted on each target.
fn run(answers: &Answers, wanted: impl Fn(&Case, &str) -> bool + Sync) -> Cells {
    let program = program();
    let of_target = |target: &'static str| {
        let mut cells = Cells::new();
        let mut cases = answers
            .cases
            .iter()
            .filter(|c| wanted(c, target))
            .peekable();
        if cases.peek().is_none() {
            return cells;
        }
        let engine = engine(target);
        for case in cases {
            for layout in &case.layouts {
                let key = (
                    target,
                    case.method.clone(),
                    case.dtype.name().to_string(),
                    layout.clone(),
                );
                let cell = cells.entry(key).or_default();
                match calls::check(case, layout, answers, &program, &engine) {
                    None => cell.passed += 1,
                    Some(why) => cell.failures.push(format!(
                        "answers.txt:{}: {} {} {} {layout} on {target}: {why}",
                        case.line, case.method, case.op, case.dtype
                    )),
                }
            }
        }
        cells
    };
    std::thread::scope(|scope| {
        let runs = TARGETS.map(|target| scope.spawn(move || of_target(target)));
        let done = runs.map(|run| {
            run.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        done.into_iter().flatten().collect()
    })
}

/// `KJIT_CONFORMANCE=write`: writes the page (`cargo xtask conformance`). `KJIT_CONFORMANCE=only:WORD,WORD`: runs the cases whose
/// target, method, operation and dtype have all of these words, and prints each failure.
#[test]
fn answers_are_those_of_numpy() {
    let mode = std::env::var("KJIT_CONFORMANCE").unwrap_or_default();
    let answers = answers::read();
    let words: Vec<&str> = match mode.strip_prefix("only:") {
        Some(words) => words.split(',').collect(),
        None => vec![],
    };
    let sampled = mode.is_empty();
    let wanted = |case: &Case, target: &str| {
        if sampled && target == "gpu" && !case.line.is_multiple_of(GPU_SAMPLE) {
            return false;
        }
        let names = [
            target,
            case.method.as_str(),
            case.op.as_str(),
            case.dtype.name(),
        ];
        words.iter().all(|word| names.contains(word))
    };
    let cells = run(&answers, wanted);
    let open = table::read_open();
    let is_open = |key: &Key| open.iter().any(|o| o.covers(key));
    let failures: Vec<&String> = cells
        .iter()
        .filter(|(key, _)| !words.is_empty() || !is_open(key))
        .flat_map(|(_, cell)| &cell.failures)
        .collect();
    let passed: usize = cells.values().map(|cell| cell.passed).sum();
    for failure in &failures {
        eprintln!("{failure}");
    }
    assert!(passed > 0, "no case has these words");
    if words.is_empty() {
        for (number, line) in open.iter().enumerate() {
            // A sample of the calls may miss what fails on the gpu alone.
            if sampled && line.is_of_gpu() {
                continue;
            }
            let fails = |(key, cell): (&Key, &Cell)| line.covers(key) && !cell.failures.is_empty();
            let number = number + 1;
            assert!(
                cells.iter().any(fails),
                "line {number} of open.txt is open no more: remove it"
            );
        }
        let path = repo("docs/conformance.md");
        if mode == "write" {
            let page = table::page(&answers, &cells, &open, &TARGETS);
            std::fs::write(&path, &page).expect("writing docs/conformance.md");
        } else {
            let host = &TARGETS[..2];
            let page = table::page(&answers, &cells, &open, host);
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            for target in host {
                assert!(
                    table::section(&committed, target) == table::section(&page, target),
                    "docs/conformance.md is not what the cases give on {target}: run `cargo xtask conformance` and \
                     read the difference"
                );
            }
        }
    }
    let failed = failures.len();
    assert!(
        failed == 0,
        "{failed} cases differ from NumPy, {passed} do not"
    );
}
