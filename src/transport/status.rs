//! The table between [`CallError`] and gRPC's status codes, both ways.
//!
//! | error | code | read back as |
//! |---|---|---|
//! | `Refused` | `FAILED_PRECONDITION`, the encoded `Refusal` as details | `Refused` |
//! | `NotServing` | `UNAVAILABLE` | `NotServing` |
//! | `Unreachable` | `UNAVAILABLE`: nothing was done, and that is all the caller needs | `NotServing` |
//! | `Timeout` | `DEADLINE_EXCEEDED` | `Timeout` |
//! | `Malformed` | `INVALID_ARGUMENT`, as well `UNIMPLEMENTED` and `OUT_OF_RANGE` (too large) from gRPC itself | `Malformed` |
//! | `Interrupted` | `UNKNOWN`, and whatever else may come | `Interrupted` |
//!
//! A status with a source did not come from the other side: the connection made it.

use bytes::Bytes;
use prost::Message as _;
use proto::quoratepb::Refusal;
use std::error::Error as _;
use tonic::{Code, Status};

use crate::CallError;

/// What is sent for an error of the served member.
pub(crate) fn write(error: CallError) -> Status {
    let text = error.to_string();
    match error {
        CallError::Refused(refusal) => {
            Status::with_details(Code::FailedPrecondition, text, Bytes::from(refusal.encode_to_vec()))
        }
        CallError::NotServing | CallError::Unreachable(_) => Status::unavailable(text),
        CallError::Timeout => Status::deadline_exceeded(text),
        CallError::Malformed(reason) => Status::invalid_argument(reason),
        CallError::Interrupted(reason) => Status::unknown(reason),
    }
}

/// What a status means to the caller.
pub(crate) fn read(status: &Status) -> CallError {
    if let Some(source) = status.source() {
        return source.downcast_ref::<CallError>().cloned().unwrap_or_else(|| interrupted(status));
    }
    match status.code() {
        Code::FailedPrecondition => refused(status),
        Code::Unavailable => CallError::NotServing,
        Code::DeadlineExceeded => CallError::Timeout,
        Code::InvalidArgument | Code::Unimplemented | Code::OutOfRange => {
            CallError::Malformed(status.message().to_owned())
        }
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => interrupted(status),
    }
}

/// Without details that can be read it is not a refusal of this protocol, and nothing is known of what was done.
fn refused(status: &Status) -> CallError {
    match Refusal::decode(status.details()) {
        Ok(refusal) if !status.details().is_empty() => CallError::Refused(refusal),
        Ok(_) | Err(_) => interrupted(status),
    }
}

fn interrupted(status: &Status) -> CallError {
    match status.code() {
        Code::Unknown => CallError::Interrupted(status.message().to_owned()),
        code => CallError::Interrupted(format!("{code:?}: {}", status.message())),
    }
}

#[cfg(test)]
mod tests {
    use proto::quoratepb::refusal::Reason;

    use super::*;

    fn refusal() -> Refusal {
        Refusal { reason: Reason::Removed.into(), receiver: None }
    }

    #[test]
    fn every_error_arrives_as_what_it_was() {
        for error in [
            CallError::Refused(refusal()),
            CallError::NotServing,
            CallError::Timeout,
            CallError::Malformed("no vote".to_owned()),
            CallError::Interrupted("the disk".to_owned()),
        ] {
            assert_eq!(read(&write(error.clone())), error);
        }
        assert_eq!(read(&write(CallError::Unreachable("the leader".to_owned()))), CallError::NotServing);
    }

    #[test]
    fn codes_that_grpc_makes_itself_are_understood() {
        for code in [Code::Unimplemented, Code::OutOfRange] {
            assert_eq!(read(&Status::new(code, "why")), CallError::Malformed("why".to_owned()));
        }
        for code in [Code::Internal, Code::Cancelled, Code::Aborted, Code::ResourceExhausted, Code::DataLoss] {
            assert!(matches!(read(&Status::new(code, "why")), CallError::Interrupted(text) if text.ends_with("why")));
        }
    }

    #[test]
    fn a_precondition_of_somebody_else_is_no_refusal() {
        assert!(matches!(read(&Status::failed_precondition("why")), CallError::Interrupted(_)));
        let garbage = Status::with_details(Code::FailedPrecondition, "why", Bytes::from_static(b"\xff\xff"));
        assert!(matches!(read(&garbage), CallError::Interrupted(_)));
    }

    #[test]
    fn what_the_connection_says_is_kept() {
        let status = Status::from_error(Box::new(CallError::Unreachable("gone".to_owned())));
        assert_eq!(read(&status), CallError::Unreachable("gone".to_owned()));
        let status = Status::from_error(Box::new(std::io::Error::other("reset")));
        assert!(matches!(read(&status), CallError::Interrupted(_)));
    }
}
