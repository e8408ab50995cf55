//! Reductions on the device, on the tree of [`crate::reduce`], along any axes.
//!
//! The first pass maps elements and reduces leaves in workgroup memory, 16 of them a workgroup, and
//! leaves of one output as far as a workgroup has them. Each further pass combines up to 2048
//! neighbouring partial results an output (128, where workgroups go along the outputs), until one is
//! left: two passes for up to 33 million elements, three for up to 68 thousand million.

use super::launch::{Dispatch, Launch, arguments};
use super::operand::{Nest, Operand, place_all};
use super::{Device, cast_kernel, copy_kernel};
use crate::broadcast::checked_size;
use crate::{Array, Result, RuntimeError, Stats};
use kjit_driver::wgsl::ReduceParams;
use kjit_ir::{ArrayMode, DType, Function, Opcode};
use std::sync::Arc;
use std::time::Instant;

const LEAF: usize = ReduceParams::LEAF as usize;
const UNITS: usize = ReduceParams::UNITS as usize;
const PARTIALS: usize = ReduceParams::PARTIALS as usize;
const WORKGROUP: usize = ReduceParams::WORKGROUP as usize;
/// Outputs from which on workgroups go along them, where those are neighbours in memory.
const OUTER: usize = 16;
/// Invocations of a unit of the tree when workgroups go along the outputs.
const OUTER_THREADS: usize = 16;

impl Device {
    /// Reduces what `map` computes for the elements of `shape` (without it: the one input) along
    /// `axes`, with a kernel that combines two values. At least one element must lie along the axes.
    ///
    /// The result, a device array, has the other axes. Where dtypes differ, what `map` computes is
    /// converted to the dtype of `combine`.
    #[expect(
        clippy::too_many_arguments,
        reason = "a map, a reduction, and the engine's own arguments"
    )]
    pub fn reduce_axes(
        &self,
        map: Option<&Function>,
        combine: &Function,
        inputs: &[Array],
        shape: &[usize],
        axes: &[usize],
        fast: bool,
        stats: &mut Stats,
    ) -> Result<Array> {
        stats.calls += 1;
        let copy;
        let map = match (map, inputs) {
            (Some(map), _) => map,
            (None, [input]) => {
                copy = copy_kernel(input.dtype());
                &copy
            }
            (None, _) => return Err(RuntimeError::internal("a reduction of several arrays")),
        };
        let mut results = self.reduce_all(map, combine, inputs, shape, axes, fast, stats)?;
        match (results.pop(), results.is_empty()) {
            (Some(result), true) => Ok(result),
            _ => Err(RuntimeError::internal("a reduction to several values")),
        }
    }

    /// As [`Device::reduce_axes`]; `combine` may have several outputs.
    #[expect(clippy::too_many_arguments, reason = "as above")]
    pub(crate) fn reduce_all(
        &self,
        map: &Function,
        combine: &Function,
        inputs: &[Array],
        shape: &[usize],
        axes: &[usize],
        fast: bool,
        stats: &mut Stats,
    ) -> Result<Vec<Array>> {
        let inputs = &*self.converted(map, inputs, stats)?;
        for input in inputs {
            input.broadcast_strides(shape)?;
        }
        let axis_of = |reduced: bool| {
            let axes = move |axis: &usize| axes.contains(axis) == reduced;
            (0..shape.len()).filter(axes).collect::<Vec<usize>>()
        };
        let (kept, reduced) = (axis_of(false), axis_of(true));
        let extents = |axes: &[usize]| axes.iter().map(|a| shape[*a]).collect::<Vec<usize>>();
        let (kept_shape, reduced_shape) = (extents(&kept), extents(&reduced));
        checked_size(shape, 8)?;
        let outputs: Vec<DType> = outputs(combine).map(|(_, _, dtype)| dtype).collect();
        if kept_shape.contains(&0) {
            return outputs
                .iter()
                .map(|d| Array::zeros(*d, &kept_shape))
                .collect();
        }
        if reduced_shape.contains(&0) {
            return Err(RuntimeError::internal("a reduction of no elements"));
        }
        // A device that counts loop iterations counts them over all elements of an invocation; and a
        // shader knows an element's index only along the axes it reduces.
        let loops = map.insts.iter().any(|i| i.op == Opcode::Loop) && self.0.loop_limit.is_some();
        let is_index = |a: &kjit_ir::ArrayParam| a.mode == ArrayMode::Index;
        let index = map.arrays.iter().any(is_index) && !kept.is_empty();
        if loops || index {
            let dtypes = super::launch::dtypes(map, ArrayMode::Out);
            let mapped = self.map(map, inputs, shape, &dtypes, fast, stats)?;
            let [dtype] = dtypes.as_slice() else {
                return Err(RuntimeError::internal("a reduction of several values"));
            };
            let copy = copy_kernel(*dtype);
            return self.reduce_all(&copy, combine, &mapped, shape, axes, fast, stats);
        }
        let start = Instant::now();
        let mut operands = place_all(&self.0, inputs, &|_| shape.to_vec())?;
        stats.transfer += start.elapsed();
        for operand in &mut operands {
            let order = kept.iter().chain(&reduced);
            operand.strides = order.map(|axis| operand.strides[*axis]).collect();
        }
        let order: Vec<usize> = kept_shape.iter().chain(&reduced_shape).copied().collect();
        let nest = Nest::over(&order, operands, kept_shape.len());
        stats.bytes_read += inputs.iter().map(|a| a.nbytes() as u64).sum::<u64>();
        let count = reduced_shape.iter().product();
        let m = kept_shape.iter().product();
        let partials = self.tree(map, combine, nest, m, count, fast, stats)?;
        partials
            .into_iter()
            .zip(outputs)
            .map(|((buffer, dtype), wanted)| {
                let array = Array::from_device(Arc::new(buffer), dtype, &kept_shape)?;
                self.narrowed(array, wanted, stats)
            })
            .collect()
    }

    /// All passes, over `m` outputs of `count` elements each.
    #[expect(clippy::too_many_arguments, reason = "as above")]
    fn tree(
        &self,
        map: &Function,
        combine: &Function,
        nest: Nest,
        m: usize,
        count: usize,
        fast: bool,
        stats: &mut Stats,
    ) -> Result<Vec<(super::DeviceBuffer, DType)>> {
        let shared = &self.0;
        let outer = goes_along_outputs(&nest, m);
        let operands = inputs_in_order(map);
        let leaves = Launch::new(
            shared,
            map,
            nest,
            operands,
            Some(combine),
            fast.into(),
            stats,
        )?;
        let window = match m {
            1 => leaves.window(),
            _ => usize::MAX,
        };
        let across = match count.div_ceil(LEAF) {
            _ if outer => 1,
            leaves => leaves.next_power_of_two().min(UNITS),
        };
        let mut blocks = count.div_ceil(LEAF * across);
        let word = |n: usize| {
            u32::try_from(n).map_err(|_| {
                RuntimeError::limit(format!(
                    "a reduction of {count} elements for each of {m} results is too large for device {}",
                    self.name()
                ))
                .help("use target cpu or parallel")
            })
        };
        // Every position that a shader computes fits a word.
        word(
            m.saturating_mul(blocks.saturating_mul(across).max(1))
                .saturating_mul(2),
        )?;
        let dtypes: Vec<DType> = leaves.shader().partials.iter().map(|p| p.dtype).collect();
        let allocate = |blocks: usize| -> Result<Vec<super::DeviceBuffer>> {
            let buffer = |d: &DType| shared.allocate(m * blocks * d.size());
            dtypes.iter().map(buffer).collect()
        };
        let mut partials = allocate(blocks)?;
        let mut dispatches = Vec::new();
        for first in (0..count).step_by(window.min(count)) {
            let n = window.min(count - first);
            let own = n.div_ceil(LEAF);
            let blocks = own.div_ceil(across);
            let units = if outer { own * m } else { m * blocks * across };
            dispatches.push(Dispatch {
                first,
                n,
                groups: units.div_ceil(UNITS) as u64,
                reduce: Some([
                    word(n)?,
                    word(m)?,
                    word(own)?,
                    across as u32,
                    word(blocks)?,
                    outer as u32,
                    word(first / (LEAF * across))?,
                ]),
                partials: bound(&leaves.shader().partials, &partials),
            });
        }
        leaves.run(&dispatches, stats)?;
        if blocks > 1 {
            let tree = Launch::tree(shared, combine, fast, stats)?;
            while blocks > 1 {
                let most = if outer { OUTER_THREADS } else { WORKGROUP };
                let across = blocks.div_ceil(PARTIALS).next_power_of_two().min(most);
                let left = blocks.div_ceil(across * PARTIALS);
                let results = allocate(left)?;
                let mut buffers = bound(&tree.shader().sources, &partials);
                buffers.extend(bound(&tree.shader().partials, &results));
                let dispatch = Dispatch {
                    first: 0,
                    n: m * left,
                    groups: (m * left).div_ceil(WORKGROUP / across) as u64,
                    reduce: Some([
                        word(blocks)?,
                        word(m)?,
                        0,
                        across as u32,
                        word(left)?,
                        outer as u32,
                        0,
                    ]),
                    partials: buffers,
                };
                tree.run(&[dispatch], stats)?;
                partials = results;
                blocks = left;
            }
        }
        Ok(partials.into_iter().zip(dtypes).collect())
    }

    /// Results of a reduction in the dtype that was asked for.
    fn narrowed(&self, array: Array, wanted: DType, stats: &mut Stats) -> Result<Array> {
        if array.dtype() == wanted {
            return Ok(array);
        }
        // Of `f16` there are the bits.
        let to = match wanted {
            DType::F16 => DType::U16,
            other => other,
        };
        let kernel = cast_kernel(array.dtype(), to);
        let shape = array.shape().to_vec();
        let inputs = std::slice::from_ref(&array);
        let narrow = self
            .map(&kernel, inputs, &shape, &[to], false, stats)?
            .remove(0);
        Array::from_storage(
            narrow.storage().clone(),
            wanted,
            narrow.shape(),
            narrow.strides(),
            narrow.offset(),
        )
    }
}

/// Buffers with their bindings.
fn bound<'b>(
    bindings: &[kjit_driver::wgsl::PartialBinding],
    buffers: &'b [super::DeviceBuffer],
) -> Vec<(u32, &'b super::DeviceBuffer)> {
    bindings.iter().map(|b| b.binding).zip(buffers).collect()
}

/// Are the outputs' neighbours nearer to each other in memory than the elements of one output?
fn goes_along_outputs(nest: &Nest, m: usize) -> bool {
    let nearest = |strides: &[i64]| {
        let steps = strides.iter().map(|s| s.unsigned_abs());
        steps.filter(|s| *s > 0).min().unwrap_or(u64::MAX)
    };
    let along = |o: &Operand| nearest(&o.strides[..nest.kept]) < nearest(&o.strides[nest.kept..]);
    m >= OUTER && nest.operands.iter().any(along)
}

fn outputs(kernel: &Function) -> impl Iterator<Item = (usize, &kjit_ir::ArrayParam, DType)> {
    arguments(kernel).filter(|(_, a, _)| a.mode == ArrayMode::Out)
}

/// For each array parameter, the operand it is when operands are the inputs in order.
fn inputs_in_order(kernel: &Function) -> Vec<Option<usize>> {
    let mut operands = vec![None; kernel.arrays.len()];
    let inputs = arguments(kernel).filter(|(_, a, _)| a.mode == ArrayMode::In);
    for (n, (array, _, _)) in inputs.enumerate() {
        operands[array] = Some(n);
    }
    operands
}
