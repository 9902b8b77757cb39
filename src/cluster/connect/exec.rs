//! One run of an exec plugin: client-go's protocol `client.authentication.k8s.io`.

use super::child::PluginProcess;
use super::kubeconfig::{Exec, to_json};
use super::validate::EXEC_VERSIONS;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{self, IsTerminal as _};
use std::process::Stdio;
use tokio::process::Command;

/// The longest part of an install hint that is shown, in characters.
const HINT_LENGTH: usize = 2000;

/// A command with its arguments and environment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plugin {
    pub(super) exec: Exec,
    /// The cluster's description, if the plugin asks for it.
    pub(super) cluster: Option<Value>,
    /// False if the plugin must not prompt the user, even on a terminal.
    pub(super) may_prompt: bool,
}

/// The credentials that a plugin printed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Printed {
    pub(super) token: String,
    pub(super) client_certificate_data: String,
    pub(super) client_key_data: String,
    pub(super) expiration_timestamp: Option<Timestamp>,
}

impl Plugin {
    /// Runs the command. Its errors name the command and the fix.
    pub(super) async fn run(&self) -> Result<Printed, String> {
        let name = &self.exec.command;
        let failed = |reason: String| format!("the command {name:?} for credentials {reason}");
        let interactive = self.interactive(self.may_prompt && io::stdin().is_terminal()).map_err(failed)?;
        let mut command = Command::new(name);
        command.args(&self.exec.args);
        command.envs(self.exec.env.iter().map(|variable| (&variable.name, &variable.value)));
        command.env("KUBERNETES_EXEC_INFO", self.info(interactive).to_string());
        command.stdin(if interactive { Stdio::inherit() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let in_own_group = !interactive && !io::stdin().is_terminal();
        let output = match PluginProcess::spawn(&mut command, in_own_group) {
            Ok(process) => process.output().await,
            Err(error) => Err(error),
        };
        let output = output.map_err(|error| failed(self.not_started(&error)))?;
        if !output.status.success() {
            return Err(failed(format!("failed ({}): run it to see why, or log in again", output.status)));
        }
        self.parse(&output.stdout).map_err(failed)
    }

    /// Returns true if the command may prompt the user.
    fn interactive(&self, terminal: bool) -> Result<bool, String> {
        match self.exec.interactive_mode.as_str() {
            "Never" => Ok(false),
            "Always" if !terminal => {
                Err("needs a terminal (interactiveMode is Always), and standard input is \
                                          none: log in from a terminal, or use another user"
                    .to_owned())
            }
            "Always" => Ok(true),
            _ => Ok(terminal),
        }
    }

    fn info(&self, interactive: bool) -> Value {
        let mut spec = json!({ "interactive": interactive });
        if let Some(cluster) = &self.cluster {
            spec["cluster"] = cluster.clone();
        }
        json!({ "kind": "ExecCredential", "apiVersion": self.exec.api_version, "spec": spec })
    }

    fn not_started(&self, error: &io::Error) -> String {
        let mut text = format!("can't be run: {error}; install it, or correct its name");
        let hint = self.exec.install_hint.trim();
        if !hint.is_empty() {
            text.push_str("\n\n");
            text.extend(hint.chars().take(HINT_LENGTH).flat_map(printable));
        }
        text
    }

    fn parse(&self, printed: &[u8]) -> Result<Printed, String> {
        let mut json =
            to_json(printed).map_err(|_| "printed no ExecCredential: check its version".to_owned())?;
        let version = json["apiVersion"].as_str().unwrap_or_default();
        if json["kind"] != "ExecCredential" || !EXEC_VERSIONS.contains(&version) {
            return Err("printed no ExecCredential: check its version".to_owned());
        }
        if version != self.exec.api_version {
            return Err(format!(
                "printed an ExecCredential of {version}: set the apiVersion of the command to that; it has {}",
                self.exec.api_version
            ));
        }
        let mut status = json["status"].take();
        if let Some(fields) = status.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        let printed: Printed = serde_json::from_value(status)
            .map_err(|error| format!("printed a status that can't be read ({error}): check its version"))?;
        let (certificate, key) = (&printed.client_certificate_data, &printed.client_key_data);
        if certificate.is_empty() != key.is_empty() {
            return Err("printed a certificate without a key, or a key without a certificate: log in again"
                .to_owned());
        }
        if printed.token.is_empty() && certificate.is_empty() {
            return Err("printed neither a token nor a certificate: log in again".to_owned());
        }
        Ok(printed)
    }
}

/// Escapes control characters, which could manipulate a terminal.
fn printable(letter: char) -> Vec<char> {
    if letter.is_control() && !letter.is_whitespace() {
        letter.escape_unicode().collect()
    } else {
        vec![letter]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(mode: &str) -> Plugin {
        let exec = Exec {
            command: "login".to_owned(),
            api_version: EXEC_VERSIONS[0].to_owned(),
            interactive_mode: mode.to_owned(),
            install_hint: "brew install login\u{1b}[2J".to_owned(),
            ..Exec::default()
        };
        Plugin { exec, cluster: None, may_prompt: true }
    }

    #[test]
    fn a_plugin_is_interactive_only_on_a_terminal() {
        for (mode, terminal, interactive) in [
            ("Never", true, Some(false)),
            ("Never", false, Some(false)),
            ("IfAvailable", true, Some(true)),
            ("IfAvailable", false, Some(false)),
            ("", false, Some(false)),
            ("Always", true, Some(true)),
            ("Always", false, None),
        ] {
            assert_eq!(plugin(mode).interactive(terminal).ok(), interactive, "{mode} {terminal}");
        }
    }

    #[test]
    fn a_plugin_gets_the_requested_information() {
        let mut plugin = plugin("Never");
        assert_eq!(
            plugin.info(false).to_string(),
            r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}}"#
        );
        plugin.cluster = Some(json!({ "server": "https://a" }));
        assert_eq!(plugin.info(true)["spec"]["cluster"]["server"], "https://a");
    }

    #[test]
    fn a_missing_command_shows_the_install_hint_without_escapes() {
        let text = plugin("Never").not_started(&io::Error::from(io::ErrorKind::NotFound));
        assert!(text.ends_with("\n\nbrew install login\\u{1b}[2J"), "{text}");
    }

    #[test]
    fn printed_credentials_are_parsed_or_refused() {
        let parse = |status: &str| {
            let text = format!(
                r#"{{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{status}}}"#
            );
            plugin("Never").parse(text.as_bytes())
        };
        let printed = parse(r#"{"token":"t","expirationTimestamp":"2030-01-02T03:04:05Z"}"#).unwrap();
        assert_eq!(printed.token, "t");
        assert_eq!(printed.expiration_timestamp.unwrap().to_string(), "2030-01-02T03:04:05Z");
        assert_eq!(parse(r#"{"token":"t","expirationTimestamp":null}"#).unwrap().expiration_timestamp, None);
        for (status, part) in [
            ("{}", "neither a token nor a certificate"),
            ("null", "can't be read"),
            (r#"{"token":5}"#, "can't be read"),
            (r#"{"clientKeyData":"k"}"#, "a key without a certificate"),
            (r#"{"token":"t","expirationTimestamp":"soon"}"#, "can't be read"),
        ] {
            let error = parse(status).unwrap_err();
            assert!(error.contains(part), "{status}: {error}");
        }
        let older = br#"{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential"}"#;
        assert!(plugin("Never").parse(older).unwrap_err().contains("set the apiVersion"));
        assert!(plugin("Never").parse(b"hello").unwrap_err().contains("no ExecCredential"));
    }
}
