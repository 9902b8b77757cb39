package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// account is where kubelet mounts what a pod needs to ask the API server.
const account = "/var/run/secrets/kubernetes.io/serviceaccount"

// waitForPeers returns once more than half of the members are ready behind a headless Service, this one among them.
// DNS would tell the same: the node has none, so it asks the API server, whose answer DNS goes by.
func waitForPeers(service string, members int) {
	for {
		ready, err := readyEndpoints(service)
		if err == nil && 2*ready > members {
			return
		}
		log.Println("waiting for peers: ready", ready, "of", members, err)
		time.Sleep(time.Second)
	}
}

// readyEndpoints counts the ready addresses of a Service in this pod's namespace.
func readyEndpoints(service string) (int, error) {
	token, err := os.ReadFile(filepath.Join(account, "token"))
	if err != nil {
		return 0, err
	}
	namespace, err := os.ReadFile(filepath.Join(account, "namespace"))
	if err != nil {
		return 0, err
	}
	authority, err := os.ReadFile(filepath.Join(account, "ca.crt"))
	if err != nil {
		return 0, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	server := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	url := fmt.Sprintf("https://%s/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices?labelSelector=%s",
		server, namespace, "kubernetes.io/service-name%3D"+service)
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	client := http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the API server answers %s", response.Status)
	}
	var list struct {
		Items []struct {
			Endpoints []struct {
				Addresses  []string
				Conditions struct{ Ready *bool }
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		return 0, err
	}
	ready := 0
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				ready += len(endpoint.Addresses)
			}
		}
	}
	return ready, nil
}
