//! The `grpc-timeout` header, as the served side reads it. The calling side leaves it to tonic.

use std::time::Duration;

use tonic::metadata::MetadataMap;

/// How long a call may take that does not say.
pub(crate) const UNSAID: Duration = Duration::from_secs(5);

/// The gRPC specification's bound.
const DIGITS_MAX: usize = 8;

/// How long the caller waits. A value that cannot be read counts as not said.
pub(crate) fn read(metadata: &MetadataMap) -> Duration {
    metadata.get("grpc-timeout").and_then(|value| parse(value.to_str().ok()?)).unwrap_or(UNSAID)
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Duration {
        let mut metadata = MetadataMap::new();
        metadata.insert("grpc-timeout", text.parse().expect("ASCII"));
        read(&metadata)
    }

    #[test]
    fn what_tonic_writes_is_read() {
        for timeout in [Duration::from_millis(100), Duration::from_secs(5), Duration::from_nanos(1_234_567)] {
            let mut request = tonic::Request::new(());
            request.set_timeout(timeout);
            let read = read(request.metadata());
            assert!(read <= timeout && timeout - read < Duration::from_micros(1), "{read:?}");
        }
    }

    #[test]
    fn every_unit_counts() {
        for (text, timeout) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("4m", Duration::from_millis(4)),
            ("5u", Duration::from_micros(5)),
            ("6n", Duration::from_nanos(6)),
        ] {
            assert_eq!(read_text(text), timeout);
        }
    }

    #[test]
    fn nonsense_counts_as_not_said() {
        assert_eq!(read(&MetadataMap::new()), UNSAID);
        for text in ["", "S", "5", "5s", "-5S", "+5S", "123456789n", "1 S"] {
            assert_eq!(read_text(text), UNSAID, "{text}");
        }
    }
}
