//! Fixed registers, calls out of the code, and what conventions keep.

use super::{address, address_mut, build, decode, targets};
use crate::convention::{SYSTEM_V, WINDOWS};
use crate::encode::{Op, Width};
use crate::{Addr, Extra, Function, Input};
use iced_x86::Mnemonic;
use std::arch::x86_64::{__m256, __m512, _mm256_add_ps, _mm512_add_ps};

/// Division, products of two words, shifts by a register: their registers are fixed, and others are live.
#[test]
fn fixed_registers() {
    for target in targets() {
        let mut f = Function::new(target);
        let args = f.entry(4); // out, a, b, count
        let (out, a, b, count) = (args[0], args[1], args[2], args[3]);
        let none = Extra::NONE;
        let (low, high) = f.op2(Op::MulWide, Width::Q, none, &[a.into(), b.into()]);
        let (same, remainder) = f.op2(
            Op::Div,
            Width::Q,
            none,
            &[low.into(), high.into(), b.into()],
        );
        let sign = f.op(Op::Cqo, Width::None, &[a.into()]);
        let (quotient, _) = f.op2(Op::Idiv, Width::Q, none, &[a.into(), sign.into(), b.into()]);
        let shifted = f.op(Op::ShlCl, Width::Q, &[a.into(), count.into()]);
        let turned = f.op(Op::RorCl, Width::D, &[b.into(), count.into()]);
        let (low2, high2) = f.op2(Op::Mulx, Width::Q, none, &[a.into(), shifted.into()]);
        f.op(Op::Cmp, Width::Q, &[a.into(), b.into()]);
        let above = f.op(Op::Setcc, Width::None, &[crate::encode::Cc::A.into()]);
        let above = f.op(Op::Movzx8, Width::D, &[above.into()]);
        f.op(Op::Cmp, Width::Q, &[a.into(), b.into()]);
        let larger = f.op(
            Op::Cmovcc,
            Width::Q,
            &[crate::encode::Cc::A.into(), b.into(), a.into()],
        );
        let results = [
            low, high, same, remainder, quotient, shifted, turned, low2, high2, above, larger,
        ];
        for (n, result) in results.into_iter().enumerate() {
            let to = Addr::base(out, 8 * n as i32);
            f.op(Op::MovStore, Width::Q, &[to.into(), result.into()]);
        }
        f.ret();
        let (_, code) = build(f);
        let Some(code) = code else { continue };
        for (a, b, count) in [
            (1_u64 << 40 | 12345, 99_u64, 5_u64),
            (7, 1 << 33, 0),
            (5, 5, 63),
        ] {
            let mut out = [0_u64; 11];
            let args = [
                address_mut(&mut out),
                a as usize,
                b as usize,
                count as usize,
            ];
            // SAFETY: eleven words are written.
            unsafe { code.call(target.convention, args) };
            let product = u128::from(a) * u128::from(b);
            let shifted = a << count;
            // `mulx` gives the high half first; its second factor is the one in rdx.
            let wide = u128::from(a) * u128::from(shifted);
            let expected = [
                product as u64,
                (product >> 64) as u64,
                a,
                0,
                a / b,
                shifted,
                u64::from((b as u32).rotate_right(count as u32)),
                (wide >> 64) as u64,
                wide as u64,
                u64::from(a > b),
                a.max(b),
            ];
            assert_eq!(out, expected);
        }
    }
}

extern "sysv64" fn add_system_v(a: u64, b: u64) -> u64 {
    a + b
}

extern "win64" fn add_windows(a: u64, b: u64) -> u64 {
    a + b
}

/// Values live across a call survive it: general registers, masks and whole vectors.
#[test]
fn calls() {
    for target in targets() {
        let (width, bytes) = (target.width, target.width.bytes() as i32);
        let mut f = Function::new(target);
        let args = f.entry(3); // out, data, function
        let x = f.op(Op::Vmovups, width, &[Addr::base(args[1], 0).into()]);
        let a = f.op(Op::Mov, Width::Q, &[Addr::base(args[1], 0).into()]);
        let b = f.op(Op::Mov, Width::Q, &[Addr::base(args[1], 8).into()]);
        let k = target
            .is_wide()
            .then(|| f.op(Op::KmovqFromG, Width::None, &[b.into()]));
        let (one, _) = f.call(args[2], &[a, b], &[]);
        let (two, _) = f.call(args[2], &[one, one], &[]);
        let twice = f.op(Op::Vpaddq, width, &[x.into(), x.into()]);
        let mut results = vec![one, two, a, b];
        results.extend(k.map(|k| f.op(Op::KmovqToG, Width::None, &[k.into()])));
        f.op(
            Op::VmovupsStore,
            width,
            &[Addr::base(args[0], 0).into(), twice.into()],
        );
        for (n, result) in results.iter().enumerate() {
            let to = Addr::base(args[0], bytes + 8 * n as i32);
            f.op(Op::MovStore, Width::Q, &[to.into(), (*result).into()]);
        }
        f.ret();
        let (compiled, code) = build(f);
        assert!(compiled.spills > 0 && compiled.frame > 0);
        let all = decode(&compiled);
        let clears = all.iter().filter(|i| i.mnemonic() == Mnemonic::Vzeroupper);
        assert_eq!(clears.count(), 3, "before each call and at the end");
        let Some(code) = code else { continue };
        let words = bytes as usize / 8;
        let data: Vec<u64> = (0..words as u64).map(|i| i * 77 + 13).collect();
        let mut out = vec![0_u64; words + 5];
        let helper = match target.convention == &SYSTEM_V {
            true => add_system_v as *const () as usize,
            false => add_windows as *const () as usize,
        };
        let args = [address_mut(&mut out), address(&data), helper, 0];
        // SAFETY: the arrays are as large as it takes, and the helper has the convention of the code.
        unsafe { code.call(target.convention, args) };
        let sum = data[0] + data[1];
        for n in 0..words {
            assert_eq!(out[n], 2 * data[n]);
        }
        assert_eq!(out[words..words + 4], [sum, 2 * sum, data[0], data[1]]);
        assert!(!target.is_wide() || out[words + 4] == data[1]);
    }
}

#[expect(
    improper_ctypes_definitions,
    reason = "code made here calls it, as the psABI says"
)]
#[target_feature(enable = "avx2")]
extern "sysv64" fn sum_of_8(a: __m256, b: __m256) -> __m256 {
    _mm256_add_ps(a, b)
}

#[expect(
    improper_ctypes_definitions,
    reason = "code made here calls it, as the psABI says"
)]
#[target_feature(enable = "avx512f")]
extern "sysv64" fn sum_of_16(a: __m512, b: __m512) -> __m512 {
    _mm512_add_ps(a, b)
}

/// Whole vectors are passed to and from functions in System V calls, and nowhere else.
#[test]
fn calls_with_vectors() {
    for target in targets() {
        let width = target.width;
        let mut f = Function::new(target);
        let args = f.entry(3);
        let x = f.op(Op::Vmovups, width, &[Addr::base(args[1], 0).into()]);
        let double = f.op(Op::Vaddps, width, &[x.into(), x.into()]);
        let (_, sum) = f.call(args[2], &[], &[x, double]);
        if target.convention == &WINDOWS {
            assert!(f.compile().is_err());
            continue;
        }
        let (_, sum) = f.call(args[2], &[], &[sum, x]);
        let out = [Addr::base(args[0], 0).into(), sum.into()];
        f.op(Op::VmovupsStore, width, &out);
        f.ret();
        let (_, code) = build(f);
        let Some(code) = code else { continue };
        let helper = match width {
            Width::Z => sum_of_16 as *const () as usize,
            _ => sum_of_8 as *const () as usize,
        };
        let data: Vec<f32> = (0..width.bytes() / 4).map(|i| i as f32).collect();
        let mut out = vec![0_f32; data.len()];
        let args = [address_mut(&mut out), address(&data), helper, 0];
        // SAFETY: one vector in, one out; the CPU has what the target, and so the helper, needs.
        unsafe { code.call(target.convention, args) };
        assert!(out.iter().zip(&data).all(|(out, x)| *out == 4.0 * x));
    }
}

/// What a convention keeps is saved if it is used, and only then.
#[test]
fn kept_registers() {
    for target in targets() {
        for (ints, vectors) in [(3, 3), (13, 3), (3, 14)] {
            let mut f = Function::new(target);
            let args = f.entry(2);
            let mut all = Vec::new();
            for n in 0..ints {
                all.push(f.op(Op::Mov, Width::Q, &[Addr::base(args[1], 8 * n).into()]));
            }
            let mut wide = Vec::new();
            for n in 0..vectors {
                let place = Addr::base(args[1], 8 * n);
                wide.push(f.op(Op::Vmovups, Width::X, &[place.into()]));
            }
            let mut sum = all[0];
            for value in &all[1..] {
                sum = f.op(Op::Add, Width::Q, &[sum.into(), (*value).into()]);
            }
            let mut total = wide[0];
            for value in &wide[1..] {
                total = f.op(Op::Vpaddq, Width::X, &[total.into(), (*value).into()]);
            }
            let (to, beside) = (Addr::base(args[0], 0), Addr::base(args[0], 8));
            f.op(Op::MovStore, Width::Q, &[to.into(), sum.into()]);
            f.op(Op::VmovqStore, Width::X, &[beside.into(), total.into()]);
            f.ret();
            let (compiled, code) = build(f);
            let instructions = decode(&compiled);
            let count = |m| instructions.iter().filter(|i| i.mnemonic() == m).count();
            let windows = target.convention == &WINDOWS;
            assert_eq!(count(Mnemonic::Push), count(Mnemonic::Pop));
            assert_eq!(
                count(Mnemonic::Push) > 0,
                ints == 13,
                "{target:?} {compiled:?} {instructions:#?}"
            );
            // Wide targets have other registers that nobody keeps.
            let saves = windows && vectors == 14 && !target.is_wide();
            assert_eq!(
                compiled.frame > 0 && compiled.spills == 0 && vectors == 14,
                saves
            );
            let Some(code) = code else { continue };
            let data: Vec<u64> = (0..20).map(|i| i * 1001 + 7).collect();
            let mut out = [0_u64; 2];
            let args = [address_mut(&mut out), address(&data), 0, 0];
            // SAFETY: 20 words in, two out. The compiler of the test relies on what the convention keeps.
            unsafe { code.call(target.convention, args) };
            assert_eq!(out[0], data[..ints as usize].iter().sum::<u64>());
            assert_eq!(out[1], data[..vectors as usize].iter().sum::<u64>());
        }
    }
}

/// What the conventions keep is still there after a function that uses all registers.
#[test]
fn kept_registers_are_kept() {
    for target in targets() {
        let mut f = Function::new(target);
        let args = f.entry(2);
        let mut ints = Vec::new();
        let mut vectors = Vec::new();
        for n in 0..32 {
            let place: Input = Addr::base(args[1], 8 * n).into();
            ints.push(f.op(Op::Mov, Width::Q, &[place]));
            vectors.push(f.op(Op::Vpbroadcastq, target.width, &[place]));
        }
        for n in 0..32 {
            let out: Input = Addr::base(args[0], 16 * n).into();
            let n = n as usize;
            f.op(Op::VmovqStore, Width::X, &[out, vectors[n].into()]);
            let out: Input = Addr::base(args[0], 16 * n as i32 + 8).into();
            f.op(Op::MovStore, Width::Q, &[out, ints[31 - n].into()]);
        }
        f.ret();
        let (_, code) = build(f);
        let Some(code) = code else { continue };
        let data: Vec<u64> = (0..32).map(|i| i * 31 + 1).collect();
        let mut out = vec![0_u64; 64];
        // Sums that the compiler is free to keep in kept registers, of both classes, across the calls.
        let (mut whole, mut float) = (1_u64, 1.0_f64);
        for round in 0..10_u64 {
            let args = [address_mut(&mut out), address(&data), 0, 0];
            // SAFETY: 32 words in, 64 out.
            unsafe { code.call(target.convention, args) };
            whole = whole.wrapping_mul(3).wrapping_add(out[2 * round as usize]);
            float = float * 1.5 + out[2 * round as usize + 1] as f64;
        }
        let (mut expected, mut expected_float) = (1_u64, 1.0_f64);
        for round in 0..10 {
            expected = expected.wrapping_mul(3).wrapping_add(data[round]);
            expected_float = expected_float * 1.5 + data[31 - round] as f64;
        }
        assert_eq!((whole, float), (expected, expected_float));
    }
}
