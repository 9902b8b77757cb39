//! The certificates of the webhook: an own authority and a serving certificate in a Secret, or files from elsewhere.
//!
//! The leader makes and rotates them, and keeps the `caBundle` of the configuration in step. A rotation has three steps
//! with a pause between them: the bundle with the old and the new authority, a serving certificate of the new one, and
//! the bundle without the old one. So a client with either bundle trusts the serving certificate at any time.

mod authority;
mod files;
mod keeper;
mod loader;
mod material;
mod rotation;

pub use authority::{IssueError, Lifetimes, Names, bootstrap};
pub use files::{follow_files, load};
pub use keeper::{CertificateKeeper, KeeperSettings};
pub use loader::follow_secret;
pub use material::{Material, MaterialError};
