//! `kjit fmt`: one way to lay out a program.
//!
//! The formatter works on tokens: it prints every token and comment in order and decides only the blanks
//! between them, so the meaning cannot change. Line breaks inside expressions are the author's; what it
//! sets is indentation, blanks around operators, one statement a line, and the place of braces. A block
//! written on one line stays there if it holds at most one statement and fits.

use crate::diagnostic::Diagnostic;
use crate::lexer::{Token, TokenKind, lex};
use crate::parser::parse_file;
use crate::source::Source;

#[cfg(test)]
#[path = "format_test.rs"]
mod tests;

const INDENT: usize = 4;
const WIDTH: usize = 100;

/// The formatted text of a program, or what is wrong with it.
pub fn format_file(source: &Source) -> Result<String, Vec<Diagnostic>> {
    let (_, diagnostics) = parse_file(source);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let mut tokens = lex(source).0;
    tokens.pop();
    let out = Formatter::new(source, tokens).run();
    debug_assert!(
        same_tokens(source, &out),
        "bug in kjit: formatting changed the program"
    );
    if same_tokens(source, &out) {
        Ok(out)
    } else {
        Ok(source.text.clone())
    }
}

/// Do both texts have the same tokens?
fn same_tokens(source: &Source, formatted: &str) -> bool {
    let other = Source {
        text: formatted.to_string(),
        ..source.clone()
    };
    let texts = |s: &Source| -> Vec<String> {
        let text = |t: Token| {
            s.text[t.span.start as usize..t.span.end as usize]
                .trim_end()
                .to_string()
        };
        lex(s).0.into_iter().map(text).collect()
    };
    texts(source) == texts(&other)
}

/// An open delimiter.
struct Open {
    kind: TokenKind,
    /// Indentation of the line it stands on.
    indent: usize,
    /// A block that stays on its line.
    inline: bool,
}

struct Formatter<'a> {
    source: &'a Source,
    tokens: Vec<Token>,
    /// For each opening delimiter the index of the closing one.
    matching: Vec<usize>,
    /// Tokens that are `<` or `>` of type parameters.
    angle: Vec<bool>,
    open: Vec<Open>,
    out: String,
    /// Indentation of the current line.
    indent: usize,
    /// Where the current line starts in `out`.
    line_start: usize,
}

impl<'a> Formatter<'a> {
    fn new(source: &'a Source, tokens: Vec<Token>) -> Formatter<'a> {
        let mut matching = vec![usize::MAX; tokens.len()];
        let mut angle = vec![false; tokens.len()];
        let mut stack = Vec::new();
        for (i, token) in tokens.iter().enumerate() {
            match token.kind {
                TokenKind::OpenParen | TokenKind::OpenBracket | TokenKind::OpenBrace => {
                    stack.push(i)
                }
                TokenKind::CloseParen | TokenKind::CloseBracket | TokenKind::CloseBrace => {
                    if let Some(open) = stack.pop() {
                        matching[open] = i;
                    }
                }
                _ => {}
            }
        }
        let code: Vec<usize> = (0..tokens.len())
            .filter(|i| !tokens[*i].kind.is_comment())
            .collect();
        for window in code.windows(3) {
            let kinds = [tokens[window[0]].kind, tokens[window[2]].kind];
            if matches!(
                kinds,
                [
                    TokenKind::Ufunc | TokenKind::Gufunc | TokenKind::Fn,
                    TokenKind::Less
                ]
            ) {
                let close =
                    (window[2]..tokens.len()).find(|i| tokens[*i].kind == TokenKind::Greater);
                angle[window[2]] = true;
                if let Some(close) = close {
                    angle[close] = true;
                }
            }
        }
        Formatter {
            source,
            tokens,
            matching,
            angle,
            open: Vec::new(),
            out: String::new(),
            indent: 0,
            line_start: 0,
        }
    }

    fn text(&self, i: usize) -> &'a str {
        let span = self.tokens[i].span;
        self.source.text[span.start as usize..span.end as usize].trim_end()
    }

    fn kind(&self, i: usize) -> TokenKind {
        self.tokens[i].kind
    }

    /// Line breaks between token `i` and the one before it.
    fn breaks_before(&self, i: usize) -> usize {
        let start = if i == 0 {
            0
        } else {
            self.tokens[i - 1].span.end
        };
        let between = &self.source.text[start as usize..self.tokens[i].span.start as usize];
        between.bytes().filter(|b| *b == b'\n').count()
    }

    fn run(mut self) -> String {
        let mut code_before: Option<usize> = None;
        for i in 0..self.tokens.len() {
            self.separate(i, code_before);
            self.out.push_str(self.text(i));
            if let Some(p) = self.text(i).rfind('\n') {
                self.line_start = self.out.len() - (self.text(i).len() - p - 1);
            }
            self.track(i);
            if !self.kind(i).is_comment() {
                code_before = Some(i);
            }
        }
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out
    }

    /// Opens and closes delimiters after token `i` has been printed.
    fn track(&mut self, i: usize) {
        match self.kind(i) {
            kind @ (TokenKind::OpenParen | TokenKind::OpenBracket | TokenKind::OpenBrace) => {
                let inline = kind == TokenKind::OpenBrace && self.stays_inline(i);
                self.open.push(Open {
                    kind,
                    indent: self.indent,
                    inline,
                });
            }
            TokenKind::CloseParen | TokenKind::CloseBracket | TokenKind::CloseBrace => {
                self.open.pop();
            }
            _ => {}
        }
    }

    /// May the block that opens at token `i` (printed just now) stay on its line?
    fn stays_inline(&self, i: usize) -> bool {
        let close = self.matching[i];
        if close == usize::MAX {
            return false;
        }
        let mut width = self.out[self.line_start..].chars().count();
        let mut depth = 0usize;
        for j in i + 1..=close {
            if self.breaks_before(j) > 0
                || self.kind(j) == TokenKind::LineComment
                || self.text(j).contains('\n')
            {
                return false;
            }
            match self.kind(j) {
                TokenKind::OpenParen | TokenKind::OpenBracket | TokenKind::OpenBrace => depth += 1,
                TokenKind::CloseParen | TokenKind::CloseBracket | TokenKind::CloseBrace => {
                    depth = depth.saturating_sub(1);
                }
                // one statement, and nothing after it
                TokenKind::Semicolon if depth == 0 && j + 1 != close => return false,
                // statements that end without `;`
                _ if depth == 0 && j > i + 1 && self.starts_statement_after(j - 1, j) => {
                    return false;
                }
                _ => {}
            }
            width += self.text(j).chars().count() + usize::from(self.blank_between(j - 1, j));
            if width > WIDTH {
                return false;
            }
        }
        // blocks inside must stay inline too, or this one could not
        (i + 1..close).all(|j| self.kind(j) != TokenKind::OpenBrace || self.one_statement(j))
    }

    /// Does the block at `i` hold at most one statement?
    fn one_statement(&self, i: usize) -> bool {
        let close = self.matching[i];
        let mut depth = 0usize;
        for j in i + 1..close {
            match self.kind(j) {
                TokenKind::OpenParen | TokenKind::OpenBracket | TokenKind::OpenBrace => depth += 1,
                TokenKind::CloseParen | TokenKind::CloseBracket | TokenKind::CloseBrace => {
                    depth = depth.saturating_sub(1);
                }
                TokenKind::Semicolon if depth == 0 && j + 1 != close => return false,
                _ if depth == 0 && j > i + 1 && self.starts_statement_after(j - 1, j) => {
                    return false;
                }
                _ => {}
            }
        }
        true
    }

    /// After the `}` at `before`: does token `i` start a statement (or an item)?
    fn starts_statement_after(&self, before: usize, i: usize) -> bool {
        self.kind(before) == TokenKind::CloseBrace
            && match self.kind(i) {
                TokenKind::Else
                | TokenKind::As
                | TokenKind::In
                | TokenKind::Identity
                | TokenKind::Fast => false,
                TokenKind::Ident | TokenKind::Number | TokenKind::Str | TokenKind::OpenParen => {
                    true
                }
                kind => {
                    kind.is_keyword() || kind == TokenKind::OpenBrace && self.breaks_before(i) > 0
                }
            }
    }

    /// Must a line end between the tokens `before` and `i` (comments aside)?
    fn must_break(&self, before: usize, i: usize) -> bool {
        let top = self.open.last();
        let in_block = top.is_none_or(|o| o.kind == TokenKind::OpenBrace);
        if !in_block {
            return false;
        }
        let inline = top.is_some_and(|o| o.inline);
        match (self.kind(before), self.kind(i)) {
            (TokenKind::OpenBrace, TokenKind::CloseBrace) => false,
            (TokenKind::OpenBrace, _) | (_, TokenKind::CloseBrace) => !inline,
            (TokenKind::Semicolon, _) => !inline,
            _ => self.starts_statement_after(before, i),
        }
    }

    /// Is a line break of the author taken back between the tokens `before` and `i`?
    fn must_join(&self, before: usize, i: usize) -> bool {
        match self.kind(i) {
            TokenKind::Else | TokenKind::Semicolon | TokenKind::Comma => true,
            // the brace of a body; not a block that is a statement of its own
            TokenKind::OpenBrace => {
                !self.ends_statement(before) && self.kind(before) != TokenKind::Comma
            }
            TokenKind::CloseBrace => self.kind(before) == TokenKind::OpenBrace,
            _ => false,
        }
    }

    /// Is a statement complete after the token `before`?
    fn ends_statement(&self, before: usize) -> bool {
        let in_block = self
            .open
            .last()
            .is_none_or(|o| o.kind == TokenKind::OpenBrace);
        in_block
            && matches!(
                self.kind(before),
                TokenKind::Semicolon | TokenKind::OpenBrace | TokenKind::CloseBrace
            )
    }

    /// Prints what stands between token `i` and the one before it.
    fn separate(&mut self, i: usize, code_before: Option<usize>) {
        if i == 0 {
            return;
        }
        let breaks = self.breaks_before(i);
        let comment = self.kind(i).is_comment();
        let after_comment = self.kind(i - 1).is_comment();
        let breaks_here = if self.kind(i - 1) == TokenKind::LineComment {
            true
        } else if comment {
            breaks > 0
        } else {
            match code_before {
                None => breaks > 0,
                Some(before) => {
                    self.must_break(before, i)
                        || (breaks > 0 && (after_comment || !self.must_join(before, i)))
                }
            }
        };
        if breaks_here {
            self.new_line(i, code_before, breaks);
        } else if self.kind(i) == TokenKind::LineComment {
            // comments that the author has lined up stay so
            let between = self.tokens[i].span.start - self.tokens[i - 1].span.end;
            self.out
                .push_str(&" ".repeat((between as usize).clamp(1, WIDTH)));
        } else if comment || after_comment || self.blank_between(i - 1, i) {
            self.out.push(' ');
        }
    }

    fn new_line(&mut self, i: usize, code_before: Option<usize>, breaks: usize) {
        self.out.push('\n');
        let after_open = self.kind(i - 1) == TokenKind::OpenBrace;
        let before_close = self.kind(i) == TokenKind::CloseBrace;
        if breaks > 1 && !after_open && !before_close {
            self.out.push('\n');
        }
        let closes = matches!(
            self.kind(i),
            TokenKind::CloseParen | TokenKind::CloseBracket | TokenKind::CloseBrace
        );
        self.indent = match self.open.last() {
            Some(open) if closes => open.indent,
            Some(open) => open.indent + INDENT,
            None => 0,
        };
        let in_block = self
            .open
            .last()
            .is_none_or(|o| o.kind == TokenKind::OpenBrace);
        if in_block && !closes && code_before.is_some_and(|before| !self.ends_statement(before)) {
            self.indent += INDENT;
        }
        self.line_start = self.out.len();
        self.out.push_str(&" ".repeat(self.indent));
    }

    /// Is the operator at `i` a prefix of what follows?
    fn is_prefix(&self, i: usize) -> bool {
        if !matches!(self.kind(i), TokenKind::Minus | TokenKind::Not) {
            return false;
        }
        if self.kind(i) == TokenKind::Not {
            return true;
        }
        let before = (0..i).rev().find(|j| !self.kind(*j).is_comment());
        !before.is_some_and(|j| self.ends_operand(j))
    }

    /// Can the token at `i` be the last of an operand?
    fn ends_operand(&self, i: usize) -> bool {
        matches!(
            self.kind(i),
            TokenKind::Ident
                | TokenKind::Number
                | TokenKind::Str
                | TokenKind::True
                | TokenKind::False
                | TokenKind::CloseParen
                | TokenKind::CloseBracket
                | TokenKind::CloseBrace
        ) || (self.kind(i).is_keyword() && i > 0 && self.kind(i - 1) == TokenKind::Dot)
    }

    /// Is there a blank between neighbours on one line?
    fn blank_between(&self, a: usize, b: usize) -> bool {
        let (left, right) = (self.kind(a), self.kind(b));
        match (left, right) {
            // `1.` and `..` would become something else
            (TokenKind::Number, TokenKind::Dot | TokenKind::DotDot) => self.text(a).ends_with('.'),
            (TokenKind::OpenBrace, TokenKind::CloseBrace) => false,
            (TokenKind::OpenParen | TokenKind::OpenBracket, _) => false,
            (
                _,
                TokenKind::CloseParen
                | TokenKind::CloseBracket
                | TokenKind::Comma
                | TokenKind::Semicolon,
            ) => false,
            (_, TokenKind::Colon | TokenKind::Dot | TokenKind::Question) | (TokenKind::Dot, _) => {
                false
            }
            (TokenKind::Comma, TokenKind::DotDot) => true,
            (TokenKind::In, TokenKind::DotDot) => true,
            (TokenKind::DotDot, TokenKind::OpenBrace) => true,
            (TokenKind::DotDot, _) | (_, TokenKind::DotDot) => false,
            _ if self.angle[a] && left == TokenKind::Less => false,
            _ if self.angle[b] => false,
            (TokenKind::Greater, TokenKind::OpenParen) if self.angle[a] => false,
            _ if self.is_prefix(a) => false,
            (_, TokenKind::OpenParen) if left == TokenKind::Ident => false,
            (_, TokenKind::OpenParen) if a > 0 && self.kind(a - 1) == TokenKind::Dot => false,
            (_, TokenKind::OpenBracket) => !self.ends_operand(a) || left == TokenKind::CloseBrace,
            _ => true,
        }
    }
}
