//! What is known where, and proofs from it.

use super::form::{Atom, Form, Monomial, quotient};

/// Polynomials known not to be negative, in scopes.
#[derive(Debug, Default)]
pub struct Facts {
    list: Vec<Form>,
}

/// How many facts a proof combines at most.
const DEPTH: u32 = 7;
/// How many combinations a proof tries at most.
const BUDGET: u32 = 600;

impl Facts {
    /// How much is known here, for [`Facts::forget`].
    pub fn mark(&self) -> usize {
        self.list.len()
    }

    /// Back to what was known at a mark.
    pub fn forget(&mut self, mark: usize) {
        self.list.truncate(mark);
    }

    /// From here to the end of the scope `form >= 0`.
    pub fn assume(&mut self, form: Option<Form>) {
        if let Some(form) = form
            && form.as_constant().is_none()
            && !self.list.contains(&form)
        {
            self.list.push(form);
        }
    }

    /// Is `form >= 0` known? A yes is certain; a no may only be a proof not found.
    ///
    /// The form is written as a sum of facts with factors that are not negative, plus a rest whose terms
    /// are not negative each.
    pub fn prove(&self, form: &Form) -> bool {
        self.search(form, &[], DEPTH, &mut { BUDGET })
    }

    /// The same with more facts.
    pub fn prove_with(&self, form: &Form, more: &[Form]) -> bool {
        self.search(form, more, DEPTH, &mut { BUDGET })
    }

    fn search(&self, form: &Form, more: &[Form], depth: u32, budget: &mut u32) -> bool {
        if *budget == 0 {
            return false;
        }
        *budget -= 1;
        // The worst term: products before constants, which everything else may change.
        let bad = form
            .terms()
            .filter(|(m, c)| *c < 0 || !self.is_nonnegative(m))
            .max_by_key(|(m, _)| m.len());
        let Some((monomial, c)) = bad else {
            return true;
        };
        if depth == 0 {
            return false;
        }
        for fact in self.list.iter().chain(more) {
            for (part, f) in fact.terms() {
                if f.signum() != c.signum() || part.is_empty() != monomial.is_empty() {
                    continue;
                }
                let Some(factor) = quotient(monomial, part) else {
                    continue;
                };
                if !self.is_nonnegative(&factor) {
                    continue;
                }
                let g = gcd(f.unsigned_abs(), c.unsigned_abs()) as i128;
                let rest = form
                    .scaled(f.abs() / g)
                    .and_then(|form| form.plus(-(c.abs() / g), &fact.times_monomial(&factor)));
                if rest.is_some_and(|rest| self.search(&rest, more, depth - 1, budget)) {
                    return true;
                }
            }
        }
        false
    }

    fn is_nonnegative(&self, monomial: &Monomial) -> bool {
        monomial.iter().all(|atom| {
            matches!(atom, Atom::Dim(_)) || self.list.iter().any(|fact| at_least_zero(fact, atom))
        })
    }
}

/// Does `fact >= 0` say by itself that the unknown is not negative?
fn at_least_zero(fact: &Form, atom: &Atom) -> bool {
    let mut terms = fact.terms();
    match (terms.next(), terms.next(), terms.next()) {
        (Some((m, c)), None, _) => c > 0 && m.as_slice() == std::slice::from_ref(atom),
        (Some((one, n)), Some((m, c)), None) => {
            one.is_empty() && n <= 0 && c > 0 && m.as_slice() == std::slice::from_ref(atom)
        }
        _ => false,
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}
