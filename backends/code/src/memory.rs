//! Code memory from the operating system: the one file of this crate that depends on it.
//!
//! On Linux a region is one anonymous file mapped twice, once to write and once to execute, so that no
//! mapping is ever writable and executable at once and a kernel is published by copying bytes. Where
//! that is not possible (other systems, or Linux without `memfd_create`), every piece of code gets pages of its own,
//! written first and then made executable.

use kjit_ir::target::BackendError;

/// Memory that code is written to and run from.
#[derive(Debug)]
pub(crate) struct Region {
    write: *mut u8,
    run: *const u8,
    len: usize,
    shared: bool,
}

// SAFETY: a region is plain memory; the arena serialises writes and never writes to a range in use.
unsafe impl Send for Region {}
// SAFETY: as above; shared access only reads pointers.
unsafe impl Sync for Region {}

impl Region {
    /// A region that many pieces of code share, or `None` where the system offers no double mapping.
    pub(crate) fn shared(len: usize) -> Option<Region> {
        os::map_twice(len).map(|(write, run)| Region {
            write,
            run,
            len,
            shared: true,
        })
    }

    /// A region holding exactly this code.
    pub(crate) fn private(code: &[u8]) -> Result<Region, BackendError> {
        let len = code.len().max(1).next_multiple_of(os::page_size());
        let run = os::map_code(code, len).map_err(|error| {
            BackendError::Unsupported(format!(
                "cannot get {len} bytes of executable memory: {error}"
            ))
        })?;
        flush(run, code.len(), false);
        Ok(Region {
            write: std::ptr::null_mut(),
            run,
            len,
            shared: false,
        })
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Copies code to `offset`; `reused` says that other code ran there before.
    pub(crate) fn write(&self, offset: usize, code: &[u8], reused: bool) {
        assert!(
            self.shared && offset + code.len() <= self.len,
            "bug in kjit: code does not fit its region"
        );
        // SAFETY: the range lies in the writable mapping (checked above), and the arena hands out a
        // range to one piece of code at a time.
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), self.write.add(offset), code.len()) };
        flush(self.entry(offset), code.len(), reused);
    }

    /// Address where code at `offset` runs.
    pub(crate) fn entry(&self, offset: usize) -> *const u8 {
        self.run.wrapping_add(offset)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        os::unmap(self.run, self.len);
        if self.shared {
            os::unmap(self.write, self.len);
        }
    }
}

/// How often this process has been forked, or the one it was forked from, as far as was asked before.
///
/// The file behind a region is shared with a forked process, whose arenas know nothing of what happens here: both must leave the
/// regions from before alone.
pub(crate) fn forks() -> u64 {
    os::forks()
}

/// Makes freshly written code visible to instruction fetch.
#[cfg(target_arch = "x86_64")]
fn flush(_start: *const u8, _len: usize, reused: bool) {
    // The caches are coherent; a serialising instruction is asked for only where other code ran.
    if reused {
        std::hint::black_box(std::arch::x86_64::__cpuid(0));
    }
}

/// Makes freshly written code visible to instruction fetch.
#[cfg(target_arch = "aarch64")]
fn flush(start: *const u8, len: usize, _reused: bool) {
    // 16 bytes is the smallest line the architecture allows.
    let lines = || {
        let first = start as usize & !15;
        (first..start as usize + len).step_by(16)
    };
    // SAFETY: cache maintenance by address on memory that this process has mapped.
    unsafe {
        for line in lines() {
            std::arch::asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags));
        }
        std::arch::asm!("dsb ish", options(nostack, preserves_flags));
        for line in lines() {
            std::arch::asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags));
        }
        std::arch::asm!("dsb ish", "isb", options(nostack, preserves_flags));
    }
}

/// Makes freshly written code visible to instruction fetch.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn flush(_start: *const u8, _len: usize, _reused: bool) {}

#[cfg(unix)]
mod os {
    use std::io::Error;
    use std::ptr::null_mut;
    use std::sync::Once;
    use std::sync::atomic::{AtomicU64, Ordering};

    pub(super) fn page_size() -> usize {
        // SAFETY: no preconditions.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).unwrap_or(4096)
    }

    pub(super) fn forks() -> u64 {
        static FORKS: AtomicU64 = AtomicU64::new(0);
        static WATCH: Once = Once::new();
        extern "C" fn count() {
            FORKS.fetch_add(1, Ordering::SeqCst);
        }
        WATCH.call_once(|| {
            // SAFETY: the handler does nothing but add to an atomic number, which a process may do at any time. It runs before
            // the fork, so that both processes see it.
            unsafe { libc::pthread_atfork(Some(count), None, None) };
        });
        FORKS.load(Ordering::SeqCst)
    }

    #[cfg(target_os = "linux")]
    pub(super) fn map_twice(len: usize) -> Option<(*mut u8, *const u8)> {
        // SAFETY: plain system calls on a file that this function owns; the descriptor is closed on
        // every path, and the mappings keep the file alive.
        unsafe {
            let file = libc::memfd_create(c"kjit-code".as_ptr(), libc::MFD_CLOEXEC);
            if file < 0 {
                return None;
            }
            let sized = libc::ftruncate(file, len as libc::off_t) == 0;
            let map =
                |protection| libc::mmap(null_mut(), len, protection, libc::MAP_SHARED, file, 0);
            let pair = sized
                .then(|| map(libc::PROT_READ | libc::PROT_WRITE))
                .filter(|write| *write != libc::MAP_FAILED)
                .and_then(|write| {
                    let run = map(libc::PROT_READ | libc::PROT_EXEC);
                    if run == libc::MAP_FAILED {
                        libc::munmap(write, len);
                        return None;
                    }
                    Some((write.cast::<u8>(), run.cast::<u8>().cast_const()))
                });
            libc::close(file);
            pair
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn map_twice(_len: usize) -> Option<(*mut u8, *const u8)> {
        None
    }

    pub(super) fn map_code(code: &[u8], len: usize) -> Result<*const u8, Error> {
        // SAFETY: the mapping is new, writable and at least as long as the code; it becomes
        // executable only after it stopped being writable.
        unsafe {
            let memory = libc::mmap(
                null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANON,
                -1,
                0,
            );
            if memory == libc::MAP_FAILED {
                return Err(Error::last_os_error());
            }
            std::ptr::copy_nonoverlapping(code.as_ptr(), memory.cast::<u8>(), code.len());
            if libc::mprotect(memory, len, libc::PROT_READ | libc::PROT_EXEC) != 0 {
                let error = Error::last_os_error();
                libc::munmap(memory, len);
                return Err(error);
            }
            Ok(memory.cast::<u8>())
        }
    }

    pub(super) fn unmap(memory: *const u8, len: usize) {
        // SAFETY: `memory` and `len` are those of a mapping made above, unmapped once.
        unsafe { libc::munmap(memory.cast_mut().cast(), len) };
    }
}

#[cfg(not(unix))]
mod os {
    use std::io::{Error, ErrorKind};

    pub(super) fn page_size() -> usize {
        4096
    }

    pub(super) fn forks() -> u64 {
        0
    }

    pub(super) fn map_twice(_len: usize) -> Option<(*mut u8, *const u8)> {
        None
    }

    pub(super) fn map_code(_code: &[u8], _len: usize) -> Result<*const u8, Error> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "kjit does not know how to on this operating system",
        ))
    }

    pub(super) fn unmap(_memory: *const u8, _len: usize) {}
}
