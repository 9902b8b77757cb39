// Command kubectl-yaml reads manifests as kubectl does, for a test that compares kube-devops with it.
//
// Every line of standard input is a manifest in base64. For each there is one line on standard output: an array with
// an entry for every document, which is {"json": ...} or, as the last one, {"error": "..."}.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
	"k8s.io/apimachinery/pkg/util/yaml"
)

type document struct {
	JSON  json.RawMessage `json:"json,omitempty"`
	Error string          `json:"error,omitempty"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	lines := bufio.NewReaderSize(in, 1<<20)
	written := bufio.NewWriter(out)
	encoder := json.NewEncoder(written)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return written.Flush()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		manifest, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(line)))
		if err != nil {
			return err
		}
		if err := encoder.Encode(documents(manifest)); err != nil {
			return err
		}
	}
}

// documents reads a manifest as FileVisitor and StreamVisitor of k8s.io/cli-runtime do.
func documents(manifest []byte) (found []document) {
	found = []document{}
	text := transform.NewReader(bytes.NewReader(manifest), unicode.BOMOverride(unicode.UTF8.NewDecoder()))
	decoder := yaml.NewYAMLOrJSONDecoder(text, 4096)
	for {
		var raw json.RawMessage
		if err := decode(decoder, &raw); err != nil {
			if !errors.Is(err, io.EOF) {
				found = append(found, document{Error: err.Error()})
			}
			return found
		}
		raw = bytes.TrimSpace(raw)
		if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
			continue
		}
		found = append(found, document{JSON: raw})
	}
}

// decode turns a panic of the YAML parser into an error; kubectl would end with it.
func decode(decoder *yaml.YAMLOrJSONDecoder, raw *json.RawMessage) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic: %v", reason)
		}
	}()
	return decoder.Decode(raw)
}
