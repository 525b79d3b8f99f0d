#!/usr/bin/env python3
"""Runs a command while holding a lock, with its fencing token in LOCK_TOKEN: lock.py NAME COMMAND..."""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request

BASE = os.environ.get("QUORATE", "http://127.0.0.1:2379")


def call(method, path, body=None, headers={}):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data, {"Content-Type": "application/json", **headers}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def keep_alive(session, interval, done, job):
    while not done.wait(interval):
        try:
            call("POST", f"/v1/sessions/{session}/keepalive")
        except urllib.error.HTTPError as error:
            if error.code == 404:  # The session is gone, and the lock with it: whoever works on must stop.
                print("the lock is lost", file=sys.stderr)
                for process in job:
                    process.terminate()
                return
        except OSError:
            pass  # Tried again at the next turn; three turns fit into a TTL.


def main(name, command):
    session = call("POST", "/v1/sessions", {"ttl": "10s", "name": "example"})
    claim = f"/v1/locks/{name}/claims/{session['id']}"
    done, job = threading.Event(), []
    interval = session["keepalive_interval_ms"] / 1000
    threading.Thread(target=keep_alive, args=(session["id"], interval, done, job), daemon=True).start()
    try:
        # A wait that ends keeps the place in the line, so asking again loses nothing.
        while (held := call("PUT", claim, {"wait": "30s"}))["state"] != "held":
            print(f"waiting in place {held['position']}", file=sys.stderr)
        job.append(subprocess.Popen(command, env={**os.environ, "LOCK_TOKEN": str(held["token"])}))
        return job[0].wait()
    finally:
        done.set()
        call("DELETE", f"/v1/sessions/{session['id']}")  # The claim goes with it.


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
