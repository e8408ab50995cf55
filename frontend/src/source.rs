//! Source text with a name, and places in it.

use kjit_ir::Loc;

/// The file number ([`Loc::file`]) of the user's source.
pub const USER_FILE: u32 = 1;

/// A piece of source text: its name for messages, and the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What messages call it: a path, or `<string>`.
    pub name: String,
    /// The text.
    pub text: String,
    /// Number of the text in [`Loc::file`].
    pub file: u32,
}

impl Source {
    /// The user's source.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Source {
        Source {
            name: name.into(),
            text: text.into(),
            file: USER_FILE,
        }
    }

    /// Line and column (both from 1, columns in characters) of a byte offset.
    pub fn line_col(&self, offset: u32) -> (usize, usize) {
        let mut end = (offset as usize).min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &self.text[..end];
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |p| p + 1);
        (line, before[start..].chars().count() + 1)
    }

    /// How messages name a place: `file.k:3:9`; nothing for one that is not in this source.
    pub fn place(&self, loc: Loc) -> Option<String> {
        let (line, column) = self.line_col(loc.start);
        (loc.file == self.file).then(|| format!("{}:{line}:{column}", self.name))
    }

    /// The text of a place, if it is in this source.
    pub fn text_of(&self, loc: Loc) -> Option<&str> {
        let text = || self.text.get(loc.start as usize..loc.end as usize);
        (loc.file == self.file).then(text).flatten()
    }

    /// A place in this source.
    pub fn loc(&self, span: Span) -> Loc {
        Loc {
            file: self.file,
            start: span.start,
            end: span.end,
        }
    }
}

/// A range of bytes of one source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// From `start` to `end`.
    pub const fn new(start: usize, end: usize) -> Span {
        Span {
            start: start as u32,
            end: end as u32,
        }
    }

    /// The smallest span that covers both.
    pub fn to(self, other: Span) -> Span {
        Span {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}
