//! The library's texts: read as a whole, by parts and by many threads; what names of the table stand for.

use super::numbers_tests::builtin_function;
use super::*;
use crate::infer::infer_types;
use crate::parser::parse_file;
use crate::resolve::{Unit, collect_items, resolve_names};
use kjit_ir::DType;

/// Function by function the library is what it is as a whole, in which every mistake is found.
#[test]
fn all_of_the_library_is_right_and_lazily_read() {
    let library = library();
    let mut diagnostics = Vec::new();
    let mut files = Vec::new();
    for source in &library.sources {
        let (file, mistakes) = parse_file(source);
        files.push(file);
        diagnostics.extend(mistakes);
    }
    let units = library.sources.iter().zip(&files);
    let units: Vec<Unit<'_>> = units.map(|(source, file)| Unit { source, file }).collect();
    let items = collect_items(&units, &mut diagnostics);
    let mut program = resolve_names(&items, &mut diagnostics);
    let sources: Vec<&Source> = library.sources.iter().collect();
    infer_types(&mut program, &sources, &mut diagnostics);
    let message = crate::render::render(&diagnostics, &sources, false);
    assert!(diagnostics.is_empty(), "{message}");
    assert_eq!(
        items.names, library.items.names,
        "a function does not start its line with `fn`"
    );
    for (id, function) in program.functions.iter().enumerate() {
        let lazily = format!("{:?}", library.function(id));
        assert_eq!(lazily, format!("{function:?}"));
    }
}

#[test]
fn threads_read_the_library_at_once() {
    let library = Library::new();
    let names: Vec<FnId> = (0..library.functions.len()).collect();
    std::thread::scope(|scope| {
        for start in 0..4 {
            let (library, names) = (&library, &names);
            scope.spawn(move || {
                let n = names.len();
                for k in 0..n {
                    let id = names[(k + start * n / 4) % n];
                    assert!(!library.function(id).name.is_empty());
                }
            });
        }
    });
}

#[test]
fn members_of_families_differ_in_their_dtype_alone() {
    let library = library();
    let mut families = 0;
    for name in library.items.names.keys() {
        let Some(double) =
            (name.strip_suffix("_f32")).and_then(|stem| library.find(&format!("{stem}_f64")))
        else {
            continue;
        };
        let single = library.find(name).expect("a function");
        let types = |id, dtype: DType| -> Vec<String> {
            let function = library.function(id);
            let params = function.params.iter().map(|(_, ty)| ty);
            let all = params.chain(function.outputs.iter().map(|(_, ty)| ty));
            let texts = all.map(|ty| ty.describe(&[]));
            texts.map(|t| t.replace(dtype.name(), "T")).collect()
        };
        let members = [(single, DType::F32), (double, DType::F64)];
        let [single, double] = members.map(|(id, dtype)| types(id, dtype));
        assert_eq!(single, double, "{name}");
        families += 1;
    }
    assert!(families > 30, "{families}");
}

#[test]
fn every_builtin_of_the_table_is_in_the_library() {
    for builtin in crate::builtins::BUILTINS {
        if builtin.code != crate::builtins::Code::Library {
            continue;
        }
        let dtypes = DType::ALL.iter().filter(|d| builtin.class.contains(**d));
        let mut instances: Vec<Vec<DType>> = dtypes.map(|d| vec![*d]).collect();
        if !builtin.is_generic() {
            instances = vec![Vec::new()];
        }
        for generics in instances {
            for fast in [false, true] {
                builtin_function(builtin.name, &generics, fast);
            }
        }
    }
}
