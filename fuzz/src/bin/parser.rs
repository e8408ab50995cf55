//! `cargo run --release -p kjit-fuzz --bin parser -- [SECONDS [SEED]]`

fn main() {
    let (time, start) = kjit_fuzz::arguments();
    println!(
        "{} texts",
        kjit_fuzz::run_for(time, start, kjit_fuzz::parser::case)
    );
}
