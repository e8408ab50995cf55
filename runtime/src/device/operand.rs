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
pub(super) struct Operand {
    pub(super) memory: Memory,
    pub(super) dtype: DType,
    /// Byte in the buffer of the element with index zero.
    pub(super) offset: usize,
    /// Element strides along the nest's axes.
    pub(super) strides: Vec<i64>,
    pub(super) access: Access,
}

/// The axes that all operands share.
pub(super) struct Nest {
    pub(super) shape: Vec<usize>,
    pub(super) operands: Vec<Operand>,
    pub(super) size: usize,
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
        let mut operands = Vec::with_capacity(inputs.len() + outs.len());
        for (n, array) in inputs.iter().enumerate() {
            // An array that is several inputs is uploaded once.
            match inputs[..n].iter().position(|other| same_view(array, other)) {
                Some(first) => {
                    let first: &Operand = &operands[first];
                    operands.push(Operand {
                        memory: first.memory.clone(),
                        strides: first.strides.clone(),
                        ..*first
                    });
                }
                None => operands.push(place(shared, array, shape)?),
            }
        }
        for array in outs {
            operands.push(place(shared, array, shape)?);
        }
        stats.transfer += start.elapsed();
        let shape = coalesce(shape, &mut operands);
        let contiguous = c_order(&shape);
        for operand in &mut operands {
            operand.access = if operand.strides == contiguous {
                Access::Contiguous
            } else if operand.strides.iter().all(|s| *s == 0) {
                Access::Uniform
            } else {
                Access::Strided
            };
        }
        Ok(Nest {
            size: shape.iter().product(),
            shape,
            operands,
        })
    }

    /// Lowest and highest element of an operand, relative to the one with index zero.
    pub(super) fn extent(&self, operand: &Operand) -> (i64, i64) {
        let mut extent = (0, 0);
        for (stride, n) in operand.strides.iter().zip(&self.shape) {
            let span = stride * (*n as i64 - 1);
            if span < 0 {
                extent.0 += span;
            } else {
                extent.1 += span;
            }
        }
        extent
    }
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
fn place(shared: &Arc<Shared>, array: &Array, shape: &[usize]) -> Result<Operand> {
    let size = array.dtype().size();
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
    // From a multiple of 8 on, so that elements keep their alignment.
    let low = low / 8 * 8;
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
        memory,
        dtype: array.dtype(),
        offset,
        strides,
        access: Access::Strided,
    })
}

/// Merges neighbouring axes that every operand walks as one; drops axes of one element.
pub(super) fn coalesce(shape: &[usize], operands: &mut [Operand]) -> Vec<usize> {
    let mut axes: Vec<usize> = Vec::new();
    let mut kept: Vec<Vec<i64>> = vec![Vec::new(); operands.len()];
    for (axis, n) in shape.iter().enumerate() {
        if *n == 1 {
            continue;
        }
        let merges = !axes.is_empty()
            && operands
                .iter()
                .zip(&kept)
                .all(|(o, k)| k.last() == Some(&(o.strides[axis] * *n as i64)));
        if merges {
            if let Some(last) = axes.last_mut() {
                *last *= n;
            }
            for (operand, kept) in operands.iter().zip(&mut kept) {
                if let Some(last) = kept.last_mut() {
                    *last = operand.strides[axis];
                }
            }
        } else {
            axes.push(*n);
            for (operand, kept) in operands.iter().zip(&mut kept) {
                kept.push(operand.strides[axis]);
            }
        }
    }
    if axes.is_empty() {
        axes.push(1);
        kept.iter_mut().for_each(|k| k.push(0));
    }
    for (operand, kept) in operands.iter_mut().zip(kept) {
        operand.strides = kept;
    }
    axes
}
