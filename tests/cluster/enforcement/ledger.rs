//! The ledger's `ConfigMap` under concurrent writers.

use crate::control_plane::ControlPlane;
use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube_devops::cluster::{Cluster, ConnectOptions, connect};
use kube_devops::enforcement::{BudgetDecision, Ledger, Limits, Request};
use kube_devops::manifests::LEDGER_NAME;
use kube_devops::remediation::{LedgerError, LedgerStore};
use kube_devops::workload::{PolicyRef, WorkloadRef};
use serde_json::json;

pub(super) async fn cluster(plane: &ControlPlane) -> Cluster {
    let options = ConnectOptions {
        kubeconfig: Some(plane.kubeconfig().to_owned()),
        request_timeout: Some(std::time::Duration::from_secs(30)),
        ..ConnectOptions::default()
    };
    connect(&options).await.unwrap()
}

async fn reserve(store: &LedgerStore, uid: &str) -> Result<BudgetDecision, LedgerError> {
    let limits = Limits { rollouts: 5, per_hour: 60, stall: Limits::STALL };
    let request = Request {
        policy: PolicyRef::new(uid, "p"),
        policy_per_hour: 10,
        workload: WorkloadRef::new(uid, "Deployment", "web"),
        uid: uid.to_owned(),
    };
    store.change(|ledger| ledger.reserve(&request, &limits, Timestamp::UNIX_EPOCH)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn replicas_that_reserve_at_once_stay_within_the_budget() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("ledger");
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(LedgerStore::new(cluster(plane).await, &namespace));
    }
    assert_eq!(stores[0].read().await.unwrap(), Ledger::default());
    let uids: Vec<_> = (0..24).map(|number| number.to_string()).collect();
    let ask = |(at, uid): (usize, &String)| {
        let (store, uid) = (&stores[at % 3], uid.clone());
        async move {
            loop {
                match reserve(store, &uid).await {
                    Err(LedgerError::Busy { .. }) => {}
                    outcome => break outcome.unwrap(),
                }
            }
        }
    };
    let decisions = join_all(uids.iter().enumerate().map(ask)).await;
    assert_eq!(decisions.iter().filter(|decision| **decision == BudgetDecision::Granted).count(), 5);
    let ledger = stores[1].read().await.unwrap();
    let open: Vec<_> = ledger.open().map(|grant| grant.uid.clone()).collect();
    assert_eq!(open.len(), 5);
    // A repeated reservation, as after a crash, is granted again. A new one takes the place of one that has ended.
    assert_eq!(reserve(&stores[2], &open[0]).await.unwrap(), BudgetDecision::Granted);
    assert!(stores[0].change(|ledger| ledger.finish(&open[0], None)).await.unwrap());
    assert_eq!(reserve(&stores[1], "next").await.unwrap(), BudgetDecision::Granted);
    assert_ne!(reserve(&stores[1], "after").await.unwrap(), BudgetDecision::Granted);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_invalid_ledger_does_not_reset_the_budget() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("ledger");
    let store = LedgerStore::new(cluster(plane).await, &namespace);
    let maps = Api::<ConfigMap>::namespaced(plane.client().await, &namespace);
    assert_eq!(reserve(&store, "one").await.unwrap(), BudgetDecision::Granted);
    for data in [json!({ "ledger": "{}" }), json!({ "ledger": null })] {
        let patch = Patch::Merge(json!({ "data": data }));
        maps.patch(LEDGER_NAME, &PatchParams::default(), &patch).await.unwrap();
        let error = reserve(&store, "two").await.unwrap_err().to_string();
        assert!(error.contains(&format!("ConfigMap {namespace}/{LEDGER_NAME} is no ledger")), "{error}");
        assert!(error.contains(&format!("kubectl delete configmap -n {namespace} {LEDGER_NAME}")), "{error}");
        assert!(store.read().await.is_err());
    }
    maps.delete(LEDGER_NAME, &DeleteParams::default()).await.unwrap();
    assert_eq!(reserve(&store, "two").await.unwrap(), BudgetDecision::Granted);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_missing_ledger_namespace_is_named() {
    let store = LedgerStore::new(cluster(ControlPlane::shared()).await, "nowhere");
    let error = reserve(&store, "one").await.unwrap_err();
    assert!(matches!(&error, LedgerError::Call { action: "write", .. }), "{error}");
    assert!(error.to_string().contains("ConfigMap nowhere/kube-devops-enforcement"), "{error}");
}
