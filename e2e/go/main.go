// Sends requests with Go's net/http over HTTP/1.1 and HTTP/2, and prints one line of JSON for each response.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// report describes one response.
type report struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	Status   int    `json:"status"`
	Sha256   string `json:"sha256"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	body, err := os.ReadFile(os.Getenv("BODY"))
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(os.Getenv("CA"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s contains no certificate", os.Getenv("CA"))
	}
	for _, name := range []string{"TLS", "PLAIN"} {
		for _, isHTTP2 := range []bool{false, true} {
			if err := inTurn(name, transport(isHTTP2, roots), body); err != nil {
				return fmt.Errorf("%s, HTTP/2 %t: %w", name, isHTTP2, err)
			}
		}
	}
	return nil
}

// transport speaks only HTTP/1.1, or only HTTP/2; without TLS, by prior knowledge.
func transport(isHTTP2 bool, roots *x509.CertPool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!isHTTP2)
	protocols.SetHTTP2(isHTTP2)
	protocols.SetUnencryptedHTTP2(isHTTP2)
	return &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: roots}}
}

// inTurn sends two requests on one connection.
func inTurn(name string, transport *http.Transport, body []byte) error {
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	for range 2 {
		request, err := http.NewRequest(http.MethodPost, os.Getenv(name), bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+os.Getenv("KEY"))
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		received, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return err
		}
		sum := sha256.Sum256(received)
		line := report{name, response.Proto, response.StatusCode, hex.EncodeToString(sum[:])}
		if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
			return err
		}
	}
	return nil
}
