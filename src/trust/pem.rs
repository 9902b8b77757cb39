//! The sections of PEM texts.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{PemObject as _, SectionKind};

/// Returns all certificates of a PEM text. Other sections are skipped.
pub fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    sections(pem)
        .filter(|(kind, _)| *kind == SectionKind::Certificate)
        .map(|(_, der)| CertificateDer::from(der))
        .collect()
}

/// Returns all readable sections of a PEM text.
pub fn sections(pem: &[u8]) -> impl Iterator<Item = (SectionKind, Vec<u8>)> + '_ {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).filter_map(Result::ok)
}
