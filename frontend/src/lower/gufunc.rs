//! Lowering of gufuncs: the body becomes the kernel itself, since arrays cannot pass through a call.
//!
//! Parameters that are numbers are loaded at the start, outputs that are numbers are variables stored at
//! each end. An index that [`Bounds`] does not prove to be in bounds is checked, and the access runs only
//! where the check holds. An output that [`Coverage`] does not prove to be written completely has a
//! companion array that says which of its elements were.

use super::{Lower, Values};
use crate::bounds::{Arm, Bounds, Coverage, Form, Leave};
use crate::hir::{Expr, Function, Gufunc, LocalId};
use crate::instantiate::{Home, Instances};
use crate::source::Span;
use crate::types::Ty;
use kjit_ir::host::{CoreSignature, DimExpr};
use kjit_ir::{
    Access, ArrayMode, ArrayParam, ArrayRef, BinaryOp, DType, DimRef, Function as IrFunction,
    FunctionBuilder, Imm, Opcode, Role, Scalar, Trap, TrapKind, Type, Value,
};

/// What lowering a gufunc keeps besides.
pub(super) struct Kernel<'b> {
    core: &'b CoreSignature,
    /// Arrays, by variable.
    arrays: Vec<Option<CoreArray<'b>>>,
    /// Outputs that are numbers.
    numbers: Vec<(ArrayRef, LocalId)>,
    bounds: Bounds,
    coverage: Coverage,
}

/// An array parameter with core axes.
#[derive(Clone, Copy)]
pub(super) struct CoreArray<'b> {
    array: ArrayRef,
    /// The dimensions of its axes.
    dims: &'b [usize],
    /// Which output it is.
    output: Option<usize>,
    /// Its companion that says which elements are written.
    written: Option<ArrayRef>,
}

/// An element: the array, the index (i64), and whether that is in bounds, unless this is proven.
pub(super) struct Element<'b> {
    array: CoreArray<'b>,
    index: Values,
    ok: Option<Value>,
}

/// Lowers an instance of a gufunc to its kernel.
pub(super) fn lower_gufunc(
    instances: &mut Instances<'_>,
    home: Home,
    function: &Function,
    gufunc: &Gufunc,
    generics: &[DType],
    name: &str,
) -> IrFunction {
    let none = vec![false; function.outputs.len()];
    let (kernel, complete) = attempt(instances, home, function, gufunc, generics, name, &none);
    if complete.iter().all(|c| *c) {
        return kernel;
    }
    let watched: Vec<bool> = complete.iter().map(|c| !c).collect();
    attempt(instances, home, function, gufunc, generics, name, &watched).0
}

/// The kernel, with companions for the outputs that are watched; and which outputs are written completely.
fn attempt(
    instances: &mut Instances<'_>,
    home: Home,
    function: &Function,
    gufunc: &Gufunc,
    generics: &[DType],
    name: &str,
    watched: &[bool],
) -> (IrFunction, Vec<bool>) {
    let mut lower = Lower::new(instances, home, function, generics, name.to_string());
    let name_span = function.name_span;
    lower.at(name_span);
    let mut kernel = declare(&mut lower.builder, function, gufunc, generics, watched);
    for (n, _) in function.params.iter().enumerate() {
        if kernel.arrays[n].is_none() {
            let value = lower.builder.load(ArrayRef::new(n));
            lower.values[n].push(value);
        }
    }
    for (_, local) in &kernel.numbers {
        let dtype = lower.dtype(&function.body.locals[*local].ty);
        let zero = lower.builder.constant(Scalar::zero(dtype));
        lower.values[*local].push(zero);
    }
    for (local, dim) in &gufunc.dims {
        let extent = lower.builder.extent(DimRef::new(*dim));
        lower.values[*local].push(extent);
    }
    kernel.bounds = Bounds::new(&gufunc.core);
    lower.kernel = Some(kernel);
    let start = lower.mark();
    let end = function.body.block.span.end;
    if lower.block(&function.body.block).is_some() {
        lower.at(Span {
            start: end.saturating_sub(1),
            end,
        });
        lower.end_kernel();
    }
    // What holds at the end of the body does not hold where it has returned before.
    lower.forget(start);
    let complete = lower
        .kernel
        .take()
        .map_or_else(Vec::new, |k| k.complete(gufunc));
    (lower.builder.func, complete)
}

/// The array parameters and dimensions of the kernel.
fn declare<'b>(
    b: &mut FunctionBuilder,
    function: &Function,
    gufunc: &'b Gufunc,
    generics: &[DType],
    watched: &[bool],
) -> Kernel<'b> {
    let core = &gufunc.core;
    for dim in &core.dims {
        b.dim(dim.name.clone());
    }
    let mut kernel = Kernel {
        core,
        arrays: vec![None; function.body.locals.len()],
        numbers: Vec::new(),
        bounds: Bounds::default(),
        coverage: Coverage::default(),
    };
    let param = |b: &mut FunctionBuilder, name: &str, ty: &Ty, mode, dims: &[usize]| {
        let Ty::Scalar(dtype) = ty.element().instantiate(generics) else {
            panic!("bug in kjit: {ty:?} in a signature")
        };
        let dims: Vec<DimRef> = dims.iter().map(|d| DimRef::new(*d)).collect();
        b.array(ArrayParam::new(name, dtype, mode, Access::Strided).with_core(&dims))
    };
    for (n, (name, ty)) in function.params.iter().enumerate() {
        let dims = core.inputs[n].as_slice();
        let array = param(b, name, ty, ArrayMode::In, dims);
        if !dims.is_empty() {
            kernel.arrays[n] = Some(CoreArray {
                array,
                dims,
                output: None,
                written: None,
            });
        }
    }
    for (n, use_) in gufunc.outputs.iter().enumerate() {
        let dims = core.outputs[n].as_slice();
        let mode = match use_.read && !dims.is_empty() {
            true => ArrayMode::InOut,
            false => ArrayMode::Out,
        };
        let name = &function.body.locals[use_.local].name;
        let array = param(b, name, &function.outputs[n].1, mode, dims);
        if dims.is_empty() {
            kernel.numbers.push((array, use_.local));
        } else {
            kernel.arrays[use_.local] = Some(CoreArray {
                array,
                dims,
                output: Some(n),
                written: None,
            });
        }
    }
    for (n, use_) in gufunc.outputs.iter().enumerate() {
        if watched[n]
            && let Some(output) = &mut kernel.arrays[use_.local]
        {
            let name = format!("{} written", function.body.locals[use_.local].name);
            let dims: Vec<DimRef> = output.dims.iter().map(|d| DimRef::new(*d)).collect();
            let flags = ArrayParam::new(name, DType::U32, ArrayMode::Out, Access::Strided)
                .with_core(&dims)
                .with_role(Role::Written(output.array));
            output.written = Some(b.array(flags));
        }
    }
    kernel
}

impl Kernel<'_> {
    /// For each output: is every element surely written? What starts as zeros always is.
    fn complete(&self, gufunc: &Gufunc) -> Vec<bool> {
        let outputs = gufunc.outputs.iter().zip(&self.core.outputs).enumerate();
        outputs
            .map(|(n, (use_, dims))| {
                let extents: Vec<Form> = dims
                    .iter()
                    .map(|d| self.bounds.extent(*d).clone())
                    .collect();
                dims.is_empty()
                    || use_.updated
                    || self.coverage.is_complete(n, &extents, &self.bounds)
            })
            .collect()
    }
}

impl<'b> Lower<'_, '_, 'b> {
    /// The array that a variable stands for, in a gufunc.
    pub(super) fn core_array(&self, local: LocalId) -> Option<CoreArray<'b>> {
        self.kernel.as_ref().and_then(|k| k.arrays[local])
    }

    /// Ends the kernel: outputs that are numbers are stored.
    pub(super) fn end_kernel(&mut self) {
        if let Some(kernel) = &self.kernel {
            for (array, local) in &kernel.numbers {
                self.builder.store(*array, self.values[*local][0]);
            }
        }
        self.builder.push(Opcode::Return, &[], Imm::None, &[], &[]);
    }

    /// `array[index]`, checked where there is no proof.
    pub(super) fn core_element(
        &mut self,
        array: CoreArray<'b>,
        index: &'b [Expr],
    ) -> Option<Element<'b>> {
        let mut element = Element {
            array,
            index: Values::new(),
            ok: None,
        };
        for e in index {
            let at = self.expr(e)?[0];
            self.at(e.span);
            let at = self.builder.cast(at, DType::I64);
            element.index.push(at);
        }
        let Some(kernel) = &mut self.kernel else {
            panic!("bug in kjit: an array outside a gufunc");
        };
        let func = &self.builder.func;
        let proven: Vec<bool> = element
            .index
            .iter()
            .zip(array.dims)
            .map(|(at, dim)| kernel.bounds.in_bounds(func, *at, *dim))
            .collect();
        for (axis, e) in index.iter().enumerate() {
            if proven[axis] {
                continue;
            }
            self.at(e.span);
            let ok = self.core_check(array, axis, element.index[axis]);
            element.ok = Some(match element.ok {
                Some(before) => self.builder.binary(Opcode::And, before, ok),
                None => ok,
            });
        }
        Some(element)
    }

    /// Reports an index outside an axis; gives whether it is inside.
    fn core_check(&mut self, array: CoreArray<'b>, axis: usize, at: Value) -> Value {
        let dim = array.dims[axis];
        let fixed = self.kernel.as_ref().map(|k| &k.core.dims[dim].extent);
        let extent = match fixed {
            Some(DimExpr::Const(n)) => self.builder.int(DType::I64, i128::from(*n)),
            _ => self.builder.extent(DimRef::new(dim)),
        };
        let zero = self.builder.int(DType::I64, 0);
        let not_negative = self.builder.binary(Opcode::Ge, at, zero);
        let below = self.builder.binary(Opcode::Lt, at, extent);
        let ok = self.builder.binary(Opcode::And, not_negative, below);
        let name = self.builder.func.arrays[array.array.index()].name.clone();
        let loc = self.builder.loc();
        let kind = TrapKind::CoreIndexOutOfBounds {
            array: name,
            axis: axis as u32,
            dim: DimRef::new(dim),
        };
        let trap = self.builder.trap(Trap { kind, loc });
        self.builder.guard(ok, trap);
        ok
    }

    /// The element's value; 0 where its index is out of bounds (and reported).
    pub(super) fn core_load(&mut self, element: &Element<'b>) -> Value {
        let array = element.array.array;
        let index = &element.index;
        let Some(ok) = element.ok else {
            return self.builder.core_load(array, index);
        };
        let dtype = self.builder.func.arrays[array.index()].dtype;
        let result = self.builder.if_else(
            ok,
            &[Type::scalar(dtype)],
            |b| {
                let value = b.core_load(array, index);
                b.yield_(&[value]);
            },
            |b| {
                let zero = b.constant(Scalar::zero(dtype));
                b.yield_(&[zero]);
            },
        );
        result[0]
    }

    /// Writes the element, where its index is in bounds.
    pub(super) fn core_store(&mut self, element: &Element<'b>, value: Value) {
        let CoreArray {
            array,
            output,
            written,
            ..
        } = element.array;
        let index = &element.index;
        let store = |b: &mut FunctionBuilder| {
            b.core_store(array, index, value);
            if let Some(written) = written {
                let one = b.int(DType::U32, 1);
                b.core_store(written, index, one);
            }
        };
        match element.ok {
            None => store(&mut self.builder),
            Some(ok) => {
                self.builder.if_else(
                    ok,
                    &[],
                    |b| {
                        store(b);
                        b.yield_(&[]);
                    },
                    |b| b.yield_(&[]),
                );
            }
        }
        if let (Some(kernel), Some(output)) = (&mut self.kernel, output) {
            let func = &self.builder.func;
            let index = index.iter().map(|at| kernel.bounds.read(func, *at));
            kernel.coverage.write(output, index.collect());
        }
    }

    /// `array[index] op= value`
    pub(super) fn core_assign(
        &mut self,
        array: CoreArray<'b>,
        index: &'b [Expr],
        op: Option<BinaryOp>,
        value: &'b Expr,
        span: Span,
    ) -> Option<()> {
        let element = self.core_element(array, index)?;
        let mut value = self.expr(value)?[0];
        self.at(span);
        if let Some(op) = op {
            let old = self.core_load(&element);
            value = self.binary(op, old, value);
        }
        self.core_store(&element, value);
        Some(())
    }

    // What control flow says ----------------------------------------------------------------------

    /// How much is known here.
    pub(super) fn mark(&self) -> usize {
        self.kernel.as_ref().map_or(0, |k| k.bounds.facts.mark())
    }

    /// Leaves a scope: back to what was known.
    pub(super) fn forget(&mut self, mark: usize) {
        if let Some(kernel) = &mut self.kernel {
            kernel.bounds.facts.forget(mark);
        }
    }

    /// From here on the condition is known.
    pub(super) fn assume(&mut self, condition: Value, truth: bool) {
        if let Some(kernel) = &mut self.kernel {
            kernel.bounds.assume(&self.builder.func, condition, truth);
        }
    }

    /// Enters the body of a `for`.
    pub(super) fn enter_for(&mut self, counter: Value, start: Value, end: Value) {
        if let Some(kernel) = &mut self.kernel {
            let func = &self.builder.func;
            let range = kernel.bounds.enter_loop(func, counter, start, end);
            kernel.coverage.enter_for(counter, range);
        }
    }

    /// Leaves it.
    pub(super) fn leave_for(&mut self) {
        if let Some(kernel) = &mut self.kernel {
            kernel.coverage.leave_for();
        }
    }

    /// Enters the body of another loop.
    pub(super) fn enter_loop(&mut self) {
        if let Some(kernel) = &mut self.kernel {
            kernel.coverage.enter_loop();
        }
    }

    /// Leaves it.
    pub(super) fn leave_loop(&mut self) {
        if let Some(kernel) = &mut self.kernel {
            kernel.coverage.leave_loop();
        }
    }

    /// Enters an arm of an `if` that is taken where the condition has this value.
    pub(super) fn enter_arm(&mut self, condition: Value, truth: bool) -> usize {
        let mark = self.mark();
        self.assume(condition, truth);
        if let Some(kernel) = &mut self.kernel {
            kernel.coverage.enter_arm();
        }
        mark
    }

    /// Leaves it.
    pub(super) fn leave_arm(&mut self, mark: usize) -> Option<Arm> {
        self.forget(mark);
        self.kernel.as_mut().map(|k| k.coverage.leave_arm())
    }

    /// After both arms.
    pub(super) fn join_arms(&mut self, arms: Vec<Option<Arm>>) {
        let mut arms = arms.into_iter().flatten();
        if let (Some(kernel), Some(a), Some(b)) = (&mut self.kernel, arms.next(), arms.next()) {
            kernel.coverage.join(a, b);
        }
    }

    /// Control leaves here.
    pub(super) fn leaves(&mut self, how: Leave) {
        if let Some(kernel) = &mut self.kernel {
            kernel.coverage.leave(how);
        }
    }
}
