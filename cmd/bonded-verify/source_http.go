//go:build !js

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"
)

// overHTTP returns how to fetch files of a ledger below a base URL.
func overHTTP(base, caFile string) (fetch func(string) ([]byte, error), closer func(), err error) {
	client, err := httpClient(caFile)
	if err != nil {
		return nil, nil, err
	}
	return func(path string) ([]byte, error) { return get(client, base+"/"+path) }, client.CloseIdleConnections, nil
}

func httpClient(caFile string) (*http.Client, error) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		MaxIdleConnsPerHost:   2,
	}
	if caFile != "" {
		pem, err := readFile(caFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, &usageError{fmt.Errorf("%s holds no certificate", caFile), "name a PEM file"}
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{Transport: t, Timeout: 2 * time.Minute}, nil
}

func get(client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", url, resp.Status)
	}
	return readLimited(resp.Body, url, maxResource)
}
