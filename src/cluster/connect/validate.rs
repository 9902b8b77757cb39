//! Refuses the same entries as client-go's `validateClusterInfo` and `validateAuthInfo`.

use super::entries::{Entries, given, given_path};
use super::error::{ConnectError, Place};
use super::kubeconfig::{Cluster, Exec, User};
use crate::proxy::Proxy;
use std::path::Path;

/// The versions of the plugin protocol that client-go speaks.
pub(super) const EXEC_VERSIONS: [&str; 2] =
    ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// Checks the cluster for conflicts.
pub(super) fn check_cluster(entries: &Entries<'_>) -> Result<(), ConnectError> {
    let (Cluster { server, proxy_url, certificate_authority: path, .. }, flags) =
        (&entries.cluster, entries.flags);
    if server.is_empty() && given(flags.server.as_ref()).is_none() {
        return Err(entries.cluster_field("server").error("it is empty: give the API server's address"));
    }
    if !proxy_url.is_empty() {
        Proxy::explicit(proxy_url).map_err(|problem| entries.cluster_field("proxy-url").error(problem))?;
    }
    if let Some(path) = given_path(flags.certificate_authority.as_ref()) {
        return readable(path, &Place::Flag("--certificate-authority"));
    }
    if flags.insecure_skip_tls_verify {
        return Ok(());
    }
    let place = entries.cluster_field("certificate-authority");
    let data = !entries.cluster.certificate_authority_data.0.is_empty();
    one_of(path, data, &place, "certificate-authority-data")
}

/// Checks the user for conflicts.
pub(super) fn check_user(entries: &Entries<'_>) -> Result<(), ConnectError> {
    let (user, flags) = (&entries.user, entries.flags);
    let has_token = given(flags.token.as_ref()).is_some() || !user.token.is_empty();
    let has_file = !user.token_file.as_os_str().is_empty();
    let (has_name, has_password) = (!user.username.is_empty(), !user.password.is_empty());
    if (has_token && (has_name || has_password)) || (has_file && has_name) {
        let place = entries.user_field(if has_name { "username" } else { "password" });
        return Err(place.error("it conflicts with a token: remove one of them"));
    }
    check_certificate(entries)?;
    if let Some(exec) = &user.exec {
        if user.auth_provider.is_some() {
            let place = entries.user_field("auth-provider");
            return Err(place.error("it conflicts with exec: remove one of them"));
        }
        check_exec(exec, entries)?;
    }
    let whom = given(flags.impersonate.as_ref()).is_some() || !user.impersonate.is_empty();
    let (uid, groups) =
        (given(flags.impersonate_uid.as_ref()).is_some(), !flags.impersonate_groups.is_empty());
    if whom {
        return Ok(());
    }
    let mend = "it needs a user to act as: give --as, or the field `as`";
    if uid || groups {
        return Err(Place::Flag(if uid { "--as-uid" } else { "--as-group" }).error(mend));
    }
    for (field, used) in [
        ("as-uid", !user.as_uid.is_empty()),
        ("as-groups", !user.as_groups.is_empty()),
        ("as-user-extra", !user.as_user_extra.is_empty()),
    ] {
        if used {
            return Err(entries.user_field(field).error(mend));
        }
    }
    Ok(())
}

fn check_certificate(entries: &Entries<'_>) -> Result<(), ConnectError> {
    let User { client_certificate, client_certificate_data, client_key, client_key_data, .. } = &entries.user;
    let (certificate, key) = (
        given_path(entries.flags.client_certificate.as_ref()),
        given_path(entries.flags.client_key.as_ref()),
    );
    let has_certificate = !client_certificate.as_os_str().is_empty() || !client_certificate_data.0.is_empty();
    if certificate.is_none() && !has_certificate {
        // client-go ignores a key without a certificate.
        return Ok(());
    }
    match certificate {
        Some(path) => readable(path, &Place::Flag("--client-certificate"))?,
        None => one_of(
            client_certificate,
            !client_certificate_data.0.is_empty(),
            &entries.user_field("client-certificate"),
            "client-certificate-data",
        )?,
    }
    match key {
        Some(path) => readable(path, &Place::Flag("--client-key")),
        None if client_key.as_os_str().is_empty() && client_key_data.0.is_empty() => {
            let place = certificate.map_or_else(
                || entries.user_field("client-certificate"),
                |_| Place::Flag("--client-certificate"),
            );
            Err(place.error("its key is missing: give client-key-data, client-key or --client-key"))
        }
        None => one_of(
            client_key,
            !client_key_data.0.is_empty(),
            &entries.user_field("client-key"),
            "client-key-data",
        ),
    }
}

fn check_exec(exec: &Exec, entries: &Entries<'_>) -> Result<(), ConnectError> {
    let place = |field| entries.user_field(field);
    if exec.command.is_empty() {
        return Err(place("exec.command").error("it is missing: name the command that prints credentials"));
    }
    if !EXEC_VERSIONS.contains(&exec.api_version.as_str()) {
        let problem = format!("{:?} is not supported: give {}", exec.api_version, EXEC_VERSIONS.join(" or "));
        return Err(place("exec.apiVersion").error(problem));
    }
    if exec.env.iter().any(|variable| variable.name.is_empty()) {
        return Err(place("exec.env").error("a variable has no name: give it one"));
    }
    match exec.interactive_mode.as_str() {
        "Never" | "IfAvailable" | "Always" => Ok(()),
        // The default of the older version.
        "" if exec.api_version == EXEC_VERSIONS[1] => Ok(()),
        mode => {
            let problem = format!("{mode:?} is not a valid mode: use Never, IfAvailable or Always");
            Err(place("exec.interactiveMode").error(problem))
        }
    }
}

/// Checks that a setting is not given both as a file and as data, and that the file can be read.
fn one_of(path: &Path, data: bool, place: &Place, data_field: &str) -> Result<(), ConnectError> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    if data {
        return Err(place.error(format!("it conflicts with {data_field}: remove one of them")));
    }
    readable(path, place)
}

fn readable(path: &Path, place: &Place) -> Result<(), ConnectError> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(reason) => {
            Err(place.error(format!("cannot read {}: {reason}; correct the path", path.display())))
        }
    }
}
