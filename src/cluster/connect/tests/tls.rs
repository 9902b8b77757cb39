//! All kinds of certificates on a real server.

use super::super::super::call::CallError;
use super::super::tls::certified_key;
use super::server::{Server, settings};
use super::{Cluster, Overrides, attempt, fixture};
use crate::trust::verify_signed;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P521_SHA512, SignatureAlgorithm, date_time_ymd,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::sync::Arc;

/// A certificate and its key.
struct Made {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
    pem: String,
}

impl Made {
    fn new(params: CertificateParams, issuer: Option<&Self>) -> Self {
        Self::with(&PKCS_ECDSA_P256_SHA256, params, issuer)
    }

    fn with(kind: &'static SignatureAlgorithm, params: CertificateParams, issuer: Option<&Self>) -> Self {
        let key = KeyPair::generate_for(kind).unwrap();
        let certificate = match issuer {
            Some(issuer) => {
                params.signed_by(&key, &Issuer::from_params(&issuer.params, &issuer.key)).unwrap()
            }
            None => params.self_signed(&key).unwrap(),
        };
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Self { params, key, der, pem }
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}

fn leaf() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "api.test".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "leaf");
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn as_authority(mut params: CertificateParams) -> CertificateParams {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// Asks a server for its version, and trusts the certificates of a PEM text.
async fn ask(server: &[&Made], trusted: &str, more: &str) -> Result<(), String> {
    let chain = server.iter().map(|made| made.der.clone()).collect();
    let server = Server::start(Some(settings(chain, server[0].key(), None))).await;
    let cluster = serde_json::json!({
        "server": format!("https://127.0.0.1:{}", server.port),
        "certificate-authority-data": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, trusted),
    });
    let cluster = cluster.to_string().replacen('{', &format!("{{{more}"), 1);
    let cluster = attempt(&cluster, "{token: t}", Overrides::default()).await?;
    version(&cluster).await.map_err(|error| error.to_string())
}

pub(super) async fn version(cluster: &Cluster) -> Result<(), CallError> {
    cluster.call(|client| async move { client.apiserver_version().await }).await.map(|_| ())
}

#[tokio::test]
async fn certificates_that_go_accepts_are_accepted() {
    let root = Made::new(authority("root"), None);
    let middle = Made::new(authority("middle"), Some(&root));
    let usual = Made::new(leaf(), Some(&root));
    let below = Made::new(leaf(), Some(&middle));
    let own = Made::new(as_authority(leaf()), None);
    let pinned = Made::new(leaf(), Some(&root));
    let plain = Made::new(leaf(), None);
    let both = Made::new(as_authority(leaf()), Some(&root));
    let both_below = Made::new(as_authority(leaf()), Some(&middle));
    let large_root = Made::with(&PKCS_ECDSA_P521_SHA512, authority("large"), None);
    let large = Made::with(&PKCS_ECDSA_P521_SHA512, leaf(), Some(&large_root));
    let other = Made::new(authority("other"), None);
    for (name, server, trusted) in [
        ("of an authority", vec![&usual], root.pem.clone()),
        ("of an intermediate one", vec![&below, &middle], root.pem.clone()),
        ("self-signed, with CA:TRUE", vec![&own], own.pem.clone()),
        ("self-signed, without", vec![&plain], plain.pem.clone()),
        ("pinned", vec![&pinned], pinned.pem.clone()),
        ("pinned beside others", vec![&pinned], format!("{}{}", other.pem, pinned.pem)),
        ("an authority's, of an authority", vec![&both], root.pem.clone()),
        ("an authority's, of an intermediate one", vec![&both_below, &middle], root.pem.clone()),
        ("P-521", vec![&large], large_root.pem.clone()),
        ("P-521, pinned", vec![&large], large.pem.clone()),
        ("an intermediate authority is trusted", vec![&below], middle.pem.clone()),
    ] {
        assert_eq!(ask(&server, &trusted, "").await, Ok(()), "{name}");
        let wrong = ask(&server, &other.pem, "").await.unwrap_err();
        assert!(wrong.contains("comes from none of the trusted ones"), "{name}: {wrong}");
        let skipped = ask(&server, "", r#""insecure-skip-tls-verify": true,"#).await;
        assert_eq!(skipped, Ok(()), "{name}");
    }
}

#[tokio::test]
async fn a_trusted_certificate_must_match_host_date_and_usage() {
    let root = Made::new(authority("root"), None);
    let mut expired = as_authority(leaf());
    expired.not_after = date_time_ymd(2020, 1, 1);
    let mut future = as_authority(leaf());
    future.not_before = date_time_ymd(4000, 1, 1);
    future.not_after = date_time_ymd(4001, 1, 1);
    let mut elsewhere = as_authority(CertificateParams::new(vec!["api.test".to_owned()]).unwrap());
    elsewhere.distinguished_name.push(rcgen::DnType::CommonName, "127.0.0.1");
    let mut nameless = as_authority(CertificateParams::default());
    nameless.distinguished_name.push(rcgen::DnType::CommonName, "127.0.0.1");
    let mut client = as_authority(leaf());
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    for (params, expected) in [
        (expired, "has expired"),
        (future, "isn't valid yet"),
        (elsewhere.clone(), "isn't for 127.0.0.1 but for api.test: set"),
        (nameless, "has no subject alternative name"),
        (client, "isn't for servers"),
    ] {
        for issuer in [None, Some(&root)] {
            let made = Made::new(params.clone(), issuer);
            let trusted = issuer.unwrap_or(&made).pem.clone();
            let error = ask(&[&made], &trusted, "").await.unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
    let made = Made::new(elsewhere, None);
    assert_eq!(ask(&[&made], &made.pem, r#""tls-server-name": "api.test","#).await, Ok(()));
}

#[tokio::test]
async fn an_authority_must_be_marked_and_may_be_constrained() {
    let root = Made::new(authority("root"), None);
    let no_authority = Made::new(leaf(), Some(&root));
    let mut short = authority("short");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let short = Made::new(short, None);
    let below_short = Made::new(authority("below"), Some(&short));
    let mut mute = authority("mute");
    mute.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let mute = Made::new(mute, None);
    for (name, middle, root) in [
        ("no authority", &no_authority, &root),
        ("too long", &below_short, &short),
        ("no signer", &mute, &mute),
    ] {
        let made = Made::new(as_authority(leaf()), Some(middle));
        let error = ask(&[&made, middle], &root.pem, "").await.unwrap_err();
        assert!(error.contains("certificate"), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_renewed_authority_is_read_again() {
    let (first, second) = (Made::new(authority("root"), None), Made::new(authority("root"), None));
    let made = Made::new(leaf(), Some(&second));
    let server = Server::start(Some(settings(vec![made.der.clone()], made.key(), None))).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, &first.pem).unwrap();
    let flags = Overrides { certificate_authority: Some(file.clone()), ..Overrides::default() };
    let server = format!("{{server: 'https://127.0.0.1:{}'}}", server.port);
    let cluster = attempt(&server, "{}", flags).await.unwrap();
    assert!(version(&cluster).await.is_err());
    std::fs::write(&file, &second.pem).unwrap();
    assert!(version(&cluster).await.is_ok());
}

/// Accepts only one client certificate, of any version, if the client has its key.
#[derive(Debug)]
struct Known(CertificateDer<'static>);

impl ClientCertVerifier for Known {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        assert_eq!(*leaf, self.0);
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls13_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signed(message, leaf, signed, &aws_lc_rs::default_provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test]
async fn client_certificates_of_version_1_and_with_p_521_are_sent() {
    let root = Made::new(authority("root"), None);
    let made = Made::new(leaf(), Some(&root));
    let large = Made::with(&PKCS_ECDSA_P521_SHA512, leaf(), None);
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("ca"), &root.pem).unwrap();
    std::fs::write(path("large"), &large.pem).unwrap();
    std::fs::write(path("large-key"), large.key.serialize_pem()).unwrap();
    for (certificate, key) in
        [(fixture("tls/client.pem"), fixture("tls/client-key.pem")), (path("large"), path("large-key"))]
    {
        let pair =
            certified_key(&std::fs::read(&certificate).unwrap(), &std::fs::read(&key).unwrap()).unwrap();
        let known = Arc::new(Known(pair.cert[0].clone()));
        let server = Server::start(Some(settings(vec![made.der.clone()], made.key(), Some(known)))).await;
        let flags = Overrides {
            certificate_authority: Some(path("ca")),
            client_certificate: Some(certificate),
            client_key: Some(key),
            ..Overrides::default()
        };
        let server = format!("{{server: 'https://127.0.0.1:{}'}}", server.port);
        let cluster = attempt(&server, "{}", flags).await.unwrap();
        assert!(version(&cluster).await.is_ok());
    }
}

#[test]
fn unusable_keys_are_explained() {
    let read = |name: &str| std::fs::read(fixture(name)).unwrap();
    let (certificate, key) = (read("tls/client.pem"), read("tls/client-key.pem"));
    let error = |certificate: &[u8], key: &[u8]| certified_key(certificate, key).unwrap_err();
    assert!(certified_key(&certificate, &key).is_ok());
    assert!(error(b"", &key).text.contains("no certificate in PEM form"));
    assert!(error(&certificate, b"").text.contains("no private key in PEM form"));
    assert!(error(&certificate, &read("tls/ca-key.pem")).text.contains("is not the key of the certificate"));
    let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert!(error(&certificate, encrypted).text.contains("openssl pkey"));
}

#[tokio::test]
async fn a_server_without_tls_and_a_bad_certificate_have_different_errors() {
    let server = Server::start(None).await;
    let cluster = format!("{{server: 'https://127.0.0.1:{}', insecure-skip-tls-verify: true}}", server.port);
    let cluster = attempt(&cluster, "{}", Overrides::default()).await.unwrap();
    let error = version(&cluster).await.unwrap_err().to_string();
    assert!(error.contains("doesn't speak TLS"), "{error}");
}
