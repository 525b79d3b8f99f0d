//! Coordination recipes as deterministic expansions into ordinary keys.
