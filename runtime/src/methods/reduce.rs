//! `reduce`: elements along axes become one.

use super::combine::Combine;
use super::deliver;
#[cfg(feature = "gpu")]
use super::device;
use super::fold::{Fold, Grouping};
use super::loops::{Axis, Loop, identity, initial, recurrence, resolve_axes};
use super::masked::MaskedFold;
use super::source::Source;
#[cfg(feature = "gpu")]
use crate::Target;
use crate::array::Storage;
use crate::broadcast::{checked_size, format_shape};
use crate::dtype::cast::copy_block;
use crate::fpe::FpeReport;
use crate::nest::{Few, Order};
use crate::ufunc::Arg;
use crate::{Array, Engine, HostBuffer, Result, RuntimeError, Ufunc};
use kjit_ir::DType;
use std::sync::Arc;
use std::time::Instant;

/// How to reduce.
#[derive(Clone, Debug, Default)]
pub struct Reduce<'a> {
    /// Which axes; the first by default.
    pub axis: Axis,
    /// Keep reduced axes, with the extent 1?
    pub keepdims: bool,
    /// What to start from: combined with the first element (of a tree, with its result). By default the
    /// ufunc's identity where there are no elements, and nothing where there are.
    pub initial: Option<Arg>,
    /// A bool array that broadcasts to the operand: elements where it is false take no part. Needs an
    /// identity or `initial`.
    pub where_: Option<&'a Array>,
    /// The dtype to compute in, to which elements are converted whatever that loses. By default that of the
    /// elements; sums and products of small integers and of `bool` are taken in `i64` or `u64`.
    pub dtype: Option<DType>,
}

impl Ufunc {
    /// Reduces an array along axes.
    ///
    /// ```
    /// use kjit_runtime::{Array, Engine, EngineOptions, Program, Reduce, Ufunc};
    /// # use std::sync::Arc;
    /// let source = kjit_driver::Source::new("m.k", "ufunc least<T: number>(a: T, b: T) -> T { min(a, b) }");
    /// let program = Arc::new(Program::compile(source).unwrap());
    /// let engine = Engine::new(EngineOptions::default())?;
    /// let least = Ufunc::new(&program, "least")?;
    /// let x = Array::from_vec(vec![3i32, 1, 2, 5, 4, 0], &[2, 3])?;
    /// let rows = Reduce { axis: (-1).into(), keepdims: true, ..Reduce::default() };
    /// let result = least.reduce(&engine, &x, &rows)?;
    /// assert_eq!((result.shape(), result.to_vec::<i32>()?), (&[2, 1][..], vec![1, 0]));
    /// let none = least.reduce(&engine, &Array::zeros(x.dtype(), &[0])?, &Reduce::default());
    /// assert_eq!(
    ///     none.unwrap_err().message,
    ///     "zero-size array to reduction operation least which has no identity"
    /// );
    /// # Ok::<(), kjit_runtime::RuntimeError>(())
    /// ```
    ///
    /// # Errors
    /// The ufunc is not binary or cannot combine its result with an element; axes that are not there or
    /// given twice, or several for a ufunc that is not reorderable; no elements (or a mask) without identity
    /// and `initial`.
    pub fn reduce(&self, engine: &Engine, x: &Array, options: &Reduce) -> Result<Array> {
        let name = self.name();
        let found = recurrence(self, engine, "reduce", x.dtype(), options.dtype, true)?;
        let dtype = found.dtype;
        let reduced = resolve_axes(&format_args!("{name}.reduce"), &options.axis, x)?;
        if !found.reorderable && reduced.iter().filter(|r| **r).count() > 1 {
            return Err(RuntimeError::value(format!(
                "reduction operation {name} is not reorderable, so at most one axis may be specified"
            ))
            .help("declare an identity if its arguments may be regrouped, or reduce axis by axis"));
        }
        let given = (options.initial.as_ref())
            .map(|arg| initial(self, arg, dtype))
            .transpose()?;
        let mask = options
            .where_
            .map(|mask| mask_of(name, mask, x))
            .transpose()?;
        let parts = Split::of(x, &reduced);
        let empty = parts.rows.0.contains(&0);
        // What results are without elements.
        let neutral = match empty || mask.is_some() {
            true => identity(self, dtype)?,
            false => None,
        };
        let start = given.as_ref().or(neutral.as_ref());
        if mask.is_some() && start.is_none() {
            return Err(RuntimeError::value(format!(
                "reduction operation {name} does not have an identity, so to use a where mask one has to \
                 specify initial"
            ))
            .help("add initial = .., or declare an identity"));
        }
        let kept = checked_size(&parts.kept.0, dtype.size())?;
        if empty && start.is_none() && kept > 0 {
            return Err(RuntimeError::value(format!(
                "zero-size array to reduction operation {name} which has no identity"
            ))
            .help("add initial = .., or reduce an array with at least one element"));
        }
        let plan = Plan {
            engine,
            found: &found,
            x,
            reduced: &reduced,
            parts,
            kept,
            empty,
            given: given.as_deref(),
            start: start.map(Vec::as_slice),
            mask: mask.as_ref(),
            keepdims: options.keepdims,
        };
        #[cfg(feature = "gpu")]
        if engine.options().target == Target::Gpu && !empty && kept > 0 {
            if found.flagged.is_some() {
                // The same bits raise the same flags.
                plan.judge(name, &plan.on_host()?.1)?;
            }
            return plan.on_device(self);
        }
        let (result, report) = plan.on_host()?;
        plan.judge(name, &report)?;
        Ok(result)
    }

    /// As [`Ufunc::reduce`], to an array that is there already.
    ///
    /// # Errors
    /// Also when the output has another shape, or a dtype that the result does not go into. Then nothing is
    /// written.
    pub fn reduce_into(
        &self,
        engine: &Engine,
        x: &Array,
        options: &Reduce,
        out: &mut Array,
    ) -> Result<()> {
        let result = self.reduce(engine, x, options)?;
        deliver(&format!("{}.reduce", self.name()), result, out)
    }
}

/// A reduction, checked.
struct Plan<'a> {
    engine: &'a Engine,
    found: &'a Loop,
    x: &'a Array,
    reduced: &'a [bool],
    parts: Split,
    /// How many results there are.
    kept: usize,
    /// Are they made of no elements?
    empty: bool,
    /// What is combined with each result, and what it is if no element is selected.
    given: Option<&'a [u8]>,
    start: Option<&'a [u8]>,
    mask: Option<&'a Array>,
    keepdims: bool,
}

impl Plan<'_> {
    fn judge(&self, name: &str, report: &FpeReport) -> Result<()> {
        if report.is_empty() {
            return Ok(());
        }
        let mode = self.engine.options().fpe;
        self.engine.judge(&format!("{name}.reduce"), report, mode)
    }

    #[cfg(feature = "gpu")]
    fn on_device(&self, ufunc: &Ufunc) -> Result<Array> {
        let scalar = |bytes: &[u8]| {
            Array::from_buffer(HostBuffer::from_bytes(bytes)?, self.found.dtype, &[])
        };
        let given = self.given.map(scalar).transpose()?;
        let start = self.start.map(scalar).transpose()?;
        let device = device::OnDevice {
            engine: self.engine,
            ufunc,
            found: self.found,
        };
        let (given, start) = (given.as_ref(), start.as_ref());
        let result = device.reduce(self.x, self.reduced, given, start, self.mask)?;
        let axes = self.reduced.iter().zip(self.x.shape());
        let shape: Vec<usize> = axes
            .filter(|(reduced, _)| self.keepdims || !**reduced)
            .map(|(reduced, n)| if *reduced { 1 } else { *n })
            .collect();
        device::kept_dims(result, &shape)
    }

    fn on_host(&self) -> Result<(Array, FpeReport)> {
        let (dtype, kept) = (self.found.dtype, self.kept);
        let (size, parts) = (dtype.size(), &self.parts);
        let x = self.x.to_host()?;
        let began = Instant::now();
        let order = match self.mask {
            Some(_) => Order::C,
            None => Order::Any,
        };
        let source = Source::new(&x, dtype, parts.kept(), parts.rows(), order)?;
        let mask = match self.mask {
            Some(mask) => {
                let split = Split::of(mask, self.reduced);
                Some(Source::new(
                    mask,
                    DType::Bool,
                    split.kept(),
                    split.rows(),
                    Order::C,
                )?)
            }
            None => None,
        };
        let mut buffer = HostBuffer::zeroed(kept * size)?;
        let mut present = vec![1u8; if mask.is_some() { kept } else { 0 }];
        let combine = self.found.combine(self.engine)?;
        let work = Work {
            plan: self,
            source: &source,
            mask: mask.as_ref(),
            combine: &*combine,
            out: buffer.as_mut_ptr(),
            present: present.as_mut_ptr(),
        };
        // SAFETY: the places have room for all columns.
        unsafe { work.run(None)? };
        let mut report = FpeReport::none(kept);
        if combine.take_flags() != 0 {
            // Once more, result by result, to see which ones.
            let mut flags = HostBuffer::zeroed(kept)?;
            for (column, flag) in flags.as_mut_slice().iter_mut().enumerate() {
                // SAFETY: as above.
                unsafe { work.run(Some(column))? };
                *flag = combine.take_flags();
            }
            let strides: Few<isize> = (source.out_strides.iter())
                .map(|step| step / size as isize)
                .collect();
            report = FpeReport::of(&parts.result(flags, DType::U8, &strides, self.keepdims)?)?;
        }
        self.engine.record(began, x.nbytes(), kept * size);
        let result = parts.result(buffer, dtype, &source.out_strides, self.keepdims)?;
        Ok((result, report))
    }
}

/// The work of a reduction on the host.
struct Work<'a> {
    plan: &'a Plan<'a>,
    source: &'a Source,
    mask: Option<&'a Source>,
    combine: &'a dyn Combine,
    out: *mut u8,
    /// For each column, does the mask select anything? Without a mask nothing is there.
    present: *mut u8,
}

impl Work<'_> {
    /// Reduces all columns, or one of them.
    ///
    /// # Safety
    /// `out` is aligned and has room for an element of each column, `present` for a byte; nobody else uses them.
    unsafe fn run(&self, column: Option<usize>) -> Result<()> {
        let (plan, combine) = (self.plan, self.combine);
        let columns = column.map_or(0..plan.kept, |column| column..column + 1);
        let size = plan.found.dtype.size();
        let (out, n) = (self.out.wrapping_add(columns.start * size), columns.len());
        let fill = |value: &[u8], to: *mut u8, n: usize| {
            // SAFETY: there is room for so many elements.
            unsafe { copy_block(size, (value.as_ptr(), 0), (to, size as isize), n) }
        };
        if n == 0 {
            return Ok(());
        }
        if let (true, Some(start)) = (plan.empty, plan.start) {
            fill(start, out, n);
            return Ok(());
        }
        let sequence = |start| match plan.found.reorderable {
            true => Grouping::Tree,
            false => Grouping::Sequence(start),
        };
        let scheduler = &plan.engine.scheduler;
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(mask) = self.mask {
                let fold = MaskedFold {
                    source: self.source,
                    mask,
                    combine,
                    grouping: sequence(plan.start),
                };
                fold.run_all(columns.clone(), scheduler, self.out, self.present)?;
            } else {
                let fold = Fold {
                    source: self.source,
                    combine,
                    grouping: sequence(plan.given),
                };
                match column {
                    None => fold.run_all(scheduler, out)?,
                    Some(_) => fold.run_one(columns.clone(), out)?,
                }
            }
        }
        if !plan.found.reorderable {
            return Ok(());
        }
        let present = |column: usize| match self.mask {
            // SAFETY: a byte for each column.
            Some(_) => unsafe { *self.present.add(column) != 0 },
            None => true,
        };
        if let Some(given) = plan.given
            && (n > 1 || present(columns.start))
        {
            let mut first = HostBuffer::zeroed(n * size)?;
            fill(given, first.as_mut_ptr(), n);
            // SAFETY: as many elements in both.
            unsafe { combine.rows(first.as_ptr(), out, out, n)? };
        }
        if let (Some(start), Some(_)) = (plan.start, self.mask) {
            for column in columns.filter(|column| !present(*column)) {
                fill(start, self.out.wrapping_add(column * size), 1);
            }
        }
        Ok(())
    }
}

/// The mask, broadcast to the operand.
fn mask_of(name: &str, mask: &Array, x: &Array) -> Result<Array> {
    if mask.dtype() != DType::Bool {
        return Err(RuntimeError::dtype(format!(
            "{name}.reduce: where is {}, and must be bool",
            mask.dtype()
        ))
        .help("compare it with something, as in mask != 0"));
    }
    mask.to_host()?.broadcast_to(x.shape()).map_err(|_| {
        RuntimeError::shape(format!(
            "{name}.reduce: where of shape {} does not broadcast to the operand's {}",
            format_shape(mask.shape()),
            format_shape(x.shape())
        ))
        .help("aligned from the right, its extents must be equal or 1")
    })
}

/// An array's axes, as those that stay and those that are worked off.
pub(super) struct Split {
    kept: (Few<usize>, Few<isize>),
    rows: (Few<usize>, Few<isize>),
    reduced: Few<bool>,
}

impl Split {
    pub(super) fn of(x: &Array, reduced: &[bool]) -> Split {
        let part = |wanted: bool| {
            let axes = || (0..x.ndim()).filter(|a| reduced[*a] == wanted);
            let shape = axes().map(|a| x.shape()[a]).collect();
            (shape, axes().map(|a| x.strides()[a]).collect())
        };
        Split {
            kept: part(false),
            rows: part(true),
            reduced: reduced.into(),
        }
    }

    pub(super) fn kept(&self) -> (&[usize], &[isize]) {
        (&self.kept.0, &self.kept.1)
    }

    pub(super) fn rows(&self) -> (&[usize], &[isize]) {
        (&self.rows.0, &self.rows.1)
    }

    /// The columns' results as an array.
    fn result(
        &self,
        buffer: HostBuffer,
        dtype: DType,
        strides: &[isize],
        keepdims: bool,
    ) -> Result<Array> {
        let mut axes = self.kept.0.iter().zip(strides);
        let mut shape: Few<usize> = Few::new();
        let mut steps: Few<isize> = Few::new();
        for reduced in &self.reduced {
            if *reduced && keepdims {
                shape.push(1);
                steps.push(dtype.size() as isize);
            } else if !reduced && let Some((extent, step)) = axes.next() {
                shape.push(*extent);
                steps.push(*step);
            }
        }
        Array::from_storage(Storage::Host(Arc::new(buffer)), dtype, &shape, &steps, 0)
    }
}
