//! The front end's product: a checked file, from which kernels are made on demand.

use crate::builtins;
use crate::diagnostic::Diagnostic;
use crate::fuse;
use crate::hir::{self, Program};
use crate::host::lower_main;
use crate::infer::infer_types;
use crate::instantiate::{Home, Instances};
use crate::parser::parse_file;
use crate::resolve::{Unit, collect_items, resolve_names};
use crate::source::Source;
use crate::types::Ty;
use kjit_ir::{
    Access, ArrayMode, ArrayParam, ArrayRef, DType, FuncRef, Function, FunctionBuilder, FusedExpr,
    HostProgram, Module, Role, Signature, Type, TypeSpec, Value,
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
    /// [`kjit_ir::Role::Written`] that a gufunc needs. A masked one (of a ufunc) has, between inputs and
    /// outputs, the mask and one input array a result, and where the mask is false it passes on the latter
    /// and computes nothing. With `fast`, and for ufuncs declared so, functions of the library are the faster
    /// ones.
    ///
    /// # Panics
    /// If the file has no such ufunc, or it has another number of type parameters: callers know the
    /// [`Signature`].
    pub fn kernel(
        &self,
        ufunc: &str,
        generics: &[DType],
        masked: bool,
        fast: bool,
    ) -> Result<(Module, FuncRef), Vec<Diagnostic>> {
        let function = self
            .program
            .names
            .get(ufunc)
            .map(|id| (*id, &self.program.functions[*id]))
            .filter(|(_, f)| {
                (f.is_ufunc || f.gufunc.is_some()) && f.generics.len() == generics.len()
            });
        let Some((id, function)) = function else {
            return self.builtin_kernel(ufunc, generics, masked, fast);
        };
        let fast = fast || function.fast;
        let mut instances = Instances::new(&self.program, &self.source, fast);
        let callee = instances.function(Home::User, id, generics);
        if function.gufunc.is_some() {
            assert!(!masked, "bug in kjit: a gufunc with a mask");
            return Ok((instances.finish()?, callee));
        }
        let signature = signature(function, &self.source);
        let name = format!("{}.kernel", instances.module[callee].name);
        let types = results_of(&signature, generics);
        let mut call = |b: &mut FunctionBuilder, args: &[Value]| b.call(callee, args, &types);
        let mut kernel = wrap(&name, &signature, generics, masked, &mut call);
        kernel.fast = function.fast;
        let kernel = instances.module.push(kernel);
        let module = instances.finish()?;
        Ok((module, kernel))
    }

    /// The kernel of an element-wise built-in function.
    fn builtin_kernel(
        &self,
        name: &str,
        generics: &[DType],
        masked: bool,
        fast: bool,
    ) -> Result<(Module, FuncRef), Vec<Diagnostic>> {
        let signature = builtins::signature(name)
            .filter(|s| s.generics.len() == generics.len())
            .unwrap_or_else(|| panic!("bug in kjit: no ufunc {name} of {generics:?}"));
        let mut instances = Instances::new(&self.program, &self.source, fast);
        let mut call = |b: &mut FunctionBuilder, args: &[Value]| {
            fuse::call(b, &mut instances, &self.program, name, generics, args)
        };
        let kernel = wrap(name, signature, generics, masked, &mut call);
        let kernel = instances.module.push(kernel);
        let module = instances.finish()?;
        Ok((module, kernel))
    }

    /// The kernel of a fused expression, with the functions it calls: its inputs, then the index if it
    /// uses one, then its outputs.
    pub fn fuse(&self, expr: &FusedExpr, fast: bool) -> Result<(Module, FuncRef), Vec<Diagnostic>> {
        let mut instances = Instances::new(&self.program, &self.source, fast);
        let kernel = fuse::lower_fused(expr, &self.program, &self.source, &mut instances)
            .map_err(|d| vec![*d])?;
        let kernel = instances.module.push(kernel);
        let module = instances.finish()?;
        Ok((module, kernel))
    }
}

/// The call signature of a ufunc.
pub fn signature(function: &hir::Function, source: &Source) -> Signature {
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

fn results_of(signature: &Signature, generics: &[DType]) -> Vec<Type> {
    let outputs = signature.outputs.iter();
    outputs
        .map(|(_, ty)| Type::scalar(ty.resolve(generics)))
        .collect()
}

/// The kernel around a call: loads, the call (under the mask, if there is one), stores.
fn wrap(
    name: &str,
    signature: &Signature,
    generics: &[DType],
    masked: bool,
    call: &mut dyn FnMut(&mut FunctionBuilder, &[Value]) -> Vec<Value>,
) -> Function {
    let mut b = FunctionBuilder::new(name);
    b.set_loc(signature.loc);
    let (nin, nout) = (signature.inputs.len(), signature.outputs.len());
    let param = |(name, ty): &(String, TypeSpec), mode| {
        ArrayParam::new(name.clone(), ty.resolve(generics), mode, Access::Strided)
    };
    let mut values: Vec<Value> = Vec::new();
    for input in &signature.inputs {
        let array = b.array(param(input, ArrayMode::In));
        values.push(b.load(array));
    }
    let mut mask = None;
    let mut old: Vec<Value> = Vec::new();
    if masked {
        let array = ArrayParam::new("where", DType::Bool, ArrayMode::In, Access::Strided);
        let array = b.array(array.with_role(Role::Where));
        mask = Some(b.load(array));
        for (k, output) in signature.outputs.iter().enumerate() {
            let out = ArrayRef::new(nin + 1 + nout + k);
            let array = b.array(param(output, ArrayMode::In).with_role(Role::Old(out)));
            old.push(b.load(array));
        }
    }
    let outputs: Vec<_> = signature
        .outputs
        .iter()
        .map(|output| b.array(param(output, ArrayMode::Out)))
        .collect();
    let results = match mask {
        None => call(&mut b, &values),
        Some(mask) => b.if_else(
            mask,
            &results_of(signature, generics),
            |b| {
                let results = call(b, &values);
                b.yield_(&results)
            },
            |b| b.yield_(&old),
        ),
    };
    for (array, value) in outputs.into_iter().zip(results) {
        b.store(array, value);
    }
    b.ret(&[])
}

#[cfg(test)]
#[path = "module_test.rs"]
mod tests;

#[cfg(test)]
#[path = "gufunc_test.rs"]
mod gufunc_tests;

#[cfg(test)]
#[path = "gufunc_random_test.rs"]
mod gufunc_random_tests;
