//! The language of `kjit`: from `.k` text to verified IR.
//!
//! Stages, each a function: `lex -> parse_file -> resolve_names -> infer_types -> instantiate -> lower`.
//! Every stage collects [`Diagnostic`]s instead of stopping at the first mistake.

pub mod ast;
pub mod diagnostic;
mod dump;
pub mod format;
pub mod lexer;
pub mod parser;
pub mod render;
pub mod source;

pub use diagnostic::Diagnostic;
pub use format::format_file;
pub use lexer::{dump_tokens, lex};
pub use parser::parse_file;
pub use source::Source;
