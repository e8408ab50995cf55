//! The dtype that an operation on two dtypes computes in: NumPy 2's table, made by its rule.

use kjit_ir::DType;
use kjit_ir::dtype::Kind;

/// The smallest dtype to which both cast safely; `u64` with a signed integer gives `f64`.
///
/// `None` is kept for dtypes without a common one; all of today's have one.
pub fn promote(a: DType, b: DType) -> Option<DType> {
    if a == b {
        return Some(a);
    }
    let (low, high) = if rank(a) <= rank(b) { (a, b) } else { (b, a) };
    Some(match (low.kind(), high.kind()) {
        (Kind::Bool, _) => high,
        (x, y) if x == y => {
            if low.size() > high.size() {
                low
            } else {
                high
            }
        }
        (Kind::Unsigned, Kind::Signed) => match low.size().max(high.size() / 2) {
            _ if low.size() < high.size() => high,
            1 => DType::I16,
            2 => DType::I32,
            4 => DType::I64,
            _ => DType::F64,
        },
        (_, Kind::Float) => float_of(exact_float(low).size().max(high.size())),
        (_, Kind::Complex) => complex_of(exact_float(low).size().max(high.size() / 2)),
        _ => return None,
    })
}

/// The kind of a Python-like literal, which adopts the dtype of the other operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WeakKind {
    /// An integer literal.
    Int,
    /// A float literal.
    Float,
}

/// The dtype that an array of `dtype` and a literal compute in.
pub fn promote_weak(dtype: DType, weak: WeakKind) -> DType {
    match (weak, dtype.kind()) {
        (WeakKind::Int, Kind::Bool) => DType::I64,
        (WeakKind::Float, Kind::Bool | Kind::Signed | Kind::Unsigned) => DType::F64,
        _ => dtype,
    }
}

/// The kinds in the order in which one contains the other.
pub(crate) const fn rank(dtype: DType) -> u8 {
    match dtype.kind() {
        Kind::Bool => 0,
        Kind::Unsigned => 1,
        Kind::Signed => 2,
        Kind::Float => 3,
        Kind::Complex => 4,
    }
}

/// The float that NumPy takes to hold a real dtype: twice the bits of an integer, 64 at most.
fn exact_float(dtype: DType) -> DType {
    match dtype.kind() {
        Kind::Float => dtype,
        Kind::Bool => DType::F16,
        _ => float_of(dtype.size() * 2),
    }
}

fn float_of(size: usize) -> DType {
    match size {
        0..=2 => DType::F16,
        4 => DType::F32,
        _ => DType::F64,
    }
}

fn complex_of(part: usize) -> DType {
    if part <= 4 { DType::C64 } else { DType::C128 }
}
