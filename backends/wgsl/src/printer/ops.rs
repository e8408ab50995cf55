//! One expression an operation: the meaning the opcode table gives it, in WGSL.

use super::helpers::Helper;
use super::{Printer, names};
use crate::raise::Arithmetic;
use kjit_ir::target::BackendError;
use kjit_ir::{DType, Opcode, Scalar};

impl Printer<'_> {
    /// Text of a pure operation on arguments of one dtype (not `select`, `cast`, `bitcast`).
    /// `constants` are the arguments known at compile time.
    pub(super) fn operation(
        &self,
        op: Opcode,
        dtype: DType,
        args: &[&str],
        constants: &[Option<Scalar>],
    ) -> Result<String, BackendError> {
        self.require(dtype)?;
        let text = if dtype.is_float() {
            self.float(op, dtype, args)?
        } else if dtype == DType::Bool {
            bool_(op, args)
        } else {
            self.int(op, dtype, args, constants)?
        };
        text.ok_or_else(|| BackendError::Internal(format!("wgsl cannot print `{op}` of {dtype}")))
    }

    fn int(
        &self,
        op: Opcode,
        dtype: DType,
        args: &[&str],
        constants: &[Option<Scalar>],
    ) -> Result<Option<String>, BackendError> {
        let a = args[0];
        let b = args.get(1).copied().unwrap_or_default();
        let register = names::register_dtype(dtype);
        let mask = dtype.bits() - 1;
        let count = || match register {
            DType::U32 => format!("({b} & {mask}u)"),
            DType::U64 => format!("u32({b} & {mask}lu)"),
            DType::I64 => format!("u32(bitcast<u64>({b}) & {mask}lu)"),
            _ => format!("(bitcast<u32>({b}) & {mask}u)"),
        };
        // A divisor known to be neither 0 nor -1 needs no care.
        let divisor = constants.get(1).copied().flatten();
        let tame = divisor.is_some_and(|d| !matches!(d.as_int(), 0 | -1));
        Ok(Some(match op {
            Opcode::Add => wrap(dtype, &format!("{a} + {b}")),
            Opcode::Sub => wrap(dtype, &format!("{a} - {b}")),
            Opcode::Mul => wrap(dtype, &format!("{a} * {b}")),
            Opcode::Div if tame => wrap(dtype, &format!("{a} / {b}")),
            Opcode::Rem if tame => format!("{a} % {b}"),
            Opcode::Div => {
                let div = self.helper(Helper::Div(register))?;
                wrap(dtype, &format!("{div}({a}, {b})"))
            }
            Opcode::Rem => format!("{}({a}, {b})", self.helper(Helper::Rem(register))?),
            Opcode::MulHi if dtype.size() < 4 => format!("({a} * {b}) >> {}u", dtype.bits()),
            Opcode::MulHi => format!("{}({a}, {b})", self.helper(Helper::MulHi(register))?),
            Opcode::Neg => wrap(dtype, &format!("{} - {a}", zero(register))),
            Opcode::Abs if dtype.is_unsigned_int() => a.to_string(),
            Opcode::Abs => {
                let zero = zero(register);
                wrap(dtype, &format!("select({a}, {zero} - {a}, {a} < {zero})"))
            }
            Opcode::Min => format!("select({b}, {a}, {a} < {b})"),
            Opcode::Max => format!("select({b}, {a}, {a} > {b})"),
            Opcode::And => format!("{a} & {b}"),
            Opcode::Or => format!("{a} | {b}"),
            Opcode::Xor => format!("{a} ^ {b}"),
            Opcode::Not => wrap(dtype, &format!("~{a}")),
            Opcode::Rare => a.to_string(),
            Opcode::Shl => wrap(dtype, &format!("{a} << {}", count())),
            Opcode::Shr => format!("{a} >> {}", count()),
            Opcode::Eq => format!("{a} == {b}"),
            Opcode::Ne => format!("{a} != {b}"),
            Opcode::Lt => format!("{a} < {b}"),
            Opcode::Le => format!("{a} <= {b}"),
            Opcode::Gt => format!("{a} > {b}"),
            Opcode::Ge => format!("{a} >= {b}"),
            _ => return Ok(None),
        }))
    }

    fn float(
        &self,
        op: Opcode,
        dtype: DType,
        args: &[&str],
    ) -> Result<Option<String>, BackendError> {
        let fast = self.is(Arithmetic::Fast);
        let a = args[0];
        let b = args.get(1).copied().unwrap_or_default();
        let c = args.get(2).copied().unwrap_or_default();
        let wide = self.options.features.f64;
        // Sign bits are handled as bits: they are exact for NaN, and no driver's algebra applies.
        let sign = |f32_: &str, f64_: &str, plain: &str| -> String {
            match dtype {
                _ if fast => plain.to_string(),
                DType::F32 => format!("bitcast<f32>(bitcast<u32>({a}) {f32_})"),
                _ if self.options.features.i64 => {
                    self.uses_i64.set(true);
                    format!("bitcast<f64>(bitcast<u64>({a}) {f64_})")
                }
                _ => plain.to_string(),
            }
        };
        Ok(Some(match op {
            Opcode::Add => self.arithmetic("+", dtype, a, b)?,
            Opcode::Sub => self.arithmetic("-", dtype, a, b)?,
            Opcode::Mul => self.arithmetic("*", dtype, a, b)?,
            Opcode::Div if dtype == DType::F32 && wide && !fast => {
                format!("{}({a}, {b})", self.helper(Helper::DivF32)?)
            }
            Opcode::Div => self.arithmetic("/", dtype, a, b)?,
            Opcode::Neg => sign("^ 0x80000000u", "^ 0x8000000000000000lu", &format!("-{a}")),
            Opcode::Abs => sign(
                "& 0x7fffffffu",
                "& 0x7ffffffffffffffflu",
                &format!("abs({a})"),
            ),
            Opcode::Min | Opcode::Max | Opcode::FMin | Opcode::FMax => {
                format!("{}({a}, {b})", self.helper(Helper::Pick(op.name(), dtype))?)
            }
            Opcode::Fma if fast => format!("fma({a}, {b}, {c})"),
            Opcode::Fma => {
                let helper = match dtype {
                    DType::F32 => Helper::FmaF32,
                    _ => Helper::FmaF64,
                };
                format!("{}({a}, {b}, {c})", self.helper(helper)?)
            }
            // f32 roots may come out of an approximate inverse root; f64 ones do not.
            Opcode::Sqrt if dtype == DType::F32 && wide && !fast => {
                self.require(DType::F64)?;
                self.barrier(DType::F32, &format!("f32(sqrt(f64({a})))"))?
            }
            Opcode::Sqrt => self.barrier(dtype, &format!("sqrt({a})"))?,
            Opcode::Floor => format!("floor({a})"),
            Opcode::Ceil => format!("ceil({a})"),
            Opcode::Trunc => format!("trunc({a})"),
            Opcode::Round => format!("round({a})"),
            Opcode::Eq => self.compare("==", dtype, a, b)?,
            Opcode::Lt => self.compare("<", dtype, a, b)?,
            Opcode::Le => self.compare("<=", dtype, a, b)?,
            Opcode::Gt => self.compare(">", dtype, a, b)?,
            Opcode::Ge => self.compare(">=", dtype, a, b)?,
            // `!=` would be false for NaN: it becomes an ordered comparison.
            Opcode::Ne => format!("!({})", self.compare("==", dtype, a, b)?),
            _ => return Ok(None),
        }))
    }

    /// Text of `a symbol b` on floats that no driver reassociates, contracts or folds.
    pub(super) fn arithmetic(
        &self,
        symbol: &str,
        dtype: DType,
        a: &str,
        b: &str,
    ) -> Result<String, BackendError> {
        // `b` too, for `a - a` and the like.
        let b = self.operand(dtype, b)?;
        self.barrier(dtype, &format!("{a} {symbol} {b}"))
    }

    /// A float that optimisers know nothing of, where the text has to see to that.
    pub(super) fn barrier(&self, dtype: DType, text: &str) -> Result<String, BackendError> {
        if !self.is(Arithmetic::Barrier) {
            return Ok(text.to_string());
        }
        let helper = match dtype {
            DType::F32 => Helper::Barrier32,
            _ => Helper::Barrier64,
        };
        Ok(format!("{}({text})", self.helper(helper)?))
    }

    /// As [`Printer::barrier`], by another zero.
    fn operand(&self, dtype: DType, text: &str) -> Result<String, BackendError> {
        if !self.is(Arithmetic::Barrier) {
            return Ok(text.to_string());
        }
        Ok(format!("{}({text})", self.helper(Helper::Operand(dtype))?))
    }

    /// A comparison of floats; as opaque as arithmetic, for drivers turn `!(a < b)` into `a >= b`.
    fn compare(
        &self,
        symbol: &str,
        dtype: DType,
        a: &str,
        b: &str,
    ) -> Result<String, BackendError> {
        let b = self.operand(dtype, b)?;
        let text = format!("{a} {symbol} {b}");
        if self.is(Arithmetic::Barrier) {
            Ok(format!("{}({text})", self.helper(Helper::BarrierBool)?))
        } else {
            Ok(text)
        }
    }
}

fn bool_(op: Opcode, args: &[&str]) -> Option<String> {
    let a = args[0];
    let b = args.get(1).copied().unwrap_or_default();
    Some(match op {
        Opcode::And => format!("{a} & {b}"),
        Opcode::Or => format!("{a} | {b}"),
        Opcode::Xor | Opcode::Ne => format!("{a} != {b}"),
        Opcode::Eq => format!("{a} == {b}"),
        Opcode::Not => format!("!{a}"),
        Opcode::Rare => a.to_string(),
        _ => return None,
    })
}

/// Brings a result back into the range of a narrow dtype.
pub(super) fn wrap(dtype: DType, text: &str) -> String {
    let bits = dtype.bits();
    match dtype {
        DType::I8 | DType::I16 => format!("extractBits({text}, 0u, {bits}u)"),
        DType::U8 | DType::U16 | DType::F16 => format!("extractBits({text}, 0u, {bits}u)"),
        _ => text.to_string(),
    }
}

/// Literal zero of a register dtype.
pub(super) fn zero(register: DType) -> String {
    names::constant(Scalar::zero(register))
}
