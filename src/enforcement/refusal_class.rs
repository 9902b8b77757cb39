//! Classifies the refusals of writes to workloads by the API server. Only their text tells some of them apart.

use kube::core::Status;

/// The reason why the API server refused a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalClass {
    /// The object is gone, or another one has its name.
    Gone,
    /// Another field manager owns a field with another value.
    FieldConflict,
    /// Another client wrote the object after it was read.
    Stale,
    /// The server timed out or failed.
    Unavailable,
    /// A `ResourceQuota` has no room.
    QuotaExceeded,
    /// An admission webhook or policy denied the write.
    AdmissionDenied,
    /// RBAC does not allow the write.
    Forbidden,
    /// The object is invalid, or the request is wrong in another way.
    Invalid,
}

impl RefusalClass {
    /// Classifies an error response.
    pub fn of(status: &Status) -> Self {
        match status.code {
            404 => Self::Gone,
            409 if status.message.contains("uid mismatch") => Self::Gone,
            409 if is_field_conflict(status) => Self::FieldConflict,
            409 => Self::Stale,
            429 | 500.. if !is_denial(status) => Self::Unavailable,
            _ if is_quota_exceeded(&status.message) => Self::QuotaExceeded,
            _ if is_denial(status) => Self::AdmissionDenied,
            403 => Self::Forbidden,
            _ => Self::Invalid,
        }
    }
}

/// Returns true if a message, in a response or in a controller's condition, reports an exceeded quota.
pub(super) fn is_quota_exceeded(message: &str) -> bool {
    message.contains("exceeded quota")
}

/// Returns true if other managers own fields. Such a response names each of them; a response about a stale version
/// names none.
fn is_field_conflict(status: &Status) -> bool {
    let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
    causes.iter().any(|cause| cause.reason == "FieldManagerConflict")
}

/// Returns true if a webhook or an admission policy denied the write, but not if a webhook could not be called.
fn is_denial(status: &Status) -> bool {
    ["admission webhook", "ValidatingAdmissionPolicy", "admission denied"]
        .iter()
        .any(|words| status.message.contains(words))
        && !status.message.contains("failed calling webhook")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_refusal_has_its_class() {
        let class = |code: u16, message: &str, causes: &Value| {
            let status = json!({ "message": message, "code": code, "details": { "causes": causes } });
            RefusalClass::of(&serde_json::from_value(status).unwrap())
        };
        let none = json!([]);
        let conflict = json!([{ "reason": "FieldManagerConflict", "message": "m", "field": ".spec" }]);
        let uid = "uid mismatch: the provided object specified uid a, and no existing object was found";
        let denied = "admission webhook \"x\" denied the request";
        for (code, message, causes, expected) in [
            (404, "not found", &none, RefusalClass::Gone),
            (409, uid, &none, RefusalClass::Gone),
            (409, "the object has been modified", &none, RefusalClass::Stale),
            (409, "Apply failed with 1 conflict", &conflict, RefusalClass::FieldConflict),
            (403, "exceeded quota: small", &none, RefusalClass::QuotaExceeded),
            (403, "cannot patch resource", &none, RefusalClass::Forbidden),
            (403, denied, &none, RefusalClass::AdmissionDenied),
            (500, denied, &none, RefusalClass::AdmissionDenied),
            (500, "failed calling webhook \"x\"", &none, RefusalClass::Unavailable),
            (422, "spec: Invalid value", &none, RefusalClass::Invalid),
            (429, "slow down", &none, RefusalClass::Unavailable),
        ] {
            assert_eq!(class(code, message, causes), expected, "{code} {message}");
        }
    }
}
