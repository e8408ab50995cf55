//! Text to tokens. Never fails: what cannot be a token is an [`TokenKind::Error`] token and a diagnostic.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Source, Span};
use logos::{Lexer, Logos};

/// The largest source text that is read, in bytes.
pub const MAX_SOURCE_BYTES: usize = 16 << 20;

/// The most diagnostics that one stage collects: more help nobody.
pub(crate) const MAX_DIAGNOSTICS: usize = 50;

/// A token with its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    /// What.
    pub kind: TokenKind,
    /// Where.
    pub span: Span,
}

/// Why the text at hand is no token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LexError {
    /// No token starts with this character.
    #[default]
    UnknownCharacter,
    /// A string without its closing quote.
    UnterminatedString,
    /// A comment without its `*/`.
    UnterminatedComment,
}

/// Kinds of tokens.
#[derive(Logos, Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[logos(skip r"[ \t\r\n\x0c\u{FEFF}]+")]
#[logos(error = LexError)]
#[expect(missing_docs, reason = "the attributes say what each token is")]
pub enum TokenKind {
    // keywords
    #[token("ufunc")]
    Ufunc,
    #[token("gufunc")]
    Gufunc,
    #[token("kernel")]
    Kernel,
    #[token("fn")]
    Fn,
    #[token("const")]
    Const,
    #[token("param")]
    Param,
    #[token("main")]
    Main,
    #[token("identity")]
    Identity,
    #[token("fast")]
    Fast,
    #[token("let")]
    Let,
    #[token("mut")]
    Mut,
    #[token("if")]
    If,
    #[token("else")]
    Else,
    #[token("while")]
    While,
    #[token("loop")]
    Loop,
    #[token("for")]
    For,
    #[token("in")]
    In,
    #[token("break")]
    Break,
    #[token("continue")]
    Continue,
    #[token("return")]
    Return,
    #[token("as")]
    As,
    #[token("true")]
    True,
    #[token("false")]
    False,

    // names and literals
    #[regex(r"[\p{XID_Start}_]\p{XID_Continue}*")]
    Ident,
    /// Any number, well formed or not, with its suffix.
    #[regex(r"[0-9]", scan_number)]
    Number,
    #[token("\"", scan_string)]
    Str,

    // delimiters
    #[token("(")]
    OpenParen,
    #[token(")")]
    CloseParen,
    #[token("[")]
    OpenBracket,
    #[token("]")]
    CloseBracket,
    #[token("{")]
    OpenBrace,
    #[token("}")]
    CloseBrace,

    // punctuation
    #[token(",")]
    Comma,
    #[token(";")]
    Semicolon,
    #[token(":")]
    Colon,
    #[token("::")]
    ColonColon,
    #[token(".")]
    Dot,
    #[token("..")]
    DotDot,
    #[token("..=")]
    DotDotEq,
    #[token("->")]
    Arrow,
    #[token("=>")]
    FatArrow,
    #[token("?")]
    Question,
    #[token("=")]
    Assign,
    #[token("+=")]
    PlusAssign,
    #[token("-=")]
    MinusAssign,
    #[token("*=")]
    StarAssign,
    #[token("/=")]
    SlashAssign,
    #[token("%=")]
    PercentAssign,
    #[token("&=")]
    AndAssign,
    #[token("|=")]
    OrAssign,
    #[token("^=")]
    CaretAssign,
    #[token("<<=")]
    ShlAssign,
    #[token(">>=")]
    ShrAssign,

    // operators
    #[token("+")]
    Plus,
    #[token("-")]
    Minus,
    #[token("*")]
    Star,
    #[token("/")]
    Slash,
    #[token("%")]
    Percent,
    #[token("!")]
    Not,
    #[token("&")]
    And,
    #[token("|")]
    Or,
    #[token("^")]
    Caret,
    #[token("<<")]
    Shl,
    #[token(">>")]
    Shr,
    #[token("&&")]
    AndAnd,
    #[token("||")]
    OrOr,
    #[token("==")]
    EqEq,
    #[token("!=")]
    NotEq,
    #[token("<")]
    Less,
    #[token("<=")]
    LessEq,
    #[token(">")]
    Greater,
    #[token(">=")]
    GreaterEq,

    // the rest
    /// `// to the end of the line`
    #[token("//", scan_line_comment)]
    LineComment,
    /// `/* nested /* too */ */`
    #[token("/*", scan_block_comment)]
    BlockComment,
    /// Text that is no token; it has been reported.
    Error,
    /// After the last token.
    Eof,
}

impl TokenKind {
    /// Is it a word of the language?
    pub fn is_keyword(self) -> bool {
        (self as u8) < (TokenKind::Ident as u8)
    }

    /// Is it a comment?
    pub fn is_comment(self) -> bool {
        matches!(self, TokenKind::LineComment | TokenKind::BlockComment)
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Takes in everything that belongs to a number: `0xff`, `1_000`, `1.5e-3f32`, but not the dots of
/// `0..n` nor the one of `2.sqrt()`.
fn scan_number(lexer: &mut Lexer<'_, TokenKind>) {
    let first = lexer.slice().as_bytes()[0];
    let rest = lexer.remainder().as_bytes();
    let at = |i: usize| rest.get(i).copied().unwrap_or(0);
    let mut i = 0;
    if first == b'0' && matches!(at(0), b'x' | b'o' | b'b') {
        while is_word_byte(at(i)) {
            i += 1;
        }
        lexer.bump(i);
        return;
    }
    let digits = |i: &mut usize| {
        while at(*i).is_ascii_digit() || at(*i) == b'_' {
            *i += 1;
        }
    };
    digits(&mut i);
    let next = at(i + 1);
    let is_method = is_word_byte(next) && !next.is_ascii_digit();
    if at(i) == b'.' && next != b'.' && !is_method {
        i += 1;
        digits(&mut i);
    }
    if matches!(at(i), b'e' | b'E') {
        let sign = usize::from(matches!(at(i + 1), b'+' | b'-'));
        let mut end = i + 1 + sign;
        digits(&mut end);
        if end > i + 1 + sign || sign == 1 {
            i = end;
        }
    }
    while is_word_byte(at(i)) {
        i += 1;
    }
    lexer.bump(i);
}

/// Strings end on their line, so that a forgotten quote costs one line and not the file.
fn scan_string(lexer: &mut Lexer<'_, TokenKind>) -> Result<(), LexError> {
    let rest = lexer.remainder();
    let mut escaped = false;
    for (i, byte) in rest.bytes().enumerate() {
        match byte {
            b'\n' => {
                lexer.bump(i);
                return Err(LexError::UnterminatedString);
            }
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => {
                lexer.bump(i + 1);
                return Ok(());
            }
            _ => {}
        }
    }
    lexer.bump(rest.len());
    Err(LexError::UnterminatedString)
}

fn scan_line_comment(lexer: &mut Lexer<'_, TokenKind>) {
    let rest = lexer.remainder();
    lexer.bump(rest.find('\n').unwrap_or(rest.len()));
}

fn scan_block_comment(lexer: &mut Lexer<'_, TokenKind>) -> Result<(), LexError> {
    let rest = lexer.remainder().as_bytes();
    let mut depth = 1;
    let mut i = 0;
    while i + 1 < rest.len() {
        match (rest[i], rest[i + 1]) {
            (b'/', b'*') => {
                depth += 1;
                i += 2;
            }
            (b'*', b'/') => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    lexer.bump(i);
                    return Ok(());
                }
            }
            _ => i += 1,
        }
    }
    lexer.bump(rest.len());
    Err(LexError::UnterminatedComment)
}

/// Splits a text into tokens, comments included; the last token is [`TokenKind::Eof`].
///
/// A text above [`MAX_SOURCE_BYTES`] gives no tokens but that one, and a diagnostic.
pub fn lex(source: &Source) -> (Vec<Token>, Vec<Diagnostic>) {
    let len = source.text.len();
    if len > MAX_SOURCE_BYTES {
        let too_large = Diagnostic::new(
            Code::TooLarge,
            source,
            Span::new(0, 0),
            format!("the source has {len} bytes, more than the {MAX_SOURCE_BYTES} allowed"),
        )
        .help("split the program, or load large tables from files with `load`");
        let end = Token {
            kind: TokenKind::Eof,
            span: Span::new(0, 0),
        };
        return (vec![end], vec![too_large]);
    }
    lex_part(source, Span::new(0, len))
}

/// The tokens of a part of a text that starts and ends between tokens, [`TokenKind::Eof`] after them.
pub(crate) fn lex_part(source: &Source, part: Span) -> (Vec<Token>, Vec<Diagnostic>) {
    let mut tokens = Vec::new();
    let mut diagnostics = Vec::new();
    let mut lexer = TokenKind::lexer(&source.text[..part.end as usize]);
    lexer.bump(part.start as usize);
    while let Some(result) = lexer.next() {
        let range = lexer.span();
        let mut span = Span::new(range.start, range.end);
        let kind = match result {
            Ok(kind) => kind,
            Err(error) => {
                if error == LexError::UnknownCharacter {
                    let more = unknown_extent(&source.text[range.start..]);
                    let taken = range.end - range.start;
                    lexer.bump(more.saturating_sub(taken));
                    span.end = lexer.span().end as u32;
                }
                if diagnostics.len() < MAX_DIAGNOSTICS {
                    diagnostics.push(lex_diagnostic(source, span, error));
                }
                TokenKind::Error
            }
        };
        tokens.push(Token { kind, span });
    }
    tokens.push(Token {
        kind: TokenKind::Eof,
        span: Span {
            start: part.end,
            end: part.end,
        },
    });
    (tokens, diagnostics)
}

/// How many bytes of a text that starts with an unknown character one message covers.
fn unknown_extent(text: &str) -> usize {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return 0 };
    match first {
        // a comment or an attribute of another language: the whole line
        '#' => text[..text.find('\n').unwrap_or(text.len())]
            .trim_end()
            .len(),
        // a character literal, or a string in single quotes; else a label
        '\'' => match text[1..].find(['\'', '\n']) {
            Some(p) if text.as_bytes()[p + 1] == b'\'' => p + 2,
            _ => 1,
        },
        // a string in curly quotes
        '\u{201C}' | '\u{2018}' => match text.find(['\u{201D}', '\u{2019}', '\n']) {
            Some(p) if !text[p..].starts_with('\n') => {
                p + text[p..].chars().next().map_or(0, char::len_utf8)
            }
            _ => first.len_utf8(),
        },
        // a run of one foreign character
        _ => {
            let more = chars.take_while(|c| *c == first).count();
            (more + 1) * first.len_utf8()
        }
    }
}

fn lex_diagnostic(source: &Source, span: Span, error: LexError) -> Diagnostic {
    let text = &source.text[span.start as usize..span.end as usize];
    match error {
        LexError::UnterminatedString => Diagnostic::new(
            Code::UnterminatedText,
            source,
            span,
            "the string is not closed on its line",
        )
        .label("starts here")
        .help("close it with `\"`; a line break inside a string is written `\\n`"),
        LexError::UnterminatedComment => Diagnostic::new(
            Code::UnterminatedText,
            source,
            Span {
                start: span.start,
                end: span.start + 2,
            },
            "the comment is not closed",
        )
        .label("starts here")
        .help("close it with `*/`; comments nest, so each `/*` needs its own"),
        LexError::UnknownCharacter => {
            let c = text.chars().next().unwrap_or('?');
            let shown = if c.is_control() || c.is_whitespace() {
                format!("U+{:04X}", c as u32)
            } else {
                format!("`{c}`")
            };
            let diagnostic = Diagnostic::new(
                Code::UnknownCharacter,
                source,
                span,
                format!("unknown character {shown}"),
            );
            match unknown_help(c, text) {
                Some(help) => diagnostic.help(help),
                None => {
                    diagnostic.help("remove it; only strings and comments may hold any character")
                }
            }
        }
    }
}

fn unknown_help(c: char, text: &str) -> Option<&'static str> {
    Some(match c {
        '#' if text.starts_with("#[") || text.starts_with("#!") => {
            "there are no attributes; an element-wise function is written `ufunc name(x: f32) -> f32 { .. }`"
        }
        '#' => "a comment starts with `//`",
        '\'' if text.len() > 1 => "strings stand in double quotes, as in `\"text\"`",
        '\'' => "there are no labels and no character literals; strings stand in double quotes",
        '`' | '\u{201C}' | '\u{201D}' | '\u{2018}' | '\u{2019}' => {
            "strings stand in straight double quotes, as in `\"text\"`"
        }
        '\u{2212}' | '\u{2013}' | '\u{2014}' => "write minus as `-`",
        '\u{00D7}' | '\u{00B7}' | '\u{22C5}' => "write a product as `*`",
        '\u{00F7}' => "write a quotient as `/`",
        '\u{2264}' => "write `<=`",
        '\u{2265}' => "write `>=`",
        '\u{2260}' => "write `!=`",
        '\u{00B2}' => "write the square as `x * x`",
        '@' => "a matrix product is not an operator; use `dot(a, b)`",
        '$' => "names are written without `$`",
        '\\' => "an expression continues on the next line by itself",
        '\u{00A0}' => "it looks like a blank and is none; type a blank",
        '~' => "write bitwise not as `!x`",
        _ => return None,
    })
}

/// The tokens of a text, one a line: place, kind and text (`kjit emit --stage tokens`).
pub fn dump_tokens(source: &Source) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for token in lex(source).0 {
        let text = &source.text[token.span.start as usize..token.span.end as usize];
        let Token { kind, span } = token;
        // writing to a String cannot fail
        let _ = writeln!(out, "{}..{} {kind:?} {text:?}", span.start, span.end);
    }
    out
}
