//! The only place that connects to a cluster: by kubectl's files and flags, or inside a pod.
//!
//! It follows client-go. Each module below names its counterpart there.

mod child;
mod contexts;
mod credentials;
mod entries;
mod environment;
mod error;
mod exec;
mod forward;
mod in_cluster;
mod kubeconfig;
mod load;
mod plugins;
mod profile;
mod resolve;
mod target;
mod tls;
mod transport;
mod untrusted;
mod validate;

#[cfg(test)]
mod tests;

pub use contexts::{KubeContext, contexts};
pub(super) use credentials::CredentialsError;
pub use entries::Overrides;
pub use error::{ConnectError, Place};
pub use plugins::SharedPlugins;
pub use profile::{AccessProviders, ProfileAccess, ProviderFileError};
pub(super) use transport::ProxyError;
pub(super) use untrusted::explain;

use super::api_requests::ApiRequests;
use super::paging::Paging;
use super::request_log::RequestLog;
use crate::proxy::Login;
use base64::Engine as _;
use credentials::{Credentials, TokenFile, bearer};
use environment::Environment;
use exec::Plugin;
use http::header::{HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use in_cluster::IN_CLUSTER;
use kube::client::{ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use load::Loaded;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use target::{ExecLogin, Impersonation, LoginMethod, Target};
use tls::Tls;
use tower::ServiceBuilder;
use tower::layer::layer_fn;
use tower_http::decompression::DecompressionLayer;
use transport::{Route, Transport, failed};

const AGENT: &str = concat!("kube-devops/", env!("CARGO_PKG_VERSION"));
/// The characters of an extra's key that client-go escapes in a header's name.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The options of a connection. The defaults are those of kubectl without flags.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// The kubeconfig file; replaces `$KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The flags that override the kubeconfig.
    pub overrides: Overrides,
    /// The access that a `ClusterProfile` describes. It takes the place of files, a proxy of the environment and the
    /// overrides, except for `disable_compression`.
    pub profile: Option<Arc<ProfileAccess>>,
    /// The time limit of one call including its retries; `None` for no limit.
    pub request_timeout: Option<Duration>,
    /// The time limit for the next bytes of a pending response; `None` for no limit. The server sends a watch a
    /// bookmark about every minute, so a watch that is silent for longer has lost its server.
    pub read_timeout: Option<Duration>,
    /// The duration in seconds after which the server ends a watch, which then continues from there; `None` for the
    /// default.
    pub watch_seconds: Option<u32>,
    /// True if no exec plugin may prompt the user.
    pub no_prompt: bool,
    /// The exec plugins. Connections whose options are clones share the run of a plugin for the same server and user.
    pub plugins: SharedPlugins,
    /// The paging of lists.
    pub paging: Paging,
    /// The counter of requests.
    pub requests: Option<ApiRequests>,
}

/// A connection to a cluster. Cloning is cheap.
#[derive(Clone)]
pub struct Cluster {
    /// The client.
    pub client: Client,
    /// The name of the context, or `in-cluster`.
    pub context: String,
    /// The address of the API server.
    pub server: String,
    /// The namespace of the context, or of this pod.
    pub default_namespace: String,
    /// The time limit of one call including its retries; `None` for no limit.
    pub request_timeout: Option<Duration>,
    /// The duration in seconds after which the server ends a watch, which then continues from there; `None` for the
    /// default.
    pub watch_seconds: Option<u32>,
    /// The paging of lists.
    pub paging: Paging,
}

impl Cluster {
    /// Returns the namespace of this pod, if the connection uses the pod's service account.
    pub fn own_namespace(&self) -> Option<&str> {
        (self.context == IN_CLUSTER).then_some(&*self.default_namespace)
    }

    /// Returns the default namespace for the state that the replicas of a long-running command share.
    pub fn home(&self) -> &str {
        self.own_namespace().unwrap_or("default")
    }
}

/// Builds a client as kubectl does: from `--kubeconfig`, else `$KUBECONFIG`, else `~/.kube/config`, else the pod's
/// service account. It sends no request, but it may run an exec plugin.
pub async fn connect(options: &ConnectOptions) -> Result<Cluster, ConnectError> {
    let environment = Environment::read();
    let target = find(options, &environment)?;
    let server = target.server.uri.to_string().trim_end_matches('/').to_owned();
    let tls = Tls::new(&target)?;
    let credentials = credentials(&target, &server, options)?;
    let held = credentials.held().await;
    let held = held
        .map_err(|error| ConnectError::Credentials { server: server.clone(), reason: error.to_string() })?;
    let mut headers = headers(target.impersonation.as_ref())?;
    let proxy = match target.proxy.clone() {
        Some(proxy) => Some(proxy),
        None if options.profile.is_some() => None,
        None => environment
            .proxies
            .proxy(&target.server.uri)
            .map_err(|error| Place::Variable(error.variable).error(error.problem))?,
    };
    let route = Route { tls, proxy, secure: target.server.is_secure(), read_timeout: options.read_timeout };
    if !route.secure
        && let Some(header) = route.proxy_authorization()
    {
        headers.insert(PROXY_AUTHORIZATION, header);
    }
    let transport = Transport::new(route, credentials, headers, &held);
    let transport = transport.map_err(|reason| failed(server.clone(), &reason))?;
    let gzip = DecompressionLayer::new().gzip(target.compressed);
    let service = ServiceBuilder::new()
        .layer(Config::new(target.server.uri.clone()).base_uri_layer())
        .layer(gzip)
        .service(transport);
    let client = ClientBuilder::new(service, target.namespace.clone())
        .with_layer(&layer_fn(|inner| RequestLog { inner, requests: options.requests.clone() }))
        .build();
    let ConnectOptions { request_timeout, watch_seconds, .. } = *options;
    let Target { context, namespace: default_namespace, .. } = target;
    let paging = options.paging.clone();
    Ok(Cluster { client, context, server, default_namespace, request_timeout, watch_seconds, paging })
}

fn find(options: &ConnectOptions, environment: &Environment) -> Result<Target, ConnectError> {
    if let Some(profile) = &options.profile {
        let target = profile.target()?;
        return Ok(Target {
            compressed: target.compressed && !options.overrides.disable_compression,
            ..target
        });
    }
    let loaded = Loaded::read(options.kubeconfig.as_deref(), environment)?;
    if let Some(target) = resolve::resolve(&loaded, &options.overrides)? {
        return Ok(target);
    }
    if let Some(target) = in_cluster::target(environment, &options.overrides)? {
        return Ok(target);
    }
    let Loaded { kubeconfig, from, missing, found } = loaded;
    if found {
        return Err(ConnectError::NoContext { from, known: kubeconfig.contexts.into_keys().collect() });
    }
    if environment.kubeconfig.is_some() {
        return Err(ConnectError::MissingKubeconfig { missing });
    }
    let looked = missing.first().map_or(from, |path| path.display().to_string());
    Err(ConnectError::NoKubeconfig { looked })
}

fn credentials(target: &Target, server: &str, options: &ConnectOptions) -> Result<Credentials, ConnectError> {
    let in_address =
        || target.server.login.as_ref().and_then(Login::basic).map_or(Credentials::None, Credentials::Fixed);
    Ok(match &target.login {
        LoginMethod::Anonymous => in_address(),
        LoginMethod::Basic(login, place) => {
            let header = login.basic().ok_or_else(|| place.error("it can't be sent: correct it"))?;
            Credentials::Fixed(header)
        }
        LoginMethod::Token { token, file } => {
            let header = token.as_ref().map(|(token, place)| {
                let mend = "remove it (a YAML block ends without one after `|-`)";
                bearer(token).map_err(|problem| place.error(format!("the token {problem}: {mend}")))
            });
            match (file, header.transpose()?) {
                (Some((path, place)), fallback) => {
                    Credentials::File(Arc::new(TokenFile::open(path.clone(), place, fallback)?))
                }
                (None, Some(header)) => Credentials::Fixed(header),
                (None, None) => Credentials::None,
            }
        }
        LoginMethod::Exec(login) => {
            let ExecLogin { exec, .. } = &**login;
            let cluster = exec.provide_cluster_info.then(|| cluster_info(target, login)).transpose()?;
            let plugin = Plugin { exec: exec.clone(), cluster, may_prompt: !options.no_prompt };
            Credentials::Plugin(options.plugins.credentials(server, plugin))
        }
    })
}

/// Returns the cluster's description for an exec plugin, as client-go's `rest.ConfigToExecCluster` does.
fn cluster_info(target: &Target, login: &ExecLogin) -> Result<Value, ConnectError> {
    let server = target.server.uri.to_string();
    let mut info = json!({ "server": server.trim_end_matches('/'), "config": login.config });
    if let Some((name, _)) = &target.trust.server_name {
        info["tls-server-name"] = json!(name);
    }
    if target.trust.insecure {
        info["insecure-skip-tls-verify"] = json!(true);
    }
    if let Some(authority) = &target.trust.authority {
        let data = base64::engine::general_purpose::STANDARD.encode(authority.read()?);
        info["certificate-authority-data"] = json!(data);
    }
    if !login.proxy_url.is_empty() {
        info["proxy-url"] = json!(login.proxy_url);
    }
    if !target.compressed {
        info["disable-compression"] = json!(true);
    }
    Ok(info)
}

/// Returns the headers of every request.
fn headers(impersonation: Option<&Impersonation>) -> Result<HeaderMap, ConnectError> {
    let mut headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(AGENT))]);
    let Some(Impersonation { user, uid, groups, extra, place }) = impersonation else { return Ok(headers) };
    let value = |text: &str| {
        let value = HeaderValue::from_bytes(text.as_bytes());
        value.map_err(|_| place.error(format!("{text:?} has a control character: remove it")))
    };
    headers.insert("impersonate-user", value(user)?);
    if !uid.is_empty() {
        headers.insert("impersonate-uid", value(uid)?);
    }
    for group in groups {
        headers.append("impersonate-group", value(group)?);
    }
    for (key, values) in extra {
        let name = format!("impersonate-extra-{}", utf8_percent_encode(key, &ESCAPED));
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| place.error(format!("as-user-extra has the key {key:?}: correct it")))?;
        for text in values {
            headers.append(name.clone(), value(text)?);
        }
    }
    Ok(headers)
}
