// The program in the images of a real node: a server that behaves as its flags say, and the pause container.
module kube-devops/real-node/server

go 1.26.0
