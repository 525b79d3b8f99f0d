// Runs a command while holding a lock, with its fencing token in LOCK_TOKEN: go run ./lock NAME COMMAND...
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// What is read of a session and of a claim.
type answer struct {
	ID       string
	Interval int `json:"keepalive_interval_ms"`
	State    string
	Position int
	Token    int64
}

func call(method, path, body string) (status int, got answer) {
	base := os.Getenv("QUORATE")
	if base == "" {
		base = "http://127.0.0.1:2379"
	}
	request, _ := http.NewRequest(method, base+path, bytes.NewBufferString(body))
	request.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Timeout: time.Minute}).Do(request)
	if err != nil {
		return 0, got
	}
	defer response.Body.Close()
	json.NewDecoder(response.Body).Decode(&got)
	return response.StatusCode, got
}

func main() {
	_, session := call("POST", "/v1/sessions", `{"ttl":"10s","name":"example"}`)
	defer call("DELETE", "/v1/sessions/"+session.ID, "") // The claim goes with it.
	job := exec.Command(os.Args[2], os.Args[3:]...)
	go func() { // Signs of life. Three of them fit into a TTL.
		for range time.Tick(time.Duration(session.Interval) * time.Millisecond) {
			if status, _ := call("POST", "/v1/sessions/"+session.ID+"/keepalive", ""); status == 404 && job.Process != nil {
				job.Process.Kill() // The session is gone, and the lock with it: whoever works on must stop.
			}
		}
	}()
	for { // A wait that ends keeps the place in the line, so asking again loses nothing.
		_, claim := call("PUT", "/v1/locks/"+os.Args[1]+"/claims/"+session.ID, `{"wait":"30s"}`)
		if claim.State == "held" {
			job.Env = append(os.Environ(), fmt.Sprint("LOCK_TOKEN=", claim.Token))
			break
		}
	}
	job.Stdout, job.Stderr = os.Stdout, os.Stderr
	job.Run()
}
