//! The front end's product: a checked file, from which kernels are made on demand.

use crate::builtins;
use crate::diagnostic::Diagnostic;
use crate::fuse;
use crate::hir::{Function, Program};
use crate::host::lower_main;
use crate::infer::infer_types;
use crate::instantiate::{Home, Instances};
use crate::parser::parse_file;
use crate::resolve::{Unit, collect_items, resolve_names};
use crate::source::Source;
use crate::types::Ty;
use kjit_ir::{
    Access, ArrayMode, ArrayParam, DType, FuncRef, FunctionBuilder, FusedExpr, HostProgram, Module,
    Signature, Type, TypeSpec,
};

/// A checked source file.
#[derive(Debug)]
pub struct CheckedModule {
    source: Source,
    program: Program,
    signatures: Vec<Signature>,
    host: Option<HostProgram>,
}

/// Parses, resolves and infers a file. Every mistake is reported, except that mistakes of syntax hide
/// those of names and types, which may only follow from them.
pub fn check(source: &Source) -> Result<CheckedModule, Vec<Diagnostic>> {
    let (file, mut diagnostics) = parse_file(source);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let units = [Unit {
        source,
        file: &file,
    }];
    let items = collect_items(&units, &mut diagnostics);
    let mut program = resolve_names(&items, &mut diagnostics);
    infer_types(&mut program, &[source], &mut diagnostics);
    let host = lower_main(&items, &program, source, &mut diagnostics);
    if !diagnostics.is_empty() {
        diagnostics.sort_by_key(|d| (d.loc, d.code));
        return Err(diagnostics);
    }
    let signatures = program
        .functions
        .iter()
        .filter(|f| f.is_ufunc || f.gufunc.is_some())
        .map(|f| signature(f, source))
        .collect();
    Ok(CheckedModule {
        source: source.clone(),
        program,
        signatures,
        host,
    })
}

impl CheckedModule {
    /// The call signatures of the file's ufuncs and gufuncs, in source order.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The call signature of a ufunc or gufunc of the file, or of an element-wise built-in function.
    pub fn signature(&self, name: &str) -> Option<&Signature> {
        self.signatures
            .iter()
            .find(|s| s.name == name)
            .or_else(|| builtins::signature(name))
    }

    /// The host program, if the file has a `main`.
    pub fn host(&self) -> Option<&HostProgram> {
        self.host.as_ref()
    }

    /// The source.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The kernel of a ufunc or gufunc for these dtypes of its type parameters, with the functions it
    /// calls: one input array a parameter, then one output array a result, then those of
    /// [`kjit_ir::Role::Written`] that a gufunc needs.
    ///
    /// # Panics
    /// If the file has no such ufunc, or it has another number of type parameters: callers know the
    /// [`Signature`].
    pub fn kernel(
        &self,
        ufunc: &str,
        generics: &[DType],
    ) -> Result<(Module, FuncRef), Vec<Diagnostic>> {
        let mut instances = Instances::new(&self.program, &self.source);
        let function = self
            .program
            .names
            .get(ufunc)
            .map(|id| (*id, &self.program.functions[*id]))
            .filter(|(_, f)| {
                (f.is_ufunc || f.gufunc.is_some()) && f.generics.len() == generics.len()
            });
        let Some((id, function)) = function else {
            return self.builtin_kernel(ufunc, generics);
        };
        let callee = instances.function(Home::User, id, generics);
        if function.gufunc.is_some() {
            return Ok((instances.finish()?, callee));
        }
        let signature = signature(function, &self.source);
        let kernel = wrap(
            &mut instances.module,
            &signature,
            generics,
            callee,
            function.fast,
        );
        let module = instances.finish()?;
        Ok((module, kernel))
    }

    /// The kernel of an element-wise built-in function: a fused expression of one call.
    fn builtin_kernel(
        &self,
        name: &str,
        generics: &[DType],
    ) -> Result<(Module, FuncRef), Vec<Diagnostic>> {
        let signature = builtins::signature(name)
            .filter(|s| s.generics.len() == generics.len())
            .unwrap_or_else(|| panic!("bug in kjit: no ufunc {name} of {generics:?}"));
        self.fuse(&fuse::single_call(signature, generics))
    }

    /// The kernel of a fused expression, with the functions it calls: its inputs, then the index if it
    /// uses one, then its outputs.
    pub fn fuse(&self, expr: &FusedExpr) -> Result<(Module, FuncRef), Vec<Diagnostic>> {
        let mut instances = Instances::new(&self.program, &self.source);
        let kernel = fuse::lower_fused(expr, &self.program, &self.source, &mut instances)
            .map_err(|d| vec![*d])?;
        let kernel = instances.module.push(kernel);
        let module = instances.finish()?;
        Ok((module, kernel))
    }
}

/// The call signature of a ufunc.
pub fn signature(function: &Function, source: &Source) -> Signature {
    let spec = |ty: &Ty| match ty.element() {
        Ty::Scalar(dtype) => TypeSpec::DType(*dtype),
        Ty::Generic(n) => TypeSpec::Generic(*n as usize),
        other => panic!("bug in kjit: {other:?} in a signature"),
    };
    let outputs = function.outputs.iter().enumerate().map(|(n, (name, ty))| {
        let name = name
            .clone()
            .unwrap_or_else(|| match function.outputs.len() {
                1 => "out".to_string(),
                _ => format!("out{n}"),
            });
        (name, spec(ty))
    });
    Signature {
        name: function.name.clone(),
        generics: function.generics.clone(),
        inputs: function
            .params
            .iter()
            .map(|(name, ty)| (name.clone(), spec(ty)))
            .collect(),
        outputs: outputs.collect(),
        identity: function.identity,
        reorderable: function.reorderable,
        core: function.gufunc.as_ref().map(|g| g.core.clone()),
        loc: source.loc(function.name_span),
    }
}

/// The kernel around a function: loads, the call, stores.
fn wrap(
    module: &mut Module,
    signature: &Signature,
    generics: &[DType],
    callee: FuncRef,
    fast: bool,
) -> FuncRef {
    let mut b = FunctionBuilder::new(format!("{}.kernel", module[callee].name));
    b.func.fast = fast;
    b.set_loc(signature.loc);
    let array = |b: &mut FunctionBuilder, (name, ty): &(String, TypeSpec), mode| {
        let dtype = ty.resolve(generics);
        b.array(ArrayParam::new(name.clone(), dtype, mode, Access::Strided))
    };
    let inputs: Vec<_> = signature
        .inputs
        .iter()
        .map(|p| array(&mut b, p, ArrayMode::In))
        .collect();
    let outputs: Vec<_> = signature
        .outputs
        .iter()
        .map(|p| array(&mut b, p, ArrayMode::Out))
        .collect();
    let values: Vec<_> = inputs.into_iter().map(|a| b.load(a)).collect();
    let results: Vec<Type> = signature
        .outputs
        .iter()
        .map(|(_, ty)| Type::scalar(ty.resolve(generics)))
        .collect();
    let results = b.call(callee, &values, &results);
    for (array, value) in outputs.into_iter().zip(results) {
        b.store(array, value);
    }
    module.push(b.ret(&[]))
}

#[cfg(test)]
#[path = "module_test.rs"]
mod tests;

#[cfg(test)]
#[path = "gufunc_test.rs"]
mod gufunc_tests;
