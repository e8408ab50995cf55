//! NumPy's own tables of its functions' accuracy, which its wheel brings along: arguments, answers and tolerances.

use super::{apart, call, from_bits, kernel, ordinals};
use crate::support::engines;
use kjit::DType;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the tables.
fn folder() -> PathBuf {
    let python = std::env::var("KJIT_PYTHON").unwrap_or_else(|_| "python3".into());
    let output = Command::new(&python)
        .args([
            "-c",
            "import numpy, os; print(os.path.dirname(numpy.__file__))",
        ])
        .output();
    let cure = "this test reads the tables of NumPy's wheel: set KJIT_PYTHON to a Python with NumPy 2, or run `cargo xtask test`";
    let output = output.unwrap_or_else(|e| panic!("{python}: {e}; {cure}"));
    assert!(output.status.success(), "{python} has no NumPy; {cure}");
    let numpy = String::from_utf8_lossy(&output.stdout).trim().to_string();
    let folder = Path::new(&numpy).join("_core/tests/data");
    assert!(
        folder.is_dir(),
        "{}: NumPy came without its tests; {cure}",
        folder.display()
    );
    folder
}

/// What kjit calls a function of NumPy.
fn name_of(numpy: &str) -> String {
    match numpy.strip_prefix("arc") {
        Some(rest) => format!("a{rest}"),
        None => numpy.to_string(),
    }
}

/// Argument, answer and tolerance.
type Row = [u64; 3];

#[test]
fn tables_of_numpy_pass_on_every_target() {
    let folder = folder();
    let engines = engines();
    let mut tables = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some(numpy) = file
            .strip_prefix("umath-validation-set-")
            .and_then(|n| n.strip_suffix(".csv"))
        else {
            continue;
        };
        tables += 1;
        let text = std::fs::read_to_string(&path).expect("a table");
        let mut rows: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
        // The header and comments are no rows.
        for line in text.lines().filter(|line| line.starts_with("np.float")) {
            let words: Vec<&str> = line.split(',').map(str::trim).collect();
            let bits = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16);
            let [dtype, x, want, tolerance] = words[..] else {
                panic!("{file}: {line}");
            };
            let row = [bits(x), bits(want), tolerance.parse()]
                .map(|word| word.unwrap_or_else(|e| panic!("{file}: {line}: {e}")));
            rows.entry(dtype).or_default().push(row);
        }
        assert!(!rows.is_empty(), "{file} has no rows");
        for (dtype, rows) in rows {
            let dtype = if dtype == "np.float32" {
                DType::F32
            } else {
                DType::F64
            };
            let column =
                |n: usize| from_bits(&rows.iter().map(|row| row[n]).collect::<Vec<_>>(), dtype);
            let (inputs, wanted) = ([column(0)], ordinals(&column(1)));
            let name = name_of(numpy);
            let program = kernel(&name, 1, dtype);
            for (target, engine) in &engines {
                let got = ordinals(&call(engine, &program, &inputs, dtype));
                for ((got, want), row) in got.into_iter().zip(&wanted).zip(&rows) {
                    assert!(
                        apart(got, *want) <= row[2],
                        "{name} of {dtype} on {target}: {got:x?}, not {want:x?}, for {row:x?}"
                    );
                }
            }
        }
    }
    assert!(
        tables >= 20,
        "{}: {tables} tables; NumPy 2.4.6 has 20",
        folder.display()
    );
}
