//! The configuration of a project: the file `.kube-devops.yaml`.

mod check;
mod error;
mod file;
mod parts;
mod read;
mod schema;
mod value;

pub use error::ConfigError;
pub use file::{Config, ExemptionConfig, FILE_NAME};
pub use read::ConfigFile;
pub use schema::schema;
