//! Numbers in arguments, with the errors that etcdctl gives for them.

use std::num::IntErrorKind;

use crate::exit::Exit;

/// A signed number of this base.
pub(crate) fn signed(text: &str, base: u32) -> Result<i64, String> {
    i64::from_str_radix(text, base).map_err(|error| wrong("ParseInt", text, error.kind()))
}

/// An unsigned number of this base.
pub(crate) fn unsigned(text: &str, base: u32) -> Result<u64, String> {
    u64::from_str_radix(text, base).map_err(|error| wrong("ParseUint", text, error.kind()))
}

fn wrong(function: &str, text: &str, kind: &IntErrorKind) -> String {
    let why = match kind {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    format!("strconv.{function}: parsing {}: {why}", crate::show::go::quoted(text.as_bytes()))
}

/// The id of a lease, in hexadecimal.
pub(crate) fn lease_id(text: &str) -> Result<i64, Exit> {
    signed(text, 16).map_err(|error| Exit::bad_args(format!("bad lease ID arg ({error}), expecting ID in Hex")))
}

/// The id of a member, in hexadecimal.
pub(crate) fn member_id(text: &str) -> Result<u64, Exit> {
    unsigned(text, 16).map_err(|error| Exit::bad_args(format!("bad member ID arg ({error}), expecting ID in Hex")))
}
