//! `kjit call` against NumPy, bit for bit.

use crate::support::{Sandbox, kjit, repo};
use std::process::Command;

/// The Python that has NumPy: `cargo xtask test` sets KJIT_PYTHON to the one it prepared.
pub fn python() -> String {
    std::env::var("KJIT_PYTHON").unwrap_or_else(|_| "python3".into())
}

#[test]
fn saxpy_equals_numpy() {
    let sandbox = Sandbox::new();
    let output = Command::new(python())
        .arg(repo("cli/tests/numpy_saxpy.py"))
        .arg(kjit())
        .arg(repo("examples/saxpy.k"))
        .current_dir(sandbox.path())
        .env("XDG_RUNTIME_DIR", sandbox.path())
        .output()
        .expect("starting python3");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{stderr}\n(NumPy is needed: `cargo xtask test` prepares it)",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn results_are_printed_without_out() {
    let sandbox = Sandbox::new();
    let saxpy = repo("examples/saxpy.k");
    assert_eq!(
        sandbox
            .run(&["call", &saxpy, "saxpy", "2", "3", "4.5"])
            .ok(),
        "10.5\n"
    );
    assert_eq!(
        sandbox
            .run(&["call", &saxpy, "saxpy", "2", "linspace:0:1:3", "1"])
            .ok(),
        "[1. 2. 3.]\n"
    );
}

#[test]
fn several_outputs_go_to_several_files() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "roots.k",
        "ufunc roots<T: float>(a: T, b: T) -> (lo: T, hi: T) { (a - b, a + b) }",
    );
    sandbox
        .run(&[
            "call",
            "roots.k",
            "roots",
            "5",
            "arange:3:dtype=f64",
            "-o",
            "lo.csv",
            "-o",
            "hi.csv",
        ])
        .ok();
    let read = |name: &str| std::fs::read_to_string(sandbox.path().join(name)).expect("an output");
    assert_eq!(read("lo.csv"), "5.0\n4.0\n3.0\n");
    assert_eq!(read("hi.csv"), "5.0\n6.0\n7.0\n");
    let message = sandbox
        .run(&["call", "roots.k", "roots", "5", "1", "-o", "lo.csv"])
        .error();
    assert!(
        message.contains("roots has 2 outputs but 1 file was given"),
        "{message}"
    );
}

#[test]
fn numbers_of_every_form_are_arguments() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "f.k",
        "ufunc add<T: float>(x: T, y: T) -> T { x + y } ufunc flip(x: bool) -> bool { !x }",
    );
    let sum = |x: &str, y: &str| sandbox.run(&["call", "f.k", "add", x, y]);
    assert_eq!(sum("-1e-3", "-2").ok(), "-2.001\n");
    assert_eq!(sum("-1", "-2").ok(), "-3.0\n");
    assert_eq!(sum("inf", "1_000").ok(), "inf\n");
    assert!(sum("1e400", "1").error().contains("larger than any float"));
    let narrow = sum("1e39", "zeros:2:dtype=f32").error();
    assert!(narrow.contains("does not fit the argument x: f32"));
    let flipped = sandbox.run(&["call", "f.k", "flip", "true"]);
    assert_eq!(flipped.ok(), "false\n");
}

#[test]
fn no_output_is_written_unless_all_can_be() {
    let sandbox = Sandbox::new();
    sandbox.write("f.k", "ufunc both<T: float>(x: T) -> (T, T) { (x, -x) }");
    let both =
        |a: &str, b: &str| sandbox.run(&["call", "f.k", "both", "ones:2x2x2", "-o", a, "-o", b]);
    assert!(both("a.npy", "b.csv").error().contains("is not a table"));
    assert!(
        both("a.npy", "a.npy")
            .error()
            .contains("cannot both be written")
    );
    assert_eq!(sandbox.files(), ["f.k"]);
}

#[test]
fn integers_for_a_float_parameter_are_floats() {
    let sandbox = Sandbox::new();
    let saxpy = repo("examples/saxpy.k");
    let out = sandbox
        .run(&["call", &saxpy, "saxpy", "2", "arange:3", "arange:3"])
        .ok();
    assert_eq!(out, "[0. 3. 6.]\n");
}
