//! The metric `leader`. Each scrape reads the leadership, so the value is never out of date.

use super::Leadership;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Opts};

/// The gauge `leader{name}`: 1 on the replica that holds the Lease, 0 on the others.
#[derive(Debug)]
pub struct LeaderCollector {
    leadership: Leadership,
    gauge: IntGauge,
}

impl LeaderCollector {
    /// Makes the gauge for a leadership; `lease` is the name of its Lease.
    pub fn new(leadership: Leadership, lease: &str) -> prometheus::Result<Self> {
        let help = "1 if this replica holds the Lease, else 0.";
        let gauge = IntGauge::with_opts(Opts::new("leader", help).const_label("name", lease))?;
        Ok(Self { leadership, gauge })
    }
}

impl Collector for LeaderCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge.set(self.leadership.is_leader().into());
        self.gauge.collect()
    }
}
