//! The ground of a run: the network namespaces in which it is armed, found by scope.

use std::{collections::BTreeSet, time::Instant};

use injector_host::targets::{ResolvedTarget, process::TaskKey};
use injector_spec::error::Refusal;

use super::namespace::{ArmedNamespace, rewrites};
use crate::watchdog::Licence;

/// All namespaces of a run. A scope lives in one of them at most: a target without any fault that needs a program, and
/// whose operations are not watched, is in none.
#[derive(Default)]
pub(crate) struct Ground {
    pub(crate) namespaces: Vec<ArmedNamespace>,
}

impl Ground {
    /// Takes a namespace in, that what is attached in it from now on is detached with all others.
    pub(crate) fn hold(&mut self, one: ArmedNamespace) -> &mut ArmedNamespace {
        self.namespaces.push(one);
        let last = self.namespaces.len() - 1;
        &mut self.namespaces[last]
    }

    /// The run is on. What acts by itself may go on for as long as this says so.
    pub(crate) fn go_by(&self, licence: &Licence) {
        let namespaces = self.namespaces.iter();
        for rewrites in namespaces.filter_map(|one| one.rewrites.as_ref()) {
            rewrites.go_by(licence.clone());
        }
    }

    /// The namespace of a scope.
    pub(crate) fn of(&self, scope: u32) -> Option<&ArmedNamespace> {
        let mut namespaces = self.namespaces.iter();
        namespaces.find(|namespace| namespace.scopes.contains(&scope))
    }

    /// The same, to change it.
    pub(crate) fn of_mut(&mut self, scope: u32) -> Option<&mut ArmedNamespace> {
        let mut namespaces = self.namespaces.iter_mut();
        namespaces.find(|namespace| namespace.scopes.contains(&scope))
    }

    /// The processes of a scope as they are now.
    pub(crate) fn members(&self, scope: u32, targets: &[ResolvedTarget]) -> Vec<TaskKey> {
        match (self.of(scope), targets.get(scope as usize)) {
            (Some(namespace), _) => namespace.members(scope, targets),
            (None, Some(target)) => target.members(),
            (None, None) => Vec::new(),
        }
    }

    /// How many processes the targets have now, of those that programs know.
    pub(crate) fn processes(&self, targets: &[ResolvedTarget]) -> usize {
        let members = self.namespaces.iter().flat_map(|namespace| {
            let scopes = namespace.scopes.iter();
            scopes.flat_map(|scope| namespace.members(*scope, targets))
        });
        members.collect::<BTreeSet<_>>().len()
    }

    /// Detaches everything where the run is refused after so much was made: its words say what is left too.
    pub(crate) fn refused(self, refusal: Refusal) -> Refusal {
        and_left(refusal, &self.detach())
    }

    /// Detaches everything; what could not be is said in words. All threads that hold probes begin at once, and there is one
    /// deadline for all.
    pub(crate) fn detach(self) -> Vec<String> {
        let namespaces = self.namespaces.iter();
        for rewrites in namespaces.filter_map(|one| one.rewrites.as_ref()) {
            rewrites.let_go();
        }
        let until = Instant::now() + rewrites::END;
        let namespaces = self.namespaces.into_iter();
        namespaces.filter_map(|one| one.detach(until)).collect()
    }
}

/// A refusal that says besides what is left for a while of what was made before it.
fn and_left(refusal: Refusal, left: &[String]) -> Refusal {
    if left.is_empty() {
        return refusal;
    }
    let message = refusal.message.trim_end_matches('.');
    Refusal {
        message: format!("{message}; {}", left.join("; ")),
        ..refusal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_is_left() {
        let refusal = || Refusal::usage("it is locked; try again.");
        assert_eq!(and_left(refusal(), &[]), refusal());
        let left = [
            "probes are still there".to_owned(),
            "so are more".to_owned(),
        ];
        let told = and_left(refusal(), &left);
        assert_eq!(
            told.message,
            "it is locked; try again; probes are still there; so are more"
        );
        assert_eq!(told.exit, refusal().exit);
    }
}
