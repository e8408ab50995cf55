//! Tests of the passes: text before and after, and random functions.

mod differential;
mod run;
mod text;
