//! Finding a device: what there is, what the user asked for, and which to take.

use crate::engine::DeviceDescription;
use crate::error::{Error, Result};
use crate::waiting::wait;

/// What `--device` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceRequest {
    /// The best real GPU; without one the CPU backend.
    Auto,
    /// The CPU backend.
    Cpu,
    /// The best adapter, a software one if there is nothing else.
    Gpu,
    /// The adapter at this position of the list that `devices` prints.
    Index(usize),
    /// The first adapter whose name contains this, ignoring case.
    Name(String),
}

impl std::str::FromStr for DeviceRequest {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        Ok(match text.to_lowercase().as_str() {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "gpu" => Self::Gpu,
            name => name.parse().map_or_else(|_| Self::Name(name.to_owned()), Self::Index),
        })
    }
}

impl std::fmt::Display for DeviceRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cpu => formatter.write_str("cpu"),
            Self::Gpu => formatter.write_str("gpu"),
            Self::Index(index) => index.fmt(formatter),
            Self::Name(name) => formatter.write_str(name),
        }
    }
}

/// The device that a request selects, with a line for the user if that is not obvious.
pub enum Choice {
    /// The CPU backend, and why, unless it was asked for.
    Cpu(Option<String>),
    /// An adapter, and a warning where it is a software one.
    Gpu(Box<wgpu::Adapter>, Option<String>),
}

/// All adapters, best first: real GPUs before software, discrete before integrated before virtual.
///
/// OpenGL is only asked where nothing else answers or `WGPU_BACKEND` names it: it repeats the same cards with fewer abilities.
pub fn list() -> Vec<wgpu::Adapter> {
    wait(list_async())
}

/// [`list`], async, for callers that must not block. A browser has one adapter at most.
pub async fn list_async() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    if std::env::var_os("WGPU_BACKEND").is_none() {
        descriptor.backends = wgpu::Backends::PRIMARY;
    }
    let mut adapters = enumerate(descriptor).await;
    if adapters.is_empty() && std::env::var_os("WGPU_BACKEND").is_none() {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends = wgpu::Backends::GL;
        adapters = enumerate(descriptor).await;
    }
    // Stable: adapters of one kind keep the driver's order.
    adapters.sort_by_key(|adapter| (rank(adapter.get_info().device_type), adapter.get_info().backend == wgpu::Backend::Gl));
    adapters
}

async fn enumerate(mut descriptor: wgpu::InstanceDescriptor) -> Vec<wgpu::Adapter> {
    // Where the driver says what is free, more is refused with an error; else it would page, or end some process.
    descriptor.memory_budget_thresholds.for_resource_creation = Some(95);
    let instance = wgpu::Instance::new(descriptor);
    instance.enumerate_adapters(wgpu::Backends::all()).await
}

fn rank(kind: wgpu::DeviceType) -> u8 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

/// An adapter in words.
pub fn describe(adapter: &wgpu::Adapter) -> DeviceDescription {
    let info = adapter.get_info();
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    };
    DeviceDescription {
        name: info.name,
        backend: info.backend.to_str().to_owned(),
        kind: kind.to_owned(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
    }
}

/// Storage buffers that kernels bind at most, but for the fused ones, which are taken only where they fit: as many as WebGPU promises.
pub const STORAGE_BUFFERS: u32 = 8;
/// Invocations that their workgroups have at most along x.
pub const WORKGROUP_WIDTH: u32 = 64;

/// Why the kernels cannot run on an adapter, if they cannot: what they need is within WebGPU's default limits, which OpenGL ES
/// and old hardware may miss. `tests/shaders.rs` holds them to it.
fn unsuitable(adapter: &wgpu::Adapter) -> Option<String> {
    let (limits, needed) = (adapter.limits(), wgpu::Limits::defaults());
    let short = |name: &str, has: u32, needs: u32| (has < needs).then(|| format!("its {name} is {has}, below {needs}"));
    if !adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
        return Some("it has no compute shaders".into());
    }
    short("max_storage_buffers_per_shader_stage", limits.max_storage_buffers_per_shader_stage, STORAGE_BUFFERS)
        .or(short(
            "max_compute_invocations_per_workgroup",
            limits.max_compute_invocations_per_workgroup,
            needed.max_compute_invocations_per_workgroup,
        ))
        .or(short("max_compute_workgroup_size_x", limits.max_compute_workgroup_size_x, WORKGROUP_WIDTH))
}

/// Resolves a request. `WGPU_ADAPTER_NAME` narrows `auto` and `gpu` to adapters whose name contains it.
pub fn choose(request: &DeviceRequest) -> Result<Choice> {
    wait(choose_async(request))
}

/// [`choose`], async, for callers that must not block.
pub async fn choose_async(request: &DeviceRequest) -> Result<Choice> {
    if *request == DeviceRequest::Cpu {
        return Ok(Choice::Cpu(None));
    }
    let wanted = std::env::var("WGPU_ADAPTER_NAME").ok().filter(|name| !name.is_empty()).map(|name| name.to_lowercase());
    if matches!(request, DeviceRequest::Name(part) if part.is_empty()) {
        return Err(Error::Device("--device is empty; use auto, cpu, gpu, an index or part of a name".into()));
    }
    let mut adapters = list_async().await;
    let mut listing = listing(&adapters);
    if let Some(name) = &wanted {
        listing.push_str(&format!(", and WGPU_ADAPTER_NAME asks for {name}"));
    }
    let name_has = |adapter: &wgpu::Adapter, part: &str| adapter.get_info().name.to_lowercase().contains(part);
    let position = match request {
        DeviceRequest::Index(index) => (*index < adapters.len()).then_some(*index),
        DeviceRequest::Name(part) => adapters.iter().position(|adapter| name_has(adapter, part)),
        _ => adapters
            .iter()
            .position(|adapter| wanted.as_ref().is_none_or(|part| name_has(adapter, part)) && unsuitable(adapter).is_none()),
    };
    let adapter = position.map(|position| adapters.swap_remove(position));
    if let Some((adapter, reason)) = adapter.as_ref().and_then(|adapter| Some((adapter, unsuitable(adapter)?))) {
        let name = describe(adapter).name;
        return Err(Error::Device(format!("{name} cannot run the kernels: {reason}; use another --device, or --device cpu")));
    }
    let software = adapter.as_ref().is_some_and(|adapter| describe(adapter).is_software());
    match (request, adapter) {
        (DeviceRequest::Auto, None) => Ok(Choice::Cpu(Some(format!("no GPU found ({listing}): using the CPU backend")))),
        (DeviceRequest::Auto, Some(_)) if software => Ok(Choice::Cpu(Some(
            "only a software GPU found: using the CPU backend, which is faster (--device gpu takes the software one)".into(),
        ))),
        (_, Some(adapter)) => {
            let name = describe(&adapter).name;
            let warning = software.then(|| format!("{name} is a software adapter: GPUs have other speeds"));
            Ok(Choice::Gpu(Box::new(adapter), warning))
        }
        (DeviceRequest::Gpu, None) => Err(Error::Device(format!(
            "no GPU adapter found ({listing}); install a Vulkan driver (Debian and Ubuntu: apt-get install mesa-vulkan-drivers) or use --device cpu"
        ))),
        (request, None) => {
            let asked = match request {
                DeviceRequest::Index(index) => index.to_string(),
                DeviceRequest::Name(part) => part.clone(),
                _ => String::new(),
            };
            Err(Error::Device(format!(
                "--device {asked} matches no adapter ({listing}); use auto, cpu, gpu, an index or part of a name"
            )))
        }
    }
}

fn listing(adapters: &[wgpu::Adapter]) -> String {
    if adapters.is_empty() {
        let restriction = std::env::var("WGPU_BACKEND").map(|backend| format!(" within WGPU_BACKEND={backend}"));
        return format!("no Vulkan, Metal, DX12 or GL driver answered{}", restriction.unwrap_or_default());
    }
    let names = adapters.iter().enumerate().map(|(index, adapter)| format!("{index} = {}", describe(adapter).name));
    format!("the adapters are {}", names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_parse() {
        let parse = |text: &str| text.parse::<DeviceRequest>().unwrap();
        assert_eq!(parse("AUTO"), DeviceRequest::Auto);
        assert_eq!(parse("cpu"), DeviceRequest::Cpu);
        assert_eq!(parse("gpu"), DeviceRequest::Gpu);
        assert_eq!(parse("2"), DeviceRequest::Index(2));
        assert_eq!(parse("Radeon"), DeviceRequest::Name("radeon".into()));
    }
}
