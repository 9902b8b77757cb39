//! The metric `api_requests_total`: requests to the API server, by verb and result.

use http::{Method, Uri};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, Opts};

use super::category::category;

/// The counter `api_requests_total{verb, result}`. Cloning shares the counts.
#[derive(Clone, Debug)]
pub struct ApiRequests(IntCounterVec);

impl ApiRequests {
    /// Makes a counter. A connection counts its requests if it has the counter in its options.
    pub fn new() -> prometheus::Result<Self> {
        let opts = Opts::new("api_requests_total", "Requests to the API server, by verb and result.");
        IntCounterVec::new(opts, &["verb", "result"]).map(Self)
    }

    /// Counts a request; `status` is the HTTP status, and `None` if there was no answer.
    pub(super) fn count(&self, method: &Method, url: &Uri, status: Option<u16>) {
        let result = if status.is_some_and(|code| code < 400) { "ok" } else { category(status) };
        self.0.with_label_values(&[verb(method, url), result]).inc();
    }
}

impl Collector for ApiRequests {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.collect()
    }
}

/// Returns a bounded label for a request.
fn verb(method: &Method, url: &Uri) -> &'static str {
    let query = url.query().unwrap_or_default();
    match *method {
        Method::GET if query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1")) => "watch",
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_verb_and_result() {
        let requests = ApiRequests::new().unwrap();
        let pods = "/api/v1/pods";
        for (method, url, status) in [
            (Method::GET, pods, Some(200)),
            (Method::GET, "/api/v1/pods?limit=500&watch=true", Some(200)),
            (Method::GET, "/api/v1/pods?labelSelector=watch%3Dtrue", Some(200)),
            (Method::PATCH, pods, Some(409)),
            (Method::PUT, pods, None),
        ] {
            requests.count(&method, &url.parse().unwrap(), status);
        }
        let counted = [("get", "ok"), ("watch", "ok"), ("patch", "conflict"), ("update", "unreachable")]
            .map(|labels| requests.0.with_label_values(<[&str; 2]>::from(labels).as_slice()).get());
        assert_eq!(counted, [2, 1, 1, 1]);
    }
}
