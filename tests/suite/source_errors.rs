//! Runs `tests/filetests/errors/*.k`: each is a wrong program and, after `// expect:`, what is said of it.
//!
//! The program is the text before that line; after it stand the messages as `kjit check` prints them,
//! without colour, under the name of the file. `KJIT_BLESS=1` writes the messages anew: read the diff.

use kjit_frontend::{Source, check, diagnostic::Code, render::render};
use std::path::Path;

const MARK: &str = "// expect:";

#[test]
fn wrong_programs_get_their_messages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests/errors");
    let bless = std::env::var_os("KJIT_BLESS").is_some();
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.extension().is_some_and(|e| e == "k"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 60, "only {} wrong programs", paths.len());
    let mut failures = Vec::new();
    for path in &paths {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (program, expected) = split(&text);
        let source = Source::new(name.as_ref(), program);
        let Err(diagnostics) = check(&source) else {
            failures.push(format!("{name}: there is no message"));
            continue;
        };
        if diagnostics.len() != 1 {
            failures.push(format!(
                "{name}: one mistake gives {} messages",
                diagnostics.len()
            ));
        }
        let found = comment(&render(&diagnostics, &[&source], false));
        if found == expected {
            continue;
        }
        if bless {
            let text = format!("{program}{MARK}\n{found}");
            std::fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        } else {
            failures.push(format!("{name}: expected\n{expected}\nfound\n{found}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The program, and the comment block that is expected (empty if there is none).
fn split(text: &str) -> (&str, &str) {
    match text.find(&format!("\n{MARK}\n")) {
        Some(at) => (&text[..at + 1], &text[at + MARK.len() + 2..]),
        None => (text, ""),
    }
}

fn comment(message: &str) -> String {
    message
        .lines()
        .map(|line| format!("// {line}").trim_end().to_string() + "\n")
        .collect()
}

/// The first example of each section of the page of errors has the mistake the section is about.
#[test]
fn examples_of_the_page_of_errors() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    let page = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut failures = Vec::new();
    let mut checked = 0;
    for section in page.split("\n## ").skip(1) {
        let code = &section[..5];
        let Some(example) = section
            .split("```text\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next())
        else {
            continue;
        };
        checked += 1;
        let source = Source::new(format!("{code}.k"), example);
        match check(&source) {
            Ok(_) => failures.push(format!("{code}: the example is right\n{example}")),
            Err(list) if list.iter().any(|d| d.code.as_str() != code) => {
                failures.push(render(&list, &[&source], false));
            }
            Err(_) => {}
        }
    }
    // all but those of E0106 and E0108, which would be too long
    assert_eq!(checked, Code::ALL.len() - 2);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
