//! Status details that cannot be read are taken out of a response before tonic sees it: tonic 0.14 panics on them, and what listens
//! at a peer URL may be anything.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::HeaderMap;
use hyper::body::Frame;

/// The header's name.
const DETAILS: &str = "grpc-status-details-bin";

/// What tonic reads.
const READABLE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Takes unreadable details out of headers.
pub(crate) fn drop_unreadable(headers: &mut HeaderMap) {
    if headers.get(DETAILS).is_some_and(|details| READABLE.decode(details).is_err()) {
        headers.remove(DETAILS);
    }
}

/// Takes unreadable details out of a frame's trailers.
pub(crate) fn drop_unreadable_from(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        drop_unreadable(trailers);
    }
    frame
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_what_cannot_be_read_is_taken_out() {
        for (details, stays) in [("CAUSAA", true), ("CAUSAA==", true), ("", true), ("!!!", false), ("A", false)] {
            let mut headers = HeaderMap::new();
            headers.insert(DETAILS, HeaderValue::from_static(details));
            drop_unreadable(&mut headers);
            assert_eq!(headers.contains_key(DETAILS), stays, "{details:?}");
        }
    }
}
