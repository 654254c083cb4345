//! What the file of an experiment allows itself.

use super::*;

/// What the file itself allows is lifted by nothing, and counts for processes that join later, too.
#[test]
fn an_experiment_is_held_to_its_own_blast_radius() {
    let one = std::num::NonZeroU32::MIN;
    let own = |processes, share: Option<&str>, hits| BlastRadius {
        processes,
        share: share.map(|share| share.parse().unwrap()),
        hits,
    };
    for (own, part) in [
        (
            own(Some(one), None, None),
            Some("the targets have 2 processes"),
        ),
        (own(Some(one.saturating_add(1)), None, None), None),
        (own(None, Some("49%"), None), Some("allows 49%")),
        (own(None, Some("50%"), None), None),
        (own(None, None, Some(4)), Some("net.loss may hit 5 times")),
        (own(None, None, Some(5)), None),
    ] {
        let asked = Asked {
            own: Some(own),
            overrides: EVERY_OVERRIDE.map(|make| make()).into(),
            ..usual("")
        };
        let refusal = asked.decide().refusal();
        assert_eq!(refusal.is_some(), part.is_some(), "{own:?}: {refusal:?}");
        let said = refusal.map(|refusal| refusal.message).unwrap_or_default();
        assert!(said.contains(part.unwrap_or_default()), "{own:?}: {said}");
        let joined = asked.ask(once_more).refusal();
        let of_hits = own.hits.is_some();
        assert_eq!(joined.is_some(), part.is_some() && !of_hits, "{own:?}");
    }
    let few = Experiment {
        blast_radius: Some(Box::new(own(None, None, Some(7)))),
        ..file::parse(
            "targets: { a: { pid: 7 } }\nduration: 1s\nfaults: [net.blackhole]\n",
            "x.yaml",
            None,
        )
        .unwrap()
    };
    let bounded = bound(few, &Config::default());
    assert_eq!(bounded.steps[0].faults[0].chance.max_hits, Some(7));
}
