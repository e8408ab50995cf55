//! Array programs: runs the `main` of a file.
//!
//! The program is a small dynamically typed tree ([`HostProgram`]). Operators and calls on arrays do not
//! compute anything: they build a graph (`value`) with shapes and dtypes settled, and so errors found,
//! at the operator. What needs elements (a reduction, `print`, `save`, a slice) turns the graph into one
//! fused kernel (`fuse`) that the engine runs on its target. `uses` says which variables are stored
//! on the way because several consumers need them.

mod builtins;
mod elementwise;
pub(crate) mod format;
mod fuse;
mod generate;
mod generators;
mod index;
mod limits;
mod params;
mod scalar;
mod ufuncs;
mod uses;
mod value;
mod warnings;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod ufuncs_test;

use crate::engine::Engine;
use crate::{Result, RuntimeError};
use kjit_driver::Program;
use kjit_ir::host::{
    HostCallee, HostExpr, HostExprKind, HostFn, HostIndex, HostParam, HostProgram, HostStmt,
    HostStmtKind,
};
use kjit_ir::{DType, Loc, Scalar};
use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use value::Value;

pub use format::format_array;
pub use generate::generate;

/// How to run a program.
pub struct RunOptions<'a> {
    /// Values for `param` items: name and text, as in `-p n=1e8`.
    pub params: Vec<(String, String)>,
    /// Where `print` goes.
    pub out: &'a mut dyn Write,
    /// Folder that relative paths of `load` and `save` start from; the current one if `None`.
    pub base_dir: Option<PathBuf>,
}

/// Runs the `main` of a program.
///
/// # Errors
/// Whatever goes wrong in the program, with its place in the source.
pub fn run(engine: &Engine, program: &Program, options: RunOptions<'_>) -> Result<()> {
    let Some(host) = program.host() else {
        return Err(RuntimeError::value("the program has no main")
            .help("add one, as in `main { print(1); }`"));
    };
    run_host(engine, program, host, options)
}

/// Runs a host program whose functions are those of `program`.
fn run_host(
    engine: &Engine,
    program: &Program,
    host: &HostProgram,
    options: RunOptions<'_>,
) -> Result<()> {
    let texts = params::overrides(&host.params, &options.params)?;
    let mut evaluator = Evaluator::new(engine, program, host, options.out, options.base_dir);
    for (param, text) in host.params.iter().zip(texts) {
        let value = evaluator.param(param, text)?;
        evaluator.params.push(value);
    }
    let result = evaluator.block(&host.body);
    engine.warn(evaluator.warnings.take());
    result?;
    let mut out = evaluator.out.borrow_mut();
    out.flush().map_err(output_error)
}

/// The state of a running program.
struct Evaluator<'a> {
    engine: &'a Engine,
    program: &'a Program,
    /// The same, for whoever keeps it.
    shared_program: Arc<Program>,
    names: &'a [String],
    slots: Vec<Option<Value>>,
    /// Variables to store when they are first needed.
    shared: Vec<bool>,
    params: Vec<Value>,
    out: RefCell<&'a mut dyn Write>,
    base_dir: Option<PathBuf>,
    /// What kernels have warned of, with the places of the calls.
    warnings: RefCell<Vec<String>>,
}

impl<'a> Evaluator<'a> {
    fn new(
        engine: &'a Engine,
        program: &'a Program,
        host: &'a HostProgram,
        out: &'a mut dyn Write,
        base_dir: Option<PathBuf>,
    ) -> Evaluator<'a> {
        Evaluator {
            engine,
            program,
            shared_program: Arc::new(program.clone()),
            names: &host.slots,
            slots: vec![None; host.slots.len()],
            shared: uses::shared_slots(host, &|name| is_gufunc(program, name)),
            params: Vec::with_capacity(host.params.len()),
            out: RefCell::new(out),
            base_dir,
            warnings: RefCell::default(),
        }
    }

    fn param(&self, param: &HostParam, text: Option<&str>) -> Result<Value> {
        let default = self.expr(&param.default)?;
        params::value(param, default, text)
    }

    fn block(&mut self, stmts: &[HostStmt]) -> Result<()> {
        stmts.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &HostStmt) -> Result<()> {
        match &stmt.kind {
            HostStmtKind::Assign { targets, value } => {
                let value = self.expr(value)?;
                match targets.as_slice() {
                    [slot] => self.assign(*slot, value),
                    _ => {
                        let Value::Tuple(values) = value else {
                            return Err(unpack(targets.len(), &value.describe(), stmt.loc));
                        };
                        if values.len() != targets.len() {
                            return Err(unpack(
                                targets.len(),
                                &format!("{} values", values.len()),
                                stmt.loc,
                            ));
                        }
                        for (slot, value) in targets.iter().zip(values) {
                            self.assign(*slot, value);
                        }
                    }
                }
                Ok(())
            }
            HostStmtKind::AssignIndex {
                target,
                index,
                value,
            } => self.assign_index(*target, index, value, stmt.loc),
            HostStmtKind::For {
                slot,
                start,
                end,
                body,
            } => {
                let rule = "the bounds of a loop are integers";
                let first = self.integer(start, rule)?;
                let last = self.integer(end, rule)?;
                for i in first..last {
                    self.assign(*slot, Value::Int(i as i128));
                    self.block(body)?;
                }
                Ok(())
            }
            HostStmtKind::If {
                condition,
                then_body,
                else_body,
            } => {
                let value = self.expr(condition)?;
                match value {
                    Value::Scalar(s) if s.dtype() == DType::Bool => {
                        self.block(if s.as_bool() { then_body } else { else_body })
                    }
                    value => Err(RuntimeError::dtype(format!(
                        "the condition of if is one bool, not {}",
                        value.describe()
                    ))
                    .help("compare, or reduce the array first, as in min(x) > 0")
                    .at(condition.loc)),
                }
            }
            HostStmtKind::Expr(expr) => self.expr(expr).map(|_| ()),
        }
    }

    fn assign(&mut self, slot: usize, value: Value) {
        if self.shared[slot]
            && let Value::Array(lazy) = &value
        {
            lazy.node.keep.set(true);
        }
        self.slots[slot] = Some(value);
    }

    fn expr(&self, expr: &HostExpr) -> Result<Value> {
        // Chains `a + b + c ..` lean to the left: walk down that spine in a loop, so that a long sum
        // does not need a deep stack.
        let mut spine = Vec::new();
        let mut innermost = expr;
        while let HostExprKind::Binary(op, a, b) = &innermost.kind {
            spine.push((*op, b, innermost.loc));
            innermost = a;
        }
        let mut value = self.simple_expr(innermost)?;
        for (op, b, loc) in spine.into_iter().rev() {
            let b = self.expr(b)?;
            value = self.binary(op, value, b, loc)?;
        }
        Ok(value)
    }

    fn simple_expr(&self, expr: &HostExpr) -> Result<Value> {
        let loc = expr.loc;
        match &expr.kind {
            HostExprKind::Int(n) => Ok(Value::Int(*n)),
            HostExprKind::Float(x) => Ok(Value::Float(*x)),
            HostExprKind::Bool(b) => Ok(Value::Scalar(Scalar::bool(*b))),
            HostExprKind::Str(s) => Ok(Value::Str(s.as_str().into())),
            HostExprKind::DType(d) => Ok(Value::DType(*d)),
            HostExprKind::None => {
                Err(RuntimeError::internal("bug in kjit: none is no value by itself").at(loc))
            }
            HostExprKind::Slot(slot) => self.slots[*slot].clone().ok_or_else(|| {
                RuntimeError::internal(format!(
                    "bug in kjit: {} has no value yet",
                    self.names[*slot]
                ))
                .at(loc)
            }),
            HostExprKind::Param(index) => self.params.get(*index).cloned().ok_or_else(|| {
                RuntimeError::internal("bug in kjit: a param is used before its value is known")
                    .at(loc)
            }),
            HostExprKind::Unary(op, x) => {
                let x = self.expr(x)?;
                self.unary(*op, x, loc)
            }
            HostExprKind::Binary(..) => self.expr(expr),
            HostExprKind::Cast(x, dtype) => {
                let x = self.expr(x)?;
                self.cast(x, *dtype, loc)
            }
            HostExprKind::Call {
                callee,
                args,
                named,
            } => match callee {
                HostCallee::Elementwise(name) if !named.is_empty() || self.is_gufunc(name) => {
                    self.call_ufunc(name, args, named, loc)
                }
                HostCallee::Elementwise(name) => {
                    let args = args
                        .iter()
                        .map(|a| self.expr(a))
                        .collect::<Result<Vec<_>>>()?;
                    self.call_elementwise(name, args, loc)
                }
                HostCallee::Method(name, method) => {
                    self.call_method(name, *method, args, named, loc)
                }
                HostCallee::Builtin(
                    function @ (HostFn::Sum | HostFn::Mean | HostFn::Min | HostFn::Max),
                ) if !named.is_empty() => self.reduce_axes(*function, &args[0], named, loc),
                HostCallee::Builtin(function @ (HostFn::ArgMin | HostFn::ArgMax))
                    if !named.is_empty() =>
                {
                    self.arg_extremes(*function, &args[0], named, loc)
                }
                HostCallee::Builtin(HostFn::CumSum) => {
                    self.reduce_axes(HostFn::CumSum, &args[0], named, loc)
                }
                HostCallee::Builtin(function) => self.call_builtin(*function, args, named, loc),
            },
            HostExprKind::Index(base, index) => {
                let base = self.expr(base)?;
                self.index(base, index, loc)
            }
            HostExprKind::Tuple(list) => Ok(Value::Tuple(
                list.iter()
                    .map(|e| self.expr(e))
                    .collect::<Result<Vec<_>>>()?,
            )),
            HostExprKind::Array(list) => self.array_literal(list, loc),
        }
    }

    fn is_gufunc(&self, name: &str) -> bool {
        is_gufunc(self.program, name)
    }

    /// An integer where the program needs one: literal, param, `len(x)`, or an integer scalar.
    fn integer(&self, expr: &HostExpr, rule: &str) -> Result<i64> {
        let value = self.expr(expr)?;
        integer_value(&value).ok_or_else(|| {
            RuntimeError::dtype(format!("{rule}, not {}", value.describe()))
                .help(match value {
                    Value::Int(_) => "write a number of at most 64 bits",
                    Value::Float(_) => "write it without a fraction or exponent",
                    Value::Scalar(_) => "convert it, as in n as i64",
                    _ => "use one number",
                })
                .at(expr.loc)
        })
    }
}

fn is_gufunc(program: &Program, name: &str) -> bool {
    program.signature(name).is_some_and(|s| s.core.is_some())
}

/// The integer that a value is, if it is one.
fn integer_value(value: &Value) -> Option<i64> {
    match value {
        Value::Int(n) => i64::try_from(*n).ok(),
        Value::Scalar(s) if s.dtype().is_int() => i64::try_from(s.as_int()).ok(),
        _ => None,
    }
}

fn unpack(targets: usize, found: &str, loc: Loc) -> RuntimeError {
    RuntimeError::value(format!("{targets} variables cannot be set from {found}"))
        .help("write as many names as there are values")
        .at(loc)
}

fn output_error(error: std::io::Error) -> RuntimeError {
    RuntimeError::io(format!("cannot write the output: {error}"))
}

/// The indices of a bracket, in source order.
type Indices = [HostIndex];
