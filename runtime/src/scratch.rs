//! A block of memory per thread that stays in the innermost caches.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{NonNull, null_mut};

/// Memory kept by a thread between calls.
pub(crate) struct Scratch {
    ptr: *mut u8,
    len: usize,
}

thread_local! {
    static KEPT: Cell<Scratch> = const {
        Cell::new(Scratch { ptr: null_mut(), len: 0 })
    };
}

impl Scratch {
    /// Calls `f` with at least `len` initialised bytes aligned to a cache line. A call inside of `f` gets
    /// other memory.
    pub(crate) fn with<R>(len: usize, f: impl FnOnce(*mut u8) -> R) -> R {
        let none = Scratch {
            ptr: null_mut(),
            len: 0,
        };
        let mut scratch = KEPT.replace(none);
        if scratch.len < len {
            scratch = Scratch::new(len.next_power_of_two().max(64 << 10));
        }
        let result = f(scratch.ptr);
        KEPT.set(scratch);
        result
    }

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len, 64).expect("bug in kjit: scratch memory of absurd size")
    }

    fn new(len: usize) -> Scratch {
        let layout = Scratch::layout(len);
        // SAFETY: the size is not zero.
        match NonNull::new(unsafe { alloc_zeroed(layout) }) {
            Some(ptr) => Scratch {
                ptr: ptr.as_ptr(),
                len,
            },
            None => handle_alloc_error(layout),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.ptr.is_null() {
            // SAFETY: allocated by `new` with this layout.
            unsafe { dealloc(self.ptr, Scratch::layout(self.len)) }
        }
    }
}
