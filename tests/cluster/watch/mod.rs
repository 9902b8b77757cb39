//! `watch` as it runs in a cluster: real processes of the binary under faults.

mod access;
mod bulk;
mod leading;
mod outages;
pub(crate) mod scene;
mod scores;
mod serving;
mod writers;
