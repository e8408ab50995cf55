//! Arrays made on a command line: `uniform:1e6:seed=1`, `linspace:0:1:1000`, `zeros:100x200:dtype=f32`.

use super::Evaluator;
use super::params::{integer, overflows};
use super::value::Value;
use crate::array::Array;
use crate::engine::Engine;
use crate::{Result, RuntimeError};
use kjit_driver::Program;
use kjit_ir::host::{HostCallee, HostExpr, HostExprKind, HostFn, HostProgram};
use kjit_ir::{DType, Loc};

/// Functions that make arrays out of numbers.
const MAKERS: [HostFn; 7] = [
    HostFn::Zeros,
    HostFn::Ones,
    HostFn::Full,
    HostFn::Arange,
    HostFn::Linspace,
    HostFn::Uniform,
    HostFn::Normal,
];

/// The array that `maker:rest` describes: a function that makes arrays, and its arguments between
/// colons. Shapes are written `1000` or `100x200`, named arguments `seed=1`, `dtype=f32`.
///
/// # Errors
/// An unknown function, wrong arguments, an array that cannot be made.
pub fn generate(engine: &Engine, program: &Program, maker: &str, rest: &str) -> Result<Array> {
    let Some(function) = MAKERS.into_iter().find(|f| f.name() == maker) else {
        let names: Vec<&str> = MAKERS.iter().map(|f| f.name()).collect();
        return Err(
            RuntimeError::value(format!("{maker} does not make an array"))
                .help(format!("use one of {}", names.join(", "))),
        );
    };
    let (mut args, mut named) = (Vec::new(), Vec::new());
    for part in rest.split(':') {
        match part.split_once('=') {
            None => args.push(argument(part)?),
            Some((name, value)) if function.named().contains(&name) => {
                named.push((name.to_string(), named_argument(name, value)?));
            }
            Some((name, _)) => {
                return Err(
                    RuntimeError::value(format!("{maker} has no argument {name}")).help(format!(
                        "its named arguments are {}",
                        function.named().join(", ")
                    )),
                );
            }
        }
    }
    let (fewest, most) = function.arity();
    if args.len() < fewest || args.len() > most {
        let wanted = if fewest == most {
            fewest.to_string()
        } else {
            format!("{fewest} to {most}")
        };
        return Err(RuntimeError::value(format!(
            "{maker} takes {wanted} arguments, not {}",
            args.len()
        ))
        .help("write them between colons, as in linspace:0:1:1000"));
    }
    let call = HostExprKind::Call {
        callee: HostCallee::Builtin(function),
        args,
        named,
    };
    let mut sink = std::io::sink();
    let host = HostProgram::default();
    let evaluator = Evaluator::new(engine, program, &host, &mut sink, None);
    match evaluator.expr(&expr(call))? {
        Value::Array(lazy) => evaluator.array(&lazy),
        Value::Scalar(scalar) => Ok(Array::scalar(scalar)),
        other => Err(RuntimeError::internal(format!(
            "bug in kjit: {maker} made {}",
            other.describe()
        ))),
    }
}

fn expr(kind: HostExprKind) -> HostExpr {
    HostExpr {
        kind,
        loc: Loc::default(),
    }
}

/// A number or a shape `100x200`.
fn argument(text: &str) -> Result<HostExpr> {
    if text.contains('x') {
        let extents = text.split('x').map(number).collect::<Result<Vec<_>>>()?;
        return Ok(expr(HostExprKind::Tuple(extents)));
    }
    number(text)
}

/// `1000`, `1e6` (an integer, so that it can be an extent), `0.5`.
fn number(text: &str) -> Result<HostExpr> {
    let digits = text.trim().replace('_', "");
    if let Some(n) = integer(&digits)
        && !digits.contains('.')
    {
        return Ok(expr(HostExprKind::Int(n)));
    }
    let x = digits.parse::<f64>().map_err(|_| {
        RuntimeError::value(format!("{text:?} is not a number"))
            .help("write it as 1000, 1e6 or 0.5")
    })?;
    if overflows(&digits, x) {
        return Err(
            RuntimeError::value(format!("{text} is larger than any float"))
                .help("write a smaller number, or inf"),
        );
    }
    Ok(expr(HostExprKind::Float(x)))
}

fn named_argument(name: &str, text: &str) -> Result<HostExpr> {
    if name != "dtype" {
        return number(text);
    }
    match DType::from_name(text) {
        Some(dtype) => Ok(expr(HostExprKind::DType(dtype))),
        None => {
            let names: Vec<&str> = DType::ALL.iter().map(|d| d.name()).collect();
            Err(RuntimeError::dtype(format!("there is no dtype {text}"))
                .help(format!("dtypes are {}", names.join(", "))))
        }
    }
}
