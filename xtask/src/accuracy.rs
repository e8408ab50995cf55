//! `cargo xtask accuracy`: errors of the function library against MPFR (`accuracy/`, a workspace of its own, because it needs
//! MPFR and a C compiler), and with `--targets` the same bits on every target (a test of the suite, with more inputs).

use crate::test::{run, set_up_vulkan};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Inputs of a function on every target.
const TARGET_INPUTS: &str = "1048576";

/// Runs what the arguments ask for.
pub fn accuracy(root: &Path, args: &[&str]) -> Result<(), String> {
    if args.contains(&"--targets") {
        return targets(root, args);
    }
    if !has_mpfr() {
        return Err(
            "the references need MPFR (4.2), GMP (6.2) with their headers, glibc and a C compiler for x86-64: on Debian and \
             Ubuntu `apt-get install gcc libmpfr-dev libgmp-dev`"
                .into(),
        );
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["run", "--release", "--quiet", "--manifest-path"])
        .arg(root.join("accuracy/Cargo.toml"))
        .arg("--target-dir")
        .arg(target.join("accuracy"))
        .arg("--")
        .args(args)
        .current_dir(root);
    run(&mut command)
}

/// Compares the targets; `--record` writes the outcome into docs/numerics.md.
fn targets(root: &Path, args: &[&str]) -> Result<(), String> {
    set_up_vulkan()?;
    let record = args.contains(&"--record");
    if let Some(other) = args
        .iter()
        .find(|a| !["--targets", "--record"].contains(*a))
    {
        return Err(format!(
            "--targets goes with --record alone, not with {other}"
        ));
    }
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["test", "--package", "kjit", "--test", "suite"])
        .args(["the_same_bits_on_every_target", "--", "--nocapture"])
        .env("KJIT_TARGET_INPUTS", TARGET_INPUTS)
        .current_dir(root);
    if record {
        command.env("KJIT_TARGETS_RECORD", "1");
    }
    run(&mut command)
}

/// Does a C compiler find the headers?
fn has_mpfr() -> bool {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let child = Command::new(compiler)
        .args(["-E", "-x", "c", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.is_ok_and(|mut child| {
        let text = b"#include <gmp.h>\n#include <mpfr.h>\n";
        let written = child
            .stdin
            .take()
            .is_some_and(|mut input| input.write_all(text).is_ok());
        child.wait().is_ok_and(|status| status.success()) && written
    })
}
