//! CRDs that other projects publish, from their Go modules.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Returns a CRD of a Go module, in the version that `kube-tests/<ours>/go.mod` names.
pub(crate) fn crd(ours: &str, module: &str, path: &str) -> Value {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("kube-tests").join(ours);
    let run = Command::new("go")
        .args(["mod", "download", "-json", module])
        .current_dir(directory)
        .output()
        .expect("Go, which CONTRIBUTING.md asks for");
    let found: Value = serde_json::from_slice(&run.stdout).expect("a module");
    let folder = found["Dir"].as_str().unwrap_or_else(|| panic!("{module} is not downloaded: {found}"));
    yaml_serde::from_str(&fs::read_to_string(Path::new(folder).join(path)).unwrap()).unwrap()
}
