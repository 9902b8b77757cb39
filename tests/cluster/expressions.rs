//! Generated expressions over generated objects: the API server gives the same answers as `analyze`.

use std::collections::BTreeMap;

use http::Request;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::{Api, Client};
use kube_devops::expression::Expression;
use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::eventually::eventually;
use crate::soak::rounds;

/// The variables of an expression.
const VARIABLES: &[&str] = &["object"];
/// The expressions of one policy. Their warnings fit into one answer of the API server.
const BATCH: usize = 20;
/// The batches of a usual run.
const BATCHES: usize = 15;
/// The batches of `make soak`.
const SOAK_BATCHES: usize = 120;
/// The objects over which each expression is evaluated.
const OBJECTS: usize = 12;

/// Makes expressions. Most of them have fitting types.
struct Generator {
    random: fastrand::Rng,
    /// The local variables in scope.
    locals: usize,
}

impl Generator {
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.random.usize(..from.len())]
    }

    fn local(&mut self) -> Option<String> {
        (self.locals > 0 && self.random.bool()).then(|| format!("v{}", self.random.usize(..self.locals)))
    }

    /// Makes a macro with a body that has one more variable.
    fn visit(&mut self, of: &str, name: &str, body: fn(&mut Self, u32) -> String, depth: u32) -> String {
        let variable = self.locals;
        self.locals += 1;
        let body = body(self, depth);
        self.locals -= 1;
        format!("{of}.{name}(v{variable}, {body})")
    }

    fn boolean(&mut self, depth: u32) -> String {
        if depth == 0 {
            return match self.random.usize(..4) {
                0 => self.pick(&["true", "false", "object.spec.e"]).to_owned(),
                1 => format!("has(object.spec.{})", self.pick(&["a", "b", "c", "d", "d.x", "e", "none"])),
                2 => format!("{} in object.spec.d", self.pick(&["'x'", "'y'", "''"])),
                _ => format!("{} {} {}", self.number(0), self.pick(&["<", ">=", "=="]), self.number(0)),
            };
        }
        let depth = depth - 1;
        match self.random.usize(..13) {
            0 | 1 => format!("({} && {})", self.boolean(depth), self.boolean(depth)),
            2 | 3 => format!("({} || {})", self.boolean(depth), self.boolean(depth)),
            4 => format!("!({})", self.boolean(depth)),
            5 => format!("({} ? {} : {})", self.boolean(depth), self.boolean(depth), self.boolean(depth)),
            6 => format!("{} {} {}", self.any(depth), self.pick(&["==", "!="]), self.any(depth)),
            7 => {
                let operator = self.pick(&["<", "<=", ">", ">=", "==", "!="]);
                format!("{} {operator} {}", self.number(depth), self.number(depth))
            }
            8 => {
                let operator = self.pick(&["<", "<=", ">", ">="]);
                format!("{} {operator} {}", self.text(depth), self.text(depth))
            }
            9 => format!("{} in {}", self.any(depth), self.list(depth)),
            10 => {
                let function = self.pick(&["startsWith", "endsWith", "contains"]);
                format!("{}.{function}({})", self.text(depth), self.text(depth))
            }
            11 => {
                let pattern = self.pick(&[
                    "'^[a-z]+$'",
                    r"r'\d|\s'",
                    "'^.$'",
                    r"r'^\w*$'",
                    "'(?i)AB'",
                    r"r'[^[:alpha:]\d-]'",
                ]);
                format!("{}.matches({pattern})", self.text(depth))
            }
            _ => {
                let of = if self.random.bool() { self.list(depth) } else { self.map(depth) };
                let name = self.pick(&["all", "exists", "exists_one"]);
                self.visit(&of, name, Self::boolean, depth)
            }
        }
    }

    fn number(&mut self, depth: u32) -> String {
        if let Some(local) = self.local() {
            return local;
        }
        if depth == 0 {
            let literals = [
                "object.spec.a",
                "object.spec.f",
                "1",
                "dyn(2)",
                "-3",
                "dyn(0.5)",
                "dyn(7u)",
                "object.spec.d.x",
            ];
            return self.pick(&literals).to_owned();
        }
        let depth = depth - 1;
        match self.random.usize(..7) {
            0 => format!("size({})", self.list(depth)),
            1 => format!("{}.size()", self.text(depth)),
            2 => format!("-({})", self.number(depth)),
            3 => format!("{}({})", self.pick(&["int", "double", "uint"]), self.any(depth)),
            4 => format!(
                "{}.{}({})",
                self.text(depth),
                self.pick(&["indexOf", "lastIndexOf"]),
                self.text(depth)
            ),
            _ => {
                let operator = self.pick(&["+", "-", "*", "/", "%"]);
                format!("({} {operator} {})", self.number(depth), self.number(depth))
            }
        }
    }

    fn text(&mut self, depth: u32) -> String {
        if let Some(local) = self.local() {
            return local;
        }
        if depth == 0 {
            return self
                .pick(&["object.spec.b", "'ab'", "''", "'é B'", "\"a,b\"", "' x '", "object.spec.d.y"])
                .to_owned();
        }
        let depth = depth - 1;
        let text = self.text(depth);
        match self.random.usize(..8) {
            0 => format!("({text} + {})", self.text(depth)),
            1 => format!("{text}.substring({})", self.number(0)),
            2 => format!("{text}.substring({}, {})", self.number(0), self.number(0)),
            3 => format!("{text}.{}()", self.pick(&["lowerAscii", "upperAscii", "trim"])),
            4 => format!("{text}.replace({}, {})", self.text(0), self.text(0)),
            5 => format!("{text}.charAt({})", self.number(0)),
            6 => format!("string({})", self.any(depth)),
            _ => format!("{}.map(s, string(s)).join({})", self.list(depth), self.text(0)),
        }
    }

    fn list(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self
                .pick(&["object.spec.c", "[1, 2]", "['ab', '']", "[dyn(1), dyn('ab'), dyn(null)]", "[]"])
                .to_owned();
        }
        let depth = depth - 1;
        match self.random.usize(..6) {
            // The API server derives the type of all items from a literal list, and the other operand may not have it.
            0 => format!("(dyn({}) + dyn({}))", self.list(depth), self.list(depth)),
            1 => format!("{}.split({})", self.text(depth), self.text(0)),
            2 => format!("[dyn({}), dyn({})]", self.any(depth), self.any(depth)),
            3 => {
                let of = self.list(depth);
                self.visit(&of, "map", Self::any, depth)
            }
            4 => {
                let of = self.list(depth);
                self.visit(&of, "filter", Self::boolean, depth)
            }
            _ => "object.spec.c".to_owned(),
        }
    }

    fn map(&mut self, depth: u32) -> String {
        if depth == 0 || self.random.bool() {
            return "object.spec.d".to_owned();
        }
        format!("{{'x': dyn({}), 'z': dyn({})}}", self.any(depth - 1), self.any(depth - 1))
    }

    fn any(&mut self, depth: u32) -> String {
        if let Some(local) = self.local() {
            return local;
        }
        match self.random.usize(..8) {
            0 => "dyn(null)".to_owned(),
            1 => format!(
                "object.spec.{}",
                self.pick(&["a", "b", "c", "d", "e", "f", "none", "d.x", "c[0]", "d['y']"])
            ),
            2 => format!("dyn({})", self.boolean(depth.min(1))),
            3 => format!("dyn({})", self.list(depth)),
            4 => format!("dyn({})", self.map(depth)),
            5 => format!("{}[{}]", self.list(depth), self.number(0)),
            6 => format!("dyn({})", self.text(depth)),
            _ => format!("dyn({})", self.number(depth)),
        }
    }

    fn value(&mut self, depth: u32) -> Value {
        match self.random.usize(..if depth == 0 { 6 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.random.bool()),
            2 | 3 => json!(self.random.i64(-3..9)),
            4 => json!([0.5, -2.25, 3.0, 1e21, 1_234_567.5][self.random.usize(..5)]),
            5 => json!(self.pick(&["", "ab", "AB-1", "é B", "a,b", " x ", "7", "true"])),
            6 => (0..self.random.usize(..4)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let keys = ["x", "y", "z"];
                let fields =
                    (0..self.random.usize(..3)).map(|_| (self.pick(&keys).to_owned(), self.value(depth - 1)));
                Value::Object(fields.collect::<Vec<_>>().into_iter().collect())
            }
        }
    }

    /// Makes a spec in which most fields have the type that expressions expect.
    fn spec(&mut self) -> Value {
        let fraction = [0.5, 2.0, -1.25, 1e6][self.random.usize(..4)];
        let mut spec = json!({
            "a": self.random.i64(-3..9),
            "b": self.pick(&["ab", "AB-1", "é B", "a,b", " x ", "7"]),
            "c": (0..self.random.usize(..4)).map(|_| self.value(0)).collect::<Value>(),
            "d": { "x": self.random.i64(-3..9), "y": self.pick(&["ab", "x", "7"]) },
            "e": self.random.bool(),
            "f": fraction,
        });
        for key in ["a", "b", "c", "d", "e", "f"] {
            match self.random.usize(..6) {
                0 => spec[key] = self.value(2),
                1 => drop(spec.as_object_mut().unwrap().remove(key)),
                _ => {}
            }
        }
        spec
    }
}

/// An expression is true, is false, or can't be evaluated.
type Answers = BTreeMap<usize, bool>;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_api_server_gives_the_same_answers() {
    let plane = ControlPlane::shared();
    let client = plane.client().await;
    let kind = kind_of_objects(&client).await;
    let batches = rounds(BATCHES, SOAK_BATCHES);
    let mut generator = Generator { random: fastrand::Rng::with_seed(20), locals: 0 };
    let objects: Vec<Value> = (0..OBJECTS).map(|_| generator.spec()).collect();
    let mut differences = Vec::new();
    let (mut compared, mut errors, mut texts) = (0, 0, 0);
    let mut installed = Vec::new();
    for batch in 0..batches {
        let depth = 1 + u32::try_from(batch % 4).unwrap();
        let mut expressions: Vec<String> = (0..BATCH).map(|_| generator.boolean(depth)).collect();
        install(&client, &kind, batch, &mut expressions).await;
        installed.push(expressions);
    }
    for (batch, expressions) in installed.iter().enumerate() {
        texts += expressions.len();
        eventually("the policy is followed", async || {
            send(&client, &kind, batch, &json!({})).await.is_some().then_some(())
        })
        .await;
        for spec in &objects {
            let theirs = send(&client, &kind, batch, spec).await.unwrap();
            for (place, text) in expressions.iter().enumerate() {
                let ours = Expression::parse(text, VARIABLES)
                    .unwrap_or_else(|error| panic!("{text}: {error}"))
                    .evaluate(&[Some(&json!({ "spec": spec }))]);
                let theirs = theirs.get(&place).copied();
                if ours.clone().ok() != theirs {
                    differences.push(format!("{text}\n{spec}\nours: {ours:?}, theirs: {theirs:?}"));
                }
                compared += 1;
                errors += usize::from(theirs.is_none());
            }
        }
    }
    println!("{texts} expressions, {compared} answers, {errors} of them errors");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(texts > batches * BATCH / 2, "the API server refused too many: {texts}");
    assert!(errors < compared * 2 / 3, "too many errors: {errors} of {compared}");
}

/// Makes a kind with free fields, and returns its group.
async fn kind_of_objects(client: &Client) -> String {
    let group = "expressions.example.com".to_owned();
    let schema = json!({
        "type": "object",
        "properties": { "spec": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
    });
    let version =
        json!({ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } });
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": { "name": format!("things.{group}") },
        "spec": {
            "group": group, "scope": "Cluster", "versions": [version],
            "names": { "plural": "things", "singular": "thing", "kind": "Thing" },
        },
    }))
    .unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &definition).await.unwrap();
    group
}

/// Installs a policy that warns `T` and the place of each true expression, and `F` and that of each false one. Expressions
/// that the API server refuses, because it finds a wrong type in them, are removed.
async fn install(client: &Client, group: &str, batch: usize, expressions: &mut Vec<String>) {
    let name = format!("e{batch}");
    let policies = Api::<ValidatingAdmissionPolicy>::all(client.clone());
    loop {
        let validations = expressions.iter().enumerate().flat_map(|(place, text)| {
            [
                json!({ "expression": text, "message": format!("F{place}") }),
                json!({ "expression": format!("!({text})"), "message": format!("T{place}") }),
            ]
        });
        let validations: Vec<_> =
            [json!({ "expression": "false", "message": "R" })].into_iter().chain(validations).collect();
        let policy = json!({
            "metadata": { "name": name },
            "spec": {
                // An error leads to no warning.
                "failurePolicy": "Ignore",
                "matchConstraints": {
                    "resourceRules": [{
                        "apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["things"],
                    }],
                    "objectSelector": { "matchLabels": { "batch": name } },
                },
                "validations": validations,
            },
        });
        let policy: ValidatingAdmissionPolicy = serde_json::from_value(policy).unwrap();
        match policies.create(&PostParams::default(), &policy).await {
            Ok(_) => break,
            Err(kube::Error::Api(status)) => {
                let mut refused = vec![false; expressions.len()];
                for part in status.message.split("spec.validations[").skip(1) {
                    let place: usize = part.split(']').next().unwrap().parse().unwrap();
                    refused[(place - 1) / 2] = true;
                }
                assert!(refused.contains(&true), "{}", status.message);
                let mut refused = refused.into_iter();
                expressions.retain(|_| !refused.next().unwrap());
            }
            Err(error) => panic!("{error}"),
        }
    }
    let binding = json!({
        "metadata": { "name": name }, "spec": { "policyName": name, "validationActions": ["Warn"] },
    });
    let binding: ValidatingAdmissionPolicyBinding = serde_json::from_value(binding).unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &binding).await.unwrap();
}

/// Creates an object in a dry run, and returns the answers of a policy; `None` if it is not followed yet.
async fn send(client: &Client, group: &str, batch: usize, spec: &Value) -> Option<Answers> {
    let object = json!({
        "apiVersion": format!("{group}/v1"), "kind": "Thing", "spec": spec,
        "metadata": { "name": "thing", "labels": { "batch": format!("e{batch}") } },
    });
    let uri = format!("/apis/{group}/v1/things?dryRun=All");
    let request = Request::builder().method("POST").uri(&uri).header("content-type", "application/json");
    let response =
        client.send(request.body(serde_json::to_vec(&object).unwrap().into()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    if status == 404 {
        // The kind is not served yet.
        return None;
    }
    assert_eq!(status, 201, "{object}");
    let warnings = response.headers().get_all("warning").iter();
    let messages: Vec<String> = warnings
        .map(|warning| {
            let text = warning.to_str().unwrap().trim_end_matches('"');
            text.rsplit(": ").next().unwrap().to_owned()
        })
        .collect();
    if !messages.contains(&"R".to_owned()) {
        return None;
    }
    let answers = messages.iter().filter(|message| *message != "R");
    Some(answers.map(|message| (message[1..].parse().unwrap(), message.starts_with('T'))).collect())
}
