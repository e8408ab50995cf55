//! Makes the call of a case.

use super::answers::{Answers, Case, Values, shape};
use super::arrays::{Arguments, place};
use super::compare::difference;
use kjit::{Arg, Array, Axis, Casting, DType, Engine, Program, Reduce, Result, Scalar, Ufunc};
use std::sync::Arc;

/// Makes the call with arguments in a layout; why the answer is not NumPy's, if it is not.
pub fn check(
    case: &Case,
    layout: &str,
    answers: &Answers,
    program: &Arc<Program>,
    engine: &Engine,
) -> Option<String> {
    let call = || {
        let f = Ufunc::new(program, &case.op)?;
        let mut arguments = Arguments::new(answers, layout);
        make(case, layout, &f, &mut arguments, engine)
    };
    // A panic is one failing case, not the end of the table.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
    let Ok(result) = result else {
        return Some("panics".into());
    };
    match (&case.answer, result) {
        (None, Err(_)) => None,
        (None, Ok(got)) => Some(format!("gives {:?}, where NumPy refuses", shapes(&got))),
        (Some(_), Err(error)) => Some(format!("fails: {error}")),
        (Some(expected), Ok(got)) if expected.len() != got.len() => {
            Some(format!("{} outputs, not {}", got.len(), expected.len()))
        }
        (Some(expected), Ok(got)) => expected
            .iter()
            .zip(&got)
            .find_map(|(want, have)| difference(want, have, case.tolerance)),
    }
}

fn shapes(arrays: &[Array]) -> Vec<(DType, Vec<usize>)> {
    arrays
        .iter()
        .map(|a| (a.dtype(), a.shape().to_vec()))
        .collect()
}

fn make(
    case: &Case,
    layout: &str,
    f: &Ufunc,
    arguments: &mut Arguments,
    engine: &Engine,
) -> Result<Vec<Array>> {
    let axis = || case.get("axis").map_or(Axis::One(0), parse_axis);
    let one_axis = || match axis() {
        Axis::One(axis) => axis,
        _ => panic!("one axis"),
    };
    let dtype = case.get("dtype").map(parse_dtype);
    match case.method.as_str() {
        "accumulate" => {
            let x = arguments.array(&case.args[0]);
            Ok(vec![f.accumulate(engine, &x, one_axis(), dtype)?])
        }
        "reduceat" => {
            let (x, indices) = (
                arguments.array(&case.args[0]),
                arguments.array(&case.args[1]),
            );
            Ok(vec![f.reduceat(engine, &x, &indices, one_axis(), dtype)?])
        }
        "outer" => f.outer(
            engine,
            &arguments.arg(&case.args[0]),
            &arguments.arg(&case.args[1]),
        ),
        "at" => {
            let mut target = arguments.array(&case.args[0]);
            let indices = arguments.array(&case.args[1]);
            let values = case.args.get(2).map(|text| arguments.arg(text));
            f.at(engine, &mut target, &indices, values.as_ref())?;
            Ok(vec![target])
        }
        method if method.starts_with("reduce") => {
            let x = arguments.array(&case.args[0]);
            let mask = case.get("where").map(|text| arguments.array(text));
            let options = Reduce {
                axis: axis(),
                keepdims: case.get("keepdims").is_some(),
                initial: case.get("initial").map(|text| initial(text, arguments)),
                where_: mask.as_ref(),
                dtype,
            };
            Ok(vec![f.reduce(engine, &x, &options)?])
        }
        _ => call(case, layout, f, arguments, engine),
    }
}

/// An ordinary call, of a ufunc or of a gufunc.
fn call(
    case: &Case,
    layout: &str,
    f: &Ufunc,
    arguments: &mut Arguments,
    engine: &Engine,
) -> Result<Vec<Array>> {
    let args: Vec<Arg> = case.args[..f.nin()]
        .iter()
        .map(|text| arguments.arg(text))
        .collect();
    let mut call = f.on(engine);
    if let Some(text) = case.get("where") {
        call = call.where_(&arguments.array(text));
    }
    if let Some(name) = case.get("casting") {
        call = call.casting(Casting::from_name(name).expect("a casting"));
    }
    if let Some(name) = case.get("dtype") {
        call = call.dtype(parse_dtype(name));
    }
    if let Some(text) = case.get("signature") {
        call = call.signature(text);
    }
    if let Some(text) = case.get("axes") {
        let axes: Vec<Vec<i64>> = text.split('|').map(parse_axes).collect();
        call = call.axes(&axes);
    } else if let Some(text) = case.get("axis") {
        call = call.axis(text.parse().expect("an axis"));
    }
    if case.get("keepdims").is_some() {
        call = call.keepdims(true);
    }
    let out = match (case.get("out"), case.get("outdtype"), case.get("outshape")) {
        (Some(text), _, _) => Some(arguments.array(text)),
        (None, None, None) => None,
        (None, dtype, extents) => {
            let shape = match (extents, &case.answer) {
                (Some(extents), _) => shape(extents),
                (None, Some(answer)) => answer[0].shape.clone(),
                (None, None) => arguments.array(&case.args[0]).shape().to_vec(),
            };
            let dtype = dtype.map_or(case.dtype, parse_dtype);
            let bytes = vec![0; shape.iter().product::<usize>() * dtype.size()];
            let zeros = Values {
                dtype,
                shape,
                bytes,
            };
            Some(place(&zeros, layout))
        }
    };
    let Some(out) = out else {
        return call.call(&args);
    };
    let mut outs = [out];
    call.out(&mut outs).call(&args)?;
    Ok(outs.to_vec())
}

fn parse_dtype(name: &str) -> DType {
    DType::from_name(name).expect("a dtype")
}

fn parse_axes(text: &str) -> Vec<i64> {
    text.split(',')
        .filter(|word| !word.is_empty())
        .map(|word| word.parse().expect("an axis"))
        .collect()
}

fn parse_axis(text: &str) -> Axis {
    match text {
        "none" => Axis::All,
        _ => match text.parse() {
            Ok(axis) => Axis::One(axis),
            Err(_) => Axis::Many(parse_axes(text)),
        },
    }
}

fn initial(text: &str, arguments: &mut Arguments) -> Arg {
    match text {
        "True" => Arg::Array(Array::scalar(Scalar::bool(true))),
        number => arguments.arg(&format!("#{number}")),
    }
}
