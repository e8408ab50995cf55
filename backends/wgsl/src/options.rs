//! What the shader is for: arithmetic mode, device features, limits.

/// Options of [`crate::emit`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WgslOptions {
    /// Let the driver contract, reassociate and approximate (the kernel can ask for it too).
    pub fast: bool,
    /// How strict arithmetic is kept when not `fast`.
    pub strict: StrictMode,
    /// Number of axes that strided operands are addressed with, at least 1.
    pub rank: usize,
    /// Invocations a workgroup. [`crate::Shader::workgroup`] says what was taken.
    pub workgroup: u32,
    /// Optional features of the device.
    pub features: Features,
    /// Loop iterations an invocation may run before the device stops it; `None` where it never does.
    pub loop_limit: Option<u32>,
    /// Where iterations are limited: repeat the bodies of innermost loops, so that an iteration of the shader's
    /// loop is many of the kernel's. For kernels that ran into the limit without.
    pub unroll: bool,
    /// In a reduction: how many of the axes, the first ones, are those of the outputs.
    pub kept: usize,
}

impl Default for WgslOptions {
    fn default() -> WgslOptions {
        WgslOptions {
            fast: false,
            strict: StrictMode::Patch,
            rank: 1,
            workgroup: 256,
            features: Features::default(),
            loop_limit: None,
            unroll: false,
            kept: 0,
        }
    }
}

/// Who keeps drivers from reassociating and folding floating-point arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum StrictMode {
    /// Whoever turns the text into SPIR-V marks every float operation as not to be contracted and
    /// every float width as preserving signed zeros, infinities and NaN. The text is plain.
    #[default]
    Patch,
    /// The text itself: values pass through integer operations that no optimiser sees through.
    Barrier,
}

/// Optional features of the device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Features {
    /// `f64` arithmetic.
    pub f64: bool,
    /// `i64` and `u64` arithmetic.
    pub i64: bool,
}

impl Default for Features {
    fn default() -> Features {
        Features {
            f64: true,
            i64: true,
        }
    }
}
