//! Lists whose differences are known, and lists of a few short ids against a count by hand.

use proptest::{prelude::*, sample::subsequence};

use super::*;

const SECOND: u64 = 1_000_000_000;

fn of(acknowledged: &str, kept: &str) -> Loss {
    loss(acknowledged.as_bytes(), kept.as_bytes(), None).unwrap()
}

fn counts(found: &Loss) -> (u64, u64, u64, u64) {
    (found.lost, found.torn, found.double, found.unacknowledged)
}

#[test]
fn each_kind_is_told_from_the_others() {
    let found = of("aa\nbb\ncc\ndd\nee\n", "bb\n\nbb\ncc\nd\nxx\n");
    assert_eq!(counts(&found), (2, 1, 1, 1));
    assert_eq!((found.acknowledged, found.kept), (5, 3));
    assert_eq!(found.lost_ids, ["aa", "ee"]);
    assert_eq!(
        (found.torn_lines, found.double_ids),
        (vec!["d".into()], vec!["bb".into()])
    );
    assert_eq!(counts(&of("", "")), (0, 0, 0, 0));
    // An item that was torn and written again is there.
    assert_eq!(counts(&of("abc\n", "ab\nabc")), (0, 1, 0, 0));
    // Torn inside a character.
    let found = loss("aé\nb\n".as_bytes(), b"b\na\xc3\n", None).unwrap();
    assert_eq!(counts(&found), (0, 1, 0, 0));
    // A service may acknowledge one item twice; it is one.
    assert_eq!(counts(&of("a\na\nb\nb", "a")), (1, 0, 0, 0));
    assert_eq!(of("a\nb\na\nb", "").lost_ids, ["a", "b"]);
    // Ends of lines of another system.
    assert_eq!(counts(&of("a\r\nb\r\n", "a\r\nb\r\n")), (0, 0, 0, 0));
}

#[test]
fn a_line_that_is_no_id_is_torn_or_makes_the_list_unreadable() {
    let long = "x".repeat(LONGEST_ID + 1);
    for line in ["a b c", "a\u{0}", "a \u{7}", &long] {
        let found = of("aa", line);
        assert_eq!(counts(&found), (1, 1, 0, 0), "{line:?}");
        assert!(found.torn_lines[0].chars().count() <= TOLD + 3);
        let error = loss(format!("ok\n{line}\n").as_bytes(), b"", None).unwrap_err();
        assert_eq!(error, LossError::Line { line: 2 }, "{line:?}");
    }
    assert_eq!(loss(b"a\xff", b"", None), Err(LossError::Line { line: 1 }));
    assert_eq!(loss(b"aa", b"a\xff", None).unwrap().torn, 1);
    let many = "a\n".repeat(MOST_ITEMS);
    assert_eq!(of(&many, "a").lost, 0);
    let more = many + "a";
    let more = more.as_bytes();
    assert_eq!(
        loss(more, b"", None),
        Err(LossError::Many(Which::Acknowledged))
    );
    assert_eq!(loss(b"", more, None), Err(LossError::Many(Which::Kept)));
    let blank = vec![b'\n'; MOST_BYTES + 1];
    assert_eq!(loss(b"", &blank, None), Err(LossError::Long(Which::Kept)));
}

#[test]
fn the_age_is_that_of_the_newest_item_before_the_impact_that_is_kept() {
    let age = |acknowledged: &str, kept: &str| {
        let found = loss(acknowledged.as_bytes(), kept.as_bytes(), Some(100 * SECOND));
        found.unwrap().age
    };
    let list = "a 90\nb 95.5\nc 98.25\nd 101\n";
    assert_eq!(age(list, "a\nb\nc\nd"), Age::Known { ms: 1_750 });
    assert_eq!(age(list, "a\nb\nd"), Age::Known { ms: 4_500 });
    assert_eq!(age(list, "d"), Age::AtLeast { ms: 10_000 });
    assert_eq!(age("d 101", "d"), Age::NothingBefore);
    assert_eq!(age("a 90\nb", "a\nb"), Age::Untimed);
    assert_eq!(of(list, "a").age, Age::NoImpact);
    for wrong in [
        "a x",
        "a -1",
        "a 1.",
        "a .5",
        "a 1e9",
        "a 1764466477123000",
        "a 1 2",
    ] {
        let error = loss(wrong.as_bytes(), b"", None);
        assert_eq!(error, Err(LossError::Line { line: 1 }), "{wrong}");
    }
    assert_eq!(
        unix_ns("1764466477.1234567899"),
        Some(1_764_466_477_123_456_789)
    );
}

#[test]
fn json_has_the_counts_and_the_age() {
    let found = loss(b"a 1\nb 2", b"a", Some(3 * SECOND)).unwrap();
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(
        (&json["lost"], &json["age"]["is"]),
        (&1.into(), &"known".into())
    );
    assert_eq!(json["age"]["ms"], 2_000);
    assert_eq!(serde_json::from_value::<Loss>(json).unwrap(), found);
}

/// Numbers of items that are lost, torn and doubled, and where which of them is.
#[derive(Debug)]
struct Known {
    all: usize,
    lost: Vec<usize>,
    torn: Vec<usize>,
    double: Vec<usize>,
    more: usize,
}

fn known() -> impl Strategy<Value = Known> {
    (1usize..60).prop_flat_map(|all| {
        let touched = subsequence((0..all).collect::<Vec<_>>(), 0..=all).prop_shuffle();
        (
            touched,
            any::<(prop::sample::Index, prop::sample::Index)>(),
            0usize..5,
        )
            .prop_map(move |(touched, (one, other), more)| {
                let mut cuts = [one.index(touched.len() + 1), other.index(touched.len() + 1)];
                cuts.sort_unstable();
                Known {
                    all,
                    lost: touched[..cuts[0]].to_vec(),
                    torn: touched[cuts[0]..cuts[1]].to_vec(),
                    double: touched[cuts[1]..].to_vec(),
                    more,
                }
            })
    })
}

/// By the definitions, in as many steps as it takes: ids over two signs, so that many begin others.
fn by_hand(acknowledged: &[String], kept: &[String]) -> (u64, u64, u64, u64) {
    let is_known = |id: &String| acknowledged.contains(id);
    let begins = |part: &str, id: &str| id.len() > part.len() && id.starts_with(part);
    let is_torn = |id: &String| !is_known(id) && acknowledged.iter().any(|whole| begins(id, whole));
    let torn: Vec<&String> = kept.iter().filter(|id| is_torn(id)).collect();
    let mut whole: Vec<&String> = kept.iter().filter(|id| !is_torn(id)).collect();
    whole.sort();
    let mut once = whole.clone();
    once.dedup();
    let double = once
        .iter()
        .filter(|id| whole.iter().filter(|other| **other == **id).count() > 1);
    let mut missing: Vec<&String> = acknowledged
        .iter()
        .filter(|id| !kept.contains(id))
        .collect();
    missing.sort();
    missing.dedup();
    // The most torn lines that can each have an item of its own: by augmenting paths.
    let mut owner = vec![None; missing.len()];
    let accounted = (0..torn.len())
        .filter(|part| {
            let mut tried = vec![false; missing.len()];
            augment(*part, &torn, &missing, &mut owner, &mut tried)
        })
        .count();
    let count = |number: usize| u64::try_from(number).unwrap();
    let never = once.iter().filter(|id| !is_known(id));
    (
        count(missing.len() - accounted),
        count(torn.len()),
        count(double.count()),
        count(never.count()),
    )
}

fn augment(
    part: usize,
    torn: &[&String],
    missing: &[&String],
    owner: &mut Vec<Option<usize>>,
    tried: &mut Vec<bool>,
) -> bool {
    for item in 0..missing.len() {
        let fits = missing[item].len() > torn[part].len()
            && missing[item].starts_with(torn[part].as_str());
        if !fits || std::mem::replace(&mut tried[item], true) {
            continue;
        }
        let is_free = owner[item].is_none_or(|other| augment(other, torn, missing, owner, tried));
        if is_free {
            owner[item] = Some(part);
            return true;
        }
    }
    false
}

proptest! {
    /// What is known to be lost, torn and doubled is what is told, in whatever order the lists are.
    #[test]
    fn known_differences_are_told_exactly(known in known(), order in any::<u64>()) {
        let id = |number: &usize| format!("item-{number:04}-end");
        let acknowledged: Vec<String> = (0..known.all).map(|number| id(&number)).collect();
        let mut kept: Vec<String> = (0..known.all)
            .filter(|number| !known.lost.contains(number) && !known.torn.contains(number))
            .map(|number| id(&number))
            .collect();
        kept.extend(known.double.iter().map(id));
        // Without its end it begins its item and no other.
        kept.extend(known.torn.iter().map(|number| format!("item-{number:04}")));
        kept.extend((0..known.more).map(|number| format!("other-{number}")));
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        kept.sort_by_key(|id| id.bytes().fold(order, mix));
        let found = of(&acknowledged.join("\n"), &kept.join("\n"));
        let count = |number: usize| u64::try_from(number).unwrap();
        prop_assert_eq!(
            counts(&found),
            (count(known.lost.len()), count(known.torn.len()), count(known.double.len()), count(known.more)),
            "{:?} {:?}", acknowledged, kept
        );
        prop_assert_eq!(found.lost_ids.len(), known.lost.len().min(NAMED));
    }

    /// Ids that begin one another are counted as the definitions say.
    #[test]
    fn short_ids_are_counted_as_by_hand(
        acknowledged in prop::collection::vec("[ab]{1,4}", 0..12),
        kept in prop::collection::vec("[ab]{1,4}", 0..12),
    ) {
        let found = of(&acknowledged.join("\n"), &kept.join("\n"));
        prop_assert_eq!(counts(&found), by_hand(&acknowledged, &kept));
    }

    /// Wherever an item is torn, it is torn, and not lost beside.
    #[test]
    fn a_tear_at_any_byte_is_one(id in "[a-cé€😀]{1,4}", at in any::<prop::sample::Index>()) {
        let cut = 1 + at.index(id.len());
        let found = loss(id.as_bytes(), &id.as_bytes()[..cut], None).unwrap();
        prop_assert_eq!(counts(&found), (0, u64::from(cut < id.len()), 0, 0));
    }

    /// Whatever is kept more, no more is lost; and nothing is lost of a list that is kept as it is.
    #[test]
    fn what_is_kept_is_not_lost(
        acknowledged in prop::collection::vec("[a-c]{3}", 0..20),
        more in prop::collection::vec("[a-c]{3}", 0..20),
    ) {
        let list = acknowledged.join("\n");
        let found = of(&list, &list);
        prop_assert_eq!((found.lost, found.torn, found.unacknowledged), (0, 0, 0));
        let fewer = of(&list, &more.join("\n"));
        let all = of(&list, &[more.join("\n"), list.clone()].join("\n"));
        prop_assert!(all.lost <= fewer.lost);
    }

    /// No bytes make it panic.
    #[test]
    fn comparing_is_total(
        acknowledged in prop::collection::vec(any::<u8>(), 0..200),
        kept in prop::collection::vec(any::<u8>(), 0..200),
        impact: Option<u64>,
    ) {
        let _ = loss(&acknowledged, &kept, impact);
        let _ = loss(b"a 1\nb 2.5", &kept, impact);
    }
}
