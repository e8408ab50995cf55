//! Tests that each rule of the house can fail, and that the repository keeps the first two.

use super::{
    codes, document, error_page, machine_paths, manifest, repository_paths, source_file, tidy,
};
use std::path::Path;

fn crate_toml(name: &str, dependencies: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion.workspace = true\n\n{dependencies}\n[lints]\nworkspace = true\n"
    )
}

#[test]
fn forbidden_imports_are_found() {
    let table = [
        (
            "kjit-ir",
            "ir",
            "[dependencies]\nkjit-frontend.workspace = true",
            true,
        ),
        (
            "kjit-frontend",
            "frontend",
            "[dependencies]\nkjit-ir.workspace = true\nlogos = \"1\"",
            false,
        ),
        (
            "kjit-frontend",
            "frontend",
            "[dependencies]\nkjit-runtime = { path = \"../runtime\" }",
            true,
        ),
        (
            "kjit-frontend",
            "frontend",
            "[dependencies]\nrt = { package = \"kjit-runtime\", path = \"..\" }",
            true,
        ),
        (
            "kjit-frontend",
            "frontend",
            "[dependencies.kjit-runtime]\npath = \"..\"",
            true,
        ),
        (
            "kjit-frontend",
            "frontend",
            "[target.'cfg(unix)'.dependencies]\nkjit-runtime.workspace = true",
            true,
        ),
        (
            "kjit-frontend",
            "frontend",
            "[dev-dependencies]\nkjit-runtime.workspace = true",
            false,
        ),
        (
            "kjit-frontend",
            "frontend",
            "# [dependencies]\n# kjit-runtime = 1",
            false,
        ),
        (
            "kjit-wgsl",
            "backends/wgsl",
            "[dependencies]\nkjit-cranelift.workspace = true",
            true,
        ),
        (
            "kjit-runtime",
            "runtime",
            "[dependencies]\nkjit-frontend.workspace = true",
            true,
        ),
        (
            "kjit-cli",
            "cli",
            "[dependencies]\nkjit.workspace = true\nkjit-driver.workspace = true",
            false,
        ),
        (
            "kjit-cli",
            "cli",
            "[dependencies]\nkjit-runtime.workspace = true",
            true,
        ),
        ("kjit-new", "new", "[dependencies]", true),
        ("kjit-ir", "elsewhere", "[dependencies]", true),
    ];
    for (name, folder, dependencies, wrong) in table {
        let problems = manifest(
            &format!("{folder}/Cargo.toml"),
            &crate_toml(name, dependencies),
        );
        assert_eq!(
            problems.len(),
            usize::from(wrong),
            "{name}: {dependencies}: {problems:?}"
        );
    }
    assert!(
        manifest(
            "Cargo.toml",
            &crate_toml("kjit", "[dependencies]\nkjit-runtime.workspace = true")
        )
        .is_empty()
    );
}

#[test]
fn source_rules() {
    assert!(source_file("a.rs", "//! What it is.\n").is_empty());
    assert_eq!(source_file("a.rs", "use std::fs;\n").len(), 1);
    assert_eq!(source_file("a.rs", "").len(), 1);
    assert_eq!(
        source_file("a.rs", &format!("//! Long.\n{}", "\n".repeat(800))).len(),
        1
    );
}

#[test]
fn paths_in_documents() {
    let expand = |word: &str| repository_paths(word).join(" ");
    assert_eq!(expand("ir/src/opcode.rs"), "ir/src/opcode.rs");
    assert_eq!(expand("ir/src/opcode.rs:12"), "ir/src/opcode.rs");
    assert_eq!(
        expand("ir/src/{dtype,opcode}.rs"),
        "ir/src/dtype.rs ir/src/opcode.rs"
    );
    assert_eq!(expand("tests/filetests/*.k"), "tests/filetests");
    assert_eq!(expand(".ci/run"), ".ci/run");
    assert_eq!(expand("README.md"), "README.md");
    for no_path in [
        "x/y",
        "a.npy",
        "f.reduce",
        "cargo",
        "docs/add-a-<thing>.md",
        "ir/src/passes/x.rs",
        "1/2",
        "ir/src/NAME.rs",
    ] {
        assert_eq!(expand(no_path), "", "{no_path}");
    }
    let exists = |path: &str| path == "ir/src/lib.rs";
    assert!(
        document(
            "README.md",
            "see `ir/src/lib.rs` and `x/y`, not ir/src/no.rs",
            &exists
        )
        .is_empty()
    );
    assert_eq!(
        document("README.md", "see\n`ir/src/no.rs`", &exists),
        ["README.md:2: ir/src/no.rs does not exist"]
    );
    let fenced = "```\nkjit run examples/no.k -o examples/out.png\n```\n`ir/`";
    assert_eq!(document("README.md", fenced, &exists).len(), 2);
}

#[test]
fn error_pages() {
    let table = "A \"E0101\" \"title\"; B \"E0102\" \"other\";";
    assert_eq!(codes(table).len(), 2);
    assert!(error_page(table, "# Errors\n\n## E0101: a\n\n## E0102\n").is_empty());
    assert_eq!(error_page(table, "## E0101\n").len(), 1);
    assert_eq!(
        error_page(table, "## E0101\n## E0101\n## E0102\n## E0999\n").len(),
        2
    );
    assert_eq!(error_page("", "").len(), 1);
}

#[test]
fn machine_paths_are_found() {
    let path = format!("/{}/main/x", "work");
    assert_eq!(machine_paths("a.md", &format!("see {path}")).len(), 1);
    assert!(machine_paths("a.md", &format!("see frame{path}")).is_empty());
    assert!(machine_paths("a.md", "/tmp/file /usr/lib").is_empty());
}

/// The folder of the tests has no rules of its own, but the walk must find something to check.
#[test]
fn the_walk_finds_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (checked, problems) = tidy(root);
    assert!(checked >= 4, "{checked}");
    // xtask alone has no docs/errors.md
    assert!(
        problems.iter().any(|p| p.contains("docs/errors.md")),
        "{problems:?}"
    );
}
