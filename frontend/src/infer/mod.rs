//! Type inference: unification over one function body at a time.
//!
//! Literals take the type of their context: each starts as a variable that any number (or any float)
//! type can fill. What nothing constrains becomes `i32` or, for floats, `f64`. Values never convert by
//! themselves. Type parameters are opaque types that can do what every member of their class can.

mod call;
mod expr;
mod parts;
mod stmt;
mod unify;

use crate::diagnostic::{Code, Diagnostic};
use crate::hir::{Body, Const, FnId, Function, Literal, Program};
use crate::literal;
use crate::source::{Source, Span};
use crate::types::Ty;
use kjit_ir::{Class, DType};
use unify::Vars;

/// What to do with several values where one is needed.
const TAKE_APART: &str = "take the values apart first: `let (a, b) = ..;`";

/// Infers the bodies of all functions.
pub fn infer_types(program: &mut Program, sources: &[&Source], diagnostics: &mut Vec<Diagnostic>) {
    for n in 0..program.functions.len() {
        let mut body = std::mem::take(&mut program.functions[n].body);
        let function = &program.functions[n];
        let source = sources
            .iter()
            .find(|s| s.file == function.file)
            .expect("bug in kjit: a function without source");
        let context = Context {
            functions: &program.functions,
            consts: &program.consts,
            source,
        };
        infer_body(&mut body, function, context, diagnostics);
        program.functions[n].body = body;
    }
}

/// Infers the body of one function.
pub fn infer_body(
    body: &mut Body,
    function: &Function,
    context: Context<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let before = diagnostics.len();
    let block = std::mem::take(&mut body.block);
    let mut infer = Infer::new(context, &function.generics, diagnostics);
    infer.types = vec![Ty::Error; body.types.len()];
    infer.locals = body.locals.iter().map(|l| l.ty.clone()).collect();
    if function.gufunc.is_some() {
        infer.result = Ty::Unit;
        infer.gufunc_body(&block);
    } else {
        infer.result = function.result_ty();
        infer.function_body(&block);
    }
    let finished = infer.finish();
    finished.store(body);
    body.block = block;
    debug_assert!(
        diagnostics.len() > before || body.types.iter().all(|t| !matches!(t, Ty::Var(_))),
        "bug in kjit: type variables left in {}",
        function.name
    );
}

/// Infers a body that is one expression, of the expected type or of any.
pub fn infer_expr(
    body: &mut Body,
    expected: Option<Ty>,
    consts: &[Const],
    source: &Source,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let context = Context {
        functions: &Vec::new(),
        consts,
        source,
    };
    let block = std::mem::take(&mut body.block);
    let mut infer = Infer::new(context, &[], diagnostics);
    infer.types = vec![Ty::Error; body.types.len()];
    if let Some(tail) = &block.tail {
        let ty = infer.expr(tail);
        if let Some(expected) = expected {
            infer.expect(&expected, &ty, tail.span, "the constant");
        }
    }
    let finished = infer.finish();
    finished.store(body);
    body.block = block;
}

/// The functions that a body can call.
pub trait Callees {
    /// What is known of one: its parameters and results at least.
    fn callee(&self, id: FnId) -> &Function;
}

impl Callees for Vec<Function> {
    fn callee(&self, id: FnId) -> &Function {
        &self[id]
    }
}

/// What a body can see.
#[derive(Clone, Copy)]
pub struct Context<'p> {
    /// Functions.
    pub functions: &'p dyn Callees,
    /// Constants.
    pub consts: &'p [Const],
    /// Its text.
    pub source: &'p Source,
}

/// Inference of one body.
struct Infer<'p, 'b> {
    context: Context<'p>,
    generics: &'p [(String, Class)],
    diagnostics: &'p mut Vec<Diagnostic>,
    vars: Vars<'p>,
    /// Types of the variables.
    locals: Vec<Ty>,
    /// Types of the expressions.
    types: Vec<Ty>,
    /// Type arguments of calls.
    call_generics: Vec<(usize, Vec<Ty>)>,
    /// Complex numbers and their parts, where neither type is known yet.
    parts: Vec<parts::Relation>,
    /// Literals without suffix, to check against the type they get.
    literals: Vec<(&'b Literal, Span, Ty)>,
    /// What `return` must give.
    result: Ty,
}

impl<'p, 'b> Infer<'p, 'b> {
    fn new(
        context: Context<'p>,
        generics: &'p [(String, Class)],
        diagnostics: &'p mut Vec<Diagnostic>,
    ) -> Self {
        Infer {
            context,
            generics,
            diagnostics,
            vars: Vars::new(generics),
            locals: Vec::new(),
            types: Vec::new(),
            call_generics: Vec::new(),
            parts: Vec::new(),
            literals: Vec::new(),
            result: Ty::Error,
        }
    }

    /// Settles every variable and checks the literals.
    fn finish(mut self) -> Finished {
        self.settle_parts();
        for (span, message) in self.vars.default_all() {
            self.diagnostics.push(
                Diagnostic::new(Code::CannotInfer, self.context.source, span, message)
                    .label("type not known")
                    .help("give it a type: `let x: f64 = ..;` or `.. as f64`"),
            );
        }
        let mut generic_literals = Vec::new();
        for (value, span, ty) in std::mem::take(&mut self.literals) {
            match self.vars.resolve(&ty) {
                Ty::Scalar(dtype) => {
                    if let Err(d) = literal::check(value, dtype, self.context.source, span) {
                        self.diagnostics.push(d);
                    }
                }
                ty @ (Ty::Generic(_) | Ty::Part(_)) => {
                    generic_literals.push((value.clone(), span, ty));
                }
                _ => {}
            }
        }
        let vars = &mut self.vars;
        let mut settle =
            |list: Vec<Ty>| -> Vec<Ty> { list.into_iter().map(|ty| vars.resolve(&ty)).collect() };
        Finished {
            types: settle(self.types),
            locals: settle(self.locals),
            generics: self
                .call_generics
                .into_iter()
                .map(|(id, g)| (id, settle(g)))
                .collect(),
            generic_literals,
        }
    }

    fn error(&mut self, code: Code, span: Span, message: String, label: &str, help: &str) {
        let d = Diagnostic::new(code, self.context.source, span, message);
        self.diagnostics.push(d.label(label).help(help));
    }

    /// A type as text.
    fn show(&mut self, ty: &Ty) -> String {
        self.vars.describe(ty)
    }

    /// The user's text of an expression, short and ready to stand before `as`.
    fn operand_text(&self, span: Span) -> String {
        let text = self
            .context
            .source
            .text
            .get(span.start as usize..span.end as usize);
        match text {
            Some(text) if text.len() <= 40 && !text.contains('\n') && !text.is_empty() => {
                let simple = text
                    .chars()
                    .all(|c| c.is_alphanumeric() || "_.".contains(c));
                if simple {
                    text.to_string()
                } else {
                    format!("({text})")
                }
            }
            _ => "(..)".to_string(),
        }
    }

    /// What to do with a complex number where real ones, or integers alone, are needed.
    fn real_part_help(&self, span: Span, integer: Option<DType>) -> String {
        let text = self.operand_text(span);
        match integer {
            Some(to) => format!("take a part of it, as an integer: `re({text}) as {to}`"),
            None => format!("take a part of it: `re({text})`, or its length: `abs({text})`"),
        }
    }

    /// Reports unless `found` agrees with `expected`.
    fn expect(&mut self, expected: &Ty, found: &Ty, span: Span, what: &str) {
        if self.vars.unify(expected, found) {
            return;
        }
        let (want, have) = (self.show(expected), self.show(found));
        let help = self.cast_help(expected, found, span);
        self.error(
            Code::Mismatch,
            span,
            format!("{what} must be {want}, not {have}"),
            &format!("this is {have}"),
            &help,
        );
    }

    /// How to make `found` agree with `expected`.
    fn cast_help(&mut self, expected: &Ty, found: &Ty, span: Span) -> String {
        let (expected, found) = (self.vars.resolve(expected), self.vars.resolve(found));
        let to = self.show(&expected);
        match (&expected, &found) {
            (Ty::Scalar(DType::Bool), f) if f.is_scalar() => {
                format!("compare it: `{} != 0`", self.operand_text(span))
            }
            (Ty::Var(_), f) if f.is_scalar() => "convert one of them with `as`".to_string(),
            (Ty::Scalar(e), f) if !e.is_complex() && self.is_complex(f) => {
                self.real_part_help(span, None)
            }
            (e, f) if e.is_scalar() && f.is_scalar() => {
                format!("convert it: `{} as {to}`", self.operand_text(span))
            }
            (Ty::Tuple(list), f) if f.is_scalar() => {
                format!("give {} values in parentheses", list.len())
            }
            (e, Ty::Tuple(_)) if e.is_scalar() => TAKE_APART.to_string(),
            (e, Ty::Array(..)) if e.is_scalar() => "take one element: `a[i]`".to_string(),
            _ => format!("make it {to}"),
        }
    }
}

/// What inference found out about a body.
struct Finished {
    types: Vec<Ty>,
    locals: Vec<Ty>,
    generics: Vec<(usize, Vec<Ty>)>,
    generic_literals: Vec<(Literal, Span, Ty)>,
}

impl Finished {
    fn store(self, body: &mut Body) {
        body.types = self.types;
        for (local, ty) in body.locals.iter_mut().zip(self.locals) {
            local.ty = ty;
        }
        body.generics = self.generics.into_iter().collect();
        body.generic_literals = self.generic_literals;
    }
}
