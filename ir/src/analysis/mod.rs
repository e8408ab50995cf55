//! What passes and backends want to know about a function, and helpers to walk its block tree.

pub mod cost;
pub mod effects;
pub mod limits;
pub mod tree;
pub mod uniformity;
pub mod work;
