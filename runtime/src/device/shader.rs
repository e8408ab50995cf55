//! From WGSL to a pipeline: checked by naga, turned into SPIR-V and patched where the adapter takes
//! SPIR-V as it is. Shaders are kept by the kernels they were made of, pipelines by text.

use super::{Shared, spirv};
use crate::{Result, RuntimeError, Stats};
use kjit_driver::wgsl::{BindingMode, Shader, StrictMode, WgslOptions};
use kjit_ir::{Access, Function};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A compiled shader.
pub(super) struct Pipeline {
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) pipeline: wgpu::ComputePipeline,
}

/// What a launch runs.
pub(super) struct Compiled {
    pub(super) shader: Shader,
    pub(super) pipeline: Arc<Pipeline>,
}

/// What a shader is made of: a kernel with the access of its arrays, a kernel that combines two values (in
/// leaves after the first one, or by itself in the passes above them), and options.
pub(super) type Ingredients<'k> = (
    Option<(&'k Function, &'k [Access])>,
    Option<&'k Function>,
    &'k WgslOptions,
);

/// The same, owned.
type OwnIngredients = (
    Option<(Function, Vec<Access>)>,
    Option<Function>,
    WgslOptions,
);

/// A shader that was made.
type Made = (OwnIngredients, Arc<Compiled>);

/// Shaders by what they were made of, so that a launch like an earlier one prints no text.
#[derive(Default)]
pub(super) struct ShaderCache(Mutex<FxHashMap<u64, Vec<Made>>>);

fn is_made_of((kernel, combine, options): &OwnIngredients, of: Ingredients) -> bool {
    let kernel = kernel.as_ref().map(|(kernel, access)| (kernel, &**access));
    (kernel, combine.as_ref(), options) == of
}

/// Pipelines that are kept. A program has a handful; a server that is sent programs must not grow.
const MAX_PIPELINES: usize = 1024;

/// Pipelines by text, and by whether their SPIR-V was patched.
#[derive(Default)]
pub(super) struct PipelineCache(Mutex<FxHashMap<(String, bool), Arc<Pipeline>>>);

impl Shared {
    /// The shader made of some kernels, and its pipeline; both are made at most once.
    pub(super) fn compiled(&self, of: Ingredients, stats: &mut Stats) -> Result<Arc<Compiled>> {
        let key = FxBuildHasher.hash_one(of);
        {
            let cache = self.shaders.0.lock();
            let cache = cache.unwrap_or_else(PoisonError::into_inner);
            let found = cache.get(&key).into_iter().flatten();
            if let Some((_, compiled)) = found.into_iter().find(|(made, _)| is_made_of(made, of)) {
                return Ok(compiled.clone());
            }
        }
        let start = Instant::now();
        let (kernel, combine, options) = of;
        let shader = match (kernel, combine) {
            (Some((kernel, access)), None) => kjit_driver::compile_wgsl(kernel, access, options),
            (Some((kernel, access)), Some(combine)) => {
                kjit_driver::compile_wgsl_leaves(kernel, access, combine, options)
            }
            (None, Some(combine)) => kjit_driver::compile_wgsl_tree(combine, options),
            (None, None) => return Err(RuntimeError::internal("a shader of no kernel")),
        };
        let shader = shader.map_err(|e| self.not_compiled(e))?;
        stats.compile += start.elapsed();
        let pipeline = self.pipeline(&shader, stats)?;
        let compiled = Arc::new(Compiled { shader, pipeline });
        let own = (
            kernel.map(|(kernel, access)| (kernel.clone(), access.to_vec())),
            combine.cloned(),
            options.clone(),
        );
        let cache = self.shaders.0.lock();
        let mut cache = cache.unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MAX_PIPELINES {
            cache.clear();
        }
        cache.entry(key).or_default().push((own, compiled.clone()));
        Ok(compiled)
    }

    /// The pipeline of a shader, compiled at most once.
    pub(super) fn pipeline(&self, shader: &Shader, stats: &mut Stats) -> Result<Arc<Pipeline>> {
        let start = Instant::now();
        let key = (shader.source.clone(), shader.needs_patch);
        let mut cache = self
            .pipelines
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = cache.get(&key) {
            return Ok(pipeline.clone());
        }
        let max = self.limits.max_storage_buffers_per_shader_stage;
        if shader.bindings > max {
            return Err(RuntimeError::limit(format!(
                "the kernel has {} arrays and tables, more than the {max} that device {} takes",
                shader.bindings, self.name
            ))
            .help("split the expression, or use target cpu or parallel"));
        }
        let pipeline = Arc::new(self.guarded("compiling a shader", || self.compile(shader))?);
        if cache.len() >= MAX_PIPELINES {
            cache.clear();
        }
        cache.insert(key, pipeline.clone());
        stats.kernels_compiled += 1;
        stats.compile += start.elapsed();
        Ok(pipeline)
    }

    fn compile(&self, shader: &Shader) -> Result<Pipeline> {
        let module = self.module(shader)?;
        let entries: Vec<_> = (0..shader.bindings)
            .map(|binding| {
                let arrays = &mut shader.arrays.iter();
                let input = arrays
                    .any(|a| a.binding == Some(binding) && a.mode == BindingMode::Read)
                    || shader.sources.iter().any(|s| s.binding == binding);
                wgpu::BindGroupLayoutEntry {
                    binding,
                    visibility: wgpu::ShaderStages::COMPUTE,
                    ty: wgpu::BindingType::Buffer {
                        ty: wgpu::BufferBindingType::Storage {
                            read_only: input || binding == shader.params_binding,
                        },
                        has_dynamic_offset: false,
                        min_binding_size: None,
                    },
                    count: None,
                }
            })
            .collect();
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: None,
                entries: &entries,
            });
        let pipeline_layout = self
            .device
            .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
        let pipeline = self
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: None,
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: Default::default(),
                cache: None,
            });
        Ok(Pipeline { layout, pipeline })
    }

    fn module(&self, shader: &Shader) -> Result<wgpu::ShaderModule> {
        // Barriers are for devices that take text; tests run them here as such devices would.
        if !self.passthrough || self.strict == StrictMode::Barrier {
            if shader.needs_patch {
                return Err(RuntimeError::internal(
                    "a shader relies on a patch that its device does not take",
                ));
            }
            return Ok(self
                .device
                .create_shader_module(wgpu::ShaderModuleDescriptor {
                    label: None,
                    source: wgpu::ShaderSource::Wgsl(shader.source.as_str().into()),
                }));
        }
        let mut words = to_spirv(&shader.source)?;
        if shader.needs_patch {
            words = spirv::make_strict(&words)
                .ok_or_else(|| RuntimeError::internal("the SPIR-V of a shader is not a module"))?;
        }
        let descriptor = wgpu::ShaderModuleDescriptorPassthrough {
            label: None,
            entry_points: vec![wgpu::PassthroughShaderEntryPoint {
                name: "main".into(),
                workgroup_size: (shader.workgroup, 1, 1),
            }]
            .into(),
            spirv: Some(words.into()),
            ..Default::default()
        };
        // SAFETY: the words come from a validated module; every address in it is below the sizes that
        // `operand` binds, divisors are checked by the text, and loops are the user's own.
        Ok(unsafe { self.device.create_shader_module_passthrough(descriptor) })
    }
}

/// The text as SPIR-V, without checks that the text makes itself.
fn to_spirv(source: &str) -> Result<Vec<u32>> {
    let bug = |what: String| {
        RuntimeError::internal(format!(
            "bug in kjit: a shader is not valid: {what}\n{source}"
        ))
    };
    let module = naga::front::wgsl::parse_str(source).map_err(|e| bug(e.emit_to_string(source)))?;
    let mut validator = naga::valid::Validator::new(
        naga::valid::ValidationFlags::all(),
        naga::valid::Capabilities::all(),
    );
    let info = validator
        .validate(&module)
        .map_err(|e| bug(e.emit_to_string(source)))?;
    let unchecked = naga::proc::BoundsCheckPolicy::Unchecked;
    let options = naga::back::spv::Options {
        lang_version: (1, 5),
        flags: naga::back::spv::WriterFlags::empty(),
        bounds_check_policies: naga::proc::BoundsCheckPolicies {
            index: unchecked,
            buffer: unchecked,
            image_load: unchecked,
            binding_array: unchecked,
        },
        force_loop_bounding: false,
        emit_int_div_checks: false,
        ..Default::default()
    };
    naga::back::spv::write_vec(&module, &info, &options, None).map_err(|e| bug(e.to_string()))
}
