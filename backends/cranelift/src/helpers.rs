//! Functions that compiled code calls where the CPU lacks an instruction.
//!
//! They are reached by address, so that code has no relocations, and they never unwind.

use kjit_ir::{DType, Opcode};

macro_rules! helpers {
    ($($name:ident($($arg:ident),*) -> $float:ty = $body:expr;)*) => {
        $(extern "C" fn $name($($arg: $float),*) -> $float { $body })*
    };
}

helpers! {
    fma_f32(a, b, c) -> f32 = a.mul_add(b, c);
    fma_f64(a, b, c) -> f64 = a.mul_add(b, c);
    floor_f32(a) -> f32 = a.floor();
    floor_f64(a) -> f64 = a.floor();
    ceil_f32(a) -> f32 = a.ceil();
    ceil_f64(a) -> f64 = a.ceil();
    trunc_f32(a) -> f32 = a.trunc();
    trunc_f64(a) -> f64 = a.trunc();
    round_f32(a) -> f32 = a.round_ties_even();
    round_f64(a) -> f64 = a.round_ties_even();
}

/// Address of the function that computes a float operation, if there is one.
pub(crate) fn address(op: Opcode, dtype: DType) -> Option<usize> {
    type Unary<T> = extern "C" fn(T) -> T;
    type Ternary<T> = extern "C" fn(T, T, T) -> T;
    let (single, double) = match op {
        Opcode::Fma => (
            fma_f32 as Ternary<f32> as usize,
            fma_f64 as Ternary<f64> as usize,
        ),
        Opcode::Floor => (
            floor_f32 as Unary<f32> as usize,
            floor_f64 as Unary<f64> as usize,
        ),
        Opcode::Ceil => (
            ceil_f32 as Unary<f32> as usize,
            ceil_f64 as Unary<f64> as usize,
        ),
        Opcode::Trunc => (
            trunc_f32 as Unary<f32> as usize,
            trunc_f64 as Unary<f64> as usize,
        ),
        Opcode::Round => (
            round_f32 as Unary<f32> as usize,
            round_f64 as Unary<f64> as usize,
        ),
        _ => return None,
    };
    match dtype {
        DType::F32 => Some(single),
        DType::F64 => Some(double),
        _ => None,
    }
}
