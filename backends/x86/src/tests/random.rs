//! Random programs: expressions over general registers, vectors and masks with branches and loops between them, against
//! the same program run step by step.

use super::{address, address_mut, build, targets};
use crate::encode::{Cc, Op, Width};
use crate::{Addr, Extra, Function, Input, RegClass, Target, VReg};

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % n
    }
}

/// A program over a list of values that grows; every value is an integer and a vector of 32-bit lanes at once.
#[derive(Clone, Copy, Debug)]
enum Step {
    Add(usize, usize),
    Xor(usize, usize),
    Times(usize, i8),
    Shift(usize, usize),
    Divide(usize, usize),
    Min(usize, usize),
    /// Where the lanes of the first two are in order the third, else the fourth; integers likewise.
    Choose([usize; 4]),
    /// The value goes around a loop that adds another to it, so often.
    Repeat(usize, usize, u8),
}

fn program(rng: &mut Rng, inputs: usize, steps: usize) -> Vec<Step> {
    let mut list = Vec::new();
    for n in inputs..inputs + steps {
        // Old values as often as new ones, so that many are live.
        let (a, b, c, d) = (rng.below(n), rng.below(n), rng.below(n), rng.below(n));
        list.push(match rng.below(10) {
            0 | 1 => Step::Add(a, b),
            2 | 3 => Step::Xor(a, b),
            4 => Step::Times(a, rng.below(200) as i8),
            5 => Step::Shift(a, b),
            6 => Step::Divide(a, b),
            7 => Step::Min(a, b),
            8 => Step::Choose([a, b, c, d]),
            _ => Step::Repeat(a, b, 1 + rng.below(4) as u8),
        });
    }
    list
}

/// A value of the step-by-step run.
type Lanes = (u64, Vec<u32>);

fn lanes(a: &Lanes, b: &Lanes, f: impl Fn(u32, u32) -> u32) -> Vec<u32> {
    a.1.iter().zip(&b.1).map(|(a, b)| f(*a, *b)).collect()
}

fn run(list: &[Step], values: &mut Vec<Lanes>) {
    for step in list {
        let at = |n: usize| &values[n];
        let new = match *step {
            Step::Add(a, b) => (
                at(a).0.wrapping_add(at(b).0),
                lanes(at(a), at(b), u32::wrapping_add),
            ),
            Step::Xor(a, b) => (at(a).0 ^ at(b).0, lanes(at(a), at(b), |a, b| a ^ b)),
            Step::Times(a, by) => (
                at(a).0.wrapping_mul(by as i64 as u64),
                lanes(at(a), at(a), |a, _| a.wrapping_mul(by as i32 as u32)),
            ),
            Step::Shift(a, b) => (
                at(a).0.wrapping_shl(at(b).0 as u32),
                lanes(at(a), at(b), |a, b| a.checked_shl(b).unwrap_or(0)),
            ),
            Step::Divide(a, b) => (
                at(a).0 / (at(b).0 | 1),
                lanes(at(a), at(b), |a, b| a.wrapping_sub(b)),
            ),
            Step::Min(a, b) => (at(a).0.min(at(b).0), lanes(at(a), at(b), u32::min)),
            Step::Choose([a, b, c, d]) => {
                let chosen =
                    (0..at(a).1.len()).map(|n| match (at(a).1[n] as i32) < at(b).1[n] as i32 {
                        true => at(c).1[n],
                        false => at(d).1[n],
                    });
                let chosen = chosen.collect();
                match at(a).0 < at(b).0 {
                    true => (at(c).0, chosen),
                    false => (at(d).0, chosen),
                }
            }
            Step::Repeat(a, b, times) => {
                let times = u32::from(times);
                (
                    at(a).0.wrapping_add(at(b).0.wrapping_mul(u64::from(times))),
                    lanes(at(a), at(b), |a, b| a.wrapping_add(b.wrapping_mul(times))),
                )
            }
        };
        values.push(new);
    }
}

/// The function of `(out, in)` for a program: every value, in order, is read or written at its place.
fn function(target: Target, list: &[Step], inputs: usize) -> Function {
    let width = target.width;
    let stride = width.bytes() as i32 + 8;
    let mut f = Function::new(target);
    let args = f.entry(2);
    let mut values: Vec<(VReg, VReg)> = Vec::new();
    for n in 0..inputs as i32 {
        let (int, vector) = (
            Addr::base(args[1], n * stride),
            Addr::base(args[1], n * stride + 8),
        );
        values.push((
            f.op(Op::Mov, Width::Q, &[int.into()]),
            f.op(Op::Vmovdqu32, width, &[vector.into()]),
        ));
    }
    for step in list {
        let value = lower(&mut f, *step, &values);
        values.push(value);
    }
    for (n, (int, vector)) in values.into_iter().enumerate() {
        let at = n as i32 * stride;
        let out = Addr::base(args[0], at);
        f.op(Op::MovStore, Width::Q, &[out.into(), int.into()]);
        let out = Addr::base(args[0], at + 8);
        f.op(Op::Vmovdqu32Store, width, &[out.into(), vector.into()]);
    }
    f.ret();
    f
}

fn lower(f: &mut Function, step: Step, values: &[(VReg, VReg)]) -> (VReg, VReg) {
    let width = f.target().width;
    let (q, at) = (Width::Q, |n: usize| values[n]);
    let two = |f: &mut Function, int: Op, vector: Op, a: usize, b: usize| {
        let ((a, va), (b, vb)) = (at(a), at(b));
        (
            f.op(int, q, &[a.into(), b.into()]),
            f.op(vector, width, &[va.into(), vb.into()]),
        )
    };
    match step {
        Step::Add(a, b) => two(f, Op::Add, Op::Vpaddd, a, b),
        Step::Xor(a, b) => two(f, Op::Xor, Op::Vpxord, a, b),
        Step::Shift(a, b) => two(f, Op::Shlx, Op::Vpsllvd, a, b),
        Step::Times(a, by) => {
            let by = Input::Imm(i64::from(by));
            let constant = f.op(Op::MovImm, Width::D, &[by]);
            let constant = f.op(Op::Vmovd, Width::X, &[constant.into()]);
            let constant = f.op(Op::Vpbroadcastd, width, &[constant.into()]);
            (
                f.op(Op::ImulImm, q, &[at(a).0.into(), by]),
                f.op(Op::Vpmulld, width, &[at(a).1.into(), constant.into()]),
            )
        }
        Step::Divide(a, b) => {
            let odd = f.op(Op::OrImm8, q, &[at(b).0.into(), Input::Imm(1)]);
            let zero = f.op(Op::MovImm32, Width::None, &[Input::Imm(0)]);
            let inputs = [at(a).0.into(), zero.into(), odd.into()];
            let (quotient, _) = f.op2(Op::Div, q, Extra::NONE, &inputs);
            let difference = f.op(Op::Vpsubd, width, &[at(a).1.into(), at(b).1.into()]);
            (quotient, difference)
        }
        Step::Min(a, b) => {
            f.op(Op::Cmp, q, &[at(b).0.into(), at(a).0.into()]);
            let inputs = [Cc::B.into(), at(a).0.into(), at(b).0.into()];
            let int = f.op(Op::Cmovcc, q, &inputs);
            let vector = f.op(Op::Vpminud, width, &[at(a).1.into(), at(b).1.into()]);
            (int, vector)
        }
        Step::Choose([a, b, c, d]) => {
            let vector = if f.target().is_wide() {
                let k = f.op(Op::VpcmpgtdK, width, &[at(b).1.into(), at(a).1.into()]);
                let extra = Extra::merged(k, at(d).1);
                f.op_with(Op::Vmovdqa32, width, extra, &[at(c).1.into()])
            } else {
                let mask = f.op(Op::Vpcmpgtd, width, &[at(b).1.into(), at(a).1.into()]);
                let inputs = [at(d).1.into(), at(c).1.into(), mask.into()];
                f.op(Op::Vpblendvb, width, &inputs)
            };
            let (join, result) = f.block(&[RegClass::Int]);
            let (other, _) = f.block(&[]);
            f.op(Op::Cmp, q, &[at(a).0.into(), at(b).0.into()]);
            f.branch(Cc::B, (join, &[at(c).0]), (other, &[]));
            f.start(other);
            f.jump(join, &[at(d).0]);
            f.start(join);
            (result[0], vector)
        }
        Step::Repeat(a, b, times) => {
            let times = f.op(Op::MovImm32, Width::None, &[Input::Imm(i64::from(times))]);
            let classes = [RegClass::Int, RegClass::Vector, RegClass::Int];
            let (body, p) = f.block(&classes);
            let (done, last) = f.block(&classes[..2]);
            f.jump(body, &[at(a).0, at(a).1, times]);
            f.start(body);
            let int = f.op(Op::Add, q, &[p[0].into(), at(b).0.into()]);
            let vector = f.op(Op::Vpaddd, width, &[p[1].into(), at(b).1.into()]);
            let left = f.op(Op::SubImm8, q, &[p[2].into(), Input::Imm(1)]);
            f.branch(Cc::Ne, (body, &[int, vector, left]), (done, &[int, vector]));
            f.start(done);
            (last[0], last[1])
        }
    }
}

#[test]
fn programs() {
    let mut rng = Rng(0x2545_f491_4f6c_dd1d);
    let mut spills = 0;
    for round in 0..60 {
        let (inputs, steps) = (2 + rng.below(8), 1 + rng.below(60));
        let list = program(&mut rng, inputs, steps);
        for target in targets() {
            let lanes = target.width.bytes() / 4;
            let (compiled, code) = build(function(target, &list, inputs));
            spills += compiled.spills;
            let Some(code) = code else { continue };
            let mut values: Vec<Lanes> = Vec::new();
            for _ in 0..inputs {
                let vector = (0..lanes).map(|_| rng.below(1 << 32) as u32 >> rng.below(32));
                let vector = vector.collect();
                values.push((rng.below(1 << 40) as u64 >> rng.below(40), vector));
            }
            let words = |values: &[Lanes]| -> Vec<u32> {
                let word = |(int, vector): &Lanes| {
                    let mut all = vec![*int as u32, (*int >> 32) as u32];
                    all.extend(vector);
                    all
                };
                values.iter().flat_map(word).collect()
            };
            let data = words(&values);
            run(&list, &mut values);
            let expected = words(&values);
            let mut out = vec![0_u32; expected.len()];
            let args = [address_mut(&mut out), address(&data), 0, 0];
            // SAFETY: the arrays have room for all inputs and all values.
            unsafe { code.call(target.convention, args) };
            assert_eq!(out, expected, "round {round}, {target:?}: {list:?}");
        }
    }
    assert!(spills > 10_000, "{spills}");
}
