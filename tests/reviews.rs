//! Fuzzes the bodies of `/validate` and `/mutate`: mutated reviews are answered or refused, and never cause a panic.
//!
//! The reviews in `tests/fixtures/reviews` are the corpus. A review that once caused a failure is added there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use jiff::Timestamp;
use kube_devops::admission::{decide, mutate, parse_review};
use kube_devops::enforcement::Surroundings;
use kube_devops::policy::{CompiledPolicy, DevOpsPolicy};
use kube_devops::rules::RULES;
use serde_json::{Value, json};

/// The number of mutated reviews by default, and under `make soak`.
const FEW: u64 = 4_000;
const MANY: u64 = 10_000_000;

fn count() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let soak = std::env::var_os("KUBE_DEVOPS_SOAK").is_some_and(|value| value == "1");
    if soak { MANY } else { FEW }
}

fn corpus() -> BTreeMap<String, String> {
    let files = fs::read_dir("tests/fixtures/reviews").unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

/// Returns a policy with every rule, which denies and sets defaults.
fn policies() -> Vec<CompiledPolicy> {
    let rules: Vec<_> = RULES
        .iter()
        .filter(|rule| rule.parameters.is_empty())
        .map(|rule| json!({ "id": rule.id.as_str() }))
        .collect();
    let policy = json!({
        "metadata": { "name": "all", "namespace": "shop", "generation": 1 },
        "spec": {
            "enforcementMode": "enforce", "rules": rules, "admission": { "denyAt": "low", "mutate": true },
            "defaultResources": { "cpuRequest": "10m", "memoryLimit": "64Mi" },
            "remediation": { "allowDowntime": true, "gitops": "patch" },
        },
    });
    vec![CompiledPolicy::new(serde_json::from_value::<DevOpsPolicy>(policy).unwrap())]
}

/// Answers a body as the webhook does, without its guard against panics. Returns true if it was evaluated.
fn answer(body: &[u8], policies: &[CompiledPolicy]) -> bool {
    let Ok(request) = parse_review(body) else { return false };
    let decision = decide(&request, policies, None, Timestamp::UNIX_EPOCH);
    if let Ok(Some(patch)) = mutate(&request, policies, &Surroundings::default(), &[], Timestamp::UNIX_EPOCH)
    {
        let mut object: Value = serde_json::from_str(request.object.unwrap().get()).unwrap();
        let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
        json_patch::patch(&mut object, &patch).expect("a patch that applies to the object of the request");
    }
    decision.is_ok()
}

/// Values that are wrong in many places.
fn odd(rng: &mut Rng) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e308),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}\n\t"),
        json!("devops.stochastic.io/patched-fields"),
        json!("é".repeat(300)),
        json!([]),
        json!([null]),
        json!({}),
        json!({ "": {} }),
        json!([[[[{}]]]]),
    ];
    values[rng.usize(..values.len())].clone()
}

/// Replaces, removes, renames or repeats a value at a random place.
fn mutate_value(rng: &mut Rng, value: &mut Value) {
    let stops = rng.u8(..5) == 0;
    match value {
        Value::Object(fields) if !stops && !fields.is_empty() => {
            let key = fields.keys().nth(rng.usize(..fields.len())).unwrap().clone();
            match rng.u8(..12) {
                0 => drop(fields.remove(&key)),
                1 => {
                    let moved = fields.remove(&key).unwrap();
                    fields.insert(format!("{key}x"), moved);
                }
                2 => {
                    let other = fields.values().nth(rng.usize(..fields.len())).unwrap().clone();
                    fields.insert(key, other);
                }
                _ => mutate_value(rng, fields.get_mut(&key).unwrap()),
            }
        }
        Value::Array(items) if !stops && !items.is_empty() => {
            let index = rng.usize(..items.len());
            match rng.u8(..6) {
                0 => drop(items.remove(index)),
                1 => items.insert(index, items[index].clone()),
                _ => mutate_value(rng, &mut items[index]),
            }
        }
        other => *other = odd(rng),
    }
}

/// Flips, cuts, repeats and inserts bytes.
fn mutate_bytes(rng: &mut Rng, body: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..rng.usize(1..4) {
        if body.is_empty() {
            return;
        }
        let at = rng.usize(..body.len());
        match rng.u8(..5) {
            0 => body[at] ^= 1 << rng.u8(..8),
            1 => body.truncate(at),
            2 => body.insert(at, rng.u8(..)),
            3 => {
                let end = (at + rng.usize(..64)).min(body.len());
                let piece = body[at..end].to_vec();
                body.splice(at..at, piece);
            }
            _ => {
                let from = rng.usize(..other.len());
                let end = (from + rng.usize(..64)).min(other.len());
                body.splice(at..at, other[from..end].iter().copied());
            }
        }
    }
}

#[test]
fn every_review_of_the_corpus_is_answered() {
    let (corpus, policies) = (corpus(), policies());
    assert!(corpus.len() >= 8, "{} reviews", corpus.len());
    let mut patched = 0;
    for (name, body) in &corpus {
        assert!(answer(body.as_bytes(), &policies), "{name}");
        let request = parse_review(body.as_bytes()).unwrap();
        let patch =
            mutate(&request, &policies, &Surroundings::default(), &[], Timestamp::UNIX_EPOCH).unwrap();
        patched += usize::from(patch.is_some());
    }
    assert_eq!(patched, 3, "new Deployments, StatefulSets and DaemonSets");
}

#[test]
fn mutated_reviews_are_answered_or_refused() {
    let (bodies, policies) = (corpus().into_values().collect::<Vec<_>>(), policies());
    let values: Vec<Value> = bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    let mut evaluated = 0;
    for seed in 0..count() {
        let mut rng = Rng::with_seed(seed);
        let (one, other) = (rng.usize(..bodies.len()), rng.usize(..bodies.len()));
        let mut body = if rng.u8(..4) == 0 {
            bodies[one].clone().into_bytes()
        } else {
            let mut value = values[one].clone();
            for _ in 0..rng.usize(1..6) {
                mutate_value(&mut rng, &mut value);
            }
            value.to_string().into_bytes()
        };
        if rng.u8(..3) == 0 {
            mutate_bytes(&mut rng, &mut body, bodies[other].as_bytes());
        }
        let copy = body.clone();
        let answered = catch_unwind(AssertUnwindSafe(|| answer(&body, &policies)));
        let Ok(was_evaluated) = answered else {
            panic!("seed {seed}: {}", String::from_utf8_lossy(&copy));
        };
        evaluated += u64::from(was_evaluated);
    }
    println!("{evaluated} of {} mutated reviews were evaluated", count());
    assert!(evaluated > count() / 10, "{evaluated} were evaluated");
}
