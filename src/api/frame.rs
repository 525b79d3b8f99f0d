//! Bodies of gRPC, watched as they pass: counted, and on the way in refused when a message announces more than may come.
//!
//! tonic has a limit of its own, but with a code and a text that etcd's clients do not know.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tonic::Status;

/// Bytes before each message: one that says whether it is compressed, four that say how long it is.
const PREFIX_BYTES: usize = 5;

/// A request's body.
#[derive(Debug)]
pub(crate) struct Inbound<B> {
    body: B,
    messages: Messages,
    message_bytes_max: usize,
    received: Counter,
}

impl<B> Inbound<B> {
    /// Messages above `message_bytes_max` are refused; bytes are added to `received`.
    pub(crate) fn new(body: B, message_bytes_max: usize, received: Counter) -> Self {
        Self { body, messages: Messages::default(), message_bytes_max, received }
    }
}

impl<B> Body for Inbound<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame.map_err(|error| Status::from_error(error.into()))?;
        if let Some(data) = frame.data_ref() {
            self.received.inc_by(data.len() as u64);
            let longest = self.messages.advance(data);
            if longest > self.message_bytes_max {
                return Poll::Ready(Some(Err(too_large(longest, self.message_bytes_max))));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The words of grpc-go, whose texts etcd's clients see.
fn too_large(bytes: usize, max: usize) -> Status {
    Status::resource_exhausted(format!("grpc: received message larger than max ({bytes} vs. {max})"))
}

/// Where in the sequence of messages a body stands.
#[derive(Debug, Default)]
struct Messages {
    /// Bytes of the present message's prefix that have come.
    prefix_bytes: usize,
    /// What they say so far about its length.
    length: u32,
    /// Bytes of the message that are still to come.
    missing: usize,
}

impl Messages {
    /// Goes on by `data`. Returns the length of the longest message that begins in it.
    fn advance(&mut self, mut data: &[u8]) -> usize {
        let mut longest = 0;
        while !data.is_empty() {
            if self.missing > 0 {
                let skipped = self.missing.min(data.len());
                self.missing -= skipped;
                data = &data[skipped..];
                continue;
            }
            if self.prefix_bytes > 0 {
                self.length = self.length << 8 | u32::from(data[0]);
            }
            self.prefix_bytes += 1;
            data = &data[1..];
            if self.prefix_bytes == PREFIX_BYTES {
                self.missing = self.length as usize;
                longest = longest.max(self.missing);
                self.prefix_bytes = 0;
                self.length = 0;
            }
        }
        longest
    }
}

/// A response's body.
#[derive(Debug)]
pub(crate) struct Outbound<B> {
    body: B,
    sent: Counter,
}

impl<B> Outbound<B> {
    /// Bytes are added to `sent`.
    pub(crate) fn new(body: B, sent: Counter) -> Self {
        Self { body, sent }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Outbound<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.sent.inc_by(data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};
    use tonic::Code;

    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let announced = u32::try_from(length).expect("a short message").to_be_bytes();
        [&[0][..], &announced, &vec![7; length]].concat()
    }

    #[test]
    fn lengths_are_seen_wherever_the_bytes_are_cut() {
        let stream = [message(3), message(0), message(300), message(1)].concat();
        for cut in 0..=stream.len() {
            let mut messages = Messages::default();
            let longest = messages.advance(&stream[..cut]).max(messages.advance(&stream[cut..]));
            assert_eq!(longest, 300, "cut at {cut}");
            assert_eq!((messages.missing, messages.prefix_bytes), (0, 0), "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_message_that_announces_too_much_is_refused_before_it_comes() {
        let announced = Bytes::from_static(&[0, 0, 0x20, 0, 1]);
        let body = Inbound::new(Full::new(announced), 2_097_152, Counter::default());
        let status = body.collect().await.expect_err("a byte too much");
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.message(), "grpc: received message larger than max (2097153 vs. 2097152)");
    }

    #[tokio::test]
    async fn what_passes_is_counted() {
        let (received, sent) = (Counter::default(), Counter::default());
        let body = Inbound::new(Full::new(Bytes::from(message(10))), 10, received.clone());
        let body = Outbound::new(body, sent.clone());
        assert_eq!(body.collect().await.expect("a body").to_bytes().len(), 15);
        assert_eq!((received.get(), sent.get()), (15, 15));
    }
}
