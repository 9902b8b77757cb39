//! The flags that choose contexts of kubeconfig files, and the limits of the work in their clusters.

use std::path::{Path, PathBuf};

use anyhow::bail;
use jiff::SignedDuration;

use super::known::Known;
use super::profiles::ProfileArgs;
use super::refused::RefusedArgs;
use crate::cluster::{ConnectOptions, KubeContext, Overrides, Paging, contexts};
use crate::commands::args::{AccessArgs, duration};
use crate::fleet::{Limits, Member};

/// The objects of a page. Many clusters are read at once, so pages are smaller than those of one.
const OBJECTS: u32 = 250;
/// The most pages in memory.
const PAGES: usize = 2;

/// Kubeconfig files and limits.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Clusters")]
pub(super) struct KubeconfigArgs {
    /// Kubeconfig file (repeatable) [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Vec<PathBuf>,

    /// Maximum number of clusters that are read at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    concurrent: u16,

    /// Time limit of one cluster, such as 30s or 2m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    timeout: SignedDuration,

    #[command(flatten)]
    profiles: ProfileArgs,

    #[command(flatten)]
    access: AccessArgs,

    #[command(flatten)]
    refused: RefusedArgs,
}

impl KubeconfigArgs {
    /// Returns the limits of the work.
    pub(super) fn limits(&self) -> Limits {
        Limits { concurrent: self.concurrent.into(), timeout: self.timeout.unsigned_abs() }
    }

    /// Returns true if the clusters are those of a hub.
    pub(super) fn has_hub(&self) -> bool {
        self.profiles.is_chosen()
    }

    /// Lists the clusters of the hub, or the contexts of every file.
    pub(super) async fn known(&self) -> anyhow::Result<Vec<Known>> {
        if !self.has_hub() {
            return self.contexts();
        }
        let kubeconfig = match self.kubeconfig.as_slice() {
            [] => None,
            [file] => Some(file.clone()),
            _ => bail!("--cluster-profiles reads one hub: give --kubeconfig once"),
        };
        self.profiles.known(&ConnectOptions { kubeconfig, ..self.options() }).await
    }

    /// Lists the contexts. A name that several files use is prefixed with its file.
    fn contexts(&self) -> anyhow::Result<Vec<Known>> {
        let files: Vec<Option<&Path>> = match self.kubeconfig.as_slice() {
            [] => vec![None],
            files => files.iter().map(|file| Some(file.as_path())).collect(),
        };
        let mut found = Vec::new();
        for file in files {
            found.extend(contexts(file)?.into_iter().map(|context| (file, context)));
        }
        if found.is_empty() {
            bail!("there is no context: name a kubeconfig file by --kubeconfig");
        }
        let base = self.options();
        let is_repeated = |name: &str| found.iter().filter(|(_, context)| context.name == name).count() > 1;
        let member = |file: Option<&Path>, context: &KubeContext| {
            let name = match file.filter(|_| is_repeated(&context.name)) {
                Some(file) => format!("{}:{}", file.display(), context.name),
                None => context.name.clone(),
            };
            let options = ConnectOptions {
                kubeconfig: file.map(Path::to_owned),
                overrides: Overrides { context: Some(context.name.clone()), ..base.overrides.clone() },
                ..base.clone()
            };
            Member { name, options: Ok(options) }
        };
        let known = found
            .iter()
            .map(|(file, context)| Known { context: context.clone(), member: member(*file, context) });
        Ok(known.collect())
    }

    /// Returns the options of every connection. Clones of them share the bound on pages.
    fn options(&self) -> ConnectOptions {
        ConnectOptions { no_prompt: true, paging: Paging::shared(OBJECTS, PAGES), ..self.access.options() }
    }
}
