//! The text form of the IR, `.kir`: a printer and a parser that undo each other.
//!
//! Printing renumbers values in order of appearance, so the text of a function does not depend on the
//! order in which passes made its values; printing what was parsed from printed text gives the same
//! text again. The parser accepts any numbering. It knows syntax only: ill-typed IR parses, and
//! [`crate::verify`] says what is wrong with it.
//!
//! ```text
//! module   = { function }
//! function = ["vector"] ("function" | "kernel") NAME [params] ["->" types] ["fast"]
//!            "{" { dim | promoted | array | local | trap } { inst } "}"
//! params   = "(" [VALUE ":" type { "," VALUE ":" type }] ")"
//! types    = type | "(" [type { "," type }] ")"
//! type     = DTYPE ["*"]                                        "*": varying
//! array    = "array" ARRAY ("in" | "out" | "inout" | "index") DTYPE
//!            ("strided" | "contiguous" | "uniform") STRING [role] ["re" | "im"]
//!            ["core" "(" DIM { "," DIM } ")"] { "along" INT INT "*" INT }    loop, core axis, coefficient
//! role     = "where" | "fpe" | "iota" INT | ("old" | "alias" | "written") ARRAY
//! dim      = "dim" DIM STRING
//! promoted = "promoted" INT INT { DIM "*" INT }                 number, constant, the extent's other terms
//! local    = "local" LOCAL "[" DTYPE ";" INT "]" STRING
//! trap     = "trap" TRAP ("index_out_of_bounds" STRING INT | "loop_limit"
//!            | "core_index_out_of_bounds" STRING INT DIM) [PLACE]
//! inst     = [VALUE [":" type] { "," VALUE [":" type] } "="] operation [PLACE]
//! operation= "const" DTYPE CONSTANT
//!          | ("cast" | "bitcast") DTYPE args
//!          | ("load" | "store" | "index" | "core.load" | "core.store") ARRAY { "," VALUE }
//!          | "dim" DIM
//!          | ("local.load" | "local.store") LOCAL { "," VALUE }
//!          | "guard" TRAP { "," VALUE }
//!          | "call" FUNC { "," VALUE } ["->" types]
//!          | "if" VALUE ["->" types] block "else" block
//!          | "loop" "(" [carried { "," carried }] ")" ["->" types] block
//!          | OPCODE args
//! args     = [VALUE { "," VALUE }]                              on the opcode's line
//! carried  = VALUE ":" type "=" VALUE
//! block    = "{" { inst } "}"
//! NAME     = identifier (letters, digits, "_", ".") | STRING
//! CONSTANT = "true" | "false" | decimal number | "0x" bits
//! PLACE    = "@" file ":" start "-" end
//! ```
//!
//! `VALUE` is `v0`, `v1`, ..; `DIM`, `ARRAY`, `LOCAL`, `TRAP` and `FUNC` are `d0`, `a0`, `l0`, `trap0` and `fn0`, the
//! n-th declared (a `FUNC` may come later in the module). Result types follow from the operation; a
//! type written after a result overrides that, which well-typed IR never needs. Comments run from
//! `//`, or from `;` outside brackets, to the end of the line.

mod lex;
mod parse;
mod print;

pub use parse::{TextError, parse_module};
pub use print::{print_function, print_module};

pub(crate) use print::print_annotated;

/// Blocks nest at most so deep; the verifier and the parser refuse more.
pub const MAX_DEPTH: usize = 1000;

#[cfg(test)]
mod tests;
