//! What doctor prints for people.

use super::{
    Depth,
    verdict::{Verdict, Works, capability, verdicts},
};
use injector_engine::page::{Line, Page, Rank, Role};
use injector_host::kernel::capability::{Capability, Missing};
use injector_spec::quantity::count;

/// Rows of a terminal of 40, without the command and the next prompt.
const SCREEN: usize = 38;

/// Why something is missing. What one remedy mends is one cause, whatever else the probes have met.
struct Cause<'s> {
    /// What the first probe met.
    why: &'s str,
    /// What others met.
    other_whys: Vec<&'s str>,
    remedy: &'s str,
    /// What does not work, or not in whole.
    keeps: Vec<String>,
}

/// Verdicts, causes, and as much of the rest as is asked for.
pub(super) fn page(survey: &[Capability], depth: Depth) -> Page {
    let verdicts = verdicts(survey);
    let mut page: Page = families(&verdicts).into_iter().collect();
    let causes = causes(survey, &verdicts);
    for cause in &causes {
        page.push(Line::new().ranked(Rank::Useful));
        for line in cause.lines() {
            page.push(line.ranked(Rank::Useful));
        }
    }
    let there = survey
        .iter()
        .filter(|capability| capability.missing.is_none())
        .count();
    page.push(Line::new());
    match depth {
        Depth::Verdicts => {
            let tried = count(survey.len(), "mechanism was", "mechanisms were");
            page.push(Line::all(
                Role::Dim,
                format!("{tried} tried, {there} work: `injector doctor --all` names each"),
            ));
        }
        Depth::Everything => {
            for line in mechanisms(survey) {
                page.push(line);
            }
        }
    }
    match depth {
        Depth::Verdicts => page.at_most(
            SCREEN,
            Line::all(Role::Dim, "more is missing than a screen has room for"),
        ),
        Depth::Everything => page,
    }
}

impl<'s> Cause<'s> {
    fn lines(&self) -> Vec<Line> {
        let others = match self.other_whys.len() {
            0 => String::new(),
            others => format!(
                " (and {})",
                count(others, "other like it", "others like it")
            ),
        };
        vec![
            Line::all(Role::Bad, "missing")
                .and(Role::Plain, format!(" for {}", self.keeps.join(", "))),
            Line::plain(format!("  why     {}{others}", in_short(self.why))),
            Line::plain(format!("  remedy  {}", self.remedy)),
        ]
    }

    /// Adds what keeps this from working to the causes.
    fn add(causes: &mut Vec<Self>, Missing { why, remedy }: &'s Missing, kept: &str) {
        let known = causes.iter().position(|cause| cause.remedy == remedy);
        let at = known.unwrap_or_else(|| {
            causes.push(Self {
                why,
                other_whys: Vec::new(),
                remedy,
                keeps: Vec::new(),
            });
            causes.len() - 1
        });
        if let Some(cause) = causes.get_mut(at) {
            if cause.why != why && !cause.other_whys.contains(&why.as_str()) {
                cause.other_whys.push(why);
            }
            if !cause.keeps.iter().any(|known| known == kept) {
                cause.keeps.push(kept.to_owned());
            }
        }
    }
}

/// A line for each family.
fn families(verdicts: &[Verdict]) -> Vec<Line> {
    let mut lines = Vec::new();
    for of_family in verdicts.chunk_by(|one, other| one.family == other.family) {
        let named = |works: Works| {
            let those = of_family.iter().filter(|verdict| verdict.works == works);
            those.map(|verdict| verdict.fault).collect::<Vec<_>>()
        };
        let (whole, part, not) = (named(Works::Whole), named(Works::Part), named(Works::Not));
        let (role, word) = if whole.len() == of_family.len() {
            (Role::Good, "works")
        } else if whole.is_empty() && part.is_empty() {
            (Role::Bad, "missing")
        } else {
            (Role::Doubtful, "in part")
        };
        // Where the one word says it of all, the names need none.
        let before_not = if not.len() == of_family.len() {
            ""
        } else {
            "not: "
        };
        let parts = [("", whole), ("in part: ", part), (before_not, not)];
        let parts: Vec<_> = parts
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(before, names)| format!("{before}{}", names.join(", ")))
            .collect();
        let family = of_family.first().map_or("", |verdict| verdict.family);
        lines.push(
            Line::all(Role::Strong, format!("{family:6}  "))
                .and(role, format!("{word:8}  "))
                .and(Role::Plain, parts.join("; ")),
        );
    }
    lines
}

/// What a probe met, without the verifier's log, which `injector doctor --all` has.
fn in_short(why: &str) -> &str {
    why.split_once(". Verifier output:")
        .map_or(why, |(short, _)| short)
}

/// Each cause once, with the commands that it keeps from working.
fn causes<'s>(survey: &'s [Capability], verdicts: &[Verdict]) -> Vec<Cause<'s>> {
    let mut causes = Vec::new();
    for verdict in verdicts {
        let command = format!("{} {}", verdict.family, verdict.fault);
        for need in &verdict.lacks {
            let missing = capability(survey, *need).and_then(|found| found.missing.as_ref());
            if let Some(missing) = missing {
                Cause::add(&mut causes, missing, &command);
            }
        }
    }
    for cause in &mut causes {
        if cause.keeps.len() == verdicts.len() {
            cause.keeps = vec!["every command".to_owned()];
        }
    }
    causes
}

/// A line for each mechanism, and under it why it is missing.
fn mechanisms(survey: &[Capability]) -> Vec<Line> {
    let width = survey.iter().map(|capability| capability.name.len()).max();
    let width = width.unwrap_or(0);
    let mut lines = Vec::new();
    for Capability {
        name,
        serves,
        missing,
    } in survey
    {
        let (role, state) = match missing {
            None => (Role::Good, "available"),
            Some(_) => (Role::Bad, "missing"),
        };
        lines.push(
            Line::plain(format!("{name:width$}  "))
                .and(role, format!("{state:9}"))
                .and(Role::Plain, format!("  {serves}")),
        );
        if let Some(Missing { why, remedy }) = missing {
            lines.push(Line::plain(format!("  why     {why}")));
            lines.push(Line::plain(format!("  remedy  {remedy}")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_engine::page::Look;
    use injector_plan::Need;

    fn survey(lacks: &[(Need, &str)]) -> Vec<Capability> {
        let found = |need: Need| Capability {
            name: need.name().into(),
            serves: need.serves().into(),
            missing: lacks
                .iter()
                .find(|(other, _)| *other == need)
                .map(|(_, why)| Missing {
                    why: (*why).into(),
                    remedy: need.remedy().into(),
                }),
        };
        Need::ALL.into_iter().map(found).collect()
    }

    fn text(survey: &[Capability], depth: Depth, look: Look) -> String {
        page(survey, depth).rows(look).join("\n")
    }

    #[test]
    fn verdicts_come_first_and_each_cause_once() {
        let survey = survey(&[
            (Need::Tap, "no device"),
            (Need::Lsm, "not among the modules"),
        ]);
        let expected = "\
net     in part   loss, duplicate, blackhole, partition, reset, connect; in part: corrupt; not: delay, reorder, bandwidth
dns     missing   error, delay
llm     works     rate-limit, error, overload, timeout, slow, stall, cut, malformed, empty, wrong-model
tool    works     error, is-error, timeout, slow, empty, corrupt, schema-mismatch, stale, inject
proc    works     kill, pause, starve
plugin  works     kill, hang, pipe-held-death, crash-loop, slow-start, torn-line
sys     works     error, delay
io      works     error, latency, corrupt, short
pipe    works     error, delay, stall, corrupt

missing for net delay, net corrupt, net reorder, net bandwidth, dns error, dns delay
  why     no device
  remedy  load the module with `modprobe tun`, and pass /dev/net/tun into the container if there is one

23 mechanisms were tried, 21 work: `injector doctor --all` names each";
        assert_eq!(text(&survey, Depth::Verdicts, Look::Pipe), expected);
        let all = text(&survey, Depth::Everything, Look::Pipe);
        assert!(
            all.contains("system calls\n  why     not among the modules\n  remedy  add `bpf`"),
            "{all}"
        );
        assert!(
            all.contains("tap                missing    net delay"),
            "{all}"
        );
    }

    #[test]
    fn it_fits_one_screen_whatever_is_missing() {
        let whys: Vec<String> = (0..Need::ALL.len())
            .map(|number| format!("cause {number}"))
            .collect();
        let none: Vec<_> = Need::ALL
            .into_iter()
            .map(|need| (need, "no privileges"))
            .collect();
        let few: Vec<_> = Need::ALL
            .into_iter()
            .zip(whys.iter().map(String::as_str))
            .collect();
        for lacks in [none, few] {
            let text = text(&survey(&lacks), Depth::Verdicts, Look::Bare(100));
            assert!(text.lines().count() <= 40, "{text}");
            assert!(
                text.lines().all(|line| line.chars().count() <= 100),
                "{text}"
            );
        }
    }
}
