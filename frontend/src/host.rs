//! The host program: `main` and the `param` items, resolved.

use crate::diagnostic::{Code, Diagnostic};
use crate::hir::Program;
use crate::resolve::Items;
use crate::source::Source;
use kjit_ir::HostProgram;

/// Resolves `main`.
pub fn lower_main(
    items: &Items<'_>,
    _program: &Program,
    source: &Source,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<HostProgram> {
    let (_, _, span) = items.main?;
    diagnostics.push(Diagnostic::new(
        Code::NotSupportedYet,
        source,
        span,
        "`main` is not supported yet",
    ));
    None
}
