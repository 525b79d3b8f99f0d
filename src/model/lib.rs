//! Vocabulary of the whole project: plain values, no I/O.
