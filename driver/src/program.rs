//! Checked source text, shared by all that run it.

use kjit_frontend::{CheckedModule, Diagnostic, Source};
use kjit_ir::{FusedExpr, HostProgram, Signature};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A source file that passed the front end; clones share what it found.
#[derive(Clone)]
pub struct Program {
    source: Source,
    checked: Arc<CheckedModule>,
    id: u64,
}

impl Program {
    /// Checks a source text; all its mistakes come back at once.
    ///
    /// ```
    /// use kjit_driver::{Program, Source};
    /// let errors = Program::compile(Source::new("a.k", "ufunc f(x: f32) -> f32 { y }")).unwrap_err();
    /// assert_eq!(errors[0].code.as_str(), "E0201");
    /// ```
    pub fn compile(source: Source) -> Result<Program, Vec<Diagnostic>> {
        let checked = kjit_frontend::check(&source)?;
        let mut hasher = std::hash::DefaultHasher::new();
        source.text.hash(&mut hasher);
        Ok(Program {
            source,
            checked: Arc::new(checked),
            id: hasher.finish(),
        })
    }

    /// The source.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Signatures of the file's ufuncs, in source order.
    pub fn signatures(&self) -> &[Signature] {
        self.checked.signatures()
    }

    /// Signature of a ufunc of the file, or of a built-in element-wise function.
    pub fn signature(&self, name: &str) -> Option<&Signature> {
        self.checked.signature(name)
    }

    /// The `main` of the file.
    pub fn host(&self) -> Option<&HostProgram> {
        self.checked.host()
    }

    /// Hash of the text: what kernels made from it depend on.
    pub fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn kernel(
        &self,
        ufunc: &str,
        generics: &[kjit_ir::DType],
        masked: bool,
        fast: bool,
    ) -> Result<(kjit_ir::Module, kjit_ir::FuncRef), Vec<Diagnostic>> {
        self.checked.kernel(ufunc, generics, masked, fast)
    }

    pub(crate) fn fuse(
        &self,
        expr: &FusedExpr,
        fast: bool,
    ) -> Result<(kjit_ir::Module, kjit_ir::FuncRef), Vec<Diagnostic>> {
        self.checked.fuse(expr, fast)
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("source", &self.source.name)
            .finish_non_exhaustive()
    }
}
