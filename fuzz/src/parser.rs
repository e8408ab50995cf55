//! The parser fuzzer: no text makes the front end panic, hang, or accept what it cannot print.

use crate::program::random_program;
use crate::rng::Rng;
use kjit_frontend::{Source, check, format_file, parse_file, render};

/// One case: a text, from soup to a damaged program, through parser, checker, formatter and renderer.
///
/// # Panics
/// When a stage breaks its promise.
pub fn case(seed: u64) {
    let mut rng = Rng::new(seed);
    let text = match rng.below(4) {
        0 => soup(&mut rng),
        1 => tokens(&mut rng),
        _ => damaged(&mut rng),
    };
    let source = Source::new("fuzz.k", text);
    let (_, diagnostics) = parse_file(&source);
    let checked = check(&source);
    if !diagnostics.is_empty() {
        assert!(
            checked.is_err(),
            "seed {seed}: syntax errors, but the program checks"
        );
    }
    if let Err(list) = &checked {
        assert!(!list.is_empty(), "seed {seed}: an error without a message");
        let text = render::render(list, &[&source], false);
        assert!(text.contains("error"), "seed {seed}: nothing rendered");
    }
    if diagnostics.is_empty() {
        let once = format_file(&source)
            .unwrap_or_else(|_| panic!("seed {seed}: parses but does not format"));
        let again = format_file(&Source::new("fuzz.k", once.clone()));
        assert_eq!(
            again.as_ref(),
            Ok(&once),
            "seed {seed}: formatting is not idempotent"
        );
    }
}

fn soup(rng: &mut Rng) -> String {
    let n = rng.below(200);
    (0..n)
        .map(|_| char::from_u32(rng.bits() as u32 % 0x500).unwrap_or('\u{fffd}'))
        .collect()
}

fn tokens(rng: &mut Rng) -> String {
    const TOKENS: &[&str] = &[
        "ufunc", "fn", "main", "param", "const", "let", "mut", "if", "else", "while", "loop",
        "for", "in", "break", "continue", "return", "as", "true", "identity", "fast", "x", "y",
        "f32", "i64", "T", "{", "}", "(", ")", "[", "]", "<", ">", "->", ":", ";", ",", ".", "..",
        "=", "==", "!=", "<=", "&&", "||", "!", "+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^",
        "+=", "1", "2.5", "1e9", "0xff", "7u8", "\"s\"", "// c\n", "/*", "*/", "'", "#", "gufunc",
    ];
    let n = rng.below(120);
    (0..n).map(|_| format!("{} ", rng.pick(TOKENS))).collect()
}

/// A good program with a few bytes cut, doubled or replaced.
fn damaged(rng: &mut Rng) -> String {
    let mut chars: Vec<char> = random_program(rng).text.chars().collect();
    for _ in 0..rng.below(4) {
        let at = rng.below(chars.len());
        let until = (at + 1 + rng.below(12)).min(chars.len());
        match rng.below(3) {
            0 => drop(chars.drain(at..until)),
            1 => {
                let copy: Vec<char> = chars[at..until].to_vec();
                chars.splice(at..at, copy);
            }
            _ => chars[at] = *rng.pick(&['{', '}', '(', ')', ';', '1', 'x', '"', '.', '-', '[']),
        }
        if chars.is_empty() {
            break;
        }
    }
    chars.into_iter().collect()
}
