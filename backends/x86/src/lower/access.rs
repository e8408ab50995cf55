//! Array parameters: addresses, loads and stores by access class, and the element's index.

use super::core::Offset;
use super::{A, Copies, Lower, Val, table};
use crate::encode::{Op, Width};
use crate::{Addr, Extra, VReg};
use kjit_ir::target::How;
use kjit_ir::{Access, ArrayMode, ArrayRef, DType, Imm, Opcode, Type, Value};
use smallvec::{SmallVec, smallvec};

/// Bytes from what is loaded to what is fetched for later, where arrays are larger than the caches.
const AHEAD: i32 = 1024;

/// How one array parameter is reached.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    access: Access,
    /// Address of the first element (for an index parameter, the first index).
    base: VReg,
    /// Bytes between elements, and between vectors, when not known.
    step: Option<(VReg, VReg)>,
    /// From the first lane to each lane, in 64 bits; two vectors where lanes have 32.
    apart: SmallVec<[VReg; 2]>,
    /// Address of this iteration's first element, when the loop carries it.
    cursor: Option<VReg>,
    used: bool,
}

/// Where the elements of one vector are.
#[derive(Clone, Debug)]
enum Place {
    /// Side by side.
    Side(Addr),
    /// One for all.
    Same(Addr),
    /// So many bytes apart; and as vectors, counted from the first.
    Steps(VReg, VReg, SmallVec<[VReg; 2]>),
    /// At 64-bit offsets.
    Offsets(VReg, VReg),
}

/// A mask and the bytes of its lanes.
type Mask = Option<(VReg, u8)>;

impl Frame {
    pub(super) fn is_uniform(&self) -> bool {
        self.access == Access::Uniform
    }

    fn is_carried(&self) -> bool {
        self.used && self.access == Access::Strided
    }
}

impl Lower<'_> {
    /// Loads pointers and steps.
    pub(super) fn open_arrays(&mut self, args: VReg, steps: VReg) {
        let kernel = self.kernel;
        let mut used = vec![false; kernel.arrays.len()];
        kjit_ir::analysis::tree::walk(kernel, &mut |_, inst| {
            if let Imm::Array(array) = kernel.inst(inst).imm {
                used[array.index()] = true;
            }
        });
        for (n, array) in kernel.arrays.iter().enumerate() {
            let mut frame = Frame {
                access: array.access,
                base: args,
                step: None,
                apart: SmallVec::new(),
                cursor: None,
                used: used[n],
            };
            let written = matches!(array.mode, ArrayMode::Out | ArrayMode::InOut);
            if frame.used && frame.is_uniform() && written {
                self.refuse("an output of one element for all");
            }
            if frame.used {
                frame.base = self.word(args, n);
            }
            if frame.is_carried() {
                let step = self.word(steps, n);
                let lanes = self.int_const(self.lanes as i64);
                let hop = self.op(Op::Imul, Width::Q, &[step.into(), lanes.into()]);
                frame.step = Some((step, hop));
                frame.apart = self.multiples(step);
            }
            self.arrays.push(frame);
        }
    }

    /// 0, 1, 2 and so on times a number, for each lane.
    fn multiples(&mut self, step: VReg) -> SmallVec<[VReg; 2]> {
        let parts = (self.lanes * 8).div_ceil(self.f.target().width.bytes());
        let each = self.lanes / parts;
        let all = self.splat_int(step, 8);
        let part = |this: &mut Self, part: usize| {
            let numbers = (0..each).map(|n| (part * each + n) as i64);
            let bytes: Vec<u8> = numbers.flat_map(i64::to_le_bytes).collect();
            let numbers = Addr::constant(this.f.constant(&bytes));
            let numbers = this.v(Op::Vmovups, 8, &[A::M(numbers)]);
            this.mul_words(all, numbers)
        };
        (0..parts).map(|n| part(self, n)).collect()
    }

    /// First values of what the element loop carries for strided arrays.
    pub(super) fn cursors(&self) -> Vec<VReg> {
        let carried = self.arrays.iter().filter(|frame| frame.is_carried());
        carried.map(|f| f.base).collect()
    }

    /// What the element loop carries.
    pub(super) fn set_cursors(&mut self, regs: &[VReg]) {
        let carried = self.arrays.iter_mut().filter(|frame| frame.is_carried());
        for (frame, reg) in carried.zip(regs) {
            frame.cursor = Some(*reg);
        }
    }

    /// Next values of what the element loop carries.
    pub(super) fn next_cursors(&mut self) -> Vec<VReg> {
        let scale = self.copies.trailing_zeros() as u8;
        let carried: Vec<(VReg, VReg)> = self
            .arrays
            .iter()
            .filter_map(|frame| Some((frame.cursor?, frame.step?.1)))
            .collect();
        let next = carried.into_iter();
        next.map(|(cursor, hop)| self.lea(Addr::indexed(cursor, hop, scale, 0)))
            .collect()
    }

    /// Address (or index) of the first lane of each copy of a strided array.
    fn strided(&mut self, frame: &Frame, offset: Option<VReg>) -> Copies {
        let (Some((_, hop)), Some(mut at)) = (frame.step, frame.cursor) else {
            self.refuse("a strided array without step");
            return smallvec![self.status; self.copies];
        };
        if let Some(offset) = offset {
            at = self.lea(Addr::indexed(at, offset, 0, 0));
        }
        let mut all = Copies::new();
        for n in 0..self.copies {
            if n > 0 {
                at = self.lea(Addr::indexed(at, hop, 0, 0));
            }
            all.push(at);
        }
        all
    }

    /// Where the elements of this iteration are, copy by copy.
    fn places(&mut self, array: ArrayRef, offset: &Offset) -> Vec<Place> {
        let frame = self.arrays[array.index()].clone();
        let dtype = self.kernel.arrays[array.index()].dtype;
        let uniform = match offset {
            Offset::Uniform(offset) | Offset::Lanes(Some(offset), _) => Some(*offset),
            Offset::Zero | Offset::Lanes(None, _) => None,
        };
        let mut places: Vec<Place> = match frame.access {
            Access::Strided => {
                let step = frame.step.map_or(self.status, |(step, _)| step);
                let firsts = self.strided(&frame, uniform);
                let places = firsts.into_iter();
                places
                    .map(|first| Place::Steps(first, step, frame.apart.clone()))
                    .collect()
            }
            access => {
                let base = match uniform {
                    Some(offset) => self.lea(Addr::indexed(frame.base, offset, 0, 0)),
                    None => frame.base,
                };
                let scale = Self::scale(dtype);
                let hop = (self.lanes * dtype.size()) as i32;
                let place = |n| match access {
                    Access::Contiguous => {
                        Place::Side(Addr::indexed(base, self.index, scale, n * hop))
                    }
                    _ => Place::Same(Addr::base(base, 0)),
                };
                (0..self.copies as i32).map(place).collect()
            }
        };
        if let Offset::Lanes(_, lanes) = offset {
            for (n, place) in places.iter_mut().enumerate() {
                let own = *lanes.get(n).unwrap_or(&lanes[0]);
                *place = self.scattered(place, own, dtype);
            }
        }
        places
    }

    /// A place whose lanes are moved by bytes of their own.
    fn scattered(&mut self, place: &Place, own: VReg, dtype: DType) -> Place {
        match place {
            Place::Side(addr) => {
                let size = dtype.size() as i64;
                let apart = self.lane_values(8, |n| n * size);
                let offsets = self.v(Op::Vpaddq, 8, &[own.into(), A::M(apart)]);
                Place::Offsets(self.lea(*addr), offsets)
            }
            Place::Same(addr) => Place::Offsets(self.lea(*addr), own),
            Place::Steps(first, _, apart) => {
                let offsets = self.v(Op::Vpaddq, 8, &[own.into(), apart[0].into()]);
                Place::Offsets(*first, offsets)
            }
            Place::Offsets(base, offsets) => Place::Offsets(*base, *offsets),
        }
    }

    /// `index`.
    pub(super) fn element_index(&mut self, array: ArrayRef, ty: Type) -> Val {
        let frame = self.arrays[array.index()].clone();
        let firsts = match frame.access {
            Access::Strided => self.strided(&frame, None),
            Access::Contiguous => {
                let hop = self.lanes as i32;
                let first = |this: &mut Self, n| {
                    this.lea(Addr::indexed(frame.base, this.index, 0, n * hop))
                };
                (0..self.copies as i32).map(|n| first(self, n)).collect()
            }
            Access::Uniform => smallvec![frame.base],
        };
        if !ty.varying {
            return Val::Int(firsts[0]);
        }
        let mut regs = Copies::new();
        for first in firsts {
            let all = self.splat_int(first, 8);
            regs.push(match frame.access {
                Access::Uniform => all,
                Access::Contiguous => {
                    let lanes = self.lane_values(8, |n| n);
                    self.v(Op::Vpaddq, 8, &[all.into(), A::M(lanes)])
                }
                Access::Strided => self.v(Op::Vpaddq, 8, &[all.into(), frame.apart[0].into()]),
            });
        }
        Val::Lanes(regs)
    }

    // ---- loads

    /// `load` and `core.load`. It is `left` in memory if its use may take it from there.
    pub(super) fn load(
        &mut self,
        array: ArrayRef,
        offset: Offset,
        mask: Option<Value>,
        ty: Type,
        left: bool,
    ) -> Val {
        let dtype = ty.dtype;
        let places = self.places(array, &offset);
        if self.streams && self.exists.is_none() {
            self.fetch(&places);
        }
        if left && mask.is_none() && self.exists.is_none() {
            let side = places.iter().filter_map(|place| match place {
                Place::Side(addr) => Some(*addr),
                _ => None,
            });
            let side: SmallVec<[Addr; 4]> = side.collect();
            if side.len() == places.len() {
                return Val::Memory(side);
            }
        }
        if !ty.varying {
            let Place::Same(addr) = places[0] else {
                self.refuse("a uniform load of elements that differ");
                return Val::Int(self.status);
            };
            if dtype.is_float() {
                return Val::Lanes(smallvec![self.read(dtype, &places[0], None)]);
            }
            let value = self.load_int(dtype, addr);
            if dtype != DType::Bool {
                return Val::Int(value);
            }
            self.op(Op::Test, Width::D, &[value.into(), value.into()]);
            return Val::Int(self.flag(crate::encode::Cc::Ne));
        }
        let lane = table::lane(dtype);
        let masks = mask.map(|mask| self.mask(mask, lane));
        let same = matches!(places[0], Place::Same(_));
        let count = match &masks {
            None if same => 1,
            _ => self.copies,
        };
        let raw = if dtype == DType::Bool {
            DType::U8
        } else {
            dtype
        };
        let mut regs = Copies::new();
        for (n, place) in places.iter().enumerate().take(count) {
            let mask = masks.as_ref().map(|m| (*m.get(n).unwrap_or(&m[0]), lane));
            let mask = if same { mask } else { self.existing(mask) };
            regs.push(self.read(raw, place, mask));
        }
        if dtype != DType::Bool {
            return Val::Lanes(regs);
        }
        let masks = regs.iter().map(|reg| self.nonzero((*reg).into(), raw).0);
        Val::Mask(masks.collect(), 4)
    }

    /// Asks for what loads of later iterations will need, once a cache line.
    fn fetch(&mut self, places: &[Place]) {
        let mut last = None;
        for place in places {
            let Place::Side(mut at) = *place else {
                continue;
            };
            if last.is_none_or(|last| at.disp - last >= 64) {
                last = Some(at.disp);
                at.disp += AHEAD;
                self.op(Op::Prefetcht0, Width::None, &[at.into()]);
            }
        }
    }

    /// A mask, but for lanes that do not exist.
    fn existing(&mut self, mask: Mask) -> Mask {
        match (mask, self.exists) {
            (None, None) => None,
            (None, Some(exists)) => Some((exists, 4)),
            (mask, None) => mask,
            (Some((mask, lane)), Some(exists)) => {
                Some((self.mask_op(Opcode::And, mask, exists, lane), lane))
            }
        }
    }

    /// Do all lanes take part, but for those that do not exist?
    fn masks_all(&self, mask: Mask) -> bool {
        mask.is_none_or(|(mask, _)| self.exists == Some(mask))
    }

    /// One vector; lanes that are masked off are zero.
    fn read(&mut self, dtype: DType, place: &Place, mask: Mask) -> VReg {
        let lane = table::lane(dtype);
        let how = match place {
            Place::Side(_) | Place::Same(_) => None,
            Place::Steps(..) if self.masks_all(mask) => Some(How::Apart),
            _ if dtype.size() >= 4 => Some(How::Gathered),
            _ => Some(How::ByLanes),
        };
        if let Some(how) = how {
            self.note(Opcode::Load, dtype, how);
        }
        match place {
            Place::Side(addr) => self.read_side(dtype, *addr, mask),
            Place::Same(addr) => {
                let all = match dtype.size() {
                    4 => self.v(Op::Vbroadcastss, 4, &[A::M(*addr)]),
                    8 => self.v(Op::Vbroadcastsd, 8, &[A::M(*addr)]),
                    _ => {
                        let one = self.load_int(dtype, *addr);
                        self.splat_int(one, 4)
                    }
                };
                match mask {
                    Some((mask, _)) => self.zero_unless(mask, all.into(), lane),
                    None => all,
                }
            }
            Place::Steps(base, step, _) if mask.is_none() => self.read_apart(dtype, *base, *step),
            Place::Steps(base, _, offsets) if dtype.size() >= 4 => {
                self.gather(dtype, *base, offsets, mask)
            }
            Place::Offsets(base, offsets) if dtype.size() >= 4 => {
                self.gather(dtype, *base, &[*offsets], mask)
            }
            place => self.read_lanes(dtype, place, mask),
        }
    }

    fn read_side(&mut self, dtype: DType, addr: Addr, mask: Mask) -> VReg {
        let lane = table::lane(dtype);
        let op = match (dtype.size(), dtype.is_signed_int()) {
            (1, true) => Op::Vpmovsxbd,
            (1, false) => Op::Vpmovzxbd,
            (2, true) => Op::Vpmovsxwd,
            (2, false) => Op::Vpmovzxwd,
            (4, _) if mask.is_some() => Op::Vmovdqu32,
            (_, _) if mask.is_some() => Op::Vmovdqu64,
            _ => Op::Vmovups,
        };
        let width = self.width(lane);
        match mask {
            Some((mask, _)) if self.masks => {
                self.v_with(op, width, Extra::masked(mask), &[A::M(addr)])
            }
            Some((mask, _)) => {
                let all = self.v(op, lane, &[A::M(addr)]);
                self.zero_unless(mask, all.into(), lane)
            }
            None => self.v(op, lane, &[A::M(addr)]),
        }
    }

    /// Elements of 4 or 8 bytes at 64-bit offsets, one vector of these or two.
    fn gather(&mut self, dtype: DType, base: VReg, offsets: &[VReg], mask: Mask) -> VReg {
        let lane = table::lane(dtype);
        let zero = self.constant(0, lane);
        let op = match (self.masks, lane) {
            (true, 4) => Op::VpgatherqdK,
            (true, _) => Op::VpgatherqqK,
            (false, 4) => Op::Vpgatherqd,
            (false, _) => Op::Vpgatherqq,
        };
        let masks = self.part_masks(mask, lane, offsets.len());
        let mut parts: SmallVec<[VReg; 2]> = SmallVec::new();
        for (offsets, mask) in offsets.iter().zip(masks) {
            let place = A::M(Addr::indexed(base, *offsets, 0, 0));
            let width = self.width(8);
            parts.push(match self.masks {
                true => self.v_with(op, width, Extra::masked(mask), &[zero.into(), place]),
                false => self.v(op, 8, &[zero.into(), place, mask.into()]),
            });
        }
        match *parts {
            [low, high] => self.join(low, high, self.width(4)),
            _ => parts[0],
        }
    }

    /// A mask (of all lanes, if none is given) for so many parts of the lanes.
    fn part_masks(&mut self, mask: Mask, lane: u8, parts: usize) -> SmallVec<[VReg; 2]> {
        let mask = match mask {
            Some((mask, _)) => mask,
            None => self.mask_const(true, lane),
        };
        if parts == 1 {
            return smallvec![mask];
        }
        let upper = match self.masks {
            true => {
                let by = crate::Input::Imm((self.lanes / 2) as i64);
                self.op(Op::Kshiftrw, Width::None, &[mask.into(), by])
            }
            false => self.upper(mask),
        };
        smallvec![mask, upper]
    }

    /// Bytes from the base to a lane, in a loop over lanes; `slot` has the offsets if there are any.
    fn lane_address(&mut self, place: &Place, lane: VReg) -> Addr {
        match place {
            Place::Steps(base, step, _) => {
                let offset = self.op(Op::Imul, Width::Q, &[lane.into(), (*step).into()]);
                Addr::indexed(*base, offset, 0, 0)
            }
            Place::Offsets(base, _) => {
                let mut from = Addr::stack(self.scratch(1), 0);
                (from.index, from.scale) = (Some(lane), 3);
                let offset = self.op(Op::Mov, Width::Q, &[from.into()]);
                Addr::indexed(*base, offset, 0, 0)
            }
            Place::Side(addr) | Place::Same(addr) => *addr,
        }
    }

    /// Elements one by one.
    fn read_lanes(&mut self, dtype: DType, place: &Place, mask: Mask) -> VReg {
        let zero = self.constant(0, 4);
        self.spread(2, 0, zero, 4);
        if let Place::Offsets(_, offsets) = place {
            self.spread(1, 0, *offsets, 8);
        }
        let mut to = Addr::stack(self.scratch(2), 0);
        let bits = self.lane_bits(mask);
        self.each_lane(bits, |this, lane| {
            let from = this.lane_address(place, lane);
            let value = this.load_int(dtype, from);
            (to.index, to.scale) = (Some(lane), 2);
            this.op(Op::MovStore, Width::D, &[to.into(), value.into()]);
        });
        self.collect(2, 4)
    }

    /// Lanes as bits; the mask is known to be of lanes that exist.
    fn lane_bits(&mut self, mask: Mask) -> VReg {
        self.active_bits(mask)
    }

    // ---- stores

    /// `store` and `core.store`.
    pub(super) fn store(
        &mut self,
        array: ArrayRef,
        offset: Offset,
        value: Value,
        mask: Option<Value>,
    ) {
        let dtype = self.kernel.arrays[array.index()].dtype;
        let lane = table::lane(dtype);
        let places = self.places(array, &offset);
        let masks = mask.map(|mask| self.mask(mask, lane));
        let values: Copies = match dtype {
            DType::Bool => {
                let masks = self.mask(value, 4);
                let numbers = masks.iter().map(|m| self.mask_to_number(*m, DType::U8));
                numbers.collect()
            }
            _ => self.numbers(value),
        };
        for (n, place) in places.iter().enumerate() {
            let mask = masks.as_ref().map(|m| (*m.get(n).unwrap_or(&m[0]), lane));
            let mask = self.existing(mask);
            let value = *values.get(n).unwrap_or(&values[0]);
            let how = match place {
                Place::Side(_) | Place::Same(_) => None,
                Place::Steps(..) if self.masks_all(mask) => Some(How::Apart),
                _ if self.masks && dtype.size() >= 4 => Some(How::Gathered),
                _ => Some(How::ByLanes),
            };
            if let Some(how) = how {
                self.note(Opcode::Store, dtype, how);
            }
            match place {
                Place::Side(addr) => self.write_side(dtype, *addr, value, mask),
                Place::Same(_) => self.refuse("an output of one element for all"),
                Place::Steps(base, step, _) if mask.is_none() => {
                    self.write_apart(dtype, *base, *step, value);
                }
                Place::Steps(base, _, offsets) if self.masks && dtype.size() >= 4 => {
                    self.scatter(dtype, *base, offsets, value, mask);
                }
                Place::Offsets(base, offsets) if self.masks && dtype.size() >= 4 => {
                    self.scatter(dtype, *base, &[*offsets], value, mask);
                }
                place => self.write_lanes(dtype, place, value, mask),
            }
        }
    }

    fn write_side(&mut self, dtype: DType, addr: Addr, value: VReg, mask: Mask) {
        let lane = table::lane(dtype);
        if dtype.size() < 4 && !self.masks {
            return self.write_packed(dtype, addr, value, mask);
        }
        let op = match (dtype.size(), mask.is_some()) {
            (1, _) => Op::Vpmovdb,
            (2, _) => Op::Vpmovdw,
            (4, true) if self.masks => Op::Vmovdqu32Store,
            (_, true) if self.masks => Op::Vmovdqu64Store,
            (4, true) => Op::VpmaskmovdStore,
            (_, true) => Op::VpmaskmovqStore,
            _ if self.streams => Op::Vmovntps,
            _ => Op::VmovupsStore,
        };
        let width = self.width(lane);
        let inputs = [A::M(addr), value.into()];
        match mask {
            None => self.v(op, lane, &inputs),
            Some((mask, _)) if self.masks => self.v_with(op, width, Extra::masked(mask), &inputs),
            Some((mask, _)) => self.v(op, lane, &[A::M(addr), mask.into(), value.into()]),
        };
    }

    /// Lanes of 32 bits as bytes or words side by side, where no instruction does it.
    fn write_packed(&mut self, dtype: DType, addr: Addr, value: VReg, mask: Mask) {
        let mut value = value;
        if let Some((mask, _)) = mask {
            let old = self.read_side(dtype, addr, None);
            value = self.blend(mask, value.into(), old.into(), 4);
        }
        let bytes = dtype.size();
        let picks: Vec<u8> = (0..16_u8)
            .map(|n| match usize::from(n) / bytes {
                lane @ 0..4 => (4 * lane + usize::from(n) % bytes) as u8,
                _ => 0x80,
            })
            .collect();
        let width = self.width(4);
        let picks = Addr::constant(self.f.constant(&picks.repeat(width.bytes() / 16)));
        let mut packed = self.v(Op::Vpshufb, 4, &[value.into(), A::M(picks)]);
        if width == Width::Y {
            let high = self.upper(packed);
            let op = if bytes == 1 {
                Op::Vpunpckldq
            } else {
                Op::Vpunpcklqdq
            };
            packed = self.f.op(op, Width::X, &[packed.into(), high.into()]);
        }
        let store = match bytes * self.lanes {
            4 => Op::VmovdStore,
            8 => Op::VmovqStore,
            _ => Op::VmovupsStore,
        };
        self.f.op(store, Width::X, &[addr.into(), packed.into()]);
    }

    fn scatter(&mut self, dtype: DType, base: VReg, offsets: &[VReg], value: VReg, mask: Mask) {
        let op = match table::lane(dtype) {
            4 => Op::VpscatterqdK,
            _ => Op::VpscatterqqK,
        };
        let masks = self.part_masks(mask, 4, offsets.len());
        for (n, (offsets, mask)) in offsets.iter().zip(masks).enumerate() {
            let value = if n == 0 { value } else { self.upper(value) };
            let place = A::M(Addr::indexed(base, *offsets, 0, 0));
            let width = self.width(8);
            self.v_with(op, width, Extra::masked(mask), &[place, value.into()]);
        }
    }

    /// Elements one by one.
    fn write_lanes(&mut self, dtype: DType, place: &Place, value: VReg, mask: Mask) {
        let lane = table::lane(dtype);
        self.spread(2, 0, value, lane);
        if let Place::Offsets(_, offsets) = place {
            self.spread(1, 0, *offsets, 8);
        }
        let mut from = Addr::stack(self.scratch(2), 0);
        let bits = self.lane_bits(mask);
        self.each_lane(bits, |this, number| {
            let to = this.lane_address(place, number);
            (from.index, from.scale) = (Some(number), lane.trailing_zeros() as u8);
            let width = if lane == 8 { Width::Q } else { Width::D };
            let value = this.op(Op::Mov, width, &[from.into()]);
            this.store_int(dtype, to, value);
        });
    }
}
