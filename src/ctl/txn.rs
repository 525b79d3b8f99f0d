//! `txn`: three lists of lines, each ended by a blank one.

use std::io::BufRead;

use bytes::Bytes;
use clap::Parser;
use client::pb::compare::{CompareResult, CompareTarget, TargetUnion};
use client::pb::{Compare, RequestOp};
use client::request;

use crate::exit::Exit;
use crate::flags::{Del, Get, Put, Txn, without_values_of_switches};
use crate::number::signed;
use crate::run::{Context, write};
use crate::show::go::quoted;
use crate::words::{split, unquote};
use crate::{get, put};

/// A line of a branch.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
enum Op {
    Get(Get),
    Put(Put),
    Del(Del),
}

pub(crate) async fn txn(context: &Context, flags: &Txn) -> Result<(), Exit> {
    if !flags.words.is_empty() {
        return Err(Exit::bad_args("txn command does not accept argument"));
    }
    let prompt = |text: &str| if flags.interactive { write(text.as_bytes()) } else { Ok(()) };
    prompt("compares:\n")?;
    let compares = lines(compare)?;
    prompt("success requests (get, put, del):\n")?;
    let success = lines(op)?;
    prompt("failure requests (get, put, del):\n")?;
    let failure = lines(op)?;
    context.out.show(&context.client.txn(request::txn(compares, success, failure)).await?)
}

fn lines<T>(parse: impl Fn(&str) -> Result<T, Exit>) -> Result<Vec<T>, Exit> {
    let mut found = Vec::new();
    loop {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        read.map_err(|error| Exit::invalid_input(error.to_string()))?;
        if !line.ends_with('\n') {
            return Err(Exit::invalid_input("EOF"));
        }
        match line.trim() {
            "" => return Ok(found),
            line => found.push(parse(line)?),
        }
    }
}

fn op(line: &str) -> Result<RequestOp, Exit> {
    let words = split(line).ok_or_else(|| Exit::invalid_input(format!("invalid txn request: {line}")))?;
    if words.len() < 2 {
        return Err(Exit::invalid_input(format!("invalid txn compare request: {line}")));
    }
    let op = Op::try_parse_from(without_values_of_switches(words));
    match op.map_err(|_| Exit::invalid_input(format!("invalid txn request: {line}")))? {
        Op::Get(flags) => get::request(&flags).map(request::then_range),
        Op::Put(flags) => put::request(&flags).map(request::then_put),
        Op::Del(flags) => put::del_request(&flags).map(request::then_delete),
    }
}

/// `TARGET("KEY") OPERATOR "VALUE"`.
pub(crate) fn compare(line: &str) -> Result<Compare, Exit> {
    let (target, rest) =
        line.split_once('(').ok_or_else(|| Exit::invalid_input(format!("malformed comparison: {line}")))?;
    let Parsed { key, operator, value } = parsed(rest).map_err(|got| {
        let Parsed { key, operator, value } = got;
        let (key, value) = (quoted(key.as_bytes()), quoted(value.as_bytes()));
        Exit::invalid_input(format!("malformed comparison: {line}; got {target}({key}) {operator} {value}"))
    })?;
    let number =
        |base| signed(&value, base).map_err(|_| Exit::invalid_input(format!("invalid txn compare request: {line}")));
    let (target, operand) = match target {
        "ver" | "version" => (CompareTarget::Version, TargetUnion::Version(number(10)?)),
        "c" | "create" => (CompareTarget::Create, TargetUnion::CreateRevision(number(10)?)),
        "m" | "mod" => (CompareTarget::Mod, TargetUnion::ModRevision(number(10)?)),
        "val" | "value" => (CompareTarget::Value, TargetUnion::Value(Bytes::from(value.clone()))),
        "lease" => (CompareTarget::Lease, TargetUnion::Lease(number(16)?)),
        unknown => {
            return Err(Exit::invalid_input(format!("malformed comparison: {line} (unknown target {unknown})")));
        }
    };
    let result = match operator.as_str() {
        "=" => CompareResult::Equal,
        "!=" => CompareResult::NotEqual,
        ">" => CompareResult::Greater,
        "<" => CompareResult::Less,
        _ => return Err(Exit::invalid_input(format!("malformed comparison: {line} (unknown operator {operator})"))),
    };
    Ok(Compare {
        result: result.into(),
        target: target.into(),
        key: key.into(),
        target_union: Some(operand),
        range_end: Bytes::new(),
    })
}

/// The parts of a comparison after its target.
#[derive(Debug, Default)]
struct Parsed {
    key: String,
    operator: String,
    value: String,
}

/// What was understood, if not all was.
fn parsed(text: &str) -> Result<Parsed, Parsed> {
    let mut found = Parsed::default();
    let Some((key, rest)) = unquote(text) else { return Err(found) };
    found.key = key;
    let Some(rest) = rest.strip_prefix(')') else { return Err(found) };
    let rest = rest.trim_start();
    let (operator, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    operator.clone_into(&mut found.operator);
    let Some((value, _)) = unquote(rest.trim_start()) else { return Err(found) };
    found.value = value;
    Ok(found)
}
