//! The guardian, as the worker sees it.

use std::{
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::message::{FromWorker, Hold, Key};
use crate::channel::{Channel, ChannelError, Wait};
use injector_host::kernel::netns::Namespace;
use injector_record::journal::HostChange;
use injector_spec::error::Refusal;

/// How long the guardian may take to answer. It does nothing but listen.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Takes what must be undone whatever becomes of the worker.
pub struct Guardian(Option<Mutex<Conversation>>);

struct Conversation {
    channel: Channel,
    number: u64,
}

impl Guardian {
    /// Talks to the guardian over this channel.
    pub fn new(channel: Channel) -> Self {
        Self(Some(Mutex::new(Conversation { channel, number: 0 })))
    }

    /// None: in tests, where a change dies with a temporary directory.
    pub const fn absent() -> Self {
        Self(None)
    }

    /// Hands over a change that is about to be made, or one that was, with a new deadline or what is known of it now. Until this returns the change
    /// must not be made.
    pub fn hold(
        &self,
        run: &str,
        id: u32,
        change: &HostChange,
        namespace: Option<&Namespace>,
        until_boot_ns: u64,
    ) -> Result<(), Refusal> {
        let Some(conversation) = &self.0 else {
            return Ok(());
        };
        let mut conversation = conversation.lock().unwrap_or_else(PoisonError::into_inner);
        conversation.number += 1;
        let number = conversation.number;
        let message = FromWorker::Hold {
            number,
            hold: Hold {
                key: key(run, id),
                change: change.clone(),
                until_boot_ns,
            },
        };
        let wait = Wait::Until(Instant::now() + ANSWER_WITHIN);
        let fd = namespace.map(Namespace::fd);
        let descriptors: Vec<_> = fd.iter().map(AsFd::as_fd).collect();
        let sent = conversation.channel.send(&message, &descriptors, wait);
        sent.and_then(|()| {
            // Answers that came too late for their questions come first.
            while conversation.channel.receive::<u64>(wait)?.0 != number {}
            Ok(())
        })
        .map_err(|error: ChannelError| {
            Refusal::failed(format!(
                "the guardian process (injector guard) cannot take what is to be undone: {error}; nothing is \
                 changed without it."
            ))
        })
    }

    /// The change is undone. Waits for nothing: what is undone twice is undone.
    pub fn release(&self, run: &str, id: u32) {
        if let Some(conversation) = &self.0 {
            let conversation = conversation.lock().unwrap_or_else(PoisonError::into_inner);
            let message = FromWorker::Release { key: key(run, id) };
            let _ = conversation.channel.send(&message, &[], Wait::No);
        }
    }

    /// Whether the guardian lives.
    pub fn is_there(&self) -> bool {
        self.0.as_ref().is_none_or(|conversation| {
            let conversation = conversation.lock().unwrap_or_else(PoisonError::into_inner);
            !conversation.channel.is_closed()
        })
    }
}

fn key(run: &str, id: u32) -> Key {
    Key {
        run: run.to_owned(),
        id,
    }
}
