//! Inference of complex numbers and their parts: c64 has parts f32, c128 has parts f64.
//!
//! Where one of the two is known the other follows at once. Literals may leave both open
//! (`complex(0.0, 1.0)` adopts the type of its context as `1.0` does): then the relation is kept, and
//! settled when the body has been seen.

use super::Infer;
use super::unify::{Origin, PARTS};
use crate::builtins::Builtin;
use crate::diagnostic::Code;
use crate::source::Span;
use crate::types::{DTypeSet, Ty};
use kjit_ir::{Class, DType};

const COMPLEX: DTypeSet = DTypeSet::class(Class::Complex);
const REAL: DTypeSet = DTypeSet::class(Class::Real);

/// `part` is the type of the parts of `complex`; both were open when it was filed.
pub(super) struct Relation {
    part: Ty,
    complex: Ty,
    span: Span,
}

impl Infer<'_, '_> {
    /// Is every type it can have complex?
    pub(super) fn is_complex(&mut self, ty: &Ty) -> bool {
        self.vars.set_of(ty).is_some_and(|s| s.is_subset(COMPLEX))
    }

    /// The result of a function that gives a part, or something as long, of a number of type `ty`.
    pub(super) fn part_of(&mut self, builtin: &Builtin, ty: &Ty, argument: Span, span: Span) -> Ty {
        let ty = self.vars.shallow(ty);
        if builtin.class != Class::Complex && !self.is_complex(&ty) {
            // The class has real members, too, which are their own parts.
            if self.vars.require(&ty, REAL) {
                return ty;
            }
            let text = self.show(&ty);
            self.error(
                Code::ClassBound,
                argument,
                format!(
                    "the result of `{}` depends on whether {text} is complex",
                    builtin.name
                ),
                &format!("this is {text}"),
                &format!("bound {text} by the class `real` or `complex`"),
            );
            return Ty::Error;
        }
        match ty {
            Ty::Scalar(dtype) => dtype.part().map_or(Ty::Error, Ty::Scalar),
            Ty::Generic(n) => Ty::Part(n),
            Ty::Var(_) => {
                let part = self.vars.fresh(PARTS, Origin::Float, span);
                self.parts.push(Relation {
                    part: part.clone(),
                    complex: ty,
                    span,
                });
                part
            }
            _ => Ty::Error,
        }
    }

    /// The type of `complex(re, im)` with parts of type `part`.
    pub(super) fn complex_of(&mut self, part: &Ty, argument: Span, span: Span) -> Ty {
        match self.vars.shallow(part) {
            Ty::Scalar(DType::F64) => Ty::Scalar(DType::C128),
            Ty::Scalar(_) => Ty::Scalar(DType::C64),
            Ty::Part(n) => Ty::Generic(n),
            part @ Ty::Var(_) => {
                let complex = self.vars.fresh(COMPLEX, Origin::Float, span);
                self.parts.push(Relation {
                    part,
                    complex: complex.clone(),
                    span,
                });
                complex
            }
            Ty::Generic(_) => {
                let text = self.show(part);
                self.error(
                    Code::ClassBound,
                    argument,
                    format!("the type of a complex number with parts of type {text} has no name here"),
                    &format!("this is {text}"),
                    "write the function for f32 or f64, or for `T: complex`, whose parts `re` and `im` give",
                );
                Ty::Error
            }
            _ => Ty::Error,
        }
    }

    /// Makes the open relations hold: from what is known by now, then from defaults.
    pub(super) fn settle_parts(&mut self) {
        let mut open = std::mem::take(&mut self.parts);
        loop {
            let before = open.len();
            open.retain(|relation| !self.settle(relation));
            if open.is_empty() {
                return;
            }
            if open.len() == before {
                // Nothing says more: the first takes the default, and others may follow from it.
                let c128 = Ty::Scalar(DType::C128);
                let c64 = Ty::Scalar(DType::C64);
                let complex = &open[0].complex;
                if !self.vars.unify(complex, &c128) && !self.vars.unify(complex, &c64) {
                    open.remove(0);
                }
            }
        }
    }

    /// If one side is known, so is the other.
    fn settle(&mut self, relation: &Relation) -> bool {
        let (part, complex) = (
            self.vars.shallow(&relation.part),
            self.vars.shallow(&relation.complex),
        );
        let want = match (&part, &complex) {
            (_, Ty::Scalar(dtype)) => dtype.part().map_or(Ty::Error, Ty::Scalar),
            (_, Ty::Generic(n)) => Ty::Part(*n),
            (Ty::Scalar(_) | Ty::Part(_) | Ty::Generic(_), Ty::Var(_)) => {
                let want = self.complex_of(&part, relation.span, relation.span);
                self.vars.unify(&complex, &want);
                return true;
            }
            (Ty::Var(_), Ty::Var(_)) => return false,
            _ => return true,
        };
        // f16 parts make a c64: they convert without loss.
        if part == Ty::Scalar(DType::F16) && want == Ty::Scalar(DType::F32) {
            return true;
        }
        if !self.vars.unify(&want, &part) {
            let (have, want, complex) = (self.show(&part), self.show(&want), self.show(&complex));
            self.error(
                Code::Mismatch,
                relation.span,
                format!("the parts of {complex} are {want}, not {have}"),
                &format!("with parts of type {have}"),
                &format!("convert the parts with `as {want}`, or the complex number"),
            );
        }
        true
    }
}
