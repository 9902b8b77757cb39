// Command api-lifecycle prints the lifecycle of every kind that Kubernetes deprecates or removes.
//
// Its arguments are the directories of Go modules, the newest first: the first one that has a kind decides. Each line
// of standard output is a kind in JSON. A release is the minor version of Kubernetes 1.
package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Kind is a kind of an API.
type Kind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

// Lifecycle is a kind with the releases that deprecate and remove it; 0 if none does.
type Lifecycle struct {
	Kind
	Namespaced  bool  `json:"namespaced"`
	Deprecated  int   `json:"deprecated"`
	Removed     int   `json:"removed"`
	Replacement *Kind `json:"replacement"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(modules []string) error {
	seen := map[Kind]bool{}
	encoder := json.NewEncoder(os.Stdout)
	for _, module := range modules {
		files, err := filepath.Glob(filepath.Join(module, "*", "*", "zz_generated.prerelease-lifecycle.go"))
		if err != nil {
			return err
		}
		nested, err := filepath.Glob(filepath.Join(module, "pkg", "apis", "*", "*", "zz_generated.prerelease-lifecycle.go"))
		if err != nil {
			return err
		}
		for _, file := range append(files, nested...) {
			kinds, err := lifecycles(filepath.Dir(file))
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			for _, kind := range kinds {
				if seen[kind.Kind] {
					continue
				}
				seen[kind.Kind] = true
				if kind.Deprecated == 0 && kind.Removed == 0 && kind.Replacement == nil {
					continue
				}
				if err := encoder.Encode(kind); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// lifecycles reads the kinds of the package in a directory, in the order of its generated file.
func lifecycles(directory string) ([]*Lifecycle, error) {
	group, err := groupName(filepath.Join(directory, "register.go"))
	if err != nil {
		return nil, err
	}
	clusterScoped, err := nonNamespaced(filepath.Join(directory, "types.go"))
	if err != nil {
		return nil, err
	}
	file, err := parse(filepath.Join(directory, "zz_generated.prerelease-lifecycle.go"))
	if err != nil {
		return nil, err
	}
	var order []*Lifecycle
	known := map[string]*Lifecycle{}
	for _, declaration := range file.Decls {
		method, ok := declaration.(*ast.FuncDecl)
		if !ok || method.Recv == nil {
			continue
		}
		name := method.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name
		kind := known[name]
		if kind == nil {
			kind = &Lifecycle{
				Kind:       Kind{Group: group, Version: filepath.Base(directory), Kind: name},
				Namespaced: !clusterScoped[name],
			}
			known[name] = kind
			order = append(order, kind)
		}
		results := method.Body.List[0].(*ast.ReturnStmt).Results
		switch method.Name.Name {
		case "APILifecycleDeprecated":
			kind.Deprecated, err = release(results)
		case "APILifecycleRemoved":
			kind.Removed, err = release(results)
		case "APILifecycleReplacement":
			kind.Replacement, err = replacement(results[0])
		}
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", method.Name.Name, name, err)
		}
	}
	return order, nil
}

// release reads `return 1, 22`.
func release(results []ast.Expr) (int, error) {
	if major := results[0].(*ast.BasicLit).Value; major != "1" {
		return 0, fmt.Errorf("major version %s", major)
	}
	return strconv.Atoi(results[1].(*ast.BasicLit).Value)
}

// replacement reads `return schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}`.
func replacement(result ast.Expr) (*Kind, error) {
	var kind Kind
	fields := map[string]*string{"Group": &kind.Group, "Version": &kind.Version, "Kind": &kind.Kind}
	for _, element := range result.(*ast.CompositeLit).Elts {
		pair := element.(*ast.KeyValueExpr)
		value, err := strconv.Unquote(pair.Value.(*ast.BasicLit).Value)
		if err != nil {
			return nil, err
		}
		*fields[pair.Key.(*ast.Ident).Name] = value
	}
	return &kind, nil
}

// groupName reads `const GroupName = "apps"`.
func groupName(path string) (string, error) {
	file, err := parse(path)
	if err != nil {
		return "", err
	}
	if object := file.Scope.Lookup("GroupName"); object != nil {
		value := object.Decl.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value
		return strconv.Unquote(value)
	}
	return "", fmt.Errorf("%s has no GroupName", path)
}

// nonNamespaced returns the types with the tag of a cluster-scoped kind.
func nonNamespaced(path string) (map[string]bool, error) {
	file, err := parse(path)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	// A tag may stand in a comment above the type's own.
	tagged := false
	comments := file.Comments
	for _, declaration := range file.Decls {
		for len(comments) > 0 && comments[0].Pos() < declaration.End() {
			for _, line := range comments[0].List {
				tagged = tagged || strings.TrimSpace(strings.TrimPrefix(line.Text, "//")) == "+genclient:nonNamespaced"
			}
			comments = comments[1:]
		}
		types, ok := declaration.(*ast.GenDecl)
		if ok && types.Tok == token.TYPE {
			found[types.Specs[0].(*ast.TypeSpec).Name.Name] = tagged
		}
		tagged = false
	}
	return found, nil
}

func parse(path string) (*ast.File, error) {
	return parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
}
