//! What targets read and write, from the ring to the thread that reads it; and the programs on system calls that tell of
//! plain sockets.

use std::sync::atomic::{Ordering, compiler_fence};

use aya::maps::{MapData, PerCpuArray, RingBuf};
use injector_common::plaintext::{Heard, PLAINTEXT};

use super::{
    Error,
    links::Links,
    maps::{read_error, take},
    object::Object,
};

/// The ring, for the thread that reads it.
pub struct PlaintextRing {
    records: RingBuf<MapData>,
    lost: PerCpuArray<MapData, u64>,
    /// The record that is being read. Cleared behind each.
    room: Box<[u8; PLAINTEXT]>,
}

impl PlaintextRing {
    /// Takes the maps out of an object.
    pub fn take(object: &mut Object) -> Result<Self, Error> {
        Ok(Self {
            records: take(object, "INJ_PLAINTEXT", RingBuf::try_from)?,
            lost: take(object, "INJ_PLAINTEXT_LOST", PerCpuArray::try_from)?,
            room: Box::new([0; PLAINTEXT]),
        })
    }

    /// Has `hear` look at the next record; false where none waits. Nothing of its bytes is kept here: its room in the ring is
    /// the kernel's again, and the copy is cleared.
    pub fn next(&mut self, hear: impl FnOnce(&Heard<'_>)) -> bool {
        let Some(item) = self.records.next() else {
            return false;
        };
        if item.len() == PLAINTEXT {
            self.room.copy_from_slice(&item);
        }
        drop(item);
        if let Some(heard) = Heard::decode(self.room.as_slice()) {
            hear(&heard);
        }
        self.room.fill(0);
        // The clearing is not left out for want of a reader.
        std::hint::black_box(&mut self.room);
        compiler_fence(Ordering::SeqCst);
        true
    }

    /// Records that found the ring full, in all.
    pub fn lost(&self) -> Result<u64, Error> {
        let lost = self
            .lost
            .get(&0, 0)
            .map_err(read_error("INJ_PLAINTEXT_LOST"))?;
        Ok(lost.iter().sum())
    }
}

/// Attaches the programs that tell of plain sockets.
pub fn attach_plain(object: &mut Object, links: &mut Links) -> Result<(), Error> {
    object.ensure_calls()?;
    links.raw_tracepoint(object, "inj_plain", "sys_exit")?;
    links.raw_tracepoint(object, "inj_plain_again", "sys_exit")?;
    Ok(())
}
