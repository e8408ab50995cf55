//! Shaders without a device: those of every example and filetest are valid, strict and `fast` alike. And
//! with one: `fast` answers are close.

use crate::support::{files, parse_array};
use kjit::{
    Arg, Array, Class, CompileOptions, DType, Engine, EngineOptions, KernelSpec, Program, Source,
    Target, Ufunc,
};
use kjit_driver::emit::{KernelStage, kernel_stage};
use std::sync::Arc;

const DTYPES: [DType; 6] = [
    DType::F32,
    DType::F64,
    DType::I32,
    DType::U32,
    DType::I64,
    DType::U8,
];

fn programs() -> Vec<Program> {
    let mut paths = files("examples", "k");
    paths.extend(files("tests/filetests/run", "k"));
    let compile = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).expect("a program");
        let source = Source::new(path.display().to_string(), text);
        Program::compile(source.clone())
            .unwrap_or_else(|list| panic!("{}", kjit::render_diagnostics(&list, &source, false)))
    };
    paths.iter().map(compile).collect()
}

/// The dtypes of type parameters: all of [`DTYPES`] for one, the same for each of several.
fn instances(classes: &[(String, Class)]) -> Vec<Vec<DType>> {
    if classes.is_empty() {
        return vec![vec![]];
    }
    let fits = |dtype: &DType| classes.iter().all(|(_, class)| class.contains(*dtype));
    DTYPES
        .into_iter()
        .filter(fits)
        .map(|dtype| vec![dtype; classes.len()])
        .collect()
}

fn validate(text: &str) -> Result<(), String> {
    let module = naga::front::wgsl::parse_str(text).map_err(|e| e.emit_to_string(text))?;
    let flags = naga::valid::ValidationFlags::all();
    naga::valid::Validator::new(flags, naga::valid::Capabilities::all())
        .validate(&module)
        .map(drop)
        .map_err(|e| e.emit_to_string(text))
}

#[test]
fn shaders_of_all_programs_are_valid() {
    let mut checked = 0;
    for program in programs() {
        for signature in program.signatures() {
            for generics in instances(&signature.generics) {
                let name = signature.name.clone();
                let about = format!("{}: {name} {generics:?}", program.source().name);
                let spec = KernelSpec::Ufunc {
                    name,
                    generics,
                    masked: false,
                };
                for fast in [false, true] {
                    let text = kernel_stage(
                        &program,
                        &spec,
                        CompileOptions { fast, fpe: false },
                        KernelStage::Wgsl,
                    )
                    .unwrap_or_else(|e| panic!("{about}: {e:?}"));
                    if let Err(why) = validate(&text) {
                        panic!("{about}, fast {fast}: {why}\n{text}");
                    }
                    assert!(text.contains("fn main"), "{about}: not a shader\n{text}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked >= 60, "only {checked} shaders");
}

/// The examples whose shaders a device may do as it likes with.
#[test]
fn fast_shaders_have_no_barriers_and_give_close_answers() {
    let text = "ufunc horner<T: float>(x: T, y: T) -> T {
        let z = ((x * 0.25 - 0.5) * x + y) * x - 3.0;
        exp(-abs(z)) + sqrt(abs(x)) / (1.0 + y * y) - sin(x)
    }";
    let program = Arc::new(Program::compile(Source::new("horner.k", text)).expect("a program"));
    for dtype in [DType::F32, DType::F64] {
        let spec = KernelSpec::Ufunc {
            name: "horner".into(),
            generics: vec![dtype],
            masked: false,
        };
        let shader = kernel_stage(
            &program,
            &spec,
            CompileOptions {
                fast: true,
                fpe: false,
            },
            KernelStage::Wgsl,
        )
        .expect("a shader");
        assert!(
            !shader.contains("opaque") && !shader.contains("zero"),
            "{shader}"
        );
        let numbers = |scale: f64, shift: f64| {
            let list: Vec<String> = (0..500)
                .map(|i| format!("{}", f64::from(i) * scale - shift))
                .collect();
            parse_array(&format!("[{}]: {dtype}", list.join(","))).expect("an array")
        };
        let args = [numbers(0.01, 2.0), numbers(-0.02, 3.0)];
        let call = |target, fast| -> Vec<f64> {
            let engine = Engine::new(EngineOptions {
                target,
                fast,
                ..Default::default()
            })
            .expect("an engine");
            let args = [Arg::from(&args[0]), Arg::from(&args[1])];
            let out: Array = Ufunc::new(&program, "horner")
                .and_then(|f| f.call(&engine, &args))
                .expect("a result")
                .remove(0);
            out.cast(DType::F64)
                .and_then(|a| a.to_vec())
                .expect("numbers")
        };
        let exact = call(Target::Cpu, false);
        let bound = if dtype == DType::F32 { 1e-4 } else { 1e-12 };
        for (i, (fast, exact)) in call(Target::Gpu, true).iter().zip(&exact).enumerate() {
            let error = (fast - exact).abs() / exact.abs().max(1.0);
            assert!(error < bound, "{dtype} element {i}: {fast}, not {exact}");
        }
    }
}
