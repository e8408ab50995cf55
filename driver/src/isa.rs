//! Which vector instructions code for the CPU is made of.

use kjit_cranelift::Cranelift;
use kjit_ir::target::{Backend, BackendError};
use kjit_x86::{Features, Tier, X86};
use std::sync::OnceLock;

/// Vector instructions of the CPU.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Isa {
    /// 128 bits, through Cranelift: on every machine (SSE and AVX on x86-64, NEON on aarch64).
    Sse,
    /// 256 bits: AVX2 with FMA.
    Avx2,
    /// 512 bits: AVX-512 (F, DQ, VL, BW).
    Avx512,
}

impl Isa {
    /// All of them, the widest last.
    pub const ALL: [Isa; 3] = [Isa::Sse, Isa::Avx2, Isa::Avx512];

    /// What it is called in options.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Sse => "sse",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Isa> {
        Isa::ALL.into_iter().find(|isa| isa.name() == name)
    }

    /// Bits of a vector.
    pub const fn bits(self) -> u32 {
        match self {
            Isa::Sse => 128,
            Isa::Avx2 => 256,
            Isa::Avx512 => 512,
        }
    }

    pub(crate) fn tier(self) -> Option<Tier> {
        match self {
            Isa::Sse => None,
            Isa::Avx2 => Some(Tier::Avx2),
            Isa::Avx512 => Some(Tier::Avx512),
        }
    }

    /// Has this machine got it?
    pub fn is_available(self) -> bool {
        let host = Features::host();
        self.tier()
            .is_none_or(|tier| host.contains(tier.features()))
    }

    /// What kernels are made of where nobody asks for another: the widest that this machine has.
    pub fn preferred() -> Isa {
        let mut widest_first = Isa::ALL.into_iter().rev();
        widest_first
            .find(|isa| isa.is_available())
            .unwrap_or(Isa::Sse)
    }

    /// The backend, of which a process has one, or the one for arrays larger than the caches.
    pub(crate) fn backend(self, streams: bool) -> Result<&'static dyn Backend, BackendError> {
        static WIDE: [OnceLock<Result<X86, BackendError>>; 4] = [const { OnceLock::new() }; 4];
        let Some(tier) = self.tier() else {
            return Ok(cranelift()?);
        };
        let place = &WIDE[usize::from(self == Isa::Avx512) + 2 * usize::from(streams)];
        let backend = place.get_or_init(|| match streams {
            true => Ok(X86::new(tier)?.streaming()),
            false => X86::new(tier),
        });
        Ok(backend.as_ref().map_err(Clone::clone)?)
    }
}

/// The machine-code backend of every machine.
pub(crate) fn cranelift() -> Result<&'static Cranelift, BackendError> {
    static BACKEND: OnceLock<Result<Cranelift, BackendError>> = OnceLock::new();
    BACKEND
        .get_or_init(Cranelift::new)
        .as_ref()
        .map_err(Clone::clone)
}
