//! The compiler fuzzer: random programs over random arrays give the same bits on every backend.

use crate::arrays;
use crate::program::random_program;
use crate::rng::Rng;
use kjit::{
    Array, DType, Engine, EngineOptions, Isa, KernelSpec, Program, Scalar, Schedule, Source, Target,
};

/// The engines that a case compares.
pub struct Engines {
    oracle: Engine,
    others: Vec<(&'static str, Engine)>,
}

impl Engines {
    /// The interpreter against scalar code, vector code and threads; with `gpu`, the GPU too.
    ///
    /// # Errors
    /// When an engine cannot be made: there is no adapter.
    pub fn new(gpu: bool) -> kjit::Result<Engines> {
        let options = EngineOptions::default;
        let mut others = vec![
            (
                "scalar",
                Engine::new(EngineOptions {
                    scalar: true,
                    ..options()
                })?,
            ),
            (
                "vector",
                Engine::new(EngineOptions {
                    isa: Some(Isa::Sse),
                    ..options()
                })?,
            ),
            (
                "parallel",
                Engine::new(EngineOptions {
                    target: Target::Parallel,
                    threads: Some(3),
                    schedule: Schedule::Dynamic,
                    ..options()
                })?,
            ),
        ];
        for isa in [Isa::Avx2, Isa::Avx512] {
            if isa.is_available() {
                let isa = Some(isa);
                others.push((
                    isa.map_or("", Isa::name),
                    Engine::new(EngineOptions { isa, ..options() })?,
                ));
            }
        }
        if gpu {
            others.push((
                "gpu",
                Engine::new(EngineOptions {
                    target: Target::Gpu,
                    ..options()
                })?,
            ));
        }
        Ok(Engines {
            oracle: Engine::new(EngineOptions {
                interp: true,
                ..options()
            })?,
            others,
        })
    }
}

impl Engines {
    /// The interpreter.
    pub fn oracle(&self) -> &Engine {
        &self.oracle
    }

    /// The others, with their names.
    pub fn others(&self) -> &[(&'static str, Engine)] {
        &self.others
    }
}

/// One case.
///
/// # Panics
/// When a backend fails or differs from the interpreter; the message carries seed, program and place.
pub fn case(seed: u64, engines: &Engines) {
    let mut rng = Rng::new(seed);
    let random = random_program(&mut rng);
    let source = Source::new("fuzz.k", random.text.clone());
    let program = match Program::compile(source.clone()) {
        Ok(program) => program,
        Err(list) => panic!(
            "seed {seed}: a good program is refused\n{}\n{}",
            kjit::render_diagnostics(&list, &source, false),
            random.text
        ),
    };
    let spec = KernelSpec::Ufunc {
        name: "f".into(),
        generics: vec![],
        masked: false,
    };
    let shape = arrays::shape(&mut rng);
    let (inputs, layouts): (Vec<Array>, Vec<&str>) = random
        .inputs
        .iter()
        .map(|d| arrays::array(&mut rng, *d, &shape))
        .unzip();
    let about = || {
        format!(
            "seed {seed}, shape {shape:?}, layouts {layouts:?}\n{}",
            random.text
        )
    };
    let run = |name: &str, engine: &Engine| -> Vec<Array> {
        let outputs = engine
            .elementwise(&program, &spec, &inputs, &shape, &random.outputs)
            .and_then(|list| {
                list.iter()
                    .map(Array::to_host)
                    .collect::<kjit::Result<Vec<_>>>()
            });
        outputs.unwrap_or_else(|error| panic!("{name} fails: {error}\n{}", about()))
    };
    let expected = run("interp", &engines.oracle);
    for (name, engine) in &engines.others {
        let got = run(name, engine);
        for (output, (expected, got)) in expected.iter().zip(&got).enumerate() {
            if let Some((index, a, b)) = first_difference(expected, got) {
                let args: Vec<String> = inputs
                    .iter()
                    .map(|x| {
                        format!(
                            "{:?}",
                            element(&x.broadcast_to(&shape).expect("it broadcasts"), index)
                        )
                    })
                    .collect();
                panic!(
                    "{name} differs in output {output} at element {index}: {b:?}, not {a:?}, for ({})\n{}",
                    args.join(", "),
                    about()
                );
            }
        }
    }
}

/// The first element where two arrays differ; NaNs are equal to each other.
pub fn first_difference(a: &Array, b: &Array) -> Option<(usize, Scalar, Scalar)> {
    assert_eq!((a.dtype(), a.shape()), (b.dtype(), b.shape()));
    (0..a.size())
        .map(|i| (i, element(a, i), element(b, i)))
        .find(|(_, x, y)| !same(*x, *y))
}

/// Are two values the same, or both NaN? Complex ones are compared part by part.
fn same(x: Scalar, y: Scalar) -> bool {
    match (x.parts(), y.parts()) {
        (Some(x), Some(y)) => x.into_iter().zip(y).all(|(x, y)| same(x, y)),
        _ => x == y || (is_nan(x) && is_nan(y)),
    }
}

/// Element number `index` in C order.
fn element(array: &Array, mut index: usize) -> Scalar {
    let mut position = vec![0; array.ndim()];
    for (place, extent) in position.iter_mut().zip(array.shape()).rev() {
        *place = index % extent;
        index /= extent;
    }
    array.get(&position).expect("an element")
}

fn is_nan(x: Scalar) -> bool {
    match x.dtype() {
        DType::F16 => x.as_f16().is_nan(),
        DType::F32 => x.as_f32().is_nan(),
        DType::F64 => x.as_f64().is_nan(),
        _ => false,
    }
}
