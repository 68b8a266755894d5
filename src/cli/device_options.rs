//! What can be typed about where to compute, and how.

use clap::{Args, ValueEnum};
use ffcl_gpu::gpu::adapter::DeviceRequest;
use ffcl_gpu::program::Plan;
use serde::Serialize;

/// Where to compute.
#[derive(Args, Clone, Debug, Serialize)]
pub struct DeviceOption {
    /// auto (best GPU, else CPU), cpu, gpu (best adapter, software too), an index from `devices`, or part of a name.
    #[arg(long, help_heading = "Device", default_value = "auto", value_name = "auto|cpu|gpu|INDEX|NAME")]
    #[serde(serialize_with = "serialize_as_text")]
    pub device: DeviceRequest,
    /// When a GPU's kernels are timed to choose their tile shapes. The results are the same.
    #[arg(long, hide_short_help = true, help_heading = "Device", value_enum, default_value_t, env = "FFCL_TUNE")]
    #[serde(skip)]
    pub tune: Tuning,
}

/// When tiles are chosen by measuring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Tuning {
    /// Never: the built-in table.
    Off,
    /// When an adapter gets a kind of run for the first time.
    #[default]
    Auto,
    /// Now, whatever was measured before.
    Again,
}

fn serialize_as_text<S: serde::Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// How a step is cut into dispatches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PlanName {
    /// Fused if possible; layered otherwise, and on software adapters.
    #[default]
    Auto,
    /// Two to six dispatches a step, for layers up to 128 wide; an error gives the reason if a run has none, as with --centre or --dropout.
    Fused,
    /// A dispatch for each layer and kernel.
    Layered,
}

impl PlanName {
    /// The plan, if one is forced.
    pub fn plan(self) -> Option<Plan> {
        match self {
            Self::Auto => None,
            Self::Fused => Some(Plan::Fused),
            Self::Layered => Some(Plan::Layered),
        }
    }
}
