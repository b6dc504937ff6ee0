//! The command line: one subcommand, one file.

pub mod store;
