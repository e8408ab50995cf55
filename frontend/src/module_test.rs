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
