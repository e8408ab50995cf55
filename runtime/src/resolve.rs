//! `resolve_loop`: which instance of a generic ufunc serves the dtypes of a call.
//!
//! NumPy 2's rule (NEP 50): arguments bound to one type parameter promote to one dtype; literals are
//! weak and adopt it; fixed parameters accept safe casts only. Nothing depends on the order of
//! declarations or of earlier calls, and nothing narrows.

use crate::dtype::{Casting, WeakKind, can_cast, promote, promote_weak};
use crate::error::{Result, RuntimeError};
use kjit_ir::{Class, DType, Signature, TypeSpec};
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
            ArgType::Weak(WeakKind::Int) => write!(f, "an integer"),
            ArgType::Weak(WeakKind::Float) => write!(f, "a float"),
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
        return Err(RuntimeError::value(format!(
            "{name} takes {} argument{}, not {}",
            signature.inputs.len(),
            if signature.inputs.len() == 1 { "" } else { "s" },
            args.len()
        ))
        .help(format!("call it as {name}({})", inputs.join(", "))));
    }
    let generics = signature
        .generics
        .iter()
        .enumerate()
        .map(|(g, (parameter, class))| {
            let bound = || bound_args(signature, args, g);
            let common = common_dtype(bound().map(|(_, arg)| arg), *class);
            common
                .filter(|d| class.contains(*d) && d.is_supported())
                .ok_or_else(|| {
                    let bound: Vec<(&str, ArgType)> = bound().collect();
                    no_instance(name, parameter, *class, &bound)
                })
        })
        .collect::<Result<Vec<DType>>>()?;
    for ((parameter, spec), arg) in signature.inputs.iter().zip(args) {
        let to = spec.resolve(&generics);
        if !accepts(to, *arg) {
            return Err(RuntimeError::dtype(format!(
                "{name} takes {parameter}: {to}, and {arg} does not convert to it safely"
            ))
            .help(match (to, arg) {
                (DType::Bool, ArgType::Weak(_)) => "write true or false, or compare".to_string(),
                (_, ArgType::Weak(_)) => "write it without a fraction".to_string(),
                _ => format!("convert the argument first, as in {parameter} as {to}"),
            }));
        }
    }
    Ok(generics)
}

/// The message for arguments whose common dtype is outside the class.
fn no_instance(
    name: &str,
    parameter: &str,
    class: Class,
    bound: &[(&str, ArgType)],
) -> RuntimeError {
    let list: Vec<String> = bound
        .iter()
        .map(|(name, arg)| format!("{name}: {arg}"))
        .collect();
    let members: Vec<&str> = DType::ALL
        .iter()
        .filter(|d| class.contains(**d) && d.is_supported())
        .map(|d| d.name())
        .collect();
    let members = match members.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        all => all.join(", "),
    };
    // The argument to convert: the first with a dtype outside the class.
    let wrong = bound
        .iter()
        .find(|(_, arg)| match arg {
            ArgType::Typed(dtype) => !class.contains(*dtype),
            ArgType::Weak(kind) => *kind == WeakKind::Float && !class.contains(DType::F64),
        })
        .or_else(|| bound.first());
    let argument = wrong.map_or("x", |(name, _)| name);
    let to = if class.contains(DType::F64) {
        "f64"
    } else {
        "i64"
    };
    let to = if class.contains(DType::I64) || to == "f64" {
        to
    } else {
        "u64"
    };
    // A literal with a point makes floats of integers.
    let has_integer = bound
        .iter()
        .any(|(_, arg)| *arg == ArgType::Weak(WeakKind::Int));
    let point = if has_integer && to == "f64" {
        "write the number with a point, as in 2.0, or "
    } else {
        ""
    };
    RuntimeError::dtype(format!(
        "{name} is not defined for {}, since {parameter} must be {members}",
        list.join(", ")
    ))
    .help(format!(
        "{point}convert {argument} to one of them, such as {to}"
    ))
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

/// What the arguments promote to; literals alone are i64 or f64. Integer literals alone for a float
/// parameter are floats: `sqrt(2)` is `sqrt(2.0)`.
fn common_dtype(args: impl Iterator<Item = ArgType>, class: Class) -> Option<DType> {
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
        (None, Some(WeakKind::Int)) if class.contains(DType::I64) => Some(DType::I64),
        (None, Some(WeakKind::Int)) if class.contains(DType::U64) => Some(DType::U64),
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
