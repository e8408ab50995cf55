//! `cargo xtask test`: the set-up that the tests need, then every check and every test.
//!
//! Set-up: a Vulkan driver (Debian's software driver where the machine has none) and a Python with NumPy
//! (in a virtual environment under `target/`). Each step prints what it does; the first that fails ends the
//! run.

use std::path::{Path, PathBuf};
use std::process::Command;

/// NumPy's version in the virtual environment: answers are compared with it bit for bit.
const NUMPY: &str = "numpy==2.4.6";

/// Runs the set-up, the checks and the tests from the repository root.
pub fn test(root: &Path) -> Result<(), String> {
    set_up_vulkan()?;
    let python = set_up_python(root)?;
    cargo(root, &["fmt", "--all", "--check"], None)?;
    cargo(
        root,
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        None,
    )?;
    crate::check_tidiness(root)?;
    cargo(root, &["test", "--workspace"], Some(&python))
}

/// Writes docs/conformance.md from a run of every recorded call on every target.
pub fn conformance(root: &Path) -> Result<(), String> {
    set_up_vulkan()?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["test", "--package", "kjit", "--test", "suite"])
        .args(["conformance::", "--", "--nocapture"])
        .env("KJIT_CONFORMANCE", "write")
        .current_dir(root);
    run(&mut command)
}

fn cargo(root: &Path, args: &[&str], python: Option<&Path>) -> Result<(), String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root);
    if let Some(python) = python {
        command.env("KJIT_PYTHON", python);
    }
    run(&mut command)
}

/// Installs the software Vulkan driver where there is no driver at all.
pub fn set_up_vulkan() -> Result<(), String> {
    let folders = [
        "/usr/share/vulkan/icd.d",
        "/etc/vulkan/icd.d",
        "/usr/local/share/vulkan/icd.d",
    ];
    let has_driver = std::env::var_os("VK_DRIVER_FILES").is_some()
        || folders
            .iter()
            .any(|folder| std::fs::read_dir(folder).is_ok_and(|mut list| list.next().is_some()));
    let libraries = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib",
        "/usr/lib64",
    ];
    let has_loader = libraries
        .iter()
        .any(|folder| Path::new(folder).join("libvulkan.so.1").exists());
    if has_driver && has_loader {
        return Ok(());
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(
            "the gpu tests need a Vulkan driver and its loader: install them with this system's \
                    packages (Mesa's lavapipe will do)"
                .into(),
        );
    }
    apt(&["libvulkan1", "mesa-vulkan-drivers"])
}

fn apt(packages: &[&str]) -> Result<(), String> {
    let root = run_quietly(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let apt = |args: &[&str]| {
        let mut command = if root {
            Command::new("apt-get")
        } else {
            Command::new("sudo")
        };
        if !root {
            command.args(["-n", "apt-get"]);
        }
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    apt(&["update", "-qq"])?;
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
    args.extend(packages);
    apt(&args)
}

/// A Python that has NumPy: the system's if it does, else one in a virtual environment.
fn set_up_python(root: &Path) -> Result<PathBuf, String> {
    let has_numpy = |python: &Path| {
        let wanted = NUMPY.trim_start_matches("numpy==");
        run_quietly(Command::new(python).args(["-c", "import numpy; print(numpy.__version__)"]))
            .is_some_and(|version| version.trim() == wanted)
    };
    let system = PathBuf::from("python3");
    if has_numpy(&system) {
        return Ok(system);
    }
    let folder = root.join("target").join("venv");
    let python = folder.join("bin").join("python3");
    if has_numpy(&python) {
        return Ok(python);
    }
    let create = || run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    if create().is_err() {
        apt(&["python3", "python3-venv"])?;
        create()?;
    }
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", NUMPY]))?;
    Ok(python)
}

/// Runs a command, which is printed.
pub fn run(command: &mut Command) -> Result<(), String> {
    println!("{}", display(command));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{} failed: {status}", display(command))),
        Err(error) => Err(format!("cannot start {}: {error}", display(command))),
    }
}

fn run_quietly(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|o| o.status.success())?;
    String::from_utf8(output.stdout).ok()
}

fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|w| w.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
