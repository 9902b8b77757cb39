//! Probes and lifecycle hooks of a container.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

use super::Text;
use super::fields::{Fields, nullable};
use super::object_only::object_only;
use super::unread::Unread;

object_only!(
    ProbeFields<'a>,
    HttpGet<'a>,
    TcpSocket<'a>,
    Header<'a>,
    Exec<'a>,
    Grpc<'a>,
    Lifecycle<'a>,
    Handler<'a>
);

/// A probe. Its fields are read only where rules read details.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Probe<'a> {
    pub handler: Handler<'a>,
    pub grpc: Option<Box<Grpc<'a>>>,
    /// Seconds between two attempts; 10 if absent.
    pub period_seconds: i64,
    /// Failures in a row until the probe counts as failed; 3 if absent.
    pub failure_threshold: i64,
}

/// The action of a probe or of a lifecycle hook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a handler")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Handler<'a> {
    #[serde(borrow)]
    pub http_get: Option<Box<HttpGet<'a>>>,
    #[serde(borrow)]
    pub tcp_socket: Option<Box<TcpSocket<'a>>>,
    #[serde(borrow)]
    pub exec: Option<Exec<'a>>,
}

/// The hooks that run after a container starts and before it stops.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "lifecycle hooks")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Lifecycle<'a> {
    #[serde(borrow)]
    pub post_start: Option<Handler<'a>>,
    #[serde(borrow)]
    pub pre_stop: Option<Handler<'a>>,
}

/// An HTTP request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "an HTTP request")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct HttpGet<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub host: Text<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub path: Text<'a>,
    #[serde(borrow)]
    pub port: Option<Port<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub scheme: Text<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub http_headers: Vec<Header<'a>>,
}

/// A header of an HTTP request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "a header")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Header<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub name: Text<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub value: Text<'a>,
}

/// A TCP connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "a TCP socket")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct TcpSocket<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub host: Text<'a>,
    #[serde(borrow)]
    pub port: Option<Port<'a>>,
}

/// A command in the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "a command")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Exec<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub command: Vec<Text<'a>>,
}

/// A call of the gRPC health service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "a gRPC call")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Grpc<'a> {
    #[serde(default, deserialize_with = "nullable")]
    pub port: i64,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub service: Text<'a>,
}

/// A port, by its number or its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Port<'a> {
    /// The number.
    Number(i64),
    /// The name of a port that the container declares.
    Name(Text<'a>),
}

impl<'a> Handler<'a> {
    /// The port that the handler connects to.
    pub fn port(&self) -> Option<&Port<'a>> {
        let http = self.http_get.as_ref().and_then(|get| get.port.as_ref());
        http.or_else(|| self.tcp_socket.as_ref()?.port.as_ref())
    }

    /// The hosts that the handler names, each with the field that does.
    pub fn hosts(&self) -> impl Iterator<Item = (&'static str, &Text<'a>)> {
        let http = self.http_get.iter().map(|get| ("httpGet.host", &get.host));
        let tcp = self.tcp_socket.iter().map(|socket| ("tcpSocket.host", &socket.host));
        http.chain(tcp).filter(|(_, host)| !host.is_empty())
    }
}

#[derive(Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a probe")]
struct ProbeFields<'a> {
    #[serde(borrow)]
    http_get: Option<Box<HttpGet<'a>>>,
    #[serde(borrow)]
    tcp_socket: Option<Box<TcpSocket<'a>>>,
    #[serde(borrow)]
    exec: Option<Exec<'a>>,
    #[serde(borrow)]
    grpc: Option<Box<Grpc<'a>>>,
    period_seconds: Option<i64>,
    failure_threshold: Option<i64>,
    #[serde(default)]
    initial_delay_seconds: Unread<i64>,
    #[serde(default)]
    timeout_seconds: Unread<i64>,
    #[serde(default)]
    success_threshold: Unread<i64>,
    #[serde(default)]
    termination_grace_period_seconds: Unread<i64>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Probe<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !Fields::are_all() {
            super::Present::deserialize(deserializer)?;
            return Ok(Self::default());
        }
        let ProbeFields { http_get, tcp_socket, exec, grpc, period_seconds, failure_threshold, .. } =
            ProbeFields::deserialize(deserializer)?;
        // Zero is absent for the API server.
        let or = |value: Option<i64>, default| value.filter(|value| *value != 0).unwrap_or(default);
        Ok(Self {
            handler: Handler { http_get, tcp_socket, exec },
            grpc,
            period_seconds: or(period_seconds, 10),
            failure_threshold: or(failure_threshold, 3),
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Port<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PortVisitor;

        impl<'de> Visitor<'de> for PortVisitor {
            type Value = Port<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the number or the name of a port")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Port<'de>, E> {
                Ok(Port::Number(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Port<'de>, E> {
                let number = i64::try_from(number);
                number
                    .map(Port::Number)
                    .map_err(|_| E::invalid_value(Unexpected::Other("a large number"), &self))
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Port<'de>, E> {
                Ok(Port::Name(name.into()))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Port<'de>, E> {
                Ok(Port::Name(name.to_owned().into()))
            }
        }

        deserializer.deserialize_any(PortVisitor)
    }
}
