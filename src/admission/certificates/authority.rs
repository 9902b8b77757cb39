//! Makes authorities and serving certificates: ECDSA on curve P-256, with a random serial number each.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

use super::Material;

/// The common name of every authority. Key identifiers tell them apart.
const AUTHORITY: &str = "kube-devops webhook CA";
/// The common name of a serving certificate. Clients look at the alternative names only.
const LEAF: &str = "kube-devops webhook";
/// The time by which a certificate is valid before it is made, for clocks that are behind.
pub(super) const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A certificate that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate: {0}")]
pub struct IssueError(#[from] rcgen::Error);

/// The lifetimes of new certificates. Each is renewed after two thirds.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// The use of an authority.
    pub authority: SignedDuration,
    /// The use of a serving certificate.
    pub leaf: SignedDuration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { authority: SignedDuration::from_hours(365 * 24), leaf: SignedDuration::from_hours(90 * 24) }
    }
}

/// The DNS names and IP addresses that a serving certificate is valid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(Vec<String>);

impl Names {
    /// Returns the names by which the API server calls a Service, and additional ones.
    pub fn of_service(namespace: &str, service: &str, more: &[String]) -> Self {
        let base = format!("{service}.{namespace}.svc");
        let mut names = vec![format!("{service}.{namespace}"), format!("{base}.cluster.local"), base];
        names.extend(more.iter().cloned());
        names.sort();
        names.dedup();
        Self(names)
    }

    /// Returns the names, sorted.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// Makes an authority and a serving certificate, where there is nothing yet.
pub fn bootstrap(names: &Names, lifetimes: Lifetimes, now: Timestamp) -> Result<Material, IssueError> {
    let (authority, authority_key) = make_authority(lifetimes.authority, now)?;
    let (leaf, key) = issue(&authority_key, names, lifetimes.leaf, now)?;
    Ok(Material { authorities: vec![authority], authority_key, leaf, key, changed: now })
}

/// Makes an authority. Returns its certificate and its key in PEM form.
pub(super) fn make_authority(
    lifetime: SignedDuration,
    now: Timestamp,
) -> Result<(String, String), IssueError> {
    let key = KeyPair::generate()?;
    let certificate = authority_params(lifetime, now).self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Makes a serving certificate. Returns it and its key in PEM form.
pub(super) fn issue(
    authority_key: &str,
    names: &Names,
    lifetime: SignedDuration,
    now: Timestamp,
) -> Result<(String, String), IssueError> {
    // Only the name and the key of the authority become part of a certificate that it signs.
    let issuer = Issuer::new(authority_params(lifetime, now), KeyPair::from_pem(authority_key)?);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.as_slice())?;
    (params.distinguished_name, params.is_ca) = (named(LEAF), IsCa::ExplicitNoCa);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, lifetime, now);
    Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
}

fn authority_params(lifetime: SignedDuration, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(AUTHORITY);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    set_validity(&mut params, lifetime, now);
    params
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn set_validity(params: &mut CertificateParams, lifetime: SignedDuration, now: Timestamp) {
    let since_epoch = |at: Timestamp| Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0));
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(now - SKEW);
    params.not_after = epoch + since_epoch(now + lifetime);
}
