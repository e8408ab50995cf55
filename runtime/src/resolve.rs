//! `resolve_loop`: which instance of a generic ufunc serves the dtypes of a call.
//!
//! NumPy 2's rule (NEP 50): arguments bound to one type parameter promote to one dtype; literals are
//! weak and adopt it; where the class of the type parameter lacks the dtype, the smallest member to which
//! it casts safely takes its place (the square root of i16 is f32); fixed parameters accept safe casts
//! only. Nothing depends on the order of declarations or of earlier calls, and nothing narrows unless
//! `dtype`, `signature` and `casting` ask for it.

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

/// What a caller lays down about the loop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides<'a> {
    /// Dtypes of inputs, then outputs, where they are laid down; empty: none is.
    pub loop_dtypes: &'a [Option<DType>],
    /// Which casts of inputs to laid down dtypes are permitted. Where nothing is laid down, casts of
    /// inputs are safe ones, or fewer if this permits fewer.
    pub casting: Casting,
}

/// The dtypes of a ufunc's type parameters for these arguments.
///
/// # Errors
/// Wrong number of arguments; no common dtype in the class; a fixed parameter that would narrow.
pub fn resolve_loop(signature: &Signature, args: &[ArgType]) -> Result<Vec<DType>> {
    resolve_call(signature, args, &Overrides::default())
}

/// As [`resolve_loop`], where the caller may lay down dtypes and the casting rule.
///
/// # Errors
/// As [`resolve_loop`]; dtypes that no instance has; inputs whose cast the rule forbids.
pub fn resolve_call(
    signature: &Signature,
    args: &[ArgType],
    overrides: &Overrides,
) -> Result<Vec<DType>> {
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
    let fixed = laid_down(signature, overrides.loop_dtypes)?;
    let mut generics = Vec::with_capacity(signature.generics.len());
    for (g, (parameter, class)) in signature.generics.iter().enumerate() {
        if let Some(dtype) = fixed.get(g).copied().flatten() {
            generics.push(dtype);
            continue;
        }
        let bound = || bound_args(signature, args, g);
        let common = common_dtype(bound().map(|(_, arg)| arg), *class);
        let found = common.and_then(|common| {
            let dtypes = overrides.loop_dtypes;
            smallest_member(*class, common, |d| derived(signature, dtypes, g, d)).or_else(|| {
                // The caller permits other casts where it lays down what the dtype is derived from.
                let mut members = NUMPY_ORDER.into_iter();
                members.find(|d| {
                    dtypes.iter().any(Option::is_some)
                        && class.contains(*d)
                        && derived(signature, dtypes, g, *d)
                        && can_cast(common, *d, overrides.casting)
                })
            })
        });
        match found {
            Some(dtype) => generics.push(dtype),
            None => {
                let bound: Vec<(&str, ArgType)> = bound().collect();
                return Err(no_instance(name, parameter, *class, &bound));
            }
        }
    }
    let any_fixed = overrides.loop_dtypes.iter().any(Option::is_some);
    for ((parameter, spec), arg) in signature.inputs.iter().zip(args) {
        let to = spec.resolve(&generics);
        if any_fixed {
            check_input_cast(name, parameter, to, *arg, overrides.casting)?;
        } else if !accepts(to, *arg) {
            return Err(RuntimeError::dtype(format!(
                "{name} takes {parameter}: {to}, and {arg} does not convert to it safely"
            ))
            .help(match (to, arg) {
                (DType::Bool, ArgType::Weak(_)) => "write true or false, or compare".to_string(),
                (_, ArgType::Weak(_)) => "write it without a fraction".to_string(),
                (_, ArgType::Typed(from)) if from.is_complex() && !to.is_complex() => {
                    real_part_help(parameter, to)
                }
                _ => format!("convert the argument first, as in {parameter} as {to}"),
            }));
        } else if matches!(overrides.casting, Casting::No | Casting::Equiv) {
            check_input_cast(name, parameter, to, *arg, overrides.casting)?;
        }
    }
    Ok(generics)
}

/// May the input be cast under the rule? A literal has no dtype to be cast from, unless it would lose
/// something.
fn check_input_cast(
    name: &str,
    parameter: &str,
    to: DType,
    arg: ArgType,
    casting: Casting,
) -> Result<()> {
    let from = match arg {
        ArgType::Typed(from) => from,
        weak if accepts(to, weak) => return Ok(()),
        ArgType::Weak(WeakKind::Int) => DType::I64,
        ArgType::Weak(WeakKind::Float) => DType::F64,
    };
    if can_cast(from, to, casting) {
        return Ok(());
    }
    Err(forbidden(name, "input", parameter, from, to, casting))
}

/// The message for a cast that the casting rule forbids.
pub(crate) fn forbidden(
    name: &str,
    side: &str,
    operand: &str,
    from: DType,
    to: DType,
    casting: Casting,
) -> RuntimeError {
    let error = RuntimeError::dtype(format!(
        "{side} {operand} of {name} cannot be cast from {from} to {to} under casting = {casting}"
    ));
    match Casting::ALL
        .into_iter()
        .find(|rule| can_cast(from, to, *rule))
    {
        Some(rule) => error.help(format!("casting = {rule} permits it")),
        None => error,
    }
}

/// The dtypes of type parameters that the caller lays down, one a type parameter.
fn laid_down(signature: &Signature, dtypes: &[Option<DType>]) -> Result<Vec<Option<DType>>> {
    if dtypes.is_empty() {
        return Ok(Vec::new());
    }
    let name = &signature.name;
    let operands = || signature.inputs.iter().chain(&signature.outputs);
    if dtypes.len() != operands().count() {
        return Err(RuntimeError::value(format!(
            "the signature of {name} has {} dtypes, not {}",
            operands().count(),
            dtypes.len()
        ))
        .help("one a parameter, then one a result"));
    }
    let mut generics: Vec<Option<DType>> = vec![None; signature.generics.len()];
    for ((operand, spec), dtype) in operands().zip(dtypes) {
        let Some(dtype) = *dtype else {
            continue;
        };
        match *spec {
            TypeSpec::DType(is) if is == dtype => {}
            TypeSpec::DType(is) => {
                return Err(RuntimeError::dtype(format!(
                    "{name} has no instance with {operand}: {dtype}, since {operand} is {is}"
                ))
                .help(format!("its types are {}", some_types(signature))));
            }
            // Settled when the type parameter is, by `derived`.
            TypeSpec::Part(_) | TypeSpec::ComplexOf(_) => {}
            TypeSpec::Generic(g) => {
                let (parameter, class) = &signature.generics[g];
                if !class.contains(dtype) {
                    return Err(RuntimeError::dtype(format!(
                        "{name} has no instance with {operand}: {dtype}, since {parameter} must be {}",
                        members(*class)
                    ))
                    .help(format!("its types are {}", some_types(signature))));
                }
                match generics[g] {
                    Some(other) if other != dtype => {
                        return Err(RuntimeError::dtype(format!(
                            "{name} has no instance with both {other} and {dtype} for {parameter}"
                        ))
                        .help(format!("its types are {}", some_types(signature))));
                    }
                    _ => generics[g] = Some(dtype),
                }
            }
        }
    }
    Ok(generics)
}

/// The dtype itself if it is in the class, else the smallest member to which it casts safely.
fn smallest_member(class: Class, dtype: DType, suits: impl Fn(DType) -> bool) -> Option<DType> {
    let fits = |d: DType| class.contains(d) && suits(d);
    if fits(dtype) {
        return Some(dtype);
    }
    NUMPY_ORDER
        .into_iter()
        .find(|d| fits(*d) && can_cast(dtype, *d, Casting::Safe))
}

/// With this dtype for a type parameter, are operands that derive theirs from it as the caller laid down?
fn derived(signature: &Signature, dtypes: &[Option<DType>], generic: usize, dtype: DType) -> bool {
    let operands = signature.inputs.iter().chain(&signature.outputs);
    operands
        .zip(dtypes)
        .all(|((_, spec), laid_down)| match (*spec, *laid_down) {
            (TypeSpec::Part(g) | TypeSpec::ComplexOf(g), Some(wanted)) if g == generic => {
                spec.resolve(&vec![dtype; generic + 1]) == wanted
            }
            _ => true,
        })
}

/// Dtypes in the order in which NumPy tries loops.
const NUMPY_ORDER: [DType; 14] = [
    DType::Bool,
    DType::I8,
    DType::U8,
    DType::I16,
    DType::U16,
    DType::I32,
    DType::U32,
    DType::I64,
    DType::U64,
    DType::F16,
    DType::F32,
    DType::F64,
    DType::C64,
    DType::C128,
];

/// NumPy's character for a dtype: `f` for f32.
pub fn char_of(dtype: DType) -> char {
    match dtype {
        DType::Bool => '?',
        DType::I8 => 'b',
        DType::U8 => 'B',
        DType::I16 => 'h',
        DType::U16 => 'H',
        DType::I32 => 'i',
        DType::U32 => 'I',
        DType::I64 => 'l',
        DType::U64 => 'L',
        DType::F16 => 'e',
        DType::F32 => 'f',
        DType::F64 => 'd',
        DType::C64 => 'F',
        DType::C128 => 'D',
    }
}

/// The dtype that a text names: `f32`, `float32` or NumPy's character `f`.
pub fn dtype_from_text(text: &str) -> Option<DType> {
    let all = || DType::ALL.iter().copied();
    match text {
        "q" => Some(DType::I64),
        "Q" => Some(DType::U64),
        _ => DType::from_name(text)
            .or_else(|| all().find(|d| d.numpy_name() == text))
            .or_else(|| all().find(|d| text.chars().eq([char_of(*d)]))),
    }
}

/// The types of every instance, in NumPy's characters and order: `ff->f`.
pub fn types(signature: &Signature) -> Vec<String> {
    let mut instances: Vec<Vec<DType>> = vec![Vec::new()];
    for (_, class) in &signature.generics {
        instances = instances
            .iter()
            .flat_map(|known| {
                NUMPY_ORDER
                    .into_iter()
                    .filter(|d| class.contains(*d))
                    .map(|d| known.iter().copied().chain([d]).collect())
            })
            .collect();
    }
    let chars = |operands: &[(String, TypeSpec)], generics: &[DType]| -> String {
        operands
            .iter()
            .map(|(_, spec)| char_of(spec.resolve(generics)))
            .collect()
    };
    instances
        .iter()
        .map(|generics| {
            format!(
                "{}->{}",
                chars(&signature.inputs, generics),
                chars(&signature.outputs, generics)
            )
        })
        .collect()
}

/// The types for a message.
fn some_types(signature: &Signature) -> String {
    let types = types(signature);
    match types.as_slice() {
        [some @ .., _] if some.len() >= 12 => format!("{}, ..", some[..11].join(", ")),
        all => all.join(", "),
    }
}

/// Reads `ff->f`, `f32,f32->f32`, `->f`, or the dtype of the outputs alone.
///
/// # Errors
/// Unknown dtypes; another number of them than the ufunc has operands.
pub fn parse_signature(text: &str, signature: &Signature) -> Result<Vec<Option<DType>>> {
    let name = &signature.name;
    let (nin, nout) = (signature.inputs.len(), signature.outputs.len());
    let list = |text: &str| -> Result<Vec<DType>> {
        let text = text.trim();
        let word = |word: &str| {
            dtype_from_text(word.trim()).ok_or_else(|| {
                RuntimeError::dtype(format!("{word} in the signature of {name} is no dtype"))
                    .help("write f32 or NumPy's characters, as in ff->f")
            })
        };
        if text.is_empty() {
            Ok(Vec::new())
        } else if text.contains(',') || dtype_from_text(text).is_some() {
            text.split(',').map(word).collect()
        } else {
            text.chars()
                .map(|c| word(c.encode_utf8(&mut [0; 4])))
                .collect()
        }
    };
    let wrong = || {
        RuntimeError::value(format!(
            "the signature {text} does not fit {name}, which has {nin} dtype{} before the arrow and {nout} \
             behind it",
            if nin == 1 { "" } else { "s" }
        ))
        .help(format!("its types are {}", some_types(signature)))
    };
    match text.split_once("->") {
        None => match list(text)?.as_slice() {
            [dtype] => Ok(of_outputs(signature, *dtype)),
            _ => Err(wrong()),
        },
        Some((inputs, outputs)) => {
            let (inputs, outputs) = (list(inputs)?, list(outputs)?);
            let inputs: Vec<Option<DType>> = match inputs.len() {
                0 => vec![None; nin],
                n if n == nin => inputs.into_iter().map(Some).collect(),
                _ => return Err(wrong()),
            };
            if outputs.len() != nout {
                return Err(wrong());
            }
            Ok(inputs
                .into_iter()
                .chain(outputs.into_iter().map(Some))
                .collect())
        }
    }
}

/// What `dtype = ..` lays down: the dtype of every output.
pub fn of_outputs(signature: &Signature, dtype: DType) -> Vec<Option<DType>> {
    let inputs = signature.inputs.iter().map(|_| None);
    inputs
        .chain(signature.outputs.iter().map(|_| Some(dtype)))
        .collect()
}

/// The members of a class for a message.
fn members(class: Class) -> String {
    let members: Vec<&str> = DType::ALL
        .iter()
        .filter(|d| class.contains(**d))
        .map(|d| d.name())
        .collect();
    match members.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        all => all.join(", "),
    }
}

/// What to do with a complex number where a real one is needed: it does not convert.
pub(crate) fn real_part_help(argument: &str, to: DType) -> String {
    if to.is_int() {
        format!("take a part of it, as an integer: re({argument}) as {to}")
    } else {
        format!("take a part of it: re({argument}), or its length: abs({argument})")
    }
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
    // The argument to convert: the first with a dtype outside the class.
    let wrong = bound
        .iter()
        .find(|(_, arg)| match arg {
            ArgType::Typed(dtype) => !class.contains(*dtype),
            ArgType::Weak(kind) => *kind == WeakKind::Float && !class.contains(DType::F64),
        })
        .or_else(|| bound.first());
    let argument = wrong.map_or("x", |(name, _)| name);
    let to = [DType::F64, DType::I64]
        .into_iter()
        .find(|dtype| class.contains(*dtype))
        .unwrap_or(DType::U64);
    // A literal with a point makes floats of integers.
    let has_integer = bound
        .iter()
        .any(|(_, arg)| *arg == ArgType::Weak(WeakKind::Int));
    let point = if has_integer && to == DType::F64 {
        "write the number with a point, as in 2.0, or "
    } else {
        ""
    };
    RuntimeError::dtype(format!(
        "{name} is not defined for {}, since {parameter} must be {}",
        list.join(", "),
        members(class)
    ))
    .help(match wrong {
        Some((_, ArgType::Typed(dtype))) if dtype.is_complex() => real_part_help(argument, to),
        _ => format!("{point}convert {argument} to one of them, such as {to}"),
    })
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
        ArgType::Weak(WeakKind::Float) => to.is_float() || to.is_complex(),
    }
}

#[cfg(test)]
#[path = "tests/resolve.rs"]
mod tests;
