//! Kernels around the kernel of a ufunc: what its methods run where each invocation works off a whole row.
//!
//! Each function takes an element-wise kernel `(T, T) -> T` (for [`at`] also `T -> T`), optimised and without
//! complex arithmetic, and gives a kernel with core dimensions (see [`crate::abi`]) that applies it to
//! one element after the other. Complex numbers are pairs of neighbouring parameters in both.

use crate::passes::inline;
use crate::{
    Access, ArrayMode, ArrayParam, ArrayRef, DType, DimRef, FuncRef, Function, FunctionBuilder,
    Imm, Module, Opcode, Part, Scalar, Type, Value,
};

/// Elements in order into one value a row: `(init, started: bool, x[n], wanted[n]: bool) -> (y, present: bool)`.
///
/// Starts from `init` if `started`, else from the first element that is `wanted`; others take no part.
/// `present` tells whether there was anything to start from.
pub fn fold(combine: &Function) -> Function {
    let mut s = Skeleton::new("fold", combine);
    let n = s.b.dim("n");
    let init = s.argument("init", ArrayMode::In, &[]);
    let started = s.array("started", DType::Bool, ArrayMode::In, &[]);
    let x = s.argument("x", ArrayMode::In, &[n]);
    let wanted = s.array("wanted", DType::Bool, ArrayMode::In, &[n]);
    let y = s.argument("y", ArrayMode::Out, &[]);
    let present = s.array("present", DType::Bool, ArrayMode::Out, &[]);
    let mut carried: Vec<Value> = init.iter().map(|a| s.b.load(*a)).collect();
    carried.push(s.b.load(started));
    let end = s.b.extent(n);
    let first = s.b.int(DType::I64, 0);
    let call = s.call();
    let results = counted(&mut s.b, (first, end), &carried, |b, i, carried| {
        let (acc, present) = carried.split_at(carried.len() - 1);
        let wanted = b.core_load(wanted, &[i]);
        let element: Vec<Value> = x.iter().map(|a| b.core_load(*a, &[i])).collect();
        let combined = call(b, &[acc, &element].concat());
        let mut next: Vec<Value> = (0..acc.len())
            .map(|k| {
                let taken = b.select(present[0], combined[k], element[k]);
                b.select(wanted, taken, acc[k])
            })
            .collect();
        next.push(b.binary(Opcode::Or, present[0], wanted));
        next
    });
    for (array, value) in y.iter().chain([&present]).zip(results) {
        s.b.store(*array, value);
    }
    s.finish()
}

/// The results on the way from the first element of a row to its last: `(x[n]) -> (y[n])`.
pub fn scan(combine: &Function) -> Function {
    let mut s = Skeleton::new("scan", combine);
    let n = s.b.dim("n");
    let x = s.argument("x", ArrayMode::In, &[n]);
    let y = s.argument("y", ArrayMode::Out, &[n]);
    let dtypes = s.dtypes.clone();
    let start: Vec<Value> = (dtypes.iter())
        .map(|d| s.b.constant(Scalar::zero(*d)))
        .collect();
    let end = s.b.extent(n);
    let first = s.b.int(DType::I64, 0);
    let call = s.call();
    counted(&mut s.b, (first, end), &start, |b, i, acc| {
        let element: Vec<Value> = x.iter().map(|a| b.core_load(*a, &[i])).collect();
        let combined = call(b, &[acc, &element].concat());
        let is_first = b.binary(Opcode::Eq, i, first);
        let next: Vec<Value> = (0..acc.len())
            .map(|k| b.select(is_first, element[k], combined[k]))
            .collect();
        for (array, value) in y.iter().zip(&next) {
            b.core_store(*array, &[i], *value);
        }
        next
    });
    s.finish()
}

/// Values from a list, applied in order to one element: `(x, list[m]: i64, lo: i64, hi: i64, values[m]) -> (y)`
/// combines `x` with `values[list[p]]` for `p` from `lo` to before `hi`. Every number in the list must be one of
/// a value. Around a kernel of one input there are no values, and it is applied `hi - lo` times. Values may have
/// another dtype than the rest.
pub fn at(combine: &Function) -> Function {
    let mut s = Skeleton::new("at", combine);
    let m = s.b.dim("m");
    let x = s.argument("x", ArrayMode::In, &[]);
    let list = s.array("list", DType::I64, ArrayMode::In, &[m]);
    let lo = s.array("lo", DType::I64, ArrayMode::In, &[]);
    let hi = s.array("hi", DType::I64, ArrayMode::In, &[]);
    let second = s.second.clone();
    let values = s.parameters("values", &second, ArrayMode::In, &[m]);
    let y = s.argument("y", ArrayMode::Out, &[]);
    let start: Vec<Value> = x.iter().map(|a| s.b.load(*a)).collect();
    let range = (s.b.load(lo), s.b.load(hi));
    let call = s.call();
    let results = counted(&mut s.b, range, &start, |b, p, acc| {
        let which = b.core_load(list, &[p]);
        let value: Vec<Value> = (values.iter()).map(|a| b.core_load(*a, &[which])).collect();
        call(b, &[acc, &value].concat())
    });
    for (array, value) in y.iter().zip(results) {
        s.b.store(*array, value);
    }
    s.finish()
}

/// The element-wise kernel that combines values some of which may be absent:
/// `(a, has_a: bool, b, has_b: bool) -> (c, has_c: bool)`. What is absent takes no part.
pub fn optional(combine: &Function) -> Function {
    let mut s = Skeleton::new("optional", combine);
    let a = s.argument("a", ArrayMode::In, &[]);
    let has_a = s.array("has_a", DType::Bool, ArrayMode::In, &[]);
    let b = s.argument("b", ArrayMode::In, &[]);
    let has_b = s.array("has_b", DType::Bool, ArrayMode::In, &[]);
    let c = s.argument("c", ArrayMode::Out, &[]);
    let has_c = s.array("has_c", DType::Bool, ArrayMode::Out, &[]);
    let left: Vec<Value> = a.iter().map(|a| s.b.load(*a)).collect();
    let has_left = s.b.load(has_a);
    let right: Vec<Value> = b.iter().map(|a| s.b.load(*a)).collect();
    let has_right = s.b.load(has_b);
    let call = s.call();
    let combined = call(&mut s.b, &[left.as_slice(), &right].concat());
    let both = s.b.binary(Opcode::And, has_left, has_right);
    for (k, array) in c.iter().enumerate() {
        let one = s.b.select(has_left, left[k], right[k]);
        let value = s.b.select(both, combined[k], one);
        s.b.store(*array, value);
    }
    let some = s.b.binary(Opcode::Or, has_left, has_right);
    s.b.store(has_c, some);
    s.finish()
}

/// A kernel under construction around another one.
struct Skeleton {
    b: FunctionBuilder,
    module: Module,
    combine: FuncRef,
    /// Dtypes and parts of a value.
    dtypes: Vec<DType>,
    parts: Vec<Part>,
    /// Those of the kernel's second input, if it has one.
    second: Vec<(DType, Part)>,
}

impl Skeleton {
    fn new(name: &str, combine: &Function) -> Skeleton {
        let value: Vec<&ArrayParam> = (combine.arrays.iter())
            .filter(|a| a.mode == ArrayMode::Out)
            .collect();
        let inputs = combine.arrays.iter().filter(|a| a.mode == ArrayMode::In);
        let second = inputs.skip(value.len()).map(|a| (a.dtype, a.part));
        let mut b = FunctionBuilder::new(format!("{}.{name}", combine.name));
        b.func.fast = combine.fast;
        let mut module = Module::default();
        let function = module.push(as_function(combine));
        Skeleton {
            b,
            combine: function,
            module,
            dtypes: value.iter().map(|a| a.dtype).collect(),
            parts: value.iter().map(|a| a.part).collect(),
            second: second.collect(),
        }
    }

    fn array(&mut self, name: &str, dtype: DType, mode: ArrayMode, core: &[DimRef]) -> ArrayRef {
        let param = ArrayParam::new(name, dtype, mode, Access::Strided);
        self.b.array(param.with_core(core))
    }

    /// The parameters of one argument of the kernel's dtype.
    fn argument(&mut self, name: &str, mode: ArrayMode, core: &[DimRef]) -> Vec<ArrayRef> {
        let parts = self.dtypes.iter().copied().zip(self.parts.iter().copied());
        let parts: Vec<(DType, Part)> = parts.collect();
        self.parameters(name, &parts, mode, core)
    }

    fn parameters(
        &mut self,
        name: &str,
        parts: &[(DType, Part)],
        mode: ArrayMode,
        core: &[DimRef],
    ) -> Vec<ArrayRef> {
        parts
            .iter()
            .map(|&(dtype, part)| {
                let param = ArrayParam::new(name, dtype, mode, Access::Strided).with_core(core);
                self.b.array(ArrayParam { part, ..param })
            })
            .collect()
    }

    /// What applies the kernel to values.
    fn call(&self) -> impl Fn(&mut FunctionBuilder, &[Value]) -> Vec<Value> + use<> {
        let (combine, types) = (self.combine, self.dtypes.clone());
        let types: Vec<Type> = types.into_iter().map(Type::scalar).collect();
        move |b, args| b.call(combine, args, &types)
    }

    fn finish(mut self) -> Function {
        let root = self.module.push(self.b.ret(&[]));
        inline(&self.module, root)
    }
}

/// `for i in first..end`: `body` gets the counter and the carried values, and gives their next ones.
fn counted(
    b: &mut FunctionBuilder,
    (first, end): (Value, Value),
    start: &[Value],
    body: impl FnOnce(&mut FunctionBuilder, Value, &[Value]) -> Vec<Value>,
) -> Vec<Value> {
    let types: Vec<Type> = start.iter().map(|v| b.func.ty(*v)).collect();
    let initial = [&[first], start].concat();
    b.loop_(&initial, &types, |b, carried| {
        let (i, carried) = (carried[0], &carried[1..]);
        let more = b.binary(Opcode::Lt, i, end);
        b.if_else(
            more,
            &[],
            |b| {
                let next = body(b, i, carried);
                let one = b.int(DType::I64, 1);
                let i = b.binary(Opcode::Add, i, one);
                b.continue_(&[&[i], next.as_slice()].concat());
            },
            |b| b.break_(carried),
        );
        b.push(Opcode::Unreachable, &[], Imm::None, &[], &[]);
    })
}

/// An element-wise kernel as a function of its inputs that returns its outputs.
fn as_function(kernel: &Function) -> Function {
    let mut f = kernel.clone();
    let entry = f.entry;
    let mut arrays: Vec<Option<Value>> = Vec::with_capacity(f.arrays.len());
    for n in 0..f.arrays.len() {
        let ty = Type::scalar(f.arrays[n].dtype);
        let input = f.arrays[n].mode == ArrayMode::In;
        arrays.push(input.then(|| f.new_param(entry, ty)));
    }
    let mut stands_for: Vec<Option<Value>> = vec![None; f.values.len()];
    for inst in &f.insts {
        if let (Opcode::Load, Imm::Array(array)) = (inst.op, inst.imm) {
            stands_for[inst.results[0].index()] = arrays[array.index()];
        }
    }
    for inst in &mut f.insts {
        for arg in &mut inst.args {
            *arg = stands_for[arg.index()].unwrap_or(*arg);
        }
    }
    for inst in &f.insts {
        if let (Opcode::Store, Imm::Array(array)) = (inst.op, inst.imm) {
            arrays[array.index()] = Some(inst.args[0]);
        }
    }
    let insts = &f.insts;
    for block in &mut f.blocks {
        let stays = |op| !matches!(op, Opcode::Load | Opcode::Store);
        block.insts.retain(|i| stays(insts[i.index()].op));
    }
    let outputs = f.arrays.iter().zip(&arrays);
    let results: Vec<Value> = outputs
        .filter(|(a, _)| a.mode == ArrayMode::Out)
        .filter_map(|(_, value)| *value)
        .collect();
    f.results = results.iter().map(|v| f.ty(*v)).collect();
    f.arrays.clear();
    if let Some(last) = f.terminator(entry) {
        f.inst_mut(last).args = results.into_iter().collect();
    }
    f
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_module;
    use crate::verify::verify;

    fn kernel(text: &str) -> Function {
        parse_module(text).unwrap().functions.remove(0)
    }

    #[test]
    fn skeletons_are_well_formed() {
        let real = kernel(
            "kernel sub {\n array a0 in f32 strided \"a\"\n array a1 in f32 strided \"b\"\n array a2 out f32 strided \"c\"\n \
             v0 = load a0\n v1 = load a1\n v2 = sub v0, v1\n store a2, v2\n return\n}",
        );
        let parts = kernel(
            "kernel add {\n array a0 in f32 strided \"a\" re\n array a1 in f32 strided \"a\" im\n \
             array a2 in f32 strided \"b\" re\n array a3 in f32 strided \"b\" im\n \
             array a4 out f32 strided \"c\" re\n array a5 out f32 strided \"c\" im\n \
             v0 = load a0\n v1 = load a1\n v2 = load a2\n v3 = load a3\n v4 = add v0, v2\n v5 = add v1, v3\n \
             store a4, v4\n store a5, v5\n return\n}",
        );
        let unary = kernel(
            "kernel neg {\n array a0 in i8 strided \"a\"\n array a1 out i8 strided \"c\"\n \
             v0 = load a0\n v1 = neg v0\n store a1, v1\n return\n}",
        );
        for combine in [&real, &parts] {
            for skeleton in [fold, scan, at, optional] {
                let made = skeleton(combine);
                verify(&made, None).unwrap_or_else(|e| panic!("{e}\n{made}"));
            }
        }
        let made = at(&unary);
        verify(&made, None).unwrap_or_else(|e| panic!("{e}\n{made}"));
        assert_eq!(made.arrays.len(), 5);
        assert_eq!(fold(&parts).arrays.len(), 9);
    }
}
