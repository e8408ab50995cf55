//! The examples of README.md and docs/language.md run, and print what the page says.
//!
//! Fenced blocks: `k` runs on one core and on every core; a `text` block right after it is what it prints;
//! `k,check` is only checked; `k,error=E0301` is refused with that code.

use crate::support::repo;
use kjit::{Engine, EngineOptions, Program, RunOptions, Source, Target, render_diagnostics};

#[test]
fn language_examples_run() {
    assert!(run_page("docs/language.md") >= 20);
}

#[test]
fn readme_examples_run() {
    assert!(run_page("README.md") >= 1);
}

struct Block {
    info: String,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut list = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block {
                    info: info.trim().to_string(),
                    text: String::new(),
                    line: number + 1,
                })
            }
            (Some(_), Some(_)) => list.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    list
}

fn run_page(path: &str) -> usize {
    let page = std::fs::read_to_string(repo(path)).expect("the page");
    let list = blocks(&page);
    let mut ran = 0;
    for (n, block) in list.iter().enumerate() {
        let Some(info) = block.info.strip_prefix('k') else {
            continue;
        };
        let place = format!("{path}:{}", block.line);
        let source = Source::new(place.as_str(), block.text.as_str());
        let program = Program::compile(source.clone());
        ran += 1;
        if let Some(code) = info.strip_prefix(",error=") {
            let errors = program
                .err()
                .unwrap_or_else(|| panic!("{place}: accepted, not {code}"));
            let codes: Vec<&str> = errors.iter().map(|e| e.code.as_str()).collect();
            assert_eq!(
                codes,
                [code],
                "{}",
                render_diagnostics(&errors, &source, false)
            );
            continue;
        }
        let program =
            program.unwrap_or_else(|list| panic!("{}", render_diagnostics(&list, &source, false)));
        if info == ",check" || program.host().is_none() {
            continue;
        }
        assert_eq!(info, "", "{place}: unknown block {}", block.info);
        let expected = list
            .get(n + 1)
            .filter(|next| next.info == "text")
            .map(|next| next.text.as_str());
        for target in [Target::Cpu, Target::Parallel] {
            let printed = run_program(&program, target).unwrap_or_else(|e| panic!("{place}: {e}"));
            if let Some(expected) = expected {
                assert_eq!(printed, expected, "{place} on {target:?}");
            }
        }
    }
    ran
}

fn run_program(program: &Program, target: Target) -> kjit::Result<String> {
    let engine = Engine::new(EngineOptions {
        target,
        ..Default::default()
    })?;
    let folder = tempfile::tempdir().expect("a folder");
    let mut out = Vec::new();
    let options = RunOptions {
        params: vec![],
        out: &mut out,
        base_dir: Some(folder.path().to_path_buf()),
    };
    kjit::run(&engine, program, options)?;
    Ok(String::from_utf8(out).expect("UTF-8"))
}
