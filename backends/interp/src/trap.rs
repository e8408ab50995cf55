//! Finds the element whose run-time check fails first, and the number that made it fail.

use crate::run::{ArrayArg, Frame, Stop, World, run};
use crate::{Interp, InterpKernel};
use kjit_ir::{
    ArrayRef, DType, FuncRef, Function, Imm, Opcode, Scalar, TrapKind, TrapRef, Value, ValueDef,
};

/// A failed run-time check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrapReport {
    /// Which of the kernel's traps.
    pub trap: TrapRef,
    /// The element, counted from the first of the call.
    pub element: usize,
    /// The index that was out of bounds, where it can be told.
    pub value: Option<Scalar>,
}

impl Interp {
    /// The first check that fails, in order of elements and within an element in order of execution;
    /// `None` when none does. Writes no array: what the kernel stores is seen by its own loads only.
    ///
    /// The kernel is in scalar form (or else runs with one lane); the arguments are as for
    /// [`CompiledKernel::call`](kjit_ir::target::CompiledKernel::call). The inputs must still be what
    /// they were: a kernel that ran in place has to be given a copy.
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
            // SAFETY: the caller says that both have an item for each array.
            arrays: unsafe { ready.arrays(args, steps) },
            stored: vec![None; kernel.arrays.len()],
            element: 0,
            regs: Vec::new(),
        };
        let mut frame = Frame::new(&ready.code);
        for element in 0..count {
            shadow.element = element;
            shadow.stored.fill(None);
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
                    });
                }
                Err(_) => return None,
            };
            let value = index_value(kernel, trap);
            let value = value.map(|v| shadow.regs[ready.code.regs[v.index()].at(0)]);
            return Some(TrapReport {
                trap,
                element: element as usize,
                value,
            });
        }
        None
    }
}

/// A kernel's arrays, with what one element stores kept aside.
struct Shadow {
    arrays: Vec<ArrayArg>,
    stored: Vec<Option<Scalar>>,
    element: isize,
    /// The registers when the guard failed.
    regs: Vec<Scalar>,
}

impl World for Shadow {
    fn load(&mut self, array: ArrayRef, _lane: usize) -> Scalar {
        match self.stored[array.index()] {
            Some(value) => value,
            // SAFETY: the caller of `first_trap` says that all `dims[0]` elements may be read.
            None => unsafe { self.arrays[array.index()].read(self.element) },
        }
    }

    fn store(&mut self, array: ArrayRef, _lane: usize, value: Scalar) {
        self.stored[array.index()] = Some(value);
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
    if !matches!(
        kernel.traps.get(trap.index())?.kind,
        TrapKind::IndexOutOfBounds { .. } | TrapKind::CoreIndexOutOfBounds { .. }
    ) {
        return None;
    }
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
            Opcode::And | Opcode::Or | Opcode::Not | Opcode::Select | Opcode::Splat => {
                work.extend(data.args.iter().rev());
            }
            Opcode::Lt | Opcode::Le | Opcode::Gt | Opcode::Ge => {
                let (a, b) = (data.args[0], data.args[1]);
                match (kernel.as_const(a), kernel.as_const(b)) {
                    (None, Some(_)) => return Some(before_conversion(kernel, a)),
                    (Some(_), None) => return Some(before_conversion(kernel, b)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    None
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
