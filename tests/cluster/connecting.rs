//! Connections to a real API server: flags, proxies, exec plugins and client certificates.

use crate::control_plane::ControlPlane;
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use tempfile::TempDir;

/// A control plane and the kubeconfigs that connect to it.
struct Way {
    directory: TempDir,
    server: String,
    authority: PathBuf,
    token: String,
}

impl Way {
    fn to(plane: &ControlPlane) -> Self {
        let admin: Value = serde_json::from_slice(&fs::read(plane.kubeconfig()).unwrap()).unwrap();
        let text = |pointer| admin.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        Self {
            directory: tempfile::tempdir().unwrap(),
            server: text("/clusters/0/cluster/server"),
            authority: text("/clusters/0/cluster/certificate-authority").into(),
            token: text("/users/0/user/token"),
        }
    }

    fn port(&self) -> u16 {
        self.server.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// Writes a kubeconfig for this cluster and the given user.
    fn kubeconfig(&self, cluster: &Value, user: &Value) -> PathBuf {
        let mut settings = json!({ "server": self.server, "certificate-authority": self.authority });
        for (name, value) in cluster.as_object().unwrap() {
            settings[name] = value.clone();
        }
        let text = json!({
            "current-context": "c",
            "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
            "clusters": [{ "name": "k", "cluster": settings }],
            "users": [{ "name": "u", "user": user }],
        });
        let path = self.directory.path().join("config");
        fs::write(&path, text.to_string()).unwrap();
        path
    }

    fn admin(&self, cluster: &Value) -> PathBuf {
        self.kubeconfig(cluster, &json!({ "token": self.token }))
    }
}

/// Runs the binary without a terminal. Returns its exit status and everything that it printed.
fn run(kubeconfig: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-devops"));
    for name in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    command.args(arguments).env("KUBECONFIG", kubeconfig).envs(environment.iter().copied());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
#[ignore = "needs a control plane: make test"]
fn flags_override_the_kubeconfig_and_work_without_one() {
    let way = Way::to(ControlPlane::shared());
    let nowhere = way.directory.path().join("nowhere");
    let authority = way.authority.to_str().unwrap();
    let list = ["list", "pods", "--server", &way.server, "--certificate-authority", authority];
    let (status, text) = run(&nowhere, &[&list[..], &["--token", &way.token]].concat(), &[]);
    assert_eq!(status, 0, "{text}");
    let insecure = ["list", "pods", "-s", &way.server, "--insecure-skip-tls-verify", "--token", &way.token];
    let (status, text) = run(&nowhere, &insecure, &[]);
    assert_eq!(status, 0, "{text}");

    let admin = way.admin(&json!({}));
    let (status, text) = run(&admin, &["list", "pods", "--as", "jane", "--as-group", "readers"], &[]);
    assert!(status == 2 && text.contains("\"jane\""), "{text}");
    let (status, text) = run(&admin, &["list", "pods", "--as", "jane", "--as-group", "system:masters"], &[]);
    assert_eq!(status, 0, "{text}");
    let (status, text) = run(&admin, &["list", "pods", "--token", "wrong"], &[]);
    assert!(status == 2 && text.contains("401"), "{text}");
    let (status, text) = run(&admin, &["list", "pods", "--tls-server-name", "elsewhere.test"], &[]);
    assert!(status == 2 && text.contains("isn't for elsewhere.test"), "{text}");
}

#[test]
#[ignore = "needs a control plane: make test"]
fn the_api_server_is_reached_through_proxies() {
    let way = Way::to(ControlPlane::shared());
    let far = json!({ "server": "https://api.test:6443", "tls-server-name": "127.0.0.1" });
    let with = |proxy: &str| {
        let mut cluster = far.clone();
        cluster["proxy-url"] = json!(proxy);
        way.admin(&cluster)
    };
    let (http, http_asked) = proxy(way.port(), connect);
    let (socks, socks_asked) = proxy(way.port(), socks5);
    let list = ["list", "pods"];
    // A proxy-url takes precedence over NO_PROXY.
    let environment = [("NO_PROXY", "*")];
    let (status, text) = run(&with(&format!("http://127.0.0.1:{http}")), &list, &environment);
    assert_eq!(status, 0, "{text}");
    assert_eq!(*http_asked.lock().unwrap(), ["api.test:6443"]);
    let (status, text) = run(&with(&format!("socks5://127.0.0.1:{socks}")), &list, &environment);
    assert_eq!(status, 0, "{text}");
    assert_eq!(*socks_asked.lock().unwrap(), ["api.test:6443"]);

    let admin = way.admin(&far);
    let address = format!("127.0.0.1:{http}");
    let (status, text) = run(&admin, &list, &[("HTTPS_PROXY", &address), ("NO_PROXY", "api.test:443")]);
    assert_eq!(status, 0, "{text}");
    assert_eq!(http_asked.lock().unwrap().len(), 2);
    let socks = format!("socks5h://127.0.0.1:{socks}");
    let (status, text) = run(&admin, &list, &[("https_proxy", &socks)]);
    assert_eq!(status, 0, "{text}");
    assert_eq!(socks_asked.lock().unwrap().len(), 2);
    // The API server is on loopback, and the environment's proxy doesn't apply to loopback.
    let (status, text) = run(&way.admin(&json!({})), &list, &[("HTTPS_PROXY", "127.0.0.1:1")]);
    assert_eq!(status, 0, "{text}");
}

#[test]
#[ignore = "needs a control plane: make test"]
fn a_plugin_runs_once_per_command_without_a_terminal() {
    let way = Way::to(ControlPlane::shared());
    let home = way.directory.path();
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": { "token": way.token },
    });
    let script = format!(
        "echo run >>{0}/runs\necho \"$KUBERNETES_EXEC_INFO\" >>{0}/infos\necho '{credential}'\n",
        home.display()
    );
    fs::write(home.join("plugin"), script).unwrap();
    let user = |mode: &str| {
        let version = "client.authentication.k8s.io/v1";
        let exec = json!({
            "apiVersion": version,
            "command": "sh",
            "args": [home.join("plugin")],
            "interactiveMode": mode,
            "provideClusterInfo": true,
        });
        way.kubeconfig(&json!({}), &json!({ "exec": exec }))
    };
    let commands: [&[&str]; 3] = [&["list", "pods"], &["analyze"], &["check", "--for", "analyze"]];
    for (count, arguments) in commands.iter().enumerate() {
        let (_, text) = run(&user("IfAvailable"), arguments, &[]);
        assert!(!text.contains("error"), "{arguments:?}: {text}");
        let runs = fs::read_to_string(home.join("runs")).unwrap();
        assert_eq!(runs.lines().count(), count + 1, "{arguments:?}: {text}");
    }
    for info in fs::read_to_string(home.join("infos")).unwrap().lines() {
        let info: Value = serde_json::from_str(info).unwrap();
        assert_eq!(info["spec"]["interactive"], false);
        assert_eq!(info["spec"]["cluster"]["server"], way.server);
    }
    let (status, text) = run(&user("Always"), &["list", "pods"], &[]);
    assert!(status == 2 && text.contains("needs a terminal"), "{text}");
    assert_eq!(fs::read_to_string(home.join("runs")).unwrap().lines().count(), 3);
}

#[test]
#[ignore = "needs a control plane: make test"]
fn the_api_server_accepts_a_version_1_client_certificate() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    let flag = format!("--client-ca-file={}", fixtures.join("ca.pem").display());
    let plane = ControlPlane::start_with(&[&flag]);
    let way = Way::to(&plane);
    let user = json!({
        "client-certificate": fixtures.join("client.pem"),
        "client-key": fixtures.join("client-key.pem"),
    });
    let (status, text) = run(&way.kubeconfig(&json!({}), &user), &["list", "pods"], &[]);
    assert!(status == 2 && text.contains("\"tester\""), "{text}");
}

#[test]
#[ignore = "needs Go: make test"]
fn the_committed_answers_match_client_go() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("tests/fixtures/kubeconfig/client-go.json");
    let mut command = Command::new("go");
    command
        .args(["run", "."])
        .arg(root.join("tests/fixtures"))
        .current_dir(root.join("kube-tests/kubeconfig"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers = String::from_utf8(output.stdout).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let update = std::env::var_os("UPDATE").is_some();
    if update {
        fs::write(&committed, &answers).unwrap();
    }
    let fresh = fs::read_to_string(committed).unwrap() == answers;
    assert!(fresh, "run it again with UPDATE=1, and look at the difference");
}

/// The requests that a proxy received.
type Asked = Arc<Mutex<Vec<String>>>;

/// Starts a proxy that forwards every request to `port`. `greet` performs the handshake and returns the requested
/// target.
fn proxy(port: u16, greet: fn(&mut TcpStream) -> io::Result<String>) -> (u16, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (own, asked) = (listener.local_addr().unwrap().port(), Asked::default());
    let shared = asked.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, asked) = (client.unwrap(), shared.clone());
            thread::spawn(move || -> io::Result<()> {
                asked.lock().unwrap().push(greet(&mut client)?);
                let server = TcpStream::connect(("127.0.0.1", port))?;
                let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
                thread::spawn(move || io::copy(&mut from, &mut to));
                let (mut from, mut to) = (server, client);
                io::copy(&mut from, &mut to)?;
                Ok(())
            });
        }
    });
    (own, asked)
}

fn connect(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let head = String::from_utf8(head).unwrap();
    let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
    Ok(target.to_owned())
}

fn socks5(client: &mut TcpStream) -> io::Result<String> {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting)?;
    let mut methods = vec![0; greeting[1].into()];
    client.read_exact(&mut methods)?;
    client.write_all(&[5, 0])?;
    let mut request = [0; 5];
    client.read_exact(&mut request)?;
    assert_eq!(request[..4], [5, 1, 0, 3], "the proxy resolves the name");
    let mut host = vec![0; request[4].into()];
    client.read_exact(&mut host)?;
    let mut port = [0; 2];
    client.read_exact(&mut port)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    Ok(format!("{}:{}", String::from_utf8(host).unwrap(), u16::from_be_bytes(port)))
}
