//! The subcommands, used right.

use crate::support::{Sandbox, repo};

const PROGRAM: &str = "ufunc half<T: float>(x: T) -> T { x / 2 }
param n = 4;
main { let x = half(arange(n) as f64); print(\"sum\", sum(x)); assert(sum(x) >= 0.0); }
";

#[test]
fn run_prints_and_takes_params() {
    let sandbox = Sandbox::new();
    sandbox.write("half.k", PROGRAM);
    assert_eq!(sandbox.run(&["run", "half.k"]).ok(), "sum 3.0\n");
    assert_eq!(
        sandbox.run(&["run", "half.k", "-p", "n=1e2"]).ok(),
        "sum 2475.0\n"
    );
    assert_eq!(
        sandbox.run(&["run", "half.k", "--target", "interp"]).ok(),
        "sum 3.0\n"
    );
}

#[test]
fn run_closes_with_one_line_on_stderr_unless_quiet() {
    let sandbox = Sandbox::new();
    sandbox.write("half.k", PROGRAM);
    let ran = sandbox.run(&["run", "half.k"]);
    assert!(
        ran.stderr.starts_with("ran in ") && ran.stderr.contains("GB/s"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert_eq!(sandbox.run(&["run", "half.k", "--quiet"]).stderr, "");
}

#[test]
fn the_gpu_target_says_nothing_but_that_line_on_stderr() {
    let sandbox = Sandbox::new();
    sandbox.write("half.k", PROGRAM);
    let ran = sandbox.run(&["run", "half.k", "--target", "gpu"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("ran in "), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
}

#[test]
fn run_with_time_reports_on_stderr() {
    let sandbox = Sandbox::new();
    sandbox.write("half.k", PROGRAM);
    let ran = sandbox.run(&["run", "half.k", "--time"]);
    assert_eq!(ran.stdout, "sum 3.0\n");
    for word in ["compile", "run", "transfer", "GB/s"] {
        assert!(ran.stderr.contains(word), "{}", ran.stderr);
    }
}

#[test]
fn check_is_silent_on_good_files_and_speaks_json() {
    let sandbox = Sandbox::new();
    sandbox.write("half.k", PROGRAM);
    sandbox.write("bad.k", "ufunc f(x: f32) -> f32 { x + z }");
    assert_eq!(sandbox.run(&["check", "half.k"]).ok(), "");
    let ran = sandbox.run(&["check", "bad.k", "half.k", "--format", "json"]);
    assert_eq!(ran.code, Some(1));
    let first: serde_json::Value =
        serde_json::from_str(ran.stdout.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["file"], "bad.k");
    assert_eq!(first["errors"][0]["code"], "E0201");
    assert_eq!(first["errors"][0]["place"]["line"], 1);
    assert_eq!(first["errors"][0]["place"]["column"], 30);
    assert_eq!(ran.stdout.lines().count(), 2);
}

#[test]
fn emit_shows_every_stage() {
    let sandbox = Sandbox::new();
    sandbox.write("half.k", PROGRAM);
    for (stage, expected) in [
        ("tokens", "half"),
        ("ast", "half"),
        ("ir", "div"),
        ("opt", "kernel half.f32"),
        ("vector", "vector kernel half.f32"),
        ("clif", "f32x4"),
        ("asm", "ps"),
        ("wgsl", "@compute"),
    ] {
        let text = sandbox.run(&["emit", "half.k", "--stage", stage]).ok();
        assert!(text.contains(expected), "{stage} lacks {expected}:\n{text}");
    }
    let wide = sandbox
        .run(&[
            "emit", "half.k", "half", "--stage", "clif", "--dtype", "f64",
        ])
        .ok();
    assert!(wide.contains("f64x2"), "{wide}");
}

/// The whole text for saxpy, on machines that need not have the instructions; `KJIT_BLESS=1` writes it anew: read the
/// diff.
#[test]
#[cfg(all(unix, target_arch = "x86_64"))]
fn emit_shows_wide_code_with_the_source_beside() {
    let sandbox = Sandbox::new();
    for isa in ["avx2", "avx512"] {
        let file = repo("examples/saxpy.k");
        let text = sandbox
            .run(&["emit", &file, "--stage", "asm", "--isa", isa])
            .ok();
        assert!(
            text.lines()
                .any(|l| l.contains("vfmadd") || l.contains("vmulps")),
            "{text}"
        );
        assert!(text.contains("; 9: a * x"), "{text}");
        let path = repo(&format!("cli/tests/asm/saxpy.{isa}.txt"));
        if std::env::var_os("KJIT_BLESS").is_some_and(|v| v == "1") {
            std::fs::write(&path, &text).expect("blessing");
        }
        let expected = std::fs::read_to_string(&path).expect("the expected text");
        assert_eq!(text, expected, "{path} (KJIT_BLESS=1 writes it anew)");
    }
}

#[test]
fn emit_of_wide_code_says_what_it_is_not_for() {
    let sandbox = Sandbox::new();
    sandbox.write("half.k", PROGRAM);
    let ran = sandbox.run(&["emit", "half.k", "--stage", "clif", "--isa", "avx2"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr
            .contains("only --stage asm depends on --isa avx2"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("leave --isa out"), "{}", ran.stderr);
}

#[test]
fn mandelbrot_is_vectorised_with_masks() {
    let sandbox = Sandbox::new();
    let clif = sandbox
        .run(&["emit", &repo("examples/mandelbrot.k"), "--stage", "clif"])
        .ok();
    for word in ["f32x4", "i32x4", "fcmp le", "vany_true", "blendv"] {
        assert!(clif.contains(word), "no {word} in\n{clif}");
    }
}

#[test]
fn test_runs_assertions_on_every_target() {
    let sandbox = Sandbox::new();
    sandbox.write("half.k", PROGRAM);
    sandbox.write(
        "wrong.k",
        "main { let x = arange(3); assert(sum(x) == 4, \"arithmetic\"); }",
    );
    let printed = sandbox
        .run(&["test", "half.k", "--targets", "cpu,parallel,gpu"])
        .ok();
    assert!(printed.contains("half.k gpu ... ok"), "{printed}");
    assert!(printed.contains("3 passed, 0 failed"), "{printed}");
    let ran = sandbox.run(&["test", "wrong.k", "--targets", "cpu"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("arithmetic"), "{}", ran.stdout);
    assert!(ran.stdout.contains("0 passed, 1 failed"), "{}", ran.stdout);
}

#[test]
fn targets_names_all_three() {
    let printed = Sandbox::new().run(&["targets"]).ok();
    for target in ["cpu", "parallel", "gpu"] {
        assert!(printed.lines().any(|l| l.starts_with(target)), "{printed}");
    }
}

#[test]
fn targets_says_why_there_is_no_gpu() {
    let ran = Sandbox::new().run_with(&["targets"], &[("VK_DRIVER_FILES", "/nonexistent.json")]);
    let printed = ran.ok();
    assert!(printed.contains("mesa-vulkan-drivers"), "{printed}");
}

#[test]
fn fmt_rewrites_in_place_and_checks() {
    let sandbox = Sandbox::new();
    sandbox.write("half.k", "ufunc   half(x:f32)->f32{x/2} // why not\n");
    assert_eq!(sandbox.run(&["fmt", "--check", "half.k"]).code, Some(1));
    sandbox.run(&["fmt", "half.k"]).ok();
    sandbox.run(&["fmt", "--check", "half.k"]).ok();
    let text = std::fs::read_to_string(sandbox.path().join("half.k")).expect("the file");
    assert!(text.contains("// why not"), "{text}");
    assert!(text.contains("ufunc half(x: f32) -> f32"), "{text}");
}

#[test]
fn examples_are_formatted_and_check() {
    let sandbox = Sandbox::new();
    let mut args = vec!["check".to_string()];
    for entry in std::fs::read_dir(repo("examples")).expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "k") {
            args.push(path.to_string_lossy().into_owned());
        }
    }
    assert!(args.len() > 8, "{args:?}");
    sandbox
        .run(&args.iter().map(String::as_str).collect::<Vec<_>>())
        .ok();
    args.splice(0..1, ["fmt".to_string(), "--check".to_string()]);
    sandbox
        .run(&args.iter().map(String::as_str).collect::<Vec<_>>())
        .ok();
}

#[test]
fn usage_errors_exit_with_2() {
    let sandbox = Sandbox::new();
    for args in [
        &["run"][..],
        &["frobnicate"],
        &["run", "x.k", "--target", "tpu"],
        &["emit", "x.k"],
    ] {
        let ran = sandbox.run(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
        assert!(!ran.stderr.is_empty());
    }
    let ran = sandbox.run(&["run", "x.k", "--target", "tpu"]);
    assert!(
        ran.stderr.contains("cpu, parallel, gpu, auto"),
        "{}",
        ran.stderr
    );
}

#[test]
fn emit_takes_a_dtype_for_each_type_parameter() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "f.k",
        "ufunc f<T: uint, U: float>(n: T, x: U) -> U { x * (n as U) } ufunc g(x: f32) -> f32 { x }",
    );
    let text = sandbox
        .run(&["emit", "f.k", "--stage", "ir", "--dtype", "u8,f64", "f"])
        .ok();
    assert!(text.contains("f.u8.f64"), "{text}");
    for dtype in ["f64", "u8,f64,f32"] {
        // Nothing of the ufuncs before it is printed either.
        sandbox
            .run(&["emit", "f.k", "--stage", "ir", "--dtype", dtype])
            .error();
    }
}
