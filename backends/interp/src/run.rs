//! Executes flattened code.

use crate::code::{Code, Local, Step};
use kjit_ir::eval::eval;
use kjit_ir::{ArrayRef, DType, DimRef, FuncRef, Scalar, TrapRef};

/// What the code can see of the world around it.
pub(crate) trait World {
    /// Element `lane` of an array, or the element's index.
    fn load(&mut self, array: ArrayRef, lane: usize) -> Scalar;
    /// Writes element `lane` of an array.
    fn store(&mut self, array: ArrayRef, lane: usize, value: Scalar);
    /// Extent of a core dimension.
    fn extent(&self, dim: DimRef) -> i64;
    /// An element of the sub-array that is element `lane` of an array.
    fn core_load(&mut self, array: ArrayRef, lane: usize, index: &[i64]) -> Scalar;
    /// Writes an element of the sub-array that is element `lane` of an array.
    fn core_store(&mut self, array: ArrayRef, lane: usize, index: &[i64], value: Scalar);
    /// A guard failed in a lane; `frame` holds the registers. Stops if it answers `false`.
    fn trap(&mut self, trap: TrapRef, lane: usize, frame: &[Scalar]) -> bool;
    /// Calls a function.
    fn call(
        &mut self,
        callee: FuncRef,
        args: Vec<Scalar>,
        fuel: &mut u64,
    ) -> Result<Vec<Scalar>, Stop>;
}

/// Why execution stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// No steps left.
    Fuel,
    /// A guard failed and the world wanted to stop there.
    Trap(TrapRef),
    /// Calls nest too deep.
    Depth,
    /// A function called that is not there.
    NoFunction(FuncRef),
    /// Control reached `unreachable`: a bug of whoever made the IR.
    Unreachable,
}

/// The registers and local arrays of one activation, to be used again and again.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub regs: Vec<Scalar>,
    /// Lane after lane, each with all local arrays.
    locals: Vec<Scalar>,
    per_lane: usize,
    scratch: Vec<Scalar>,
}

impl Frame {
    pub fn new(code: &Code) -> Frame {
        let per_lane = code.locals.iter().map(|l| l.len).sum();
        Frame {
            regs: code.frame.clone(),
            locals: vec![Scalar::bool(false); per_lane * code.lanes],
            per_lane,
            scratch: Vec::new(),
        }
    }

    fn clear_locals(&mut self, code: &Code) {
        for lane in 0..code.lanes {
            for local in &code.locals {
                let first = lane * self.per_lane + local.first;
                self.locals[first..first + local.len].fill(Scalar::zero(local.dtype));
            }
        }
    }

    fn local(&mut self, local: Local, lane: usize, index: Scalar) -> &mut Scalar {
        let index = index.as_int().clamp(0, local.len as i128 - 1) as usize;
        &mut self.locals[lane * self.per_lane + local.first + index]
    }
}

/// Runs the code once (for one element, or one group of lanes) and gives the cells of what it returns.
pub(crate) fn run(
    code: &Code,
    frame: &mut Frame,
    world: &mut impl World,
    fuel: &mut u64,
) -> Result<Vec<Scalar>, Stop> {
    if !code.locals.is_empty() {
        frame.clear_locals(code);
    }
    let lanes = code.lanes;
    let active = |frame: &Frame, mask: &Option<crate::code::Reg>, lane: usize| match mask {
        Some(mask) => frame.regs[mask.at(lane)].as_bool(),
        None => true,
    };
    let mut at = 0;
    loop {
        if *fuel == 0 {
            return Err(Stop::Fuel);
        }
        *fuel -= 1;
        let step = &code.steps[at];
        at += 1;
        match step {
            Step::Pure {
                op,
                to,
                to_reg,
                args,
                count,
            } => {
                let width = if to_reg.stride == 0 { 1 } else { lanes };
                for lane in 0..width {
                    let values = args.map(|reg| frame.regs[reg.at(lane)]);
                    frame.regs[to_reg.at(lane)] = match eval(*op, *to, &values[..*count]) {
                        Some(value) => value,
                        None => unreachable!("bug in kjit: {op} of {values:?} has no meaning"),
                    };
                }
            }
            Step::Any { to, from } => {
                let any = (0..lanes).any(|lane| frame.regs[from.at(lane)].as_bool());
                frame.regs[to.base as usize] = Scalar::bool(any);
            }
            Step::First { to, from } => {
                let first = (0..lanes).find(|lane| frame.regs[from.at(*lane)].as_bool());
                let first = Scalar::int(DType::I32, first.unwrap_or(0) as i128);
                frame.regs[to.base as usize] = first;
            }
            Step::Extract { to, from, lane } => {
                let lane = frame.regs[lane.base as usize].as_int();
                let lane = lane.rem_euclid(lanes as i128) as usize;
                frame.regs[to.base as usize] = frame.regs[from.at(lane)];
            }
            Step::Insert {
                to,
                from,
                lane,
                number,
            } => {
                let changed = frame.regs[lane.base as usize].as_int();
                let number = frame.regs[number.base as usize];
                for lane in 0..lanes {
                    frame.regs[to.at(lane)] = match lane as i128 == changed {
                        true => number,
                        false => frame.regs[from.at(lane)],
                    };
                }
            }
            Step::Moves(moves) => {
                // All are read before any is written: a loop may swap its values.
                frame.scratch.clear();
                for (to, from) in moves {
                    let width = if to.stride == 0 { 1 } else { lanes };
                    for lane in 0..width {
                        frame.scratch.push(frame.regs[from.at(lane)]);
                    }
                }
                let mut next = 0;
                for (to, _) in moves {
                    let width = if to.stride == 0 { 1 } else { lanes };
                    for lane in 0..width {
                        frame.regs[to.at(lane)] = frame.scratch[next];
                        next += 1;
                    }
                }
            }
            Step::Index { to, array } => {
                let width = if to.stride == 0 { 1 } else { lanes };
                for lane in 0..width {
                    frame.regs[to.at(lane)] = world.load(*array, lane);
                }
            }
            Step::Load { to, array, mask } => {
                let width = if to.stride == 0 { 1 } else { lanes };
                for lane in 0..width {
                    let cell = to.at(lane);
                    frame.regs[cell] = if active(frame, mask, lane) {
                        world.load(*array, lane)
                    } else {
                        Scalar::zero(frame.regs[cell].dtype())
                    };
                }
            }
            Step::Store { array, value, mask } => {
                for lane in 0..lanes {
                    if active(frame, mask, lane) {
                        world.store(*array, lane, frame.regs[value.at(lane)]);
                    }
                }
            }
            Step::Dim { to, dim } => {
                let extent = world.extent(*dim);
                frame.regs[to.base as usize] = Scalar::int(DType::I64, extent as i128);
            }
            Step::CoreLoad {
                to,
                array,
                index,
                mask,
            } => {
                let width = if to.stride == 0 { 1 } else { lanes };
                for lane in 0..width {
                    let cell = to.at(lane);
                    frame.regs[cell] = if active(frame, mask, lane) {
                        let index = core_index(frame, index, lane);
                        world.core_load(*array, lane, &index)
                    } else {
                        Scalar::zero(frame.regs[cell].dtype())
                    };
                }
            }
            Step::CoreStore {
                array,
                index,
                value,
                mask,
            } => {
                for lane in 0..lanes {
                    if active(frame, mask, lane) {
                        let index = core_index(frame, index, lane);
                        world.core_store(*array, lane, &index, frame.regs[value.at(lane)]);
                    }
                }
            }
            Step::LocalLoad { to, local, index } => {
                let local = code.locals[local.index()];
                let width = if to.stride == 0 { 1 } else { lanes };
                for lane in 0..width {
                    let index = frame.regs[index.at(lane)];
                    frame.regs[to.at(lane)] = *frame.local(local, lane, index);
                }
            }
            Step::LocalStore {
                local,
                index,
                value,
                mask,
            } => {
                let local = code.locals[local.index()];
                for lane in 0..lanes {
                    if active(frame, mask, lane) {
                        let index = frame.regs[index.at(lane)];
                        let value = frame.regs[value.at(lane)];
                        *frame.local(local, lane, index) = value;
                    }
                }
            }
            Step::Guard { ok, mask, trap } => {
                for lane in 0..lanes {
                    let failed = !frame.regs[ok.at(lane)].as_bool() && active(frame, mask, lane);
                    if failed && !world.trap(*trap, lane, &frame.regs) {
                        return Err(Stop::Trap(*trap));
                    }
                }
            }
            Step::Call {
                callee,
                args,
                results,
            } => {
                let args = args.iter().map(|reg| frame.regs[reg.at(0)]).collect();
                let values = world.call(*callee, args, fuel)?;
                for (reg, value) in results.iter().zip(values) {
                    frame.regs[reg.at(0)] = value;
                }
            }
            Step::Jump(target) => at = *target,
            Step::JumpIfFalse(condition, target) => {
                if !frame.regs[condition.at(0)].as_bool() {
                    at = *target;
                }
            }
            Step::Return(values) => {
                return Ok(values.iter().map(|reg| frame.regs[reg.at(0)]).collect());
            }
            Step::Unreachable => return Err(Stop::Unreachable),
        }
    }
}

/// A lane's index into the core axes.
fn core_index(frame: &Frame, index: &[crate::code::Reg], lane: usize) -> Vec<i64> {
    let cells = index.iter().map(|reg| frame.regs[reg.at(lane)]);
    cells.map(|scalar| scalar.as_int() as i64).collect()
}
