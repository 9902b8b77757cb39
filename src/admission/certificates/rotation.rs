//! The next step of a rotation. Pure, except for the keys that a step creates.

use jiff::{SignedDuration, Timestamp};

use super::authority::{SKEW, bootstrap, issue, make_authority};
use super::{IssueError, Lifetimes, Material, MaterialError, Names};

/// The most former authorities that a new beginning keeps.
const MOST_TRUSTED: usize = 3;

/// The state of the certificates, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is due.
    Keep,
    /// Make an authority and a serving certificate: there are none that can be read.
    Bootstrap,
    /// Trust a new authority beside the old one.
    AddAuthority,
    /// Serve a certificate of the newest authority.
    Reissue,
    /// Trust the newest authority alone.
    DropAuthorities,
}

impl Step {
    /// Returns the next step. The configuration has had the bundle since `bundled`. Each step of a rotation waits for
    /// `pause` after the previous one, so that every API server and every replica has seen the change.
    pub(super) fn next(
        material: Option<&Material>,
        names: &Names,
        bundled: Timestamp,
        pause: SignedDuration,
        now: Timestamp,
    ) -> Self {
        let Some(material) = material else { return Self::Bootstrap };
        let Ok((authorities, leaf)) = material.properties() else { return Self::Bootstrap };
        let Some(newest) = authorities.first() else { return Self::Bootstrap };
        if !material.is_pair() {
            // No replica can serve it, and those that run still have the former one.
            return Self::Reissue;
        }
        let is_due = |not_before: Timestamp, not_after: Timestamp| {
            let made = not_before + SKEW;
            now >= made + not_after.duration_since(made) * 2 / 3
        };
        let is_settled = now >= bundled.max(material.changed) + pause;
        if leaf.signed_by != newest.key {
            return if is_settled { Self::Reissue } else { Self::Keep };
        }
        if authorities.len() > 1 {
            return if is_settled { Self::DropAuthorities } else { Self::Keep };
        }
        if is_due(newest.not_before, newest.not_after) {
            return Self::AddAuthority;
        }
        if is_due(leaf.not_before, leaf.not_after) || leaf.names != names.as_slice() {
            return Self::Reissue;
        }
        Self::Keep
    }

    /// Returns true if the step must wait until the configuration has the present bundle. Without a right to the
    /// configuration, serving certificates of the authority that it trusts are still renewed.
    pub(super) fn needs_bundle(self, material: Option<&Material>) -> bool {
        match self {
            Self::Keep | Self::Bootstrap => false,
            Self::Reissue => material.is_none_or(|material| material.authorities.len() > 1),
            Self::AddAuthority | Self::DropAuthorities => true,
        }
    }

    /// Returns the material after the step. `trusted` are the authorities of the configuration: a new beginning keeps
    /// them beside its own, because replicas serve a certificate of theirs until they have read the Secret.
    pub(super) fn take(
        self,
        material: Option<Material>,
        trusted: &[String],
        names: &Names,
        lifetimes: Lifetimes,
        now: Timestamp,
    ) -> Result<Material, StepError> {
        let begin = |trusted: &[String]| -> Result<Material, StepError> {
            let mut material = bootstrap(names, lifetimes, now)?;
            let oldest = trusted.len().saturating_sub(MOST_TRUSTED);
            material.authorities.extend_from_slice(&trusted[oldest..]);
            Ok(material)
        };
        let (Some(mut material), false) = (material, self == Self::Bootstrap) else { return begin(trusted) };
        match self {
            Self::Keep | Self::Bootstrap => return Ok(material),
            Self::AddAuthority => {
                let (authority, key) = make_authority(lifetimes.authority, now)?;
                material.authorities.insert(0, authority);
                material.authority_key = key;
            }
            Self::Reissue => {
                let Ok(issued) = issue(&material.authority_key, names, lifetimes.leaf, now) else {
                    return begin(&material.authorities);
                };
                (material.leaf, material.key) = issued;
                let (authorities, leaf) = material.properties()?;
                // The key of another authority signs certificates that nobody trusts.
                if authorities.first().is_none_or(|newest| newest.key != leaf.signed_by) {
                    return begin(&material.authorities);
                }
            }
            Self::DropAuthorities => material.authorities.truncate(1),
        }
        material.changed = now;
        material.properties()?;
        Ok(material)
    }
}

/// A step that could not be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    /// No certificate could be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The result cannot be read.
    #[error(transparent)]
    Material(#[from] MaterialError),
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

    use super::*;

    const PAUSE: SignedDuration = SignedDuration::from_mins(1);
    const LIFETIMES: Lifetimes =
        Lifetimes { authority: SignedDuration::from_hours(900), leaf: SignedDuration::from_hours(90) };

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn names() -> Names {
        Names::of_service("home", "webhook", &["127.0.0.1".to_owned()])
    }

    /// Returns true if a client that trusts a bundle accepts the serving certificate of a material.
    fn trusts(bundle: &Material, served: &Material, now: Timestamp) -> bool {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(bundle.bundle().as_bytes()) {
            roots.add(authority.unwrap()).unwrap();
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let leaf = CertificateDer::from_pem_slice(served.leaf.as_bytes()).unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_second().unsigned_abs()));
        ["webhook.home.svc", "127.0.0.1"].iter().all(|name| {
            let name = ServerName::try_from(*name).unwrap();
            verifier.verify_server_cert(&leaf, &[], &name, &[], now).is_ok()
        })
    }

    /// Runs the certificates for a time, one look an hour. Returns the steps, each with the material after it.
    fn run(hours: i64) -> Vec<(Step, Timestamp, Material)> {
        let mut steps: Vec<(Step, Timestamp, Material)> = Vec::new();
        let mut material: Option<Material> = None;
        for hour in 0..hours {
            let now = start() + SignedDuration::from_hours(hour);
            let step = Step::next(material.as_ref(), &names(), start(), PAUSE, now);
            if step != Step::Keep {
                let next = step.take(material.take(), &[], &names(), LIFETIMES, now).unwrap();
                material = Some(next.clone());
                steps.push((step, now, next));
            }
        }
        steps
    }

    #[test]
    fn a_rotation_adds_the_authority_then_reissues_then_drops_the_old_one() {
        let steps: Vec<_> = run(620).into_iter().map(|(step, ..)| step).collect();
        let expected = [
            &[Step::Bootstrap][..],
            &[Step::Reissue; 9],
            &[Step::AddAuthority, Step::Reissue, Step::DropAuthorities],
        ];
        assert_eq!(steps, expected.concat());
    }

    #[test]
    fn a_bundle_trusts_the_certificates_before_and_after_a_rotation_step() {
        let steps = run(2_500);
        assert!(steps.iter().filter(|(step, ..)| *step == Step::DropAuthorities).count() >= 3);
        for pair in steps.windows(2) {
            let [(_, _, before), (step, now, after)] = pair else { unreachable!() };
            for (bundle, served) in [(before, before), (before, after), (after, before), (after, after)] {
                // The leaf of the new authority comes a pause after the bundle that has it.
                assert!(trusts(bundle, served, *now), "{step:?} at {now}");
            }
        }
    }

    #[test]
    fn a_step_waits_until_the_one_before_it_has_arrived_everywhere() {
        let now = start() + SignedDuration::from_hours(601);
        let material = Step::Bootstrap.take(None, &[], &names(), LIFETIMES, start()).unwrap();
        let material = Step::AddAuthority.take(Some(material), &[], &names(), LIFETIMES, now).unwrap();
        let next = |bundled, now| Step::next(Some(&material), &names(), bundled, PAUSE, now);
        assert_eq!(next(start(), now + PAUSE / 2), Step::Keep);
        assert_eq!(next(start(), now + PAUSE), Step::Reissue);
        assert_eq!(next(now + PAUSE, now + PAUSE), Step::Keep, "the configuration has just got the bundle");
    }

    #[test]
    fn other_names_and_unreadable_certificates_are_replaced_at_once() {
        let material = Step::Bootstrap.take(None, &[], &names(), LIFETIMES, start()).unwrap();
        let next =
            |material: &Material, names: &Names| Step::next(Some(material), names, start(), PAUSE, start());
        assert_eq!(next(&material, &names()), Step::Keep);
        assert_eq!(next(&material, &Names::of_service("home", "other", &[])), Step::Reissue);
        let broken = Material { leaf: "no certificate".to_owned(), ..material.clone() };
        assert_eq!(next(&broken, &names()), Step::Bootstrap);
        let data = material.to_data();
        assert_eq!(Material::from_data(&data, Some(material.changed)).unwrap(), material);
    }

    #[test]
    fn a_lost_secret_begins_anew_beside_the_authority_that_replicas_still_serve() {
        let old = Step::Bootstrap.take(None, &[], &names(), LIFETIMES, start()).unwrap();
        let new = Step::Bootstrap.take(None, &old.authorities, &names(), LIFETIMES, start()).unwrap();
        assert!(trusts(&new, &old, start()) && trusts(&new, &new, start()) && !trusts(&old, &new, start()));
        let next = |now| Step::next(Some(&new), &names(), start(), PAUSE, now);
        assert_eq!((next(start()), next(start() + PAUSE)), (Step::Keep, Step::DropAuthorities));
        let many = vec![old.authorities[0].clone(); 9];
        let limited = Step::Bootstrap.take(None, &many, &names(), LIFETIMES, start()).unwrap();
        assert_eq!(limited.authorities.len(), 1 + MOST_TRUSTED);
    }

    #[test]
    fn keys_of_other_certificates_are_replaced() {
        let made = || Step::Bootstrap.take(None, &[], &names(), LIFETIMES, start()).unwrap();
        let (good, other) = (made(), made());
        let mixed = Material { key: other.key.clone(), ..good.clone() };
        assert_eq!(Step::next(Some(&mixed), &names(), start(), PAUSE, start()), Step::Reissue);
        let mended = Step::Reissue.take(Some(mixed), &[], &names(), LIFETIMES, start()).unwrap();
        assert!(mended.is_pair() && trusts(&good, &mended, start()));
        for authority_key in [other.authority_key, "no key".to_owned()] {
            let foreign = Material { authority_key, ..good.clone() };
            let mended = Step::Reissue.take(Some(foreign), &[], &names(), LIFETIMES, start()).unwrap();
            assert!(trusts(&mended, &mended, start()) && trusts(&mended, &good, start()));
            let next = Step::next(Some(&mended), &names(), start(), PAUSE, start());
            assert_eq!(next, Step::Keep, "it is not reissued again and again");
        }
    }

    #[test]
    fn a_serving_certificate_is_renewed_also_without_a_right_to_the_configuration() {
        let alone = Step::Bootstrap.take(None, &[], &names(), LIFETIMES, start()).unwrap();
        let rotating =
            Step::AddAuthority.take(Some(alone.clone()), &[], &names(), LIFETIMES, start()).unwrap();
        for (step, material, expected) in [
            (Step::Bootstrap, None, false),
            (Step::Reissue, Some(&alone), false),
            (Step::Reissue, Some(&rotating), true),
            (Step::AddAuthority, Some(&alone), true),
            (Step::DropAuthorities, Some(&rotating), true),
        ] {
            assert_eq!(step.needs_bundle(material), expected, "{step:?}");
        }
    }
}
