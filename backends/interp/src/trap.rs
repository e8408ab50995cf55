//! Finds the element whose run-time check fails first, and the number that made it fail.

use crate::array::Args;
use crate::run::{Frame, Stop, World, run};
use crate::{Interp, InterpKernel};
use kjit_ir::{
    ArrayRef, DType, DimRef, FuncRef, Function, Imm, Opcode, Scalar, TrapKind, TrapRef, Value,
    ValueDef,
};
use std::collections::HashMap;

/// A failed run-time check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrapReport {
    /// Which of the kernel's traps.
    pub trap: TrapRef,
    /// The element, counted from the first of the call.
    pub element: usize,
    /// The index that was out of bounds, where it can be told.
    pub value: Option<Scalar>,
    /// The extent that the index was compared with, if it is given per call (of a core dimension).
    pub extent: Option<i64>,
}

impl Interp {
    /// The first check that fails, in order of elements and within an element in order of execution;
    /// `None` when none does. Writes no array: what the kernel stores is seen by its own loads only.
    ///
    /// The kernel is in scalar form (or else runs with one lane); the arguments are as for
    /// [`CompiledKernel::call`](kjit_ir::target::CompiledKernel::call). What the kernel reads (outputs
    /// that it reads included) must still be what it was: a kernel that ran in place has to be given
    /// a copy.
    ///
    /// # Safety
    /// As for [`CompiledKernel::call`](kjit_ir::target::CompiledKernel::call), but for outputs, which
    /// are not touched.
    pub unsafe fn first_trap(
        kernel: &Function,
        args: *const *mut u8,
        dims: *const isize,
        steps: *const isize,
    ) -> Option<TrapReport> {
        // SAFETY: the caller's promise, passed on.
        unsafe { Interp::with_lanes(1).find_trap(kernel, args, dims, steps) }
    }

    /// [`Interp::first_trap`] under this interpreter's limit of steps: an element that exceeds it is
    /// reported as the kernel's [`TrapKind::LoopLimit`] trap if it has one, and ends the search if not.
    ///
    /// # Safety
    /// As for [`Interp::first_trap`].
    pub unsafe fn find_trap(
        self,
        kernel: &Function,
        args: *const *mut u8,
        dims: *const isize,
        steps: *const isize,
    ) -> Option<TrapReport> {
        let options = Interp { lanes: 1, ..self };
        let ready = InterpKernel::new(kernel, options).ok()?;
        // SAFETY: the caller says that `dims` has an item.
        let count = unsafe { *dims }.max(0);
        let mut shadow = Shadow {
            // SAFETY: the caller says that they are what the ABI says.
            args: unsafe { ready.params.args(args, dims, steps) },
            stored: HashMap::new(),
            element: 0,
            regs: Vec::new(),
        };
        let mut frame = Frame::new(&ready.code);
        for element in 0..count {
            shadow.element = element;
            shadow.stored.clear();
            let mut fuel = ready.fuel;
            let trap = match run(&ready.code, &mut frame, &mut shadow, &mut fuel) {
                Ok(_) => continue,
                Err(Stop::Trap(trap)) => trap,
                Err(Stop::Fuel) => {
                    let mut traps = kernel.traps.iter();
                    let limit = traps.position(|t| t.kind == TrapKind::LoopLimit)?;
                    return Some(TrapReport {
                        trap: TrapRef::new(limit),
                        element: element as usize,
                        value: None,
                        extent: None,
                    });
                }
                Err(_) => return None,
            };
            let value = index_value(kernel, trap);
            let value = value.map(|v| shadow.regs[ready.code.regs[v.index()].at(0)]);
            let extent = match kernel.traps.get(trap.index()).map(|trap| &trap.kind) {
                Some(TrapKind::CoreIndexOutOfBounds { dim, .. }) => Some(shadow.extent(*dim)),
                _ => None,
            };
            return Some(TrapReport {
                trap,
                element: element as usize,
                value,
                extent,
            });
        }
        None
    }
}

/// A kernel's arrays, with what one element stores kept aside.
struct Shadow {
    args: Args,
    /// Bytes stored, by address.
    stored: HashMap<usize, u8>,
    element: isize,
    /// The registers when the guard failed.
    regs: Vec<Scalar>,
}

impl World for Shadow {
    fn load(&mut self, array: ArrayRef, lane: usize) -> Scalar {
        let arg = &self.args.arrays[array.index()];
        if arg.is_index() {
            // SAFETY: an index array is not memory.
            return unsafe { arg.read(self.element) };
        }
        self.core_load(array, lane, &[])
    }

    fn store(&mut self, array: ArrayRef, lane: usize, value: Scalar) {
        self.core_store(array, lane, &[], value);
    }

    fn extent(&self, dim: DimRef) -> i64 {
        self.args.extents[dim.index()]
    }

    fn core_load(&mut self, array: ArrayRef, _lane: usize, index: &[i64]) -> Scalar {
        let arg = &self.args.arrays[array.index()];
        let address = arg.address(self.element, index);
        // SAFETY: the caller of `first_trap` says that all elements may be read.
        let scalar = unsafe { arg.read_at(address) };
        if self.stored.is_empty() {
            return scalar;
        }
        let (mut bytes, size) = scalar.to_ne_bytes();
        for (n, byte) in bytes[..size].iter_mut().enumerate() {
            if let Some(stored) = self.stored.get(&(address as usize).wrapping_add(n)) {
                *byte = *stored;
            }
        }
        arg.scalar(&bytes[..size])
    }

    fn core_store(&mut self, array: ArrayRef, _lane: usize, index: &[i64], value: Scalar) {
        let address = self.args.arrays[array.index()].address(self.element, index);
        let (bytes, size) = value.to_ne_bytes();
        for (n, byte) in bytes[..size].iter().enumerate() {
            self.stored
                .insert((address as usize).wrapping_add(n), *byte);
        }
    }

    fn trap(&mut self, _trap: TrapRef, _lane: usize, frame: &[Scalar]) -> bool {
        self.regs = frame.to_vec();
        false
    }

    fn call(
        &mut self,
        callee: FuncRef,
        _args: Vec<Scalar>,
        _fuel: &mut u64,
    ) -> Result<Vec<Scalar>, Stop> {
        Err(Stop::NoFunction(callee))
    }
}

/// The value that a guard compares with its array's extent: the index. Looks back from the condition
/// through what the front end and the passes make of `0 <= i && i < len`.
fn index_value(kernel: &Function, trap: TrapRef) -> Option<Value> {
    let dim = match kernel.traps.get(trap.index())?.kind {
        TrapKind::IndexOutOfBounds { .. } => None,
        TrapKind::CoreIndexOutOfBounds { dim, .. } => Some(dim),
        TrapKind::LoopLimit => return None,
    };
    // The extent, or the zero of `0 <= i`.
    let is_bound = |value: Value| kernel.as_const(value).is_some() || is_extent(kernel, value, dim);
    let mut guards = kernel
        .insts
        .iter()
        .filter(|data| data.op == Opcode::Guard && data.imm == Imm::Trap(trap));
    let guard = guards.next()?;
    // Two guards of one trap (a loop unrolled, say): it is not known which of them failed.
    if guards.next().is_some() {
        return None;
    }
    let mut work = vec![guard.args[0]];
    for _ in 0..32 {
        let value = work.pop()?;
        let ValueDef::Result(inst, _) = kernel.def(value) else {
            continue;
        };
        let data = kernel.inst(inst);
        match data.op {
            Opcode::And
            | Opcode::Or
            | Opcode::Not
            | Opcode::Rare
            | Opcode::Select
            | Opcode::Splat => {
                work.extend(data.args.iter().rev());
            }
            Opcode::Lt | Opcode::Le | Opcode::Gt | Opcode::Ge => {
                let (a, b) = (data.args[0], data.args[1]);
                match (is_bound(a), is_bound(b)) {
                    (false, true) => return Some(before_conversion(kernel, a)),
                    (true, false) => return Some(before_conversion(kernel, b)),
                    // A constant index.
                    (true, true) if is_extent(kernel, b, dim) => return Some(a),
                    (true, true) if is_extent(kernel, a, dim) => return Some(b),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    None
}

/// Is it the extent of this core dimension?
fn is_extent(kernel: &Function, value: Value, dim: Option<DimRef>) -> bool {
    let Some(dim) = dim else {
        return false;
    };
    let value = before_conversion(kernel, value);
    matches!(kernel.def(value), ValueDef::Result(inst, _)
        if kernel.inst(inst).imm == Imm::Dim(dim))
}

/// The integer that was widened or reinterpreted to be compared, as the user wrote it.
fn before_conversion(kernel: &Function, value: Value) -> Value {
    let ValueDef::Result(inst, _) = kernel.def(value) else {
        return value;
    };
    let data = kernel.inst(inst);
    let int = |dtype: DType| dtype.is_int();
    match data.op {
        Opcode::Cast | Opcode::Bitcast if int(kernel.ty(data.args[0]).dtype) => {
            before_conversion(kernel, data.args[0])
        }
        _ => value,
    }
}
