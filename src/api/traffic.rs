//! How much travels in gRPC bodies, as the metrics `etcd_network_client_grpc_{received,sent}_bytes_total` say it.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Bytes in and out since the start. Cheap to clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
}

impl Traffic {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "etcd_network_client_grpc_received_bytes",
            "Bytes received from gRPC clients",
            self.received.clone(),
        );
        registry.register("etcd_network_client_grpc_sent_bytes", "Bytes sent to gRPC clients", self.sent.clone());
    }
}
