//! Large pages for large buffers: the one place that asks the operating system for them.

/// Blocks from here on are worth it: a few large pages.
const LARGE: usize = 4 << 20;

/// Asks for large pages behind a fresh block, so that touching it first takes a fault each 2 MiB and not
/// each 4 KiB. Only a hint: nothing depends on it, and other systems than Linux go without.
///
/// # Safety
/// The `len` bytes at `block` must be one allocation of the caller's.
pub(crate) unsafe fn prefer_large(block: *mut u8, len: usize) {
    if len < LARGE {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let skip = block.align_offset(PAGE);
        let whole = len.saturating_sub(skip) / PAGE * PAGE;
        // SAFETY: whole pages inside the caller's block; the advice changes no byte.
        unsafe {
            libc::madvise(block.wrapping_add(skip).cast(), whole, libc::MADV_HUGEPAGE);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = block;
}
