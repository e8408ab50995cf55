//! Code memory: many kernels share a few regions, and a kernel's range is free again when the last
//! handle to it is dropped.

use crate::memory::{Region, forks};
use kjit_ir::target::BackendError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of the first regions; code larger than this gets a region of its size.
const REGION: usize = 1 << 20;
/// Every piece of code starts on a cache line.
const ALIGN: usize = 64;

/// Where machine code lives.
#[derive(Debug, Default)]
pub struct Arena {
    regions: Mutex<Vec<Pool>>,
}

/// One region and what is free in it.
#[derive(Debug)]
struct Pool {
    region: Arc<Region>,
    /// Never used so far: from here to the end.
    fresh: usize,
    /// Freed ranges (offset, length) below `fresh`, sorted, never touching each other.
    free: Vec<(usize, usize)>,
    /// [`forks`] when it was made: behind a fork nothing is written to it, because another process runs code in it.
    forks: u64,
}

/// A handle to one piece of code.
#[derive(Debug)]
pub struct Code {
    region: Arc<Region>,
    offset: usize,
    len: usize,
    /// The arena to give the range back to, unless the region is the code's own.
    arena: Option<Arc<Arena>>,
    /// The memory stays when the code goes.
    stays: bool,
}

impl Arena {
    /// Copies code into executable memory, at an address that is a multiple of 64.
    ///
    /// # Errors
    /// [`BackendError::Unsupported`] when the system gives none.
    pub fn publish(self: &Arc<Arena>, code: &[u8]) -> Result<Code, BackendError> {
        let len = code.len().max(1).next_multiple_of(ALIGN);
        let mut pools = self.lock();
        let forks = forks();
        let mut own = pools.iter_mut().filter(|pool| pool.forks == forks);
        let found = own.find_map(|pool| {
            pool.take(len)
                .map(|range| (Arc::clone(&pool.region), range))
        });
        let (region, (offset, reused)) = match found {
            Some(found) => found,
            None => {
                let Some(region) = Region::shared(REGION.max(len.next_multiple_of(1 << 16))) else {
                    return Ok(Code {
                        region: Arc::new(Region::private(code)?),
                        offset: 0,
                        len: code.len(),
                        arena: None,
                        stays: false,
                    });
                };
                let region = Arc::new(region);
                pools.push(Pool {
                    region: Arc::clone(&region),
                    fresh: len,
                    free: Vec::new(),
                    forks,
                });
                (region, (0, false))
            }
        };
        drop(pools);
        region.write(offset, code, reused);
        Ok(Code {
            region,
            offset,
            len: code.len(),
            arena: Some(Arc::clone(self)),
            stays: false,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Pool>> {
        // The lists are consistent between statements, so a panicking holder left them usable.
        self.regions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, region: &Arc<Region>, offset: usize, len: usize) {
        let mut pools = self.lock();
        let Some(at) = pools.iter().position(|p| Arc::ptr_eq(&p.region, region)) else {
            return;
        };
        pools[at].give(offset, len);
        // One empty region is kept for the next kernel; the system gets the others back.
        if pools.len() > 1 && pools[at].fresh == 0 {
            pools.swap_remove(at);
        }
    }

    /// Bytes that code takes now.
    pub fn used(&self) -> usize {
        self.lock()
            .iter()
            .map(|p| p.fresh - p.free.iter().map(|(_, len)| len).sum::<usize>())
            .sum()
    }
}

impl Pool {
    /// A range of `len` bytes: its offset, and whether code ran there before.
    fn take(&mut self, len: usize) -> Option<(usize, bool)> {
        if let Some(at) = self.free.iter().position(|(_, room)| *room >= len) {
            let (offset, room) = self.free[at];
            if room == len {
                self.free.remove(at);
            } else {
                self.free[at] = (offset + len, room - len);
            }
            return Some((offset, true));
        }
        let offset = self.fresh;
        (self.region.len() - offset >= len).then(|| {
            self.fresh += len;
            (offset, false)
        })
    }

    /// Takes a range back, joining it with its free neighbours.
    fn give(&mut self, mut offset: usize, mut len: usize) {
        let at = self.free.partition_point(|(start, _)| *start < offset);
        if let Some((start, room)) = self.free.get(at).copied()
            && start == offset + len
        {
            len += room;
            self.free.remove(at);
        }
        if at > 0
            && let (start, room) = self.free[at - 1]
            && start + room == offset
        {
            offset = start;
            len += room;
            self.free.remove(at - 1);
            self.insert(at - 1, offset, len);
        } else {
            self.insert(at, offset, len);
        }
    }

    fn insert(&mut self, at: usize, offset: usize, len: usize) {
        if offset + len == self.fresh {
            self.fresh = offset;
        } else {
            self.free.insert(at, (offset, len));
        }
    }
}

impl Code {
    /// Code in pages of its own, of no file: what profilers and debuggers want. If it `stays`, nothing else ever takes
    /// its place.
    pub(crate) fn alone(code: &[u8], stays: bool) -> Result<Code, BackendError> {
        Ok(Code {
            region: Arc::new(Region::private(code)?),
            offset: 0,
            len: code.len(),
            arena: None,
            stays,
        })
    }

    /// Address of the first instruction.
    pub fn entry(&self) -> *const u8 {
        self.region.entry(self.offset)
    }

    /// Bytes of machine code.
    #[expect(clippy::len_without_is_empty, reason = "code is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        if self.stays {
            std::mem::forget(Arc::clone(&self.region));
        }
        if let Some(arena) = &self.arena {
            let len = self.len.max(1).next_multiple_of(ALIGN);
            arena.release(&self.region, self.offset, len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_back() {
        let arena = Arc::new(Arena::default());
        let codes: Vec<Code> = (1..40)
            .map(|n| arena.publish(&vec![0xc3; n * 37]).unwrap())
            .collect();
        let total: usize = (1..40usize).map(|n| (n * 37).next_multiple_of(64)).sum();
        assert_eq!(arena.used(), total);
        let mut entries: Vec<_> = codes
            .iter()
            .map(|c| (c.entry() as usize, c.len()))
            .collect();
        entries.sort();
        assert!(entries.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0));
        // Free every second one first, so that ranges must be joined from both sides.
        let mut keep = Vec::new();
        for (n, code) in codes.into_iter().enumerate() {
            if n % 2 == 0 {
                drop(code);
            } else {
                keep.push(code);
            }
        }
        let first = arena.publish(&[0xc3; 60]).unwrap();
        drop(keep);
        drop(first);
        assert_eq!(arena.used(), 0);
        let pools = arena.lock();
        assert!(pools.iter().all(|p| p.free.is_empty() && p.fresh == 0));
    }

    #[test]
    fn grows_by_regions_and_shares_between_threads() {
        let arena = Arc::new(Arena::default());
        let big = arena.publish(&vec![0x90; REGION + 5]).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 1..200 {
                        let codes: Vec<Code> = (0..n % 7)
                            .map(|k| arena.publish(&vec![0xc3; 100 * k + 1]).unwrap())
                            .collect();
                        drop(codes);
                    }
                });
            }
        });
        assert!(arena.used() >= REGION + 5);
        drop(big);
        assert_eq!(arena.used(), 0);
    }

    /// Two processes once took the same range of the memory that they share.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_forked_process_writes_elsewhere() {
        let answer = |n: u8| [0xb8, n, 0, 0, 0, 0xc3];
        let first = |code: &Code| {
            // SAFETY: the code has six bytes.
            let bytes = unsafe { std::slice::from_raw_parts(code.entry(), 6) };
            bytes[1]
        };
        let arena = Arc::new(Arena::default());
        let before = arena.publish(&answer(1)).unwrap();
        // SAFETY: the child publishes and exits; the arena's lock is free, because no other thread knows it.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let theirs = arena.publish(&answer(77)).unwrap();
            let good = first(&theirs) == 77 && first(&before) == 1;
            // SAFETY: ends the process.
            unsafe { libc::_exit(i32::from(!good)) };
        }
        let ours = arena.publish(&answer(2)).unwrap();
        let mut status = -1;
        // SAFETY: waits for the child made above.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0);
        assert_eq!((first(&before), first(&ours)), (1, 2));
        // What was there before is given back as ever.
        drop((before, ours));
        assert_eq!(arena.used(), 0);
    }

    #[test]
    fn private_pages_hold_the_code() {
        let code = [0xc3u8; 100];
        let region = Region::private(&code).unwrap();
        // SAFETY: the region holds at least these readable bytes.
        let seen = unsafe { std::slice::from_raw_parts(region.entry(0), code.len()) };
        assert_eq!(seen, code);
    }
}
