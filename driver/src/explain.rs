//! What becomes of a ufunc on the cpu and why, loop by loop: `kjit explain`.

use crate::emit::contiguous;
use crate::isa::cranelift;
use crate::pipeline::{gufunc_kernels, scalar_kernel, specialize};
use crate::{CompileError, CompileOptions, Isa, KernelSpec, Program};
use kjit_ir::analysis::limits::{Estimate, estimate};
use kjit_ir::analysis::work::{LoopWork, loops};
use kjit_ir::target::{BackendError, CodeReport, LoopCode};
use kjit_ir::{Access, ArrayMode, ArrayParam, Function, Role, passes};

/// One kernel: a ufunc is one, a gufunc may be several, which run one after the other.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Its name.
    pub name: String,
    /// Who makes its code.
    pub backend: &'static str,
    /// Why that is not the backend of the instructions asked for.
    pub instead: Option<String>,
    /// What is assumed of its arrays.
    pub arrays: Vec<(String, Access)>,
    /// What the backend tells.
    pub code: CodeReport,
    /// Its loops, outer ones first; that over the elements is the first.
    pub loops: Vec<ExplainedLoop>,
}

/// One loop of a kernel.
#[derive(Clone, Debug)]
pub struct ExplainedLoop {
    /// What it does for an element.
    pub work: LoopWork,
    /// What limits it.
    pub estimate: Estimate,
    /// Its machine code, if that is known: that of whole iterations, where there is such code.
    pub code: Option<LoopCode>,
}

/// Explains a ufunc or gufunc of a program on arrays in C order. This machine need not have the instructions, but
/// for 128-bit code, which is told of as it is here.
///
/// # Errors
/// What the front end finds.
pub fn explain(
    program: &Program,
    spec: &KernelSpec,
    options: CompileOptions,
    isa: Isa,
) -> Result<Vec<Explained>, CompileError> {
    let KernelSpec::Ufunc { name, .. } = spec else {
        return Ok(Vec::new());
    };
    let signature = program.signature(name);
    let kernels = match signature.is_some_and(|s| s.core.is_some()) {
        false => vec![contiguous(&scalar_kernel(program, spec, options)?)?],
        true => {
            let kernels = gufunc_kernels(program, spec, options)?;
            let kernels = kernels.iter();
            kernels
                .map(|kernel| specialize(kernel, &access_in_c_order(kernel)))
                .collect::<Result<Vec<_>, _>>()?
        }
    };
    let kernels = kernels.iter().map(|kernel| {
        let mut explained = kernel_explained(kernel, isa)?;
        if let (Some(first), Some(signature)) = (explained.loops.first_mut(), signature) {
            first.work.loc = signature.loc;
        }
        Ok(explained)
    });
    kernels.collect()
}

fn kernel_explained(kernel: &Function, isa: Isa) -> Result<Explained, CompileError> {
    let vector = passes::vectorize(kernel);
    // As `compile_cpu` chooses.
    let wide = isa.tier().map(|tier| kjit_x86::listing(&vector, tier));
    let (backend, instead, code) = match wide {
        Some(Ok(listing)) => (isa.name(), None, listing.report),
        Some(Err(BackendError::Unsupported(why))) => {
            ("cranelift", Some(why), cranelift()?.report(&vector)?)
        }
        Some(Err(error)) => return Err(error.into()),
        None => ("cranelift", None, cranelift()?.report(&vector)?),
    };
    let arrays = vector.arrays.iter();
    let arrays = arrays.filter(|a| {
        let is_given = matches!(a.role, Role::Argument | Role::Alias(_));
        is_given && a.mode != ArrayMode::Index
    });
    let loops = loops(&vector, &code.notes)
        .into_iter()
        .map(|work| ExplainedLoop {
            estimate: estimate(&work, code.bits, code.lanes, code.copies),
            code: machine_loop(&code, &work),
            work,
        });
    Ok(Explained {
        name: vector.name.clone(),
        backend,
        instead,
        arrays: arrays.map(|a| (a.name.clone(), a.access)).collect(),
        loops: loops.collect(),
        code,
    })
}

/// The machine code of a loop: a kernel without code for whole iterations has only that for the rest.
fn machine_loop(code: &CodeReport, work: &LoopWork) -> Option<LoopCode> {
    let loops = code.machine.as_ref()?.loops.iter();
    let mut own: Vec<&LoopCode> = loops.filter(|l| l.inst == work.inst).collect();
    own.sort_by_key(|l| l.rest);
    own.first().copied().copied()
}

/// The access classes of a gufunc's arrays when these are in C order: lanes run over the one of its loops that walks
/// most arrays element by element, or over the elements of the call if it has no loops.
fn access_in_c_order(kernel: &Function) -> Vec<Access> {
    if kernel.loops.is_empty() {
        let own = |a: &ArrayParam| match (a.role, a.core.is_empty()) {
            (Role::Iota(_), _) => Access::Uniform,
            (_, true) => Access::Contiguous,
            (_, false) => Access::Strided,
        };
        return kernel.arrays.iter().map(own).collect();
    }
    let along = |k: usize| -> Vec<Access> {
        let own = |a: &ArrayParam| match a.role {
            Role::Iota(n) if n as usize == k => Access::Contiguous,
            Role::Iota(_) => Access::Uniform,
            _ => match a.along.get(k).map(|walk| walk.as_slice()) {
                None | Some([]) => Access::Uniform,
                Some(&[(axis, 1)]) if axis as usize + 1 == a.core.len() => Access::Contiguous,
                Some(_) => Access::Strided,
            },
        };
        kernel.arrays.iter().map(own).collect()
    };
    let good = |access: &Vec<Access>| {
        let arrays = access.iter().zip(&kernel.arrays);
        let weights = arrays.map(|(access, a)| match (access, a.mode) {
            (Access::Contiguous, ArrayMode::In | ArrayMode::Index) => 1,
            (Access::Contiguous, _) => 4,
            (Access::Strided, _) => -1,
            (Access::Uniform, _) => 0,
        });
        weights.sum::<i32>()
    };
    let all = (0..kernel.loops.len()).map(along);
    all.max_by_key(good).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use kjit_ir::DType;

    /// What the wide backend has no code for, 128-bit code is made for; the reason is told.
    #[test]
    fn an_output_of_one_element_for_all_lanes_is_not_for_the_wide_backend() {
        let text = "ufunc twice<T: number>(x: T) -> T { x + x }";
        let program = Program::compile(Source::new("t.k", text)).unwrap();
        let spec = KernelSpec::Ufunc {
            name: "twice".into(),
            generics: vec![DType::F64],
            masked: false,
        };
        let kernel = scalar_kernel(&program, &spec, CompileOptions::default()).unwrap();
        let shared = specialize(&kernel, &[Access::Contiguous, Access::Uniform]).unwrap();
        let explained = kernel_explained(&shared, Isa::Avx2).unwrap();
        assert_eq!((explained.backend, explained.code.bits), ("cranelift", 128));
        let why = explained.instead.expect("a reason");
        assert!(why.contains("an output of one element for all"), "{why}");
        let whole = explain(&program, &spec, CompileOptions::default(), Isa::Avx2).unwrap();
        assert_eq!((whole[0].backend, whole[0].code.lanes), ("avx2", 4));
        assert!(whole[0].instead.is_none());
        assert!(
            whole[0].loops[0]
                .code
                .is_some_and(|code| code.instructions > 0 && !code.rest)
        );
    }
}
