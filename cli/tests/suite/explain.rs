//! `kjit explain`, and names of kernels for profilers.

use crate::support::{Sandbox, repo};

/// The whole text, on machines that need not have the instructions; `KJIT_BLESS=1` writes it anew: read the diff.
#[track_caller]
#[cfg(all(unix, target_arch = "x86_64"))]
fn golden(file: &str, isa: &str) -> String {
    let sandbox = Sandbox::new();
    let text = sandbox.run(&["explain", &repo(file), "--isa", isa]).ok();
    let (_, name) = file.rsplit_once('/').expect("a folder");
    let stem = name.trim_end_matches(".k");
    let path = repo(&format!("cli/tests/explain/{stem}.{isa}.txt"));
    if std::env::var_os("KJIT_BLESS").is_some_and(|v| v == "1") {
        std::fs::write(&path, &text).expect("blessing");
    }
    let expected = std::fs::read_to_string(&path).expect("the expected text");
    assert_eq!(text, expected, "{path} (KJIT_BLESS=1 writes it anew)");
    text
}

#[test]
#[cfg(all(unix, target_arch = "x86_64"))]
fn explain_tells_width_interleave_work_and_limit() {
    let narrow = golden("examples/saxpy.k", "avx2");
    let wide = golden("examples/saxpy.k", "avx512");
    assert!(narrow.contains("256 bits, 8 lanes") && wide.contains("512 bits, 16 lanes"));
    assert!(wide.contains("1 add, 1 mul"), "{wide}");
    let loops = golden("examples/mandelbrot.k", "avx512");
    assert!(loops.contains("lane by lane, under a mask"), "{loops}");
}

/// What vectors do not do well is told with its place in the source and the reason.
#[test]
#[cfg(all(unix, target_arch = "x86_64"))]
fn explain_tells_what_goes_lane_by_lane() {
    let narrow = golden("cli/tests/explain/limits.k", "avx2");
    for line in [
        "line 4: x / y: div of i64: lane by lane",
        "line 8: x * y: mul of i64: 8 instructions",
        "line 12: x as i64: cast of f64: lane by lane",
        "load of f32: one instruction, which goes element by element",
        "apart from the loop: run only where a lane wants it",
    ] {
        assert!(narrow.contains(line), "no {line} in\n{narrow}");
    }
    let wide = golden("cli/tests/explain/limits.k", "avx512");
    assert!(
        wide.contains("div of i64") && !wide.contains("mul of i64"),
        "{wide}"
    );
}

/// Of 128-bit code it tells what is on this machine.
#[test]
fn explain_tells_of_128_bit_code_and_of_one_ufunc() {
    let sandbox = Sandbox::new();
    let file = repo("cli/tests/explain/limits.k");
    let text = sandbox
        .run(&["explain", &file, "divided", "--isa", "sse"])
        .ok();
    assert!(
        text.contains("128 bits") && text.contains("cranelift"),
        "{text}"
    );
    assert!(
        text.contains("line 4: x / y: div of i64: lane by lane"),
        "{text}"
    );
    assert!(!text.contains("wave"), "{text}");
    sandbox.write("half.k", "ufunc half<T: float>(x: T) -> T { x / 2 }");
    let text = sandbox
        .run(&["explain", "half.k", "--dtype", "f64", "--fast"])
        .ok();
    assert!(
        text.contains("half.f64") && text.contains("8 read, 8 written"),
        "{text}"
    );
    sandbox.write("empty.k", "main { print(1); }");
    assert_eq!(sandbox.run(&["explain", "empty.k"]).ok(), "");
}

#[test]
fn explain_of_bad_input() {
    let sandbox = Sandbox::new();
    sandbox.write("half.k", "ufunc half<T: float>(x: T) -> T { x / 2 }");
    sandbox.write("bad.k", "ufunc f(x: f32) -> f32 { x + z }");
    let error = |args: &[&str]| {
        let all: Vec<&str> = ["explain"].iter().chain(args).copied().collect();
        sandbox.run(&all).error()
    };
    assert!(error(&["bad.k"]).contains("E0201"));
    assert!(error(&["none.k"]).contains("cannot read none.k"));
    assert!(error(&["half.k", "third"]).contains("the file declares half"));
    assert!(error(&["half.k", "--dtype", "i32"]).contains("must be float"));
    assert!(error(&["half.k", "--dtype", "real"]).contains("unknown dtype real"));
    let wrong = sandbox.run(&["explain", "half.k", "--isa", "mmx"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
}

/// The map for perf has a line a kernel: where it starts, how long it is, its name.
#[test]
#[cfg(target_os = "linux")]
fn perf_finds_the_names_of_kernels() {
    let sandbox = Sandbox::new();
    let file = repo("examples/saxpy.k");
    let args = ["call", &file, "saxpy", "2", "uniform:1000", "ones:1000"];
    let child = std::process::Command::new(crate::support::kjit())
        .args(args)
        .current_dir(sandbox.path())
        .env("KJIT_PROFILE", "perf,gdb")
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("starting kjit");
    let path = format!("/tmp/perf-{}.map", child.id());
    let output = child.wait_with_output().expect("a run");
    assert!(output.status.success());
    let map = std::fs::read_to_string(&path).expect("the map");
    std::fs::remove_file(&path).expect("removing the map");
    let mut names = Vec::new();
    for line in map.lines() {
        let mut words = line.splitn(3, ' ');
        let mut hex = || u64::from_str_radix(words.next().expect("a word"), 16).expect("a number");
        let (start, len) = (hex(), hex());
        assert!(start > 4096 && len > 0 && len < 1 << 20, "{line}");
        names.push(words.next().expect("a name"));
    }
    assert!(
        names.iter().any(|n| n.starts_with("saxpy.f64.kernel.")),
        "{names:?}"
    );
    let ran = sandbox.run_with(&args, &[("KJIT_PROFILE", "vtune")]);
    assert!(ran.error().contains("KJIT_PROFILE is `vtune`"));
}
