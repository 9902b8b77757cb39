// Builds the configuration of each case with the code of SIG Multicluster, and prints what it makes of it.
//
//	go run . < ../../tests/fixtures/cluster-profiles/cases.json > ../../tests/fixtures/cluster-profiles/upstream.json
package main

import (
	"cmp"
	"encoding/json"
	"os"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cluster-inventory-api/apis/v1alpha1"
	"sigs.k8s.io/cluster-inventory-api/pkg/access"
)

// Case is a provider file and the status of a profile.
type Case struct {
	Name   string                        `json:"name"`
	File   access.Config                 `json:"file"`
	Status v1alpha1.ClusterProfileStatus `json:"status"`
}

// Answer is what counts of a rest.Config.
type Answer struct {
	Name        string            `json:"name"`
	Error       bool              `json:"error"`
	Server      string            `json:"server,omitempty"`
	Authority   []byte            `json:"authority,omitempty"`
	Insecure    bool              `json:"insecure,omitempty"`
	ServerName  string            `json:"serverName,omitempty"`
	Command     string            `json:"command,omitempty"`
	Args        []string          `json:"args,omitempty"`
	Env         map[string]string `json:"env,omitempty"`
	APIVersion  string            `json:"apiVersion,omitempty"`
	Interactive string            `json:"interactiveMode,omitempty"`
	Cluster     bool              `json:"provideClusterInfo,omitempty"`
}

func main() {
	var cases []Case
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	answers := make([]Answer, 0, len(cases))
	for _, one := range cases {
		answers = append(answers, answer(one))
	}
	slices.SortFunc(answers, func(a, b Answer) int { return cmp.Compare(a.Name, b.Name) })
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	if err := out.Encode(answers); err != nil {
		panic(err)
	}
}

func answer(one Case) Answer {
	profile := &v1alpha1.ClusterProfile{ObjectMeta: metav1.ObjectMeta{Name: one.Name}, Status: one.Status}
	config, err := one.File.BuildConfigFromCP(profile)
	if err != nil {
		return Answer{Name: one.Name, Error: true}
	}
	exec := config.ExecProvider
	env := map[string]string{}
	for _, variable := range exec.Env {
		env[variable.Name] = variable.Value
	}
	return Answer{
		Name:        one.Name,
		Server:      config.Host,
		Authority:   config.CAData,
		Insecure:    config.Insecure,
		ServerName:  config.ServerName,
		Command:     exec.Command,
		Args:        exec.Args,
		Env:         env,
		APIVersion:  exec.APIVersion,
		Interactive: string(exec.InteractiveMode),
		Cluster:     exec.ProvideClusterInfo,
	}
}
