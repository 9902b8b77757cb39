//! The binaries, files and ports of a control plane.

use crate::kubeconfig;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use serde_json::json;
use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::{fs, process};

/// The content of the token file. The tokens are no secrets, because no node runs any pod.
const TOKENS: &str = "admin,admin,admin,system:masters\n\
                      controllers,system:kube-controller-manager,controllers,system:masters\n";

/// The paths and ports of one control plane. Each server has its own directory, which is deleted with it.
pub(super) struct Layout {
    pub(super) home: PathBuf,
    pub(super) etcd: PathBuf,
    pub(super) api_server: PathBuf,
    pub(super) controller_manager: PathBuf,
    pub(super) etcd_port: u16,
    pub(super) peer_port: u16,
    pub(super) api_port: u16,
}

impl Layout {
    /// Creates the files that the servers need, all in the API server's directory.
    pub(super) fn create() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let home = tempfile::Builder::new().prefix("kube-devops-").tempdir()?.keep();
        let layout = Self {
            etcd: home.join("etcd"),
            api_server: home.join("kube-apiserver"),
            controller_manager: home.join("kube-controller-manager"),
            etcd_port: free_port()?,
            peer_port: free_port()?,
            api_port: free_port()?,
            home,
        };
        fs::create_dir(&layout.api_server)?;
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let accounts = KeyPair::generate()?;
        let audit = json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{ "level": "Metadata" }],
        });
        for (name, content) in [
            ("tls.crt", cert.pem()),
            ("tls.key", signing_key.serialize_pem()),
            ("accounts.key", accounts.serialize_pem()),
            ("accounts.pub", accounts.public_key_pem()),
            ("tokens.csv", TOKENS.to_owned()),
            ("audit-policy.json", audit.to_string()),
        ] {
            fs::write(layout.api_server.join(name), content)?;
        }
        layout.write_kubeconfig(&layout.admin_kubeconfig(), "admin", "default")?;
        layout.write_kubeconfig(&layout.controllers_kubeconfig(), "controllers", "default")?;
        Ok(layout)
    }

    /// Writes a kubeconfig with a token.
    fn write_kubeconfig(&self, path: &Path, token: &str, namespace: &str) -> std::io::Result<()> {
        fs::write(path, kubeconfig::render(&self.server(), &self.authority(), token, namespace))
    }

    /// Returns the URL of the API server.
    pub(super) fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port)
    }

    /// Returns the file with the API server's certificate authority.
    pub(super) fn authority(&self) -> PathBuf {
        self.api_server.join("tls.crt")
    }

    pub(super) fn admin_kubeconfig(&self) -> PathBuf {
        self.api_server.join("kubeconfig")
    }

    pub(super) fn controllers_kubeconfig(&self) -> PathBuf {
        self.api_server.join("controllers.kubeconfig")
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.api_server.join("audit.log")
    }

    pub(super) fn etcd_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.etcd_port)
    }
}

/// Returns a server's binary from `KUBEBUILDER_ASSETS`, as with envtest, or from the output of `make`.
pub(super) fn binary(name: &str) -> Result<PathBuf, String> {
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let assets =
        std::env::var_os("KUBEBUILDER_ASSETS").filter(|assets| !assets.is_empty()).map(PathBuf::from);
    let built = || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("control-plane");
    let path = assets.unwrap_or_else(built).join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "there is no {}: run `make control-plane`, or all the tests with `make test`",
        path.display()
    ))
}

/// Returns a free port of 127.0.0.1.
///
/// It is below the range of ephemeral ports: an outgoing connection could otherwise take the port of an API server that
/// is down for a moment, or of a server that is about to start.
pub(crate) fn free_port() -> std::io::Result<u16> {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    let mut refusal = std::io::ErrorKind::AddrInUse.into();
    for _ in 0..COUNT {
        // Concurrent test processes start far apart.
        let start = process::id().wrapping_mul(37) % u32::from(COUNT);
        let offset = (start + u32::from(TAKEN.fetch_add(1, Ordering::Relaxed))) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset).unwrap_or_default();
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}
