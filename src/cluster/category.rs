//! Bounded labels for failed calls, in metrics.

/// Returns the label of an HTTP status; `None` stands for a call without an answer.
pub fn category(code: Option<u16>) -> &'static str {
    match code {
        Some(401 | 403) => "forbidden",
        Some(404) => "not_found",
        Some(409) => "conflict",
        Some(410) => "expired",
        Some(422) => "invalid",
        Some(429) => "busy",
        Some(_) => "refused",
        None => "unreachable",
    }
}
