//! Procedural macros of `kjit`.
//!
//! [`kernel!`] checks `.k` source while the crate that contains it builds.

use proc_macro::TokenStream;
use proc_macro2::{Literal, TokenTree};
use quote::quote;

/// A `.k` program as a string literal, checked when the crate builds; it becomes a
/// `kjit::Source` for `Program::compile`.
///
/// ```ignore
/// let source = kjit::kernel!("ufunc twice<T: number>(x: T) -> T { x + x }");
/// let program = kjit::Program::compile(source).unwrap();
/// ```
///
/// A mistake in the source is a compile error with kjit's own message.
#[proc_macro]
pub fn kernel(input: TokenStream) -> TokenStream {
    match expand(input.into()) {
        Ok(tokens) => tokens.into(),
        Err(message) => quote! { ::core::compile_error!(#message) }.into(),
    }
}

fn expand(input: proc_macro2::TokenStream) -> Result<proc_macro2::TokenStream, String> {
    let mut tokens = input.into_iter();
    let literal = match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Literal(literal)), None) => literal,
        _ => return Err("kernel! takes one string literal with .k source".into()),
    };
    let text = string_value(&literal).ok_or("kernel! takes a string literal with .k source")?;
    let source = kjit_frontend::Source::new("kernel!", text.as_str());
    match kjit_frontend::check(&source) {
        Ok(_) => Ok(quote! { ::kjit::Source::new("kernel!", #text) }),
        Err(diagnostics) => Err(kjit_frontend::render::render(
            &diagnostics,
            &[&source],
            false,
        )),
    }
}

/// The value of a string literal token: plain with escapes, or raw.
fn string_value(literal: &Literal) -> Option<String> {
    let text = literal.to_string();
    if let Some(raw) = text.strip_prefix('r') {
        let hashes = raw.bytes().take_while(|b| *b == b'#').count();
        let body = raw.get(hashes + 1..raw.len().checked_sub(hashes + 1)?)?;
        return raw[hashes..].starts_with('"').then(|| body.to_string());
    }
    let body = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut value = String::with_capacity(body.len());
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            value.push(c);
            continue;
        }
        match chars.next()? {
            'n' => value.push('\n'),
            't' => value.push('\t'),
            'r' => value.push('\r'),
            '0' => value.push('\0'),
            '\n' => {
                let rest = chars.as_str().trim_start();
                chars = rest.chars();
            }
            c @ ('\\' | '"' | '\'') => value.push(c),
            _ => return None,
        }
    }
    Some(value)
}
