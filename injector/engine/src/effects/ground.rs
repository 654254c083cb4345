//! The ground of a run: the network namespaces in which it is armed, found by scope.

use std::{collections::BTreeSet, time::Instant};

use injector_host::targets::{ResolvedTarget, process::TaskKey};

use super::namespace::{ArmedNamespace, rewrites};

/// All namespaces of a run. A scope lives in one of them at most: a target without any fault that needs a program, and
/// whose operations are not watched, is in none.
#[derive(Default)]
pub(crate) struct Ground {
    pub(crate) namespaces: Vec<ArmedNamespace>,
}

impl Ground {
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
