//! Relations between objects. A missing object is unknown, unless the input has everything.

use super::*;

const SERVICE: &[u8] = b"apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n\
                         spec: {selector: {app: web}, ports: [{port: 80}]}\n";

fn report(run: &Run) -> serde_json::Value {
    serde_json::from_str(&run.stdout).map_err(|_| run.to_string()).unwrap()
}

#[test]
fn a_missing_object_is_unknown_unless_the_input_is_complete() {
    let tree = directory(&[("service.yaml", SERVICE)]);
    let analyze = ["analyze", "-f", ".", "--rules", "dangling-service", "--fail-on", "high", "-o", "json"];
    let open = run_in(tree.path(), &analyze, "");
    assert_eq!(open.status, 0, "{open}");
    assert_eq!(report(&open)["summary"]["unknown"]["dangling-service"], 1);
    assert!(open.stderr.contains("dangling-service (1); --complete says"), "{open}");
    let complete = run_in(tree.path(), &[&analyze[..], &["--complete"]].concat(), "");
    assert_eq!(complete.status, 1, "{complete}");
    let found = report(&complete);
    assert_eq!(found["summary"].get("unknown"), None);
    let violation = &found["violations"][0];
    assert_eq!(
        (&violation["kind"], &violation["name"], &violation["source"]),
        (&"Service".into(), &"web".into(), &"./service.yaml:4".into())
    );
    assert_eq!(found["summary"]["score"], 100, "a Service has no share of the score");
}

#[test]
fn an_input_that_could_not_be_read_is_not_complete() {
    let tree = directory(&[("service.yaml", SERVICE), ("broken.yaml", b"apiVersion: v1\nkind: [\n")]);
    let run = run_in(
        tree.path(),
        &["analyze", "-f", ".", "--complete", "--rules", "dangling-service", "-o", "json"],
        "",
    );
    assert_eq!(run.status, 2, "{run}");
    assert_eq!(report(&run)["summary"]["unknown"]["dangling-service"], 1);
}

#[test]
fn an_object_that_could_not_be_read_is_not_missing() {
    let ingress = b"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\n\
                    spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}\n";
    let service = b"apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: [1]}]}\n";
    let tree = directory(&[("ingress.yaml", ingress), ("service.yaml", service)]);
    let run = run_in(
        tree.path(),
        &["analyze", "-f", ".", "--complete", "--rules", "dangling-ingress", "-o", "json"],
        "",
    );
    let found = report(&run);
    assert_eq!((run.status, &found["summary"]["counts"]["dangling-ingress"]), (2, &0.into()), "{run}");
    assert_eq!(found["summary"]["unknown"]["dangling-ingress"], 1);
}

#[test]
fn the_order_of_two_objects_of_one_name_makes_no_difference() {
    let service = |port: u16| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{ports: [{{port: {port}}}]}}\n"
        )
    };
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\n\
                   spec: {defaultBackend: {service: {name: web, port: {number: 81}}}}\n";
    let counts = [[80, 81], [81, 80]].map(|ports| {
        let documents = [ingress.to_owned(), service(ports[0]), service(ports[1])].join("---\n");
        let tree = directory(&[("all.yaml", documents.as_bytes())]);
        let run =
            run_in(tree.path(), &["analyze", "-f", ".", "--rules", "dangling-ingress", "-o", "json"], "");
        report(&run)["summary"]["counts"]["dangling-ingress"].clone()
    });
    assert_eq!(counts[0], counts[1]);
}

#[test]
fn a_directory_of_roles_alone_is_evaluated() {
    let role = b"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: wide}\n\
                 rules: [{apiGroups: [''], resources: ['*'], verbs: [get]}]\n";
    let tree = directory(&[("role.yaml", role)]);
    let run = run_in(tree.path(), &["analyze", "-f", ".", "--rules", "rbac", "--fail-on", "medium"], "");
    assert_eq!(run.status, 1, "{run}");
    assert!(!run.stderr.contains("nothing was evaluated"), "{run}");
    let default = run_in(tree.path(), &["analyze", "-f", ".", "--fail-on", "medium"], "");
    assert_eq!(default.status, 2, "{default}");
}

#[test]
fn an_object_of_another_kind_that_is_invalid_is_named() {
    let service = b"apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: [a]}\n";
    let tree = directory(&[("service.yaml", service)]);
    let run = run_in(tree.path(), &["analyze", "-f", ".", "--rules", "networking"], "");
    assert_eq!(run.status, 2, "{run}");
    assert!(
        run.stderr.contains("service.yaml") && run.stderr.contains("not a valid Service: spec:"),
        "{run}"
    );
}
