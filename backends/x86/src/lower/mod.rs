//! From kernels of the IR, in vector form, to functions of machine instructions.
//!
//! One lowering for all tiers. What differs between them is how many bytes a vector has, and what a mask is:
//!
//! - with AVX-512 a mask is a mask register, and elements left over behind the last whole iteration are a loop of their
//!   own, whose loads, stores and tests are masked. Such a kernel takes any number of elements;
//! - with AVX2 a mask is a vector, of all ones or zeros in lanes of 32 or of 64 bits, as its compare made it; users
//!   convert. Such a kernel takes multiples of its lanes.
//!
//! How many lanes an iteration has follows from the widest dtype, so that every varying value is one register: a
//! vector of 64-bit lanes where there are any, and then vectors of half that size for lanes of 32 bits. Integers of 8
//! and 16 bits sit sign- or zero-extended in lanes of 32 bits at all times. An iteration does that several times over
//! ([`shape`]), instruction by instruction, so that there is something to do while a result is waited for: a varying
//! value is a list of registers, one a *copy*; a list of one register stands for the same in every copy.
//!
//! What all lanes share is an integer in a general register (sign- or zero-extended to 64 bits; a bool is 0 or 1) or
//! a float in all lanes of a vector. What general registers cannot do ([`scalar`]) is done in a vector too, by the
//! same code as for varying values.

mod access;
mod apart;
mod consts;
mod convert;
mod core;
mod divide;
mod flow;
mod helpers;
mod lanes;
mod locals;
mod mask;
mod scalar;
pub(crate) mod shape;
mod single;
mod table;
mod vector;

use crate::encode::{Cc, Op, Width};
use crate::{Addr, Extra, Function, Input, RegClass, Target, VReg};
use kjit_ir::target::{BackendError, CodeNote, How};
use kjit_ir::{
    ArrayMode, DType, Form, Function as Kernel, Imm, Inst, Loc, Opcode, Scalar, Type, Value,
};
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

/// The registers of a varying value, one a copy; a single one stands for all copies.
type Copies = SmallVec<[VReg; 4]>;

/// A value of the kernel, lowered.
#[derive(Clone, Debug)]
enum Val {
    /// Not yet, or never.
    None,
    /// A constant, in one lane or in all.
    Const(Scalar),
    /// A uniform integer or bool in a general register.
    Int(VReg),
    /// Numbers in vectors.
    Lanes(Copies),
    /// Floats that are still in memory, a vector a copy, and will be there until their only use.
    Memory(SmallVec<[Addr; 4]>),
    /// A bool a lane. Where masks are vectors: whose lanes have so many bytes.
    Mask(Copies, u8),
}

/// What an instruction of a vector is given.
#[derive(Clone, Copy, Debug)]
enum A {
    /// A register.
    R(VReg),
    /// These bits in every lane of so many bytes.
    C(u64, u8),
    /// Memory.
    M(Addr),
    /// An immediate.
    I(i64),
}

impl From<VReg> for A {
    fn from(reg: VReg) -> A {
        A::R(reg)
    }
}

/// A kernel as machine instructions.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) function: Function,
    /// The number of elements must be a multiple of this.
    pub(crate) lanes: usize,
    /// Lanes of a vector.
    pub(crate) vector: usize,
    /// Vectors of an iteration of the loop over whole ones.
    pub(crate) copies: usize,
    /// What decided that.
    pub(crate) reasons: shape::Reasons,
    /// What took more than the instructions of the operation.
    pub(crate) notes: Vec<CodeNote>,
    /// The loops: the parts of the function from 1 on.
    pub(crate) loops: Vec<LoopPart>,
}

/// A loop of the machine code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoopPart {
    /// The `loop` that it was; none: the loop over the elements.
    pub(crate) inst: Option<Inst>,
    /// Is it of the code for elements left over?
    pub(crate) rest: bool,
}

/// State of lowering one kernel.
struct Lower<'a> {
    kernel: &'a Kernel,
    f: Function,
    /// Are masks mask registers?
    masks: bool,
    /// Do results go past the caches?
    streams: bool,
    /// Lanes of a vector.
    lanes: usize,
    /// Vectors of the loop being written.
    copies: usize,
    shape: shape::Shape,
    vals: Vec<Val>,
    /// Instructions lowered ahead of the loops.
    hoisted: Vec<bool>,
    arrays: Vec<access::Frame>,
    core: core::Frame,
    locals: Vec<locals::Frame>,
    /// Elements done before this iteration.
    index: VReg,
    /// Pointer to the [`kjit_ir::abi::KernelStatus`].
    status: VReg,
    /// The lanes that exist, where not all do: a mask register.
    exists: Option<VReg>,
    /// Constants in registers for the whole function, by bits and bytes of a lane.
    constants: FxHashMap<(u64, u8), VReg>,
    /// Bytes of a lane of a mask in block parameters, where masks are vectors.
    mask_lane: u8,
    /// Where lanes go one by one.
    scratch: Vec<crate::StackSlot>,
    yields: Vec<flow::Target>,
    loops: Vec<flow::Loop>,
    /// What cannot be lowered, told at the end.
    unsupported: Option<String>,
    notes: Vec<CodeNote>,
    parts: Vec<LoopPart>,
}

/// Lowers a kernel; `streams` as [`crate::X86::streaming`] says.
pub(crate) fn lower(
    kernel: &Kernel,
    target: Target,
    copies: Option<usize>,
    streams: bool,
) -> Result<Lowered, BackendError> {
    check(kernel)?;
    let masks = target.is_wide();
    let shape = shape::Shape::new(kernel, &target, copies);
    let mut function = Function::new(target);
    let registers = function.entry(4);
    let [args, dims, steps, status] = *registers else {
        return Err(BackendError::Unsupported(
            "unsupported: a calling convention that passes fewer than four arguments in registers"
                .into(),
        ));
    };
    let mut lower = Lower {
        kernel,
        f: function,
        masks,
        streams,
        lanes: shape.lanes,
        copies: shape.copies,
        vals: vec![Val::None; kernel.values.len()],
        hoisted: vec![false; kernel.insts.len()],
        arrays: Vec::new(),
        core: core::Frame::default(),
        locals: Vec::new(),
        index: status,
        status,
        exists: None,
        constants: FxHashMap::default(),
        mask_lane: shape.mask_lane,
        scratch: Vec::new(),
        yields: Vec::new(),
        loops: Vec::new(),
        unsupported: None,
        notes: Vec::new(),
        parts: Vec::new(),
        shape,
    };
    lower.function(args, dims, steps)?;
    if let Some(what) = lower.unsupported {
        return Err(BackendError::Unsupported(format!(
            "unsupported: {what} in {}",
            kernel.name
        )));
    }
    let lanes = match masks {
        true => 1,
        false => lower.shape.lanes * lower.shape.copies,
    };
    Ok(Lowered {
        function: lower.f,
        lanes,
        vector: lower.shape.lanes,
        copies: lower.shape.copies,
        reasons: lower.shape.reasons,
        notes: lower.notes,
        loops: lower.parts,
    })
}

/// Refuses what no lowering exists for.
fn check(kernel: &Kernel) -> Result<(), BackendError> {
    let no = |what: String| {
        Err(BackendError::Unsupported(format!(
            "unsupported: {what} in {}",
            kernel.name
        )))
    };
    if !kernel.is_kernel() || !kernel.params().is_empty() {
        return Err(BackendError::Internal(format!(
            "{} is not a kernel: it has no array parameters",
            kernel.name
        )));
    }
    if kernel.form != Form::Vector {
        return no("scalar form".into());
    }
    let dtypes = kernel.values.iter().map(|v| v.ty.dtype);
    let dtypes = dtypes.chain(kernel.arrays.iter().map(|a| a.dtype));
    let mut dtypes = dtypes.chain(kernel.locals.iter().map(|l| l.dtype));
    if let Some(dtype) = dtypes.find(|dtype| !dtype.is_native()) {
        return no(format!("computing with {dtype}"));
    }
    Ok(())
}

impl Lower<'_> {
    /// The whole function: what is the same for all elements, the loop over whole iterations, the loop over the rest.
    fn function(&mut self, args: VReg, dims: VReg, steps: VReg) -> Result<(), BackendError> {
        let count = self.word(dims, 0);
        self.open_arrays(args, steps);
        self.open_core(dims, steps);
        self.open_locals()?;
        self.open_constants();
        self.hoist();
        let zero = self.int_const(0);
        let (done, _) = self.f.block(&[]);
        if !self.masks {
            self.loop_over(count, zero, done, false);
            self.f.start(done);
            self.leave();
            return Ok(());
        }
        let all = self.all_lanes();
        let cursors = self.cursors();
        let classes = vec![RegClass::Int; 1 + cursors.len()];
        let (rest, params) = self.f.block(&classes);
        if self.shape.whole {
            // The lanes that exist are all of them; only where there are fewer than a mask has bits is that said.
            self.exists = (self.lanes < 8).then_some(all);
            let next = self.loop_over(count, zero, rest, true);
            debug_assert_eq!(next, rest, "the loop leads to the rest");
        } else {
            let mut start = vec![zero];
            start.extend(&cursors);
            self.f.jump(rest, &start);
        }
        self.f.start(rest);
        self.copies = 1;
        self.forget();
        let (body, inner) = self.f.block(&classes);
        let outside = self.open_part(None, true);
        self.op(Op::Cmp, Width::Q, &[params[0].into(), count.into()]);
        self.f.branch(Cc::L, (body, &params), (done, &[]));
        self.f.start(body);
        self.f.align(body, 32);
        self.index = inner[0];
        self.set_cursors(&inner[1..]);
        let left = self.op(Op::Sub, Width::Q, &[count.into(), self.index.into()]);
        let lanes = self.int_const(self.lanes as i64);
        self.op(Op::Cmp, Width::Q, &[left.into(), lanes.into()]);
        let left = self.op(
            Op::Cmovcc,
            Width::Q,
            &[Cc::G.into(), left.into(), lanes.into()],
        );
        let ones = self.op(Op::MovImm, Width::Q, &[Input::Imm(-1)]);
        let bits = self.op(Op::Bzhi, Width::Q, &[ones.into(), left.into()]);
        self.exists = Some(self.op(Op::KmovqFromG, Width::None, &[bits.into()]));
        self.body();
        let next = self.lea(Addr::base(self.index, self.lanes as i32));
        let mut again = vec![next];
        again.extend(self.next_cursors());
        self.op(Op::Cmp, Width::Q, &[next.into(), count.into()]);
        self.f.branch(Cc::L, (body, &again), (done, &[]));
        self.f.set_part(outside);
        self.f.start(done);
        self.leave();
        Ok(())
    }

    /// The end of the function.
    fn leave(&mut self) {
        if self.streams {
            // What is stored past the caches becomes visible in no order but this.
            self.op(Op::Sfence, Width::None, &[]);
        }
        self.f.ret();
    }

    /// The loop over whole iterations; then control goes to `after`, which is given where the loop stands if it `asks`.
    fn loop_over(
        &mut self,
        count: VReg,
        zero: VReg,
        after: crate::BlockId,
        asks: bool,
    ) -> crate::BlockId {
        let each = (self.lanes * self.copies) as i32;
        let last = self.lea(Addr::base(count, -each));
        let mut start = vec![zero];
        start.extend(self.cursors());
        let (body, params) = self.f.block(&vec![RegClass::Int; start.len()]);
        let given = if asks { start.clone() } else { Vec::new() };
        self.op(Op::Test, Width::Q, &[last.into(), last.into()]);
        self.f.branch(Cc::S, (after, &given), (body, &start));
        let outside = self.open_part(None, false);
        self.f.start(body);
        self.f.align(body, 32);
        self.index = params[0];
        self.set_cursors(&params[1..]);
        self.body();
        let next = self.lea(Addr::base(self.index, each));
        let mut again = vec![next];
        again.extend(self.next_cursors());
        let given = if asks { again.clone() } else { Vec::new() };
        self.op(Op::Cmp, Width::Q, &[next.into(), last.into()]);
        self.f.branch(Cc::Le, (body, &again), (after, &given));
        self.f.set_part(outside);
        after
    }

    /// Blocks from now on are of a loop. Gives the part that held before.
    fn open_part(&mut self, inst: Option<Inst>, rest: bool) -> u32 {
        self.parts.push(LoopPart { inst, rest });
        self.f.set_part(self.parts.len() as u32)
    }

    /// Is the code being written that for elements left over?
    fn in_rest(&self) -> bool {
        self.parts.last().is_some_and(|part| part.rest)
    }

    /// Keeps for people how the instruction being lowered is done; once, however many vectors do it.
    fn note(&mut self, op: Opcode, dtype: DType, how: How) {
        let loc = self.f.place();
        let note = CodeNote {
            loc,
            op,
            dtype,
            how,
        };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// One iteration.
    fn body(&mut self) {
        self.clear_locals();
        self.block(self.kernel.entry);
        self.f.set_place(Loc::default());
    }

    /// Forgets what was lowered for a loop that is done.
    fn forget(&mut self) {
        let kernel = self.kernel;
        for (n, value) in kernel.values.iter().enumerate() {
            let kept = match value.def {
                kjit_ir::ValueDef::Result(inst, _) => self.hoisted[inst.index()],
                kjit_ir::ValueDef::Param(..) => false,
            };
            if !kept {
                self.vals[n] = Val::None;
            }
        }
    }

    /// Lowers ahead of the loops what has the same value for all elements.
    fn hoist(&mut self) {
        let kernel = self.kernel;
        let copies = std::mem::replace(&mut self.copies, 1);
        for &inst in &kernel.block(kernel.entry).insts {
            let data = kernel.inst(inst);
            let invariant = match (data.op, data.imm) {
                (Opcode::Load, Imm::Array(array)) => {
                    data.args.is_empty()
                        && self.arrays[array.index()].is_uniform()
                        && kernel.arrays[array.index()].mode == ArrayMode::In
                }
                (Opcode::Index, _) => false,
                (op, _) => op.is_pure(),
            };
            let ready = |arg: &Value| !matches!(self.vals[arg.index()], Val::None);
            if invariant && data.args.iter().all(ready) {
                self.f.set_place(data.loc);
                self.inst(inst);
                self.hoisted[inst.index()] = true;
            }
        }
        self.f.set_place(Loc::default());
        self.copies = copies;
    }

    /// Lowers one instruction that is not a terminator.
    fn inst(&mut self, inst: Inst) {
        let kernel = self.kernel;
        let data = kernel.inst(inst);
        let args: &[Value] = &data.args;
        let val = match (data.op, data.imm) {
            (Opcode::Const, Imm::Const(scalar)) => Val::Const(scalar),
            (Opcode::Splat, _) => self.splat(args[0]),
            (Opcode::AnyTrue, _) if self.shape.only_tested[data.results[0].index()] => return,
            (Opcode::AnyTrue, _) => {
                let cc = self.test_any(args[0]);
                Val::Int(self.flag(cc))
            }
            (Opcode::First, _) => Val::Int(self.first(args[0])),
            (Opcode::Extract, _) => self.extract(args[0], args[1]),
            (Opcode::Insert, _) => self.insert(args[0], args[1], args[2]),
            (Opcode::Index, Imm::Array(array)) => {
                self.element_index(array, kernel.ty(data.results[0]))
            }
            (Opcode::Load, Imm::Array(array)) => {
                let mask = args.first().copied();
                let result = data.results[0];
                let left = self.shape.in_memory[result.index()];
                self.load(array, core::Offset::Zero, mask, kernel.ty(result), left)
            }
            (Opcode::Store, Imm::Array(array)) => {
                return self.store(array, core::Offset::Zero, args[0], args.get(1).copied());
            }
            (Opcode::Dim, Imm::Dim(dim)) => Val::Int(self.extent(dim)),
            (Opcode::CoreLoad, Imm::Array(array)) => {
                self.core_load(array, args, kernel.ty(data.results[0]))
            }
            (Opcode::CoreStore, Imm::Array(array)) => return self.core_store(array, args),
            (Opcode::LocalLoad, Imm::Local(local)) => self.local_load(local, args[0]),
            (Opcode::LocalStore, Imm::Local(local)) => {
                return self.local_store(local, args[0], args[1], args.get(2).copied());
            }
            (Opcode::Guard, Imm::Trap(trap)) => {
                return self.guard(trap, args[0], args.get(1).copied());
            }
            (Opcode::If, _) => return self.lower_if(inst),
            (Opcode::Loop, _) => return self.lower_loop(inst),
            (op, imm) => {
                let to = match imm {
                    Imm::DType(dtype) => Some(dtype),
                    _ => None,
                };
                match self.compute(inst, op, to) {
                    Some(val) => val,
                    None => return,
                }
            }
        };
        let result = kernel.result(inst);
        self.vals[result.index()] = val;
    }

    /// A pure operation with arguments; nothing if it is put off to the test that is its only use.
    fn compute(&mut self, inst: Inst, op: Opcode, to: Option<DType>) -> Option<Val> {
        let kernel = self.kernel;
        let data = kernel.inst(inst);
        let ty = kernel.ty(data.results[0]);
        if self.shape.folded[data.results[0].index()] {
            return None;
        }
        let (args, negative) = self.factors(op, &data.args);
        let args: &[Value] = &args;
        // The arms, not the condition, say what a select works on.
        let from = kernel.ty(args[args.len() - 1]).dtype;
        if op == Opcode::And
            && let Some(place) = args.iter().position(|a| self.shape.folded[a.index()])
        {
            return Some(self.compare_under(args[place], args[1 - place]));
        }
        // A smaller or larger one that was written as a choice.
        let extreme = match op == Opcode::Select && self.shape.folded[args[0].index()] {
            true => shape::extreme(kernel, inst),
            false => None,
        };
        let chosen = extreme.map(|(_, of)| of);
        let args = chosen.as_ref().map_or(args, |of| of.as_slice());
        if op == Opcode::Rare || (op == Opcode::Cast && to == Some(from)) {
            return Some(self.vals[args[0].index()].clone());
        }
        if !ty.varying {
            if scalar::is_compare(op, from) && self.shape.only_tested[data.results[0].index()] {
                return None;
            }
            if let Some(val) = self.scalar_op(op, from, to, args) {
                return Some(val);
            }
        }
        let mut lists: SmallVec<[Copies; 3]> = SmallVec::new();
        let mut count = 1;
        let memory = match args.last().map(|arg| &self.vals[arg.index()]) {
            Some(Val::Memory(at)) => Some(at.clone()),
            _ => None,
        };
        for (n, arg) in args.iter().enumerate() {
            let list: Copies = match kernel.ty(*arg).dtype {
                DType::Bool => {
                    let lane = match (op, to) {
                        (Opcode::Select, _) if n == 0 && from != DType::Bool => table::lane(from),
                        (Opcode::Cast, Some(to)) => table::lane(to),
                        _ => self.mask_lane,
                    };
                    self.mask(*arg, lane)
                }
                // Constants are left to the instruction.
                _ if kernel.as_const(*arg).is_some() => smallvec![],
                // Memory is, too: what takes it has it as its last.
                _ if n + 1 == args.len() && memory.is_some() => smallvec![],
                _ => self.numbers(*arg),
            };
            count = count.max(list.len());
            lists.push(list);
        }
        if let Some(at) = &memory {
            count = count.max(at.len());
        }
        let mut results = Copies::new();
        let mut lane = 0;
        for copy in 0..count {
            let mut given: SmallVec<[A; 3]> = SmallVec::new();
            for (n, (arg, list)) in args.iter().zip(&lists).enumerate() {
                if let (true, Some(at)) = (n + 1 == args.len(), &memory) {
                    given.push(A::M(at[copy]));
                    continue;
                }
                given.push(
                    match (list.get(copy).or(list.first()), kernel.as_const(*arg)) {
                        (Some(reg), _) => A::R(*reg),
                        (None, Some(scalar)) => table::constant(scalar),
                        (None, None) => A::C(0, 4),
                    },
                );
            }
            let (result, made) = match (op, extreme) {
                (_, Some((machine, _))) => {
                    let first = self.reg(given[0]);
                    let inputs = [first.into(), given[1]];
                    (self.v(machine, table::lane(from), &inputs), 0)
                }
                (Opcode::Fma, _) => (self.fma(inst, args, &given, negative), 0),
                _ => self.vector_op(op, from, to, &given),
            };
            lane = made;
            results.push(result);
        }
        let bytes = self.f.target().width.bytes();
        let narrower = table::lane(from) == 8 && table::lane(ty.dtype) == 4;
        if !ty.varying && narrower && self.lanes * 8 > bytes && ty.dtype != DType::Bool {
            // Of uniform numbers of 64 bits beside lanes of 32 there are fewer.
            let all = [A::R(results[0])];
            results[0] = self.v(Op::Vbroadcastss, 4, &all);
        }
        Some(match (ty.dtype, ty.varying) {
            (DType::Bool, true) => Val::Mask(results, lane),
            (DType::Bool, false) => Val::Int(self.first_bit(results[0], lane)),
            _ => Val::Lanes(results),
        })
    }

    /// The arguments of an operation, what is in memory last if that may be; those of `fma` without signs that become part of the instruction: of the product,
    /// and of the sum.
    fn factors(&self, op: Opcode, args: &[Value]) -> (SmallVec<[Value; 3]>, [bool; 2]) {
        let mut args: SmallVec<[Value; 3]> = SmallVec::from_slice(args);
        let mut negative = [false; 2];
        if let [a, b] = args[..]
            && matches!(self.vals[a.index()], Val::Memory(_))
            && op.is_commutative(self.kernel.ty(a).dtype)
        {
            args.copy_from_slice(&[b, a]);
        }
        if op == Opcode::Fma {
            for (n, arg) in args.iter_mut().enumerate() {
                if let Some(x) = shape::negated(self.kernel, *arg) {
                    *arg = x;
                    negative[n / 2] ^= true;
                }
            }
        }
        (args, negative)
    }

    /// A compare that was put off, in the lanes of a mask.
    fn compare_under(&mut self, compare: Value, under: Value) -> Val {
        let kernel = self.kernel;
        let kjit_ir::ValueDef::Result(inst, _) = kernel.def(compare) else {
            self.refuse("a compare that is none");
            return Val::None;
        };
        let data = kernel.inst(inst);
        let dtype = table::computed(kernel.ty(data.args[0]).dtype);
        let masks = self.mask(under, 4);
        let lists: [Copies; 2] = [0, 1].map(|n| match kernel.as_const(data.args[n]) {
            Some(_) => smallvec![],
            None => self.numbers(data.args[n]),
        });
        let count = masks.len().max(lists[0].len()).max(lists[1].len());
        let results = (0..count).map(|copy| {
            let given = [0, 1].map(|n| {
                let list = &lists[n];
                match (
                    list.get(copy).or(list.first()),
                    kernel.as_const(data.args[n]),
                ) {
                    (Some(reg), _) => A::R(*reg),
                    (None, scalar) => scalar.map_or(A::C(0, 4), table::constant),
                }
            });
            let mask = *masks.get(copy).unwrap_or(&masks[0]);
            self.compare(data.op, dtype, given, Some(mask)).0
        });
        Val::Mask(results.collect(), 4)
    }

    // ---- writing instructions

    /// An instruction of general registers or masks.
    fn op(&mut self, op: Op, width: Width, inputs: &[Input]) -> VReg {
        self.f.op(op, width, inputs)
    }

    /// The width of vectors whose lanes have so many bytes.
    fn width(&self, lane: u8) -> Width {
        // Of 64-bit lanes beside 32-bit ones there may be a part only.
        let bytes = self.lanes * usize::from(lane);
        match bytes.min(self.f.target().width.bytes()) {
            64 => Width::Z,
            32 => Width::Y,
            _ => Width::X,
        }
    }

    /// An instruction on vectors with lanes of so many bytes.
    fn v(&mut self, op: Op, lane: u8, inputs: &[A]) -> VReg {
        self.v_with(op, self.width(lane), Extra::NONE, inputs)
    }

    /// An instruction on vectors. A constant is an operand in memory where the last operand may be one.
    fn v_with(&mut self, op: Op, width: Width, mut extra: Extra, inputs: &[A]) -> VReg {
        let mut list: SmallVec<[Input; 4]> = SmallVec::new();
        let place = consts::memory_place(op, inputs.len());
        for (n, input) in inputs.iter().enumerate() {
            list.push(match *input {
                A::R(reg) => reg.into(),
                A::M(addr) => addr.into(),
                A::I(value) => Input::Imm(value),
                A::C(bits, lane) => match self.operand(op, width, (bits, lane), place == Some(n)) {
                    consts::Operand::Reg(reg) => reg.into(),
                    consts::Operand::Memory(addr) => addr.into(),
                    consts::Operand::Element(addr) => {
                        extra.broadcast = true;
                        addr.into()
                    }
                },
            });
        }
        self.f.op_with(op, width, extra, &list)
    }

    /// `lea`.
    fn lea(&mut self, addr: Addr) -> VReg {
        self.op(Op::Lea, Width::Q, &[addr.into()])
    }

    /// A number in a general register.
    fn int_const(&mut self, value: i64) -> VReg {
        if u32::try_from(value).is_ok() {
            return self.op(
                Op::MovImm32,
                Width::None,
                &[Input::Imm(value as u32 as i32 as i64)],
            );
        }
        if i32::try_from(value).is_ok() {
            return self.op(Op::MovImm, Width::Q, &[Input::Imm(value)]);
        }
        self.op(Op::MovImm64, Width::None, &[Input::Imm(value)])
    }

    /// 1 if the flags say so, else 0.
    fn flag(&mut self, cc: Cc) -> VReg {
        let low = self.op(Op::Setcc, Width::None, &[cc.into()]);
        self.op(Op::Movzx8, Width::D, &[low.into()])
    }

    /// Word number `n` of a list.
    fn word(&mut self, from: VReg, n: usize) -> VReg {
        let at = Addr::base(from, 8 * n as i32);
        self.op(Op::Mov, Width::Q, &[at.into()])
    }

    /// What cannot be lowered; the first is told.
    fn refuse(&mut self, what: impl Into<String>) {
        self.unsupported.get_or_insert_with(|| what.into());
    }

    /// Class of the register that carries a value between blocks, and how many there are.
    fn carriers(&self, ty: Type) -> (RegClass, usize) {
        match (ty.dtype, ty.varying) {
            (DType::Bool, true) if self.masks => (RegClass::Float, self.copies),
            (_, true) => (RegClass::Vector, self.copies),
            (DType::F32 | DType::F64, false) => (RegClass::Vector, 1),
            _ => (RegClass::Int, 1),
        }
    }
}
