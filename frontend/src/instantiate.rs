//! Instances of functions: one IR function for each combination of dtypes in use.

use crate::builtins::{self, Builtin, Code, Parts, Ty as BuiltinTy};
use crate::diagnostic::Diagnostic;
use crate::hir::{Const, FnId, Function, Program};
use crate::library::library;
use crate::literal;
use crate::lower::lower_function;
use crate::source::Source;
use crate::types::Ty;
use kjit_ir::{
    DType, FuncRef, Function as IrFunction, FunctionBuilder, Module, Opcode, Type, Value,
};
use rustc_hash::FxHashMap;

/// Which program a function belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Home {
    /// The user's file.
    User,
    /// The library.
    Library,
}

/// A function with dtypes for its type parameters.
type Key = (Home, FnId, Vec<DType>);

/// The module under construction. Functions are named by reference before they are lowered, so that
/// lowering one never recurses into another.
pub struct Instances<'p> {
    user: &'p Program,
    source: &'p Source,
    /// Take the library's faster functions, where it has them?
    fast: bool,
    /// The functions so far.
    pub module: Module,
    map: FxHashMap<Key, FuncRef>,
    queue: Vec<(Key, FuncRef)>,
    diagnostics: Vec<Diagnostic>,
}

impl<'p> Instances<'p> {
    /// An empty module; a `fast` one has the library's faster functions, where there are any.
    pub fn new(user: &'p Program, source: &'p Source, fast: bool) -> Instances<'p> {
        Instances {
            user,
            source,
            fast,
            module: Module::default(),
            map: FxHashMap::default(),
            queue: Vec::new(),
            diagnostics: Vec::new(),
        }
    }

    fn checked(&self, home: Home, id: FnId) -> &'p Function {
        match home {
            Home::User => &self.user.functions[id],
            Home::Library => library().function(id),
        }
    }

    /// The constants that functions of a program see.
    pub fn consts(&self, home: Home) -> &'p [Const] {
        match home {
            Home::User => &self.user.consts,
            Home::Library => &[],
        }
    }

    /// The instance of a function for these dtypes, to be lowered by [`Instances::finish`].
    pub fn function(&mut self, home: Home, id: FnId, generics: &[DType]) -> FuncRef {
        let key = (home, id, generics.to_vec());
        if let Some(func) = self.map.get(&key) {
            return *func;
        }
        let name = instance_name(home, self.checked(home, id), generics);
        let func = self.module.push(IrFunction::new(name));
        self.map.insert(key.clone(), func);
        self.queue.push((key, func));
        func
    }

    /// The instance of a library function that a built-in function stands for: `exp_fast` for `exp` in
    /// fast kernels, if there is one of the dtype, and of either `exp_f32` (`pow_int` of integers,
    /// `exp_complex` of complex numbers) or the generic one.
    ///
    /// # Panics
    /// If the library lacks it: the table of built-ins and the library belong together.
    pub fn builtin(&mut self, builtin: &Builtin, generics: &[DType]) -> FuncRef {
        let kind = match generics {
            [dtype] if dtype.is_int() => "int",
            [dtype] if dtype.is_complex() => "complex",
            [dtype, ..] => dtype.name(),
            [] => "",
        };
        let fast = format!("{}_fast", builtin.name);
        let candidates = [self.fast.then_some(fast.as_str()), Some(builtin.name)];
        for name in candidates.into_iter().flatten() {
            for name in [&format!("{name}_{kind}"), name] {
                let Some(id) = library().find(name) else {
                    continue;
                };
                let parameters = &library().function(id).generics;
                let mut dtypes = parameters.iter().zip(generics);
                if dtypes.all(|((_, class), dtype)| class.contains(*dtype)) {
                    return self.function(Home::Library, id, &generics[..parameters.len()]);
                }
            }
        }
        panic!(
            "bug in kjit: the library has no function {} of {generics:?}",
            builtin.name
        )
    }

    /// A call of a built-in function with these dtypes for its type parameter.
    ///
    /// Library functions exist for f32 and f64; on f16 most of them compute in f32, whose result is rounded
    /// once more.
    pub fn call_builtin(
        &mut self,
        b: &mut FunctionBuilder,
        builtin: &Builtin,
        generics: &[DType],
        args: &[Value],
    ) -> Vec<Value> {
        let value = match builtin.code {
            Code::Op(Opcode::Complex) => {
                let part = match b.func.ty(args[0]).dtype {
                    DType::F16 => DType::F32,
                    dtype => dtype,
                };
                let args = [b.cast(args[0], part), b.cast(args[1], part)];
                b.op(Opcode::Complex, &args, None)
            }
            Code::Op(op) if op.domain().contains(b.func.ty(args[0]).dtype) => b.op(op, args, None),
            Code::Bitcast => {
                let from = b.func.ty(args[0]).dtype;
                let to = builtins::bits_of(from)
                    .unwrap_or_else(|| panic!("bug in kjit: no bits of {from}"));
                b.bitcast(args[0], to)
            }
            Code::Parts(parts, real) => self.parts(b, parts, real, args[0]),
            Code::Library | Code::Op(_) => {
                let half = generics == [DType::F16]
                    && library().find(&format!("{}_f16", builtin.name)).is_none();
                let wide: Vec<Value> = (args.iter().zip(builtin.params))
                    .map(|(arg, (_, ty))| match ty {
                        BuiltinTy::T if half => b.cast(*arg, DType::F32),
                        _ => *arg,
                    })
                    .collect();
                let generics = if half { &[DType::F32] } else { generics };
                let results = builtin.result.parts();
                let types: Vec<Type> = (results.iter())
                    .map(|ty| match ty {
                        BuiltinTy::D(dtype) => Type::scalar(*dtype),
                        _ => Type::scalar(generics[0]),
                    })
                    .collect();
                let func = self.builtin(builtin, generics);
                let values = b.call(func, &wide, &types);
                let values = values.into_iter().zip(results);
                return values
                    .map(|(value, ty)| match ty {
                        BuiltinTy::T if half => b.cast(value, DType::F16),
                        _ => value,
                    })
                    .collect();
            }
        };
        vec![value]
    }

    /// A function of the parts of a complex number, or what it is on a real one.
    fn parts(
        &mut self,
        b: &mut FunctionBuilder,
        parts: Parts,
        real: Option<Opcode>,
        z: Value,
    ) -> Value {
        if !b.func.ty(z).dtype.is_complex() {
            return real.map_or(z, |op| b.unary(op, z));
        }
        let re = b.unary(Opcode::Re, z);
        let im = b.unary(Opcode::Im, z);
        let part = b.func.ty(re).dtype;
        let (name, args) = match parts {
            Parts::Conj => {
                let im = b.unary(Opcode::Neg, im);
                return b.binary(Opcode::Complex, re, im);
            }
            Parts::Abs => ("hypot", [re, im]),
            Parts::Arg => ("atan2", [im, re]),
        };
        self.named(b, name, part, &args)
    }

    /// `a % b` of floats.
    pub fn remainder(&mut self, b: &mut FunctionBuilder, x: Value, y: Value) -> Value {
        let dtype = b.func.ty(x).dtype;
        self.named(b, "fmod", dtype, &[x, y])
    }

    fn named(
        &mut self,
        b: &mut FunctionBuilder,
        name: &str,
        dtype: DType,
        args: &[Value],
    ) -> Value {
        let builtin = builtins::find(name).expect("bug in kjit: a function of the table");
        self.call_builtin(b, builtin, &[dtype], args)[0]
    }

    /// Lowers everything asked for so far, and what that asks for.
    pub fn finish(mut self) -> Result<Module, Vec<Diagnostic>> {
        while let Some(((home, id, generics), func)) = self.queue.pop() {
            let function = self.checked(home, id);
            self.check_literals(function, &generics);
            if !self.diagnostics.is_empty() {
                continue;
            }
            let name = std::mem::take(&mut self.module[func].name);
            let lowered = lower_function(&mut self, home, function, &generics, name);
            self.module[func] = lowered;
        }
        if self.diagnostics.is_empty() {
            Ok(self.module)
        } else {
            Err(self.diagnostics)
        }
    }

    /// Literals of a type parameter's type must fit the dtype it has now.
    fn check_literals(&mut self, function: &Function, generics: &[DType]) {
        for (value, span, ty) in &function.body.generic_literals {
            let (Ty::Generic(n) | Ty::Part(n)) = ty else {
                continue;
            };
            let used = generics[*n as usize];
            let Ty::Scalar(dtype) = ty.instantiate(generics) else {
                continue;
            };
            if let Err(d) = literal::check(value, dtype, self.source, *span) {
                let place = self.source.loc(function.name_span);
                let text = format!(
                    "`{}` is used with {} = {used}",
                    function.name, function.generics[*n as usize].0
                );
                self.diagnostics.push(d.note(place, text));
            }
        }
    }
}

/// `saxpy.f32`; functions of the library begin with `std.`.
fn instance_name(home: Home, function: &Function, generics: &[DType]) -> String {
    let mut name = match home {
        Home::User => function.name.clone(),
        Home::Library => format!("std.{}", function.name),
    };
    for dtype in generics {
        name.push('.');
        name.push_str(dtype.name());
    }
    name
}
