//! Resolution of calls: functions of the file, built-in functions, and what is no function.

use super::ItemRef;
use super::body::BodyResolver;
use super::suggest::{did_you_mean, nearest};
use crate::ast;
use crate::builtins;
use crate::diagnostic::Code;
use crate::hir::{Callee, Expr, ExprKind, FnId};
use crate::source::{Span, USER_FILE};
use kjit_ir::DType;
use kjit_ir::host::HostFn;

impl<'a> BodyResolver<'a, '_> {
    /// `name(args)` or `receiver.name(args)`
    pub(super) fn call(
        &mut self,
        name: &'a ast::Ident,
        receiver: Option<&'a ast::Expr>,
        args: &'a [ast::Arg],
    ) -> ExprKind {
        let mut values: Vec<Expr> = receiver.into_iter().map(|r| self.expr(r)).collect();
        // Of an unknown receiver there is nothing more to say.
        let mut wrong = values.iter().any(|v| matches!(v.kind, ExprKind::Error));
        for arg in args {
            if let Some(label) = &arg.name {
                self.error(
                    Code::WrongPlace,
                    label.span,
                    "named arguments are allowed in `main` only",
                )
                .label("named")
                .help("pass the value by position");
                wrong = true;
            }
            values.push(self.expr(&arg.value));
        }
        let callee = self.callee(name);
        match callee {
            Some(callee) if !wrong => ExprKind::Call(callee, values),
            _ => ExprKind::Error,
        }
    }

    fn callee(&mut self, ident: &ast::Ident) -> Option<Callee> {
        let (name, span) = (ident.name.as_str(), ident.span);
        if self.scope.contains_key(name) {
            self.not_a_function(name, span, "a variable");
            return None;
        }
        match self.items.names.get(name) {
            Some(ItemRef::Function(f)) if self.items.is_gufunc(*f) => {
                self.error(
                    Code::WrongPlace,
                    span,
                    format!("`{name}` is a `gufunc`, which `main` calls on arrays"),
                )
                .label("called in a kernel")
                .help("write what both need as a `fn` of numbers");
                return None;
            }
            Some(ItemRef::Function(f)) => {
                self.calls.push((*f, span));
                return Some(Callee::Function(*f));
            }
            Some(ItemRef::Const(_)) => {
                self.not_a_function(name, span, "a constant");
                return None;
            }
            Some(ItemRef::Param(_)) => {
                self.not_a_function(name, span, "a param");
                return None;
            }
            None => {}
        }
        if let Some([single, double]) = self.family(name) {
            self.calls.extend([(single, span), (double, span)]);
            return Some(Callee::Family(single, double));
        }
        if let Some(builtin) = builtins::find(name) {
            return Some(Callee::Builtin(builtin));
        }
        if HostFn::from_name(name).is_some() {
            self.error(
                Code::WrongPlace,
                span,
                format!("`{name}` works on whole arrays and can be called in `main` only"),
            )
            .label("inside a kernel")
            .help("a kernel sees one element at a time: call it in `main`");
            return None;
        }
        if DType::from_name(name).is_some() || self.generics.iter().any(|(g, _)| g == name) {
            self.error(
                Code::NotAFunction,
                span,
                format!("`{name}` is a type, not a function"),
            )
            .label("a type")
            .help(format!("convert with `x as {name}`"));
            return None;
        }
        if name.is_empty() {
            return None; // a syntax error, reported
        }
        let help = builtins::no_fast_form(name)
            .or_else(|| did_you_mean(self.nearest_function(name).as_deref()));
        self.error(
            Code::UnknownName,
            span,
            format!("there is no function `{name}`"),
        )
        .label("not found")
        .help(help.unwrap_or_else(|| format!("define it: `fn {name}(..) -> .. {{ .. }}`")));
        None
    }

    /// The library's functions `name_f32` and `name_f64`, which its generic functions call as `name`.
    fn family(&self, name: &str) -> Option<[FnId; 2]> {
        if self.source.file <= USER_FILE {
            return None;
        }
        let member = |dtype: DType| {
            let item = self.items.names.get(format!("{name}_{dtype}").as_str())?;
            match item {
                ItemRef::Function(f) => Some(*f),
                _ => None,
            }
        };
        Some([member(DType::F32)?, member(DType::F64)?])
    }

    fn nearest_function(&self, name: &str) -> Option<String> {
        let items = self.items.names.iter();
        let mut candidates: Vec<&str> = items
            .filter(|(n, i)| matches!(i, ItemRef::Function(_)) && Some(**n) != self.inside)
            .map(|(n, _)| *n)
            .chain(builtins::names())
            .collect();
        candidates.sort_unstable();
        nearest(name, candidates.into_iter()).map(str::to_string)
    }

    fn not_a_function(&mut self, name: &str, span: Span, what: &str) {
        self.error(
            Code::NotAFunction,
            span,
            format!("`{name}` is {what}, not a function"),
        )
        .label("called")
        .help(format!(
            "remove the parentheses, or multiply with `{name} * (..)`"
        ));
    }
}
