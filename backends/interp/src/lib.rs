//! The reference interpreter: a backend like any other, and the oracle of them all.
//!
//! [`Interp`] runs kernels of both forms through the kernel ABI. Scalar form runs element by element.
//! Vector form runs with a number of lanes that [`Interp::with_lanes`] sets, every varying value being
//! that many scalars; as the IR knows no lane count, each number must give the same results.
//! [`run_function`] runs functions that are not kernels, [`Interp::first_trap`] finds the element whose
//! run-time check fails first. What an operation *means* is not written here but in [`kjit_ir::eval`].
//!
//! ```
//! use kjit_ir::{Scalar, text::parse_module};
//!
//! let module = parse_module("function square(v0: f32) -> f32 {\n v1 = mul v0, v0\n return v1\n}")?;
//! let results = kjit_interp::run_function(None, &module.functions[0], &[Scalar::f32(3.0)])?;
//! assert_eq!(results, [Scalar::f32(9.0)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod array;
mod code;
mod function;
mod run;
mod trap;

pub use function::{InterpError, run_function, run_function_with_fuel};
pub use trap::TrapReport;

use array::{Args, Params};
use code::Code;
use kjit_ir::abi::KernelStatus;
use kjit_ir::target::{Backend, BackendError, CompiledKernel};
use kjit_ir::verify::verify;
use kjit_ir::{ArrayRef, DimRef, Form, FuncRef, Function, Scalar, TrapKind, TrapRef};
use run::{Frame, Stop, World, run};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What [`KernelStatus::trap`] says after a kernel ran out of fuel, if the kernel has no trap of kind
/// [`TrapKind::LoopLimit`] of its own to report.
pub const OUT_OF_FUEL: u32 = u32::MAX;

/// The interpreter as a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interp {
    lanes: usize,
    fuel: u64,
}

impl Default for Interp {
    /// Four lanes for vector form, no limit on steps.
    fn default() -> Interp {
        Interp {
            lanes: 4,
            fuel: u64::MAX,
        }
    }
}

impl Interp {
    /// An interpreter that runs kernels in vector form with so many lanes (at least one).
    pub fn with_lanes(lanes: usize) -> Interp {
        Interp {
            lanes: lanes.max(1),
            ..Interp::default()
        }
    }

    /// Limits the steps that one element (or one group of lanes) may take. A kernel that needs more is
    /// stopped, leaves the elements after it alone, and reports its loop limit trap or [`OUT_OF_FUEL`].
    pub fn with_fuel(self, steps: u64) -> Interp {
        Interp {
            fuel: steps,
            ..self
        }
    }
}

impl Backend for Interp {
    fn name(&self) -> &'static str {
        "interp"
    }

    fn compile(&self, kernel: &Function) -> Result<Arc<dyn CompiledKernel>, BackendError> {
        Ok(Arc::new(InterpKernel::new(kernel, *self)?))
    }

    fn takes(&self, _form: Form) -> bool {
        true
    }

    fn emit(&self, _kernel: &Function, _stage: &str) -> Option<Result<String, BackendError>> {
        None
    }
}

/// A kernel ready to be interpreted.
struct InterpKernel {
    code: Code,
    params: Params,
    fuel: u64,
    /// What to report when there is no fuel left.
    out_of_fuel: u32,
}

impl InterpKernel {
    fn new(kernel: &Function, options: Interp) -> Result<InterpKernel, BackendError> {
        if let Err(errors) = verify(kernel, None) {
            return Err(BackendError::Internal(errors.to_string()));
        }
        if !kernel.is_kernel() {
            let name = &kernel.name;
            return Err(BackendError::Internal(format!("`{name}` is not a kernel")));
        }
        let lanes = match kernel.form {
            Form::Scalar => 1,
            Form::Vector => options.lanes,
        };
        let code = Code::new(kernel, lanes).map_err(BackendError::Unsupported)?;
        if code
            .steps
            .iter()
            .any(|step| matches!(step, code::Step::Call { .. }))
        {
            let message = format!("`{}` is not inlined\n{kernel}", kernel.name);
            return Err(BackendError::Internal(message));
        }
        let mut traps = kernel.traps.iter();
        let limit = traps.position(|trap| trap.kind == TrapKind::LoopLimit);
        Ok(InterpKernel {
            code,
            params: Params::new(kernel),
            fuel: options.fuel,
            out_of_fuel: limit.map_or(OUT_OF_FUEL, |n| n as u32 + 1),
        })
    }
}

impl CompiledKernel for InterpKernel {
    fn lanes(&self) -> usize {
        self.code.lanes
    }

    fn code_size(&self) -> usize {
        0
    }

    unsafe fn call(
        &self,
        args: *const *mut u8,
        dims: *const isize,
        steps: *const isize,
        data: *const u8,
    ) {
        // SAFETY: the caller says that `dims` has an item.
        let count = unsafe { *dims }.max(0);
        let lanes = self.code.lanes as isize;
        assert!(
            count % lanes == 0,
            "bug in kjit: {count} elements for a kernel of {lanes} lanes"
        );
        let mut memory = Memory {
            // SAFETY: the caller says that they are what the ABI says.
            args: unsafe { self.params.args(args, dims, steps) },
            element: 0,
            trap: 0,
        };
        let mut frame = Frame::new(&self.code);
        while memory.element < count {
            let mut fuel = self.fuel;
            match run(&self.code, &mut frame, &mut memory, &mut fuel) {
                Ok(_) => {}
                Err(Stop::Fuel) => {
                    if memory.trap == 0 {
                        memory.trap = self.out_of_fuel;
                    }
                    break;
                }
                Err(stop) => panic!("bug in kjit: a kernel stopped: {stop:?}"),
            }
            memory.element += lanes;
        }
        if memory.trap != 0 && !data.is_null() {
            // SAFETY: the caller says that `data` points to a `KernelStatus`.
            let status = unsafe { &*data.cast::<KernelStatus>() };
            // The first trap reported stays.
            let _ =
                status
                    .trap
                    .compare_exchange(0, memory.trap, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// A kernel's arrays while it runs.
struct Memory {
    args: Args,
    /// The element of lane 0.
    element: isize,
    /// What goes into [`KernelStatus::trap`].
    trap: u32,
}

impl World for Memory {
    fn load(&mut self, array: ArrayRef, lane: usize) -> Scalar {
        // SAFETY: the caller of the kernel says that all `dims[0]` elements may be read.
        unsafe { self.args.arrays[array.index()].read(self.element + lane as isize) }
    }

    fn store(&mut self, array: ArrayRef, lane: usize, value: Scalar) {
        self.core_store(array, lane, &[], value);
    }

    fn extent(&self, dim: DimRef) -> i64 {
        self.args.extents[dim.index()]
    }

    fn core_load(&mut self, array: ArrayRef, lane: usize, index: &[i64]) -> Scalar {
        let array = &self.args.arrays[array.index()];
        let address = array.address(self.element + lane as isize, index);
        // SAFETY: the caller of the kernel says that all elements of the `dims[0]` sub-arrays may be
        // read, and the index is one of them.
        unsafe { array.read_at(address) }
    }

    fn core_store(&mut self, array: ArrayRef, lane: usize, index: &[i64], value: Scalar) {
        let array = &self.args.arrays[array.index()];
        let address = array.address(self.element + lane as isize, index);
        // SAFETY: as in `core_load`, for writing.
        unsafe { array.write_at(address, value) }
    }

    fn trap(&mut self, trap: TrapRef, _lane: usize, _frame: &[Scalar]) -> bool {
        if self.trap == 0 {
            self.trap = trap.0 + 1;
        }
        true
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

#[cfg(test)]
mod core_tests;
#[cfg(test)]
mod pass_tests;
#[cfg(test)]
mod promote_tests;
#[cfg(test)]
mod tests;
