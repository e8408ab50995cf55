//! Runs `tests/filetests/passes/*.kir` and `tests/filetests/verifier/*.kir`.
//!
//! A file of the first kind starts with `// pass: NAME` (or several names with commas between them) and ends with
//! `// expect:` and what the passes make of its first function (`promote_loops`, the last, of all its kernels). One of the second kind starts with
//! `// error: TEXT`, the first thing that the verifier says of its first function.
//! `KJIT_BLESS=1` writes both anew: read the diff.

use crate::support::files;
use kjit_ir::passes::{ALL, inline, optimize, promote_loops, vectorize};
use kjit_ir::text::parse_module;
use kjit_ir::verify::verify;
use kjit_ir::{FuncRef, Function, Module};

const MARK: &str = "// expect:\n";

/// The function a file speaks of.
const FIRST: FuncRef = FuncRef(0);

#[test]
fn passes_make_what_is_expected() {
    let mut seen: Vec<String> = Vec::new();
    let check = |name: &str, text: &str| {
        let passes = header(text, "// pass:").ok_or("the first line names no pass")?;
        let module = parse_module(text).map_err(|e| e.to_string())?;
        verify(&module[FIRST], Some(&module)).map_err(|e| format!("before: {e}"))?;
        let functions = run(passes, &module)?;
        for func in &functions {
            verify(func, Some(&module)).map_err(|e| format!("after: {e}"))?;
        }
        seen.extend(passes.split(',').map(|p| p.trim().to_string()));
        let (before, _) = text
            .split_once(MARK)
            .ok_or(format!("{name} has no `// expect:`"))?;
        let texts: Vec<String> = functions.iter().map(|f| f.to_string()).collect();
        let lines: String = texts
            .iter()
            .flat_map(|text| text.lines())
            .map(|l| format!("// {l}").trim_end().to_string() + "\n")
            .collect();
        Ok(format!("{before}{MARK}{lines}"))
    };
    check_files("tests/filetests/passes", check);
    let others = ["inline", "optimize", "vectorize", "promote_loops"];
    for pass in ALL.iter().map(|(name, _)| *name).chain(others) {
        assert!(
            seen.iter().any(|s| s == pass),
            "no file in tests/filetests/passes is about {pass}"
        );
    }
}

/// Runs the passes named on the first function; the last may split it.
fn run(passes: &str, module: &Module) -> Result<Vec<Function>, String> {
    let mut func = module[FIRST].clone();
    for name in passes.split(',').map(str::trim) {
        match (name, ALL.iter().find(|(known, _)| *known == name)) {
            (_, Some((_, pass))) => {
                pass(&mut func);
            }
            ("inline", _) => func = inline(module, FIRST),
            ("optimize", _) => func = optimize(module, FIRST),
            ("vectorize", _) => func = vectorize(&func),
            ("promote_loops", _) => return Ok(promote_loops(&func)),
            _ => return Err(format!("there is no pass `{name}`")),
        }
    }
    Ok(vec![func])
}

#[test]
fn the_verifier_says_what_is_expected() {
    let count = check_files("tests/filetests/verifier", |_, text| {
        header(text, "// error:").ok_or("the first line is no `// error:`")?;
        let module = parse_module(text).map_err(|e| e.to_string())?;
        let errors = verify(&module[FIRST], Some(&module))
            .err()
            .ok_or("there is no error")?;
        let (_, rest) = text.split_once('\n').ok_or("the file has one line")?;
        Ok(format!("// error: {}\n{rest}", errors.errors[0].message))
    });
    assert!(count >= 15, "only {count} files");
}

/// What the first line says behind `key`.
fn header<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().next()?.strip_prefix(key).map(str::trim)
}

/// Compares each file with what `renew` makes of it, or writes that into it; how many files there are.
fn check_files(folder: &str, mut renew: impl FnMut(&str, &str) -> Result<String, String>) -> usize {
    let bless = std::env::var_os("KJIT_BLESS").is_some();
    let paths = files(folder, "kir");
    let mut failures = Vec::new();
    for path in &paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        match renew(&name, &text) {
            Err(why) => failures.push(format!("{name}: {why}")),
            Ok(found) if found == text => {}
            Ok(found) if bless => {
                std::fs::write(path, found).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            }
            Ok(found) => failures.push(format!("{name}: the file should be\n{found}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    paths.len()
}
