//! Cuts IR text into tokens.

use super::parse::TextError;
use crate::Loc;

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A word: keyword, opcode, dtype, entity, name.
    Word(&'a str),
    /// A number, with its sign.
    Number(&'a str),
    /// A quoted string, escapes resolved.
    Str(String),
    /// `@1:10-14`
    Place(Loc),
    /// `->`
    Arrow,
    /// Any of `(){}[],:;=*`.
    Punct(char),
    /// The end of the text.
    End,
}

/// Can it be written without quotes?
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(is_word_start) && bytes.all(is_word)
}

fn is_word_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_'
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'.'
}

/// The tokens of a text, each with its line (from 1); the last is [`Token::End`].
pub(super) fn lex(text: &str) -> Result<Vec<(Token<'_>, u32)>, TextError> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line, mut brackets) = (0, 1, 0u32);
    while at < bytes.len() {
        let start = at;
        let b = bytes[at];
        let error = |message: String| TextError { line, message };
        let token = match b {
            b'\n' => {
                at += 1;
                line += 1;
                brackets = 0;
                continue;
            }
            _ if b.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += until(&bytes[at..], b'\n');
                continue;
            }
            b';' if brackets == 0 => {
                at += until(&bytes[at..], b'\n');
                continue;
            }
            b'-' if bytes.get(at + 1) == Some(&b'>') => {
                at += 2;
                Token::Arrow
            }
            _ if b.is_ascii_digit() || b == b'-' => {
                at += 1;
                while at < bytes.len() {
                    let exponent_sign = matches!(bytes[at], b'-' | b'+')
                        && matches!(bytes[at - 1], b'e' | b'E')
                        && !text[start..].starts_with("0x");
                    if !is_word(bytes[at]) && !exponent_sign {
                        break;
                    }
                    at += 1;
                }
                Token::Number(&text[start..at])
            }
            _ if is_word_start(b) => {
                while at < bytes.len() && is_word(bytes[at]) {
                    at += 1;
                }
                Token::Word(&text[start..at])
            }
            b'"' => {
                let (string, len) = string(&text[at..]).map_err(error)?;
                at += len;
                Token::Str(string)
            }
            b'@' => {
                at += 1;
                let place = bytes[at..]
                    .iter()
                    .take_while(|b| b":-0123456789".contains(b));
                at += place.count();
                let place = &text[start + 1..at];
                let place =
                    loc(place).ok_or_else(|| error("a place is written @file:start-end".into()))?;
                Token::Place(place)
            }
            b'(' | b')' | b'{' | b'}' | b'[' | b']' | b',' | b':' | b';' | b'=' | b'*' => {
                at += 1;
                brackets = match b {
                    b'[' => brackets + 1,
                    b']' => brackets.saturating_sub(1),
                    _ => brackets,
                };
                Token::Punct(b as char)
            }
            _ => {
                let c = text[at..].chars().next().unwrap_or('?');
                return Err(error(format!("unexpected character {c:?}")));
            }
        };
        tokens.push((token, line));
    }
    tokens.push((Token::End, line));
    Ok(tokens)
}

fn until(bytes: &[u8], stop: u8) -> usize {
    bytes.iter().position(|b| *b == stop).unwrap_or(bytes.len())
}

/// A string literal at the start of `text`, and the bytes it takes.
fn string(text: &str) -> Result<(String, usize), String> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, at + 1)),
            '\n' => break,
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, c @ ('"' | '\\'))) => out.push(c),
                Some((at, 'u')) => {
                    let digits = text[at + 1..].strip_prefix('{').and_then(|rest| {
                        let (digits, _) = rest.split_once('}')?;
                        (digits.len() <= 6).then_some(digits)
                    });
                    let c = digits
                        .and_then(|d| u32::from_str_radix(d, 16).ok())
                        .and_then(char::from_u32)
                        .ok_or("bad \\u{..} escape in a string")?;
                    out.push(c);
                    // The braces and the digits: `nth` skips one more than it is told.
                    chars.nth(digits.map_or(0, str::len) + 1);
                }
                _ => return Err("unknown escape in a string".into()),
            },
            c => out.push(c),
        }
    }
    Err("a string without closing quote".into())
}

fn loc(text: &str) -> Option<Loc> {
    let (file, range) = text.split_once(':')?;
    let (start, end) = range.split_once('-')?;
    Some(Loc {
        file: file.parse().ok()?,
        start: start.parse().ok()?,
        end: end.parse().ok()?,
    })
}
