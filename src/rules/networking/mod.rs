//! Rules about traffic: it arrives where it should, and nowhere else.

use super::Rule;

mod dangling_ingress;
mod dangling_network_policy;
mod dangling_service;
mod exposed_service;
mod missing_governing_service;
mod missing_network_policy;
mod plaintext_ingress;
mod service_without_endpoints;
mod unresolved_target_port;

pub(super) static RULES: &[&Rule] = &[
    &dangling_ingress::RULE,
    &dangling_network_policy::RULE,
    &dangling_service::RULE,
    &exposed_service::RULE,
    &missing_governing_service::RULE,
    &missing_network_policy::RULE,
    &plaintext_ingress::RULE,
    &service_without_endpoints::RULE,
    &unresolved_target_port::RULE,
];
