//! Commands that need a cluster, where there is none.

use super::{directory, run_in};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

#[test]
fn no_flag_of_the_connection_goes_with_manifests() {
    let pod = b"apiVersion: v1\nkind: Pod\nspec: {containers: [{name: c, image: 'nginx:1'}]}\n";
    let tree = directory(&[("pod.yaml", pod)]);
    for flag in
        ["--server=x", "--token=x", "--as=x", "--insecure-skip-tls-verify", "--username=x", "--context=x"]
    {
        let run = run_in(tree.path(), &["analyze", "-f", "pod.yaml", flag], "");
        let name = flag.split('=').next().unwrap();
        assert_eq!(run.status, 2, "{flag}");
        assert!(run.stderr.contains("cannot be used with") && run.stderr.contains(name), "{}", run.stderr);
    }
    assert_eq!(run_in(tree.path(), &["analyze", "-f", "pod.yaml"], "").status, 0);
}

#[test]
fn without_a_kubeconfig_the_way_without_a_cluster_is_shown() {
    let empty = directory(&[]);
    for command in [&["analyze"][..], &["check"], &["list", "pods"]] {
        let run = run_in(empty.path(), command, "");
        assert_eq!(run.status, 2, "{command:?}");
        assert!(run.stderr.contains("kube-devops analyze -f"), "{}", run.stderr);
    }
}

#[test]
fn an_error_about_an_unknown_context_lists_the_known_ones() {
    let config = b"apiVersion: v1\nkind: Config\ncontexts: [{name: blue, context: {cluster: c, user: u}}]\n\
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n";
    let tree = directory(&[("config", config)]);
    let run = run_in(tree.path(), &["analyze", "--kubeconfig", "config", "--context", "green"], "");
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("green") && run.stderr.contains("blue"), "{}", run.stderr);
}

#[test]
fn a_server_that_is_away_is_named_and_nothing_is_scored() {
    let config = b"apiVersion: v1\nkind: Config\ncurrent-context: blue\n\
        contexts: [{name: blue, context: {cluster: c, user: u}}]\n\
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n";
    let tree = directory(&[("config", config)]);
    let run = run_in(tree.path(), &["analyze", "--kubeconfig", "config"], "");
    assert_eq!(run.status, 2);
    assert_eq!(run.stdout, "", "nothing could be done, so the error stands alone");
    assert!(run.stderr.contains("127.0.0.1:1"), "{}", run.stderr);
}

#[test]
fn a_cluster_that_can_not_be_connected_to_is_a_report_without_a_score() {
    let config = |user: &str| {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: blue\n\
             contexts: [{{name: blue, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'}}}}]\n\
             users: [{{name: u, user: {user}}}]\n"
        )
    };
    let exec = |command: &str| {
        let version = "client.authentication.k8s.io/v1";
        config(&format!("{{exec: {{apiVersion: {version}, interactiveMode: Never, command: {command}}}}}"))
    };
    let (sound, missing, failing) = (config("{}"), exec("no-such-login"), exec("false"));
    let tree = directory(&[
        ("sound", sound.as_bytes()),
        ("missing", missing.as_bytes()),
        ("failing", failing.as_bytes()),
        ("broken", b"{"),
    ]);
    for (flags, text) in [
        (&[][..], "kube-devops analyze -f"),
        (&["--kubeconfig", "nowhere"], "cannot read the kubeconfig nowhere"),
        (&["--kubeconfig", "broken"], "the kubeconfig broken can't be used"),
        (&["--kubeconfig", "sound", "--context", "green"], "green"),
        (&["--kubeconfig", "missing"], "no-such-login"),
        (&["--kubeconfig", "failing"], "false"),
    ] {
        let analyze = |format| run_in(tree.path(), &[&["analyze", "-o", format], flags].concat(), "");
        let json = analyze("json");
        let errors = json.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!((json.status, errors), (2, 1), "{json}");
        for part in ["\"score\": null", "\"status\": null", "\"source\": \"connect to the cluster\"", text] {
            assert!(json.stdout.contains(part), "{part}: {json}");
        }
        assert!(json.stderr.contains(text), "{json}");
        for (format, unknown) in [("summary", ""), ("yaml", "score: null"), ("table", ""), ("wide", "")] {
            let run = analyze(format);
            assert!(run.status == 2 && run.stdout.contains(unknown), "{run}");
            assert!(run.stderr.contains(text), "{run}");
        }
    }
}

#[test]
fn every_command_that_connects_has_the_connection_flags_of_kubectl() {
    let empty = directory(&[]);
    let flags = [
        "--server=http://127.0.0.1:1",
        "--token=t",
        "--as=jane",
        "--as-group=a",
        "--as-group=b",
        "--as-uid=7",
        "--tls-server-name=b.com",
        "--insecure-skip-tls-verify=true",
        "--request-timeout=5s",
        "--username=",
        "--password=",
        "--disable-compression",
        "--certificate-authority=",
        "--client-certificate=",
        "--client-key=",
    ];
    for command in [
        &["analyze"][..],
        &["check"],
        &["list", "pods"],
        &["crd", "install"],
        &["undo", "--all"],
        &["policy", "release"],
        &["policy", "fixes", "p", "-n", "n"],
        &["policy", "rehearse", "p", "-n", "n"],
        &["watch"],
        &["reconcile"],
    ] {
        let help = run_in(empty.path(), &[command, &["--help"]].concat(), "").stdout;
        for flag in flags.iter().copied().chain(["--kubeconfig", "--context", "--cluster", "--user"]) {
            let flag = flag.split('=').next().unwrap();
            assert!(help.contains(flag), "{command:?} has no {flag}");
        }
    }
    let run = run_in(empty.path(), &[&["list", "pods"], &flags[..]].concat(), "");
    assert!(run.status == 2 && run.stderr.contains("cannot reach http://127.0.0.1:1"), "{run}");
    let run = run_in(empty.path(), &["list", "pods", "--server", "ftp://a"], "");
    assert_eq!(run.stderr, "error: --server: \"ftp://a\" has the scheme \"ftp\": write https://HOST:PORT\n");
    let run = run_in(empty.path(), &["list", "pods", "--server", "a.com", "--as-group", "a"], "");
    assert_eq!(run.stderr, "error: --as-group: it needs a user to act as: give --as, or the field `as`\n");
}

/// Returns a kubeconfig for a server that answers every request with an empty list of pods.
pub(super) fn of_an_empty_cluster() -> String {
    of_a_cluster("blue", |_, _| {
        (200, r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}"#.to_owned())
    })
}

/// Returns a kubeconfig, with a context of this name, for a server that answers a method and a path with a status and
/// a body.
pub(super) fn of_a_cluster(
    context: &str,
    answer: impl Fn(&str, &str) -> (u16, String) + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(&stream);
            let mut lines = reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let request = lines.next().unwrap_or_default();
            let length = |line: String| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok();
            let length: usize = lines.filter_map(length).last().unwrap_or(0);
            reader.read_exact(&mut vec![0; length]).unwrap();
            let mut words = request.split_whitespace();
            let (status, body) = answer(words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let head = "connection: close\r\ncontent-type: application/json";
            write!(stream, "HTTP/1.1 {status} X\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                .unwrap();
        }
    });
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": context,
        "contexts": [{ "name": context, "context": { "cluster": "c", "user": "u" } }],
        "clusters": [{ "name": "c", "cluster": { "server": format!("http://127.0.0.1:{port}") } }],
        "users": [{ "name": "u", "user": { "token": "hush" } }],
    });
    config.to_string()
}

#[test]
fn requests_are_logged_on_demand_without_secrets() {
    let tree = directory(&[("config", of_an_empty_cluster().as_bytes())]);
    let log = |level| {
        let run = run_in(tree.path(), &["list", "pods", "--kubeconfig", "config", "-v", level], "");
        assert_eq!(run.status, 0, "{run}");
        run.stderr
    };
    let all = log("6");
    let requests: Vec<_> = all.lines().filter(|line| line.contains("request was answered")).collect();
    assert_eq!(requests.len(), 1, "{all}");
    for text in ["method=GET", "url=/api/v1/pods?", "status=200", "milliseconds="] {
        assert!(requests[0].contains(text), "{text}: {all}");
    }
    assert!(!all.contains("hush") && !all.contains("PodList"), "{all}");
    assert!(!log("4").contains("/api/v1/pods"), "{all}");
}

#[test]
fn a_request_that_got_no_answer_is_logged_too() {
    let config = b"apiVersion: v1\nkind: Config\ncurrent-context: blue\n\
        contexts: [{name: blue, context: {cluster: c, user: u}}]\n\
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n";
    let tree = directory(&[("config", config)]);
    let run = run_in(tree.path(), &["list", "pods", "--kubeconfig", "config", "-v", "6"], "");
    assert!(run.stderr.contains("request got no answer"), "{}", run.stderr);
}
