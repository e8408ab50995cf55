//! The fuzzer of the ufunc engine: random calls, methods and gufuncs over random arrays give what the interpreter gives.

use crate::arrays;
use crate::compile::{Engines, first_difference};
use crate::rng::Rng;
use kjit::{Arg, Array, Axis, Casting, DType, Engine, Program, Reduce, Source, Ufunc};
use std::sync::Arc;

/// The kernels: small ones, each of another form.
const SOURCE: &str = include_str!("../../tests/conformance/ops.k");

/// Those of two arguments of one dtype and one result of it.
const BINARY: [&str; 4] = ["add", "subtract", "multiply", "maximum"];

/// The program that the cases share.
///
/// # Panics
/// When it does not compile.
pub fn program() -> Arc<Program> {
    let source = Source::new("ops.k", SOURCE);
    match Program::compile(source.clone()) {
        Ok(program) => Arc::new(program),
        Err(list) => panic!("{}", kjit::render_diagnostics(&list, &source, false)),
    }
}

/// One case.
///
/// # Panics
/// When an engine gives something else than the interpreter; the message carries the seed.
pub fn case(seed: u64, program: &Arc<Program>, engines: &Engines) {
    let mut rng = Rng::new(seed);
    let job = match rng.below(10) {
        0..4 => call(&mut rng),
        4..7 => reduce(&mut rng),
        7 => scan(&mut rng),
        8 => outer_or_at(&mut rng),
        _ => gufunc(&mut rng),
    };
    let about = format!("seed {seed}: {} {}", job.op, job.about);
    let run = |engine: &Engine| -> kjit::Result<Vec<Array>> {
        let f = Ufunc::new(program, job.op)?;
        let list = (job.run)(&f, engine)?;
        list.iter().map(Array::to_host).collect()
    };
    let expected = run(engines.oracle());
    for (name, engine) in engines.others() {
        match (&expected, run(engine)) {
            (Err(_), Err(_)) => {}
            (Ok(_), Err(error)) => panic!("{name} fails: {error}\n{about}"),
            (Err(error), Ok(_)) => {
                panic!("{name} runs where the interpreter fails: {error}\n{about}")
            }
            (Ok(expected), Ok(got)) => {
                assert_eq!(expected.len(), got.len(), "{name}\n{about}");
                for (number, (a, b)) in expected.iter().zip(&got).enumerate() {
                    assert_eq!(
                        (a.dtype(), a.shape()),
                        (b.dtype(), b.shape()),
                        "{name}, output {number}\n{about}"
                    );
                    if let Some((index, x, y)) = first_difference(a, b) {
                        panic!(
                            "{name} differs in output {number} at element {index}: {y:?}, not {x:?}\n{about}"
                        );
                    }
                }
            }
        }
    }
}

type Run = Box<dyn Fn(&Ufunc, &Engine) -> kjit::Result<Vec<Array>>>;

/// What a case does.
struct Job {
    op: &'static str,
    about: String,
    run: Run,
}

fn dtype(rng: &mut Rng) -> DType {
    *rng.pick(DType::ALL)
}

fn number(rng: &mut Rng) -> DType {
    loop {
        let dtype = dtype(rng);
        if dtype.is_number() {
            return dtype;
        }
    }
}

/// An operation on arrays of a dtype.
fn operation(rng: &mut Rng, dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => rng.pick::<&str>(&["logical_and", "logical_or", "logical_xor"]),
        _ => rng.pick::<&str>(&BINARY),
    }
}

fn call(rng: &mut Rng) -> Job {
    let (a, b) = (number(rng), number(rng));
    let b = if rng.one_in(2) { a } else { b };
    let op = operation(rng, a);
    let shape = arrays::shape(rng);
    let (x, of_x) = arrays::array(rng, a, &shape);
    let (y, of_y) = arrays::array(rng, b, &shape);
    let mask = rng
        .one_in(3)
        .then(|| arrays::array(rng, DType::Bool, &shape).0);
    let out = rng.one_in(2).then(|| {
        let dtype = number(rng);
        arrays::dense(rng, dtype, &shape)
    });
    let casting = *rng.pick(&[Casting::SameKind, Casting::Unsafe, Casting::Safe]);
    let loops = rng.one_in(4).then(|| number(rng));
    let reads_out = out.is_some() && rng.one_in(3);
    let about = format!(
        "{shape:?} {a} {of_x}, {b} {of_y}, casting {casting:?}, dtype {loops:?}, where {}, reads out \
         {reads_out}, out {:?}",
        mask.is_some(),
        out.as_ref().map(Array::dtype)
    );
    let run = move |f: &Ufunc, engine: &Engine| {
        let mut call = f.on(engine).casting(casting);
        if let Some(mask) = &mask {
            call = call.where_(mask);
        }
        if let Some(dtype) = loops {
            call = call.dtype(dtype);
        }
        let second = match reads_out {
            true => Arg::Out(0),
            false => Arg::from(&y),
        };
        let args = [Arg::from(&x), second];
        match &out {
            None => call.call(&args),
            Some(out) => {
                let mut outs = [out.clone()];
                call.out(&mut outs).call(&args)?;
                Ok(outs.to_vec())
            }
        }
    };
    Job {
        op,
        about,
        run: Box::new(run),
    }
}

fn reduce(rng: &mut Rng) -> Job {
    let dtype = dtype(rng);
    let op = operation(rng, dtype);
    let shape = arrays::shape(rng);
    let (x, of_x) = arrays::array(rng, dtype, &shape);
    let x = x.broadcast_to(&shape).expect("it broadcasts");
    let ndim = shape.len() as i64;
    let axis = match rng.below(4) {
        0 => Axis::All,
        1 => Axis::Many((0..ndim).filter(|_| rng.one_in(2)).collect()),
        _ => Axis::One(rng.below(2 * shape.len()) as i64 - ndim),
    };
    let mask = rng
        .one_in(4)
        .then(|| arrays::array(rng, DType::Bool, &shape).0);
    let initial = rng
        .one_in(3)
        .then(|| Arg::Array(Array::scalar(arrays::value(rng, dtype))));
    let wide = rng.one_in(5).then(|| number(rng));
    let keepdims = rng.one_in(3);
    let about = format!(
        "reduce {shape:?} {dtype} {of_x} {axis:?}, where {}, initial {}, dtype {wide:?}",
        mask.is_some(),
        initial.is_some()
    );
    let run = move |f: &Ufunc, engine: &Engine| {
        let options = Reduce {
            axis: axis.clone(),
            keepdims,
            initial: initial.clone(),
            where_: mask.as_ref(),
            dtype: wide,
        };
        Ok(vec![f.reduce(engine, &x, &options)?])
    };
    Job {
        op,
        about,
        run: Box::new(run),
    }
}

fn scan(rng: &mut Rng) -> Job {
    let dtype = dtype(rng);
    let op = operation(rng, dtype);
    let mut shape = arrays::shape(rng);
    if shape.is_empty() {
        shape.push(3);
    }
    let (x, of_x) = arrays::array(rng, dtype, &shape);
    let x = x.broadcast_to(&shape).expect("it broadcasts");
    let axis = rng.below(shape.len());
    let starts = rng.one_in(2).then(|| {
        let count = 1 + rng.below(6);
        // sometimes one past the end, which is an error
        let starts: Vec<i64> = (0..count)
            .map(|_| {
                let past = usize::from(rng.one_in(20));
                rng.below(shape[axis] + past) as i64
            })
            .collect();
        Array::from_vec(starts, &[count]).expect("an array")
    });
    let about = format!(
        "accumulate or reduceat ({}) {shape:?} {dtype} {of_x}, axis {axis}",
        starts.is_some()
    );
    let run = move |f: &Ufunc, engine: &Engine| {
        let axis = axis as i64;
        Ok(vec![match &starts {
            None => f.accumulate(engine, &x, axis, None)?,
            Some(starts) => f.reduceat(engine, &x, starts, axis, None)?,
        }])
    };
    Job {
        op,
        about,
        run: Box::new(run),
    }
}

fn outer_or_at(rng: &mut Rng) -> Job {
    let dtype = dtype(rng);
    let op = operation(rng, dtype);
    let mut shape = arrays::shape(rng);
    if rng.one_in(2) {
        let other = vec![rng.below(4), 1 + rng.below(3)];
        let (x, of_x) = arrays::array(rng, dtype, &shape);
        let (y, of_y) = arrays::array(rng, dtype, &other);
        let about = format!("outer {shape:?} {of_x} with {other:?} {of_y} {dtype}");
        let run = move |f: &Ufunc, engine: &Engine| f.outer(engine, &Arg::from(&x), &Arg::from(&y));
        return Job {
            op,
            about,
            run: Box::new(run),
        };
    }
    if shape.is_empty() {
        shape.push(5);
    }
    let target = arrays::dense(rng, dtype, &shape);
    let count = rng.below(30);
    let extent = shape[0].max(1) as i64;
    let indices: Vec<i64> = (0..count)
        .map(|_| rng.below(2 * extent as usize) as i64 - extent)
        .collect();
    let indices = Array::from_vec(indices, &[count]).expect("an array");
    let mut of_values = vec![count];
    of_values.extend(&shape[1..]);
    let (values, layout) = arrays::array(rng, dtype, &of_values);
    let about = format!("at {shape:?} {dtype}, {count} indices, values {layout}");
    let run = move |f: &Ufunc, engine: &Engine| {
        let mut target = target.clone();
        f.at(engine, &mut target, &indices, Some(&Arg::from(&values)))?;
        Ok(vec![target])
    };
    Job {
        op,
        about,
        run: Box::new(run),
    }
}

fn gufunc(rng: &mut Rng) -> Job {
    let dtype = number(rng);
    let op = *rng.pick(&["matmul", "sum_rows", "inner_sum", "stencil3", "stencil5"]);
    let batch = match rng.below(3) {
        0 => vec![],
        1 => vec![rng.below(40)],
        _ => vec![1 + rng.below(3), 1 + rng.below(9)],
    };
    let with = |core: &[usize]| -> Vec<usize> { batch.iter().chain(core).copied().collect() };
    let (m, k, n) = (rng.below(6), rng.below(7), rng.below(20));
    let shapes = match op {
        "matmul" if rng.one_in(2) => vec![vec![m, k], with(&[k, n])],
        "matmul" => vec![with(&[m, k]), with(&[k, n])],
        "inner_sum" | "stencil3" => vec![with(&[n])],
        _ => vec![with(&[m, n])],
    };
    let mut layouts = Vec::new();
    let args: Vec<Arg> = shapes
        .iter()
        .map(|shape| {
            let (array, layout) = arrays::array(rng, dtype, shape);
            layouts.push(layout);
            Arg::Array(array.broadcast_to(shape).expect("it broadcasts"))
        })
        .collect();
    let about = format!("{shapes:?} {dtype} {layouts:?}");
    let run = move |f: &Ufunc, engine: &Engine| f.call(engine, &args);
    Job {
        op,
        about,
        run: Box::new(run),
    }
}
