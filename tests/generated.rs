//! Committed generated files are up to date with the code. `UPDATE=1 cargo test --test generated` regenerates them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::Path;

use kube_devops::config;
use kube_devops::manifests::installation::{self, Installation};
use kube_devops::manifests::observability::{DASHBOARDS, fleet_rule, prometheus_rule, service_monitors};
use kube_devops::manifests::{RESOURCES, chart, crds, manifest};
use kube_devops::output::{ManifestFormat, Text, catalogue};

/// Returns every generated file. Paths are relative to the package.
fn generated() -> Vec<(String, Vec<u8>)> {
    let crd = |(resource, crd)| {
        let mut content = Vec::new();
        ManifestFormat::Yaml.write(&[manifest(&crd).unwrap()], &mut content).unwrap();
        (format!("deploy/crds/{resource}.yaml"), content)
    };
    let mut rules = Vec::new();
    catalogue(&mut Text::plain(&mut rules)).unwrap();
    let rules = ("docs/rules.md".to_owned(), rules);
    let crds = RESOURCES.into_iter().zip(crds()).map(crd);
    let schema = ("deploy/config.schema.json".to_owned(), format!("{:#}\n", config::schema()).into_bytes());
    crds.chain(kustomize()).chain(monitoring()).chain(helm()).chain([rules, schema]).collect()
}

/// Returns the default installation as files for kustomize: those of the CRDs, and one for each kind of content.
fn kustomize() -> Vec<(String, Vec<u8>)> {
    let objects = installation::all(&Installation::default()).unwrap();
    let mut files =
        vec![("namespace", vec![]), ("rbac", vec![]), ("admission", vec![]), ("workloads", vec![])];
    for object in objects {
        let file = match (object["kind"].as_str().unwrap(), object["apiVersion"].as_str().unwrap()) {
            ("CustomResourceDefinition", _) => continue,
            ("Namespace", _) => 0,
            ("ServiceAccount", _) | (_, "rbac.authorization.k8s.io/v1") => 1,
            (_, "admissionregistration.k8s.io/v1") => 2,
            _ => 3,
        };
        files[file].1.push(object);
    }
    files.retain(|(_, objects)| !objects.is_empty());
    let crds = RESOURCES.map(|resource| format!("crds/{resource}.yaml"));
    let names: Vec<_> =
        crds.into_iter().chain(files.iter().map(|(name, _)| format!("{name}.yaml"))).collect();
    let kustomization = serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": names,
    });
    files.push(("kustomization", vec![kustomization]));
    let file = |(name, objects): (&str, Vec<serde_json::Value>)| {
        let mut content =
            b"# Generated from src/manifests by `UPDATE=1 cargo test --test generated`.\n".to_vec();
        ManifestFormat::Yaml.write(&objects, &mut content).unwrap();
        (format!("deploy/{name}.yaml"), content)
    };
    files.into_iter().map(file).collect()
}

/// Returns the generated files of the Helm chart.
fn helm() -> Vec<(String, Vec<u8>)> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/helm/kube-devops");
    let values = fs::read_to_string(chart.join("values.yaml")).unwrap();
    let readme = ("README.md".to_owned(), chart::readme(&values).unwrap());
    let files = chart::files().unwrap().into_iter().chain([readme]);
    files.map(|(path, text)| (format!("deploy/helm/kube-devops/{path}"), text.into_bytes())).collect()
}

/// Returns the monitoring of the default installation, and the dashboards as Grafana imports them.
fn monitoring() -> Vec<(String, Vec<u8>)> {
    let installation = Installation::default();
    let mut objects = service_monitors(&installation, &[]);
    objects.push(prometheus_rule(&installation, &[], "docs/runbooks"));
    let mut content = Vec::new();
    ManifestFormat::Yaml.write(&objects, &mut content).unwrap();
    let dashboard = |dashboard: &&kube_devops::manifests::observability::Dashboard| {
        let model = serde_json::to_string_pretty(&dashboard.model()).unwrap();
        (format!("deploy/monitoring/{}.json", dashboard.name), format!("{model}\n").into_bytes())
    };
    let file = ("deploy/monitoring/monitors-and-rules.yaml".to_owned(), content);
    let mut content = Vec::new();
    ManifestFormat::Yaml.write(&[fleet_rule(&installation, &[], "docs/runbooks")], &mut content).unwrap();
    let fleet = ("deploy/monitoring/fleet-rules.yaml".to_owned(), content);
    DASHBOARDS.iter().map(dashboard).chain([file, fleet]).collect()
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
