//! The kubeconfig format and the parser of one file, by the rules of client-go's `clientcmd/api/v1`.
//!
//! The YAML is converted to JSON first, as in kubectl: the last of duplicate keys wins, `null` leaves a field unset,
//! and a number is no string.

use crate::yaml::{Document, Encoding, chunks};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

/// Go ignores the unused bits of the last character.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
/// The extension of a cluster that an exec plugin gets as its `config`.
const EXEC_EXTENSION: &str = "client.authentication.k8s.io/exec";

/// One kubeconfig file, or several merged ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kubeconfig {
    pub(super) current_context: String,
    pub(super) clusters: BTreeMap<String, Cluster>,
    pub(super) users: BTreeMap<String, User>,
    pub(super) contexts: BTreeMap<String, Context>,
}

/// An API server.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Cluster {
    pub(super) server: String,
    pub(super) tls_server_name: String,
    pub(super) insecure_skip_tls_verify: bool,
    pub(super) certificate_authority: PathBuf,
    pub(super) certificate_authority_data: Bytes,
    pub(super) proxy_url: String,
    pub(super) disable_compression: bool,
    extensions: Vec<NamedExtension>,
    /// The file that defines it.
    #[serde(skip)]
    pub(super) origin: PathBuf,
}

/// Credentials.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct User {
    pub(super) client_certificate: PathBuf,
    pub(super) client_certificate_data: Bytes,
    pub(super) client_key: PathBuf,
    pub(super) client_key_data: Bytes,
    pub(super) token: String,
    #[serde(rename = "tokenFile")]
    pub(super) token_file: PathBuf,
    #[serde(rename = "as")]
    pub(super) impersonate: String,
    pub(super) as_uid: String,
    pub(super) as_groups: Vec<String>,
    pub(super) as_user_extra: BTreeMap<String, Vec<String>>,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) auth_provider: Option<AuthProvider>,
    pub(super) exec: Option<Exec>,
    /// The file that defines it.
    #[serde(skip)]
    pub(super) origin: PathBuf,
}

/// A cluster, a user and a namespace.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Context {
    pub(super) cluster: String,
    pub(super) user: String,
    pub(super) namespace: String,
    /// The file that defines it.
    #[serde(skip)]
    pub(super) origin: PathBuf,
}

/// The predecessor of exec plugins.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct AuthProvider {
    pub(super) name: String,
    pub(super) config: BTreeMap<String, String>,
}

/// A command that prints credentials.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Exec {
    pub(super) command: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<EnvVar>,
    pub(super) api_version: String,
    pub(super) install_hint: String,
    pub(super) provide_cluster_info: bool,
    pub(super) interactive_mode: String,
}

/// An environment variable for an exec plugin.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct EnvVar {
    pub(super) name: String,
    pub(super) value: String,
}

/// Bytes that the file holds as base64, with line breaks anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct NamedExtension {
    name: String,
    extension: Value,
}

/// The format of the file.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Written {
    kind: String,
    #[serde(rename = "apiVersion")]
    api_version: String,
    current_context: String,
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
    contexts: Vec<NamedContext>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedContext {
    name: String,
    context: Context,
}

impl Kubeconfig {
    /// Parses the text of a file. Relative paths start at the directory of `origin`.
    pub(super) fn parse(text: &[u8], origin: &Path) -> Result<Self, String> {
        let text = decoded(text)?;
        let mut json = to_json(text.as_bytes())?;
        if json.is_null() {
            json = Value::Object(Map::new());
        }
        drop_nulls(&mut json);
        let written: Written = serde_path_to_error::deserialize(json).map_err(|error| {
            let field = error.path().to_string();
            format!("{field}: {}; correct that field", error.into_inner())
        })?;
        for (field, value, right) in
            [("kind", &written.kind, "Config"), ("apiVersion", &written.api_version, "v1")]
        {
            if !value.is_empty() && value != right {
                return Err(format!("{field} is {value:?}: it must be {right:?}"));
            }
        }
        let directory = std::path::absolute(origin).ok();
        let directory = directory.as_deref().and_then(Path::parent).unwrap_or_else(|| Path::new("/"));
        let clusters = written.clusters.into_iter().map(|NamedCluster { name, mut cluster }| {
            resolve(&mut cluster.certificate_authority, directory);
            (name, Cluster { origin: origin.to_owned(), ..cluster })
        });
        let users = written.users.into_iter().map(|NamedUser { name, mut user }| {
            user.resolve_paths(directory);
            (name, User { origin: origin.to_owned(), ..user })
        });
        let contexts = written
            .contexts
            .into_iter()
            .map(|NamedContext { name, context }| (name, Context { origin: origin.to_owned(), ..context }));
        Ok(Self {
            current_context: written.current_context,
            clusters: by_name("clusters", clusters)?,
            users: by_name("users", users)?,
            contexts: by_name("contexts", contexts)?,
        })
    }

    /// Adds the entries of a later file that earlier ones lack.
    pub(super) fn merge(&mut self, later: Self) {
        if self.current_context.is_empty() {
            self.current_context = later.current_context;
        }
        add_missing(&mut self.clusters, later.clusters);
        add_missing(&mut self.users, later.users);
        add_missing(&mut self.contexts, later.contexts);
    }
}

impl Cluster {
    /// Returns the extensions by name.
    pub(super) fn extensions(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.extensions.iter().map(|extension| (extension.name.as_str(), &extension.extension))
    }

    /// Returns the settings for an exec plugin.
    pub(super) fn exec_config(&self) -> Value {
        let extension = self.extensions.iter().find(|extension| extension.name == EXEC_EXTENSION);
        extension.map_or(Value::Null, |found| found.extension.clone())
    }
}

impl User {
    fn resolve_paths(&mut self, directory: &Path) {
        for path in [&mut self.client_certificate, &mut self.client_key, &mut self.token_file] {
            resolve(path, directory);
        }
        // A bare name is looked up in `$PATH`.
        if let Some(exec) = &mut self.exec
            && exec.command.contains(MAIN_SEPARATOR)
        {
            let mut command = PathBuf::from(&exec.command);
            resolve(&mut command, directory);
            exec.command = command.to_string_lossy().into_owned();
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?.replace(['\r', '\n'], "");
        let decoded = BASE64.decode(text);
        decoded.map(Self).map_err(|error| D::Error::custom(format!("this is not base64: {error}")))
    }
}

/// Parses the first document that holds anything, as kubectl reads YAML.
pub(super) fn to_json(text: &[u8]) -> Result<Value, String> {
    for chunk in chunks(text, true) {
        let read = || {
            let text = chunk.text()?;
            let document = Document::parse(&text)?;
            Value::deserialize(document.root())
        };
        let value = read().map_err(|error| {
            let line = chunk.lines_before + error.line().unwrap_or(1);
            format!("it is not YAML: line {line}: {error}")
        })?;
        if !value.is_null() {
            return Ok(value);
        }
    }
    Ok(Value::Null)
}

/// Decodes a kubeconfig as client-go does: UTF-16 with a byte-order mark, which PowerShell writes, or valid UTF-8.
fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let Some(encoding) = Encoding::of(bytes) else {
        let text = std::str::from_utf8(bytes);
        return text.map(Cow::from).map_err(|error| {
            let line = memchr::memchr_iter(b'\n', &bytes[..error.valid_up_to()]).count() + 1;
            format!("line {line} is not UTF-8: save it as UTF-8")
        });
    };
    let mut text = String::new();
    encoding.decode(bytes).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text.into())
}

/// Go leaves a field unset if its value is `null`.
pub(super) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn by_name<T>(list: &str, entries: impl Iterator<Item = (String, T)>) -> Result<BTreeMap<String, T>, String> {
    let mut map = BTreeMap::new();
    for (name, entry) in entries {
        if map.contains_key(&name) {
            return Err(format!("{list} has {name:?} twice: remove or rename one"));
        }
        map.insert(name, entry);
    }
    Ok(map)
}

fn add_missing<T>(map: &mut BTreeMap<String, T>, later: BTreeMap<String, T>) {
    for (name, entry) in later {
        map.entry(name).or_insert(entry);
    }
}

fn resolve(path: &mut PathBuf, directory: &Path) {
    if !path.as_os_str().is_empty() {
        *path = directory.join(&path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_in_utf_16_is_read_and_bytes_of_another_encoding_are_refused() {
        let text = "current-context: café\n";
        let units = format!("\u{feff}{text}");
        let units = units.encode_utf16();
        for bytes in [
            units.clone().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
            units.flat_map(u16::to_be_bytes).collect(),
        ] {
            let read = Kubeconfig::parse(&bytes, Path::new("f")).unwrap();
            assert_eq!(read.current_context, "café");
        }
        let error =
            Kubeconfig::parse(b"kind: Config\ncurrent-context: caf\xe9\n", Path::new("f")).unwrap_err();
        assert_eq!(error, "line 2 is not UTF-8: save it as UTF-8");
    }
}
