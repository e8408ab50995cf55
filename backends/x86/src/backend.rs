//! The backend: kernels in vector form to callable code, for a tier of instructions.

use crate::convention::Convention;
use crate::emit::Compiled;
use crate::encode::Width;
use crate::lower::shape::CopiesBy;
use crate::lower::{LoopPart, Lowered, lower};
use crate::{Features, Target};
use kjit_code::{Arena, Kernel};
use kjit_ir::passes::half_as_u16;
use kjit_ir::target::{Backend, BackendError, CodeReport, CompiledKernel, LoopCode, MachineReport};
use kjit_ir::{DType, Form, Function, Loc};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Which instructions kernels are made of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Tier {
    /// 256 bits, masks in vectors: AVX2, FMA, F16C, BMI.
    Avx2,
    /// 256 bits with the instructions and masks of AVX-512 (F, DQ, VL, BW).
    Avx512Half,
    /// 512 bits.
    Avx512,
}

impl Tier {
    /// All of them.
    pub const ALL: [Tier; 3] = [Tier::Avx2, Tier::Avx512Half, Tier::Avx512];

    /// What the CPU must have.
    pub fn features(self) -> Features {
        match self {
            Tier::Avx2 => Features::TIER_AVX2,
            Tier::Avx512Half | Tier::Avx512 => Features::TIER_AVX512,
        }
    }

    fn target(self) -> Target {
        Target {
            features: self.features(),
            width: match self {
                Tier::Avx512 => Width::Z,
                _ => Width::Y,
            },
            convention: Convention::host(),
        }
    }
}

/// The backend for one tier. It takes kernels in vector form; what it does not support is
/// [`BackendError::Unsupported`], with the reason.
///
/// ```
/// use kjit_ir::passes::vectorize;
/// use kjit_ir::target::Backend;
/// use kjit_ir::{Access, ArrayMode, ArrayParam, DType, FunctionBuilder, Opcode};
/// use kjit_x86::{Tier, X86};
///
/// let mut b = FunctionBuilder::new("square");
/// let array = |name: &str, mode| ArrayParam::new(name, DType::F32, mode, Access::Contiguous);
/// let x = b.array(array("x", ArrayMode::In));
/// let y = b.array(array("y", ArrayMode::Out));
/// let value = b.load(x);
/// let square = b.binary(Opcode::Mul, value, value);
/// b.store(y, square);
/// let kernel = vectorize(&b.ret(&[]));
/// // On a machine without AVX2 there is none.
/// if let Ok(backend) = X86::new(Tier::Avx2) {
///     assert!(backend.compile(&kernel)?.lanes() >= 8);
/// }
/// # Ok::<(), kjit_ir::target::BackendError>(())
/// ```
#[derive(Debug)]
pub struct X86 {
    tier: Tier,
    arena: Arc<Arena>,
    streams: bool,
    /// Vectors an iteration, where a test wants other than the best.
    pub(crate) copies: Option<usize>,
}

impl X86 {
    /// For this machine.
    ///
    /// # Errors
    /// [`BackendError::Unsupported`] when it lacks instructions of the tier.
    pub fn new(tier: Tier) -> Result<X86, BackendError> {
        let host = Features::host();
        if !host.contains(tier.features()) {
            return Err(BackendError::Unsupported(format!(
                "this machine lacks instructions of {tier:?}: it has {host:?}"
            )));
        }
        Ok(X86 {
            tier,
            arena: Arc::new(Arena::default()),
            streams: false,
            copies: None,
        })
    }

    /// For arrays larger than the caches: code that stores past them, and asks for inputs ahead of time.
    ///
    /// Where an output has contiguous elements of 4 or 8 bytes, the first must be aligned to 64 bytes (the processor
    /// faults otherwise), and no output should overlap an input, whose elements may be in a cache.
    pub fn streaming(mut self) -> X86 {
        self.streams = true;
        self
    }

    fn lower(&self, kernel: &Function) -> Result<Lowered, BackendError> {
        lower(
            &without_half(kernel),
            self.tier.target(),
            self.copies,
            self.streams,
        )
    }
}

/// Machine code of a kernel, to look at.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Instructions, then constants.
    pub bytes: Vec<u8>,
    /// Bytes of instructions.
    pub len: usize,
    /// Where in the source they come from: the offset of the first byte, ascending. What comes from nowhere (loop
    /// control, addresses) has the default [`Loc`].
    pub places: Vec<(usize, Loc)>,
    /// What the lowering and the allocation of registers tell of it.
    pub report: CodeReport,
}

/// What [`X86`] makes of a kernel, on machines that lack the instructions of the tier, too.
///
/// # Errors
/// As [`X86`]'s `compile`.
pub fn listing(kernel: &Function, tier: Tier) -> Result<Listing, BackendError> {
    let mut lowered = lower(&without_half(kernel), tier.target(), None, false)?;
    let mut report = report(tier, &mut lowered);
    let compiled = lowered.function.compile()?;
    report.machine = Some(machine_report(&lowered.loops, &compiled));
    Ok(Listing {
        bytes: compiled.code.bytes,
        len: compiled.code.len,
        places: compiled.places,
        report,
    })
}

/// What is told of a kernel's code.
fn report(tier: Tier, lowered: &mut Lowered) -> CodeReport {
    let (reasons, copies) = (lowered.reasons, lowered.copies);
    let bits = tier.target().width.bytes() * 8;
    let more = |what: &str, n: usize| format!("{n} {what} are alive at once, and more do not fit");
    let why_copies = match reasons.copies {
        CopiesBy::Most => "there are never more".to_string(),
        CopiesBy::Registers => more("vectors", reasons.live),
        CopiesBy::Masks => more("masks", reasons.masks),
        CopiesBy::Size => "the kernel is large".to_string(),
        CopiesBy::Locals => "local arrays would take too much of the stack".to_string(),
    };
    let whole = match tier {
        Tier::Avx512 => "the widest vectors that there are".to_string(),
        Tier::Avx512Half => "half of the widest vectors".to_string(),
        Tier::Avx2 => "avx2 has vectors of 256 bits; --isa avx512 has 512".to_string(),
    };
    let why_lanes = match reasons.wide {
        Some(loc) => (
            format!("{whole}; a value of 64 bits makes all lanes so wide"),
            Some(loc),
        ),
        None => (whole, None),
    };
    let mut notes = std::mem::take(&mut lowered.notes);
    notes.sort_by_key(|note| (note.loc.file, note.loc.start, note.loc.end));
    CodeReport {
        bits,
        lanes: lowered.vector,
        copies,
        why_lanes,
        why_copies,
        notes,
        machine: None,
    }
}

/// What is told of the machine code.
fn machine_report(loops: &[LoopPart], compiled: &Compiled) -> MachineReport {
    let loops = loops.iter().enumerate().map(|(n, part)| {
        let counted = compiled.parts.get(n + 1).copied().unwrap_or_default();
        LoopCode {
            inst: part.inst,
            rest: part.rest,
            instructions: counted.instructions,
            spills: counted.spills,
            seldom: counted.cold,
        }
    });
    MachineReport {
        bytes: compiled.code.len,
        constants: compiled.code.bytes.len() - compiled.code.len,
        frame: compiled.frame,
        loops: loops.collect(),
    }
}

/// The kernel with f16 as the bytes that it is after `lower_half`.
fn without_half(kernel: &Function) -> Cow<'_, Function> {
    let dtypes = kernel.values.iter().map(|v| v.ty.dtype);
    let dtypes = dtypes.chain(kernel.arrays.iter().map(|a| a.dtype));
    let mut dtypes = dtypes.chain(kernel.locals.iter().map(|l| l.dtype));
    if !dtypes.any(|dtype| dtype == DType::F16) {
        return Cow::Borrowed(kernel);
    }
    let mut bytes = kernel.clone();
    half_as_u16(&mut bytes);
    Cow::Owned(bytes)
}

impl Backend for X86 {
    fn name(&self) -> &'static str {
        match self.tier {
            Tier::Avx2 => "avx2",
            Tier::Avx512Half => "avx512 at 256 bits",
            Tier::Avx512 => "avx512",
        }
    }

    fn compile(&self, kernel: &Function) -> Result<Arc<dyn CompiledKernel>, BackendError> {
        let lowered = self.lower(kernel)?;
        let compiled = lowered.function.compile()?;
        let name = || format!("{}.{}", kernel.name, self.name());
        let bytes = &compiled.code.bytes;
        // SAFETY: the bytes are a function of the kernel ABI, in the convention of this machine, which has the
        // instructions of the tier; `lower` keeps to what the kernel may access.
        let code = unsafe { Kernel::publish(&self.arena, bytes, lowered.lanes, name)? };
        Ok(Arc::new(code))
    }

    fn takes(&self, form: Form) -> bool {
        form == Form::Vector
    }

    fn emit(&self, kernel: &Function, stage: &str) -> Option<Result<String, BackendError>> {
        match stage {
            "mach" => Some(self.lower(kernel).map(|l| l.function.to_string())),
            _ => None,
        }
    }
}

impl fmt::Display for X86 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
