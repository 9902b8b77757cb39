//! Keeps the verdict of each namespace on its Namespace, where the native admission policies read it.
//!
//! A change of a policy or of a Namespace makes the namespace due. The leader compares the keys that a due Namespace
//! has with those that it should have, and writes the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use k8s_openapi::api::core::v1::Namespace;
use kube::Resource as _;
use kube::api::{Api, ObjectMeta, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use tokio::sync::Notify;
use tracing::{info, warn};

use super::AdmissionState;
use super::awaited_verdicts::AwaitedVerdicts;
use super::namespace_keys::{NamespaceKeys, suspended_until};
use super::restorations::Restorations;
use crate::cluster::{CallError, Cluster, Events};
use crate::governance::AnnotatedExemptions;
use crate::manifests::AdmissionSettings;
use crate::policies::Policies;
use crate::policy::AdmissionVerdict;

/// The field manager that owns the keys.
const KEY_MANAGER: &str = "kube-devops-admission";

/// The Namespaces of a cluster, and the verdicts that belong on them.
pub(super) struct NativeAdmission {
    cluster: Cluster,
    events: Arc<Events>,
    policies: Arc<Policies>,
    clock: fn() -> Timestamp,
    /// The choices that the installed policies are compared with.
    pub(super) settings: AdmissionSettings,
    known: Mutex<BTreeMap<String, KnownNamespace>>,
    due: Mutex<BTreeSet<String>>,
    awaited: Mutex<AwaitedVerdicts>,
    /// The reason why the admission policies are not in effect.
    missing: Mutex<Option<String>>,
    /// Notified when a namespace becomes due.
    pub(super) woken: Notify,
}

/// A Namespace as it was seen last.
#[derive(Debug, Clone, Default)]
struct KnownNamespace {
    uid: Option<String>,
    version: u64,
    keys: NamespaceKeys,
    is_going: bool,
    suspended_until: Option<Timestamp>,
    /// The exemptions that it declares.
    exemptions: AnnotatedExemptions,
    /// The keys that were last found complete.
    complete: Option<NamespaceKeys>,
    restorations: Restorations,
    problem: Option<String>,
}

impl KnownNamespace {
    /// Notes the keys of the Namespace after a write, unless the watch has shown a later state meanwhile.
    fn note_keys(&mut self, written: &ObjectMeta) {
        let version = version(written);
        if version >= self.version {
            self.version = version;
            self.keys = NamespaceKeys::of(written);
        }
    }
}

/// The result of looking at a due Namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Synced {
    /// The keys are right, and were right before.
    Unchanged,
    /// The keys were written, or a problem came or went.
    Changed,
    /// The Namespace is due again at this time.
    Later(Timestamp),
}

impl NativeAdmission {
    pub(super) fn new(
        cluster: Cluster,
        events: Arc<Events>,
        policies: Arc<Policies>,
        settings: AdmissionSettings,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self {
            cluster,
            events,
            policies,
            clock,
            settings,
            known: Mutex::default(),
            due: Mutex::default(),
            awaited: Mutex::default(),
            missing: Mutex::default(),
            woken: Notify::new(),
        }
    }

    /// Makes a namespace due.
    pub(super) fn wake(&self, namespace: &str) {
        lock(&self.awaited).begin(namespace, (self.clock)());
        lock(&self.due).insert(namespace.to_owned());
        self.woken.notify_one();
    }

    /// Makes every namespace due.
    pub(super) fn wake_all(&self) {
        let all: Vec<_> = lock(&self.known).keys().cloned().collect();
        let now = (self.clock)();
        for name in &all {
            lock(&self.awaited).begin(name, now);
        }
        lock(&self.due).extend(all);
        self.woken.notify_one();
    }

    /// Takes the namespaces that are due.
    pub(super) fn take_due(&self) -> BTreeSet<String> {
        std::mem::take(&mut *lock(&self.due))
    }

    /// Returns the time until which a reconcile waits for the verdicts of namespaces; `None` if it need not wait.
    pub(super) fn awaited<'n>(&self, namespaces: impl IntoIterator<Item = &'n String>) -> Option<Timestamp> {
        let (mut awaited, now) = (lock(&self.awaited), (self.clock)());
        // Each is asked for, so that its policies are woken.
        namespaces.into_iter().filter_map(|namespace| awaited.ask(namespace, now)).max()
    }

    /// Notes that a due Namespace was looked at. Returns true if a reconcile waits for it.
    pub(super) fn settle(&self, namespace: &str) -> bool {
        // It may have become due again meanwhile.
        !lock(&self.due).contains(namespace) && lock(&self.awaited).settle(namespace)
    }

    /// Notes a Namespace as it was listed or changed.
    pub(super) fn note(&self, metadata: &ObjectMeta) {
        let Some(name) = &metadata.name else { return };
        let version = version(metadata);
        let mut known = lock(&self.known);
        let namespace = known.entry(name.clone()).or_default();
        if namespace.uid != metadata.uid {
            *namespace = KnownNamespace { uid: metadata.uid.clone(), ..KnownNamespace::default() };
        } else if version < namespace.version {
            // An event from before our own write.
            return;
        }
        let before =
            (namespace.keys.clone(), namespace.suspended_until, std::mem::take(&mut namespace.exemptions));
        let annotation = |key: &str| metadata.annotations.as_ref()?.get(key).map(String::as_str);
        namespace.exemptions.add_namespace(name, annotation);
        namespace.version = version;
        namespace.keys = NamespaceKeys::of(metadata);
        namespace.is_going = metadata.deletion_timestamp.is_some();
        namespace.suspended_until = suspended_until(metadata);
        let is_new = namespace.complete.is_none();
        let after = (namespace.keys.clone(), namespace.suspended_until, namespace.exemptions.clone());
        let changed = is_new || before != after;
        drop(known);
        if changed {
            self.wake(name);
        }
    }

    /// Forgets a Namespace.
    pub(super) fn forget(&self, name: &str) {
        lock(&self.known).remove(name);
        lock(&self.awaited).settle(name);
    }

    /// Forgets all other Namespaces than these.
    pub(super) fn retain(&self, there: &BTreeSet<String>) {
        lock(&self.known).retain(|name, _| there.contains(name));
    }

    /// Sets the reason why the admission policies are not in effect. Returns true if it changed.
    pub(super) fn set_missing(&self, missing: Option<String>) -> bool {
        let mut known = lock(&self.missing);
        let changed = *known != missing;
        if changed {
            if let Some(reason) = &missing {
                warn!(reason, "native admission is not in effect");
            } else {
                info!("native admission is in effect");
            }
        }
        *known = missing;
        changed
    }

    /// Returns the state of native admission in a namespace.
    pub(super) fn state(&self, namespace: &str) -> AdmissionState {
        if let Some(reason) = lock(&self.missing).clone() {
            return AdmissionState::NotInstalled(reason);
        }
        let Some(known) = lock(&self.known).get(namespace).cloned() else { return AdmissionState::Pending };
        let verdict = self.verdict(namespace, &known);
        match verdict {
            _ if known.problem.is_some() => AdmissionState::Failed(known.problem.unwrap_or_default()),
            Some((verdict, Some(until))) => AdmissionState::Suspended(verdict, until),
            Some((verdict, None)) if known.keys == NamespaceKeys::wanted(Some(&verdict)) => {
                AdmissionState::Held(verdict)
            }
            _ => AdmissionState::Pending,
        }
    }

    /// Compiles the verdict of a namespace, with the end of a suspension.
    fn verdict(
        &self,
        namespace: &str,
        known: &KnownNamespace,
    ) -> Option<(AdmissionVerdict, Option<Timestamp>)> {
        if self.policies.is_system(namespace) {
            return None;
        }
        let now = (self.clock)();
        let verdict = known.exemptions.verdict(namespace, &self.policies.in_namespace(namespace), now)?;
        Some(match known.suspended_until.filter(|until| *until > now) {
            Some(until) => (verdict.suspended(), Some(until)),
            None => (verdict, None),
        })
    }

    /// Brings the keys of a Namespace up to date.
    pub(super) async fn sync(&self, name: &str) -> Result<Synced, CallError> {
        let Some(known) = lock(&self.known).get(name).filter(|known| !known.is_going).cloned() else {
            return Ok(Synced::Unchanged);
        };
        let now = (self.clock)();
        let verdict = self.verdict(name, &known);
        let until = verdict.as_ref().and_then(|(_, until)| *until);
        let wanted = NamespaceKeys::wanted(verdict.as_ref().map(|(verdict, _)| verdict));
        if known.keys == wanted {
            let changed = known.problem.is_some() || known.complete.as_ref() != Some(&wanted);
            self.change(name, |known| {
                known.problem = None;
                known.complete = Some(wanted);
            });
            return Ok(until.map_or(if changed { Synced::Changed } else { Synced::Unchanged }, Synced::Later));
        }
        // The keys were as they are wanted now, so another client changed them.
        let is_restoration = known.complete.as_ref() == Some(&wanted) && !wanted.is_empty();
        let restoration = known.restorations.next();
        if is_restoration && now < restoration {
            return Ok(Synced::Later(restoration));
        }
        match self.write(name, &known, &wanted).await {
            Ok(written) => {
                self.change(name, |known| {
                    known.note_keys(&written);
                    known.complete = Some(wanted.clone());
                    known.problem = None;
                    if is_restoration {
                        known.restorations.note(now);
                    }
                });
            }
            // It went meanwhile.
            Err(error) if error.code() == Some(404) => return Ok(Synced::Unchanged),
            Err(error) => {
                self.change(name, |known| known.problem = Some(error.to_string()));
                return Err(error);
            }
        }
        if is_restoration {
            self.announce(name, &known).await;
        }
        Ok(until.map_or(Synced::Changed, Synced::Later))
    }

    async fn write(
        &self,
        name: &str,
        known: &KnownNamespace,
        wanted: &NamespaceKeys,
    ) -> Result<ObjectMeta, CallError> {
        let namespaces = Api::<Namespace>::all(self.cluster.client.clone());
        let mut present = None;
        if !wanted.is_empty() {
            let document = Patch::Apply(wanted.document(name, known.uid.as_deref()));
            let params = PatchParams::apply(KEY_MANAGER).force();
            let apply = async |_| namespaces.patch_metadata(name, &params, &document).await;
            present = Some(self.cluster.call(apply).await?.metadata);
        }
        // An apply leaves the keys that others own.
        let keys = present.as_ref().map_or_else(|| known.keys.clone(), NamespaceKeys::of);
        let metadata = match (wanted.removal(&keys), present) {
            (None, Some(metadata)) => metadata,
            (removal, _) => {
                let patch = Patch::Merge(removal.unwrap_or_default());
                let params =
                    PatchParams { field_manager: Some(KEY_MANAGER.to_owned()), ..PatchParams::default() };
                let remove = async |_| namespaces.patch_metadata(name, &params, &patch).await;
                self.cluster.call(remove).await?.metadata
            }
        };
        Ok(metadata)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut KnownNamespace)) {
        if let Some(known) = lock(&self.known).get_mut(name) {
            change(known);
        }
    }

    async fn announce(&self, name: &str, known: &KnownNamespace) {
        let event = Event {
            type_: EventType::Warning,
            reason: "AdmissionRestored".to_owned(),
            note: Some(
                "Another client changed the label or the annotations by which native admission knows the policies of \
                 this Namespace. They are restored. Configure the tool that manages the Namespace to ignore the keys of \
                 devops.stochastic.io"
                    .to_owned(),
            ),
            action: "Restore".to_owned(),
            secondary: None,
        };
        let metadata =
            ObjectMeta { name: Some(name.to_owned()), uid: known.uid.clone(), ..ObjectMeta::default() };
        let about = Namespace { metadata, ..Namespace::default() }.object_ref(&());
        warn!(namespace = name, "restored the keys of native admission");
        if let Err(error) = self.events.record(event, &about).await {
            warn!(namespace = name, %error, "event not recorded");
        }
    }
}

/// Returns the day in UTC.
pub(super) fn today(now: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(now).date()
}

/// Returns the version of an object. Versions of one object can be compared.
fn version(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_answer_to_an_older_write_does_not_hide_a_later_change() {
        let metadata = |version: u64, rules: &str| -> ObjectMeta {
            let annotations = json!({ "devops.stochastic.io/deny": rules });
            let metadata = json!({ "resourceVersion": version.to_string(), "annotations": annotations });
            serde_json::from_value(metadata).unwrap()
        };
        let pruned = NamespaceKeys::of(&metadata(7, ""));
        let mut known = KnownNamespace { version: 7, keys: pruned.clone(), ..KnownNamespace::default() };
        known.note_keys(&metadata(6, "latest-tag;a"));
        assert_eq!((known.version, &known.keys), (7, &pruned));
        known.note_keys(&metadata(8, "latest-tag;a"));
        assert_eq!((known.version, known.keys), (8, NamespaceKeys::of(&metadata(8, "latest-tag;a"))));
    }
}
