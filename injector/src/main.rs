//! The `injector` command: words in, an exit code out.

use std::{env, ffi::OsString};

use injector::{
    cli::{self, Action, tell},
    error::{Exit, Refusal},
    supervisor,
    worker::{self, Job, Output},
};

fn main() -> Exit {
    let words: Vec<OsString> = env::args_os().collect();
    // Asked before the words are understood: a program wants to read usage errors, too.
    let output = if words.iter().any(|word| word == "--json") {
        Output::Json
    } else {
        Output::Text
    };
    let done = cli::parse(words).and_then(carry_out);
    done.unwrap_or_else(|refusal| {
        tell::refusal(&refusal, output);
        refusal.exit
    })
}

fn carry_out(action: Action) -> Result<Exit, Refusal> {
    match action {
        Action::Arm(arming) => cli::arm(arming),
        Action::Daemon(output) => supervisor::run(&Job::Daemon { output }),
        Action::Ask(question, output) => cli::ask(question, output),
        Action::Doctor(output) => Ok(cli::doctor(output)),
        Action::Worker(link) => worker::run(link),
        Action::Print(text) => {
            tell::result(text);
            Ok(Exit::Done)
        }
    }
}
