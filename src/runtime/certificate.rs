//! The certificate that a TLS server presents. It can be replaced while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The certificate that a TLS server presents on its next connections, once there is one; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ServingCertificate(Arc<RwLock<Option<Current>>>);

#[derive(Clone, Debug)]
struct Current {
    pair: Arc<CertifiedKey>,
    not_after: Timestamp,
}

/// A certificate or a key that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// There is no certificate in PEM form.
    #[error("the certificate is not in PEM form: {0}")]
    Certificate(pem::Error),
    /// There is no certificate.
    #[error("there is no certificate")]
    Empty,
    /// There is no key in PEM form.
    #[error("the private key is not in PEM form: {0}")]
    Key(pem::Error),
    /// The key does not belong to the certificate, or its kind is not supported.
    #[error("the private key cannot be used with the certificate: {0}")]
    Pair(rustls::Error),
    /// The certificate cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
}

impl ServingCertificate {
    /// Serves this chain and key, both in PEM form, on all later connections. On an error, the former pair stays.
    ///
    /// Returns true if the pair is another one than before.
    pub fn set(&self, chain: &[u8], key: &[u8]) -> Result<bool, CertificateError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(CertificateError::Certificate)?;
        let leaf = chain.first().ok_or(CertificateError::Empty)?.clone();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(CertificateError::Key)?;
        let pair = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let pair = Arc::new(pair.map_err(CertificateError::Pair)?);
        let (_, leaf) = X509Certificate::from_der(&leaf).map_err(|_| CertificateError::Unreadable)?;
        let not_after = Timestamp::from_second(leaf.validity().not_after.timestamp());
        let not_after = not_after.map_err(|_| CertificateError::Unreadable)?;
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = current.as_ref().is_none_or(|current| current.pair.cert != pair.cert);
        *current = Some(Current { pair, not_after });
        Ok(is_new)
    }

    /// Returns the time at which the certificate expires; `None` before there is one.
    #[must_use]
    pub fn not_after(&self) -> Option<Timestamp> {
        self.current().map(|current| current.not_after)
    }

    fn current(&self) -> Option<Current> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current().map(|current| current.pair)
    }
}
