//! `cargo run --release -p kjit-fuzz --bin ufunc -- [SECONDS [SEED]]`

use kjit_fuzz::compile::Engines;
use kjit_fuzz::ufunc::{case, program};

fn main() {
    let (time, start) = kjit_fuzz::arguments();
    let program = program();
    let engines = Engines::new(true).or_else(|error| {
        println!("without the gpu: {error}");
        Engines::new(false)
    });
    match engines {
        Ok(engines) => println!(
            "{} calls",
            kjit_fuzz::run_for(time, start, |seed| case(seed, &program, &engines))
        ),
        Err(error) => println!("error: {error}"),
    }
}
