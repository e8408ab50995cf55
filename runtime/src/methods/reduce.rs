//! `reduce`: elements along axes become one.

use super::deliver;
#[cfg(feature = "gpu")]
use super::device;
use super::fold::{Fold, Grouping};
use super::loops::{Axis, identity, initial, recurrence, resolve_axes};
use super::masked::MaskedFold;
use super::source::Source;
#[cfg(feature = "gpu")]
use crate::Target;
use crate::array::Storage;
use crate::broadcast::{checked_size, format_shape};
use crate::dtype::cast::copy_block;
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
        #[cfg(feature = "gpu")]
        if engine.options().target == Target::Gpu && !empty && kept > 0 {
            let scalar =
                |bytes: &Vec<u8>| Array::from_buffer(HostBuffer::from_bytes(bytes)?, dtype, &[]);
            let given = given.as_ref().map(scalar).transpose()?;
            let start = start.map(scalar).transpose()?;
            let device = device::OnDevice {
                engine,
                ufunc: self,
                found: &found,
            };
            let (given, start) = (given.as_ref(), start.as_ref());
            let result = device.reduce(x, &reduced, given, start, mask.as_ref())?;
            let axes = reduced.iter().zip(x.shape());
            let shape: Vec<usize> = axes
                .filter(|(reduced, _)| options.keepdims || !**reduced)
                .map(|(reduced, n)| if *reduced { 1 } else { *n })
                .collect();
            return device::kept_dims(result, &shape);
        }
        let x = x.to_host()?;
        let began = Instant::now();
        let order = if mask.is_some() { Order::C } else { Order::Any };
        let source = Source::new(&x, dtype, parts.kept(), parts.rows(), order)?;
        let mut buffer = HostBuffer::zeroed(kept * dtype.size())?;
        let out = buffer.as_mut_ptr();
        let (size, step) = (dtype.size(), dtype.size() as isize);
        let combine = found.combine(engine)?;
        let fill = |value: &[u8]| {
            // SAFETY: `out` has room for `kept` elements, as it has for all that follows.
            unsafe { copy_block(size, (value.as_ptr(), 0), (out, step), kept) }
        };
        let mut present = vec![1u8; if mask.is_some() { kept } else { 0 }];
        if kept == 0 {
        } else if let (true, Some(start)) = (empty, start) {
            fill(start);
        } else if let Some(mask) = &mask {
            let strides = Split::of(mask, &reduced);
            let mask = Source::new(mask, DType::Bool, strides.kept(), strides.rows(), Order::C)?;
            let fold = MaskedFold {
                source: &source,
                mask: &mask,
                combine: &*combine,
                grouping: match found.reorderable {
                    true => Grouping::Tree,
                    false => Grouping::Sequence(start.map(Vec::as_slice)),
                },
            };
            // SAFETY: see above; a byte for each of them.
            unsafe { fold.run_all(&engine.scheduler, out, present.as_mut_ptr())? };
        } else {
            let fold = Fold {
                source: &source,
                combine: &*combine,
                grouping: match found.reorderable {
                    true => Grouping::Tree,
                    false => Grouping::Sequence(given.as_deref()),
                },
            };
            // SAFETY: see above.
            unsafe { fold.run_all(&engine.scheduler, out)? };
        }
        if found.reorderable && !empty && kept > 0 {
            if let Some(given) = &given {
                let mut first = HostBuffer::zeroed(kept * size)?;
                let from = first.as_mut_ptr();
                // SAFETY: see above; `first` has the same size.
                unsafe {
                    copy_block(size, (given.as_ptr(), 0), (from, step), kept);
                    combine.rows(from, out, out, kept)?;
                }
            }
            if let Some(start) = start {
                for (n, _) in present.iter().enumerate().filter(|(_, p)| **p == 0) {
                    // SAFETY: one of the `kept` elements.
                    unsafe { std::ptr::copy(start.as_ptr(), out.add(n * size), size) };
                }
            }
        }
        engine.record(began, x.nbytes(), kept * size);
        parts.result(buffer, dtype, &source.out_strides, options.keepdims)
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
