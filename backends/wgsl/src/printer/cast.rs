//! Conversions: between registers, and the wrapping and saturating that WGSL's own do differently.

use super::helpers::Helper;
use super::ops::{wrap, zero};
use super::{Printer, names};
use kjit_ir::DType;
use kjit_ir::target::BackendError;

/// An `i32` as the `u64` of the same number modulo 2^64, from two halves.
fn sign_extended(a: &str) -> String {
    format!("((u64(bitcast<u32>({a} >> 31u)) << 32u) | u64(bitcast<u32>({a})))")
}

impl Printer<'_> {
    /// Text of a value conversion.
    pub(super) fn cast(&self, from: DType, to: DType, a: &str) -> Result<String, BackendError> {
        self.require(from)?;
        self.require(to)?;
        let (source, target) = (names::register_dtype(from), names::register_dtype(to));
        Ok(match (from, to) {
            _ if from == to => a.to_string(),
            (DType::Bool, _) => {
                let one = names::constant(kjit_ir::Scalar::one(target));
                let zero = names::constant(kjit_ir::Scalar::zero(target));
                format!("select({zero}, {one}, {a})")
            }
            // True for NaN.
            (DType::F32 | DType::F64, DType::Bool) => format!("!({a} == {source}(0))"),
            (_, DType::Bool) => format!("{a} != {}", zero(source)),
            (DType::F32, DType::F64) | (DType::F64, DType::F32) => {
                self.barrier(to, &format!("{to}({a})"))?
            }
            (_, DType::F32 | DType::F64) => self.barrier(to, &format!("{to}({a})"))?,
            (DType::F32 | DType::F64, _) => {
                format!("{}({a})", self.helper(Helper::FloatToInt(from, to))?)
            }
            _ => self.int_to_int(source, to, target, a),
        })
    }

    /// Through the unsigned register of the source's width, so that sign extension, zero extension
    /// and truncation are each what they are called.
    fn int_to_int(&self, source: DType, to: DType, target: DType, a: &str) -> String {
        let text = match (source, target) {
            _ if source == target => a.to_string(),
            // Not `i64(..)`: Mesa's compiler gets ordered comparisons of that with constants wrong.
            (DType::I32, DType::I64) => format!("bitcast<i64>({})", sign_extended(a)),
            (DType::I32, DType::U64) => sign_extended(a),
            (DType::U32, DType::U64) => format!("u64({a})"),
            (DType::U32, DType::I64) => format!("bitcast<i64>(u64({a}))"),
            (DType::U64, DType::U32) => format!("u32({a} & 0xfffffffflu)"),
            (DType::U64, DType::I32) => format!("bitcast<i32>(u32({a} & 0xfffffffflu))"),
            (DType::I64, DType::U32) => format!("u32(bitcast<u64>({a}) & 0xfffffffflu)"),
            (DType::I64, DType::I32) => {
                format!("bitcast<i32>(u32(bitcast<u64>({a}) & 0xfffffffflu))")
            }
            _ => format!("bitcast<{target}>({a})"),
        };
        wrap(to, &text)
    }

    /// Text of a reinterpretation of bits.
    pub(super) fn bitcast(&self, from: DType, to: DType, a: &str) -> Result<String, BackendError> {
        self.require(from)?;
        self.require(to)?;
        let (source, target) = (names::register_dtype(from), names::register_dtype(to));
        if from == to {
            return Ok(a.to_string());
        }
        let text = if source == target {
            a.to_string()
        } else {
            format!("bitcast<{target}>({a})")
        };
        Ok(wrap(to, &text))
    }
}
