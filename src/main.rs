//! The command line of kube-devops.

fn main() {}
