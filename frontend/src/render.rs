//! Diagnostics for people (an underlined piece of the source) and for programs (lines and columns).
//!
//! What is printed never grows with the source: of a long line only the surroundings of the place are
//! shown, and of a place over several lines only the first.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::Source;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use kjit_ir::Loc;

/// Lines longer than this many characters are shown in part.
const LINE_WIDTH: usize = 160;
/// Words of messages longer than this many characters are shown in part.
const LONG_WORD: usize = 200;
/// Characters shown before the place in such a line.
const LEAD: usize = 40;
/// Places at most this many lines apart are shown in one snippet.
const NEAR: usize = 100;

/// Draws diagnostics as text, an empty line between two.
pub fn render(diagnostics: &[Diagnostic], sources: &[&Source], color: bool) -> String {
    let texts: Vec<String> = diagnostics
        .iter()
        .map(|d| draw(d, Some(d.code.as_str()), sources, color))
        .collect();
    texts.join("\n")
}

/// Draws an error that has no code, such as one at run time, with its place if a source is known for it.
pub fn render_error(
    message: &str,
    loc: Loc,
    help: Option<&str>,
    sources: &[&Source],
    color: bool,
) -> String {
    let diagnostic = Diagnostic {
        code: Code::NotSupportedYet, // not shown
        message: message.to_string(),
        loc,
        label: String::new(),
        notes: Vec::new(),
        help: help.map(str::to_string),
    };
    draw(&diagnostic, None, sources, color)
}

fn draw(diagnostic: &Diagnostic, code: Option<&str>, sources: &[&Source], color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let diagnostic = Diagnostic {
        message: shorten(&diagnostic.message),
        label: shorten(&diagnostic.label),
        help: diagnostic.help.as_deref().map(shorten),
        notes: diagnostic.notes.clone(),
        ..*diagnostic
    };
    let pieces = pieces(&diagnostic, sources);
    let drawn = renderer
        .term_width(LINE_WIDTH + LEAD)
        .render(&[group(&diagnostic, code, &pieces)]);
    let is_cut = pieces.iter().any(|p| p.cut_at.is_some());
    let mut text = String::new();
    for line in drawn.lines() {
        // a snippet without a path leaves this line where its path would stand
        if !(is_cut && without_style(line).trim() == ":::") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// A message in which very long words (names of generated programs) are shown in part.
fn shorten(text: &str) -> String {
    text.split_inclusive(' ')
        .map(|word| match word.char_indices().nth(LONG_WORD) {
            Some(_) => {
                let shown: String = word.chars().take(LONG_WORD - 40).collect();
                // What closes the word stays.
                let tail: String = word.chars().rev().take(2).collect();
                format!("{shown}..{}", tail.chars().rev().collect::<String>())
            }
            None => word.to_string(),
        })
        .collect()
}

/// A line without its terminal colours.
fn without_style(line: &str) -> String {
    let mut pieces = line.split('\u{1b}');
    let mut out = pieces.next().unwrap_or_default().to_string();
    for piece in pieces {
        out.push_str(piece.split_once('m').map_or("", |(_, text)| text));
    }
    out
}

/// A place within one line of a source.
struct Place<'a> {
    source: &'a Source,
    /// From 1.
    line: usize,
    /// Bytes of the line, without its end.
    line_start: usize,
    line_end: usize,
    start: usize,
    end: usize,
    label: &'a str,
    primary: bool,
}

/// A piece of source to show, with the places in it.
struct Piece {
    path: String,
    text: String,
    first_line: usize,
    /// The line and column, where the text is cut and the drawing cannot find them out.
    cut_at: Option<(usize, usize)>,
    /// `(start, end)` in `text`, label, is it the primary place?
    marks: Vec<(usize, usize, String, bool)>,
}

fn source_of<'a>(sources: &[&'a Source], loc: Loc) -> Option<&'a Source> {
    sources.iter().copied().find(|s| s.file == loc.file)
}

fn place<'a>(source: &'a Source, loc: Loc, label: &'a str, primary: bool) -> Place<'a> {
    let text = &source.text;
    let boundary = |offset: u32| {
        let mut at = (offset as usize).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let mut start = boundary(loc.start);
    // the end of the file is shown after its last character
    if start == text.len() {
        start = text.trim_end().len();
    }
    let line_start = text[..start].rfind('\n').map_or(0, |p| p + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |p| start + p);
    let end = boundary(loc.end).clamp(start, line_end.max(start));
    let line = text.as_bytes()[..start]
        .iter()
        .filter(|b| **b == b'\n')
        .count()
        + 1;
    Place {
        source,
        line,
        line_start,
        line_end,
        start,
        end,
        label,
        primary,
    }
}

/// The pieces of source that show a diagnostic, the primary place first.
fn pieces(diagnostic: &Diagnostic, sources: &[&Source]) -> Vec<Piece> {
    let mut places = Vec::new();
    if let Some(source) = source_of(sources, diagnostic.loc) {
        places.push(place(source, diagnostic.loc, &diagnostic.label, true));
    }
    for (loc, text) in &diagnostic.notes {
        if let Some(source) = source_of(sources, *loc) {
            places.push(place(source, *loc, text, false));
        }
    }
    let long = |p: &Place<'_>| {
        p.source.text[p.line_start..p.line_end]
            .chars()
            .nth(LINE_WIDTH)
            .is_some()
    };
    let mut pieces = Vec::new();
    while !places.is_empty() {
        let first = places.remove(0);
        if long(&first) {
            pieces.push(cut(&first));
            continue;
        }
        let mut together = vec![first];
        let mut i = 0;
        while i < places.len() {
            let near = std::ptr::eq(places[i].source, together[0].source)
                && places[i].line.abs_diff(together[0].line) <= NEAR
                && !long(&places[i]);
            if near {
                together.push(places.remove(i));
            } else {
                i += 1;
            }
        }
        pieces.push(whole_lines(&together));
    }
    pieces
}

/// Whole lines around places that are near each other.
fn whole_lines(places: &[Place<'_>]) -> Piece {
    let source = places[0].source;
    let first_line = places.iter().map(|p| p.line).min().unwrap_or(1);
    let from = places.iter().map(|p| p.line_start).min().unwrap_or(0);
    let to = places.iter().map(|p| p.line_end).max().unwrap_or(0);
    // lines between the places are folded away if there are many, but may still be long
    let mut text = String::new();
    let mut marks: Vec<_> = places
        .iter()
        .map(|p| (0, 0, p.label.to_string(), p.primary))
        .collect();
    let mut offset = from;
    for line in source.text[from..to].split('\n') {
        for (place, mark) in places.iter().zip(&mut marks) {
            if place.line_start == offset {
                mark.0 = text.len() + place.start - offset;
                mark.1 = text.len() + place.end - offset;
            }
        }
        let shown = match line.char_indices().nth(LINE_WIDTH) {
            Some((at, _)) => &line[..at],
            None => line,
        };
        text.push_str(shown);
        text.push('\n');
        offset += line.len() + 1;
    }
    Piece {
        path: source.name.clone(),
        text,
        first_line,
        cut_at: None,
        marks,
    }
}

/// The surroundings of one place in a long line.
fn cut(place: &Place<'_>) -> Piece {
    let text = &place.source.text;
    let before = &text[place.line_start..place.start];
    let lead = before
        .char_indices()
        .rev()
        .nth(LEAD)
        .map_or(0, |(at, _)| at);
    let column = before.chars().count() + 1;
    let rest = &text[place.start..place.line_end];
    let shown_rest = rest
        .char_indices()
        .nth(LINE_WIDTH - LEAD)
        .map_or(rest, |(at, _)| &rest[..at]);
    let mut piece = String::new();
    if lead > 0 {
        piece.push_str("...");
    }
    piece.push_str(&before[lead..]);
    let start = piece.len();
    piece.push_str(shown_rest);
    let end = (start + place.end - place.start).min(piece.len());
    if shown_rest.len() < rest.len() {
        piece.push_str("...");
    }
    Piece {
        path: place.source.name.clone(),
        text: piece,
        first_line: place.line,
        cut_at: Some((place.line, column)),
        marks: vec![(start, end, place.label.to_string(), place.primary)],
    }
}

fn group<'a>(diagnostic: &'a Diagnostic, code: Option<&'a str>, pieces: &'a [Piece]) -> Group<'a> {
    let mut title = Level::ERROR.primary_title(diagnostic.message.as_str());
    if let Some(code) = code {
        title = title.id(code);
    }
    let mut group = Group::with_title(title);
    for piece in pieces {
        let mut snippet = Snippet::source(piece.text.as_str()).line_start(piece.first_line);
        match piece.cut_at {
            Some((line, column)) => {
                group = group.element(
                    Origin::path(piece.path.as_str())
                        .line(line)
                        .char_column(column),
                );
            }
            None => snippet = snippet.path(piece.path.as_str()),
        }
        for (start, end, label, primary) in &piece.marks {
            let kind = if *primary {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            let mut annotation = kind.span(*start..*end);
            if !label.is_empty() {
                annotation = annotation.label(label.as_str());
            }
            snippet = snippet.annotation(annotation);
        }
        group = group.element(snippet);
    }
    // notes without a place that could be shown
    let shown = pieces
        .iter()
        .flat_map(|p| &p.marks)
        .filter(|m| !m.3)
        .count();
    if shown < diagnostic.notes.len() {
        for (_, text) in &diagnostic.notes {
            if !pieces
                .iter()
                .flat_map(|p| &p.marks)
                .any(|m| !m.3 && m.2 == *text)
            {
                group = group.element(Level::NOTE.message(text.as_str()));
            }
        }
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    group
}

/// A diagnostic with lines and columns instead of offsets: ready to be written as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// `E0101`
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where; None if no source is known for it.
    pub range: Option<Range>,
    /// A few words beside the place.
    pub label: String,
    /// Further places that explain it.
    pub notes: Vec<(Option<Range>, String)>,
    /// The cure.
    pub help: Option<String>,
}

/// A place with lines and columns, both from 1; columns count characters, and the end is exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Name of the source.
    pub file: String,
    /// Line of the first character.
    pub line: usize,
    /// Column of the first character.
    pub column: usize,
    /// Line of the end.
    pub end_line: usize,
    /// Column of the end.
    pub end_column: usize,
}

/// Finds lines and columns of a diagnostic.
pub fn locate(diagnostic: &Diagnostic, sources: &[&Source]) -> Located {
    let range = |loc: Loc| {
        source_of(sources, loc).map(|source| {
            let (line, column) = source.line_col(loc.start);
            let (end_line, end_column) = source.line_col(loc.end);
            Range {
                file: source.name.clone(),
                line,
                column,
                end_line,
                end_column,
            }
        })
    };
    Located {
        code: diagnostic.code.as_str(),
        message: diagnostic.message.clone(),
        range: range(diagnostic.loc),
        label: diagnostic.label.clone(),
        notes: diagnostic
            .notes
            .iter()
            .map(|(loc, text)| (range(*loc), text.clone()))
            .collect(),
        help: diagnostic.help.clone(),
    }
}
