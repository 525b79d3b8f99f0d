//! The wire: etcd v3 messages and services, and our peer protocol.
