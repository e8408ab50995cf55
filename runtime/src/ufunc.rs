//! `Ufunc`: a universal function of a program, callable on arrays that broadcast together.

use crate::array::Array;
use crate::broadcast::broadcast_shapes;
use crate::dtype::WeakKind;
use crate::engine::Engine;
use crate::error::{Result, RuntimeError};
use crate::resolve::{ArgType, resolve_loop};
use kjit_driver::{KernelSpec, Program};
use kjit_ir::{DType, FusedExpr, FusedNode, FusedOp, Loc, Scalar, Signature};
use std::sync::Arc;

/// An argument of a call.
#[derive(Clone, Debug)]
pub enum Arg {
    /// An array (a 0-d array is a typed scalar).
    Array(Array),
    /// An integer literal: adopts the dtype of the other arguments.
    Int(i128),
    /// A float literal: adopts the float dtype of the other arguments.
    Float(f64),
}

impl From<&Array> for Arg {
    fn from(array: &Array) -> Arg {
        Arg::Array(array.clone())
    }
}

impl From<f64> for Arg {
    fn from(value: f64) -> Arg {
        Arg::Float(value)
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Arg {
        Arg::Int(value as i128)
    }
}

/// A universal function of a program.
#[derive(Clone, Debug)]
pub struct Ufunc {
    program: Arc<Program>,
    signature: Signature,
}

impl Ufunc {
    /// The ufunc of that name.
    ///
    /// # Errors
    /// The program has none; the message lists those it has.
    pub fn new(program: &Arc<Program>, name: &str) -> Result<Ufunc> {
        match program.signatures().iter().find(|s| s.name == name) {
            Some(signature) => Ok(Ufunc {
                program: program.clone(),
                signature: signature.clone(),
            }),
            None => {
                let names: Vec<&str> = program
                    .signatures()
                    .iter()
                    .map(|s| s.name.as_str())
                    .collect();
                let help = match names.as_slice() {
                    [] => "the file declares no ufunc".to_string(),
                    names => format!("the file declares {}", names.join(", ")),
                };
                let message = format!("{} has no ufunc {name}", program.source().name);
                Err(RuntimeError::value(message).help(help))
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.signature.name
    }

    /// Number of inputs.
    pub fn nin(&self) -> usize {
        self.signature.inputs.len()
    }

    /// Number of outputs.
    pub fn nout(&self) -> usize {
        self.signature.outputs.len()
    }

    /// Its signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Calls it on arguments that broadcast together; new arrays come back, one an output. Arguments of other
    /// dtypes are converted (safely) inside the kernel.
    ///
    /// # Errors
    /// Shapes that do not broadcast, dtypes without a loop, a target that fails.
    pub fn call(&self, engine: &Engine, args: &[Arg]) -> Result<Vec<Array>> {
        let types: Vec<ArgType> = args
            .iter()
            .map(|arg| match arg {
                Arg::Array(array) => ArgType::Typed(array.dtype()),
                Arg::Int(_) => ArgType::Weak(WeakKind::Int),
                Arg::Float(_) => ArgType::Weak(WeakKind::Float),
            })
            .collect();
        let generics = resolve_loop(&self.signature, &types)?;
        let wanted: Vec<DType> = self
            .signature
            .inputs
            .iter()
            .map(|(_, s)| s.resolve(&generics))
            .collect();
        let inputs = self
            .signature
            .inputs
            .iter()
            .zip(args)
            .zip(&wanted)
            .map(|(((name, _), arg), to)| self.operand(name, arg, *to))
            .collect::<Result<Vec<Array>>>()?;
        let shapes: Vec<&[usize]> = inputs.iter().map(Array::shape).collect();
        let shape = broadcast_shapes(&shapes)?;
        let outputs: Vec<DType> = self
            .signature
            .outputs
            .iter()
            .map(|(_, s)| s.resolve(&generics))
            .collect();
        let name = self.signature.name.clone();
        let spec = if inputs
            .iter()
            .zip(&wanted)
            .all(|(input, to)| input.dtype() == *to)
        {
            KernelSpec::Ufunc { name, generics }
        } else {
            KernelSpec::Fused(casting_call(
                name,
                generics,
                &inputs,
                &wanted,
                outputs.len(),
            ))
        };
        engine.elementwise(&self.program, &spec, &inputs, &shape, &outputs)
    }

    /// An argument as an array; a literal gets the dtype its parameter has.
    fn operand(&self, parameter: &str, arg: &Arg, to: DType) -> Result<Array> {
        match arg {
            Arg::Array(array) => Ok(array.clone()),
            Arg::Int(value) => weak_int(*value, to).ok_or_else(|| {
                RuntimeError::value(format!(
                    "{value} does not fit the argument {parameter}: {to} of {}",
                    self.name()
                ))
                .help(format!("use a number that {to} can hold"))
            }),
            Arg::Float(value) => {
                let scalar = weak_float(*value, to);
                if value.is_finite() && scalar.to_f64().is_infinite() {
                    return Err(RuntimeError::value(format!(
                        "{value:?} does not fit the argument {parameter}: {to} of {}",
                        self.name()
                    ))
                    .help(format!("use a number that {to} can hold, or arrays of f64")));
                }
                Ok(Array::scalar(scalar))
            }
        }
    }
}

/// A call whose arguments are converted inside the kernel, element by element.
fn casting_call(
    name: String,
    generics: Vec<DType>,
    inputs: &[Array],
    wanted: &[DType],
    outputs: usize,
) -> FusedExpr {
    let node = |op, args| FusedNode {
        op,
        args,
        loc: Loc::default(),
    };
    let mut nodes = Vec::new();
    let mut args = Vec::new();
    for (n, (input, to)) in inputs.iter().zip(wanted).enumerate() {
        nodes.push(node(FusedOp::Input(n), vec![]));
        if input.dtype() != *to {
            let value = (nodes.len() - 1, 0);
            nodes.push(node(FusedOp::Cast(*to), vec![value]));
        }
        args.push((nodes.len() - 1, 0));
    }
    nodes.push(node(FusedOp::Call(name, generics), args));
    let call = nodes.len() - 1;
    FusedExpr {
        inputs: inputs.iter().map(Array::dtype).collect(),
        nodes,
        outputs: (0..outputs).map(|n| (call, n)).collect(),
    }
}

/// An integer literal as a number of a dtype, if it fits.
fn weak_int(value: i128, to: DType) -> Option<Array> {
    if to.is_float() {
        return Some(Array::scalar(weak_float(value as f64, to)));
    }
    let scalar = Scalar::int(to, value);
    (scalar.as_int() == value).then(|| Array::scalar(scalar))
}

/// A float literal rounded to a float dtype.
fn weak_float(value: f64, to: DType) -> Scalar {
    match to {
        DType::F32 => Scalar::f32(value as f32),
        _ => Scalar::f64(value),
    }
}
