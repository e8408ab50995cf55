//! Host memory of arrays: aligned to a cache line, always initialised, never larger than an `isize`.

use crate::{Result, RuntimeError};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Alignment of the first byte: a cache line, and the widest vector.
pub const ALIGN: usize = 64;

/// An owned block of bytes, zero when new.
pub struct HostBuffer {
    /// First byte handed out, aligned to [`ALIGN`].
    ptr: NonNull<u8>,
    len: usize,
    /// What the allocator gave; null when nothing was allocated.
    block: *mut u8,
    layout: Layout,
}

// SAFETY: the buffer owns its memory; access follows `&`/`&mut` as for `Vec<u8>`.
unsafe impl Send for HostBuffer {}
// SAFETY: as above.
unsafe impl Sync for HostBuffer {}

impl HostBuffer {
    /// `len` zero bytes, or an error when there is no such memory.
    pub fn zeroed(len: usize) -> Result<HostBuffer> {
        // Ask for 16-byte alignment and align by hand: the system allocator then gives large blocks as
        // fresh zero pages instead of writing zeros to all of them.
        let too_large = || {
            RuntimeError::limit(format!("an array of {len} bytes does not fit in memory"))
                .help("use fewer elements or a smaller dtype")
        };
        if len == 0 {
            return Ok(HostBuffer {
                ptr: NonNull::new(ALIGN as *mut u8).expect("not null"),
                len,
                block: std::ptr::null_mut(),
                layout: Layout::new::<u8>(),
            });
        }
        let size = len.checked_add(ALIGN).ok_or_else(too_large)?;
        let layout = Layout::from_size_align(size, 16).map_err(|_| too_large())?;
        // SAFETY: the size is not zero.
        let block = unsafe { alloc_zeroed(layout) };
        if block.is_null() {
            return Err(too_large());
        }
        // SAFETY: the block is this buffer's own, just allocated.
        unsafe { crate::pages::prefer_large(block, size) };
        let pad = block.align_offset(ALIGN);
        // SAFETY: `pad < ALIGN`, and the block has `ALIGN` bytes more than `len`.
        let ptr = unsafe { NonNull::new_unchecked(block.add(pad)) };
        Ok(HostBuffer {
            ptr,
            len,
            block,
            layout,
        })
    }

    /// A copy of some bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<HostBuffer> {
        let mut buffer = HostBuffer::zeroed(bytes.len())?;
        buffer.as_mut_slice().copy_from_slice(bytes);
        Ok(buffer)
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Has it no bytes?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes, owned.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// The bytes, to change.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: `len` initialised bytes, owned, borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }

    /// Address of the first byte.
    pub fn as_ptr(&self) -> *const u8 {
        self.ptr.as_ptr()
    }

    /// Address of the first byte, to write through.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.ptr.as_ptr()
    }
}

impl Drop for HostBuffer {
    fn drop(&mut self) {
        if !self.block.is_null() {
            // SAFETY: allocated in `zeroed` with this layout.
            unsafe { dealloc(self.block, self.layout) }
        }
    }
}

impl std::fmt::Debug for HostBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HostBuffer({} bytes)", self.len)
    }
}
