//! `Ufunc`: a universal function of a program, callable on arrays that broadcast together.

use crate::Casting;
use crate::array::Array;
use crate::call::UfuncCall;
use crate::engine::Engine;
use crate::error::{Result, RuntimeError};
use crate::resolve::types;
use crate::sites::Sites;
use kjit_driver::Program;
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
    /// The array that this output is written to (counted from 0), as it is before the call: for calls
    /// in place, which a handle of the array among the arguments would prevent.
    Out(usize),
}

impl From<i32> for Arg {
    fn from(value: i32) -> Arg {
        Arg::Int(value as i128)
    }
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
    signature: Arc<Signature>,
    sites: Arc<Sites>,
}

impl Ufunc {
    /// The ufunc or gufunc of that name: one of the file, or an element-wise built-in function.
    ///
    /// # Errors
    /// The program has none; the message lists those it has.
    pub fn new(program: &Arc<Program>, name: &str) -> Result<Ufunc> {
        match program.signature(name) {
            Some(signature) => Ok(Ufunc {
                program: program.clone(),
                signature: Arc::new(signature.clone()),
                sites: Arc::default(),
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

    /// Number of inputs and outputs.
    pub fn nargs(&self) -> usize {
        self.nin() + self.nout()
    }

    /// Number of instances.
    pub fn ntypes(&self) -> usize {
        self.types().len()
    }

    /// The types of every instance, in NumPy's characters and order.
    ///
    /// ```
    /// use kjit_runtime::{Program, Ufunc};
    /// # use kjit_driver::Source;
    /// # use std::sync::Arc;
    /// let text = "ufunc add<T: int>(a: T, b: T) -> T identity 0 { a + b }";
    /// let program = Arc::new(Program::compile(Source::new("add.k", text)).unwrap());
    /// let add = Ufunc::new(&program, "add")?;
    /// assert_eq!(add.types(), ["bb->b", "BB->B", "hh->h", "HH->H", "ii->i", "II->I", "ll->l", "LL->L"]);
    /// assert_eq!((add.nin(), add.nout(), add.nargs(), add.ntypes()), (2, 1, 3, 8));
    /// assert_eq!(add.identity(), Some(0.0));
    /// # Ok::<(), kjit_runtime::RuntimeError>(())
    /// ```
    pub fn types(&self) -> Vec<String> {
        types(&self.signature)
    }

    /// What `reduce` starts from.
    pub fn identity(&self) -> Option<f64> {
        self.signature.identity
    }

    /// The core dimensions of a gufunc in NumPy's notation: `(m,k),(k,n)->(m,n)`.
    pub fn core_signature(&self) -> Option<String> {
        self.signature.core.as_ref().map(|core| core.to_string())
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
        self.on(engine).call(args)
    }

    /// A call to be described further: with outputs that are there already, a mask, a casting rule.
    pub fn on<'a>(&'a self, engine: &'a Engine) -> UfuncCall<'a> {
        UfuncCall::new(self, engine)
    }

    /// What its calls have found out.
    pub(crate) fn sites(&self) -> &Sites {
        &self.sites
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// The 0-d array that argument `n` becomes for a dtype, if it is a literal.
    pub(crate) fn literal_argument(
        &self,
        n: usize,
        arg: &Arg,
        to: DType,
        casting: Casting,
    ) -> Result<Option<Array>> {
        let Some(literal) = Literal::of(arg) else {
            return Ok(None);
        };
        let parameter = &self.signature.inputs[n].0;
        self.literal(parameter, literal, to, casting).map(Some)
    }

    /// The 0-d array that a literal becomes for a parameter of a dtype.
    pub(crate) fn literal(
        &self,
        parameter: &str,
        literal: Literal,
        to: DType,
        casting: Casting,
    ) -> Result<Array> {
        let unfit = |value: &dyn std::fmt::Display, help: &str| {
            RuntimeError::value(format!(
                "{value} does not fit the argument {parameter}: {to} of {}",
                self.name()
            ))
            .help(help)
        };
        match literal {
            Literal::Int(value) if to.is_int() => {
                let scalar = Scalar::int(to, value);
                if scalar.as_int() != value {
                    return Err(unfit(&value, &format!("use a number that {to} can hold")));
                }
                Ok(Array::scalar(scalar))
            }
            Literal::Int(value) if to == DType::Bool && casting == Casting::Unsafe => {
                Ok(Array::scalar(Scalar::bool(value != 0)))
            }
            Literal::Int(_) | Literal::Float(_) => {
                let value = match literal {
                    Literal::Int(value) => value as f64,
                    Literal::Float(value) => value,
                };
                let text = || match literal {
                    Literal::Int(value) => value.to_string(),
                    Literal::Float(value) => format!("{value:?}"),
                };
                let part = to.part().unwrap_or(to);
                let re = match part {
                    DType::F16 => Scalar::f16(value),
                    DType::F32 => Scalar::f32(value as f32),
                    DType::F64 => Scalar::f64(value),
                    // Permitted by the casting rule, or refused before this.
                    _ => return Array::scalar(Scalar::f64(value)).cast(to),
                };
                if value.is_finite() && re.to_f64().is_infinite() {
                    return Err(unfit(
                        &text(),
                        &format!("use a number that {to} can hold, or arrays of f64"),
                    ));
                }
                let scalar = match to.is_complex() {
                    true => Scalar::complex(re, Scalar::zero(part)),
                    false => Some(re),
                };
                Ok(Array::scalar(scalar.unwrap_or(re)))
            }
        }
    }
}

/// A number of an argument list without a dtype.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Literal {
    Int(i128),
    Float(f64),
}

impl Literal {
    /// The literal that an argument is, if it is one.
    pub(crate) fn of(arg: &Arg) -> Option<Literal> {
        match arg {
            Arg::Int(value) => Some(Literal::Int(*value)),
            Arg::Float(value) => Some(Literal::Float(*value)),
            Arg::Array(_) | Arg::Out(_) => None,
        }
    }
}
