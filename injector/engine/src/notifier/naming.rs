//! Whom an experiment names, beside whom this host has and whom its owner insists on.

use injector_spec::error::Refusal;

use crate::halt_monitor::WhoAsks;

/// The names of one key of an experiment.
pub(crate) struct Naming<'n> {
    /// The key.
    pub key: &'static str,
    /// The section of the configuration that has the names.
    pub section: &'static str,
    /// All that this host has.
    pub has: Vec<&'n str>,
    /// Those that are told where an experiment says nothing.
    pub owners: Vec<&'n str>,
    /// Those that the experiment names, each with its place; none where it says nothing.
    pub named: Vec<(String, &'n str)>,
}

impl Naming<'_> {
    /// Refuses a name that the host does not have, and a guest who leaves out one of its owner's.
    pub(crate) fn check(&self, by: WhoAsks) -> Result<(), Refusal> {
        let Self {
            key,
            section,
            has,
            owners,
            named,
        } = self;
        if let Some((place, name)) = named.iter().find(|(_, name)| !has.contains(name)) {
            let has = if has.is_empty() {
                "none".to_owned()
            } else {
                has.join(", ")
            };
            return Err(Refusal::usage(format!(
                "{place} names `{name}`, and {section} of this host's configuration has {has}; configure it, or name \
                 another."
            )));
        }
        let is_left_out = |one: &&&str| !named.iter().any(|(_, name)| name == *one);
        match (by, owners.iter().find(is_left_out)) {
            (WhoAsks::Guest, Some(left_out)) if !named.is_empty() => {
                Err(Refusal::endangers(format!(
                    "`{key}` leaves out `{left_out}`, which this host's owner has configured, and you are not root; name \
                     it too, or leave `{key}` out."
                )))
            }
            (WhoAsks::Guest | WhoAsks::Owner, _) => Ok(()),
        }
    }
}
