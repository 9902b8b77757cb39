//! `kube-devops check`: asks the API server for the permissions and CRDs that modes need.

mod crd_states;

use std::collections::BTreeSet;

use anyhow::Context as _;
use clap::ValueEnum as _;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::ExitStatus;
use super::args::{ConnectArgs, namespace};
use crate::cluster::{self, Access};
use crate::manifests::{AccessAnswer, Assessment, Mode, Need, Places, needs};
use crate::output::{Check, CheckFormat};
use crate::policy::EffectivePolicy;
use crate::terminal::to_stdout;
use crate::workload::Kinds;
use crd_states::crd_states;

/// Connect to the cluster, and list what is missing there: permissions, and CRDs where they are needed.
///
/// Exit status: 0 when the modes of --for would work, 1 when one would not, 2 when the cluster could not be asked.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Modes to check, with commas
    #[arg(long = "for", value_name = "MODES", value_delimiter = ',', default_value = "analyze", value_parser = modes().map(|name| chosen(&name)))]
    modes: Vec<Modes>,

    /// Check analyze and watch in this namespace only; the other modes always need the whole cluster
    #[arg(short, long, value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,

    /// Namespace that kube-devops runs in, for its Lease [default: the pod's own, else default]
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    own_namespace: Option<String>,

    /// Rules that analyze, or policies of the operator, evaluate: default, recommended, all, ids or categories
    #[arg(long, value_name = "RULES", allow_hyphen_values = true)]
    rules: Option<String>,

    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: CheckFormat,

    #[command(flatten)]
    connect: ConnectArgs,
}

/// One mode, or all of them.
#[derive(Clone, Debug)]
struct Modes(Vec<Mode>);

/// Lists the modes and `all`.
fn modes() -> PossibleValuesParser {
    let all = clap::builder::PossibleValue::new("all").help("All modes");
    PossibleValuesParser::new(Mode::ALL.iter().filter_map(Mode::to_possible_value).chain([all]))
}

fn chosen(name: &str) -> Modes {
    Mode::from_str(name, false).map_or(Modes(Mode::ALL.to_vec()), |mode| Modes(vec![mode]))
}

/// Runs `check`; an error means that the cluster could not be asked.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let chosen: BTreeSet<Mode> = args.modes.into_iter().flat_map(|Modes(modes)| modes).collect();
    let modes: Vec<_> = chosen.into_iter().collect();
    let (of_rules, listed) = match &args.rules {
        Some(rules) => {
            let policy = EffectivePolicy::select(rules).context("--rules")?;
            (policy.reads(), policy.lists())
        }
        None => (Kinds::default(), Kinds::default()),
    };
    let cluster = cluster::connect(&args.connect.options()).await?;
    let version = cluster.version().await.context("cannot ask for the version")?;
    let missing = match &args.namespace {
        Some(name) => cluster.lacks_namespace(name).await,
        None => false,
    };
    let own = args.own_namespace.unwrap_or_else(|| cluster.home().to_owned());
    let places = Places { evaluated: args.namespace, missing, own, of_rules, listed };
    let needs = needs(&modes, &places);
    let accesses: Vec<_> = needs.iter().map(access).collect();
    let decisions = cluster.allowed(&accesses).await.context("cannot ask for permissions")?;
    let answers = decisions.into_iter().map(|one| AccessAnswer { allowed: one.allowed, reason: one.reason });
    let answers = needs.into_iter().zip(answers).collect();
    let crds = if modes.iter().any(|mode| mode.needs_crds()) {
        crd_states(&cluster, &modes).await.context("cannot ask for the CRDs")?
    } else {
        Vec::new()
    };
    let check = Check {
        context: cluster.context.clone(),
        server: cluster.server.clone(),
        version: version.version,
        latency: version.latency.as_secs_f64() * 1000.0,
        assessment: Assessment::new(&modes, places, &answers, crds),
        modes,
    };
    to_stdout(|out| check.write(args.output, out))?;
    let works = check.modes.iter().all(|mode| check.assessment.works(*mode));
    Ok(if works { ExitStatus::Clean } else { ExitStatus::Findings })
}

fn access(need: &Need) -> Access {
    Access {
        verb: need.verb.to_owned(),
        group: need.group.to_owned(),
        resource: need.resource.to_owned(),
        subresource: need.subresource.map(str::to_owned),
        namespace: need.namespace.clone(),
        name: need.name.map(str::to_owned),
    }
}
