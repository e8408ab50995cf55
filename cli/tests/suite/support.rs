//! Runs the command in a folder of its own and looks at what it leaves.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Every target that must give the same answers. The gpu target fails where there is no adapter: it is
/// never left out.
pub const TARGETS: [&[&str]; 5] = [
    &["--target", "cpu"],
    &["--target", "parallel", "--threads", "1"],
    &[
        "--target",
        "parallel",
        "--threads",
        "2",
        "--schedule",
        "static",
    ],
    &[
        "--target",
        "parallel",
        "--threads",
        "5",
        "--schedule",
        "dynamic",
    ],
    &["--target", "gpu"],
];

/// A temporary folder to run the command in.
pub struct Sandbox {
    dir: tempfile::TempDir,
}

/// What a run printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    pub fn new() -> Sandbox {
        Sandbox {
            dir: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), content).expect("writing a test file");
    }

    /// Files in the folder, sorted.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path())
            .expect("listing the folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    pub fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Ran {
        let output = Command::new(kjit())
            .args(args)
            .current_dir(self.path())
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("RUST_BACKTRACE")
            .envs(env.iter().copied())
            .output()
            .expect("starting kjit");
        Ran::from(output)
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// The standard output of a run that must have succeeded in silence on stderr.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(
            self.code,
            Some(0),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self.stdout
    }

    /// The message of a run that must have failed with exit code 1 and one error.
    #[track_caller]
    pub fn error(self) -> String {
        assert_eq!(
            self.code,
            Some(1),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        let errors = self
            .stderr
            .lines()
            .filter(|l| l.starts_with("error"))
            .count();
        assert_eq!(errors, 1, "one message expected:\n{}", self.stderr);
        assert!(!self.stderr.contains("internal error"), "{}", self.stderr);
        self.stderr
    }
}

/// The binary under test.
pub fn kjit() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_kjit"))
}

/// A path of the repository.
pub fn repo(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path)
        .to_string_lossy()
        .into_owned()
}
