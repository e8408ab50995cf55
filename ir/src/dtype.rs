//! Element types (dtypes), the classes generic code is bounded by, and the type of an IR value.

use std::fmt;

/// Declares every dtype once; names, sizes and kinds all come from this table.
macro_rules! dtypes {
    ($($variant:ident $text:literal $bytes:literal $kind:ident $numpy:literal $doc:literal;)*) => {
        /// The type of one array element.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum DType { $(#[doc = $doc] $variant),* }

        impl DType {
            /// Every dtype, in the order of the table.
            pub const ALL: &'static [DType] = &[$(DType::$variant),*];

            /// The name in `.k` source and in IR text: `f32`.
            pub const fn name(self) -> &'static str { match self { $(DType::$variant => $text),* } }

            /// Size of one element in bytes.
            pub const fn size(self) -> usize { match self { $(DType::$variant => $bytes),* } }

            /// What kind of number it holds.
            pub const fn kind(self) -> Kind { match self { $(DType::$variant => Kind::$kind),* } }

            /// NumPy's name for the same type: `float32`.
            pub const fn numpy_name(self) -> &'static str { match self { $(DType::$variant => $numpy),* } }

            /// The dtype with this `.k` name.
            pub fn from_name(name: &str) -> Option<DType> {
                match name { $($text => Some(DType::$variant),)* _ => None }
            }
        }
    };
}

dtypes! {
    Bool "bool" 1  Bool     "bool"       "Truth value: one byte in memory, 0 or 1.";
    I8   "i8"   1  Signed   "int8"       "8-bit two's complement integer.";
    I16  "i16"  2  Signed   "int16"      "16-bit two's complement integer.";
    I32  "i32"  4  Signed   "int32"      "32-bit two's complement integer.";
    I64  "i64"  8  Signed   "int64"      "64-bit two's complement integer.";
    U8   "u8"   1  Unsigned "uint8"      "8-bit unsigned integer.";
    U16  "u16"  2  Unsigned "uint16"     "16-bit unsigned integer.";
    U32  "u32"  4  Unsigned "uint32"     "32-bit unsigned integer.";
    U64  "u64"  8  Unsigned "uint64"     "64-bit unsigned integer.";
    F16  "f16"  2  Float    "float16"    "IEEE binary16: computed with in f32, each operation rounded.";
    F32  "f32"  4  Float    "float32"    "IEEE binary32.";
    F64  "f64"  8  Float    "float64"    "IEEE binary64.";
    C64  "c64"  8  Complex  "complex64"  "Complex of two f32, the real part first.";
    C128 "c128" 16 Complex  "complex128" "Complex of two f64, the real part first.";
}

/// The kind of number a dtype holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// `bool`
    Bool,
    /// two's complement integers
    Signed,
    /// unsigned integers
    Unsigned,
    /// IEEE binary floating point
    Float,
    /// pairs of floats
    Complex,
}

impl DType {
    /// Bits of one element.
    pub const fn bits(self) -> u32 {
        self.size() as u32 * 8
    }

    /// True for i8..i64 and u8..u64 (not `bool`).
    pub const fn is_int(self) -> bool {
        matches!(self.kind(), Kind::Signed | Kind::Unsigned)
    }

    /// True for i8..i64.
    pub const fn is_signed_int(self) -> bool {
        matches!(self.kind(), Kind::Signed)
    }

    /// True for u8..u64.
    pub const fn is_unsigned_int(self) -> bool {
        matches!(self.kind(), Kind::Unsigned)
    }

    /// True for f16, f32, f64.
    pub const fn is_float(self) -> bool {
        matches!(self.kind(), Kind::Float)
    }

    /// True for c64, c128.
    pub const fn is_complex(self) -> bool {
        matches!(self.kind(), Kind::Complex)
    }

    /// The dtype of the parts of a complex number.
    pub const fn part(self) -> Option<DType> {
        match self {
            DType::C64 => Some(DType::F32),
            DType::C128 => Some(DType::F64),
            _ => None,
        }
    }

    /// The complex dtype with parts of this dtype.
    pub const fn complex_of_part(self) -> Option<DType> {
        match self {
            DType::F32 => Some(DType::C64),
            DType::F64 => Some(DType::C128),
            _ => None,
        }
    }

    /// True for everything but `bool`.
    pub const fn is_number(self) -> bool {
        !matches!(self.kind(), Kind::Bool)
    }

    /// True for the dtypes that backends compute with; f16 and complex are lowered to them first, see
    /// [`crate::passes::lower_numbers`].
    pub const fn is_native(self) -> bool {
        !matches!(self, DType::F16 | DType::C64 | DType::C128)
    }

    /// The unsigned integer of the same width (`u8` for `bool`), if there is one.
    pub const fn unsigned_of_width(self) -> DType {
        match self.size() {
            1 => DType::U8,
            2 => DType::U16,
            4 => DType::U32,
            _ => DType::U64,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A bound on a generic type parameter: `T: float`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// Every integer, signed and unsigned.
    Int,
    /// Unsigned integers.
    Uint,
    /// f16 f32 f64.
    Float,
    /// c64 c128.
    Complex,
    /// Every float and complex dtype.
    Inexact,
    /// Every integer and float: what has an order and a remainder.
    Real,
    /// Every dtype but `bool`.
    Number,
    /// Every dtype.
    Any,
}

impl Class {
    /// Every class.
    pub const ALL: &'static [Class] = &[
        Class::Int,
        Class::Uint,
        Class::Float,
        Class::Complex,
        Class::Inexact,
        Class::Real,
        Class::Number,
        Class::Any,
    ];

    /// The name in `.k` source.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Int => "int",
            Class::Uint => "uint",
            Class::Float => "float",
            Class::Complex => "complex",
            Class::Inexact => "inexact",
            Class::Real => "real",
            Class::Number => "number",
            Class::Any => "any",
        }
    }

    /// The class with this `.k` name.
    pub fn from_name(name: &str) -> Option<Class> {
        Class::ALL.iter().copied().find(|c| c.name() == name)
    }

    /// Is `dtype` a member?
    pub const fn contains(self, dtype: DType) -> bool {
        match self {
            Class::Int => dtype.is_int(),
            Class::Uint => dtype.is_unsigned_int(),
            Class::Float => dtype.is_float(),
            Class::Complex => matches!(dtype.kind(), Kind::Complex),
            Class::Inexact => dtype.is_float() || dtype.is_complex(),
            Class::Real => dtype.is_int() || dtype.is_float(),
            Class::Number => dtype.is_number(),
            Class::Any => true,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The type of an IR value: a dtype, and in vector form whether each lane has its own value.
///
/// In scalar form every value has `varying == false`. In vector form (see [`crate::Form`]) a
/// *uniform* value is one number shared by all lanes and a *varying* value is one number a lane; how
/// many lanes there are is the backend's business.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Type {
    /// Element type.
    pub dtype: DType,
    /// One value a lane?
    pub varying: bool,
}

impl Type {
    /// A scalar (or, in vector form, uniform) type.
    pub const fn scalar(dtype: DType) -> Type {
        Type {
            dtype,
            varying: false,
        }
    }

    /// A varying type.
    pub const fn varying(dtype: DType) -> Type {
        Type {
            dtype,
            varying: true,
        }
    }

    /// The same shape (scalar or varying) with another dtype.
    pub const fn with_dtype(self, dtype: DType) -> Type {
        Type {
            dtype,
            varying: self.varying,
        }
    }

    /// `bool`, scalar.
    pub const BOOL: Type = Type::scalar(DType::Bool);
}

impl From<DType> for Type {
    fn from(dtype: DType) -> Type {
        Type::scalar(dtype)
    }
}

/// `f32`, or `f32*` when varying.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, if self.varying { "*" } else { "" })
    }
}
