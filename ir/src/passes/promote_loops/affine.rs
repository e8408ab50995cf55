//! Integers as sums of multiples: of counters, extents, and whatever else.

use crate::{DType, DimRef, Function, FunctionBuilder, Imm, Opcode, Value};

/// What a multiple is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Term {
    /// The counter of promoted loop number `0`.
    Counter(usize),
    /// The extent of a core dimension.
    Extent(DimRef),
    /// Another i64 of the function.
    Value(Value),
}

/// `constant` plus a sum of multiples, modulo 2^64; no term twice, none by 0.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Affine {
    pub constant: i64,
    pub terms: Vec<(Term, i64)>,
}

/// A 32-bit counter stays below this, and so do sums of few of them.
pub(super) const SMALL: i64 = 1 << 20;

/// Operations that an index is looked into.
const MAX_DEPTH: u32 = 10;

impl Affine {
    fn term(term: Term) -> Affine {
        Affine {
            constant: 0,
            terms: vec![(term, 1)],
        }
    }

    /// How many of a term there are.
    pub fn coefficient(&self, term: Term) -> i64 {
        let found = self.terms.iter().find(|(t, _)| *t == term);
        found.map_or(0, |(_, coefficient)| *coefficient)
    }

    /// Adds `factor` times `other`.
    pub fn add(&mut self, other: &Affine, factor: i64) {
        self.constant = self
            .constant
            .wrapping_add(other.constant.wrapping_mul(factor));
        for (term, coefficient) in &other.terms {
            let by = coefficient.wrapping_mul(factor);
            match self.terms.iter_mut().find(|(t, _)| t == term) {
                Some((_, mine)) => *mine = mine.wrapping_add(by),
                None => self.terms.push((*term, by)),
            }
        }
        self.terms.retain(|(_, coefficient)| *coefficient != 0);
    }

    /// Without a term, and how many of it there were.
    pub fn take(&mut self, term: Term) -> i64 {
        let coefficient = self.coefficient(term);
        self.terms.retain(|(t, _)| *t != term);
        coefficient
    }

    fn times(self, factor: i64) -> Affine {
        let mut product = Affine::default();
        product.add(&self, factor);
        product
    }

    /// The value as a sum. `counters` are those of the promoted loops, outermost first.
    pub fn of(func: &Function, value: Value, counters: &[Value]) -> Affine {
        Affine::of_tree(func, value, counters, MAX_DEPTH)
    }

    /// Looks at most `depth` operations deep: a value used twice, over and over, is a tree without end.
    fn of_tree(func: &Function, value: Value, counters: &[Value], depth: u32) -> Affine {
        if let Some(n) = counters.iter().position(|c| *c == value) {
            return Affine::term(Term::Counter(n));
        }
        if let Some(scalar) = func.as_const(value) {
            return Affine {
                constant: scalar.as_int() as i64,
                terms: Vec::new(),
            };
        }
        let opaque = Affine::term(Term::Value(value));
        let Some(inst) = super::definition(func, value).filter(|_| depth > 0) else {
            return opaque;
        };
        let data = func.inst(inst);
        let arg = |n: usize| Affine::of_tree(func, data.args[n], counters, depth - 1);
        match (data.op, data.imm) {
            (Opcode::Dim, Imm::Dim(dim)) => Affine::term(Term::Extent(dim)),
            (Opcode::Add | Opcode::Sub, _) => {
                let mut sum = arg(0);
                sum.add(&arg(1), if data.op == Opcode::Sub { -1 } else { 1 });
                sum
            }
            (Opcode::Neg, _) => arg(0).times(-1),
            (Opcode::Mul, _) => match (arg(0), arg(1)) {
                (a, b) if b.terms.is_empty() => a.times(b.constant),
                (a, b) if a.terms.is_empty() => b.times(a.constant),
                _ => opaque,
            },
            (Opcode::Shl, _) => match arg(1) {
                by if by.terms.is_empty() && (0..32).contains(&by.constant) => {
                    arg(0).times(1 << by.constant)
                }
                _ => opaque,
            },
            (Opcode::Cast, _) if func.ty(data.args[0]).dtype == DType::I32 => {
                let inner = arg(0);
                // Sums of few and small numbers do not wrap at 32 bits.
                let small = |c: i64| (-64..=64).contains(&c);
                let counted = |t: &(Term, i64)| matches!(t.0, Term::Counter(_)) && small(t.1);
                let few = inner.terms.len() <= 4 && inner.terms.iter().all(counted);
                if few && (-SMALL..SMALL).contains(&inner.constant) {
                    inner
                } else {
                    opaque
                }
            }
            _ => opaque,
        }
    }

    /// Writes the sum (an i64), without counters: those have been taken.
    pub fn emit(&self, b: &mut FunctionBuilder) -> Value {
        let mut sum = None;
        for (term, coefficient) in &self.terms {
            let value = match term {
                Term::Extent(dim) => b.extent(*dim),
                Term::Value(value) => *value,
                Term::Counter(_) => panic!("bug in kjit: a counter left in an index"),
            };
            let (op, factor) = match (sum, *coefficient) {
                (Some(_), -1) => (Opcode::Sub, 1),
                (_, factor) => (Opcode::Add, factor),
            };
            let part = if factor == 1 {
                value
            } else {
                let factor = b.int(DType::I64, factor as i128);
                b.binary(Opcode::Mul, value, factor)
            };
            sum = Some(match sum {
                Some(sum) => b.binary(op, sum, part),
                None => part,
            });
        }
        match sum {
            Some(sum) if self.constant == 0 => sum,
            Some(sum) => {
                let constant = b.int(DType::I64, self.constant as i128);
                b.binary(Opcode::Add, sum, constant)
            }
            None => b.int(DType::I64, self.constant as i128),
        }
    }
}
