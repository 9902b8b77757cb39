// The lifecycles of the APIs of Kubernetes. An older release has the kinds that newer ones no longer know.
module kube-devops/api-lifecycle

go 1.26.0

require (
	k8s.io/api v0.37.2
	k8s.io/apiextensions-apiserver v0.37.2
	k8s.io/kube-aggregator v0.37.2
)

require (
	kube-devops/older/api-1-24 v0.24.17
	kube-devops/older/api-1-32 v0.32.13
)

replace (
	kube-devops/older/api-1-24 => k8s.io/api v0.24.17
	kube-devops/older/api-1-32 => k8s.io/api v0.32.13
)
