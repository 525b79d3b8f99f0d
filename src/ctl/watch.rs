//! `watch`: events as they come, and what is run for each.

use std::sync::Arc;

use clap::Parser;
use client::Error;
use client::pb::{WatchCreateRequest, WatchResponse};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::Notify;

use crate::exit::{Exit, text_of};
use crate::flags::{Watch, without_values_of_switches};
use crate::get::prefix_range;
use crate::run::{Context, write};
use crate::show::go::quoted;
use crate::show::{Printer, Watched};
use crate::words::split;

/// Where the key comes from when the arguments do not say it.
const KEY: &str = "ETCDCTL_WATCH_KEY";
const RANGE_END: &str = "ETCDCTL_WATCH_RANGE_END";

/// A line of the interactive mode.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(flatten)]
    flags: Watch,
}

pub(crate) async fn watch(context: &Context, flags: &Watch) -> Result<(), Exit> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let environment = (variable(KEY), variable(RANGE_END));
    if let (None, Some(end)) = &environment {
        return Err(Exit::bad_args(format!("{KEY} is empty but got {RANGE_END}={}", quoted(end.as_bytes()))));
    }
    let range = match environment {
        (Some(key), end) => [Some(key), end].into_iter().flatten().collect(),
        (None, _) => Vec::new(),
    };
    if flags.interactive {
        return interactive(context, &range).await;
    }
    if std::env::args().next_back().as_deref() == Some("--") {
        return Err(Exit::bad_args("bad number of arguments (found separator --, but no commands)"));
    }
    let request = request(flags, &range)?;
    let following = Following { client: context.client.clone(), out: context.out, exec: flags.exec.clone() };
    let error = following.follow(request, &Notify::new()).await?;
    eprintln!("watch was canceled ({})", text_of(&error));
    Err(Exit::interrupted("watch is canceled by the server"))
}

/// The request that flags and environment describe.
fn request(flags: &Watch, environment: &[String]) -> Result<WatchCreateRequest, Exit> {
    if !environment.is_empty() && !flags.words.is_empty() {
        return Err(Exit::bad_args("bad number of arguments (found conflicting environment key)"));
    }
    let words = if environment.is_empty() { &flags.words[..] } else { environment };
    let (key, end) = match words {
        [key] => (key, None),
        [_, _] if flags.prefix => {
            return Err(Exit::bad_args("`range_end` and `--prefix` are mutually exclusive"));
        }
        [key, end] => (key, Some(end)),
        _ => return Err(Exit::bad_args("bad number of arguments")),
    };
    let key = key.clone().into();
    let (key, range_end) =
        if flags.prefix { prefix_range(key) } else { (key, end.cloned().unwrap_or_default().into()) };
    Ok(WatchCreateRequest {
        key,
        range_end,
        start_revision: flags.rev,
        prev_kv: flags.prev_kv,
        progress_notify: flags.progress_notify,
        ..WatchCreateRequest::default()
    })
}

/// Takes watches from stdin and follows all of them.
async fn interactive(context: &Context, environment: &[String]) -> Result<(), Exit> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let progress = Arc::new(Notify::new());
    while let Some(line) = lines.next_line().await.map_err(|error| Exit::io(&error))? {
        let Some(words) = split(&line).filter(|words| !words.is_empty()) else {
            eprintln!("Invalid command: {line} (watch and progress supported)");
            continue;
        };
        match words[0].as_str() {
            "progress" => progress.notify_waiters(),
            "watch" => {
                let parsed = Line::try_parse_from(without_values_of_switches(words[1..].to_vec()));
                let Line { flags } = match parsed {
                    Ok(parsed) => parsed,
                    Err(error) => {
                        eprintln!("Invalid command {line} ({})", error.to_string().lines().next().unwrap_or_default());
                        continue;
                    }
                };
                let request = request(&flags, environment)?;
                let following = Following { client: context.client.clone(), out: context.out, exec: flags.exec };
                let progress = Arc::clone(&progress);
                tokio::spawn(async move {
                    if let Ok(error) = following.follow(request, &progress).await {
                        eprintln!("watch was canceled ({})", text_of(&error));
                    }
                });
            }
            _ => eprintln!("Invalid command {line} (only support watch)"),
        }
    }
    Err(Exit::invalid_input("Error reading watch request line: EOF"))
}

/// What is done with a watch.
struct Following {
    client: client::Client,
    out: Printer,
    exec: Vec<String>,
}

impl Following {
    /// Follows until the server ends it; why.
    async fn follow(self, request: WatchCreateRequest, progress: &Notify) -> Result<Error, Exit> {
        let mut watcher = match self.client.watch(request).await {
            Ok(watcher) => watcher,
            Err(error @ (Error::Compacted { .. } | Error::WatchCanceled(_))) => return Ok(error),
            Err(error) => return Err(error.into()),
        };
        loop {
            let response = tokio::select! {
                response = watcher.next() => response,
                () = progress.notified() => {
                    watcher.request_progress();
                    continue;
                }
            };
            match response {
                Ok(response) => self.take(&response).await?,
                Err(error) => return Ok(error),
            }
        }
    }

    async fn take(&self, response: &WatchResponse) -> Result<(), Exit> {
        let revision = response.header.map_or(0, |header| header.revision);
        if response.events.is_empty() {
            write(format!("progress notify: {revision}\n").as_bytes())?;
        }
        self.out.show(&Watched(response))?;
        let Some((program, arguments)) = self.exec.split_first() else { return Ok(()) };
        for event in &response.events {
            let kv = event.kv.clone().unwrap_or_default();
            let status = Command::new(program)
                .args(arguments)
                .env("ETCD_WATCH_REVISION", revision.to_string())
                .env("ETCD_WATCH_EVENT_TYPE", quoted(event.r#type().as_str_name().as_bytes()))
                .env("ETCD_WATCH_KEY", quoted(&kv.key))
                .env("ETCD_WATCH_VALUE", quoted(&kv.value))
                .status()
                .await;
            let failed = match status {
                Ok(status) if status.success() => continue,
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            eprintln!("command {:?} error ({failed})", self.exec);
            return Err(Exit::said());
        }
        Ok(())
    }
}
