//! Tokens to syntax tree: recursive descent, with precedence climbing for operators.
//!
//! Rules that keep it safe and its messages few:
//! - it never fails: it returns a tree, with `Error` nodes where the text was wrong, and diagnostics;
//! - after a mistake it is in *panic mode*, in which it reports nothing, until it has found the end of
//!   the statement, a block, or the next item: one mistake gives one message;
//! - every loop takes a token or ends;
//! - the tree is never deeper than [`MAX_DEPTH`], counting nesting and left-leaning chains alike, so
//!   that the stages after this one may recurse over it; text beyond the limit is skipped by a loop.

mod expressions;
mod items;
mod literals;
mod statements;

#[cfg(test)]
pub(crate) mod tests;

use crate::ast;
use crate::diagnostic::{Code, Diagnostic};
use crate::lexer::{MAX_DIAGNOSTICS, Token, TokenKind, lex, lex_part};
use crate::source::{Source, Span};

/// The deepest syntax tree the parser makes.
pub const MAX_DEPTH: u32 = 256;

/// Parses a file. The tree covers what could be understood; it is complete if there are no diagnostics.
pub fn parse_file(source: &Source) -> (ast::File, Vec<Diagnostic>) {
    let (tokens, diagnostics) = lex(source);
    parse_tokens(source, tokens, diagnostics)
}

/// Parses the items in a part of a file.
pub(crate) fn parse_part(source: &Source, part: Span) -> (ast::File, Vec<Diagnostic>) {
    let (tokens, diagnostics) = lex_part(source, part);
    parse_tokens(source, tokens, diagnostics)
}

fn parse_tokens(
    source: &Source,
    tokens: Vec<Token>,
    diagnostics: Vec<Diagnostic>,
) -> (ast::File, Vec<Diagnostic>) {
    let mut parser = Parser::new(source, tokens, diagnostics);
    let file = parser.file();
    let mut diagnostics = parser.diagnostics;
    diagnostics.sort_by_key(|d| d.loc.start);
    diagnostics.truncate(MAX_DIAGNOSTICS);
    (file, diagnostics)
}

/// Programs for tests of other modules.
#[cfg(test)]
pub(crate) fn samples() -> &'static [&'static str] {
    tests::SAMPLES
}

/// State of one parse.
struct Parser<'a> {
    source: &'a Source,
    /// Without comments, with `Eof` at the end.
    tokens: Vec<Token>,
    pos: usize,
    diagnostics: Vec<Diagnostic>,
    /// A mistake was reported and its end has not been found yet.
    panic: bool,
    /// Nesting at the place being parsed.
    depth: u32,
    /// Deepest place of the expression being parsed, see [`Parser::expr`].
    deepest: u32,
    /// Opening braces of the blocks being parsed, and whether an `else` may follow the block.
    open_braces: Vec<(Span, bool)>,
    /// The rest of the file cannot be understood: say nothing at its end.
    end_is_reported: bool,
    /// Words of the language that were declared as names: their uses are no news.
    reported_words: Vec<TokenKind>,
}

impl<'a> Parser<'a> {
    fn new(source: &'a Source, mut tokens: Vec<Token>, diagnostics: Vec<Diagnostic>) -> Parser<'a> {
        tokens.retain(|t| !t.kind.is_comment());
        // an unterminated comment swallows the end of the file: what is missing there is no news
        let end_is_reported = tokens.len() >= 2 && {
            let last = tokens[tokens.len() - 2];
            last.kind == TokenKind::Error
                && source.text[last.span.start as usize..].starts_with("/*")
        };
        Parser {
            source,
            tokens,
            pos: 0,
            diagnostics,
            panic: false,
            depth: 0,
            deepest: 0,
            open_braces: Vec::new(),
            end_is_reported,
            reported_words: Vec::new(),
        }
    }

    // ---- looking -------------------------------------------------------------------------------

    fn token(&self) -> Token {
        self.tokens[self.pos]
    }

    fn kind(&self) -> TokenKind {
        self.tokens[self.pos].kind
    }

    fn span(&self) -> Span {
        self.tokens[self.pos].span
    }

    /// The token `n` after this one.
    fn peek(&self, n: usize) -> Token {
        self.tokens[(self.pos + n).min(self.tokens.len() - 1)]
    }

    fn at(&self, kind: TokenKind) -> bool {
        self.kind() == kind
    }

    fn text_of(&self, span: Span) -> &'a str {
        &self.source.text[span.start as usize..span.end as usize]
    }

    fn text(&self) -> &'a str {
        self.text_of(self.span())
    }

    /// Is this the identifier `word`?
    fn at_word(&self, word: &str) -> bool {
        self.at(TokenKind::Ident) && self.text() == word
    }

    /// Where the token before this one ends.
    fn previous_end(&self) -> Span {
        match self.pos.checked_sub(1) {
            Some(p) => self.tokens[p].span,
            None => Span::new(0, 0),
        }
    }

    /// From `start` to the end of the token before this one.
    fn span_from(&self, start: Span) -> Span {
        let end = self.previous_end().end.max(start.start);
        Span {
            start: start.start,
            end,
        }
    }

    /// Does this token touch the next one?
    fn joined(&self, n: usize) -> bool {
        self.peek(n).span.end == self.peek(n + 1).span.start
    }

    /// Is this token the first on its line?
    fn first_on_line(&self) -> bool {
        let before = self.previous_end().end as usize;
        let here = self.span().start as usize;
        self.pos == 0 || self.source.text[before.min(here)..here].contains('\n')
    }

    // ---- taking --------------------------------------------------------------------------------

    fn bump(&mut self) -> Token {
        let token = self.token();
        if token.kind != TokenKind::Eof {
            self.pos += 1;
        }
        token
    }

    fn eat(&mut self, kind: TokenKind) -> bool {
        let found = self.at(kind);
        if found {
            self.bump();
        }
        found
    }

    // ---- reporting -----------------------------------------------------------------------------

    fn diagnostic(&self, code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, self.source, span, message)
    }

    /// Adds a message, unless one mistake is being got over; parsing goes on as if all were well.
    fn report(&mut self, diagnostic: Diagnostic) {
        let stale = self.panic || self.diagnostics.len() >= 2 * MAX_DIAGNOSTICS;
        if !stale {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Adds a message and enters panic mode. At text the lexer has complained about, only the latter.
    fn fail(&mut self, diagnostic: Diagnostic) {
        let known = self.at(TokenKind::Error) || (self.at(TokenKind::Eof) && self.end_is_reported);
        if !known {
            self.report(diagnostic);
        }
        if self.at(TokenKind::Eof) {
            self.end_is_reported = true;
        }
        self.panic = true;
    }

    /// What the current token is, for messages.
    fn found(&self) -> String {
        match self.kind() {
            TokenKind::Eof => "the end of the file".to_string(),
            TokenKind::Str => "a string".to_string(),
            kind => {
                let text = self.text();
                let what = if kind.is_keyword() { "keyword " } else { "" };
                if text.chars().count() > 24 {
                    let short: String = text.chars().take(20).collect();
                    format!("{what}`{short}..`")
                } else {
                    format!("{what}`{text}`")
                }
            }
        }
    }

    /// `expected X, found Y` at the current token.
    fn unexpected(&mut self, expected: &str) {
        self.unexpected_help(expected, None);
    }

    fn unexpected_help(&mut self, expected: &str, help: Option<String>) {
        let message = format!("expected {expected}, found {}", self.found());
        let mut diagnostic = self.diagnostic(Code::UnexpectedToken, self.span(), message);
        diagnostic.help = help;
        self.fail(diagnostic);
    }

    fn expect(&mut self, kind: TokenKind, expected: &str) -> bool {
        if self.eat(kind) {
            return true;
        }
        self.unexpected(expected);
        false
    }

    /// Takes the closing delimiter of `open`, or says that it is missing.
    fn close(&mut self, open: Span, kind: TokenKind, expected: &str) {
        if self.eat(kind) || self.panic {
            return;
        }
        let open_text = self.text_of(open);
        let ends_here = matches!(
            self.kind(),
            TokenKind::Eof
                | TokenKind::Semicolon
                | TokenKind::OpenBrace
                | TokenKind::CloseBrace
                | TokenKind::CloseParen
                | TokenKind::CloseBracket
        ) || self.at_item()
            || self.at(TokenKind::Let);
        if ends_here {
            let here = self.source.loc(self.span());
            let found = self.found();
            let diagnostic = self
                .diagnostic(
                    Code::UnclosedDelimiter,
                    open,
                    format!("`{open_text}` is not closed"),
                )
                .label("opened here")
                .note(here, format!("{found} comes before its end"))
                .help(format!("add `{}`", closer(open_text)));
            self.fail(diagnostic);
        } else {
            self.unexpected(expected);
        }
    }

    // ---- getting over a mistake ----------------------------------------------------------------

    fn at_item(&self) -> bool {
        matches!(
            self.kind(),
            TokenKind::Ufunc
                | TokenKind::Gufunc
                | TokenKind::Kernel
                | TokenKind::Fn
                | TokenKind::Const
                | TokenKind::Param
                | TokenKind::Main
        )
    }

    /// Skips to the end of a statement: before `}`, an unmatched `)` or `]` is skipped; `;` is left.
    ///
    /// `stop_at_brace`: also stop before a `{` of this level.
    fn skip_statement(&mut self, stop_at_brace: bool) {
        let mut open: Vec<TokenKind> = Vec::new();
        let mut open_blocks = 0usize;
        loop {
            // a statement or item that starts a line ends a parenthesis that was left open
            let starts_line = open_blocks == 0 && self.first_on_line();
            match self.kind() {
                TokenKind::Eof => return,
                TokenKind::Semicolon if open.is_empty() => return,
                TokenKind::OpenBrace if open.is_empty() && stop_at_brace => return,
                TokenKind::Let | TokenKind::Return if starts_line => return,
                _ if starts_line && self.at_item() => return,
                kind @ (TokenKind::OpenParen | TokenKind::OpenBracket | TokenKind::OpenBrace) => {
                    open_blocks += usize::from(kind == TokenKind::OpenBrace);
                    open.push(kind);
                }
                TokenKind::CloseParen | TokenKind::CloseBracket => {
                    open.pop_if(|kind| *kind != TokenKind::OpenBrace);
                }
                TokenKind::CloseBrace => {
                    while open.pop_if(|kind| *kind != TokenKind::OpenBrace).is_some() {}
                    if open.pop().is_none() {
                        return;
                    }
                    open_blocks -= 1;
                    if open.is_empty() {
                        // the end of a block is the end of a statement, unless `else` follows
                        self.bump();
                        if !self.at(TokenKind::Else) {
                            return;
                        }
                        continue;
                    }
                }
                _ => {}
            }
            self.bump();
        }
    }

    /// Skips one balanced group or what is left of the expression: stops before an unmatched closing
    /// delimiter, `;` or `,`. A loop, whatever the nesting.
    fn skip_too_deep(&mut self) {
        let mut open = 0usize;
        loop {
            match self.kind() {
                TokenKind::Eof => return,
                TokenKind::Semicolon | TokenKind::Comma if open == 0 => return,
                TokenKind::OpenParen | TokenKind::OpenBracket | TokenKind::OpenBrace => open += 1,
                TokenKind::CloseParen | TokenKind::CloseBracket | TokenKind::CloseBrace => {
                    if open == 0 {
                        return;
                    }
                    open -= 1;
                }
                _ => {}
            }
            self.bump();
        }
    }

    /// Goes one level deeper; false (and a message, and the text skipped) if that is too deep.
    fn enter(&mut self) -> bool {
        if self.depth >= MAX_DEPTH {
            self.too_deep();
            return false;
        }
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        true
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn too_deep(&mut self) {
        let diagnostic = self
            .diagnostic(
                Code::TooDeep,
                self.span(),
                format!("the program is nested more than {MAX_DEPTH} levels deep here"),
            )
            .help("give names to parts with `let`, or move them into a `fn`");
        self.fail(diagnostic);
        self.skip_too_deep();
        if self.at(TokenKind::Eof) {
            self.end_is_reported = true;
        }
    }
}

/// The delimiter that closes `open`.
fn closer(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        "<" => ">",
        _ => "}",
    }
}
