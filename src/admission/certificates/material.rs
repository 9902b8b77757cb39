//! The content of the Secret: authorities, serving certificate and their keys.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// The annotation with the time of the last step of a rotation.
pub(super) const CHANGED: &str = "devops.stochastic.io/certificates-changed-at";

/// The last line of a certificate in PEM form.
const END: &str = "-----END CERTIFICATE-----\n";

const AUTHORITIES: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const LEAF: &str = "tls.crt";
const KEY: &str = "tls.key";

/// The certificates of the webhook and their keys, in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// The authorities that clients trust, the newest first. Only the newest signs.
    pub authorities: Vec<String>,
    /// The key of the newest authority.
    pub authority_key: String,
    /// The serving certificate.
    pub leaf: String,
    /// The key of the serving certificate.
    pub key: String,
    /// The time of the last change.
    pub changed: Timestamp,
}

/// A Secret that does not hold certificates.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// A key is missing, or it is no text.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A certificate cannot be read.
    #[error("{0} holds no certificate that can be read")]
    Unreadable(&'static str),
}

/// The properties of a certificate that a rotation depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Properties {
    /// The start of its validity.
    pub(super) not_before: Timestamp,
    /// The end of its validity.
    pub(super) not_after: Timestamp,
    /// The identifier of its own key.
    pub(super) key: Vec<u8>,
    /// The identifier of the key that signed it.
    pub(super) signed_by: Vec<u8>,
    /// Its DNS names and IP addresses, sorted.
    pub(super) names: Vec<String>,
}

impl Material {
    /// Reads the data of a Secret. `changed` is the time of its last change.
    pub fn from_data(
        data: &BTreeMap<String, ByteString>,
        changed: Option<Timestamp>,
    ) -> Result<Self, MaterialError> {
        let text = |key: &'static str| {
            let bytes = data.get(key).filter(|bytes| !bytes.0.is_empty());
            let text = bytes.and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
            text.ok_or(MaterialError::Missing(key))
        };
        let bundle = text(AUTHORITIES)?;
        let authorities = bundle.split_inclusive(END).filter(|pem| pem.contains(END)).map(str::to_owned);
        let material = Self {
            authorities: authorities.collect(),
            authority_key: text(AUTHORITY_KEY)?,
            leaf: text(LEAF)?,
            key: text(KEY)?,
            changed: changed.unwrap_or(Timestamp::UNIX_EPOCH),
        };
        if material.authorities.is_empty() {
            return Err(MaterialError::Unreadable(AUTHORITIES));
        }
        Ok(material)
    }

    /// Returns the data of a Secret.
    pub fn to_data(&self) -> BTreeMap<String, ByteString> {
        [
            (AUTHORITIES, self.bundle()),
            (AUTHORITY_KEY, self.authority_key.clone()),
            (LEAF, self.leaf.clone()),
            (KEY, self.key.clone()),
        ]
        .map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())))
        .into()
    }

    /// Returns the authorities as one text, for a `caBundle`.
    pub fn bundle(&self) -> String {
        self.authorities.concat()
    }

    /// Returns true if the serving certificate and its key belong together.
    pub(super) fn is_pair(&self) -> bool {
        let (chain, key) = (
            CertificateDer::pem_slice_iter(self.leaf.as_bytes()).flatten().collect(),
            PrivateKeyDer::from_pem_slice(self.key.as_bytes()),
        );
        key.is_ok_and(|key| CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).is_ok())
    }

    pub(super) fn properties(&self) -> Result<(Vec<Properties>, Properties), MaterialError> {
        let authorities = self.authorities.iter().map(|pem| properties(pem, AUTHORITIES));
        Ok((authorities.collect::<Result<_, _>>()?, properties(&self.leaf, LEAF)?))
    }
}

/// Returns the authorities of a bundle that can be read, the newest first.
pub(super) fn readable_authorities(bundle: &str) -> Vec<String> {
    let all = bundle.split_inclusive(END).filter(|pem| properties(pem, AUTHORITIES).is_ok());
    all.map(str::to_owned).collect()
}

fn properties(pem: &str, key: &'static str) -> Result<Properties, MaterialError> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| MaterialError::Unreadable(key))?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| MaterialError::Unreadable(key))?;
    let time = |seconds: i64| Timestamp::from_second(seconds).map_err(|_| MaterialError::Unreadable(key));
    let mut properties = Properties {
        not_before: time(certificate.validity().not_before.timestamp())?,
        not_after: time(certificate.validity().not_after.timestamp())?,
        key: Vec::new(),
        signed_by: Vec::new(),
        names: Vec::new(),
    };
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => properties.key = id.0.to_vec(),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                properties.signed_by = id.key_identifier.as_ref().map(|id| id.0.to_vec()).unwrap_or_default();
            }
            ParsedExtension::SubjectAlternativeName(names) => {
                properties.names = names.general_names.iter().filter_map(name).collect();
                properties.names.sort();
            }
            _ => {}
        }
    }
    Ok(properties)
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|bytes| std::net::Ipv4Addr::from(bytes).to_string());
            let v6 = || <[u8; 16]>::try_from(*bytes).map(|bytes| std::net::Ipv6Addr::from(bytes).to_string());
            v4.or_else(|_| v6()).ok()
        }
        _ => None,
    }
}
