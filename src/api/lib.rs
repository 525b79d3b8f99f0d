//! Both faces on one port: gRPC and HTTP.
