//! From what an HTTP client sends to what gRPC would have sent: metadata and messages.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt, LengthLimitError, Limited, StreamBody};
use prost_reflect::MessageDescriptor;
use tokio::time::timeout;
use tonic::Status;

use crate::gateway::json;
use crate::gateway::messages::{Objects, too_large};
use crate::gateway::methods::{Method, Requests};

/// Headers that begin so are metadata, without the prefix.
const METADATA_PREFIX: &str = "grpc-metadata-";

/// Tells the services that the request did not come by gRPC, and what the client accepts.
const OF_GATEWAY: HeaderName = HeaderName::from_static("grpcgateway-accept");

/// How long a body of one request may take to arrive.
const ARRIVAL_DEADLINE: Duration = Duration::from_secs(30);

/// Base64 is a third longer than what it stands for, and names and white space are not Protocol Buffers at all.
const JSON_FACTOR: usize = 2;

/// The body of a gRPC request.
pub(crate) type Messages = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Status>>>;

/// The metadata that `headers` stand for.
pub(crate) fn metadata(headers: &HeaderMap) -> HeaderMap {
    let mut metadata = HeaderMap::new();
    metadata.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    metadata.insert("te", HeaderValue::from_static("trailers"));
    for (name, value) in headers {
        let own = name.as_str().strip_prefix(METADATA_PREFIX).filter(|own| !own.starts_with("grpc-"));
        if let Some(own) = own.and_then(|own| HeaderName::try_from(own).ok()).filter(|own| *own != CONTENT_TYPE) {
            metadata.append(own, value.clone());
        }
    }
    if let Some(token) = headers.get(AUTHORIZATION) {
        metadata.insert(AUTHORIZATION, token.clone());
    }
    let accepted = headers.get(ACCEPT).cloned().unwrap_or_else(|| HeaderValue::from_static("*/*"));
    metadata.insert(OF_GATEWAY, accepted);
    metadata
}

/// The messages that `body` stands for, each at most about `message_bytes_max` long.
///
/// # Errors
///
/// What is wrong with the one request of a method that takes one. Mistakes in a stream come when they are met.
pub(crate) async fn translate(method: &Method, body: Body, message_bytes_max: usize) -> Result<Messages, Status> {
    let bytes_max = message_bytes_max.saturating_mul(JSON_FACTOR);
    let messages = match method.requests {
        Requests::One => {
            let text = whole(body, bytes_max).await?;
            let message = json::frame(&json::parse(&method.input, &text)?)?;
            stream::iter([Ok(Frame::data(message))]).boxed()
        }
        Requests::Stream { ends_call } => {
            let messages = translate_each(method.input.clone(), body, bytes_max);
            let more = if ends_call { stream::empty().boxed() } else { stream::pending().boxed() };
            messages.map(|message| message.map(Frame::data)).chain(more).boxed()
        }
    };
    Ok(StreamBody::new(messages))
}

async fn whole(body: Body, bytes_max: usize) -> Result<Bytes, Status> {
    if HttpBody::size_hint(&body).lower() > bytes_max as u64 {
        return Err(too_large(bytes_max));
    }
    match timeout(ARRIVAL_DEADLINE, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(bytes_max)),
        Ok(Err(error)) => Err(Status::invalid_argument(format!("the body could not be read: {error}"))),
        Err(_) => Err(Status::deadline_exceeded("the body did not arrive in time")),
    }
}

/// The objects in `body` as messages, until it ends or is wrong.
fn translate_each(
    input: MessageDescriptor,
    body: Body,
    bytes_max: usize,
) -> impl Stream<Item = Result<Bytes, Status>> + Send {
    let reading = Reading { body, objects: Objects::new(bytes_max), input };
    stream::try_unfold(
        reading,
        |mut reading| async move { Ok(reading.next().await?.map(|message| (message, reading))) },
    )
}

struct Reading {
    body: Body,
    objects: Objects,
    input: MessageDescriptor,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(object) = self.objects.next()? {
                return Ok(Some(json::frame(&json::parse(&self.input, &object)?)?));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => frame.data_ref().map_or((), |data| self.objects.push(data)),
                // Who hangs up in the middle needs no answer.
                Some(Err(_)) => return Ok(None),
                None if self.objects.is_empty() => return Ok(None),
                None => return Err(Status::invalid_argument("the body ends in the middle of a JSON object")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_what_the_client_says_they_are_and_no_more() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "token"),
            ("grpc-metadata-hasleader", "true"),
            ("grpc-metadata-grpc-encoding", "gzip"),
            ("grpc-metadata-content-type", "text/plain"),
            ("cookie", "secret"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let metadata = metadata(&headers);
        let has = |name: &str, value: &str| metadata.get(name).is_some_and(|found| found == value);
        assert!(has("authorization", "token") && has("hasleader", "true") && has("grpcgateway-accept", "*/*"));
        assert!(has("content-type", "application/grpc") && has("te", "trailers"));
        assert_eq!(metadata.len(), 5, "{metadata:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let begun = tokio::time::Instant::now();
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::convert::Infallible>>());
        let status = whole(never, 10).await.expect_err("nothing comes");
        assert_eq!((status.code(), begun.elapsed()), (tonic::Code::DeadlineExceeded, ARRIVAL_DEADLINE));
    }
}
