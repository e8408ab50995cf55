//! Lowering: a typed body, with dtypes for its type parameters, to structured SSA.
//!
//! Variables are values; an assignment gives the variable a new value. What an `if` or a loop assigns
//! among the variables declared outside it becomes its results, and for loops also its carried values.
//! Local arrays are memory private to the element. A construct that never comes out (`return`, `break`
//! on each path) ends its block with a terminator and lowers to `None`.

mod expr;
mod gufunc;
mod stmt;

use crate::hir::{Body, Const, Function, LocalId};
use crate::instantiate::{Home, Instances};
use crate::source::Span;
use crate::types::{Ty, part_of};
use kjit_ir::{DType, Function as IrFunction, FunctionBuilder, Loc, LocalRef, Opcode, Type, Value};
use smallvec::SmallVec;

/// The values of an expression: one, several of a tuple, none.
type Values = SmallVec<[Value; 1]>;

/// Lowers an instance.
pub fn lower_function(
    instances: &mut Instances<'_>,
    home: Home,
    function: &Function,
    generics: &[DType],
    name: String,
) -> IrFunction {
    if let Some(gufunc) = &function.gufunc {
        return gufunc::lower_gufunc(instances, home, function, gufunc, generics, &name);
    }
    let body = &function.body;
    let mut lower = Lower::new(instances, home, function, generics, name);
    for (n, (_, ty)) in function.params.iter().enumerate() {
        let ty = lower.scalar(ty);
        let value = lower.builder.param(ty);
        lower.values[n].push(value);
    }
    lower.builder.func.results = function
        .outputs
        .iter()
        .map(|(_, ty)| lower.scalar(ty))
        .collect();
    if let Some(values) = lower.block(&body.block) {
        lower.at(Span {
            start: body.block.span.end.saturating_sub(1),
            end: body.block.span.end,
        });
        lower
            .builder
            .push(Opcode::Return, &values, kjit_ir::Imm::None, &[], &[]);
    }
    lower.builder.func
}

/// An open loop: what `continue` and `break` carry.
struct OpenLoop<'b> {
    assigned: &'b [LocalId],
    /// The counter of a `for`, advanced by `continue`.
    counter: Option<Value>,
}

/// Lowering of one instance.
struct Lower<'i, 'p, 'b> {
    instances: &'i mut Instances<'p>,
    home: Home,
    consts: &'b [Const],
    body: &'b Body,
    generics: &'b [DType],
    file: u32,
    builder: FunctionBuilder,
    /// The present values of the variables.
    values: Vec<Values>,
    /// The memory of array variables.
    arrays: Vec<Option<LocalRef>>,
    loops: Vec<OpenLoop<'b>>,
    /// What a gufunc has besides.
    kernel: Option<gufunc::Kernel<'b>>,
}

impl<'i, 'p, 'b> Lower<'i, 'p, 'b> {
    fn new(
        instances: &'i mut Instances<'p>,
        home: Home,
        function: &'b Function,
        generics: &'b [DType],
        name: String,
    ) -> Lower<'i, 'p, 'b>
    where
        'p: 'b,
    {
        let body = &function.body;
        let consts = instances.consts(home);
        let mut builder = FunctionBuilder::new(name);
        builder.func.fast = function.fast;
        Lower {
            instances,
            home,
            consts,
            body,
            generics,
            file: function.file,
            builder,
            values: vec![Values::new(); body.locals.len()],
            arrays: vec![None; body.locals.len()],
            loops: Vec::new(),
            kernel: None,
        }
    }
}

impl Lower<'_, '_, '_> {
    /// Instructions come from here from now on.
    fn at(&mut self, span: Span) {
        self.builder.set_loc(Loc {
            file: self.file,
            start: span.start,
            end: span.end,
        });
    }

    fn dtype(&self, ty: &Ty) -> DType {
        match ty {
            Ty::Scalar(dtype) => *dtype,
            Ty::Generic(n) => self.generics[*n as usize],
            Ty::Part(n) => part_of(self.generics[*n as usize]),
            other => panic!("bug in kjit: {other:?} is no scalar type"),
        }
    }

    fn scalar(&self, ty: &Ty) -> Type {
        Type::scalar(self.dtype(ty))
    }

    /// The types of the values of an expression of this type.
    fn flatten(&self, ty: &Ty, out: &mut Vec<Type>) {
        match ty {
            Ty::Tuple(list) => list.iter().for_each(|t| self.flatten(t, out)),
            Ty::Unit | Ty::Never | Ty::Error | Ty::Array(..) | Ty::Core(..) => {}
            other => out.push(self.scalar(other)),
        }
    }

    /// The present values of some variables, one after the other.
    fn gather(&self, locals: &[LocalId]) -> Values {
        locals
            .iter()
            .flat_map(|id| self.values[*id].iter().copied())
            .collect()
    }

    /// Gives variables new values, one after the other; the rest of `values` is left over.
    fn scatter<'v>(&mut self, locals: &[LocalId], mut values: &'v [Value]) -> &'v [Value] {
        for id in locals {
            let (mine, rest) = values.split_at(self.values[*id].len());
            self.values[*id] = Values::from_slice(mine);
            values = rest;
        }
        values
    }

    /// The types of some variables, one after the other.
    fn types_of(&self, values: &[Value], out: &mut Vec<Type>) {
        out.extend(values.iter().map(|v| self.builder.func.ty(*v)));
    }
}
