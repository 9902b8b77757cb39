//! The service account of this pod: client-go's `rest.InClusterConfig`.

use super::entries::{Overrides, given, given_path};
use super::environment::Environment;
use super::error::{ConnectError, Place};
use super::target::{Content, LoginMethod, Material, Target, Trust};
use crate::proxy::Address;
use std::net::IpAddr;
use std::path::Path;

/// The context name of a pod's service account.
pub(super) const IN_CLUSTER: &str = "in-cluster";
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const AUTHORITY: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
const NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Returns the pod's own account; `None` outside of a pod. The flags that apply are the same as in client-go.
pub(super) fn target(environment: &Environment, flags: &Overrides) -> Result<Option<Target>, ConnectError> {
    let Some((host, port)) = &environment.service else { return Ok(None) };
    if !Path::new(TOKEN).is_file() {
        return Err(ConnectError::InCluster(format!("{TOKEN} doesn't exist")));
    }
    let place = Place::Variable("KUBERNETES_SERVICE_HOST");
    let flag = given(flags.server.as_ref());
    let server = match (flag, host.parse::<IpAddr>()) {
        (Some(server), _) => server.clone(),
        (None, Ok(IpAddr::V6(address))) => format!("https://[{address}]:{port}"),
        (None, _) => format!("https://{host}:{port}"),
    };
    let place = if flag.is_some() { Place::Flag("--server") } else { place };
    let server = Address::parse(&server, true).map_err(|problem| place.error(problem))?;
    let authority = match given_path(flags.certificate_authority.as_ref()) {
        Some(path) => Some((path.clone(), Place::Flag("--certificate-authority"))),
        None if Path::new(AUTHORITY).is_file() => Some((AUTHORITY.into(), account(AUTHORITY))),
        None => None,
    };
    let authority = authority.map(|(path, place)| Material { content: Content::File(path), place });
    let login = match given(flags.token.as_ref()) {
        Some(token) => {
            LoginMethod::Token { token: Some((token.clone(), Place::Flag("--token"))), file: None }
        }
        None => LoginMethod::Token { token: None, file: Some((TOKEN.into(), account(TOKEN))) },
    };
    let namespace = std::fs::read_to_string(NAMESPACE).unwrap_or_default();
    let namespace = environment.pod_namespace.as_deref().unwrap_or(namespace.trim());
    Ok(Some(Target {
        context: IN_CLUSTER.to_owned(),
        namespace: if namespace.is_empty() { "default" } else { namespace }.to_owned(),
        server,
        proxy: None,
        compressed: true,
        trust: Trust { authority, ..Trust::default() },
        identity: None,
        login,
        impersonation: None,
    }))
}

/// Returns the place of an account file in errors.
fn account(path: &'static str) -> Place {
    Place::Account(path)
}
