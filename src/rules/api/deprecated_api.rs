//! An object of an API that Kubernetes has removed or deprecated.

use super::lifecycle::{self, NEWEST};
use crate::rules::{Category, Check, Parameter, Rule, RuleId, Severity, TypeContext, Value, Violations};

/// The guide of Kubernetes for APIs without a known replacement.
const GUIDE: &str = "https://kubernetes.io/docs/reference/using-api/deprecation-guide/";

/// An object of an API that Kubernetes has removed or deprecated.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("deprecated-api"),
    summary: "An object of an API that Kubernetes has removed or deprecated",
    docs: "\
## What it does
Reports objects whose `apiVersion` Kubernetes 1.`minorVersion` no longer serves for their kind. An `apiVersion` that is
only deprecated by then is reported with low severity. The releases are those of Kubernetes' own API packages.

## Why is this bad
The API server refuses an object of a removed API: the next deployment after an upgrade fails. A deprecated API will
be removed.

## Example
```yaml
apiVersion: networking.k8s.io/v1beta1    # bad: removed in 1.22
kind: Ingress
```

## Exceptions
A cluster returns every object in the version that the client asks for, so the `apiVersion` of a live object says
nothing. Live objects, also in a file, are evaluated by the version that `kubectl apply` sent last, and are skipped if
there is none. Custom resources are skipped.
",
    category: Category::Api,
    severity: Severity::High,
    parameters: &[Parameter {
        name: "minorVersion",
        summary: "The minor version of the Kubernetes 1 that the objects are meant for",
        default: Value::Integer(NEWEST),
    }],
    peers: &["kube-score:stable-version", "kube-linter:no-extensions-v1beta", "popeye:403"],
    check: Check::Type(check),
    ..Rule::BASE
};

fn check(context: &TypeContext<'_>, found: &mut Violations) {
    let TypeContext { api_version, kind, path, parameters } = *context;
    let release = parameters.integer("minorVersion");
    let Some(row) = lifecycle::find(api_version, kind).filter(|row| row.deprecated <= release) else {
        return;
    };
    let (deprecated, removed) = (row.deprecated, row.removed);
    let remedy = match row.replacement_in(release) {
        Some((api_version, kind)) => format!("use {api_version} {kind}"),
        None => format!("see {GUIDE}"),
    };
    let path = format_args!("{path}");
    if removed <= release {
        let message = format_args!("{api_version} {kind} was removed in Kubernetes 1.{removed}: {remedy}");
        found.in_object(path, message);
    } else {
        found.lower_to(Severity::Low);
        let message = format_args!(
            "{api_version} {kind} is deprecated since Kubernetes 1.{deprecated}, and 1.{removed} removes it: {remedy}"
        );
        found.in_object(path, message);
    }
}
