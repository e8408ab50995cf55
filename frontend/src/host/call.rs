//! Calls of the host program.

use super::Host;
use crate::ast;
use crate::builtins;
use crate::diagnostic::{Code, Diagnostic};
use crate::resolve::ItemRef;
use crate::resolve::suggest::{did_you_mean, nearest};
use crate::source::Span;
use kjit_ir::DType;
use kjit_ir::host::{HostCallee, HostExpr, HostExprKind, HostFn, UfuncMethod};

/// Functions that have their place in the language and come later.
const RESERVED: &[&str] = &[
    "matmul", "fft", "ifft", "rfft", "irfft", "sort", "argsort", "median", "std", "var",
];

impl<'a> Host<'a, '_> {
    pub(super) fn is_function(&self, name: &str) -> bool {
        HostFn::from_name(name).is_some() || builtins::find(name).is_some()
    }

    pub(super) fn call(
        &mut self,
        name: &'a ast::Ident,
        receiver: Option<&'a ast::Expr>,
        args: &'a [ast::Arg],
        span: Span,
    ) -> HostExpr {
        if self.in_param {
            self.error(
                Code::NotConstant,
                span,
                "the value of a param is a constant expression".to_string(),
                "a call",
                "use literals, constants, earlier params and operators",
            );
            return self.wrong(span);
        }
        if let Some(receiver) = receiver
            && let Some(ufunc) = self.ufunc_name(receiver)
            && let Some(method) = UfuncMethod::from_name(&name.name)
        {
            return self.method(ufunc, receiver.span, method, args, span);
        }
        let count = usize::from(receiver.is_some());
        let count = count + args.iter().filter(|a| a.name.is_none()).count();
        let known = self.named_arguments(&name.name, count);
        let mut positional: Vec<HostExpr> = receiver.into_iter().map(|r| self.expr(r)).collect();
        let mut named: Vec<(&'a ast::Ident, HostExpr)> = Vec::new();
        let mut wrong = false;
        for arg in args {
            match &arg.name {
                None if known.iter().any(|k| k == "dtype") && self.names_dtype(&arg.value) => {
                    // Named, it would be right: it does not count as an argument too many.
                    self.expr(&arg.value);
                    wrong = true;
                }
                None => positional.push(self.expr(&arg.value)),
                // The unknown name is the mistake, not its value.
                Some(label) if !known.contains(&label.name) && self.names_dtype(&arg.value) => {
                    let value = self.wrong(arg.value.span);
                    named.push((label, value));
                }
                Some(label) => {
                    let value = self.named_value(label, &arg.value);
                    named.push((label, value));
                }
            }
        }
        if wrong {
            return self.wrong(span);
        }
        let Some(callee) = self.callee(name, positional.len(), span) else {
            return self.wrong(span);
        };
        self.check_named(&name.name, &known, &named);
        if let HostCallee::Elementwise(_) = callee {
            self.check_dims(&name.name, &named, span);
            self.must_be_numbers(&name.name, &positional);
        }
        let named = named
            .into_iter()
            .map(|(label, value)| (label.name.clone(), value))
            .collect();
        let kind = HostExprKind::Call {
            callee,
            args: positional,
            named,
        };
        HostExpr {
            kind,
            loc: self.source.loc(span),
        }
    }

    /// The named arguments that a call of this name with that many positional arguments takes.
    fn named_arguments(&self, name: &str, n: usize) -> Vec<String> {
        if !self.items.names.contains_key(name)
            && let Some(f) = HostFn::from_name(name)
            && !(builtins::find(name).is_some() && n >= 2)
        {
            return f.named().iter().map(|k| k.to_string()).collect();
        }
        self.call_arguments(name)
    }

    /// Text and tuples are no arguments of element-wise functions.
    pub(super) fn must_be_numbers(&mut self, name: &str, args: &[HostExpr]) {
        for arg in args {
            if let HostExprKind::Str(_) | HostExprKind::Tuple(_) = arg.kind {
                let at = Span {
                    start: arg.loc.start,
                    end: arg.loc.end,
                };
                self.error(
                    Code::Mismatch,
                    at,
                    format!("`{name}` takes numbers or arrays"),
                    "neither",
                    "pass a number or an array",
                );
            }
        }
    }

    /// Is this the name of a type and of nothing else?
    fn names_dtype(&self, e: &ast::Expr) -> bool {
        match &e.kind {
            ast::ExprKind::Name(name) => {
                DType::from_name(name).is_some()
                    && !self.scope.contains_key(name.as_str())
                    && !self.items.names.contains_key(name.as_str())
            }
            _ => false,
        }
    }

    /// The value of a named argument; `dtype` takes the name of a type.
    pub(super) fn named_value(&mut self, label: &ast::Ident, value: &'a ast::Expr) -> HostExpr {
        match label.name.as_str() {
            "dtype" => {}
            "axis" if self.is_none(value) => {
                return HostExpr {
                    kind: HostExprKind::None,
                    loc: self.source.loc(value.span),
                };
            }
            "casting" => {
                let value = self.expr(value);
                self.check_casting(&value);
                return value;
            }
            _ => return self.expr(value),
        }
        let dtype = match &value.kind {
            ast::ExprKind::Name(name) => DType::from_name(name),
            _ => None,
        };
        match dtype {
            Some(dtype) => HostExpr {
                kind: HostExprKind::DType(dtype),
                loc: self.source.loc(value.span),
            },
            None => {
                let help = match &value.kind {
                    ast::ExprKind::Name(name) => {
                        did_you_mean(nearest(name, DType::ALL.iter().map(|d| d.name())))
                    }
                    _ => None,
                };
                let help =
                    help.unwrap_or_else(|| "write a type, such as `dtype = f32`".to_string());
                self.error(
                    Code::UnknownType,
                    value.span,
                    "`dtype` takes the name of a type".to_string(),
                    "not a type",
                    &help,
                );
                self.wrong(value.span)
            }
        }
    }

    /// What is called with that many positional arguments.
    fn callee(&mut self, ident: &ast::Ident, n: usize, span: Span) -> Option<HostCallee> {
        let name = ident.name.as_str();
        if let Some(slot) = self.scope.get(name) {
            if self.function_slots.contains(slot) {
                return None; // said where the function was named
            }
            return self.not_a_function(name, ident.span, "a variable");
        }
        match self.items.names.get(name) {
            Some(ItemRef::Function(id)) => {
                let (_, item) = self.items.functions[*id];
                if item.kind == ast::FunctionKind::Fn {
                    self.error(
                        Code::WrongPlace,
                        ident.span,
                        format!("`{name}` is a `fn`, which only kernels can call"),
                        "called in `main`",
                        "declare it with `ufunc` to call it on arrays",
                    );
                    return None;
                }
                let params: Vec<&str> = item.params.iter().map(|p| p.name.name.as_str()).collect();
                self.check_count(name, (params.len(), params.len()), &params, n, span)?;
                return Some(HostCallee::Elementwise(name.to_string()));
            }
            Some(ItemRef::Const(_)) => return self.not_a_function(name, ident.span, "a constant"),
            Some(ItemRef::Param(_)) => return self.not_a_function(name, ident.span, "a param"),
            None => {}
        }
        let host_fn = HostFn::from_name(name);
        if let Some(builtin) = builtins::find(name)
            && (host_fn.is_none() || n >= 2)
        {
            if builtins::signature(name).is_none() {
                self.error(
                    Code::WrongPlace,
                    ident.span,
                    format!("`{name}` can be called in kernels only"),
                    "called in `main`",
                    "call it in a ufunc",
                );
                return None;
            }
            let params: Vec<&str> = builtin.params.iter().map(|(p, _)| *p).collect();
            let least = if host_fn.is_some() { 1 } else { params.len() };
            self.check_count(name, (least, params.len()), &params, n, span)?;
            return Some(HostCallee::Elementwise(name.to_string()));
        }
        if let Some(f) = host_fn {
            self.check_count(name, f.arity(), &[], n, span)?;
            return Some(HostCallee::Builtin(f));
        }
        if RESERVED.contains(&name) {
            self.error(
                Code::NotSupportedYet,
                ident.span,
                format!("`{name}` is not supported yet"),
                "reserved for a later version",
                "write it with the functions there are",
            );
            return None;
        }
        if DType::from_name(name).is_some() {
            self.error(
                Code::NotAFunction,
                ident.span,
                format!("`{name}` is a type, not a function"),
                "a type",
                &format!("convert with `x as {name}`"),
            );
            return None;
        }
        let mut candidates: Vec<&str> = self
            .items
            .names
            .iter()
            .filter(|(_, i)| matches!(i, ItemRef::Function(_)))
            .map(|(n, _)| *n)
            .chain(HostFn::ALL.iter().map(|f| f.name()))
            .chain(builtins::names())
            .collect();
        candidates.sort_unstable();
        let help = builtins::no_fast_form(name)
            .or_else(|| did_you_mean(nearest(name, candidates.into_iter())))
            .unwrap_or_else(|| format!("define it: `ufunc {name}(..) -> .. {{ .. }}`"));
        let message = format!("there is no function `{name}`");
        self.error(Code::UnknownName, ident.span, message, "not found", &help);
        None
    }

    fn not_a_function(&mut self, name: &str, span: Span, what: &str) -> Option<HostCallee> {
        self.error(
            Code::NotAFunction,
            span,
            format!("`{name}` is {what}, not a function"),
            "called",
            "index arrays with `[..]`, and multiply with `*`",
        );
        None
    }

    pub(super) fn check_count(
        &mut self,
        name: &str,
        (least, most): (usize, usize),
        params: &[&str],
        n: usize,
        span: Span,
    ) -> Option<()> {
        if (least..=most).contains(&n) {
            return Some(());
        }
        let want = if least == most {
            least.to_string()
        } else {
            format!("{least} to {most}")
        };
        let plural = if most == 1 { "" } else { "s" };
        let takes_shape = matches!(name, "zeros" | "ones" | "uniform" | "normal");
        let help = if takes_shape && n > most {
            format!("give the shape in parentheses: `{name}((2, 3))`")
        } else if params.is_empty() {
            HostFn::from_name(name).map_or_else(String::new, |f| lower_first(f.doc()))
        } else {
            format!("call it as `{name}({})`", params.join(", "))
        };
        self.error(
            Code::ArgumentCount,
            span,
            format!("`{name}` takes {want} argument{plural}, not {n}"),
            &format!("{n} given"),
            &help,
        );
        None
    }

    pub(super) fn check_named(
        &mut self,
        name: &str,
        known: &[String],
        named: &[(&'a ast::Ident, HostExpr)],
    ) {
        for (n, (label, _)) in named.iter().enumerate() {
            if let Some((first, _)) = named[..n].iter().find(|(l, _)| l.name == label.name) {
                let d = Diagnostic::new(
                    Code::DuplicateName,
                    self.source,
                    label.span,
                    format!("the argument `{}` is given twice", label.name),
                )
                .label("given again")
                .note(self.source.loc(first.span), "first given here")
                .help("remove one of them");
                self.diagnostics.push(d);
            } else if label.name == "out" && known.iter().any(|k| k == "casting") {
                self.error(
                    Code::UnknownArgument,
                    label.span,
                    "a call in `main` has no argument `out`".to_string(),
                    "arrays are values here",
                    "assign the result: `x = f(..);`, or to a slice: `x[..] = f(..);`",
                );
            } else if !known.contains(&label.name) {
                let list: Vec<String> = known.iter().map(|k| format!("`{k}`")).collect();
                let help = did_you_mean(nearest(&label.name, known.iter().map(String::as_str)))
                    .unwrap_or_else(|| match list.as_slice() {
                        [] => "pass all arguments by position".to_string(),
                        [rest @ .., last] if !rest.is_empty() => {
                            format!("it takes {} and {last}", rest.join(", "))
                        }
                        all => format!("it takes {}", all.join(", ")),
                    });
                self.error(
                    Code::UnknownArgument,
                    label.span,
                    format!("`{name}` has no argument `{}`", label.name),
                    "unknown argument",
                    &help,
                );
            }
        }
    }
}

/// A line of documentation as messages begin and end.
fn lower_first(doc: &str) -> String {
    let mut chars = doc.trim_end_matches('.').chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
