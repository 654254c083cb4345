//! Attaches the programs of a run to one device after the other: by links where the kernel has them, else by filters,
//! which are changes of the host and go the way of those.

use injector_host::{
    delay_line::Tap,
    kernel::{
        Error,
        clsact::{self, Filters, Side},
        devices::NetDevice,
        links::{DeviceHook, Links},
        netns::Namespace,
        object::Object,
    },
};
use injector_plan::{Attachment, Hooks};
use injector_spec::error::Refusal;

use crate::{
    changes::{Changes, Filtered},
    recorder::RunJournal,
};

/// What it takes to attach, by the way that the plan has chosen.
pub(super) enum Attacher<'n> {
    /// By TCX links.
    Links {
        object: &'n mut Object,
        links: &'n mut Links,
        hooks: Hooks,
    },
    /// By classic filters.
    Filters {
        filters: &'n Filters,
        namespace: &'n Namespace,
        book: Book<'n>,
    },
}

/// Where changes of the host are written down.
pub(super) struct Book<'n> {
    pub(super) changes: &'n mut Changes,
    pub(super) journal: &'n mut RunJournal,
}

impl Book<'_> {
    /// The same for a while.
    pub(super) fn lend(&mut self) -> Book<'_> {
        Book {
            changes: self.changes,
            journal: self.journal,
        }
    }
}

impl Attacher<'_> {
    /// Attaches to a device. Runs in its namespace.
    pub(super) fn attach(&mut self, device: &NetDevice) -> Result<Filtered, Refusal> {
        match self {
            Self::Links {
                object,
                links,
                hooks,
            } => {
                if hooks.egress {
                    links.device(object, DeviceHook::Egress, &device.name)?;
                }
                if hooks.ingress {
                    links.device(object, DeviceHook::Ingress, &device.name)?;
                }
                Ok(Filtered::Attached)
            }
            Self::Filters {
                filters,
                namespace,
                book,
            } => book
                .changes
                .attach_filters(namespace, device, filters, book.journal),
        }
    }
}

/// Loads the programs of filters; none where links hold them.
pub(super) fn filters(object: &mut Object, hooks: Hooks) -> Result<Option<Filters>, Error> {
    match hooks.attachment {
        Attachment::Links => Ok(None),
        Attachment::Filters => {
            let sides = [(hooks.egress, Side::Egress), (hooks.ingress, Side::Ingress)];
            let sides = sides.into_iter().filter(|(is_wanted, _)| *is_wanted);
            let sides: Vec<Side> = sides.map(|(_, side)| side).collect();
            Filters::load(object, &sides).map(Some)
        }
    }
}

/// Attaches the way back to the TAP. Runs in its namespace.
pub(super) fn way_back(
    object: &mut Object,
    links: &mut Links,
    tap: &Tap,
    attachment: Attachment,
    run: &str,
) -> Result<(), Error> {
    match attachment {
        Attachment::Links => links.device(object, DeviceHook::Return, &tap.name),
        Attachment::Filters => clsact::attach_return(object, tap.ifindex, run),
    }
}
