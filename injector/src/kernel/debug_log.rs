//! Messages of the BPF programs themselves, where they were built with them (`cargo xtask build
//! --debug-log`). Other builds carry neither the messages nor the ring that they travel in.

use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

use super::object::Object;
use crate::cli::tell;

/// The messages of one object.
pub struct DebugLog(Option<EbpfLogger<ToStderr>>);

impl DebugLog {
    /// Takes the messages' ring out of an object.
    pub fn take(object: &mut Object) -> Self {
        // Without the ring there is nothing to read, which is the usual case.
        Self(EbpfLogger::init_with_logger(&mut object.ebpf, ToStderr).ok())
    }

    /// Prints the messages that wait.
    pub fn flush(&mut self) {
        if let Some(logger) = &mut self.0 {
            logger.flush();
        }
    }
}

/// Prints on standard error, where progress goes too.
struct ToStderr;

impl Log for ToStderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        tell::aside(format!("bpf: {}", record.args()));
    }

    fn flush(&self) {}
}
