//! `injector doctor`.

use super::tell;
use crate::{
    error::Exit,
    kernel::capability::{self, Capability},
    worker::Output,
};

/// Probes this machine and prints what it offers. What is missing is no failure: that is the answer.
pub fn doctor(output: Output) -> Exit {
    let survey = capability::survey();
    match output {
        Output::Json => tell::json(&survey),
        Output::Text => tell::result(text(&survey)),
    }
    Exit::Done
}

fn text(survey: &[Capability]) -> String {
    let width = survey
        .iter()
        .map(|capability| capability.name.len())
        .max()
        .unwrap_or(0);
    let line = |Capability {
                    name,
                    serves,
                    missing,
                }: &Capability| match missing {
        None => format!("{name:width$}  available  {serves}"),
        Some(missing) => format!(
            "{name:width$}  missing    {serves}\n{:width$}             why: {}\n{:width$}             remedy: {}",
            "", missing.why, "", missing.remedy
        ),
    };
    survey.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::capability::Missing;

    #[test]
    fn what_is_missing_says_why_and_what_helps() {
        let capability = |name: &str, missing| Capability {
            name: name.into(),
            serves: "everything".into(),
            missing,
        };
        let missing = Missing {
            why: "no device".into(),
            remedy: "load tun".into(),
        };
        let survey = [capability("tap", Some(missing)), capability("cgroup", None)];
        let expected = "\
tap     missing    everything
                   why: no device
                   remedy: load tun
cgroup  available  everything";
        assert_eq!(text(&survey), expected);
    }
}
