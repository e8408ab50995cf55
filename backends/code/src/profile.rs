//! Names of kernels for profilers and debuggers, where a user asks for them.
//!
//! - *perf* looks names of code without a file up in `/tmp/perf-PID.map`, a line a kernel: start, length, name. It knows
//!   no code that goes away, so while it is asked for, the memory of kernels is not used again.
//! - *GDB* (and LLDB) reads object files in memory that a process lists in `__jit_debug_descriptor` (`gdb`).
//!
//! Both are told of kernels that are made from then on. Such kernels get pages of their own instead of a share of the
//! arena, whose memory is a file's: perf asks the file for names there, and GDB cannot set breakpoints in it.

#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;

use crate::gdb;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// Who is told the names of kernels.
///
/// ```
/// use kjit_code::Profile;
/// let both = Profile::from_names("perf,gdb").unwrap();
/// assert!(both.perf && both.gdb);
/// assert!(Profile::from_names("vtune").is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Profile {
    /// perf, by `/tmp/perf-PID.map`.
    pub perf: bool,
    /// GDB and LLDB, by their interface for code made at run time.
    pub gdb: bool,
}

/// Of the process: bit 0 for perf, bit 1 for GDB.
static ENABLED: AtomicU8 = AtomicU8::new(0);
/// The map for perf, opened once.
static MAP: Mutex<Option<File>> = Mutex::new(None);

impl Profile {
    /// Those of a list with commas between: `perf`, `gdb`.
    ///
    /// # Errors
    /// The name that is neither.
    pub fn from_names(names: &str) -> Result<Profile, String> {
        let mut profile = Profile::default();
        for name in names.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            match name {
                "perf" => profile.perf = true,
                "gdb" => profile.gdb = true,
                other => return Err(other.to_string()),
            }
        }
        Ok(profile)
    }

    /// From now on, for the whole process and as long as it lives.
    ///
    /// # Errors
    /// When the map for perf cannot be written, or this system has no interface to GDB: the message says which.
    pub fn enable(self) -> Result<(), String> {
        if self.gdb && !gdb::AVAILABLE {
            return Err("the interface to gdb exists on Linux for x86-64 and aarch64 only".into());
        }
        if self.perf {
            let mut map = MAP.lock().unwrap_or_else(PoisonError::into_inner);
            if map.is_none() {
                let path = Profile::map_path();
                let opened = open(&path);
                *map = Some(opened.map_err(|e| format!("cannot open {}: {e}", path.display()))?);
            }
        }
        let bits = u8::from(self.perf) | u8::from(self.gdb) << 1;
        ENABLED.fetch_or(bits, Ordering::Relaxed);
        Ok(())
    }

    /// What is enabled in this process.
    pub fn enabled() -> Profile {
        let bits = ENABLED.load(Ordering::Relaxed);
        Profile {
            perf: bits & 1 != 0,
            gdb: bits & 2 != 0,
        }
    }

    /// Where perf looks for the names of this process.
    pub fn map_path() -> PathBuf {
        PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()))
    }
}

/// Other makers of code in this process may write to the same file; a link that somebody put there is not followed.
fn open(path: &std::path::Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(path)
}

/// What tells of one piece of code, as long as it lives.
#[derive(Debug)]
pub(crate) struct Label {
    _gdb: Option<gdb::Entry>,
}

impl Label {
    /// Tells those who want to know.
    pub(crate) fn new(profile: Profile, name: &str, start: *const u8, len: usize) -> Label {
        // A line is a kernel.
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        if profile.perf {
            let mut map = MAP.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(map) = map.as_mut() {
                let line = format!("{:x} {len:x} {name}\n", start as usize);
                // A full disk takes names away from a profile, not the kernel from its caller.
                let _ = map.write_all(line.as_bytes());
            }
        }
        Label {
            _gdb: profile.gdb.then(|| gdb::Entry::new(&name, start, len)),
        }
    }
}
