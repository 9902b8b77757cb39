//! The last day of an exemption: native admission takes the days that the engine takes, and no other.

use std::collections::BTreeSet;

use jiff::civil::Date;
use kube::Client;
use kube_devops::policy::{ADMISSION_DENY, DENY_ANNOTATION, WARN_ANNOTATION};
use kube_devops::workload::{EXEMPT, EXEMPT_REASON, EXEMPT_UNTIL};
use serde_json::json;

use super::objects::object;
use super::one_verdict::{annotate, send};
use crate::eventually::eventually;

/// Creates pods that exempt themselves until each of many days, and expects a denial where that is no day.
pub(super) async fn only_days_of_the_calendar_exempt(client: &Client, namespace: &str) {
    let verdict = json!({ DENY_ANNOTATION: "latest-tag;all;exempt=0001-01-01", WARN_ANNOTATION: "" });
    annotate(client, namespace, ADMISSION_DENY, verdict).await;
    let denied = async |day: &str| {
        let annotations = json!({ EXEMPT: "latest-tag", EXEMPT_REASON: "a test", EXEMPT_UNTIL: day });
        let pod = json!({ "containers": [{ "name": "web", "image": "a" }] });
        let mut pod = object("Pod", pod, &json!({}), &annotations);
        pod["metadata"]["name"] = "day".into();
        let (denied, _) = send(client, "POST", namespace, "Pod", "?dryRun=All", &pod).await.findings;
        denied
    };
    let latest_tag = BTreeSet::from([("latest-tag".to_owned(), "web".to_owned())]);
    eventually("the verdict is in effect", async || (denied("no day").await == latest_tag).then_some(()))
        .await;
    let ends = (1..=12).flat_map(|month| (28..=32).map(move |day| format!("2027-{month:02}-{day:02}")));
    let leap = ["2024", "2026", "1900", "2000", "2100", "9996"].map(|year| format!("{year}-02-29"));
    let others =
        ["2027-00-10", "2027-13-10", "2027-01-00", "2027-1-2", "2027-01-010", "20270101", "9999-12-31"];
    for day in ends.chain(leap).chain(others.map(str::to_owned)) {
        let is_day = day.parse::<Date>().is_ok_and(|parsed| parsed.to_string() == day);
        assert_eq!(denied(&day).await.is_empty(), is_day, "{day}");
    }
}
