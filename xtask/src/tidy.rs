//! Rules of the house that the compiler does not know:
//!
//! 1. a crate imports only what [`ALLOWED`] lets it;
//! 2. a `.rs` file starts with `//!` and has at most [`MAX_LINES`] lines;
//! 3. a path of the repository that README.md, ARCHITECTURE.md or docs/*.md name exists;
//! 4. docs/errors.md has one section for each diagnostic code, and no other;
//! 5. no text names a path of somebody's machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

/// The longest `.rs` file.
const MAX_LINES: usize = 800;

/// Which crates of the workspace each of them may import: `(package, folder, packages)`.
const ALLOWED: &[(&str, &str, &[&str])] = &[
    ("kjit-ir", "ir", &[]),
    ("kjit-frontend", "frontend", &["kjit-ir"]),
    ("kjit-interp", "backends/interp", &["kjit-ir"]),
    ("kjit-code", "backends/code", &["kjit-ir"]),
    (
        "kjit-cranelift",
        "backends/cranelift",
        &["kjit-ir", "kjit-code"],
    ),
    ("kjit-x86", "backends/x86", &["kjit-ir", "kjit-code"]),
    ("kjit-wgsl", "backends/wgsl", &["kjit-ir"]),
    (
        "kjit-driver",
        "driver",
        &[
            "kjit-ir",
            "kjit-frontend",
            "kjit-interp",
            "kjit-code",
            "kjit-cranelift",
            "kjit-x86",
            "kjit-wgsl",
        ],
    ),
    ("kjit-runtime", "runtime", &["kjit-ir", "kjit-driver"]),
    ("kjit-macros", "macros", &["kjit-frontend"]),
    (
        "kjit",
        ".",
        &[
            "kjit-ir",
            "kjit-frontend",
            "kjit-interp",
            "kjit-cranelift",
            "kjit-x86",
            "kjit-wgsl",
            "kjit-driver",
            "kjit-runtime",
            "kjit-macros",
        ],
    ),
    ("kjit-cli", "cli", &["kjit", "kjit-driver"]),
    ("xtask", "xtask", &[]),
    ("kjit-accuracy", "accuracy", &["kjit"]),
    (
        "kjit-fuzz",
        "fuzz",
        &[
            "kjit",
            "kjit-ir",
            "kjit-frontend",
            "kjit-driver",
            "kjit-runtime",
            "kjit-interp",
        ],
    ),
];

/// Folders of the root that hold no source.
const SKIPPED: &[&str] = &["target", ".git", "shared", "node_modules"];

/// Folders of the root: a path in a document starts with one of them.
const FOLDERS: &[&str] = &[
    "ir", "frontend", "backends", "driver", "runtime", "macros", "src", "cli", "examples", "tests",
    "benches", "fuzz", "accuracy", "docs", "xtask", ".ci", ".cargo",
];

/// Runs every check: how many files were read, and what is wrong.
pub fn tidy(root: &Path) -> (usize, Vec<String>) {
    let mut files = Vec::new();
    collect(root, root, &mut files);
    files.sort();
    let mut problems = Vec::new();
    for path in &files {
        let Ok(text) = fs::read_to_string(root.join(path)) else {
            continue;
        };
        let name = path.display().to_string();
        problems.extend(machine_paths(&name, &text));
        if name.ends_with(".rs") {
            problems.extend(source_file(&name, &text));
        }
        if path.file_name().is_some_and(|n| n == "Cargo.toml") {
            problems.extend(manifest(&name, &text));
        }
        if is_document(&name) {
            problems.extend(document(&name, &text, &|p| exists(root, p)));
        }
    }
    match (
        fs::read_to_string(root.join("frontend/src/diagnostic.rs")),
        fs::read_to_string(root.join("docs/errors.md")),
    ) {
        (Ok(table), Ok(page)) => problems.extend(error_page(&table, &page)),
        _ => problems.push("docs/errors.md or frontend/src/diagnostic.rs is missing".to_string()),
    }
    (files.len(), problems)
}

/// Every file below `folder` that may hold text of ours, relative to `root`.
fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            if !SKIPPED.iter().any(|s| name == *s) {
                collect(root, &path, files);
            }
        } else if kind.is_file() {
            let known = path.extension().is_some_and(|e| {
                [
                    "rs", "toml", "md", "k", "kir", "py", "sh", "yml", "yaml", "wgsl", "txt",
                ]
                .iter()
                .any(|k| e == *k)
            });
            if (known || path.extension().is_none())
                && let Ok(relative) = path.strip_prefix(root)
            {
                files.push(relative.to_path_buf());
            }
        }
    }
}

fn exists(root: &Path, path: &str) -> bool {
    root.join(path).exists()
}

// ---- 1: imports --------------------------------------------------------------------------------

/// Imports of a `Cargo.toml` that the table forbids. Dependencies of tests are free.
fn manifest(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let package = section_value(text, "[package]", "name");
    let Some(package) = package else {
        return problems;
    };
    let Some((_, folder, allowed)) = ALLOWED.iter().find(|(name, ..)| *name == package) else {
        problems.push(format!(
            "{path}: the package {package} is not in the table of xtask/src/tidy.rs"
        ));
        return problems;
    };
    let here = path.trim_end_matches("Cargo.toml").trim_end_matches('/');
    if here != folder.trim_start_matches('.') {
        problems.push(format!(
            "{path}: the package {package} belongs into {folder}/"
        ));
    }
    for dependency in dependencies(text) {
        let ours = ALLOWED.iter().any(|(name, ..)| *name == dependency);
        if ours && !allowed.contains(&dependency.as_str()) {
            problems.push(format!("{path}: {package} must not import {dependency}"));
        }
    }
    problems
}

fn section_value(text: &str, section: &str, key: &str) -> Option<String> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == section;
        } else if inside
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == key
        {
            return Some(value.trim().trim_matches('"').to_string());
        }
    }
    None
}

/// Names in `[dependencies]`, `[build-dependencies]` and `[target.*.dependencies]`, also in the forms
/// `[dependencies.name]`, `name.workspace = true` and `alias = { package = "name" }`.
fn dependencies(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            let imports = |h: &str| {
                h == "dependencies"
                    || h == "build-dependencies"
                    || (h.starts_with("target.")
                        && h.ends_with("dependencies")
                        && !h.ends_with("dev-dependencies"))
            };
            inside = imports(header);
            if let Some((before, name)) = header.rsplit_once('.')
                && imports(before)
            {
                names.push(name.trim_matches('"').to_string());
            }
            continue;
        }
        if !inside || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let name = name
            .trim()
            .split('.')
            .next()
            .unwrap_or_default()
            .trim_matches('"');
        names.push(name.to_string());
        if let Some((_, package)) = value.split_once("package")
            && let Some(package) = package.split('"').nth(1)
        {
            names.push(package.to_string());
        }
    }
    names
}

// ---- 2: source files ---------------------------------------------------------------------------

fn source_file(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("//! ") {
        problems.push(format!(
            "{path}:1: the file does not start with a `//!` line that says what it is"
        ));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        problems.push(format!(
            "{path}: {lines} lines, more than {MAX_LINES}: split it by idea"
        ));
    }
    problems
}

// ---- 3: paths in documents ---------------------------------------------------------------------

fn is_document(path: &str) -> bool {
    matches!(path, "README.md" | "ARCHITECTURE.md")
        || (path.starts_with("docs/") && path.ends_with(".md"))
}

/// Paths that a document names and that are not there.
fn document(path: &str, text: &str, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let named: Vec<&str> = if fenced {
            line.split_whitespace()
                .filter(|w| is_text_file(w))
                .collect()
        } else {
            line.split('`')
                .skip(1)
                .step_by(2)
                .flat_map(str::split_whitespace)
                .collect()
        };
        for word in named {
            for candidate in repository_paths(word) {
                if !exists(&candidate) {
                    problems.push(format!("{path}:{}: {candidate} does not exist", number + 1));
                }
            }
        }
    }
    problems
}

fn is_text_file(word: &str) -> bool {
    [".rs", ".k", ".kir", ".md"]
        .iter()
        .any(|e| word.ends_with(e))
}

/// The paths that a word in backticks stands for: none if it is no path of the repository.
fn repository_paths(word: &str) -> Vec<String> {
    let word = word
        .trim_end_matches([',', '.', ';', ':', ')'])
        .trim_start_matches('(');
    // `file.rs:12`, `file.rs::name`
    let word = word.split(':').next().unwrap_or_default();
    let known_folder = word
        .split_once('/')
        .is_some_and(|(first, _)| FOLDERS.contains(&first));
    let known_file =
        !word.contains('/') && word.ends_with(".md") && word.starts_with(char::is_uppercase);
    if !(known_folder || known_file)
        || word.contains(['<', '>', '(', '$', '|', '=', '"', '\''])
        || word.contains("..")
    {
        return Vec::new();
    }
    let mut paths = Vec::new();
    for path in expand(word) {
        // `passes/NAME.rs` is a form, not a path
        let form = path.split('/').any(|part| {
            let stem = part.split('.').next().unwrap_or_default();
            let capitals = stem.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            stem != "*"
                && !stem.is_empty()
                && (stem.len() == 1 || (capitals && !part.ends_with(".md")))
        });
        if form && !known_file {
            continue;
        }
        match path.find('*') {
            Some(star) => paths.push(
                path[..star]
                    .rsplit_once('/')
                    .map_or(".", |(parent, _)| parent)
                    .to_string(),
            ),
            None => paths.push(path),
        }
    }
    paths
}

/// `a/{b,c}.rs` is `a/b.rs` and `a/c.rs`.
fn expand(word: &str) -> Vec<String> {
    let (Some(open), Some(close)) = (word.find('{'), word.find('}')) else {
        return vec![word.to_string()];
    };
    if close < open {
        return vec![word.to_string()];
    }
    let (before, after) = (&word[..open], &word[close + 1..]);
    word[open + 1..close]
        .split(',')
        .flat_map(|part| expand(&format!("{before}{part}{after}")))
        .collect()
}

// ---- 4: diagnostic codes -----------------------------------------------------------------------

/// Codes in the text of the table: string literals `"E0101"`.
fn codes(table: &str) -> BTreeSet<String> {
    let is_code =
        |s: &&str| s.len() == 5 && s.starts_with('E') && s[1..].bytes().all(|b| b.is_ascii_digit());
    table
        .split('"')
        .filter(is_code)
        .map(str::to_string)
        .collect()
}

fn error_page(table: &str, page: &str) -> Vec<String> {
    let codes = codes(table);
    let sections: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| {
            title
                .split([':', ' '])
                .next()
                .unwrap_or_default()
                .to_string()
        })
        .filter(|title| {
            title.starts_with('E') && title[1..].starts_with(|c: char| c.is_ascii_digit())
        })
        .collect();
    let mut problems = Vec::new();
    if codes.is_empty() {
        problems.push("frontend/src/diagnostic.rs: no codes found".to_string());
    }
    for code in &codes {
        match sections.iter().filter(|s| *s == code).count() {
            1 => {}
            0 => problems.push(format!("docs/errors.md: no section `## {code}`")),
            n => problems.push(format!("docs/errors.md: {n} sections `## {code}`")),
        }
    }
    for section in &sections {
        if !codes.contains(section) {
            problems.push(format!(
                "docs/errors.md: section `## {section}`, but there is no such code"
            ));
        }
    }
    problems
}

// ---- 5: paths of machines ----------------------------------------------------------------------

fn machine_paths(path: &str, text: &str) -> Vec<String> {
    // put together here, so that this file does not hold them
    let forbidden = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/tm", "p/t-"),
        concat!("/tm", "p/bash_jobs"),
        concat!("../sha", "red/"),
    ];
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for pattern in forbidden {
            // the start of a path, not the middle of a longer one
            let found = line.match_indices(pattern).any(|(at, _)| {
                !line[..at].ends_with(|c: char| {
                    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '}')
                })
            });
            if found {
                problems.push(format!(
                    "{path}:{}: a path of a machine: {pattern}",
                    number + 1
                ));
            }
        }
    }
    problems
}
