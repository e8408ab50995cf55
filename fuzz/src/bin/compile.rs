//! `cargo run --release -p kjit-fuzz --bin compile -- [SECONDS [SEED]]`

use kjit_fuzz::compile::{Engines, case};

fn main() {
    let (time, start) = kjit_fuzz::arguments();
    let engines = Engines::new(true).or_else(|error| {
        println!("without the gpu: {error}");
        Engines::new(false)
    });
    match engines {
        Ok(engines) => println!(
            "{} programs",
            kjit_fuzz::run_for(time, start, |seed| case(seed, &engines))
        ),
        Err(error) => println!("error: {error}"),
    }
}
