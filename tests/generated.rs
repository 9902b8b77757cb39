//! Committed generated files are up to date with the code. `UPDATE=1 cargo test --test generated` regenerates them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

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
        if name == "kustomization" {
            content.extend(
                b"# An overlay must not set `namespace`: expressions of the admission policies name it, too. Print other\n\
                  # manifests with `kube-devops deploy generate-all -n NAME` instead.\n",
            );
        }
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
    let update = env::var_os("UPDATE").is_some();
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

/// Runs the program that reads dashboards by the schema of Grafana's SDK. `None` without Go, unless it is required.
fn problems_of_dashboards(files: &[&Path]) -> Option<String> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("kube-tests/grafana");
    let run = Command::new("go")
        .args(["run", "."])
        .args(files)
        .current_dir(program)
        .env("CGO_ENABLED", "0")
        .output();
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let requires_go = env::var_os("KUBE_DEVOPS_GO").is_some();
    match run {
        Ok(run) => {
            let said = String::from_utf8(run.stdout).unwrap();
            let is_answer = run.status.success() || !said.is_empty();
            assert!(is_answer, "go failed in kube-tests/grafana: {}", String::from_utf8_lossy(&run.stderr));
            Some(said)
        }
        // `make test` sets the variable.
        Err(error) if !requires_go => {
            // `eprintln!` would show only if the test fails.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: no dashboard was compared with Grafana's schema: go: {error}"
            );
            None
        }
        Err(error) => panic!("go is missing, and the schema of Grafana needs it: {error}"),
    }
}

#[test]
fn grafanas_schema_accepts_the_dashboards_and_refuses_misspelt_ones() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let texts = DASHBOARDS.map(|dashboard| (dashboard.name, dashboard.model().to_string()));
    let files: Vec<_> = texts.iter().map(|(name, text)| write(name, text)).collect();
    let files: Vec<_> = files.iter().map(std::path::PathBuf::as_path).collect();
    let Some(problems) = problems_of_dashboards(&files) else { return };
    assert_eq!(problems, "");
    let misspelt = write("misspelt", &texts[0].1.replace("\"colorMode\"", "\"colourMode\""));
    let problems = problems_of_dashboards(&[&misspelt]).unwrap();
    assert!(problems.contains("unexpected field 'colourMode'"), "{problems}");
}
