//! Between the wire and the model: numbers that a client may set to anything become closed enums, once, here.
//!
//! Keys and values of a request are slices of the frame that it came in. What ends with the request keeps them so; what
//! outlives it (a watcher) is given copies, or one key would keep a whole frame alive.

mod request;
mod response;
#[cfg(test)]
mod tests;

pub(crate) use request::{delete, put, range, txn, watch};
pub(crate) use response::{delete_response, event, key_value, put_response, range_part, range_response, txn_response};
