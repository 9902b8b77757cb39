//! `check`: whether the cluster can be reached, and what is missing there for each mode.

use super::ExitStatus;
use super::args::{ConnectArgs, namespace};
use crate::cluster::{self, Access, CallError, Cluster, ServerVersion};
use crate::manifests::{GROUP, Mode, Permission, RESOURCES, Scope, crds, is_current};
use crate::output::{columns, to_stdout};
use anyhow::Context;
use kube::ResourceExt;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

/// Reach the cluster, and tell what is missing there for each mode.
///
/// Exit status: 0 when the mode of --for would work, 1 when it would not, 2 when the cluster could not be asked.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The mode that has to work, for exit status 0
    #[arg(long = "for", value_name = "MODE", value_enum, default_value_t = Mode::Analyze)]
    mode: Mode,

    /// Only this namespace, as for analyze and watch; the other modes judge all
    #[arg(short, long, value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,

    /// The namespace of the Lease, in which kube-devops runs or will [default: the pod's own, else default]
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    own_namespace: Option<String>,

    /// Which cluster to talk to
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What was found out about a cluster.
struct Findings {
    context: String,
    server: String,
    version: ServerVersion,
    places: Places,
    allowed: BTreeMap<Access, bool>,
    crds: Vec<(String, CrdState)>,
}

/// Which namespaces the scopes of permissions stand for.
struct Places {
    /// The one that is judged; `None` for all.
    judged: Option<String>,
    /// Whether that one is known not to exist.
    missing: bool,
    /// The one that kube-devops runs in.
    own: String,
}

/// How a CRD is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CrdState {
    Current,
    Outdated,
    Missing,
    /// Its resources are served, and the definition itself may not be read.
    Served,
}

impl CrdState {
    /// Tells whether a mode that needs the CRD has what it needs, as far as that can be known.
    fn is_fine(self) -> bool {
        matches!(self, Self::Current | Self::Served)
    }
}

impl fmt::Display for CrdState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Current => "current",
            Self::Outdated => "outdated: run `kube-devops crd install`",
            Self::Missing => "missing: run `kube-devops crd install`",
            Self::Served => "served: only get on customresourcedefinitions would tell whether it is current",
        })
    }
}

/// Runs `check`; an error means that the cluster couldn't be asked.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let cluster = cluster::connect(&args.connect.options()).await?;
    let own = args.own_namespace.unwrap_or_else(|| cluster.home().to_owned());
    let findings = ask(&cluster, args.namespace, own).await?;
    to_stdout(|out| findings.write(args.mode, out))?;
    Ok(if findings.works(args.mode) { ExitStatus::Clean } else { ExitStatus::Findings })
}

async fn ask(cluster: &Cluster, judged: Option<String>, own: String) -> anyhow::Result<Findings> {
    let version = cluster.version().await.context("cannot ask for the version")?;
    let missing = match &judged {
        Some(name) => cluster.lacks_namespace(name).await,
        None => false,
    };
    let places = Places { judged, missing, own };
    let mut accesses: Vec<_> = Mode::ALL
        .into_iter()
        .flat_map(Mode::permissions)
        .flat_map(|permission| accesses(&permission, &places).collect::<Vec<_>>())
        .collect();
    accesses.sort();
    accesses.dedup();
    let allowed = cluster.allowed(&accesses).await.context("cannot ask for permissions")?;
    let crds = crd_states(cluster).await.context("cannot ask for the CRDs")?;
    Ok(Findings {
        context: cluster.context.clone(),
        server: cluster.server.clone(),
        version,
        places,
        allowed: accesses.into_iter().zip(allowed).collect(),
        crds,
    })
}

/// Compares the installed CRDs with ours; where they may not be read, asks what is served instead.
async fn crd_states(cluster: &Cluster) -> Result<Vec<(String, CrdState)>, CallError> {
    let mut states = Vec::new();
    for (wanted, resource) in crds().iter().zip(RESOURCES) {
        let name = wanted.name_any();
        let state = match cluster.crd(&name).await {
            Ok(None) => CrdState::Missing,
            Ok(Some(installed)) if is_current(&installed.data["spec"], wanted) => CrdState::Current,
            Ok(Some(_)) => CrdState::Outdated,
            Err(error) if error.code() == Some(403) => {
                let served = cluster.serves(&format!("{GROUP}/v1"), &[resource]).await?;
                if served == [true] { CrdState::Served } else { CrdState::Missing }
            }
            Err(error) => return Err(error),
        };
        states.push((name, state));
    }
    Ok(states)
}

/// Returns what has to be asked for a permission, in the order of its verbs.
fn accesses(permission: &Permission, places: &Places) -> impl Iterator<Item = Access> {
    let permission = *permission;
    let namespace = places.namespace(permission.scope).map(str::to_owned);
    permission.verbs.iter().map(move |verb| Access {
        verb: (*verb).to_owned(),
        group: permission.group.to_owned(),
        resource: permission.resource.to_owned(),
        subresource: permission.subresource.map(str::to_owned),
        namespace: namespace.clone(),
    })
}

impl Places {
    /// Returns the namespace that a permission has to reach; `None` for all.
    fn namespace(&self, scope: Scope) -> Option<&str> {
        match scope {
            Scope::Cluster => None,
            Scope::Judged => self.judged.as_deref(),
            Scope::OwnNamespace => Some(&self.own),
        }
    }
}

/// Tells whether a mode can judge one namespace alone.
fn is_narrowed(mode: Mode) -> bool {
    matches!(mode, Mode::Analyze | Mode::Watch)
}

impl Findings {
    fn is_allowed(&self, access: &Access) -> bool {
        self.allowed.get(access).copied().unwrap_or_default()
    }

    fn works(&self, mode: Mode) -> bool {
        if self.places.missing && is_narrowed(mode) {
            return false;
        }
        let allowed = |permission: &Permission| {
            accesses(permission, &self.places).all(|access| self.is_allowed(&access))
        };
        let crds = !mode.needs_crds() || self.crds.iter().all(|(_, state)| state.is_fine());
        crds && mode.permissions().iter().all(|permission| !permission.required || allowed(permission))
    }

    fn write(&self, wanted: Mode, out: &mut dyn Write) -> io::Result<()> {
        let fact = |name: &str, value: String| vec![format!("{name}:"), value];
        let facts = [
            fact("Context", self.context.clone()),
            fact("Server", self.server.clone()),
            fact("Version", self.version.version.clone()),
            fact("Latency", format!("{:.1} ms", self.version.latency.as_secs_f64() * 1000.0)),
            fact("Own namespace", self.places.own.clone()),
        ];
        columns(&facts, out)?;
        writeln!(out)?;
        columns(&self.permissions(), out)?;
        writeln!(out)?;
        let mut crds = vec![vec!["CRD".to_owned(), "STATE".to_owned()]];
        crds.extend(self.crds.iter().map(|(name, state)| vec![name.clone(), state.to_string()]));
        columns(&crds, out)?;
        if !self.crds.iter().all(|(_, state)| state.is_fine()) {
            writeln!(out, "reconcile, enforce and webhook need both")?;
        }
        writeln!(out)?;
        writeln!(out, "{wanted} {}", self.verdict(wanted))
    }

    fn verdict(&self, mode: Mode) -> String {
        let place = match &self.places.judged {
            Some(namespace) if is_narrowed(mode) => format!("in namespace {namespace}"),
            _ => "here".to_owned(),
        };
        if self.works(mode) {
            format!("would work {place}")
        } else if mode == Mode::Analyze && self.places.judged.is_none() {
            "would be partial at best here: `kube-devops check -n NAME` tells of one namespace".to_owned()
        } else if self.places.missing && is_narrowed(mode) {
            format!("would not work {place}: it was not found")
        } else {
            format!("would not work {place}")
        }
    }

    fn permissions(&self) -> Vec<Vec<String>> {
        let header = ["MODE", "VERB", "RESOURCE", "SCOPE", "ALLOWED", "WITHOUT IT"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        for mode in Mode::ALL {
            for permission in mode.permissions() {
                let group = if permission.group.is_empty() { "" } else { "." };
                let subresource = permission.subresource.map(|name| format!("/{name}")).unwrap_or_default();
                let resource = format!("{}{group}{}{subresource}", permission.resource, permission.group);
                for access in accesses(&permission, &self.places) {
                    let allowed = self.is_allowed(&access);
                    let optional = if permission.required { "" } else { " (optional)" };
                    let scope = self.places.namespace(permission.scope);
                    let scope = scope.map_or("cluster".to_owned(), |name| format!("namespace {name}"));
                    rows.push(vec![
                        mode.to_string(),
                        access.verb,
                        resource.clone(),
                        scope,
                        if allowed { "yes" } else { "NO" }.to_owned(),
                        if allowed { String::new() } else { format!("{}{optional}", permission.without) },
                    ]);
                }
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What a caller who may do everything that `forbids` doesn't hold of finds.
    fn findings(crd: CrdState, forbids: impl Fn(&Access) -> bool) -> Findings {
        findings_in(Places { judged: None, missing: false, own: "ops".to_owned() }, crd, forbids)
    }

    fn findings_in(places: Places, crd: CrdState, forbids: impl Fn(&Access) -> bool) -> Findings {
        let all = Mode::ALL.into_iter().flat_map(Mode::permissions);
        let accesses = all.flat_map(|permission| accesses(&permission, &places).collect::<Vec<_>>());
        Findings {
            context: "prod".to_owned(),
            server: "https://test:6443".to_owned(),
            version: ServerVersion { version: "v1.33.2".to_owned(), latency: Duration::from_micros(1540) },
            allowed: accesses.map(|access| (access.clone(), !forbids(&access))).collect(),
            places,
            crds: vec![
                ("devopspolicies".to_owned(), CrdState::Current),
                ("policyauditresults".to_owned(), crd),
            ],
        }
    }

    fn working(findings: &Findings) -> Vec<String> {
        let working = Mode::ALL.into_iter().filter(|mode| findings.works(*mode));
        working.map(|mode| mode.to_string()).collect()
    }

    #[test]
    fn a_mode_works_with_its_required_permissions_and_crds() {
        use CrdState::{Current, Missing, Outdated, Served};
        for crd in [Current, Served] {
            assert_eq!(working(&findings(crd, |_| false)).len(), 5, "{crd}");
        }
        for crd in [Missing, Outdated] {
            assert_eq!(working(&findings(crd, |_| false)), ["analyze", "watch"], "{crd}");
        }
        let no = |resource: &'static str| findings(Current, move |access| access.resource == resource);
        assert_eq!(working(&no("secrets")), ["analyze", "watch", "reconcile", "enforce"]);
        assert_eq!(working(&no("leases")), ["analyze"]);
        assert_eq!(working(&no("events")).len(), 5, "events are optional");
        let no_patch = findings(Current, |access| access.verb == "patch" && access.group == "apps");
        assert_eq!(working(&no_patch), ["analyze", "watch", "reconcile", "webhook"]);
    }

    #[test]
    fn who_is_limited_to_a_namespace_can_work_there() {
        let limited = |judged: Option<&str>| {
            let places = Places { judged: judged.map(str::to_owned), missing: false, own: "shop".to_owned() };
            findings_in(places, CrdState::Current, |access| access.namespace.as_deref() != Some("shop"))
        };
        let (all, shop, bank) = (limited(None), limited(Some("shop")), limited(Some("bank")));
        assert_eq!(working(&all), Vec::<String>::new());
        assert_eq!(working(&shop), ["analyze", "watch"]);
        assert_eq!(working(&bank), Vec::<String>::new());
        assert!(all.verdict(Mode::Analyze).starts_with("would be partial at best here"));
        assert_eq!(all.verdict(Mode::Watch), "would not work here");
        assert_eq!(shop.verdict(Mode::Analyze), "would work in namespace shop");
        assert_eq!(shop.verdict(Mode::Reconcile), "would not work here");
        assert_eq!(bank.verdict(Mode::Analyze), "would not work in namespace bank");
    }

    #[test]
    fn nothing_works_in_a_namespace_that_is_not_there() {
        let places = Places { judged: Some("nope".to_owned()), missing: true, own: "ops".to_owned() };
        let findings = findings_in(places, CrdState::Current, |_| false);
        assert_eq!(working(&findings), ["reconcile", "enforce", "webhook"], "these judge all namespaces");
        assert_eq!(findings.verdict(Mode::Analyze), "would not work in namespace nope: it was not found");
        assert_eq!(findings.verdict(Mode::Reconcile), "would work here");
    }

    #[test]
    fn what_is_missing_is_shown_with_what_breaks() {
        let mut out = Vec::new();
        findings(CrdState::Missing, |access| access.resource == "secrets")
            .write(Mode::Webhook, &mut out)
            .unwrap();
        let out = String::from_utf8(out).unwrap();
        let lines: Vec<_> =
            out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for line in [
            "Context: prod",
            "Latency: 1.5 ms",
            "analyze list pods cluster yes",
            "webhook get secrets namespace ops NO no certificate: nothing is served",
            "devopspolicies current",
            "policyauditresults missing: run `kube-devops crd install`",
            "webhook would not work here",
        ] {
            assert!(lines.iter().any(|other| other == line), "{line}\n{out}");
        }
    }
}
