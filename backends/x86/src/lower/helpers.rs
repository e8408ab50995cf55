//! Functions that compiled code calls for vectors where no instructions do: they work lane by lane.
//!
//! They are reached by address, so that code has no relocations, and they never unwind.

use kjit_ir::{DType, Opcode};

/// Reads up to two vectors, writes one, so many lanes.
type Helper = unsafe extern "C" fn(a: *const u8, b: *const u8, to: *mut u8, lanes: usize);

macro_rules! helpers {
    ($($name:ident: $from:ty => $to:ty = |$a:ident, $b:ident| $body:expr;)*) => {
        $(
            /// # Safety
            /// The pointers are to vectors of so many lanes.
            unsafe extern "C" fn $name(a: *const u8, b: *const u8, to: *mut u8, lanes: usize) {
                for n in 0..lanes {
                    // SAFETY: the caller's promise.
                    unsafe {
                        let $a = a.cast::<$from>().add(n).read_unaligned();
                        let $b = b.cast::<$from>().add(n).read_unaligned();
                        let result: $to = $body;
                        to.cast::<$to>().add(n).write_unaligned(result);
                    }
                }
            }
        )*
    };
}

helpers! {
    div_i64: i64 => i64 = |a, b| if b == 0 { 0 } else { a.wrapping_div(b) };
    div_u64: u64 => u64 = |a, b| a.checked_div(b).unwrap_or(0);
    rem_i64: i64 => i64 = |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) };
    rem_u64: u64 => u64 = |a, b| a.checked_rem(b).unwrap_or(0);
    f32_to_i64: f32 => i64 = |a, _b| a as i64;
    f32_to_u64: f32 => u64 = |a, _b| a as u64;
    f64_to_i64: f64 => i64 = |a, _b| a as i64;
    f64_to_u64: f64 => u64 = |a, _b| a as u64;
    i64_to_f32: i64 => f32 = |a, _b| a as f32;
    u64_to_f32: u64 => f32 = |a, _b| a as f32;
    i64_to_f64: i64 => f64 = |a, _b| a as f64;
    u64_to_f64: u64 => f64 = |a, _b| a as f64;
}

/// Address of the function that computes an operation on lanes of a dtype (or casts it), if there is one.
pub(super) fn address(op: Opcode, dtype: DType, to: Option<DType>) -> Option<usize> {
    use DType::{F32, F64, I64, U64};
    let helper: Helper = match (op, dtype, to) {
        (Opcode::Div, I64, _) => div_i64,
        (Opcode::Div, U64, _) => div_u64,
        (Opcode::Rem, I64, _) => rem_i64,
        (Opcode::Rem, U64, _) => rem_u64,
        (Opcode::Cast, F32, Some(I64)) => f32_to_i64,
        (Opcode::Cast, F32, Some(U64)) => f32_to_u64,
        (Opcode::Cast, F64, Some(I64)) => f64_to_i64,
        (Opcode::Cast, F64, Some(U64)) => f64_to_u64,
        (Opcode::Cast, I64, Some(F32)) => i64_to_f32,
        (Opcode::Cast, U64, Some(F32)) => u64_to_f32,
        (Opcode::Cast, I64, Some(F64)) => i64_to_f64,
        (Opcode::Cast, U64, Some(F64)) => u64_to_f64,
        _ => return None,
    };
    Some(helper as usize)
}
