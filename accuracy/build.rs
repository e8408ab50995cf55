//! Compiles `wide.c`.

fn main() {
    println!("cargo:rerun-if-changed=wide.c");
    cc::Build::new()
        .file("wide.c")
        .opt_level(3)
        // Sums and products round where the text says so.
        .flag("-ffp-contract=off")
        .warnings(true)
        .compile("wide");
    println!("cargo:rustc-link-lib=m");
}
