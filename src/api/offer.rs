//! What is served on a socket: by default everything, and on sockets of their own parts of it.

/// What clients of one socket may ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offer {
    /// gRPC and HTTP.
    #[default]
    Everything,
    /// gRPC alone, because HTTP has sockets of its own.
    Grpc,
    /// All that goes over HTTP, and no gRPC.
    Http,
    /// Metrics and health.
    Observation,
}
