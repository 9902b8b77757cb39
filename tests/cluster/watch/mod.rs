//! `watch` as it runs in a cluster: real processes of the binary under faults.

mod access;
mod bulk;
pub(crate) mod helpers;
mod leading;
mod outages;
mod scores;
mod serving;
mod writers;
