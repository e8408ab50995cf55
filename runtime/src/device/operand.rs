//! How arrays are bound: axes coalesced, access classes, element strides, byte ranges.

use super::Shared;
use super::buffer::DeviceBuffer;
use crate::{Array, DeviceStorage, HostBuffer, Result, RuntimeError, Stats, Storage};
use kjit_ir::{Access, DType};
use std::sync::Arc;
use std::time::Instant;

/// Device memory that an operand lives in.
#[derive(Clone)]
pub(super) enum Memory {
    /// Uploaded for this call.
    Uploaded(Arc<DeviceBuffer>),
    /// An array that is on the device already.
    Resident(Arc<dyn DeviceStorage>),
}

impl Memory {
    pub(super) fn buffer(&self) -> Result<&DeviceBuffer> {
        match self {
            Memory::Uploaded(buffer) => Ok(buffer),
            Memory::Resident(storage) => storage
                .as_any()
                .downcast_ref()
                .ok_or_else(|| RuntimeError::internal("an array of another device layer")),
        }
    }
}

/// An array as one operand of a launch.
#[derive(Clone)]
pub(super) struct Operand {
    /// `None` for an index, which the shader computes from its strides.
    pub(super) memory: Option<Memory>,
    pub(super) dtype: DType,
    /// Byte in the buffer of the element with index zero.
    pub(super) offset: usize,
    /// Element strides along the nest's axes.
    pub(super) strides: Vec<i64>,
    /// Element strides along its core axes.
    pub(super) core: Vec<i64>,
    /// Lowest and highest element, relative to the one with index zero, where the nest's axes do not
    /// tell: of operands with core axes.
    pub(super) span: Option<(i64, i64)>,
    pub(super) access: Access,
}

/// The axes that all operands share.
pub(super) struct Nest {
    pub(super) shape: Vec<usize>,
    pub(super) operands: Vec<Operand>,
    pub(super) size: usize,
    /// How many of the axes, the first ones, are those of the outputs of a reduction.
    pub(super) kept: usize,
}

impl Nest {
    /// Inputs (broadcast) and outputs over `shape`, with as few axes as they allow.
    pub(super) fn new(
        shared: &Arc<Shared>,
        inputs: &[Array],
        outs: &[Array],
        shape: &[usize],
        stats: &mut Stats,
    ) -> Result<Nest> {
        let start = Instant::now();
        let mut operands = place_all(shared, inputs, &|_| shape.to_vec())?;
        for array in outs {
            operands.push(place(shared, array, shape)?);
        }
        stats.transfer += start.elapsed();
        Ok(Nest::over(shape, operands, 0))
    }

    /// Operands that are there, over `shape`; the first `kept` axes stay apart from the others.
    pub(super) fn over(shape: &[usize], mut operands: Vec<Operand>, kept: usize) -> Nest {
        let (shape, kept) = coalesce(shape, &mut operands, kept);
        let contiguous = c_order(&shape);
        for operand in &mut operands {
            let lean = operand.core.is_empty() && operand.memory.is_some();
            operand.access = if lean && kept == 0 && operand.strides == contiguous {
                Access::Contiguous
            } else if operand.strides.iter().all(|s| *s == 0) {
                Access::Uniform
            } else {
                Access::Strided
            };
        }
        Nest {
            size: shape.iter().product(),
            shape,
            operands,
            kept,
        }
    }

    /// Lowest and highest element of an operand, relative to the one with index zero.
    pub(super) fn extent(&self, operand: &Operand) -> (i64, i64) {
        operand
            .span
            .unwrap_or_else(|| span(&self.shape, &operand.strides))
    }
}

/// Lowest and highest element, relative to the one with index zero.
pub(super) fn span(shape: &[usize], strides: &[i64]) -> (i64, i64) {
    let mut extent = (0, 0);
    for (stride, n) in strides.iter().zip(shape) {
        let span = stride * (*n as i64 - 1).max(0);
        if span < 0 {
            extent.0 += span;
        } else {
            extent.1 += span;
        }
    }
    extent
}

/// Brings inputs to the device, each broadcast to a shape; one that is given twice is uploaded once.
pub(super) fn place_all(
    shared: &Arc<Shared>,
    inputs: &[Array],
    shape: &dyn Fn(usize) -> Vec<usize>,
) -> Result<Vec<Operand>> {
    let mut operands: Vec<Operand> = Vec::with_capacity(inputs.len());
    for (n, array) in inputs.iter().enumerate() {
        let same = |m: &usize| same_view(array, &inputs[*m]) && shape(*m) == shape(n);
        operands.push(match (0..n).find(same) {
            Some(first) => operands[first].clone(),
            None => place(shared, array, &shape(n))?,
        });
    }
    Ok(operands)
}

/// Are they the same elements of the same memory?
fn same_view(a: &Array, b: &Array) -> bool {
    let memory = match (a.storage(), b.storage()) {
        (Storage::Host(a), Storage::Host(b)) => Arc::ptr_eq(a, b),
        _ => false,
    };
    memory
        && a.dtype() == b.dtype()
        && a.offset() == b.offset()
        && a.shape() == b.shape()
        && a.strides() == b.strides()
}

/// Element strides of a C-ordered array; axes of one element take no steps.
fn c_order(shape: &[usize]) -> Vec<i64> {
    let mut strides = vec![0; shape.len()];
    let mut step = 1;
    for (stride, n) in strides.iter_mut().zip(shape).rev() {
        *stride = if *n == 1 { 0 } else { step };
        step *= *n as i64;
    }
    strides
}

/// Brings an array to the device and broadcasts it.
pub(super) fn place(shared: &Arc<Shared>, array: &Array, shape: &[usize]) -> Result<Operand> {
    let size = array.dtype().size();
    if array.size() == 0 {
        // Nothing is read, but something has to be bound.
        let nothing = Memory::Uploaded(Arc::new(shared.upload(&[0; 16])?));
        return operand(array, shape, nothing, 0);
    }
    let whole = array.offset().is_multiple_of(size)
        && array
            .strides()
            .iter()
            .all(|s| s.unsigned_abs().is_multiple_of(size));
    if let Storage::Device(storage) = array.storage()
        && whole
    {
        let memory = Memory::Resident(storage.clone());
        if !memory.buffer()?.belongs_to(shared) {
            return Err(RuntimeError::device(format!(
                "an array belongs to another device than {}",
                shared.name
            )));
        }
        return operand(array, shape, memory, array.offset());
    }
    // A view is uploaded with the gaps between its elements, unless it is mostly gaps.
    let (low, high) = bytes_of(array);
    let dense = whole && array.is_host() && (high - low) / 2 <= array.nbytes();
    let mut host = if dense {
        array.clone()
    } else {
        array.to_contiguous()?
    };
    if !host.offset().is_multiple_of(size) {
        // Contiguous, but its elements straddle the words that shaders read.
        let bytes = host
            .bytes()
            .ok_or_else(|| RuntimeError::internal("a copy on the host is not on the host"))?;
        let copy = HostBuffer::from_bytes(bytes)?;
        host = Array::from_buffer(copy, host.dtype(), host.shape())?;
    }
    let (low, high) = bytes_of(&host);
    let Storage::Host(buffer) = host.storage() else {
        return Err(RuntimeError::internal(
            "a copy on the host is not on the host",
        ));
    };
    // From a multiple of the largest element on, so that elements keep their alignment.
    let low = low / 16 * 16;
    let uploaded = shared.upload(&buffer.as_slice()[low..high])?;
    let offset = host.offset() - low;
    operand(&host, shape, Memory::Uploaded(Arc::new(uploaded)), offset)
}

/// First and one past the last byte of an array's elements in its storage.
fn bytes_of(array: &Array) -> (usize, usize) {
    let (mut low, mut high) = (array.offset() as isize, array.offset() as isize);
    for (n, stride) in array.shape().iter().zip(array.strides()) {
        let span = stride * (*n as isize - 1);
        if span < 0 {
            low += span;
        } else {
            high += span;
        }
    }
    (low as usize, high as usize + array.dtype().size())
}

fn operand(array: &Array, shape: &[usize], memory: Memory, offset: usize) -> Result<Operand> {
    let view = array.broadcast_to(shape)?;
    let size = array.dtype().size() as i64;
    let strides = view
        .strides()
        .iter()
        .zip(shape)
        .map(|(s, n)| if *n == 1 { 0 } else { *s as i64 / size })
        .collect();
    Ok(Operand {
        memory: Some(memory),
        dtype: array.dtype(),
        offset,
        strides,
        core: Vec::new(),
        span: None,
        access: Access::Strided,
    })
}

/// Merges neighbouring axes that every operand walks as one; drops axes of one element. The first `kept`
/// axes do not merge with those behind; how many are left of them comes back too.
pub(super) fn coalesce(
    shape: &[usize],
    operands: &mut [Operand],
    kept: usize,
) -> (Vec<usize>, usize) {
    let mut axes: Vec<usize> = Vec::new();
    let mut first = 0;
    let mut strides: Vec<Vec<i64>> = vec![Vec::new(); operands.len()];
    for (axis, n) in shape.iter().enumerate() {
        if axis == kept {
            first = axes.len();
        }
        if *n == 1 {
            continue;
        }
        let alone = axes.len() == if axis < kept { 0 } else { first };
        let merges = !alone
            && operands
                .iter()
                .zip(&strides)
                .all(|(o, s)| s.last() == Some(&(o.strides[axis] * *n as i64)));
        if merges {
            if let Some(last) = axes.last_mut() {
                *last *= n;
            }
            for (operand, strides) in operands.iter().zip(&mut strides) {
                if let Some(last) = strides.last_mut() {
                    *last = operand.strides[axis];
                }
            }
        } else {
            axes.push(*n);
            for (operand, strides) in operands.iter().zip(&mut strides) {
                strides.push(operand.strides[axis]);
            }
        }
    }
    if kept == shape.len() {
        first = axes.len();
    }
    if axes.is_empty() {
        axes.push(1);
        strides.iter_mut().for_each(|s| s.push(0));
    }
    for (operand, strides) in operands.iter_mut().zip(strides) {
        operand.strides = strides;
    }
    (axes, first)
}
