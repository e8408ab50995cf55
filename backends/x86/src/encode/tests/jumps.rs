//! Labels: distances around the border between short and near jumps, conditions, alignment.

use super::{IP, decode_all};
use crate::encode::{Assembler, Cc, Op, Width};
use iced_x86::FlowControl;

fn pad(code: &mut Assembler, bytes: usize) {
    for _ in 0..bytes {
        code.op(Op::Ret, Width::None, &[]);
    }
}

/// Every distance around 127 bytes, forwards and backwards, with and without a condition.
#[test]
fn short_and_near() {
    for distance in (0..8).chain(115..140).chain([1000]) {
        for condition in [None, Some(Cc::B)] {
            let mut code = Assembler::new();
            let (top, end) = (code.label(), code.label());
            let go = |code: &mut Assembler, to| match condition {
                Some(cc) => code.jump_if(cc, to),
                None => code.jump(to),
            };
            code.place(top);
            go(&mut code, end);
            pad(&mut code, distance);
            code.place(end);
            go(&mut code, top);
            let code = code.finish().unwrap();
            let all = decode_all(&code.bytes);
            let (first, last) = (&all[0], &all[all.len() - 1]);
            assert_eq!(all.len(), distance + 2);
            assert_eq!(first.near_branch_target(), last.ip());
            assert_eq!(last.near_branch_target(), IP);
            assert_eq!(first.len() == 2, distance <= 127, "{distance}");
            let back = distance + first.len() + 2;
            assert_eq!(last.len() == 2, back <= 128, "{distance}");
            let kind = match condition {
                Some(_) => FlowControl::ConditionalBranch,
                None => FlowControl::UnconditionalBranch,
            };
            assert_eq!(first.flow_control(), kind);
        }
    }
}

/// A jump that grows pushes another one over the border.
#[test]
fn growing_jumps_push_others() {
    let mut code = Assembler::new();
    let labels: Vec<_> = (0..40).map(|_| code.label()).collect();
    for n in 0..40 {
        code.jump_if(Cc::Ne, labels[(n + 9) % 40]);
        pad(&mut code, if n < 20 { 5 } else { 12 });
        code.place(labels[n]);
    }
    pad(&mut code, 1);
    let code = code.finish().unwrap();
    let all = decode_all(&code.bytes);
    let jumps: Vec<_> = all.iter().filter(|i| i.is_jcc_short_or_near()).collect();
    assert_eq!(jumps.len(), 40);
    assert!(jumps.iter().any(|j| j.len() == 2) && jumps.iter().any(|j| j.len() == 6));
    for (n, jump) in jumps.iter().enumerate() {
        let target = jumps[(n + 9) % 40];
        let target = target.next_ip() + if (n + 9) % 40 < 20 { 5 } else { 12 };
        assert_eq!(jump.near_branch_target(), target);
    }
}

#[test]
fn every_condition() {
    for cc in Cc::ALL {
        let mut code = Assembler::new();
        let to = code.label();
        code.jump_if(cc, to);
        code.place(to);
        let code = code.finish().unwrap();
        let all = decode_all(&code.bytes);
        assert_eq!(super::condition_number(&all[0]), cc as i64);
        assert_eq!(cc.not() as u8, cc as u8 ^ 1);
    }
}

/// Alignment fills with `nop`s, and moves when jumps before it grow.
#[test]
fn alignment() {
    for align in [1, 2, 16, 32, 64] {
        for before in 0..70 {
            let mut code = Assembler::new();
            let (top, end) = (code.label(), code.label());
            pad(&mut code, before);
            code.jump(end);
            code.align(align);
            code.place(top);
            pad(&mut code, 120);
            code.jump_if(Cc::E, top);
            code.place(end);
            pad(&mut code, 1);
            let code = code.finish().unwrap();
            let all = decode_all(&code.bytes);
            assert!(code.align >= usize::from(align));
            let back = all.iter().find(|i| i.is_jcc_short_or_near()).unwrap();
            assert_eq!(back.near_branch_target() % u64::from(align), 0);
            let jump = all.iter().find(|i| i.is_jmp_short_or_near()).unwrap();
            assert_eq!(jump.near_branch_target(), back.next_ip());
            let nops = all
                .iter()
                .filter(|i| i.mnemonic() == iced_x86::Mnemonic::Nop);
            assert!(nops.count() <= usize::from(align).div_ceil(9));
        }
    }
}

#[test]
fn a_label_without_place_is_an_error() {
    let mut code = Assembler::new();
    let nowhere = code.label();
    code.jump(nowhere);
    assert!(code.finish().is_err());
}
