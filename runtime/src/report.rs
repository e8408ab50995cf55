//! Errors as text for people, at their place in the source.

use crate::error::{ErrorKind, RuntimeError};
use kjit_driver::{Diagnostic, Source, render};

/// Draws the mistakes of a source text.
pub fn render_diagnostics(list: &[Diagnostic], source: &Source, color: bool) -> String {
    render::render(list, &[source], color)
}

/// Draws an error; with its place when it has one in `source`.
pub fn render_error(error: &RuntimeError, source: Option<&Source>, color: bool) -> String {
    let sources: Vec<&Source> = source.into_iter().collect();
    if let ErrorKind::Compile(list) = &error.kind
        && !list.is_empty()
    {
        return render::render(list, &sources, color);
    }
    render::render_error(
        &error.message,
        error.loc,
        error.help.as_deref(),
        &sources,
        color,
    )
}
