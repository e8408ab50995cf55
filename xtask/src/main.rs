//! Project chores: `cargo xtask tidy` checks that the tree keeps its own rules; `cargo xtask test` does the
//! set-up that the tests need and runs every check and every test; `cargo xtask conformance` writes docs/conformance.md;
//! `cargo xtask accuracy` measures the errors of the function library.

mod accuracy;
mod test;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."));
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => check_tidiness(root),
        ["test"] => test::test(root),
        ["conformance"] => test::conformance(root),
        ["accuracy", ref args @ ..] => accuracy::accuracy(root, args),
        _ => {
            eprintln!(
                "usage: cargo xtask tidy | cargo xtask test | cargo xtask conformance | cargo xtask accuracy [OPTION..] \
                 [FUNCTION..]"
            );
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what is untidy.
fn check_tidiness(root: &Path) -> Result<(), String> {
    let (checked, problems) = tidy::tidy(root);
    for problem in &problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() {
        println!("tidy: {checked} files checked");
        Ok(())
    } else {
        Err(format!("{} problems", problems.len()))
    }
}
