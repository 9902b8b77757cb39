//! What a process tells about itself: log lines on stderr and metrics for Prometheus.
//!
//! Nothing here is global but the log subscriber, and nothing knows what is logged or measured: a subsystem has a struct
//! of its own metrics and registers it from above.

pub mod logging;
pub mod metrics;

pub use logging::{LogFormat, LoggingError};
pub use metrics::{Metrics, MetricsError};
