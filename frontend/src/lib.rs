//! The language of `kjit`: from `.k` text to verified IR.
//!
//! Stages, each a function: `lex -> parse_file -> resolve_names -> infer_types -> instantiate -> lower`.
//! Every stage collects [`Diagnostic`]s instead of stopping at the first mistake.

pub mod ast;
mod bounds;
mod builtins;
mod consts;
pub mod diagnostic;
mod dump;
pub mod format;
mod fuse;
mod hir;
mod host;
mod infer;
mod instantiate;
pub mod lexer;
mod library;
mod literal;
mod lower;
mod module;
pub mod parser;
pub mod render;
mod resolve;
pub mod source;
mod types;

pub use diagnostic::Diagnostic;
pub use format::format_file;
pub use lexer::{dump_tokens, lex};
pub use library::library_sources;
pub use module::{CheckedModule, check};
pub use parser::parse_file;
pub use source::Source;
