//! Types of the language, and sets of dtypes as inference constrains them.

use kjit_ir::opcode::Domain;
use kjit_ir::{Class, DType};

/// The type of an expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ty {
    /// A fixed dtype.
    Scalar(DType),
    /// A type parameter of the function.
    Generic(u32),
    /// The dtype of the parts of a type parameter that is complex.
    Part(u32),
    /// Not yet known: a variable of inference. None are left after it.
    Var(u32),
    /// A local array: element type (scalar) and length.
    Array(Box<Ty>, u32),
    /// An array parameter or result of a gufunc: element type (scalar) and the dimensions as written.
    Core(Box<Ty>, Vec<String>),
    /// Several values.
    Tuple(Vec<Ty>),
    /// No value.
    Unit,
    /// The type of what never finishes: a block that returns, an endless loop.
    Never,
    /// Wrong and reported; agrees with everything.
    Error,
}

impl Ty {
    /// `bool`
    pub const BOOL: Ty = Ty::Scalar(DType::Bool);

    /// The type of the numbers in it, for parameters and results.
    pub fn element(&self) -> &Ty {
        match self {
            Ty::Core(element, _) => element,
            other => other,
        }
    }

    /// One number or truth value?
    pub fn is_scalar(&self) -> bool {
        matches!(
            self,
            Ty::Scalar(_) | Ty::Generic(_) | Ty::Part(_) | Ty::Var(_)
        )
    }

    /// The type as text, given the names of the function's type parameters.
    pub fn describe(&self, generics: &[(String, Class)]) -> String {
        match self {
            Ty::Scalar(dtype) => dtype.name().to_string(),
            Ty::Generic(n) => generics
                .get(*n as usize)
                .map_or_else(|| "?".to_string(), |(name, _)| name.clone()),
            Ty::Part(n) => format!("a part of {}", Ty::Generic(*n).describe(generics)),
            Ty::Array(element, len) => format!("[{}; {len}]", element.describe(generics)),
            Ty::Core(element, dims) => {
                format!("[{}; {}]", element.describe(generics), dims.join(", "))
            }
            Ty::Tuple(list) => {
                let list: Vec<String> = list.iter().map(|t| t.describe(generics)).collect();
                format!("({})", list.join(", "))
            }
            Ty::Unit => "no value".to_string(),
            Ty::Never => "never".to_string(),
            Ty::Var(_) | Ty::Error => "?".to_string(),
        }
    }

    /// The type with dtypes for the type parameters.
    pub fn instantiate(&self, generics: &[DType]) -> Ty {
        match self {
            Ty::Generic(n) => Ty::Scalar(generics[*n as usize]),
            Ty::Part(n) => Ty::Scalar(part_of(generics[*n as usize])),
            Ty::Array(element, len) => Ty::Array(Box::new(element.instantiate(generics)), *len),
            Ty::Tuple(list) => Ty::Tuple(list.iter().map(|t| t.instantiate(generics)).collect()),
            other => other.clone(),
        }
    }
}

/// The dtype of the parts of a complex number; a real number is its own part.
pub fn part_of(dtype: DType) -> DType {
    dtype.part().unwrap_or(dtype)
}

/// A set of dtypes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DTypeSet(u16);

impl DTypeSet {
    /// Every dtype.
    pub const ALL: DTypeSet = DTypeSet((1 << DType::ALL.len()) - 1);

    /// One dtype.
    pub const fn one(dtype: DType) -> DTypeSet {
        DTypeSet(1 << dtype as u16)
    }

    /// The members of a class.
    pub const fn class(class: Class) -> DTypeSet {
        let mut set = 0;
        let mut n = 0;
        while n < DType::ALL.len() {
            if class.contains(DType::ALL[n]) {
                set |= 1 << DType::ALL[n] as u16;
            }
            n += 1;
        }
        DTypeSet(set)
    }

    /// The dtypes an operation accepts.
    pub const fn domain(domain: Domain) -> DTypeSet {
        let mut set = 0;
        let mut n = 0;
        while n < DType::ALL.len() {
            if domain.contains(DType::ALL[n]) {
                set |= 1 << DType::ALL[n] as u16;
            }
            n += 1;
        }
        DTypeSet(set)
    }

    /// In both.
    pub const fn and(self, other: DTypeSet) -> DTypeSet {
        DTypeSet(self.0 & other.0)
    }

    /// In either.
    pub const fn or(self, other: DTypeSet) -> DTypeSet {
        DTypeSet(self.0 | other.0)
    }

    /// No member?
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Is `dtype` a member?
    pub const fn contains(self, dtype: DType) -> bool {
        self.0 & (1 << dtype as u16) != 0
    }

    /// Is every member of `self` one of `other`?
    pub const fn is_subset(self, other: DTypeSet) -> bool {
        self.0 & !other.0 == 0
    }
}
