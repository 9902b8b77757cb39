//! Verifies a server's certificate exactly as strictly as Go does.
//!
//! webpki's check comes first. A certificate that it refuses is checked again by [`chain`], which follows Go and accepts
//! two more kinds: a certificate that is an authority itself, and one that is in the bundle. The host name and the
//! handshake's signature are checked in any case.

use super::chain;
use super::pem::certificates;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

/// The trusted certificates.
#[derive(Debug)]
pub struct Authorities {
    store: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
    /// The file that holds them, which may be renewed.
    path: Option<PathBuf>,
}

impl Authorities {
    /// Wraps certificates. Unparsable ones are skipped.
    pub fn new(certificates: Vec<CertificateDer<'static>>, path: Option<PathBuf>) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates.iter().cloned());
        Self { store, certificates, path }
    }

    /// Returns the authorities of the system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    pub fn of_system() -> Self {
        Self::new(rustls_native_certs::load_native_certs().certs, None)
    }

    /// Reads the file again; `None` if it is unchanged.
    fn renewed(&self) -> Option<Self> {
        let certificates = certificates(&std::fs::read(self.path.as_ref()?).ok()?);
        (!certificates.is_empty() && certificates != self.certificates)
            .then(|| Self::new(certificates, self.path.clone()))
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(leaf)?;
        let strict =
            verify_server_cert_signed_by_trust_anchor(&parsed, &self.store, others, now, algorithms.all);
        if let Err(refused) = strict {
            let lenient = chain::check(leaf, others, &self.certificates, now, algorithms.all);
            lenient.map_err(|reason| match refused {
                // webpki's reason has no counterpart in Go, so the chain's error is more helpful.
                Error::InvalidCertificate(CertificateError::Other(_)) => reason.into(),
                refused => refused,
            })?;
        }
        verify_server_name(&parsed, name)
    }
}

/// Verifies certificates against authorities.
#[derive(Debug)]
pub struct Verifier {
    authorities: RwLock<Arc<Authorities>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Creates a verifier from authorities and signature algorithms.
    pub fn new(authorities: Authorities, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { authorities: RwLock::new(Arc::new(authorities)), algorithms }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authorities = self.authorities.read().unwrap_or_else(PoisonError::into_inner).clone();
        let outcome = authorities.check(leaf, others, name, now, &self.algorithms);
        if outcome.is_err()
            && let Some(renewed) = authorities.renewed()
        {
            renewed.check(leaf, others, name, now, &self.algorithms)?;
            *self.authorities.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(renewed);
            return Ok(ServerCertVerified::assertion());
        }
        outcome.map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Accepts every certificate, for `insecure-skip-tls-verify`.
#[derive(Debug)]
pub struct Unchecked(pub WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        chain::verify_signed(message, leaf, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        chain::verify_signed(message, leaf, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
