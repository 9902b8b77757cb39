//! Writes directly to etcd: such changes cost no API request, and the API server still sends them to its watches.

use super::ControlPlane;
use k8s_openapi::ByteString;
use kube::{Client, Config};
use serde_json::{Value, json};

/// A client of etcd's key-value service through its JSON gateway. It belongs to the current runtime.
pub(crate) struct Etcd(Client);

impl ControlPlane {
    /// Creates a client of the API server's etcd.
    pub(crate) fn etcd(&self) -> Etcd {
        let url = self.layout.etcd_url().parse().expect("a URL");
        Etcd(Client::try_from(Config::new(url)).expect("a client"))
    }
}

impl Etcd {
    /// Stores up to 128 objects at once, each with a key such as `pods/<namespace>/<name>`, as JSON with its kind.
    ///
    /// The API server reads them like its own objects. Nothing validates them.
    pub(crate) async fn put(&self, objects: impl IntoIterator<Item = (String, String)>) {
        let puts: Vec<_> = objects
            .into_iter()
            .map(|(place, object)| json!({ "requestPut": put(&format!("/registry/{place}"), object) }))
            .collect();
        self.call("txn", &json!({ "success": puts })).await;
    }

    /// Compacts all history.
    pub(super) async fn compact(&self) {
        // The compacted revision itself stays readable, so it must be one that no client has seen. This key is outside
        // of the API server's prefix.
        let written = self.call("put", &put("\0", "\0".to_owned())).await;
        let revision = &written["header"]["revision"];
        self.call("compaction", &json!({ "revision": revision, "physical": true })).await;
    }

    async fn call(&self, method: &str, body: &Value) -> Value {
        let request = http::Request::post(format!("/v3/kv/{method}")).body(body.to_string().into_bytes());
        self.0
            .request(request.expect("a valid request"))
            .await
            .unwrap_or_else(|error| panic!("etcd: {method}: {error}"))
    }
}

/// Returns a put request. Keys and values are base64 in JSON.
fn put(key: &str, value: String) -> Value {
    json!({ "key": ByteString(key.as_bytes().to_owned()), "value": ByteString(value.into_bytes()) })
}
