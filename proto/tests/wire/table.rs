//! The public protocol against `wire.txt`, both ways: nothing missing, nothing extra, nothing moved.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
};

const TABLE: &str = include_str!("../wire.txt");

#[test]
fn public_wire_equals_the_table() {
    let expected: BTreeSet<String> = table_lines().map(str::to_owned).collect();
    let compiled = facts(&descriptors());
    let missing: Vec<_> = expected.difference(&compiled).collect();
    let extra: Vec<_> = compiled.difference(&expected).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing: {missing:#?}\nextra: {extra:#?}");
}

/// A table cut short would agree with a protocol cut short: these counts are taken from the reference, not from the
/// table.
#[test]
fn table_is_whole() {
    let count = |kind: &str| table_lines().filter(|line| line.split(' ').next() == Some(kind)).count();
    assert_eq!([count("rpc"), count("message"), count("field"), count("value")], [49, 117, 261, 33]);
    assert_eq!(table_lines().count(), table_lines().collect::<BTreeSet<_>>().len(), "a line occurs twice");
}

#[test]
fn descriptors_are_self_contained_proto3() {
    let set = descriptors();
    let names: BTreeSet<&str> = set.file.iter().map(|file| file.name()).collect();
    for file in &set.file {
        // Repeated numbers and enums are packed by default in proto3 alone.
        assert_eq!(file.syntax(), "proto3", "{}", file.name());
        for import in &file.dependency {
            assert!(names.contains(import.as_str()), "{} imports {import}, which reflection cannot serve", file.name());
        }
    }
}

fn table_lines() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).expect("valid descriptors")
}

/// The compiled protocol in the words of the table.
fn facts(set: &FileDescriptorSet) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for file in &set.file {
        let package = file.package();
        for service in &file.service {
            let path = format!("/{package}.{}", service.name());
            facts.extend(service.method.iter().map(|method| rpc(&path, method)));
        }
        for message in &file.message_type {
            message_facts(package, message, &mut facts);
        }
        for enumeration in &file.enum_type {
            enum_facts(package, enumeration, &mut facts);
        }
    }
    facts
}

fn rpc(service_path: &str, method: &MethodDescriptorProto) -> String {
    let side = |is_stream, name| format!("{}{}", if is_stream { "stream " } else { "" }, absolute(name));
    let request = side(method.client_streaming(), method.input_type());
    let response = side(method.server_streaming(), method.output_type());
    format!("rpc {service_path}/{} ({request}) returns ({response})", method.name())
}

fn message_facts(scope: &str, message: &DescriptorProto, facts: &mut BTreeSet<String>) {
    let name = format!("{scope}.{}", message.name());
    facts.insert(format!("message {name}"));
    for field in &message.field {
        let number = field.number();
        let (field_name, kind, label) = (field.name(), kind(field), label(message, field));
        facts.insert(format!("field {name} {number} {field_name} {kind} {label}"));
    }
    for enumeration in &message.enum_type {
        enum_facts(&name, enumeration, facts);
    }
    for nested in &message.nested_type {
        message_facts(&name, nested, facts);
    }
}

fn enum_facts(scope: &str, enumeration: &EnumDescriptorProto, facts: &mut BTreeSet<String>) {
    for value in &enumeration.value {
        facts.insert(format!("value {scope}.{} {} {}", enumeration.name(), value.number(), value.name()));
    }
}

fn kind(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum => absolute(field.type_name()).to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_ascii_lowercase(),
    }
}

/// `optional` would be a oneof of its own in the descriptor, and so be found.
fn label(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    match (field.label(), field.oneof_index) {
        (Label::Repeated, _) => "repeated".to_owned(),
        (_, Some(group)) => format!("oneof:{}", message.oneof_decl[usize::try_from(group).expect("an index")].name()),
        (_, None) => "singular".to_owned(),
    }
}

/// Descriptors write a full name with a leading dot.
fn absolute(name: &str) -> &str {
    name.strip_prefix('.').expect("a resolved name")
}
