//! Backends to run on, values in text, and expectations that can be blessed.

use kjit::{Array, DType, Engine, EngineOptions, Isa, Scalar, Schedule, Target};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A path of the repository.
pub fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Files of a folder with this extension, sorted.
pub fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = std::fs::read_dir(repo(folder))
        .unwrap_or_else(|e| panic!("{folder}: {e}"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    list.sort();
    list
}

/// Every backend, the oracle first. The gpu is never left out: without an adapter the tests fail.
pub fn engines() -> Vec<(&'static str, Engine)> {
    engines_of(false)
}

/// As [`engines`], for `fast` kernels if that is asked for.
pub fn engines_of(fast: bool) -> Vec<(&'static str, Engine)> {
    let all = [
        "interp", "scalar", "sse", "parallel", "gpu", "avx2", "avx512",
    ];
    let all = all.into_iter();
    all.filter_map(|name| Some((name, engine(name, fast)?)))
        .collect()
}

/// The engine of a backend; none, and a line that says so, where this machine lacks the instructions.
pub fn engine(backend: &str, fast: bool) -> Option<Engine> {
    let mut options = EngineOptions {
        fast,
        ..EngineOptions::default()
    };
    match backend {
        "interp" => options.interp = true,
        "scalar" => options.scalar = true,
        "gpu" => options.target = Target::Gpu,
        "parallel" => {
            options.target = Target::Parallel;
            options.threads = Some(3);
            options.schedule = Schedule::Dynamic;
        }
        isa => options.isa = Isa::from_name(isa),
    }
    if let Some(isa) = options.isa
        && !isa.is_available()
    {
        say(&format!("nothing ran with {}", isa.name()));
        return None;
    }
    Some(Engine::new(options).unwrap_or_else(|e| panic!("no engine: {e}")))
}

/// A line about what this machine lacks, which is seen when the test passes, too.
pub fn say(text: &str) {
    // What tests print with macros is shown when they fail.
    let _ = writeln!(std::io::stderr(), "this machine lacks instructions: {text}");
}

/// An array written as `[1, -2.5, nan]: f32` or `7: u8`.
pub fn parse_array(text: &str) -> Result<Array, String> {
    let (value, dtype) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("{text}: no dtype"))?;
    let dtype = DType::from_name(dtype.trim()).ok_or_else(|| format!("{text}: unknown dtype"))?;
    let value = value.trim();
    let (words, shape): (Vec<&str>, Vec<usize>) = match value.strip_prefix('[') {
        None => (vec![value], vec![]),
        Some(rest) => {
            let inner = rest
                .strip_suffix(']')
                .ok_or_else(|| format!("{text}: no closing bracket"))?;
            let words: Vec<&str> = inner
                .split(',')
                .map(str::trim)
                .filter(|w| !w.is_empty())
                .collect();
            let n = words.len();
            (words, vec![n])
        }
    };
    let mut bytes = Vec::new();
    for word in words {
        let (image, size) = parse_scalar(word, dtype)?.to_ne_bytes();
        bytes.extend_from_slice(&image[..size]);
    }
    let buffer = kjit::HostBuffer::from_bytes(&bytes).map_err(|e| e.to_string())?;
    Array::from_buffer(buffer, dtype, &shape).map_err(|e| e.to_string())
}

fn parse_scalar(word: &str, dtype: DType) -> Result<Scalar, String> {
    let bad = || format!("{word} is not a value of {dtype}");
    Ok(match dtype {
        DType::Bool => Scalar::bool(word.parse().map_err(|_| bad())?),
        DType::F32 => Scalar::f32(word.parse().map_err(|_| bad())?),
        DType::F64 => Scalar::f64(word.parse().map_err(|_| bad())?),
        _ => {
            let value = match word.strip_prefix("0x") {
                Some(hex) => i128::from_str_radix(hex, 16).map_err(|_| bad())?,
                None => word.parse().map_err(|_| bad())?,
            };
            Scalar::int(dtype, value)
        }
    })
}

/// Splits at commas outside brackets.
pub fn split_top(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in text.chars() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else {
            parts.last_mut().expect("one part").push(c);
        }
    }
    parts
        .into_iter()
        .map(|p| p.trim().to_string())
        .filter(|p| !p.is_empty())
        .collect()
}
