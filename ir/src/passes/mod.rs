//! The passes, and the pipelines made of them.
//!
//! A pass is one file with one function of the same name that changes a function in place and says
//! whether it did. In debug builds every function is verified after every pass, so that a wrong pass is
//! named. `KJIT_TIME=1` prints how long each pass took.

pub mod carry_elements;
pub mod const_fold;
pub mod contract;
pub mod cse;
pub mod dce;
pub mod fpe;
pub mod if_convert;
pub mod inline;
pub mod licm;
pub mod lower_complex;
pub mod lower_half;
pub mod lower_returns;
pub mod promote_loops;
pub mod simplify;
pub mod vectorize;

mod pipeline;
#[cfg(test)]
mod tests;

pub use carry_elements::carry_elements;
pub use const_fold::const_fold;
pub use contract::contract;
pub use cse::cse;
pub use dce::dce;
pub use fpe::instrument_fpe;
pub use if_convert::if_convert;
pub use inline::inline;
pub use licm::licm;
pub use lower_complex::lower_complex;
pub use lower_half::{half_as_u16, lower_half};
pub use lower_returns::lower_returns;
use pipeline::clean_up_vector_form;
pub use pipeline::{ALL, Pass, lower_numbers, optimize, optimize_gufunc, run_passes};
pub use promote_loops::promote_loops;
pub use simplify::simplify;
pub use vectorize::vectorize;
