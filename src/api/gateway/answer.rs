//! From what gRPC answers to what an HTTP client gets.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes, BytesMut};
use futures::stream::{self, Stream, StreamExt};
use http_body::Body as HttpBody;
use http_body_util::BodyExt;
use prost_reflect::MessageDescriptor;
use tonic::{Code, Status};

use crate::gateway::error;
use crate::gateway::json::{self, PREFIX_BYTES};
use crate::gateway::methods::{Method, Responses};

/// The metadata of a response that etcd's gateway shows.
const METADATA: [(&str, &str); 2] =
    [("content-type", "application/json"), ("grpc-metadata-content-type", "application/grpc")];

/// What the client of `method` gets.
///
/// # Errors
///
/// The status, when there is nothing else to answer. A stream that was begun says it in its last line.
pub(crate) async fn translate<B>(method: &Method, response: http::Response<B>) -> Result<Response, Status>
where
    B: HttpBody<Data = Bytes, Error = Status> + Send + Unpin + 'static,
{
    let (head, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers).filter(|status| status.code() != Code::Ok) {
        return Err(status);
    }
    let mut messages = Box::pin(messages(body));
    match (method.responses, messages.next().await) {
        (_, Some(Err(status))) => Err(status),
        (Responses::One, Some(Ok(message))) => {
            // What follows the message is only its status.
            match messages.next().await {
                Some(Err(status)) => Err(status),
                Some(Ok(_)) => Err(Status::internal("there is more than one answer")),
                None => one(&method.output, message),
            }
        }
        (Responses::One, None) => Err(Status::internal("there is no answer")),
        (Responses::Stream, None) => Ok((METADATA, Body::empty()).into_response()),
        (Responses::Stream, Some(first)) => {
            let output = method.output.clone();
            let lines = stream::iter([first]).chain(messages).map(move |message| {
                let line = message.and_then(|message| line(&output, message));
                Ok::<_, std::convert::Infallible>(line.unwrap_or_else(|status| error::last_line(&status)))
            });
            Ok((METADATA, Body::from_stream(lines)).into_response())
        }
    }
}

fn one(output: &MessageDescriptor, message: Bytes) -> Result<Response, Status> {
    let mut text = BytesMut::new();
    json::write(output, message, &mut text)?;
    Ok((METADATA, text.freeze()).into_response())
}

fn line(output: &MessageDescriptor, message: Bytes) -> Result<Bytes, Status> {
    let mut text = BytesMut::from(&br#"{"result":"#[..]);
    json::write(output, message, &mut text)?;
    text.extend_from_slice(b"}\n");
    Ok(text.freeze())
}

/// The messages in a gRPC body, and at its end its status, unless that is none to speak of.
fn messages<B>(body: B) -> impl Stream<Item = Result<Bytes, Status>> + Send
where
    B: HttpBody<Data = Bytes, Error = Status> + Send + Unpin + 'static,
{
    let reading = Reading { body, unread: BytesMut::new() };
    stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        match reading.next().await {
            Ok(Some(message)) => Some((Ok(message), Some(reading))),
            Ok(None) => None,
            Err(status) => Some((Err(status), None)),
        }
    })
}

struct Reading<B> {
    body: B,
    unread: BytesMut,
}

impl<B: HttpBody<Data = Bytes, Error = Status> + Unpin> Reading<B> {
    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.take() {
                return Ok(Some(message));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            match frame?.into_data() {
                Ok(data) => self.unread.extend_from_slice(&data),
                Err(frame) => {
                    let status = frame.trailers_ref().and_then(Status::from_header_map);
                    return status.filter(|status| status.code() != Code::Ok).map_or(Ok(None), Err);
                }
            }
        }
    }

    /// The next message, if all of it is there.
    fn take(&mut self) -> Option<Bytes> {
        let prefix = self.unread.first_chunk::<PREFIX_BYTES>()?;
        let [_, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length) as usize;
        if self.unread.len() < PREFIX_BYTES + length {
            return None;
        }
        self.unread.advance(PREFIX_BYTES);
        Some(self.unread.split_to(length).freeze())
    }
}
