//! The interface that GDB and LLDB have for code made at run time.
//!
//! A process has a list of object files in memory, which starts in `__jit_debug_descriptor`. It says that it changed the
//! list by calling `__jit_debug_register_code`, where debuggers have a breakpoint. Here an object file holds one symbol,
//! the kernel's name. Both names are weak: where another maker of code in the same process defines them, too, the
//! list is shared.

pub(crate) use list::{AVAILABLE, Entry};

/// An object file (ELF, 64 bits, little endian) with one function at an address.
#[cfg_attr(
    not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )),
    allow(dead_code, reason = "there is no list to put it in")
)]
pub(crate) fn object(name: &str, start: u64, len: u64) -> Vec<u8> {
    const MACHINE: u16 = if cfg!(target_arch = "aarch64") {
        183
    } else {
        62
    };
    const HEADER: u64 = 64;
    const SYMBOL: u64 = 24;
    let names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0";
    let strings = [b"\0", name.as_bytes(), b"\0"].concat();
    let symbols_at = HEADER;
    let strings_at = symbols_at + 2 * SYMBOL;
    let names_at = strings_at + strings.len() as u64;
    let sections_at = (names_at + names.len() as u64).next_multiple_of(8);
    let mut out = Vec::new();
    // The header: 64 bits, little endian, version 1, System V; a relocatable file.
    out.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for half in [1, MACHINE] {
        out.extend(half.to_le_bytes());
    }
    out.extend(1_u32.to_le_bytes());
    for word in [0, 0, sections_at] {
        out.extend(word.to_le_bytes());
    }
    out.extend(0_u32.to_le_bytes());
    // Sizes of headers; five sections, whose names are in the last.
    for half in [64_u16, 0, 0, 64, 5, 4] {
        out.extend(half.to_le_bytes());
    }
    // Symbols: the empty one; a global function at the start of section 1.
    out.extend([0; SYMBOL as usize]);
    out.extend(1_u32.to_le_bytes());
    out.extend([0x12, 0]);
    out.extend(1_u16.to_le_bytes());
    for word in [0, len] {
        out.extend(word.to_le_bytes());
    }
    out.extend(&strings);
    out.extend(names);
    out.resize(sections_at as usize, 0);
    let mut section = |name: u32, kind: u32, rest: [u64; 4], link: [u32; 2], last: [u64; 2]| {
        out.extend(name.to_le_bytes());
        out.extend(kind.to_le_bytes());
        rest.iter().for_each(|word| out.extend(word.to_le_bytes()));
        link.iter().for_each(|word| out.extend(word.to_le_bytes()));
        last.iter().for_each(|word| out.extend(word.to_le_bytes()));
    };
    // Flags, address, offset, size; link, info; alignment, size of an entry.
    section(0, 0, [0; 4], [0; 2], [0; 2]);
    // Code is allocated and executable, and not in the file.
    section(1, 8, [6, start, HEADER, len], [0; 2], [16, 0]);
    section(7, 2, [0, 0, symbols_at, 2 * SYMBOL], [3, 1], [8, SYMBOL]);
    section(
        15,
        3,
        [0, 0, strings_at, strings.len() as u64],
        [0; 2],
        [1, 0],
    );
    section(23, 3, [0, 0, names_at, names.len() as u64], [0; 2], [1, 0]);
    out
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod list {
    use std::ptr::null_mut;
    use std::sync::{Mutex, PoisonError};

    /// Is there such an interface?
    pub(crate) const AVAILABLE: bool = true;

    const ADDED: u32 = 1;
    const REMOVED: u32 = 2;

    /// An element of the list, as GDB knows it.
    #[repr(C)]
    struct Node {
        next: *mut Node,
        prev: *mut Node,
        object: *const u8,
        size: u64,
    }

    /// The list, as GDB knows it.
    #[repr(C)]
    struct Descriptor {
        version: u32,
        action: u32,
        relevant: *mut Node,
        first: *mut Node,
    }

    std::arch::global_asm!(
        ".pushsection .text.__jit_debug_register_code, \"ax\", @progbits",
        ".weak __jit_debug_register_code",
        ".type __jit_debug_register_code, @function",
        "__jit_debug_register_code:",
        "ret",
        ".size __jit_debug_register_code, . - __jit_debug_register_code",
        ".popsection",
        ".pushsection .data.__jit_debug_descriptor, \"aw\", @progbits",
        ".balign 8",
        ".weak __jit_debug_descriptor",
        ".type __jit_debug_descriptor, @object",
        ".size __jit_debug_descriptor, 24",
        "__jit_debug_descriptor:",
        ".long 1, 0",
        ".quad 0, 0",
        ".popsection",
    );

    unsafe extern "C" {
        static mut __jit_debug_descriptor: Descriptor;
        fn __jit_debug_register_code();
    }

    /// Held while the list is read or changed.
    static LIST: Mutex<()> = Mutex::new(());

    /// An object file in the list; dropping it takes it out.
    #[derive(Debug)]
    pub(crate) struct Entry {
        node: *mut Node,
        /// What the node points to.
        _object: Box<[u8]>,
    }

    // SAFETY: the node is reached under the lock of the list only.
    unsafe impl Send for Entry {}
    // SAFETY: as above.
    unsafe impl Sync for Entry {}

    impl Entry {
        /// Tells of a function.
        pub(crate) fn new(name: &str, start: *const u8, len: usize) -> Entry {
            let object = super::object(name, start as u64, len as u64).into_boxed_slice();
            let _held = LIST.lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the descriptor is a static that is changed under the lock only; nodes in the list live until
            // their entries are dropped, which takes them out first.
            unsafe {
                let list = &raw mut __jit_debug_descriptor;
                let next = (*list).first;
                let node = Box::into_raw(Box::new(Node {
                    next,
                    prev: null_mut(),
                    object: object.as_ptr(),
                    size: object.len() as u64,
                }));
                if !next.is_null() {
                    (*next).prev = node;
                }
                (*list).first = node;
                announce(node, ADDED);
                Entry {
                    node,
                    _object: object,
                }
            }
        }

        /// The object file.
        #[cfg(test)]
        pub(crate) fn object(&self) -> &[u8] {
            &self._object
        }
    }

    /// Says what changed.
    ///
    /// # Safety
    /// The lock is held, and the node is in the list or was just taken out.
    unsafe fn announce(node: *mut Node, action: u32) {
        // SAFETY: the caller's promise; the function is empty but for a breakpoint of a debugger.
        unsafe {
            let list = &raw mut __jit_debug_descriptor;
            (*list).relevant = node;
            (*list).action = action;
            __jit_debug_register_code();
            (*list).relevant = null_mut();
            (*list).action = 0;
        }
    }

    impl Drop for Entry {
        fn drop(&mut self) {
            let _held = LIST.lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the node came from a box and is in the list; its neighbours are, too.
            unsafe {
                let list = &raw mut __jit_debug_descriptor;
                let (next, prev) = ((*self.node).next, (*self.node).prev);
                match prev.is_null() {
                    true => (*list).first = next,
                    false => (*prev).next = next,
                }
                if !next.is_null() {
                    (*next).prev = prev;
                }
                announce(self.node, REMOVED);
                drop(Box::from_raw(self.node));
            }
        }
    }

    /// The object files in the list.
    #[cfg(test)]
    pub(crate) fn objects() -> Vec<Vec<u8>> {
        let _held = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        // SAFETY: nodes in the list are alive while the lock is held, and so are their object files.
        unsafe {
            let mut at = __jit_debug_descriptor.first;
            while !at.is_null() {
                let bytes = std::slice::from_raw_parts((*at).object, (*at).size as usize);
                all.push(bytes.to_vec());
                at = (*at).next;
            }
        }
        all
    }
}

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod list {
    /// Is there such an interface?
    pub(crate) const AVAILABLE: bool = false;

    /// Never made.
    #[derive(Debug)]
    pub(crate) struct Entry;

    impl Entry {
        pub(crate) fn new(_name: &str, _start: *const u8, _len: usize) -> Entry {
            Entry
        }
    }
}

#[cfg(all(
    test,
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod tests {
    use super::*;

    fn word(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    fn half(bytes: &[u8], at: usize) -> usize {
        usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
    }

    /// The functions of an object file: name, address, length.
    fn functions(bytes: &[u8]) -> Vec<(String, u64, u64)> {
        assert_eq!(&bytes[..6], b"\x7fELF\x02\x01");
        let (sections, count) = (word(bytes, 40) as usize, half(bytes, 60));
        assert_eq!(bytes.len(), sections + 64 * count);
        assert_eq!(half(bytes, 58), 64);
        let section = |n: usize| &bytes[sections + 64 * n..][..64];
        let content = |n: usize| {
            let header = section(n);
            &bytes[word(header, 24) as usize..][..word(header, 32) as usize]
        };
        let text = |from: &[u8], at: usize| {
            let end = from[at..].iter().position(|b| *b == 0).unwrap();
            String::from_utf8(from[at..at + end].to_vec()).unwrap()
        };
        let names = content(half(bytes, 62));
        let name = |n: usize| text(names, half(section(n), 0));
        let all: Vec<String> = (0..count).map(name).collect();
        assert_eq!(all, ["", ".text", ".symtab", ".strtab", ".shstrtab"]);
        let strings = content(half(section(2), 40));
        let symbols = content(2).chunks(word(section(2), 56) as usize);
        let functions = symbols.filter(|symbol| symbol[4] & 15 == 2);
        let function = |symbol: &[u8]| {
            let base = word(section(half(symbol, 6)), 16);
            let name = text(strings, half(symbol, 0));
            (name, base + word(symbol, 8), word(symbol, 16))
        };
        functions.map(function).collect()
    }

    #[test]
    fn the_list_holds_object_files_with_a_name_and_an_address_as_long_as_the_code_lives() {
        let listed = |name: &str| {
            let all = list::objects();
            all.iter().flat_map(|o| functions(o)).any(|f| f.0 == name)
        };
        let code = [0xc3_u8; 40];
        let one = Entry::new("saxpy.f32", code.as_ptr(), 40);
        let start = code.as_ptr() as u64;
        let expected = [("saxpy.f32".to_string(), start, 40)];
        assert_eq!(functions(one.object()), expected);
        let two = Entry::new("sum_of_squares.f64", code.as_ptr(), 8);
        assert!(listed("saxpy.f32") && listed("sum_of_squares.f64"));
        drop(one);
        assert!(!listed("saxpy.f32") && listed("sum_of_squares.f64"));
        drop(two);
        assert!(!listed("sum_of_squares.f64"));
    }
}
