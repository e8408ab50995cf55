//! Type variables: each stands for a set of dtypes until it is bound.

use crate::source::Span;
use crate::types::{DTypeSet, Ty};
use kjit_ir::{Class, DType};

/// Where a variable comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A type parameter of a called function.
    Parameter,
    /// An integer literal (any number type).
    Int,
    /// A float literal.
    Float,
}

#[derive(Clone, Debug)]
enum Var {
    Free {
        set: DTypeSet,
        origin: Origin,
        span: Span,
    },
    Bound(Ty),
}

/// The dtypes that complex numbers have parts of.
pub(super) const PARTS: DTypeSet = DTypeSet::one(DType::F32).or(DTypeSet::one(DType::F64));

/// The type variables of a body.
pub struct Vars<'p> {
    generics: &'p [(String, Class)],
    vars: Vec<Var>,
}

impl<'p> Vars<'p> {
    /// None yet.
    pub fn new(generics: &'p [(String, Class)]) -> Vars<'p> {
        Vars {
            generics,
            vars: Vec::new(),
        }
    }

    /// A new variable.
    pub fn fresh(&mut self, set: DTypeSet, origin: Origin, span: Span) -> Ty {
        self.vars.push(Var::Free { set, origin, span });
        Ty::Var(self.vars.len() as u32 - 1)
    }

    /// The outermost type with bound variables followed.
    pub fn shallow(&mut self, ty: &Ty) -> Ty {
        let &Ty::Var(mut n) = ty else {
            return ty.clone();
        };
        let start = n;
        loop {
            match &self.vars[n as usize] {
                Var::Free { .. } => break,
                Var::Bound(Ty::Var(m)) => n = *m,
                Var::Bound(other) => return other.clone(),
            }
        }
        // Path compression keeps chains short.
        let mut at = start;
        while let Var::Bound(Ty::Var(next)) = self.vars[at as usize] {
            self.vars[at as usize] = Var::Bound(Ty::Var(n));
            at = next;
        }
        Ty::Var(n)
    }

    /// The type with every bound variable replaced.
    pub fn resolve(&mut self, ty: &Ty) -> Ty {
        match self.shallow(ty) {
            Ty::Array(element, len) => Ty::Array(Box::new(self.resolve(&element)), len),
            Ty::Tuple(list) => Ty::Tuple(list.iter().map(|t| self.resolve(t)).collect()),
            other => other,
        }
    }

    /// The free variable's set and origin.
    pub fn free(&mut self, ty: &Ty) -> Option<(DTypeSet, Origin)> {
        match self.shallow(ty) {
            Ty::Var(n) => match &self.vars[n as usize] {
                Var::Free { set, origin, .. } => Some((*set, *origin)),
                Var::Bound(_) => None,
            },
            _ => None,
        }
    }

    /// The dtypes a type may turn out to be; `None` for what is no scalar.
    pub fn set_of(&mut self, ty: &Ty) -> Option<DTypeSet> {
        match self.shallow(ty) {
            Ty::Scalar(dtype) => Some(DTypeSet::one(dtype)),
            Ty::Generic(n) => Some(DTypeSet::class(self.generics[n as usize].1)),
            Ty::Part(_) => Some(PARTS),
            Ty::Var(n) => match &self.vars[n as usize] {
                Var::Free { set, .. } => Some(*set),
                Var::Bound(_) => None,
            },
            _ => None,
        }
    }

    /// Makes both one type, if they can be.
    pub fn unify(&mut self, a: &Ty, b: &Ty) -> bool {
        let (a, b) = (self.shallow(a), self.shallow(b));
        match (&a, &b) {
            (Ty::Error | Ty::Never, _) | (_, Ty::Error | Ty::Never) => true,
            (Ty::Var(x), Ty::Var(y)) if x == y => true,
            (Ty::Var(x), Ty::Var(y)) => {
                let (
                    Var::Free {
                        set: s, origin: o, ..
                    },
                    Var::Free {
                        set: t,
                        origin: p,
                        span,
                    },
                ) = (
                    self.vars[*x as usize].clone(),
                    self.vars[*y as usize].clone(),
                )
                else {
                    return false;
                };
                let set = s.and(t);
                if set.is_empty() {
                    return false;
                }
                let origin = match (o, p) {
                    (Origin::Float, _) | (_, Origin::Float) => Origin::Float,
                    (Origin::Int, _) | (_, Origin::Int) => Origin::Int,
                    _ => Origin::Parameter,
                };
                self.vars[*y as usize] = Var::Free { set, origin, span };
                self.vars[*x as usize] = Var::Bound(b.clone());
                true
            }
            (Ty::Var(x), Ty::Scalar(_) | Ty::Generic(_) | Ty::Part(_)) => self.bind(*x, &b),
            (Ty::Scalar(_) | Ty::Generic(_) | Ty::Part(_), Ty::Var(y)) => self.bind(*y, &a),
            (Ty::Array(x, n), Ty::Array(y, m)) => n == m && self.unify(x, y),
            (Ty::Tuple(xs), Ty::Tuple(ys)) => {
                xs.len() == ys.len() && xs.iter().zip(ys).all(|(x, y)| self.unify(x, y))
            }
            _ => a == b,
        }
    }

    fn bind(&mut self, n: u32, ty: &Ty) -> bool {
        let Var::Free { set, .. } = self.vars[n as usize] else {
            return false;
        };
        let fits = self.set_of(ty).is_some_and(|s| s.is_subset(set));
        if fits {
            self.vars[n as usize] = Var::Bound(ty.clone());
        }
        fits
    }

    /// Restricts a scalar type to a set; false if it cannot be in it.
    pub fn require(&mut self, ty: &Ty, set: DTypeSet) -> bool {
        match self.shallow(ty) {
            Ty::Error | Ty::Never => true,
            Ty::Var(n) => match &mut self.vars[n as usize] {
                Var::Free { set: have, .. } => {
                    let both = have.and(set);
                    if both.is_empty() {
                        return false;
                    }
                    *have = both;
                    true
                }
                Var::Bound(_) => false,
            },
            other => self.set_of(&other).is_some_and(|s| s.is_subset(set)),
        }
    }

    /// Follows from a reported mistake: binds a variable that is still free to the error type.
    pub fn give_up(&mut self, ty: &Ty) {
        if let Ty::Var(n) = self.shallow(ty)
            && let Var::Free {
                origin: Origin::Parameter,
                ..
            } = self.vars[n as usize]
        {
            self.vars[n as usize] = Var::Bound(Ty::Error);
        }
    }

    /// Gives every free variable its default; places where there is none.
    pub fn default_all(&mut self) -> Vec<(Span, String)> {
        const ORDER: [DType; 13] = [
            DType::I32,
            DType::F64,
            DType::U32,
            DType::I64,
            DType::U64,
            DType::F32,
            DType::I8,
            DType::I16,
            DType::U8,
            DType::U16,
            DType::C128,
            DType::C64,
            DType::F16,
        ];
        let mut failed = Vec::new();
        for var in &mut self.vars {
            if let Var::Free { set, origin, span } = var {
                let default = match origin {
                    Origin::Int => ORDER.iter().copied().find(|d| set.contains(*d)),
                    Origin::Float => ORDER
                        .iter()
                        .copied()
                        .find(|d| !d.is_int() && set.contains(*d)),
                    Origin::Parameter => None,
                };
                *var = Var::Bound(match default {
                    Some(dtype) => Ty::Scalar(dtype),
                    None => {
                        failed.push((*span, "the type here cannot be inferred".to_string()));
                        Ty::Error
                    }
                });
            }
        }
        failed
    }

    /// A type as text.
    pub fn describe(&mut self, ty: &Ty) -> String {
        match self.resolve(ty) {
            var @ Ty::Var(_) => match self.free(&var) {
                Some((set, _)) if set.is_subset(DTypeSet::class(Class::Complex)) => {
                    "a complex number".to_string()
                }
                Some((_, Origin::Int)) => "an integer".to_string(),
                Some((_, Origin::Float)) => "a float".to_string(),
                _ => "of unknown type".to_string(),
            },
            other => other.describe(self.generics),
        }
    }
}
