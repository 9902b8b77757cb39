//! Combines files and flags by the rules of client-go's `clientcmd.DirectClientConfig`.

use super::entries::{Entries, Overrides, given, given_path};
use super::error::{ConnectError, Place};
use super::kubeconfig::{AuthProvider, Cluster, Context, Kubeconfig, User};
use super::load::Loaded;
use super::target::{Content, ExecLogin, Impersonation, LoginMethod, Material, Target, Trust};
use super::validate::{check_cluster, check_user};
use crate::proxy::Proxy;
use crate::proxy::{Address, Login};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// Resolves files and flags; `None` if neither names a server, as in a pod.
pub(super) fn resolve(loaded: &Loaded, flags: &Overrides) -> Result<Option<Target>, ConnectError> {
    let kubeconfig = &loaded.kubeconfig;
    let (name, context) = context(loaded, flags)?;
    let user_name = given(flags.user.as_ref()).unwrap_or(&context.user);
    let cluster_name = given(flags.cluster.as_ref()).unwrap_or(&context.cluster);
    let mut user = match kubeconfig.users.get(user_name) {
        Some(user) => user.clone(),
        None if given(flags.user.as_ref()).is_some() => {
            return Err(unknown("--user", "user", user_name, loaded));
        }
        // client-go is anonymous in this case.
        None => User::default(),
    };
    for (flag, field) in [(&flags.username, &mut user.username), (&flags.password, &mut user.password)] {
        if let Some(value) = given(flag.as_ref()) {
            field.clone_from(value);
        }
    }
    let has_server = given(flags.server.as_ref()).is_some();
    let cluster = match kubeconfig.clusters.get(cluster_name) {
        Some(cluster) => cluster.clone(),
        None if given(flags.cluster.as_ref()).is_some() => {
            return Err(unknown("--cluster", "cluster", cluster_name, loaded));
        }
        None if has_server => Cluster::default(),
        None if name.is_empty() => return Ok(None),
        None => {
            let place = format!("the context {name:?}");
            return Err(unknown(&place, "cluster", cluster_name, loaded));
        }
    };
    let entries = Entries { cluster, user, cluster_name, user_name, flags };
    check_user(&entries)?;
    check_cluster(&entries)?;
    let target = entries.target(name, context.namespace)?;
    Ok(Some(target))
}

fn context(loaded: &Loaded, flags: &Overrides) -> Result<(String, Context), ConnectError> {
    let Kubeconfig { current_context, contexts, .. } = &loaded.kubeconfig;
    let name = given(flags.context.as_ref()).unwrap_or(current_context);
    match contexts.get(name) {
        Some(context) => Ok((name.clone(), context.clone())),
        None if name.is_empty() => Ok((String::new(), Context::default())),
        None => Err(ConnectError::UnknownContext {
            name: name.clone(),
            from: loaded.from.clone(),
            known: contexts.keys().cloned().collect(),
        }),
    }
}

fn unknown(place: &str, kind: &'static str, name: &str, loaded: &Loaded) -> ConnectError {
    let Kubeconfig { clusters, users, .. } = &loaded.kubeconfig;
    let known =
        if kind == "user" { users.keys().cloned().collect() } else { clusters.keys().cloned().collect() };
    ConnectError::UnknownEntry {
        place: place.to_owned(),
        kind,
        name: name.to_owned(),
        from: loaded.from.clone(),
        known,
    }
}

impl Entries<'_> {
    fn target(&self, context: String, namespace: String) -> Result<Target, ConnectError> {
        let (server, place) = match given(self.flags.server.as_ref()) {
            Some(server) => (server, Place::Flag("--server")),
            None => (&self.cluster.server, self.cluster_field("server")),
        };
        let server = Address::parse(server, false).map_err(|problem| place.error(problem))?;
        let proxy = match self.cluster.proxy_url.as_str() {
            "" => None,
            url => {
                let proxy = Proxy::explicit(url);
                Some(proxy.map_err(|problem| self.cluster_field("proxy-url").error(problem))?)
            }
        };
        // Secrets are never sent unencrypted.
        let secure = server.is_secure();
        Ok(Target {
            context,
            namespace: if namespace.is_empty() { "default".to_owned() } else { namespace },
            proxy,
            compressed: !self.cluster.disable_compression && !self.flags.disable_compression,
            trust: if secure { self.trust()? } else { Trust::default() },
            identity: if secure { self.identity() } else { None },
            login: if secure { self.login()? } else { LoginMethod::Anonymous },
            impersonation: self.impersonation(),
            server,
        })
    }

    /// `--certificate-authority` and `--insecure-skip-tls-verify` each replace both settings of the cluster. `--server`
    /// discards the cluster's `tls-server-name`.
    fn trust(&self) -> Result<Trust, ConnectError> {
        let flags = self.flags;
        let file = given_path(flags.certificate_authority.as_ref());
        let (insecure, authority, place) = if file.is_some() || flags.insecure_skip_tls_verify {
            let authority = file.map(|path| Material {
                content: Content::File(path.clone()),
                place: Place::Flag("--certificate-authority"),
            });
            (flags.insecure_skip_tls_verify, authority, Place::Flag("--insecure-skip-tls-verify"))
        } else {
            let Cluster { certificate_authority, certificate_authority_data, .. } = &self.cluster;
            let authority = material(
                &certificate_authority_data.0,
                self.cluster_field("certificate-authority-data"),
                certificate_authority,
                self.cluster_field("certificate-authority"),
            );
            let place = self.cluster_field("insecure-skip-tls-verify");
            (self.cluster.insecure_skip_tls_verify, authority, place)
        };
        if insecure && authority.is_some() {
            return Err(place.error("it conflicts with a certificate authority: remove one of them"));
        }
        let flag = given(flags.tls_server_name.as_ref());
        let server_name = match flag {
            Some(name) => Some((name.clone(), Place::Flag("--tls-server-name"))),
            None if given(flags.server.as_ref()).is_some() || self.cluster.tls_server_name.is_empty() => None,
            None => Some((self.cluster.tls_server_name.clone(), self.cluster_field("tls-server-name"))),
        };
        Ok(Trust { insecure, server_name, authority })
    }

    fn identity(&self) -> Option<(Material, Material)> {
        let User { client_certificate, client_certificate_data, client_key, client_key_data, .. } =
            &self.user;
        let flag = |flag: &Option<PathBuf>, name| {
            let path = given_path(flag.as_ref())?;
            Some(Material { content: Content::File(path.clone()), place: Place::Flag(name) })
        };
        let certificate = flag(&self.flags.client_certificate, "--client-certificate").or_else(|| {
            material(
                &client_certificate_data.0,
                self.user_field("client-certificate-data"),
                client_certificate,
                self.user_field("client-certificate"),
            )
        })?;
        let key = flag(&self.flags.client_key, "--client-key").or_else(|| {
            material(
                &client_key_data.0,
                self.user_field("client-key-data"),
                client_key,
                self.user_field("client-key"),
            )
        })?;
        Some((certificate, key))
    }

    /// A token, a password or a certificate takes precedence over an exec plugin.
    fn login(&self) -> Result<LoginMethod, ConnectError> {
        let user = &self.user;
        let token = match given(self.flags.token.as_ref()) {
            Some(token) => Some((token.clone(), Place::Flag("--token"))),
            None if user.token.is_empty() => None,
            None => Some((user.token.clone(), self.user_field("token"))),
        };
        let file = (!user.token_file.as_os_str().is_empty())
            .then(|| (user.token_file.clone(), self.user_field("tokenFile")));
        if token.is_some() || file.is_some() {
            return Ok(LoginMethod::Token { token, file });
        }
        if !user.username.is_empty() {
            let login = Login { name: user.username.clone(), password: user.password.clone() };
            return Ok(LoginMethod::Basic(login, self.user_field("username")));
        }
        if let Some(provider) = &user.auth_provider {
            return self.of_provider(provider);
        }
        match &user.exec {
            Some(exec) if self.identity().is_none() => Ok(LoginMethod::Exec(Box::new(ExecLogin {
                exec: exec.clone(),
                config: self.cluster.exec_config(),
                proxy_url: self.cluster.proxy_url.clone(),
                place: self.user_field("exec"),
            }))),
            _ => Ok(LoginMethod::Anonymous),
        }
    }

    /// client-go supports only `oidc` of the old auth providers. Its token is used, but not renewed: client-go writes
    /// the new one back into the kubeconfig, which this program never changes.
    fn of_provider(&self, provider: &AuthProvider) -> Result<LoginMethod, ConnectError> {
        let place = self.user_field("auth-provider");
        match provider.config.get("id-token").filter(|token| !token.is_empty()) {
            Some(token) if provider.name == "oidc" && has_expired(token) => Err(place.error(
                "its id-token has expired: run any kubectl command, which renews it if there is a refresh-token, \
                 log in again, or use an exec plugin such as kubelogin",
            )),
            Some(token) if provider.name == "oidc" => {
                Ok(LoginMethod::Token { token: Some((token.clone(), place)), file: None })
            }
            None if provider.name == "oidc" => {
                Err(place.error("it has no id-token: log in again, or use an exec plugin such as kubelogin"))
            }
            _ => Err(place.error(format!(
                "{:?} is no longer supported: use the provider's exec plugin",
                provider.name
            ))),
        }
    }

    fn impersonation(&self) -> Option<Impersonation> {
        let (user, flags) = (&self.user, self.flags);
        let (name, place) = match given(flags.impersonate.as_ref()) {
            Some(name) => (name, Place::Flag("--as")),
            None => (&user.impersonate, self.user_field("as")),
        };
        if name.is_empty() {
            return None;
        }
        let uid = given(flags.impersonate_uid.as_ref()).unwrap_or(&user.as_uid).clone();
        let groups =
            if flags.impersonate_groups.is_empty() { &user.as_groups } else { &flags.impersonate_groups };
        let (groups, extra) = (groups.clone(), user.as_user_extra.clone());
        Some(Impersonation { user: name.clone(), uid, groups, extra, place })
    }
}

/// Returns true if the `exp` of a JSON Web Token has passed. Other texts are left to the API server.
fn has_expired(token: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Claims {
        exp: f64,
    }
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Claims> = claims.and_then(|json| serde_json::from_slice(&json).ok());
    #[expect(clippy::disallowed_methods, reason = "a connection is made outside of any pure part")]
    let now = Timestamp::now().as_duration().as_secs_f64();
    claims.is_some_and(|claims| claims.exp <= now)
}

fn material(data: &[u8], data_place: Place, path: &Path, path_place: Place) -> Option<Material> {
    if !data.is_empty() {
        Some(Material { content: Content::Data(data.to_vec()), place: data_place })
    } else if path.as_os_str().is_empty() {
        None
    } else {
        Some(Material { content: Content::File(path.to_owned()), place: path_place })
    }
}
