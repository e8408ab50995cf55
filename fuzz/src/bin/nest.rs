//! `cargo run --release -p kjit-fuzz --bin nest -- [SECONDS [SEED]]`

fn main() {
    let (time, start) = kjit_fuzz::arguments();
    println!(
        "{} nests",
        kjit_fuzz::run_for(time, start, kjit_fuzz::nest::case)
    );
}
