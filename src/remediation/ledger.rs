//! Stores the ledger of enforcement in a `ConfigMap`, with optimistic concurrency.
//!
//! Every write carries the `resourceVersion` that was read. It has no dependency on the budgets.

use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

use super::metrics::RemediationMetrics;
use crate::cluster::{CallError, Cluster, retry_on_conflict};
use crate::enforcement::harm::Trial;
use crate::enforcement::{KeptPatches, Ledger, Note};
use crate::manifests::{LEDGER_KEY, LEDGER_NAME};

/// The store of the ledger.
pub struct LedgerStore {
    cluster: Cluster,
    namespace: String,
    /// Held during a whole change, so that tasks of one process do not conflict.
    turn: tokio::sync::Mutex<()>,
    metrics: Option<RemediationMetrics>,
    /// The ledger as it was read or written last; `None` before.
    known: Mutex<Option<Known>>,
}

/// The parts of a ledger that are known without a request.
#[derive(Debug, Clone, Default)]
struct Known {
    notes: Vec<Note>,
    kept: Vec<KeptPatches>,
    trial: Option<Trial>,
    has_room: bool,
}

/// An error while reading or changing the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A call failed.
    #[error("cannot {action} ConfigMap {namespace}/{LEDGER_NAME}: {source}")]
    Call {
        /// The failed action.
        action: &'static str,
        /// The `ConfigMap`'s namespace.
        namespace: String,
        /// The cause.
        source: CallError,
    },
    /// The content is not a valid ledger. It does not count as empty, because that would free the whole budget.
    #[error(
        "key {LEDGER_KEY} of ConfigMap {namespace}/{LEDGER_NAME} is no ledger: {message}: nothing is patched until \
         `kubectl delete configmap -n {namespace} {LEDGER_NAME}`; it is rebuilt from the policies' records"
    )]
    Unreadable {
        /// The `ConfigMap`'s namespace.
        namespace: String,
        /// The parser's message.
        message: String,
    },
    /// Other clients changed it at every attempt.
    #[error("others keep changing ConfigMap {namespace}/{LEDGER_NAME}: it is tried again")]
    Busy {
        /// The `ConfigMap`'s namespace.
        namespace: String,
    },
}

impl LedgerStore {
    /// Creates the store for a namespace.
    pub fn new(cluster: Cluster, namespace: &str) -> Self {
        let (namespace, turn) = (namespace.to_owned(), tokio::sync::Mutex::new(()));
        Self { cluster, namespace, turn, metrics: None, known: Mutex::default() }
    }

    /// Shows the totals of the ledger in these metrics.
    #[must_use]
    pub fn with_metrics(self, metrics: RemediationMetrics) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    /// Returns true if the ledger was read, or written.
    pub fn is_known(&self) -> bool {
        self.known().is_some()
    }

    /// Returns the note of a workload's withdrawal.
    pub fn note_of(&self, uid: &str) -> Option<Note> {
        self.notes().into_iter().find(|note| note.uid == uid)
    }

    /// Returns the notes, as they were read or written last.
    pub fn notes(&self) -> Vec<Note> {
        self.known().as_ref().map_or_else(Vec::new, |known| known.notes.clone())
    }

    /// Returns the patches that stay after their policies, as they were read or written last.
    pub fn kept(&self) -> Vec<KeptPatches> {
        self.known().as_ref().map_or_else(Vec::new, |known| known.kept.clone())
    }

    /// Returns the last trial in an incident, as it was read or written last.
    pub fn trial(&self) -> Option<Trial> {
        self.known().as_ref()?.trial.clone()
    }

    /// Returns true unless the ledger is known to have no room for notes.
    pub fn has_room(&self) -> bool {
        self.known().as_ref().is_none_or(|known| known.has_room)
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, ledger: &Ledger) {
        *self.known() = Some(Known {
            notes: ledger.notes().to_vec(),
            kept: ledger.kept().to_vec(),
            trial: ledger.trial().cloned(),
            has_room: ledger.has_room(),
        });
        if let Some(metrics) = &self.metrics {
            metrics.show(ledger.totals());
        }
    }

    /// Reads the ledger; one that was never written is empty.
    pub async fn read(&self) -> Result<Ledger, LedgerError> {
        let ledger = self.fetch().await?.map_or_else(|| Ok(Ledger::default()), |held| self.parse(&held))?;
        self.note(&ledger);
        Ok(ledger)
    }

    /// Changes the ledger, and returns the result of the change. An unchanged ledger is not written.
    ///
    /// After a conflict, the change is repeated on the current content. A call without a response may have succeeded,
    /// so changes must be idempotent.
    pub async fn change<T>(&self, change: impl Fn(&mut Ledger) -> T) -> Result<T, LedgerError> {
        let _turn = self.turn.lock().await;
        let attempt = async |_| {
            let held = self.fetch().await?;
            let before = held.as_ref().map_or_else(|| Ok(Ledger::default()), |held| self.parse(held))?;
            let mut ledger = before.clone();
            let outcome = change(&mut ledger);
            if ledger == before || self.put(held, &ledger).await? {
                self.note(&ledger);
                return Ok(outcome);
            }
            Err(LedgerError::Busy { namespace: self.namespace.clone() })
        };
        retry_on_conflict(attempt, |error| matches!(error, LedgerError::Busy { .. })).await
    }

    async fn fetch(&self) -> Result<Option<ConfigMap>, LedgerError> {
        let get = async |client: kube::Client| self.api(client).get_opt(LEDGER_NAME).await;
        self.cluster.call(get).await.map_err(|source| self.failed("read", source))
    }

    fn parse(&self, held: &ConfigMap) -> Result<Ledger, LedgerError> {
        let unreadable =
            |message: String| LedgerError::Unreadable { namespace: self.namespace.clone(), message };
        let text = held.data.as_ref().and_then(|data| data.get(LEDGER_KEY));
        let text = text.ok_or_else(|| unreadable("there is no such key".to_owned()))?;
        serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))
    }

    /// Replaces the ledger that was read; returns false if it has changed since.
    async fn put(&self, held: Option<ConfigMap>, ledger: &Ledger) -> Result<bool, LedgerError> {
        let text = serde_json::to_string(ledger).map_err(|error| LedgerError::Unreadable {
            namespace: self.namespace.clone(),
            message: error.to_string(),
        })?;
        let is_new = held.is_none();
        let metadata = ObjectMeta { name: Some(LEDGER_NAME.to_owned()), ..ObjectMeta::default() };
        let mut map = held.unwrap_or_else(|| ConfigMap { metadata, ..ConfigMap::default() });
        map.data.get_or_insert_default().insert(LEDGER_KEY.to_owned(), text);
        let params = PostParams::default();
        let write = async |client: kube::Client| {
            let api = self.api(client);
            if is_new {
                api.create(&params, &map).await
            } else {
                api.replace(LEDGER_NAME, &params, &map).await
            }
        };
        match self.cluster.call(write).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(409) => Ok(false),
            // It was deleted since it was read. A missing namespace is another error.
            Err(error) if error.code() == Some(404) && !is_new => Ok(false),
            Err(source) => Err(self.failed("write", source)),
        }
    }

    fn api(&self, client: kube::Client) -> Api<ConfigMap> {
        Api::namespaced(client, &self.namespace)
    }

    fn failed(&self, action: &'static str, source: CallError) -> LedgerError {
        LedgerError::Call { action, namespace: self.namespace.clone(), source }
    }
}
