//! What rows say besides the encoding: who reads and writes, what masks, broadcasts and rounding are allowed.

use super::{Judge, Rng, needed, slots, widths};
use crate::encode::row::{Access, Kind, Place, Rounding};
use crate::encode::{Arg, Encoding, Instr, Masking, Mem, Op, is_encoded};
use iced_x86::{InstructionInfoFactory, OpAccess, Register};

/// An instruction of the row, with registers that differ, and memory where `memory` says so and it may be.
fn example(op: Op, memory: bool, evex: bool) -> Vec<Arg> {
    let mut rng = Rng(5);
    let mut next = if evex { 17 } else { 1 };
    let arg = |slot| {
        let arg = rng.arg(slot, false);
        let memory = memory && slot.place == Place::Rm;
        match arg {
            _ if memory => Arg::Mem(Mem::indexed(3, 9, 2, 64)),
            Arg::Reg(_) => {
                next += 1;
                match slot.kind {
                    Kind::V(_) | Kind::Xmm => Arg::Reg(next),
                    // Not those of `mul`, `div` and shifts.
                    Kind::K => Arg::Reg(next % 8),
                    _ => Arg::Reg(next % 8 + 8),
                }
            }
            arg => arg,
        }
    };
    slots(op).iter().map(arg).collect()
}

#[test]
fn accesses() {
    let mut judge = Judge::new();
    let mut factory = InstructionInfoFactory::new();
    for &op in Op::ALL {
        for memory in [false, true] {
            for width in widths(op) {
                let args = example(op, memory, false);
                let instr = Instr {
                    op,
                    width,
                    args: &args,
                    decor: needed(op),
                };
                if instr.check().is_err() && op.row().evex.is_none() {
                    continue; // no memory form
                }
                let Some(decoded) = judge.judge(&instr) else {
                    continue;
                };
                let info = factory.info(&decoded);
                let mut operand = 0;
                for slot in slots(op) {
                    if matches!(slot.place, Place::Condition | Place::Imm(_)) {
                        operand += u32::from(slot.place != Place::Condition);
                        continue;
                    }
                    let stated = info.op_access(operand);
                    let masked = needed(op).mask != 0;
                    let fits = match stated {
                        OpAccess::Read | OpAccess::NoMemAccess => slot.access == Access::Read,
                        OpAccess::Write => slot.access == Access::Write,
                        OpAccess::ReadWrite => slot.access == Access::Both,
                        // Gathers, scatters and masked moves; `cmov`.
                        OpAccess::CondRead => slot.access == Access::Read,
                        OpAccess::CondWrite | OpAccess::ReadCondWrite => {
                            slot.access == Access::Both
                                || slot.place == Place::RmMem
                                || slot.place == Place::Vsib
                        }
                        OpAccess::None => {
                            slot.place == Place::RmMem || (masked && slot.place == Place::Vsib)
                        }
                    };
                    if !fits {
                        judge
                            .wrong
                            .push(format!("{decoded}: {operand} {stated:?} {slot:?}"));
                    }
                    operand += 1;
                }
                // Registers that are not written in the text.
                for slot in op.row().slots.iter().filter(|s| !is_encoded(s)) {
                    let Place::Fixed(number) = slot.place else {
                        continue;
                    };
                    let used = info.used_registers().iter().any(|used| {
                        let whole = used.register().full_register();
                        let written = !matches!(used.access(), OpAccess::Read);
                        whole == Register::RAX + u32::from(number)
                            && (written == (slot.access != Access::Read)
                                || matches!(used.access(), OpAccess::ReadWrite))
                    });
                    if !used {
                        judge.wrong.push(format!("{decoded}: {slot:?} is not used"));
                    }
                }
            }
        }
    }
    judge.finish(1_500);
}

#[test]
fn masks_broadcasts_and_rounding() {
    let mut judge = Judge::new();
    let mut seen = 0;
    for &op in Op::ALL {
        let Some(evex) = op.row().evex else { continue };
        for width in widths(op) {
            for memory in [false, true] {
                let mut args = example(op, memory, true);
                for arg in &mut args {
                    if let Arg::Reg(reg) = arg
                        && *reg == 0
                    {
                        *reg = 1;
                    }
                }
                let instr = Instr {
                    op,
                    width,
                    args: &args,
                    decor: needed(op),
                };
                if !matches!(instr.check(), Ok(Encoding::Evex(_))) {
                    continue;
                }
                let Some(decoded) = judge.judge(&instr) else {
                    continue;
                };
                seen += 1;
                let code = decoded.code().op_code();
                let first = slots(op)[0].place;
                let to_memory = first == Place::RmMem || (memory && first == Place::Rm);
                let memory = args.iter().any(|arg| matches!(arg, Arg::Mem(_)));
                let whole = width.bytes() == 64 || evex.lengths.is_scalar();
                let facts = [
                    (
                        "mask",
                        code.can_use_op_mask_register(),
                        evex.masking != Masking::No,
                    ),
                    (
                        "required",
                        code.require_op_mask_register(),
                        evex.masking == Masking::Required,
                    ),
                    (
                        "zeroing",
                        code.can_use_zeroing_masking() && !to_memory,
                        evex.masking == Masking::MergeZero && !to_memory,
                    ),
                    (
                        "broadcast",
                        code.can_broadcast() && memory,
                        evex.tuple.element().is_some() && memory,
                    ),
                    (
                        "rounding",
                        code.can_use_rounding_control()
                            && !code.ignores_rounding_control()
                            && whole,
                        evex.rounding == Rounding::Mode && whole,
                    ),
                    (
                        "sae",
                        code.can_suppress_all_exceptions()
                            && !code.can_use_rounding_control()
                            && whole,
                        evex.rounding == Rounding::Sae && whole,
                    ),
                ];
                for (what, stated, ours) in facts {
                    if stated != ours {
                        judge
                            .wrong
                            .push(format!("{op:?} {decoded}: {what} {stated}, ours {ours}"));
                    }
                }
            }
        }
    }
    assert!(seen > 1_500, "{seen}");
    judge.finish(1_500);
}

/// What cannot be encoded is refused.
#[test]
fn refusals() {
    use crate::encode::{Base, Decor, Round, Width};
    let r = Arg::Reg;
    let m = |mem| Arg::Mem(mem);
    let cases: &[(Op, Width, &[Arg], Decor, &str)] = &[
        (Op::Vaddps, Width::Y, &[r(1), r(2)], Decor::NONE, "too few"),
        (Op::Ret, Width::None, &[r(1)], Decor::NONE, "too many"),
        (
            Op::Vaddps,
            Width::Y,
            &[r(1), r(2), r(32)],
            Decor::NONE,
            "does not fit",
        ),
        (
            Op::Vaddps,
            Width::Q,
            &[r(1), r(2), r(3)],
            Decor::NONE,
            "no encoding",
        ),
        (
            Op::Vblendvps,
            Width::Y,
            &[r(1), r(2), r(3), r(16)],
            Decor::NONE,
            "does not fit",
        ),
        (
            Op::Vblendvps,
            Width::Y,
            &[r(1), r(2), r(17), r(3)],
            Decor::NONE,
            "no encoding",
        ),
        (
            Op::Vptest,
            Width::Z,
            &[r(1), r(2)],
            Decor::NONE,
            "no encoding",
        ),
        (
            Op::Add,
            Width::D,
            &[r(1), m(Mem::indexed(0, 4, 0, 0))],
            Decor::NONE,
            "no such address",
        ),
        (
            Op::Add,
            Width::D,
            &[r(1), m(Mem::indexed(0, 1, 4, 0))],
            Decor::NONE,
            "no such address",
        ),
        (Op::Add, Width::X, &[r(1), r(2)], Decor::NONE, "no encoding"),
        (
            Op::AddImm8,
            Width::D,
            &[r(1), Arg::Imm(256)],
            Decor::NONE,
            "does not fit",
        ),
        (
            Op::Vaddps,
            Width::Z,
            &[r(1), r(2), r(3)],
            Decor::BROADCAST,
            "broadcast",
        ),
        (
            Op::Vaddps,
            Width::Z,
            &[r(1), r(2), r(3)],
            Decor {
                zeroing: true,
                ..Decor::NONE
            },
            "zero",
        ),
        (
            Op::Vaddps,
            Width::Y,
            &[r(1), r(2), r(3)],
            Decor {
                round: Some(Round::Up),
                ..Decor::NONE
            },
            "round",
        ),
        (
            Op::VcmppsK,
            Width::Y,
            &[r(1), r(2), r(3), Arg::Imm(0)],
            Decor::zero(1),
            "zero",
        ),
        (
            Op::VgatherdpsK,
            Width::Z,
            &[r(1), m(Mem::indexed(0, 2, 2, 0))],
            Decor::NONE,
            "mask",
        ),
        (
            Op::VgatherdpsK,
            Width::Z,
            &[r(1), m(Mem::indexed(0, 1, 2, 0))],
            Decor::merge(1),
            "gather",
        ),
        (
            Op::Vgatherdps,
            Width::Y,
            &[r(1), m(Mem::indexed(0, 2, 2, 0)), r(2)],
            Decor::NONE,
            "gather",
        ),
        (
            Op::Vgatherdps,
            Width::Y,
            &[r(1), m(Mem::base(0, 2)), r(2)],
            Decor::NONE,
            "does not fit",
        ),
        (
            Op::Lea,
            Width::Q,
            &[r(1), r(2)],
            Decor::NONE,
            "does not fit",
        ),
        (
            Op::Lea,
            Width::Q,
            &[
                r(1),
                m(Mem {
                    base: Base::None,
                    index: Some(16),
                    scale: 0,
                    disp: 0,
                }),
            ],
            Decor::NONE,
            "does not fit",
        ),
    ];
    for (op, width, args, decor, why) in cases {
        let instr = Instr {
            op: *op,
            width: *width,
            args,
            decor: *decor,
        };
        let found = instr.check().expect_err(why);
        assert!(found.contains(why), "{found}");
        assert!(instr.features().is_err());
    }
}

/// `vrndscaleps` scales by the upper half of its immediate, of which `vroundps` knows nothing.
#[test]
fn the_scale_of_vrndscale_is_not_dropped() {
    use crate::encode::Width;
    let mut judge = Judge::new();
    for (op, name) in [(Op::Vroundps, "vround"), (Op::Vroundsd, "vround")] {
        for imm in 0..256 {
            let args = [Arg::Reg(1), Arg::Reg(2), Arg::Reg(3), Arg::Imm(imm)];
            let args = if op == Op::Vroundps {
                &args[1..]
            } else {
                &args
            };
            let instr = Instr {
                op,
                width: Width::X,
                args,
                decor: needed(op),
            };
            let decoded = judge.judge(&instr).unwrap();
            assert_eq!(decoded.to_string().starts_with(name), imm < 16);
        }
    }
    judge.finish(512);
}
