//! Name resolution: items, then constants, then function bodies.

mod body;
mod calls;
mod graph;
mod gufunc;
mod outputs;
pub mod suggest;
mod written_types;

use crate::ast::{self, ItemKind};
use crate::consts;
use crate::diagnostic::{Code, Diagnostic};
use crate::hir::{Const, FnId, Function, Gufunc, Program};
use crate::source::{Source, Span};
use crate::types::Ty;
pub use body::BodyResolver;
use kjit_ir::{Class, DType};
use rustc_hash::FxHashMap;
use suggest::{did_you_mean, nearest};

/// A source text and its tree.
#[derive(Clone, Copy)]
pub struct Unit<'a> {
    /// Text.
    pub source: &'a Source,
    /// Tree.
    pub file: &'a ast::File,
}

/// What the name of an item stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ItemRef {
    /// `ufunc`, `gufunc` or `fn`.
    Function(usize),
    /// `const`.
    Const(usize),
    /// `param`.
    Param(usize),
}

/// The items of a program by kind and by name.
#[derive(Default)]
pub struct Items<'a> {
    /// Name to item.
    pub names: FxHashMap<&'a str, ItemRef>,
    /// `ufunc`s, `gufunc`s and `fn`s.
    pub functions: Vec<(&'a Source, &'a ast::FunctionItem)>,
    /// `const`s.
    pub consts: Vec<(&'a Source, &'a ast::ConstItem)>,
    /// `param`s.
    pub params: Vec<(&'a Source, &'a ast::ConstItem)>,
    /// `main`.
    pub main: Option<(&'a Source, &'a ast::Block, Span)>,
}

impl Items<'_> {
    /// Is it a `gufunc`? (None of the library's functions is, of which only the names may be known.)
    pub fn is_gufunc(&self, function: usize) -> bool {
        let item = self.functions.get(function);
        item.is_some_and(|(_, f)| f.kind == ast::FunctionKind::Gufunc)
    }
}

/// Files the items under their names; duplicates are reported.
pub fn collect_items<'a>(units: &[Unit<'a>], diagnostics: &mut Vec<Diagnostic>) -> Items<'a> {
    let mut items = Items::default();
    let mut places: FxHashMap<&str, (&Source, Span)> = FxHashMap::default();
    for unit in units {
        for item in &unit.file.items {
            let (ident, item_ref) = match &item.kind {
                ItemKind::Function(f) => {
                    items.functions.push((unit.source, f));
                    (&f.name, ItemRef::Function(items.functions.len() - 1))
                }
                ItemKind::Const(c) => {
                    items.consts.push((unit.source, c));
                    (&c.name, ItemRef::Const(items.consts.len() - 1))
                }
                ItemKind::Param(p) => {
                    items.params.push((unit.source, p));
                    (&p.name, ItemRef::Param(items.params.len() - 1))
                }
                ItemKind::Main(block) => {
                    if let Some((source, _, first)) = items.main {
                        let keyword = Span {
                            start: item.span.start,
                            end: item.span.start + 4,
                        };
                        let first = Span {
                            start: first.start,
                            end: first.start + 4,
                        };
                        diagnostics.push(
                            Diagnostic::new(
                                Code::DuplicateName,
                                unit.source,
                                keyword,
                                "the program has two `main` blocks",
                            )
                            .label("second `main`")
                            .note(source.loc(first), "first `main` here")
                            .help("put the statements into one block"),
                        );
                    } else {
                        items.main = Some((unit.source, block, item.span));
                    }
                    continue;
                }
            };
            if ident.name.is_empty() {
                continue; // a syntax error, reported
            }
            if let Some((source, first)) = places.get(ident.name.as_str()) {
                diagnostics.push(duplicate(unit.source, ident, source, *first));
                continue;
            }
            places.insert(&ident.name, (unit.source, ident.span));
            items.names.insert(&ident.name, item_ref);
        }
    }
    items
}

/// Two things of one name.
pub(crate) fn duplicate(
    source: &Source,
    ident: &ast::Ident,
    at: &Source,
    first: Span,
) -> Diagnostic {
    Diagnostic::new(
        Code::DuplicateName,
        source,
        ident.span,
        format!("the name `{}` is defined twice", ident.name),
    )
    .label("defined again")
    .note(at.loc(first), "first defined here")
    .help("give one of them another name")
}

/// Resolves every constant and function. Inference of function bodies comes after it.
pub fn resolve_names(items: &Items<'_>, diagnostics: &mut Vec<Diagnostic>) -> Program {
    let mut program = Program {
        consts: resolve_consts(items, diagnostics),
        ..Program::default()
    };
    let mut calls: Vec<Vec<(FnId, Span)>> = Vec::new();
    for (n, (source, item)) in items.functions.iter().enumerate() {
        let (function, callees) =
            resolve_function(items, &program.consts, source, item, diagnostics);
        if items.names.get(item.name.name.as_str()) == Some(&ItemRef::Function(n)) {
            program.names.insert(function.name.clone(), n);
        }
        program.functions.push(function);
        calls.push(callees);
    }
    for cycle in graph::cycles(&calls) {
        let (first, span) = cycle[0];
        let (source, item) = items.functions[first];
        let names: Vec<&str> = cycle
            .iter()
            .chain(&cycle[..1])
            .map(|(f, _)| items.functions[*f].1.name.name.as_str())
            .collect();
        let message = if cycle.len() == 1 {
            format!("function `{}` calls itself", names[0])
        } else {
            format!(
                "functions call each other in a circle: {}",
                names.join(" -> ")
            )
        };
        diagnostics.push(
            Diagnostic::new(Code::Recursion, source, span, message)
                .label("this call closes the circle")
                .note(source.loc(item.name.span), "the function is defined here")
                .help("kernels cannot recurse: write it as a loop"),
        );
    }
    program
}

/// Resolves and evaluates the constants, each after those it names.
fn resolve_consts(items: &Items<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Const> {
    let mut consts: Vec<Const> = items.consts.iter().map(|_| Const { value: None }).collect();
    let uses: Vec<Vec<(usize, Span)>> = items
        .consts
        .iter()
        .map(|(_, item)| written_types::consts_named(&item.value, &items.names))
        .collect();
    let cycles = graph::cycles(&uses);
    for cycle in &cycles {
        let (first, span) = cycle[0];
        let (source, item) = items.consts[first];
        diagnostics.push(
            Diagnostic::new(
                Code::Recursion,
                source,
                span,
                format!("constant `{}` is defined by itself", item.name.name),
            )
            .label("needs its own value")
            .note(source.loc(item.name.span), "the constant is defined here")
            .help("give it a value that does not depend on it"),
        );
    }
    for n in graph::order(&uses) {
        if cycles.iter().any(|c| c.iter().any(|(m, _)| *m == n)) {
            continue;
        }
        let (source, item) = items.consts[n];
        let mut resolver = BodyResolver::new(items, &consts, source, &[], diagnostics);
        resolver.inside = Some(&item.name.name);
        let expected = item.ty.as_ref().map(|ty| resolver.scalar_type(ty));
        let expr = resolver.expr(&item.value);
        let body = resolver.finish_expr(expr);
        let value = consts::evaluate(body, expected, &consts, source, diagnostics);
        consts[n].value = value;
    }
    consts
}

/// Resolves one function; also says which functions it calls, and where.
pub fn resolve_function<'a>(
    items: &Items<'a>,
    consts: &[Const],
    source: &Source,
    item: &'a ast::FunctionItem,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Function, Vec<(FnId, Span)>) {
    let mistakes = diagnostics.len();
    let mut generics: Vec<(String, Class)> = Vec::new();
    let mut generic_spans: Vec<Span> = Vec::new();
    let mut bad_generics = Vec::new();
    for (name, class) in &item.generics {
        if let Some(first) = generics.iter().position(|(n, _)| *n == name.name) {
            diagnostics.push(duplicate(source, name, source, generic_spans[first]));
        } else if DType::from_name(&name.name).is_some() {
            diagnostics.push(
                Diagnostic::new(
                    Code::DuplicateName,
                    source,
                    name.span,
                    format!("the type parameter `{}` has the name of a dtype", name.name),
                )
                .label("already a type")
                .help("call it `T`"),
            );
        }
        let class = type_class(source, class, diagnostics);
        if class.is_none() {
            bad_generics.push(generics.len());
        }
        generics.push((name.name.clone(), class.unwrap_or(Class::Any)));
        generic_spans.push(name.span);
    }
    let mut resolver = BodyResolver::new(items, consts, source, &generics, diagnostics);
    resolver.inside = Some(&item.name.name);
    resolver.bad_generics = bad_generics;
    let is_gufunc = item.kind == ast::FunctionKind::Gufunc;
    let mut dims = gufunc::Dims::default();
    let mut declared_type = |resolver: &mut BodyResolver<'a, '_>, ty: &'a ast::TypeExpr| {
        if is_gufunc {
            dims.declared_type(resolver, ty)
        } else {
            (resolver.scalar_type(ty), Vec::new())
        }
    };
    let mut seen: FxHashMap<&str, Span> = FxHashMap::default();
    let mut params = Vec::new();
    let mut core_inputs = Vec::new();
    for param in &item.params {
        let (ty, core) = declared_type(&mut resolver, &param.ty);
        if let Some(first) = seen.insert(&param.name.name, param.name.span) {
            resolver.report(duplicate(source, &param.name, source, first));
        }
        params.push((param.name.name.clone(), ty.clone()));
        core_inputs.push(core);
        resolver.declare(&param.name, false, ty);
    }
    let mut outputs = Vec::new();
    let mut core_outputs = Vec::new();
    if !is_gufunc {
        seen.clear();
    }
    for output in &item.outputs {
        let (ty, core) = declared_type(&mut resolver, &output.ty);
        if let Some(name) = &output.name
            && let Some(first) = seen.insert(&name.name, name.span)
        {
            resolver.report(duplicate(source, name, source, first));
        }
        outputs.push((output.name.as_ref().map(|n| n.name.clone()), ty));
        core_outputs.push(core);
    }
    let core = is_gufunc.then(|| {
        let names = resolver.gufunc_variables(item, &outputs, &dims, seen);
        (dims.finish(&mut resolver, core_inputs, core_outputs), names)
    });
    let used = |n: usize| {
        let mut params = params.iter();
        params.any(|(_, ty)| *ty.element() == Ty::Generic(n as u32))
    };
    if item.kind != ast::FunctionKind::Fn
        && let Some(n) = (0..generics.len()).find(|n| !used(*n))
        && !resolver.bad_generics.contains(&n)
        && params.iter().all(|(_, ty)| *ty != Ty::Error)
        && !generics[..n].iter().any(|(name, _)| *name == generics[n].0)
    {
        let name = &generics[n].0;
        resolver.report(
            Diagnostic::new(
                Code::CannotInfer,
                source,
                generic_spans[n],
                format!("no parameter has the type `{name}`, so no call says what it is"),
            )
            .label("never known")
            .help(format!(
                "give a parameter the type `{name}`, or use a dtype instead"
            )),
        );
    }
    if outputs.is_empty() {
        let kind = match item.kind {
            ast::FunctionKind::Ufunc => "ufunc",
            ast::FunctionKind::Gufunc => "gufunc",
            ast::FunctionKind::Fn => "function",
        };
        resolver.report(
            Diagnostic::new(
                Code::MissingValue,
                source,
                item.name.span,
                format!("{kind} `{}` has no result", item.name.name),
            )
            .label("no `-> type` follows")
            .help("name the result's type: `-> f64`"),
        );
        outputs.push((None, Ty::Error));
    }
    let block = resolver.block(&item.body);
    let (body, calls) = resolver.finish(block);
    let gufunc = core.map(|(core, variables)| {
        let uses = outputs::check(source, &body, &variables.outputs, diagnostics, mistakes);
        Gufunc {
            core,
            dims: variables.dims,
            outputs: uses,
        }
    });
    let identity = item
        .identity
        .as_ref()
        .and_then(|expr| identity(source, item, &outputs, expr, diagnostics));
    if let Some(span) = item.reorderable
        && !is_binary(item)
    {
        diagnostics.push(
            Diagnostic::new(
                Code::WrongPlace,
                source,
                span,
                "only a ufunc of two inputs and one output is reorderable",
            )
            .label("not allowed here")
            .help("remove `reorderable`"),
        );
    }
    let function = Function {
        is_ufunc: item.kind == ast::FunctionKind::Ufunc,
        gufunc,
        name: item.name.name.clone(),
        name_span: item.name.span,
        file: source.file,
        params,
        generics,
        outputs,
        fast: item.fast.is_some(),
        identity,
        reorderable: item.reorderable.is_some() || item.identity.is_some(),
        body,
    };
    (function, calls)
}

/// The class of a type parameter; `None` when unknown (and reported).
fn type_class(
    source: &Source,
    name: &ast::Ident,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Class> {
    match Class::from_name(&name.name) {
        Some(class) => Some(class),
        None => {
            let mut d = Diagnostic::new(
                Code::UnknownClass,
                source,
                name.span,
                format!("there is no type class `{}`", name.name),
            )
            .label("unknown class");
            let candidates = Class::ALL.iter().map(|c| c.name());
            d.help = did_you_mean(nearest(&name.name, candidates)).or_else(|| {
                Some(
                    "the classes are `int`, `uint`, `float`, `complex`, `inexact`, `real`, `number` and `any`"
                        .to_string(),
                )
            });
            diagnostics.push(d);
            None
        }
    }
}

/// Can it reduce: two inputs, one output?
fn is_binary(item: &ast::FunctionItem) -> bool {
    item.params.len() == 2 && item.outputs.len() == 1
}

/// The number after `identity`.
fn identity(
    source: &Source,
    item: &ast::FunctionItem,
    outputs: &[(Option<String>, Ty)],
    expr: &ast::Expr,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<f64> {
    if !is_binary(item) {
        diagnostics.push(
            Diagnostic::new(
                Code::WrongPlace,
                source,
                expr.span,
                "only a ufunc of two inputs and one output has an identity",
            )
            .label("not allowed here")
            .help("remove `identity` and its value"),
        );
        return None;
    }
    let value = match &expr.kind {
        ast::ExprKind::Unary(ast::UnaryOp::Neg, inner) => literal(inner).map(|v| -v),
        _ => literal(expr),
    };
    if value.is_none() && !matches!(expr.kind, ast::ExprKind::Error) {
        diagnostics.push(
            Diagnostic::new(
                Code::NotConstant,
                source,
                expr.span,
                "the identity must be a number",
            )
            .label("not a number")
            .help("write a literal such as `0` or `1.0`"),
        );
        return None;
    }
    let is_bool = matches!(expr.kind, ast::ExprKind::Bool(_));
    match outputs {
        [(_, Ty::Scalar(dtype))] if is_bool != (*dtype == DType::Bool) && value.is_some() => {
            let what = if is_bool { "a bool" } else { "a number" };
            diagnostics.push(
                Diagnostic::new(
                    Code::Mismatch,
                    source,
                    expr.span,
                    format!("the identity must be {dtype}, not {what}"),
                )
                .label(format!("this is {what}"))
                .help(if is_bool {
                    "write a number such as `0`"
                } else {
                    "write `true` or `false`"
                }),
            );
            None
        }
        _ => value,
    }
}

fn literal(expr: &ast::Expr) -> Option<f64> {
    match &expr.kind {
        ast::ExprKind::Int(value, _) => Some(*value as f64),
        ast::ExprKind::Float(digits, _) => digits.parse().ok(),
        ast::ExprKind::Bool(value) => Some(f64::from(u8::from(*value))),
        _ => None,
    }
}
