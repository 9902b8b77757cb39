//! The one place that builds a client: from kubectl's files and flags, or from inside a pod.
//!
//! An error's text holds its reason already; a source beside it would be said twice.

use super::proxy::is_direct;
use super::request_log::RequestLog;
use http::header::{HeaderValue, USER_AGENT};
use kube::client::{AuthError, ClientBuilder};
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tower::layer::layer_fn;

/// What stands for the context of a pod's own account.
const IN_CLUSTER: &str = "in-cluster";
const AGENT: &str = concat!("kube-devops/", env!("CARGO_PKG_VERSION"));

/// How to find a cluster and how patient to be with it; the default is kubectl's, without its flags.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// The kubeconfig file to read, in place of those of `$KUBECONFIG` or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context to use, in place of the current one.
    pub context: Option<String>,
    /// How long one call may take, its retries included; `None` for as long as it likes.
    pub request_timeout: Option<Duration>,
    /// How long a connection may bring nothing while something is awaited; `None` for ever. A watch is told at least
    /// about every minute how far it is, so one that hears nothing for longer has lost its server.
    pub read_timeout: Option<Duration>,
    /// After how many seconds the server ends a watch, which then goes on from there; `None` for as long as usual.
    pub watch_seconds: Option<u32>,
}

/// A cluster to talk to; cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    /// The client.
    pub client: Client,
    /// The name of the context, or `in-cluster`.
    pub context: String,
    /// The address of the API server.
    pub server: String,
    /// The namespace of the context, or the one that the pod runs in.
    pub default_namespace: String,
    /// How long one call may take, its retries included.
    pub request_timeout: Option<Duration>,
    /// After how many seconds the server ends a watch, which then goes on from there; `None` for as long as usual.
    pub watch_seconds: Option<u32>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no cluster to talk to.
    #[error(
        "no cluster: --kubeconfig wasn't given, $KUBECONFIG isn't set, {looked} doesn't exist, and this is not a \
         pod; to analyze manifests without a cluster: kube-devops analyze -f FILE"
    )]
    NoKubeconfig {
        /// The default file.
        looked: String,
    },
    /// A kubeconfig that was named can't be read.
    #[error("cannot read the kubeconfig {}: {reason}; check --kubeconfig and $KUBECONFIG", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// A kubeconfig is broken.
    #[error("the kubeconfig {from} can't be used: {reason}")]
    Broken {
        /// Where it came from.
        from: String,
        /// The reason.
        reason: KubeconfigError,
    },
    /// The context that was asked for isn't there.
    #[error("no context {name:?} in the kubeconfig {from}; it has {}", names(known))]
    UnknownContext {
        /// What was asked for.
        name: String,
        /// Where the kubeconfig came from.
        from: String,
        /// The contexts that are there.
        known: Vec<String>,
    },
    /// There is no current context, and none was asked for.
    #[error(
        "the kubeconfig {from} has no current context: choose one with --context; it has {}",
        names(known)
    )]
    NoContext {
        /// Where the kubeconfig came from.
        from: String,
        /// The contexts that are there.
        known: Vec<String>,
    },
    /// This is a pod whose service account can't be used.
    #[error(
        "this pod's service account can't be used: {0}; is automountServiceAccountToken false in the pod or its account?"
    )]
    InCluster(InClusterError),
    /// The command that the kubeconfig names for credentials brought none.
    #[error("cannot get credentials for {server}: the command {command:?} of the kubeconfig's user {reason}")]
    Plugin {
        /// The address of the API server.
        server: String,
        /// The command.
        command: String,
        /// What became of it.
        reason: String,
    },
    /// The configuration is sound and yet no client can be made of it.
    #[error("cannot make a client for {server}: {reason}")]
    Client {
        /// The address of the API server.
        server: String,
        /// The reason.
        reason: Box<kube::Error>,
    },
}

fn names(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

impl Cluster {
    /// The namespace that this process runs in, when it is a pod that found its cluster by its own account.
    pub fn own_namespace(&self) -> Option<&str> {
        (self.context == IN_CLUSTER).then_some(&*self.default_namespace)
    }

    /// The namespace in which a long-running command keeps what its replicas share, unless it is told another.
    pub fn home(&self) -> &str {
        self.own_namespace().unwrap_or("default")
    }
}

/// Builds a client as kubectl would: `--kubeconfig`, else `$KUBECONFIG`, else `~/.kube/config`, else the pod's own
/// account. Nothing is sent yet.
pub async fn connect(options: &ConnectOptions) -> Result<Cluster, ConnectError> {
    let (mut config, context) = match find(options.kubeconfig.as_deref())? {
        Found::File { kubeconfig, from } => select(*kubeconfig, from, options.context.as_deref()).await?,
        Found::Nothing { looked } => (in_cluster(looked)?, IN_CLUSTER.to_owned()),
    };
    // Nobody but the caller knows how long a call is worth repeating.
    config.default_retry = false;
    config.read_timeout = options.read_timeout;
    config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
    let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let default_namespace = config.default_namespace.clone();
    let plugin = config.auth_info.exec.as_ref().and_then(|exec| exec.command.clone());
    let client = ClientBuilder::try_from(config)
        .map_err(|reason| no_client(server.clone(), plugin, reason))?
        .with_layer(&layer_fn(RequestLog))
        .build();
    let ConnectOptions { request_timeout, watch_seconds, .. } = *options;
    Ok(Cluster { client, context, server, default_namespace, request_timeout, watch_seconds })
}

/// Kube's own text doesn't name a command that can't be started, and repeats all that a failing one printed.
fn no_client(server: String, plugin: Option<String>, reason: kube::Error) -> ConnectError {
    match (plugin, reason) {
        (Some(command), kube::Error::Auth(AuthError::AuthExecStart(reason))) => {
            let reason = format!("can't be run: {reason}; install it, or check its name");
            ConnectError::Plugin { server, command, reason }
        }
        (Some(command), kube::Error::Auth(AuthError::AuthExecRun { out, .. })) => {
            let reason = format!("failed ({}): run it to see why, or log in again", out.status);
            ConnectError::Plugin { server, command, reason }
        }
        (_, reason) => ConnectError::Client { server, reason: Box::new(reason) },
    }
}

enum Found {
    File { kubeconfig: Box<Kubeconfig>, from: String },
    Nothing { looked: String },
}

fn find(flag: Option<&Path>) -> Result<Found, ConnectError> {
    let file = |kubeconfig, from| Found::File { kubeconfig: Box::new(kubeconfig), from };
    if let Some(path) = flag {
        let from = path.display().to_string();
        return match Kubeconfig::read_from(path) {
            Ok(kubeconfig) => Ok(file(kubeconfig, from)),
            Err(error) => Err(broken(error, from)),
        };
    }
    let from = "of $KUBECONFIG";
    match read_listed(&listed()) {
        Ok(Some(kubeconfig)) => return Ok(file(kubeconfig, from.to_owned())),
        Ok(None) => {}
        Err(error) => return Err(broken(error, from.to_owned())),
    }
    match Kubeconfig::read() {
        Ok(kubeconfig) => Ok(file(kubeconfig, "~/.kube/config".to_owned())),
        Err(KubeconfigError::ReadConfig(error, path)) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Found::Nothing { looked: path.display().to_string() })
        }
        Err(KubeconfigError::FindPath) => Ok(Found::Nothing { looked: "~/.kube/config".to_owned() }),
        Err(error) => Err(broken(error, "~/.kube/config".to_owned())),
    }
}

/// The files that `$KUBECONFIG` names.
#[expect(
    clippy::disallowed_methods,
    reason = "kube reads it too, and refuses a list in which a file is missing"
)]
fn listed() -> Vec<PathBuf> {
    let list = std::env::var_os("KUBECONFIG").unwrap_or_default();
    std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect()
}

/// Reads files into one as kubectl does: those that aren't there are passed over, unless no other is.
fn read_listed(paths: &[PathBuf]) -> Result<Option<Kubeconfig>, KubeconfigError> {
    let (mut merged, mut missing) = (None::<Kubeconfig>, None);
    for path in paths {
        match Kubeconfig::read_from(path) {
            Err(KubeconfigError::ReadConfig(reason, path)) if reason.kind() == io::ErrorKind::NotFound => {
                missing.get_or_insert(KubeconfigError::ReadConfig(reason, path));
            }
            read => {
                merged = Some(match merged {
                    Some(merged) => merged.merge(read?)?,
                    None => read?,
                });
            }
        }
    }
    match missing {
        Some(error) if merged.is_none() => Err(error),
        _ => Ok(merged),
    }
}

/// Kube's own text for an unreadable file has quotes within quotes.
fn broken(error: KubeconfigError, from: String) -> ConnectError {
    match error {
        KubeconfigError::ReadConfig(reason, path) => ConnectError::Unreadable { path, reason },
        reason => ConnectError::Broken { from, reason },
    }
}

async fn select(
    kubeconfig: Kubeconfig,
    from: String,
    wanted: Option<&str>,
) -> Result<(Config, String), ConnectError> {
    let mut known: Vec<_> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    known.sort();
    let current = kubeconfig.current_context.clone().filter(|name| !name.is_empty());
    let Some(name) = wanted.map(str::to_owned).or(current) else {
        // As with kubectl, an empty kubeconfig doesn't stand in the way of a pod's own account.
        if known.is_empty()
            && let Ok(config) = Config::incluster()
        {
            return Ok((config, "in-cluster".to_owned()));
        }
        return Err(ConnectError::NoContext { from, known });
    };
    if !known.contains(&name) {
        return Err(ConnectError::UnknownContext { name, from, known });
    }
    let options = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let own_proxy = has_proxy(&kubeconfig, &name);
    match Config::from_custom_kubeconfig(kubeconfig, &options).await {
        Ok(mut config) => {
            if !own_proxy && is_direct(&config.cluster_url, &no_proxy()) {
                config.proxy_url = None;
            }
            Ok((config, name))
        }
        Err(reason) => Err(ConnectError::Broken { from, reason }),
    }
}

/// Tells whether the kubeconfig itself names a proxy for a context, which `NO_PROXY` says nothing about.
fn has_proxy(kubeconfig: &Kubeconfig, context: &str) -> bool {
    let context = kubeconfig.contexts.iter().find(|named| named.name == context);
    let Some(context) = context.and_then(|named| named.context.as_ref()) else { return false };
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == context.cluster);
    let proxy = cluster.and_then(|named| named.cluster.as_ref()?.proxy_url.as_ref());
    proxy.is_some_and(|proxy| !proxy.is_empty())
}

/// Kube compares `NO_PROXY` with the address of the proxy, not with that of the server.
#[expect(
    clippy::disallowed_methods,
    reason = "kube reads HTTPS_PROXY from the environment itself; this limits it"
)]
fn no_proxy() -> String {
    std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy")).unwrap_or_default()
}

fn in_cluster(looked: String) -> Result<Config, ConnectError> {
    Config::incluster().map_err(|error| match error {
        InClusterError::ReadEnvironmentVariable(_) => ConnectError::NoKubeconfig { looked },
        error => ConnectError::InCluster(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
contexts:
- {name: prod, context: {cluster: c, user: u, namespace: shop}}
- {name: dev, context: {cluster: c, user: u}}
- {name: lost, context: {cluster: gone, user: u}}
users: [{name: u, user: {token: t}}]
";

    async fn attempt(text: &str, context: Option<&str>) -> Result<Cluster, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let options = ConnectOptions {
            kubeconfig: Some(file.path().to_owned()),
            context: context.map(str::to_owned),
            ..ConnectOptions::default()
        };
        let outcome = connect(&options).await;
        outcome.map_err(|error| error.to_string().replace(&file.path().display().to_string(), "FILE"))
    }

    #[tokio::test]
    async fn a_context_brings_its_server_and_namespace() {
        let cluster = attempt(KUBECONFIG, Some("prod")).await.ok().unwrap();
        assert_eq!(cluster.context, "prod");
        assert_eq!(cluster.server, "http://127.0.0.1:1");
        assert_eq!(cluster.default_namespace, "shop");
        assert_eq!(attempt(KUBECONFIG, Some("dev")).await.ok().unwrap().default_namespace, "default");
    }

    #[tokio::test]
    async fn errors_name_the_file_and_the_way_out() {
        let error = async |text, context| attempt(text, context).await.err().unwrap();
        assert_eq!(
            error(KUBECONFIG, Some("nope")).await,
            "no context \"nope\" in the kubeconfig FILE; it has dev, lost, prod"
        );
        assert_eq!(
            error(KUBECONFIG, None).await,
            "the kubeconfig FILE has no current context: choose one with --context; it has dev, lost, prod"
        );
        assert_eq!(
            error(KUBECONFIG, Some("lost")).await,
            "the kubeconfig FILE can't be used: failed to load the cluster of context: gone"
        );
        assert!(error("{", None).await.starts_with("the kubeconfig FILE can't be used: failed to parse"));
    }

    #[tokio::test]
    async fn a_named_file_has_to_be_there() {
        let options = ConnectOptions { kubeconfig: Some("/no/such".into()), ..ConnectOptions::default() };
        let error = connect(&options).await.err().unwrap().to_string();
        assert_eq!(
            error,
            "cannot read the kubeconfig /no/such: No such file or directory (os error 2); \
             check --kubeconfig and $KUBECONFIG"
        );
    }

    #[test]
    fn of_a_list_of_files_those_that_are_missing_are_passed_over_unless_all_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("good"), KUBECONFIG).unwrap();
        std::fs::write(path("other"), "current-context: dev\ncontexts: [{name: dev}, {name: new}]").unwrap();
        std::fs::write(path("broken"), "{").unwrap();
        let read = |names: &[&str]| {
            let read = read_listed(&names.iter().map(|name| path(name)).collect::<Vec<_>>());
            read.map(|config| {
                config
                    .map(|config| config.contexts.into_iter().map(|context| context.name).collect::<Vec<_>>())
            })
        };
        let contexts = |names: &[&str]| read(names).unwrap().unwrap().join(" ");
        assert_eq!(contexts(&["missing", "good"]), "prod dev lost");
        assert_eq!(contexts(&["good", "missing", "other"]), "prod dev lost new");
        assert_eq!(read(&[]).unwrap(), None);
        let error = read(&["missing", "nowhere"]).unwrap_err();
        assert!(
            matches!(&error, KubeconfigError::ReadConfig(_, first) if *first == path("missing")),
            "{error}"
        );
        assert!(matches!(read(&["good", "broken"]).unwrap_err(), KubeconfigError::Parse(_)));
    }

    #[test]
    fn without_any_kubeconfig_the_way_without_a_cluster_is_shown() {
        let error = ConnectError::NoKubeconfig { looked: "/home/u/.kube/config".to_owned() }.to_string();
        assert!(error.contains("/home/u/.kube/config doesn't exist"), "{error}");
        assert!(error.ends_with("kube-devops analyze -f FILE"), "{error}");
    }
}
