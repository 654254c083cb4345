//! Attaches the programs of a namespace: to cgroups, and to devices.

use std::path::Path;

use injector_host::{
    kernel::{
        Error,
        links::{Links, ProcessHook},
        maps::Maps,
    },
    targets::{ResolvedTarget, cgroup},
};
use injector_plan::{Hooks, hooks::CgroupHook};
use injector_record::event::EventKind;
use injector_spec::{error::Refusal, experiment::Follow, printable};

use super::{
    ArmedNamespace,
    attacher::{self, Attacher, Book},
    coverage::Covered,
};

impl ArmedNamespace {
    /// Programs on cgroups and, where a tree is followed, on the fork tracepoint.
    pub(super) fn attach_to_cgroups(&mut self, targets: &[ResolvedTarget]) -> Result<(), Refusal> {
        let own: Vec<&ResolvedTarget> = self
            .scopes
            .iter()
            .filter_map(|scope| targets.get(*scope as usize))
            .collect();
        let (object, links) = (&mut self.object, &mut self.links);
        if own.iter().any(|target| target.follow == Follow::Tree) {
            links.process(object, ProcessHook::Fork)?;
            links.process(object, ProcessHook::Exit)?;
        }
        if own.iter().any(|target| target.cgroup.is_none()) {
            let root = open_cgroup(&cgroup::mount_point()?)?;
            links.cgroup(object, CgroupHook::BornOfProcess, &root)?;
            for hook in acting(self.hooks) {
                links.cgroup(object, hook, &root)?;
            }
        }
        for scope in self.scopes.clone() {
            if let Some(target) = targets.get(scope as usize) {
                self.attach_to_cgroup_of(scope, target, targets)?;
            }
        }
        Ok(())
    }

    /// Programs on the cgroup of a target, where it is chosen by one.
    pub(super) fn attach_to_cgroup_of(
        &mut self,
        scope: u32,
        target: &ResolvedTarget,
        targets: &[ResolvedTarget],
    ) -> Result<(), Refusal> {
        let Some(cgroup) = &target.cgroup else {
            return Ok(());
        };
        let hooks = self.hooks;
        let packets = hooks.egress || hooks.ingress || hooks.deliver;
        let mut wanted = vec![CgroupHook::BornInCgroup];
        if packets || hooks.operations {
            wanted.push(CgroupHook::ClaimOut);
        }
        if hooks.ingress || hooks.deliver {
            wanted.push(CgroupHook::ClaimIn);
        }
        if !self.acts_at_the_root(targets) {
            wanted.extend(acting(hooks));
        }
        let directory = open_cgroup(&cgroup.directory)?;
        let mut links = Links::default();
        for hook in wanted {
            links.cgroup(&mut self.object, hook, &directory)?;
        }
        // Those of a former cgroup went with it.
        self.cgroup_links.insert(scope, links);
        Ok(())
    }

    /// Whether a target here is chosen by process: then the programs that act are on the root, once for all.
    pub(super) fn acts_at_the_root(&self, targets: &[ResolvedTarget]) -> bool {
        let mut own = self
            .scopes
            .iter()
            .filter_map(|scope| targets.get(*scope as usize));
        own.any(|target| target.cgroup.is_none())
    }

    /// Programs on the devices, and on the TAP first: what is redirected must find its way back.
    pub(super) fn attach_to_devices(
        &mut self,
        mut book: Book<'_>,
    ) -> Result<Vec<EventKind>, Refusal> {
        let hooks = self.hooks;
        if !hooks.egress && !hooks.ingress {
            return Ok(Vec::new());
        }
        let tap = self.tap.as_ref();
        let mut covered = Covered::start(&self.namespace, tap.map(|tap| tap.ifindex))?;
        self.filters = attacher::filters(&mut self.object, hooks)?;
        if let Some(tap) = tap {
            let (object, links) = (&mut self.object, &mut self.links);
            let run = book.journal.run().to_owned();
            self.namespace
                .run(|| attacher::way_back(object, links, tap, hooks.attachment, &run))??;
        }
        let told = self.with_attacher(&mut book, |maps, attacher| {
            covered.cover_present(maps, attacher)
        })??;
        self.covered = Some(covered);
        Ok(told)
    }

    /// Works on devices, in the namespace.
    pub(super) fn with_attacher<T: Send>(
        &mut self,
        book: &mut Book<'_>,
        work: impl FnOnce(&mut Maps, &mut Attacher<'_>) -> T + Send,
    ) -> Result<T, Error> {
        let (object, maps, links) = (&mut self.object, &mut self.maps, &mut self.links);
        let namespace = &self.namespace;
        let mut attacher = match &self.filters {
            None => Attacher::Links {
                object,
                links,
                hooks: self.hooks,
            },
            Some(filters) => Attacher::Filters {
                filters,
                namespace,
                book: book.lend(),
            },
        };
        namespace.run(|| work(maps, &mut attacher))
    }
}

pub(super) fn open_cgroup(directory: &Path) -> Result<std::fs::File, Error> {
    std::fs::File::open(directory).map_err(|error| {
        let shown = printable::path(directory);
        Error::system(format!("open the cgroup {shown}"), error)
    })
}

/// The cgroup programs that act, those that learn for the devices' programs, and those that watch operations, as against
/// those that tag.
pub(super) fn acting(hooks: Hooks) -> impl Iterator<Item = CgroupHook> {
    [
        (hooks.deliver, CgroupHook::Deliver),
        (hooks.ingress, CgroupHook::LearnIn),
        (hooks.ingress, CgroupHook::LearnOut),
        (hooks.connect, CgroupHook::Connect4),
        (hooks.connect, CgroupHook::Connect6),
        (hooks.relay, CgroupHook::Peer4),
        (hooks.relay, CgroupHook::Peer6),
        (hooks.reset, CgroupHook::Sequence),
        (hooks.operations, CgroupHook::Asked),
        (hooks.operations, CgroupHook::Answered),
    ]
    .into_iter()
    .filter_map(|(is_wanted, hook)| is_wanted.then_some(hook))
}
