//! The check of a server's certificate, as strict as Go's, for clusters and for manifests behind URLs.

mod chain;
mod pem;
mod verifier;

pub use chain::verify_signed;
pub use pem::{certificates, sections};
pub use verifier::{Authorities, Unchecked, Verifier};
