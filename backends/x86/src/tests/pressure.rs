//! More values than registers: spills of every class, and instructions that know only the lower vector registers.

use super::{address, address_mut, build, decode, targets, wide_targets};
use crate::encode::{Op, Width};
use crate::{Addr, Function, Input, RegClass};
use iced_x86::Register;

/// Loads `count` vectors, then adds the first to the last, the second to the one before, and so on: all live at once.
#[test]
fn vectors() {
    for target in targets() {
        let (width, bytes) = (target.width, target.width.bytes() as i32);
        let registers = if target.is_wide() { 32 } else { 16 };
        for count in [4, 14, 30, 34, 70_i32] {
            let mut f = Function::new(target);
            let args = f.entry(2);
            let load = |f: &mut Function, n: i32| {
                f.op(Op::Vmovups, width, &[Addr::base(args[1], n * bytes).into()])
            };
            let all: Vec<_> = (0..count).map(|n| load(&mut f, n)).collect();
            for n in 0..count {
                let (a, b) = (all[n as usize], all[(count - 1 - n) as usize]);
                let sum = f.op(Op::Vaddps, width, &[a.into(), b.into()]);
                let sum = f.op(Op::Vmulps, width, &[sum.into(), a.into()]);
                let out = Addr::base(args[0], n * bytes);
                f.op(Op::VmovupsStore, width, &[out.into(), sum.into()]);
            }
            f.ret();
            let (compiled, code) = build(f);
            assert_eq!(compiled.spills > 0, count >= registers, "{count}");
            assert!(compiled.spills == 0 || compiled.frame % bytes as usize == 0);
            // Spills and moves are as wide as the function: never wider.
            let wider = |r: Register| r.size() > bytes as usize;
            let used = decode(&compiled);
            assert!(used.iter().all(|i| !wider(i.op0_register())));
            let Some(code) = code else { continue };
            let lanes = bytes as usize / 4;
            let count = count as usize;
            let data: Vec<f32> = (0..count * lanes).map(|i| i as f32 * 0.5).collect();
            let mut out = vec![0_f32; count * lanes];
            let args = [address_mut(&mut out), address(&data), 0, 0];
            // SAFETY: the arrays have as many elements as it takes.
            unsafe { code.call(target.convention, args) };
            for n in 0..count * lanes {
                let other = (count - 1 - n / lanes) * lanes + n % lanes;
                assert_eq!(out[n], (data[n] + data[other]) * data[n]);
            }
        }
    }
}

#[test]
fn general_registers() {
    for target in targets() {
        let mut f = Function::new(target);
        let args = f.entry(2);
        let all: Vec<_> = (0..40)
            .map(|n| f.op(Op::Mov, Width::Q, &[Addr::base(args[1], 8 * n).into()]))
            .collect();
        let mut sum = all[39];
        for (n, value) in all.iter().enumerate().take(39) {
            let inputs = [(*value).into(), Input::Imm(n as i64 + 2)];
            let times = f.op(Op::ImulImm8, Width::Q, &inputs);
            sum = f.op(Op::Xor, Width::Q, &[sum.into(), times.into()]);
        }
        f.op(
            Op::MovStore,
            Width::Q,
            &[Addr::base(args[0], 0).into(), sum.into()],
        );
        f.ret();
        let (compiled, code) = build(f);
        assert!(compiled.spills > 0 && compiled.frame < 40 * 8);
        let Some(code) = code else { continue };
        let data: Vec<u64> = (1..41)
            .map(|i: u64| i.wrapping_mul(0x1234_5678_9abc_def1))
            .collect();
        let mut out = [0_u64];
        let args = [address_mut(&mut out), address(&data), 0, 0];
        // SAFETY: 40 elements in, one out. Registers that the caller keeps are the test harness's own check.
        unsafe { code.call(target.convention, args) };
        let mut expected = data[39];
        for (n, value) in data.iter().enumerate().take(39) {
            expected ^= value.wrapping_mul(n as u64 + 2);
        }
        assert_eq!(out[0], expected);
    }
}

/// Ten masks in seven registers.
#[test]
fn masks() {
    for target in wide_targets() {
        let mut f = Function::new(target);
        let args = f.entry(2);
        let all: Vec<_> = (0..10)
            .map(|n| f.op(Op::Kmovq, Width::None, &[Addr::base(args[1], 8 * n).into()]))
            .collect();
        for n in 0..10 {
            let inputs = [all[n].into(), all[9 - n].into()];
            let both = f.op(Op::Kandnq, Width::None, &inputs);
            let out = Addr::base(args[0], 8 * n as i32);
            f.op(Op::KmovqStore, Width::None, &[out.into(), both.into()]);
        }
        f.ret();
        let (compiled, code) = build(f);
        assert!(compiled.spills > 0);
        let Some(code) = code else { continue };
        let data: Vec<u64> = (1..11)
            .map(|i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect();
        let mut out = [0_u64; 10];
        let args = [address_mut(&mut out), address(&data), 0, 0];
        // SAFETY: ten elements each.
        unsafe { code.call(target.convention, args) };
        for n in 0..10 {
            assert_eq!(out[n], !data[n] & data[9 - n]);
        }
    }
}

/// `vblendvps` has no EVEX form: its operands are in the lower 16 registers, though 30 vectors are live.
#[test]
fn instructions_of_the_lower_registers() {
    for target in targets() {
        let mut f = Function::new(target);
        let args = f.entry(2);
        let all: Vec<_> = (0..30)
            .map(|n| f.op(Op::Vmovups, Width::Y, &[Addr::base(args[1], 32 * n).into()]))
            .collect();
        for n in 0..30 {
            let (a, b, c) = (all[n], all[29 - n], all[(n + 7) % 30]);
            let chosen = f.op(Op::Vblendvps, Width::Y, &[a.into(), b.into(), c.into()]);
            let out = Addr::base(args[0], 32 * n as i32);
            f.op(Op::VmovupsStore, Width::Y, &[out.into(), chosen.into()]);
        }
        f.ret();
        let (_, code) = build(f);
        let Some(code) = code else { continue };
        let data: Vec<f32> = (0..240).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
        let mut out = vec![0_f32; 240];
        let args = [address_mut(&mut out), address(&data), 0, 0];
        // SAFETY: 240 elements each.
        unsafe { code.call(target.convention, args) };
        for (n, out) in out.iter().enumerate() {
            let (vector, lane) = (n / 8, n % 8);
            let sign = data[(vector + 7) % 30 * 8 + lane].is_sign_negative();
            let from = if sign { 29 - vector } else { vector };
            assert_eq!(*out, data[from * 8 + lane]);
        }
    }
}

/// Memory of the frame beside spills, more than a page of it, aligned.
#[test]
fn stack_slots() {
    for target in targets() {
        let mut f = Function::new(target);
        let args = f.entry(2);
        let large = f.stack(3 * 4096 + 20, 4);
        let small = f.stack(64, 64);
        let x = f.op(Op::Vmovups, Width::Y, &[Addr::base(args[1], 0).into()]);
        for (slot, disp) in [(small, 0), (small, 32), (large, 0), (large, 3 * 4096 - 32)] {
            let aligned = slot == small;
            let op = if aligned {
                Op::VmovapsStore
            } else {
                Op::VmovupsStore
            };
            f.op(op, Width::Y, &[Addr::stack(slot, disp).into(), x.into()]);
        }
        let index = f.op(Op::MovImm32, Width::None, &[Input::Imm(3)]);
        let at = Addr {
            index: Some(index),
            scale: 2,
            ..Addr::stack(large, 3 * 4096 - 32)
        };
        let element = f.op(Op::Mov, Width::D, &[at.into()]);
        f.op(
            Op::MovStore,
            Width::D,
            &[Addr::base(args[0], 0).into(), element.into()],
        );
        let back = f.op(Op::Vmovaps, Width::Y, &[Addr::stack(small, 32).into()]);
        f.op(
            Op::VmovupsStore,
            Width::Y,
            &[Addr::base(args[0], 4).into(), back.into()],
        );
        f.ret();
        let (compiled, code) = build(f);
        assert!(compiled.frame >= 3 * 4096 + 84);
        let Some(code) = code else { continue };
        let data: Vec<u32> = (10..18).collect();
        let mut out = [0_u32; 9];
        let args = [address_mut(&mut out), address(&data), 0, 0];
        // SAFETY: 8 elements in, 9 out.
        unsafe { code.call(target.convention, args) };
        assert_eq!(out, [13, 10, 11, 12, 13, 14, 15, 16, 17]);
    }
}

/// Spilled values of each class have a place of their own beside the others.
#[test]
fn classes_beside_each_other() {
    for target in wide_targets() {
        let mut f = Function::new(target);
        let args = f.entry(2);
        let bytes = target.width.bytes() as i32;
        let mut ints = Vec::new();
        let mut masks = Vec::new();
        let mut vectors = Vec::new();
        for n in 0..40 {
            let place: Input = Addr::base(args[1], n * bytes).into();
            ints.push(f.op(Op::Mov, Width::Q, &[place]));
            vectors.push(f.op(Op::Vmovups, target.width, &[place]));
            masks.push(f.op(Op::Kmovq, Width::None, &[place]));
        }
        assert_eq!(masks[0].class(), RegClass::Float);
        for n in (0..40).rev() {
            let out = Addr::base(args[0], n as i32 * bytes);
            f.op(
                Op::VmovupsStore,
                target.width,
                &[out.into(), vectors[n].into()],
            );
            f.op(
                Op::KmovqStore,
                Width::None,
                &[out.into(), masks[39 - n].into()],
            );
            let out = Addr {
                disp: out.disp + 8,
                ..out
            };
            f.op(Op::MovStore, Width::Q, &[out.into(), ints[n].into()]);
        }
        f.ret();
        let (_, code) = build(f);
        let Some(code) = code else { continue };
        let words = bytes as usize / 8;
        let data: Vec<u64> = (0..40 * words as u64).map(|i| i * i * 977).collect();
        let mut out = vec![0_u64; 40 * words];
        let args = [address_mut(&mut out), address(&data), 0, 0];
        // SAFETY: the arrays have 40 vectors each.
        unsafe { code.call(target.convention, args) };
        for n in 0..40 * words {
            let expected = match (n / words, n % words) {
                (vector, 0) => data[(39 - vector) * words],
                (vector, 1) => data[vector * words],
                _ => data[n],
            };
            assert_eq!(out[n], expected);
        }
    }
}
