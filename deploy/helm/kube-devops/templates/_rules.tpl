{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.watch" -}}
- apiGroups:
  - ""
  resources:
  - namespaces
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - ""
  resources:
  - pods
  - replicationcontrollers
  verbs:
  - list
  - watch
- apiGroups:
  - apps
  resources:
  - daemonsets
  - deployments
  - replicasets
  - statefulsets
  verbs:
  - list
  - watch
- apiGroups:
  - batch
  resources:
  - cronjobs
  - jobs
  verbs:
  - list
  - watch
- apiGroups:
  - events.k8s.io
  resources:
  - events
  verbs:
  - create
  - patch
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.watch-evaluated" -}}
- apiGroups:
  - ""
  resources:
  - namespaces
  verbs:
  - get
- apiGroups:
  - ""
  resources:
  - pods
  - replicationcontrollers
  verbs:
  - list
  - watch
- apiGroups:
  - apps
  resources:
  - daemonsets
  - deployments
  - replicasets
  - statefulsets
  verbs:
  - list
  - watch
- apiGroups:
  - batch
  resources:
  - cronjobs
  - jobs
  verbs:
  - list
  - watch
- apiGroups:
  - events.k8s.io
  resources:
  - events
  verbs:
  - create
  - patch
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.watch-own" -}}
- apiGroups:
  - coordination.k8s.io
  resources:
  - leases
  verbs:
  - create
- apiGroups:
  - coordination.k8s.io
  resourceNames:
  - kube-devops-watch
  resources:
  - leases
  verbs:
  - get
  - watch
  - update
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.reconcile" -}}
- apiGroups:
  - ""
  resources:
  - namespaces
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - ""
  resources:
  - limitranges
  - pods
  - replicationcontrollers
  - services
  verbs:
  - list
  - watch
- apiGroups:
  - apps
  resources:
  - daemonsets
  - deployments
  - replicasets
  - statefulsets
  verbs:
  - list
  - watch
- apiGroups:
  - batch
  resources:
  - cronjobs
  - jobs
  verbs:
  - list
  - watch
- apiGroups:
  - devops.stochastic.io
  resources:
  - policyauditresults
  verbs:
  - list
  - watch
  - create
  - delete
- apiGroups:
  - devops.stochastic.io
  resources:
  - clusterdevopspolicies
  - devopspolicies
  verbs:
  - list
  - watch
  - patch
- apiGroups:
  - devops.stochastic.io
  resources:
  - clusterdevopspolicies/status
  - devopspolicies/status
  verbs:
  - patch
- apiGroups:
  - events.k8s.io
  resources:
  - events
  verbs:
  - create
  - patch
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.reconcile-evaluated" -}}
- apiGroups:
  - ""
  resources:
  - namespaces
  verbs:
  - get
- apiGroups:
  - ""
  resources:
  - limitranges
  - pods
  - replicationcontrollers
  - services
  verbs:
  - list
  - watch
- apiGroups:
  - apps
  resources:
  - daemonsets
  - deployments
  - replicasets
  - statefulsets
  verbs:
  - list
  - watch
- apiGroups:
  - batch
  resources:
  - cronjobs
  - jobs
  verbs:
  - list
  - watch
- apiGroups:
  - devops.stochastic.io
  resources:
  - policyauditresults
  verbs:
  - list
  - watch
  - create
  - delete
- apiGroups:
  - devops.stochastic.io
  resources:
  - devopspolicies
  verbs:
  - list
  - watch
  - patch
- apiGroups:
  - devops.stochastic.io
  resources:
  - devopspolicies/status
  verbs:
  - patch
- apiGroups:
  - events.k8s.io
  resources:
  - events
  verbs:
  - create
  - patch
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.reconcile-own" -}}
- apiGroups:
  - coordination.k8s.io
  resources:
  - leases
  verbs:
  - create
- apiGroups:
  - coordination.k8s.io
  resourceNames:
  - kube-devops-reconcile
  resources:
  - leases
  verbs:
  - get
  - watch
  - update
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.enforce" -}}
- apiGroups:
  - ""
  resources:
  - nodes
  verbs:
  - get
- apiGroups:
  - ""
  resources:
  - persistentvolumeclaims
  - resourcequotas
  verbs:
  - list
- apiGroups:
  - ""
  resources:
  - limitranges
  verbs:
  - list
  - watch
- apiGroups:
  - ""
  resources:
  - pods
  verbs:
  - delete
- apiGroups:
  - admissionregistration.k8s.io
  resourceNames:
  - kube-devops-yield
  resources:
  - mutatingadmissionpolicies
  - mutatingadmissionpolicybindings
  verbs:
  - get
- apiGroups:
  - apps
  resources:
  - daemonsets
  - deployments
  - statefulsets
  verbs:
  - get
  - patch
- apiGroups:
  - apps
  resources:
  - controllerrevisions
  verbs:
  - list
- apiGroups:
  - autoscaling
  resources:
  - horizontalpodautoscalers
  verbs:
  - list
- apiGroups:
  - autoscaling.k8s.io
  resources:
  - verticalpodautoscalers
  verbs:
  - list
- apiGroups:
  - events.k8s.io
  resources:
  - events
  verbs:
  - list
- apiGroups:
  - policy
  resources:
  - poddisruptionbudgets
  verbs:
  - list
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.enforce-evaluated" -}}
- apiGroups:
  - ""
  resources:
  - persistentvolumeclaims
  - resourcequotas
  verbs:
  - list
- apiGroups:
  - ""
  resources:
  - limitranges
  verbs:
  - list
  - watch
- apiGroups:
  - ""
  resources:
  - pods
  verbs:
  - delete
- apiGroups:
  - apps
  resources:
  - daemonsets
  - deployments
  - statefulsets
  verbs:
  - get
  - patch
- apiGroups:
  - apps
  resources:
  - controllerrevisions
  verbs:
  - list
- apiGroups:
  - autoscaling
  resources:
  - horizontalpodautoscalers
  verbs:
  - list
- apiGroups:
  - autoscaling.k8s.io
  resources:
  - verticalpodautoscalers
  verbs:
  - list
- apiGroups:
  - events.k8s.io
  resources:
  - events
  verbs:
  - list
- apiGroups:
  - policy
  resources:
  - poddisruptionbudgets
  verbs:
  - list
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.enforce-own" -}}
- apiGroups:
  - ""
  resources:
  - configmaps
  verbs:
  - create
- apiGroups:
  - ""
  resourceNames:
  - kube-devops-enforcement
  resources:
  - configmaps
  verbs:
  - get
  - update
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.native" -}}
- apiGroups:
  - ""
  resources:
  - namespaces
  verbs:
  - list
  - watch
  - patch
- apiGroups:
  - admissionregistration.k8s.io
  resourceNames:
  - kube-devops-deny
  - kube-devops-warn
  - kube-devops-namespace-fence
  resources:
  - validatingadmissionpolicies
  - validatingadmissionpolicybindings
  verbs:
  - get
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.native-evaluated" -}}
[]
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.native-own" -}}
[]
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.reports" -}}
- apiGroups:
  - openreports.io
  resources:
  - clusterreports
  - reports
  verbs:
  - get
  - list
  - watch
  - create
  - patch
  - delete
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.reports-evaluated" -}}
- apiGroups:
  - openreports.io
  resources:
  - reports
  verbs:
  - get
  - list
  - watch
  - create
  - patch
  - delete
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.reports-own" -}}
[]
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.webhook" -}}
- apiGroups:
  - ""
  resources:
  - limitranges
  - namespaces
  - persistentvolumeclaims
  - resourcequotas
  - services
  verbs:
  - list
  - watch
- apiGroups:
  - admissionregistration.k8s.io
  resourceNames:
  - kube-devops-deny
  - kube-devops-warn
  resources:
  - validatingadmissionpolicies
  - validatingadmissionpolicybindings
  verbs:
  - list
  - watch
- apiGroups:
  - admissionregistration.k8s.io
  resourceNames:
  - kube-devops-webhook
  resources:
  - mutatingwebhookconfigurations
  - validatingwebhookconfigurations
  verbs:
  - get
  - update
- apiGroups:
  - autoscaling
  resources:
  - horizontalpodautoscalers
  verbs:
  - list
  - watch
- apiGroups:
  - autoscaling.k8s.io
  resources:
  - verticalpodautoscalers
  verbs:
  - list
  - watch
- apiGroups:
  - devops.stochastic.io
  resources:
  - clusterdevopspolicies
  - devopspolicies
  verbs:
  - list
  - watch
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.webhook-evaluated" -}}
[]
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.webhook-own" -}}
- apiGroups:
  - ""
  resources:
  - secrets
  verbs:
  - create
- apiGroups:
  - ""
  resourceNames:
  - kube-devops-enforcement
  resources:
  - configmaps
  verbs:
  - get
- apiGroups:
  - ""
  resourceNames:
  - kube-devops-webhook-tls
  resources:
  - secrets
  verbs:
  - get
  - update
- apiGroups:
  - coordination.k8s.io
  resources:
  - leases
  verbs:
  - create
- apiGroups:
  - coordination.k8s.io
  resourceNames:
  - kube-devops-webhook
  resources:
  - leases
  verbs:
  - get
  - watch
  - update
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.permissions-score" -}}
[]
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.permissions-score-evaluated" -}}
[]
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.permissions-score-own" -}}
[]
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.permissions-recommended" -}}
- apiGroups:
  - ""
  resources:
  - configmaps
  - nodes
  - persistentvolumeclaims
  - persistentvolumes
  - secrets
  - serviceaccounts
  verbs:
  - list
  - watch
- apiGroups:
  - apps.kruise.io
  resources:
  - clonesets
  - daemonsets
  - statefulsets
  verbs:
  - list
  - watch
- apiGroups:
  - apps.openshift.io
  resources:
  - deploymentconfigs
  verbs:
  - list
  - watch
- apiGroups:
  - argoproj.io
  resources:
  - rollouts
  verbs:
  - list
  - watch
- apiGroups:
  - autoscaling
  resources:
  - horizontalpodautoscalers
  verbs:
  - list
  - watch
- apiGroups:
  - bitnami.com
  resources:
  - sealedsecrets
  verbs:
  - list
  - watch
- apiGroups:
  - cert-manager.io
  resources:
  - certificates
  verbs:
  - list
  - watch
- apiGroups:
  - cilium.io
  resources:
  - ciliumclusterwidenetworkpolicies
  - ciliumnetworkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - crd.projectcalico.org
  resources:
  - globalnetworkpolicies
  - networkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - discovery.k8s.io
  resources:
  - endpointslices
  verbs:
  - list
  - watch
- apiGroups:
  - external-secrets.io
  resources:
  - externalsecrets
  verbs:
  - list
  - watch
- apiGroups:
  - keda.sh
  resources:
  - scaledobjects
  verbs:
  - list
  - watch
- apiGroups:
  - networking.k8s.io
  resources:
  - ingresses
  - networkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - policy
  resources:
  - poddisruptionbudgets
  verbs:
  - list
  - watch
- apiGroups:
  - policy.networking.k8s.io
  resources:
  - adminnetworkpolicies
  - baselineadminnetworkpolicies
  - clusternetworkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - rbac.authorization.k8s.io
  resources:
  - clusterrolebindings
  - clusterroles
  - rolebindings
  - roles
  verbs:
  - list
  - watch
- apiGroups:
  - serving.knative.dev
  resources:
  - services
  verbs:
  - list
  - watch
- apiGroups:
  - storage.k8s.io
  resources:
  - storageclasses
  verbs:
  - list
  - watch
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.permissions-recommended-evaluated" -}}
- apiGroups:
  - ""
  resources:
  - configmaps
  - persistentvolumeclaims
  - secrets
  - serviceaccounts
  verbs:
  - list
  - watch
- apiGroups:
  - apps.kruise.io
  resources:
  - clonesets
  - daemonsets
  - statefulsets
  verbs:
  - list
  - watch
- apiGroups:
  - apps.openshift.io
  resources:
  - deploymentconfigs
  verbs:
  - list
  - watch
- apiGroups:
  - argoproj.io
  resources:
  - rollouts
  verbs:
  - list
  - watch
- apiGroups:
  - autoscaling
  resources:
  - horizontalpodautoscalers
  verbs:
  - list
  - watch
- apiGroups:
  - bitnami.com
  resources:
  - sealedsecrets
  verbs:
  - list
  - watch
- apiGroups:
  - cert-manager.io
  resources:
  - certificates
  verbs:
  - list
  - watch
- apiGroups:
  - cilium.io
  resources:
  - ciliumnetworkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - crd.projectcalico.org
  resources:
  - networkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - discovery.k8s.io
  resources:
  - endpointslices
  verbs:
  - list
  - watch
- apiGroups:
  - external-secrets.io
  resources:
  - externalsecrets
  verbs:
  - list
  - watch
- apiGroups:
  - keda.sh
  resources:
  - scaledobjects
  verbs:
  - list
  - watch
- apiGroups:
  - networking.k8s.io
  resources:
  - ingresses
  - networkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - policy
  resources:
  - poddisruptionbudgets
  verbs:
  - list
  - watch
- apiGroups:
  - rbac.authorization.k8s.io
  resources:
  - rolebindings
  - roles
  verbs:
  - list
  - watch
- apiGroups:
  - serving.knative.dev
  resources:
  - services
  verbs:
  - list
  - watch
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.permissions-recommended-own" -}}
[]
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.permissions-all" -}}
- apiGroups:
  - ""
  resources:
  - configmaps
  - nodes
  - persistentvolumeclaims
  - persistentvolumes
  - secrets
  - serviceaccounts
  verbs:
  - list
  - watch
- apiGroups:
  - apps.kruise.io
  resources:
  - clonesets
  - daemonsets
  - statefulsets
  verbs:
  - list
  - watch
- apiGroups:
  - apps.openshift.io
  resources:
  - deploymentconfigs
  verbs:
  - list
  - watch
- apiGroups:
  - argoproj.io
  resources:
  - rollouts
  verbs:
  - list
  - watch
- apiGroups:
  - autoscaling
  resources:
  - horizontalpodautoscalers
  verbs:
  - list
  - watch
- apiGroups:
  - bitnami.com
  resources:
  - sealedsecrets
  verbs:
  - list
  - watch
- apiGroups:
  - cert-manager.io
  resources:
  - certificates
  verbs:
  - list
  - watch
- apiGroups:
  - cilium.io
  resources:
  - ciliumclusterwidenetworkpolicies
  - ciliumnetworkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - crd.projectcalico.org
  resources:
  - globalnetworkpolicies
  - networkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - discovery.k8s.io
  resources:
  - endpointslices
  verbs:
  - list
  - watch
- apiGroups:
  - external-secrets.io
  resources:
  - externalsecrets
  verbs:
  - list
  - watch
- apiGroups:
  - keda.sh
  resources:
  - scaledobjects
  verbs:
  - list
  - watch
- apiGroups:
  - metrics.k8s.io
  resources:
  - pods
  verbs:
  - list
- apiGroups:
  - networking.k8s.io
  resources:
  - ingresses
  - networkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - policy
  resources:
  - poddisruptionbudgets
  verbs:
  - list
  - watch
- apiGroups:
  - policy.networking.k8s.io
  resources:
  - adminnetworkpolicies
  - baselineadminnetworkpolicies
  - clusternetworkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - rbac.authorization.k8s.io
  resources:
  - clusterrolebindings
  - clusterroles
  - rolebindings
  - roles
  verbs:
  - list
  - watch
- apiGroups:
  - serving.knative.dev
  resources:
  - services
  verbs:
  - list
  - watch
- apiGroups:
  - storage.k8s.io
  resources:
  - storageclasses
  verbs:
  - list
  - watch
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.permissions-all-evaluated" -}}
- apiGroups:
  - ""
  resources:
  - configmaps
  - persistentvolumeclaims
  - secrets
  - serviceaccounts
  verbs:
  - list
  - watch
- apiGroups:
  - apps.kruise.io
  resources:
  - clonesets
  - daemonsets
  - statefulsets
  verbs:
  - list
  - watch
- apiGroups:
  - apps.openshift.io
  resources:
  - deploymentconfigs
  verbs:
  - list
  - watch
- apiGroups:
  - argoproj.io
  resources:
  - rollouts
  verbs:
  - list
  - watch
- apiGroups:
  - autoscaling
  resources:
  - horizontalpodautoscalers
  verbs:
  - list
  - watch
- apiGroups:
  - bitnami.com
  resources:
  - sealedsecrets
  verbs:
  - list
  - watch
- apiGroups:
  - cert-manager.io
  resources:
  - certificates
  verbs:
  - list
  - watch
- apiGroups:
  - cilium.io
  resources:
  - ciliumnetworkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - crd.projectcalico.org
  resources:
  - networkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - discovery.k8s.io
  resources:
  - endpointslices
  verbs:
  - list
  - watch
- apiGroups:
  - external-secrets.io
  resources:
  - externalsecrets
  verbs:
  - list
  - watch
- apiGroups:
  - keda.sh
  resources:
  - scaledobjects
  verbs:
  - list
  - watch
- apiGroups:
  - metrics.k8s.io
  resources:
  - pods
  verbs:
  - list
- apiGroups:
  - networking.k8s.io
  resources:
  - ingresses
  - networkpolicies
  verbs:
  - list
  - watch
- apiGroups:
  - policy
  resources:
  - poddisruptionbudgets
  verbs:
  - list
  - watch
- apiGroups:
  - rbac.authorization.k8s.io
  resources:
  - rolebindings
  - roles
  verbs:
  - list
  - watch
- apiGroups:
  - serving.knative.dev
  resources:
  - services
  verbs:
  - list
  - watch
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.permissions-all-own" -}}
[]
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.uninstall" -}}
- apiGroups:
  - ""
  resources:
  - namespaces
  verbs:
  - list
  - patch
- apiGroups:
  - admissionregistration.k8s.io
  resourceNames:
  - kube-devops-deny
  - kube-devops-warn
  - kube-devops-namespace-fence
  - kube-devops-self-fence
  resources:
  - validatingadmissionpolicies
  - validatingadmissionpolicybindings
  verbs:
  - delete
- apiGroups:
  - admissionregistration.k8s.io
  resourceNames:
  - kube-devops-webhook
  resources:
  - mutatingwebhookconfigurations
  - validatingwebhookconfigurations
  verbs:
  - delete
- apiGroups:
  - admissionregistration.k8s.io
  resourceNames:
  - kube-devops-yield
  resources:
  - mutatingadmissionpolicies
  - mutatingadmissionpolicybindings
  verbs:
  - delete
- apiGroups:
  - devops.stochastic.io
  resources:
  - clusterdevopspolicies
  - devopspolicies
  verbs:
  - get
  - list
  - patch
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.uninstall-own" -}}
- apiGroups:
  - ""
  resources:
  - pods
  verbs:
  - list
- apiGroups:
  - ""
  resourceNames:
  - kube-devops-enforcement
  resources:
  - configmaps
  verbs:
  - delete
- apiGroups:
  - ""
  resourceNames:
  - kube-devops-webhook-tls
  resources:
  - secrets
  verbs:
  - delete
- apiGroups:
  - apps
  resources:
  - deployments
  verbs:
  - list
  - delete
- apiGroups:
  - coordination.k8s.io
  resourceNames:
  - kube-devops-watch
  - kube-devops-reconcile
  - kube-devops-webhook
  resources:
  - leases
  verbs:
  - list
  - delete
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.register" -}}
- apiGroups:
  - admissionregistration.k8s.io
  resourceNames:
  - kube-devops-webhook
  resources:
  - mutatingwebhookconfigurations
  - validatingwebhookconfigurations
  verbs:
  - get
  - create
  - patch
  - delete
{{- end }}
{{- /* Generated from src/manifests by `UPDATE=1 cargo test --test generated`. */}}
{{- define "kube-devops.rules.register-own" -}}
- apiGroups:
  - ""
  resourceNames:
  - kube-devops-webhook-tls
  resources:
  - secrets
  verbs:
  - get
  - delete
- apiGroups:
  - ""
  resources:
  - services
  verbs:
  - get
- apiGroups:
  - discovery.k8s.io
  resources:
  - endpointslices
  verbs:
  - list
{{- end }}
