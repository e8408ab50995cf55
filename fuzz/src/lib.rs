//! Fuzzers of `kjit`: what generates inputs and what judges the answers, as library code.
//!
//! The tests run each for some seconds; `cargo run --release -p kjit-fuzz --bin compile -- 600` runs one for
//! longer. Every case is made from one seed, which a failure prints, so that it can be run again.

pub mod arrays;
pub mod compile;
pub mod nest;
pub mod parser;
pub mod program;
pub mod rng;
pub mod ufunc;

use std::time::{Duration, Instant};

/// Runs a fuzzer from seed `start` upwards for some time; gives the number of cases.
///
/// # Panics
/// When a case fails: the message carries its seed.
pub fn run_for(time: Duration, start: u64, mut case: impl FnMut(u64)) -> u64 {
    let until = Instant::now() + time;
    let mut seed = start;
    while Instant::now() < until || seed == start {
        case(seed);
        seed += 1;
    }
    seed - start
}

/// Seconds and first seed from the command line: `PROGRAM [SECONDS [SEED]]`.
pub fn arguments() -> (Duration, u64) {
    let mut args = std::env::args().skip(1).filter_map(|a| a.parse().ok());
    (
        Duration::from_secs(args.next().unwrap_or(10)),
        args.next().unwrap_or(0),
    )
}
