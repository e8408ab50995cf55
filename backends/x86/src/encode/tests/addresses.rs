//! Memory operands: every base and index, with the exceptions that `rsp`, `rbp`, `r12` and `r13` are, every size of
//! displacement and its borders, vectors of indices, broadcasts, constants.

use super::{Judge, Rng, needed, slots, widths};
use crate::encode::row::Place;
use crate::encode::{Arg, Assembler, Base, Decor, Encoding, Instr, Masking, Mem, Op, Width};

/// Displacements around the borders of a form whose unit is `n`.
fn displacements(n: i32) -> Vec<i32> {
    let mut all = vec![0, 1, -1, 127, 128, -128, -129, i32::MAX, i32::MIN];
    all.extend([
        n,
        -n,
        127 * n,
        128 * n,
        -128 * n,
        -129 * n,
        127 * n + 1,
        2 * n - 1,
    ]);
    all.sort_unstable();
    all.dedup();
    all
}

fn addresses(unit: i32, vsib: bool) -> Vec<Mem> {
    let mut all = Vec::new();
    let mut push = |base: Base, index: Option<u8>, scale: u8, disp: i32| {
        // Only a vector can be index number 4.
        if vsib == index.is_some() && vsib || !vsib && index != Some(4) {
            all.push(Mem {
                base,
                index,
                scale,
                disp,
            });
        }
    };
    for base in 0..16 {
        for disp in displacements(unit) {
            push(Base::Reg(base), None, 0, disp);
            if base % 4 <= 1 {
                push(Base::Reg(base), Some((base + 7) % 16), 3, disp);
            }
        }
    }
    let indices = if vsib { 32 } else { 16 };
    for index in 0..indices {
        for scale in 0..4 {
            for base in [0, 4, 5, 11, 12, 13] {
                push(Base::Reg(base), Some(index), scale, 0);
            }
            push(Base::None, Some(index), scale, 4 * unit);
        }
    }
    for disp in displacements(unit) {
        push(Base::None, None, 0, disp);
    }
    all
}

/// The slot that may be memory.
fn memory_slot(op: Op) -> Option<usize> {
    let memory = |place: Place| matches!(place, Place::Rm | Place::RmMem | Place::Vsib);
    slots(op).iter().position(|slot| memory(slot.place))
}

/// Do the registers around an address make a gather into its own index?
fn collides(instr: &Instr<'_>) -> bool {
    instr.check().is_err_and(|why| why.contains("gather"))
}

#[test]
fn every_address() {
    let mut judge = Judge::new();
    let mut rng = Rng(0x0123_4567_89ab_cdef);
    for &op in Op::ALL {
        let Some(at) = memory_slot(op) else { continue };
        let slots = slots(op);
        let vsib = slots[at].place == Place::Vsib;
        let row = op.row();
        for width in widths(op) {
            let unit = row.evex.map_or(8, |evex| evex.tuple.bytes(width, false));
            for (n, mem) in addresses(unit as i32, vsib).into_iter().enumerate() {
                // In turn VEX, where there is one, and EVEX.
                let high = row.evex.is_some() && n % 2 == 1;
                let mut args: Vec<Arg> = slots.iter().map(|slot| rng.arg(slot, high)).collect();
                args[at] = Arg::Mem(mem);
                let instr = Instr {
                    op,
                    width,
                    args: &args,
                    decor: needed(op),
                };
                let far = vsib && row.evex.is_none() && mem.index >= Some(16);
                if !far && !collides(&instr) {
                    judge.judge(&instr);
                }
            }
        }
    }
    judge.finish(1_000_000);
}

/// A memory operand has the size that the row says, and an 8-bit displacement counts it.
#[test]
fn sizes_of_memory_and_broadcasts() {
    let mut judge = Judge::new();
    let mut rng = Rng(4242);
    let mut broadcasts = 0;
    for &op in Op::ALL {
        let (Some(at), Some(evex)) = (memory_slot(op), op.row().evex) else {
            continue;
        };
        for width in widths(op) {
            for broadcast in [false, true] {
                let unit = evex.tuple.bytes(width, broadcast);
                for mask in [0, 1] {
                    for disp in displacements(unit as i32) {
                        let slots = slots(op);
                        let mut args: Vec<Arg> = slots.iter().map(|s| rng.arg(s, true)).collect();
                        args[at] = Arg::Mem(Mem::indexed(3, 30, 1, disp));
                        if slots[at].place != Place::Vsib {
                            args[at] = Arg::Mem(Mem::indexed(3, 9, 1, disp));
                        }
                        let mut decor = Decor {
                            broadcast,
                            ..needed(op)
                        };
                        if evex.masking != Masking::No && mask != 0 {
                            decor.mask = mask;
                        }
                        let instr = Instr {
                            op,
                            width,
                            args: &args,
                            decor,
                        };
                        if broadcast && evex.tuple.element().is_none() {
                            assert!(instr.check().is_err(), "{instr:?}");
                            continue;
                        }
                        if collides(&instr) {
                            continue;
                        }
                        broadcasts += usize::from(broadcast);
                        let Some(decoded) = judge.judge(&instr) else {
                            continue;
                        };
                        let evex = matches!(instr.check(), Ok(Encoding::Evex(_)));
                        let size = decoded.memory_size();
                        let bytes = match broadcast {
                            true => size.info().element_size(),
                            false => size.size(),
                        };
                        // Gathers: one element. Compressed stores and loads: all of them.
                        let compress =
                            op.row().name.contains("compress") || op.row().name.contains("expand");
                        if evex && !compress && bytes != unit {
                            judge
                                .wrong
                                .push(format!("{decoded}: {bytes} bytes, not {unit}"));
                        }
                    }
                }
            }
        }
    }
    assert!(broadcasts > 5_000, "{broadcasts}");
    judge.finish(60_000);
}

/// Constants are found from the end of the instruction, also where an immediate follows the displacement.
#[test]
fn constants() {
    let mut rng = Rng(99);
    let mut count = 0;
    for &op in Op::ALL {
        let Some(at) = memory_slot(op) else { continue };
        let slots = slots(op);
        if slots[at].place == Place::Vsib {
            continue;
        }
        for width in widths(op) {
            let mut code = Assembler::new();
            let small = code.constant(&7_u32.to_le_bytes());
            let large = code.constant(&[9; 64]);
            for (id, disp) in [(small, 0), (large, 16), (small, 2)] {
                let mut args: Vec<Arg> = slots.iter().map(|s| rng.arg(s, false)).collect();
                args[at] = Arg::Mem(Mem {
                    disp,
                    ..Mem::constant(id)
                });
                code.instr(&Instr {
                    op,
                    width,
                    args: &args,
                    decor: needed(op),
                });
            }
            let code = code.finish().unwrap();
            assert_eq!(code.align, 64);
            let all = super::decode_all(&code.bytes[..code.len]);
            let pool = code.len.next_multiple_of(64) as u64 + super::IP;
            let found: Vec<u64> = all.iter().map(|i| i.ip_rel_memory_address()).collect();
            assert_eq!(found, [pool + 64, pool + 16, pool + 66], "{op:?} {width:?}");
            count += found.len();
        }
    }
    assert!(count > 3_000, "{count}");
}

#[test]
fn equal_constants_are_one() {
    let mut code = Assembler::new();
    let one = code.constant(&1.5_f32.to_le_bytes());
    let two = code.constant(&1.5_f32.to_le_bytes());
    let three = code.constant(&2.5_f64.to_le_bytes());
    assert_eq!(one, two);
    assert_ne!(one, three);
    for id in [one, three] {
        let args = [Arg::Reg(1), Arg::Mem(Mem::constant(id))];
        code.op(Op::Vpbroadcastd, Width::Y, &args);
    }
    let code = code.finish().unwrap();
    let pool = code.len.next_multiple_of(8);
    assert_eq!(code.bytes[pool..pool + 8], 2.5_f64.to_le_bytes());
    assert_eq!(code.bytes[pool + 8..], 1.5_f32.to_le_bytes());
}
