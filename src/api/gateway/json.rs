//! JSON of Protocol Buffers, by the descriptors of the API.
//!
//! Out: names as in the .proto files, 64-bit numbers as strings, bytes as base64, and nothing that has its default. In: either
//! form of names, of numbers, of enums and of base64; what is not known is passed over, names of enum values included (etcd's
//! rule from 3.6 on).

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use tonic::Status;

/// The message that the first value in `text` stands for. Nothing, and `null`, stand for one without fields; what follows the
/// value is not looked at, as etcd does not.
///
/// # Errors
///
/// `InvalidArgument`, with what is wrong and where.
pub(crate) fn parse(descriptor: &MessageDescriptor, text: &[u8]) -> Result<DynamicMessage, Status> {
    let text = text.trim_ascii_start();
    if text.is_empty() || text.trim_ascii_end() == b"null" {
        return Ok(DynamicMessage::new(descriptor.clone()));
    }
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    DynamicMessage::deserialize_with_options(descriptor.clone(), &mut deserializer, &options)
        .map_err(|error| Status::invalid_argument(format!("the body is not what is expected here: {error}")))
}

/// Appends to `text` what stands for the message in `encoded`.
///
/// # Errors
///
/// `Internal`: one of our own services did not answer with a message of its kind.
pub(crate) fn write(descriptor: &MessageDescriptor, encoded: Bytes, text: &mut BytesMut) -> Result<(), Status> {
    let own_fault = |error: &dyn std::error::Error| Status::internal(error.to_string());
    let message = DynamicMessage::decode(descriptor.clone(), encoded).map_err(|error| own_fault(&error))?;
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(true);
    let mut serializer = serde_json::Serializer::new(text.writer());
    message.serialize_with_options(&mut serializer, &options).map_err(|error| own_fault(&error))
}

/// `message` as gRPC sends it: not compressed, its length, itself.
pub(crate) fn frame(message: &DynamicMessage) -> Result<Bytes, Status> {
    let bytes = message.encoded_len();
    let length = u32::try_from(bytes).map_err(|_| Status::resource_exhausted("the message is too large"))?;
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + bytes);
    frame.put_u8(0);
    frame.put_u32(length);
    message.encode(&mut frame).map_err(|error| Status::internal(error.to_string()))?;
    Ok(frame.freeze())
}

/// What comes before each message in gRPC: whether it is compressed, and its length.
pub(crate) const PREFIX_BYTES: usize = 5;
