//! Which devices there are, and which one to take.

use crate::{Result, RuntimeError};
use std::fmt;
use wgpu::{AdapterInfo, DeviceType};

/// What `kjit targets` says of devices.
#[derive(Clone, Debug)]
pub struct DeviceReport {
    /// The devices of this machine, in the order of their indices.
    pub adapters: Vec<AdapterReport>,
    /// Index of the one that is taken, or why none is.
    pub chosen: Result<usize>,
}

/// One device.
#[derive(Clone, Debug)]
pub struct AdapterReport {
    /// Its name.
    pub name: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// Driver and its version.
    pub driver: String,
    /// Computes with f64.
    pub f64: bool,
    /// Computes with 64-bit integers.
    pub i64: bool,
    /// How strict arithmetic is kept: `spir-v` or `barriers`.
    pub strict: &'static str,
    /// Bytes of an array that a kernel can see at a time.
    pub max_binding: u64,
    /// Bytes of the largest array.
    pub max_buffer: u64,
}

impl fmt::Display for DeviceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, adapter) in self.adapters.iter().enumerate() {
            let mark = match self.chosen {
                Ok(chosen) if chosen == index => '*',
                _ => ' ',
            };
            writeln!(f, "{mark} {index}: {adapter}")?;
        }
        match &self.chosen {
            Ok(_) => Ok(()),
            Err(e) => writeln!(f, "{e}"),
        }
    }
}

impl fmt::Display for AdapterReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes = |has: bool| if has { "yes" } else { "no" };
        write!(
            f,
            "{} ({}, {}), f64 {}, i64 {}, strict by {}, arrays up to {} MiB, {} MiB at a time",
            self.name,
            self.kind,
            self.driver,
            yes(self.f64),
            yes(self.i64),
            self.strict,
            self.max_buffer >> 20,
            self.max_binding >> 20,
        )
    }
}

/// What the user asks for: `KJIT_DEVICE`, an index or a part of a name.
pub(super) fn selector() -> Option<String> {
    std::env::var("KJIT_DEVICE").ok().filter(|s| !s.is_empty())
}

/// Does its driver stop long loops without a word?
pub(super) fn stops_loops(info: &AdapterInfo) -> bool {
    let text = format!("{} {}", info.name, info.driver).to_lowercase();
    text.contains("llvmpipe") || text.contains("lavapipe")
}

/// All adapters. Validation layers stay off: every call is guarded anyway.
fn enumerate() -> Vec<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN,
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN))
}

/// The adapter to open.
pub(super) fn choose(selector: Option<&str>) -> Result<wgpu::Adapter> {
    let mut adapters = enumerate();
    let infos: Vec<_> = adapters.iter().map(|a| a.get_info()).collect();
    let index = select(&infos, selector)?;
    Ok(adapters.swap_remove(index))
}

/// The report, never an error.
pub(super) fn describe(selector: Option<&str>) -> DeviceReport {
    let found = super::guard::no_panic("looking for devices", || Ok(enumerate()));
    let adapters = match found {
        Ok(adapters) => adapters,
        Err(e) => {
            return DeviceReport {
                adapters: Vec::new(),
                chosen: Err(e),
            };
        }
    };
    let infos: Vec<_> = adapters.iter().map(|a| a.get_info()).collect();
    DeviceReport {
        chosen: select(&infos, selector),
        adapters: adapters
            .iter()
            .zip(&infos)
            .map(|(a, i)| report(a, i))
            .collect(),
    }
}

fn report(adapter: &wgpu::Adapter, info: &AdapterInfo) -> AdapterReport {
    let features = adapter.features();
    let limits = adapter.limits();
    AdapterReport {
        name: info.name.clone(),
        kind: match info.device_type {
            DeviceType::DiscreteGpu => "discrete",
            DeviceType::IntegratedGpu => "integrated",
            DeviceType::VirtualGpu => "virtual",
            DeviceType::Cpu => "software",
            DeviceType::Other => "other",
        },
        driver: format!("{} {}", info.driver, info.driver_info),
        f64: features.contains(wgpu::Features::SHADER_F64),
        i64: features.contains(wgpu::Features::SHADER_INT64),
        strict: if features.contains(wgpu::Features::PASSTHROUGH_SHADERS) {
            "spir-v"
        } else {
            "barriers"
        },
        max_binding: limits.max_storage_buffer_binding_size,
        max_buffer: limits.max_buffer_size,
    }
}

/// Index of the adapter that the selector names, else of the best one.
pub(super) fn select(infos: &[AdapterInfo], selector: Option<&str>) -> Result<usize> {
    if infos.is_empty() {
        return Err(RuntimeError::device(
            "no GPU was found: there is no Vulkan driver, or none that has a device",
        )
        .help(
            "install the GPU's Vulkan driver, or for a software device the packages libvulkan1 and mesa-vulkan-drivers; target cpu or parallel needs neither",
        ));
    }
    let Some(selector) = selector else {
        let rank = |info: &AdapterInfo| match info.device_type {
            DeviceType::DiscreteGpu => 0,
            DeviceType::IntegratedGpu => 1,
            DeviceType::VirtualGpu => 2,
            DeviceType::Cpu => 3,
            DeviceType::Other => 4,
        };
        let best = (0..infos.len()).min_by_key(|i| rank(&infos[*i]));
        return Ok(best.unwrap_or(0));
    };
    // A number that is no index may still be part of a name: "4090".
    let index = selector.parse().ok().filter(|n| *n < infos.len());
    let wanted = selector.to_lowercase();
    let named = || {
        infos
            .iter()
            .position(|i| i.name.to_lowercase().contains(&wanted))
    };
    index.or_else(named).ok_or_else(|| {
        let names: Vec<_> = infos
            .iter()
            .enumerate()
            .map(|(n, i)| format!("{n} ({})", i.name))
            .collect();
        RuntimeError::device(format!("no device matches KJIT_DEVICE={selector}"))
            .help(format!("there are: {}", names.join(", ")))
    })
}
