//! Flattens the block tree of a function into a list of steps with jumps, over numbered registers.
//!
//! A register is a place in one array of scalars: one cell for a uniform value, as many as there are
//! lanes for a varying one. As values are immutable, constants are written once, when the frame is made.

use kjit_ir::{
    ArrayRef, Block, DType, DimRef, FuncRef, Function, Imm, InstData, LocalRef, Opcode, Scalar,
    TrapRef, Value,
};

/// Where a value lives: cell `base + lane * stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reg {
    pub base: u32,
    /// 0 for a uniform value, 1 for a varying one.
    pub stride: u32,
}

impl Reg {
    pub fn at(self, lane: usize) -> usize {
        self.base as usize + lane * self.stride as usize
    }
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A pure operation, lane by lane.
    Pure {
        op: Opcode,
        to: Option<DType>,
        to_reg: Reg,
        args: [Reg; 3],
        count: usize,
    },
    /// Is it true in some lane?
    Any {
        to: Reg,
        from: Reg,
    },
    /// The lowest lane where it is true.
    First {
        to: Reg,
        from: Reg,
    },
    /// The number in a lane.
    Extract {
        to: Reg,
        from: Reg,
        lane: Reg,
    },
    /// The numbers of all lanes, but for one.
    Insert {
        to: Reg,
        from: Reg,
        lane: Reg,
        number: Reg,
    },
    /// Copies, all at once.
    Moves(Box<[(Reg, Reg)]>),
    Index {
        to: Reg,
        array: ArrayRef,
    },
    Load {
        to: Reg,
        array: ArrayRef,
        mask: Option<Reg>,
    },
    Store {
        array: ArrayRef,
        value: Reg,
        mask: Option<Reg>,
    },
    Dim {
        to: Reg,
        dim: DimRef,
    },
    CoreLoad {
        to: Reg,
        array: ArrayRef,
        index: Box<[Reg]>,
        mask: Option<Reg>,
    },
    CoreStore {
        array: ArrayRef,
        index: Box<[Reg]>,
        value: Reg,
        mask: Option<Reg>,
    },
    LocalLoad {
        to: Reg,
        local: LocalRef,
        index: Reg,
    },
    LocalStore {
        local: LocalRef,
        index: Reg,
        value: Reg,
        mask: Option<Reg>,
    },
    Guard {
        ok: Reg,
        mask: Option<Reg>,
        trap: TrapRef,
    },
    Call {
        callee: FuncRef,
        args: Box<[Reg]>,
        results: Box<[Reg]>,
    },
    Jump(usize),
    JumpIfFalse(Reg, usize),
    Return(Box<[Reg]>),
    Unreachable,
}

/// A local array: its first cell among a lane's cells, and its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    pub first: usize,
    pub len: usize,
    pub dtype: DType,
}

/// A function ready to run on a number of lanes.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub steps: Vec<Step>,
    /// The registers before the function starts: constants in their places.
    pub frame: Vec<Scalar>,
    pub params: Vec<Reg>,
    pub locals: Vec<Local>,
    pub lanes: usize,
    /// The register of every value.
    pub regs: Vec<Reg>,
}

/// Local arrays of one element take at most so many bytes.
const MAX_LOCAL_BYTES: u64 = 16 << 20;

impl Code {
    /// Flattens a verified function; says what is too large for it.
    pub fn new(func: &Function, lanes: usize) -> Result<Code, String> {
        let sizes = func.locals.iter();
        let sizes = sizes.map(|l| l.len as u64 * l.dtype.size() as u64);
        let bytes = sizes.fold(0, u64::saturating_add);
        if bytes > MAX_LOCAL_BYTES {
            return Err(format!(
                "the local arrays of `{}` take {bytes} bytes, and the interpreter takes {MAX_LOCAL_BYTES}",
                func.name
            ));
        }
        let mut regs = Vec::with_capacity(func.values.len());
        let mut frame = Vec::new();
        for value in &func.values {
            let stride = value.ty.varying as u32;
            let base = frame.len() as u32;
            regs.push(Reg { base, stride });
            let cells = if value.ty.varying { lanes } else { 1 };
            frame.resize(frame.len() + cells, Scalar::zero(value.ty.dtype));
        }
        let mut locals = Vec::new();
        let mut first = 0;
        for local in &func.locals {
            locals.push(Local {
                first,
                len: local.len as usize,
                dtype: local.dtype,
            });
            first += local.len as usize;
        }
        let mut flattener = Flattener {
            func,
            regs: &regs,
            frame: &mut frame,
            steps: Vec::new(),
            loops: Vec::new(),
        };
        flattener.block(func.entry, None);
        let steps = flattener.steps;
        let params = func.params().iter().map(|v| regs[v.index()]).collect();
        Ok(Code {
            steps,
            frame,
            params,
            locals,
            lanes,
            regs,
        })
    }
}

/// An `if` being flattened: where its results go, and the jumps to its end.
struct Arms<'a> {
    results: &'a [Value],
    exits: Vec<usize>,
}

/// A loop being flattened.
struct Loop<'a> {
    params: &'a [Value],
    results: &'a [Value],
    start: usize,
    exits: Vec<usize>,
}

struct Flattener<'a> {
    func: &'a Function,
    regs: &'a [Reg],
    frame: &'a mut [Scalar],
    steps: Vec<Step>,
    loops: Vec<Loop<'a>>,
}

impl<'a> Flattener<'a> {
    fn block(&mut self, block: Block, mut arms: Option<&mut Arms<'a>>) {
        let func = self.func;
        for inst in &func.block(block).insts {
            let data = func.inst(*inst);
            match data.op {
                Opcode::If => self.if_(data),
                Opcode::Loop => self.loop_(data),
                Opcode::Yield => {
                    let Some(arms) = arms.as_deref_mut() else {
                        unreachable!("bug in kjit: `yield` outside an arm");
                    };
                    self.moves(&data.args, arms.results);
                    arms.exits.push(self.jump());
                }
                Opcode::Continue => {
                    let (params, start) = {
                        let inner = self.innermost();
                        (inner.params, inner.start)
                    };
                    self.moves(&data.args, params);
                    self.steps.push(Step::Jump(start));
                }
                Opcode::Break => {
                    let results = self.innermost().results;
                    self.moves(&data.args, results);
                    let exit = self.jump();
                    self.innermost().exits.push(exit);
                }
                _ => self.simple(data),
            }
        }
    }

    fn innermost(&mut self) -> &mut Loop<'a> {
        match self.loops.last_mut() {
            Some(inner) => inner,
            None => unreachable!("bug in kjit: `break` or `continue` outside a loop"),
        }
    }

    fn if_(&mut self, data: &'a InstData) {
        let branch = self.steps.len();
        self.steps
            .push(Step::JumpIfFalse(self.reg(data.args[0]), usize::MAX));
        let mut arms = Arms {
            results: &data.results,
            exits: Vec::new(),
        };
        self.block(data.blocks[0], Some(&mut arms));
        let other = self.steps.len();
        self.patch(branch, other);
        self.block(data.blocks[1], Some(&mut arms));
        self.patch_all(&arms.exits);
    }

    fn loop_(&mut self, data: &'a InstData) {
        let func = self.func;
        let body = data.blocks[0];
        let params = func.block(body).params.as_slice();
        self.moves(&data.args, params);
        self.loops.push(Loop {
            params,
            results: &data.results,
            start: self.steps.len(),
            exits: Vec::new(),
        });
        self.block(body, None);
        if let Some(done) = self.loops.pop() {
            self.patch_all(&done.exits);
        }
    }

    fn moves(&mut self, from: &[Value], to: &[Value]) {
        let pairs = to.iter().zip(from);
        let moves: Box<[_]> = pairs.map(|(t, f)| (self.reg(*t), self.reg(*f))).collect();
        if !moves.is_empty() {
            self.steps.push(Step::Moves(moves));
        }
    }

    fn jump(&mut self) -> usize {
        self.steps.push(Step::Jump(usize::MAX));
        self.steps.len() - 1
    }

    fn patch(&mut self, step: usize, target: usize) {
        match &mut self.steps[step] {
            Step::Jump(to) | Step::JumpIfFalse(_, to) => *to = target,
            step => unreachable!("bug in kjit: {step:?} is no jump"),
        }
    }

    /// Sends jumps here, where a step will follow: every block ends with a terminator.
    fn patch_all(&mut self, steps: &[usize]) {
        let here = self.steps.len();
        for step in steps {
            self.patch(*step, here);
        }
    }

    fn reg(&self, value: Value) -> Reg {
        self.regs[value.index()]
    }

    fn simple(&mut self, data: &InstData) {
        let arg = |n: usize| self.regs[data.args[n].index()];
        let mask = |n: usize| data.args.get(n).map(|v| self.regs[v.index()]);
        let all = || data.args.iter().map(|v| self.reg(*v)).collect();
        let to = match data.results.first() {
            Some(result) => self.reg(*result),
            None => Reg { base: 0, stride: 0 },
        };
        let step = match (data.op, data.imm) {
            (Opcode::Const, Imm::Const(scalar)) => {
                self.frame[to.base as usize] = scalar;
                return;
            }
            (Opcode::Index, Imm::Array(array)) => Step::Index { to, array },
            (Opcode::Load, Imm::Array(array)) => Step::Load {
                to,
                array,
                mask: mask(0),
            },
            (Opcode::Store, Imm::Array(array)) => Step::Store {
                array,
                value: arg(0),
                mask: mask(1),
            },
            (Opcode::Dim, Imm::Dim(dim)) => Step::Dim { to, dim },
            (Opcode::CoreLoad, Imm::Array(array)) => {
                let axes = self.func.arrays[array.index()].core.len();
                Step::CoreLoad {
                    to,
                    array,
                    index: (0..axes).map(arg).collect(),
                    mask: mask(axes),
                }
            }
            (Opcode::CoreStore, Imm::Array(array)) => {
                let axes = self.func.arrays[array.index()].core.len();
                Step::CoreStore {
                    array,
                    index: (0..axes).map(arg).collect(),
                    value: arg(axes),
                    mask: mask(axes + 1),
                }
            }
            (Opcode::LocalLoad, Imm::Local(local)) => Step::LocalLoad {
                to,
                local,
                index: arg(0),
            },
            (Opcode::LocalStore, Imm::Local(local)) => Step::LocalStore {
                local,
                index: arg(0),
                value: arg(1),
                mask: mask(2),
            },
            (Opcode::Guard, Imm::Trap(trap)) => Step::Guard {
                ok: arg(0),
                mask: mask(1),
                trap,
            },
            (Opcode::Call, Imm::Func(callee)) => Step::Call {
                callee,
                args: all(),
                results: data.results.iter().map(|v| self.reg(*v)).collect(),
            },
            (Opcode::Return, _) => Step::Return(all()),
            (Opcode::Unreachable, _) => Step::Unreachable,
            (Opcode::AnyTrue, _) => Step::Any { to, from: arg(0) },
            (Opcode::First, _) => Step::First { to, from: arg(0) },
            (Opcode::Extract, _) => Step::Extract {
                to,
                from: arg(0),
                lane: arg(1),
            },
            (Opcode::Insert, _) => Step::Insert {
                to,
                from: arg(0),
                lane: arg(1),
                number: arg(2),
            },
            (op, imm) => {
                let mut args = [to; 3];
                for (n, value) in data.args.iter().enumerate() {
                    args[n] = self.reg(*value);
                }
                Step::Pure {
                    op,
                    to: match imm {
                        Imm::DType(dtype) => Some(dtype),
                        _ => None,
                    },
                    to_reg: to,
                    args,
                    count: data.args.len(),
                }
            }
        };
        self.steps.push(step);
    }
}
