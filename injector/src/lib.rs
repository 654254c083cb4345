//! The `injector` command line: words to a validated [`Action`](cli::Action), and its answer to a person.
//!
//! The layers below are crates of their own, each of which sees only those before it: `injector-spec`,
//! `injector-plan`, `injector-host`, `injector-record`, `injector-engine`, `injector-api`.

pub mod cli;
