//! Checks the shape of the code itself: dependency arrows, who may name which library, module headers, file length.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The architecture in one table, floor by floor; ARCHITECTURE.md explains it, this test enforces it.
const ARROWS: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("model", &[]),
    ("tls", &[]),
    ("wal", &[]),
    ("transport", &["proto", "tls"]),
    ("bolt", &["proto"]),
    ("recipes", &["model"]),
    ("state", &["model", "recipes"]),
    ("watch", &["model"]),
    ("consensus", &["model", "wal", "state", "transport", "proto"]),
    ("node", &["model", "recipes", "state", "watch", "consensus", "transport", "bolt"]),
    ("api", &["proto", "model", "tls", "recipes", "node"]),
    ("client", &["proto"]),
    ("ctl", &["client"]),
    ("quorate", &["model", "tls", "wal", "node", "api", "ctl"]),
    ("bench", &["proto"]),
];

/// Libraries that only these crates may name: where a library is known in one place, it can be replaced in one place.
const NAMED_ONLY_BY: &[(&str, &[&str])] = &[
    ("openraft", &["consensus"]),
    ("fjall", &["state"]),
    ("axum", &["api"]),
    ("tonic", &["proto", "transport", "api", "client", "bench"]),
    ("rustix", &["wal", "bench"]),
    ("tokio-rustls", &["tls", "client"]),
    ("rcgen", &["tls"]),
];

/// Crates without clocks, threads or tasks of their own.
const WITHOUT_TOKIO: &[&str] = &["proto", "model", "wal", "recipes", "state"];

/// Longest file; tests and generated code are exempt.
const LINES_MAX: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn packages() -> Vec<Value> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    metadata["packages"].as_array().expect("a list of packages").clone()
}

/// (crate, what it depends on when it is built for use, whether that is a crate of ours)
fn dependencies() -> Vec<(String, String, bool)> {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let mut all = Vec::new();
    for package in packages() {
        for dependency in package["dependencies"].as_array().expect("a list of dependencies") {
            if dependency["kind"].is_null() {
                all.push((text(&package["name"]), text(&dependency["name"]), !dependency["path"].is_null()));
            }
        }
    }
    all
}

#[test]
fn arrows_point_down() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(from, to)| (*from, to.iter().copied().collect())).collect();
    let mut wrong = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().expect("a name");
        if !allowed.contains_key(name) {
            wrong.push(format!("crate {name} is on no floor: add it to ARROWS and ARCHITECTURE.md"));
        }
    }
    for (from, to, ours) in dependencies() {
        if ours && !allowed.get(from.as_str()).is_some_and(|allowed| allowed.contains(to.as_str())) {
            wrong.push(format!("{from} -> {to} is not an allowed arrow"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn libraries_are_named_where_they_belong() {
    let mut wrong = Vec::new();
    for (from, to, _) in dependencies() {
        for (library, places) in NAMED_ONLY_BY {
            let family = to == *library || to.starts_with(&format!("{library}-"));
            if family && !places.contains(&from.as_str()) {
                wrong.push(format!("{from} names {to}, which only {places:?} may"));
            }
        }
        if to == "tokio" && WITHOUT_TOKIO.contains(&from.as_str()) {
            wrong.push(format!("{from} names tokio, but has no clock, thread or task of its own"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn files_introduce_themselves_and_stay_short() {
    let mut wrong = Vec::new();
    for folder in ["src", "recipes", "proto", "bench", "tests", "examples"] {
        for path in rust_files(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).expect("a readable source file");
            if !text.starts_with("//!") {
                wrong.push(format!("{}: the first line must be a //! header", path.display()));
            }
            if !is_test(&path) && text.lines().count() > LINES_MAX {
                wrong.push(format!("{}: more than {LINES_MAX} lines", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_table_of_floors_is_in_the_architecture_document() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for (from, to) in ARROWS {
        let row = text.lines().find(|line| line.trim_start_matches(['|', ' ', '`']).starts_with(&format!("{from}`")));
        let row = row.unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for `{from}`"));
        let named: BTreeSet<&str> =
            row.split('`').skip(3).step_by(2).filter(|n| ARROWS.iter().any(|(a, _)| a == n)).collect();
        assert_eq!(named, to.iter().copied().collect(), "the row of `{from}` in ARCHITECTURE.md");
    }
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.to_string_lossy().ends_with("tests.rs")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return files };
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
