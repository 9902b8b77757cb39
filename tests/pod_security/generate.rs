//! Pods with every field that the Pod Security Standards read, each absent, null, valid or not.

use serde_json::{Map, Value, json};

/// Makes pods, always the same ones.
pub(crate) fn pods(count: usize) -> Vec<Value> {
    let mut made = Generator(fastrand::Rng::with_seed(20));
    (0..count).map(|_| made.pod()).collect()
}

struct Generator(fastrand::Rng);

impl Generator {
    fn one(&mut self, values: &[Value]) -> Value {
        self.0.choice(values).unwrap().clone()
    }

    /// Sets a field now and then.
    fn set(&mut self, object: &mut Value, field: &str, values: &[Value]) {
        if self.0.u8(..5) == 0 {
            object[field] = self.one(values);
        }
    }

    fn pod(&mut self) -> Value {
        let mut spec = Value::Object(Map::new());
        let flags = [json!(true), json!(false), json!(null)];
        for field in ["hostNetwork", "hostPID", "hostIPC", "hostUsers"] {
            self.set(&mut spec, field, &flags);
        }
        let os = [
            json!({ "name": "windows" }),
            json!({ "name": "linux" }),
            json!(null),
            json!({ "name": "Windows" }),
        ];
        self.set(&mut spec, "os", &os);
        let context = self.context();
        self.set(&mut spec, "securityContext", &[context, json!(null)]);
        let volumes: Vec<Value> = (0..self.0.usize(..3)).map(|index| self.volume(index)).collect();
        self.set(&mut spec, "volumes", &[json!(volumes)]);
        for (list, most) in [("initContainers", 2), ("containers", 3), ("ephemeralContainers", 2)] {
            let least = usize::from(list == "containers");
            let containers: Vec<Value> =
                (0..self.0.usize(least..=most)).map(|index| self.container(list, index)).collect();
            if !containers.is_empty() {
                spec[list] = containers.into();
            }
        }
        let mut metadata = json!({ "name": "p" });
        let annotation = "container.apparmor.security.beta.kubernetes.io/c";
        let profiles = ["", "runtime/default", "localhost/p", "localhost", "unconfined"]
            .map(|profile| json!({ annotation: profile }));
        self.set(&mut metadata, "annotations", &profiles);
        json!({ "metadata": metadata, "spec": spec })
    }

    fn volume(&mut self, index: usize) -> Value {
        let mut volume = json!({ "name": format!("v{index}") });
        let sources = [
            "emptyDir",
            "hostPath",
            "configMap",
            "secret",
            "csi",
            "nfs",
            "iscsi",
            "rbd",
            "ephemeral",
            "image",
            "persistentVolumeClaim",
            "projected",
            "downwardAPI",
            "gitRepo",
            "cephfs",
        ];
        let source = *self.0.choice(&sources).unwrap();
        volume[source] = json!({});
        volume
    }

    fn context(&mut self) -> Value {
        let mut context = json!({});
        let flags = [json!(true), json!(false), json!(null)];
        for field in ["privileged", "allowPrivilegeEscalation", "runAsNonRoot"] {
            self.set(&mut context, field, &flags);
        }
        self.set(&mut context, "runAsUser", &[json!(0), json!(1), json!(null)]);
        let capabilities = ["ALL", "all", "CHOWN", "CAP_CHOWN", "NET_BIND_SERVICE", "NET_RAW", "SYS_ADMIN"];
        let listed = |made: &mut Self| {
            let names: Vec<&str> =
                (0..made.0.usize(..3)).map(|_| *made.0.choice(&capabilities).unwrap()).collect();
            json!(names)
        };
        let (add, drop) = (listed(self), listed(self));
        self.set(
            &mut context,
            "capabilities",
            &[json!({ "add": add, "drop": drop }), json!({ "drop": ["ALL"] }), json!({}), json!(null)],
        );
        let profiles = ["RuntimeDefault", "Localhost", "Unconfined", "runtimeDefault", ""];
        let mut profiles: Vec<Value> = profiles.into_iter().map(|type_| json!({ "type": type_ })).collect();
        profiles.extend([json!({}), json!(null)]);
        self.set(&mut context, "seccompProfile", &profiles);
        self.set(&mut context, "appArmorProfile", &profiles);
        let options = [
            json!({ "type": "spc_t" }),
            json!({ "type": "container_engine_t" }),
            json!({ "type": "container_t", "level": "s0" }),
            json!({ "user": "u" }),
            json!({ "role": "r" }),
            json!({}),
        ];
        self.set(&mut context, "seLinuxOptions", &options);
        self.set(&mut context, "procMount", &[json!("Default"), json!("Unmasked"), json!(null)]);
        let options = [json!({ "hostProcess": true }), json!({ "hostProcess": false }), json!({})];
        self.set(&mut context, "windowsOptions", &options);
        let sysctls = ["kernel.shm_rmid_forced", "net.ipv4.tcp_rmem", "net/ipv4/tcp_rmem", "kernel.msgmax"];
        let sysctls: Vec<Value> =
            sysctls.into_iter().map(|name| json!([{ "name": name, "value": "1" }])).collect();
        self.set(&mut context, "sysctls", &sysctls);
        context
    }

    fn container(&mut self, list: &str, index: usize) -> Value {
        let mut container = json!({ "name": format!("{}{index}", &list[..1]), "image": "a:1" });
        let context = self.context();
        self.set(
            &mut container,
            "securityContext",
            &[context.clone(), context.clone(), context, json!(null)],
        );
        let ports = [json!([{ "containerPort": 80, "hostPort": 80 }]), json!([{ "containerPort": 80 }])];
        self.set(&mut container, "ports", &ports);
        let hosts = ["", "127.0.0.1"];
        let handlers: Vec<Value> = hosts
            .into_iter()
            .flat_map(|host| {
                ["httpGet", "tcpSocket"].map(|kind| json!({ kind: { "port": 80, "host": host } }))
            })
            .chain([json!({ "exec": { "command": ["true"] } }), json!(null)])
            .collect();
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            self.set(&mut container, probe, &handlers);
        }
        let hooks: Vec<Value> = handlers
            .iter()
            .flat_map(|handler| [json!({ "preStop": handler }), json!({ "postStart": handler })])
            .collect();
        self.set(&mut container, "lifecycle", &hooks);
        container
    }
}
