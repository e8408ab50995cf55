//! A generator of random verified functions, for differential tests of passes and backends.
//!
//! The source of randomness is a function that gives one `u32` after another, so that it can be a fuzzer's
//! bytes, a test framework's or a counter's. Every generated function ends: its loops count. None depends on
//! the payload of a NaN.
//!
//! What goes wrong in passes is control flow. So there are many `break`s, `continue`s and `return`s, under
//! conditions that differ from element to element and under such that do not; and half of the functions
//! keep a *trace*: a number that every way through the function changes in another way, and that is stored at
//! the end.
//!
//! ```
//! let mut state = 1u32;
//! let mut next = || { state = state.wrapping_mul(1664525).wrapping_add(1013904223); state >> 8 };
//! let (module, kernel) = kjit_ir::testing::random_module(&mut next, &Default::default());
//! assert!(module[kernel].is_kernel());
//! ```

mod core;
pub mod edges;
mod flow;
pub mod memory;
pub mod subarrays;

use crate::opcode::{Rule, reinterprets};
use crate::{
    Access, ArrayMode, ArrayParam, ArrayRef, DType, FuncRef, Function, FunctionBuilder, Imm, Inst,
    LocalArray, LocalRef, Module, Opcode, Part, Scalar, Trap, TrapKind, TrapRef, Type, Value,
};

/// What random functions may contain.
#[derive(Clone, Debug)]
pub struct Options {
    /// The dtypes that occur (`bool` and `i32` always do): by default those that backends compute with.
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
    /// Core dimensions, and arrays over them: a gufunc kernel.
    pub core: bool,
    /// About how many instructions.
    pub size: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            dtypes: DType::ALL
                .iter()
                .copied()
                .filter(|d| d.is_native())
                .collect(),
            without: Vec::new(),
            locals: true,
            guards: true,
            returns: true,
            calls: true,
            nested_stores: true,
            uniform_inputs: true,
            core: false,
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
        helper.start_trace();
        let func = helper.finish(options.size / 3);
        let dtypes = |types: &[Type]| types.iter().map(|t| t.dtype).collect();
        let params: Vec<Type> = func.params().iter().map(|p| func.ty(*p)).collect();
        let (params, results) = (dtypes(&params), dtypes(&func.results));
        callee = Some((module.push(func), params, results));
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
        DType::C64 | DType::C128 => {
            let part = dtype.part().unwrap_or(dtype);
            let (re, im) = (random_scalar(next, part), random_scalar(next, part));
            Scalar::complex(re, im).unwrap_or(Scalar::zero(dtype))
        }
        DType::F16 if choice == 4 => Scalar::from_bits(dtype, wide),
        DType::F16 | DType::F32 | DType::F64 => {
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
                DType::F16 => Scalar::f16(value),
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
        // The first two: numbers that differ between elements, and one that does not.
        let (index, uniform) = match n {
            0 => (false, false),
            1 => (false, options.uniform_inputs),
            _ if is_input && options.uniform_inputs => (g.pick(6) == 0, g.pick(2) == 0),
            _ => (false, false),
        };
        let access = match g.pick(2) {
            _ if uniform && !index => Access::Uniform,
            0 => Access::Strided,
            _ => Access::Contiguous,
        };
        let dtype = match n {
            _ if index => DType::I64,
            0..=1 => DType::I32,
            _ => g.dtype(),
        };
        let array = g.builder.array(ArrayParam::new(
            format!("x{n}"),
            dtype,
            match (is_input, index) {
                (_, true) => ArrayMode::Index,
                (true, _) => ArrayMode::In,
                _ => ArrayMode::Out,
            },
            access,
        ));
        if is_input {
            let value = g.builder.load(array);
            if access == Access::Uniform {
                g.mark_uniform(value);
                if dtype == DType::I32 {
                    g.number = Some(value);
                }
            }
            g.scope.push(value);
        } else {
            g.outputs.push(array);
        }
    }
    if options.core {
        g.core_arrays();
    }
    if g.start_trace() {
        let array = g.builder.array(ArrayParam::new(
            "trace",
            DType::I32,
            ArrayMode::Out,
            Access::Contiguous,
        ));
        g.trace_output = Some(array);
    }
    g.finish(options.size)
}

struct Generator<'a, R> {
    next: &'a mut R,
    options: &'a Options,
    builder: FunctionBuilder,
    callee: Option<Callee>,
    /// Values visible here.
    scope: Vec<Value>,
    /// Indexed by value: would it be the same for all elements, if control did not differ?
    uniform: Vec<bool>,
    /// Tells the ways that control has come here apart.
    trace: Option<Value>,
    trace_output: Option<ArrayRef>,
    /// An i32 that is the same for all elements.
    number: Option<Value>,
    loops: Vec<flow::Loop>,
    outputs: Vec<ArrayRef>,
    /// Arrays with core axes.
    core: Vec<ArrayRef>,
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
            uniform: Vec::new(),
            trace: None,
            trace_output: None,
            number: None,
            loops: Vec::new(),
            outputs: Vec::new(),
            core: Vec::new(),
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
        let mut results = self.returned.clone();
        if self.trace.is_some() && self.trace_output.is_none() {
            results.push(DType::I32);
        }
        let mut func = self.builder.func;
        func.results = results.iter().map(|d| Type::scalar(*d)).collect();
        func
    }

    /// Starts to keep a trace, or decides not to.
    fn start_trace(&mut self) -> bool {
        let needs = [Opcode::Cast, Opcode::Mul];
        if self.pick(2) == 0 || needs.iter().any(|op| self.options.without.contains(op)) {
            return false;
        }
        self.trace = Some(self.builder.int(DType::I32, 1));
        true
    }

    /// Works something seen here into the trace.
    fn note(&mut self) {
        let Some(trace) = self.trace else { return };
        let n = self.scope.len() as u32;
        let seen = if n == 0 || self.pick(3) == 0 {
            let number = self.pick(1000) as i128;
            self.builder.int(DType::I32, number)
        } else {
            let at = self.pick(n).max(self.pick(n)) as usize;
            self.builder.cast(self.scope[at], DType::I32)
        };
        let five = self.builder.int(DType::I32, 5);
        let moved = self.builder.binary(Opcode::Mul, trace, five);
        self.trace = Some(self.builder.binary(Opcode::Add, moved, seen));
    }

    /// What a block hands over: these values, and the trace.
    fn with_trace(&mut self, mut values: Vec<Value>) -> Vec<Value> {
        self.note();
        values.extend(self.trace);
        values
    }

    /// Types of what [`Generator::with_trace`] gives.
    fn types_with_trace(&self, dtypes: &[DType]) -> Vec<Type> {
        let trace = self.trace.map(|_| DType::I32);
        let all = dtypes.iter().copied().chain(trace);
        all.map(Type::scalar).collect()
    }

    /// Takes the results of an `if` or `loop`, the last of which may be the trace, into scope.
    fn take_results(&mut self, inst: Inst) {
        let mut results = self.builder.func.inst(inst).results.to_vec();
        if self.trace.is_some() {
            self.trace = results.pop();
        }
        self.scope.extend(results);
    }

    fn return_(&mut self) {
        let mut values = self.values(&self.returned.clone());
        match self.trace_output {
            None => values = self.with_trace(values),
            Some(output) => {
                let nested = self.builder.block() != self.builder.func.entry;
                self.note();
                if let Some(trace) = self.trace
                    && (self.options.nested_stores || !nested)
                {
                    self.builder.store(output, trace);
                }
            }
        }
        self.builder
            .push(Opcode::Return, &values, Imm::None, &[], &[]);
    }

    fn store(&mut self, output: ArrayRef) {
        let dtype = self.builder.func.arrays[output.index()].dtype;
        let value = self.value(dtype);
        self.builder.store(output, value);
    }

    fn mark_uniform(&mut self, value: Value) {
        if self.uniform.len() <= value.index() {
            self.uniform.resize(value.index() + 1, false);
        }
        self.uniform[value.index()] = true;
    }

    fn is_uniform(&self, value: Value) -> bool {
        self.uniform.get(value.index()) == Some(&true)
    }

    fn value(&mut self, dtype: DType) -> Value {
        self.value_of(dtype, false)
    }

    /// A value, if `uniform` one that is the same for all elements.
    fn value_of(&mut self, dtype: DType, uniform: bool) -> Value {
        let func = &self.builder.func;
        let fits = |v: &Value| func.ty(*v).dtype == dtype && (!uniform || self.is_uniform(*v));
        let known: Vec<Value> = self.scope.iter().copied().filter(fits).collect();
        if known.is_empty() || self.pick(10) == 0 {
            let scalar = random_scalar(self.next, dtype);
            let value = self.builder.constant(scalar);
            self.mark_uniform(value);
            // Not into scope: constants would soon be all there is.
            return value;
        }
        // Rather a late one than an early one.
        let n = known.len() as u32;
        let at = self.pick(n).max(self.pick(n)).max(self.pick(n));
        known[at as usize]
    }

    fn values(&mut self, dtypes: &[DType]) -> Vec<Value> {
        self.values_of(dtypes, false)
    }

    fn values_of(&mut self, dtypes: &[DType], uniform: bool) -> Vec<Value> {
        dtypes.iter().map(|d| self.value_of(*d, uniform)).collect()
    }

    /// Appends something; true if control cannot go on behind it.
    fn statement(&mut self, depth: u32) -> bool {
        self.left = self.left.saturating_sub(1);
        match self.pick(24) {
            0 if self.pick(6) == 0 => self.rare_if(),
            0..=3 if depth < 4 => return self.if_(depth),
            4..=6 if depth < 4 && self.loops.len() < 2 => return self.loop_(depth),
            7 if self.options.guards => {
                let ok = self.value(DType::Bool);
                self.builder.guard(ok, TrapRef::new(0));
            }
            8..=9 if self.options.locals => self.local(),
            10 if self.options.nested_stores && !self.outputs.is_empty() => {
                let n = self.outputs.len() as u32;
                let at = self.pick(n) as usize;
                self.store(self.outputs[at]);
            }
            12..=15 if !self.core.is_empty() => self.core_access(),
            11 => {
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

    /// Some statements, at least `min`; true if control cannot go on behind them.
    fn statements(&mut self, min: u32, depth: u32) -> bool {
        for n in 0..min + self.pick(4) {
            if n >= min && self.left == 0 {
                break;
            }
            if self.statement(depth) {
                return true;
            }
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
        let uniform = self.pick(3) == 0;
        let value = match op.rule() {
            Rule::Special => {
                let args = match op {
                    Opcode::Complex if dtype.complex_of_part().is_some() => vec![dtype; 2],
                    Opcode::Re | Opcode::Im if dtype.is_complex() => vec![dtype],
                    _ => return,
                };
                let args = self.values_of(&args, uniform);
                self.builder.op(op, &args, None)
            }
            Rule::Convert => {
                let to = self.dtype();
                let fits = reinterprets(dtype, to) && !dtype.is_float();
                if op == Opcode::Bitcast && !fits {
                    return;
                }
                let a = self.value_of(dtype, uniform);
                self.builder.op(op, &[a], Some(to))
            }
            Rule::Select => {
                let args = self.values_of(&[DType::Bool, dtype, dtype], uniform);
                self.builder.op(op, &args, None)
            }
            Rule::Same | Rule::Compare => {
                let args = self.values_of(&vec![dtype; op.arity().unwrap_or(0)], uniform);
                self.builder.op(op, &args, None)
            }
        };
        if uniform {
            self.mark_uniform(value);
        }
        self.scope.push(value);
    }
}

/// One `u32` after another, as a seed determines.
pub fn generator(seed: u32) -> impl FnMut() -> u32 {
    let mut state = u64::from(seed) << 17 | 0x1234_5671;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as u32
    }
}

/// Gives arrays that are not uniform one of the other access classes; both parts of a complex argument have one.
pub fn random_layouts(next: &mut impl FnMut() -> u32, kernel: &mut Function) {
    let mut previous = Access::Strided;
    for param in &mut kernel.arrays {
        if param.part == Part::Im {
            param.access = previous;
        } else if param.access != Access::Uniform {
            param.access = match next() % 2 {
                0 => Access::Strided,
                _ => Access::Contiguous,
            };
        }
        previous = param.access;
    }
}

/// Random bytes that `seed` determines; how many, too.
pub fn seeded_bytes(seed: u64) -> Vec<u8> {
    let mut state = seed;
    // splitmix64 (G. Steele, D. Lea, C. Flood: Fast splittable pseudorandom number generators, 2014)
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let words = 4 + next() % 1000;
    (0..words).flat_map(|_| next().to_le_bytes()).collect()
}

/// Tries a property on the same random bytes each time: a test is a fact about the commit. A property may
/// give up when the bytes run out.
#[cfg(test)]
pub(crate) fn cases(
    count: u64,
    mut property: impl FnMut(&mut arbitrary::Unstructured<'_>) -> arbitrary::Result<()>,
) {
    for seed in 0..count {
        let bytes = seeded_bytes(seed);
        // Running out of bytes is no failure.
        let _ = property(&mut arbitrary::Unstructured::new(&bytes));
    }
}
