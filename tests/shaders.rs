//! Every shader that the engine can make, through the translator of every system: what Vulkan, Direct3D, Metal and OpenGL ES get
//! to compile exists, and asks for no more than the smallest adapter that WebGPU allows. No adapter is needed.

use ffcl_gpu::bench::gpu_ceilings::MORE_TILES;
use ffcl_gpu::config::{Recipe, TrainingConfig};
use ffcl_gpu::gpu::adapter::{STORAGE_BUFFERS, WORKGROUP_WIDTH};
use ffcl_gpu::kernels::case::SLOTS;
use ffcl_gpu::kernels::tiles::{Knob, Tiles};
use ffcl_gpu::kernels::{Kernel, Launch, Operation, Variant};
use ffcl_gpu::model::Architecture;
use ffcl_gpu::program::{Plan, Programs};
use ffcl_gpu::verify::{Sweep, fused};
use naga::back::{glsl, hlsl, msl, spv};
use naga::valid::{Capabilities, FunctionInfo, ModuleInfo, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{AddressSpace, BinaryOperator, Expression, Function, Module, RelationalFunction, ResourceBinding, ShaderStage};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Everything that the engine makes of a kernel: all its cases, with all shapes of tiles.
fn variants(kernel: Kernel) -> Vec<Variant> {
    let more = MORE_TILES.map(|tile| Tiles::GPU.with_forward(tile));
    let sets: Vec<Tiles> = Tiles::ALL.iter().flat_map(Tiles::extremes).chain(more).collect();
    // What tuning tries differs in constants only: once for each kernel is enough.
    let of_knob = |knob: Knob| Tiles::ALL.iter().flat_map(move |tiles| tiles.candidates(knob, Some(8)));
    let mut tried: Vec<Tiles> = Knob::ALL.into_iter().flat_map(of_knob).collect();
    let mut variants = Vec::new();
    let mut take = |case: ffcl_gpu::kernels::case::Case| {
        for tiles in sets.iter().chain(&std::mem::take(&mut tried)) {
            let variant = case.operation.variant(Launch { tiles, slots: SLOTS });
            if !variants.contains(&variant) && has_room(tiles, &case.operation) {
                variants.push(variant);
            }
        }
        Ok(())
    };
    kernel.cases(&mut take).unwrap();
    fused::cases(kernel, Sweep::Whole, &mut take).unwrap();
    variants
}

/// Whether the smallest adapter has the workgroup memory for this tile: the fused plan is chosen where it has.
fn has_room(tiles: &Tiles, operation: &Operation) -> bool {
    let workgroup = operation.workgroup(Launch { tiles, slots: SLOTS });
    workgroup.is_none_or(|(_, bytes)| bytes <= wgpu::Limits::defaults().max_compute_workgroup_storage_size)
}

/// The ceilings of `bench`, which are no kernels.
fn ceilings() -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders/ceiling");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sided = |text: String| if text.contains("SIDE") { format!("const SIDE: u32 = 512u;\n{text}") } else { text };
    files.map(|path| (path.display().to_string(), sided(std::fs::read_to_string(&path).unwrap()))).collect()
}

/// Every distinct text, with a name for messages.
fn texts() -> BTreeMap<String, String> {
    let variants = Kernel::ALL.into_iter().flat_map(variants).map(|variant| (variant.wgsl(), format!("{variant:?}")));
    let texts: BTreeMap<String, String> = variants.chain(ceilings().into_iter().map(|(name, text)| (text, name))).collect();
    texts.into_iter().map(|(text, name)| (name, text)).collect()
}

struct Shader {
    name: String,
    shuffles: bool,
    module: Module,
    info: ModuleInfo,
}

impl Shader {
    fn parse(name: String, text: &str) -> Self {
        let module = naga::front::wgsl::parse_str(text).unwrap_or_else(|error| panic!("{name}\n{}", error.emit_to_string(text)));
        // Only where a workgroup is one subgroup, which needs a feature of the adapter.
        let shuffles = text.contains("SHUFFLE: bool = true");
        let mut validator = if shuffles {
            let mut validator = Validator::new(ValidationFlags::all(), Capabilities::default() | Capabilities::SUBGROUP);
            validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::SHUFFLE);
            validator
        } else {
            Validator::new(ValidationFlags::all(), Capabilities::default())
        };
        let info = validator.validate(&module).unwrap_or_else(|error| panic!("{name}\n{}", error.emit_to_string(text)));
        assert!(module.entry_points.len() == 1 && module.entry_points[0].name == "main", "{name}");
        Self { name, shuffles, module, info }
    }

    /// Bindings of buffers, by their numbers; all stand in group 0.
    fn bindings(&self) -> Vec<(ResourceBinding, AddressSpace)> {
        self.module.global_variables.iter().filter_map(|(_, global)| Some((global.binding?, global.space))).collect()
    }

    fn storage_buffers(&self) -> u32 {
        self.bindings().iter().filter(|(_, space)| matches!(space, AddressSpace::Storage { .. })).count() as u32
    }

    fn spirv(&self) -> Vec<u32> {
        // wgpu's version for Vulkan 1.0, and for 1.1, whose subgroups the shuffles are.
        let lang_version = if self.shuffles { (1, 3) } else { (1, 0) };
        let options = spv::Options { lang_version, fake_missing_bindings: true, ..spv::Options::default() };
        let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: "main".into() };
        spv::write_vec(&self.module, &self.info, &options, Some(&pipeline))
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn hlsl(&self) -> String {
        // What wgpu asks of the compiler that every Windows has; subgroups exist from 6.0 on only.
        let shader_model = if self.shuffles { hlsl::ShaderModel::V6_0 } else { hlsl::ShaderModel::V5_1 };
        let options = hlsl::Options { shader_model, ..hlsl::Options::default() };
        let mut text = String::new();
        let pipeline = hlsl::PipelineOptions::default();
        let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline);
        let written = writer.write(&self.module, &self.info, None);
        written.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        text
    }

    fn msl(&self) -> String {
        let slot = |binding: &ResourceBinding| Some(binding.binding as u8);
        let target = |(binding, space): (ResourceBinding, AddressSpace)| {
            let mutable = matches!(space, AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE));
            (binding, msl::BindTarget { buffer: slot(&binding), mutable, ..msl::BindTarget::default() })
        };
        let bindings = self.bindings();
        let resources = msl::EntryPointResources {
            // The buffer of runtime-sized arrays' lengths comes behind the rest.
            sizes_buffer: Some(bindings.len() as u8),
            resources: bindings.into_iter().map(target).collect(),
            ..msl::EntryPointResources::default()
        };
        let options = msl::Options {
            lang_version: (2, 1),
            per_entry_point_map: [("main".to_owned(), resources)].into(),
            fake_missing_bindings: false,
            ..msl::Options::default()
        };
        let (text, _) = msl::write_string(&self.module, &self.info, &options, &msl::PipelineOptions::default())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        text
    }

    fn glsl(&self) -> String {
        let binding_map = self.bindings().into_iter().map(|(binding, _)| (binding, binding.binding as u8)).collect();
        let options = glsl::Options { version: glsl::Version::new_gles(310), binding_map, ..glsl::Options::default() };
        let pipeline = glsl::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: "main".into(), multiview: None };
        let mut text = String::new();
        let policies = naga::proc::BoundsCheckPolicies::default();
        glsl::Writer::new(&mut text, &self.module, &self.info, &options, &pipeline, policies)
            .and_then(|mut writer| writer.write())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        text
    }

    /// Bytes of workgroup memory.
    fn workgroup_bytes(&self) -> u32 {
        let locals = self.module.global_variables.iter().filter(|(_, global)| global.space == AddressSpace::WorkGroup);
        locals.map(|(_, global)| self.size(global.ty).next_multiple_of(16)).sum()
    }

    fn size(&self, ty: naga::Handle<naga::Type>) -> u32 {
        self.module.types[ty].inner.size(self.module.to_ctx())
    }

    fn functions(&self) -> impl Iterator<Item = (&Function, &FunctionInfo)> {
        let helpers = self.module.functions.iter().map(|(handle, function)| (function, &self.info[handle]));
        helpers.chain([(&self.module.entry_points[0].function, self.info.get_entry_point(0))])
    }
}

/// Made once for all tests.
fn shaders() -> &'static [Shader] {
    static SHADERS: LazyLock<Vec<Shader>> =
        LazyLock::new(|| texts().into_par_iter().map(|(name, text)| Shader::parse(name, &text)).collect());
    &SHADERS
}

#[test]
fn every_shader_is_translated_for_every_system() {
    let shaders = shaders();
    shaders.par_iter().for_each(|shader| {
        let words = shader.spirv();
        assert!(words[0] == 0x0723_0203 && words.len() > 100, "{}", shader.name);
        assert!(shader.hlsl().contains("numthreads"), "{}", shader.name);
        assert!(shader.msl().contains("kernel void"), "{}", shader.name);
        assert!(shader.glsl().contains("local_size_x"), "{}", shader.name);
    });
    println!("{} shaders, {} of them with shuffles", shaders.len(), shaders.iter().filter(|shader| shader.shuffles).count());
}

/// So that every adapter runs them all, whichever tiles it would get by itself.
#[test]
fn every_shader_fits_the_smallest_adapter() {
    let limits = wgpu::Limits::defaults();
    for shader in shaders() {
        let name = &shader.name;
        let storage = shader.storage_buffers();
        assert!(storage <= limits.max_storage_buffers_per_shader_stage, "{name}: {storage} storage buffers");
        let bytes = shader.workgroup_bytes();
        assert!(bytes <= limits.max_compute_workgroup_storage_size, "{name}: {bytes} bytes of workgroup memory");
        let [x, y, z] = shader.module.entry_points[0].workgroup_size;
        assert!(x * y * z <= limits.max_compute_invocations_per_workgroup, "{name}: {x} × {y} × {z}");
        let largest =
            [limits.max_compute_workgroup_size_x, limits.max_compute_workgroup_size_y, limits.max_compute_workgroup_size_z];
        assert!([x, y, z].iter().zip(&largest).all(|(size, largest)| size <= largest), "{name}: {x} × {y} × {z}");
        for (_, global) in shader.module.global_variables.iter().filter(|(_, global)| global.space == AddressSpace::Uniform) {
            let bytes = shader.size(global.ty);
            assert!(u64::from(bytes) <= limits.max_uniform_buffer_binding_size, "{name}: a uniform of {bytes} bytes");
        }
    }
}

/// Adapters are refused by what kernels need; the fused ones are chosen by other means.
#[test]
fn no_kernel_needs_more_than_adapters_are_asked_for() {
    let is_fused = |shader: &&Shader| shader.name.contains("FusedForward") || shader.name.contains("FusedBackward");
    for shader in shaders().iter().filter(|shader| shader.name.contains("Variant") && !is_fused(shader)) {
        assert!(shader.storage_buffers() <= STORAGE_BUFFERS, "{}", shader.name);
        assert!(shader.module.entry_points[0].workgroup_size[0] <= WORKGROUP_WIDTH, "{}", shader.name);
    }
}

/// The plan is chosen by what the tile says that it needs.
#[test]
fn fused_tiles_know_their_workgroup_memory() {
    let mut met = 0;
    for config in fused::configs() {
        for operation in Programs::on_blank_images(&config, Plan::Fused).unwrap().stages.iter().flatten() {
            for tiles in Tiles::ALL.iter().flat_map(Tiles::extremes) {
                let launch = Launch { tiles: &tiles, slots: SLOTS };
                let Some((invocations, bytes)) = operation.workgroup(launch) else { continue };
                let variant = operation.variant(launch);
                let shader = Shader::parse(format!("{variant:?}"), &variant.wgsl());
                assert_eq!(shader.workgroup_bytes(), bytes, "{}", shader.name);
                assert_eq!(shader.module.entry_points[0].workgroup_size, [invocations, 1, 1], "{}", shader.name);
                met += 1;
            }
        }
    }
    assert!(met > 0);
}

/// The tuner leaves out what an adapter has no memory for.
#[test]
fn shared_tiles_know_their_workgroup_memory() {
    let config = TrainingConfig { architecture: Architecture::dense(&[784, 200, 130, 10]), ..Recipe::Contrastive.config() };
    let programs = Programs::on_blank_images(&config, Plan::Layered).unwrap();
    let mut met = BTreeSet::new();
    for tiles in Knob::ALL.iter().flat_map(|&knob| Tiles::GPU.candidates(knob, None)) {
        let launch = Launch { tiles: &tiles, slots: SLOTS };
        for operation in programs.stages.iter().flatten() {
            let Some((invocations, bytes)) = operation.workgroup(launch) else { continue };
            let variant = operation.variant(launch);
            if met.insert(format!("{variant:?}")) {
                let shader = Shader::parse(format!("{variant:?}"), &variant.wgsl());
                assert_eq!(shader.workgroup_bytes(), bytes, "{}", shader.name);
                assert_eq!(shader.module.entry_points[0].workgroup_size.iter().product::<u32>(), invocations, "{}", shader.name);
            }
        }
    }
    // Five shapes forward and back, and four of updates.
    assert!(met.len() >= 14, "{}", met.len());
}

/// A line that imports what does not exist is refused by the compiler, so each shader's imports are complete and visible.
#[test]
fn every_shader_imports_what_it_uses() {
    for kernel in Kernel::ALL {
        assert!(kernel.source().contains("#import "), "{}", kernel.name());
    }
    // A shader that still has such a line is not parsed.
    assert!(shaders().len() > Kernel::ALL.len());
}

/// A driver may assume that there are no NaNs and infinities: whatever asks for them may be left out. So nothing asks, and
/// numbers are never compared for equality, which is how one asks in disguise.
#[test]
fn no_shader_asks_for_numbers_that_are_none() {
    for shader in shaders() {
        for (function, info) in shader.functions() {
            for (handle, expression) in function.expressions.iter() {
                let asks = match *expression {
                    Expression::Relational { fun, .. } => !matches!(fun, RelationalFunction::All | RelationalFunction::Any),
                    Expression::Binary { op: BinaryOperator::Equal | BinaryOperator::NotEqual, left, .. } => {
                        info[left].ty.inner_with(&shader.module.types).scalar_kind() == Some(naga::ScalarKind::Float)
                    }
                    _ => false,
                };
                assert!(!asks, "{}: {:?} {handle:?}", shader.name, function.name);
            }
        }
    }
}
