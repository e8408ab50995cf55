//! Warnings of kernels get the place in the program where their call stands.

use super::Evaluator;
use crate::fpe::FpeMode;
use kjit_ir::Loc;

impl Evaluator<'_> {
    /// What the engine has to warn of since this was last asked comes from the call at `loc`.
    pub(super) fn locate_warnings(&self, loc: Loc) {
        if self.engine.options().fpe != FpeMode::Warn {
            return;
        }
        let source = self.program.source();
        let (line, column) = source.line_col(loc.start);
        let place = match loc.file {
            f if f == source.file => format!("{}:{line}:{column}", source.name),
            _ => source.name.clone(),
        };
        let messages = self.engine.take_warnings();
        let located = messages
            .iter()
            .map(|message| format!("{message} ({place})"));
        self.warnings.borrow_mut().extend(located);
    }
}
