//! Takes the serving certificate from files that others renew, such as a Secret of cert-manager as a volume.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::runtime::ServingCertificate;

/// Serves the certificate of two files for ever, also after they were replaced. The content is compared, so the swapped
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
