//! Watchers: hub, interval index, catch-up, progress.
