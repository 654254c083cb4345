//! Which notifiers hear of a run, and complaints about names with their place.

use super::*;
use crate::config::Channel;

fn read(notify: &str) -> Result<Vec<Channel>, FileError> {
    let text = format!(
        "targets: {{ a: {{pid: 7}} }}\nduration: 5s\nfaults: [net.blackhole]\nnotify: {notify}\n"
    );
    parse(&text, "notify.yaml", None).map(|experiment| experiment.notify)
}

#[test]
fn notifiers_go_by_the_names_of_the_configuration() {
    for channel in Channel::ALL {
        assert_eq!(read(&format!("[{}]", channel.name())), Ok(vec![channel]));
    }
    let both = vec![Channel::Journald, Channel::Command];
    assert_eq!(read("[journald, command]"), Ok(both));
}

/// What stands behind `notify: `, in line 4 from column 9 on.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("[]", 4, 9, "at least one notifier"),
    ("webhook", 4, 9, "at least one notifier"),
    ("[webhok]", 4, 10, "no notifier is called `webhok`; did you mean `webhook`?"),
    ("[on-call]", 4, 10, "no notifier is called `on-call`; known are: command, webhook, journald"),
    ("[webhook, webhook]", 4, 19, "twice"),
    ("[[webhook]]", 4, 10, "one value"),
];

#[test]
fn what_is_no_notifier_is_refused_in_its_place() {
    for (notify, line, column, part) in ROWS {
        let error = read(notify).unwrap_err();
        assert!(error.sentence.contains(part), "{notify}: {error}");
        assert_eq!(
            (error.line, error.column),
            (*line, *column),
            "{notify}: {error}"
        );
    }
    let mut experiment = parse(GOOD, "good.yaml", None).unwrap();
    let plain = experiment.fingerprint();
    experiment.notify = vec![Channel::Webhook];
    assert_eq!(
        (experiment.check(), experiment.fingerprint()),
        (Ok(()), plain)
    );
    experiment.notify.push(Channel::Webhook);
    assert!(experiment.check().is_err());
}
