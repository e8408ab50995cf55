//! The fuzzers, for some seconds each, always from the same seeds and from some of today's.

use kjit_fuzz::compile::{Engines, case};
use kjit_fuzz::{parser, run_for};
use std::time::{Duration, SystemTime};

/// Seeds that nobody has tried: the count of days moves them on.
fn seeds_of_today() -> u64 {
    let days = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs() / 86_400);
    1_000_000 + days * 10_000
}

#[test]
fn any_text_gets_an_answer_from_the_front_end() {
    for start in [0, seeds_of_today()] {
        let cases = run_for(Duration::from_secs(4), start, parser::case);
        assert!(cases > 50, "only {cases} texts");
    }
}

#[test]
fn random_programs_give_the_same_bits_on_every_backend() {
    let engines = Engines::new(true).unwrap_or_else(|e| panic!("no engine: {e}"));
    for start in [0, seeds_of_today()] {
        let cases = run_for(Duration::from_secs(15), start, |seed| case(seed, &engines));
        assert!(cases > 10, "only {cases} programs");
    }
}

/// Seeds that once failed.
#[test]
fn seeds_that_once_failed() {
    let engines = Engines::new(true).unwrap_or_else(|e| panic!("no engine: {e}"));
    for seed in [2] {
        case(seed, &engines);
    }
}
