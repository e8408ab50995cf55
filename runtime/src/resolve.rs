//! `resolve_loop`: which instance of a generic ufunc serves the dtypes of a call.
//!
//! NumPy 2's rule (NEP 50): arguments bound to one type parameter promote to one dtype; literals are
//! weak and adopt it; fixed parameters accept safe casts only. Nothing depends on the order of
//! declarations or of earlier calls, and nothing narrows.

use crate::dtype::{Casting, WeakKind, can_cast, promote, promote_weak};
use crate::error::{Result, RuntimeError};
use kjit_ir::{DType, Signature, TypeSpec};
use std::fmt;

/// The type of an argument, as far as it has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgType {
    /// An array or a typed scalar.
    Typed(DType),
    /// A literal, which adopts a dtype.
    Weak(WeakKind),
}

impl fmt::Display for ArgType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArgType::Typed(dtype) => write!(f, "{dtype}"),
            ArgType::Weak(WeakKind::Int) => write!(f, "integer literal"),
            ArgType::Weak(WeakKind::Float) => write!(f, "float literal"),
        }
    }
}

/// The dtypes of a ufunc's type parameters for these arguments.
///
/// # Errors
/// Wrong number of arguments; no common dtype in the class; a fixed parameter that would narrow.
pub fn resolve_loop(signature: &Signature, args: &[ArgType]) -> Result<Vec<DType>> {
    let name = &signature.name;
    if args.len() != signature.inputs.len() {
        let inputs: Vec<&str> = signature.inputs.iter().map(|(n, _)| n.as_str()).collect();
        return Err(RuntimeError::value(format!("{name} takes {} arguments, not {}", signature.inputs.len(), args.len()),
        )
        .help(format!("call it as {name}({})", inputs.join(", "))));
    }
    let generics = signature
        .generics
        .iter()
        .enumerate()
        .map(|(g, (parameter, class))| {
            let bound = || bound_args(signature, args, g);
            let dtype = common_dtype(bound().map(|(_, arg)| arg)).filter(|d| class.contains(*d));
            dtype.filter(|d| d.is_supported()).ok_or_else(|| {
                let list: Vec<String> = bound().map(|(name, arg)| format!("{name}: {arg}")).collect();
                RuntimeError::dtype(format!("{name} has no loop for {}: {parameter} must be {class}", list.join(", ")),
                )
                .help("convert the argument first, as in x as f64")
            })
        })
        .collect::<Result<Vec<DType>>>()?;
    for ((parameter, spec), arg) in signature.inputs.iter().zip(args) {
        let to = spec.resolve(&generics);
        if !accepts(to, *arg) {
            return Err(RuntimeError::dtype(format!("{name} takes {parameter}: {to}, and {arg} does not convert to it safely"),
            )
            .help(format!("convert the argument first, as in {parameter} as {to}")));
        }
    }
    Ok(generics)
}

fn bound_args<'a>(
    signature: &'a Signature,
    args: &'a [ArgType],
    generic: usize,
) -> impl Iterator<Item = (&'a str, ArgType)> {
    signature
        .inputs
        .iter()
        .zip(args)
        .filter(move |((_, spec), _)| *spec == TypeSpec::Generic(generic))
        .map(|((name, _), arg)| (name.as_str(), *arg))
}

/// What the arguments promote to; literals alone are i64 or f64.
fn common_dtype(args: impl Iterator<Item = ArgType>) -> Option<DType> {
    let mut typed: Option<DType> = None;
    let mut weak: Option<WeakKind> = None;
    for arg in args {
        match arg {
            ArgType::Typed(dtype) => {
                typed = Some(match typed {
                    None => dtype,
                    Some(other) => promote(other, dtype)?,
                })
            }
            ArgType::Weak(WeakKind::Float) => weak = Some(WeakKind::Float),
            ArgType::Weak(WeakKind::Int) => weak = weak.or(Some(WeakKind::Int)),
        }
    }
    match (typed, weak) {
        (Some(dtype), None) => Some(dtype),
        (Some(dtype), Some(kind)) => Some(promote_weak(dtype, kind)),
        (None, Some(WeakKind::Int)) => Some(DType::I64),
        (None, _) => Some(DType::F64),
    }
}

fn accepts(to: DType, arg: ArgType) -> bool {
    match arg {
        ArgType::Typed(from) => can_cast(from, to, Casting::Safe),
        ArgType::Weak(WeakKind::Int) => to.is_number(),
        ArgType::Weak(WeakKind::Float) => to.is_float(),
    }
}
