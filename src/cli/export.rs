//! `ffcl-gpu export`.

use super::terminal::print_line;
use super::trained_options::ExportOptions;
use ffcl_gpu::Result;
use ffcl_gpu::output::onnx;

pub fn run(options: &ExportOptions) -> Result<()> {
    onnx::check_path(&options.file)?;
    let model = options.model.open()?;
    onnx::save(&options.file, model.parameters(), model.description(), options.network)?;
    print_line(&format!("{} in {}", options.network, options.file.display()))?;
    print_line(&format!("input    {}", onnx::describe_input(model.description())))
}
