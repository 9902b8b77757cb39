//! The path from a server's certificate to a trusted one, by the rules of Go's `crypto/x509`.
//!
//! It differs from webpki's in three points: a server's certificate may be an authority's, a trusted certificate may
//! be the server's own, and roots may be of X.509 version 1. Authorities with name constraints are left to webpki.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerIncompatible};
use webpki::RawPublicKeyEntity;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

type Algorithms<'a> = &'a [&'a dyn SignatureVerificationAlgorithm];

/// The longest accepted path. A longer one would only cost time.
const LONGEST: usize = 8;
/// The largest number of signature checks for one certificate, as in Go.
const SIGNATURES: usize = 100;

/// Checks that a path leads from a server's certificate to one of the roots. It doesn't check the host name.
pub(super) fn check(
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    now: UnixTime,
    algorithms: Algorithms<'_>,
) -> Result<(), CertificateError> {
    let first = parse(leaf).ok_or(CertificateError::BadEncoding)?;
    check_validity(&first, now)?;
    if !serves(&first) {
        return Err(CertificateError::InvalidPurpose);
    }
    if roots.contains(leaf) {
        return Ok(());
    }
    let roots: Vec<_> = roots.iter().filter_map(|der| parse(der)).collect();
    let others: Vec<_> = others.iter().filter_map(|der| parse(der)).collect();
    let mut search = Search { roots: &roots, others: &others, now, algorithms, signatures: SIGNATURES };
    if search.reaches_root(&mut vec![&first]) { Ok(()) } else { Err(CertificateError::UnknownIssuer) }
}

struct Search<'a> {
    roots: &'a [X509Certificate<'a>],
    others: &'a [X509Certificate<'a>],
    now: UnixTime,
    algorithms: Algorithms<'a>,
    signatures: usize,
}

impl<'a> Search<'a> {
    fn reaches_root(&mut self, path: &mut Vec<&'a X509Certificate<'a>>) -> bool {
        let Some(last) = path.last().copied() else { return false };
        let (roots, others) = (self.roots, self.others);
        for (issuer, is_root) in
            roots.iter().map(|root| (root, true)).chain(others.iter().map(|other| (other, false)))
        {
            if issuer.subject().as_raw() != last.issuer().as_raw()
                || path.iter().any(|known| known.as_raw() == issuer.as_raw())
                || !self.may_issue(issuer, path.len() - 1)
                || !self.is_signed(last, issuer)
            {
                continue;
            }
            if is_root {
                return true;
            }
            if path.len() < LONGEST {
                path.push(issuer);
                if self.reaches_root(path) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }

    /// Returns true if a certificate is an authority's; `below` counts the authorities between it and the server.
    fn may_issue(&self, issuer: &X509Certificate<'_>, below: usize) -> bool {
        let Ok(constraints) = issuer.basic_constraints() else { return false };
        let is_authority = match constraints {
            Some(constraints) => {
                constraints.value.ca
                    && constraints.value.path_len_constraint.is_none_or(|most| below <= most as usize)
            }
            None => issuer.version() != X509Version::V3,
        };
        let may_sign = match issuer.key_usage() {
            Ok(usage) => usage.is_none_or(|usage| usage.value.key_cert_sign()),
            Err(_) => false,
        };
        let constrained = !matches!(issuer.name_constraints(), Ok(None));
        is_authority && may_sign && !constrained && check_validity(issuer, self.now).is_ok() && serves(issuer)
    }

    fn is_signed(&mut self, subject: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
        let Some(left) = self.signatures.checked_sub(1) else { return false };
        self.signatures = left;
        let oid = subject.signature_algorithm.algorithm.as_bytes();
        let Ok(length) = u8::try_from(oid.len()) else { return false };
        // An AlgorithmIdentifier begins with the tag, the length and the bytes of its OID.
        let begin = [&[6, length], oid].concat();
        let spki = SubjectPublicKeyInfoDer::from(issuer.public_key().raw);
        let Ok(key) = RawPublicKeyEntity::try_from(&spki) else { return false };
        self.algorithms.iter().filter(|one| one.signature_alg_id().starts_with(&begin)).any(|one| {
            key.verify_signature(*one, subject.tbs_certificate.as_ref(), &subject.signature_value.data)
                .is_ok()
        })
    }
}

/// Verifies a handshake's signature with the key of a certificate of any version.
pub fn verify_signed(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let certificate = parse(leaf).ok_or(CertificateError::BadEncoding)?;
    let spki = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
    let key = RawPublicKeyEntity::try_from(&spki).map_err(|_| CertificateError::BadEncoding)?;
    let candidates = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
    let (_, candidates) = candidates.ok_or(PeerIncompatible::NoSignatureSchemesInCommon)?;
    if candidates.iter().any(|one| key.verify_signature(*one, message, signed.signature()).is_ok()) {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der)
        .ok()
        .filter(|(rest, _)| rest.is_empty())
        .map(|(_, certificate)| certificate)
}

fn check_validity(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let now = i64::try_from(now.as_secs()).map_err(|_| CertificateError::Expired)?;
    let validity = certificate.validity();
    // A certificate with an unknown critical extension must be refused.
    let understood = certificate.extensions().iter().all(|extension| {
        let parsed = extension.parsed_extension();
        !extension.critical || !(parsed.unsupported() || parsed.error().is_some())
    });
    if !understood {
        Err(CertificateError::UnhandledCriticalExtension)
    } else if now < validity.not_before.timestamp() {
        Err(CertificateError::NotValidYet)
    } else if now > validity.not_after.timestamp() {
        Err(CertificateError::Expired)
    } else {
        Ok(())
    }
}

/// Returns true if a certificate is for servers. One without extended key usages is, too.
fn serves(certificate: &X509Certificate<'_>) -> bool {
    match certificate.extended_key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.any || usage.value.server_auth),
        Err(_) => false,
    }
}
