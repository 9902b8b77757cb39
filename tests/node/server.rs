//! Servers of the test image, each with one behaviour. Their program is `kube-tests/real-node/server`.

use serde_json::{Value, json};
use std::time::Duration;

/// The port of the traffic in the container.
pub(crate) const TRAFFIC_PORT: u16 = 8080;
/// A second port. What listens on it depends on the server.
pub(crate) const SECOND_PORT: u16 = 9000;
/// The headless Service of a StatefulSet's pods.
pub(crate) const MEMBERS: &str = "members";

/// The protocol of a server's traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    Http,
    Https,
    Datagrams,
}

/// A server in its own container.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// The behaviour, as a row of the table names it.
    pub(crate) name: &'static str,
    pub(crate) traffic: Traffic,
    /// The port that the policy names for its probes, if the test sets one.
    pub(crate) probed: Option<u16>,
    arguments: Vec<String>,
    declared: Vec<u16>,
    memory: Option<&'static str>,
    /// The offset that is added to its ports.
    offset: u16,
}

impl Server {
    fn new(name: &'static str, arguments: &[String]) -> Self {
        Self {
            name,
            traffic: Traffic::Http,
            probed: None,
            arguments: arguments.to_vec(),
            declared: vec![TRAFFIC_PORT],
            memory: None,
            offset: 0,
        }
    }

    /// A healthy server that listens at once.
    pub(crate) fn listens() -> Self {
        Self::new("listens at once", &[])
    }

    /// A server that listens after a while.
    pub(crate) fn listens_after(name: &'static str, time: Duration) -> Self {
        Self::new(name, &[seconds("listen-after", time)])
    }

    /// A server that listens on another port than the declared and probed one.
    pub(crate) fn never_listens() -> Self {
        Self::new("never listens on the probed port", &[]).second()
    }

    /// A server that listens on the probed port of 127.0.0.1 only.
    pub(crate) fn listens_locally() -> Self {
        Self::new("listens on localhost only", &["-second=local".into()]).second()
    }

    /// A server that listens on the probed port for UDP only, although it declares TCP.
    pub(crate) fn listens_for_datagrams() -> Self {
        Self::new("listens on UDP", &["-second=udp".into()]).second()
    }

    /// A server that declares a metrics port first. That port closes all connections.
    pub(crate) fn metrics_first() -> Self {
        let arguments = ["-second=closes".into()];
        let declared = vec![SECOND_PORT, TRAFFIC_PORT];
        Self { declared, ..Self::new("a metrics port first that closes", &arguments) }
    }

    /// A server that speaks TLS.
    pub(crate) fn tls() -> Self {
        Self { traffic: Traffic::Https, ..Self::new("TLS", &["-tls".into()]) }
    }

    /// A UDP server.
    pub(crate) fn datagrams() -> Self {
        Self { traffic: Traffic::Datagrams, ..Self::new("datagrams", &["-udp".into()]) }
    }

    /// A server that serves one connection at a time.
    pub(crate) fn single_accept() -> Self {
        Self::new("single accept", &["-single".into()])
    }

    /// A server that exits on a connection without a request.
    pub(crate) fn dies_of_empty_connections() -> Self {
        Self::new("dies of empty connections", &["-on-empty=die".into()])
    }

    /// A server that leaks 2 of its 64 MiB on each connection without a request.
    pub(crate) fn leaks_on_empty_connections() -> Self {
        let arguments = ["-on-empty=leak".into(), "-leak=2".into()];
        Self { memory: Some("64Mi"), ..Self::new("leaks on empty connections", &arguments) }
    }

    /// A server that stops accepting connections after a while.
    pub(crate) fn hangs_after(name: &'static str, time: Duration) -> Self {
        Self::new(name, &[seconds("hang-after", time)])
    }

    /// A server that accepts no connections for some time.
    pub(crate) fn pauses(name: &'static str, after: Duration, time: Duration) -> Self {
        Self::new(name, &[seconds("hang-after", after), seconds("hang-for", time)])
    }

    /// A server that takes some time to stop.
    pub(crate) fn stops_after(name: &'static str, time: Duration) -> Self {
        Self::new(name, &[seconds("stop-after", time)])
    }

    /// A server that allocates 40 MiB after a while under a limit of 32 MiB.
    pub(crate) fn outgrows_its_memory(after: Duration) -> Self {
        Self { memory: Some("32Mi"), name: "outgrows its memory", ..Self::grows(after) }
    }

    /// A server that allocates 40 MiB after a while without a limit.
    pub(crate) fn grows(after: Duration) -> Self {
        Self::new("grows", &["-grow=4".into(), "-grow-to=40".into(), seconds("grow-after", after)])
    }

    /// A member that listens once more than half of the members are ready.
    pub(crate) fn quorum(members: u32) -> Self {
        Self::new("a quorum", &[format!("-peers={MEMBERS}"), format!("-members={members}")])
    }

    /// A server that replays a log for some time after a crash before it listens.
    pub(crate) fn replays(name: &'static str, time: Duration) -> Self {
        Self::new(name, &[seconds("replay", time)])
    }

    /// A server whose first container in each pod fails.
    pub(crate) fn restarts_once() -> Self {
        Self::new("restarts once at every start", &["-fail-first".into()])
    }

    /// Declares only the second port and makes the policy name it.
    fn second(self) -> Self {
        Self { declared: vec![SECOND_PORT], probed: Some(SECOND_PORT), ..self }
    }

    /// Adds an offset to its ports, so that several servers can share one network.
    pub(crate) fn moved_by(&self, offset: u16) -> Self {
        Self { offset, ..self.clone() }
    }

    /// Returns the port of its traffic.
    pub(crate) fn port(&self) -> u16 {
        TRAFFIC_PORT + self.offset
    }

    /// Returns its container and the volume that this mounts.
    pub(crate) fn container(&self) -> (Value, Value) {
        let protocol = if self.traffic == Traffic::Datagrams { "UDP" } else { "TCP" };
        let ports: Vec<_> = self
            .declared
            .iter()
            .map(|port| port + self.offset)
            .map(
                |port| json!({ "name": format!("port-{port}"), "containerPort": port, "protocol": protocol }),
            )
            .collect();
        let mut arguments = self.arguments.clone();
        if self.offset > 0 {
            arguments.push(format!("-port={}", self.port()));
            arguments.push(format!("-second-port={}", SECOND_PORT + self.offset));
        }
        let mut container = json!({
            "name": "main",
            "image": "node.test/server:1",
            "args": arguments,
            "ports": ports,
            "volumeMounts": [{ "name": "state", "mountPath": "/state" }],
        });
        if let Some(memory) = self.memory {
            container["resources"] = json!({ "limits": { "memory": memory } });
        }
        (container, json!({ "name": "state", "emptyDir": {} }))
    }
}

fn seconds(flag: &str, time: Duration) -> String {
    format!("-{flag}={}s", time.as_secs())
}
