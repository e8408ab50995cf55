//! Functions built by hand: compiled for both tiers and both conventions, and run where the CPU has what they need.

mod calls;
mod control;
mod kernels;
mod lowered;
mod mistakes;
mod pressure;
mod random;

use crate::convention::{Convention, SYSTEM_V, WINDOWS};
use crate::encode::Width;
use crate::{Compiled, Features, Function, Target};
use iced_x86::{Decoder, DecoderOptions, Instruction};

/// Code in memory of its own, which is never writable and executable at once.
struct Runnable {
    at: *mut libc::c_void,
    len: usize,
}

impl Runnable {
    fn new(compiled: &Compiled) -> Runnable {
        let bytes = &compiled.code.bytes;
        let len = bytes.len().next_multiple_of(4096);
        // SAFETY: a fresh private mapping, written before it becomes executable; the results are checked.
        unsafe {
            let at = libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(at, libc::MAP_FAILED);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), at.cast(), bytes.len());
            let made = libc::mprotect(at, len, libc::PROT_READ | libc::PROT_EXEC);
            assert_eq!(made, 0);
            Runnable { at, len }
        }
    }

    /// Calls it with four words, in the convention it was compiled for.
    ///
    /// # Safety
    /// The code must keep to what the arguments allow.
    unsafe fn call(&self, convention: &Convention, args: [usize; 4]) -> usize {
        type SystemV = unsafe extern "sysv64" fn(usize, usize, usize, usize) -> usize;
        type Windows = unsafe extern "win64" fn(usize, usize, usize, usize) -> usize;
        let [a, b, c, d] = args;
        // SAFETY: the code is a function of that convention; the caller vouches for what it does.
        unsafe {
            if convention == &SYSTEM_V {
                std::mem::transmute::<*mut libc::c_void, SystemV>(self.at)(a, b, c, d)
            } else {
                std::mem::transmute::<*mut libc::c_void, Windows>(self.at)(a, b, c, d)
            }
        }
    }
}

impl Drop for Runnable {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own.
        unsafe { libc::munmap(self.at, self.len) };
    }
}

/// The targets that tests compile for: 512 and 256 bits with masks, 256 bits without; in both conventions.
fn targets() -> Vec<Target> {
    let mut all = Vec::new();
    for convention in [&SYSTEM_V, &WINDOWS] {
        for (features, width) in [
            (Features::TIER_AVX512, Width::Z),
            (Features::TIER_AVX512, Width::Y),
            (Features::TIER_AVX2, Width::Y),
        ] {
            all.push(Target {
                features,
                width,
                convention,
            });
        }
    }
    all
}

/// Those with masks.
fn wide_targets() -> Vec<Target> {
    targets().into_iter().filter(Target::is_wide).collect()
}

/// Compiles, and makes it runnable if this machine can run it.
fn build(function: Function) -> (Compiled, Option<Runnable>) {
    let features = function.target().features;
    let compiled = function.compile().unwrap();
    let can = Features::host().contains(features);
    let runnable = can.then(|| Runnable::new(&compiled));
    (compiled, runnable)
}

/// The instructions of compiled code.
fn decode(compiled: &Compiled) -> Vec<Instruction> {
    let bytes = &compiled.code.bytes[..compiled.code.len];
    let decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    decoder.into_iter().collect()
}

/// Jumps of compiled code.
fn jumps(compiled: &Compiled) -> usize {
    let jump = |i: &&Instruction| i.is_jcc_short_or_near() || i.is_jmp_short_or_near();
    decode(compiled).iter().filter(jump).count()
}

/// The argument that passes a slice.
fn address<T>(of: &[T]) -> usize {
    of.as_ptr() as usize
}

/// The argument that passes a slice to write to.
fn address_mut<T>(of: &mut [T]) -> usize {
    of.as_mut_ptr() as usize
}
