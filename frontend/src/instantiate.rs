//! Instances of functions: one IR function for each combination of dtypes in use.

use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::hir::{FnId, Function, Program};
use crate::library::library;
use crate::literal;
use crate::lower::lower_function;
use crate::source::Source;
use kjit_ir::{DType, FuncRef, Function as IrFunction, Module};
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
    /// The functions so far.
    pub module: Module,
    map: FxHashMap<Key, FuncRef>,
    queue: Vec<(Key, FuncRef)>,
    diagnostics: Vec<Diagnostic>,
}

impl<'p> Instances<'p> {
    /// An empty module.
    pub fn new(user: &'p Program, source: &'p Source) -> Instances<'p> {
        Instances {
            user,
            source,
            module: Module::default(),
            map: FxHashMap::default(),
            queue: Vec::new(),
            diagnostics: Vec::new(),
        }
    }

    /// The program a function belongs to.
    pub fn program(&self, home: Home) -> &'p Program {
        match home {
            Home::User => self.user,
            Home::Library => &library().program,
        }
    }

    /// The instance of a function for these dtypes, to be lowered by [`Instances::finish`].
    pub fn function(&mut self, home: Home, id: FnId, generics: &[DType]) -> FuncRef {
        let key = (home, id, generics.to_vec());
        if let Some(func) = self.map.get(&key) {
            return *func;
        }
        let function = &self.program(home).functions[id];
        let name = instance_name(home, function, generics);
        let func = self.module.push(IrFunction::new(name));
        self.map.insert(key.clone(), func);
        self.queue.push((key, func));
        func
    }

    /// The instance of a library function that a built-in function stands for.
    ///
    /// # Panics
    /// If the library lacks it: the table of built-ins and the library belong together.
    pub fn builtin(&mut self, builtin: &Builtin, generics: &[DType]) -> FuncRef {
        let names = &library().program.names;
        if let Some(id) = names.get(builtin.name) {
            return self.function(Home::Library, *id, generics);
        }
        let name = match generics {
            [dtype] => format!("{}_{dtype}", builtin.name),
            _ => builtin.name.to_string(),
        };
        match names.get(name.as_str()) {
            Some(id) => self.function(Home::Library, *id, &[]),
            None => panic!("bug in kjit: the library has no function {name}"),
        }
    }

    /// Lowers everything asked for so far, and what that asks for.
    pub fn finish(mut self) -> Result<Module, Vec<Diagnostic>> {
        while let Some(((home, id, generics), func)) = self.queue.pop() {
            let program = self.program(home);
            let function = &program.functions[id];
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
        for (value, span, n) in &function.body.generic_literals {
            let dtype = generics[*n as usize];
            if let Err(d) = literal::check(value, dtype, self.source, *span) {
                let place = self.source.loc(function.name_span);
                let text = format!(
                    "`{}` is used with {} = {dtype}",
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
