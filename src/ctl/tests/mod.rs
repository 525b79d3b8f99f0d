//! The parts that need no server: words, numbers, tables, Go's ways of printing, comparisons of transactions.

use std::time::Duration;

use client::pb::compare::{CompareResult, CompareTarget, TargetUnion};

use crate::duration;
use crate::flags::without_values_of_switches;
use crate::number::{signed, unsigned};
use crate::show::Table;
use crate::show::go::{quoted, size};
use crate::txn::compare;
use crate::words::{split, unquote};

#[test]
fn lines_are_split_as_shells_and_go_do() {
    let words = |line: &str| split(line).map(|words| words.join("|"));
    assert_eq!(words("put  a b"), Some("put|a|b".to_owned()));
    assert_eq!(words(r#"put "a b" 'c "d"'"#), Some(r#"put|a b|c "d""#.to_owned()));
    assert_eq!(words(r#"put "\x41\n\"\u00e9\101""#), Some("put|A\n\"éA".to_owned()));
    assert_eq!(words(r#"put "" x"#), Some("put||x".to_owned()));
    for broken in [r#"put "a"#, "put 'a", r#"put "\q""#, r#"put "\xff""#, r#"put "\x4"#, r#""\"#] {
        assert_eq!(words(broken), None, "{broken}");
    }
    assert_eq!(unquote("`a\\b`c"), Some(("a\\b".to_owned(), "c")));
}

#[test]
fn comparisons_are_read_as_etcdctl_reads_them() {
    let compared = compare(r#"mod("k") > "3""#).unwrap();
    assert_eq!((compared.result(), compared.target()), (CompareResult::Greater, CompareTarget::Mod));
    assert_eq!(compared.target_union, Some(TargetUnion::ModRevision(3)));
    assert_eq!(compare(r#"lease("k") = "ff""#).unwrap().target_union, Some(TargetUnion::Lease(255)));
    assert_eq!(compare(r#"val("k") != "a b""#).unwrap().target_union, Some(TargetUnion::Value("a b".into())));
    let refusal = |line: &str| {
        let exit = compare(line).unwrap_err();
        assert_eq!(exit.code, 3);
        exit.text.unwrap()
    };
    assert_eq!(refusal("mod(k) = \"1\""), r#"malformed comparison: mod(k) = "1"; got mod("")  """#);
    assert_eq!(refusal("x(\"k\") = \"1\""), r#"malformed comparison: x("k") = "1" (unknown target x)"#);
    assert_eq!(refusal("mod(\"k\") = \"a\""), r#"invalid txn compare request: mod("k") = "a""#);
    assert_eq!(refusal("nothing"), "malformed comparison: nothing");
    assert!(refusal("mod(\"k\") ~ \"1\"").contains("unknown operator ~"));
}

#[test]
fn numbers_have_go_s_errors() {
    assert_eq!(signed("-f", 16), Ok(-15));
    assert_eq!(signed("x", 10).unwrap_err(), r#"strconv.ParseInt: parsing "x": invalid syntax"#);
    assert_eq!(unsigned("-1", 10).unwrap_err(), r#"strconv.ParseUint: parsing "-1": invalid syntax"#);
    let long = unsigned("fffffffffffffffff", 16).unwrap_err();
    assert_eq!(long, r#"strconv.ParseUint: parsing "fffffffffffffffff": value out of range"#);
}

#[test]
fn durations_have_units() {
    assert_eq!(duration::parse("1m30s"), Ok(Duration::from_secs(90)));
    assert_eq!(duration::parse("1.5s"), Ok(Duration::from_millis(1500)));
    assert_eq!(duration::parse("250ms"), Ok(Duration::from_millis(250)));
    for wrong in ["", "5", "5x", "s", "-1s", "1e30h"] {
        assert!(duration::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn strings_and_sizes_look_as_go_has_them() {
    assert_eq!(quoted(b"a\"\\\n\x01\xff\xc3\xa9"), r#""a\"\\\n\x01\xffé""#);
    let sizes = [
        (9, "9 B"),
        (10, "10 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (20_480, "20 kB"),
        (9_960, "10 kB"),
        (2_100_000, "2.1 MB"),
    ];
    for (bytes, shown) in sizes {
        assert_eq!(size(bytes), shown);
    }
}

#[test]
fn tables_have_cells_to_the_right_below_heads_in_the_middle() {
    let table = Table { head: &["Endpoint", "Id"], rows: vec![vec!["a".to_owned(), "12345".to_owned()]] };
    let drawn = "+----------+-------+\n| ENDPOINT |  ID   |\n+----------+-------+\n|        a | 12345 |\n+----------+-------+\n";
    assert_eq!(table.render(), drawn);
    assert_eq!(table.lines(), "a, 12345\n");
}

#[test]
fn switches_may_have_values() {
    let kept = |arguments: &[&str]| {
        without_values_of_switches(arguments.iter().map(|argument| (*argument).to_owned()).collect()).join(" ")
    };
    assert_eq!(kept(&["get", "--prefix=true", "--keys-only=false", "--limit=1"]), "get --prefix --limit=1");
    assert_eq!(kept(&["--insecure-transport=false", "--insecure-transport", "get"]), "get");
    assert_eq!(kept(&["watch", "--", "--prefix=true"]), "watch -- --prefix=true");
    assert_eq!(kept(&["user", "add", "--interactive=false"]), "user add --interactive=false");
}
