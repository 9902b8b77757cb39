//! Explains TLS failures in messages that name the fix.

use rustls::{AlertDescription, CertificateError, Error as TlsError};
use std::error::Error;
use std::io;

/// Explains the TLS failure within an error; `None` if there is none.
pub(in crate::cluster) fn explain(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = tls_error(error) {
            return Some(describe(found));
        }
        next = error.source();
    }
    None
}

/// An I/O error wraps its reason without naming it as its source.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    if let Some(found) = error.downcast_ref::<TlsError>() {
        return Some(found);
    }
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    let mut next: Option<&(dyn Error + 'static)> = Some(inner);
    while let Some(error) = next {
        if let Some(found) = tls_error(error) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn describe(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(reason) => describe_certificate(reason),
        TlsError::AlertReceived(alert) => describe_alert(*alert),
        TlsError::PeerIncompatible(reason) => format!(
            "the server supports no modern cipher suite of TLS 1.2 or 1.3 ({reason:?}): update it, or its load balancer"
        ),
        TlsError::InvalidMessage(_) => {
            "it doesn't speak TLS: is the address an http:// one, or another port?".to_owned()
        }
        other => format!("the TLS handshake failed ({other})"),
    }
}

fn describe_certificate(reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer => {
            "its certificate comes from none of the trusted ones: set certificate-authority to the cluster's CA \
             (`kubectl config view --raw --minify` shows what kubectl trusts)"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: renew it, and check this machine's clock".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate isn't valid yet: check this machine's clock".to_owned()
        }
        CertificateError::NotValidForName => {
            "its certificate is for another host: set tls-server-name to a name that it has".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } if presented.is_empty() => format!(
            "its certificate has no subject alternative name, and the common name doesn't count: have one made \
             for {}",
            expected.to_str()
        ),
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "its certificate isn't for {} but for {}: set tls-server-name to one of these",
            expected.to_str(),
            presented.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ")
        ),
        CertificateError::BadEncoding => {
            "its certificate can't be read, or is of X.509 version 1: have one of version 3 made".to_owned()
        }
        CertificateError::BadSignature => {
            "the signature of its certificate, or of the handshake, is wrong: this is another server".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate isn't for servers (extended key usage): have another one made".to_owned()
        }
        other => format!("its certificate can't be accepted ({other:?}): have another one made"),
    }
}

/// Returns a name of a certificate without its type: rustls has `DnsName("localhost")` and `IpAddress(127.0.0.1)`.
fn plain(presented: &str) -> &str {
    let name = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    name.unwrap_or(presented).trim_matches('"')
}

fn describe_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the server asks for a client certificate: set client-certificate and client-key".to_owned()
        }
        AlertDescription::CertificateExpired => {
            "the client certificate has expired: log in again, or have another one made".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => {
            format!("the server refused the client certificate ({alert:?}): use one that its CA has signed")
        }
        AlertDescription::ProtocolVersion => {
            "the server supports neither TLS 1.2 nor 1.3: update it, or its load balancer".to_owned()
        }
        AlertDescription::HandshakeFailure => {
            "the server shares no cipher suite and no kind of key with this client, or refused its certificate".to_owned()
        }
        other => format!("the server ended the TLS handshake ({other:?})"),
    }
}
