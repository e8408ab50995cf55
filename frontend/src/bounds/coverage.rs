//! Is every element of an output written?
//!
//! While a gufunc is lowered, every write that surely happens is noted with the `for` loops around it.
//! Each then stands for a box of indices, and the boxes must cover the array. Writes in code that may be
//! left out (an arm of an `if` whose other arm does not write the same, a `while`, what follows a
//! `continue`) do not count.

use super::form::{Atom, Form};
use super::{Bounds, Facts};
use kjit_ir::Value;

/// Writes seen so far, by place.
#[derive(Debug)]
pub struct Coverage {
    contexts: Vec<Context>,
    nest: Vec<Loop>,
}

/// Code that runs as a whole, or not.
#[derive(Debug, Default)]
struct Context {
    writes: Vec<Write>,
    is_loop: bool,
    /// Something left it: what follows may not run.
    left: bool,
    /// A loop that may end early, or that is no `for`: its writes say nothing.
    partial: bool,
}

#[derive(Clone, PartialEq, Debug)]
struct Loop {
    counter: Atom,
    start: Form,
    end: Form,
}

#[derive(Clone, PartialEq, Debug)]
struct Write {
    output: usize,
    index: Vec<Form>,
    nest: Vec<Loop>,
}

/// How control leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `return`
    Return,
}

/// `first <= index < last`, one an axis.
type Range = (Form, Form);

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage {
            contexts: vec![Context::default()],
            nest: Vec::new(),
        }
    }
}

impl Coverage {
    /// An element is written here.
    pub fn write(&mut self, output: usize, index: Vec<Form>) {
        if self.contexts.iter().any(|c| c.left) {
            return;
        }
        let nest = self.nest.clone();
        if let Some(context) = self.contexts.last_mut() {
            context.writes.push(Write {
                output,
                index,
                nest,
            });
        }
    }

    /// Enters the body of a `for`.
    pub fn enter_for(&mut self, counter: Value, (start, end): (Form, Form)) {
        self.nest.push(Loop {
            counter: Atom::Value(counter.0),
            start,
            end,
        });
        self.contexts.push(Context {
            is_loop: true,
            ..Context::default()
        });
    }

    /// Leaves the body of a `for`.
    pub fn leave_for(&mut self) {
        self.nest.pop();
        self.leave_loop();
    }

    /// Enters the body of another loop.
    pub fn enter_loop(&mut self) {
        self.contexts.push(Context {
            is_loop: true,
            partial: true,
            ..Context::default()
        });
    }

    /// Leaves the body of a loop.
    pub fn leave_loop(&mut self) {
        let Some(context) = self.contexts.pop() else {
            return;
        };
        if let Some(outer) = self.contexts.last_mut()
            && !context.partial
        {
            outer.writes.extend(context.writes);
        }
    }

    /// Enters an arm of an `if`.
    pub fn enter_arm(&mut self) {
        self.contexts.push(Context::default());
    }

    /// Leaves an arm; gives what [`Coverage::join`] takes.
    pub fn leave_arm(&mut self) -> Arm {
        Arm(self.contexts.pop().unwrap_or_default().writes)
    }

    /// After an `if`: what both arms write is written.
    pub fn join(&mut self, a: Arm, b: Arm) {
        if let Some(context) = self.contexts.last_mut() {
            let both = a.0.into_iter().filter(|write| b.0.contains(write));
            context.writes.extend(both);
        }
    }

    /// Control may leave here.
    pub fn leave(&mut self, how: Leave) {
        for context in self.contexts.iter_mut().rev() {
            context.left |= how != Leave::Break || !context.is_loop;
            if context.is_loop {
                context.partial |= how != Leave::Continue;
                context.left |= how == Leave::Break;
                if how != Leave::Return {
                    break;
                }
            }
        }
    }

    /// Is every element of the output written, whose axes have these extents?
    pub fn is_complete(&self, output: usize, extents: &[Form], bounds: &Bounds) -> bool {
        let writes = &self.contexts[0].writes;
        let boxes = writes.iter().filter(|w| w.output == output);
        let boxes: Vec<Vec<Range>> = boxes.filter_map(|w| region(w, &bounds.facts)).collect();
        let boxes: Vec<&[Range]> = boxes.iter().map(Vec::as_slice).collect();
        covers(&boxes, extents, &bounds.facts)
    }
}

/// What an arm of an `if` writes.
pub struct Arm(Vec<Write>);

/// Does it depend on extents alone?
fn is_fixed(form: &Form) -> bool {
    form.atoms().all(|atom| match atom {
        Atom::Dim(_) => true,
        Atom::Quotient(inner, _) => is_fixed(inner),
        Atom::Value(_) => false,
    })
}

/// The box of indices that a write in its loops reaches.
fn region(write: &Write, facts: &Facts) -> Option<Vec<Range>> {
    let mut used = vec![false; write.nest.len()];
    let mut ranges = Vec::new();
    for form in &write.index {
        ranges.push(range(form, &write.nest, &mut used)?);
    }
    // Another loop around it must run at least once.
    for (open, used) in write.nest.iter().zip(used) {
        let runs = is_fixed(&open.start)
            && is_fixed(&open.end)
            && open
                .end
                .offset(-1)
                .plus(-1, &open.start)
                .is_some_and(|n| facts.prove(&n));
        if !used && !runs {
            return None;
        }
    }
    Some(ranges)
}

/// The interval that an index runs through, without gaps, as the loops not used yet run.
fn range(index: &Form, nest: &[Loop], used: &mut [bool]) -> Option<Range> {
    let mut rest = index.clone();
    let mut steps: Vec<(usize, Form)> = Vec::new();
    for (n, open) in nest.iter().enumerate() {
        let (step, without) = rest.split(&open.counter)?;
        if step == Form::default() {
            continue;
        }
        if used[n] || !is_fixed(&step) || !is_fixed(&open.start) || !is_fixed(&open.end) {
            return None;
        }
        used[n] = true;
        steps.push((n, step));
        rest = without;
    }
    if !is_fixed(&rest) {
        return None;
    }
    let one = Form::constant(1);
    match steps.as_slice() {
        [] => Some((rest.clone(), rest.offset(1))),
        [(n, step)] if *step == one => {
            Some((rest.plus(1, &nest[*n].start)?, rest.plus(1, &nest[*n].end)?))
        }
        // Backwards: `n - 1 - i`.
        [(n, step)] if step.as_constant() == Some(-1) => {
            let first = rest.plus(-1, &nest[*n].end)?.offset(1);
            Some((first, rest.plus(-1, &nest[*n].start)?.offset(1)))
        }
        // Digits of a number: `i * m + j` with `j` in `0..m`.
        _ => {
            let mut step = one;
            while !steps.is_empty() {
                let at = steps.iter().position(|(_, s)| *s == step)?;
                let (n, _) = steps.remove(at);
                if nest[n].start != Form::default() {
                    return None;
                }
                step = step.times(&nest[n].end)?;
            }
            Some((rest.clone(), rest.plus(1, &step)?))
        }
    }
}

/// Do the boxes cover `0..extent` of every axis?
fn covers(boxes: &[&[Range]], extents: &[Form], facts: &Facts) -> bool {
    let Some((extent, inner)) = extents.split_first() else {
        return !boxes.is_empty();
    };
    let at_least = |a: &Form, b: &Form| a.plus(-1, b).is_some_and(|d| facts.prove(&d));
    // Slabs of the first axis in which the boxes cover the other axes.
    let mut slabs: Vec<&Range> = Vec::new();
    for slab in boxes.iter().map(|b| &b[0]) {
        if slabs.contains(&slab) {
            continue;
        }
        let within = boxes
            .iter()
            .filter(|b| at_least(&slab.0, &b[0].0) && at_least(&b[0].1, &slab.1));
        let within: Vec<&[Range]> = within.map(|b| &b[1..]).collect();
        if covers(&within, inner, facts) {
            slabs.push(slab);
        }
    }
    // Everything below the largest of these is covered. A slab that starts there or before extends it;
    // an empty one ends before it starts, which is as true.
    let mut reached = vec![Form::default()];
    loop {
        if reached.iter().any(|r| at_least(r, extent)) {
            return true;
        }
        let next = slabs
            .iter()
            .position(|slab| reached.iter().any(|r| at_least(r, &slab.0)));
        match next {
            Some(n) => reached.push(slabs.remove(n).1.clone()),
            None => return false,
        }
    }
}
