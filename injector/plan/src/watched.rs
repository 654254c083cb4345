//! Operations that are watched, with the addresses of their far ends.

use std::net::{IpAddr, Ipv6Addr};

use injector_common::operation::watch;

use crate::Names;
use injector_spec::{
    condition::Host,
    experiment::{Experiment, OperationKind},
};

/// What operations are watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// A stream of the experiment, by its name.
    Operations,
    /// The sign at this place of [`Experiment::signs`].
    Sign(usize),
}

/// A stream of operations, as the kernel's records are sorted into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// What for.
    pub what_for: For,
    /// Its name; that of a sign is empty.
    pub name: String,
    /// Its target.
    pub scope: u32,
    /// What counts.
    pub kind: OperationKind,
    /// The far ends that count; `None` is all.
    far_ends: Option<Vec<(IpAddr, u16)>>,
}

impl Watched {
    /// The streams of an experiment, in its order.
    pub(super) fn of(experiment: &Experiment, names: &Names) -> Vec<Self> {
        let steady_state = experiment.steady_state.iter();
        let operations = steady_state.flat_map(|steady| &steady.operations);
        let of_operations = operations.filter_map(|operation| {
            let mut targets = experiment.targets.iter();
            let scope = targets.position(|target| target.name == operation.of)?;
            let far_ends = far_ends(&operation.connect_to, names);
            Some(Self {
                what_for: For::Operations,
                name: operation.name.clone(),
                scope: u32::try_from(scope).ok()?,
                kind: operation.kind,
                far_ends: (!operation.connect_to.is_empty()).then_some(far_ends),
            })
        });
        let signs = experiment.signs().enumerate();
        let signs = signs.filter(|(_, sign)| !sign.hosts().is_empty());
        let scopes = 0u32..;
        let of_signs = signs.flat_map(|(place, sign)| {
            let targets = experiment.targets.iter().zip(scopes.clone());
            targets.map(move |(_, scope)| Self {
                what_for: For::Sign(place),
                name: String::new(),
                scope,
                kind: OperationKind::Connect,
                far_ends: Some(far_ends(sign.hosts(), names)),
            })
        });
        of_operations.chain(of_signs).collect()
    }

    /// What of its target the kernel has to tell for it, as in [`watch`].
    pub const fn bits(&self) -> u32 {
        match self.kind {
            OperationKind::Request => watch::REQUESTS,
            OperationKind::Connect => watch::CONNECTS,
        }
    }

    /// Whether an operation at this far end counts; the address is IPv6 or v4-mapped, in network order.
    pub fn is_for(&self, remote: [u8; 16], port: u32) -> bool {
        let Some(far_ends) = &self.far_ends else {
            return true;
        };
        let address = IpAddr::from(Ipv6Addr::from(remote)).to_canonical();
        far_ends
            .iter()
            .any(|(wanted, at)| *wanted == address && u32::from(*at) == port)
    }
}

/// The addresses of hosts, with their ports.
fn far_ends(hosts: &[Host], names: &Names) -> Vec<(IpAddr, u16)> {
    let all = hosts.iter().flat_map(|host| {
        let looked_up = names.addresses(host.name()).iter().copied();
        let addresses = host.address().into_iter().chain(looked_up);
        addresses.map(|address| (address.to_canonical(), host.port()))
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_spec::experiment::file;

    #[test]
    fn a_stream_has_the_addresses_of_its_names_and_no_others() {
        let text = "targets: { a: {pid: 7}, b: {pid: 8} }\noperations:\n  \
                    calls: { of: b, connect-to: ['127.0.0.1:80', 'db.example.com:81', '[::1]:82'] }\n  \
                    dials: { of: a, kind: connect }\n\
                    steady-state: [calls, dials]\nduration: 5s\nfaults: [net.blackhole: {target: a}]\n";
        let experiment = file::parse(text, "x.yaml", None).unwrap();
        let found = IpAddr::from([10, 0, 0, 1]);
        let names = Names::of(&[("db.example.com", &[found])]);
        let [calls, dials] = &Watched::of(&experiment, &names)[..] else {
            panic!("two streams");
        };
        let mapped = |last: [u8; 4]| std::net::Ipv4Addr::from(last).to_ipv6_mapped().octets();
        assert_eq!((calls.scope, dials.scope), (1, 0));
        assert_eq!(
            (calls.bits(), dials.bits()),
            (watch::REQUESTS, watch::CONNECTS)
        );
        assert!(calls.is_for(mapped([127, 0, 0, 1]), 80));
        assert!(calls.is_for(mapped([10, 0, 0, 1]), 81));
        assert!(calls.is_for(Ipv6Addr::LOCALHOST.octets(), 82));
        assert!(!calls.is_for(mapped([127, 0, 0, 1]), 81));
        assert!(!calls.is_for(mapped([10, 0, 0, 2]), 81));
        assert!(dials.is_for(mapped([10, 0, 0, 2]), 1));
    }
}
