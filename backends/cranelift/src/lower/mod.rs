//! From kernel IR to Cranelift IR.
//!
//! A kernel becomes one function of the kernel ABI: it loads pointers and steps, computes what is the
//! same for all elements, and runs the kernel's body in a loop over elements, one (scalar form) or
//! `lanes` (vector form) at a time. A uniform value is one Cranelift scalar; a varying value is a
//! list of 128-bit *chunks* that together hold the lanes in order:
//!
//! - `f32`, `i32`, `u32`: four lanes a chunk; `f64`, `i64`, `u64`: two;
//! - `i8`, `i16`, `u8`, `u16`: four lanes a chunk, sign- or zero-extended to 32 bits at all times;
//! - `bool`: a mask (all ones or all zeros) of 32-bit lanes or of 64-bit lanes, as its compare made
//!   it; users convert. Block parameters use one width for the whole kernel.

mod access;
mod convert;
mod core;
mod divide;
mod flow;
mod lanes;
mod locals;
mod scalar;
mod shape;
mod vector;

use crate::machine::Machine;
use cranelift_codegen::ir::{
    self, AbiParam, InstBuilder, MemFlagsData, Signature, Value as Clif, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use kjit_ir::abi::KernelStatus;
use kjit_ir::target::{BackendError, CodeNote, How};
use kjit_ir::{ArrayMode, DType, Form, Function, Imm, Inst, Loc, Opcode, Type, Value};
use smallvec::SmallVec;
use std::collections::HashSet;

pub(crate) use shape::multiplies_words;

/// The 128-bit pieces of a varying value, lowest lanes first.
type Chunks = SmallVec<[Clif; 8]>;

/// A value of the kernel, lowered.
#[derive(Clone)]
enum Val {
    /// Not yet, or never.
    None,
    /// One number.
    Scalar(Clif),
    /// One number in every lane: the number, and the chunk that each chunk equals.
    Splat(Clif, Clif),
    /// One number a lane.
    Chunks(Chunks),
}

/// State of lowering one kernel.
struct Lower<'a> {
    kernel: &'a Function,
    machine: &'a Machine,
    b: FunctionBuilder<'a>,
    /// Lanes a kernel iteration handles; 1 in scalar form.
    lanes: usize,
    vals: Vec<Val>,
    /// Instructions lowered ahead of the element loop.
    hoisted: Vec<bool>,
    arrays: Vec<access::Frame>,
    locals: Vec<locals::Frame>,
    core: core::Frame,
    /// Elements done before this iteration.
    index: Clif,
    /// Pointer to the [`KernelStatus`].
    status: Clif,
    /// Masks in block parameters and locals have 64-bit lanes.
    wide_masks: bool,
    /// Factors whose 32-bit products are wanted with their high halves.
    long_products: HashSet<[Value; 2]>,
    /// Shuffles met so far: the 32-bit lanes taken, and the mask of bytes.
    shuffles: Vec<([u8; 4], ir::Immediate)>,
    yields: Vec<flow::Target>,
    loops: Vec<flow::Loop>,
    /// Where the instruction being lowered comes from.
    place: Loc,
    notes: Vec<CodeNote>,
}

/// Memory of the caller: mapped, of any alignment.
fn array_flags() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// Lowers a kernel into an empty Cranelift function; returns its lane count, and what took more than the instructions
/// of an operation.
pub(crate) fn lower(
    kernel: &Function,
    machine: &Machine,
    lanes: Option<usize>,
    func: &mut ir::Function,
    context: &mut FunctionBuilderContext,
) -> Result<(usize, Vec<CodeNote>), BackendError> {
    check(kernel)?;
    let lanes = match lanes {
        Some(lanes) if kernel.form == Form::Vector => lanes,
        _ => shape::lanes(kernel),
    };
    let pointer = machine.isa.pointer_type();
    let mut signature = Signature::new(machine.isa.default_call_conv());
    signature.params = vec![AbiParam::new(pointer); 4];
    func.signature = signature;
    let lower = Lower {
        kernel,
        machine,
        b: FunctionBuilder::new(func, context),
        lanes,
        vals: vec![Val::None; kernel.values.len()],
        hoisted: vec![false; kernel.insts.len()],
        arrays: Vec::new(),
        locals: Vec::new(),
        core: core::Frame::default(),
        index: Clif::reserved(),
        status: Clif::reserved(),
        wide_masks: shape::wide_masks(kernel),
        long_products: shape::long_products(kernel),
        shuffles: Vec::new(),
        yields: Vec::new(),
        loops: Vec::new(),
        place: Loc::default(),
        notes: Vec::new(),
    };
    Ok((lanes, lower.kernel()?))
}

/// Does a kernel have far more constants than there are registers? Each is then made where it is first used, and not kept in
/// memory of its own from before the loop on.
pub(crate) fn has_many_constants(kernel: &Function) -> bool {
    const MANY: usize = 256;
    let constants = kernel.insts.iter().filter(|i| i.op == Opcode::Const);
    constants.take(MANY + 1).count() > MANY
}

/// A value that is set before it is used.
trait Reserved {
    fn reserved() -> Self;
}

impl Reserved for Clif {
    fn reserved() -> Clif {
        <Clif as cranelift_codegen::packed_option::ReservedValue>::reserved_value()
    }
}

/// Refuses what no lowering exists for.
fn check(kernel: &Function) -> Result<(), BackendError> {
    if !kernel.is_kernel() || !kernel.params().is_empty() {
        return Err(BackendError::Internal(format!(
            "{} is not a kernel: it has no array parameters",
            kernel.name
        )));
    }
    let dtypes = kernel.values.iter().map(|v| v.ty.dtype);
    let dtypes = dtypes.chain(kernel.arrays.iter().map(|a| a.dtype));
    let mut dtypes = dtypes.chain(kernel.locals.iter().map(|l| l.dtype));
    if let Some(dtype) = dtypes.find(|dtype| !dtype.is_native()) {
        return Err(BackendError::Unsupported(format!(
            "the cpu target does not compute with {dtype} yet"
        )));
    }
    if kernel.insts.iter().any(|inst| inst.op == Opcode::Call)
        && shape::live_insts(kernel).any(|inst| kernel.inst(inst).op == Opcode::Call)
    {
        return Err(BackendError::Internal(format!(
            "kernel {} still has a call",
            kernel.name
        )));
    }
    Ok(())
}

impl Lower<'_> {
    /// The whole function: frame, hoisted part, element loop.
    fn kernel(mut self) -> Result<Vec<CodeNote>, BackendError> {
        let kernel = self.kernel;
        let entry = self.b.create_block();
        let ahead = self.b.create_block();
        let body = self.b.create_block();
        let exit = self.b.create_block();
        self.b.append_block_params_for_function_params(entry);
        self.b.switch_to_block(entry);
        let [args, dims, steps, data] = *self.b.block_params(entry) else {
            return Err(BackendError::Internal("wrong kernel signature".into()));
        };
        self.status = data;
        let count = self
            .b
            .ins()
            .load(types::I64, MemFlagsData::trusted(), dims, 0);
        let zero = self.iconst(types::I64, 0);
        let some = self
            .b
            .ins()
            .icmp(ir::condcodes::IntCC::SignedGreaterThan, count, zero);
        self.b.ins().brif(some, ahead, &[], exit, &[]);

        self.b.switch_to_block(ahead);
        self.open_arrays(args, steps);
        self.open_core(dims, steps);
        self.open_locals()?;
        self.hoist();
        let mut initial = vec![ir::BlockArg::Value(zero)];
        initial.extend(self.cursors().map(ir::BlockArg::Value));
        self.b.ins().jump(body, &initial);

        self.index = self.b.append_block_param(body, types::I64);
        self.b.switch_to_block(body);
        self.open_cursors(body);
        self.clear_locals();
        self.block(kernel.entry);

        // `return` of the entry block left off here.
        let lanes = self.iconst(types::I64, self.lanes as u64);
        let next = self.b.ins().iadd(self.index, lanes);
        let mut again = vec![ir::BlockArg::Value(next)];
        again.extend(self.advance_cursors().into_iter().map(ir::BlockArg::Value));
        let more = self
            .b
            .ins()
            .icmp(ir::condcodes::IntCC::UnsignedLessThan, next, count);
        self.b.ins().brif(more, body, &again, exit, &[]);

        self.b.switch_to_block(exit);
        self.b.ins().return_(&[]);
        self.b.seal_all_blocks();
        self.b.finalize(self.machine.isa.frontend_config());
        Ok(self.notes)
    }

    /// Keeps for people how the instruction being lowered is done.
    fn note(&mut self, op: Opcode, dtype: DType, how: How) {
        let note = CodeNote {
            loc: self.place,
            op,
            dtype,
            how,
        };
        if self.lanes > 1 && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Lowers ahead of the loop what has the same value for all elements.
    fn hoist(&mut self) {
        let kernel = self.kernel;
        let many = has_many_constants(kernel);
        for &inst in &kernel.block(kernel.entry).insts {
            let data = kernel.inst(inst);
            let invariant = match (data.op, data.imm) {
                (Opcode::Const | Opcode::Splat, _) if many => false,
                (Opcode::Load, Imm::Array(array)) => {
                    data.args.is_empty()
                        && self.arrays[array.index()].is_uniform()
                        && kernel.arrays[array.index()].mode == ArrayMode::In
                }
                (Opcode::Index, _) => false,
                (op, _) => op.is_pure(),
            };
            let ready = data
                .args
                .iter()
                .all(|arg| !matches!(self.vals[arg.index()], Val::None));
            if invariant && ready {
                self.inst(inst);
                self.hoisted[inst.index()] = true;
            }
        }
    }

    /// Lowers one instruction that is not a terminator.
    fn inst(&mut self, inst: Inst) {
        let kernel = self.kernel;
        let data = kernel.inst(inst);
        self.place = data.loc;
        let args: &[Value] = &data.args;
        match (data.op, data.imm) {
            (Opcode::Const, Imm::Const(scalar)) => {
                let value = self.constant(scalar);
                self.set(inst, Val::Scalar(value));
            }
            (Opcode::Splat, _) => {
                let scalar = self.scalar(args[0]);
                let chunk = self.splat(kernel.ty(args[0]).dtype, scalar);
                self.set(inst, Val::Splat(scalar, chunk));
            }
            (Opcode::AnyTrue, _) => {
                let any = self.any(args[0]);
                self.set(inst, Val::Scalar(any));
            }
            (Opcode::First, _) => {
                let first = self.first_lane(args[0]);
                self.set(inst, Val::Scalar(first));
            }
            (Opcode::Extract, _) => {
                let number = self.extract_at(args[0], args[1]);
                self.set(inst, Val::Scalar(number));
            }
            (Opcode::Insert, _) => {
                let value = self.insert_at(args[0], args[1], args[2]);
                self.set(inst, Val::Chunks(value));
            }
            (Opcode::Index, Imm::Array(array)) => {
                let value = self.element_index(array, kernel.ty(data.results[0]));
                self.set(inst, value);
            }
            (Opcode::Load, Imm::Array(array)) => {
                let mask = args.first().copied();
                let value = self.load(array, None, mask, kernel.ty(data.results[0]));
                self.set(inst, value);
            }
            (Opcode::Store, Imm::Array(array)) => {
                self.store(array, None, args[0], args.get(1).copied());
            }
            (Opcode::Dim, Imm::Dim(dim)) => {
                let extent = self.extent(dim);
                self.set(inst, Val::Scalar(extent));
            }
            (Opcode::CoreLoad, Imm::Array(array)) => {
                let value = self.core_load(array, args, kernel.ty(data.results[0]));
                self.set(inst, value);
            }
            (Opcode::CoreStore, Imm::Array(array)) => self.core_store(array, args),
            (Opcode::LocalLoad, Imm::Local(local)) => {
                let value = self.local_load(local, args[0], kernel.ty(data.results[0]));
                let value = match args.get(1) {
                    Some(mask) => {
                        self.zero_inactive(value, *mask, kernel.locals[local.index()].dtype)
                    }
                    None => value,
                };
                self.set(inst, value);
            }
            (Opcode::LocalStore, Imm::Local(local)) => {
                self.local_store(local, args[0], args[1], args.get(2).copied());
            }
            (Opcode::Guard, Imm::Trap(trap)) => self.guard(trap, args[0], args.get(1).copied()),
            (Opcode::If, _) => self.lower_if(inst),
            (Opcode::Loop, _) => self.lower_loop(inst),
            (op, imm) => {
                let to = match imm {
                    Imm::DType(dtype) => Some(dtype),
                    _ => None,
                };
                let ty = kernel.ty(data.results[0]);
                // The arms, not the condition, say what a select works on.
                let from = kernel.ty(args[args.len() - 1]).dtype;
                let value = if ty.varying {
                    self.vector_op(op, from, to, args)
                } else {
                    let scalars: SmallVec<[Clif; 3]> =
                        args.iter().map(|arg| self.scalar(*arg)).collect();
                    Val::Scalar(self.scalar_op(op, from, to, &scalars))
                };
                self.set(inst, value);
            }
        }
    }

    /// Sets the only result of an instruction.
    fn set(&mut self, inst: Inst, value: Val) {
        let result = self.kernel.result(inst);
        self.vals[result.index()] = value;
    }

    /// A uniform value.
    fn scalar(&self, value: Value) -> Clif {
        match &self.vals[value.index()] {
            Val::Scalar(scalar) | Val::Splat(scalar, _) => *scalar,
            _ => panic!("bug in kjit: {value} is not a lowered uniform value"),
        }
    }

    /// The uniform number behind a value, if that is what it is.
    fn as_uniform(&self, value: Value) -> Option<Clif> {
        match &self.vals[value.index()] {
            Val::Scalar(scalar) | Val::Splat(scalar, _) => Some(*scalar),
            _ => None,
        }
    }

    /// An integer constant; bits above the type's width are dropped.
    fn iconst(&mut self, ty: ir::Type, bits: u64) -> Clif {
        let bits = match ty.bits() {
            64 => bits,
            width => bits & ((1 << width) - 1),
        };
        self.b.ins().iconst(ty, bits as i64)
    }

    /// A constant in its scalar representation.
    fn constant(&mut self, scalar: kjit_ir::Scalar) -> Clif {
        match scalar.dtype() {
            DType::F32 => self.b.ins().f32const(scalar.as_f32()),
            DType::F64 => self.b.ins().f64const(scalar.as_f64()),
            dtype => self.iconst(scalar_type(dtype), scalar.bits() as u64),
        }
    }

    /// Reports a failed check.
    fn guard(&mut self, trap: kjit_ir::TrapRef, ok: Value, mask: Option<Value>) {
        let failed =
            if self.kernel.form == Form::Vector && (self.kernel.ty(ok).varying || mask.is_some()) {
                let ok = self.mask(ok, self.wide_masks);
                let mut bad = self.map1(&ok, |b, x| b.ins().bnot(x));
                if let Some(mask) = mask {
                    let mask = self.mask(mask, self.wide_masks);
                    bad = self.map2(&bad, &mask, |b, x, y| b.ins().band(x, y));
                }
                self.any_of(&bad)
            } else {
                let ok = self.scalar(ok);
                let zero = self.iconst(types::I8, 0);
                self.b.ins().icmp(ir::condcodes::IntCC::Equal, ok, zero)
            };
        let report = self.b.create_block();
        let after = self.b.create_block();
        self.b.set_cold_block(report);
        self.b.ins().brif(failed, report, &[], after, &[]);
        self.b.switch_to_block(report);
        let number = self.iconst(types::I32, trap.index() as u64 + 1);
        let offset = std::mem::offset_of!(KernelStatus, trap) as i32;
        self.b
            .ins()
            .store(MemFlagsData::trusted(), number, self.status, offset);
        self.b.ins().jump(after, &[]);
        self.b.switch_to_block(after);
    }

    /// Is the whole kernel about one number at a time?
    fn is_scalar_form(&self) -> bool {
        self.kernel.form == Form::Scalar
    }
}

/// The Cranelift type of one number.
fn scalar_type(dtype: DType) -> ir::Type {
    match dtype {
        DType::Bool | DType::I8 | DType::U8 => types::I8,
        DType::I16 | DType::U16 => types::I16,
        DType::I32 | DType::U32 => types::I32,
        DType::I64 | DType::U64 => types::I64,
        DType::F32 => types::F32,
        DType::F64 => types::F64,
        DType::F16 | DType::C64 | DType::C128 => {
            panic!("bug in kjit: {dtype} got past the check of dtypes")
        }
    }
}

/// The type of one chunk of a varying value that is not a bool.
fn chunk_type(dtype: DType) -> ir::Type {
    match dtype {
        DType::F32 => types::F32X4,
        DType::F64 => types::F64X2,
        DType::I64 | DType::U64 => types::I64X2,
        _ => types::I32X4,
    }
}

/// The type of a mask chunk.
fn mask_type(wide: bool) -> ir::Type {
    if wide { types::I64X2 } else { types::I32X4 }
}

/// Do lanes of this dtype take 64 bits?
fn is_wide(dtype: DType) -> bool {
    dtype.size() == 8
}

/// Number of Cranelift values that carry a value between blocks, and their type.
fn carriers(ty: Type, lanes: usize, wide_masks: bool) -> (usize, ir::Type) {
    if !ty.varying {
        return (1, scalar_type(ty.dtype));
    }
    let chunk = match ty.dtype {
        DType::Bool => mask_type(wide_masks),
        dtype => chunk_type(dtype),
    };
    (lanes / chunk.lane_count() as usize, chunk)
}
