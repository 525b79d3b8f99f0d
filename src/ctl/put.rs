//! `put`, `del` and `compaction`.

use std::io::Read;

use client::pb::{CompactionRequest, DeleteRangeRequest, PutRequest};

use crate::exit::Exit;
use crate::flags::{Compaction, Del, Put};
use crate::get::range;
use crate::number::signed;
use crate::run::{Context, write};

pub(crate) async fn put(context: &Context, flags: &Put) -> Result<(), Exit> {
    let mut request = request(flags)?;
    if flags.words.len() < 2 && !flags.ignore_value {
        let mut value = Vec::new();
        std::io::stdin().lock().read_to_end(&mut value).map_err(|error| Exit::io(&error))?;
        request.value = value.into();
    }
    context.out.show(&context.client.put(request).await?)
}

/// The request that the flags describe, also within a transaction; without the value, if there is none.
pub(crate) fn request(flags: &Put) -> Result<PutRequest, Exit> {
    let Some((key, values)) = flags.words.split_first() else {
        return Err(Exit::bad_args("put command needs 1 argument and input from stdin or 2 arguments"));
    };
    if flags.ignore_value && !values.is_empty() {
        return Err(Exit::bad_args("put command needs only 1 argument when 'ignore-value' is set"));
    }
    let lease = signed(&flags.lease, 16)
        .map_err(|error| Exit::bad_args(format!("bad lease ID ({error}), expecting ID in Hex")))?;
    Ok(PutRequest {
        key: key.clone().into(),
        value: values.first().cloned().unwrap_or_default().into(),
        lease,
        prev_kv: flags.prev_kv,
        ignore_value: flags.ignore_value,
        ignore_lease: flags.ignore_lease,
    })
}

pub(crate) async fn del(context: &Context, flags: &Del) -> Result<(), Exit> {
    context.out.show(&context.client.delete(del_request(flags)?).await?)
}

/// The request that the flags describe, also within a transaction.
pub(crate) fn del_request(flags: &Del) -> Result<DeleteRangeRequest, Exit> {
    let (key, range_end) = range(&flags.words, flags.prefix, flags.from_key, "del")?;
    Ok(DeleteRangeRequest { key, range_end, prev_kv: flags.prev_kv })
}

pub(crate) async fn compaction(context: &Context, flags: &Compaction) -> Result<(), Exit> {
    let [revision] = &flags.words[..] else { return Err(Exit::bad_args("compaction command needs 1 argument")) };
    let revision = signed(revision, 10).map_err(Exit::failed)?;
    context.client.compact(CompactionRequest { revision, physical: flags.physical }).await?;
    write(format!("compacted revision {revision}\n").as_bytes())
}
