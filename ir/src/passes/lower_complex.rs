//! Splits every complex value into its real and its imaginary part, so that backends meet real numbers
//! only.
//!
//! A complex array parameter becomes two neighbours, [`Part::Re`] and [`Part::Im`], that whoever runs the
//! kernel binds to the same memory; a complex local array becomes two. The arithmetic is the one of
//! [`crate::eval`], step by step.

use crate::analysis::tree::compact;
use crate::{
    ArrayRef, Block, DType, Function, FunctionBuilder, Imm, Inst, InstData, LocalRef, Opcode, Part,
    Role, Scalar, Type, Value,
};
use smallvec::{SmallVec, smallvec};

/// Runs the pass, on a function in scalar form.
pub fn lower_complex(func: &mut Function) -> bool {
    let complex = func.values.iter().any(|v| v.ty.dtype.is_complex())
        || func.arrays.iter().any(|a| a.dtype.is_complex())
        || func.locals.iter().any(|l| l.dtype.is_complex());
    if complex {
        *func = split(func);
    }
    complex
}

/// What stands for a value: itself, or both parts of it.
type Parts = SmallVec<[Value; 2]>;

struct LowerComplex<'a> {
    src: &'a Function,
    b: FunctionBuilder,
    values: Vec<Parts>,
    /// The first array (local array) that stands for each.
    arrays: Vec<ArrayRef>,
    locals: Vec<LocalRef>,
}

/// The type or types that stand for one.
fn part_types(ty: Type) -> SmallVec<[Type; 2]> {
    match ty.dtype.part() {
        Some(part) => smallvec![ty.with_dtype(part); 2],
        None => smallvec![ty],
    }
}

fn split(src: &Function) -> Function {
    let mut b = FunctionBuilder::new(src.name.clone());
    b.func.form = src.form;
    b.func.fast = src.fast;
    b.func.results = src.results.iter().flat_map(|ty| part_types(*ty)).collect();
    b.func.dims = src.dims.clone();
    b.func.loops = src.loops.clone();
    b.func.traps = src.traps.clone();
    let mut arrays = Vec::with_capacity(src.arrays.len());
    for array in &src.arrays {
        arrays.push(ArrayRef::new(b.func.arrays.len()));
        let Some(dtype) = array.dtype.part() else {
            b.array(array.clone());
            continue;
        };
        for part in [Part::Re, Part::Im] {
            let mut array = array.clone();
            (array.dtype, array.part) = (dtype, part);
            b.array(array);
        }
    }
    for array in &mut b.func.arrays {
        if let Role::Old(of) | Role::Written(of) | Role::Alias(of) = &mut array.role {
            *of = arrays[of.index()];
        }
    }
    let mut locals = Vec::with_capacity(src.locals.len());
    for local in &src.locals {
        locals.push(LocalRef::new(b.func.locals.len()));
        let Some(dtype) = local.dtype.part() else {
            b.local(local.clone());
            continue;
        };
        for part in ["re", "im"] {
            let mut local = local.clone();
            local.name = format!("{}.{part}", local.name);
            local.dtype = dtype;
            b.local(local);
        }
    }
    let entry = b.func.entry;
    let mut pass = LowerComplex {
        src,
        b,
        values: vec![Parts::new(); src.values.len()],
        arrays,
        locals,
    };
    pass.block(src.entry, entry);
    compact(&pass.b.func)
}

impl LowerComplex<'_> {
    /// Writes a block of the source to `to`.
    fn block(&mut self, block: Block, to: Block) {
        let src = self.src;
        for &param in &src.block(block).params {
            let types = part_types(src.ty(param));
            let parts = types.iter().map(|ty| self.b.func.new_param(to, *ty));
            self.values[param.index()] = parts.collect();
        }
        let outer = self.b.block();
        self.b.switch_to(to);
        for &inst in &src.block(block).insts {
            self.b.set_loc(src.inst(inst).loc);
            self.inst(inst);
        }
        self.b.switch_to(outer);
    }

    fn parts(&self, value: Value) -> Parts {
        self.values[value.index()].clone()
    }

    /// The parts of a complex value.
    fn pair(&self, value: Value) -> [Value; 2] {
        match self.values[value.index()][..] {
            [re, im] => [re, im],
            _ => panic!("bug in kjit: {value} is not complex"),
        }
    }

    fn args(&self, data: &InstData) -> SmallVec<[Value; 4]> {
        data.args.iter().flat_map(|v| self.parts(*v)).collect()
    }

    fn inst(&mut self, inst: Inst) {
        let src = self.src;
        let data = src.inst(inst);
        let complex = |v: &Value| src.ty(*v).dtype.is_complex();
        if !data.args.iter().any(complex) && !data.results.iter().any(complex) {
            return self.copy(data);
        }
        let result = match (data.op, data.imm) {
            (Opcode::Const, Imm::Const(scalar)) => scalar.parts().map(|parts| {
                let parts = parts.map(|part| self.b.constant(part));
                Parts::from(parts)
            }),
            (Opcode::Load | Opcode::CoreLoad | Opcode::LocalLoad, imm) => {
                Some(self.each_part(data, imm))
            }
            (Opcode::Store | Opcode::CoreStore | Opcode::LocalStore, imm) => {
                return self.store_parts(data, imm);
            }
            (op, _) if op.is_pure() => Some(self.pure(data)),
            _ => return self.copy(data),
        };
        if let (Some(parts), Some(to)) = (result, data.results.first()) {
            self.values[to.index()] = parts;
        }
    }

    /// An instruction that hands values on, of whatever dtype they are.
    fn copy(&mut self, data: &InstData) {
        let args = self.args(data);
        let imm = self.imm(data.imm, 0);
        let blocks: SmallVec<[Block; 2]> = data
            .blocks
            .iter()
            .map(|block| {
                let to = self.b.func.new_block();
                self.block(*block, to);
                to
            })
            .collect();
        self.b.set_loc(data.loc);
        let types: Vec<_> = data
            .results
            .iter()
            .map(|v| part_types(self.src.ty(*v)))
            .collect();
        let flat: Vec<Type> = types.iter().flatten().copied().collect();
        let new = self.b.push(data.op, &args, imm, &blocks, &flat);
        let mut results = self.b.func.inst(new).results.clone().into_iter();
        for (result, types) in data.results.iter().zip(&types) {
            self.values[result.index()] = results.by_ref().take(types.len()).collect();
        }
    }

    /// The immediate, with the array (local array) that stands `part` behind the first for the one named.
    fn imm(&self, imm: Imm, part: usize) -> Imm {
        match imm {
            Imm::Array(array) => {
                Imm::Array(ArrayRef::new(self.arrays[array.index()].index() + part))
            }
            Imm::Local(local) => {
                Imm::Local(LocalRef::new(self.locals[local.index()].index() + part))
            }
            imm => imm,
        }
    }

    /// A load of both parts.
    fn each_part(&mut self, data: &InstData, imm: Imm) -> Parts {
        let args = self.args(data);
        let types = part_types(self.src.ty(data.results[0]));
        let loads = types.iter().enumerate().map(|(n, ty)| {
            let imm = self.imm(imm, n);
            let inst = self.b.push(data.op, &args, imm, &[], &[*ty]);
            self.b.func.result(inst)
        });
        loads.collect()
    }

    /// A store of both parts: the value is the last argument in scalar form.
    fn store_parts(&mut self, data: &InstData, imm: Imm) {
        let Some((value, index)) = data.args.split_last() else {
            return;
        };
        let index: SmallVec<[Value; 4]> = index.iter().flat_map(|v| self.parts(*v)).collect();
        for (n, part) in self.pair(*value).into_iter().enumerate() {
            let mut args = index.clone();
            args.push(part);
            let imm = self.imm(imm, n);
            self.b.push(data.op, &args, imm, &[], &[]);
        }
    }

    /// A pure operation with a complex argument or result.
    fn pure(&mut self, data: &InstData) -> Parts {
        let args = &data.args;
        match (data.op, data.imm) {
            (Opcode::Cast, Imm::DType(to)) => self.cast(args[0], to),
            (Opcode::Complex, _) => self.args(data).into_iter().collect(),
            (Opcode::Re, _) => smallvec![self.pair(args[0])[0]],
            (Opcode::Im, _) => smallvec![self.pair(args[0])[1]],
            (Opcode::Select, _) => {
                let condition = self.parts(args[0])[0];
                self.select(condition, self.pair(args[1]), self.pair(args[2]))
            }
            (op, _) if args.len() == 1 => {
                let parts = self.pair(args[0]);
                parts.map(|part| self.b.unary(op, part)).into()
            }
            (op, _) => self.binary(op, self.pair(args[0]), self.pair(args[1])),
        }
    }

    fn select(&mut self, condition: Value, x: [Value; 2], y: [Value; 2]) -> Parts {
        (0..2)
            .map(|n| self.b.select(condition, x[n], y[n]))
            .collect()
    }

    fn cast(&mut self, value: Value, to: DType) -> Parts {
        let parts = self.parts(value);
        match (parts[..].as_ref(), to.part()) {
            ([re, im], Some(part)) => [*re, *im].map(|v| self.b.cast(v, part)).into(),
            ([re, im], None) if to == DType::Bool => {
                let nonzero = [*re, *im].map(|v| self.b.cast(v, to));
                smallvec![self.b.binary(Opcode::Or, nonzero[0], nonzero[1])]
            }
            ([re, ..], None) => smallvec![self.b.cast(*re, to)],
            ([re, ..], Some(part)) => {
                let re = self.b.cast(*re, part);
                let im = self.b.constant(Scalar::zero(part));
                smallvec![re, im]
            }
            ([], _) => panic!("bug in kjit: {value} has no parts"),
        }
    }

    fn binary(&mut self, op: Opcode, x: [Value; 2], y: [Value; 2]) -> Parts {
        let ([a, b], [c, d]) = (x, y);
        match op {
            Opcode::Add | Opcode::Sub => {
                smallvec![self.b.binary(op, a, c), self.b.binary(op, b, d)]
            }
            Opcode::Mul => {
                let [ac, bd] = [(a, c), (b, d)].map(|(p, q)| self.b.binary(op, p, q));
                let [ad, bc] = [(a, d), (b, c)].map(|(p, q)| self.b.binary(op, p, q));
                let re = self.b.binary(Opcode::Sub, ac, bd);
                let im = self.b.binary(Opcode::Add, ad, bc);
                smallvec![re, im]
            }
            Opcode::Div => self.divide(x, y),
            Opcode::Min | Opcode::Max => {
                let keeps = if op == Opcode::Min {
                    Opcode::Le
                } else {
                    Opcode::Ge
                };
                let [nan_re, nan_im] = x.map(|v| self.b.binary(Opcode::Ne, v, v));
                let nan = self.b.binary(Opcode::Or, nan_re, nan_im);
                let ordered = self.compare(keeps, x, y);
                let first = self.b.binary(Opcode::Or, nan, ordered);
                self.select(first, x, y)
            }
            _ => smallvec![self.compare(op, x, y)],
        }
    }

    fn compare(&mut self, op: Opcode, [a, b]: [Value; 2], [c, d]: [Value; 2]) -> Value {
        let [re, im] = match op {
            Opcode::Eq | Opcode::Ne => [(a, c), (b, d)].map(|(p, q)| self.b.binary(op, p, q)),
            _ => {
                let strict = match op {
                    Opcode::Lt | Opcode::Le => Opcode::Lt,
                    _ => Opcode::Gt,
                };
                let [known_b, known_d] = [b, d].map(|v| self.b.binary(Opcode::Eq, v, v));
                let comparable = self.b.binary(Opcode::And, known_b, known_d);
                let apart = self.b.binary(strict, a, c);
                let apart = self.b.binary(Opcode::And, comparable, apart);
                let equal = self.b.binary(Opcode::Eq, a, c);
                let tied = self.b.binary(op, b, d);
                [apart, self.b.binary(Opcode::And, equal, tied)]
            }
        };
        let joined = if op == Opcode::Eq {
            Opcode::And
        } else {
            Opcode::Or
        };
        self.b.binary(joined, re, im)
    }

    /// [`crate::eval`]'s division without branches: both ways of Smith's method are one on swapped parts.
    fn divide(&mut self, [a, b]: [Value; 2], [c, d]: [Value; 2]) -> Parts {
        let dtype = self.b.func.ty(c).dtype;
        let [zero, one] = [Scalar::zero(dtype), Scalar::one(dtype)].map(|s| self.b.constant(s));
        let [size_c, size_d] = [c, d].map(|v| self.b.unary(Opcode::Abs, v));
        let by_re = self.b.binary(Opcode::Ge, size_c, size_d);
        let large = self.b.select(by_re, c, d);
        let small = self.b.select(by_re, d, c);
        let ratio = self.b.binary(Opcode::Div, small, large);
        let product = self.b.binary(Opcode::Mul, small, ratio);
        let norm = self.b.binary(Opcode::Add, large, product);
        let scale = self.b.binary(Opcode::Div, one, norm);
        let first = self.b.select(by_re, a, b);
        let second = self.b.select(by_re, b, a);
        let product = self.b.binary(Opcode::Mul, second, ratio);
        let re = self.b.binary(Opcode::Add, first, product);
        // b - a * ratio, or b * ratio - a.
        let product = self.b.binary(Opcode::Mul, first, ratio);
        let minuend = self.b.select(by_re, second, product);
        let subtrahend = self.b.select(by_re, product, second);
        let im = self.b.binary(Opcode::Sub, minuend, subtrahend);
        let quotient = [re, im].map(|v| self.b.binary(Opcode::Mul, v, scale));
        // By zero: what the parts divided by zero give, which is what infinity times them gives.
        let [zero_c, zero_d] = [c, d].map(|v| self.b.binary(Opcode::Eq, v, zero));
        let by_zero = self.b.binary(Opcode::And, zero_c, zero_d);
        let infinity = self.b.binary(Opcode::Div, one, zero);
        let infinite = [a, b].map(|v| self.b.binary(Opcode::Mul, v, infinity));
        self.select(by_zero, infinite, quotient)
    }
}
