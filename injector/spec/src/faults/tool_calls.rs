//! What faults on calls of tools share: the `tool` family.

use clap::{
    Args, ValueEnum,
    builder::{EnumValueParser, TypedValueParser},
};
use serde::{Deserialize, Serialize};

use super::FaultKind;
use crate::{
    experiment::{Chance, CheckError, Fault, Settings, decided::Decided, settings::name},
    grammar::{ChanceFlags, TrafficFlags, values, values::ValueError},
};

/// Which calls of tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCalls {
    /// How the tools are called.
    #[serde(default)]
    pub interface: Interface,
    /// Globs of the names of tools; empty is every tool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Globs of methods of JSON-RPC; empty is `tools/call`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Globs of the paths that are asked, without what is behind a question mark; empty is every path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
}

/// How tools are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// By the Model Context Protocol over streamable HTTP: JSON-RPC 2.0 in a POST.
    #[default]
    Mcp,
    /// By a request for a path of its own, answered in JSON.
    Json,
}

/// What may be written for it. What cannot be had is refused by its name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Written {
    Mcp,
    Json,
    #[value(hide = true)]
    Stdio,
}

/// Why calls of tools cannot be meant so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum ToolCallError {
    #[error(
        "`{0}` with `interface json` would meet every request; name the paths of the tools under `request-path`, as in `/tools/*`"
    )]
    EveryRequest(&'static str),
    #[error(
        "`{0}`: methods are those of JSON-RPC, which `interface json` has not; leave `method` out, and name paths under `request-path`"
    )]
    NoMethods(&'static str),
    #[error(
        "`{0}` is about what a tool answers, which other methods do not have; leave `method` out"
    )]
    NoResult(&'static str),
    #[error(
        "`{0}`: `{1}` is no part of an answer by this interface; leave it out, or choose the other `interface`"
    )]
    OtherInterface(&'static str, &'static str),
    #[error(
        "`tool.is-error` is a result of MCP, which `interface json` has not; use `tool.error`, whose `status` such a tool fails by"
    )]
    NoFlag,
}

/// Of which methods a fault can change the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// Of any.
    Any,
    /// Of `tools/call` alone.
    Results,
}

/// Which calls, by flags.
#[derive(Args, Debug)]
pub(super) struct CallFlags {
    /// How the tools are called: by MCP over HTTP, or by paths that answer JSON
    #[arg(
        long,
        value_name = "KIND",
        value_parser = interface(),
        default_value = "mcp",
        help_heading = "Calls"
    )]
    interface: Interface,
    /// Only calls of such a tool, as in `search*`; with `json` the last part of its path; repeatable
    #[arg(
        long,
        value_name = "GLOB",
        value_parser = values::name_pattern,
        value_delimiter = ',',
        help_heading = "Calls"
    )]
    tool: Vec<String>,
    /// Requests by this method of MCP in place of `tools/call`; repeatable
    #[arg(
        long,
        value_name = "GLOB",
        value_parser = values::name_pattern,
        value_delimiter = ',',
        help_heading = "Calls"
    )]
    method: Vec<String>,
    /// Only calls to such a path, as in `*/mcp`; repeatable
    #[arg(
        long,
        value_name = "GLOB",
        value_parser = values::name_pattern,
        value_delimiter = ',',
        help_heading = "Calls"
    )]
    request_path: Vec<String>,
    #[command(flatten)]
    traffic: TrafficFlags,
    #[command(flatten)]
    chance: ChanceFlags,
}

fn interface() -> impl TypedValueParser<Value = Interface> {
    EnumValueParser::<Written>::new().try_map(|written| match written {
        Written::Mcp => Ok(Interface::Mcp),
        Written::Json => Ok(Interface::Json),
        Written::Stdio => Err(ValueError::Stdio),
    })
}

impl CallFlags {
    /// A fault of a kind that is made of these calls.
    pub(super) fn fault<K: Into<FaultKind>>(self, kind: impl FnOnce(ToolCalls) -> K) -> Fault {
        let calls = ToolCalls {
            interface: self.interface,
            tools: self.tool,
            methods: self.method,
            paths: self.request_path,
        };
        let chance: Chance = self.chance.chance();
        self.traffic.fault(kind(calls), chance)
    }
}

impl ToolCalls {
    /// Refuses what a fault of this name cannot mean.
    pub(super) fn check(&self, fault: &'static str, answers: Answers) -> Result<(), CheckError> {
        let wrong = match self.interface {
            Interface::Json if self.paths.is_empty() => ToolCallError::EveryRequest(fault),
            Interface::Json if !self.methods.is_empty() => ToolCallError::NoMethods(fault),
            Interface::Mcp if answers == Answers::Results && !self.methods.is_empty() => {
                ToolCallError::NoResult(fault)
            }
            Interface::Mcp | Interface::Json => return Ok(()),
        };
        Err(wrong.into())
    }

    /// Says them, by the names of the flags.
    pub(super) fn describe(&self, filters: &mut Settings) {
        let interface = (self.interface != Interface::default()).then_some(self.interface);
        filters.some("interface", interface.map(name));
        filters.list("tool", &self.tools);
        filters.list("method", &self.methods);
        filters.list("request-path", &self.paths);
    }

    /// None of it is a number.
    pub(super) fn numbers(&self) -> Vec<Decided<'static>> {
        let Self {
            interface: _,
            tools: _,
            methods: _,
            paths: _,
        } = self;
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::grammar::FaultInFile;

    fn refused(line: &str) -> String {
        match FaultInFile::try_parse_from(line.split_whitespace()) {
            Ok(fault) => fault.split().0.check().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_remedy() {
        for (line, remedy) in [
            ("tool error --interface json", "under `request-path`"),
            (
                "tool error --interface json --request-path /t --method a",
                "leave `method` out",
            ),
            (
                "tool inject --text x --method prompts/get",
                "leave `method` out",
            ),
            (
                "tool is-error --interface json --request-path /t",
                "use `tool.error`",
            ),
            ("tool error --status 500", "leave it out"),
            (
                "tool error --interface json --request-path /t --code -1",
                "leave it out",
            ),
            ("tool slow --latency 0s", "latency"),
            ("tool error --interface stdio", "use `pipe` faults"),
        ] {
            let said = refused(line);
            assert!(said.contains(remedy), "{line}: {said}");
        }
    }
}
