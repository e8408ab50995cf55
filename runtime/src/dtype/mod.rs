//! Rules between dtypes: promotion, permitted casts, and the casts themselves.

pub mod cast;
pub mod promote;

pub use cast::{Casting, can_cast};
pub use promote::{WeakKind, promote, promote_weak};

#[cfg(test)]
mod tests;
