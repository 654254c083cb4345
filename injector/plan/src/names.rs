//! Host names to addresses, once, when the run is planned. A name that changes its addresses later is
//! not followed; LIMITS.md says so.

use std::{
    collections::BTreeMap,
    net::{IpAddr, ToSocketAddrs},
};

use super::Error;
use injector_spec::experiment::{Experiment, NamedOperation, Sign};

/// The addresses of every host name in an experiment.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<String, Vec<IpAddr>>);

impl Names {
    /// Asks the system's resolver for each name that the experiment's filters and operations use.
    pub fn look_up(experiment: &Experiment) -> Result<Self, Error> {
        let mut names = BTreeMap::new();
        let of_faults = experiment.faults().flat_map(|(_, fault)| fault.names());
        let steady_state = experiment.steady_state.iter();
        let operations = steady_state.flat_map(|steady| &steady.operations);
        let of_operations = operations.flat_map(NamedOperation::names);
        let of_signs = experiment.signs().flat_map(Sign::names);
        for name in of_faults.chain(of_operations).chain(of_signs) {
            if !names.contains_key(name) {
                names.insert(name.to_owned(), addresses(name)?);
            }
        }
        Ok(Self(names))
    }

    /// Names that were looked up elsewhere.
    #[cfg(test)]
    pub fn of(names: &[(&str, &[IpAddr])]) -> Self {
        let known =
            |(name, addresses): &(&str, &[IpAddr])| ((*name).to_owned(), addresses.to_vec());
        Self(names.iter().map(known).collect())
    }

    /// The addresses of a name that was looked up.
    pub fn addresses(&self, name: &str) -> &[IpAddr] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

fn addresses(name: &str) -> Result<Vec<IpAddr>, Error> {
    let failed = |why: String| Error::Name {
        name: name.to_owned(),
        why,
    };
    let found = (name, 0)
        .to_socket_addrs()
        .map_err(|error| failed(error.to_string()))?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(failed("it has no addresses".into()));
    }
    Ok(addresses)
}
