//! Resolution of what a `gufunc` declares: core dimensions, fixed, computed and optional ones.

use super::body::BodyResolver;
use super::{ItemRef, duplicate};
use crate::ast::{self, ExprKind as A};
use crate::diagnostic::Code;
use crate::hir::LocalId;
use crate::source::Span;
use crate::types::Ty;
use kjit_ir::host::{CoreDim, CoreSignature, DimExpr};
use kjit_ir::{BinaryOp, DType, UnaryOp};
use rustc_hash::FxHashMap;

/// The dimensions of a gufunc, in order of first appearance.
#[derive(Default)]
pub(super) struct Dims<'a> {
    list: Vec<Dim<'a>>,
}

struct Dim<'a> {
    /// As written, without blanks.
    text: String,
    size: Size<'a>,
    span: Span,
    optional: bool,
}

/// A size as written, constants folded.
#[derive(Clone, Debug)]
enum Size<'a> {
    Const(i64),
    Name(&'a str, Span),
    Op(BinaryOp, Box<Size<'a>>, Box<Size<'a>>),
}

impl<'a> Size<'a> {
    /// As text, without blanks.
    fn text(&self) -> String {
        match self {
            Size::Const(n) => n.to_string(),
            Size::Name(name, _) => (*name).to_string(),
            Size::Op(op, a, b) => {
                let tightness = |s: &Size<'_>| match s {
                    Size::Op(BinaryOp::Add | BinaryOp::Sub, ..) => 1,
                    Size::Op(..) => 2,
                    _ => 3,
                };
                let wrap = |s: &Size<'_>, least| {
                    if tightness(s) < least {
                        format!("({})", s.text())
                    } else {
                        s.text()
                    }
                };
                let here = tightness(self);
                // `a - (b - c)` and `a * (b / c)` keep their parentheses.
                let right = if *op == BinaryOp::Add { here } else { here + 1 };
                format!("{}{}{}", wrap(a, here), op.symbol(), wrap(b, right))
            }
        }
    }

    fn names(&self, out: &mut Vec<(&'a str, Span)>) {
        match self {
            Size::Const(_) => {}
            Size::Name(name, span) => out.push((name, *span)),
            Size::Op(_, a, b) => {
                a.names(out);
                b.names(out);
            }
        }
    }
}

/// The variables of a gufunc besides its parameters.
pub(super) struct Variables {
    /// One an output.
    pub(super) outputs: Vec<LocalId>,
    /// Variable and dimension.
    pub(super) dims: Vec<(LocalId, usize)>,
}

impl<'a> BodyResolver<'a, '_> {
    /// Declares the variables that stand for outputs and dimensions, after those of the parameters.
    pub(super) fn gufunc_variables(
        &mut self,
        item: &'a ast::FunctionItem,
        outputs: &[(Option<String>, Ty)],
        dims: &Dims<'a>,
        mut seen: FxHashMap<&'a str, Span>,
    ) -> Variables {
        let source = self.source;
        let mut variables = Variables {
            outputs: Vec::new(),
            dims: Vec::new(),
        };
        for (output, (_, ty)) in item.outputs.iter().zip(outputs) {
            let span = output.name.as_ref().map_or(output.ty.span, |n| n.span);
            let name = output.name.as_ref().map_or("", |n| n.name.as_str());
            if name.is_empty() && !matches!(output.ty.kind, ast::TypeExprKind::Error) {
                self.error(
                    Code::MissingValue,
                    span,
                    "the outputs of a gufunc have names",
                )
                .label("an output without a name")
                .help("name it, and assign to it: `-> (y: [f64; n])`");
            }
            let local = self.declare_name(name, span, true, ty.clone());
            variables.outputs.push(local);
        }
        for (name, dim, span) in dims.named() {
            if let Some(first) = seen.insert(name, span) {
                let ident = ast::Ident {
                    name: name.to_string(),
                    span,
                };
                self.report(duplicate(source, &ident, source, first));
                continue;
            }
            let local = self.declare_name(name, span, false, Ty::Scalar(DType::I64));
            variables.dims.push((local, dim));
        }
        for name in dims.unknown() {
            // Reported by `finish`: what the body does with it is no news.
            self.declare_name(name, Span::new(0, 0), false, Ty::Error);
        }
        self.declared.inputs = item.params.len();
        self.declared.outputs = self.declared.inputs + variables.outputs.len();
        self.declared.dims = self.declared.outputs + variables.dims.len();
        variables
    }
}

impl<'a> Dims<'a> {
    /// The type of a parameter or result, and its core dimensions.
    pub(super) fn declared_type(
        &mut self,
        resolver: &mut BodyResolver<'a, '_>,
        ty: &'a ast::TypeExpr,
    ) -> (Ty, Vec<usize>) {
        let ast::TypeExprKind::Array(element, extents) = &ty.kind else {
            return (resolver.scalar_type(ty), Vec::new());
        };
        let element = resolver.scalar_type(element);
        let found: Vec<Option<usize>> = extents.iter().map(|e| self.extent(resolver, e)).collect();
        let core: Vec<usize> = found.iter().copied().flatten().collect();
        if core.len() < found.len() || element == Ty::Error {
            return (Ty::Error, core);
        }
        let text = |d: &usize| {
            let dim = &self.list[*d];
            let mark = if dim.optional { "?" } else { "" };
            format!("{}{mark}", dim.text)
        };
        let names = core.iter().map(text).collect();
        (Ty::Core(Box::new(element), names), core)
    }

    /// The number of a dimension; `None` when it is wrong and has been reported.
    fn extent(
        &mut self,
        resolver: &mut BodyResolver<'a, '_>,
        extent: &'a ast::Extent,
    ) -> Option<usize> {
        let span = extent.size.span;
        let size = size(resolver, &extent.size)?;
        if let Size::Const(n) = size
            && n < 1
        {
            bad(
                resolver,
                span,
                format!("a dimension cannot have the fixed size {n}"),
                "must be at least 1",
                "write a positive number, or a name for a size that arguments give",
            );
            return None;
        }
        if let Some(mark) = extent.optional
            && !matches!(size, Size::Name(..))
        {
            bad(
                resolver,
                mark,
                "only a dimension with a name can be optional".to_string(),
                "not allowed here",
                "remove the `?`",
            );
            return None;
        }
        let text = size.text();
        let optional = extent.optional.is_some();
        let Some(n) = self.list.iter().position(|d| d.text == text) else {
            self.list.push(Dim {
                text,
                size,
                span,
                optional,
            });
            return Some(self.list.len() - 1);
        };
        if self.list[n].optional != optional {
            let first = resolver.source.loc(self.list[n].span);
            resolver
                .error(
                    Code::BadDimension,
                    span,
                    format!("the dimension `{text}` is optional in one place and not in another"),
                )
                .label("differs")
                .note(first, "first written here")
                .help(format!("write `{text}?` everywhere, or nowhere"));
            // Said once.
            self.list[n].optional = optional;
        }
        Some(n)
    }

    /// The names of dimensions that arguments (or the caller) give, with their numbers and places.
    pub(super) fn named(&self) -> Vec<(&'a str, usize, Span)> {
        let named = self.list.iter().enumerate();
        named
            .filter_map(|(n, dim)| match dim.size {
                Size::Name(name, _) => Some((name, n, dim.span)),
                _ => None,
            })
            .collect()
    }

    /// Names in computed sizes that no axis has by itself.
    fn unknown(&self) -> Vec<&'a str> {
        let mut names = Vec::new();
        self.list.iter().for_each(|dim| dim.size.names(&mut names));
        let known = |name: &str| self.list.iter().any(|d| d.text == name);
        names.retain(|(name, _)| !known(name));
        names.into_iter().map(|(name, _)| name).collect()
    }

    /// The core signature of a gufunc whose parameters and results have these dimensions.
    pub(super) fn finish(
        self,
        resolver: &mut BodyResolver<'a, '_>,
        inputs: Vec<Vec<usize>>,
        outputs: Vec<Vec<usize>>,
    ) -> CoreSignature {
        let mut unknown: Vec<&str> = Vec::new();
        for dim in &self.list {
            let mut names = Vec::new();
            if let Size::Op(..) = dim.size {
                dim.size.names(&mut names);
            }
            for (name, span) in names {
                match self.list.iter().find(|d| d.text == name) {
                    None if unknown.contains(&name) => {}
                    None => {
                        unknown.push(name);
                        bad(
                            resolver,
                            span,
                            format!("no parameter or result has the dimension `{name}`"),
                            "its size is known from nothing",
                            &format!("give an array the axis itself: `[f64; {name}]`"),
                        );
                    }
                    Some(d) if d.optional => bad(
                        resolver,
                        span,
                        format!("the dimension `{name}` is optional and cannot be computed with"),
                        "may be missing",
                        &format!("remove the `?` of `{name}`, or write the axis alone"),
                    ),
                    Some(_) => {}
                }
            }
        }
        for (n, dim) in self.list.iter().enumerate() {
            if dim.optional && !inputs.iter().flatten().any(|d| *d == n) {
                bad(
                    resolver,
                    dim.span,
                    format!(
                        "the dimension `{}` is in no input, so it cannot be optional",
                        dim.text
                    ),
                    "no argument can lack it",
                    "remove the `?`",
                );
            }
        }
        let dims = self.list.iter().map(|dim| CoreDim {
            name: dim.text.clone(),
            extent: match &dim.size {
                Size::Name(..) => DimExpr::Free,
                other => self.expr(other),
            },
            optional: dim.optional,
        });
        CoreSignature {
            dims: dims.collect(),
            inputs,
            outputs,
        }
    }

    fn expr(&self, size: &Size<'_>) -> DimExpr {
        match size {
            Size::Const(n) => DimExpr::Const(*n),
            // An unknown name has been reported.
            Size::Name(name, _) => {
                let n = self.list.iter().position(|d| d.text == *name);
                DimExpr::Dim(n.unwrap_or(0))
            }
            Size::Op(op, a, b) => {
                let (a, b) = (Box::new(self.expr(a)), Box::new(self.expr(b)));
                match op {
                    BinaryOp::Add => DimExpr::Add(a, b),
                    BinaryOp::Sub => DimExpr::Sub(a, b),
                    BinaryOp::Mul => DimExpr::Mul(a, b),
                    _ => DimExpr::Div(a, b),
                }
            }
        }
    }
}

fn bad(resolver: &mut BodyResolver<'_, '_>, span: Span, message: String, label: &str, help: &str) {
    resolver
        .error(Code::BadDimension, span, message)
        .label(label)
        .help(help);
}

/// A size as written; `None` when it is wrong and has been reported.
fn size<'a>(resolver: &mut BodyResolver<'a, '_>, e: &'a ast::Expr) -> Option<Size<'a>> {
    match &e.kind {
        A::Int(value, None) => match i64::try_from(*value) {
            Ok(n) => Some(Size::Const(n)),
            Err(_) => {
                let message = "this size is larger than any array".to_string();
                bad(
                    resolver,
                    e.span,
                    message,
                    "too large",
                    "write a smaller number",
                );
                None
            }
        },
        A::Unary(UnaryOp::Neg, inner) => match size(resolver, inner)? {
            Size::Const(n) => Some(Size::Const(n.wrapping_neg())),
            other => Some(Size::Op(
                BinaryOp::Sub,
                Box::new(Size::Const(0)),
                Box::new(other),
            )),
        },
        A::Name(name) => name_size(resolver, name, e.span),
        A::Binary(op @ (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div), a, b) => {
            let (a, b) = (size(resolver, a)?, size(resolver, b)?);
            if *op == BinaryOp::Div && matches!(b, Size::Const(0)) {
                let message = "a dimension cannot be divided by zero".to_string();
                bad(
                    resolver,
                    e.span,
                    message,
                    "by zero",
                    "divide by another number",
                );
                return None;
            }
            let (Size::Const(x), Size::Const(y)) = (&a, &b) else {
                return Some(Size::Op(*op, Box::new(a), Box::new(b)));
            };
            let value = match op {
                BinaryOp::Add => x.checked_add(*y),
                BinaryOp::Sub => x.checked_sub(*y),
                BinaryOp::Mul => x.checked_mul(*y),
                _ => x.checked_div_euclid(*y),
            };
            if value.is_none() {
                let message = "this size is larger than any array".to_string();
                bad(
                    resolver,
                    e.span,
                    message,
                    "too large",
                    "write a smaller number",
                );
            }
            value.map(Size::Const)
        }
        A::Error => None,
        _ => {
            bad(
                resolver,
                e.span,
                "a dimension is a name, a whole number, or `+ - * /` of them".to_string(),
                "something else",
                "write for example `n`, `3` or `n + 1`",
            );
            None
        }
    }
}

fn name_size<'a>(
    resolver: &mut BodyResolver<'a, '_>,
    name: &'a str,
    span: Span,
) -> Option<Size<'a>> {
    if let Some(ItemRef::Const(n)) = resolver.items.names.get(name) {
        // A wrong constant has been reported.
        let value = resolver.consts[*n].value?;
        if !value.dtype().is_int() {
            let message = format!("the constant `{name}` is {}, not an integer", value.dtype());
            bad(resolver, span, message, "not a size", "make it an integer");
            return None;
        }
        return i64::try_from(value.as_int()).ok().map(Size::Const);
    }
    let is_type = DType::from_name(name).is_some() || resolver.generics.iter().any(|g| g.0 == name);
    if is_type || name == "_" {
        let message = if is_type {
            format!("`{name}` is a type, not a dimension")
        } else {
            "a dimension needs a name".to_string()
        };
        bad(
            resolver,
            span,
            message,
            "no dimension",
            "choose a name such as `n`",
        );
        return None;
    }
    Some(Size::Name(name, span))
}
