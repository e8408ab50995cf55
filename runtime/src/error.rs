//! What goes wrong at run time: shapes, dtypes, files, devices, values.
//!
//! Mistakes in the user's source are [`Diagnostic`]s of the front end; they appear here only as
//! [`ErrorKind::Compile`], when instantiating a kernel for the dtypes at hand brought them to light.
//! Wording: lower case, one sentence, no full stop; the cure goes into `help`.

use kjit_driver::{CompileError, Diagnostic};
use kjit_ir::target::BackendError;
use kjit_ir::{Loc, Trap, TrapKind};
use std::fmt;

/// A run-time failure: what kind, what happened, the cure, and where in the user's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeError {
    /// The family it belongs to.
    pub kind: ErrorKind,
    /// Place and cause, in one sentence.
    pub message: String,
    /// The cure, if there is one to name.
    pub help: Option<String>,
    /// Where in the user's source (no place when `file` is 0).
    pub loc: Loc,
}

/// Families of run-time failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Shapes that do not fit each other or an operation.
    Shape,
    /// A dtype that an operation or a target does not take.
    DType,
    /// A device that is missing, lost or lacks something.
    Device,
    /// A file that cannot be read or written.
    Io,
    /// A value outside what an operation accepts.
    Value,
    /// More memory or time than there is.
    Limit,
    /// The user's source is wrong for these dtypes.
    Compile(Vec<Diagnostic>),
    /// A bug in kjit.
    Internal,
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, RuntimeError>;

macro_rules! constructors {
    ($($name:ident $kind:ident $doc:literal;)*) => {
        $(
            #[doc = $doc]
            pub fn $name(message: impl Into<String>) -> RuntimeError {
                RuntimeError::new(ErrorKind::$kind, message)
            }
        )*
    };
}

impl RuntimeError {
    /// An error of a kind, without help and place.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> RuntimeError {
        RuntimeError {
            kind,
            message: message.into(),
            help: None,
            loc: Loc::default(),
        }
    }

    constructors! {
        shape Shape "Shapes that do not fit.";
        dtype DType "A dtype that is not taken.";
        device Device "A device that fails.";
        io Io "A file that cannot be read or written.";
        value Value "A value that is not accepted.";
        limit Limit "More memory or time than there is.";
        internal Internal "A bug in kjit.";
    }

    /// Adds the cure.
    pub fn help(mut self, help: impl Into<String>) -> RuntimeError {
        self.help = Some(help.into());
        self
    }

    /// Adds the place, unless it has one.
    pub fn at(mut self, loc: Loc) -> RuntimeError {
        if self.loc.file == 0 {
            self.loc = loc;
        }
        self
    }

    /// A failed run-time check of a kernel of a gufunc, with the index and the extent where they are known.
    pub(crate) fn core_trap(trap: &Trap, index: Option<i128>, extent: Option<i64>) -> RuntimeError {
        match (&trap.kind, index, extent) {
            (TrapKind::CoreIndexOutOfBounds { array, axis, .. }, Some(index), Some(extent)) => {
                RuntimeError::value(format!(
                    "index {index} is out of bounds for axis {axis} of {array} with extent {extent}"
                ))
                .help(match extent {
                    0 => "the axis has no elements".to_string(),
                    n => format!("indices run from 0 to {}", n - 1),
                })
                .at(trap.loc)
            }
            _ => RuntimeError::trap(trap),
        }
    }

    /// A failed run-time check of a kernel.
    pub fn trap(trap: &Trap) -> RuntimeError {
        match &trap.kind {
            TrapKind::IndexOutOfBounds { array, len } => RuntimeError::value(format!(
                "index out of bounds: `{array}` has {len} element{}",
                if *len == 1 { "" } else { "s" }
            ))
            .help(format!("indices run from 0 to {}", len.saturating_sub(1))),
            TrapKind::CoreIndexOutOfBounds { array, axis, .. } => {
                RuntimeError::value(format!("index out of bounds: axis {axis} of `{array}`"))
            }
            TrapKind::LoopLimit => RuntimeError::limit("a loop ran longer than the device allows")
                .help("does the loop end for every element"),
        }
        .at(trap.loc)
    }
}

impl From<CompileError> for RuntimeError {
    fn from(error: CompileError) -> RuntimeError {
        match error {
            CompileError::Diagnostics(list) => {
                let message = match list.first() {
                    Some(first) => first.message.clone(),
                    None => "the source does not compile for these dtypes".to_string(),
                };
                let loc = list.first().map(|d| d.loc).unwrap_or_default();
                RuntimeError::new(ErrorKind::Compile(list), message).at(loc)
            }
            CompileError::Backend(BackendError::Unsupported(what)) => {
                RuntimeError::device(format!("the target cannot run this kernel: {what}"))
            }
            CompileError::Backend(error @ BackendError::Internal(_)) => {
                RuntimeError::internal(error.to_string())
            }
        }
    }
}

/// The message, and the help in brackets.
impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RuntimeError {}
