//! The values of `param` items: their defaults, or what the command line says.

use super::scalar::{self, adopt};
use super::value::Value;
use crate::{Result, RuntimeError};
use kjit_ir::host::HostParam;
use kjit_ir::{DType, Loc, Scalar};

/// The text given for a param, if any; the last one counts. Unknown names are errors.
pub(crate) fn overrides<'a>(
    params: &[HostParam],
    given: &'a [(String, String)],
) -> Result<Vec<Option<&'a str>>> {
    let mut texts = vec![None; params.len()];
    for (name, text) in given {
        match params.iter().position(|p| p.name == *name) {
            Some(i) => texts[i] = Some(text.as_str()),
            None => {
                let names: Vec<&str> = params.iter().map(|p| p.name.as_str()).collect();
                let help = if names.is_empty() {
                    "the program has no params; declare one, as in `param n = 1000;`".to_string()
                } else {
                    format!("the params of the program are {}", names.join(", "))
                };
                return Err(
                    RuntimeError::value(format!("there is no param named {name}")).help(help),
                );
            }
        }
    }
    Ok(texts)
}

/// The value of a param whose default is `default`, given what the user typed.
pub(crate) fn value(param: &HostParam, default: Value, text: Option<&str>) -> Result<Value> {
    let value = match text {
        None => default,
        Some(text) => parse(&param.name, text, &default, param.dtype)?,
    };
    match param.dtype {
        None => Ok(value),
        Some(dtype) => typed(param, value, dtype),
    }
}

/// The value in the declared dtype.
fn typed(param: &HostParam, value: Value, dtype: DType) -> Result<Value> {
    let wrong = |value: &Value| {
        RuntimeError::dtype(format!(
            "param {} is {dtype}, not {}",
            param.name,
            value.describe()
        ))
        .at(param.loc)
    };
    match value {
        Value::Int(_) if dtype == DType::Bool => Err(wrong(&value)),
        Value::Float(_) if !dtype.is_float() => Err(wrong(&value)),
        Value::Int(_) | Value::Float(_) => Ok(Value::Scalar(adopt(&value, dtype, param.loc)?)),
        Value::Scalar(s) if s.dtype() == dtype => Ok(value),
        Value::Scalar(s) if s.dtype() != DType::Bool && dtype.is_number() => {
            Ok(Value::Scalar(scalar::cast(s, dtype, param.loc)?))
        }
        _ => Err(wrong(&value)),
    }
}

/// A number or bool as typed on a command line, of the kind that the param's default has.
fn parse(name: &str, text: &str, default: &Value, dtype: Option<DType>) -> Result<Value> {
    let wanted = dtype.unwrap_or(match default {
        Value::Float(_) => DType::F64,
        Value::Scalar(s) => s.dtype(),
        _ => DType::I64,
    });
    let digits = text.trim().replace('_', "");
    let bad = |what: &str, help: &str| {
        RuntimeError::value(format!("param {name} cannot be {text}: {what}")).help(help)
    };
    if wanted == DType::Bool {
        return match digits.as_str() {
            "true" | "1" => Ok(Value::Scalar(Scalar::bool(true))),
            "false" | "0" => Ok(Value::Scalar(Scalar::bool(false))),
            _ => Err(bad("it is a bool", "write true or false")),
        };
    }
    let weak = if wanted.is_float() {
        let number = digits
            .parse::<f64>()
            .map_err(|_| bad("it is a number", "write it as 2.5 or 1e-3"))?;
        if overflows(&digits, number) {
            return Err(bad(
                "no float is as large",
                "write a smaller number, or inf",
            ));
        }
        Value::Float(number)
    } else {
        Value::Int(
            integer(&digits)
                .ok_or_else(|| bad("it is an integer", "write it as 1000, 1_000 or 1e3"))?,
        )
    };
    match default {
        // Operators on literals (`param n = 2 as i32;`) make typed defaults.
        Value::Scalar(s) if dtype.is_none() => {
            Ok(Value::Scalar(adopt(&weak, s.dtype(), Loc::default())?))
        }
        _ => Ok(weak),
    }
}

/// A number was written, and what was read is infinite.
pub(super) fn overflows(digits: &str, number: f64) -> bool {
    number.is_infinite() && digits.contains(|c: char| c.is_ascii_digit())
}

/// `1000`, `-3`, and floats without a fraction such as `1e8`.
pub(super) fn integer(digits: &str) -> Option<i128> {
    if let Ok(n) = digits.parse::<i64>() {
        return Some(n as i128);
    }
    if let Ok(n) = digits.parse::<u64>() {
        return Some(n as i128);
    }
    let number = digits.parse::<f64>().ok()?;
    // Above 2^63 the float no longer says which integer was meant.
    (number.fract() == 0.0 && number.abs() < 9.2e18).then_some(number as i128)
}
