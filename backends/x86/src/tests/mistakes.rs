//! Mistakes in a function are told, never encoded: bugs of the backend, as values.

use super::targets;
use crate::encode::{Cc, Op, Round, Width};
use crate::{Addr, Extra, Features, Function, Input, RegClass, Target};
use kjit_ir::target::BackendError;

fn told(f: Function, part: &str) {
    match f.compile() {
        Err(BackendError::Internal(what)) => assert!(what.contains(part), "{what}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("{part} was not told"),
    }
}

fn target() -> Target {
    targets()[0]
}

#[test]
fn operands() {
    type Case = fn(&mut Function, Vec<crate::VReg>);
    let cases: &[(&str, Case)] = &[
        ("too few inputs", |f, args| {
            f.op(Op::Add, Width::Q, &[args[0].into()]);
        }),
        ("too many inputs", |f, args| {
            f.op(Op::Not, Width::Q, &[args[0].into(), args[1].into()]);
        }),
        ("is no Vector", |f, args| {
            f.op(Op::Vaddps, Width::Z, &[args[0].into(), args[1].into()]);
        }),
        ("no encoding", |f, args| {
            let x = f.op(Op::Vmovups, Width::Z, &[Addr::base(args[0], 0).into()]);
            f.op(Op::Vptest, Width::Z, &[x.into(), x.into()]);
        }),
        ("mask of Vaddps is none", |f, args| {
            let x = f.op(Op::Vmovups, Width::Z, &[Addr::base(args[0], 0).into()]);
            f.op_with(
                Op::Vaddps,
                Width::Z,
                Extra::masked(args[1]),
                &[x.into(), x.into()],
            );
        }),
        ("cannot round", |f, args| {
            let x = f.op(Op::Vmovups, Width::Z, &[Addr::base(args[0], 0).into()]);
            let extra = Extra {
                round: Some(Round::Up),
                ..Extra::NONE
            };
            f.op_with(Op::Vmaxps, Width::Z, extra, &[x.into(), x.into()]);
        }),
        ("does not fit", |f, args| {
            f.op(Op::AddImm8, Width::Q, &[args[0].into(), Input::Imm(1000)]);
        }),
        ("needs", |f, args| {
            f.op(Op::Vpopcntd, Width::Z, &[Addr::base(args[0], 0).into()]);
        }),
        ("Vpgatherdd in a function with 32", |f, args| {
            let x = f.op(Op::Vmovdqu32, Width::Y, &[Addr::base(args[0], 0).into()]);
            let place = Addr::indexed(args[0], x, 2, 0);
            f.op(
                Op::Vpgatherdd,
                Width::Y,
                &[x.into(), place.into(), x.into()],
            );
        }),
        ("more than the function's vectors", |f, args| {
            let mut narrow = Function::new(Target {
                width: Width::Y,
                ..target()
            });
            std::mem::swap(f, &mut narrow);
            let args = f.entry(args.len());
            f.op(Op::Vmovups, Width::Z, &[Addr::base(args[0], 0).into()]);
        }),
        ("a constant of 3 bytes", |f, _| {
            f.constant(&[1, 2, 3]);
        }),
        ("aligned to 3", |f, _| {
            f.stack(10, 3);
        }),
        ("more arguments", |f, args| {
            f.call(args[0], &[args[1]; 9], &[]);
        }),
        ("no StackSlot", |f, _| {
            let mut other = Function::new(target());
            let slot = other.stack(8, 8);
            f.op(Op::Mov, Width::Q, &[Addr::stack(slot, 0).into()]);
        }),
    ];
    for (part, case) in cases {
        let mut f = Function::new(target());
        let args = f.entry(2);
        case(&mut f, args);
        f.ret();
        told(f, part);
    }
}

#[test]
fn blocks() {
    told(Function::new(target()), "no entry");
    let mut f = Function::new(target());
    f.entry(1);
    told(f, "no end");
    let mut f = Function::new(target());
    f.entry(1);
    let (never, _) = f.block(&[]);
    f.jump(never, &[]);
    told(f, "never started");
    let mut f = Function::new(target());
    f.entry(1);
    f.ret();
    f.ret();
    told(f, "behind its end");
    let mut f = Function::new(target());
    let args = f.entry(2);
    let (done, _) = f.block(&[RegClass::Vector]);
    f.jump(done, &args[..1]);
    told(f, "are not what");
    let mut f = Function::new(target());
    f.entry(7);
    told(f, "entry that cannot be");
}

/// A value used where it was never made: regalloc2 says so.
#[test]
fn a_value_of_another_branch() {
    let mut f = Function::new(target());
    let args = f.entry(2);
    let (a, _) = f.block(&[]);
    let (b, _) = f.block(&[]);
    let (c, _) = f.block(&[]);
    f.op(Op::Test, Width::Q, &[args[0].into(), args[0].into()]);
    f.branch(Cc::E, (a, &[]), (b, &[]));
    f.start(a);
    let here = f.op(Op::Not, Width::Q, &[args[1].into()]);
    f.jump(c, &[]);
    f.start(b);
    f.jump(c, &[]);
    f.start(c);
    f.op(
        Op::MovStore,
        Width::Q,
        &[Addr::base(args[0], 0).into(), here.into()],
    );
    f.ret();
    told(f, "no registers");
}

/// Instructions of AVX-512 in a function for AVX2.
#[test]
fn features() {
    let mut f = Function::new(Target {
        features: Features::TIER_AVX2,
        width: Width::Y,
        ..target()
    });
    let args = f.entry(1);
    let x = f.op(Op::Vmovups, Width::Y, &[Addr::base(args[0], 0).into()]);
    f.op(Op::Vscalefps, Width::Y, &[x.into(), x.into()]);
    f.ret();
    told(f, "avx512vl");
}

/// What errors and dumps show.
#[test]
fn text() {
    let mut f = Function::new(target());
    let args = f.entry(2);
    let one = f.constant(&1_u32.to_le_bytes());
    let x = f.op(Op::Vmovups, Width::Z, &[Addr::base(args[0], -64).into()]);
    let inputs = [x.into(), Addr::constant(one).into()];
    let k = f.op_with(Op::VpcmpeqdK, Width::Z, Extra::BROADCAST, &inputs);
    let place = Addr::indexed(args[0], args[1], 3, 8);
    let inputs = [x.into(), x.into(), place.into()];
    let y = f.op_with(Op::Vfmadd213ps, Width::Z, Extra::masked(k), &inputs);
    let (done, params) = f.block(&[RegClass::Vector]);
    f.op(Op::Test, Width::Q, &[args[1].into(), args[1].into()]);
    f.branch(Cc::Ne, (done, &[x]), (done, &[y]));
    f.start(done);
    let inputs = [Addr::base(args[0], 0).into(), params[0].into()];
    f.op_with(Op::VmovupsStore, Width::Z, Extra::masked(k), &inputs);
    f.ret();
    let expected = "\
block0:
  v0, v1 = entry
  v2 = vmovups.512 [v0 - 64]
  v3 = vpcmpeqd.512 v2, [const0] {1toN}
  v4 = vfmadd213ps.512 v2, v2, [v0 + v1*8 + 8] {v3}
  test.64 v1, v1
  if ne block1(v2) else block1(v4)
block1(v5):
  vmovups.512 [v0], v5 {v3}
  return
";
    assert_eq!(f.to_string(), expected);
}
