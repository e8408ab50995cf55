//! Calling conventions: where arguments and results are, and who saves which register.
//!
//! Code of this backend has no unwind tables: what it calls must not unwind. Windows asks for such tables of every
//! function that moves `rsp`; the backend was never run there.

use crate::encode::Reg;
use regalloc2::{MachineEnv, PReg, PRegSet, RegClass};

/// A calling convention.
#[derive(Debug, PartialEq, Eq)]
pub struct Convention {
    /// Its name.
    pub name: &'static str,
    /// General registers of the first arguments.
    pub arguments: &'static [Reg],
    /// Vector registers of the first vectors; empty where they are passed by address.
    pub vector_arguments: &'static [Reg],
    /// General registers that a function keeps, without `rsp` and `rbp`.
    pub kept: &'static [Reg],
    /// Vector registers whose low 128 bits a function keeps.
    pub kept_vectors: &'static [Reg],
    /// Bytes above the return address that belong to the function called.
    pub shadow: usize,
}

/// `rax`: the result, in every convention.
pub const RAX: Reg = 0;
/// `rsp`.
pub const RSP: Reg = 4;
/// `rbp`: the frame pointer, where there is a frame with vectors; never allocated.
pub const RBP: Reg = 5;

/// Linux, macOS, BSD (AMD64 psABI 1.0, section 3.2).
pub static SYSTEM_V: Convention = Convention {
    name: "system v",
    // rdi, rsi, rdx, rcx, r8, r9
    arguments: &[7, 6, 2, 1, 8, 9],
    vector_arguments: &[0, 1, 2, 3, 4, 5, 6, 7],
    // rbx, r12 to r15
    kept: &[3, 12, 13, 14, 15],
    kept_vectors: &[],
    shadow: 0,
};

/// Windows ("x64 calling convention" in Microsoft's documentation).
pub static WINDOWS: Convention = Convention {
    name: "windows",
    // rcx, rdx, r8, r9
    arguments: &[1, 2, 8, 9],
    vector_arguments: &[],
    // rbx, rsi, rdi, r12 to r15
    kept: &[3, 6, 7, 12, 13, 14, 15],
    kept_vectors: &[6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    shadow: 32,
};

impl Convention {
    /// The one of this machine.
    pub fn host() -> &'static Convention {
        match cfg!(windows) {
            true => &WINDOWS,
            false => &SYSTEM_V,
        }
    }

    /// The registers to allocate: with `wide` the vector registers 16 to 31 and the masks of AVX-512 too; with
    /// `evex` there is nothing to gain from the lower vector registers.
    ///
    /// Registers that the convention lets the function overwrite come first, so that small kernels save none. `k0` is
    /// left out, since as a mask it means none.
    pub(crate) fn registers(&self, wide: bool, evex: bool) -> MachineEnv {
        let mut first = [PRegSet::empty(); 3];
        let mut second = [PRegSet::empty(); 3];
        for n in (0..16).filter(|n| ![RSP, RBP].contains(n)) {
            let set = match self.kept.contains(&n) {
                true => &mut second,
                false => &mut first,
            };
            set[RegClass::Int as usize].add(general(n));
        }
        for n in 0..if wide { 32 } else { 16 } {
            // The upper ones cost a longer encoding, the kept ones a save.
            let longer = n >= 16 && !evex && self.kept_vectors.is_empty();
            let later = self.kept_vectors.contains(&n) || longer;
            let set = if later { &mut second } else { &mut first };
            set[RegClass::Vector as usize].add(vector(n));
        }
        if wide {
            for n in 1..8 {
                first[RegClass::Float as usize].add(mask(n));
            }
        }
        MachineEnv {
            preferred_regs_by_class: first,
            non_preferred_regs_by_class: second,
            scratch_by_class: [None; 3],
            fixed_stack_slots: Vec::new(),
        }
    }

    /// What a call overwrites. Of vectors everything: only their low 128 bits are kept anywhere.
    pub(crate) fn overwritten(&self) -> PRegSet {
        let mut set = PRegSet::empty();
        for n in (0..16).filter(|n| ![RSP, RBP].contains(n) && !self.kept.contains(n)) {
            set.add(general(n));
        }
        for n in 0..32 {
            set.add(vector(n));
        }
        for n in 0..8 {
            set.add(mask(n));
        }
        set
    }
}

/// A general register.
pub(crate) const fn general(n: Reg) -> PReg {
    PReg::new(n as usize, RegClass::Int)
}

/// A vector register.
pub(crate) const fn vector(n: Reg) -> PReg {
    PReg::new(n as usize, RegClass::Vector)
}

/// A mask register.
pub(crate) const fn mask(n: Reg) -> PReg {
    PReg::new(n as usize, RegClass::Float)
}
