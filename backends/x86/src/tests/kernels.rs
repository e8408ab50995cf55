//! Kernels as a backend would make them: loops over arrays with tails, reductions, gathers and scatters.

use super::{address, address_mut, build, decode, jumps, targets, wide_targets};
use crate::encode::{Cc, Op, Width};
use crate::{Addr, Extra, Function, Input, RegClass, Target};
use iced_x86::Mnemonic;

/// `y = a * x + y` over `(y, x, &a, n)`: a loop over whole vectors, then a masked one.
fn saxpy(target: Target) -> Function {
    let width = target.width;
    let lanes = (width.bytes() / 4) as i64;
    let mut f = Function::new(target);
    let args = f.entry(4);
    let (y, x, n) = (args[0], args[1], args[3]);
    let a = f.op(Op::Vbroadcastss, width, &[Addr::base(args[2], 0).into()]);
    let zero = f.op(Op::MovImm32, Width::None, &[Input::Imm(0)]);
    let (body, at) = f.block(&[RegClass::Int]);
    let (tail, rest) = f.block(&[RegClass::Int]);
    let (masked, _) = f.block(&[]);
    let (done, _) = f.block(&[]);
    f.align(body, 32);
    f.op(Op::CmpImm8, Width::Q, &[n.into(), Input::Imm(lanes)]);
    f.branch(Cc::L, (tail, &[zero]), (body, &[zero]));

    f.start(body);
    let (to, from) = (Addr::indexed(y, at[0], 2, 0), Addr::indexed(x, at[0], 2, 0));
    let old = f.op(Op::Vmovups, width, &[to.into()]);
    let new = f.op(Op::Vfmadd231ps, width, &[old.into(), a.into(), from.into()]);
    f.op(Op::VmovupsStore, width, &[to.into(), new.into()]);
    let next = f.op(Op::AddImm8, Width::Q, &[at[0].into(), Input::Imm(lanes)]);
    let end = f.op(Op::Lea, Width::Q, &[Addr::base(next, lanes as i32).into()]);
    f.op(Op::Cmp, Width::Q, &[end.into(), n.into()]);
    f.branch(Cc::Le, (body, &[next]), (tail, &[next]));

    f.start(tail);
    let left = f.op(Op::Sub, Width::Q, &[n.into(), rest[0].into()]);
    f.op(Op::Test, Width::Q, &[left.into(), left.into()]);
    f.branch(Cc::E, (done, &[]), (masked, &[]));

    f.start(masked);
    let (to, from) = (
        Addr::indexed(y, rest[0], 2, 0),
        Addr::indexed(x, rest[0], 2, 0),
    );
    if f.target().is_wide() {
        let ones = f.op(Op::MovImm, Width::Q, &[Input::Imm(-1)]);
        let bits = f.op(Op::Bzhi, Width::Q, &[ones.into(), left.into()]);
        let k = f.op(Op::KmovqFromG, Width::None, &[bits.into()]);
        let old = f.op_with(Op::Vmovups, width, Extra::masked(k), &[to.into()]);
        let more = f.op_with(Op::Vmovups, width, Extra::masked(k), &[from.into()]);
        let new = f.op(Op::Vfmadd231ps, width, &[old.into(), a.into(), more.into()]);
        let inputs = [to.into(), new.into()];
        f.op_with(Op::VmovupsStore, width, Extra::masked(k), &inputs);
    } else {
        let mut numbers = Vec::new();
        for lane in 0..8_u32 {
            numbers.extend(lane.to_le_bytes());
        }
        let numbers = f.constant(&numbers);
        let left = f.op(Op::Vmovd, Width::X, &[left.into()]);
        let left = f.op(Op::Vpbroadcastd, width, &[left.into()]);
        let inputs = [left.into(), Addr::constant(numbers).into()];
        let mask = f.op(Op::Vpcmpgtd, width, &inputs);
        let old = f.op(Op::Vmaskmovps, width, &[mask.into(), to.into()]);
        let more = f.op(Op::Vmaskmovps, width, &[mask.into(), from.into()]);
        let new = f.op(Op::Vfmadd231ps, width, &[old.into(), a.into(), more.into()]);
        let inputs = [to.into(), mask.into(), new.into()];
        f.op(Op::VmaskmovpsStore, width, &inputs);
    }
    f.jump(done, &[]);

    f.start(done);
    f.ret();
    f
}

#[test]
fn saxpy_with_a_masked_tail() {
    for target in targets() {
        let (compiled, code) = build(saxpy(target));
        assert_eq!((compiled.frame, compiled.spills, compiled.moves), (0, 0, 0));
        // Into the tail or the loop, around the loop, around the tail: nothing else jumps.
        assert_eq!(jumps(&compiled), 3);
        let all = decode(&compiled);
        let clears = |i: &&iced_x86::Instruction| i.mnemonic() == Mnemonic::Vzeroupper;
        assert_eq!(all.iter().filter(clears).count(), 1);
        assert!(all.iter().all(|i| i.mnemonic() != Mnemonic::Push));
        let Some(code) = code else { continue };
        for n in (0..70).chain([1000]) {
            let x: Vec<f32> = (0..n).map(|i| i as f32 * 0.37 - 3.0).collect();
            let mut y: Vec<f32> = (0..n + 8).map(|i| (i * i) as f32 * 0.11).collect();
            let a = [1.7_f32];
            let mut expected = y.clone();
            for (y, x) in expected.iter_mut().zip(&x) {
                *y = a[0].mul_add(*x, *y);
            }
            let args = [address_mut(&mut y), address(&x), address(&a), n];
            // SAFETY: the arrays have n elements.
            unsafe { code.call(target.convention, args) };
            assert_eq!(y, expected, "{n}");
        }
    }
}

/// The sum over `(&out, x, n)`, n a multiple of four vectors: four accumulators, carried by block parameters.
#[test]
fn a_reduction() {
    for target in targets() {
        let width = target.width;
        let bytes = width.bytes() as i32;
        let mut f = Function::new(target);
        let args = f.entry(3);
        let zero = f.op(Op::MovImm32, Width::None, &[Input::Imm(0)]);
        let none = f.constant(&0_f32.to_le_bytes());
        let none = f.op(Op::Vbroadcastss, width, &[Addr::constant(none).into()]);
        let mut classes = vec![RegClass::Vector; 4];
        classes.push(RegClass::Int);
        let (body, carried) = f.block(&classes);
        let (done, sums) = f.block(&classes[..4]);
        f.jump(body, &[none, none, none, none, zero]);
        f.start(body);
        let at = carried[4];
        let mut next: Vec<_> = (0..4)
            .map(|n| {
                let place = Addr::indexed(args[1], at, 2, n * bytes);
                let inputs = [carried[n as usize].into(), place.into()];
                f.op(Op::Vaddps, width, &inputs)
            })
            .collect();
        let step = Input::Imm(i64::from(bytes));
        next.push(f.op(Op::AddImm, Width::Q, &[at.into(), step]));
        f.op(Op::Cmp, Width::Q, &[next[4].into(), args[2].into()]);
        f.branch(Cc::B, (body, &next), (done, &next[..4]));
        f.start(done);
        let left = f.op(Op::Vaddps, width, &[sums[0].into(), sums[1].into()]);
        let right = f.op(Op::Vaddps, width, &[sums[2].into(), sums[3].into()]);
        let mut all = f.op(Op::Vaddps, width, &[left.into(), right.into()]);
        if width == Width::Z {
            let inputs = [all.into(), Input::Imm(1)];
            let high = f.op(Op::Vextractf64x4, Width::Z, &inputs);
            all = f.op(Op::Vaddps, Width::Y, &[all.into(), high.into()]);
        }
        let high = f.op(Op::Vextractf32x4, Width::Y, &[all.into(), Input::Imm(1)]);
        let mut all = f.op(Op::Vaddps, Width::X, &[all.into(), high.into()]);
        for order in [0b1110, 0b0001] {
            let inputs = [all.into(), Input::Imm(order)];
            let high = f.op(Op::VpermilpsImm, Width::X, &inputs);
            all = f.op(Op::Vaddps, Width::X, &[all.into(), high.into()]);
        }
        let out = Addr::base(args[0], 0);
        f.op(Op::VmovssStore, Width::X, &[out.into(), all.into()]);
        f.ret();
        let (compiled, code) = build(f);
        assert_eq!(jumps(&compiled), 1);
        assert_eq!(compiled.spills, 0);
        let Some(code) = code else { continue };
        let x: Vec<f32> = (0..640).map(|i| ((i * 7) % 31) as f32).collect();
        let mut out = [0_f32];
        let args = [address_mut(&mut out), address(&x), 640, 0];
        // SAFETY: there are as many elements as it is told.
        unsafe { code.call(target.convention, args) };
        assert_eq!(out[0], x.iter().sum::<f32>());
    }
}

/// Gathers and scatters clear their mask, which is used again afterwards.
#[test]
fn gathers_and_scatters_with_masks() {
    for target in wide_targets() {
        let (width, lanes) = (target.width, target.width.bytes() / 4);
        let mut f = Function::new(target);
        let args = f.entry(4); // out, in, indices, bits
        let k = f.op(Op::KmovwFromG, Width::None, &[args[3].into()]);
        let indices = f.op(Op::Vmovdqu32, width, &[Addr::base(args[2], 0).into()]);
        let place = Addr::indexed(args[1], indices, 2, 0);
        let old = f.op(Op::Vmovups, width, &[Addr::base(args[0], 0).into()]);
        let inputs = [old.into(), place.into()];
        let found = f.op_with(Op::VgatherdpsK, width, Extra::masked(k), &inputs);
        let sum = f.op_with(
            Op::Vaddps,
            width,
            Extra::merged(k, old),
            &[found.into(), found.into()],
        );
        let to = Addr::indexed(args[0], indices, 2, 0);
        let inputs = [to.into(), sum.into()];
        f.op_with(Op::VscatterdpsK, width, Extra::masked(k), &inputs);
        let again = f.op(Op::KmovwToG, Width::None, &[k.into()]);
        let inputs = [Addr::base(args[2], 0).into(), again.into()];
        f.op(Op::MovStore, Width::D, &inputs);
        f.ret();
        let (_, code) = build(f);
        let Some(code) = code else { continue };
        let bits = 0x5a5a_u32 & ((1 << lanes) - 1);
        let mut indices: Vec<u32> = (0..lanes as u32).rev().collect();
        let data: Vec<f32> = (0..lanes).map(|i| i as f32 + 0.5).collect();
        let mut out: Vec<f32> = (0..lanes).map(|i| -(i as f32)).collect();
        let mut expected = out.clone();
        for lane in 0..lanes {
            if bits >> lane & 1 != 0 {
                expected[lanes - 1 - lane] = 2.0 * data[lanes - 1 - lane];
            }
        }
        let pointers = [
            address_mut(&mut out),
            address(&data),
            address_mut(&mut indices),
            bits as usize,
        ];
        // SAFETY: all arrays have as many elements as a vector has lanes.
        unsafe { code.call(target.convention, pointers) };
        assert_eq!(out, expected);
        assert_eq!(indices[0], bits, "the mask is still there");
    }
}

/// An AVX2 gather: result, index and mask in three registers, though one value is all of them.
#[test]
fn a_gather_by_a_vector_mask() {
    for target in targets().into_iter().filter(|t| !t.is_wide()) {
        let mut f = Function::new(target);
        let args = f.entry(4);
        let indices = f.op(Op::Vmovdqu32, Width::Y, &[Addr::base(args[2], 0).into()]);
        let place = Addr::indexed(args[1], indices, 2, 0);
        // The value is old result, index and mask: only lanes whose index is negative are read.
        let inputs = [indices.into(), place.into(), indices.into()];
        let found = f.op(Op::Vpgatherdd, Width::Y, &inputs);
        let out = [Addr::base(args[0], 0).into(), found.into()];
        f.op(Op::Vmovdqu32Store, Width::Y, &out);
        f.ret();
        let (_, code) = build(f);
        let Some(code) = code else { continue };
        let data: Vec<i32> = (100..108).collect();
        let indices = [3, -1, 2, -4, 0, -8, 7, -2];
        let mut out = [0_i32; 8];
        let args = [
            address_mut(&mut out),
            address(&data[..]) + 32,
            address(&indices),
            0,
        ];
        // SAFETY: negative indices are within the 8 elements before the address.
        unsafe { code.call(target.convention, args) };
        assert_eq!(out, [3, 107, 2, 104, 0, 100, 7, 106]);
    }
}

/// Conversions and broadcasts of constants: `out = (i32)(x * 2^31 rounded up)` for finite x, as `f32` to `u8` saturates.
#[test]
fn conversions_and_broadcast_constants() {
    for target in wide_targets().iter().filter(|t| t.width == Width::Z) {
        let mut f = Function::new(*target);
        let args = f.entry(3);
        let x = f.op(Op::Vmovups, Width::Z, &[Addr::base(args[1], 0).into()]);
        let scale = f.constant(&3_f32.to_le_bytes());
        let inputs = [x.into(), Addr::constant(scale).into()];
        let y = f.op_with(Op::Vmulps, Width::Z, Extra::BROADCAST, &inputs);
        let up = Extra {
            round: Some(crate::encode::Round::Up),
            ..Extra::NONE
        };
        let y = f.op_with(Op::Vcvtps2dq, Width::Z, up, &[y.into()]);
        let out = Addr::base(args[0], 0);
        f.op(Op::Vpmovusdb, Width::Z, &[out.into(), y.into()]);
        f.ret();
        let (compiled, code) = build(f);
        let text: Vec<String> = decode(&compiled).iter().map(|i| i.to_string()).collect();
        assert!(text.iter().any(|line| line.contains("{1to16}")), "{text:?}");
        let Some(code) = code else { continue };
        let x: Vec<f32> = (0..16).map(|i| i as f32 * 7.3).collect();
        let mut out = [0_u8; 16];
        let args = [address_mut(&mut out), address(&x), 0, 0];
        // SAFETY: 16 elements each.
        unsafe { code.call(target.convention, args) };
        let expected: Vec<u8> = x
            .iter()
            .map(|x| (x * 3.0).ceil().min(255.0) as u8)
            .collect();
        assert_eq!(out[..], expected);
    }
}
