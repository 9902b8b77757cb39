//! The interface of a control plane for tests.

use super::audit::{self, AuditEvent, Mark};
use super::layout::{Layout, binary};
use super::server::Server;
use super::{Reach, client_of, config_of, flags};
use crate::access::Accounts;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use kube_devops::manifests::Mode;
use std::error::Error;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The time limit of a start, which takes seconds on an idle machine.
const START: Duration = Duration::from_mins(1);

/// A running control plane, which is stopped on drop.
pub(crate) struct ControlPlane {
    // The fields are dropped in this order, so that no server misses the one that it depends on.
    controller_manager: Server,
    pub(super) api_server: Server,
    etcd: Server,
    pub(super) layout: Layout,
    kubeconfig: PathBuf,
    namespaces: AtomicU32,
}

impl ControlPlane {
    /// Returns the control plane that the tests of this process share. Such tests must not break it.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
        // A failure is kept as well. Otherwise each test would wait for another failing start.
        let outcome = SHARED.get_or_init(|| Self::try_start(&[]).map_err(|error| error.to_string()));
        outcome.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts a control plane for one test, which may break it.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a control plane with additional API server flags, which override the usual ones.
    pub(crate) fn start_with(api_server_flags: &[&str]) -> Self {
        Self::try_start(api_server_flags).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_start(api_server_flags: &[&str]) -> Result<Self, Box<dyn Error + Send + Sync>> {
        // All binaries are looked up before the first start, so that a missing one leaves nothing to clean up.
        let binaries = [binary("etcd")?, binary("kube-apiserver")?, binary("kube-controller-manager")?];
        let [etcd, api_server, controller_manager] = &binaries;
        let layout = Layout::create()?;
        let mut flags = flags::api_server(&layout);
        flags.extend(api_server_flags.iter().map(ToString::to_string));
        let kubeconfig = layout.admin_kubeconfig();
        // These two start concurrently, because the API server waits for etcd. The controller manager gives up after
        // ten seconds.
        let etcd = Server::start(etcd, &layout.etcd, &flags::etcd(&layout))?;
        let api_server = Server::start(api_server, &layout.api_server, &flags)?;
        wait_until_ready(&kubeconfig, &[&etcd, &api_server])?;
        let flags = flags::controller_manager(&layout);
        let controller_manager = Server::start(controller_manager, &layout.controller_manager, &flags)?;
        let namespaces = AtomicU32::new(0);
        Ok(Self { controller_manager, api_server, etcd, layout, kubeconfig, namespaces })
    }

    /// Returns a kubeconfig file of a cluster administrator, for `kube-devops` and `kubectl`.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Creates an administrator's client for the caller's runtime, which runs a task of it.
    pub(crate) async fn client(&self) -> Client {
        client_of(&self.kubeconfig).await
    }

    /// Creates a `ServiceAccount` with only these permissions, and returns a kubeconfig for it.
    pub(crate) async fn restricted(
        &self,
        namespace: &str,
        name: &str,
        rules: &[PolicyRule],
        reach: Reach,
    ) -> PathBuf {
        let (server, authority) = (self.layout.server(), self.layout.authority());
        self.accounts(&server, &authority).await.restricted(namespace, name, rules, reach).await
    }

    /// Creates an operator's account with exactly the permissions of a mode, and returns a kubeconfig for it.
    pub(crate) async fn operator_account(&self, home: &str, mode: Mode) -> PathBuf {
        let (server, authority) = (self.layout.server(), self.layout.authority());
        self.accounts(&server, &authority).await.operator(home, mode).await
    }

    /// Writes a kubeconfig for an existing account.
    pub(crate) async fn account_kubeconfig(&self, namespace: &str, name: &str) -> PathBuf {
        let (server, authority) = (self.layout.server(), self.layout.authority());
        self.accounts(&server, &authority).await.kubeconfig(namespace, name).await
    }

    async fn accounts<'a>(&'a self, server: &'a str, authority: &'a Path) -> Accounts<'a> {
        Accounts { client: self.client().await, server, authority, directory: &self.layout.api_server }
    }

    /// Creates a namespace with a unique name, `<test>-<n>`, and returns the name.
    pub(crate) fn namespace(&self, test: &str) -> String {
        let name = format!("{test}-{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        blocking(async {
            Api::all(self.client().await)
                .create(&PostParams::default(), &namespace)
                .await
                .expect("a namespace");
        });
        name
    }

    /// Returns every request since the start.
    pub(crate) fn requests(&self) -> Vec<AuditEvent> {
        self.requests_since(Mark::default())
    }

    /// Returns the current end of the audit log.
    pub(crate) fn mark(&self) -> Mark {
        audit::end(&self.layout.audit_log())
    }

    /// Returns the requests after a mark, including those that began before it and ended after it.
    ///
    /// It includes every answered request, and a watch as soon as it is open. An aborted request may appear later.
    pub(crate) fn requests_since(&self, mark: Mark) -> Vec<AuditEvent> {
        audit::since(&self.layout.audit_log(), mark).expect("an audit log")
    }

    /// Counts the requests after a mark by a user, or by user agents that begin with `who`.
    pub(crate) fn count_since(&self, mark: Mark, who: &str) -> usize {
        self.requests_since(mark).iter().filter(|event| event.by(who)).count()
    }

    /// Returns the servers' pids and the directory with all their state.
    pub(crate) fn traces(&self) -> ([String; 3], &Path) {
        ([&self.etcd, &self.api_server, &self.controller_manager].map(Server::pid), &self.layout.home)
    }
}

/// Waits until the API server is ready. An error holds the reason and the ends of the servers' logs.
pub(super) fn wait_until_ready(kubeconfig: &Path, servers: &[&Server]) -> Result<(), String> {
    let deadline = Instant::now() + START;
    blocking(async {
        let mut config = config_of(kubeconfig).await;
        // The client's back-off could delay the start after the server is ready.
        config.default_retry = false;
        config.read_timeout = Some(Duration::from_secs(5));
        loop {
            let client = Client::try_from(config.clone()).expect("a client of a valid configuration");
            match is_ready(client).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    let tails: String = servers.iter().map(|server| server.log_tail()).collect();
                    return Err(format!("no control plane within {START:?}: {error}\n{tails}"));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    })
}

async fn is_ready(client: Client) -> Result<(), kube::Error> {
    let request = http::Request::get("/readyz").body(Vec::new()).expect("a valid request");
    client.request_text(request).await?;
    Api::<Namespace>::all(client).get("default").await.map(drop)
}

/// Runs a future on its own thread and runtime, so that it works both inside and outside of a runtime.
pub(super) fn blocking<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(future)
    };
    thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|panic| resume_unwind(panic))
}
