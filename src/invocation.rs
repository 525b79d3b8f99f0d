//! What the program was called for: to serve, or to be a client; and all of its commands in one tree, for help, completion and manual
//! pages.
//!
//! Called `etcdctl`, it is that, and the first word may be a flag. Called by any other name, a client's command is the first word.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};

use crate::config::Cli;

/// The name of the program as a client of its own.
const ETCDCTL: &str = "etcdctl";

/// What is done here with a saved snapshot, without a server.
const OFFLINE: [&str; 2] = ["status", "restore"];

/// The arguments for the client's command line, if that is what was called.
pub(crate) fn of_a_client(arguments: impl IntoIterator<Item = OsString>) -> Option<Vec<String>> {
    let mut arguments: Vec<String> = arguments.into_iter().map(|one| one.to_string_lossy().into_owned()).collect();
    let called = arguments.first()?;
    let name = Path::new(called).file_stem().and_then(|name| name.to_str()).unwrap_or(called);
    let is_client = name == ETCDCTL || {
        let word = arguments.get(1).map_or("", String::as_str);
        let next = arguments.get(2).map_or("", String::as_str);
        let is_offline = word == "snapshot" && (OFFLINE.contains(&next) || next.starts_with('-') || next.is_empty());
        ctl::is_command(word) && word != "completion" && !is_offline
    };
    if !is_client {
        return None;
    }
    let name = if name == ETCDCTL { ETCDCTL } else { "quorate" };
    name.clone_into(&mut arguments[0]);
    Some(arguments)
}

/// All commands, the clients' among them. Theirs are parsed by [`ctl`].
pub(crate) fn command() -> Command {
    let mut client = ctl::Ctl::command().name("quorate").bin_name("quorate");
    client.build();
    let own = Cli::command();
    let is_new = |command: &&Command| own.find_subcommand(command.get_name()).is_none() && command.get_name() != "help";
    let added: Vec<Command> = client.get_subcommands().filter(is_new).cloned().collect();
    let save = client.find_subcommand("snapshot").and_then(|snapshot| snapshot.find_subcommand("save")).cloned();
    own.subcommands(added).mut_subcommand("snapshot", |snapshot| snapshot.subcommands(save))
}

/// Prints a script that completes all commands.
pub(crate) fn print_completion(shell: clap_complete::Shell) -> Result<()> {
    clap_complete::generate(shell, &mut command(), "quorate", &mut std::io::stdout().lock());
    Ok(())
}

/// Writes a manual page for every command.
pub(crate) fn write_man_pages(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    clap_mangen::generate_to(command(), dir).with_context(|| format!("cannot write into {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(arguments: &[&str]) -> Option<String> {
        of_a_client(arguments.iter().map(OsString::from)).map(|arguments| arguments.join(" "))
    }

    #[test]
    fn a_client_is_known_by_name_or_by_command() {
        assert_eq!(client(&["/usr/bin/etcdctl", "--hex", "get", "k"]), Some("etcdctl --hex get k".to_owned()));
        assert_eq!(client(&["quorate", "get", "k"]), Some("quorate get k".to_owned()));
        assert_eq!(client(&["quorate", "snapshot", "save", "f"]), Some("quorate snapshot save f".to_owned()));
        for own in [
            &["quorate"][..],
            &["etcd", "--name", "get"],
            &["quorate", "server"],
            &["quorate", "snapshot", "status", "f"],
        ] {
            assert_eq!(client(own), None, "{own:?}");
        }
        assert_eq!(client(&["quorate", "completion", "bash"]), None, "which completes all");
    }

    #[test]
    fn all_commands_are_in_one_tree() {
        let mut all = command();
        all.build();
        let names: Vec<_> = all.get_subcommands().map(Command::get_name).collect();
        for name in ["server", "wal", "snapshot", "get", "lock", "member", "man"] {
            assert_eq!(names.iter().filter(|known| **known == name).count(), 1, "{name} in {names:?}");
        }
        let snapshot = all.find_subcommand("snapshot").unwrap();
        assert!(["status", "restore", "save"].iter().all(|name| snapshot.find_subcommand(name).is_some()));
    }
}
