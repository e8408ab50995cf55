//! A generator of random verified functions, for differential tests of passes and backends.
//!
//! The source of randomness is a function that gives one `u32` after another, so that it can be a fuzzer's
//! bytes, a test framework's or a counter's. Every generated function ends: its loops count. None depends on
//! the payload of a NaN.
//!
//! ```
//! let mut state = 1u32;
//! let mut next = || { state = state.wrapping_mul(1664525).wrapping_add(1013904223); state >> 8 };
//! let (module, kernel) = kjit_ir::testing::random_module(&mut next, &Default::default());
//! assert!(module[kernel].is_kernel());
//! ```

use crate::opcode::{Domain, Rule};
use crate::{
    Access, ArrayMode, ArrayParam, ArrayRef, Block, DType, FuncRef, Function, FunctionBuilder, Imm,
    LocalArray, LocalRef, Module, Opcode, Scalar, Trap, TrapKind, TrapRef, Type, Value,
};

/// What random functions may contain.
#[derive(Clone, Debug)]
pub struct Options {
    /// The dtypes that occur (`bool` and `i32` always do).
    pub dtypes: Vec<DType>,
    /// Operations that must not occur.
    pub without: Vec<Opcode>,
    /// Local arrays.
    pub locals: bool,
    /// `guard`s.
    pub guards: bool,
    /// Nested `return`s.
    pub returns: bool,
    /// Calls of a second function.
    pub calls: bool,
    /// Stores in branches and loops; if not, all outputs are stored once at the end.
    pub nested_stores: bool,
    /// Index parameters and arrays of access class `uniform` among the inputs.
    pub uniform_inputs: bool,
    /// About how many instructions.
    pub size: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            dtypes: DType::ALL
                .iter()
                .copied()
                .filter(|d| d.is_supported())
                .collect(),
            without: Vec::new(),
            locals: true,
            guards: true,
            returns: true,
            calls: true,
            nested_stores: true,
            uniform_inputs: true,
            size: 40,
        }
    }
}

/// A random module with a kernel, which is the [`FuncRef`] given, in scalar form.
pub fn random_module(next: &mut impl FnMut() -> u32, options: &Options) -> (Module, FuncRef) {
    let mut module = Module::default();
    let mut callee = None;
    if options.calls && next().is_multiple_of(2) {
        let mut helper = Generator::new("helper", next, options, None);
        for _ in 0..1 + helper.pick(3) {
            let dtype = helper.dtype();
            let param = helper.builder.param(dtype.into());
            helper.scope.push(param);
        }
        for _ in 0..1 + helper.pick(2) {
            let dtype = helper.dtype();
            helper.returned.push(dtype);
        }
        let signature = (
            helper
                .builder
                .func
                .params()
                .iter()
                .map(|p| helper.builder.func.ty(*p).dtype)
                .collect(),
            helper.returned.clone(),
        );
        let func = helper.finish(options.size / 3);
        let r = module.push(func);
        callee = Some((r, signature.0, signature.1));
    }
    let kernel = random_kernel_calling(next, options, callee);
    let root = module.push(kernel);
    (module, root)
}

/// A random kernel in scalar form, without calls.
pub fn random_kernel(next: &mut impl FnMut() -> u32, options: &Options) -> Function {
    random_kernel_calling(next, options, None)
}

/// One value of a dtype, often one on the edge of something.
pub fn random_scalar(next: &mut impl FnMut() -> u32, dtype: DType) -> Scalar {
    let choice = next() % 12;
    let wide = (next() as u128) << 64 | (next() as u128) << 32 | next() as u128;
    match dtype {
        DType::Bool => Scalar::bool(choice % 2 == 1),
        DType::F32 | DType::F64 => {
            let value = match choice {
                0 => 0.0,
                1 => -0.0,
                2 => 1.0,
                3 => -1.0,
                4 => 0.5,
                5 => f64::INFINITY,
                6 => f64::NAN,
                7 => f64::MIN_POSITIVE / 8.0,
                _ => (wide % 4096) as f64 / 16.0 - 100.0,
            };
            match dtype {
                DType::F32 => Scalar::f32(value as f32),
                _ => Scalar::f64(value),
            }
        }
        _ => match choice {
            0 => Scalar::zero(dtype),
            1 => Scalar::int(dtype, -1),
            2 => Scalar::int(dtype, 1 << (dtype.bits() - 1)),
            3 => Scalar::int(dtype, (1 << (dtype.bits() - 1)) - 1),
            4 => Scalar::from_bits(dtype, wide),
            5 => Scalar::int(dtype, 1 << (wide % dtype.bits() as u128)),
            _ => Scalar::int(dtype, (wide % 16) as i128 - 4),
        },
    }
}

type Callee = (FuncRef, Vec<DType>, Vec<DType>);

fn random_kernel_calling(
    next: &mut impl FnMut() -> u32,
    options: &Options,
    callee: Option<Callee>,
) -> Function {
    let mut g = Generator::new("random", next, options, callee);
    let inputs = 2 + g.pick(4);
    let outputs = 2 + g.pick(4);
    for n in 0..inputs + outputs {
        let is_input = n < inputs;
        let index = is_input && options.uniform_inputs && g.pick(6) == 0;
        let access = match g.pick(3) {
            0 if is_input && !index && options.uniform_inputs => Access::Uniform,
            1 => Access::Strided,
            _ => Access::Contiguous,
        };
        let dtype = if index { DType::I64 } else { g.dtype() };
        let array = g.builder.array(ArrayParam {
            name: format!("x{n}"),
            dtype,
            mode: match (is_input, index) {
                (_, true) => ArrayMode::Index,
                (true, _) => ArrayMode::In,
                _ => ArrayMode::Out,
            },
            access,
        });
        if is_input {
            let value = g.builder.load(array);
            g.scope.push(value);
        } else {
            g.outputs.push(array);
        }
    }
    g.finish(options.size)
}

/// A loop being generated.
struct Loop {
    counter: Value,
    carried: Vec<DType>,
    results: Vec<DType>,
    /// Its exit test is at the end, so that going round it would be a way not to end.
    tested_late: bool,
}

struct Generator<'a, R> {
    next: &'a mut R,
    options: &'a Options,
    builder: FunctionBuilder,
    callee: Option<Callee>,
    /// Values visible here.
    scope: Vec<Value>,
    loops: Vec<Loop>,
    outputs: Vec<ArrayRef>,
    returned: Vec<DType>,
    /// The dtypes of this function: few, so that values meet.
    palette: Vec<DType>,
    left: u32,
}

impl<'a, R: FnMut() -> u32> Generator<'a, R> {
    fn new(name: &str, next: &'a mut R, options: &'a Options, callee: Option<Callee>) -> Self {
        let mut palette = vec![DType::I32, DType::Bool];
        if !options.dtypes.is_empty() {
            for _ in 0..2 {
                palette.push(options.dtypes[next() as usize % options.dtypes.len()]);
            }
        }
        Generator {
            palette,
            next,
            options,
            builder: FunctionBuilder::new(name),
            callee,
            scope: Vec::new(),
            loops: Vec::new(),
            outputs: Vec::new(),
            returned: Vec::new(),
            left: 0,
        }
    }

    /// Below `n`.
    fn pick(&mut self, n: u32) -> u32 {
        (self.next)() % n
    }

    fn dtype(&mut self) -> DType {
        let n = self.palette.len() as u32;
        let at = self.pick(n) as usize;
        self.palette[at]
    }

    fn dtypes(&mut self, max: u32) -> Vec<DType> {
        (0..self.pick(max + 1)).map(|_| self.dtype()).collect()
    }

    fn finish(mut self, size: u32) -> Function {
        self.left = size;
        if self.options.locals {
            let dtype = self.dtype();
            let name = "scratch".to_string();
            self.builder.local(LocalArray {
                name,
                dtype,
                len: 4,
            });
        }
        self.builder.trap(Trap {
            kind: TrapKind::IndexOutOfBounds {
                array: self.builder.func.name.clone(),
                len: 4,
            },
            loc: Default::default(),
        });
        let mut ended = false;
        while self.left > 0 && !ended {
            ended = self.statement(0);
        }
        if !ended {
            for output in self.outputs.clone() {
                self.store(output);
            }
            self.return_();
        }
        let mut func = self.builder.func;
        func.results = self.returned.iter().map(|d| Type::scalar(*d)).collect();
        func
    }

    fn return_(&mut self) {
        let values = self.values(&self.returned.clone());
        self.builder
            .push(Opcode::Return, &values, Imm::None, &[], &[]);
    }

    fn store(&mut self, output: ArrayRef) {
        let dtype = self.builder.func.arrays[output.index()].dtype;
        let value = self.value(dtype);
        self.builder.store(output, value);
    }

    fn value(&mut self, dtype: DType) -> Value {
        let func = &self.builder.func;
        let known: Vec<Value> = self
            .scope
            .iter()
            .copied()
            .filter(|v| func.ty(*v).dtype == dtype)
            .collect();
        if known.is_empty() || self.pick(10) == 0 {
            let scalar = random_scalar(self.next, dtype);
            let value = self.builder.constant(scalar);
            self.scope.push(value);
            return value;
        }
        // Rather a late one than an early one.
        let n = known.len() as u32;
        let at = self.pick(n).max(self.pick(n)).max(self.pick(n));
        known[at as usize]
    }

    fn values(&mut self, dtypes: &[DType]) -> Vec<Value> {
        dtypes.iter().map(|d| self.value(*d)).collect()
    }

    /// Appends something; true if control cannot go on behind it.
    fn statement(&mut self, depth: u32) -> bool {
        self.left = self.left.saturating_sub(1);
        match self.pick(24) {
            0..=3 if depth < 4 => return self.if_(depth),
            4..=5 if depth < 4 && self.loops.len() < 2 => self.loop_(depth),
            6 if self.options.guards => {
                let ok = self.value(DType::Bool);
                self.builder.guard(ok, TrapRef::new(0));
            }
            7..=8 if self.options.locals => self.local(),
            9 if self.options.nested_stores && !self.outputs.is_empty() => {
                let n = self.outputs.len() as u32;
                let at = self.pick(n) as usize;
                self.store(self.outputs[at]);
            }
            10 => {
                if let Some((callee, params, results)) = self.callee.clone() {
                    let args = self.values(&params);
                    let types: Vec<Type> = results.iter().map(|d| Type::scalar(*d)).collect();
                    let values = self.builder.call(callee, &args, &types);
                    self.scope.extend(values);
                }
            }
            _ => self.operation(),
        }
        false
    }

    fn local(&mut self) {
        let local = LocalRef::new(0);
        let index = self.value(DType::I32);
        if self.pick(2) == 0 {
            let value = self.builder.local_load(local, index);
            self.scope.push(value);
        } else {
            let dtype = self.builder.func.locals[0].dtype;
            let value = self.value(dtype);
            self.builder.local_store(local, index, value);
        }
    }

    /// A pure operation.
    fn operation(&mut self) {
        let n = Opcode::ALL.len() as u32;
        let op = Opcode::ALL[self.pick(n) as usize];
        let dtype = self.dtype();
        if self.options.without.contains(&op) || !op.domain().contains(dtype) {
            return;
        }
        let value = match op.rule() {
            Rule::Special => return,
            Rule::Convert => {
                let to = self.dtype();
                let fits = to.size() == dtype.size()
                    && to != DType::Bool
                    && dtype != DType::Bool
                    && !dtype.is_float();
                if op == Opcode::Bitcast && !fits {
                    return;
                }
                let a = self.value(dtype);
                self.builder.op(op, &[a], Some(to))
            }
            Rule::Select => {
                let args = self.values(&[DType::Bool, dtype, dtype]);
                self.builder.op(op, &args, None)
            }
            Rule::Same | Rule::Compare => {
                debug_assert!(op.domain() != Domain::Any || dtype.is_supported());
                let args = self.values(&vec![dtype; op.arity().unwrap_or(0)]);
                self.builder.op(op, &args, None)
            }
        };
        self.scope.push(value);
    }

    /// Writes into a new block.
    fn in_block<T>(&mut self, block: Block, write: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.builder.block();
        let visible = self.scope.len();
        self.builder.switch_to(block);
        let result = write(self);
        self.builder.switch_to(outer);
        self.scope.truncate(visible);
        result
    }

    /// A bool: rather a new comparison than an old one.
    fn condition(&mut self) -> Value {
        if self.pick(4) == 0 || self.options.without.contains(&Opcode::Lt) {
            return self.value(DType::Bool);
        }
        let dtype = match self.dtype() {
            DType::Bool => DType::I32,
            other => other,
        };
        let args = self.values(&[dtype, dtype]);
        let value = self.builder.op(Opcode::Lt, &args, None);
        self.scope.push(value);
        value
    }

    fn if_(&mut self, depth: u32) -> bool {
        let condition = self.condition();
        let results = self.dtypes(2);
        let arms = [self.builder.func.new_block(), self.builder.func.new_block()];
        let falls = arms.map(|arm| self.in_block(arm, |g| g.arm(depth + 1, &results)));
        let types: Vec<Type> = results.iter().map(|d| Type::scalar(*d)).collect();
        let inst = self
            .builder
            .push(Opcode::If, &[condition], Imm::None, &arms, &types);
        if falls == [false, false] {
            self.builder
                .push(Opcode::Unreachable, &[], Imm::None, &[], &[]);
            return true;
        }
        self.scope
            .extend(self.builder.func.inst(inst).results.clone());
        false
    }

    /// An arm of an `if`; true if it falls through.
    fn arm(&mut self, depth: u32, results: &[DType]) -> bool {
        for _ in 0..self.pick(4) {
            if self.statement(depth) {
                return false;
            }
        }
        match self.pick(12) {
            0..=1 if !self.loops.is_empty() => self.break_(),
            2..=3 if self.loops.last().is_some_and(|l| !l.tested_late) => self.continue_(),
            4 if self.options.returns => self.return_(),
            _ => {
                let values = self.values(results);
                self.builder.yield_(&values);
                return true;
            }
        }
        false
    }

    fn break_(&mut self) {
        let results = self.loops[self.loops.len() - 1].results.clone();
        let values = self.values(&results);
        self.builder.break_(&values);
    }

    fn continue_(&mut self) {
        let innermost = &self.loops[self.loops.len() - 1];
        let (counter, carried) = (innermost.counter, innermost.carried.clone());
        let one = self.builder.int(DType::I32, 1);
        let mut values = vec![self.builder.binary(Opcode::Add, counter, one)];
        values.extend(self.values(&carried));
        self.builder.continue_(&values);
    }

    fn loop_(&mut self, depth: u32) {
        let limit = if self.pick(2) == 0 {
            let trips = self.pick(5) as i128;
            self.builder.int(DType::I32, trips)
        } else {
            let value = self.value(DType::I32);
            let seven = self.builder.int(DType::I32, 7);
            self.builder.binary(Opcode::And, value, seven)
        };
        let carried = self.dtypes(3);
        let results = self.dtypes(2);
        let mut initial = vec![self.builder.int(DType::I32, 0)];
        initial.extend(self.values(&carried));
        let tested_late = self.pick(4) == 0;
        let body = self.builder.func.new_block();
        let counter = self.builder.func.new_param(body, DType::I32.into());
        self.loops.push(Loop {
            counter,
            carried: carried.clone(),
            results: results.clone(),
            tested_late,
        });
        self.in_block(body, |g| {
            g.scope.push(counter);
            for dtype in carried {
                let param = g.builder.func.new_param(body, dtype.into());
                g.scope.push(param);
            }
            if !tested_late {
                g.exit_test(counter, limit, false);
            }
            for _ in 0..1 + g.pick(5) {
                if g.statement(depth + 1) {
                    return;
                }
            }
            if tested_late {
                g.exit_test(counter, limit, true);
                g.builder
                    .push(Opcode::Unreachable, &[], Imm::None, &[], &[]);
            } else if g.pick(8) == 0 {
                g.break_();
            } else {
                g.continue_();
            }
        });
        self.loops.pop();
        let types: Vec<Type> = results.iter().map(|d| Type::scalar(*d)).collect();
        let inst = self
            .builder
            .push(Opcode::Loop, &initial, Imm::None, &[body], &types);
        self.scope
            .extend(self.builder.func.inst(inst).results.clone());
    }

    /// `if counter < limit [and more] { go on } else { break }`.
    fn exit_test(&mut self, counter: Value, limit: Value, late: bool) {
        let mut more = self.builder.binary(Opcode::Lt, counter, limit);
        if self.pick(2) == 0 {
            let also = self.condition();
            more = self.builder.binary(Opcode::And, more, also);
        }
        let arms = [self.builder.func.new_block(), self.builder.func.new_block()];
        self.in_block(arms[0], |g| {
            if late {
                g.continue_();
            } else {
                g.builder.yield_(&[]);
            }
        });
        self.in_block(arms[1], |g| g.break_());
        self.builder
            .push(Opcode::If, &[more], Imm::None, &arms, &[]);
    }
}
