//! From arguments to an exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use client::Client;

use crate::exit::Exit;
use crate::flags::{Alarm, Auth, Check, Command, Completion, Ctl, Snapshot, without_values_of_switches};
use crate::show::Printer;
use crate::{
    auth, check, connect, contend, endpoint, get, lease, maintenance, member, mirror, put, role, snapshot, txn, user,
    watch,
};

/// The etcdctl whose output this is, and the API that it speaks.
const VERSION: &str = "3.5.1";
const API_VERSION: &str = "3.5";

/// Threads: `check perf` is the only one that needs more than one.
const THREADS: usize = 2;

/// What a command works with.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) config: client::Config,
    pub(crate) out: Printer,
}

/// Whether a word is one of the commands here.
#[must_use]
pub fn is_command(word: &str) -> bool {
    Ctl::command().get_subcommands().any(|command| command.get_name() == word)
}

/// Does what the arguments say, of which the first is the program's name as it is to be shown.
#[must_use]
pub fn main(arguments: Vec<String>) -> ExitCode {
    let name = arguments.first().cloned().unwrap_or_default();
    match parse(arguments).and_then(|ctl| execute(&name, ctl)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            if let Some(text) = exit.text {
                eprintln!("Error: {text}");
            }
            ExitCode::from(exit.code)
        }
    }
}

fn parse(arguments: Vec<String>) -> Result<Ctl, Exit> {
    let name = arguments.first().cloned().unwrap_or_default();
    let command = Ctl::command().bin_name(name.clone());
    let parsed = command.try_get_matches_from(without_values_of_switches(arguments));
    let refused = |error: clap::Error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Printing help cannot fail in a way that is worth a word.
            let _ = error.print();
            Exit { code: 0, text: None }
        }
        _ => Exit::failed(sentence(&error, &name)),
    };
    let matches = parsed.map_err(refused)?;
    Ctl::from_arg_matches(&matches).map_err(|error| Exit::failed(error.to_string()))
}

/// What is wrong with the arguments, as etcdctl says it where it does.
fn sentence(error: &clap::Error, name: &str) -> String {
    use clap::error::{ContextKind, ContextValue};
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(_) | None => String::new(),
    };
    match error.kind() {
        ErrorKind::UnknownArgument => format!("unknown flag: {}", context(ContextKind::InvalidArg)),
        ErrorKind::InvalidSubcommand => format!(
            "unknown command {:?} for {name:?}\nRun '{name} --help' for usage.",
            context(ContextKind::InvalidSubcommand)
        ),
        _ => error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    }
}

fn execute(name: &str, ctl: Ctl) -> Result<(), Exit> {
    let Ctl { global, command } = ctl;
    match command {
        Command::Version => return version(name),
        Command::Completion(Completion { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Ctl::command(), name, &mut script);
            return write(&script);
        }
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(|error| Exit::io(&error))?;
    let done = runtime.block_on(async {
        let out = Printer::new(&global.write_out, global.hex)?;
        let config = connect::config(&global, &command)?;
        let client = Client::new(config.clone()).map_err(Exit::from)?;
        dispatch(Context { client, config, out }, command).await
    });
    // What still waits on stdin would keep it from ending.
    runtime.shutdown_background();
    done
}

async fn dispatch(context: Context, command: Command) -> Result<(), Exit> {
    let context = &context;
    match command {
        Command::Get(flags) => get::get(context, &flags).await,
        Command::Put(flags) => put::put(context, &flags).await,
        Command::Del(flags) => put::del(context, &flags).await,
        Command::Txn(flags) => txn::txn(context, &flags).await,
        Command::Compaction(flags) => put::compaction(context, &flags).await,
        Command::Watch(flags) => watch::watch(context, &flags).await,
        Command::Lease(task) => lease::run(context, &task).await,
        Command::Member(task) => member::run(context, &task).await,
        Command::Endpoint(task) => endpoint::run(context, &task).await,
        Command::Alarm(Alarm::List) => maintenance::alarms(context).await,
        Command::Alarm(Alarm::Disarm) => maintenance::disarm(context).await,
        Command::Defrag(flags) => maintenance::defrag(context, &flags).await,
        Command::Snapshot(Snapshot::Save(words)) => snapshot::save(context, &words).await,
        Command::MoveLeader(words) => maintenance::move_leader(context, &words).await,
        Command::Auth(Auth::Enable) => auth::enable(context).await,
        Command::Auth(Auth::Disable) => auth::disable(context).await,
        Command::Auth(Auth::Status) => auth::status(context).await,
        Command::User(task) => user::run(context, &task).await,
        Command::Role(task) => role::run(context, &task).await,
        Command::Lock(flags) => contend::lock(context, &flags).await,
        Command::Elect(flags) => contend::elect(context, &flags).await,
        Command::MakeMirror(flags) => mirror::run(context, &flags).await,
        Command::Check(Check::Perf(flags)) => check::perf(context, &flags).await,
        Command::Version | Command::Completion(_) => Ok(()),
    }
}

/// Writes to stdout.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Exit> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| Exit::io(&error))
}

/// As etcdctl, the version of that; otherwise that of this program.
fn version(name: &str) -> Result<(), Exit> {
    let version = if name == "etcdctl" { VERSION } else { env!("CARGO_PKG_VERSION") };
    write(format!("{name} version: {version}\nAPI version: {API_VERSION}\n").as_bytes())
}
