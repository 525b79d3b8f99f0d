//! Holds the compiled protocol to the facts: the table of the public wire, bytes on the wire, paths of the services.

mod frames;
mod services;
mod table;
