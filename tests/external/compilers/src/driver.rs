//! A Vulkan device that compiles, and what its driver says of a pipeline. Nothing is executed.

use ash::vk;
use std::ffi::{CStr, c_char};

pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A shader as wgpu hands it to a Vulkan driver.
pub struct Shader {
    words: Vec<u32>,
    /// Numbers of buffers; whether each is uniform.
    buffers: Vec<(u32, bool)>,
    pub threads: u32,
}

impl Shader {
    /// As wgpu-hal 30 translates modules that are trusted (`create_shader_module_trusted` with no runtime checks) for Vulkan 1.3.
    pub fn of(wgsl: &str) -> Outcome<Self> {
        use naga::back::spv;
        use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy::Unchecked};
        use naga::valid::{Capabilities, ValidationFlags, Validator};
        let module = naga::front::wgsl::parse_str(wgsl).map_err(|error| error.emit_to_string(wgsl))?;
        let info = Validator::new(ValidationFlags::all(), Capabilities::default()).validate(&module)?;
        let options = spv::Options {
            lang_version: (1, 6),
            flags: spv::WriterFlags::LABEL_VARYINGS | spv::WriterFlags::FORCE_POINT_SIZE,
            capabilities: None,
            bounds_check_policies: BoundsCheckPolicies {
                index: Unchecked,
                buffer: Unchecked,
                image_load: Unchecked,
                binding_array: Unchecked,
            },
            zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
            force_loop_bounding: false,
            emit_int_div_checks: false,
            ..spv::Options::default()
        };
        let pipeline = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".into() };
        let words = spv::write_vec(&module, &info, &options, Some(&pipeline))?;
        let buffers = module.global_variables.iter().filter_map(|(_, variable)| {
            Some((variable.binding.as_ref()?.binding, variable.space == naga::AddressSpace::Uniform))
        });
        let entry = module.entry_points.first().ok_or("no entry point")?;
        Ok(Self { words, buffers: buffers.collect(), threads: entry.workgroup_size.iter().product() })
    }
}

/// What a driver says of a pipeline.
pub struct Pipeline {
    /// Names and values as the driver has them.
    pub statistics: Vec<(String, u64)>,
    /// The machine code, if the driver shows it.
    pub assembly: String,
}

impl Pipeline {
    pub fn statistic(&self, name: &str) -> Option<u64> {
        self.statistics.iter().find(|(other, _)| other == name).map(|&(_, value)| value)
    }
}

/// The first device of the driver that the environment names.
pub struct Driver {
    _entry: ash::Entry,
    device: ash::Device,
    executables: ash::khr::pipeline_executable_properties::Device,
    pub name: String,
}

fn text(chars: &[c_char]) -> String {
    chars.iter().take_while(|&&c| c != 0).map(|&c| c as u8 as char).collect()
}

impl Driver {
    pub fn open() -> Outcome<Self> {
        // SAFETY: every structure lives until the call that reads it returns; the features asked for are core in Vulkan 1.3 or checked by
        // the driver, which refuses the device where it lacks one; the library stays loaded as long as the device (`_entry`).
        unsafe {
            let entry = ash::Entry::load()?;
            let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let instance = entry.create_instance(&vk::InstanceCreateInfo::default().application_info(&application), None)?;
            let adapter = instance.enumerate_physical_devices()?.into_iter().next().ok_or("the driver has no device")?;
            let mut driver = vk::PhysicalDeviceDriverProperties::default();
            let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
            instance.get_physical_device_properties2(adapter, &mut properties);
            let device_name = text(&properties.properties.device_name);
            let name = format!("{device_name}, {}", text(&driver.driver_info));
            let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
            // As wgpu opens a device; only pipeline_executable_info is not wgpu's.
            let core = vk::PhysicalDeviceFeatures::default().robust_buffer_access(true);
            let mut robustness =
                vk::PhysicalDeviceRobustness2FeaturesEXT::default().robust_buffer_access2(true).robust_image_access2(true);
            let mut sizes = vk::PhysicalDeviceVulkan13Features::default().subgroup_size_control(true);
            let mut statistics =
                vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
            let extensions = [ash::ext::robustness2::NAME.as_ptr(), ash::khr::pipeline_executable_properties::NAME.as_ptr()];
            let info = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queues)
                .enabled_features(&core)
                .enabled_extension_names(&extensions)
                .push_next(&mut robustness)
                .push_next(&mut sizes)
                .push_next(&mut statistics);
            let device = instance.create_device(adapter, &info, None)?;
            let executables = ash::khr::pipeline_executable_properties::Device::new(&instance, &device);
            Ok(Self { _entry: entry, device, executables, name })
        }
    }

    /// Compiles a shader for waves (subgroups) of so many lanes, or of as many as the driver likes.
    pub fn compile(&self, shader: &Shader, wave: Option<u32>) -> Outcome<Pipeline> {
        let entries: Vec<_> = shader
            .buffers
            .iter()
            .map(|&(binding, is_uniform)| {
                let kind = if is_uniform { vk::DescriptorType::UNIFORM_BUFFER } else { vk::DescriptorType::STORAGE_BUFFER };
                vk::DescriptorSetLayoutBinding::default()
                    .binding(binding)
                    .descriptor_type(kind)
                    .descriptor_count(1)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE)
            })
            .collect();
        let device = &self.device;
        // SAFETY: as in `open`; the objects are made and destroyed here, and the device is never lent to anybody who might destroy it.
        unsafe {
            let module = device.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(&shader.words), None)?;
            let sets =
                [device.create_descriptor_set_layout(&vk::DescriptorSetLayoutCreateInfo::default().bindings(&entries), None)?];
            let layout = device.create_pipeline_layout(&vk::PipelineLayoutCreateInfo::default().set_layouts(&sets), None)?;
            let mut required = vk::PipelineShaderStageRequiredSubgroupSizeCreateInfo::default();
            let stage =
                vk::PipelineShaderStageCreateInfo::default().stage(vk::ShaderStageFlags::COMPUTE).module(module).name(c"main");
            let stage = match wave {
                Some(lanes) => {
                    required.required_subgroup_size = lanes;
                    stage.push_next(&mut required)
                }
                None => stage.flags(vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE),
            };
            let flags =
                vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let info = vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout).flags(flags);
            let made = device.create_compute_pipelines(vk::PipelineCache::null(), &[info], None);
            let described = match made {
                Ok(pipelines) => {
                    let pipeline = pipelines[0];
                    let described = self.describe(pipeline);
                    device.destroy_pipeline(pipeline, None);
                    described
                }
                Err((_, error)) => Err(error.into()),
            };
            device.destroy_pipeline_layout(layout, None);
            device.destroy_descriptor_set_layout(sets[0], None);
            device.destroy_shader_module(module, None);
            described
        }
    }

    fn describe(&self, pipeline: vk::Pipeline) -> Outcome<Pipeline> {
        use vk::PipelineExecutableStatisticFormatKHR as Format;
        let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(0);
        // SAFETY: the pipeline was made by this device, with both capture flags; each union is read as the format beside it says; the second
        // and third call get as many places as the first one counted, the third with buffers of the sizes that the second one gave.
        unsafe {
            let statistics = self.executables.get_pipeline_executable_statistics(&executable)?;
            let statistics = statistics.iter().map(|statistic| {
                let value = match statistic.format {
                    Format::INT64 => statistic.value.i64 as u64,
                    Format::FLOAT64 => statistic.value.f64 as u64,
                    Format::BOOL32 => u64::from(statistic.value.b32),
                    _ => statistic.value.u64,
                };
                (text(&statistic.name), value)
            });
            let get = self.executables.fp().get_pipeline_executable_internal_representations_khr;
            let device = self.device.handle();
            let mut count = 0;
            get(device, &executable, &mut count, std::ptr::null_mut()).result()?;
            let mut parts = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            get(device, &executable, &mut count, parts.as_mut_ptr()).result()?;
            let mut buffers: Vec<Vec<u8>> = parts.iter().map(|part| vec![0; part.data_size]).collect();
            for (part, buffer) in parts.iter_mut().zip(&mut buffers) {
                part.p_data = buffer.as_mut_ptr().cast();
            }
            get(device, &executable, &mut count, parts.as_mut_ptr()).result()?;
            let assembly = parts.iter().zip(&buffers).find(|(part, _)| text(&part.name) == "Assembly");
            let content = |buffer: &Vec<u8>| {
                let bytes = CStr::from_bytes_until_nul(buffer).map_or(&buffer[..], CStr::to_bytes);
                String::from_utf8_lossy(bytes).into_owned()
            };
            let assembly = assembly.map(|(_, buffer)| content(buffer)).unwrap_or_default();
            Ok(Pipeline { statistics: statistics.collect(), assembly })
        }
    }
}
