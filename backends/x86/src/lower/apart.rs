//! Elements that lie a number of bytes apart, all of a vector: one by one between memory and vectors of 128 bits.
//!
//! Gathers and scatters do that too, and more slowly on many machines; they are for lanes that are masked.

use super::{A, Lower, table};
use crate::encode::{Op, Width};
use crate::{Addr, Extra, Input, VReg};
use kjit_ir::DType;

impl Lower<'_> {
    /// The addresses of all lanes.
    fn apart(&mut self, base: VReg, step: VReg) -> Vec<Addr> {
        let three = self.lea(Addr::indexed(step, step, 1, 0));
        let mut base = base;
        let mut all = Vec::new();
        while all.len() < self.lanes {
            if !all.is_empty() {
                base = self.lea(Addr::indexed(base, step, 2, 0));
            }
            all.push(Addr::base(base, 0));
            all.push(Addr::indexed(base, step, 0, 0));
            all.push(Addr::indexed(base, step, 1, 0));
            all.push(Addr::indexed(base, three, 0, 0));
        }
        all
    }

    /// A vector of elements that are so many bytes apart.
    pub(super) fn read_apart(&mut self, dtype: DType, base: VReg, step: VReg) -> VReg {
        let addresses = self.apart(base, step);
        let size = dtype.size();
        let each = 16 / size;
        let insert = match size {
            1 => Op::Vpinsrb,
            2 => Op::Vpinsrw,
            4 => Op::Vpinsrd,
            _ => Op::Vpinsrq,
        };
        let parts = addresses.chunks(each).map(|group| {
            let first: Input = group[0].into();
            let mut part = match size {
                4 => self.f.op(Op::Vmovd, Width::X, &[first]),
                8 => self.f.op(Op::VmovqG, Width::X, &[first]),
                _ => {
                    let low = self.load_int(dtype, group[0]);
                    self.f.op(Op::Vmovd, Width::X, &[low.into()])
                }
            };
            for (n, from) in group.iter().enumerate().skip(1) {
                let number = Input::Imm(n as i64);
                let inputs = [part.into(), (*from).into(), number];
                part = self.f.op(insert, Width::X, &inputs);
            }
            part
        });
        let parts: Vec<VReg> = parts.collect();
        let joined = self.join_all(&parts);
        let widen = match (size, dtype.is_signed_int()) {
            (1, true) => Op::Vpmovsxbd,
            (1, false) => Op::Vpmovzxbd,
            (2, true) => Op::Vpmovsxwd,
            (2, false) => Op::Vpmovzxwd,
            _ => return joined,
        };
        self.v(widen, 4, &[joined.into()])
    }

    /// One vector out of vectors of half the width, or of a quarter.
    fn join_all(&mut self, parts: &[VReg]) -> VReg {
        match *parts {
            [one] => one,
            [low, high] => self.join(low, high, Width::Y),
            _ => {
                let (low, high) = parts.split_at(parts.len() / 2);
                let (low, high) = (self.join_all(low), self.join_all(high));
                self.join(low, high, Width::Z)
            }
        }
    }

    /// The elements of a vector to places so many bytes apart.
    pub(super) fn write_apart(&mut self, dtype: DType, base: VReg, step: VReg, value: VReg) {
        let addresses = self.apart(base, step);
        let lane = table::lane(dtype);
        let each = 16 / usize::from(lane);
        let (store, scale) = match dtype.size() {
            1 => (Op::Vpextrb, 4),
            2 => (Op::Vpextrw, 2),
            4 => (Op::Vpextrd, 1),
            _ => (Op::Vpextrq, 1),
        };
        let width = self.width(lane);
        for (n, group) in addresses.chunks(each).enumerate() {
            let part = match n {
                0 => value,
                n => {
                    let inputs = [value.into(), A::I(n as i64)];
                    self.v_with(Op::Vextracti32x4, width, Extra::NONE, &inputs)
                }
            };
            for (k, to) in group.iter().enumerate() {
                let inputs = [(*to).into(), part.into(), Input::Imm((k * scale) as i64)];
                self.f.op(store, Width::X, &inputs);
            }
        }
    }
}
