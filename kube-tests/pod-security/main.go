// Command pod-security evaluates pods by the Pod Security Standards with Kubernetes' own code, for a test that compares
// kube-devops with it.
//
// Every line of standard input is a pod in JSON. For each there is one line on standard output: an array with the ids
// of the checks that the pod fails, each check in its newest version.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	pods := json.NewDecoder(bufio.NewReaderSize(in, 1<<20))
	written := bufio.NewWriter(out)
	encoder := json.NewEncoder(written)
	checks := policy.DefaultChecks()
	for {
		var pod corev1.Pod
		if err := pods.Decode(&pod); errors.Is(err, io.EOF) {
			return written.Flush()
		} else if err != nil {
			return err
		}
		failed := []policy.CheckID{}
		for _, check := range checks {
			newest := check.Versions[len(check.Versions)-1]
			if !newest.CheckPod(&pod.ObjectMeta, &pod.Spec).Allowed {
				failed = append(failed, check.ID)
			}
		}
		if err := encoder.Encode(failed); err != nil {
			return err
		}
	}
}
