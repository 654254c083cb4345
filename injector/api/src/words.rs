//! Refusals in the words of who asks.
//!
//! A refusal is worded where its reason is found, and its remedy names what a person would type: a flag, a
//! command. Our own command passes it on as it is. Any other client has sent fields and paths, so flags
//! become the fields of a request, and commands the requests that do the same.
//!
//! Rejected: two sentences for each refusal. A person who adds a refusal would write one of them.

use axum::{body::Body, extract::Request, middleware::Next, response::Response};

use super::VERSION_HEADER;
use injector_spec::error::Refusal;

/// Flags whose field has another name than theirs with underscores.
const FIELDS: [(&str, &str); 30] = [
    ("all", "`many`: \"all\""),
    ("allow-fault", "`overrides`: {\"fault\"}"),
    ("allow-high-rate", "`overrides`: \"high-rate\""),
    ("allow-large-share", "`overrides`: \"large-share\""),
    ("allow-long", "`overrides`: \"long\""),
    ("allow-many-bytes", "`overrides`: \"many-bytes\""),
    (
        "allow-many-experiments",
        "`overrides`: \"many-experiments\"",
    ),
    ("allow-many-hits", "`overrides`: \"many-hits\""),
    ("allow-many-processes", "`overrides`: \"many-processes\""),
    ("allow-outside-hours", "`overrides`: \"outside-hours\""),
    ("allow-protected", "`overrides`: {\"protected\"}"),
    ("at-call", "`proc.kill-at-call`"),
    ("chain", "`sleeps`: \"chain\""),
    ("connection", "`connections`"),
    ("delay-enter", "`at`: \"enter\""),
    ("delay-exit", "`at`: \"exit\""),
    ("dest-ip", "`dest`"),
    ("dest-port", "`dest_ports`"),
    ("exclude-ip", "`exclude`"),
    ("exclude-port", "`exclude_ports`"),
    ("fd-kind", "`kinds`"),
    ("future", "`presence`: \"future\""),
    ("hostname", "`hostnames`"),
    ("path", "`paths`"),
    ("peer", "`peers`"),
    ("pid", "`pids`"),
    ("source-port", "`source_ports`"),
    ("syscall", "`syscalls`"),
    ("syscall-class", "`syscalls`"),
    ("tree", "`follow`: \"tree\""),
];

/// Commands and the requests that do the same; a run's name may follow.
const COMMANDS: [(&str, &str); 8] = [
    ("`injector list", "`GET /v1/runs"),
    ("`injector status", "`GET /v1/status"),
    ("`injector doctor", "`GET /v1/doctor"),
    ("`injector events --follow", "`GET /v1/events"),
    ("`injector stop --all", "`DELETE /v1/runs"),
    ("`injector stop ", "`DELETE /v1/runs/"),
    ("`injector halt", "`POST /v1/halt"),
    ("`injector resume", "`DELETE /v1/halt"),
];

/// Puts the refusal of a request into the words of its client.
pub(super) async fn of_the_client(request: Request, next: Next) -> Response {
    let is_our_command = request.headers().contains_key(VERSION_HEADER);
    let mut response = next.run(request).await;
    let refusal = response.extensions_mut().remove::<Refusal>();
    if let (false, Some(refusal)) = (is_our_command, refusal) {
        let message = as_requests(&refusal.message);
        // Our own types always serialise.
        let body = serde_json::to_vec(&Refusal { message, ..refusal }).unwrap_or_default();
        *response.body_mut() = Body::from(body);
    }
    response
}

/// A message about flags and commands as one about fields and requests.
fn as_requests(message: &str) -> String {
    let mut said = message.to_owned();
    for (command, request) in COMMANDS {
        said = said.replace(command, request);
    }
    let mut done = String::with_capacity(said.len());
    let mut rest = said.as_str();
    while let Some(at) = rest.find("--") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        let length = after
            .find(|letter: char| !letter.is_ascii_lowercase() && letter != '-')
            .unwrap_or(after.len());
        let (flag, behind) = after.split_at(length);
        let begins = before
            .chars()
            .next_back()
            .is_none_or(|last| last == ' ' || last == '(');
        // `--pid=host` is another program's, and `"--fast"` is a quotation.
        if begins && !flag.is_empty() && !behind.starts_with('=') {
            done.push_str(before);
            done.push_str(&field(flag));
        } else {
            done.push_str(&rest[..at + 2 + length]);
        }
        rest = behind;
    }
    done.push_str(rest);
    done
}

fn field(flag: &str) -> String {
    FIELDS.iter().find(|(known, _)| *known == flag).map_or_else(
        || format!("`{}`", flag.replace('-', "_")),
        |(_, field)| (*field).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_fields_and_commands_requests() {
        for (command, request) in [
            ("add --all", "add `many`: \"all\""),
            (
                "give it a smaller --max-hits.",
                "give it a smaller `max_hits`.",
            ),
            (
                "stop it with `injector stop r00`, or wait",
                "stop it with `DELETE /v1/runs/r00`, or wait",
            ),
            ("`injector list` shows", "`GET /v1/runs` shows"),
            ("(--tree needs it)", "(`follow`: \"tree\" needs it)"),
            (
                "say --allow-fault net.delay",
                "say `overrides`: {\"fault\"} net.delay",
            ),
            // Not ours.
            ("a container: --pid=host)", "a container: --pid=host)"),
            (
                "as in `[\"/bin/check\", \"--fast\"]`",
                "as in `[\"/bin/check\", \"--fast\"]`",
            ),
            ("a -- b --", "a -- b --"),
        ] {
            assert_eq!(as_requests(command), request);
        }
    }
}
