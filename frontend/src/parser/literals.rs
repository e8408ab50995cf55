//! Numbers and strings: from the text of a token to its value.

use super::Parser;
use crate::ast::{Expr, ExprKind};
use crate::diagnostic::Code;
use crate::source::Span;
use kjit_ir::DType;

impl Parser<'_> {
    /// A number token.
    pub(super) fn number(&mut self) -> Expr {
        let span = self.bump().span;
        let kind = match number(self.text_of(span)) {
            Ok(kind) => kind,
            Err(mistake) => {
                let diagnostic = self
                    .diagnostic(Code::BadLiteral, span, mistake.message)
                    .help(mistake.help);
                self.report(diagnostic);
                ExprKind::Error
            }
        };
        Expr { kind, span }
    }

    /// A string token.
    pub(super) fn string(&mut self) -> Expr {
        let span = self.bump().span;
        let text = self.text_of(span);
        let kind = match unescape(&text[1..text.len() - 1]) {
            Ok(value) => ExprKind::Str(value),
            Err((start, end)) => {
                let place = Span {
                    start: span.start + 1 + start as u32,
                    end: span.start + 1 + end as u32,
                };
                let diagnostic = self
                    .diagnostic(Code::BadLiteral, place, "unknown escape in a string")
                    .help("known are `\\n`, `\\t`, `\\r`, `\\0`, `\\\\`, `\\\"` and `\\u{1F600}`");
                self.report(diagnostic);
                ExprKind::Error
            }
        };
        Expr { kind, span }
    }
}

/// What is wrong with a literal.
struct Mistake {
    message: String,
    help: String,
}

fn bad(message: impl Into<String>, help: impl Into<String>) -> Mistake {
    Mistake {
        message: message.into(),
        help: help.into(),
    }
}

/// The value of a number token.
fn number(text: &str) -> Result<ExprKind, Mistake> {
    let radix = match text.as_bytes() {
        [b'0', b'x', ..] => 16,
        [b'0', b'o', ..] => 8,
        [b'0', b'b', ..] => 2,
        _ => 10,
    };
    if radix != 10 {
        return radix_integer(&text[2..], radix);
    }
    let mut end = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let mut float = false;
    let mut bytes = text.as_bytes()[end..].iter().copied().peekable();
    if bytes.next_if_eq(&b'.').is_some() {
        float = true;
        end += 1;
        while bytes
            .next_if(|b| b.is_ascii_digit() || *b == b'_')
            .is_some()
        {
            end += 1;
        }
    }
    if matches!(bytes.peek(), Some(b'e' | b'E')) {
        let digits = text[end + 1..].trim_start_matches(['+', '-']);
        let length = digits
            .find(|c: char| !c.is_ascii_digit() && c != '_')
            .unwrap_or(digits.len());
        if digits[..length].bytes().any(|b| b.is_ascii_digit()) {
            float = true;
            end = text.len() - digits.len() + length;
        } else {
            return Err(bad("the exponent has no digits", "write it as in `1e-3`"));
        }
    }
    let (value, suffix) = text.split_at(end);
    let value = value.replace('_', "");
    let suffix = suffix.trim_start_matches('_');
    let suffix = match suffix {
        "" => None,
        _ => Some(check_suffix(suffix, &value, float)?),
    };
    if float || is_inexact(suffix.as_deref()) {
        return Ok(ExprKind::Float(value, suffix));
    }
    match value.parse() {
        Ok(value) => Ok(ExprKind::Int(value, suffix)),
        Err(_) => Err(too_large()),
    }
}

/// Is it the suffix of a float or a complex number?
fn is_inexact(suffix: Option<&str>) -> bool {
    suffix
        .and_then(DType::from_name)
        .is_some_and(|d| d.is_float() || d.is_complex())
}

fn too_large() -> Mistake {
    bad(
        "the integer is too large for any type",
        "write a float, as in `1e40`",
    )
}

fn radix_integer(text: &str, radix: u32) -> Result<ExprKind, Mistake> {
    let name = match radix {
        16 => "hexadecimal",
        8 => "octal",
        _ => "binary",
    };
    let end = text
        .find(|c: char| !c.is_digit(radix) && c != '_')
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let digits = digits.replace('_', "");
    if suffix.starts_with(|c: char| c.is_ascii_digit()) {
        let digit = &suffix[..1];
        return Err(bad(
            format!("`{digit}` is no {name} digit"),
            format!(
                "{name} numbers have the digits {}",
                if radix == 8 { "0 to 7" } else { "0 and 1" }
            ),
        ));
    }
    if digits.is_empty() {
        return Err(bad(
            format!("the {name} number has no digits"),
            "write at least one digit after the prefix",
        ));
    }
    let suffix = match suffix {
        "" => None,
        _ => Some(check_suffix(suffix, &digits, false)?),
    };
    if is_inexact(suffix.as_deref()) {
        return Err(bad(
            format!("a {name} number cannot be a float"),
            "write a decimal number, or cast with `as`",
        ));
    }
    match u128::from_str_radix(&digits, radix) {
        Ok(value) => Ok(ExprKind::Int(value, suffix)),
        Err(_) => Err(too_large()),
    }
}

fn check_suffix(suffix: &str, value: &str, float: bool) -> Result<String, Mistake> {
    match DType::from_name(suffix) {
        Some(dtype) if float && !is_inexact(Some(suffix)) => Err(bad(
            format!("a float literal cannot have the type {dtype}"),
            "use the suffix `f16`, `f32` or `f64`, or cast with `as`",
        )),
        Some(dtype) if dtype != DType::Bool => Ok(suffix.to_string()),
        _ => match suffix {
            "i" | "j" | "I" | "J" => Err(bad(
                "there are no imaginary literals",
                format!("write `complex(0, {value})`"),
            )),
            "f" | "F" => Err(bad("unknown suffix `f`", format!("write `{value}f32`"))),
            "u" | "U" => Err(bad("unknown suffix", format!("write `{value}u32`"))),
            "l" | "L" | "ll" | "LL" => Err(bad("unknown suffix", format!("write `{value}i64`"))),
            "usize" | "isize" => Err(bad(
                format!("there is no type {suffix}"),
                format!("write `{value}i64`"),
            )),
            _ => Err(bad(
                "unknown suffix on a number",
                "suffixes are `i8` to `i64`, `u8` to `u64`, `f16`, `f32`, `f64`, `c64` and `c128`; a name cannot start with a digit",
            )),
        },
    }
}

/// Resolves escapes; the byte range of the first bad one otherwise.
fn unescape(text: &str) -> Result<String, (usize, usize)> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let here = text.len() - rest.len() + at;
        let after = &rest[at + 1..];
        let c = after.chars().next().unwrap_or('\\');
        let mut taken = c.len_utf8();
        match c {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            '0' => out.push('\0'),
            '\\' | '"' | '\'' => out.push(c),
            'u' => {
                let inner = after[1..]
                    .strip_prefix('{')
                    .and_then(|s| s.split_once('}'))
                    .map(|(s, _)| s);
                let value = inner
                    .filter(|s| s.len() <= 6)
                    .and_then(|s| u32::from_str_radix(s, 16).ok())
                    .and_then(char::from_u32);
                match (value, inner) {
                    (Some(value), Some(inner)) => {
                        out.push(value);
                        taken = inner.len() + 3;
                    }
                    _ => return Err((here, here + 2)),
                }
            }
            _ => return Err((here, here + 1 + taken)),
        }
        rest = &after[taken.min(after.len())..];
    }
    out.push_str(rest);
    Ok(out)
}
