//! Names of types and texts of constants.

use kjit_ir::{DType, Scalar};

/// The dtype of the register that holds values of a dtype: narrow integers live sign- or
/// zero-extended in 32 bits.
pub(super) fn register_dtype(dtype: DType) -> DType {
    match dtype {
        DType::I8 | DType::I16 => DType::I32,
        // Of `f16` there are only the bits.
        DType::U8 | DType::U16 | DType::F16 => DType::U32,
        other => other,
    }
}

/// The WGSL type of values of a dtype.
pub(super) fn register(dtype: DType) -> &'static str {
    register_dtype(dtype).name()
}

/// Name of a value.
pub(super) fn value(value: kjit_ir::Value) -> String {
    format!("v{}", value.index())
}

/// Text of a constant. Floats that decimal text might not carry are given by their bits.
pub(super) fn constant(scalar: Scalar) -> String {
    let dtype = scalar.dtype();
    match dtype {
        DType::Bool => scalar.as_bool().to_string(),
        DType::F32 if plain(scalar.to_f64(), f32::MIN_POSITIVE as f64) => {
            format!("{:?}f", scalar.as_f32())
        }
        DType::F32 => format!("bitcast<f32>({:#x}u)", scalar.bits()),
        DType::F64 if plain(scalar.as_f64(), f64::MIN_POSITIVE) => {
            format!("{:e}lf", scalar.as_f64())
        }
        DType::F64 => format!("bitcast<f64>({:#x}lu)", scalar.bits()),
        DType::I64 if scalar.as_int() == i64::MIN as i128 => {
            "bitcast<i64>(0x8000000000000000lu)".to_string()
        }
        DType::I64 => format!("{}li", scalar.as_int()),
        DType::U64 => format!("{}lu", scalar.as_int()),
        DType::I32 if scalar.as_int() == i32::MIN as i128 => {
            "bitcast<i32>(0x80000000u)".to_string()
        }
        DType::F16 => format!("{}u", scalar.bits()),
        _ if dtype.is_unsigned_int() => format!("{}u", scalar.as_int()),
        _ => format!("{}i", scalar.as_int()),
    }
}

/// Is it a normal number?
fn plain(value: f64, least: f64) -> bool {
    value.is_finite() && value.abs() >= least
}
