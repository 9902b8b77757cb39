//! The rules, tested with made-up instants and Leases.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn lease_view() -> LeaseView {
    let identity = "us".to_owned();
    LeaseView::new(Settings { identity, ..Settings::new("ns", "lease", "pod") })
}

fn lease(holder: &str, version: u32) -> Lease {
    let metadata = ObjectMeta { resource_version: Some(version.to_string()), ..ObjectMeta::default() };
    let spec = LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(15),
        lease_transitions: Some(3),
        acquire_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
        renew_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
        ..LeaseSpec::default()
    };
    Lease { metadata, spec: Some(spec) }
}

fn renewed_at(renewed: Timestamp, mut lease: Lease) -> Lease {
    lease.spec.as_mut().unwrap().renew_time = Some(MicroTime(renewed));
    lease
}

#[test]
fn a_missing_or_released_lease_is_vacant() {
    let (mut lease_view, start) = (lease_view(), Instant::now());
    assert_eq!(lease_view.state(start), ElectionState::Vacant);
    lease_view.observe(Some(lease("", 1)), start);
    assert_eq!(lease_view.state(start), ElectionState::Vacant);
}

#[test]
fn anothers_lease_expires_a_whole_duration_after_it_was_last_seen_to_change() {
    let (mut lease_view, start) = (lease_view(), Instant::now());
    lease_view.observe(Some(lease("other", 1)), start);
    lease_view.observe(Some(lease("other", 2)), start + 10 * SECOND);
    assert!(!lease_view.observe(Some(lease("other", 2)), start + 20 * SECOND));
    assert_eq!(lease_view.state(start + 24 * SECOND), ElectionState::Held { until: start + 25 * SECOND });
    assert_eq!(lease_view.state(start + 25 * SECOND), ElectionState::Vacant);
}

#[test]
fn a_clock_that_is_an_hour_off_changes_nothing() {
    for offset in [-3600, 3600] {
        let (mut lease_view, start) = (lease_view(), Instant::now());
        let renewed = Timestamp::from_second(1_700_000_000 + offset).unwrap();
        lease_view.observe(Some(renewed_at(renewed, lease("other", 1))), start);
        assert_eq!(lease_view.state(start + 14 * SECOND), ElectionState::Held { until: start + 15 * SECOND });
        assert_eq!(lease_view.state(start + 15 * SECOND), ElectionState::Vacant);
    }
}

#[test]
fn a_renewal_by_a_clock_that_stands_still_is_seen() {
    let (mut lease_view, start) = (lease_view(), Instant::now());
    lease_view.observe(Some(lease("other", 1)), start);
    assert!(lease_view.observe(Some(lease("other", 2)), start + 14 * SECOND));
    assert_eq!(lease_view.state(start + 16 * SECOND), ElectionState::Held { until: start + 29 * SECOND });
}

#[test]
fn a_lease_without_a_sensible_duration_gets_ours() {
    for seconds in [None, Some(0), Some(-5)] {
        let (mut lease_view, start) = (lease_view(), Instant::now());
        let mut lease = lease("other", 1);
        lease.spec.as_mut().unwrap().lease_duration_seconds = seconds;
        lease_view.observe(Some(lease), start);
        assert_eq!(lease_view.state(start), ElectionState::Held { until: start + 15 * SECOND });
    }
}

#[test]
fn a_deleted_lease_is_its_holders_until_it_would_have_expired() {
    let (mut lease_view, start) = (lease_view(), Instant::now());
    lease_view.observe(Some(lease("other", 1)), start);
    assert!(lease_view.observe(None, start + SECOND));
    assert_eq!(lease_view.state(start + 14 * SECOND), ElectionState::Held { until: start + 15 * SECOND });
    let created = lease_view.claim(Timestamp::UNIX_EPOCH);
    assert_eq!((created.metadata.resource_version, created.metadata.name.as_deref()), (None, Some("lease")));
}

#[test]
fn a_claim_counts_from_before_it_was_sent() {
    let (mut lease_view, start) = (lease_view(), Instant::now());
    lease_view.claimed(lease("us", 1), start, start + 4 * SECOND);
    assert_eq!(lease_view.state(start + 4 * SECOND), ElectionState::Leads { until: start + 10 * SECOND });
    assert_eq!(lease_view.state(start + 10 * SECOND), ElectionState::Late);
}

#[test]
fn an_answer_that_comes_after_the_deadline_saves_nothing() {
    let (mut lease_view, start) = (lease_view(), Instant::now());
    lease_view.claimed(lease("us", 1), start, start + 10 * SECOND);
    assert_eq!(lease_view.state(start + 10 * SECOND), ElectionState::Vacant, "it never led");
    lease_view.claimed(lease("us", 2), start + 11 * SECOND, start + 11 * SECOND);
    lease_view.claimed(lease("us", 3), start + 20 * SECOND, start + 22 * SECOND);
    assert_eq!(lease_view.state(start + 22 * SECOND), ElectionState::Late, "it led, and was late");
}

#[test]
fn only_another_holder_ousts_a_leader() {
    let (mut lease_view, start) = (lease_view(), Instant::now());
    lease_view.claimed(lease("us", 1), start, start);
    for seen in [Some(lease("", 2)), None] {
        lease_view.observe(seen, start + SECOND);
        assert_eq!(lease_view.state(start + SECOND), ElectionState::Leads { until: start + 10 * SECOND });
    }
    lease_view.observe(Some(lease("other", 3)), start + SECOND);
    assert_eq!(lease_view.state(start + SECOND), ElectionState::Ousted { by: "other".to_owned() });
}

#[test]
fn a_claim_keeps_the_record_as_client_go_does() {
    let wall = Timestamp::from_second(1_700_000_000).unwrap();
    let check = |seen: Option<Lease>, acquired: Timestamp, transitions: i32| {
        let mut lease_view = lease_view();
        lease_view.observe(seen.clone(), Instant::now());
        let claim = lease_view.claim(wall);
        let spec = claim.spec.unwrap();
        assert_eq!(claim.metadata.resource_version, seen.and_then(|seen| seen.metadata.resource_version));
        assert_eq!(spec.holder_identity.as_deref(), Some("us"));
        assert_eq!((spec.lease_duration_seconds, spec.renew_time), (Some(15), Some(MicroTime(wall))));
        assert_eq!(
            (spec.acquire_time, spec.lease_transitions),
            (Some(MicroTime(acquired)), Some(transitions))
        );
    };
    check(None, wall, 0);
    check(Some(lease("", 1)), wall, 4);
    check(Some(lease("other", 1)), wall, 4);
    check(Some(lease("us", 1)), Timestamp::UNIX_EPOCH, 3);
}

#[test]
fn only_a_lease_that_is_held_is_released() {
    for (holder, held) in [("us", true), ("other", false), ("", false)] {
        let mut lease_view = lease_view();
        lease_view.observe(Some(lease(holder, 7)), Instant::now());
        assert_eq!(lease_view.release(Timestamp::UNIX_EPOCH).is_some(), held);
    }
    let mut lease_view = lease_view();
    lease_view.observe(Some(lease("us", 7)), Instant::now());
    let released = lease_view.release(Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(released.metadata.resource_version.as_deref(), Some("7"));
    let spec = released.spec.unwrap();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_duration_seconds), (Some(""), Some(1)));
    assert_eq!(spec.lease_transitions, Some(3));
}
