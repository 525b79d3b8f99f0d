//! Compiles the .proto files into Rust, without a protoc on the machine.
//!
//! Writes into OUT_DIR one file of messages, clients and servers per package, and the descriptors of the client API for
//! gRPC reflection.

use std::path::PathBuf;
use std::{env, error, fs};

use prost::Message as _;

/// What clients speak, and may explore by reflection.
const CLIENT_API: [&str; 5] =
    ["etcd/kv.proto", "etcd/auth.proto", "etcd/rpc.proto", "etcd/v3lock.proto", "etcd/v3election.proto"];
/// What members speak among themselves.
const PEER_PROTOCOL: [&str; 1] = ["peer.proto"];

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo::rerun-if-changed=etcd");
    println!("cargo::rerun-if-changed=peer.proto");
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);

    let mut client_api = protox::compile(CLIENT_API, ["."])?;
    generate(client_api.clone())?;
    // Comments became documentation; on the wire they would only be weight.
    for file in &mut client_api.file {
        file.source_code_info = None;
    }
    fs::write(out_dir.join("client_api.bin"), client_api.encode_to_vec())?;

    generate(protox::compile(PEER_PROTOCOL, ["."])?)?;
    Ok(())
}

/// `bytes` fields become `Bytes`: keys and values are slices of the received frame, cheap to clone and never copied on
/// decode.
fn generate(files: prost_types::FileDescriptorSet) -> Result<(), Box<dyn error::Error>> {
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}
