#!/usr/bin/env python3
"""Prints every change of the keys under a prefix, and goes on where it was when the connection is lost: watch.py [PREFIX]"""

import os
import sys
import time
import urllib.parse
import urllib.request

BASE = os.environ.get("QUORATE", "http://127.0.0.1:2379")


def events(prefix, cursor):
    """Yields (id, event, data). A "part" has no id: the event that follows completes it."""
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": cursor} if cursor else {})}
    query = urllib.parse.urlencode({"prefix": prefix})
    request = urllib.request.Request(f"{BASE}/v1/watch?{query}", headers=headers)
    fields = {}
    with urllib.request.urlopen(request, timeout=60) as stream:
        for line in stream:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif fields:
                if "event" in fields:
                    yield fields.get("id"), fields["event"], fields.get("data", "")
                fields = {}


def main(prefix):
    cursor = None
    while True:
        try:
            # First comes what there is ("snapshot"); after a lost connection what was missed, or, when that is no longer kept, a
            # "reset" with what there is now. Nothing is skipped in silence.
            for cursor_of_event, event, data in events(prefix, cursor):
                cursor = cursor_of_event or cursor
                print(event, data, sep="\t", flush=True)
        except OSError as error:
            print(error, file=sys.stderr)
        time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
