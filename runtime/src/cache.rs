//! Kernels made so far: each is compiled once, also when many threads ask for it at the same time.

use crate::methods::plain_operation;
use crate::nest::Few;
use crate::stats::SharedStats;
use crate::{Result, RuntimeError, Stats};
use kjit_driver::{
    CompileError, CompileOptions, CpuCode, KernelSpec, Program, compile_cpu, gufunc_kernels,
    typed_kernel,
};
use kjit_ir::analysis::cost;
use kjit_ir::analysis::tree::walk;
use kjit_ir::passes::lower_numbers;
use kjit_ir::target::{BackendError, CompiledKernel};
use kjit_ir::verify::verify;
use kjit_ir::{Access, ArrayMode, Form, Function, Opcode, Role};
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Instant;

/// One kernel: its scalar IR, what it costs, and the code made of it so far.
pub struct Kernel {
    /// Optimised scalar IR, every array strided. Code was made of it, so it never changes.
    pub(crate) function: Function,
    /// Why it cannot be run, if so.
    pub(crate) fault: Option<String>,
    /// Rough time per element of scalar code on one core.
    pub ns_per_element: f64,
    /// Has it core dimensions, so that it is no element-wise kernel?
    pub(crate) is_core: bool,
    /// The operation of its two inputs that it is, if that is all, whatever backends make of the dtype.
    pub(crate) operation: Option<Opcode>,
    /// What is run for it: kernels with loops promoted, one after the other; none: it itself.
    parts: Vec<Kernel>,
    /// Has it loops, so that elements may take long, and some longer than others?
    pub has_loops: bool,
    /// The first variant; each owns the next. They only ever grow, so that finding one takes no lock.
    variants: OnceLock<Box<Variant>>,
}

/// Code of a kernel for given access classes.
struct Variant {
    access: Few<Access>,
    code: CpuCode,
    compiled: OnceLock<Result<Arc<dyn CompiledKernel>>>,
    next: OnceLock<Box<Variant>>,
}

impl Kernel {
    /// A kernel of this scalar IR: verified, without calls and nested returns, with its inputs ahead of its
    /// outputs. Calling any other is an error.
    pub fn new(function: Function) -> Kernel {
        let fault = fault_of(&function);
        if fault.is_some() {
            return Kernel {
                function,
                fault,
                ns_per_element: 0.0,
                is_core: false,
                operation: None,
                parts: Vec::new(),
                has_loops: false,
                variants: OnceLock::new(),
            };
        }
        let cost = cost::estimate(&function);
        // Trip counts are guesses; a loop handed to threads in vain costs less than one that is not.
        let guess = if cost.has_loops { 8.0 } else { 1.0 };
        let is_core = !function.dims.is_empty()
            || !function.loops.is_empty()
            || function.arrays.iter().any(|a| !a.core.is_empty());
        Kernel {
            is_core,
            operation: plain_operation(&function),
            parts: Vec::new(),
            function,
            fault,
            ns_per_element: cost.ns_per_element * guess,
            has_loops: cost.has_loops,
            variants: OnceLock::new(),
        }
    }

    /// The kernels to be run for it, one after the other.
    pub(crate) fn parts(&self) -> &[Kernel] {
        match self.parts.as_slice() {
            [] => std::slice::from_ref(self),
            parts => parts,
        }
    }

    /// Its scalar IR.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// The code for these access classes, compiled if this is the first request.
    pub(crate) fn code(
        &self,
        access: &[Access],
        code: CpuCode,
        stats: &SharedStats,
    ) -> Result<&dyn CompiledKernel> {
        let mut place = &self.variants;
        loop {
            let variant = place.get_or_init(|| {
                Box::new(Variant {
                    access: access.into(),
                    code,
                    compiled: OnceLock::new(),
                    next: OnceLock::new(),
                })
            });
            if variant.code == code && variant.access.as_slice() == access {
                let compiled = variant
                    .compiled
                    .get_or_init(|| self.compile(access, code, stats));
                return match compiled {
                    Ok(code) => Ok(&**code),
                    Err(error) => Err(error.clone()),
                };
            }
            place = &variant.next;
        }
    }

    fn compile(
        &self,
        access: &[Access],
        code: CpuCode,
        stats: &SharedStats,
    ) -> Result<Arc<dyn CompiledKernel>> {
        let start = Instant::now();
        let compiled = match compile_cpu(&self.function, access, code) {
            // The scalar code of the same backend gives the same answer.
            Err(CompileError::Backend(BackendError::Unsupported(_)))
                if matches!(code, CpuCode::Vector(_) | CpuCode::Stream(_)) =>
            {
                compile_cpu(&self.function, access, CpuCode::Scalar)
            }
            other => other,
        };
        stats.add(&Stats {
            compile: start.elapsed(),
            kernels_compiled: (code != CpuCode::Interp) as usize,
            ..Stats::default()
        });
        compiled.map_err(RuntimeError::from)
    }
}

/// Why a function is no kernel that the engine can run: its calls bind inputs and outputs by their order, and
/// code of malformed IR could do anything.
fn fault_of(function: &Function) -> Option<String> {
    let name = &function.name;
    if let Err(errors) = verify(function, None) {
        let first = errors.errors.first().map_or("", |e| e.message.as_str());
        return Some(format!("kernel {name} is malformed: {first}"));
    }
    if !function.is_kernel() || function.form != Form::Scalar {
        return Some(format!("{name} is not a kernel in scalar form"));
    }
    let mut nested = None;
    walk(function, &mut |block, inst| {
        let op = function.inst(inst).op;
        if op == Opcode::Call || op == Opcode::Return && block != function.entry {
            nested = Some(op);
        }
    });
    if let Some(op) = nested {
        return Some(format!("kernel {name} still has a nested `{op}`"));
    }
    let arguments = || {
        let arrays = function.arrays.iter();
        arrays.filter(|a| {
            use Role::{Argument, Fpe, Old, Where, Written};
            matches!(a.role, Argument | Where | Old(_) | Written(_) | Fpe)
        })
    };
    if arguments().any(|a| a.mode == ArrayMode::InOut && a.core.is_empty()) {
        return Some(format!(
            "kernel {name} has an array that is input and output"
        ));
    }
    let outputs_last = arguments()
        .filter(|a| a.mode != ArrayMode::Index)
        .is_sorted_by_key(|a| a.mode != ArrayMode::In);
    (!outputs_last).then(|| format!("kernel {name} has an input behind an output"))
}

/// Is there such a ufunc, for such dtypes?
fn check_spec(program: &Program, spec: &KernelSpec) -> Result<()> {
    let KernelSpec::Ufunc { name, generics, .. } = spec else {
        return Ok(());
    };
    let Some(signature) = program.signature(name) else {
        let file = &program.source().name;
        return Err(RuntimeError::value(format!("{file} has no ufunc {name}")));
    };
    let wanted = signature.generics.len();
    if wanted != generics.len() {
        return Err(RuntimeError::value(format!(
            "{name} is made for {wanted} dtype{}, not {}",
            if wanted == 1 { "" } else { "s" },
            generics.len()
        )));
    }
    for ((parameter, class), dtype) in signature.generics.iter().zip(generics) {
        if !class.contains(*dtype) {
            return Err(RuntimeError::dtype(format!(
                "{name} cannot be made for {dtype}: its type parameter {parameter} does not take it"
            )));
        }
    }
    Ok(())
}

/// Kernels kept, roughly. A process that meets new programs for ever starts over now and then; kernels in
/// use stay alive by their handles.
const MOST: usize = 1024;

/// Kernels by program, specification and options.
#[derive(Default)]
pub struct KernelCache {
    /// Entries by hash; their keys are compared without being built.
    entries: RwLock<FxHashMap<u64, Vec<Arc<Entry>>>>,
}

struct Entry {
    program: u64,
    spec: KernelSpec,
    options: CompileOptions,
    kernel: OnceLock<Result<Arc<Kernel>>>,
}

impl KernelCache {
    /// The kernel of a specification, lowered and optimised if this is the first request.
    pub(crate) fn kernel(
        &self,
        program: &Program,
        spec: &KernelSpec,
        options: CompileOptions,
        stats: &SharedStats,
    ) -> Result<Arc<Kernel>> {
        let mut hasher = FxHasher::default();
        (program.id(), spec, options).hash(&mut hasher);
        let hash = hasher.finish();
        let find = |list: &[Arc<Entry>]| {
            list.iter()
                .find(|e| e.program == program.id() && e.options == options && e.spec == *spec)
                .cloned()
        };
        let known = self
            .entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&hash)
            .and_then(|list| find(list));
        let entry = known.unwrap_or_else(|| {
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            if entries.len() >= MOST && !entries.contains_key(&hash) {
                entries.clear();
            }
            let list = entries.entry(hash).or_default();
            find(list).unwrap_or_else(|| {
                let new = Arc::new(Entry {
                    program: program.id(),
                    spec: spec.clone(),
                    options,
                    kernel: OnceLock::new(),
                });
                list.push(new.clone());
                new
            })
        });
        entry
            .kernel
            .get_or_init(|| {
                let start = Instant::now();
                check_spec(program, spec)?;
                let typed = typed_kernel(program, spec, options)?;
                let operation = plain_operation(&typed);
                let mut kernel = Kernel::new(lower_numbers(typed));
                kernel.operation = operation;
                // Flags are one an element, and a promoted loop has many steps an element.
                if kernel.is_core && kernel.fault.is_none() && !options.fpe {
                    let parts = gufunc_kernels(program, spec, options)?;
                    kernel.parts = parts.into_iter().map(Kernel::new).collect();
                    kernel.fault = kernel.parts.iter().find_map(|part| part.fault.clone());
                }
                stats.add(&Stats {
                    compile: start.elapsed(),
                    ..Stats::default()
                });
                Ok(Arc::new(kernel))
            })
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kjit_driver::Source;
    use kjit_ir::DType;

    fn program() -> Program {
        let text = "ufunc f<T: number>(x: T) -> T { x + x }";
        Program::compile(Source::new("f.k", text)).unwrap()
    }

    #[test]
    fn wrong_specifications_are_errors() {
        let (program, cache, stats) = (program(), KernelCache::default(), SharedStats::default());
        let message = |name: &str, generics: &[DType]| {
            let spec = KernelSpec::Ufunc {
                name: name.to_string(),
                generics: generics.to_vec(),
                masked: false,
            };
            let kernel = cache.kernel(&program, &spec, CompileOptions::default(), &stats);
            kernel.err().map(|error| error.message)
        };
        assert_eq!(message("f", &[DType::I8]), None);
        assert_eq!(message("sqrt", &[DType::F32]), None);
        assert_eq!(message("g", &[DType::I8]).unwrap(), "f.k has no ufunc g");
        assert_eq!(message("f", &[]).unwrap(), "f is made for 1 dtype, not 0");
        assert_eq!(message("f", &[DType::F16]), None);
        assert_eq!(
            message("f", &[DType::Bool]).unwrap(),
            "f cannot be made for bool: its type parameter T does not take it"
        );
    }

    #[test]
    fn does_not_grow_for_ever() {
        let program = program();
        let (cache, stats) = (KernelCache::default(), SharedStats::default());
        let kernel = |name: &str| {
            let spec = KernelSpec::Ufunc {
                name: name.to_string(),
                generics: vec![DType::F32],
                masked: false,
            };
            cache.kernel(&program, &spec, CompileOptions::default(), &stats)
        };
        let held = kernel("f").unwrap();
        assert!(Arc::ptr_eq(&held, &kernel("f").unwrap()));
        // What does not compile is remembered too.
        for n in 0..3 * MOST {
            assert!(kernel(&format!("g{n}")).is_err());
            assert!(cache.entries.read().unwrap().len() <= MOST);
        }
        assert_eq!(held.function.name, kernel("f").unwrap().function.name);
        let access = [Access::Contiguous; 2];
        assert!(
            held.code(&access, CpuCode::Vector(kjit_driver::Isa::Sse), &stats)
                .is_ok()
        );
    }
}
