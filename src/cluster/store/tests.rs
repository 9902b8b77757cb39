//! After any sequence of lists and events, the store holds the same objects as the cluster.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Truth = BTreeMap<(&'static str, u8), u32>;

fn content(store: &Store<u8, u32>) -> BTreeMap<(String, u8), u32> {
    store.iter().map(|(group, key, value)| ((group.to_owned(), *key), *value)).collect()
}

#[track_caller]
fn assert_same(store: &Store<u8, u32>, truth: &Truth) {
    let truth: BTreeMap<_, _> =
        truth.iter().map(|((group, key), value)| (((*group).to_owned(), *key), *value)).collect();
    assert_eq!(content(store), truth);
    assert!(store.groups.values().all(|group| !group.is_empty()), "an empty group leaves no trace");
}

#[test]
fn a_list_removes_unseen_values() {
    let mut store = Store::default();
    store.insert("shop", 1, 10);
    store.insert("shop", 2, 20);
    let begun = store.begin_list();
    store.insert("shop", 2, 21);
    assert_eq!(content(&store).len(), 2, "the list is still under way");
    assert_eq!(store.end_list(begun, None, |_, _| true), [(Box::from("shop"), 1, 10)]);
    assert_same(&store, &[(("shop", 2), 21)].into());
}

#[test]
fn an_event_during_a_list_protects_its_object() {
    let mut store = Store::default();
    store.insert("shop", 1, 10);
    let begun = store.begin_list();
    assert_eq!(store.see("shop", &1), Some(&mut 10));
    store.insert("shop", 2, 20);
    assert!(store.end_list(begun, None, |_, _| true).is_empty());
}

#[test]
fn a_list_removes_only_objects_in_its_range() {
    let mut store = Store::default();
    for group in ["shop", "bank"] {
        store.insert(group, 1, 0);
        store.insert(group, 2, 0);
    }
    let begun = store.begin_list();
    assert_eq!(store.end_list(begun, Some("shop"), |key, _| *key == 1), [(Box::from("shop"), 1, 0)]);
    assert_eq!(store.end_list(begun, Some("park"), |_, _| true), []);
    assert_eq!(store.end_list(begun, None, |key, _| *key == 1), [(Box::from("bank"), 1, 0)]);
    assert_same(&store, &[(("bank", 2), 0), (("shop", 2), 0)].into());
}

#[test]
fn two_lists_at_once_keep_their_own_marks() {
    let mut store = Store::default();
    store.insert("shop", 1, 0);
    store.insert("bank", 1, 0);
    let shop = store.begin_list();
    store.see("shop", &1);
    let bank = store.begin_list();
    assert!(store.end_list(shop, Some("shop"), |_, _| true).is_empty());
    store.see("bank", &1);
    assert!(store.end_list(bank, Some("bank"), |_, _| true).is_empty());
}

#[test]
fn memory_is_released() {
    let mut store = Store::default();
    let groups: Vec<String> = (0..1_000).map(|group| group.to_string()).collect();
    store.insert("shop", 0, 0);
    for group in &groups {
        store.insert(group, 1, 0);
    }
    for key in 1..1_000 {
        store.insert("shop", key, 0);
    }
    for group in &groups {
        store.remove(group, &1);
    }
    for key in 1..1_000 {
        store.remove("shop", &key);
    }
    assert!(store.groups.capacity() < 128 && store.groups["shop"].capacity() < 128);
    let begun = store.begin_list();
    store.end_list(begun, None, |_, _| true);
    assert!(store.groups.is_empty() && !store.contains_group("shop"));
}

/// A change in the cluster: the value that a key has from now on, or none.
type Change = (&'static str, u8, Option<u32>);

#[derive(Debug, Clone)]
enum Step {
    /// A change that the watch reports.
    Event(Change),
    /// A change that happens while there is no watch.
    Missed(Change),
    /// A list of a group, or of all, with the changes that are reported between its pages.
    List(Option<&'static str>, Vec<Change>),
    /// A list that is aborted after this many objects.
    Broken(usize),
}

const GROUPS: [&str; 3] = ["shop", "bank", "park"];

fn change() -> impl Strategy<Value = Change> {
    (prop::sample::select(GROUPS.to_vec()), 0_u8..6, prop::option::weighted(0.7, 0_u32..3))
}

fn step() -> impl Strategy<Value = Step> {
    let group = prop::option::of(prop::sample::select(GROUPS.to_vec()));
    prop_oneof![
        8 => change().prop_map(Step::Event),
        4 => change().prop_map(Step::Missed),
        2 => (group, prop::collection::vec(change(), 0..4)).prop_map(|(group, during)| Step::List(group, during)),
        1 => (0_usize..6).prop_map(Step::Broken),
    ]
}

fn happen(truth: &mut Truth, (group, key, value): Change) {
    match value {
        Some(value) => truth.insert((group, key), value),
        None => truth.remove(&(group, key)),
    };
}

fn report(store: &mut Store<u8, u32>, (group, key, value): Change) {
    match value {
        Some(value) => store.insert(group, key, value),
        None => store.remove(group, &key),
    };
}

/// Lists the content of the cluster as the list began. The changes in `during` are reported before the last page
/// arrives.
fn list(store: &mut Store<u8, u32>, truth: &mut Truth, group: Option<&str>, during: Vec<Change>) {
    let covered = |of: &str| group.is_none_or(|group| group == of);
    let begun = store.begin_list();
    for ((of, key), value) in truth.iter().filter(|((of, _), _)| covered(of)) {
        store.insert(of, *key, *value);
    }
    for change in during {
        happen(truth, change);
        report(store, change);
    }
    for (of, _, _) in store.end_list(begun, group, |_, _| true) {
        assert!(covered(&of));
    }
}

proptest! {
    #[test]
    fn the_store_equals_the_cluster_after_any_history(steps in prop::collection::vec(step(), 1..60)) {
        let (mut store, mut truth) = (Store::default(), Truth::new());
        let mut missed = false;
        for step in steps {
            match step {
                Step::Event(change) => {
                    happen(&mut truth, change);
                    report(&mut store, change);
                }
                Step::Missed(change) => {
                    happen(&mut truth, change);
                    missed = true;
                }
                Step::List(group, during) => {
                    list(&mut store, &mut truth, group, during);
                    missed &= group.is_some();
                }
                Step::Broken(shown) => {
                    store.begin_list();
                    for ((group, key), value) in truth.iter().take(shown) {
                        store.insert(group, *key, *value);
                    }
                }
            }
            if !missed {
                assert_same(&store, &truth);
            }
        }
        list(&mut store, &mut truth, None, Vec::new());
        assert_same(&store, &truth);
    }
}
