//! The TLS settings of a client: the trusted certificates and its own certificate.

use super::error::ConnectError;
use super::target::{Content, Material, Target, Trust};
use crate::trust::{Authorities, Unchecked, Verifier, certificates, sections};
use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::SectionKind;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, SignatureScheme};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

/// The problem of a certificate or its key. The text continues the name of the place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PairError {
    /// True if the key has the problem.
    pub(super) key: bool,
    pub(super) text: String,
}

/// The TLS settings that stay when the client's certificate changes.
#[derive(Clone)]
pub(super) struct Tls {
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<Arc<Identity>>,
    /// The name that the server's certificate has to be valid for, if it differs from the host.
    pub(super) server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// Reads the files of a target.
    pub(super) fn new(target: &Target) -> Result<Self, ConnectError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let Trust { insecure, server_name, authority } = &target.trust;
        let verifier: Arc<dyn ServerCertVerifier> = if *insecure || !target.server.is_secure() {
            Arc::new(Unchecked(algorithms))
        } else {
            Arc::new(Verifier::new(authorities(authority.as_ref())?, algorithms))
        };
        let server_name = server_name.as_ref().map(|(name, place)| {
            let name = ServerName::try_from(name.clone());
            name.map_err(|_| place.error("it is neither a host name nor an IP address: correct or remove it"))
        });
        let identity = target.identity.clone().map(|(certificate, key)| Identity::new(certificate, key));
        Ok(Self {
            provider,
            verifier,
            identity: identity.transpose()?.map(Arc::new),
            server_name: server_name.transpose()?,
        })
    }

    /// Builds the configuration of connections, with the certificate of an exec plugin if it printed one.
    pub(super) fn config(&self, printed: Option<&Arc<CertifiedKey>>) -> Result<ClientConfig, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier.clone());
        Ok(match (&self.identity, printed) {
            (Some(identity), _) => builder.with_client_cert_resolver(identity.clone()),
            (None, Some(key)) => builder.with_client_cert_resolver(Arc::new(Printed(key.clone()))),
            (None, None) => builder.with_no_client_auth(),
        })
    }
}

/// The client certificate of a kubeconfig or of flags. Files are read again for each connection, because they are
/// renewed.
#[derive(Debug)]
struct Identity {
    certificate: Material,
    key: Material,
    last: Mutex<Arc<CertifiedKey>>,
}

impl Identity {
    fn new(certificate: Material, key: Material) -> Result<Self, ConnectError> {
        let (chain, secret) = (certificate.read()?, key.read()?);
        let pair = certified_key(&chain, &secret).map_err(|PairError { key: of_key, text }| {
            let material = if of_key { &key } else { &certificate };
            material.place.error(format!("{}{text}", material.shown()))
        })?;
        Ok(Self { certificate, key, last: Mutex::new(Arc::new(pair)) })
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if self.certificate.is_file()
            && self.key.is_file()
            && let (Ok(chain), Ok(secret)) = (self.certificate.read(), self.key.read())
            && let Ok(pair) = certified_key(&chain, &secret)
        {
            *last = Arc::new(pair);
        }
        Some(last.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Printed(Arc<CertifiedKey>);

impl ResolvesClientCert for Printed {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl Material {
    /// Returns the content.
    pub(super) fn read(&self) -> Result<Vec<u8>, ConnectError> {
        match &self.content {
            Content::Data(data) => Ok(data.clone()),
            Content::File(path) => std::fs::read(path)
                .map_err(|reason| self.place.error(format!("cannot read {}: {reason}", path.display()))),
        }
    }

    /// Returns the path of a file.
    pub(super) fn path(&self) -> Option<&PathBuf> {
        if let Content::File(path) = &self.content { Some(path) } else { None }
    }

    fn is_file(&self) -> bool {
        self.path().is_some()
    }

    /// Returns the location as the beginning of a message.
    pub(super) fn shown(&self) -> String {
        self.path().map(|path| format!("{} ", path.display())).unwrap_or_default()
    }
}

/// Reads the trusted certificates; without any, those of the system count.
fn authorities(authority: Option<&Material>) -> Result<Authorities, ConnectError> {
    let Some(material) = authority else { return Ok(Authorities::of_system()) };
    let certificates = certificates(&material.read()?);
    let mut store = RootCertStore::empty();
    let (usable, _) = store.add_parsable_certificates(certificates.iter().cloned());
    if usable == 0 {
        let problem = format!("{}has no certificate in PEM form: correct it", material.shown());
        return Err(material.place.error(problem));
    }
    Ok(Authorities::new(certificates, material.path().cloned()))
}

/// Pairs a certificate chain with its key, both in PEM form. As in Go, the certificate may have any X.509 version.
pub(super) fn certified_key(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, PairError> {
    let chain = certificates(certificate);
    let of_certificate = |text: &str| PairError { key: false, text: text.to_owned() };
    let of_key = |text: String| PairError { key: true, text };
    let Some(leaf) = chain.first() else {
        return Err(of_certificate("has no certificate in PEM form: correct it"));
    };
    let (_, leaf) = X509Certificate::from_der(leaf)
        .map_err(|_| of_certificate("holds a certificate that can't be read: correct it"))?;
    let secret = sections(key).find_map(|(kind, der)| match kind {
        SectionKind::PrivateKey => Some(PrivateKeyDer::Pkcs8(der.into())),
        SectionKind::RsaPrivateKey => Some(PrivateKeyDer::Pkcs1(der.into())),
        SectionKind::EcPrivateKey => Some(PrivateKeyDer::Sec1(der.into())),
        _ => None,
    });
    let Some(secret) = secret else {
        let encrypted = String::from_utf8_lossy(key).contains("ENCRYPTED");
        return Err(of_key(if encrypted {
            "has an encrypted key: decrypt it with `openssl pkey -in FILE`".to_owned()
        } else {
            "has no private key in PEM form: correct it".to_owned()
        }));
    };
    let secret = aws_lc_rs::sign::any_supported_type(&secret).map_err(|reason| {
        let kinds = "RSA with 2048 to 8192 bits, P-256, P-384, P-521 and Ed25519";
        of_key(format!("has a key that can't be used ({reason}): supported are {kinds}"))
    })?;
    if let Some(public) = secret.public_key()
        && let Ok((_, public)) = SubjectPublicKeyInfo::from_der(&public)
        && public.subject_public_key.data != leaf.public_key().subject_public_key.data
    {
        return Err(of_key("is not the key of the certificate: give the one that belongs to it".to_owned()));
    }
    Ok(CertifiedKey::new(chain, secret))
}
