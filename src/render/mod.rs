//! Renders Helm charts and kustomizations with the programs that the user has installed.
//!
//! The input comes from a repository that nobody has to trust. A program runs without plugins, post-renderers and
//! executable functions, it reaches no network, and it ends after a time limit.

mod chart;
mod kustomization;
mod links;
mod options;
mod origins;
mod packages;
mod program;
mod schemas;
mod template_lines;

pub use options::Options;
pub use origins::Origins;
pub use packages::{Rendering, render};
