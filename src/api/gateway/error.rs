//! Errors as etcd's gateways write them, the old one (3.5) and the new one (3.6) at once: clients read either's members.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use tonic::{Code, Status};

/// The body of a refusal.
#[derive(Debug, Serialize)]
struct Refusal<'a> {
    error: &'a str,
    code: i32,
    message: &'a str,
    details: [(); 0],
}

/// The last line of a stream that failed.
#[derive(Debug, Serialize)]
struct LastLine<'a> {
    error: StreamError<'a>,
}

#[derive(Debug, Serialize)]
struct StreamError<'a> {
    grpc_code: i32,
    http_code: u16,
    message: &'a str,
    http_status: &'a str,
    code: i32,
    details: [(); 0],
}

/// What answers a request that ends with `status`.
pub(crate) fn refusal(status: &Status) -> Response {
    answer(http_status(status.code()), status.code(), status.message())
}

/// What answers a request that no method is for: the text of `http`, and the code that goes with it.
pub(crate) fn no_route(http: StatusCode, code: Code) -> Response {
    answer(http, code, http.canonical_reason().unwrap_or_default())
}

/// What ends a stream that was begun.
pub(crate) fn last_line(status: &Status) -> Bytes {
    let http = http_status(status.code());
    let error = StreamError {
        grpc_code: status.code().into(),
        http_code: http.as_u16(),
        message: status.message(),
        http_status: http.canonical_reason().unwrap_or_default(),
        code: status.code().into(),
        details: [],
    };
    let mut line = to_json(&LastLine { error });
    line.push(b'\n');
    line.into()
}

fn answer(http: StatusCode, code: Code, message: &str) -> Response {
    let body = to_json(&Refusal { error: message, code: code.into(), message, details: [] });
    (http, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("names and numbers can be written")
}

/// What a client that has gone is told, in a number that no standard has; nobody reads it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// grpc-gateway's table.
fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => StatusCode::from_u16(CLIENT_CLOSED_REQUEST).expect("a number of three digits"),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_codes_are_grpc_gateways() {
        let table = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
        for (code, http) in table.into_iter().enumerate() {
            let code = Code::from(i32::try_from(code).expect("a small number"));
            assert_eq!(http_status(code).as_u16(), http, "{code:?}");
        }
    }

    #[test]
    fn a_stream_ends_in_the_members_of_both_gateways() {
        let line = last_line(&Status::unavailable("etcdserver: server stopped"));
        let line = std::str::from_utf8(&line).expect("text");
        let expected = concat!(
            r#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: server stopped","#,
            r#""http_status":"Service Unavailable","code":14,"details":[]}}"#,
            "\n"
        );
        assert_eq!(line, expected);
    }
}
