//! Inference of calls: arguments against parameters, type arguments from both.

use super::unify::Origin;
use super::{Infer, TAKE_APART};
use crate::builtins::{self, Builtin};
use crate::diagnostic::Code;
use crate::hir::{Callee, Expr};
use crate::source::Span;
use crate::types::{DTypeSet, Ty};
use kjit_ir::{Class, DType};

impl<'b> Infer<'_, 'b> {
    pub(super) fn call(&mut self, callee: Callee, args: &'b [Expr], e: &'b Expr) -> Ty {
        let found: Vec<Ty> = args.iter().map(|a| self.value(a)).collect();
        match callee {
            Callee::Function(id) => {
                let function = self.context.functions.callee(id);
                let params: Vec<(&str, Ty)> = function.body_params();
                let classes: Vec<Class> = function.generics.iter().map(|(_, c)| *c).collect();
                let name = function.name.as_str();
                let result = function.result_ty();
                self.check_call(name, &classes, &params, &result, args, &found, e)
            }
            Callee::Family(id, _) => {
                let function = self.context.functions.callee(id);
                let params = function.body_params();
                let params: Vec<(&str, Ty)> =
                    params.iter().map(|(n, t)| (*n, of_family(t))).collect();
                let result = of_family(&function.result_ty());
                let name = function.name.as_str();
                self.check_call(name, &[Class::Float], &params, &result, args, &found, e)
            }
            Callee::Builtin(builtin) => self.builtin(builtin, args, &found, e),
        }
    }

    fn builtin(
        &mut self,
        builtin: &'static Builtin,
        args: &'b [Expr],
        found: &[Ty],
        e: &'b Expr,
    ) -> Ty {
        fn ty(declared: builtins::Ty) -> Ty {
            match declared {
                builtins::Ty::T
                | builtins::Ty::BitsOfT
                | builtins::Ty::PartOfT
                | builtins::Ty::ComplexOfT => Ty::Generic(0),
                builtins::Ty::D(dtype) => Ty::Scalar(dtype),
                builtins::Ty::Pair(first, second) => Ty::Tuple(vec![ty(*first), ty(*second)]),
            }
        }
        let params: Vec<(&str, Ty)> = builtin.params.iter().map(|(n, t)| (*n, ty(*t))).collect();
        let classes: &[Class] = if builtin.is_generic() {
            &[builtin.class]
        } else {
            &[]
        };
        let result = ty(builtin.result);
        let result = self.check_call(builtin.name, classes, &params, &result, args, found, e);
        if result == Ty::Error {
            return result;
        }
        match builtin.result {
            builtins::Ty::BitsOfT => {}
            builtins::Ty::PartOfT => return self.part_of(builtin, &result, args[0].span, e.span),
            builtins::Ty::ComplexOfT => return self.complex_of(&result, args[0].span, e.span),
            builtins::Ty::T | builtins::Ty::D(_) | builtins::Ty::Pair(..) => return result,
        }
        match self.vars.shallow(&result) {
            Ty::Scalar(dtype) => match builtins::bits_of(dtype) {
                Some(bits) => return Ty::Scalar(bits),
                None => self.bits_mismatch(builtin, dtype.name(), args[0].span),
            },
            Ty::Error => {}
            Ty::Generic(_) | Ty::Part(_) => {
                let text = self.show(&result);
                self.bits_mismatch(builtin, &text, args[0].span);
            }
            _ => self.error(
                Code::CannotInfer,
                args[0].span,
                format!(
                    "the type of the argument of `{}` must be known here",
                    builtin.name
                ),
                "type not known",
                "give the literal a suffix, such as `1.0f32`",
            ),
        }
        Ty::Error
    }

    fn bits_mismatch(&mut self, builtin: &Builtin, found: &str, span: Span) {
        let wants = if builtin.class == Class::Float {
            "f16, f32 or f64"
        } else {
            "u16, u32 or u64"
        };
        self.error(
            Code::ClassBound,
            span,
            format!("`{}` takes {wants}, not {found}", builtin.name),
            &format!("this is {found}"),
            &format!("write it for {wants}"),
        );
    }

    #[expect(clippy::too_many_arguments, reason = "a call has that many parts")]
    fn check_call(
        &mut self,
        name: &str,
        classes: &[Class],
        params: &[(&str, Ty)],
        result: &Ty,
        args: &'b [Expr],
        found: &[Ty],
        e: &'b Expr,
    ) -> Ty {
        let vars: Vec<Ty> = classes
            .iter()
            .map(|c| {
                self.vars
                    .fresh(DTypeSet::class(*c), Origin::Parameter, e.span)
            })
            .collect();
        let declared = result;
        let result = substitute(declared, &vars);
        if params.len() != args.len() {
            self.argument_count(name, params, args.len(), e.span);
            // The type arguments may never be known, which is not another mistake.
            for var in &vars {
                self.vars.give_up(var);
            }
            return Ty::Error;
        }
        let mut ok = true;
        let mut result = result;
        for (n, (((param, ty), arg), have)) in params.iter().zip(args).zip(found).enumerate() {
            let want = substitute(ty, &vars);
            let unbound = matches!(self.vars.free(&want), Some((_, Origin::Parameter)));
            if self.vars.unify(&want, have) {
                continue;
            }
            ok = false;
            let text = self.show(have);
            match ty {
                Ty::Generic(n) if unbound => {
                    let class = classes[*n as usize];
                    let help = match class {
                        _ if matches!(self.vars.shallow(have), Ty::Generic(_)) => {
                            format!("bound {text} by the class `{class}`")
                        }
                        _ if matches!(self.vars.shallow(have), Ty::Tuple(_)) => {
                            TAKE_APART.to_string()
                        }
                        Class::Complex => {
                            format!("make it complex: `{} as c64`", self.operand_text(arg.span))
                        }
                        Class::Int if self.is_complex(have) => {
                            self.real_part_help(arg.span, Some(DType::I64))
                        }
                        Class::Uint if self.is_complex(have) => {
                            self.real_part_help(arg.span, Some(DType::U64))
                        }
                        Class::Float | Class::Real if self.is_complex(have) => {
                            self.real_part_help(arg.span, None)
                        }
                        Class::Float | Class::Inexact => {
                            format!("convert it: `{} as f64`", self.operand_text(arg.span))
                        }
                        _ => "convert it with `as`".to_string(),
                    };
                    self.error(
                        Code::ClassBound,
                        arg.span,
                        format!("`{name}` takes types of class `{class}`, and {text} is not one"),
                        &format!("this is {text}"),
                        &help,
                    );
                    self.vars.give_up(&want);
                }
                Ty::Generic(g) if have.is_scalar() && self.vars.shallow(&want).is_scalar() => {
                    let first = params[..n].iter().position(|(_, t)| t == ty).unwrap_or(n);
                    let want = self.vars.shallow(&want);
                    let help = self.operand_help(&want, have, args[first].span, arg.span);
                    let other = params[first].0;
                    let want = self.show(&want);
                    self.error(
                        Code::Mismatch,
                        arg.span,
                        format!(
                            "`{name}` needs `{other}` and `{param}` of one type, not {want} and {text}"
                        ),
                        &format!("this is {text}"),
                        &help,
                    );
                    // Which of the two types was meant is not known.
                    if depends_on(declared, *g) {
                        result = Ty::Error;
                    }
                }
                _ => self.expect(
                    &want,
                    have,
                    arg.span,
                    &format!("argument `{param}` of `{name}`"),
                ),
            }
        }
        if !vars.is_empty() {
            if !ok {
                for var in &vars {
                    self.vars.give_up(var);
                }
            }
            self.call_generics.push((e.id, vars));
        }
        if ok {
            result
        } else {
            self.after_mistake(result)
        }
    }

    /// A wrong call still has its type where that does not depend on the mistake.
    fn after_mistake(&mut self, result: Ty) -> Ty {
        match self.vars.resolve(&result) {
            ty @ Ty::Scalar(_) => ty,
            _ => Ty::Error,
        }
    }

    fn argument_count(&mut self, name: &str, params: &[(&str, Ty)], found: usize, span: Span) {
        let want = params.len();
        let names: Vec<&str> = params.iter().map(|(n, _)| *n).collect();
        let plural = if want == 1 { "" } else { "s" };
        self.error(
            Code::ArgumentCount,
            span,
            format!("`{name}` takes {want} argument{plural}, not {found}"),
            &format!("{found} given"),
            &format!("call it as `{name}({})`", names.join(", ")),
        );
    }
}

/// What a type of a family's f32 member is in the family: the type parameter, where it is f32.
fn of_family(ty: &Ty) -> Ty {
    match ty {
        Ty::Scalar(DType::F32) => Ty::Generic(0),
        Ty::Tuple(list) => Ty::Tuple(list.iter().map(of_family).collect()),
        other => other.clone(),
    }
}

fn depends_on(ty: &Ty, generic: u32) -> bool {
    match ty {
        Ty::Generic(n) => *n == generic,
        Ty::Tuple(list) => list.iter().any(|t| depends_on(t, generic)),
        _ => false,
    }
}

/// The type with other types for the type parameters.
fn substitute(ty: &Ty, vars: &[Ty]) -> Ty {
    match ty {
        Ty::Generic(n) => vars[*n as usize].clone(),
        Ty::Tuple(list) => Ty::Tuple(list.iter().map(|t| substitute(t, vars)).collect()),
        other => other.clone(),
    }
}
