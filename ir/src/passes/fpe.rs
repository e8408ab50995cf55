//! Instruments a kernel with status flags: what NumPy reports as divide by zero, invalid value and overflow.
//!
//! Runs on the kernel with the functions of the user inlined and those of the library (`std.`) still called,
//! before anything else: a flag is raised where the user's own operation runs, under its own control flow,
//! so that a branch not taken never reports. A call of the library counts as one operation. The flags of a
//! block are gathered in SSA values and added to a local array at its end; the kernel stores what has come
//! together in one more output, of role [`Role::Fpe`].

use super::inline::inline_user_functions;
use crate::abi::fpe;
use crate::opcode::Domain;
use crate::{
    Access, ArrayMode, ArrayParam, ArrayRef, Block, DType, FuncRef, FunctionBuilder, Imm, Inst,
    LocalArray, LocalRef, Module, Opcode, Role, Scalar, Value,
};

/// The module with its kernel `root` instrumented.
pub fn instrument_fpe(module: &Module, root: FuncRef) -> Module {
    let func = inline_user_functions(module, root);
    let entry = func.entry;
    let mut b = FunctionBuilder::at_end(func, entry);
    let flags = b.array(
        ArrayParam::new("fpe", DType::U8, ArrayMode::Out, Access::Strided).with_role(Role::Fpe),
    );
    let local = b.local(LocalArray {
        name: "fpe".into(),
        dtype: DType::U8,
        len: 1,
    });
    let mut pass = Instrument {
        module,
        b,
        output: flags,
        local,
        raised: [None; 3],
        only: None,
    };
    pass.block(entry);
    let mut module = module.clone();
    module[root] = pass.b.func;
    module
}

/// The flags, in the order of [`Instrument::raised`].
const FLAGS: [u8; 3] = [fpe::DIVIDE, fpe::INVALID, fpe::OVERFLOW];

struct Instrument<'a> {
    module: &'a Module,
    b: FunctionBuilder,
    output: ArrayRef,
    local: LocalRef,
    /// For each flag, the bool that says whether this block has raised it.
    raised: [Option<Value>; 3],
    /// Flags are raised only where this holds.
    only: Option<Value>,
}

impl Instrument<'_> {
    fn block(&mut self, block: Block) {
        let insts = std::mem::take(&mut self.b.func.block_mut(block).insts);
        let outer = std::mem::take(&mut self.raised);
        for inst in insts {
            for inner in self.b.func.inst(inst).blocks.clone() {
                self.block(inner);
            }
            self.b.switch_to(block);
            self.b.set_loc(self.b.func.inst(inst).loc);
            // The block may be left from inside of what it owns.
            if !self.b.func.inst(inst).blocks.is_empty() {
                self.flush();
            }
            if self.b.func.inst(inst).op.is_terminator() {
                self.flush();
                if self.b.func.inst(inst).op == Opcode::Return {
                    let index = self.b.int(DType::I32, 0);
                    let all = self.b.local_load(self.local, index);
                    self.b.store(self.output, all);
                }
            }
            self.b.func.block_mut(block).insts.push(inst);
            self.operation(inst);
        }
        self.raised = outer;
    }

    /// Adds the flags of this block to those of the element.
    fn flush(&mut self) {
        let raised = std::mem::take(&mut self.raised);
        let mut sum = None;
        for (flag, condition) in FLAGS.into_iter().zip(raised) {
            let Some(condition) = condition else { continue };
            let bit = self.b.int(DType::U8, flag as i128);
            let none = self.b.int(DType::U8, 0);
            let value = self.b.select(condition, bit, none);
            sum = Some(match sum {
                None => value,
                Some(sum) => self.b.binary(Opcode::Or, sum, value),
            });
        }
        let Some(sum) = sum else { return };
        let index = self.b.int(DType::I32, 0);
        let known = self.b.local_load(self.local, index);
        let all = self.b.binary(Opcode::Or, known, sum);
        self.b.local_store(self.local, index, all);
    }

    fn raise(&mut self, flag: u8, condition: Value) {
        let Some(at) = FLAGS.iter().position(|f| *f == flag) else {
            return;
        };
        let condition = match self.only {
            Some(only) => self.and(condition, only),
            None => condition,
        };
        self.raised[at] = Some(match self.raised[at] {
            None => condition,
            Some(known) => self.b.binary(Opcode::Or, known, condition),
        });
    }

    fn dtype(&self, value: Value) -> DType {
        self.b.func.ty(value).dtype
    }

    fn all(&mut self, op: Opcode, conditions: &[Value]) -> Option<Value> {
        let (first, rest) = conditions.split_first()?;
        Some(
            rest.iter()
                .fold(*first, |all, c| self.b.binary(op, all, *c)),
        )
    }

    fn and(&mut self, a: Value, b: Value) -> Value {
        self.b.binary(Opcode::And, a, b)
    }

    fn not_nan(&mut self, x: Value) -> Value {
        self.b.binary(Opcode::Eq, x, x)
    }

    /// Compares the size of a float with infinity.
    fn size_is(&mut self, op: Opcode, x: Value) -> Value {
        let dtype = self.dtype(x);
        let bits = match dtype {
            DType::F16 => 0x7c00,
            DType::F32 => f32::INFINITY.to_bits() as u128,
            _ => f64::INFINITY.to_bits() as u128,
        };
        let infinity = self.b.constant(Scalar::from_bits(dtype, bits));
        let size = self.b.unary(Opcode::Abs, x);
        self.b.binary(op, size, infinity)
    }

    fn is_zero(&mut self, op: Opcode, x: Value) -> Value {
        let zero = Scalar::zero(self.dtype(x));
        let zero = self.b.constant(zero);
        self.b.binary(op, x, zero)
    }

    /// The floats among some values: complex ones by their parts.
    fn floats(&mut self, values: &[Value]) -> Vec<Value> {
        let mut floats = Vec::new();
        for &value in values {
            let dtype = self.dtype(value);
            if dtype.is_complex() {
                floats.extend(self.parts(value));
            } else if dtype.is_float() {
                floats.push(value);
            }
        }
        floats
    }

    fn parts(&mut self, value: Value) -> [Value; 2] {
        [Opcode::Re, Opcode::Im].map(|op| self.b.unary(op, value))
    }

    /// What any operation raises that gives these floats for those: invalid where a NaN comes out of none,
    /// and `infinite` (overflow as a rule) where an infinity comes out of finite ones, if `unless` is not.
    fn results(&mut self, results: &[Value], args: &[Value], unless: Option<Value>) {
        self.nan_results(results, args);
        self.infinite_results(results, args, unless);
    }

    fn nan_results(&mut self, results: &[Value], args: &[Value]) {
        let numbers: Vec<Value> = args.iter().map(|a| self.not_nan(*a)).collect();
        let nans: Vec<Value> = results
            .iter()
            .map(|r| self.b.binary(Opcode::Ne, *r, *r))
            .collect();
        if let (Some(nan), Some(numbers)) =
            (self.all(Opcode::Or, &nans), self.all(Opcode::And, &numbers))
        {
            let invalid = self.and(nan, numbers);
            self.raise(fpe::INVALID, invalid);
        }
    }

    fn infinite_results(&mut self, results: &[Value], args: &[Value], unless: Option<Value>) {
        let finite: Vec<Value> = args.iter().map(|a| self.size_is(Opcode::Lt, *a)).collect();
        let infinite: Vec<Value> = results
            .iter()
            .map(|r| self.size_is(Opcode::Eq, *r))
            .collect();
        if let (Some(infinite), Some(finite)) = (
            self.all(Opcode::Or, &infinite),
            self.all(Opcode::And, &finite),
        ) {
            let mut overflow = self.and(infinite, finite);
            if let Some(pole) = unless {
                let divide = self.and(overflow, pole);
                self.raise(fpe::DIVIDE, divide);
                let other = self.b.unary(Opcode::Not, pole);
                overflow = self.and(overflow, other);
            }
            self.raise(fpe::OVERFLOW, overflow);
        }
    }

    fn operation(&mut self, inst: Inst) {
        let data = self.b.func.inst(inst);
        let (op, imm, args) = (data.op, data.imm, data.args.clone());
        let results = data.results.clone();
        let (Some(&first), Some(&result)) = (args.first(), results.first()) else {
            return;
        };
        let dtype = self.dtype(first);
        match (op, imm) {
            (Opcode::Call, Imm::Func(callee)) => {
                let name = self.module[callee].name.clone();
                self.integer_by_zero(&name, &args);
                let (results, args) = (self.floats(&results), self.floats(&args));
                let pole = self.pole(&name, &args);
                // That of infinity is a NaN as a value, not a mistake.
                if !is_library(&name, "spacing") {
                    self.nan_results(&results, &args);
                }
                self.infinite_results(&results, &args, pole);
            }
            (Opcode::Cast, Imm::DType(to)) => self.cast(first, result, to),
            (Opcode::Div | Opcode::Rem, _) if Domain::Int.contains(dtype) => {
                let zero = self.is_zero(Opcode::Eq, args[1]);
                self.raise(fpe::DIVIDE, zero);
                if op == Opcode::Div && dtype.is_signed_int() {
                    self.least_by_minus_one(first, args[1], dtype);
                }
            }
            (Opcode::Div, _) if dtype.is_float() => self.divide(first, args[1], result),
            (Opcode::Add | Opcode::Sub | Opcode::Mul | Opcode::Fma | Opcode::Sqrt, _)
                if dtype.is_float() =>
            {
                self.results(&[result], &args, None);
            }
            (Opcode::Add | Opcode::Sub, _) if dtype.is_complex() => {
                let (x, y) = (self.parts(first), self.parts(args[1]));
                let z = self.parts(result);
                for n in 0..2 {
                    self.results(&[z[n]], &[x[n], y[n]], None);
                }
            }
            (Opcode::Mul, _) if dtype.is_complex() => {
                let ([a, b], [c, d]) = (self.parts(first), self.parts(args[1]));
                for (pairs, op) in [
                    ([(a, c), (b, d)], Opcode::Sub),
                    ([(a, d), (b, c)], Opcode::Add),
                ] {
                    let [p, q] = pairs.map(|(p, q)| self.step(Opcode::Mul, p, q));
                    self.step(op, p, q);
                }
            }
            (Opcode::Div, _) if dtype.is_complex() => self.divide_complex(first, args[1]),
            _ => {}
        }
    }

    /// The most negative integer divided by -1 does not fit.
    fn least_by_minus_one(&mut self, a: Value, b: Value, dtype: DType) {
        let least = self.b.int(dtype, -(1 << (dtype.bits() - 1)));
        let minus_one = self.b.int(dtype, -1);
        let is_least = self.b.binary(Opcode::Eq, a, least);
        let by_minus_one = self.b.binary(Opcode::Eq, b, minus_one);
        let overflow = self.and(is_least, by_minus_one);
        self.raise(fpe::OVERFLOW, overflow);
    }

    fn divide(&mut self, a: Value, b: Value, quotient: Value) {
        let by_zero = self.is_zero(Opcode::Eq, b);
        self.results(&[quotient], &[a, b], Some(by_zero));
    }

    /// An operation on real numbers that is a step of one on complex numbers.
    fn step(&mut self, op: Opcode, a: Value, b: Value) -> Value {
        let result = self.b.binary(op, a, b);
        match op {
            Opcode::Div => self.divide(a, b, result),
            _ => self.results(&[result], &[a, b], None),
        }
        result
    }

    /// The steps of [`crate::eval`]'s division: of both parts by zero, or Smith's method.
    fn divide_complex(&mut self, x: Value, y: Value) {
        let ([a, b], [c, d]) = (self.parts(x), self.parts(y));
        let [size_c, size_d] = [c, d].map(|v| self.b.unary(Opcode::Abs, v));
        let zeros = [c, d].map(|v| self.is_zero(Opcode::Eq, v));
        let by_zero = self.and(zeros[0], zeros[1]);
        self.only = Some(by_zero);
        for part in [a, b] {
            self.step(Opcode::Div, part, size_c);
        }
        self.only = Some(self.b.unary(Opcode::Not, by_zero));
        let by_re = self.b.binary(Opcode::Ge, size_c, size_d);
        let mut swap =
            |p: Value, q: Value| [self.b.select(by_re, p, q), self.b.select(by_re, q, p)];
        let ([large, small], [first, second]) = (swap(c, d), swap(a, b));
        let one = Scalar::one(self.dtype(c));
        let one = self.b.constant(one);
        let ratio = self.step(Opcode::Div, small, large);
        let product = self.step(Opcode::Mul, small, ratio);
        let norm = self.step(Opcode::Add, large, product);
        let scale = self.step(Opcode::Div, one, norm);
        let product = self.step(Opcode::Mul, second, ratio);
        let re = self.step(Opcode::Add, first, product);
        let product = self.step(Opcode::Mul, first, ratio);
        // Of the imaginary part's difference only the sign depends on the order.
        let im = self.step(Opcode::Sub, second, product);
        for part in [re, im] {
            self.step(Opcode::Mul, part, scale);
        }
        self.only = None;
    }

    /// Functions of the library that divide integers raise what `/` does.
    fn integer_by_zero(&mut self, name: &str, args: &[Value]) {
        let divides = ["floor_divide", "divmod", "remainder", "reciprocal"];
        let function = name.strip_prefix("std.").unwrap_or_default();
        if let Some(divisor) = args.last()
            && Domain::Int.contains(self.dtype(*divisor))
            && divides.iter().any(|divides| function.starts_with(divides))
        {
            let zero = self.is_zero(Opcode::Eq, *divisor);
            self.raise(fpe::DIVIDE, zero);
        }
    }

    /// Where a function of the library has a pole, among its float arguments.
    fn pole(&mut self, name: &str, args: &[Value]) -> Option<Value> {
        let first = *args.first()?;
        let name = name.strip_prefix("std.")?;
        let dtype = self.dtype(first);
        let mut one = |x: f64| {
            self.b.constant(match dtype {
                DType::F32 => Scalar::f32(x as f32),
                _ => Scalar::f64(x),
            })
        };
        // Where results of finite numbers are infinite without overflow.
        match name.split(['.', '_']).next()? {
            "log" | "log2" | "log10" | "pow" | "powi" | "rsqrt" | "gamma" | "digamma" => {
                Some(self.is_zero(Opcode::Eq, first))
            }
            "floor" | "divmod" => Some(self.is_zero(Opcode::Eq, *args.get(1)?)),
            "reciprocal" => Some(self.is_zero(Opcode::Eq, first)),
            "log1p" => {
                let one = one(-1.0);
                Some(self.b.binary(Opcode::Eq, first, one))
            }
            "atanh" | "erfinv" => {
                let one = one(1.0);
                let size = self.b.unary(Opcode::Abs, first);
                Some(self.b.binary(Opcode::Eq, size, one))
            }
            // Complex, on the imaginary axis.
            "atan" => {
                let one = one(1.0);
                let size = self.b.unary(Opcode::Abs, *args.get(1)?);
                Some(self.b.binary(Opcode::Eq, size, one))
            }
            "lgamma" => Some(self.is_zero(Opcode::Le, first)),
            "tanpi" | "ndtri" => Some(self.b.constant(Scalar::bool(true))),
            _ => None,
        }
    }

    fn cast(&mut self, from: Value, result: Value, to: DType) {
        let dtype = self.dtype(from);
        if dtype.is_complex() && to.is_complex() {
            let (x, y) = (self.parts(from), self.parts(result));
            for n in 0..2 {
                self.results(&[y[n]], &[x[n]], None);
            }
            return;
        }
        let narrows = to.is_float() && to.size() < dtype.size();
        if dtype.is_float() && narrows {
            self.results(&[result], &[from], None);
        } else if dtype.is_int() && to == DType::F16 {
            let infinite = self.size_is(Opcode::Eq, result);
            self.raise(fpe::OVERFLOW, infinite);
        } else if dtype.is_float() && to.is_int() {
            // The limits are powers of two: exact, but for f16.
            let wide = match dtype {
                DType::F16 => self.b.cast(from, DType::F32),
                _ => from,
            };
            let bits = to.bits() as i32 - i32::from(to.is_signed_int());
            let least = match to.is_signed_int() {
                true => -(2f64.powi(bits)),
                false => 0.0,
            };
            let dtype = self.dtype(wide);
            let limit = |x: f64| match dtype {
                DType::F32 => Scalar::f32(x as f32),
                _ => Scalar::f64(x),
            };
            let [least, end] = [least, 2f64.powi(bits)].map(|x| self.b.constant(limit(x)));
            let whole = self.b.unary(Opcode::Trunc, wide);
            let enough = self.b.binary(Opcode::Ge, whole, least);
            let below = self.b.binary(Opcode::Lt, whole, end);
            let fits = self.and(enough, below);
            let invalid = self.b.unary(Opcode::Not, fits);
            self.raise(fpe::INVALID, invalid);
        }
    }
}

/// Is this the library's function, or a member of its family?
fn is_library(name: &str, function: &str) -> bool {
    let name = name.strip_prefix("std.");
    name.and_then(|name| name.split(['.', '_']).next()) == Some(function)
}
