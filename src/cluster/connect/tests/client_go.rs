//! Compares with the answers of client-go in `tests/fixtures/kubeconfig/client-go.json`.

use super::super::target::{Content, Material};
use super::super::*;
use super::fixture;
use crate::proxy::{Address, ProxyVariables, split_port};
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
struct Cases {
    templates: BTreeMap<String, String>,
    configs: Vec<Case>,
    proxies: Choices,
}

#[derive(Deserialize)]
#[serde(default)]
struct Case {
    name: String,
    files: BTreeMap<String, String>,
    template: String,
    cluster: String,
    user: String,
    context: String,
    kubeconfig: Vec<String>,
    flag: String,
    flags: BTreeMap<String, String>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            name: String::new(),
            files: BTreeMap::new(),
            template: "usual".to_owned(),
            cluster: "{server: 'https://a.com'}".to_owned(),
            user: "{token: t}".to_owned(),
            context: "{cluster: k, user: u}".to_owned(),
            kubeconfig: Vec::new(),
            flag: String::new(),
            flags: BTreeMap::new(),
        }
    }
}

#[derive(Deserialize)]
struct Choices {
    exceptions: Vec<String>,
    servers: Vec<String>,
    proxies: Vec<String>,
}

/// The cases that differ from client-go on purpose, with the reason.
const DIFFERENT: &[(&str, &str)] = &[("token with a line break inside", "client-go fails when it sends it")];

#[test]
fn kubeconfigs_and_flags_resolve_as_in_client_go() {
    let (cases, answers) = read();
    let mut wrong = Vec::new();
    for (case, answer) in cases.configs.into_iter().zip(answers["configs"].as_array().unwrap()) {
        assert_eq!(case.name, answer["name"]);
        let name = case.name.clone();
        if DIFFERENT.iter().any(|(different, _)| *different == name) {
            continue;
        }
        let ours = run(case, &cases.templates);
        match (&ours, answer.get("resolved")) {
            (Err(_), None) => {}
            (Ok(ours), Some(theirs)) if ours == theirs => {}
            (ours, theirs) => wrong.push(format!("{name}:\n  ours {ours:?}\n  theirs {theirs:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn proxies_are_chosen_as_in_go() {
    let (Cases { proxies, .. }, answers) = read();
    let mut answers = answers["proxies"].as_array().unwrap().iter();
    let mut check = |proxy: &str, exceptions: &str, server: &String| {
        let variables = ProxyVariables {
            https: Some(proxy.to_owned()).filter(|proxy| !proxy.is_empty()),
            http: Some("q:2".to_owned()),
            exceptions: Some(exceptions.to_owned()),
        };
        let address = Address::parse(server, false).unwrap();
        let ours = variables.proxy(&address.uri).unwrap();
        let mut theirs = answers.next().unwrap().as_str().unwrap().to_owned();
        // This project always writes the port.
        if !theirs.is_empty() && split_port(theirs.split_once("://").unwrap().1).1.is_none() {
            theirs += ":80";
        }
        let ours = ours.map(|proxy| proxy.uri.to_string().trim_end_matches('/').to_owned());
        assert_eq!(ours.unwrap_or_default(), theirs, "{proxy} {exceptions:?} {server}");
    };
    for exceptions in &proxies.exceptions {
        for server in &proxies.servers {
            check("p:1", exceptions, server);
        }
    }
    for proxy in &proxies.proxies {
        check(proxy, "", &proxies.servers[0]);
    }
    assert!(answers.next().is_none());
}

fn read() -> (Cases, Value) {
    let cases = std::fs::read_to_string(fixture("kubeconfig/cases.yaml")).unwrap();
    let answers = std::fs::read(fixture("kubeconfig/client-go.json")).unwrap();
    (yaml_serde::from_str(&cases).unwrap(), serde_json::from_slice(&answers).unwrap())
}

fn run(mut case: Case, templates: &BTreeMap<String, String>) -> Result<Value, String> {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    if case.files.is_empty() && case.kubeconfig.is_empty() {
        let text = templates[&case.template]
            .replace("{CLUSTER}", &case.cluster)
            .replace("{USER}", &case.user)
            .replace("{CONTEXT}", &case.context);
        case.files.insert("config".to_owned(), text);
    }
    if case.flag.is_empty() && case.kubeconfig.is_empty() {
        "config".clone_into(&mut case.flag);
    }
    std::fs::write(directory.join("token"), " file-token\n").unwrap();
    for pem in ["ca", "client", "client-key"] {
        let content = std::fs::read(fixture(&format!("tls/{pem}.pem"))).unwrap();
        std::fs::write(directory.join(format!("{pem}.pem")), &content).unwrap();
        for text in case.files.values_mut() {
            *text = text.replace(&format!("{{{pem}}}"), &STANDARD.encode(&content));
        }
    }
    for (name, text) in &case.files {
        std::fs::write(directory.join(name), text).unwrap();
    }
    let list = case.kubeconfig.iter().map(|name| match name.as_str() {
        "" => PathBuf::new(),
        name => directory.join(name),
    });
    let environment = Environment {
        kubeconfig: Some(std::env::join_paths(list).unwrap()).filter(|list| !list.is_empty()),
        ..Environment::default()
    };
    let options = ConnectOptions {
        kubeconfig: Some(directory.join(&case.flag)).filter(|_| !case.flag.is_empty()),
        overrides: overrides(&case.flags, directory),
        ..ConnectOptions::default()
    };
    let target = find(&options, &environment).map_err(|error| error.to_string())?;
    // Some configurations are refused only when their files are read.
    Tls::new(&target).map_err(|error| error.to_string())?;
    credentials(&target, "", &options).map_err(|error| error.to_string())?;
    Ok(describe(&target, directory))
}

fn overrides(flags: &BTreeMap<String, String>, directory: &Path) -> Overrides {
    let text = |name: &str| flags.get(name).cloned();
    let path = |name: &str| text(name).map(|path| directory.join(path));
    Overrides {
        context: text("context"),
        cluster: text("cluster"),
        user: text("user"),
        server: text("server"),
        tls_server_name: text("tls-server-name"),
        certificate_authority: path("certificate-authority"),
        insecure_skip_tls_verify: text("insecure-skip-tls-verify").as_deref() == Some("true"),
        token: text("token"),
        username: text("username"),
        password: text("password"),
        disable_compression: text("disable-compression").as_deref() == Some("true"),
        client_certificate: path("client-certificate"),
        client_key: path("client-key"),
        impersonate: text("as"),
        impersonate_uid: text("as-uid"),
        impersonate_groups: text("as-group")
            .map(|groups| groups.split(',').map(str::to_owned).collect())
            .unwrap_or_default(),
    }
}

fn describe(target: &Target, directory: &Path) -> Value {
    let relative =
        |path: &Path| path.display().to_string().replace(&directory.display().to_string(), "{dir}");
    let material = |material: Option<&Material>| match material.map(|material| &material.content) {
        None => String::new(),
        Some(Content::Data(_)) => "data".to_owned(),
        Some(Content::File(path)) => path.file_name().unwrap().to_str().unwrap().to_owned(),
    };
    let (certificate, key) =
        target.identity.as_ref().map_or((None, None), |(one, two)| (Some(one), Some(two)));
    let (mut login, mut token, mut token_file, mut exec) = (None, "", String::new(), Value::Null);
    match &target.login {
        LoginMethod::Anonymous => {}
        LoginMethod::Basic(basic, _) => login = Some(basic),
        LoginMethod::Token { token: text, file } => {
            token = text.as_ref().map_or("", |(text, _)| text);
            token_file = file.as_ref().map(|(path, _)| relative(path)).unwrap_or_default();
        }
        LoginMethod::Exec(login) => {
            let command = relative(Path::new(&login.exec.command));
            exec = std::iter::once(command).chain(login.exec.args.iter().cloned()).collect();
        }
    }
    let whom = target.impersonation.as_ref();
    let groups = whom.map(|whom| &whom.groups).filter(|groups| !groups.is_empty());
    let extra = whom.map(|whom| &whom.extra).filter(|extra| !extra.is_empty());
    json!({
        "server": target.server.uri.to_string().trim_end_matches('/'),
        "namespace": target.namespace,
        "proxy": target.proxy.as_ref().map(|proxy| usual(&proxy.uri.to_string())).unwrap_or_default(),
        "compressed": target.compressed,
        "insecure": target.trust.insecure,
        "serverName": target.trust.server_name.as_ref().map_or("", |(name, _)| name),
        "ca": material(target.trust.authority.as_ref()),
        "certificate": material(certificate),
        "key": material(key),
        "username": login.map_or("", |login| &login.name),
        "password": login.map_or("", |login| &login.password),
        "token": token,
        "tokenFile": token_file,
        "as": whom.map_or("", |whom| &whom.user),
        "asUID": whom.map_or("", |whom| &whom.uid),
        "asGroups": groups,
        "asExtra": extra,
        "exec": exec,
    })
}

/// Removes the default ports, which client-go doesn't write.
fn usual(proxy: &str) -> String {
    proxy.trim_end_matches('/').replace("https://p:443", "https://p")
}
