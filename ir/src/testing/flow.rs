//! Control flow of random functions: `if`s, loops, and the ways out of them.

use super::{Generator, random_scalar};
use crate::opcode::Rule;
use crate::{Block, DType, Imm, Opcode, Value};

/// A loop being generated.
pub(super) struct Loop {
    counter: Value,
    /// Dtypes, and which of the values are to be uniform at every `continue`.
    carried: Vec<(DType, bool)>,
    results: Vec<DType>,
    /// Its exit test is at the end, so that going round it would be a way not to end.
    tested_late: bool,
    /// Lanes should leave it together: no `break` under conditions that differ.
    left_together: bool,
    /// How many `if`s with conditions that differ are open inside.
    differing: u32,
    /// Is there a `break`?
    has_break: bool,
}

/// When a loop whose counter goes up from zero ends.
#[derive(Clone, Copy)]
enum Limit {
    /// When the counter is not less.
    Below(Value),
    /// When the counter is equal: control comes only with small numbers.
    Exactly(Value),
}

impl<R: FnMut() -> u32> Generator<'_, R> {
    /// Writes into a new block.
    fn in_block<T>(&mut self, block: Block, write: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.builder.block();
        let (visible, trace) = (self.scope.len(), self.trace);
        self.builder.switch_to(block);
        let result = write(self);
        self.builder.switch_to(outer);
        self.scope.truncate(visible);
        self.trace = trace;
        result
    }

    /// A bool, often one that is the same for all elements, and more often one that is not.
    fn condition(&mut self) -> Value {
        let uniform = self.pick(5) < 2;
        self.condition_of(uniform)
    }

    fn condition_of(&mut self, uniform: bool) -> Value {
        let fits = |v: &Value| self.is_uniform(*v) == uniform;
        let known: Vec<Value> = self.scope.iter().copied().filter(fits).collect();
        if known.is_empty() || self.options.without.contains(&Opcode::Lt) {
            return self.value_of(DType::Bool, uniform);
        }
        let n = known.len() as u32;
        let a = known[self.pick(n).max(self.pick(n)) as usize];
        let dtype = self.builder.func.ty(a).dtype;
        if dtype == DType::Bool {
            return a;
        }
        let mut b = self.value_of(dtype, uniform);
        if b == a {
            let scalar = random_scalar(self.next, dtype);
            b = self.builder.constant(scalar);
        }
        let args = if self.pick(2) == 0 { [a, b] } else { [b, a] };
        let value = self.builder.op(Opcode::Lt, &args, None);
        if uniform {
            self.mark_uniform(value);
        }
        self.scope.push(value);
        value
    }

    pub(super) fn if_(&mut self, depth: u32) -> bool {
        let condition = self.condition();
        let results = self.dtypes(2);
        let arms = [self.builder.func.new_block(), self.builder.func.new_block()];
        let differing = u32::from(!self.is_uniform(condition));
        if let Some(innermost) = self.loops.last_mut() {
            innermost.differing += differing;
        }
        let falls = arms.map(|arm| self.in_block(arm, |g| g.arm(depth + 1, &results)));
        if let Some(innermost) = self.loops.last_mut() {
            innermost.differing -= differing;
        }
        let types = self.types_with_trace(&results);
        let inst = self
            .builder
            .push(Opcode::If, &[condition], Imm::None, &arms, &types);
        if falls == [false, false] {
            self.builder
                .push(Opcode::Unreachable, &[], Imm::None, &[], &[]);
            return true;
        }
        self.take_results(inst);
        false
    }

    /// An `if` under a rare condition, with an arm long enough to be run lane by lane.
    pub(super) fn rare_if(&mut self) {
        let condition = self.condition_of(false);
        let condition = self.builder.unary(Opcode::Rare, condition);
        let dtype = self.dtype();
        let steps: Vec<Opcode> = Opcode::ALL
            .iter()
            .copied()
            .filter(|op| op.rule() == Rule::Same && op.arity() == Some(2))
            .filter(|op| op.domain().contains(dtype) && !self.options.without.contains(op))
            .collect();
        if steps.is_empty() {
            return;
        }
        let arms = [self.builder.func.new_block(), self.builder.func.new_block()];
        self.in_block(arms[0], |g| {
            let mut value = g.value(dtype);
            for _ in 0..120 {
                let op = steps[g.pick(steps.len() as u32) as usize];
                let other = g.value(dtype);
                value = g.builder.op(op, &[value, other], None);
            }
            let trace = g.with_trace(vec![value]);
            g.builder.yield_(&trace);
        });
        self.in_block(arms[1], |g| {
            let value = g.value(dtype);
            let trace = g.with_trace(vec![value]);
            g.builder.yield_(&trace);
        });
        let types = self.types_with_trace(&[dtype]);
        let inst = self
            .builder
            .push(Opcode::If, &[condition], Imm::None, &arms, &types);
        self.take_results(inst);
    }

    /// An arm of an `if`; true if it falls through.
    fn arm(&mut self, depth: u32, results: &[DType]) -> bool {
        if self.statements(0, depth) {
            return false;
        }
        // What stands behind a `return` is seldom reached, so there are few.
        let often = if self.loops.is_empty() { 16 } else { 5 };
        if self.pick(often) < 2 && self.leave() {
            return false;
        }
        let values = self.values(results);
        let values = self.with_trace(values);
        self.builder.yield_(&values);
        true
    }

    fn break_or_return(&mut self) {
        if self.loops.is_empty() {
            self.return_();
        } else {
            self.break_();
        }
    }

    /// Ends the block with a `continue`, `break` or `return`, if one is possible here.
    fn leave(&mut self) -> bool {
        let (may_continue, may_break) = match self.loops.last() {
            Some(l) => (!l.tested_late, !l.left_together || l.differing == 0),
            None => (false, false),
        };
        match self.pick(7) {
            0..=3 if may_continue => self.continue_(),
            0..=5 if may_break => self.break_(),
            _ if self.options.returns => self.return_(),
            _ => return false,
        }
        true
    }

    fn break_(&mut self) {
        let at = self.loops.len() - 1;
        self.loops[at].has_break = true;
        let results = self.loops[at].results.clone();
        let values = self.values(&results);
        let values = self.with_trace(values);
        self.builder.break_(&values);
    }

    fn continue_(&mut self) {
        let innermost = &self.loops[self.loops.len() - 1];
        let (counter, carried) = (innermost.counter, innermost.carried.clone());
        let one = self.builder.int(DType::I32, 1);
        let mut values = vec![self.builder.binary(Opcode::Add, counter, one)];
        for (dtype, uniform) in carried {
            values.push(self.value_of(dtype, uniform));
        }
        let values = self.with_trace(values);
        self.builder.continue_(&values);
    }

    /// A loop; true if control cannot leave it but by `return`.
    pub(super) fn loop_(&mut self, depth: u32) -> bool {
        let may_leave = match self.loops.is_empty() {
            true => self.options.returns && self.pick(4) == 0,
            false => true,
        };
        let limit = match self.pick(6) {
            3..=4 if !self.core.is_empty() => match self.core_extent() {
                Some(extent) => Limit::Below(extent),
                None => return false,
            },
            0..=1 if may_leave => self.walled(),
            0..=2 => {
                let trips = 2 + self.pick(4) as i128;
                Limit::Below(self.builder.int(DType::I32, trips))
            }
            kind => {
                let value = self.value_of(DType::I32, kind != 3);
                let seven = self.builder.int(DType::I32, 7);
                Limit::Below(self.builder.binary(Opcode::And, value, seven))
            }
        };
        self.loop_until(depth, limit)
    }

    /// Control goes on only with a small number, which is given: anything that a pass made up in its place
    /// would let a loop run for very long.
    fn walled(&mut self) -> Limit {
        let uniform = self.pick(3) != 0;
        let number = match self.number {
            // Counters are the latest values, and always small.
            Some(number) if uniform => number,
            _ => self.value_of(DType::I32, uniform),
        };
        let high = self.builder.int(DType::I32, !7);
        let high = self.builder.binary(Opcode::And, number, high);
        let zero = self.builder.int(DType::I32, 0);
        let small = self.builder.binary(Opcode::Eq, high, zero);
        let arms = [self.builder.func.new_block(), self.builder.func.new_block()];
        self.in_block(arms[0], |g| {
            let values = g.with_trace(Vec::new());
            g.builder.yield_(&values);
        });
        self.in_block(arms[1], |g| {
            if !g.leave() {
                g.break_or_return();
            }
        });
        let types = self.types_with_trace(&[]);
        let inst = self
            .builder
            .push(Opcode::If, &[small], Imm::None, &arms, &types);
        self.take_results(inst);
        Limit::Exactly(number)
    }

    fn loop_until(&mut self, depth: u32, limit: Limit) -> bool {
        let carried: Vec<(DType, bool)> = (0..self.pick(4))
            .map(|_| (self.dtype(), self.pick(2) == 0))
            .collect();
        let results = self.dtypes(2);
        let mut initial = vec![self.builder.int(DType::I32, 0)];
        for &(dtype, uniform) in &carried {
            initial.push(self.value_of(dtype, uniform));
        }
        initial.extend(self.trace);
        let tested_late = self.pick(4) == 0;
        let left_together = self.pick(2) == 0;
        let body = self.builder.func.new_block();
        let counter = self.builder.func.new_param(body, DType::I32.into());
        self.loops.push(Loop {
            counter,
            carried: carried.clone(),
            results: results.clone(),
            tested_late,
            left_together,
            differing: 0,
            has_break: false,
        });
        self.in_block(body, |g| {
            g.mark_uniform(counter);
            g.scope.push(counter);
            for (dtype, uniform) in carried {
                let param = g.builder.func.new_param(body, dtype.into());
                if uniform {
                    g.mark_uniform(param);
                }
                g.scope.push(param);
            }
            if g.trace.is_some() {
                g.trace = Some(g.builder.func.new_param(body, DType::I32.into()));
            }
            if !tested_late {
                g.exit_test(counter, limit, false);
            }
            if g.statements(1, depth + 1) {
                return;
            }
            if tested_late {
                g.exit_test(counter, limit, true);
                g.builder
                    .push(Opcode::Unreachable, &[], Imm::None, &[], &[]);
            } else if g.pick(4) == 0 {
                g.break_();
            } else {
                g.continue_();
            }
        });
        let has_break = self.loops.pop().is_some_and(|l| l.has_break);
        let types = self.types_with_trace(&results);
        let inst = self
            .builder
            .push(Opcode::Loop, &initial, Imm::None, &[body], &types);
        if !has_break {
            self.builder
                .push(Opcode::Unreachable, &[], Imm::None, &[], &[]);
            return true;
        }
        self.take_results(inst);
        false
    }

    /// `if counter < limit [and more] { go on } else { break }`.
    fn exit_test(&mut self, counter: Value, limit: Limit, late: bool) {
        let mut more = match limit {
            Limit::Below(limit) => self.builder.binary(Opcode::Lt, counter, limit),
            Limit::Exactly(limit) => self.builder.binary(Opcode::Ne, counter, limit),
        };
        if self.pick(3) == 0 {
            let together = self.loops.last().is_some_and(|l| l.left_together);
            let also = self.condition_of(together);
            more = self.builder.binary(Opcode::And, more, also);
        }
        let arms = [self.builder.func.new_block(), self.builder.func.new_block()];
        self.in_block(arms[0], |g| {
            if late {
                g.continue_();
            } else {
                g.builder.yield_(&[]);
            }
        });
        let by_return = self.options.returns && self.pick(10) == 0;
        self.in_block(
            arms[1],
            |g| if by_return { g.return_() } else { g.break_() },
        );
        self.builder
            .push(Opcode::If, &[more], Imm::None, &arms, &[]);
    }
}
