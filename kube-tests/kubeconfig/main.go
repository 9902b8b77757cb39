// Resolves the kubeconfigs of tests/fixtures/kubeconfig/cases.yaml with client-go, and prints what it makes of them.
//
//	go run . ../../tests/fixtures > ../../tests/fixtures/kubeconfig/client-go.json
package main

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/net/http/httpproxy"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/transport"
	"sigs.k8s.io/yaml"
)

// Cases is the table, which the Rust tests read too.
type Cases struct {
	Templates map[string]string `json:"templates"`
	Configs   []Config          `json:"configs"`
	Proxies   Proxies           `json:"proxies"`
}

// Config is some files and flags.
type Config struct {
	Name  string            `json:"name"`
	Files map[string]string `json:"files"`
	// Template names the text of the file "config" where Files has none, and the others are its parts.
	Template string `json:"template"`
	Cluster  string `json:"cluster"`
	User     string `json:"user"`
	Context  string `json:"context"`
	// Kubeconfig lists the files of $KUBECONFIG; Flag is the one of --kubeconfig.
	Kubeconfig []string          `json:"kubeconfig"`
	Flag       string            `json:"flag"`
	Flags      map[string]string `json:"flags"`
}

// Proxies are lists of NO_PROXY, servers, and proxies.
type Proxies struct {
	Exceptions []string `json:"exceptions"`
	Servers    []string `json:"servers"`
	Proxies    []string `json:"proxies"`
}

// Result is what client-go makes of a Config.
type Result struct {
	Name  string    `json:"name"`
	Error bool      `json:"error,omitempty"`
	Known *Resolved `json:"resolved,omitempty"`
}

// Resolved is what counts of a rest.Config.
type Resolved struct {
	Server      string              `json:"server"`
	Namespace   string              `json:"namespace"`
	Proxy       string              `json:"proxy"`
	Compressed  bool                `json:"compressed"`
	Insecure    bool                `json:"insecure"`
	ServerName  string              `json:"serverName"`
	CA          string              `json:"ca"`
	Certificate string              `json:"certificate"`
	Key         string              `json:"key"`
	Username    string              `json:"username"`
	Password    string              `json:"password"`
	Token       string              `json:"token"`
	TokenFile   string              `json:"tokenFile"`
	User        string              `json:"as"`
	UID         string              `json:"asUID"`
	Groups      []string            `json:"asGroups"`
	Extra       map[string][]string `json:"asExtra"`
	Exec        []string            `json:"exec"`
}

func main() {
	fixtures := os.Args[1]
	text, err := os.ReadFile(filepath.Join(fixtures, "kubeconfig", "cases.yaml"))
	check(err)
	var cases Cases
	check(yaml.UnmarshalStrict(text, &cases))
	results := []Result{}
	for _, config := range cases.Configs {
		result := Result{Name: config.Name}
		cases.fill(&config)
		resolved, err := resolve(fixtures, config)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", config.Name, err)
			result.Error = true
		} else {
			result.Known = resolved
		}
		results = append(results, result)
	}
	proxies := []string{}
	for _, exceptions := range cases.Proxies.Exceptions {
		for _, server := range cases.Proxies.Servers {
			proxies = append(proxies, choose("p:1", exceptions, server))
		}
	}
	for _, proxy := range cases.Proxies.Proxies {
		proxies = append(proxies, choose(proxy, "", cases.Proxies.Servers[0]))
	}
	printed, err := json.MarshalIndent(map[string]any{"configs": results, "proxies": proxies}, "", " ")
	check(err)
	fmt.Println(string(printed))
}

// fill makes the file of a case that is written as parts.
func (cases *Cases) fill(config *Config) {
	if len(config.Files) == 0 && len(config.Kubeconfig) == 0 {
		text := cases.Templates[cmp.Or(config.Template, "usual")]
		text = strings.ReplaceAll(text, "{CLUSTER}", cmp.Or(config.Cluster, "{server: 'https://a.com'}"))
		text = strings.ReplaceAll(text, "{USER}", cmp.Or(config.User, "{token: t}"))
		text = strings.ReplaceAll(text, "{CONTEXT}", cmp.Or(config.Context, "{cluster: k, user: u}"))
		config.Files = map[string]string{"config": text}
	}
	if config.Flag == "" && len(config.Kubeconfig) == 0 {
		config.Flag = "config"
	}
}

// choose returns the proxy for a server; the one for http servers is always the same.
func choose(proxy, exceptions, address string) string {
	server, err := url.Parse(address)
	check(err)
	environment := httpproxy.Config{HTTPProxy: "q:2", HTTPSProxy: proxy, NoProxy: exceptions}
	chosen, err := environment.ProxyFunc()(server)
	check(err)
	if chosen == nil {
		return ""
	}
	return chosen.Scheme + "://" + chosen.Host
}

func resolve(fixtures string, config Config) (*Resolved, error) {
	directory, err := os.MkdirTemp("", "kubeconfig")
	check(err)
	defer os.RemoveAll(directory)
	check(os.WriteFile(filepath.Join(directory, "token"), []byte(" file-token\n"), 0o600))
	for _, pem := range []string{"ca", "client", "client-key"} {
		content, err := os.ReadFile(filepath.Join(fixtures, "tls", pem+".pem"))
		check(err)
		check(os.WriteFile(filepath.Join(directory, pem+".pem"), content, 0o600))
	}
	for name, text := range config.Files {
		for _, pem := range []string{"ca", "client", "client-key"} {
			content, err := os.ReadFile(filepath.Join(fixtures, "tls", pem+".pem"))
			check(err)
			text = strings.ReplaceAll(text, "{"+pem+"}", base64.StdEncoding.EncodeToString(content))
		}
		check(os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600))
	}
	check(os.Chdir(directory))
	defer os.Chdir("/")
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: config.Flag, Precedence: config.Kubeconfig}
	overrides := &clientcmd.ConfigOverrides{}
	for flag, value := range config.Flags {
		set(overrides, flag, value)
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	made, err := loader.ClientConfig()
	if err != nil {
		return nil, err
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, err
	}
	return describe(directory, made, namespace)
}

func set(overrides *clientcmd.ConfigOverrides, flag, value string) {
	switch flag {
	case "context":
		overrides.CurrentContext = value
	case "cluster":
		overrides.Context.Cluster = value
	case "user":
		overrides.Context.AuthInfo = value
	case "server":
		overrides.ClusterInfo.Server = value
	case "tls-server-name":
		overrides.ClusterInfo.TLSServerName = value
	case "certificate-authority":
		overrides.ClusterInfo.CertificateAuthority = value
	case "insecure-skip-tls-verify":
		overrides.ClusterInfo.InsecureSkipTLSVerify = value == "true"
	case "token":
		overrides.AuthInfo.Token = value
	case "client-certificate":
		overrides.AuthInfo.ClientCertificate = value
	case "client-key":
		overrides.AuthInfo.ClientKey = value
	case "as":
		overrides.AuthInfo.Impersonate = value
	case "as-uid":
		overrides.AuthInfo.ImpersonateUID = value
	case "as-group":
		overrides.AuthInfo.ImpersonateGroups = strings.Split(value, ",")
	default:
		panic("no such flag: " + flag)
	}
}

// describe also makes the client, because some configurations are refused only then.
func describe(directory string, config *rest.Config, namespace string) (*Resolved, error) {
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	settings, err := config.TransportConfig()
	if err != nil {
		return nil, err
	}
	if _, err := transport.New(settings); err != nil {
		return nil, err
	}
	resolved := &Resolved{
		Server:      server.Scheme + "://" + strings.TrimSuffix(server.Host, ":") + strings.TrimSuffix(server.Path, "/"),
		Namespace:   namespace,
		Compressed:  !config.DisableCompression,
		Insecure:    config.Insecure,
		ServerName:  config.ServerName,
		CA:          content(config.CAData, config.CAFile),
		Certificate: content(config.CertData, config.CertFile),
		Key:         content(config.KeyData, config.KeyFile),
		Username:    config.Username,
		Password:    config.Password,
		Token:       config.BearerToken,
		TokenFile:   strings.ReplaceAll(config.BearerTokenFile, directory, "{dir}"),
		User:        config.Impersonate.UserName,
		UID:         config.Impersonate.UID,
		Groups:      config.Impersonate.Groups,
		Extra:       config.Impersonate.Extra,
	}
	if len(resolved.Extra) == 0 {
		resolved.Extra = nil
	}
	if resolved.Username == "" {
		// A password alone is never sent.
		resolved.Password = ""
	}
	if resolved.TokenFile != "" && strings.TrimSpace(resolved.Token) == fileToken(config.BearerTokenFile) {
		// The token was read from the file.
		resolved.Token = ""
	}
	if exec := config.ExecProvider; exec != nil && !settings.HasTokenAuth() && !settings.HasBasicAuth() && !settings.HasCertAuth() {
		resolved.Exec = append([]string{strings.ReplaceAll(exec.Command, directory, "{dir}")}, exec.Args...)
	}
	if config.Proxy != nil {
		request, err := http.NewRequest("", server.String(), nil)
		if err != nil {
			return nil, err
		}
		proxy, err := config.Proxy(request)
		if err != nil {
			return nil, err
		}
		resolved.Proxy = proxy.Scheme + "://" + proxy.Host
	}
	return resolved, nil
}

// content says whether something is data, or in which file it is.
func content(data []byte, file string) string {
	switch {
	case len(data) > 0:
		return "data"
	case file != "":
		return filepath.Base(file)
	}
	return ""
}

func fileToken(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
