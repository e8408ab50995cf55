//! The fuzzers, for some seconds each and always from the same seeds: a test is a fact about the commit.
//! New seeds are tried by the programs of `fuzz/`.

use crate::support::say;
use kjit::Isa;
use kjit_fuzz::compile::{Engines, case};
use kjit_fuzz::{nest, parser, ufunc};

/// Some seconds of fuzzing the CPU's backends.
const WIDTH_PROGRAMS: u64 = 400;
const WIDTH_CALLS: u64 = 1500;

#[test]
fn any_text_gets_an_answer_from_the_front_end() {
    (0..4000).for_each(parser::case);
}

#[test]
fn loop_nests_visit_what_a_naive_walk_does() {
    (0..3000).for_each(nest::case);
}

#[test]
fn random_programs_give_the_same_bits_on_every_backend() {
    let engines = Engines::new(true).unwrap_or_else(|e| panic!("no engine: {e}"));
    (0..200).for_each(|seed| case(seed, &engines));
}

#[test]
fn random_ufunc_calls_and_methods_give_what_the_interpreter_gives() {
    let engines = Engines::new(true).unwrap_or_else(|e| panic!("no engine: {e}"));
    let program = ufunc::program();
    (0..600).for_each(|seed| ufunc::case(seed, &program, &engines));
}

/// Programs and calls beyond those, for code of the CPU: scalar, of 128 bits, and of all widths that this machine has.
#[test]
fn random_programs_give_the_same_bits_at_every_vector_width() {
    let engines = Engines::new(false).unwrap_or_else(|e| panic!("no engine: {e}"));
    let wide = [Isa::Avx2, Isa::Avx512];
    let missing: Vec<&str> = wide
        .iter()
        .filter(|isa| !isa.is_available())
        .map(|isa| isa.name())
        .collect();
    let ran = |isa: &Isa| engines.others().iter().any(|(name, _)| *name == isa.name());
    assert_eq!(
        wide.iter().filter(|isa| ran(isa)).count() + missing.len(),
        wide.len()
    );
    (10_000..10_000 + WIDTH_PROGRAMS).for_each(|seed| case(seed, &engines));
    let program = ufunc::program();
    (10_000..10_000 + WIDTH_CALLS).for_each(|seed| ufunc::case(seed, &program, &engines));
    if !missing.is_empty() {
        say(&format!(
            "random programs did not run with {}",
            missing.join(" and ")
        ));
    }
}

/// Seeds beyond those, which once failed.
#[test]
fn seeds_that_once_failed() {
    let engines = Engines::new(true).unwrap_or_else(|e| panic!("no engine: {e}"));
    for seed in [2, 3900] {
        case(seed, &engines);
    }
}
