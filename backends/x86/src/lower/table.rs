//! Tables: which machine instruction an operation is on lanes of a dtype.

use super::A;
use crate::encode::Op;
use kjit_ir::{DType, Opcode, Scalar};

/// Bytes of a lane of this dtype.
pub(super) fn lane(dtype: DType) -> u8 {
    if dtype.size() == 8 { 8 } else { 4 }
}

/// The dtype as which lanes of this dtype are computed with: 8 and 16 bits as 32.
pub(super) fn computed(dtype: DType) -> DType {
    match dtype {
        DType::I8 | DType::I16 | DType::U8 | DType::U16 => DType::I32,
        dtype => dtype,
    }
}

/// Has it fewer bits than its lanes?
pub(super) fn is_small(dtype: DType) -> bool {
    dtype.size() < 4 && dtype != DType::Bool
}

/// A constant as it sits in a lane.
pub(super) fn constant(scalar: Scalar) -> A {
    let dtype = scalar.dtype();
    match is_small(dtype) {
        true => A::C(u64::from(scalar.as_int() as i32 as u32), 4),
        false => A::C(scalar.bits() as u64, lane(dtype)),
    }
}

/// Smallest and largest value of an integer dtype of at most 32 bits.
pub(super) fn int_range(dtype: DType) -> (i64, i64) {
    let bits = dtype.bits();
    match dtype.is_signed_int() {
        true => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        false => (0, (1 << bits) - 1),
    }
}

/// One of four instructions: for f32, f64, 32-bit and 64-bit integers.
fn of(dtype: DType, ops: [Option<Op>; 4]) -> Option<Op> {
    let n = match (dtype.is_float(), lane(dtype)) {
        (true, 4) => 0,
        (true, _) => 1,
        (false, 4) => 2,
        _ => 3,
    };
    ops[n]
}

/// The instruction that an operation of two operands is, if it is one on every tier (for `evex`: with AVX-512).
pub(super) fn binary(op: Opcode, dtype: DType, evex: bool) -> Option<Op> {
    use Op::*;
    let signed = !dtype.is_unsigned_int();
    let wide = |op| evex.then_some(op);
    let ops = match (op, signed) {
        (Opcode::Add, _) => [Some(Vaddps), Some(Vaddpd), Some(Vpaddd), Some(Vpaddq)],
        (Opcode::Sub, _) => [Some(Vsubps), Some(Vsubpd), Some(Vpsubd), Some(Vpsubq)],
        (Opcode::Mul, _) => [Some(Vmulps), Some(Vmulpd), Some(Vpmulld), wide(Vpmullq)],
        (Opcode::Div, _) => [Some(Vdivps), Some(Vdivpd), None, None],
        (Opcode::Min, true) => [None, None, Some(Vpminsd), wide(Vpminsq)],
        (Opcode::Min, false) => [None, None, Some(Vpminud), wide(Vpminuq)],
        (Opcode::Max, true) => [None, None, Some(Vpmaxsd), wide(Vpmaxsq)],
        (Opcode::Max, false) => [None, None, Some(Vpmaxud), wide(Vpmaxuq)],
        (Opcode::And, _) => [None, None, Some(Vpandd), Some(Vpandq)],
        (Opcode::Or, _) => [None, None, Some(Vpord), Some(Vporq)],
        (Opcode::Xor, _) => [None, None, Some(Vpxord), Some(Vpxorq)],
        (Opcode::Shl, _) => [None, None, Some(Vpsllvd), Some(Vpsllvq)],
        (Opcode::Shr, true) => [None, None, Some(Vpsravd), wide(Vpsravq)],
        (Opcode::Shr, false) => [None, None, Some(Vpsrlvd), Some(Vpsrlvq)],
        _ => return None,
    };
    of(dtype, ops)
}

/// Shift by an immediate.
pub(super) fn shift_imm(op: Opcode, dtype: DType, evex: bool) -> Option<Op> {
    use Op::*;
    let wide = |op| evex.then_some(op);
    let ops = match (op, dtype.is_unsigned_int()) {
        (Opcode::Shl, _) => [None, None, Some(VpslldImm), Some(VpsllqImm)],
        (_, true) => [None, None, Some(VpsrldImm), Some(VpsrlqImm)],
        (_, false) => [None, None, Some(VpsradImm), wide(VpsraqImm)],
    };
    of(dtype, ops)
}

/// Immediate of `vroundps` and its kin; no inexact exception.
pub(super) fn rounding(op: Opcode) -> Option<i64> {
    Some(match op {
        Opcode::Round => 8,
        Opcode::Floor => 9,
        Opcode::Ceil => 10,
        Opcode::Trunc => 11,
        _ => return None,
    })
}

/// Predicate of a float compare, quiet.
pub(super) fn float_predicate(op: Opcode) -> Option<i64> {
    Some(match op {
        Opcode::Eq => 0,
        Opcode::Ne => 4,
        Opcode::Lt => 17,
        Opcode::Le => 18,
        Opcode::Ge => 29,
        Opcode::Gt => 30,
        _ => return None,
    })
}

/// Predicate: one of the operands is a NaN.
pub(super) const UNORDERED: i64 = 3;
/// Predicate: none is.
pub(super) const ORDERED: i64 = 7;

/// Predicate of an integer compare into a mask register.
pub(super) fn int_predicate(op: Opcode) -> Option<i64> {
    Some(match op {
        Opcode::Eq => 0,
        Opcode::Lt => 1,
        Opcode::Le => 2,
        Opcode::Ne => 4,
        Opcode::Ge => 5,
        Opcode::Gt => 6,
        _ => return None,
    })
}

/// `fma` of a product and a term whose signs are turned over or not: the forms 132, 213, 231.
pub(super) fn fma(lane: u8, negative: [bool; 2]) -> [Op; 3] {
    use Op::*;
    match (lane, negative) {
        (4, [false, false]) => [Vfmadd132ps, Vfmadd213ps, Vfmadd231ps],
        (4, [true, false]) => [Vfnmadd132ps, Vfnmadd213ps, Vfnmadd231ps],
        (4, [false, true]) => [Vfmsub132ps, Vfmsub213ps, Vfmsub231ps],
        (4, [true, true]) => [Vfnmsub132ps, Vfnmsub213ps, Vfnmsub231ps],
        (_, [false, false]) => [Vfmadd132pd, Vfmadd213pd, Vfmadd231pd],
        (_, [true, false]) => [Vfnmadd132pd, Vfnmadd213pd, Vfnmadd231pd],
        (_, [false, true]) => [Vfmsub132pd, Vfmsub213pd, Vfmsub231pd],
        (_, [true, true]) => [Vfnmsub132pd, Vfnmsub213pd, Vfnmsub231pd],
    }
}
