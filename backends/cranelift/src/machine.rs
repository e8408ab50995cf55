//! The machine that code is made for: Cranelift's ISA object and the features lowering asks about.

use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use kjit_ir::target::BackendError;

/// An ISA and what it can do.
pub(crate) struct Machine {
    pub(crate) isa: OwnedTargetIsa,
    /// The ISA for kernels with products of 32-bit lanes. With AVX-512DQ Cranelift makes every
    /// multiplication of 64-bit lanes a `vpmullq`, also where one `pmuludq` would do.
    pub(crate) isa_of_products: OwnedTargetIsa,
    /// The ISA for kernels with more constants than [`lower::has_many_constants`] allows: Cranelift's optimiser moves every
    /// constant vector out of the loop, and the time that the register allocator takes for long live ranges is quadratic.
    pub(crate) isa_of_many_constants: OwnedTargetIsa,
    /// Fused multiply-add is an instruction.
    pub(crate) fma: bool,
    /// Rounding to integral values, blends and the like are instructions (SSE4.1; always on aarch64).
    pub(crate) rounding: bool,
    /// `blendv` is to be had.
    pub(crate) blend: bool,
    /// Operands in memory may have any alignment (AVX; always on aarch64).
    pub(crate) unaligned_operands: bool,
    /// Integer compare and multiply exist for every lane width (SSE4.2).
    pub(crate) wide_compare: bool,
}

impl Machine {
    /// The machine this process runs on; without `native` only what its architecture guarantees.
    pub(crate) fn host(native: bool) -> Result<Machine, BackendError> {
        let unsupported = |what: &dyn std::fmt::Display| {
            BackendError::Unsupported(format!("no machine code for this computer: {what}"))
        };
        let mut flags = settings::builder();
        let verifier = if cfg!(debug_assertions) {
            "true"
        } else {
            "false"
        };
        for (name, value) in [
            ("opt_level", "speed"),
            ("enable_verifier", verifier),
            ("unwind_info", "false"),
            ("enable_probestack", "true"),
            ("probestack_strategy", "inline"),
            ("is_pic", "false"),
            ("use_colocated_libcalls", "false"),
        ] {
            flags.set(name, value).map_err(|e| unsupported(&e))?;
        }
        let mut unmoved = flags.clone();
        unmoved
            .set("opt_level", "none")
            .map_err(|e| unsupported(&e))?;
        let flags = settings::Flags::new(flags);
        let mut builder =
            cranelift_native::builder_with_options(native).map_err(|e| unsupported(&e))?;
        let isa = builder.finish(flags.clone()).map_err(|e| unsupported(&e))?;
        let isa_of_many_constants = builder
            .finish(settings::Flags::new(unmoved))
            .map_err(|e| unsupported(&e))?;
        if cfg!(target_arch = "x86_64") {
            let off = builder.set("has_avx512dq", "false");
            off.map_err(|e| unsupported(&e))?;
        }
        let isa_of_products = builder.finish(flags).map_err(|e| unsupported(&e))?;
        let x86 = cfg!(target_arch = "x86_64");
        let has = |name: &str| {
            isa.isa_flags()
                .iter()
                .any(|flag| flag.name == name && flag.as_bool() == Some(true))
        };
        Ok(Machine {
            fma: !x86 || has("has_fma"),
            rounding: !x86 || has("has_sse41"),
            blend: x86 && has("has_sse41"),
            unaligned_operands: !x86 || has("has_avx"),
            wide_compare: !x86 || has("has_sse42"),
            isa,
            isa_of_products,
            isa_of_many_constants,
        })
    }
}
