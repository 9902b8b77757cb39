//! Takes the serving certificate from files that others renew, such as a Secret of cert-manager as a volume.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::runtime::ServingCertificate;

/// Serves the certificate of two files, and reloads it when they change. Never returns. The content is compared, so the swapped
/// symbolic links of a volume count too.
pub async fn follow_files(
    chain: PathBuf,
    key: PathBuf,
    certificate: ServingCertificate,
    interval: SignedDuration,
) {
    let interval: Duration = interval.unsigned_abs();
    let mut problem = String::new();
    loop {
        sleep(interval).await;
        match load(&chain, &key, &certificate) {
            Ok(is_new) => {
                if is_new {
                    info!(expires = %certificate.not_after().unwrap_or_default(), "serving a new certificate");
                }
                problem.clear();
            }
            // One file may be newer than the other for a moment. The former pair stays in use.
            Err(error) if error != problem => {
                warn!(error, "no new certificate");
                problem = error;
            }
            Err(_) => {}
        }
    }
}

/// Serves the certificate of two files. Returns true if it is another one than before.
pub fn load(chain: &Path, key: &Path, certificate: &ServingCertificate) -> Result<bool, String> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()));
    let (chain_pem, key_pem) = (read(chain)?, read(key)?);
    certificate
        .set(&chain_pem, &key_pem)
        .map_err(|error| format!("{} and {}: {error}", chain.display(), key.display()))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use jiff::Timestamp;

    use super::*;
    use crate::admission::certificates::{Lifetimes, Names, bootstrap};

    /// Lays a pair into a volume as the kubelet does: in a directory of its own, to which `..data` is then swapped.
    fn publish(volume: &Path, version: &str, hours: i64) {
        let lifetime = SignedDuration::from_hours(hours);
        let lifetimes = Lifetimes { authority: lifetime, leaf: lifetime };
        let names = Names::of_service("home", "webhook", &[]);
        let made = bootstrap(&names, lifetimes, Timestamp::UNIX_EPOCH).unwrap();
        let directory = volume.join(version);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("tls.crt"), &made.leaf).unwrap();
        fs::write(directory.join("tls.key"), &made.key).unwrap();
        symlink(version, volume.join("..data_tmp")).unwrap();
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_swapped_link_of_a_mounted_secret_is_served_and_a_broken_pair_is_not() {
        let volume = tempfile::tempdir().unwrap();
        let path = volume.path();
        publish(path, "..2026_01", 10);
        let (chain, key) = (path.join("tls.crt"), path.join("tls.key"));
        symlink("..data/tls.crt", &chain).unwrap();
        symlink("..data/tls.key", &key).unwrap();
        let certificate = ServingCertificate::default();
        assert_eq!(load(&chain, &key, &certificate), Ok(true));
        assert_eq!(load(&chain, &key, &certificate), Ok(false), "the same pair");
        let interval = SignedDuration::from_secs(1);
        let follow = tokio::spawn(follow_files(chain.clone(), key.clone(), certificate.clone(), interval));
        let first = certificate.not_after();
        publish(path, "..2026_02", 20);
        while certificate.not_after() == first {
            sleep(Duration::from_secs(1)).await;
        }
        let second = certificate.not_after();
        fs::write(path.join("..2026_02/tls.key"), "no key").unwrap();
        assert!(load(&chain, &key, &certificate).is_err());
        sleep(Duration::from_secs(5)).await;
        assert_eq!(certificate.not_after(), second, "the former pair stays");
        publish(path, "..2026_03", 30);
        while certificate.not_after() == second {
            sleep(Duration::from_secs(1)).await;
        }
        follow.abort();
    }
}
