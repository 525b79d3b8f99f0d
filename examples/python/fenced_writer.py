#!/usr/bin/env python3
"""Writes to a store outside, a SQLite file, guarded by a lock's fencing token: fenced_writer.py FILE NAME TOKEN VALUE

Run it under a lock:  lock.py accounts sh -c 'fenced_writer.py accounts.db balance "$LOCK_TOKEN" 100'

The lock says who should write; the store decides who may. It keeps the highest token that it has seen with every row, and refuses a
lower one in the same transaction as the write: a writer that was paused, lost its lock and wakes up late changes nothing.
"""

import sqlite3
import sys


class Stale(Exception):
    """Another holder, with a higher token, has written."""


def write(file, name, token, value):
    with sqlite3.connect(file, timeout=10) as store:
        store.execute("CREATE TABLE IF NOT EXISTS guarded (name TEXT PRIMARY KEY, token INTEGER NOT NULL, value TEXT NOT NULL)")
        written = store.execute(
            """INSERT INTO guarded VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE
               SET token = excluded.token, value = excluded.value WHERE excluded.token >= guarded.token""",
            (name, token, value),
        )
        if written.rowcount == 0:
            raise Stale(f"token {token} is older than that of the last write of {name}")


if __name__ == "__main__":
    try:
        write(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
    except Stale as stale:
        sys.exit(str(stale))
