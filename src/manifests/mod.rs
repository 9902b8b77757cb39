//! What kube-devops needs of a cluster to run there.
