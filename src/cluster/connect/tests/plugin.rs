//! Exec plugins as shell scripts that count their runs.

use super::super::super::call::CallError;
use super::server::{Server, settings};
use super::tls::version;
use super::{Cluster, Overrides, SharedPlugins, attempt, attempt_sharing};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

/// A plugin that prints the content of a file, and a server.
struct Stage {
    directory: TempDir,
    server: Server,
}

impl Stage {
    async fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let server = Server::start(Some(settings(vec![made.cert.der().clone()], key, None))).await;
        let directory = tempfile::tempdir().unwrap();
        let script = "cd \"$(dirname \"$0\")\"\necho run >>runs\necho \"$KUBERNETES_EXEC_INFO\" >info\n\
                      echo \"$1 $WHO\" >told\ncat printed\n";
        std::fs::write(directory.path().join("plugin"), script).unwrap();
        Self { directory, server }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn prints(&self, status: &Value) {
        let version = "client.authentication.k8s.io/v1";
        let credential = json!({ "apiVersion": version, "kind": "ExecCredential", "status": status });
        std::fs::write(self.path().join("printed"), credential.to_string()).unwrap();
    }

    fn runs(&self) -> usize {
        let runs = std::fs::read_to_string(self.path().join("runs"));
        runs.map_or(0, |runs| runs.lines().count())
    }

    async fn connect(&self, more: &str, flags: Overrides) -> Result<Cluster, String> {
        self.connect_sharing(more, flags, &SharedPlugins::default()).await
    }

    async fn connect_sharing(
        &self,
        more: &str,
        flags: Overrides,
        plugins: &SharedPlugins,
    ) -> Result<Cluster, String> {
        let cluster = format!(
            "{{server: 'https://127.0.0.1:{}', insecure-skip-tls-verify: true, extensions: [{{name: \
             client.authentication.k8s.io/exec, extension: {{audience: x}}}}]}}",
            self.server.port
        );
        let script = self.path().join("plugin");
        let user = format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, args: ['{}', argument], \
             env: [{{name: WHO, value: me}}], interactiveMode: Never{more}}}}}",
            script.display()
        );
        attempt_sharing(&cluster, &user, flags, plugins).await
    }

    fn bearer(&self) -> Vec<String> {
        let heads = self.server.heads();
        let headers = heads.iter().flat_map(|head| head.lines());
        headers.filter_map(|line| line.strip_prefix("authorization: Bearer ").map(str::to_owned)).collect()
    }
}

#[tokio::test]
async fn a_plugin_runs_once_for_all_requests() {
    let stage = Stage::new().await;
    stage.prints(&json!({ "token": "one", "expirationTimestamp": "4000-01-01T00:00:00Z" }));
    let cluster = stage.connect("", Overrides::default()).await.unwrap();
    for _ in 0..5 {
        version(&cluster).await.unwrap();
    }
    assert_eq!((stage.runs(), stage.bearer()), (1, vec!["one".to_owned(); 5]));
    assert_eq!(std::fs::read_to_string(stage.path().join("told")).unwrap(), "argument me\n");
    let info: Value = serde_json::from_slice(&std::fs::read(stage.path().join("info")).unwrap()).unwrap();
    assert_eq!(info["spec"], json!({ "interactive": false }));
}

#[tokio::test]
async fn a_plugin_runs_once_for_all_connections_of_a_server_and_a_user() {
    let stage = Stage::new().await;
    stage.prints(&json!({ "token": "one" }));
    let plugins = SharedPlugins::default();
    let connect = |more| stage.connect_sharing(more, Overrides::default(), &plugins);
    let (one, other) = tokio::join!(connect(""), connect(""));
    version(&one.unwrap()).await.unwrap();
    version(&other.unwrap()).await.unwrap();
    assert_eq!((stage.runs(), stage.bearer()), (1, vec!["one".to_owned(); 2]));
    connect(", provideClusterInfo: true").await.unwrap();
    assert_eq!(stage.runs(), 2, "another user");
}

#[tokio::test]
async fn a_plugin_gets_the_cluster_on_request() {
    let stage = Stage::new().await;
    stage.prints(&json!({ "token": "one" }));
    stage.connect(", provideClusterInfo: true", Overrides::default()).await.unwrap();
    let info: Value = serde_json::from_slice(&std::fs::read(stage.path().join("info")).unwrap()).unwrap();
    let server = format!("https://127.0.0.1:{}", stage.server.port);
    let cluster =
        json!({ "server": server, "insecure-skip-tls-verify": true, "config": { "audience": "x" } });
    assert_eq!(info["spec"]["cluster"], cluster);
}

#[tokio::test]
async fn expired_or_refused_credentials_are_fetched_again() {
    let stage = Stage::new().await;
    stage.prints(&json!({ "token": "old", "expirationTimestamp": "2020-01-01T00:00:00Z" }));
    let cluster = stage.connect("", Overrides::default()).await.unwrap();
    stage.prints(&json!({ "token": "new" }));
    version(&cluster).await.unwrap();
    version(&cluster).await.unwrap();
    assert_eq!((stage.runs(), stage.bearer()), (2, vec!["new".to_owned(); 2]));

    stage.server.answer_with("401 Unauthorized");
    stage.prints(&json!({ "token": "newer" }));
    let error = version(&cluster).await.unwrap_err();
    assert!(matches!(error, CallError::Status(_)), "{error}");
    stage.server.answer_with("200 OK");
    version(&cluster).await.unwrap();
    assert_eq!((stage.runs(), stage.bearer().last().unwrap().as_str()), (3, "newer"));
}

#[tokio::test]
async fn a_token_flag_overrides_the_plugin() {
    let stage = Stage::new().await;
    let flags = Overrides { token: Some("flag".to_owned()), ..Overrides::default() };
    let cluster = stage.connect("", flags).await.unwrap();
    version(&cluster).await.unwrap();
    assert_eq!((stage.runs(), stage.bearer()), (0, vec!["flag".to_owned()]));
}

#[tokio::test]
async fn unusable_plugin_output_causes_no_panic() {
    let stage = Stage::new().await;
    for (status, part) in [
        (json!({ "token": "a\nb" }), "printed a token that has a line break"),
        (json!({}), "neither a token nor a certificate"),
        (
            json!({ "clientCertificateData": "x", "clientKeyData": "y" }),
            "printed a certificate that has no certificate",
        ),
    ] {
        stage.prints(&status);
        let error = stage.connect("", Overrides::default()).await.err().unwrap();
        assert!(error.starts_with("cannot get credentials for https://127.0.0.1:"), "{error}");
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = stage.connect("", Overrides::default()).await.err().unwrap();
    assert!(error.contains("the command \"sh\""), "{error}");
}

#[tokio::test]
async fn a_token_file_is_read_again_and_may_disappear() {
    let stage = Stage::new().await;
    let file = stage.path().join("token");
    std::fs::write(&file, " first\n").unwrap();
    let cluster =
        format!("{{server: 'https://127.0.0.1:{}', insecure-skip-tls-verify: true}}", stage.server.port);
    let user = format!("{{tokenFile: '{}'}}", file.display());
    let cluster = attempt(&cluster, &user, Overrides::default()).await.unwrap();
    version(&cluster).await.unwrap();
    std::fs::write(&file, "second\n").unwrap();
    version(&cluster).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_mins(1)).await;
    tokio::time::resume();
    version(&cluster).await.unwrap();
    std::fs::remove_file(&file).unwrap();
    version(&cluster).await.unwrap();
    assert_eq!(stage.bearer(), ["first", "first", "second", "second"]);
}
