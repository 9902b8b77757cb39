//! `AdmissionReview`, version v1: the part of a request that is read, and the response.
//!
//! Source: `staging/src/k8s.io/api/admission/v1/types.go`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::workload::{Text, WorkloadKind};

/// The only version that is read and written.
const VERSION: &str = "admission.k8s.io/v1";

/// The part of an admission request that is read. It borrows from the body.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionRequest<'a> {
    /// The id that the response repeats.
    #[serde(borrow)]
    pub uid: Text<'a>,
    /// The kind of the object.
    #[serde(borrow)]
    pub kind: RequestKind<'a>,
    /// The subresource; empty or absent for the object itself.
    #[serde(borrow)]
    pub sub_resource: Option<Text<'a>>,
    /// The namespace; empty or absent for an object without one.
    #[serde(borrow)]
    pub namespace: Option<Text<'a>>,
    /// The operation.
    pub operation: Operation,
    /// The user who sent the request.
    #[serde(borrow, default)]
    pub user_info: UserInfo<'a>,
    /// The new object, as JSON; absent for DELETE.
    #[serde(borrow)]
    pub object: Option<&'a RawValue>,
    /// The stored object, as JSON; absent for CREATE.
    #[serde(borrow)]
    pub old_object: Option<&'a RawValue>,
}

/// The group, version and kind of a request's object.
#[derive(Debug, Deserialize)]
pub struct RequestKind<'a> {
    /// The group; empty for the core group.
    #[serde(borrow)]
    pub group: Text<'a>,
    /// The version.
    #[serde(borrow)]
    pub version: Text<'a>,
    /// The kind.
    #[serde(borrow)]
    pub kind: Text<'a>,
}

/// The user who sent a request.
#[derive(Debug, Default, Deserialize)]
pub struct UserInfo<'a> {
    /// The name.
    #[serde(borrow, default)]
    pub username: Text<'a>,
}

/// The operation of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// The object is new.
    Create,
    /// The object replaces a stored one.
    Update,
    /// The object is deleted.
    Delete,
    /// A connection to a pod, such as `kubectl exec`.
    Connect,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 4] = [Self::Create, Self::Update, Self::Delete, Self::Connect];

    /// Returns the operation's label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Connect => "connect",
        }
    }
}

impl AdmissionRequest<'_> {
    /// Returns the kind of the object if a policy can evaluate the request: CREATE and UPDATE of the object itself.
    pub fn admitted_kind(&self) -> Option<WorkloadKind> {
        let is_whole = self.sub_resource.as_deref().is_none_or(str::is_empty);
        let writes = matches!(self.operation, Operation::Create | Operation::Update);
        let RequestKind { group, version, kind } = &self.kind;
        let api_version = if group.is_empty() { version.to_string() } else { format!("{group}/{version}") };
        WorkloadKind::find(&api_version, kind)
            .filter(|kind| is_whole && writes && WorkloadKind::ADMITTED.contains(kind))
    }

    /// Returns the namespace; empty for an object without one.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}

/// A body that is not an `AdmissionReview` of version v1 with a request.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct ReviewError {
    /// The request's uid, if it could be read.
    pub uid: Option<String>,
    problem: String,
}

/// Reads the body of a request.
pub fn parse_review(body: &[u8]) -> Result<AdmissionRequest<'_>, ReviewError> {
    /// The outer object, in which nothing is relied on yet.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Review<'a> {
        #[serde(borrow)]
        api_version: Option<&'a RawValue>,
        #[serde(borrow)]
        kind: Option<&'a RawValue>,
        #[serde(borrow)]
        request: Option<&'a RawValue>,
    }
    /// The request, of which only the uid is read.
    #[derive(Deserialize)]
    struct Identified {
        uid: String,
    }
    let no_review = |problem: String| ReviewError { uid: None, problem };
    let review: Review<'_> = serde_json::from_slice(body)
        .map_err(|error| no_review(format!("the body is not an AdmissionReview in JSON: {error}")))?;
    let uid = review.request.and_then(|request| serde_json::from_str::<Identified>(request.get()).ok());
    let refuse = |problem: fmt::Arguments<'_>| ReviewError {
        uid: uid.as_ref().map(|request| request.uid.clone()),
        problem: problem.to_string(),
    };
    let text = |value: Option<&RawValue>| -> Option<String> { serde_json::from_str(value?.get()).ok() };
    if text(review.kind).as_deref() != Some("AdmissionReview") {
        return Err(refuse(format_args!("kind must be AdmissionReview")));
    }
    if text(review.api_version).as_deref() != Some(VERSION) {
        return Err(refuse(format_args!("apiVersion must be {VERSION}, the only version that is served")));
    }
    let request = review.request.ok_or_else(|| refuse(format_args!("request is missing")))?;
    serde_json::from_str(request.get()).map_err(|error| refuse(format_args!("request: {error}")))
}

/// A verdict as the API server reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewAnswer {
    /// The request is allowed.
    Allowed {
        /// Texts that kubectl shows.
        warnings: Vec<String>,
    },
    /// The request is allowed after this JSON patch.
    Patched {
        /// The operations of the patch.
        patch: Value,
    },
    /// The request is refused with 403 Forbidden.
    Denied {
        /// The reason, which kubectl shows.
        message: String,
        /// Texts that kubectl shows.
        warnings: Vec<String>,
    },
}

/// Returns the `AdmissionReview` that answers the request with this uid.
pub fn answer(uid: &str, answer: &ReviewAnswer) -> Value {
    let mut response = match answer {
        ReviewAnswer::Allowed { .. } => json!({ "uid": uid, "allowed": true }),
        ReviewAnswer::Patched { patch } => json!({
            "uid": uid,
            "allowed": true,
            "patchType": "JSONPatch",
            "patch": STANDARD.encode(patch.to_string()),
        }),
        ReviewAnswer::Denied { message, .. } => json!({
            "uid": uid,
            "allowed": false,
            // Without a code kubectl shows 400.
            "status": { "status": "Failure", "code": 403, "reason": "Forbidden", "message": message },
        }),
    };
    if let ReviewAnswer::Allowed { warnings } | ReviewAnswer::Denied { warnings, .. } = answer
        && !warnings.is_empty()
    {
        response["warnings"] = json!(warnings);
    }
    json!({ "apiVersion": VERSION, "kind": "AdmissionReview", "response": response })
}

/// Returns the `AdmissionReview` with the reason why a request could not be read.
pub(super) fn refusal(error: &ReviewError, code: u16) -> Value {
    json!({
        "apiVersion": VERSION,
        "kind": "AdmissionReview",
        "response": {
            "uid": error.uid.as_deref().unwrap_or_default(),
            "allowed": false,
            "status": {
                "status": "Failure", "code": code, "reason": "BadRequest", "message": error.to_string(),
            },
        },
    })
}
