//! Each example prints the same digits on every target, and the right ones.

use crate::call::python;
use crate::support::{Sandbox, TARGETS, repo};
use kjit::Isa;
use std::io::Write;
use std::process::Command;

/// Runs an example on every target; all must print the same, and contain `expected`.
#[track_caller]
fn same_everywhere(name: &str, params: &[&str], expected: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let file = repo(&format!("examples/{name}.k"));
    let mut first: Option<String> = None;
    for target in TARGETS {
        let mut args = vec!["run", &file];
        args.extend(target);
        for param in params {
            args.extend(["-p", param]);
        }
        let printed = sandbox.run(&args).ok();
        for text in expected {
            assert!(
                printed.contains(text),
                "{name} {target:?} prints {printed:?}, not {text:?}"
            );
        }
        match &first {
            None => first = Some(printed),
            Some(first) => assert_eq!(*first, printed, "{name} {target:?}"),
        }
    }
    sandbox
}

#[test]
fn saxpy() {
    // uniform means: 2.5 * 0.5 + 0.5
    same_everywhere("saxpy", &["n=1e6"], &["1.7"]);
}

#[test]
fn sumarrays() {
    same_everywhere("sumarrays", &[], &[]);
}

#[test]
fn discriminant() {
    same_everywhere("discriminant", &[], &[]);
}

#[test]
fn polynomial() {
    same_everywhere("polynomial", &[], &[]);
}

#[test]
fn pi_montecarlo() {
    same_everywhere("pi_montecarlo", &["n=1e6"], &["3.14"]);
}

#[test]
fn pi_midpoint() {
    same_everywhere("pi_midpoint", &[], &["3.14159265"]);
}

#[test]
fn sum_primes() {
    // below 10^5 there are 9592 primes, and their sum is 454396537 (OEIS A006880, A046731)
    same_everywhere("sum_primes", &["n=1e5"], &["9592", "454396537"]);
}

#[test]
fn mandelbrot_saves_the_same_picture() {
    let sandbox = Sandbox::new();
    let file = repo("examples/mandelbrot.k");
    let mut first: Option<(String, Vec<u8>)> = None;
    for target in TARGETS {
        let mut args = vec!["run", &file, "-p", "width=192", "-p", "height=128"];
        args.extend(target);
        let printed = sandbox.run(&args).ok();
        let picture = std::fs::read(sandbox.path().join("mandelbrot.png")).expect("a picture");
        assert!(picture.starts_with(b"\x89PNG"), "{target:?}");
        match &first {
            None => first = Some((printed, picture)),
            Some(first) => assert!(*first == (printed, picture), "{target:?} differs"),
        }
    }
    let (printed, _) = first.expect("at least one target");
    let iterations: u64 = printed
        .split_whitespace()
        .last()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    assert_eq!(iterations, reference_iterations(192, 128, 256), "{printed}");
}

/// The gufunc examples print the same on every target, and what they save on each is NumPy's answer.
#[track_caller]
fn as_numpy(name: &str) {
    let file = repo(&format!("examples/{name}.k"));
    let mut first: Option<String> = None;
    for target in TARGETS {
        let sandbox = Sandbox::new();
        let mut args = vec!["run", &file];
        args.extend(target);
        let printed = sandbox.run(&args).ok();
        let numpy = Command::new(python())
            .arg(repo("cli/tests/numpy_gufuncs.py"))
            .arg(name)
            .current_dir(sandbox.path())
            .output()
            .expect("starting Python");
        assert!(
            numpy.status.success(),
            "{name} {target:?}: {}",
            String::from_utf8_lossy(&numpy.stderr)
        );
        match &first {
            None => first = Some(printed),
            Some(first) => assert_eq!(*first, printed, "{name} {target:?}"),
        }
    }
}

#[test]
fn matmul() {
    as_numpy("matmul");
}

#[test]
fn moving_average() {
    as_numpy("moving_average");
}

#[test]
fn sum_rows() {
    as_numpy("sum_rows");
}

#[test]
fn softmax() {
    as_numpy("softmax");
}

#[test]
fn stencil() {
    as_numpy("stencil");
}

/// The examples, made small where that is possible.
const EXAMPLES: [(&str, &[&str]); 13] = [
    ("saxpy", &["n=1e5"]),
    ("sumarrays", &[]),
    ("discriminant", &[]),
    ("polynomial", &[]),
    ("pi_montecarlo", &["n=1e5"]),
    ("pi_midpoint", &[]),
    ("sum_primes", &["n=1e4"]),
    ("mandelbrot", &["width=96", "height=64"]),
    ("matmul", &[]),
    ("moving_average", &[]),
    ("sum_rows", &[]),
    ("softmax", &[]),
    ("stencil", &[]),
];

/// What an example prints with vector instructions, and what it saves.
fn run_with(isa: Isa, name: &str, params: &[&str]) -> (String, Vec<(String, Vec<u8>)>) {
    let sandbox = Sandbox::new();
    let file = repo(&format!("examples/{name}.k"));
    let mut args = vec!["run", &file, "--isa", isa.name()];
    args.extend(params.iter().flat_map(|param| ["-p", param]));
    let printed = sandbox.run(&args).ok();
    let files = sandbox.files().into_iter().map(|file| {
        let bytes = std::fs::read(sandbox.path().join(&file)).expect("what it saved");
        (file, bytes)
    });
    (printed, files.collect())
}

/// Every example prints and saves the same as with 128-bit code.
fn as_with_sse(isa: Isa) {
    if !isa.is_available() {
        let lacks = isa.name();
        let _ = writeln!(
            std::io::stderr(),
            "this machine has no {lacks}: no example ran with it"
        );
        return;
    }
    for (name, params) in EXAMPLES {
        let expected = run_with(Isa::Sse, name, params);
        let got = run_with(isa, name, params);
        assert!(
            expected == got,
            "{name} differs with {}: {}",
            isa.name(),
            got.0
        );
    }
}

#[test]
fn every_example_does_the_same_with_avx2() {
    as_with_sse(Isa::Avx2);
}

#[test]
fn every_example_does_the_same_with_avx512() {
    as_with_sse(Isa::Avx512);
}

#[test]
fn no_example_is_left_out() {
    let folder = std::fs::read_dir(repo("examples")).expect("the examples");
    let files = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = files
        .filter_map(|f| Some(f.strip_suffix(".k")?.to_string()))
        .collect();
    names.sort();
    let mut known: Vec<&str> = EXAMPLES.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(names, known);
}

/// The same sum by a plain loop.
fn reference_iterations(width: usize, height: usize, limit: u64) -> u64 {
    let linspace = |start: f32, stop: f32, n: usize, i: usize| -> f32 {
        if i + 1 == n {
            stop
        } else {
            start + i as f32 * ((stop - start) / (n - 1) as f32)
        }
    };
    let mut total = 0;
    for row in 0..height {
        for column in 0..width {
            let cr = linspace(-2.25, 0.75, width, column);
            let ci = linspace(-1.0, 1.0, height, row);
            let (mut zr, mut zi, mut n) = (0f32, 0f32, 0);
            while n < limit && zr * zr + zi * zi <= 4.0 {
                (zr, zi) = (zr * zr - zi * zi + cr, 2.0 * zr * zi + ci);
                n += 1;
            }
            total += n;
        }
    }
    total
}
