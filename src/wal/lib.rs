//! Segmented write-ahead log of typed, CRC-chained records.
