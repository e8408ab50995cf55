//! Runs a function that is not a kernel: constant folding of calls, tests, `kjit test`.

use crate::code::Code;
use crate::run::{Frame, Stop, World, run};
use kjit_ir::verify::{VerifierErrors, verify};
use kjit_ir::{ArrayRef, DimRef, Form, FuncRef, Function, Module, Scalar, Trap, TrapRef};
use std::fmt;
use std::rc::Rc;

/// Steps that [`run_function`] may take.
const DEFAULT_FUEL: u64 = 100_000_000;

/// Calls nest at most so deep.
const MAX_CALLS: usize = 100;

/// Why a function gave no results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterpError {
    /// The IR is malformed.
    Malformed(VerifierErrors),
    /// The function is a kernel, in vector form or too large, or calls a function that is not there.
    Unsupported(String),
    /// The arguments do not fit the parameters.
    Arguments(String),
    /// It took more steps than it may.
    OutOfFuel,
    /// Calls nest too deep.
    TooDeep,
    /// A run-time check failed.
    Trap(Trap),
    /// Control reached `unreachable`.
    Unreachable,
}

impl fmt::Display for InterpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InterpError::Malformed(errors) => write!(f, "malformed IR: {errors}"),
            InterpError::Unsupported(what) | InterpError::Arguments(what) => f.write_str(what),
            InterpError::OutOfFuel => f.write_str("it runs for too long"),
            InterpError::TooDeep => f.write_str("calls nest too deep"),
            InterpError::Trap(trap) => write!(f, "a run-time check failed: {:?}", trap.kind),
            InterpError::Unreachable => f.write_str("control reached `unreachable`"),
        }
    }
}

impl std::error::Error for InterpError {}

/// Runs a function (in scalar form, not a kernel) on constants. `module` is where its calls go. Takes
/// a hundred million steps at most.
pub fn run_function(
    module: Option<&Module>,
    func: &Function,
    args: &[Scalar],
) -> Result<Vec<Scalar>, InterpError> {
    run_function_with_fuel(module, func, args, DEFAULT_FUEL)
}

/// [`run_function`] with a limit on the steps.
pub fn run_function_with_fuel(
    module: Option<&Module>,
    func: &Function,
    args: &[Scalar],
    mut fuel: u64,
) -> Result<Vec<Scalar>, InterpError> {
    let mut calls = Calls {
        module,
        codes: vec![None; module.map_or(0, |m| m.functions.len())],
        stack: Vec::new(),
        failed: None,
    };
    let code = prepare(module, func)?;
    let params: Vec<_> = func.params().iter().map(|v| func.ty(*v).dtype).collect();
    let given: Vec<_> = args.iter().map(|a| a.dtype()).collect();
    if params != given {
        let name = &func.name;
        let message = format!("`{name}` takes {params:?}, not {given:?}");
        return Err(InterpError::Arguments(message));
    }
    let result = calls.run(func, &code, args, &mut fuel);
    result.map_err(|stop| match calls.failed {
        Some(error) => error,
        None => match stop {
            Stop::Fuel => InterpError::OutOfFuel,
            Stop::Depth => InterpError::TooDeep,
            Stop::Trap(trap) => InterpError::Unsupported(format!("there is no trap {trap}")),
            Stop::NoFunction(callee) => {
                InterpError::Unsupported(format!("there is no function {callee}"))
            }
            Stop::Unreachable => InterpError::Unreachable,
        },
    })
}

fn prepare(module: Option<&Module>, func: &Function) -> Result<Code, InterpError> {
    verify(func, module).map_err(InterpError::Malformed)?;
    if func.is_kernel() || func.form == Form::Vector {
        let message = format!("`{}` is a kernel or in vector form", func.name);
        return Err(InterpError::Unsupported(message));
    }
    Code::new(func, 1).map_err(InterpError::Unsupported)
}

/// The functions being run, innermost last.
struct Calls<'a> {
    module: Option<&'a Module>,
    /// Code of the module's functions called so far.
    codes: Vec<Option<Rc<Code>>>,
    stack: Vec<&'a Function>,
    /// An error that says more than the [`Stop`] which ended the run.
    failed: Option<InterpError>,
}

impl<'a> Calls<'a> {
    fn run(
        &mut self,
        func: &'a Function,
        code: &Code,
        args: &[Scalar],
        fuel: &mut u64,
    ) -> Result<Vec<Scalar>, Stop> {
        let mut frame = Frame::new(code);
        for (param, arg) in code.params.iter().zip(args) {
            frame.regs[param.at(0)] = *arg;
        }
        self.stack.push(func);
        let results = run(code, &mut frame, self, fuel);
        self.stack.pop();
        results
    }
}

impl World for Calls<'_> {
    fn load(&mut self, array: ArrayRef, _lane: usize) -> Scalar {
        unreachable!("bug in kjit: {array} in a function that is not a kernel")
    }

    fn store(&mut self, array: ArrayRef, _lane: usize, _value: Scalar) {
        unreachable!("bug in kjit: {array} in a function that is not a kernel")
    }

    fn extent(&self, dim: DimRef) -> i64 {
        unreachable!("bug in kjit: {dim} in a function that is not a kernel")
    }

    fn core_load(&mut self, array: ArrayRef, _lane: usize, _index: &[i64]) -> Scalar {
        unreachable!("bug in kjit: {array} in a function that is not a kernel")
    }

    fn core_store(&mut self, array: ArrayRef, _lane: usize, _index: &[i64], _value: Scalar) {
        unreachable!("bug in kjit: {array} in a function that is not a kernel")
    }

    fn trap(&mut self, trap: TrapRef, _lane: usize, _frame: &[Scalar]) -> bool {
        let func = self.stack.last();
        let trap = func.and_then(|f| f.traps.get(trap.index()));
        self.failed = trap.cloned().map(InterpError::Trap);
        false
    }

    fn call(
        &mut self,
        callee: FuncRef,
        args: Vec<Scalar>,
        fuel: &mut u64,
    ) -> Result<Vec<Scalar>, Stop> {
        if self.stack.len() >= MAX_CALLS {
            return Err(Stop::Depth);
        }
        let module = self.module.ok_or(Stop::NoFunction(callee))?;
        let functions = &module.functions;
        let func = functions
            .get(callee.index())
            .ok_or(Stop::NoFunction(callee))?;
        let code = match &self.codes[callee.index()] {
            Some(code) => code.clone(),
            None => match prepare(self.module, func) {
                Ok(code) => {
                    let code = Rc::new(code);
                    self.codes[callee.index()] = Some(code.clone());
                    code
                }
                Err(error) => {
                    self.failed = Some(error);
                    return Err(Stop::NoFunction(callee));
                }
            },
        };
        self.run(func, &code, &args, fuel)
    }
}
