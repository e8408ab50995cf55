//! Calls of ufuncs and gufuncs with named arguments, and the methods of ufuncs.

use super::Host;
use crate::ast;
use crate::builtins;
use crate::diagnostic::Code;
use crate::resolve::ItemRef;
use crate::resolve::suggest::{did_you_mean, nearest};
use crate::source::Span;
use kjit_ir::host::{
    CALL_ARGUMENTS, CoreSignature, HostCallee, HostExpr, HostExprKind, UfuncMethod,
};

/// Named arguments that only calls of gufuncs take.
const GUFUNC_ARGUMENTS: &[&str] = &["axes", "axis", "keepdims"];

/// The rules of casting, by name.
const CASTINGS: &[&str] = &["no", "equiv", "safe", "same_kind", "unsafe"];

impl<'a> Host<'a, '_> {
    /// The function that an expression names and no variable hides.
    pub(super) fn ufunc_name(&self, e: &'a ast::Expr) -> Option<&'a str> {
        let ast::ExprKind::Name(name) = &e.kind else {
            return None;
        };
        let known = match self.items.names.get(name.as_str()) {
            Some(item) => matches!(item, ItemRef::Function(_)),
            None => builtins::signature(name).is_some(),
        };
        (known && !self.scope.contains_key(name.as_str())).then_some(name)
    }

    /// The named arguments of a call of a ufunc or gufunc; of the latter also the dimensions that only
    /// outputs have.
    pub(super) fn call_arguments(&self, name: &str) -> Vec<String> {
        let core = self.core(name);
        let common = CALL_ARGUMENTS.iter().filter(|a| match **a {
            "out" => false,
            "where" => core.is_none(),
            other => core.is_some() || !GUFUNC_ARGUMENTS.contains(&other),
        });
        let dims = core.into_iter().flat_map(|core| {
            let free = (0..core.dims.len()).filter(|d| core.is_output_only(*d));
            free.map(|d| core.dims[d].name.clone())
        });
        common.map(|a| a.to_string()).chain(dims).collect()
    }

    /// The core dimensions of a gufunc of the file.
    fn core(&self, name: &str) -> Option<&CoreSignature> {
        let id = self.program.names.get(name)?;
        Some(&self.program.functions[*id].gufunc.as_ref()?.core)
    }

    /// Dimensions that only outputs have must be given.
    pub(super) fn check_dims(
        &mut self,
        name: &str,
        named: &[(&'a ast::Ident, HostExpr)],
        span: Span,
    ) {
        let Some(core) = self.core(name) else {
            return;
        };
        let missing = (0..core.dims.len()).find(|d| {
            core.is_output_only(*d) && !named.iter().any(|(l, _)| l.name == core.dims[*d].name)
        });
        let Some(missing) = missing else {
            return;
        };
        let dim = core.dims[missing].name.clone();
        self.error(
            Code::ArgumentCount,
            span,
            format!("no argument of `{name}` says how large {dim} is"),
            &format!("{dim} is not given"),
            &format!("give it by name: `{name}(.., {dim} = 10)`"),
        );
    }

    /// `none`, unless a variable has that name.
    pub(super) fn is_none(&self, e: &ast::Expr) -> bool {
        matches!(&e.kind, ast::ExprKind::Name(name) if name == "none"
            && !self.scope.contains_key("none")
            && !self.items.names.contains_key("none"))
    }

    /// A rule of casting written as text must be one.
    pub(super) fn check_casting(&mut self, value: &HostExpr) {
        let at = Span {
            start: value.loc.start,
            end: value.loc.end,
        };
        match &value.kind {
            HostExprKind::Str(text) if !CASTINGS.contains(&text.as_str()) => {
                let help = did_you_mean(nearest(text, CASTINGS.iter().copied()));
                self.error(
                    Code::Mismatch,
                    at,
                    format!("there is no casting `{text}`"),
                    "unknown rule",
                    &help.unwrap_or_else(|| format!("the rules are {}", CASTINGS.join(", "))),
                );
            }
            HostExprKind::Int(_) | HostExprKind::Float(_) | HostExprKind::Bool(_) => self.error(
                Code::Mismatch,
                at,
                "`casting` is text".to_string(),
                "not text",
                "write a rule such as `casting = \"same_kind\"`",
            ),
            _ => {}
        }
    }

    /// `f.reduce(x, axis = 0)`
    pub(super) fn method(
        &mut self,
        ufunc: &'a str,
        receiver: Span,
        method: UfuncMethod,
        args: &'a [ast::Arg],
        span: Span,
    ) -> HostExpr {
        let mut positional: Vec<HostExpr> = Vec::new();
        let mut named: Vec<(&'a ast::Ident, HostExpr)> = Vec::new();
        for arg in args {
            match &arg.name {
                None => positional.push(self.expr(&arg.value)),
                Some(label) => {
                    let value = self.named_value(label, &arg.value);
                    named.push((label, value));
                }
            }
        }
        let Some((nin, nout)) = self.arity_for_methods(ufunc, receiver) else {
            return self.wrong(span);
        };
        let full = format!("{ufunc}.{}", method.name());
        let fits = match method {
            UfuncMethod::At => nin <= 2 && nout == 1,
            UfuncMethod::Outer => nin == 2,
            _ => nin == 2 && nout == 1,
        };
        if !fits {
            let wants = match method {
                UfuncMethod::At => "one or two inputs and one output",
                UfuncMethod::Outer => "two inputs",
                _ => "two inputs and one output",
            };
            self.error(
                Code::WrongPlace,
                receiver,
                format!("only a ufunc of {wants} has `{}`", method.name()),
                &format!("{} and {}", count(nin, "input"), count(nout, "output")),
                "call it, or write a ufunc of two inputs for the method",
            );
            return self.wrong(span);
        }
        let params: &[&str] = match (method, nin) {
            (UfuncMethod::Reduce | UfuncMethod::Accumulate, _) => &["x"],
            (UfuncMethod::ReduceAt, _) => &["x", "indices"],
            (UfuncMethod::Outer, _) => &["x", "y"],
            (UfuncMethod::At, 1) => &["x", "indices"],
            (UfuncMethod::At, _) => &["x", "indices", "values"],
        };
        let n = positional.len();
        if self
            .check_count(&full, (params.len(), params.len()), params, n, span)
            .is_none()
        {
            return self.wrong(span);
        }
        let known: Vec<String> = method.named().iter().map(|k| k.to_string()).collect();
        self.check_named(&full, &known, &named);
        for (n, arg) in positional.iter().enumerate() {
            match &arg.kind {
                // One array of indices an axis.
                HostExprKind::Tuple(list) if method == UfuncMethod::At && n == 1 => {
                    self.must_be_numbers(&full, list);
                }
                _ => self.must_be_numbers(&full, std::slice::from_ref(arg)),
            }
        }
        let named = named
            .into_iter()
            .map(|(label, value)| (label.name.clone(), value))
            .collect();
        HostExpr {
            kind: HostExprKind::Call {
                callee: HostCallee::Method(ufunc.to_string(), method),
                args: positional,
                named,
            },
            loc: self.source.loc(span),
        }
    }

    /// Numbers of inputs and outputs of a function that has methods.
    fn arity_for_methods(&mut self, name: &str, span: Span) -> Option<(usize, usize)> {
        let Some(ItemRef::Function(id)) = self.items.names.get(name) else {
            return builtins::find(name).map(|b| (b.params.len(), b.result.parts().len()));
        };
        let (_, item) = self.items.functions[*id];
        let what = match item.kind {
            ast::FunctionKind::Ufunc => return Some((item.params.len(), item.outputs.len())),
            ast::FunctionKind::Gufunc => "gufunc",
            ast::FunctionKind::Fn => "fn",
        };
        self.error(
            Code::WrongPlace,
            span,
            format!("`{name}` is a `{what}`, which has no methods"),
            "not a ufunc",
            "only a `ufunc` can be reduced, accumulated and so on",
        );
        None
    }
}

/// `2 inputs`
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
