//! Tests of complete configurations. Those of TLS and of proxies use real servers.

mod client_go;
mod plugin;
mod proxies;
mod server;
mod tls;

use super::*;
use std::path::Path;

/// Writes a kubeconfig with one context and connects with it.
async fn attempt(cluster: &str, user: &str, overrides: Overrides) -> Result<Cluster, String> {
    attempt_sharing(cluster, user, overrides, &SharedPlugins::default()).await
}

async fn attempt_sharing(
    cluster: &str,
    user: &str,
    overrides: Overrides,
    plugins: &SharedPlugins,
) -> Result<Cluster, String> {
    let text = format!(
        "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
         clusters: [{{name: k, cluster: {cluster}}}]\nusers: [{{name: u, user: {user}}}]\n"
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    std::fs::write(&file, text).unwrap();
    let (kubeconfig, plugins) = (Some(file.clone()), plugins.clone());
    let options = ConnectOptions { kubeconfig, overrides, plugins, ..ConnectOptions::default() };
    let outcome = connect(&options).await;
    outcome.map_err(|error| error.to_string().replace(&file.display().to_string(), "FILE"))
}

async fn error(cluster: &str, user: &str) -> String {
    attempt(cluster, user, Overrides::default()).await.err().unwrap()
}

#[tokio::test]
async fn an_unusable_field_is_named_with_its_fix() {
    const HTTPS: &str = "{server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}";
    for (cluster, user, expected) in [
        (
            HTTPS,
            r#"{token: "tok\n"}"#,
            "the kubeconfig FILE: token of the user \"u\": the token has a line break or another control character: \
             remove it (a YAML block ends without one after `|-`)",
        ),
        (
            HTTPS,
            r#"{as: "a\nb"}"#,
            r#"the kubeconfig FILE: as of the user "u": "a\nb" has a control character: remove it"#,
        ),
        (
            HTTPS,
            r#"{as: a, as-groups: ["\0"]}"#,
            r#"the kubeconfig FILE: as of the user "u": "\0" has a control character: remove it"#,
        ),
        (
            "{server: 'ftp://a'}",
            "{}",
            "the kubeconfig FILE: server of the cluster \"k\": \"ftp://a\" has the scheme \"ftp\": write https://HOST:PORT",
        ),
        (
            "{server: 'https://a', tls-server-name: 'a b'}",
            "{}",
            "the kubeconfig FILE: tls-server-name of the cluster \"k\": it is neither a host name nor an IP address: \
             correct or remove it",
        ),
        (
            "{server: 'https://a', certificate-authority-data: YWJj}",
            "{}",
            "the kubeconfig FILE: certificate-authority-data of the cluster \"k\": has no certificate in PEM form: correct it",
        ),
        (
            HTTPS,
            "{token: 5}",
            "the kubeconfig FILE can't be used: users[0].user.token: invalid type: integer `5`, expected a string; correct that field",
        ),
        (
            HTTPS,
            "{auth-provider: {name: gcp}}",
            "the kubeconfig FILE: auth-provider of the user \"u\": \"gcp\" is no longer supported: use the provider's exec \
             plugin",
        ),
    ] {
        assert_eq!(error(cluster, user).await, expected);
    }
}

#[tokio::test]
async fn flags_replace_the_kubeconfig_in_every_request() {
    let made = rcgen::generate_simple_self_signed(vec!["server.test".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let tls = server::settings(vec![made.cert.der().clone()], key, None);
    let server = server::Server::start(Some(tls)).await;
    let text = |text: &str| Some(text.to_owned());
    let here = Overrides {
        server: Some(format!("https://127.0.0.1:{}", server.port)),
        insecure_skip_tls_verify: true,
        ..Overrides::default()
    };
    let flags = Overrides {
        username: text("me"),
        password: text("p:w"),
        impersonate: text("jane"),
        impersonate_uid: text("7"),
        impersonate_groups: vec!["a".to_owned(), "b,c".to_owned()],
        disable_compression: true,
        ..here.clone()
    };
    let cluster =
        attempt("{server: 'https://127.0.0.1:1'}", "{username: other, as: joe}", flags).await.unwrap();
    tls::version(&cluster).await.unwrap();
    let head = server.heads()[0].to_lowercase();
    for header in [
        "authorization: basic bwu6cdp3",
        "impersonate-user: jane",
        "impersonate-uid: 7",
        "impersonate-group: a",
        "impersonate-group: b,c",
    ] {
        assert!(head.contains(&format!("\r\n{header}\r\n")), "{header}: {head}");
    }
    assert!(!head.contains("gzip"), "{head}");
    let cluster = attempt("{server: 'https://127.0.0.1:1'}", "{}", here).await.unwrap();
    tls::version(&cluster).await.unwrap();
    assert!(server.heads()[1].to_lowercase().contains("accept-encoding: gzip"), "{:?}", server.heads());
}

#[tokio::test]
async fn odd_characters_cause_no_panic() {
    const HTTPS: &str = "{server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}";
    for text in ["ü", "a b", "\u{1F600}", " ", "\t", "a\u{7f}", "%", "\"", "a\r\nb: c"] {
        let text = text.to_owned();
        let flags = Overrides {
            impersonate: Some(text.clone()),
            impersonate_uid: Some(text.clone()),
            impersonate_groups: vec![text.clone()],
            token: Some(text.clone()),
            tls_server_name: Some(text.clone()),
            ..Overrides::default()
        };
        drop(attempt(HTTPS, "{}", flags).await);
        let flags = Overrides { server: Some(text.clone()), ..Overrides::default() };
        drop(attempt(HTTPS, "{}", flags).await);
        let flags = Overrides { server: Some(format!("https://{text}")), ..Overrides::default() };
        drop(attempt(HTTPS, "{}", flags).await);
        let proxy =
            serde_json::json!({ "server": "https://127.0.0.1:1", "proxy-url": format!("http://{text}:1") });
        drop(attempt(&proxy.to_string(), "{}", Overrides::default()).await);
        let extra = serde_json::json!({ "as": "a", "as-user-extra": { text.clone(): [text] } });
        drop(attempt(HTTPS, &extra.to_string(), Overrides::default()).await);
    }
}

#[test]
fn extras_are_escaped_in_the_names_of_headers() {
    let place = Place::Flag("--as");
    let extra = [("example.com/a%".to_owned(), vec!["x".to_owned(), "y".to_owned()])].into();
    let (user, uid, groups) = ("ü".to_owned(), "7".to_owned(), vec!["g".to_owned(), "h".to_owned()]);
    let headers = headers(Some(&Impersonation { user, uid, groups, extra, place })).unwrap();
    assert_eq!(headers["impersonate-user"].as_bytes(), "ü".as_bytes());
    assert_eq!(headers["impersonate-uid"], "7");
    assert_eq!(headers.get_all("impersonate-group").iter().collect::<Vec<_>>(), ["g", "h"]);
    let values: Vec<_> = headers.get_all("impersonate-extra-example.com%2fa%25").iter().collect();
    assert_eq!(values, ["x", "y"]);
}

#[test]
fn without_a_kubeconfig_the_error_suggests_files() {
    let environment = Environment { home: Some("/no/such/home".into()), ..Environment::default() };
    let error = find(&ConnectOptions::default(), &environment).unwrap_err().to_string();
    assert!(error.contains("/no/such/home/.kube/config doesn't exist"), "{error}");
    assert!(error.ends_with("kube-devops analyze -f FILE"), "{error}");
    let environment = Environment { kubeconfig: Some("/no/such:/none".into()), ..environment };
    let error = find(&ConnectOptions::default(), &environment).unwrap_err().to_string();
    assert_eq!(
        error,
        "no cluster: none of the files in $KUBECONFIG exists (/no/such, /none): correct it, or give --kubeconfig"
    );
}

#[test]
fn a_named_file_has_to_exist() {
    let options = ConnectOptions { kubeconfig: Some("/no/such".into()), ..ConnectOptions::default() };
    let error = find(&options, &Environment::default()).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot read the kubeconfig /no/such: No such file or directory (os error 2); \
         check --kubeconfig and $KUBECONFIG"
    );
}

#[test]
fn unknown_names_are_refused_with_the_existing_ones() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let text = "contexts: [{name: a, context: {cluster: k}}, {name: b, context: {cluster: gone}}]\n\
                clusters: [{name: k, cluster: {server: a.com}}]\nusers: [{name: u}]";
    std::fs::write(&file, text).unwrap();
    let error = |overrides| {
        let options =
            ConnectOptions { kubeconfig: Some(file.clone()), overrides, ..ConnectOptions::default() };
        let error = find(&options, &Environment::default()).unwrap_err().to_string();
        error.replace(&file.display().to_string(), "FILE")
    };
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(
        error(Overrides::default()),
        "the kubeconfig FILE has no current context: choose one with --context; it has a, b"
    );
    assert_eq!(
        error(Overrides { context: name("x"), ..Overrides::default() }),
        "no context \"x\" in the kubeconfig FILE; it has a, b"
    );
    assert_eq!(
        error(Overrides { context: name("b"), ..Overrides::default() }),
        "the context \"b\" names the cluster \"gone\", which the kubeconfig FILE doesn't have; it has k"
    );
    assert_eq!(
        error(Overrides { context: name("a"), user: name("x"), ..Overrides::default() }),
        "--user names the user \"x\", which the kubeconfig FILE doesn't have; it has u"
    );
}

/// Returns the path of a fixture.
fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}
