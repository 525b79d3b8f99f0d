//! The program as it is run: a whole turn against the floor, which is always at hand.

use std::path::Path;
use std::process::{Command, Output};

fn bench(directory: &Path, arguments: &[&str]) -> Output {
    let (data, out) = (directory.join("data"), directory.join("out"));
    std::fs::create_dir_all(&out).expect("a fresh directory can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command
        .arg("--quick")
        .arg("--data-root")
        .arg(data)
        .arg("--out")
        .arg(out)
        .args(arguments)
        .output()
        .expect("the program was built for this test")
}

#[test]
fn a_run_measures_what_answers_reports_what_does_not_and_leaves_no_data() {
    let directory = tempfile::tempdir().unwrap();
    let output =
        bench(directory.path(), &["--scenario", "put-64", "--servers", "floor,quorate", "--quorate", "/no/such/file"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let text = std::fs::read_to_string(directory.path().join("out/results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&text).unwrap();
    let servers = &results["scenarios"][0]["servers"];
    let figures = &servers[0]["rounds"][0]["measured"]["figures"];
    assert!(figures["throughput"].as_f64().unwrap() > 0.0, "{text}");
    assert!(figures["rss"].as_f64().unwrap() > 0.0, "{text}");
    assert_eq!(figures["errors"].as_f64(), Some(0.0), "{text}");
    assert!(servers[1]["rounds"][0]["failed"].as_str().unwrap().contains("cannot be run"), "{text}");

    let report = std::fs::read_to_string(directory.path().join("out/REPORT.md")).unwrap();
    assert!(report.contains("| put-64 | floor |"), "{report}");
    assert!(report.contains("- put-64, quorate: failed: quorate cannot be run"), "{report}");
    assert_eq!(std::fs::read_dir(directory.path().join("data")).unwrap().count(), 0);
}

#[test]
fn an_unknown_scenario_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let output = bench(directory.path(), &["--scenario", "teleport"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no scenario is called teleport"));
}
