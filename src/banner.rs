//! What a new user sees first: where the member is, and three commands to try.

use crate::config::Settings;

/// The text, for a member that serves at `urls`.
pub(crate) fn banner(urls: &[String], settings: &Settings) -> String {
    let base = urls.first().map_or("", String::as_str);
    let endpoints = urls.join(", ");
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
