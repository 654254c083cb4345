//! `tool.error`: the protocol answers with an error: the call was not carried out.

use std::{fmt, str::FromStr};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    Numbers, OnRequests, OnTools,
    request_fault::RequestFault,
    tool_calls::{Answers, CallFlags, ToolCalls},
};
use crate::{
    experiment::{
        CheckError, Fault, Interface, Settings, ToolCallError,
        decided::{Decided, Why, stays},
    },
    grammar::{Request, values},
    quantity::HttpStatus,
};

/// The protocol answers with an error: the call was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolError {
    /// Of which calls.
    #[serde(default)]
    pub calls: ToolCalls,
    /// Its code in JSON-RPC; where none is said, -32603.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<RpcCode>,
    /// Its status, of a tool that is called as plain JSON; where none is said, 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<HttpStatus>,
    /// What it says; where nothing is said, what the code means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The code of an error in JSON-RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RpcCode(i32);

/// Why a text is no such code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the code of an error; write a whole number, as in `-32601`")]
pub struct RpcCodeError(String);

impl RpcCode {
    /// The number.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// What it means, in the words of JSON-RPC 2.0 ("Error object").
    pub const fn meaning(self) -> &'static str {
        match self.0 {
            -32700 => "Parse error",
            -32600 => "Invalid Request",
            -32601 => "Method not found",
            -32602 => "Invalid params",
            -32603 => "Internal error",
            _ => "Server error",
        }
    }
}

impl Default for RpcCode {
    /// What a server says that knows nothing better.
    fn default() -> Self {
        Self(-32603)
    }
}

impl FromStr for RpcCode {
    type Err = RpcCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |_| RpcCodeError(crate::printable::line(text).into_owned());
        text.trim().parse().map(Self).map_err(wrong)
    }
}

impl fmt::Display for RpcCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[derive(Args, Debug)]
pub struct Flags {
    /// The code of the error, as in `-32601` (method not found) or `-32603` (internal error, where nothing is said)
    #[arg(long, value_name = "CODE", allow_negative_numbers = true)]
    code: Option<RpcCode>,
    /// With `--interface json`: the answer's status, from 400 to 599; 500 where nothing is said
    #[arg(long, value_name = "STATUS")]
    status: Option<HttpStatus>,
    /// What the error says; without it the words of JSON-RPC for its code
    #[arg(long, value_name = "TEXT", value_parser = values::answer_text)]
    message: Option<String>,
    #[command(flatten)]
    calls: CallFlags,
}

impl Request for Flags {
    fn fault(self) -> Fault {
        let Self {
            code,
            status,
            message,
            calls,
        } = self;
        calls.fault(|calls| ToolError {
            calls,
            code,
            status,
            message,
        })
    }
}

impl RequestFault for ToolError {
    fn on_requests(&self) -> OnRequests<'_> {
        OnRequests::Tools(OnTools::Error(self))
    }

    fn check(&self) -> Result<(), CheckError> {
        let other = match self.calls.interface {
            Interface::Mcp => self.status.map(|_| "status"),
            Interface::Json => self.code.map(|_| "code"),
        };
        if let Some(other) = other {
            return Err(ToolCallError::OtherInterface("tool.error", other).into());
        }
        self.calls.check("tool.error", Answers::Any)
    }

    fn describe(&self, parameters: &mut Settings) {
        parameters.some("code", self.code);
        parameters.some("status", self.status);
        parameters.some("message", self.message.as_ref());
    }

    fn details(&self) -> Vec<String> {
        vec!["the call does not reach the tool".into()]
    }
}

impl Numbers for ToolError {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            calls,
            code: _,
            status: _,
            message: _,
        } = self;
        let mut decided = calls.numbers();
        decided.extend(stays(&["code", "status"], Why::Told));
        decided
    }
}
