//! Status flags of kernels get the name of the call or operator in the program, and its place.

use super::Evaluator;
use super::value::{Node, Op, State};
use crate::RuntimeError;
use crate::fpe::FpeMode;
use kjit_ir::Loc;

/// What kernels of operators and plain calls are named.
const FUSED: &str = " in fused at ";
/// Longest expression that a message shows.
const MOST_SHOWN: usize = 40;

impl Evaluator<'_> {
    /// Are status flags looked for? Then each operation is computed by itself, so that it is known which
    /// one raised a flag.
    pub(super) fn looks_for_flags(&self) -> bool {
        self.engine.options().fpe != FpeMode::Ignore
    }

    /// What messages call a node: its function, or its expression if that is short.
    pub(super) fn named(&self, node: &Node) -> String {
        match &*node.state.borrow() {
            State::Pending {
                op: Op::Call(name, _),
                ..
            } => name.clone(),
            _ => match self.program.source().text_of(node.loc) {
                Some(text) if text.len() <= MOST_SHOWN && !text.contains('\n') => {
                    format!("`{text}`")
                }
                _ => "an expression".to_string(),
            },
        }
    }

    /// What the engine has to warn of since this was last asked comes from the call at `loc`.
    pub(super) fn locate_warnings(&self, loc: Loc) {
        self.name_warnings("a kernel", loc);
    }

    /// The same of an operator or plain call.
    pub(super) fn name_warnings(&self, name: &str, loc: Loc) {
        if self.engine.options().fpe != FpeMode::Warn {
            return;
        }
        let source = self.program.source();
        let place = source.place(loc).unwrap_or_else(|| source.name.clone());
        let messages = self.engine.take_warnings();
        let located = messages
            .iter()
            .map(|message| format!("{} ({place})", renamed(message, name)));
        self.warnings.borrow_mut().extend(located);
    }
}

/// An error of an operator or plain call that status flags may have raised.
pub(super) fn name_error(mut error: RuntimeError, name: &str) -> RuntimeError {
    error.message = renamed(&error.message, name);
    error
}

fn renamed(message: &str, name: &str) -> String {
    message.replace(FUSED, &format!(" in {name} at "))
}
