//! The library: functions written in the language itself, parsed and typed once per process and only
//! when something needs them.

use crate::hir::Program;
use crate::infer::infer_types;
use crate::parser::parse_file;
use crate::resolve::{Unit, collect_items, resolve_names};
use crate::source::{Source, USER_FILE};
use std::sync::OnceLock;

/// Names and texts of the library's files.
const FILES: &[(&str, &str)] = &[
    ("library/basic.k", include_str!("library/basic.k")),
    ("library/bits.k", include_str!("library/bits.k")),
    (
        "library/coefficients.k",
        include_str!("library/coefficients.k"),
    ),
    (
        "library/exponential.k",
        include_str!("library/exponential.k"),
    ),
    ("library/logarithm.k", include_str!("library/logarithm.k")),
    ("library/root.k", include_str!("library/root.k")),
    ("library/power.k", include_str!("library/power.k")),
    (
        "library/trigonometric.k",
        include_str!("library/trigonometric.k"),
    ),
    ("library/inverse.k", include_str!("library/inverse.k")),
    ("library/hyperbolic.k", include_str!("library/hyperbolic.k")),
    ("library/fast.k", include_str!("library/fast.k")),
    ("library/random.k", include_str!("library/random.k")),
];

/// The checked library.
pub struct Library {
    /// Its texts, numbered from 2.
    pub sources: Vec<Source>,
    /// Its functions and constants.
    pub program: Program,
}

/// The library of this process.
///
/// # Panics
/// If the library's own text is wrong, which the tests exclude.
pub fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let sources: Vec<Source> = FILES
            .iter()
            .zip(USER_FILE + 1..)
            .map(|((name, text), file)| Source {
                file,
                ..Source::new(*name, *text)
            })
            .collect();
        let mut diagnostics = Vec::new();
        let mut files = Vec::new();
        for source in &sources {
            let (file, mistakes) = parse_file(source);
            files.push(file);
            diagnostics.extend(mistakes);
        }
        let units: Vec<Unit<'_>> = sources
            .iter()
            .zip(&files)
            .map(|(source, file)| Unit { source, file })
            .collect();
        let items = collect_items(&units, &mut diagnostics);
        let mut program = resolve_names(&items, &mut diagnostics);
        let texts: Vec<&Source> = sources.iter().collect();
        infer_types(&mut program, &texts, &mut diagnostics);
        if !diagnostics.is_empty() {
            let message = crate::render::render(&diagnostics, &texts, false);
            panic!("bug in kjit: the library is wrong\n{message}");
        }
        Library { sources, program }
    })
}

/// The texts of the library, for messages and tools that meet a place in it.
pub fn library_sources() -> &'static [Source] {
    &library().sources
}

#[cfg(test)]
#[path = "library_test.rs"]
mod tests;
