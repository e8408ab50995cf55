//! Polynomials with integer coefficients over unknowns: extents, loop counters, other values.

use smallvec::SmallVec;
use std::collections::BTreeMap;

/// An unknown integer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Atom {
    /// The extent of a core dimension: never negative.
    Dim(u32),
    /// A value of the function under construction.
    Value(u32),
    /// A polynomial divided by a positive constant, rounded down.
    Quotient(Box<Form>, i64),
}

/// A product of unknowns, sorted; empty: 1.
pub type Monomial = SmallVec<[Atom; 2]>;

/// Polynomials with more terms are not followed.
const MAX_TERMS: usize = 24;
/// Coefficients beyond it are not followed.
const MAX_COEFFICIENT: i128 = 1 << 80;

/// A sum of products with coefficients other than zero.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Form {
    terms: BTreeMap<Monomial, i128>,
}

impl Form {
    /// A number.
    pub fn constant(n: i128) -> Form {
        let mut form = Form::default();
        form.add_term(Monomial::new(), n);
        form
    }

    /// An unknown.
    pub fn atom(atom: Atom) -> Form {
        let mut form = Form::default();
        form.add_term(SmallVec::from_iter([atom]), 1);
        form
    }

    fn add_term(&mut self, monomial: Monomial, coefficient: i128) {
        let entry = self.terms.entry(monomial);
        match entry {
            std::collections::btree_map::Entry::Vacant(e) => {
                if coefficient != 0 {
                    e.insert(coefficient);
                }
            }
            std::collections::btree_map::Entry::Occupied(mut e) => {
                *e.get_mut() += coefficient;
                if *e.get() == 0 {
                    e.remove();
                }
            }
        }
    }

    /// Not too large to be followed?
    fn checked(self) -> Option<Form> {
        let fits = self.terms.len() <= MAX_TERMS
            && self.terms.values().all(|c| c.abs() <= MAX_COEFFICIENT);
        fits.then_some(self)
    }

    /// `self + factor * other`
    pub fn plus(&self, factor: i128, other: &Form) -> Option<Form> {
        if factor.abs() > MAX_COEFFICIENT {
            return None;
        }
        let mut sum = self.clone();
        for (monomial, c) in &other.terms {
            sum.add_term(monomial.clone(), c.checked_mul(factor)?);
        }
        sum.checked()
    }

    /// `self + n`
    pub fn offset(&self, n: i128) -> Form {
        let mut sum = self.clone();
        sum.add_term(Monomial::new(), n);
        sum
    }

    /// `factor * self`
    pub fn scaled(&self, factor: i128) -> Option<Form> {
        Form::default().plus(factor, self)
    }

    /// `self * monomial`
    pub fn times_monomial(&self, factor: &Monomial) -> Form {
        let terms = self.terms.iter().map(|(m, c)| (product(m, factor), *c));
        Form {
            terms: terms.collect(),
        }
    }

    /// `self * other`
    pub fn times(&self, other: &Form) -> Option<Form> {
        let mut sum = Form::default();
        for (m, c) in &self.terms {
            if m.len() > 3 {
                return None;
            }
            sum = sum.plus(*c, &other.times_monomial(m))?;
        }
        sum.checked()
    }

    /// The number it is, if it is one.
    pub fn as_constant(&self) -> Option<i128> {
        match self.terms.len() {
            0 => Some(0),
            1 => self.terms.get(&Monomial::new()).copied(),
            _ => None,
        }
    }

    /// Its terms.
    pub fn terms(&self) -> impl Iterator<Item = (&Monomial, i128)> {
        self.terms.iter().map(|(m, c)| (m, *c))
    }

    /// Every unknown in it.
    pub fn atoms(&self) -> impl Iterator<Item = &Atom> {
        self.terms.keys().flatten()
    }

    /// `(a, b)` with `self == a * atom + b`; `None` when the unknown is squared.
    pub fn split(&self, atom: &Atom) -> Option<(Form, Form)> {
        let (mut with, mut without) = (Form::default(), Form::default());
        for (monomial, c) in &self.terms {
            match monomial.iter().position(|a| a == atom) {
                None => without.add_term(monomial.clone(), *c),
                Some(p) => {
                    let mut rest = monomial.clone();
                    rest.remove(p);
                    if rest.contains(atom) {
                        return None;
                    }
                    with.add_term(rest, *c);
                }
            }
        }
        Some((with, without))
    }

    /// The polynomial with `by` for an unknown.
    pub fn substitute(&self, atom: &Atom, by: &Form) -> Option<Form> {
        let (with, without) = self.split(atom)?;
        without.plus(1, &with.times(by)?)
    }
}

fn product(a: &Monomial, b: &Monomial) -> Monomial {
    let mut atoms: Monomial = a.iter().chain(b).cloned().collect();
    atoms.sort();
    atoms
}

/// `a / b`, if `b` divides `a`.
pub fn quotient(a: &Monomial, b: &Monomial) -> Option<Monomial> {
    let mut rest = a.clone();
    for atom in b {
        let p = rest.iter().position(|x| x == atom)?;
        rest.remove(p);
    }
    Some(rest)
}
