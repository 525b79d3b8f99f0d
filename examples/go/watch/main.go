// Prints every change of the keys under a prefix, and goes on where it was when the connection is lost: go run ./watch [PREFIX]
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Prints events until the connection ends, and returns the cursor behind the last. A "part" has no id: the event that follows completes it.
func follow(base, prefix, cursor string) string {
	request, _ := http.NewRequest("GET", base+"/v1/watch?prefix="+url.QueryEscape(prefix), nil)
	if cursor != "" {
		request.Header.Set("Last-Event-ID", cursor)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return cursor
	}
	defer response.Body.Close()
	fields := map[string]string{}
	lines := bufio.NewReader(response.Body)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return cursor
		}
		if name, value, found := strings.Cut(strings.TrimRight(line, "\n"), ": "); found {
			fields[name] = value
			continue
		}
		if fields["event"] != "" {
			fmt.Printf("%s\t%s\n", fields["event"], fields["data"])
		}
		if fields["id"] != "" {
			cursor = fields["id"]
		}
		fields = map[string]string{}
	}
}

func main() {
	base, prefix, cursor := os.Getenv("QUORATE"), strings.Join(os.Args[1:], ""), ""
	if base == "" {
		base = "http://127.0.0.1:2379"
	}
	// First comes what there is ("snapshot"); after a lost connection what was missed, or, when that is no longer kept, a "reset" with
	// what there is now. Nothing is skipped in silence.
	for {
		cursor = follow(base, prefix, cursor)
		time.Sleep(time.Second)
	}
}
