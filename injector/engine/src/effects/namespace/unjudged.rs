//! What a report says of packets that reached a target although no rule was asked about them.

use injector_common::flow::Unjudged;

/// One sentence for each reason.
pub(super) fn told(unjudged: Unjudged) -> Vec<String> {
    let reasons = [
        (
            unjudged.first,
            "it was the first at an address and port where the target takes packets of any sender, and until the target has got one there, it may be another's",
        ),
        (
            unjudged.shared,
            "it was multicast or broadcast, which other sockets get too",
        ),
        (
            unjudged.elsewhere,
            "its addresses were translated on this host (NAT, TPROXY), or it came through a device that is not covered",
        ),
    ];
    reasons
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, why)| match count {
            1 => format!("1 packet reached the target unjudged: {why}"),
            more => {
                format!("{more} packets reached the target unjudged, each for this reason: {why}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_where_there_is_one() {
        assert!(told(Unjudged::default()).is_empty());
        let all = told(Unjudged {
            first: 1,
            shared: 2,
            elsewhere: 3,
        });
        assert!(all[0].starts_with("1 packet ") && all[0].contains("first"));
        assert!(all[1].starts_with("2 packets ") && all[1].contains("multicast"));
        assert!(all[2].starts_with("3 packets ") && all[2].contains("NAT"));
    }
}
