//! Tests of the passes: text before and after, edges of every dtype, and random functions.

mod differential;
mod edges;
mod lowering;
mod run;
mod text;
