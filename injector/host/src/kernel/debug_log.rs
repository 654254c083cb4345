//! Messages of the BPF programs themselves, where they were built with them (`cargo xtask build
//! --debug-log`). Other builds carry neither the messages nor the ring that they travel in.

use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

use super::object::Object;

/// The messages of one object.
pub struct DebugLog(Option<EbpfLogger<Sink>>);

impl DebugLog {
    /// Takes the messages' ring out of an object; `say` prints a message.
    pub fn take(object: &mut Object, say: fn(String)) -> Self {
        // Without the ring there is nothing to read, which is the usual case.
        Self(EbpfLogger::init_with_logger(&mut object.ebpf, Sink(say)).ok())
    }

    /// Prints the messages that wait.
    pub fn flush(&mut self) {
        if let Some(logger) = &mut self.0 {
            logger.flush();
        }
    }
}

/// Prints by the function that the owner gave.
struct Sink(fn(String));

impl Log for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        (self.0)(format!("bpf: {}", record.args()));
    }

    fn flush(&self) {}
}
