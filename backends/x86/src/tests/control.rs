//! Control flow: values that change places on edges, nested loops, empty blocks, blocks that nothing reaches.

use super::{build, decode, jumps, targets};
use crate::encode::{Cc, Op, Width};
use crate::{BlockId, Function, Input, RegClass, Target, VReg};

const INT: RegClass = RegClass::Int;

fn imm(f: &mut Function, value: i64) -> VReg {
    f.op(Op::MovImm, Width::Q, &[Input::Imm(value)])
}

fn compare(f: &mut Function, a: VReg, b: VReg) {
    f.op(Op::Cmp, Width::Q, &[a.into(), b.into()]);
}

/// Leaves with a value: by storing it to where the first argument points.
fn give(f: &mut Function, to: VReg, value: VReg) {
    let to = crate::Addr::base(to, 0);
    f.op(Op::MovStore, Width::Q, &[to.into(), value.into()]);
    f.ret();
}

/// Runs a function of `(&out, a, b)`.
fn run(f: Function, cases: &[([usize; 2], usize)]) {
    let target = *f.target();
    let (_, code) = build(f);
    let Some(code) = code else { return };
    for (args, expected) in cases {
        let mut out = [0_usize];
        let args = [super::address_mut(&mut out), args[0], args[1], 0];
        // SAFETY: the function writes one word.
        unsafe { code.call(target.convention, args) };
        assert_eq!(out[0], *expected, "{args:?}");
    }
}

/// Fibonacci by swapping: two values change places on the edge back, which needs a third register or none.
#[test]
fn values_change_places() {
    for target in targets() {
        let mut f = Function::new(target);
        let args = f.entry(3);
        let (head, params) = f.block(&[INT, INT, INT]);
        let (body, _) = f.block(&[]);
        let (done, _) = f.block(&[]);
        let (zero, one) = (imm(&mut f, 0), imm(&mut f, 1));
        f.jump(head, &[zero, one, args[1]]);
        f.start(head);
        f.op(Op::Test, Width::Q, &[params[2].into(), params[2].into()]);
        f.branch(Cc::E, (done, &[]), (body, &[]));
        f.start(body);
        let sum = f.op(Op::Add, Width::Q, &[params[0].into(), params[1].into()]);
        let left = f.op(Op::AddImm8, Width::Q, &[params[2].into(), Input::Imm(-1)]);
        f.jump(head, &[params[1], sum, left]);
        f.start(done);
        give(&mut f, args[0], params[0]);
        run(
            f,
            &[
                ([0, 0], 0),
                ([1, 0], 1),
                ([2, 0], 1),
                ([10, 0], 55),
                ([80, 0], 23416728348467685),
            ],
        );
    }
}

/// A circle of four values turns once in each iteration.
#[test]
fn a_circle_of_values() {
    for target in targets() {
        let mut f = Function::new(target);
        let args = f.entry(3);
        let start: Vec<_> = [1, 20, 300, 4000].iter().map(|&n| imm(&mut f, n)).collect();
        let (body, p) = f.block(&[INT; 5]);
        let (done, last) = f.block(&[INT; 4]);
        f.jump(body, &[start[0], start[1], start[2], start[3], args[1]]);
        f.start(body);
        let left = f.op(Op::SubImm8, Width::Q, &[p[4].into(), Input::Imm(1)]);
        f.branch(
            Cc::Ne,
            (body, &[p[1], p[2], p[3], p[0], left]),
            (done, &[p[1], p[2], p[3], p[0]]),
        );
        f.start(done);
        let sum = f.op(Op::ImulImm8, Width::Q, &[last[0].into(), Input::Imm(2)]);
        let sum = f.op(Op::Add, Width::Q, &[sum.into(), last[1].into()]);
        let sum = f.op(Op::Sub, Width::Q, &[sum.into(), last[3].into()]);
        give(&mut f, args[0], sum);
        let at = |n: usize| [1, 20, 300, 4000][n % 4];
        let expected = |n| 2 * at(n) + at(n + 1) - at(n + 3);
        let cases: Vec<_> = (1..9).map(|n| ([n, 0], expected(n) as usize)).collect();
        run(f, &cases);
    }
}

/// Both sides of a branch may be the same block, with other values.
#[test]
fn both_sides_of_a_branch() {
    for target in targets() {
        let mut f = Function::new(target);
        let args = f.entry(3);
        let (done, p) = f.block(&[INT]);
        compare(&mut f, args[1], args[2]);
        f.branch(Cc::A, (done, &[args[1]]), (done, &[args[2]]));
        f.start(done);
        give(&mut f, args[0], p[0]);
        run(f, &[([3, 5], 5), ([7, 2], 7), ([4, 4], 4)]);
    }
}

fn nothing(f: &mut Function, to: BlockId) -> BlockId {
    let (block, _) = f.block(&[]);
    f.start(block);
    f.jump(to, &[]);
    block
}

/// Blocks that only jump leave no trace, wherever they stand: also before what leads to them, which made regalloc2's
/// checker see values that are not there.
#[test]
fn empty_blocks_are_threaded() {
    for target in targets() {
        let mut f = Function::new(target);
        let args = f.entry(3);
        let (one, _) = f.block(&[]);
        let (two, _) = f.block(&[]);
        let (three, _) = f.block(&[]);
        let (big, _) = f.block(&[]);
        let (small, _) = f.block(&[]);
        compare(&mut f, args[1], args[2]);
        f.branch(Cc::B, (one, &[]), (three, &[]));
        f.start(two);
        f.jump(small, &[]);
        f.start(one);
        f.jump(two, &[]);
        f.start(three);
        let other = f.block(&[]).0;
        f.jump(other, &[]);
        f.start(other);
        f.jump(big, &[]);
        f.start(big);
        give(&mut f, args[0], args[1]);
        f.start(small);
        give(&mut f, args[0], args[2]);
        let unreached = nothing(&mut f, big);
        let _ = nothing(&mut f, unreached);
        let compiled = f.compile().unwrap();
        assert_eq!(jumps(&compiled), 1);
    }
}

/// A loop that does nothing stays one, and is laid out.
#[test]
fn a_loop_without_end() {
    let target: Target = targets()[0];
    let mut f = Function::new(target);
    f.entry(1);
    let (a, _) = f.block(&[]);
    let (b, _) = f.block(&[]);
    f.jump(a, &[]);
    f.start(a);
    f.jump(b, &[]);
    f.start(b);
    f.jump(a, &[]);
    let compiled = f.compile().unwrap();
    let all = decode(&compiled);
    assert!(all.iter().all(|i| i.is_jmp_short_or_near()));
    let ends = |i: &iced_x86::Instruction| i.near_branch_target() < compiled.code.len as u64;
    assert!(all.iter().all(ends));
}

/// Loops in loops, with a value carried through both: products by sums.
#[test]
fn nested_loops() {
    for target in targets() {
        let mut f = Function::new(target);
        let args = f.entry(3);
        let zero = imm(&mut f, 0);
        let (outer, o) = f.block(&[INT, INT]);
        let (inner, i) = f.block(&[INT, INT]);
        let (after, sum) = f.block(&[INT]);
        let (done, result) = f.block(&[INT]);
        f.jump(outer, &[zero, zero]);
        f.start(outer);
        f.jump(inner, &[o[1], zero]);
        f.start(inner);
        let more = f.op(Op::Add, Width::Q, &[i[0].into(), o[0].into()]);
        let more = f.op(Op::AddImm8, Width::Q, &[more.into(), Input::Imm(1)]);
        let next = f.op(Op::AddImm8, Width::Q, &[i[1].into(), Input::Imm(1)]);
        compare(&mut f, next, args[2]);
        f.branch(Cc::B, (inner, &[more, next]), (after, &[more]));
        f.start(after);
        let next = f.op(Op::AddImm8, Width::Q, &[o[0].into(), Input::Imm(1)]);
        compare(&mut f, next, args[1]);
        f.branch(Cc::B, (outer, &[next, sum[0]]), (done, &[sum[0]]));
        f.start(done);
        give(&mut f, args[0], result[0]);
        let expected = |a: usize, b: usize| b * a * (a + 1) / 2;
        run(
            f,
            &[
                ([1, 1], 1),
                ([4, 3], expected(4, 3)),
                ([9, 20], expected(9, 20)),
            ],
        );
    }
}
