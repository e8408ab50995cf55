//! Loops by hand, 256 and 512 bits wide.

mod hand;
mod math;
mod tree;
mod vector;

pub use hand::{Loop, of};
