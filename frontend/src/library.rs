//! The library: functions written in the language itself.
//!
//! A process pays for what it uses: the texts are searched for names once, and a function is parsed and typed when
//! it is first asked for, which asks for those it calls. So that the search is one look at each line, a function of
//! the library starts its line with `fn name`, and nothing else does; there are no other items.

use crate::ast::ItemKind;
use crate::hir::{FnId, Function};
use crate::infer::{Callees, Context, infer_body};
use crate::parser::parse_part;
use crate::resolve::{ItemRef, Items, resolve_function};
use crate::source::{Source, Span, USER_FILE};
use std::sync::OnceLock;

/// Names and texts of the library's files.
const FILES: &[(&str, &str)] = &[
    ("library/basic.k", include_str!("library/basic.k")),
    ("library/bits.k", include_str!("library/bits.k")),
    ("library/number.k", include_str!("library/number.k")),
    ("library/remainder.k", include_str!("library/remainder.k")),
    ("library/integer.k", include_str!("library/integer.k")),
    (
        "library/coefficients.k",
        include_str!("library/coefficients.k"),
    ),
    (
        "library/special_coefficients.k",
        include_str!("library/special_coefficients.k"),
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
    ("library/error.k", include_str!("library/error.k")),
    ("library/gamma.k", include_str!("library/gamma.k")),
    ("library/complex.k", include_str!("library/complex.k")),
    ("library/fast.k", include_str!("library/fast.k")),
    ("library/random.k", include_str!("library/random.k")),
];

/// The library.
pub struct Library {
    /// Its texts, numbered from 2.
    sources: Vec<Source>,
    /// What each function's name stands for.
    items: Items<'static>,
    functions: Vec<Entry>,
}

/// A function, read when it is needed.
struct Entry {
    /// Which text it is in.
    source: usize,
    /// Where: up to the next function.
    span: Span,
    checked: OnceLock<Function>,
}

/// The library of this process.
pub fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(Library::new)
}

impl Library {
    fn new() -> Library {
        let mut library = Library {
            sources: Vec::with_capacity(FILES.len()),
            items: Items::default(),
            functions: Vec::new(),
        };
        for ((name, text), file) in FILES.iter().zip(USER_FILE + 1..) {
            library.sources.push(Source {
                file,
                ..Source::new(*name, *text)
            });
            library.find_functions(text);
        }
        library
    }

    /// Files the functions of the newest text under their names.
    fn find_functions(&mut self, text: &'static str) {
        let mut next = starts_of_functions(text).peekable();
        while let Some(start) = next.next() {
            let end = next.peek().copied().unwrap_or(text.len());
            let rest = &text[start + KEYWORD.len()..end];
            let name = rest
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next();
            let item = ItemRef::Function(self.functions.len());
            self.items.names.insert(name.unwrap_or_default(), item);
            self.functions.push(Entry {
                source: self.sources.len() - 1,
                span: Span::new(start, end),
                checked: OnceLock::new(),
            });
        }
    }

    /// The number of the function of that name.
    pub fn find(&self, name: &str) -> Option<FnId> {
        match self.items.names.get(name)? {
            ItemRef::Function(id) => Some(*id),
            _ => None,
        }
    }

    /// The function of that number, checked.
    ///
    /// # Panics
    /// If the library's own text is wrong, which the tests exclude.
    pub fn function(&self, id: FnId) -> &Function {
        let library = self;
        let caller = None;
        Reading {
            library,
            id,
            caller,
        }
        .function()
    }
}

const KEYWORD: &str = "fn ";

/// Where the lines that start with `fn` do.
fn starts_of_functions(text: &str) -> impl Iterator<Item = usize> {
    let lines = text.match_indices('\n').map(|(end, _)| end + 1);
    let starts = std::iter::once(0).chain(lines);
    starts.filter(|start| text[*start..].starts_with(KEYWORD))
}

/// A function that is needed, by one that is being read, as a rule.
struct Reading<'a> {
    library: &'a Library,
    id: FnId,
    caller: Option<&'a Reading<'a>>,
}

impl<'a> Reading<'a> {
    /// The function. Threads that need it meanwhile wait, which ends: no function of the library calls itself, not
    /// even by way of others.
    fn function(&self) -> &'a Function {
        let callers = std::iter::successors(self.caller, |reading| reading.caller);
        assert!(
            callers.into_iter().all(|caller| caller.id != self.id),
            "bug in kjit: the library is wrong\na function calls itself"
        );
        let entry = &self.library.functions[self.id];
        entry.checked.get_or_init(|| self.check(entry))
    }

    fn check(&self, entry: &Entry) -> Function {
        let Library { sources, items, .. } = self.library;
        let source = &sources[entry.source];
        let (file, mut diagnostics) = parse_part(source, entry.span);
        let function = match file.items.first().map(|item| &item.kind) {
            Some(ItemKind::Function(item)) if diagnostics.is_empty() => {
                let (mut function, _) =
                    resolve_function(items, &[], source, item, &mut diagnostics);
                let mut body = std::mem::take(&mut function.body);
                let context = Context {
                    functions: self,
                    consts: &[],
                    source,
                };
                infer_body(&mut body, &function, context, &mut diagnostics);
                function.body = body;
                Some(function)
            }
            _ => None,
        };
        function
            .filter(|_| diagnostics.is_empty())
            .unwrap_or_else(|| {
                let sources: Vec<&Source> = sources.iter().collect();
                let message = crate::render::render(&diagnostics, &sources, false);
                panic!("bug in kjit: the library is wrong\n{message}")
            })
    }
}

impl Callees for Reading<'_> {
    fn callee(&self, id: FnId) -> &Function {
        let caller = Some(self);
        let library = self.library;
        Reading {
            library,
            id,
            caller,
        }
        .function()
    }
}

/// The texts of the library, for messages and tools that meet a place in it.
pub fn library_sources() -> &'static [Source] {
    &library().sources
}

#[cfg(test)]
#[path = "library_test.rs"]
mod tests;

#[cfg(test)]
#[path = "library_reading_test.rs"]
mod reading_tests;

#[cfg(test)]
#[path = "library_complex_test.rs"]
mod complex_tests;

#[cfg(test)]
#[path = "library_numbers_test.rs"]
mod numbers_tests;

#[cfg(test)]
#[path = "library_special_test.rs"]
mod special_tests;
