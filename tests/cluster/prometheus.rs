//! A real Prometheus scrapes `watch` and answers queries, and `promtool` accepts the metrics.

use crate::control_plane::{ControlPlane, Server, free_port};
use crate::process::Process;
use crate::watch::helpers::{create, degrade, pod};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The time limit for the start of Prometheus and for the scrape of a change.
const LIMIT: Duration = Duration::from_secs(30);
const PACKAGE: &str = "run `make test`, or install it";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane and Prometheus: make test"]
async fn prometheus_scrapes_the_scores_and_drops_deleted_namespaces() {
    let plane = ControlPlane::shared();
    let client = plane.client().await;
    let [kept, emptied] = [plane.namespace("scraped"), plane.namespace("scraped")];
    create(&client, &kept, &pod("waits")).await;
    create(&client, &emptied, &pod("restarts")).await;
    degrade(&client, &emptied, "restarts", true).await;
    let flags = ["--no-leader-election", "-n", &kept, "-n", &emptied];
    let replica = Process::start("watch", plane.kubeconfig(), "a", &flags).synced();
    let prometheus = Prometheus::scraping(&[replica.address().unwrap()]);

    // Pending costs 4 points, and restarts cost 2 x 5 x 6. The cluster's score is the mean of both pods.
    prometheus.answers("cluster_health_score", &[(None, "68")]).await;
    let both = [(Some(&*kept), "96"), (Some(&*emptied), "40")];
    prometheus.answers("namespace_health_score", &both).await;
    prometheus.answers("avg(namespace_health_score)", &[(None, "68")]).await;
    prometheus.answers("leader{name=\"kube-devops-watch\"}", &[(None, "1")]).await;

    let pods = Api::<Pod>::namespaced(client, &emptied);
    pods.delete("restarts", &DeleteParams::default().grace_period(0)).await.unwrap();
    prometheus.answers("namespace_health_score", &both[..1]).await;
    prometheus.answers("cluster_health_score", &[(None, "96")]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane and Prometheus: make test"]
async fn promtool_has_nothing_to_say_about_the_metrics() {
    let plane = ControlPlane::shared();
    let home = plane.namespace("promtool");
    create(&plane.client().await, &home, &pod("web")).await;
    let flags = ["-n", &home, "--lease-namespace", &home];
    let replica = Process::start("watch", plane.kubeconfig(), "a", &flags).synced();
    let (code, metrics) = replica.get("/metrics");
    assert_eq!(code, 200, "{metrics}");
    assert_eq!(promtool_check(&metrics), "", "of {metrics}");
    assert_ne!(promtool_check("# TYPE total counter\ntotal 1\n"), "", "promtool reports invalid metrics");
}

/// Returns the complaints of `promtool check metrics`.
fn promtool_check(metrics: &str) -> String {
    let mut promtool = Command::new(program("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert_eq!(output.status.success(), said.is_empty(), "{}: {said}", output.status);
    said
}

/// A running Prometheus. It is killed on drop and when the test process ends; its data is deleted then.
pub(crate) struct Prometheus {
    server: Server,
    address: SocketAddr,
}

impl Prometheus {
    pub(crate) fn scraping(targets: &[SocketAddr]) -> Self {
        let scrape = json!({ "job_name": "kube-devops", "static_configs": [{ "targets": targets }] });
        Self::start(json!({ "scrape_configs": [scrape] }), &[])
    }

    /// Starts a server with a configuration, which has fast intervals, and with further files beside it.
    pub(crate) fn start(mut config: Value, files: &[(&str, &str)]) -> Self {
        let binary = program("prometheus");
        let home = tempfile::Builder::new().prefix("kube-devops-").tempdir().unwrap().keep();
        let state = home.join("prometheus");
        fs::create_dir(&state).unwrap();
        for (field, value) in
            [("scrape_interval", "200ms"), ("scrape_timeout", "200ms"), ("evaluation_interval", "200ms")]
        {
            config["global"][field] = value.into();
        }
        for (name, text) in files {
            fs::write(state.join(name), text).unwrap();
        }
        // JSON is valid YAML.
        fs::write(state.join("prometheus.yml"), config.to_string()).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().unwrap()));
        let flags = [
            format!("--config.file={}", state.join("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", state.join("data").display()),
            format!("--web.listen-address={address}"),
        ];
        Self { server: Server::start(&binary, &state, &flags).unwrap(), address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until a query returns these values, each with its namespace label.
    async fn answers(&self, query: &str, expected: &[(Option<&str>, &str)]) {
        self.answers_by("namespace", query, expected).await;
    }

    /// Waits until a query returns these values, each with the value of a label.
    pub(crate) async fn answers_by(&self, label: &str, query: &str, expected: &[(Option<&str>, &str)]) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let expected: BTreeMap<_, _> = expected
            .iter()
            .map(|(namespace, value)| (namespace.map(str::to_owned), Some((*value).to_owned())))
            .collect();
        let deadline = Instant::now() + LIMIT;
        loop {
            let answer = self.query(query);
            let samples = answer.as_ref().ok().and_then(|answer| answer["data"]["result"].as_array());
            let found = samples.into_iter().flatten();
            let found: BTreeMap<_, _> =
                found.map(|sample| (text(&sample["metric"][label]), text(&sample["value"][1]))).collect();
            if found == expected {
                return;
            }
            let log = || self.server.log_tail();
            assert!(Instant::now() < deadline, "{query} is not {expected:?}: {answer:?}\n{}", log());
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn query(&self, query: &str) -> io::Result<Value> {
        let mut stream = TcpStream::connect_timeout(&self.address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let query: Vec<_> = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        // HTTP/1.0 has no chunked responses.
        write!(stream, "GET /api/v1/query?query={} HTTP/1.0\r\n\r\n", query.concat())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).map_err(|error| io::Error::other(format!("{error}: {answer}")))
    }
}

/// Returns the path of a Prometheus program, or panics with installation instructions.
pub(crate) fn program(name: &str) -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("there is no {name} in PATH; {PACKAGE}"))
}
