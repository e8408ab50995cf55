//! Methods on a device.
//!
//! Reductions with reorderable ufuncs run on the tree of [`crate::tree`], as on the host; folds, running
//! results and listed positions are kernels in which each invocation works off a whole row
//! (`kjit_ir::skeleton`). Which positions a list names is sorted out on the host.

use super::loops::Loop;
use crate::device::{Device, GufuncOut};
use crate::{Array, Engine, KernelSpec, Result, SliceIndex, Stats, Storage, Ufunc};
use kjit_ir::{DType, FusedExpr, FusedNode, FusedOp, Loc, Scalar, skeleton};
use std::ops::Range;

/// A method's loop on a device.
pub(super) struct OnDevice<'a> {
    pub engine: &'a Engine,
    pub ufunc: &'a Ufunc,
    pub found: &'a Loop,
}

impl OnDevice<'_> {
    /// Reduces the axes that `reduced` marks; there are elements along them and results. `given` is combined
    /// with the result, `start` is it where the mask selects nothing.
    pub fn reduce(
        &self,
        x: &Array,
        reduced: &[bool],
        given: Option<&Array>,
        start: Option<&Array>,
        mask: Option<&Array>,
    ) -> Result<Array> {
        let axes: Vec<usize> = (0..x.ndim()).filter(|a| reduced[*a]).collect();
        let kept: Vec<usize> = (0..x.ndim()).filter(|a| !reduced[*a]).collect();
        let shape: Vec<usize> = kept.iter().map(|a| x.shape()[*a]).collect();
        if !self.found.reorderable {
            return self.fold(x, &axes, &kept, given, start, mask);
        }
        let (device, mut stats) = (Device::global()?, Stats::default());
        let combine = self.found.kernel.function();
        let fast = self.engine.options().fast;
        let (mut result, present) = match mask {
            None => {
                let x = self.cast(x)?;
                let inputs = std::slice::from_ref(&x);
                let (shape, stats) = (x.shape(), &mut stats);
                let one = device.reduce_axes(None, combine, inputs, shape, &axes, fast, stats)?;
                (one, None)
            }
            Some(mask) => {
                let (x, pair) = (self.cast(x)?, skeleton::optional(combine));
                let map = self.kernel(FusedExpr {
                    inputs: vec![x.dtype(), DType::Bool],
                    nodes: vec![node(FusedOp::Input(0), &[]), node(FusedOp::Input(1), &[])],
                    outputs: vec![(0, 0), (1, 0)],
                })?;
                let (inputs, shape) = ([x.clone(), mask.clone()], x.shape());
                let map = map.function();
                let mut both =
                    device.reduce_all(map, &pair, &inputs, shape, &axes, fast, &mut stats)?;
                let present = both.pop();
                (both.remove(0), present)
            }
        };
        self.engine.stats.add(&stats);
        if let Some(given) = given {
            let inputs = [given.clone(), result];
            let kernel = &self.found.kernel;
            let dtypes = [self.found.dtype];
            result = (self.engine.call(kernel, &inputs, &shape, &dtypes)?).remove(0);
        }
        self.selected(result, present, start, &shape)
    }

    /// Reduces from left to right, each result by one invocation.
    fn fold(
        &self,
        x: &Array,
        axes: &[usize],
        kept: &[usize],
        given: Option<&Array>,
        start: Option<&Array>,
        mask: Option<&Array>,
    ) -> Result<Array> {
        let x = self.cast(x)?;
        let row = |array: &Array| match axes {
            [] => with_axes(array, kept, None),
            axes => with_axes(array, kept, axes.first().copied()),
        };
        let all;
        let mask_or_all = match mask {
            Some(mask) => mask,
            None => {
                all = Array::scalar(Scalar::bool(true)).broadcast_to(x.shape())?;
                &all
            }
        };
        let first = if mask.is_some() { start } else { given };
        let zero = Array::scalar(Scalar::zero(self.found.dtype));
        let started = Array::scalar(Scalar::bool(first.is_some()));
        let shape: Vec<usize> = kept.iter().map(|a| x.shape()[*a]).collect();
        let n: usize = axes.iter().map(|a| x.shape()[*a]).product();
        let inputs = [
            first.unwrap_or(&zero).clone(),
            started,
            row(&x)?,
            row(mask_or_all)?,
        ];
        let outs = [new(self.found.dtype), new(DType::Bool)];
        let kernel = skeleton::fold(self.found.kernel.function());
        let mut results = self.run(&kernel, &inputs, &shape, &[n], &outs)?;
        let present = results.pop().filter(|_| mask.is_some());
        self.selected(results.remove(0), present, start, &shape)
    }

    /// All the results on the way along an axis.
    pub fn accumulate(&self, x: &Array, axis: usize) -> Result<Array> {
        let x = self.cast(x)?;
        let kept: Vec<usize> = (0..x.ndim()).filter(|a| *a != axis).collect();
        let shape: Vec<usize> = kept.iter().map(|a| x.shape()[*a]).collect();
        let n = x.shape()[axis];
        let kernel = skeleton::scan(self.found.kernel.function());
        let inputs = [with_axes(&x, &kept, Some(axis))?];
        let result =
            (self.run(&kernel, &inputs, &shape, &[n], &[new(self.found.dtype)])?).remove(0);
        // The axis comes back to its place.
        let last = result.ndim() - 1;
        let order: Vec<usize> = (0..axis).chain([last]).chain(axis..last).collect();
        let (shape, strides): (Vec<usize>, Vec<isize>) = order
            .iter()
            .map(|a| (result.shape()[*a], result.strides()[*a]))
            .unzip();
        view(&result, &shape, &strides)
    }

    /// A reduction of each slice of an axis.
    pub fn reduceat(&self, x: &Array, axis: usize, slices: &[Range<usize>]) -> Result<Array> {
        let mut shape = x.shape().to_vec();
        shape[axis] = slices.len();
        let mut result = Array::zeros(self.found.dtype, &shape)?;
        let reduced: Vec<bool> = (0..x.ndim()).map(|a| a == axis).collect();
        let mut index = vec![SliceIndex::ALL; axis + 1];
        for (n, slice) in slices.iter().enumerate() {
            index[axis] = SliceIndex::Range {
                start: Some(slice.start as i64),
                end: Some(slice.end as i64),
                step: 1,
            };
            let part = self.reduce(&x.slice(&index)?, &reduced, None, None, None)?;
            index[axis] = SliceIndex::At(n as i64);
            result.assign(&index, &part)?;
        }
        Ok(result)
    }

    /// Runs a kernel with core dimensions.
    fn run(
        &self,
        kernel: &kjit_ir::Function,
        inputs: &[Array],
        shape: &[usize],
        extents: &[usize],
        outs: &[GufuncOut],
    ) -> Result<Vec<Array>> {
        run(self.engine, kernel, inputs, shape, extents, outs)
    }

    /// In the dtype of the loop, whatever that loses.
    fn cast(&self, x: &Array) -> Result<Array> {
        cast(self.engine, self.ufunc, x, self.found.dtype)
    }

    fn kernel(&self, expr: FusedExpr) -> Result<std::sync::Arc<crate::cache::Kernel>> {
        let spec = KernelSpec::Fused(expr);
        self.engine.kernel(self.ufunc.program(), &spec)
    }

    /// The result where there is one, else what the reduction starts from.
    fn selected(
        &self,
        result: Array,
        present: Option<Array>,
        start: Option<&Array>,
        shape: &[usize],
    ) -> Result<Array> {
        let (Some(present), Some(start)) = (present, start) else {
            return Ok(result);
        };
        let dtype = self.found.dtype;
        let args = [(0, 0), (1, 0), (2, 0)];
        let expr = FusedExpr {
            inputs: vec![DType::Bool, dtype, dtype],
            nodes: vec![
                node(FusedOp::Input(0), &[]),
                node(FusedOp::Input(1), &[]),
                node(FusedOp::Input(2), &[]),
                node(FusedOp::Call("select".to_string(), vec![dtype]), &args),
            ],
            outputs: vec![(3, 0)],
        };
        let kernel = self.kernel(expr)?;
        let inputs = [present, result, start.clone()];
        Ok((self.engine.call(&kernel, &inputs, shape, &[dtype])?).remove(0))
    }
}

/// Applies a kernel to rows of `target` at positions of its first axis, in the order of the list. All dtypes are
/// the target's but for `values`, which has the kernel's and the shape of the list followed by the other axes.
pub(super) fn at(
    engine: &Engine,
    kernel: &kjit_ir::Function,
    target: &mut Array,
    positions: &[usize],
    values: Option<&Array>,
) -> Result<()> {
    let mut list: Vec<i64> = (0..positions.len() as i64).collect();
    list.sort_by_key(|p| positions[*p as usize]);
    let (mut rows, mut lo, mut hi) = (Vec::new(), Vec::new(), Vec::new());
    for (n, p) in list.iter().enumerate() {
        let row = positions[*p as usize];
        if rows.last() != Some(&row) {
            rows.push(row);
            lo.push(n as i64);
            hi.push(n as i64);
        }
        if let Some(end) = hi.last_mut() {
            *end += 1;
        }
    }
    let mut whole = target.to_contiguous()?;
    let bytes = whole.bytes().unwrap_or_default();
    let row_bytes = bytes.len() / target.shape()[0];
    let mut old = Vec::with_capacity(rows.len() * row_bytes);
    for row in &rows {
        old.extend_from_slice(&bytes[row * row_bytes..(row + 1) * row_bytes]);
    }
    let mut shape = target.shape().to_vec();
    shape[0] = rows.len();
    let old = Array::from_buffer(crate::HostBuffer::from_bytes(&old)?, target.dtype(), &shape)?;
    let mut per_row = vec![1; shape.len()];
    per_row[0] = rows.len();
    let mut inputs = vec![
        old,
        Array::from_vec(list, &[positions.len()])?,
        Array::from_vec(lo, &per_row)?,
        Array::from_vec(hi, &per_row)?,
    ];
    if let Some(values) = values {
        let axes: Vec<usize> = (1..values.ndim()).collect();
        inputs.push(with_axes(values, &axes, Some(0))?);
    }
    let kernel = skeleton::at(kernel);
    let outs = [new(target.dtype())];
    let result = run(engine, &kernel, &inputs, &shape, &[positions.len()], &outs)?;
    let result = result[0].to_contiguous()?;
    let new = result.bytes().unwrap_or_default();
    let bytes = whole.bytes_mut()?;
    for (n, row) in rows.iter().enumerate() {
        let from = &new[n * row_bytes..(n + 1) * row_bytes];
        bytes[row * row_bytes..(row + 1) * row_bytes].copy_from_slice(from);
    }
    target.assign(&[], &whole)
}

fn run(
    engine: &Engine,
    kernel: &kjit_ir::Function,
    inputs: &[Array],
    shape: &[usize],
    extents: &[usize],
    outs: &[GufuncOut],
) -> Result<Vec<Array>> {
    let mut stats = Stats::default();
    let fast = engine.options().fast;
    let kernels = std::slice::from_ref(kernel);
    let results = Device::global()?.gufunc(kernels, inputs, shape, extents, outs, fast, &mut stats);
    engine.stats.add(&stats);
    results
}

/// In another dtype, converted on the device.
pub(super) fn cast(engine: &Engine, ufunc: &Ufunc, x: &Array, dtype: DType) -> Result<Array> {
    if x.dtype() == dtype {
        return Ok(x.clone());
    }
    let expr = FusedExpr {
        inputs: vec![x.dtype()],
        nodes: vec![
            node(FusedOp::Input(0), &[]),
            node(FusedOp::Cast(dtype), &[(0, 0)]),
        ],
        outputs: vec![(1, 0)],
    };
    let (inputs, spec) = ([x.clone()], KernelSpec::Fused(expr));
    let mut results = engine.elementwise(ufunc.program(), &spec, &inputs, x.shape(), &[dtype])?;
    Ok(results.remove(0))
}

fn node(op: FusedOp, args: &[(usize, usize)]) -> FusedNode {
    FusedNode {
        op,
        args: args.to_vec(),
        loc: Loc::default(),
    }
}

fn new(dtype: DType) -> GufuncOut {
    GufuncOut {
        dtype,
        initial: None,
    }
}

/// A view with some of the axes, in this order, and one more behind them (without it: one of a single element).
fn with_axes(array: &Array, axes: &[usize], last: Option<usize>) -> Result<Array> {
    let pick = |a: &usize| (array.shape()[*a], array.strides()[*a]);
    let last = last.map_or((1, array.dtype().size() as isize), |a| pick(&a));
    let (shape, strides): (Vec<usize>, Vec<isize>) = axes.iter().map(pick).chain([last]).unzip();
    view(array, &shape, &strides)
}

/// The same memory with other axes.
fn view(array: &Array, shape: &[usize], strides: &[isize]) -> Result<Array> {
    let (storage, offset) = (array.storage().clone(), array.offset());
    Array::from_storage(storage, array.dtype(), shape, strides, offset)
}

/// A result without the reduced axes, with them again.
pub(super) fn kept_dims(result: Array, shape: &[usize]) -> Result<Array> {
    match result.storage() {
        Storage::Device(device) => Array::from_device(device.clone(), result.dtype(), shape),
        Storage::Host(_) => result.reshape(shape),
    }
}
