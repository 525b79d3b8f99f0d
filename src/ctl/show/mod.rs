//! Printing answers: each in the formats of etcdctl that it has.

mod auth;
mod done;
mod endpoint;
pub(crate) mod go;
mod json;
mod kv;
mod lease;
mod table;

use crate::exit::Exit;
use crate::run::write;

pub(crate) use auth::{RoleShown, UserShown, range};
pub(crate) use done::Done;
pub(crate) use endpoint::{Hashes, Health, Healths, Statuses};
pub(crate) use kv::Watched;
pub(crate) use lease::Remaining;
pub(crate) use table::Table;

/// How answers look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Simple,
    Fields,
    Json,
    Table,
    Protobuf,
}

/// How keys and values look in the simple format.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    pub(crate) hex: bool,
    pub(crate) value_only: bool,
}

/// Prints answers on stdout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    pub(crate) format: Format,
    pub(crate) style: Style,
}

/// An answer that can be printed. A format that gives nothing is one that it does not have.
pub(crate) trait Show {
    /// For people.
    fn simple(&self, style: Style) -> String;

    /// A field a line.
    fn fields(&self) -> Option<String>;

    /// One JSON object.
    fn json(&self, style: Style) -> Option<String>;

    /// Rows below a head.
    fn table(&self) -> Option<Table> {
        None
    }

    /// The message as on the wire.
    fn protobuf(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Printer {
    pub(crate) fn new(format: &str, hex: bool) -> Result<Self, Exit> {
        let format = match format {
            "simple" => Format::Simple,
            "fields" => Format::Fields,
            "json" => Format::Json,
            "table" => Format::Table,
            "protobuf" => Format::Protobuf,
            _ => return Err(Exit::bad_feature("unsupported output format")),
        };
        Ok(Self { format, style: Style { hex, value_only: false } })
    }

    /// Prints an answer.
    pub(crate) fn show(&self, answer: &impl Show) -> Result<(), Exit> {
        self.show_as(answer, self.style)
    }

    /// Prints an answer in a style of its own.
    pub(crate) fn show_as(&self, answer: &impl Show, style: Style) -> Result<(), Exit> {
        let unsupported = |name: &str| Exit::bad_feature(format!("{name} not supported as output format"));
        let text = match self.format {
            Format::Simple => answer.simple(style),
            Format::Fields => answer.fields().ok_or_else(|| unsupported("fields"))?,
            Format::Json => format!("{}\n", answer.json(style).ok_or_else(|| unsupported("json"))?),
            Format::Table => answer.table().ok_or_else(|| unsupported("table"))?.render(),
            Format::Protobuf => {
                return write(&answer.protobuf().ok_or_else(|| unsupported("protobuf"))?);
            }
        };
        write(text.as_bytes())
    }
}
