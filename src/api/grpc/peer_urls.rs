//! What peer URLs may be: checked before they reach the log, because a member that nobody can reach costs the cluster a vote.

use tonic::{Code, Status};

/// Checks the peer URLs of a member, as etcd does (`client/pkg/types/urls.go`).
///
/// # Errors
///
/// etcd's `given member URLs are invalid`.
pub(crate) fn check_peer_urls(urls: &[String]) -> Result<(), Status> {
    if !urls.is_empty() && urls.iter().all(|url| is_peer_url(url)) {
        return Ok(());
    }
    Err(Status::new(Code::InvalidArgument, "etcdserver: given member URLs are invalid"))
}

/// `http://HOST:PORT` or `https://HOST:PORT`, and nothing after it.
fn is_peer_url(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host_and_port = rest.and_then(|rest| rest.rsplit_once(':'));
    host_and_port.is_some_and(|(host, port)| {
        let is_host = !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
        is_host && port.parse::<u16>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(urls: &[&str]) -> bool {
        check_peer_urls(&urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>()).is_ok()
    }

    #[test]
    fn peer_urls_are_a_scheme_a_host_and_a_port() {
        assert!(check(&["http://10.0.0.1:2380", "https://n1.example:2380", "http://[::1]:2380"]));
        for wrong in [
            "",
            "10.0.0.1:2380",
            "http://10.0.0.1",
            "http://:2380",
            "http://h:2380/path",
            "http://h:70000",
            "ftp://h:1",
        ] {
            assert!(!check(&[wrong]), "{wrong}");
        }
        assert!(!check(&[]));
    }
}
