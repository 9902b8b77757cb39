//! The defaults of a policy as fixes of rules take them.

use std::collections::BTreeMap;

use super::{Amount, DevOpsPolicySpec};
use crate::rules::{Defaults, ProbeDefaults, ResourceDefaults};

impl DevOpsPolicySpec {
    /// The values that this policy gives to containers without their own.
    pub fn fix_defaults(&self) -> Defaults {
        let probe = self.default_probe.clone().unwrap_or_default();
        let seconds = |seconds: u32| i32::try_from(seconds).unwrap_or(i32::MAX);
        let resources = self.default_resources.as_ref().map(|defaults| ResourceDefaults {
            requests: amounts(defaults.cpu_request.as_ref(), defaults.memory_request.as_ref()),
            limits: amounts(defaults.cpu_limit.as_ref(), defaults.memory_limit.as_ref()),
        });
        Defaults {
            probe: ProbeDefaults {
                tcp_port: probe.tcp_port,
                initial_delay_seconds: probe.initial_delay_seconds.map(seconds),
                period_seconds: probe.period_seconds.map(seconds),
            },
            resources,
        }
    }
}

fn amounts(cpu: Option<&Amount>, memory: Option<&Amount>) -> BTreeMap<&'static str, String> {
    let amounts = [("cpu", cpu), ("memory", memory)];
    amounts.into_iter().filter_map(|(name, amount)| Some((name, amount?.to_string()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_keep_their_spelling() {
        let spec: DevOpsPolicySpec = yaml_serde::from_str(
            "{defaultProbe: {tcpPort: 80, periodSeconds: 5}, defaultResources: {cpuRequest: 2, memoryLimit: 1Gi}}",
        )
        .unwrap();
        let expected = Defaults {
            probe: ProbeDefaults { tcp_port: Some(80), initial_delay_seconds: None, period_seconds: Some(5) },
            resources: Some(ResourceDefaults {
                requests: BTreeMap::from([("cpu", "2".to_owned())]),
                limits: BTreeMap::from([("memory", "1Gi".to_owned())]),
            }),
        };
        assert_eq!(spec.fix_defaults(), expected);
        assert_eq!(DevOpsPolicySpec::default().fix_defaults(), Defaults::default());
    }
}
