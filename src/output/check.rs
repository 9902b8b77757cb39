//! The result of `check`: a table of permissions and CRDs with a verdict, or JSON.

use std::io::{self, Write as _};

use serde::Serialize;
use serde_json::json;

use super::{Cell, Text, columns, style, table};
use crate::manifests::{AccessGrant, Assessment, Mode};

/// Output format of `check`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum CheckFormat {
    /// Tables and a verdict.
    #[default]
    Text,
    /// Everything as JSON.
    Json,
}

/// The result of `check`.
#[derive(Debug)]
pub struct Check {
    /// The context of the kubeconfig.
    pub context: String,
    /// The URL of the API server.
    pub server: String,
    /// The version of the API server.
    pub version: String,
    /// The time of a call on an open connection, in milliseconds.
    pub latency: f64,
    /// The requested modes.
    pub modes: Vec<Mode>,
    /// The permissions that they need, each with its state.
    pub assessment: Assessment,
}

impl Check {
    /// Writes the result.
    pub fn write(&self, format: CheckFormat, out: &mut Text<'_>) -> io::Result<()> {
        match format {
            CheckFormat::Text => self.write_text(out),
            CheckFormat::Json => self.write_json(out.exact()),
        }
    }

    fn write_text(&self, out: &mut Text<'_>) -> io::Result<()> {
        let latency = format!("{:.1} ms", self.latency);
        let facts = [
            ["Context:", &*self.context],
            ["Server:", &*self.server],
            ["Version:", &*self.version],
            ["Latency:", &*latency],
            ["Own namespace:", self.assessment.own_namespace()],
        ];
        columns(facts.into_iter().map(|fact| fact.map(Cell::from)), out)?;
        writeln!(out)?;
        let header = ["MODE", "VERB", "RESOURCE", "SCOPE", "ALLOWED", "WITHOUT IT"];
        table(header, self.assessment.grants().iter().map(row), out)?;
        let crds = self.assessment.crds();
        if !crds.is_empty() {
            writeln!(out)?;
            let rows = crds.iter().map(|(name, state)| {
                let style = if state.is_usable() { anstyle::Style::new() } else { style::NO };
                [Cell::from(&**name), Cell::styled(state.to_string(), style)]
            });
            table(["CRD", "STATE"], rows, out)?;
        }
        writeln!(out)?;
        self.assessment.verdicts(&self.modes).iter().try_for_each(|verdict| out.paragraph(verdict))
    }

    fn write_json(&self, out: &mut dyn io::Write) -> io::Result<()> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Json<'a> {
            api_version: &'static str,
            kind: &'static str,
            context: &'a str,
            server: &'a str,
            version: &'a str,
            latency_milliseconds: f64,
            own_namespace: &'a str,
            modes: Vec<serde_json::Value>,
            permissions: &'a [AccessGrant],
            crds: Vec<serde_json::Value>,
        }
        let mode = |mode: &Mode| {
            let reasons = self.assessment.obstacles(*mode);
            json!({ "mode": mode, "works": reasons.is_empty(), "reasons": reasons })
        };
        let crds = self.assessment.crds().iter();
        let json = Json {
            api_version: "kube-devops/v1",
            kind: "Check",
            context: &self.context,
            server: &self.server,
            version: &self.version,
            latency_milliseconds: self.latency,
            own_namespace: self.assessment.own_namespace(),
            modes: self.modes.iter().map(mode).collect(),
            permissions: self.assessment.grants(),
            crds: crds.map(|(name, state)| json!({ "name": name, "state": state })).collect(),
        };
        serde_json::to_writer_pretty(&mut *out, &json)?;
        writeln!(out)
    }
}

fn row(grant: &AccessGrant) -> [Cell<'_>; 6] {
    let scope =
        grant.need.namespace.as_ref().map_or("cluster".to_owned(), |name| format!("namespace {name}"));
    let allowed = if grant.allowed { Cell::from("yes") } else { Cell::styled("NO", style::NO) };
    [
        grant.mode.to_string().into(),
        Cell::from(grant.need.verb),
        grant.need.path().into(),
        scope.into(),
        allowed,
        Cell::from(grant.reason.as_deref().unwrap_or_default()),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::manifests::{AccessAnswer, CrdState, Places, needs};
    use crate::workload::Kinds;

    fn written(format: CheckFormat) -> String {
        let places = Places {
            evaluated: None,
            missing: false,
            own: "ops".to_owned(),
            of_rules: Kinds::default(),
            listed: Kinds::default(),
        };
        let modes = vec![Mode::Watch, Mode::Reconcile];
        let answers: BTreeMap<_, _> = needs(&modes, &places)
            .into_iter()
            .map(|need| {
                let allowed = need.resource != "leases";
                let reason = (!allowed).then(|| "RBAC: no role".to_owned());
                (need, AccessAnswer { allowed, reason })
            })
            .collect();
        let crds = vec![("devopspolicies".to_owned(), CrdState::Missing)];
        let check = Check {
            context: "prod".to_owned(),
            server: "https://test:6443".to_owned(),
            version: "v1.33.2".to_owned(),
            latency: 1.54,
            assessment: Assessment::new(&modes, places, &answers, crds),
            modes,
        };
        let mut out = Vec::new();
        check.write(format, &mut Text::plain(&mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn missing_permissions_and_crds_are_shown_with_their_effect() {
        let out = written(CheckFormat::Text);
        let lines: Vec<_> =
            out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for line in [
            "Context: prod",
            "Latency: 1.5 ms",
            "watch list pods cluster yes",
            "watch get leases.coordination.k8s.io namespace ops NO no leader: it only runs with --no-leader-election \
             (RBAC: no role)",
            "devopspolicies missing: run `kube-devops crd install`",
        ] {
            assert!(lines.iter().any(|other| other == line), "{line}\n{out}");
        }
        assert!(
            out.contains(
                "\nwatch would not work here: no permission to get/create/update/watch leases.coordination"
            ),
            "{out}"
        );
    }

    #[test]
    fn json_has_the_same_answers() {
        let check: serde_json::Value = serde_json::from_str(&written(CheckFormat::Json)).unwrap();
        assert_eq!((&check["kind"], &check["modes"][1]["works"]), (&"Check".into(), &false.into()));
        let permissions = check["permissions"].as_array().unwrap();
        let lease = permissions.iter().find(|one| one["resource"] == "leases").unwrap();
        assert_eq!(
            (&lease["mode"], &lease["allowed"], &lease["namespace"]),
            (&"watch".into(), &false.into(), &"ops".into())
        );
        assert!(lease["reason"].as_str().unwrap().contains("RBAC: no role"));
        assert_eq!(check["crds"][0]["state"], "missing");
    }
}
