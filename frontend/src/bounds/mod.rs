//! Proofs about indices: a kernel of a gufunc checks an index when it runs only where this finds no proof
//! that it is in bounds.
//!
//! Values of the function under construction are read as polynomials over extents of dimensions, loop
//! counters and values of unknown origin. A loop `for i in lo..hi` says `lo <= i < hi` in its body, a
//! condition says what it compares in the code it guards. Integers wrap, so a value of *n* bits equals its
//! polynomial modulo 2^n; it is the polynomial's value where that is proven to be in range of its dtype.
//! Proofs assume that no extent exceeds [`MAX_EXTENT`].

mod coverage;
mod facts;
mod form;

pub use coverage::{Arm, Coverage, Leave};
pub use facts::Facts;
pub use form::{Atom, Form};
use kjit_ir::host::{CoreSignature, DimExpr};
use kjit_ir::{DType, Function, Imm, Inst, Opcode, Value, ValueDef};

/// No array has a larger extent: addresses have 47 bits.
pub const MAX_EXTENT: i128 = 1 << 47;
/// How many `min`, `max` and selections a proof takes apart.
const MAX_SPLITS: u32 = 4;
/// How many values one question follows.
const FUEL: u32 = 100;

/// What is known at the place where instructions are being appended.
#[derive(Debug, Default)]
pub struct Bounds {
    /// What is known.
    pub facts: Facts,
    /// The extents of the dimensions.
    dims: Vec<Form>,
    /// Extents are bounded: facts that only proofs of ranges need.
    limits: Vec<Form>,
    /// How many values the present question may still follow.
    fuel: u32,
}

impl Bounds {
    /// At the start of a gufunc.
    pub fn new(core: &CoreSignature) -> Bounds {
        let mut bounds = Bounds::default();
        for n in 0..core.dims.len() {
            let form = extent(core, n, &mut bounds.facts);
            bounds.facts.assume(Some(form.clone()));
            let limit = Form::constant(MAX_EXTENT).plus(-1, &form);
            bounds.limits.extend(limit);
            bounds.dims.push(form);
        }
        bounds
    }

    /// The extent of a dimension.
    pub fn extent(&self, dim: usize) -> &Form {
        &self.dims[dim]
    }

    /// Is the index proven to be at least 0 and below the extent of the dimension?
    pub fn in_bounds(&mut self, func: &Function, index: Value, dim: usize) -> bool {
        self.fuel = FUEL;
        let form = self.form(func, index);
        let below = self.dims[dim].offset(-1).plus(-1, &form);
        self.prove(func, &form, MAX_SPLITS)
            && below.is_some_and(|below| self.prove(func, &below, MAX_SPLITS))
    }

    /// Is `form >= 0`? Takes `min`, `max` and `select` apart.
    fn prove(&mut self, func: &Function, form: &Form, splits: u32) -> bool {
        let choice = form.atoms().find_map(|atom| match atom {
            Atom::Value(v) => Some((atom, choice(func, Value(*v))?)),
            _ => None,
        });
        let Some((atom, choice)) = choice.filter(|_| splits > 0) else {
            return self.facts.prove(form);
        };
        let [a, b] = choice.values;
        [(a, b, true), (b, a, false)]
            .into_iter()
            .all(|(taken, other, first)| {
                let mark = self.facts.mark();
                if let Some(condition) = choice.condition {
                    self.assume_more(func, condition, first);
                }
                let is = self.exact(func, taken);
                if choice.condition.is_none() {
                    let other = self.exact(func, other);
                    let sign = if choice.op == Opcode::Max { 1 } else { -1 };
                    let by = is.plus(-1, &other).and_then(|d| d.scaled(sign));
                    self.facts.assume(by);
                }
                let case = form.substitute(atom, &is);
                let proven = case.is_some_and(|case| self.prove(func, &case, splits - 1));
                self.facts.forget(mark);
                proven
            })
    }

    /// In the code that follows in this scope, `condition` has the value `truth`.
    pub fn assume(&mut self, func: &Function, condition: Value, truth: bool) {
        self.fuel = FUEL;
        self.assume_more(func, condition, truth);
    }

    fn assume_more(&mut self, func: &Function, condition: Value, truth: bool) {
        let Some(inst) = definition(func, condition).filter(|_| self.fuel > 0) else {
            return;
        };
        self.fuel -= 1;
        let data = func.inst(inst);
        let (op, args) = (data.op, data.args.clone());
        match (op, truth) {
            (Opcode::And, true) | (Opcode::Or, false) => {
                args.iter().for_each(|a| self.assume_more(func, *a, truth));
            }
            (Opcode::Not, _) => self.assume_more(func, args[0], !truth),
            (Opcode::Lt | Opcode::Le | Opcode::Gt | Opcode::Ge | Opcode::Eq | Opcode::Ne, _)
                if func.ty(args[0]).dtype.is_int() =>
            {
                let (a, b) = (self.exact(func, args[0]), self.exact(func, args[1]));
                let difference = |x: &Form, y: &Form, n| x.plus(-1, y).map(|d| d.offset(n));
                match (op, truth) {
                    (Opcode::Lt, true) | (Opcode::Ge, false) => {
                        self.facts.assume(difference(&b, &a, -1));
                    }
                    (Opcode::Le, true) | (Opcode::Gt, false) => {
                        self.facts.assume(difference(&b, &a, 0));
                    }
                    (Opcode::Gt, true) | (Opcode::Le, false) => {
                        self.facts.assume(difference(&a, &b, -1));
                    }
                    (Opcode::Ge, true) | (Opcode::Lt, false) => {
                        self.facts.assume(difference(&a, &b, 0));
                    }
                    (Opcode::Eq, true) | (Opcode::Ne, false) => {
                        self.facts.assume(difference(&a, &b, 0));
                        self.facts.assume(difference(&b, &a, 0));
                    }
                    // Not equal: says something where one side is known to be a bound.
                    _ => {
                        for (x, y) in [(&a, &b), (&b, &a)] {
                            if difference(x, y, 0).is_some_and(|d| self.facts.prove(&d)) {
                                self.facts.assume(difference(x, y, -1));
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// Enters the body of `for counter in start..end`; gives both bounds.
    pub fn enter_loop(
        &mut self,
        func: &Function,
        counter: Value,
        start: Value,
        end: Value,
    ) -> (Form, Form) {
        self.fuel = FUEL;
        let (lo, hi) = (self.exact(func, start), self.exact(func, end));
        let i = Form::atom(Atom::Value(counter.0));
        if self.prove(func, &lo, MAX_SPLITS) {
            self.facts.assume(Some(i.clone()));
        }
        self.facts.assume(i.plus(-1, &lo));
        self.facts.assume(hi.offset(-1).plus(-1, &i));
        (lo, hi)
    }

    /// The polynomial an index is.
    pub fn read(&mut self, func: &Function, value: Value) -> Form {
        self.fuel = FUEL;
        self.exact(func, value)
    }

    /// The polynomial a value is: exactly, as the integer it holds.
    fn exact(&mut self, func: &Function, value: Value) -> Form {
        let form = self.form(func, value);
        let dtype = func.ty(value).dtype;
        if self.fits(&form, dtype) {
            return form;
        }
        let atom = Form::atom(Atom::Value(value.0));
        if dtype.is_unsigned_int() {
            self.facts.assume(Some(atom.clone()));
        }
        atom
    }

    /// Is it the value of one number of the dtype, not wrapped?
    fn fits(&self, form: &Form, dtype: DType) -> bool {
        let (min, max) = match dtype {
            // Far inside i64, so that sums of few such numbers are too.
            DType::I64 => (-(1 << 62), 1 << 62),
            _ if dtype.is_int() => crate::literal::int_range(dtype),
            _ => return false,
        };
        if let Some(n) = form.as_constant() {
            return (min..=max).contains(&n);
        }
        let above = form.offset(-min);
        let below = Form::constant(max).plus(-1, form);
        self.facts.prove_with(&above, &self.limits)
            && below.is_some_and(|b| self.facts.prove_with(&b, &self.limits))
    }

    /// The polynomial a value is, modulo 2 to the width of its dtype.
    fn form(&mut self, func: &Function, value: Value) -> Form {
        let unknown = || Form::atom(Atom::Value(value.0));
        let dtype = func.ty(value).dtype;
        if !dtype.is_int() || self.fuel == 0 {
            return unknown();
        }
        self.fuel -= 1;
        let Some(inst) = definition(func, value) else {
            return unknown();
        };
        let data = func.inst(inst);
        let args = data.args.clone();
        let found = match (data.op, data.imm) {
            (Opcode::Const, Imm::Const(scalar)) => Some(Form::constant(scalar.as_int())),
            (Opcode::Dim, Imm::Dim(dim)) => Some(self.dims[dim.index()].clone()),
            (Opcode::Add, _) => {
                let a = self.form(func, args[0]);
                a.plus(1, &self.form(func, args[1]))
            }
            (Opcode::Sub, _) => {
                let a = self.form(func, args[0]);
                a.plus(-1, &self.form(func, args[1]))
            }
            (Opcode::Mul, _) => {
                let a = self.form(func, args[0]);
                a.times(&self.form(func, args[1]))
            }
            (Opcode::Neg, _) => self.form(func, args[0]).scaled(-1),
            // Wider or narrower: the same number if it was one and fits.
            (Opcode::Cast, _) if func.ty(args[0]).dtype.is_int() => Some(self.exact(func, args[0])),
            (Opcode::Div, _) => {
                let a = self.exact(func, args[0]);
                let b = self.exact(func, args[1]).as_constant();
                match b.and_then(|b| i64::try_from(b).ok()) {
                    Some(b) if b > 0 && self.facts.prove(&a) => {
                        Some(divided(&a, b, &mut self.facts))
                    }
                    _ => None,
                }
            }
            (Opcode::Rem, _) => {
                let a = self.exact(func, args[0]);
                let b = self.exact(func, args[1]);
                if self.facts.prove(&a) && self.facts.prove(&b.offset(-1)) {
                    let rest = unknown();
                    self.facts.assume(Some(rest.clone()));
                    self.facts.assume(b.offset(-1).plus(-1, &rest));
                    self.facts.assume(a.plus(-1, &rest));
                }
                None
            }
            _ => None,
        };
        found.unwrap_or_else(unknown)
    }
}

/// The instruction that defines a value.
fn definition(func: &Function, value: Value) -> Option<Inst> {
    match func.def(value) {
        ValueDef::Result(inst, _) => Some(inst),
        ValueDef::Param(..) => None,
    }
}

/// A value that is one of two others.
struct Choice {
    op: Opcode,
    values: [Value; 2],
    /// The first if it is true; without one: the smaller or larger.
    condition: Option<Value>,
}

fn choice(func: &Function, value: Value) -> Option<Choice> {
    let ValueDef::Result(inst, n) = func.def(value) else {
        return None;
    };
    let data = func.inst(inst);
    let (values, condition) = match data.op {
        Opcode::Min | Opcode::Max => ([data.args[0], data.args[1]], None),
        Opcode::Select => ([data.args[1], data.args[2]], Some(data.args[0])),
        Opcode::If => {
            let arm = |block| {
                let end = func.inst(func.terminator(block)?);
                let value = end.args.get(n as usize).copied();
                value.filter(|_| end.op == Opcode::Yield)
            };
            let values = [arm(data.blocks[0])?, arm(data.blocks[1])?];
            (values, Some(data.args[0]))
        }
        _ => return None,
    };
    Some(Choice {
        op: data.op,
        values,
        condition,
    })
}

/// `a / n` rounded down, with what follows from it.
fn divided(a: &Form, n: i64, facts: &mut Facts) -> Form {
    if let Some(a) = a.as_constant() {
        return Form::constant(a.div_euclid(i128::from(n)));
    }
    if n == 1 {
        return a.clone();
    }
    let q = Form::atom(Atom::Quotient(Box::new(a.clone()), n));
    let n = i128::from(n);
    facts.assume(a.plus(-n, &q));
    let above = a.scaled(-1).and_then(|a| a.plus(n, &q));
    facts.assume(above.map(|form| form.offset(n - 1)));
    if facts.prove(a) {
        facts.assume(Some(q.clone()));
    }
    q
}

/// The extent of a dimension, as its declaration computes it.
fn extent(core: &CoreSignature, dim: usize, facts: &mut Facts) -> Form {
    let own = Form::atom(Atom::Dim(dim as u32));
    match &core.dims[dim].extent {
        DimExpr::Free => own,
        expr => computed(expr, facts).unwrap_or(own),
    }
}

/// `None`: not followed.
fn computed(expr: &DimExpr, facts: &mut Facts) -> Option<Form> {
    Some(match expr {
        DimExpr::Free => return None,
        DimExpr::Const(n) => Form::constant(i128::from(*n)),
        DimExpr::Dim(n) => Form::atom(Atom::Dim(*n as u32)),
        DimExpr::Add(a, b) => computed(a, facts)?.plus(1, &computed(b, facts)?)?,
        DimExpr::Sub(a, b) => computed(a, facts)?.plus(-1, &computed(b, facts)?)?,
        DimExpr::Mul(a, b) => computed(a, facts)?.times(&computed(b, facts)?)?,
        DimExpr::Div(a, b) => {
            let n = computed(b, facts)?.as_constant()?;
            let n = i64::try_from(n).ok().filter(|n| *n > 0)?;
            divided(&computed(a, facts)?, n, facts)
        }
    })
}
