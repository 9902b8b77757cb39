//! Faults of a control plane, for tests with their own one.

use super::ControlPlane;
use super::plane::{blocking, wait_until_ready};

impl ControlPlane {
    /// Kills the API server with SIGKILL and waits for its end.
    pub(crate) fn kill_api_server(&self) {
        self.api_server.kill();
    }

    /// Restarts the API server on the same port and data, and waits until it is ready.
    pub(crate) fn start_api_server(&self) {
        self.api_server.restart();
        wait_until_ready(self.kubeconfig(), &[&self.api_server]).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Freezes the API server: the kernel accepts and keeps connections, and nothing answers.
    pub(crate) fn pause_api_server(&self) {
        self.api_server.pause();
    }

    /// Resumes a frozen API server.
    pub(crate) fn resume_api_server(&self) {
        self.api_server.resume();
    }

    /// Compacts all history in etcd, so that every `resourceVersion` and continue token of a client is too old.
    ///
    /// The consequences depend on the API server. In v1.36:
    /// - With `--watch-cache=false` it answers 410 at once to a list at exactly an old version and to a
    ///   continue token, and a watch from an old version gets HTTP 200 and one `ERROR` event of status 410.
    /// - With its watch cache, the default, it serves all three from the cache until it is restarted. A watch from a
    ///   version before that start is refused then, even without a compaction.
    /// - With `--feature-gates=ListFromCacheSnapshot=false` the cache serves only watches.
    ///
    /// A list that needs no exact version (none, or 0) is never refused.
    pub(crate) fn compact_etcd(&self) {
        blocking(async { self.etcd().compact().await });
    }
}
