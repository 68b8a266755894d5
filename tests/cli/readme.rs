//! What the README shows in Python, run where Python has the packages: `tests/external/readme_logits.py`.

use std::process::Command;

#[test]
fn the_lines_of_python_give_the_programs_logits() {
    let named = std::env::var("FFCL_PYTHON").ok();
    let python = named.clone().unwrap_or_else(|| "python3".into());
    let has_packages = Command::new(&python).args(["-c", "import numpy, PIL, safetensors"]).output();
    if !has_packages.is_ok_and(|output| output.status.success()) {
        assert!(named.is_none(), "{python} lacks numpy, pillow or safetensors");
        eprintln!("left out: {python} lacks numpy, pillow or safetensors (FFCL_PYTHON names another one)");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/external/readme_logits.py");
    let ran = Command::new(&python).args([script, env!("CARGO_BIN_EXE_ffcl-gpu")]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
}
