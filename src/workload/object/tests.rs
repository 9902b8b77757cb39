//! Reading objects of every kind.

use super::*;

fn read(yaml: &str) -> Object<'static> {
    let value: serde_json::Value = yaml_serde::from_str(yaml).unwrap();
    Object::deserialize(value).unwrap()
}

fn image(object: &Object<'_>) -> Option<String> {
    match &object.parsed {
        Parsed::Workload(workload) => {
            workload.pod.containers.first()?.image.as_ref().map(ToString::to_string)
        }
        _ => None,
    }
}

#[test]
fn the_pod_spec_of_every_evaluated_kind_is_found() {
    for (api_version, kind, path) in [
        ("v1", "Pod", ""),
        ("v1", "ReplicationController", "template"),
        ("apps/v1", "Deployment", "template"),
        ("apps/v1", "StatefulSet", "template"),
        ("apps/v1", "DaemonSet", "template"),
        ("apps/v1", "ReplicaSet", "template"),
        ("batch/v1", "Job", "template"),
        ("batch/v1", "CronJob", "jobTemplate.spec.template"),
    ] {
        let mut spec = serde_json::json!({"containers": [{"name": "a", "image": "b:1"}]});
        if !path.is_empty() {
            spec = serde_json::json!({ "spec": spec });
            for step in path.split('.').rev() {
                spec = serde_json::json!({ step: spec });
            }
        }
        let object = serde_json::json!({"apiVersion": api_version, "kind": kind, "spec": spec});
        assert_eq!(image(&Object::deserialize(object).unwrap()).as_deref(), Some("b:1"), "{kind}");
    }
}

#[test]
fn an_object_reads_the_same_in_any_order_of_its_fields() {
    let object =
        read("spec: {containers: [{name: a, image: b:1}]}\nmetadata: {name: p}\nkind: Pod\napiVersion: v1");
    assert_eq!(image(&object).as_deref(), Some("b:1"));
    let list = read("items: [{spec: {containers: [{name: a, image: b:1}]}}]\nkind: PodList\napiVersion: v1");
    let Parsed::List(items) = list.parsed else { panic!("no list") };
    assert_eq!(image(&items[0]).as_deref(), Some("b:1"));
}

#[test]
fn items_of_a_typed_list_need_not_name_their_type() {
    let list = read("{apiVersion: apps/v1, kind: DeploymentList, items: [{metadata: {name: d}}]}");
    let Parsed::List(items) = list.parsed else { panic!("no list") };
    assert_eq!(items[0].types.kind, "Deployment");
}

#[test]
fn a_kind_that_is_not_evaluated_may_hold_anything() {
    for yaml in [
        "{apiVersion: v1, kind: Service, spec: [1, 2]}",
        "{apiVersion: example.com/v1, kind: Pod, spec: text, metadata: 1}",
        "{apiVersion: example.com/v1, kind: AllowList, spec: text}",
    ] {
        assert!(matches!(read(yaml).parsed, Parsed::Other { .. }), "{yaml}");
    }
}

#[test]
fn a_sequence_is_no_object() {
    let containers = "containers: [{name: c}]";
    for (kind, part, expected) in [
        ("Pod", "metadata: [p]", "metadata: invalid type: sequence, expected metadata"),
        ("Pod", "metadata: {ownerReferences: [[Job, j, true]]}", "expected an owner reference"),
        ("Pod", "spec: [[]]", "expected a pod spec"),
        ("Pod", "spec: {containers: [[c, image]]}", "expected a container"),
        ("Pod", "status: [Pending]", "status: invalid type: sequence, expected a pod status"),
        ("Pod", "status: {containerStatuses: [[c, 5]]}", "expected the status of a container"),
        ("Pod", &format!("spec: {{{containers}, resources: [{{cpu: 1}}]}}"), "expected requests and limits"),
        (
            "Pod",
            &format!("spec: {{{containers}, resources: {{requests: [1]}}}}"),
            "expected amounts by resource",
        ),
        ("Job", "spec: [{}]", "expected a spec with a pod template"),
        ("Job", "spec: {template: [{}]}", "expected a pod template"),
        ("Job", "spec: {template: {metadata: [{}]}}", "expected metadata"),
        ("CronJob", "spec: [{}]", "expected the spec of a CronJob"),
        ("CronJob", "spec: {jobTemplate: [{}]}", "expected a Job template"),
    ] {
        let version = if kind == "Pod" { "v1" } else { "batch/v1" };
        let yaml = format!("{{apiVersion: {version}, kind: {kind}, {part}}}");
        let value: serde_json::Value = yaml_serde::from_str(&yaml).unwrap();
        let by_value = Object::deserialize(&value).unwrap_err().to_string();
        let by_text = serde_json::from_str::<Object<'_>>(&value.to_string()).unwrap_err().to_string();
        let by_yaml = yaml_serde::from_str::<Object<'_>>(&yaml).unwrap_err().to_string();
        let end = expected.rsplit(": ").next().unwrap();
        for error in [by_value, by_text, by_yaml] {
            assert!(error.contains("invalid type: sequence") && error.contains(end), "{part}: {error}");
        }
    }
}

#[test]
fn numbers_that_the_api_server_refuses_are_refused() {
    let error = |part: &str| {
        let yaml = format!("{{apiVersion: v1, kind: Pod, {part}}}");
        yaml_serde::from_str::<Object<'_>>(&yaml).map(|_| ()).unwrap_err().to_string()
    };
    for amount in ["-1", "'-100m'", "-0.5"] {
        let spec = format!("spec: {{containers: [{{name: c, resources: {{limits: {{cpu: {amount}}}}}}}]}}");
        assert!(error(&spec).contains("an amount can't be negative"), "{}", error(&spec));
    }
    for count in ["x", "-1", "1.5", "5000000000"] {
        let status = format!("status: {{containerStatuses: [{{name: c, restartCount: {count}}}]}}");
        assert!(error(&status).contains("expected a whole number"), "{}", error(&status));
    }
    read("{apiVersion: v1, kind: Pod, status: {containerStatuses: [{name: c, restartCount: null}]}}");
}

#[test]
fn an_object_without_a_type_is_refused() {
    let error = |json| serde_json::from_str::<Object<'_>>(json).unwrap_err().to_string();
    assert!(matches!(read("a: 1").parsed, Parsed::Foreign));
    assert!(matches!(read("{apiVersion: v2, name: chart}").parsed, Parsed::Foreign));
    assert!(error(r#"{"kind": "Pod"}"#).starts_with("not a Kubernetes object: `apiVersion` is missing"));
    assert!(error("[]").contains("expected a Kubernetes object"));
}

#[test]
fn a_workload_of_a_known_kind_needs_no_type_and_has_no_other() {
    let item = r#"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"a","image":"b:1"}]}}"#;
    let pod = Workload::from_json(WorkloadKind::Pod, item).unwrap();
    assert_eq!((pod.kind, pod.name()), (WorkloadKind::Pod, "p"));
    assert_eq!(Workload::from_json_with(Fields::Default, WorkloadKind::Pod, item).unwrap(), pod);
    let job = Workload::from_json(WorkloadKind::Job, item).unwrap();
    assert_eq!((job.kind, job.pod.containers.len()), (WorkloadKind::Job, 0));
    let other = r#"{"apiVersion":"v1","kind":"Secret"}"#;
    assert!(Workload::from_json(WorkloadKind::Pod, other).unwrap_err().to_string().starts_with("not a Pod"));
}

#[test]
fn text_is_borrowed_from_the_input() {
    let json = r#"{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a","image":"b:1"}]}}"#;
    let object: Object<'_> = serde_json::from_str(json).unwrap();
    let Parsed::Workload(workload) = &object.parsed else { panic!("not evaluated") };
    let image = workload.pod.containers[0].image.as_deref().unwrap();
    assert!(json.as_bytes().as_ptr_range().contains(&image.as_ptr()));
}

/// Reads a Deployment with this spec of pods and this container. Returns the error.
fn refused(pod: &str, container: &str, spec: &str) -> Option<String> {
    let yaml = format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{annotations: {{a: b, n: null}}}}, spec: {{{spec} \
         template: {{spec: {{{pod} containers: [{{{container} name: a, image: b}}]}}}}}}}}"
    );
    let value: serde_json::Value = yaml_serde::from_str(&yaml).unwrap();
    Fields::All.within(|| Object::deserialize(value).err().map(|error| error.to_string()))
}

#[test]
fn types_of_fields_that_no_rule_reads_are_not_checked_in_an_object_from_an_api_server() {
    let is_read = |uid: &str| {
        let pod = serde_json::json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web", "uid": uid },
            "spec": { "containers": [{ "name": "main", "image": "x:1", "stdin": "yes" }] },
        });
        Fields::Default.within_checked(|| Object::deserialize(pod).is_ok())
    };
    assert!(!is_read(""));
    assert!(is_read("6a3f"));
}

#[test]
fn a_value_of_another_type_than_the_api_s_is_an_error_in_every_field() {
    for container in [
        "args: [1],",
        "args: a,",
        "command: [true],",
        "workingDir: 1,",
        "tty: 'yes',",
        "env: [{name: A, value: 1}],",
        "env: [{name: A, value: true}],",
        "env: [{name: A, valueFrom: {fieldRef: {fieldPath: 1}}}],",
        "envFrom: [{prefix: 1}],",
        "ports: [{containerPort: '80'}],",
        "ports: [{containerPort: 80, hostPort: 1.5}],",
        "ports: [{containerPort: 80, hostIP: 1}],",
        "livenessProbe: {initialDelaySeconds: '5'},",
        "readinessProbe: {timeoutSeconds: true},",
        "startupProbe: {httpGet: {path: 1}},",
        "livenessProbe: {exec: {command: [1]}},",
        "imagePullPolicy: 1,",
        "securityContext: {runAsUser: '0'},",
        "securityContext: {privileged: 'true'},",
        "securityContext: {runAsGroup: '0'},",
        "securityContext: {capabilities: {drop: ALL}},",
        "volumeMounts: [{name: a, mountPath: 1}],",
        "volumeMounts: [{name: a, readOnly: 'true'}],",
    ] {
        assert!(refused("", container, "").is_some(), "{container}");
    }
    for pod in [
        "hostNetwork: 'yes',",
        "hostPID: 1,",
        "nodeSelector: {gpu: true},",
        "nodeSelector: a,",
        "tolerations: [{key: a, value: true}],",
        "tolerations: {key: a},",
        "terminationGracePeriodSeconds: '30',",
        "priority: high,",
        "dnsConfig: {options: [{name: ndots, value: 5}]},",
        "hostAliases: [{ip: 1}],",
        "restartPolicy: 1,",
        "imagePullSecrets: [{name: 1}],",
        "securityContext: {fsGroup: '1'},",
        "securityContext: {supplementalGroups: ['1']},",
        "securityContext: {sysctls: [{name: a, value: 1}]},",
        "volumes: [{name: a, configMap: {name: b, defaultMode: '0644'}}],",
        "volumes: [{name: a, emptyDir: {medium: 1}}],",
        "volumes: [{name: a, emptyDir: {sizeLimit: much}}],",
        "volumes: [{name: a, persistentVolumeClaim: {claimName: 1}}],",
        "topologySpreadConstraints: [{maxSkew: '1'}],",
        "serviceAccountName: 1,",
    ] {
        assert!(refused(pod, "", "").is_some(), "{pod}");
    }
    for spec in ["replicas: '3',", "minReadySeconds: '5',", "paused: 'no',", "revisionHistoryLimit: few,"] {
        assert!(refused("", "", spec).is_some(), "{spec}");
    }
}

#[test]
fn every_type_of_the_api_and_null_are_accepted() {
    let container = "args: ['1', null], command: null, tty: null, env: [{name: A, value: null}], \
                     ports: [{containerPort: 80, hostIP: '::1'}], livenessProbe: {initialDelaySeconds: null}, \
                     volumeMounts: [{name: a, mountPath: /a, readOnly: true}], resources: {limits: {cpu: 1}},";
    let pod = "nodeSelector: {gpu: 'true', a: null}, tolerations: [{tolerationSeconds: 3}], hostNetwork: null, \
               volumes: [{name: a, emptyDir: {sizeLimit: 1}}, {name: b, emptyDir: null}], priority: -1,";
    assert_eq!(refused(pod, container, "replicas: null, paused: true, minReadySeconds: 5,"), None);
}

#[test]
fn annotations_are_text_like_labels() {
    let of = |value: &str| {
        let yaml = format!("{{apiVersion: v1, kind: Pod, metadata: {{annotations: {{a: {value}}}}}}}");
        let value: serde_json::Value = yaml_serde::from_str(&yaml).unwrap();
        Fields::All.within(|| Object::deserialize(value).err().map(|error| error.to_string()))
    };
    assert_eq!(of("1").as_deref(), Some("invalid type: integer `1`, expected a string"));
    assert!(of("true").is_some() && of("[]").is_some());
    assert_eq!((of("'1'"), of("null")), (None, None));
}
