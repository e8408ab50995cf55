//! Why a kernel was not compiled.

use kjit_frontend::Diagnostic;
use kjit_ir::target::BackendError;
use std::fmt;

/// Why a kernel was not compiled: the user's source, or the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// The source is wrong for these dtypes.
    Diagnostics(Vec<Diagnostic>),
    /// The target cannot do it, or kjit has a bug.
    Backend(BackendError),
}

impl From<BackendError> for CompileError {
    fn from(error: BackendError) -> CompileError {
        CompileError::Backend(error)
    }
}

impl From<Vec<Diagnostic>> for CompileError {
    fn from(diagnostics: Vec<Diagnostic>) -> CompileError {
        CompileError::Diagnostics(diagnostics)
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompileError::Diagnostics(list) => {
                for (n, d) in list.iter().enumerate() {
                    let separator = if n > 0 { "; " } else { "" };
                    write!(f, "{separator}{}: {}", d.code.as_str(), d.message)?;
                }
                Ok(())
            }
            CompileError::Backend(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CompileError {}
