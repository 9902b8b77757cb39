//! Generates any number of realistic pods for benchmarks and tests. The same seed yields the same pods. The generator
//! doesn't depend on the rules.
//!
//! Pods come in workloads of 3 to 10, spread over 50 namespaces. Each takes 8 to 12 KB, of which managed fields are
//! more than a third. About one in ten breaks a rule.

#![allow(dead_code, reason = "nobody needs all of it")]

use std::io::{self, Write};

/// The number of namespaces.
pub(crate) const NAMESPACES: usize = 50;

/// Writes a `PodList` as the API server sends it: without white space, and with items that don't name their kind.
pub(crate) fn write_pod_list(out: &mut impl Write, pods: usize, seed: u64) -> io::Result<()> {
    out.write_all(br#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":["#)?;
    for (index, pod) in Pods::new(pods, seed).enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        out.write_all(pod.as_bytes())?;
    }
    out.write_all(b"]}\n")
}

/// Returns the pods one by one, each as the JSON text of a list item.
pub(crate) fn pods(pods: usize, seed: u64) -> impl Iterator<Item = String> {
    Pods::new(pods, seed)
}

/// Writes the same pods as `kubectl get pods -o json` prints them: a `List`, indented by four spaces, with sorted keys
/// and without managed fields.
pub(crate) fn write_pod_list_pretty(out: &mut impl Write, pods: usize, seed: u64) -> io::Result<()> {
    out.write_all(b"{\n    \"apiVersion\": \"v1\",\n    \"items\": [")?;
    for (index, pod) in Pods::new(pods, seed).enumerate() {
        let mut value: serde_json::Value = serde_json::from_str(&pod)?;
        value["apiVersion"] = "v1".into();
        value["kind"] = "Pod".into();
        if let Some(metadata) = value["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        let mut item = Vec::with_capacity(2 * pod.len());
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        serde::Serialize::serialize(
            &value,
            &mut serde_json::Serializer::with_formatter(&mut item, formatter),
        )?;
        out.write_all(if index > 0 { b"," } else { b"" })?;
        for line in item.split(|byte| *byte == b'\n') {
            out.write_all(b"\n        ")?;
            out.write_all(line)?;
        }
    }
    out.write_all(b"\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n")
}

/// An iterator over the pods, each as compact JSON.
struct Pods {
    random: Random,
    total: usize,
    made: usize,
    workload: Workload,
    left: usize,
}

impl Pods {
    fn new(total: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let workload = Workload::new(&mut random, 0);
        Self { random, total, made: 0, left: workload.replicas, workload }
    }
}

impl Iterator for Pods {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if self.made == self.total {
            return None;
        }
        if self.left == 0 {
            self.workload = Workload::new(&mut self.random, self.made * NAMESPACES / self.total);
            self.left = self.workload.replicas;
        }
        let pod = self.workload.pod(&mut self.random, self.workload.replicas - self.left, self.made);
        self.left -= 1;
        self.made += 1;
        Some(pod)
    }
}

/// The kind of a pod's controller.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
        }
    }

    fn api_version(self) -> &'static str {
        if self == Self::Job { "batch/v1" } else { "apps/v1" }
    }
}

/// The properties that the pods of a workload share.
struct Workload {
    kind: Kind,
    namespace: String,
    name: String,
    hash: String,
    uid: String,
    replicas: usize,
    containers: Vec<Container>,
}

struct Container {
    name: String,
    image: String,
    digest: String,
    port: u64,
    env: Vec<String>,
    liveness: bool,
    readiness: bool,
    resources: bool,
}

const SERVICES: [&str; 12] = [
    "checkout",
    "payments",
    "storefront",
    "search",
    "inventory",
    "orders",
    "sessions",
    "mailer",
    "pricing",
    "reviews",
    "shipping",
    "catalogue",
];
const ROLES: [&str; 8] = ["api", "worker", "gateway", "consumer", "frontend", "scheduler", "proxy", "cache"];
const SIDECARS: [&str; 3] = ["envoy-proxy", "log-shipper", "metrics-exporter"];
const SETTINGS: [&str; 10] = [
    "DATABASE_URL",
    "CACHE_ADDRESS",
    "QUEUE_BROKERS",
    "REQUEST_TIMEOUT",
    "LOG_LEVEL",
    "FEATURE_FLAGS",
    "TRACING_ENDPOINT",
    "MAX_CONNECTIONS",
    "SESSION_TTL",
    "UPSTREAM_HOST",
];

impl Workload {
    fn new(random: &mut Random, namespace: usize) -> Self {
        let kind = match random.below(20) {
            0..=14 => Kind::ReplicaSet,
            15..=16 => Kind::StatefulSet,
            17..=18 => Kind::DaemonSet,
            _ => Kind::Job,
        };
        let (service, role) = (random.pick(&SERVICES), random.pick(&ROLES));
        let base = format!("{service}-{role}-{}", random.letters(3));
        // One workload in eleven breaks rules. Some single pods restart or are pending in addition.
        let bad = random.below(11) == 0;
        let extra = usize::from(random.below(10) < 3) + usize::from(random.below(10) < 1);
        let names = std::iter::once(role).chain(SIDECARS).take(1 + extra);
        let containers = names.map(|name| Container::new(random, service, name, kind, bad)).collect();
        Self {
            kind,
            namespace: format!("team-{namespace:02}"),
            name: if kind == Kind::Job {
                format!("{base}-{}", 29_400_000 + random.below(90_000))
            } else {
                base
            },
            hash: random.letters(10),
            uid: random.uid(),
            replicas: 3 + random.index(8),
            containers,
        }
    }

    /// Returns the name of the pods' controller.
    fn owner(&self) -> String {
        if self.kind == Kind::ReplicaSet { format!("{}-{}", self.name, self.hash) } else { self.name.clone() }
    }

    fn pod(&self, random: &mut Random, ordinal: usize, number: usize) -> String {
        let owner = self.owner();
        let name = match self.kind {
            Kind::StatefulSet => format!("{owner}-{ordinal}"),
            _ => format!("{owner}-{}", random.letters(5)),
        };
        let node = format!(
            "ip-10-{}-{}-{}.eu-central-1.compute.internal",
            number % 3,
            number % 64,
            10 + random.below(200)
        );
        let address = format!("10.{}.{}.{}", 64 + random.below(64), random.below(256), 1 + random.below(254));
        let pending = random.below(200) == 0;
        let restarts = if random.below(150) == 0 { 4 + random.below(40) } else { random.below(20) / 18 };
        let status = if pending { pending_status() } else { self.running_status(random, restarts, &address) };
        format!(
            r#"{{"metadata":{},"spec":{},"status":{status}}}"#,
            self.metadata(random, &owner, &name, number),
            self.spec(&name, if pending { "" } else { &node }, number)
        )
    }

    fn metadata(&self, random: &mut Random, owner: &str, name: &str, number: usize) -> String {
        let revision = match self.kind {
            Kind::ReplicaSet => format!(r#","pod-template-hash":"{}""#, self.hash),
            Kind::Job => format!(r#","batch.kubernetes.io/job-name":"{owner}","job-name":"{owner}""#),
            _ => format!(r#","controller-revision-hash":"{}","pod-template-generation":"7""#, self.hash),
        };
        let component = &self.containers[0].name;
        format!(
            concat!(
                r#"{{"name":"{name}","generateName":"{owner}-","namespace":"{namespace}","uid":"{uid}","#,
                r#""resourceVersion":"{version}","creationTimestamp":"{time}","labels":{{"app":"{app}","#,
                r#""app.kubernetes.io/component":"{component}","app.kubernetes.io/instance":"{app}","#,
                r#""app.kubernetes.io/managed-by":"Helm","app.kubernetes.io/name":"{app}","#,
                r#""app.kubernetes.io/version":"4.2.0"{revision},"team":"{namespace}"}},"annotations":{{"#,
                r#""checksum/config":"{checksum}","k8s.v1.cni.cncf.io/network-status":"[{{\n    \"name\": \"cbr0\",\n"#,
                r#"    \"interface\": \"eth0\",\n    \"default\": true,\n    \"dns\": {{}}\n}}]","#,
                r#""kubectl.kubernetes.io/restartedAt":"2026-01-10T09:12:44+01:00","prometheus.io/port":"9102","#,
                r#""prometheus.io/scrape":"true"}},"ownerReferences":[{{"apiVersion":"{api_version}","kind":"{kind}","#,
                r#""name":"{owner}","uid":"{owner_uid}","controller":true,"blockOwnerDeletion":true}}],"#,
                r#""managedFields":[{managed}]}}"#
            ),
            name = name,
            owner = owner,
            namespace = self.namespace,
            uid = random.uid(),
            version = 480_000_000 + number,
            time = time(random),
            app = self.name,
            component = component,
            revision = revision,
            checksum = random.hex(64),
            api_version = self.kind.api_version(),
            kind = self.kind.name(),
            owner_uid = self.uid,
            managed = self.managed_fields(random),
        )
    }

    /// Returns the managed fields of the controller manager and the kubelet.
    fn managed_fields(&self, random: &mut Random) -> String {
        let containers: Vec<String> = self.containers.iter().map(Container::managed_fields).collect();
        let (uid, time) = (&self.uid, time(random));
        let condition = |kind| {
            format!(
                r#""k:{{\"type\":\"{kind}\"}}":{{".":{{}},"f:lastProbeTime":{{}},"f:lastTransitionTime":{{}},"f:status":{{}},"f:type":{{}}}}"#
            )
        };
        let conditions =
            ["ContainersReady", "Initialized", "PodReadyToStartContainers", "Ready"].map(condition);
        format!(
            concat!(
                r#"{{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1","time":"{time}","#,
                r#""fieldsType":"FieldsV1","fieldsV1":{{"f:metadata":{{"f:annotations":{{".":{{}},"f:checksum/config":{{}},"#,
                r#""f:kubectl.kubernetes.io/restartedAt":{{}},"f:prometheus.io/port":{{}},"f:prometheus.io/scrape":{{}}}},"#,
                r#""f:generateName":{{}},"f:labels":{{".":{{}},"f:app":{{}},"f:app.kubernetes.io/component":{{}},"#,
                r#""f:app.kubernetes.io/instance":{{}},"f:app.kubernetes.io/managed-by":{{}},"f:app.kubernetes.io/name":{{}},"#,
                r#""f:app.kubernetes.io/version":{{}},"f:pod-template-hash":{{}},"f:team":{{}}}},"f:ownerReferences":{{".":{{}},"#,
                r#""k:{{\"uid\":\"{uid}\"}}":{{}}}}}},"f:spec":{{"f:affinity":{{".":{{}},"f:podAntiAffinity":{{".":{{}},"#,
                r#""f:preferredDuringSchedulingIgnoredDuringExecution":{{}}}}}},"f:containers":{{{containers}}},"#,
                r#""f:dnsPolicy":{{}},"f:enableServiceLinks":{{}},"f:restartPolicy":{{}},"f:schedulerName":{{}},"#,
                r#""f:securityContext":{{}},"f:serviceAccount":{{}},"f:serviceAccountName":{{}},"#,
                r#""f:terminationGracePeriodSeconds":{{}},"f:volumes":{{".":{{}},"k:{{\"name\":\"config\"}}":{{".":{{}},"#,
                r#""f:configMap":{{".":{{}},"f:defaultMode":{{}},"f:name":{{}}}},"f:name":{{}}}}}}}}}}}},"#,
                r#"{{"manager":"kubelet","operation":"Update","apiVersion":"v1","time":"{time}","fieldsType":"FieldsV1","#,
                r#""fieldsV1":{{"f:status":{{"f:conditions":{{{conditions}}},"f:containerStatuses":{{}},"f:hostIP":{{}},"#,
                r#""f:hostIPs":{{}},"f:phase":{{}},"f:podIP":{{}},"f:podIPs":{{".":{{}},"k:{{\"ip\":\"10.1.2.3\"}}":{{".":{{}},"#,
                r#""f:ip":{{}}}}}},"f:startTime":{{}}}}}},"subresource":"status"}}"#
            ),
            time = time,
            uid = uid,
            containers = containers.join(","),
            conditions = conditions.join(","),
        )
    }

    fn spec(&self, name: &str, node: &str, number: usize) -> String {
        // The API server gives this volume of each pod another name.
        let random = format!("{number:05}");
        let containers: Vec<String> =
            self.containers.iter().map(|container| container.spec(&self.name, &random)).collect();
        let node = if node.is_empty() { String::new() } else { format!(r#""nodeName":"{node}","#) };
        let restart_policy = if self.kind == Kind::Job { "OnFailure" } else { "Always" };
        format!(
            concat!(
                r#"{{"volumes":[{{"name":"config","configMap":{{"name":"{app}-config","defaultMode":420}}}},"#,
                r#"{{"name":"kube-api-access-{random}","projected":{{"sources":[{{"serviceAccountToken":{{"expirationSeconds":3607,"#,
                r#""path":"token"}}}},{{"configMap":{{"name":"kube-root-ca.crt","items":[{{"key":"ca.crt","path":"ca.crt"}}]}}}},"#,
                r#"{{"downwardAPI":{{"items":[{{"path":"namespace","fieldRef":{{"apiVersion":"v1","#,
                r#""fieldPath":"metadata.namespace"}}}}]}}}}],"defaultMode":420}}}}],"containers":[{containers}],"#,
                r#""restartPolicy":"{restart_policy}","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","#,
                r#""serviceAccountName":"{app}","serviceAccount":"{app}",{node}"hostname":"{name}","#,
                r#""securityContext":{{"runAsUser":10001,"runAsNonRoot":true,"fsGroup":10001}},"affinity":{{"podAntiAffinity":"#,
                r#"{{"preferredDuringSchedulingIgnoredDuringExecution":[{{"weight":100,"podAffinityTerm":{{"labelSelector":"#,
                r#"{{"matchLabels":{{"app":"{app}"}}}},"topologyKey":"kubernetes.io/hostname"}}}}]}}}},"#,
                r#""schedulerName":"default-scheduler","tolerations":[{{"key":"node.kubernetes.io/not-ready","#,
                r#""operator":"Exists","effect":"NoExecute","tolerationSeconds":300}},"#,
                r#"{{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","#,
                r#""tolerationSeconds":300}}],"priority":0,"enableServiceLinks":true,"#,
                r#""preemptionPolicy":"PreemptLowerPriority"}}"#
            ),
            app = self.name,
            containers = containers.join(","),
            random = random,
            restart_policy = restart_policy,
            node = node,
            name = name,
        )
    }

    fn running_status(&self, random: &mut Random, restarts: u64, address: &str) -> String {
        let phase = if self.kind == Kind::Job && random.below(3) == 0 { "Succeeded" } else { "Running" };
        let time = time(random);
        let condition = |kind| {
            format!(
                r#"{{"type":"{kind}","status":"True","lastProbeTime":null,"lastTransitionTime":"{time}"}}"#
            )
        };
        let conditions =
            ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
                .map(condition);
        let statuses: Vec<String> = self
            .containers
            .iter()
            .enumerate()
            .map(|(index, container)| container.status(random, if index == 0 { restarts } else { 0 }, &time))
            .collect();
        format!(
            concat!(
                r#"{{"phase":"{phase}","conditions":[{conditions}],"hostIP":"10.0.12.7","hostIPs":[{{"ip":"10.0.12.7"}}],"#,
                r#""podIP":"{address}","podIPs":[{{"ip":"{address}"}}],"startTime":"{time}","#,
                r#""containerStatuses":[{statuses}],"qosClass":"Burstable"}}"#
            ),
            phase = phase,
            conditions = conditions.join(","),
            address = address,
            time = time,
            statuses = statuses.join(","),
        )
    }
}

fn pending_status() -> String {
    concat!(
        r#"{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","lastProbeTime":null,"#,
        r#""lastTransitionTime":"2026-01-12T08:30:00Z","reason":"Unschedulable","#,
        r#""message":"0/64 nodes are available: 64 Insufficient memory."}],"qosClass":"Burstable"}"#
    )
    .to_owned()
}

impl Container {
    fn new(random: &mut Random, service: &str, name: &str, kind: Kind, bad: bool) -> Self {
        // Containers that run to completion have no probes and need none.
        let probes = kind != Kind::Job;
        let fault = if bad { random.below(4) } else { 9 };
        let tag = format!("{}.{}.{}", 1 + random.below(6), random.below(30), random.below(12));
        let settings = 10 + random.index(7);
        Self {
            name: name.to_owned(),
            image: format!("registry.example/{service}/{name}:{}", if fault == 0 { "latest" } else { &tag }),
            digest: random.hex(64),
            port: 8000 + random.below(1000),
            env: (0..settings)
                .map(|index| {
                    format!(
                        "{}_{}",
                        random.pick(&SETTINGS),
                        char::from(b'A' + u8::try_from(index).unwrap_or(0))
                    )
                })
                .collect(),
            liveness: probes && !matches!(fault, 1 | 3),
            readiness: probes && !matches!(fault, 2 | 3),
            resources: random.below(20) > 0,
        }
    }

    fn spec(&self, app: &str, random: &str) -> String {
        let Self { name, image, port, .. } = self;
        let env: Vec<String> = self
            .env
            .iter()
            .map(|key| format!(r#"{{"name":"{key}","value":"tcp://{app}.internal.example:{port}/{name}"}}"#))
            .collect();
        let resources = if self.resources {
            r#"{"limits":{"memory":"512Mi"},"requests":{"cpu":"100m","memory":"256Mi"}}"#
        } else {
            "{}"
        };
        let probe = |there: bool, field: &str, path: &str| {
            if !there {
                return String::new();
            }
            format!(
                r#""{field}":{{"httpGet":{{"path":"{path}","port":{port},"scheme":"HTTP"}},"initialDelaySeconds":10,"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}},"#
            )
        };
        format!(
            concat!(
                r#"{{"name":"{name}","image":"{image}","ports":[{{"name":"http","containerPort":{port},"protocol":"TCP"}}],"#,
                r#""env":[{env}],"resources":{resources},"volumeMounts":[{{"name":"config","readOnly":true,"#,
                r#""mountPath":"/etc/{name}"}},{{"name":"kube-api-access-{random}","readOnly":true,"#,
                r#""mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}}],{liveness}{readiness}"#,
                r#""terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","#,
                r#""imagePullPolicy":"IfNotPresent","securityContext":{{"capabilities":{{"drop":["ALL"]}},"#,
                r#""readOnlyRootFilesystem":true,"allowPrivilegeEscalation":false}}}}"#
            ),
            name = name,
            image = image,
            port = port,
            env = env.join(","),
            resources = resources,
            random = random,
            liveness = probe(self.liveness, "livenessProbe", "/livez"),
            readiness = probe(self.readiness, "readinessProbe", "/readyz"),
        )
    }

    fn managed_fields(&self) -> String {
        let field =
            |key: &String| format!(r#""k:{{\"name\":\"{key}\"}}":{{".":{{}},"f:name":{{}},"f:value":{{}}}}"#);
        let env: Vec<String> = self.env.iter().map(field).collect();
        let probe = concat!(
            r#"{".":{},"f:failureThreshold":{},"f:httpGet":{".":{},"f:path":{},"f:port":{},"f:scheme":{}},"#,
            r#""f:initialDelaySeconds":{},"f:periodSeconds":{},"f:successThreshold":{},"f:timeoutSeconds":{}}"#
        );
        format!(
            concat!(
                r#""k:{{\"name\":\"{name}\"}}":{{".":{{}},"f:env":{{".":{{}},{env}}},"f:image":{{}},"#,
                r#""f:imagePullPolicy":{{}},"f:livenessProbe":{probe},"f:name":{{}},"f:ports":{{".":{{}},"#,
                r#""k:{{\"containerPort\":{port},\"protocol\":\"TCP\"}}":{{".":{{}},"f:containerPort":{{}},"f:name":{{}},"#,
                r#""f:protocol":{{}}}}}},"f:readinessProbe":{probe},"f:resources":{{}},"f:securityContext":{{}},"#,
                r#""f:terminationMessagePath":{{}},"f:terminationMessagePolicy":{{}},"f:volumeMounts":{{}}}}"#
            ),
            name = self.name,
            env = env.join(","),
            probe = probe,
            port = self.port,
        )
    }

    fn status(&self, random: &mut Random, restarts: u64, time: &str) -> String {
        let last = if restarts == 0 {
            "{}".to_owned()
        } else {
            format!(r#"{{"terminated":{{"exitCode":137,"reason":"OOMKilled","finishedAt":"{time}"}}}}"#)
        };
        format!(
            concat!(
                r#"{{"name":"{name}","state":{{"running":{{"startedAt":"{time}"}}}},"lastState":{last},"ready":true,"#,
                r#""restartCount":{restarts},"image":"{image}","imageID":"{repository}@sha256:{digest}","#,
                r#""containerID":"containerd://{id}","started":true}}"#
            ),
            name = self.name,
            time = time,
            last = last,
            restarts = restarts,
            image = self.image,
            repository = self.image.rsplit_once(':').map_or(self.image.as_str(), |(name, _)| name),
            digest = self.digest,
            id = random.hex(64),
        )
    }
}

fn time(random: &mut Random) -> String {
    let (day, hour) = (1 + random.below(28), random.below(24));
    format!("2026-01-{day:02}T{hour:02}:{:02}:{:02}Z", random.below(60), random.below(60))
}

/// splitmix64, which is small and gives the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.index(from.len())]
    }

    /// Returns a random suffix from the characters that Kubernetes uses for names.
    fn letters(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..length).map(|_| char::from(LETTERS[self.index(LETTERS.len())])).collect()
    }

    fn hex(&mut self, length: usize) -> String {
        const DIGITS: &[u8] = b"0123456789abcdef";
        (0..length).map(|_| char::from(DIGITS[self.index(DIGITS.len())])).collect()
    }

    fn uid(&mut self) -> String {
        let hex = self.hex(32);
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    }
}
