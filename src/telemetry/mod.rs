//! A process's reports about itself: log lines on stderr and metrics for Prometheus.
//!
//! Only the log subscriber is global. This module does not know what is logged or measured: each subsystem has its own
//! metrics struct, and the caller above registers it.

pub mod logging;
pub mod metrics;

pub use logging::{LogFormat, LoggingError};
pub use metrics::{Metrics, MetricsError};
