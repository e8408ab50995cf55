//! `Ufunc`: a universal function of a program, callable on arrays that broadcast together.

use crate::array::Array;
use crate::broadcast::broadcast_shapes;
use crate::dtype::WeakKind;
use crate::engine::Engine;
use crate::error::{Result, RuntimeError};
use crate::resolve::{ArgType, resolve_loop};
use kjit_driver::{KernelSpec, Program};
use kjit_ir::{DType, Scalar, Signature};
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
            Some(signature) => Ok(Ufunc { program: program.clone(), signature: signature.clone() }),
            None => {
                let names: Vec<&str> = program.signatures().iter().map(|s| s.name.as_str()).collect();
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

    /// Calls it on arguments that broadcast together; new arrays come back, one an output.
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
        let inputs = self
            .signature
            .inputs
            .iter()
            .zip(args)
            .map(|((name, spec), arg)| self.convert(engine, name, arg, spec.resolve(&generics)))
            .collect::<Result<Vec<Array>>>()?;
        let shapes: Vec<&[usize]> = inputs.iter().map(Array::shape).collect();
        let shape = broadcast_shapes(&shapes)?;
        let outputs: Vec<DType> = self.signature.outputs.iter().map(|(_, s)| s.resolve(&generics)).collect();
        let spec = KernelSpec::Ufunc { name: self.signature.name.clone(), generics };
        engine.elementwise(&self.program, &spec, &inputs, &shape, &outputs)
    }

    /// An argument as an array of the dtype its parameter has.
    fn convert(&self, engine: &Engine, parameter: &str, arg: &Arg, to: DType) -> Result<Array> {
        match arg {
            Arg::Array(array) => engine.cast(array, to),
            Arg::Int(value) => weak_int(*value, to).ok_or_else(|| {
                RuntimeError::value(format!("{} does not fit {}'s argument {parameter}: {to}", value, self.name()),
                )
                .help(format!("use a number that {to} can hold"))
            }),
            Arg::Float(value) => Ok(Array::scalar(weak_float(*value, to))),
        }
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
