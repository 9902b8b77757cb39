//! The access to a cluster that a `ClusterProfile` describes, by the rules of SIG Multicluster.
//!
//! The counterpart is the package `access` of
//! [cluster-inventory-api](https://github.com/kubernetes-sigs/cluster-inventory-api). A profile has an address and the
//! names of providers. The command of a provider comes from a file of the user, never from the hub, and so do the rules
//! by which a profile may add arguments and variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::error::{ConnectError, Place};
use super::kubeconfig::{Cluster, EnvVar, Exec, drop_nulls};
use super::target::{Content, ExecLogin, LoginMethod, Material, Target, Trust};
use super::validate::EXEC_VERSIONS;
use crate::proxy::{Address, Proxy};

/// The extension by which a profile adds arguments to a provider's command.
const MORE_ARGS: &str = "clusterprofiles.multicluster.x-k8s.io/exec/additional-args";
/// The extension by which a profile adds environment variables.
const MORE_ENV: &str = "clusterprofiles.multicluster.x-k8s.io/exec/additional-envs";

/// The providers of a file, in the order of preference.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AccessProviders {
    providers: Vec<Provider>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Provider {
    name: String,
    exec_config: Option<Exec>,
    #[serde(rename = "profileSourcedCLIArgsPolicy")]
    args_policy: ArgsPolicy,
    #[serde(rename = "profileSourcedEnvVarsPolicy")]
    env_policy: EnvPolicy,
}

/// The treatment of arguments that a profile adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
enum ArgsPolicy {
    #[default]
    #[serde(alias = "")]
    Ignore,
    Append,
}

/// The treatment of variables that a profile adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
enum EnvPolicy {
    #[default]
    #[serde(alias = "")]
    Ignore,
    AppendIfNotExists,
    Replace,
}

/// A file of providers that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the provider file {}: {reason}", path.display())]
pub struct ProviderFileError {
    path: PathBuf,
    reason: String,
}

/// The part of a `ClusterProfile` that describes access.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    access_providers: Vec<AccessProvider>,
    /// The former name of the field.
    credential_providers: Vec<AccessProvider>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct AccessProvider {
    name: String,
    cluster: Cluster,
}

/// The way to connect to the cluster of a profile.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileAccess {
    /// The profile, as `namespace/name`.
    profile: String,
    cluster: Cluster,
    exec: Exec,
}

impl AccessProviders {
    /// Reads a file of providers.
    pub fn read(path: &Path) -> Result<Self, ProviderFileError> {
        let failed = |reason| ProviderFileError { path: path.to_owned(), reason };
        let text = std::fs::read(path).map_err(|error| failed(format!("{error}; check its name")))?;
        Self::parse(&text).map_err(failed)
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let mut json: Value =
            serde_json::from_slice(text).map_err(|error| format!("it is no JSON: {error}"))?;
        drop_nulls(&mut json);
        let file: Self = serde_path_to_error::deserialize(json).map_err(|error| {
            let field = error.path().to_string();
            format!("{field}: {}; correct that field", error.into_inner())
        })?;
        for (index, provider) in file.providers.iter().enumerate() {
            provider.check().map_err(|problem| format!("providers[{index}].{problem}"))?;
        }
        Ok(file)
    }

    /// Returns the way to connect to the cluster of a profile. The error names what the profile or the file lacks.
    ///
    /// `status` is that of the `ClusterProfile`. The first provider of the file that the profile names is used. An entry
    /// of `accessProviders` replaces one of the same name in `credentialProviders`.
    pub fn access(&self, profile: &str, status: &Value) -> Result<ProfileAccess, String> {
        let mut status = status.clone();
        drop_nulls(&mut status);
        let status = if status.is_null() { Value::Object(serde_json::Map::new()) } else { status };
        let Status { access_providers, credential_providers } = serde_path_to_error::deserialize(status)
            .map_err(|error| {
                let field = error.path().to_string();
                format!("the ClusterProfile {profile}: status.{field}: {}", error.into_inner())
            })?;
        let offered = credential_providers.into_iter().chain(access_providers);
        let mut offered: BTreeMap<_, _> = offered.map(|one| (one.name, one.cluster)).collect();
        let names = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let Some(provider) = self.providers.iter().find(|provider| offered.contains_key(&provider.name))
        else {
            let known = self.providers.iter().map(|provider| provider.name.as_str()).collect();
            let offered = offered.keys().map(String::as_str).collect();
            return Err(format!(
                "the ClusterProfile {profile} names no provider of the provider file: it has {}, and the file has {}",
                names(offered),
                names(known)
            ));
        };
        let cluster = offered.remove(&provider.name).unwrap_or_default();
        let exec = provider.exec(&cluster).map_err(|problem| {
            format!("the ClusterProfile {profile}, provider {:?}: {problem}", provider.name)
        })?;
        Ok(ProfileAccess { profile: profile.to_owned(), cluster, exec })
    }
}

impl Provider {
    fn check(&self) -> Result<(), String> {
        let Some(exec) = &self.exec_config else {
            return Err("execConfig is missing: name the command that prints credentials".to_owned());
        };
        if exec.command.is_empty() {
            return Err("execConfig.command is missing: name the command that prints credentials".to_owned());
        }
        if !EXEC_VERSIONS.contains(&exec.api_version.as_str()) {
            return Err(format!(
                "execConfig.apiVersion: {:?} is not supported: give {}",
                exec.api_version,
                EXEC_VERSIONS.join(" or ")
            ));
        }
        Ok(())
    }

    /// Returns the command with what a profile may add to it. It never prompts.
    fn exec(&self, cluster: &Cluster) -> Result<Exec, String> {
        let mut exec = self.exec_config.clone().unwrap_or_default();
        "Never".clone_into(&mut exec.interactive_mode);
        for (name, value) in cluster.extensions() {
            match (name, self.args_policy, self.env_policy) {
                (MORE_ARGS, ArgsPolicy::Append, _) => {
                    let more: Vec<String> = read(name, value)?;
                    exec.args.extend(more);
                }
                (MORE_ENV, _, EnvPolicy::AppendIfNotExists | EnvPolicy::Replace) => {
                    let more: BTreeMap<String, String> = read(name, value)?;
                    self.add_env(&mut exec.env, more);
                }
                _ => {}
            }
        }
        Ok(exec)
    }

    fn add_env(&self, env: &mut Vec<EnvVar>, more: BTreeMap<String, String>) {
        for (name, value) in more {
            match env.iter_mut().find(|known| known.name == name) {
                Some(known) if self.env_policy == EnvPolicy::Replace => known.value = value,
                Some(_) => {}
                None => env.push(EnvVar { name, value }),
            }
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(name: &str, value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| format!("the extension {name}: {error}"))
}

impl ProfileAccess {
    /// Returns the configuration of the connection. Of the profile, only the address, the certificate authority in
    /// place, the proxy and the settings of the plugin count: a hub cannot turn verification off or name local files.
    pub(super) fn target(&self) -> Result<Target, ConnectError> {
        let Self { profile, cluster, exec } = self;
        let place = |field| Place::Profile { name: profile.clone(), field };
        let server =
            Address::parse(&cluster.server, false).map_err(|problem| place("server").error(problem))?;
        let proxy = match cluster.proxy_url.as_str() {
            "" => None,
            url => Some(Proxy::explicit(url).map_err(|problem| place("proxy-url").error(problem))?),
        };
        let data = &cluster.certificate_authority_data.0;
        let authority = (!data.is_empty()).then(|| Material {
            content: Content::Data(data.clone()),
            place: place("certificate-authority-data"),
        });
        let login = LoginMethod::Exec(Box::new(ExecLogin {
            exec: exec.clone(),
            config: cluster.exec_config(),
            proxy_url: cluster.proxy_url.clone(),
            place: place("name"),
        }));
        // Secrets are never sent unencrypted.
        let is_secure = server.is_secure();
        Ok(Target {
            context: profile.clone(),
            namespace: "default".to_owned(),
            server,
            proxy,
            compressed: true,
            trust: Trust { insecure: false, server_name: None, authority: authority.filter(|_| is_secure) },
            identity: None,
            login: if is_secure { login } else { LoginMethod::Anonymous },
            impersonation: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use serde_json::json;

    use super::*;

    fn providers(policies: &Value) -> AccessProviders {
        let exec = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "command": "login", "args": ["a"],
            "env": [{ "name": "WHO", "value": "file" }], "provideClusterInfo": true, "interactiveMode": "Always",
        });
        let mut first = json!({ "name": "first", "execConfig": exec });
        first.as_object_mut().unwrap().extend(policies.as_object().unwrap().clone());
        let second = json!({ "name": "second", "execConfig": exec });
        let file = json!({ "providers": [first, second] });
        AccessProviders::parse(file.to_string().as_bytes()).unwrap()
    }

    fn cluster(server: &str) -> Value {
        json!({ "server": server, "extensions": [
            { "name": MORE_ARGS, "extension": ["b"] },
            { "name": MORE_ENV, "extension": { "WHO": "hub", "REGION": "eu" } },
            { "name": "client.authentication.k8s.io/exec", "extension": { "audience": "x" } },
        ] })
    }

    fn accessed(policies: &Value) -> ProfileAccess {
        let status = json!({ "accessProviders": [{ "name": "first", "cluster": cluster("https://a") }] });
        providers(policies).access("fleet/a", &status).unwrap()
    }

    /// Returns the parts of a configuration that count; `None` if there is none.
    fn ours(case: &Value) -> Option<Value> {
        let providers = AccessProviders::parse(case["file"].to_string().as_bytes()).ok()?;
        let access = providers.access("fleet/a", &case["status"]).ok()?;
        let target = access.target().ok()?;
        let LoginMethod::Exec(login) = target.login else { return None };
        let authority = target.trust.authority.map(|found| match found.content {
            Content::Data(data) => data,
            Content::File(path) => panic!("a hub named {}", path.display()),
        });
        let env: BTreeMap<_, _> = login.exec.env.iter().map(|one| (&one.name, &one.value)).collect();
        let server = target.server.uri.to_string();
        Some(json!({
            "server": server.trim_end_matches('/'), "authority": authority.unwrap_or_default(),
            "insecure": target.trust.insecure, "serverName": target.trust.server_name.is_some(),
            "command": login.exec.command, "args": login.exec.args, "env": env,
            "apiVersion": login.exec.api_version, "interactiveMode": login.exec.interactive_mode,
            "provideClusterInfo": login.exec.provide_cluster_info,
        }))
    }

    #[test]
    fn every_case_is_what_the_code_of_sig_multicluster_makes_of_it() {
        let read = |name: &str| {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cluster-profiles");
            let text = std::fs::read_to_string(directory.join(name)).unwrap();
            serde_json::from_str::<Vec<Value>>(&text).unwrap()
        };
        let (cases, answers) = (read("cases.json"), read("upstream.json"));
        assert!(cases.len() == answers.len() && cases.len() > 30);
        for (case, answer) in cases.iter().zip(answers) {
            assert_eq!(case["name"], answer["name"]);
            let or = |field: &str, default: Value| {
                answer.get(field).filter(|value| !value.is_null()).cloned().unwrap_or(default)
            };
            let authority = base64::engine::general_purpose::STANDARD
                .decode(answer["authority"].as_str().unwrap_or_default());
            let expected = (answer["error"] != true).then(|| json!({
                "server": answer["server"], "authority": authority.unwrap(),
                "insecure": or("insecure", json!(false)), "serverName": answer.get("serverName").is_some(),
                "command": answer["command"], "args": or("args", json!([])), "env": or("env", json!({})),
                "apiVersion": answer["apiVersion"], "interactiveMode": answer["interactiveMode"],
                "provideClusterInfo": or("provideClusterInfo", json!(false)),
            }));
            assert_eq!(ours(case), expected, "{}", case["name"]);
        }
    }

    #[test]
    fn a_profile_adds_arguments_and_variables_only_as_the_file_allows() {
        let env = |access: &ProfileAccess| {
            access.exec.env.iter().map(|one| format!("{}={}", one.name, one.value)).collect::<Vec<_>>()
        };
        let none = accessed(&json!({}));
        assert_eq!((&none.exec.args[..], env(&none)), (&["a".to_owned()][..], vec!["WHO=file".to_owned()]));
        assert_eq!(none.exec.interactive_mode, "Never", "whatever the file says");
        for (policy, expected) in [("AppendIfNotExists", "WHO=file"), ("Replace", "WHO=hub")] {
            let access = accessed(&json!({
                "profileSourcedCLIArgsPolicy": "Append", "profileSourcedEnvVarsPolicy": policy,
            }));
            assert_eq!(access.exec.args, ["a", "b"]);
            assert_eq!(env(&access), [expected, "REGION=eu"]);
        }
    }

    #[test]
    fn the_order_of_the_file_and_access_providers_come_first() {
        let status = json!({
            "credentialProviders": [
                { "name": "first", "cluster": cluster("https://former") },
                { "name": "second", "cluster": cluster("https://second") },
            ],
            "accessProviders": [{ "name": "first", "cluster": cluster("https://first") }],
        });
        let server = |status: &Value| providers(&json!({})).access("fleet/a", status).unwrap().cluster.server;
        assert_eq!(server(&status), "https://first");
        let former = json!({ "credentialProviders": status["credentialProviders"] });
        assert_eq!(server(&former), "https://former");
        let other =
            json!({ "accessProviders": [{ "name": "second", "cluster": cluster("https://second") }] });
        assert_eq!(server(&other), "https://second");
    }

    #[test]
    fn a_hub_cannot_turn_verification_off_or_name_local_files() {
        let mut cluster = cluster("https://a");
        cluster["insecure-skip-tls-verify"] = json!(true);
        cluster["certificate-authority"] = json!("/etc/passwd");
        cluster["tls-server-name"] = json!("b");
        let status = json!({ "accessProviders": [{ "name": "first", "cluster": cluster }] });
        let target = providers(&json!({})).access("fleet/a", &status).unwrap().target().unwrap();
        assert_eq!(target.trust, Trust::default());
        let LoginMethod::Exec(login) = target.login else { panic!("{:?}", target.login) };
        assert_eq!(login.config, json!({ "audience": "x" }));
    }

    #[test]
    fn what_a_profile_or_the_file_lacks_is_named() {
        let refused = |status: &Value| providers(&json!({})).access("fleet/a", status).unwrap_err();
        let unknown = json!({ "accessProviders": [{ "name": "third", "cluster": cluster("https://a") }] });
        assert_eq!(
            refused(&unknown),
            "the ClusterProfile fleet/a names no provider of the provider file: it has third, and the file has \
             first, second"
        );
        assert!(refused(&Value::Null).contains("it has none"));
        let broken = json!({ "accessProviders": [{ "name": "first", "cluster": { "server": 5 } }] });
        assert!(
            refused(&broken).contains("status.accessProviders[0].cluster.server: "),
            "{}",
            refused(&broken)
        );
        let exec = json!({ "apiVersion": "v1", "command": "login" });
        for (provider, problem) in [
            (json!({ "name": "x" }), "providers[0].execConfig is missing"),
            (json!({ "name": "x", "execConfig": {} }), "providers[0].execConfig.command is missing"),
            (json!({ "name": "x", "execConfig": exec }), "providers[0].execConfig.apiVersion: \"v1\""),
            (
                json!({ "profileSourcedCLIArgsPolicy": "Replace" }),
                "profileSourcedCLIArgsPolicy: unknown variant",
            ),
        ] {
            let file = json!({ "providers": [provider] }).to_string();
            let error = AccessProviders::parse(file.as_bytes()).unwrap_err();
            assert!(error.contains(problem), "{file}: {error}");
        }
        assert!(AccessProviders::parse(b"providers: []").unwrap_err().starts_with("it is no JSON: "));
    }
}
