//! `snapshot save`: the state of one member in a file that is whole or not there.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use client::Snapshot;
use sha2::{Digest, Sha256};

use crate::exit::Exit;
use crate::flags::Words;
use crate::run::{Context, write};

/// What the length of a file is a multiple of, but for its checksum, in bytes.
const BLOCK_BYTES: u64 = 512;

const CHECKSUM_BYTES: usize = 32;

pub(crate) async fn save(context: &Context, words: &Words) -> Result<(), Exit> {
    let [path] = &words.words[..] else { return Err(Exit::bad_args("snapshot save expects one argument")) };
    if context.client.endpoints().len() != 1 {
        let endpoints = context.client.endpoints().join(" ");
        return Err(Exit::bad_args(format!(
            "snapshot must be requested to one selected node, not multiple [{endpoints}]"
        )));
    }
    let aside = PathBuf::from(format!("{path}.part"));
    let snapshot = context.client.snapshot().await?;
    let saved = receive(snapshot, &aside).await;
    let saved = saved.and_then(|()| fs::rename(&aside, path).map_err(|error| Exit::io(&error)));
    if saved.is_err() {
        // What made it fail says more than what this may.
        let _ = fs::remove_file(&aside);
    }
    saved?;
    write(format!("Snapshot saved at {path}\n").as_bytes())
}

/// Writes all parts, and checks the checksum that the last one is.
async fn receive(mut snapshot: Snapshot, path: &Path) -> Result<(), Exit> {
    let failed = |error: std::io::Error| Exit::io(&error);
    let mut file = File::create(path).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut tail = Vec::new();
    let mut length = 0_u64;
    while let Some(part) = snapshot.next().await? {
        file.write_all(&part.blob).map_err(failed)?;
        length += part.blob.len() as u64;
        // All but what may be the checksum.
        tail.extend_from_slice(&part.blob);
        let known = tail.len().saturating_sub(CHECKSUM_BYTES);
        hash.update(&tail[..known]);
        tail.drain(..known);
    }
    file.sync_all().map_err(failed)?;
    let checksum: [u8; CHECKSUM_BYTES] = hash.finalize().into();
    if length % BLOCK_BYTES != CHECKSUM_BYTES as u64 || tail != checksum {
        return Err(Exit::failed("the snapshot arrived damaged: its checksum is another"));
    }
    Ok(())
}
