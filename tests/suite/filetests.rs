//! Runs `tests/filetests/run/*.k` and `tests/filetests/main/*.k`: expectations stand beside the code, and every
//! backend meets them, each in a test of its name.
//!
//! ```text
//! // run: NAME(ARRAY, ..) == ARRAY, ..        an ARRAY is `[1, nan, -0.0]: f32` or `7: u8`
//! // run: NAME(ARRAY, ..) error: TEXT         the message contains TEXT
//! ```
//!
//! Files of the second folder have a `main`, and end with `// prints:` and what it prints, a comment a line;
//! `KJIT_BLESS=1` writes that anew: read the diff.

use crate::support::{engine, files, parse_array, split_top};
use kjit::{Arg, Array, Program, RunOptions, Source, Ufunc, render_diagnostics, render_error};
use kjit_fuzz::compile::first_difference;
use std::sync::Arc;

macro_rules! on {
    ($($backend:ident)*) => {
        mod run_filetests_hold_on {
            $(#[test] fn $backend() { super::run_files(stringify!($backend)); })*
        }

        mod programs_print_what_is_expected_on {
            $(#[test] fn $backend() { super::main_files(stringify!($backend)); })*
        }
    };
}

on! { interp scalar sse avx2 avx512 parallel gpu }

fn run_files(backend: &str) {
    let Some(engine) = engine(backend, false) else {
        return;
    };
    let mut checked = 0;
    for path in files("tests/filetests/run", "k") {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).expect("a filetest");
        let source = Source::new(name.as_str(), text.as_str());
        let program = match Program::compile(source.clone()) {
            Ok(program) => Arc::new(program),
            Err(list) => panic!("{}", render_diagnostics(&list, &source, false)),
        };
        for (number, line) in text.lines().enumerate() {
            let Some(test) = line.trim().strip_prefix("// run:") else {
                continue;
            };
            if let Err(why) = run_line(&program, &engine, test) {
                panic!("{name}:{}: {backend}: {why}", number + 1);
            }
            checked += 1;
        }
    }
    assert!(checked >= 40, "only {checked} expectations");
}

fn main_files(backend: &str) {
    const MARK: &str = "\n// prints:\n";
    let Some(engine) = engine(backend, false) else {
        return;
    };
    // The oracle says what is expected.
    let bless = backend == "interp" && std::env::var_os("KJIT_BLESS").is_some_and(|v| v == "1");
    for path in files("tests/filetests/main", "k") {
        let text = std::fs::read_to_string(&path).expect("a filetest");
        let (code, expected) = match text.split_once(MARK) {
            Some((code, lines)) => (code, lines.to_string()),
            None => (text.trim_end(), String::new()),
        };
        let source = Source::new(path.display().to_string(), code);
        let program = Program::compile(source.clone())
            .unwrap_or_else(|list| panic!("{}", render_diagnostics(&list, &source, false)));
        let mut out = Vec::new();
        let options = RunOptions {
            params: Vec::new(),
            out: &mut out,
            base_dir: None,
        };
        if let Err(error) = kjit::run(&engine, &program, options) {
            panic!("{backend}: {}", render_error(&error, Some(&source), false));
        }
        let printed = String::from_utf8(out).expect("text");
        let comments = printed.lines().map(|l| format!("// {l}"));
        let got: String = comments.map(|l| l.trim_end().to_string() + "\n").collect();
        if bless {
            std::fs::write(&path, format!("{code}{MARK}{got}")).expect("blessing");
            continue;
        }
        let name = path.display();
        assert_eq!(
            got, expected,
            "{name} on {backend} (KJIT_BLESS=1 writes it anew)"
        );
    }
}

fn run_line(program: &Arc<Program>, engine: &kjit::Engine, test: &str) -> Result<(), String> {
    let (call, expected, fails) = match (test.split_once(") =="), test.split_once(") error:")) {
        (Some((call, expected)), _) => (call, expected, false),
        (None, Some((call, expected))) => (call, expected, true),
        (None, None) => return Err(format!("not a test: {test}")),
    };
    let (name, args) = call.split_once('(').ok_or("no argument list")?;
    let args = split_top(args)
        .iter()
        .map(|a| parse_array(a).map(|array| Arg::from(&array)))
        .collect::<Result<Vec<Arg>, _>>()?;
    let outputs = Ufunc::new(program, name.trim())
        .and_then(|f| f.call(engine, &args))
        .and_then(|list| {
            list.iter()
                .map(Array::to_host)
                .collect::<kjit::Result<Vec<_>>>()
        });
    match (outputs, fails) {
        (Err(error), true) if error.to_string().contains(expected.trim()) => Ok(()),
        (Err(error), _) => Err(format!("fails: {error}")),
        (Ok(_), true) => Err(format!("does not fail with {expected}")),
        (Ok(outputs), false) => {
            let expected = split_top(expected)
                .iter()
                .map(|e| parse_array(e))
                .collect::<Result<Vec<_>, _>>()?;
            if expected.len() != outputs.len() {
                return Err(format!("{} outputs, not {}", outputs.len(), expected.len()));
            }
            for (expected, got) in expected.iter().zip(&outputs) {
                if expected.dtype() != got.dtype() || expected.shape() != got.shape() {
                    return Err(format!("gives {} {:?}", got.dtype(), got.shape()));
                }
                if let Some((index, a, b)) = first_difference(expected, got) {
                    return Err(format!("element {index} is {b:?}, not {a:?}"));
                }
            }
            Ok(())
        }
    }
}
