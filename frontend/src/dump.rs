//! The syntax tree as s-expressions, without places: for `kjit emit --stage ast` and for tests.

use crate::ast::{
    Arg, Block, Expr, ExprKind, File, FunctionItem, FunctionKind, IndexArg, ItemKind, Stmt,
    StmtKind, TypeExpr, TypeExprKind, UnaryOp,
};

/// A whole file: one item, statement or tail a line.
pub fn dump(file: &File) -> String {
    let mut out = String::new();
    for item in &file.items {
        match &item.kind {
            ItemKind::Function(function) => dump_function(&mut out, function),
            ItemKind::Const(c) | ItemKind::Param(c) => {
                let keyword = if matches!(item.kind, ItemKind::Const(_)) {
                    "const"
                } else {
                    "param"
                };
                let ty =
                    c.ty.as_ref()
                        .map_or(String::new(), |t| format!(" {}", dump_type(t)));
                out.push_str(&format!(
                    "({keyword} {}{ty} {})",
                    c.name.name,
                    dump_expr(&c.value)
                ));
            }
            ItemKind::Main(block) => {
                out.push_str("(main ");
                dump_block(&mut out, block, 1);
                out.push(')');
            }
        }
        out.push('\n');
    }
    out
}

/// One expression.
pub fn dump_expr(expr: &Expr) -> String {
    let mut out = String::new();
    expression(&mut out, expr, 0);
    out
}

fn dump_function(out: &mut String, function: &FunctionItem) {
    out.push_str(match function.kind {
        FunctionKind::Ufunc => "(ufunc ",
        FunctionKind::Gufunc => "(gufunc ",
        FunctionKind::Fn => "(fn ",
    });
    out.push_str(&function.name.name);
    if !function.generics.is_empty() {
        out.push_str(" (generics");
        for (name, class) in &function.generics {
            out.push_str(&format!(" ({} {})", name.name, class.name));
        }
        out.push(')');
    }
    out.push_str(" (params");
    for param in &function.params {
        out.push_str(&format!(" ({} {})", param.name.name, dump_type(&param.ty)));
    }
    out.push_str(") (outputs");
    for output in &function.outputs {
        match &output.name {
            Some(name) => out.push_str(&format!(" ({} {})", name.name, dump_type(&output.ty))),
            None => out.push_str(&format!(" {}", dump_type(&output.ty))),
        }
    }
    out.push(')');
    if let Some(identity) = &function.identity {
        out.push_str(&format!(" (identity {})", dump_expr(identity)));
    }
    if function.reorderable.is_some() {
        out.push_str(" reorderable");
    }
    if function.fast.is_some() {
        out.push_str(" fast");
    }
    out.push(' ');
    dump_block(out, &function.body, 1);
    out.push(')');
}

fn dump_type(ty: &TypeExpr) -> String {
    match &ty.kind {
        TypeExprKind::Name(name) => name.clone(),
        TypeExprKind::Array(element, extents) => {
            let mut text = format!("[{}", dump_type(element));
            for extent in extents {
                let mark = if extent.optional.is_some() { "?" } else { "" };
                text.push_str(&format!(" {}{mark}", dump_expr(&extent.size)));
            }
            text.push(']');
            text
        }
        TypeExprKind::Error => "<error>".to_string(),
    }
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

fn dump_block(out: &mut String, block: &Block, depth: usize) {
    out.push_str("(block");
    if let ([], Some(tail)) = (&block.stmts[..], &block.tail) {
        out.push(' ');
        expression(out, tail, depth);
    } else {
        for stmt in &block.stmts {
            new_line(out, depth);
            statement(out, stmt, depth);
        }
        if let Some(tail) = &block.tail {
            new_line(out, depth);
            out.push_str("(tail ");
            expression(out, tail, depth + 1);
            out.push(')');
        }
    }
    out.push(')');
}

fn statement(out: &mut String, stmt: &Stmt, depth: usize) {
    match &stmt.kind {
        StmtKind::Let {
            mutable,
            names,
            tuple,
            ty,
            value,
        } => {
            out.push_str(if *mutable { "(let mut " } else { "(let " });
            let names: Vec<&str> = names.iter().map(|n| n.name.as_str()).collect();
            let names = names.join(" ");
            out.push_str(&if *tuple {
                format!("(tuple {names})")
            } else {
                names
            });
            if let Some(ty) = ty {
                out.push_str(&format!(" (type {})", dump_type(ty)));
            }
            out.push(' ');
            expression(out, value, depth + 1);
        }
        StmtKind::Assign { target, op, value } => {
            out.push('(');
            out.push_str(op.map_or("", |op| op.symbol()));
            out.push_str("= ");
            expression(out, target, depth + 1);
            out.push(' ');
            expression(out, value, depth + 1);
        }
        StmtKind::While(condition, body) => {
            out.push_str("(while ");
            expression(out, condition, depth + 1);
            out.push(' ');
            dump_block(out, body, depth + 1);
        }
        StmtKind::Loop(body) => {
            out.push_str("(loop ");
            dump_block(out, body, depth + 1);
        }
        StmtKind::For {
            name,
            start,
            end,
            body,
        } => {
            out.push_str(&format!("(for {} ", name.name));
            expression(out, start, depth + 1);
            out.push(' ');
            expression(out, end, depth + 1);
            out.push(' ');
            dump_block(out, body, depth + 1);
        }
        StmtKind::Break => out.push_str("(break"),
        StmtKind::Continue => out.push_str("(continue"),
        StmtKind::Return(value) => {
            out.push_str("(return");
            if let Some(value) = value {
                out.push(' ');
                expression(out, value, depth + 1);
            }
        }
        StmtKind::Expr(value) => {
            out.push_str("(do ");
            expression(out, value, depth + 1);
        }
    }
    out.push(')');
}

fn list(out: &mut String, exprs: &[Expr], depth: usize) {
    for expr in exprs {
        out.push(' ');
        expression(out, expr, depth);
    }
}

fn arguments(out: &mut String, args: &[Arg], depth: usize) {
    for arg in args {
        out.push(' ');
        if let Some(name) = &arg.name {
            out.push_str(&format!("{}=", name.name));
        }
        expression(out, &arg.value, depth);
    }
}

fn expression(out: &mut String, expr: &Expr, depth: usize) {
    let suffixed = |suffix: &Option<String>| suffix.clone().unwrap_or_default();
    match &expr.kind {
        ExprKind::Int(value, suffix) => {
            return out.push_str(&format!("{value}{}", suffixed(suffix)));
        }
        ExprKind::Float(value, suffix) => {
            // apart from the integer of the same digits
            let point = if value.contains(['.', 'e', 'E']) || suffix.is_some() {
                ""
            } else {
                "."
            };
            return out.push_str(&format!("{value}{point}{}", suffixed(suffix)));
        }
        ExprKind::Bool(value) => return out.push_str(if *value { "true" } else { "false" }),
        ExprKind::Str(value) => return out.push_str(&format!("{value:?}")),
        ExprKind::Name(name) => return out.push_str(name),
        ExprKind::Error => return out.push_str("<error>"),
        ExprKind::Block(block) => return dump_block(out, block, depth),
        ExprKind::Unary(op, operand) => {
            out.push_str(match op {
                UnaryOp::Neg => "(neg ",
                UnaryOp::Not => "(not ",
            });
            expression(out, operand, depth);
        }
        ExprKind::Binary(op, left, right) => {
            out.push_str(&format!("({} ", op.symbol()));
            expression(out, left, depth);
            out.push(' ');
            expression(out, right, depth);
        }
        ExprKind::Cast(operand, ty) => {
            out.push_str("(as ");
            expression(out, operand, depth);
            out.push_str(&format!(" {}", dump_type(ty)));
        }
        ExprKind::Call(name, args) => {
            out.push_str(&format!("(call {}", name.name));
            arguments(out, args, depth);
        }
        ExprKind::Method(receiver, name, args) => {
            out.push_str(&format!("(method {} ", name.name));
            expression(out, receiver, depth);
            arguments(out, args, depth);
        }
        ExprKind::Index(array, indices) => {
            out.push_str("(index ");
            expression(out, array, depth);
            for index in indices {
                out.push(' ');
                match index {
                    IndexArg::At(at) => expression(out, at, depth),
                    IndexArg::Range(start, end, _) => {
                        out.push_str("(..");
                        for bound in [start, end] {
                            out.push(' ');
                            match bound {
                                Some(bound) => expression(out, bound, depth),
                                None => out.push('_'),
                            }
                        }
                        out.push(')');
                    }
                }
            }
        }
        ExprKind::If(condition, then, otherwise) => {
            out.push_str("(if ");
            expression(out, condition, depth);
            out.push(' ');
            dump_block(out, then, depth);
            if let Some(otherwise) = otherwise {
                out.push(' ');
                dump_block(out, otherwise, depth);
            }
        }
        ExprKind::Tuple(elements) => {
            out.push_str("(tuple");
            list(out, elements, depth);
        }
        ExprKind::Array(elements) => {
            out.push_str("(array");
            list(out, elements, depth);
        }
        ExprKind::Repeat(value, length) => {
            out.push_str("(repeat ");
            expression(out, value, depth);
            out.push(' ');
            expression(out, length, depth);
        }
    }
    out.push(')');
}
