//! The reader of objects for an impact: each object goes to an analysis of every policy.

use crate::files::{self, Place};
use crate::governance::{Analysis, ImpactPolicies};
use crate::policy::EffectivePolicy;
use crate::workload::{Fields, Object};

/// Returns the fields that the policies of all analyses read.
pub(super) fn fields(analyses: &[Analysis<'_>], of: fn(&EffectivePolicy) -> Fields) -> Fields {
    analyses.iter().map(|analysis| of(analysis.policy())).fold(Fields::All, Fields::union)
}

/// Adds the parts of analyses to them.
pub(super) fn merge<'p>(into: &mut [Analysis<'p>], part: Vec<Analysis<'p>>) {
    into.iter_mut().zip(part).for_each(|(analysis, part)| analysis.merge(part));
}

/// Evaluates objects of files as they are read.
pub(super) struct Reader<'j> {
    pub(super) policies: &'j ImpactPolicies,
}

impl<'j> files::Consumer for Reader<'j> {
    type Part = Vec<Analysis<'j>>;

    fn fields(&self) -> Fields {
        fields(&self.policies.analyses(), EffectivePolicy::fields_of_manifests)
    }

    fn part(&self) -> Self::Part {
        self.policies.analyses()
    }

    fn add(&self, part: &mut Self::Part, object: &Object<'_>, _: Place<'_>) {
        for analysis in part {
            analysis.add(object, None);
        }
    }

    fn note(&self, _: &mut Self::Part, _: Place<'_>, _: &str) {}

    fn merge(&self, into: &mut Self::Part, part: Self::Part) {
        merge(into, part);
    }
}
