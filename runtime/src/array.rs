//! Arrays: typed, strided views of host or device memory.
//!
//! An [`Array`] is a value: cloning and slicing share storage and cost nothing, and writing through
//! one handle is never seen through another (storage that is shared is copied first).

use crate::broadcast::{checked_size, format_shape};
use crate::dtype::cast;
use crate::nest::Few;
use crate::slice::{resolve_at, resolve_range};
use crate::{Element, HostBuffer, Result, RuntimeError, SliceIndex};
use kjit_ir::{DType, Scalar};
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

/// An n-dimensional array of one dtype.
#[derive(Clone)]
pub struct Array {
    storage: Storage,
    dtype: DType,
    shape: Few<usize>,
    /// Bytes between neighbours along each axis.
    strides: Few<isize>,
    /// Bytes from the start of the storage to the element with index zero.
    offset: usize,
}

/// Where the elements are.
#[derive(Clone)]
pub enum Storage {
    /// Memory of this process.
    Host(Arc<HostBuffer>),
    /// Memory of a device.
    Device(Arc<dyn DeviceStorage>),
}

/// Memory of a device that holds an array's elements, laid out as on the host.
pub trait DeviceStorage: Send + Sync {
    /// Number of bytes.
    fn len(&self) -> usize;

    /// Has it no bytes?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies bytes to the host, from a multiple of 16 on.
    fn download(&self, bytes: Range<usize>) -> Result<HostBuffer>;

    /// The device's own type.
    fn as_any(&self) -> &dyn Any;
}

/// Strides (in bytes) of a C-ordered array.
pub fn c_strides(shape: &[usize], element_size: usize) -> Vec<isize> {
    c_order(shape, element_size).into_vec()
}

/// As [`c_strides`], where few are not worth an allocation.
fn c_order(shape: &[usize], element_size: usize) -> Few<isize> {
    let mut strides: Few<isize> = smallvec::smallvec![0; shape.len()];
    let mut step = element_size as isize;
    for (stride, extent) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step = step.wrapping_mul((*extent).max(1) as isize);
    }
    strides
}

impl Array {
    /// An array of zeros.
    pub fn zeros(dtype: DType, shape: &[usize]) -> Result<Array> {
        let size = checked_size(shape, dtype.size())?;
        let buffer = HostBuffer::zeroed(size * dtype.size())?;
        Ok(Array {
            storage: Storage::Host(Arc::new(buffer)),
            dtype,
            shape: shape.into(),
            strides: c_order(shape, dtype.size()),
            offset: 0,
        })
    }

    /// An array filled with a value.
    pub fn full(value: Scalar, shape: &[usize]) -> Result<Array> {
        let mut array = Array::zeros(value.dtype(), shape)?;
        if value.bits() != 0 {
            let (bytes, size) = value.to_ne_bytes();
            for element in array.bytes_mut()?.chunks_exact_mut(size) {
                element.copy_from_slice(&bytes[..size]);
            }
        }
        Ok(array)
    }

    /// A 0-d array.
    pub fn scalar(value: Scalar) -> Array {
        Array::full(value, &[]).expect("bug in kjit: no memory for one element")
    }

    /// An array of the elements of `values`, in C order.
    pub fn from_vec<T: Element>(values: Vec<T>, shape: &[usize]) -> Result<Array> {
        let size = checked_size(shape, T::DTYPE.size())?;
        if size != values.len() {
            return Err(RuntimeError::shape(format!(
                "{} values do not fill shape {}",
                values.len(),
                format_shape(shape)
            )));
        }
        let buffer = HostBuffer::from_bytes(bytemuck::cast_slice(&values))?;
        Array::from_buffer(buffer, T::DTYPE, shape)
    }

    /// An array over the bytes of a host buffer, in C order.
    pub fn from_buffer(buffer: HostBuffer, dtype: DType, shape: &[usize]) -> Result<Array> {
        let strides = c_order(shape, dtype.size());
        Array::from_storage(Storage::Host(Arc::new(buffer)), dtype, shape, &strides, 0)
    }

    /// An array over device memory, in C order.
    pub fn from_device(
        storage: Arc<dyn DeviceStorage>,
        dtype: DType,
        shape: &[usize],
    ) -> Result<Array> {
        let strides = c_order(shape, dtype.size());
        Array::from_storage(Storage::Device(storage), dtype, shape, &strides, 0)
    }

    /// A view of storage; every element must lie inside it, and so must its offset where it has none.
    pub fn from_storage(
        storage: Storage,
        dtype: DType,
        shape: &[usize],
        strides: &[isize],
        offset: usize,
    ) -> Result<Array> {
        checked_size(shape, dtype.size())?;
        let array = Array {
            storage,
            dtype,
            shape: shape.into(),
            strides: strides.into(),
            offset,
        };
        if strides.len() != shape.len() {
            return Err(RuntimeError::shape(format!(
                "{} strides do not describe an array of shape {}",
                strides.len(),
                format_shape(shape)
            )));
        }
        let inside = match array.extent() {
            _ if array.size() == 0 => offset <= array.storage_len(),
            Some((low, high)) => low >= 0 && high <= array.storage_len() as i128,
            None => false,
        };
        if !inside {
            return Err(RuntimeError::shape(format!(
                "an array of {dtype} with shape {} does not lie inside its storage of {} bytes",
                format_shape(shape),
                array.storage_len()
            )));
        }
        Ok(array)
    }

    /// First and one past the last byte of its elements, relative to the storage.
    fn extent(&self) -> Option<(i128, i128)> {
        let (mut low, mut high) = (self.offset as i128, self.offset as i128);
        for (n, stride) in self.shape.iter().zip(&self.strides) {
            let span = (*stride as i128).checked_mul(n.checked_sub(1)? as i128)?;
            if span < 0 {
                low += span;
            } else {
                high += span;
            }
        }
        Some((low, high + self.dtype.size() as i128))
    }

    fn storage_len(&self) -> usize {
        match &self.storage {
            Storage::Host(buffer) => buffer.len(),
            Storage::Device(device) => device.len(),
        }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Extents of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Bytes between neighbours along each axis.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Bytes from the start of the storage to the element with index zero.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Where the elements are.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Number of axes.
    pub fn ndim(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements.
    pub fn size(&self) -> usize {
        if self.shape.contains(&0) {
            0
        } else {
            self.shape.iter().product()
        }
    }

    /// Bytes of its elements (not of what it shares or repeats).
    pub fn nbytes(&self) -> usize {
        self.size().saturating_mul(self.dtype.size())
    }

    /// Is it in memory of this process?
    pub fn is_host(&self) -> bool {
        matches!(self.storage, Storage::Host(_))
    }

    /// Do its elements follow each other in C order?
    pub fn is_contiguous(&self) -> bool {
        if self.size() == 0 {
            return true;
        }
        let mut step = self.dtype.size() as isize;
        for (extent, stride) in self.shape.iter().zip(&self.strides).rev() {
            if *extent != 1 {
                if *stride != step {
                    return false;
                }
                step *= *extent as isize;
            }
        }
        true
    }

    /// Do its elements follow each other in Fortran order?
    pub fn is_fortran_contiguous(&self) -> bool {
        self.transpose().is_contiguous()
    }

    /// Address of the element with index zero, for an array on the host.
    pub fn as_ptr(&self) -> Option<*const u8> {
        match &self.storage {
            Storage::Host(buffer) => Some(buffer.as_ptr().wrapping_add(self.offset)),
            Storage::Device(_) => None,
        }
    }

    /// One element. An index outside the shape, or a device that fails, is an error.
    pub fn get(&self, index: &[usize]) -> Result<Scalar> {
        if index.len() != self.ndim() || index.iter().zip(&self.shape).any(|(i, n)| i >= n) {
            return Err(RuntimeError::value(format!(
                "index {} is out of bounds for shape {}",
                format_shape(index),
                format_shape(&self.shape)
            )));
        }
        let at = index
            .iter()
            .zip(&self.strides)
            .fold(self.offset as isize, |o, (i, s)| o + *i as isize * s);
        let size = self.dtype.size();
        let host = self.host_buffer()?;
        let bytes = &host.as_slice()[at as usize..at as usize + size];
        Ok(Scalar::from_ne_bytes(self.dtype, bytes))
    }

    /// The only element.
    pub fn item(&self) -> Result<Scalar> {
        if self.size() != 1 {
            return Err(RuntimeError::shape(format!(
                "an array of shape {} is not a single value",
                format_shape(&self.shape)
            )));
        }
        self.get(&vec![0; self.ndim()])
    }

    /// The bytes behind it on the host, copied there if need be.
    fn host_buffer(&self) -> Result<Arc<HostBuffer>> {
        match &self.storage {
            Storage::Host(buffer) => Ok(buffer.clone()),
            Storage::Device(device) => Ok(Arc::new(device.download(0..device.len())?)),
        }
    }

    /// A view of part of it; axes without an index are kept whole.
    pub fn slice(&self, index: &[SliceIndex]) -> Result<Array> {
        if index.len() > self.ndim() {
            return Err(RuntimeError::shape(format!(
                "{} indices for an array with {} axes",
                index.len(),
                self.ndim()
            )));
        }
        let mut view = self.clone();
        view.shape.clear();
        view.strides.clear();
        let mut offset = self.offset as isize;
        for (axis, (extent, stride)) in self.shape.iter().zip(&self.strides).enumerate() {
            match index.get(axis).copied().unwrap_or(SliceIndex::ALL) {
                SliceIndex::At(i) => {
                    let at = resolve_at(*extent, axis, i)?;
                    offset = offset.wrapping_add(stride.wrapping_mul(at as isize));
                }
                SliceIndex::Range { start, end, step } => {
                    let (first, count, step) = resolve_range(*extent, start, end, step)?;
                    offset = offset.wrapping_add(stride.wrapping_mul(first as isize));
                    view.shape.push(count);
                    view.strides.push(if count > 1 {
                        stride.wrapping_mul(step as isize)
                    } else {
                        *stride
                    });
                }
            }
        }
        // An empty view names no element, so its offset may be anything inside the storage.
        view.offset = if view.size() == 0 { 0 } else { offset as usize };
        Ok(view)
    }

    /// The axes in reverse order (a view).
    pub fn transpose(&self) -> Array {
        let mut view = self.clone();
        view.shape.reverse();
        view.strides.reverse();
        view
    }

    /// The same elements with one axis behind the others (a view).
    pub(crate) fn with_axis_last(&self, axis: usize) -> Array {
        let mut view = self.clone();
        view.shape[axis..].rotate_left(1);
        view.strides[axis..].rotate_left(1);
        view
    }

    /// The same elements in C order with another shape: a view where possible, else a copy.
    pub fn reshape(&self, shape: &[usize]) -> Result<Array> {
        let size = checked_size(shape, self.dtype.size())?;
        if size != self.size() {
            return Err(RuntimeError::shape(format!(
                "an array of shape {} with {} elements cannot be reshaped to {}",
                format_shape(&self.shape),
                self.size(),
                format_shape(shape)
            ))
            .help("the number of elements must stay the same"));
        }
        let mut view = self.to_contiguous()?;
        view.shape = shape.into();
        view.strides = c_order(shape, self.dtype.size());
        Ok(view)
    }

    /// The same elements repeated along axes of extent 1 and new leading axes (a view).
    pub fn broadcast_to(&self, shape: &[usize]) -> Result<Array> {
        let strides = self.broadcast_strides(shape)?;
        checked_size(shape, 1)?;
        let mut view = self.clone();
        view.shape = shape.into();
        view.strides = strides;
        Ok(view)
    }

    /// The strides with which it broadcasts to `shape`.
    pub(crate) fn broadcast_strides(&self, shape: &[usize]) -> Result<Few<isize>> {
        let new = shape.len().checked_sub(self.ndim());
        let fits = |new: usize| {
            self.shape
                .iter()
                .zip(&shape[new..])
                .all(|(from, to)| from == to || *from == 1)
        };
        match new {
            Some(new) if fits(new) => {
                let mut strides: Few<isize> = smallvec::smallvec![0; new];
                for (axis, stride) in self.strides.iter().enumerate() {
                    let repeated = self.shape[axis] == 1 && shape[new + axis] != 1;
                    strides.push(if repeated { 0 } else { *stride });
                }
                Ok(strides)
            }
            _ => Err(RuntimeError::shape(format!(
                "an array of shape {} cannot be broadcast to {}",
                format_shape(&self.shape),
                format_shape(shape)
            ))
            .help("aligned from the right, extents must be equal or the array's 1")),
        }
    }

    /// The same array in host memory (shared if it is there already).
    pub fn to_host(&self) -> Result<Array> {
        match &self.storage {
            Storage::Host(_) => Ok(self.clone()),
            Storage::Device(device) => {
                let len = device.len();
                let (low, high) = match self.extent() {
                    Some((low, high)) if self.size() > 0 => (low as usize, high as usize),
                    _ => (self.offset, self.offset),
                };
                // Only the bytes that the view spans; elements keep their alignment.
                let low = low / 16 * 16;
                let host = device.download(low..high.clamp(low, len))?;
                // What a device reports as its bytes must still cover the view.
                Array::from_storage(
                    Storage::Host(Arc::new(host)),
                    self.dtype,
                    &self.shape,
                    &self.strides,
                    self.offset - low,
                )
            }
        }
    }

    /// The same elements in C order in host memory (shared if they are so already).
    pub fn to_contiguous(&self) -> Result<Array> {
        let host = self.to_host()?;
        if host.is_contiguous() {
            return Ok(host);
        }
        host.cast_copy(self.dtype)
    }

    /// The same elements in C order in host memory, converted to a dtype (shared if nothing changes).
    pub fn cast(&self, dtype: DType) -> Result<Array> {
        if dtype == self.dtype {
            return self.to_contiguous();
        }
        self.to_host()?.cast_copy(dtype)
    }

    /// A fresh C-ordered copy in a dtype.
    fn cast_copy(&self, dtype: DType) -> Result<Array> {
        let mut out = Array::zeros(dtype, &self.shape)?;
        cast::copy_array(self, &mut out)?;
        Ok(out)
    }

    /// The elements in C order.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        self.expect_dtype(T::DTYPE)?;
        let host = self.to_contiguous()?;
        let bytes = host.bytes().expect("bug in kjit: contiguous on the host");
        let mut values = vec![T::zeroed(); host.size()];
        if T::DTYPE == DType::Bool {
            // Any byte but 0 counts as true; a Rust bool must be 0 or 1.
            let flags: Vec<u8> = bytes.iter().map(|b| (*b != 0) as u8).collect();
            values.copy_from_slice(bytemuck::checked::cast_slice(&flags));
        } else {
            // The memory may be unaligned.
            let elements = bytes.chunks_exact(size_of::<T>());
            for (value, bytes) in values.iter_mut().zip(elements) {
                *value = bytemuck::checked::pod_read_unaligned(bytes);
            }
        }
        Ok(values)
    }

    /// The elements as a Rust slice, if they are contiguous on the host.
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        if T::DTYPE != self.dtype {
            return None;
        }
        bytemuck::checked::try_cast_slice(self.bytes()?).ok()
    }

    /// The elements one after the other in C order; see [`Array::to_vec`].
    pub fn iter<T: Element>(&self) -> Result<impl Iterator<Item = T> + use<T>> {
        Ok(self.to_vec::<T>()?.into_iter())
    }

    /// The bytes of a contiguous array on the host.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.storage {
            Storage::Host(buffer) if self.is_contiguous() => {
                Some(&buffer.as_slice()[self.offset..self.offset + self.nbytes()])
            }
            _ => None,
        }
    }

    /// The bytes, to change; the array becomes contiguous and the only owner of its memory first.
    pub fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        if !self.is_contiguous() {
            *self = self.to_contiguous()?;
        }
        let (offset, nbytes) = (self.offset, self.nbytes());
        let buffer = self.make_mut()?;
        Ok(&mut buffer.as_mut_slice()[offset..offset + nbytes])
    }

    /// The storage, to change: brought to the host, and copied if another array shares it.
    pub fn make_mut(&mut self) -> Result<&mut HostBuffer> {
        let unique = self.is_unique();
        let shared = match &self.storage {
            Storage::Host(_) if unique => None,
            Storage::Host(buffer) => Some(HostBuffer::from_bytes(buffer.as_slice())?),
            Storage::Device(_) => {
                // Checks that what came covers the elements.
                *self = self.to_host()?;
                None
            }
        };
        if let Some(copy) = shared {
            self.storage = Storage::Host(Arc::new(copy));
        }
        match &mut self.storage {
            Storage::Host(buffer) => {
                Ok(Arc::get_mut(buffer).expect("bug in kjit: the copy has one owner"))
            }
            Storage::Device(_) => unreachable!("bug in kjit: brought to the host above"),
        }
    }

    /// Is it the only handle of memory on the host?
    pub(crate) fn is_unique(&mut self) -> bool {
        match &mut self.storage {
            Storage::Host(buffer) => Arc::get_mut(buffer).is_some(),
            Storage::Device(_) => false,
        }
    }

    /// The memory, where this is the only handle of it and it is on the host.
    pub(crate) fn unique_mut(&mut self) -> Option<&mut HostBuffer> {
        match &mut self.storage {
            Storage::Host(buffer) => Arc::get_mut(buffer),
            Storage::Device(_) => None,
        }
    }

    /// Writes `value`, broadcast and converted to its dtype, to the part of it that `index` names.
    /// Other handles of the same storage keep the old elements.
    pub fn assign(&mut self, index: &[SliceIndex], value: &Array) -> Result<()> {
        let value = value.to_host()?;
        if self.strides.contains(&0) {
            // Elements that share memory must get their own before one of them changes.
            *self = self.to_contiguous()?;
        }
        // Checked before anything is copied or written.
        let part = self.slice(index)?;
        let value = value.broadcast_to(part.shape())?;
        let (shape, strides, offset) = (part.shape, part.strides, part.offset);
        drop(part.storage);
        let dtype = self.dtype;
        if shape.contains(&0) {
            return Ok(());
        }
        let base = self.make_mut()?.as_mut_ptr();
        // SAFETY: `slice` gives elements inside the storage, which `make_mut` made ours alone, so
        // `value` (another handle) lies elsewhere.
        unsafe {
            cast::copy_strided(
                &shape,
                (
                    value.dtype,
                    value.as_ptr().expect("on the host"),
                    &value.strides,
                ),
                (dtype, base.add(offset), &strides),
            );
        }
        Ok(())
    }

    /// An error unless it has this dtype.
    pub(crate) fn expect_dtype(&self, dtype: DType) -> Result<()> {
        if self.dtype != dtype {
            return Err(RuntimeError::dtype(format!(
                "an array of {} is not an array of {dtype}",
                self.dtype
            )));
        }
        Ok(())
    }
}

/// `Array(f32, (2, 3))`
impl std::fmt::Debug for Array {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Array({}, {})", self.dtype, format_shape(&self.shape))
    }
}
