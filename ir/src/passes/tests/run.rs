//! A small evaluator of both forms, so that the tests of the passes depend on no backend.

use crate::eval::eval;
use crate::{
    Access, ArrayMode, ArrayRef, Block, DType, Function, Imm, Inst, Module, Opcode, Scalar, Type,
    Value,
};
use smallvec::SmallVec;
use std::rc::Rc;

/// What running a kernel over all elements leaves behind.
#[derive(Debug)]
pub struct Outcome {
    pub outputs: Vec<Vec<Scalar>>,
    /// `(element, kind of trap)` in the order of the elements.
    pub traps: Vec<(usize, String)>,
}

enum Flow {
    Yield(Args),
    Break(Args),
    Continue(Args),
    Return(Args),
}

/// One scalar, or one a lane.
type Lanes = Rc<[Scalar]>;

type Args = SmallVec<[Lanes; 4]>;

struct Run<'a> {
    module: Option<&'a Module>,
    lanes: usize,
    first: usize,
    inputs: &'a [Vec<Scalar>],
    outcome: &'a mut Outcome,
    steps: &'a mut u32,
}

struct Frame<'a> {
    func: &'a Function,
    values: Vec<Lanes>,
    /// Local, lane, index.
    locals: Vec<Vec<Vec<Scalar>>>,
}

/// Runs a kernel on `n` elements, `lanes` at a time (1 for scalar form). `inputs` has an entry an array; outputs start
/// as zeros.
pub fn run_kernel(
    module: Option<&Module>,
    func: &Function,
    inputs: &[Vec<Scalar>],
    n: usize,
    lanes: usize,
) -> Outcome {
    let mut outcome = Outcome {
        outputs: func
            .arrays
            .iter()
            .map(|a| vec![Scalar::zero(a.dtype); n])
            .collect(),
        traps: Vec::new(),
    };
    let mut steps = 2_000_000;
    for first in (0..n).step_by(lanes) {
        let mut run = Run {
            module,
            lanes,
            first,
            inputs,
            outcome: &mut outcome,
            steps: &mut steps,
        };
        run.call(func, &[]);
    }
    outcome.traps.sort_unstable();
    outcome.traps.dedup();
    outcome
}

fn at(lanes: &Lanes, lane: usize) -> Scalar {
    if lanes.len() == 1 {
        lanes[0]
    } else {
        lanes[lane]
    }
}

impl<'a> Run<'a> {
    fn call(&mut self, func: &'a Function, args: &[Lanes]) -> Args {
        let mut frame = Frame {
            func,
            values: vec![Rc::from([]); func.values.len()],
            locals: func
                .locals
                .iter()
                .map(|l| vec![vec![Scalar::zero(l.dtype); l.len as usize]; self.lanes])
                .collect(),
        };
        for (param, arg) in func.params().iter().zip(args) {
            frame.values[param.index()] = arg.clone();
        }
        match self.block(&mut frame, func.entry) {
            Flow::Return(values) => values,
            _ => panic!("the entry block must return"),
        }
    }

    fn block(&mut self, frame: &mut Frame<'a>, block: Block) -> Flow {
        let func = frame.func;
        for &inst in &func.block(block).insts {
            *self.steps = self.steps.checked_sub(1).expect("runs too long");
            let data = func.inst(inst);
            let args = data.args.iter().map(|a| frame.values[a.index()].clone());
            let args: Args = args.collect();
            match data.op {
                Opcode::Yield => return Flow::Yield(args),
                Opcode::Break => return Flow::Break(args),
                Opcode::Continue => return Flow::Continue(args),
                Opcode::Return => return Flow::Return(args),
                Opcode::Unreachable => panic!("reached unreachable in\n{func}"),
                Opcode::If => {
                    assert_eq!(args[0].len(), 1, "uniform condition");
                    let arm = data.blocks[if args[0][0].as_bool() { 0 } else { 1 }];
                    match self.block(frame, arm) {
                        Flow::Yield(values) => define(frame, &data.results, values),
                        flow => return flow,
                    }
                }
                Opcode::Loop => {
                    let body = data.blocks[0];
                    let mut carried = args;
                    loop {
                        define(frame, &func.block(body).params, carried);
                        match self.block(frame, body) {
                            Flow::Break(values) => {
                                define(frame, &data.results, values);
                                break;
                            }
                            Flow::Continue(values) => carried = values,
                            flow => return flow,
                        }
                    }
                }
                Opcode::Call => {
                    let (Some(module), Imm::Func(callee)) = (self.module, data.imm) else {
                        panic!("call without module");
                    };
                    let values = self.call(&module[callee], &args);
                    define(frame, &data.results, values);
                }
                _ => {
                    if let Some(value) = self.plain(frame, inst, &args) {
                        define(frame, &data.results, [value]);
                    }
                }
            }
        }
        panic!("block without terminator");
    }

    fn plain(&mut self, frame: &mut Frame<'a>, inst: Inst, args: &[Lanes]) -> Option<Lanes> {
        let func = frame.func;
        let data = func.inst(inst);
        let ty = data.results.first().map(|r| func.ty(*r));
        let width = |ty: Type| if ty.varying { self.lanes } else { 1 };
        let on = |n: usize, lane: usize| args.get(n).is_none_or(|m| at(m, lane).as_bool());
        match (data.op, data.imm) {
            (Opcode::Const, Imm::Const(scalar)) => Some(Rc::from([scalar])),
            (Opcode::Splat, _) => Some(std::iter::repeat_n(args[0][0], self.lanes).collect()),
            (Opcode::AnyTrue, _) => Some(Rc::from([Scalar::bool(
                args[0].iter().any(|s| s.as_bool()),
            )])),
            (Opcode::First, _) => {
                let first = args[0].iter().position(|s| s.as_bool()).unwrap_or(0);
                Some(Rc::from([Scalar::int(DType::I32, first as i128)]))
            }
            (Opcode::Extract, _) => {
                let lane = args[1][0].as_int().rem_euclid(self.lanes as i128);
                Some(Rc::from([args[0][lane as usize]]))
            }
            (Opcode::Insert, _) => {
                let lane = args[1][0].as_int();
                let one = |(n, old): (usize, &Scalar)| match n as i128 == lane {
                    true => args[2][0],
                    false => *old,
                };
                Some(args[0].iter().enumerate().map(one).collect())
            }
            (Opcode::Index | Opcode::Load, Imm::Array(array)) => {
                let lanes = width(ty?);
                Some((0..lanes).map(|l| self.element(func, array, l)).collect())
            }
            (Opcode::Store, Imm::Array(array)) => {
                for lane in 0..self.lanes {
                    if on(1, lane) {
                        let element = self.first + lane;
                        self.outcome.outputs[array.index()][element] = at(&args[0], lane);
                    }
                }
                None
            }
            (Opcode::Guard, Imm::Trap(trap)) => {
                for lane in 0..self.lanes {
                    if on(1, lane) && !at(&args[0], lane).as_bool() {
                        let kind = format!("{:?}", func.traps[trap.index()].kind);
                        self.outcome.traps.push((self.first + lane, kind));
                    }
                }
                None
            }
            (Opcode::LocalLoad, Imm::Local(local)) => {
                let array = &frame.locals[local.index()];
                let value = |lane: usize| array[lane][clamp(&array[lane], at(&args[0], lane))];
                Some((0..self.lanes).map(value).collect())
            }
            (Opcode::LocalStore, Imm::Local(local)) => {
                for lane in 0..self.lanes {
                    if on(2, lane) {
                        let array = &mut frame.locals[local.index()][lane];
                        let index = clamp(array, at(&args[0], lane));
                        array[index] = at(&args[1], lane);
                    }
                }
                None
            }
            (op, imm) => {
                let to = match imm {
                    Imm::DType(dtype) => Some(dtype),
                    _ => None,
                };
                let value = |lane: usize| {
                    let args: SmallVec<[Scalar; 4]> = args.iter().map(|a| at(a, lane)).collect();
                    eval(op, to, &args).unwrap_or_else(|| panic!("{op} is not evaluated"))
                };
                Some((0..width(ty?)).map(value).collect())
            }
        }
    }

    fn element(&self, func: &Function, array: ArrayRef, lane: usize) -> Scalar {
        let param = &func.arrays[array.index()];
        let element = self.first + lane;
        match (param.mode, param.access) {
            (ArrayMode::Index, _) => Scalar::int(DType::I64, element as i128),
            (_, Access::Uniform) => self.inputs[array.index()][0],
            _ => self.inputs[array.index()][element],
        }
    }
}

fn clamp(array: &[Scalar], index: Scalar) -> usize {
    index.as_int().clamp(0, array.len() as i128 - 1) as usize
}

fn define(frame: &mut Frame, targets: &[Value], values: impl IntoIterator<Item = Lanes>) {
    for (target, value) in targets.iter().zip(values) {
        frame.values[target.index()] = value;
    }
}
