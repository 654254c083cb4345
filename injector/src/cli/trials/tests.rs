use super::repeat::Times;

#[test]
fn a_number_of_runs_has_bounds() {
    for (text, number) in [
        ("1", Some(1)),
        ("1000", Some(1_000)),
        ("0", None),
        ("1001", None),
        ("-1", None),
        ("two", None),
    ] {
        assert_eq!(text.parse::<Times>().ok().map(Times::get), number, "{text}");
    }
}
