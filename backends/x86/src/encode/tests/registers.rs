//! Register operands: every combination of a low, a high and an extended register in every place; masks, rounding.

use super::{Judge, Rng, needed, slots, widths};
use crate::encode::row::{Kind, Place, Rounding};
use crate::encode::{Arg, Decor, Instr, Masking, Op, Round};

/// Registers of every group of 8, both ends.
const VECTORS: [u8; 8] = [0, 7, 8, 15, 16, 23, 24, 31];
const GENERAL: [u8; 8] = [0, 3, 4, 5, 7, 8, 12, 15];
const MASKS: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

#[test]
fn every_register_in_every_place() {
    let mut judge = Judge::new();
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    for &op in Op::ALL {
        let slots = slots(op);
        let high = op.row().evex.is_some();
        let choices: Vec<Vec<Arg>> = slots
            .iter()
            .map(|slot| match (slot.place, slot.kind) {
                (Place::RmMem | Place::Vsib | Place::Imm(_), _) => vec![rng.arg(slot, high)],
                (Place::Condition, _) => (0..16).map(Arg::Imm).collect(),
                (Place::Is4, _) => VECTORS[..4].iter().copied().map(Arg::Reg).collect(),
                (_, Kind::V(_) | Kind::Xmm) => {
                    let count = if high { 8 } else { 4 };
                    VECTORS[..count].iter().copied().map(Arg::Reg).collect()
                }
                (_, Kind::K) => MASKS.into_iter().map(Arg::Reg).collect(),
                _ => GENERAL.into_iter().map(Arg::Reg).collect(),
            })
            .collect();
        for width in widths(op) {
            let mut at = vec![0; choices.len()];
            loop {
                let args: Vec<Arg> = at.iter().zip(&choices).map(|(&n, c)| c[n]).collect();
                let instr = Instr {
                    op,
                    width,
                    args: &args,
                    decor: needed(op),
                };
                // AVX2 gathers know only 16 registers, which must differ.
                if instr.check().is_ok() || !slots.iter().any(|s| s.place == Place::Vsib) {
                    judge.judge(&instr);
                }
                let next = at.iter().zip(&choices).position(|(&n, c)| n + 1 < c.len());
                let Some(next) = next else { break };
                at[next] += 1;
                at[..next].fill(0);
            }
        }
    }
    judge.finish(400_000);
}

#[test]
fn every_immediate_and_random_registers() {
    let mut judge = Judge::new();
    let mut rng = Rng(0x1234_5678_9abc_def1);
    for &op in Op::ALL {
        let slots = slots(op);
        let high = op.row().evex.is_some();
        for width in widths(op) {
            for n in 0..128_i64 {
                let mut args: Vec<Arg> = slots.iter().map(|slot| rng.arg(slot, high)).collect();
                if let Some(imm) = slots.iter().position(|s| s.place == Place::Imm(1)) {
                    args[imm] = Arg::Imm(if n % 2 == 0 { n } else { -n - 1 });
                }
                let instr = Instr {
                    op,
                    width,
                    args: &args,
                    decor: needed(op),
                };
                if instr.check().is_ok() || !slots.iter().any(|s| s.place == Place::Vsib) {
                    judge.judge(&instr);
                }
            }
        }
    }
    judge.finish(200_000);
}

#[test]
fn every_mask_with_and_without_zeroing() {
    let mut judge = Judge::new();
    let mut rng = Rng(0xdead_beef_cafe_f00d);
    for &op in Op::ALL {
        let Some(evex) = op.row().evex else { continue };
        let slots = slots(op);
        for width in widths(op) {
            for mask in 0..8 {
                for zeroing in [false, true] {
                    let mut decor = Decor::merge(mask);
                    decor.zeroing = zeroing;
                    let args: Vec<Arg> = slots.iter().map(|slot| rng.arg(slot, true)).collect();
                    let instr = Instr {
                        op,
                        width,
                        args: &args,
                        decor,
                    };
                    let allowed = match evex.masking {
                        Masking::No => mask == 0 && !zeroing,
                        Masking::Merge => !zeroing,
                        Masking::MergeZero => !zeroing || mask != 0,
                        Masking::Required => !zeroing && mask != 0,
                    };
                    let lengths = op.row().vex.is_none_or(|vex| !vex.lengths.has(width));
                    let allowed = allowed && (evex.lengths.has(width) || lengths);
                    match instr.check() {
                        Ok(_) => {
                            assert!(allowed, "{instr:?}");
                            judge.judge(&instr);
                        }
                        // Registers of a gather may be equal by chance.
                        Err(why) => assert!(!allowed || why.contains("gather"), "{why}"),
                    }
                }
            }
        }
    }
    judge.finish(15_000);
}

#[test]
fn every_rounding() {
    let mut judge = Judge::new();
    let mut rng = Rng(77);
    let modes = [
        Round::Nearest,
        Round::Down,
        Round::Up,
        Round::Zero,
        Round::Sae,
    ];
    for &op in Op::ALL {
        let Some(evex) = op.row().evex else { continue };
        for width in widths(op) {
            for mode in modes {
                for mask in [0, 5] {
                    if mask != 0 && matches!(evex.masking, Masking::No) {
                        continue;
                    }
                    let args: Vec<Arg> = slots(op).iter().map(|s| rng.arg(s, true)).collect();
                    let instr = Instr {
                        op,
                        width,
                        args: &args,
                        decor: Decor {
                            mask,
                            round: Some(mode),
                            ..needed(op)
                        },
                    };
                    let allowed = match evex.rounding {
                        Rounding::No => false,
                        Rounding::Mode => mode != Round::Sae,
                        Rounding::Sae => mode == Round::Sae,
                    };
                    let whole = width.bytes() == 64 || evex.lengths.is_scalar();
                    assert_eq!(instr.check().is_ok(), allowed && whole, "{instr:?}");
                    if allowed && whole {
                        judge.judge(&instr);
                    }
                }
            }
        }
    }
    judge.finish(800);
}
