//! What a new user sees first: where the member is, and three commands to try.

use std::net::SocketAddr;

use crate::config::Settings;

/// The text, for a member that serves at `addresses`.
pub(crate) fn banner(addresses: &[SocketAddr], settings: &Settings) -> String {
    let endpoints: Vec<String> = addresses.iter().map(|address| format!("http://{address}")).collect();
    let base = endpoints.first().map_or("", String::as_str);
    let endpoints = endpoints.join(", ");
    format!(
        "\
Quorate {version} serves {endpoints}
  data      {data}
  API docs  {base}/docs

Try, from another terminal:
  etcdctl --endpoints {base} put greeting hello
  curl -X PUT {base}/v1/locks/my-job/claims/new -H 'content-type: application/json' -d '{{\"ttl\":\"30s\"}}'
  curl -N '{base}/v1/watch?prefix=greeting'
",
        version = env!("CARGO_PKG_VERSION"),
        data = settings.node.data_dir.display(),
    )
}
