//! Bad input: one message with place, cause and cure, exit code 1, and nothing written.

use crate::support::{Sandbox, repo};

/// A `.npy` version 1 file with this header and data.
fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let padded = format!("{header}\n");
    bytes.extend((padded.len() as u16).to_le_bytes());
    bytes.extend(padded.as_bytes());
    bytes.extend(data);
    bytes
}

const GOOD: &str = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";

#[test]
fn wrong_array_files() {
    let sandbox = Sandbox::new();
    let saxpy = repo("examples/saxpy.k");
    let huge = "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }";
    let large = "{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000,), }";
    let cases: &[(&str, Option<Vec<u8>>)] = &[
        ("missing.npy", None),
        ("empty.npy", Some(vec![])),
        ("foreign.npy", Some(b"PK\x03\x04 something else".to_vec())),
        ("cut.npy", Some(npy(GOOD, &[0; 11]))),
        ("longer.npy", Some(npy(GOOD, &[0; 13]))),
        ("cut_header.npy", Some(npy(GOOD, &[])[..30].to_vec())),
        ("huge.npy", Some(npy(huge, &[0; 12]))),
        ("large.npy", Some(npy(large, &[0; 12]))),
        ("version.npy", Some(b"\x93NUMPY\x09\x00\x02\x00{}".to_vec())),
        (
            "negative.npy",
            Some(npy(&GOOD.replace("(3,)", "(-3,)"), &[0; 12])),
        ),
        (
            "object.npy",
            Some(npy(&GOOD.replace("<f4", "|O"), &[0; 12])),
        ),
        ("text.npy", Some(npy(&GOOD.replace("<f4", "<U1"), &[0; 12]))),
        ("garbage.npy", Some(npy("{'descr': <<<", &[0; 12]))),
        ("words.csv", Some(b"1,2\n3,four\n".to_vec())),
        ("ragged.csv", Some(b"1,2\n3\n".to_vec())),
        ("not_a.npz", Some(b"hello".to_vec())),
        ("unknown.xyz", Some(b"hello".to_vec())),
    ];
    for (name, content) in cases {
        if let Some(content) = content {
            sandbox.write(name, content);
        }
        let before = sandbox.files();
        let ran = sandbox.run(&["call", &saxpy, "saxpy", "2.5", name, "1", "-o", "z.npy"]);
        let message = ran.error();
        assert!(
            message.contains(name),
            "{name}: the message does not name the file: {message}"
        );
        assert_eq!(sandbox.files(), before, "{name}: something was written");
    }
}

#[test]
fn shapes_and_dtypes_that_do_not_fit() {
    let sandbox = Sandbox::new();
    let saxpy = repo("examples/saxpy.k");
    sandbox.write("x.npy", npy(GOOD, &[0; 12]));
    sandbox.write("y.npy", npy(&GOOD.replace("(3,)", "(4,)"), &[0; 16]));
    sandbox.write("c.npy", npy(&GOOD.replace("<f4", "<c8"), &[0; 24]));
    for target in ["cpu", "parallel", "gpu"] {
        let shapes = sandbox.run(&[
            "call", &saxpy, "saxpy", "2", "x.npy", "y.npy", "-o", "z.npy", "--target", target,
        ]);
        let message = shapes.error();
        assert!(
            message.contains("(3,)") && message.contains("(4,)"),
            "{message}"
        );
        let dtypes = sandbox.run(&[
            "call", &saxpy, "saxpy", "2", "c.npy", "c.npy", "-o", "z.npy", "--target", target,
        ]);
        let message = dtypes.error();
        assert!(
            message.contains("c64") && message.contains("help"),
            "{message}"
        );
    }
    assert_eq!(sandbox.files(), ["c.npy", "x.npy", "y.npy"]);
    let message = sandbox
        .run(&["call", &saxpy, "saxpy", "2", "x.npy"])
        .error();
    assert!(
        message.contains("saxpy takes 3 arguments, not 2"),
        "{message}"
    );
    let message = sandbox.run(&["call", &saxpy, "saxpi", "2"]).error();
    assert!(
        message.contains("no ufunc saxpi") && message.contains("saxpy"),
        "{message}"
    );
}

#[test]
fn outputs_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    let saxpy = repo("examples/saxpy.k");
    for out in ["no/such/folder/z.npy", "z.bmp", "z"] {
        let message = sandbox
            .run(&["call", &saxpy, "saxpy", "2", "3", "4", "-o", out])
            .error();
        assert!(message.contains(out), "{message}");
    }
    assert!(sandbox.files().is_empty(), "{:?}", sandbox.files());
}

#[test]
fn programs_that_fail_at_run_time() {
    let sandbox = Sandbox::new();
    for (text, expected) in [
        (
            "main { let x = arange(3); let y = arange(4); print(x + y); }",
            "(3,)",
        ),
        ("main { print(load(\"nowhere.npy\")); }", "nowhere.npy"),
        (
            "main { let x = arange(3); assert(sum(x) == 4, \"the sum is off\"); }",
            "the sum is off",
        ),
        ("main { print(zeros(1_000_000_000_000_000)); }", "memory"),
        (
            "main { print(zeros((99999999999, 99999999999))); }",
            "memory",
        ),
        ("main { let x = arange(3); print(x[7]); }", "7"),
        ("main { let x = zeros(-3); }", "-3"),
        ("main { print(max(zeros(0))); }", "array without elements"),
        (
            "ufunc f(i: i32) -> f32 { let mut a = [0.0f32; 4]; a[i] = 1; a[i] }\nmain { print(f(arange(9, dtype = i32))); }",
            "4",
        ),
    ] {
        sandbox.write("bad.k", text);
        for target in ["cpu", "parallel", "gpu"] {
            let message = sandbox.run(&["run", "bad.k", "--target", target]).error();
            assert!(message.contains(expected), "{target}: {text}\n{message}");
            assert!(
                message.contains("bad.k:"),
                "{target}: no place in: {message}"
            );
        }
    }
    assert_eq!(sandbox.files(), ["bad.k"]);
}

#[test]
fn source_files_that_cannot_be_read() {
    let sandbox = Sandbox::new();
    sandbox.write("latin1.k", b"// caf\xe9\nmain { }");
    for (file, expected) in [
        ("missing.k", "missing.k"),
        ("latin1.k", "UTF-8"),
        (".", "cannot read"),
    ] {
        let message = sandbox.run(&["run", file]).error();
        assert!(message.contains(expected), "{message}");
    }
    sandbox.write("no_main.k", "const ONE: f32 = 1;");
    let message = sandbox.run(&["run", "no_main.k"]).error();
    assert!(message.contains("main"), "{message}");
}

#[test]
fn params_that_do_not_fit() {
    let sandbox = Sandbox::new();
    sandbox.write("p.k", "param n = 3;\nmain { print(n); }");
    for (param, expected) in [("m=4", "n"), ("n=many", "many"), ("n=1.5", "1.5")] {
        let message = sandbox.run(&["run", "p.k", "-p", param]).error();
        assert!(message.contains(expected), "{param}: {message}");
    }
    assert_eq!(sandbox.run(&["run", "p.k", "-p", "n"]).code, Some(2));
}

#[test]
fn deep_and_long_programs() {
    let sandbox = Sandbox::new();
    let deep = |open: &str, close: &str| {
        format!(
            "ufunc f(x: f32) -> f32 {{ {}x{} }}",
            open.repeat(10_000),
            close.repeat(10_000)
        )
    };
    let long_chain = format!("ufunc f(x: f32) -> f32 {{ x{} }}", " + x".repeat(50_000));
    let long_line = format!("ufunc f(x: f32) -> f32 {{ x {} }}", "y".repeat(1 << 20));
    for text in [
        deep("(", ")"),
        deep("-", ""),
        deep("{ ", " }"),
        deep("if x > 0 { ", " } else { x }"),
        deep("sqrt(", ")"),
        deep("[", "]"),
        long_chain,
        long_line,
    ] {
        sandbox.write("deep.k", &text);
        let message = sandbox.run(&["check", "deep.k"]);
        assert_eq!(message.code, Some(1), "{}", &text[..60]);
        assert!(
            message.stderr.len() < 8_000,
            "{} bytes of message",
            message.stderr.len()
        );
        assert!(
            message.stderr.starts_with("error"),
            "{}",
            &message.stderr[..200.min(message.stderr.len())]
        );
    }
}

#[test]
fn no_vulkan_driver() {
    let sandbox = Sandbox::new();
    let env = [
        ("VK_DRIVER_FILES", "/nonexistent.json"),
        ("VK_ICD_FILENAMES", "/nonexistent.json"),
    ];
    let message = sandbox
        .run_with(&["run", &repo("examples/saxpy.k"), "--target", "gpu"], &env)
        .error();
    assert!(message.contains("mesa-vulkan-drivers"), "{message}");
    let env = [("KJIT_DEVICE", "no such card")];
    let message = sandbox
        .run_with(&["run", &repo("examples/saxpy.k"), "--target", "gpu"], &env)
        .error();
    assert!(message.contains("no such card"), "{message}");
}

#[test]
fn a_kernel_longer_than_the_software_driver_allows() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "long.k",
        "ufunc spin(n: i32) -> i32 { let mut i: i32 = 0; while i < n { i += 1; } i }
         param n: i32 = 1_000_000;
         main { print(spin(full(4, n))); }",
    );
    let million = "[1000000 1000000 1000000 1000000]\n";
    assert_eq!(sandbox.run(&["run", "long.k"]).ok(), million);
    let on_gpu = ["run", "long.k", "--target", "gpu"];
    assert_eq!(sandbox.run(&on_gpu).ok(), million);
    let longer = [&on_gpu[..], &["-p", "n=10000000"]].concat();
    let message = sandbox.run(&longer).error();
    assert!(message.contains("iterations"), "{message}");
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    use std::process::{Command, Stdio};
    let sandbox = Sandbox::new();
    sandbox.write("p.k", "main { for i in 0..20000 { print(i); } }");
    let mut child = Command::new(crate::support::kjit())
        .args(["run", "p.k", "--quiet"])
        .current_dir(sandbox.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting kjit");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("waiting");
    assert!(output.status.success(), "{output:?}");
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
