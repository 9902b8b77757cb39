//! The end of an analysis: its sums become a report.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Analysis;
use crate::governance::costs::{costs, unscored};
use crate::governance::{
    Compliance, NamespaceReport, Report, ReportSummary, Score, Skipped, Tally, UnevaluatedKind, Workloads,
};
use crate::paths::ProjectRoot;
use crate::workload::{TypeMeta, WorkloadKey};

impl Analysis<'_> {
    /// Ends the analysis: counts the templates without evaluated pods, sums up and sorts.
    pub fn finish(mut self) -> Report {
        self.evaluate_waiting();
        let unknown = self.evaluate_relations();
        let with_pods = self.workloads_with_pods();
        self.count_templates(&with_pods);
        let left_out_templates = self.left_out_templates.iter();
        let left_out = left_out_templates.filter(|(key, _)| !with_pods.contains(*key));
        self.left_out += left_out.map(|(_, count)| count).sum::<u64>();
        self.violations.finish(|workload| with_pods.contains(workload));
        self.errors.sort();
        self.unrendered.sort();
        let (sums, templates) = (std::mem::take(&mut self.workloads), std::mem::take(&mut self.templates));
        let mut workloads = Workloads::new(self.policy, sums, templates);
        self.leave_out_supplied(&mut workloads, &with_pods);
        let exempt = self.leave_out_exempt(&mut workloads);
        let mut total = Tally::default();
        self.namespaces.values().for_each(|tally| total.add(tally));
        let by_namespace = compliance_by_namespace(&workloads);
        let mut compliance = Compliance::default();
        for namespace in by_namespace.values() {
            compliance.merge(*namespace);
        }
        let partial = !self.errors.is_empty() || !self.unrendered.is_empty();
        // Without an evaluated pod, the parts that could not be read may be all that matters.
        let score = (total.pods > 0 || !partial).then(|| Score::of(&total, self.policy));
        let namespaces = self.namespace_reports(&by_namespace);
        drop(by_namespace);
        let refused_exemptions = self.refused_exemptions();
        let with_exempted = self.with_exempted(&total, &workloads).filter(|_| score.is_some());
        let mut all = total.clone();
        all.add(&self.others.total);
        let found = self.findings(&all);
        Report {
            api_version: "kube-devops/v1",
            summary: ReportSummary {
                pods: total.pods,
                workloads: compliance.workloads,
                score,
                status: score.map(Score::classification),
                compliance: score.map(|_| compliance.percent()),
                compliant: compliance.compliant,
                partial,
                counts: all.by_rule(self.policy),
                unknown,
                exempted: self.counts_of_exempt(),
                with_exempted,
            },
            worst: found.iter().map(|found| found.severity).max(),
            costs: costs(&total, &workloads, self.policy),
            unscored: unscored(&found, &self.others.total, self.policy),
            workloads,
            namespaces,
            unevaluated: self.unevaluated(),
            skipped: self.skipped(),
            violations: self.violations,
            baseline: None,
            exempt,
            refused_exemptions,
            errors: self.errors,
            unrendered: self.unrendered,
            selected: self.selected,
            patches: self.patches,
            left_out: self.left_out,
            objects: self.others.objects,
            recheck_at: self.recheck_at,
            unknown_reasons: self.custom.reasons,
            filters: Vec::new(),
            project_root: ProjectRoot::default(),
        }
    }

    /// Counts the templates of workloads without an evaluated pod.
    fn count_templates(&mut self, with_pods: &HashSet<WorkloadKey>) {
        let mut templates = std::mem::take(&mut self.templates);
        templates.retain(|key, _| !with_pods.contains(key));
        for (key, template) in &templates {
            self.count(key.namespace(), &template.all());
        }
        self.templates = templates;
    }

    /// Returns the workloads that have an evaluated pod: the controllers of these pods, the workloads that manage those,
    /// and the ones that lend them their template.
    ///
    /// A name only suggests a manager. If the controller itself is in the input, its owner reference decides.
    fn workloads_with_pods(&mut self) -> HashSet<WorkloadKey> {
        let mut workloads = HashSet::new();
        for (controller, above) in std::mem::take(&mut self.controllers) {
            workloads.extend(self.managers.get(&controller).cloned().or(above));
            workloads.insert(controller);
        }
        let lent = self.borrowed_templates.iter().filter(|(borrower, _)| workloads.contains(*borrower));
        let lent: Vec<WorkloadKey> = lent.map(|(_, lender)| lender.clone()).collect();
        workloads.extend(lent);
        workloads
    }

    /// Returns the reports of all namespaces, by name.
    fn namespace_reports(&self, compliance: &HashMap<&str, Compliance>) -> Vec<NamespaceReport> {
        let reports = self.namespaces.iter().map(|(name, tally)| {
            let compliance = compliance.get(&**name).copied().unwrap_or_default();
            let counts = self.others.with(name, tally).by_rule(self.policy);
            NamespaceReport { counts, ..NamespaceReport::new(name, tally, compliance, self.policy) }
        });
        reports.collect()
    }

    /// Returns the numbers of objects that were not evaluated, by input and kind.
    fn skipped(&self) -> Vec<Skipped> {
        let skipped = self.skipped.iter().map(|((source, types), skipped)| Skipped {
            source: source.clone(),
            api_version: types.api_version.clone(),
            kind: types.kind.clone(),
            count: skipped.count,
        });
        skipped.collect()
    }

    /// Returns the kinds of objects that hold containers and were not evaluated.
    fn unevaluated(&self) -> Vec<UnevaluatedKind> {
        let mut kinds: BTreeMap<&TypeMeta, u64> = BTreeMap::new();
        for ((_, types), skipped) in &self.skipped {
            if skipped.with_containers > 0 {
                *kinds.entry(types).or_default() += skipped.with_containers;
            }
        }
        kinds.into_iter().map(|(types, count)| UnevaluatedKind { types: types.clone(), count }).collect()
    }
}

/// Returns the compliance of each namespace.
fn compliance_by_namespace(workloads: &Workloads) -> HashMap<&str, Compliance> {
    let mut namespaces: HashMap<&str, Compliance> = HashMap::new();
    for (key, sum) in workloads.sums() {
        namespaces.entry(key.namespace()).or_default().add(!sum.is_in_breach);
    }
    namespaces
}
