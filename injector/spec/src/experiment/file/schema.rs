//! The JSON Schema (draft 2020-12) of an experiment file, which editors complete and check files by.
//!
//! It is made from what reads the file: faults and targets from the definitions of the command line, everything else
//! from the lists of keys that the reader knows. A key that is missing from either is a failing test.
//!
//! It says what keys there are, which of them have to be there, and what kind of value each takes. What a text means,
//! as in a duration or a regular expression, is told when the file is read.

mod measures;
mod signs;
mod stages;

use clap::{Arg, ArgAction, Command, CommandFactory, ValueEnum, error::ErrorKind};
use serde_json::{Map, Value, json};

use super::{EXPERIMENT, PROFILE, head::API_VERSION, operations, probe, rollback, steps, words};
use crate::{
    config::Channel,
    experiment::{
        Flaw, MOST_CONDITIONS, OperationKind, Parameter, ProbeMode, SCOPES, Shape, head,
        rollback::MOST_COMMANDS,
    },
    grammar::{FaultInFile, ProcessInProbe, TargetInFile},
};

/// The schema.
pub fn schema() -> Value {
    let mut experiment = map(&EXPERIMENT, &[]);
    experiment["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    experiment["title"] = format!("An experiment of injector ({API_VERSION})").into();
    experiment["oneOf"] = json!([
        { "required": ["steps"], "not": { "anyOf": [
            { "required": ["duration"] }, { "required": ["faults"] },
        ] } },
        { "required": ["duration", "faults"], "not": { "required": ["steps"] } },
    ]);
    experiment["$defs"] = json!({
        "scalar": {
            "description": "One value: a text, a number, or `${name}` of a variable.",
            "type": ["string", "number", "boolean"],
        },
        "variable": {
            "description": "`${name}` of a variable.",
            "type": "string",
            "pattern": r"\$\{[^}]*\}",
        },
        "fault": faults(),
        "ramp": ramp(),
        "target": fields_of(&built(TargetInFile::command()), &[]),
        "process": fields_of(&built(ProcessInProbe::command()), &[]),
        "step": { "anyOf": [
            map(&steps::STEP, &["duration"]),
            map(&steps::PAUSE, &["pause"]),
            map(&steps::gate::STEP, &["gate"]),
            map(&steps::run::STEP, &["run"]),
            map(&steps::REPEAT, &["repeat", "steps"]),
            map(&steps::PARALLEL, &steps::PARALLEL),
        ] },
        "probe": probes(),
    });
    experiment
}

/// A map that has these keys and no others.
fn map(keys: &[&str], required: &[&str]) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| ((*key).to_owned(), key_of_file(key)))
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn described(mut schema: Value, what: &str) -> Value {
    schema["description"] = what.into();
    schema
}

fn scalar(what: &str) -> Value {
    json!({ "$ref": "#/$defs/scalar", "description": what })
}

/// One of these words, or a variable that stands for one.
fn one_of(words: &[impl AsRef<str>]) -> Value {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    json!({ "anyOf": [{ "enum": words }, { "$ref": "#/$defs/variable" }] })
}

fn list_of(items: &Value) -> Value {
    json!({ "type": "array", "minItems": 1, "items": items })
}

/// What a key takes that is neither a fault's nor a target's.
fn key_of_file(key: &str) -> Value {
    match key {
        "apiVersion" => {
            json!({ "const": API_VERSION, "description": "The version of this format." })
        }
        "name" => scalar("What lists, reports and journals call it."),
        "hypothesis" => scalar("What is expected to hold, in a person's words."),
        "owner" => scalar("Whom to ask about it."),
        "labels" => json!({
            "description": "What it is found by.",
            "type": "object",
            "maxProperties": head::MOST_LABELS,
            "additionalProperties": { "$ref": "#/$defs/scalar" },
        }),
        "variables" => described(
            values(&json!({ "anyOf": [{ "$ref": "#/$defs/scalar" }, { "type": "null" }] })),
            "Values for `${name}`, which `--set` and profiles replace; one that is empty has to be set.",
        ),
        "profiles" => json!({
            "description": "Values that `--profile` takes, by the profile's name.",
            "type": "object",
            "additionalProperties": map(&PROFILE, &PROFILE),
        }),
        "set" => described(
            values(&json!({ "$ref": "#/$defs/scalar" })),
            "Values of variables.",
        ),
        "probes" => json!({
            "description": "What is asked while the run is on, by name.",
            "type": "object",
            "additionalProperties": { "$ref": "#/$defs/probe" },
        }),
        "operations" => streams(),
        "steady-state" => described(
            list_of(&measured()),
            "Probes and operations that are about the target.",
        ),
        "controls" => described(
            list_of(&measured()),
            "Probes and operations that are about bystanders, which no fault may reach.",
        ),
        "baseline" => scalar("How long it is quiet in front of the first fault."),
        "recovery" => scalar("How long it is quiet behind the last fault."),
        "targets" => json!({
            "description": "Who is put through it, by name; one that the command line names may be empty.",
            "type": "object",
            "minProperties": 1,
            "maxProperties": SCOPES,
            "additionalProperties": { "anyOf": [{ "$ref": "#/$defs/target" }, { "type": "null" }] },
        }),
        "steps" => described(
            list_of(&json!({ "$ref": "#/$defs/step" })),
            "What happens, one after the other.",
        ),
        "duration" => scalar("How long the faults stay on, as in `30s`."),
        "faults" => described(
            list_of(&json!({ "$ref": "#/$defs/fault" })),
            "Faults that are on together; a step without them is a quiet time.",
        ),
        "halt" => json!({
            "description": "What ends the run before its time, as in `host.load > 8`.",
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_CONDITIONS,
            "items": { "type": "string" },
        }),
        "on-target-exit" => described(
            one_of(&["end", "wait"]),
            "What the run does when a target has ended.",
        ),
        "notify" => described(
            list_of(&one_of(&Channel::ALL.map(Channel::name))),
            "Which notifiers of the host's configuration hear of a breach; all where nothing is said.",
        ),
        "fail-on" => described(
            list_of(&one_of(&Flaw::ALL.map(Flaw::name))),
            "What a target may not do about faults on its requests and plug-ins; where it does, the run fails.",
        ),
        "rollback" => json!({
            "description": "What is run, one after the other, where the run was halted, broke or was unsafe; root's to name.",
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_COMMANDS,
            "items": { "anyOf": [
                list_of(&json!({ "$ref": "#/$defs/scalar" })),
                map(&rollback::COMMAND, &rollback::COMMAND[..1]),
            ] },
        }),
        other => signs::key(other),
    }
}

/// Streams of operations by name.
fn streams() -> Value {
    let mut stream = map(&operations::OPERATIONS, &[]);
    stream["type"] = json!(["object", "null"]);
    json!({
        "description": "What of a target's TCP connections is watched while the run is on, by name.",
        "type": "object",
        "additionalProperties": stream,
    })
}

/// What `steady-state` and `controls` list: a name, or operations with the share of them that has to be good.
fn measured() -> Value {
    let mut share = map(&["ratio"], &["operations"]);
    share["properties"]["operations"] = scalar("Operations, by their name.");
    let mut asked = map(&[], &["probe"]);
    asked["properties"]["probe"] = scalar("A probe, by its name.");
    asked["properties"]["mode"] = described(
        one_of(&ProbeMode::ALL.map(ProbeMode::name)),
        "When it is asked; as long as the run measures where nothing is said.",
    );
    json!({ "anyOf": [{ "$ref": "#/$defs/scalar" }, share, asked] })
}

/// What a key of a stream of operations takes.
fn key_of_operations(key: &str) -> Value {
    match key {
        "of" => scalar("The target's name; the only one where nothing is said."),
        "kind" => described(
            one_of(&OperationKind::ALL.map(OperationKind::name)),
            "What counts as one: a request with its answer, which is where nothing is said, or a connect.",
        ),
        "connect-to" => {
            let one = json!({ "$ref": "#/$defs/scalar" });
            let one_or_more = json!({ "anyOf": [one, list_of(&one)] });
            described(
                one_or_more,
                "Far ends that count, a host and a port each; all where nothing is said.",
            )
        }
        "good" => described(map(&operations::GOOD, &[]), "What a good one is."),
        "ratio" => scalar("The share that has to be good, as in `>= 99%`."),
        other => key_of_probe(other),
    }
}

/// What a key takes that only blocks, pulses, gates and commands have.
fn key_of_step(key: &str) -> Value {
    match key {
        "repeat" => scalar("How often the steps of this block are run, one round after the other."),
        "parallel" => described(
            json!({ "type": "array", "minItems": 2, "items": list_of(&json!({ "$ref": "#/$defs/step" })) }),
            "Branches, each a list of steps, that begin together.",
        ),
        "pause" => {
            scalar("How long it is quiet: a step of its own, or between two rounds of a block.")
        }
        "gate" => {
            let mut gate = map(&steps::gate::GATE, &["timeout"]);
            gate["oneOf"] = json!([{ "required": ["until"] }, { "required": ["approve"] }]);
            described(gate, "What the run waits for in this step.")
        }
        "run" => described(
            map(&steps::run::RUN, &steps::run::RUN),
            "A command, and how long it has: the run goes on when it has ended with 0; root's to name.",
        ),
        "until" => json!({
            "$ref": "#/$defs/probe",
            "description": "A probe, by its name or as under `probes`; its first right answer opens the gate.",
        }),
        "approve" => {
            let values = json!({ "enum": [true, "true"] });
            let values = json!({ "anyOf": [values, { "$ref": "#/$defs/variable" }] });
            described(values, "A person opens the gate, by `injector approve`.")
        }
        "pulse" => described(
            map(&steps::PULSE, &steps::PULSE),
            "How long the faults of the step are on and off in turns; they are on first.",
        ),
        "on" => scalar("How long the faults are on, as in `5s`."),
        "off" => scalar("How long they are off then."),
        other => key_of_operations(other),
    }
}

/// What a key of a probe takes.
fn key_of_probe(key: &str) -> Value {
    match key {
        "http" => {
            scalar("An address that is got, as in `http://127.0.0.1:8080/health`, or by `https:`.")
        }
        "ca" => scalar(
            "A file with the certificates of who may have signed that of an `https:` server, by its whole path; root's to \
             name. Those that the host trusts where nothing is said.",
        ),
        "status" => scalar("The status of the answer; 200 where nothing is said."),
        "body" => scalar("A regular expression that matches in the body."),
        "json" => scalar("What holds for a body of JSON, as in `$.queue < 10`."),
        "tcp" => scalar("A host and a port to which a connection can be made."),
        "command" => described(
            list_of(&json!({ "$ref": "#/$defs/scalar" })),
            "A program by its whole path, and its arguments; root's to name.",
        ),
        "number" => scalar("What the number is that the program prints, as in `< 5`."),
        "file" => scalar("A file that lines are appended to, by its whole path; root's to name."),
        "journald" => {
            scalar("A unit of systemd, whose lines in the journal are read; root's to name.")
        }
        "absent" => scalar("A regular expression; a line that matches it is bad."),
        "present" => scalar("A regular expression; a line that matches it is good."),
        "process" => json!({ "$ref": "#/$defs/process", "description": "Which processes." }),
        "alive" => {
            let values = json!({ "enum": [true, "true"] });
            let values = json!({ "anyOf": [values, { "$ref": "#/$defs/variable" }] });
            described(
                values,
                "At least one process is there, which is asked anyway.",
            )
        }
        "restarts" => scalar("How often one came back after an end, as in `< 2`."),
        "descriptors" => scalar("How many descriptors each has open, as in `< 200`."),
        "rss" => scalar("How much memory each has resident, as in `< 1 GiB`."),
        "prometheus" => scalar("A server of Prometheus, as in `http://127.0.0.1:9090`."),
        "query" => scalar("What it is asked, in its own language."),
        "is" => scalar("What each value of the answer is, as in `< 5`."),
        "fails" => {
            scalar("How many failures are one too many, as in `2 of 3`; 1 where nothing is said.")
        }
        "every" => scalar("From one question to the next."),
        "within" => scalar("The longest that a right answer, a command or a person takes."),
        "timeout" => scalar("The longest that an answer, a gate or a command is waited for."),
        other => measures::key(other),
    }
}

/// Variables with their values.
fn values(value: &Value) -> Value {
    json!({
        "type": "object",
        "maxProperties": head::MOST_VARIABLES,
        "additionalProperties": value,
    })
}

fn probes() -> Value {
    let kinds = probe::KINDS.iter().map(|kind| {
        let keys = [*kind, &probe::OF_ALL[..]].concat();
        let required: &[&str] = match kind[0] {
            "prometheus" => &["prometheus", "query", "is"],
            _ => &kind[..1],
        };
        let mut schema = map(&keys, required);
        if kind.contains(&"absent") {
            schema["oneOf"] = json!([{ "required": ["absent"] }, { "required": ["present"] }]);
        }
        schema
    });
    let line = json!({ "type": "string", "description": "A line, as in `tcp 127.0.0.1:80 fails 2 of 3`." });
    let forms: Vec<Value> = [line].into_iter().chain(kinds).collect();
    json!({ "anyOf": forms })
}

fn built(mut command: Command) -> Command {
    command.build();
    command
}

/// `net.delay: {...}`, or `net.blackhole` where it needs no parameters.
fn faults() -> Value {
    let mut root = FaultInFile::command();
    root.build();
    let mut faults = Map::new();
    let mut bare = Vec::new();
    for name in words::leaves(&root, "") {
        let path: Vec<&str> = name.split('.').collect();
        let Some(command) = words::at_path(&root, &path) else {
            continue;
        };
        let missing = missing(&root, &path);
        let mut schema = fields_of(command, &missing);
        let_ramp(&mut schema);
        if missing.is_empty() {
            bare.push(name.clone());
            schema["type"] = json!(["object", "null"]);
        }
        if let Some(about) = command.get_about() {
            schema["description"] = about.to_string().into();
        }
        faults.insert(name, schema);
    }
    json!({ "anyOf": [
        one_of(&bare),
        {
            "type": "object",
            "properties": faults,
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": false,
        },
    ] })
}

/// Lets a map stand for the value of a parameter that can ramp. Whether it can in this fault is told when the file is
/// read.
fn let_ramp(fault: &mut Value) {
    for parameter in Parameter::ALL {
        if let Some(value) = fault["properties"].get_mut(parameter.name()) {
            let whole = value.take();
            let description = whole["description"].clone();
            *value = json!({
                "anyOf": [whole, { "$ref": "#/$defs/ramp" }],
                "description": description,
            });
        }
    }
}

fn ramp() -> Value {
    let shapes = Shape::value_variants().iter();
    let shapes: Vec<String> = shapes
        .filter_map(|shape| Some(shape.to_possible_value()?.get_name().to_owned()))
        .collect();
    json!({
        "description": "A value that moves while the fault is on, as in `{from: 10ms, to: 2s, over: 2m}`.",
        "type": "object",
        "properties": {
            "from": scalar("What it is when the step begins."),
            "to": scalar("What it is when the ramp ends, and from then on."),
            "over": scalar("How long it moves."),
            "shape": described(one_of(&shapes), "How it moves; `linear` where nothing is said."),
        },
        "required": ["from", "to", "over"],
        "additionalProperties": false,
    })
}

/// The parameters that a fault does not do without, as its own definition says.
fn missing(root: &Command, path: &[&str]) -> Vec<String> {
    match root.clone().try_get_matches_from(path) {
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
            words::flags_in(&error, clap::error::ContextKind::InvalidArg)
        }
        Ok(_) | Err(_) => Vec::new(),
    }
}

/// A map of the flags of a command.
fn fields_of(command: &Command, missing: &[String]) -> Value {
    let properties: Map<String, Value> = words::flags(command)
        .filter_map(|flag| Some((flag.get_long()?.to_owned(), flag_value(flag))))
        .collect();
    let needs: Vec<Value> = missing.iter().map(|name| need(command, name)).collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !needs.is_empty() {
        schema["allOf"] = needs.into();
    }
    schema
}

/// That a parameter is there, or one that stands in for it: one that contradicts it.
fn need(command: &Command, name: &str) -> Value {
    let flag = words::flags(command).find(|flag| flag.get_long() == Some(name));
    let flag = flag.filter(|flag| !flag.is_required_set());
    let others = flag.into_iter().flat_map(|flag| {
        // clap tells of a contradiction where it is written down, at one of the two.
        let contradict = move |one: &Arg, other: &Arg| {
            let others = command.get_arg_conflicts_with(one);
            others.iter().any(|it| it.get_id() == other.get_id())
        };
        words::flags(command)
            .filter(move |other| contradict(flag, other) || contradict(other, flag))
            .filter_map(Arg::get_long)
    });
    let required = |name: &str| json!({ "required": [name] });
    let any: Vec<Value> = [name].into_iter().chain(others).map(required).collect();
    match &any[..] {
        [one] => one.clone(),
        _ => json!({ "anyOf": any }),
    }
}

/// What a flag takes.
fn flag_value(flag: &Arg) -> Value {
    let known: Vec<String> = flag
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| value.get_name().to_owned())
        .collect();
    let one = if matches!(flag.get_action(), ArgAction::SetTrue) {
        json!({ "anyOf": [{ "type": "boolean" }, { "$ref": "#/$defs/variable" }] })
    } else if known.is_empty() {
        json!({ "$ref": "#/$defs/scalar" })
    } else {
        one_of(&known)
    };
    let value = if matches!(flag.get_action(), ArgAction::Append) {
        json!({ "anyOf": [one, list_of(&one)] })
    } else {
        one
    };
    match flag.get_help() {
        Some(help) => described(value, &help.to_string()),
        None => value,
    }
}
