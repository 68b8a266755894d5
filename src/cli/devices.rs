//! `ffcl-gpu devices`.

use super::arguments::DevicesOptions;
use super::terminal::print_line;
use ffcl_gpu::Result;
use ffcl_gpu::gpu::adapter::{describe, list};

pub fn run(options: &DevicesOptions) -> Result<()> {
    let adapters = list();
    for (index, adapter) in adapters.iter().enumerate() {
        let (device, limits) = (describe(adapter), adapter.limits());
        if options.json {
            let line = serde_json::json!({
                "index": index,
                "device": device,
                "max_storage_buffer_binding_size": limits.max_storage_buffer_binding_size,
                "max_buffer_size": limits.max_buffer_size,
                "max_compute_workgroup_storage_size": limits.max_compute_workgroup_storage_size,
                "max_compute_invocations_per_workgroup": limits.max_compute_invocations_per_workgroup,
                "max_storage_buffers_per_shader_stage": limits.max_storage_buffers_per_shader_stage,
            });
            print_line(&line.to_string())?;
        } else {
            print_line(&format!("{index}: {device}"))?;
            print_line(&format!(
                "   largest binding {} MiB, largest buffer {} MiB, workgroup memory {} KiB, {} invocations a workgroup, {} storage buffers",
                limits.max_storage_buffer_binding_size >> 20,
                limits.max_buffer_size >> 20,
                limits.max_compute_workgroup_storage_size >> 10,
                limits.max_compute_invocations_per_workgroup,
                limits.max_storage_buffers_per_shader_stage,
            ))?;
        }
    }
    if !options.json {
        if adapters.is_empty() {
            print_line(
                "no GPU adapter: no Vulkan, Metal, DX12 or GL driver answered (Debian and Ubuntu: apt-get install mesa-vulkan-drivers)",
            )?;
        }
        print_line("cpu: the CPU backend, always there")?;
        print_line(
            "no device features beyond WebGPU's defaults are used; WGPU_BACKEND (vulkan, metal, dx12, gl) restricts this list",
        )?;
    }
    Ok(())
}
