//! `get`.

use bytes::Bytes;
use client::pb::RangeRequest;
use client::pb::range_request::{SortOrder, SortTarget};
use client::request::prefix_end;

use crate::exit::Exit;
use crate::flags::Get;
use crate::run::Context;
use crate::show::{Format, Style};

/// A key and the end of its range.
pub(crate) type Range = (Bytes, Bytes);

pub(crate) async fn get(context: &Context, flags: &Get) -> Result<(), Exit> {
    let request = request(flags)?;
    let format = context.out.format;
    if flags.count_only && format != Format::Fields {
        return Err(Exit::bad_args("--count-only is only for `--write-out=fields`"));
    }
    if flags.print_value_only && format != Format::Simple {
        return Err(Exit::bad_args("print-value-only is only for `--write-out=simple`"));
    }
    let response = context.client.range(request).await?;
    context.out.show_as(&response, Style { value_only: flags.print_value_only, ..context.out.style })
}

/// The request that the flags describe, also within a transaction.
pub(crate) fn request(flags: &Get) -> Result<RangeRequest, Exit> {
    let (key, range_end) = range(&flags.words, flags.prefix, flags.from_key, "get")?;
    let serializable = match flags.consistency.as_str() {
        "l" => false,
        "s" => true,
        other => return Err(Exit::bad_feature(format!("unknown consistency flag {other:?}"))),
    };
    let sort_order = match flags.order.to_ascii_uppercase().as_str() {
        "ASCEND" => SortOrder::Ascend,
        "DESCEND" => SortOrder::Descend,
        "" => SortOrder::None,
        _ => return Err(Exit::bad_feature(format!("bad sort order {}", flags.order))),
    };
    let sort_target = match flags.sort_by.to_ascii_uppercase().as_str() {
        "CREATE" => SortTarget::Create,
        "KEY" | "" => SortTarget::Key,
        "MODIFY" => SortTarget::Mod,
        "VALUE" => SortTarget::Value,
        "VERSION" => SortTarget::Version,
        _ => return Err(Exit::bad_feature(format!("bad sort target {}", flags.sort_by))),
    };
    Ok(RangeRequest {
        key,
        range_end,
        limit: flags.limit,
        revision: flags.rev,
        sort_order: sort_order.into(),
        sort_target: sort_target.into(),
        serializable,
        keys_only: flags.keys_only,
        count_only: flags.count_only,
        min_mod_revision: flags.min_mod_rev,
        max_mod_revision: flags.max_mod_rev,
        min_create_revision: flags.min_create_rev,
        max_create_revision: flags.max_create_rev,
    })
}

/// The range that a key, an end and two switches describe.
pub(crate) fn range(words: &[String], prefix: bool, from_key: bool, command: &str) -> Result<Range, Exit> {
    if prefix && from_key {
        return Err(Exit::bad_args("`--prefix` and `--from-key` cannot be set at the same time, choose one"));
    }
    let (key, end) = match words {
        [key] => (key, None),
        [_, _] if prefix || from_key => {
            return Err(Exit::bad_args(
                "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
            ));
        }
        [key, end] => (key, Some(end)),
        _ => {
            return Err(Exit::bad_args(format!(
                "{command} command needs one argument as key and an optional argument as range_end"
            )));
        }
    };
    let key = Bytes::from(key.clone());
    Ok(match end {
        Some(end) => (key, Bytes::from(end.clone())),
        None if prefix => prefix_range(key),
        None if from_key => (if key.is_empty() { Bytes::from_static(b"\0") } else { key }, Bytes::from_static(b"\0")),
        None => (key, Bytes::new()),
    })
}

/// All keys that begin with `prefix`: all at all, if it is empty.
pub(crate) fn prefix_range(prefix: Bytes) -> Range {
    let end = prefix_end(&prefix);
    (if prefix.is_empty() { Bytes::from_static(b"\0") } else { prefix }, end)
}
