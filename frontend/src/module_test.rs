//! From text to verified IR.

use super::*;

/// The module of one ufunc's kernel, verified.
fn lower(text: &str, ufunc: &str, generics: &[DType]) -> Module {
    let source = Source::new("test.k", text);
    let checked = check(&source).unwrap_or_else(|d| {
        panic!("{}", crate::render::render(&d, &[&source], false));
    });
    let (module, _) = checked
        .kernel(ufunc, generics)
        .expect("no instantiation errors");
    verify(&module);
    module
}

fn verify(module: &Module) {
    for function in &module.functions {
        if let Err(errors) = kjit_ir::verify::verify(function, Some(module)) {
            panic!("{errors:?}\n{function}");
        }
    }
}

/// The text of one function of the module.
fn ir(text: &str, ufunc: &str, generics: &[DType]) -> String {
    let module = lower(text, ufunc, generics);
    let name = &module.functions[0].name;
    assert!(name.starts_with(ufunc), "{name}");
    module.functions[0].to_string()
}

#[test]
fn saxpy() {
    println!(
        "{}",
        ir(
            "ufunc saxpy<T: float>(a: T, x: T, y: T) -> T { a * x + y }",
            "saxpy",
            &[DType::F32]
        )
    );
}

#[test]
fn mandelbrot() {
    let text = include_str!("../../examples/mandelbrot.k")
        .split("main {")
        .next()
        .unwrap();
    println!("{}", ir(text, "mandelbrot", &[]));
}

#[test]
fn library_is_right() {
    let n = crate::library::library().program.functions.len();
    assert!(n > 10);
}

#[test]
fn examples_pass_and_lower() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let mut n = 0;
    for entry in std::fs::read_dir(folder).expect("examples") {
        let path = entry.expect("entry").path();
        if path.extension().is_none_or(|e| e != "k") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        let source = Source::new(path.to_string_lossy(), text);
        let checked = check(&source).unwrap_or_else(|d| {
            panic!("{}", crate::render::render(&d, &[&source], false));
        });
        for signature in checked.signatures() {
            for dtype in [DType::F32, DType::F64] {
                let generics = vec![dtype; signature.generics.len()];
                let (module, _) = checked.kernel(&signature.name, &generics).expect("lowers");
                verify(&module);
            }
        }
        assert!(checked.host().is_some(), "{path:?}");
        n += 1;
    }
    assert!(n >= 8, "{n} examples");
}
