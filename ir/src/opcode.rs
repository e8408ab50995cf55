//! The opcode table: each operation is declared once; its text name, arity, type rule, effect and
//! documentation come from here.

use crate::{DType, Type};
use std::fmt;

/// Which dtypes an operation accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Domain {
    /// Any dtype.
    Any,
    /// Any dtype but bool.
    Number,
    /// Integers and floats.
    Real,
    /// Floats.
    Float,
    /// Integers.
    Int,
    /// Integers and bool.
    Bits,
}

impl Domain {
    /// Does it contain this dtype?
    pub const fn contains(self, dtype: DType) -> bool {
        match self {
            Domain::Any => true,
            Domain::Number => dtype.is_number(),
            Domain::Real => dtype.is_int() || dtype.is_float(),
            Domain::Float => dtype.is_float(),
            Domain::Int => dtype.is_int(),
            Domain::Bits => dtype.is_int() || matches!(dtype, DType::Bool),
        }
    }
}

/// How argument types determine result types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// All arguments have one type, which is the result's.
    Same,
    /// All arguments have one type; the result is bool of the same shape.
    Compare,
    /// `(bool, T, T) -> T`.
    Select,
    /// `T -> imm dtype`, same shape.
    Convert,
    /// Checked by the verifier case by case.
    Special,
}

/// What an operation does besides computing its results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing: may be removed, duplicated, hoisted, speculated.
    Pure,
    /// Reads memory that some instruction may write.
    Read,
    /// Writes memory or reports a failed check.
    Write,
    /// Owns blocks; its effect is theirs.
    Control,
    /// Ends a block.
    Terminator,
}

macro_rules! opcodes {
    ($($variant:ident $text:literal $args:literal $domain:ident $rule:ident $effect:ident $doc:literal;)*) => {
        /// An operation of the IR.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Opcode { $(#[doc = $doc] $variant),* }

        impl Opcode {
            /// Every opcode, in the order of the table.
            pub const ALL: &'static [Opcode] = &[$(Opcode::$variant),*];

            /// The name in IR text.
            pub const fn name(self) -> &'static str { match self { $(Opcode::$variant => $text),* } }

            /// Number of arguments, or `None` when it varies.
            pub const fn arity(self) -> Option<usize> {
                let n: i32 = match self { $(Opcode::$variant => $args),* };
                if n < 0 { None } else { Some(n as usize) }
            }

            /// Dtypes accepted (of the arguments the rule speaks of).
            pub const fn domain(self) -> Domain { match self { $(Opcode::$variant => Domain::$domain),* } }

            /// How the result type follows from the arguments.
            pub const fn rule(self) -> Rule { match self { $(Opcode::$variant => Rule::$rule),* } }

            /// Side effect.
            pub const fn effect(self) -> Effect { match self { $(Opcode::$variant => Effect::$effect),* } }

            /// One-line documentation.
            pub const fn doc(self) -> &'static str { match self { $(Opcode::$variant => $doc),* } }

            /// The opcode with this text name.
            pub fn from_name(name: &str) -> Option<Opcode> {
                match name { $($text => Some(Opcode::$variant),)* _ => None }
            }
        }
    };
}

opcodes! {
    // variant  text    args domain rule   effect  documentation
    Const   "const"   0 Any    Special Pure "The constant in the immediate. Always scalar (uniform in vector form).";

    Add     "add"     2 Number Same Pure "Sum; integers wrap.";
    Sub     "sub"     2 Number Same Pure "Difference; integers wrap.";
    Mul     "mul"     2 Number Same Pure "Product; integers wrap; of complex numbers (ac - bd, ad + bc), each step rounded.";
    Div     "div"     2 Number Same Pure "Quotient; IEEE for floats; integers truncate, x / 0 = 0, MIN / -1 = MIN; Smith's method for complex numbers.";
    Rem     "rem"     2 Int    Same Pure "Integer remainder with the dividend's sign; x % 0 = 0, MIN % -1 = 0.";
    MulHi   "mulhi"   2 Int    Same Pure "High half of the double-width product.";
    Neg     "neg"     1 Number Same Pure "Negation: flips the sign bit of floats (NaN too), wraps for integers.";
    Abs     "abs"     1 Real   Same Pure "Absolute value: clears the sign bit of floats; |MIN| = MIN; identity on unsigned.";
    Min     "min"     2 Number Same Pure "Smaller; if either is NaN the result is NaN; -0 < +0; complex numbers in lexicographic order, the first if equal or NaN. NumPy's `minimum`.";
    Max     "max"     2 Number Same Pure "Larger; if either is NaN the result is NaN; -0 < +0; complex numbers as for `min`. NumPy's `maximum`.";
    FMin    "fmin"    2 Float  Same Pure "Smaller; a NaN argument loses against a number; -0 < +0. NumPy's `fmin`.";
    FMax    "fmax"    2 Float  Same Pure "Larger; a NaN argument loses against a number; -0 < +0. NumPy's `fmax`.";
    Fma     "fma"     3 Float  Same Pure "a * b + c with one rounding.";
    Sqrt    "sqrt"    1 Float  Same Pure "Correctly rounded square root; NaN below zero, sqrt(-0) = -0.";
    Floor   "floor"   1 Float  Same Pure "Largest integral value not above.";
    Ceil    "ceil"    1 Float  Same Pure "Smallest integral value not below.";
    Trunc   "trunc"   1 Float  Same Pure "Integral value towards zero.";
    Round   "round"   1 Float  Same Pure "Nearest integral value, ties to even.";

    And     "and"     2 Bits   Same Pure "Bitwise (logical for bool) and.";
    Or      "or"      2 Bits   Same Pure "Bitwise (logical for bool) or.";
    Xor     "xor"     2 Bits   Same Pure "Bitwise (logical for bool) exclusive or.";
    Not     "not"     1 Bits   Same Pure "Bitwise (logical for bool) complement.";
    Shl     "shl"     2 Int    Same Pure "Shift left; the count is taken modulo the width.";
    Shr     "shr"     2 Int    Same Pure "Shift right, arithmetic for signed dtypes; the count is taken modulo the width.";

    Rare    "rare"    1 Bits   Same Pure "The argument, which is seldom true: an `if` on it is a jump, however small its arm.";

    Eq      "eq"      2 Any    Compare Pure "Equal; false if either is NaN.";
    Ne      "ne"      2 Any    Compare Pure "Not equal; true if either is NaN.";
    Lt      "lt"      2 Number Compare Pure "Less; false if either is NaN. Complex numbers by real parts, and by imaginary parts where these are equal; false if an imaginary part is NaN and the real parts differ.";
    Le      "le"      2 Number Compare Pure "Less or equal; false if either is NaN. Complex numbers as for `lt`.";
    Gt      "gt"      2 Number Compare Pure "Greater; false if either is NaN. Complex numbers as for `lt`.";
    Ge      "ge"      2 Number Compare Pure "Greater or equal; false if either is NaN. Complex numbers as for `lt`.";

    Select  "select"  3 Any    Select  Pure "`(c, a, b)`: a where c, else b. Both are evaluated.";
    Cast    "cast"    1 Any    Convert Pure "Value conversion: int to int wraps; float to int truncates, saturates, NaN gives 0; to float rounds to nearest even; number to bool is `!= 0`; bool to number is 0 or 1; real to complex has imaginary part 0; complex to real is the real part's.";
    Complex "complex" 2 Float  Special Pure "`(re, im)`, both f32 or both f64: the c64 or c128 of these parts.";
    Re      "re"      1 Any    Special Pure "Real part of a complex number: f32 or f64.";
    Im      "im"      1 Any    Special Pure "Imaginary part of a complex number.";
    Bitcast "bitcast" 1 Any    Convert Pure "Same bits, other dtype of the same width (not bool, not complex).";

    Index   "index"   0 Any    Special Pure  "Index of this element, from an array parameter of mode `index` (i64).";
    Load    "load"    -1 Any   Special Read  "This element of an input array; vector form may add a mask (masked-off lanes read 0).";
    Store   "store"   -1 Any   Special Write "`(value)` or `(value, mask)`: this element of an output array.";
    Dim     "dim"     0 Any    Special Pure  "Extent of a core dimension (i64, uniform).";
    CoreLoad  "core.load"  -1 Any Special Read  "`(index: i64, ..)`, one index a core axis, all in bounds for the lanes that run it: element of this element's sub-array; vector form may add a mask (masked-off lanes read 0, at any index; some lane must be active).";
    CoreStore "core.store" -1 Any Special Write "`(index: i64, .., value)` or with mask: element of this element's sub-array; indices as for `core.load`.";
    LocalLoad  "local.load"  1 Any Special Read  "`(index: i32)`: element of a local array; the index is clamped into it.";
    LocalStore "local.store" -1 Any Special Write "`(index: i32, value)` or with mask: element of a local array; the index is clamped into it.";
    Guard   "guard"   -1 Any   Special Write "`(ok)` or `(ok, mask)`: reports the immediate's trap for elements where ok is false, and goes on.";
    Call    "call"    -1 Any   Special Control "Calls a function of the module; removed by the inline pass.";

    If      "if"      1 Any    Special Control "`(condition)`, blocks [then, else]; results are what the arm taken yields.";
    Loop    "loop"    -1 Any   Special Control "`(initial values)`, one block with as many parameters; results are what `break` carries.";

    Yield   "yield"   -1 Any   Special Terminator "Ends an arm of an `if` with its results.";
    Continue "continue" -1 Any Special Terminator "Starts the next iteration of the innermost loop with these values.";
    Break   "break"   -1 Any   Special Terminator "Leaves the innermost loop with these results.";
    Return  "return"  -1 Any   Special Terminator "Leaves the function. Inside an `if` or `loop` only before the `lower_returns` pass.";
    Unreachable "unreachable" 0 Any Special Terminator "Ends a block that control cannot reach (both arms of the `if` before it leave).";

    Splat   "splat"   1 Any    Special Pure "Vector form: the uniform argument in every lane.";
    AnyTrue "any"     1 Any    Special Pure "Vector form: is the varying bool true in some lane? Uniform.";
    First   "first"   1 Any    Special Pure "Vector form: the lowest lane where the varying bool is true, 0 if there is none (i32, uniform).";
    Extract "extract" 2 Any    Special Pure "Vector form: `(value, lane: i32)`: the number in this lane, uniform; the lane is taken modulo their number.";
    Insert  "insert"  3 Any    Special Pure "Vector form: `(value, lane: i32, number)`: the value with this number in this lane, if there is such a lane.";
}

impl Opcode {
    /// Does it end a block?
    pub const fn is_terminator(self) -> bool {
        matches!(self.effect(), Effect::Terminator)
    }

    /// No side effect, reads nothing, owns nothing.
    pub const fn is_pure(self) -> bool {
        matches!(self.effect(), Effect::Pure)
    }

    /// `op(a, b) == op(b, a)` for all arguments of this dtype, bit for bit (NaN payloads aside).
    pub const fn is_commutative(self, dtype: DType) -> bool {
        use Opcode as O;
        // Of complex numbers that are equal or NaN, the first is taken.
        if matches!(self, O::Min | O::Max) && dtype.is_complex() {
            return false;
        }
        matches!(
            self,
            O::Add
                | O::Mul
                | O::MulHi
                | O::Min
                | O::Max
                | O::FMin
                | O::FMax
                | O::And
                | O::Or
                | O::Xor
                | O::Eq
                | O::Ne
        )
    }

    /// Result type for the `Same`, `Compare`, `Select` and `Convert` rules; says what is wrong otherwise.
    ///
    /// `to` is the immediate's dtype, used by `Convert`.
    pub fn result_type(self, args: &[Type], to: Option<DType>) -> Result<Type, String> {
        if let Some(n) = self.arity()
            && n != args.len()
        {
            return Err(format!("{self} takes {n} arguments, not {}", args.len()));
        }
        let same = |args: &[Type]| -> Result<Type, String> {
            let first = args[0];
            if let Some(other) = args.iter().find(|t| **t != first) {
                return Err(format!(
                    "{self} needs arguments of one type, not {first} and {other}"
                ));
            }
            if !self.domain().contains(first.dtype) {
                return Err(format!("{self} does not take {first}"));
            }
            Ok(first)
        };
        match self.rule() {
            Rule::Same => same(args),
            Rule::Compare => Ok(same(args)?.with_dtype(DType::Bool)),
            Rule::Select => {
                if args[0].dtype != DType::Bool {
                    return Err(format!("{self} needs a bool condition, not {}", args[0]));
                }
                if args[0].varying != args[1].varying && args[0].varying {
                    return Err(format!(
                        "{self} has a varying condition but uniform arguments"
                    ));
                }
                same(&args[1..])
            }
            Rule::Convert => {
                let to = to.ok_or_else(|| format!("{self} needs a dtype"))?;
                let from = args[0];
                if self == Opcode::Bitcast && !reinterprets(from.dtype, to) {
                    return Err(format!("{self} cannot reinterpret {from} as {to}"));
                }
                Ok(from.with_dtype(to))
            }
            Rule::Special => match self {
                Opcode::Complex => {
                    let part = same(args)?;
                    let dtype = part.dtype.complex_of_part();
                    dtype
                        .map(|d| part.with_dtype(d))
                        .ok_or_else(|| format!("{self} does not take {part}"))
                }
                Opcode::Re | Opcode::Im => {
                    let part = args[0].dtype.part();
                    part.map(|d| args[0].with_dtype(d))
                        .ok_or_else(|| format!("{self} does not take {}", args[0]))
                }
                _ => Err(format!("{self} has no simple type rule")),
            },
        }
    }
}

/// May `bitcast` go from one dtype to the other?
pub(crate) fn reinterprets(from: DType, to: DType) -> bool {
    let plain = |dtype: DType| dtype != DType::Bool && !dtype.is_complex();
    from.size() == to.size() && plain(from) && plain(to)
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
