//! Committed generated files are up to date with the code. `UPDATE=1 cargo test --test generated` regenerates them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::Path;

use kube_devops::manifests::{RESOURCES, crds, manifest};
use kube_devops::output::ManifestFormat;

/// Returns every generated file. Paths are relative to the package.
fn generated() -> Vec<(String, Vec<u8>)> {
    let crd = |(resource, crd)| {
        let mut content = Vec::new();
        ManifestFormat::Yaml.write(&[manifest(&crd).unwrap()], &mut content).unwrap();
        (format!("deploy/crds/{resource}.yaml"), content)
    };
    RESOURCES.into_iter().zip(crds()).map(crd).collect()
}

#[test]
fn committed_files_are_up_to_date() {
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let update = std::env::var_os("UPDATE").is_some();
    let mut stale = Vec::new();
    for (name, content) in generated() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
        if update {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
        } else if fs::read(&path).unwrap_or_default() != content {
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "these differ from the code, UPDATE=1 writes them anew: {stale:?}");
}
