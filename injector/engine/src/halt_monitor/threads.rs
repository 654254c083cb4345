//! Threads that look until what they look for is over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use injector_host::kernel;

/// How long an end waits for threads that look. One that hangs is left behind, with at most a copy of the maps that
/// count, which do nothing by themselves.
const END_WITHIN: Duration = Duration::from_millis(500);

/// The threads. Dropping them ends them.
#[derive(Default)]
pub struct Threads {
    is_over: Arc<AtomicBool>,
    running: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts one, which ends when the word that it gets comes to be true, and looks at it when it is unparked.
    pub fn spawn(
        &mut self,
        name: &'static str,
        body: impl FnOnce(&AtomicBool) + Send + 'static,
    ) -> Result<(), kernel::Error> {
        let is_over = Arc::clone(&self.is_over);
        let thread = thread::Builder::new()
            .name(name.into())
            .spawn(move || body(&is_over))
            .map_err(|error| kernel::Error::system("start a thread that looks", error))?;
        self.running.push(thread);
        Ok(())
    }
}

impl Threads {
    /// Ends them without waiting: one that holds nothing but its question may end when its time is over.
    pub fn leave(mut self) {
        self.end();
        self.running.clear();
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in &self.running {
            thread.thread().unpark();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end();
        let deadline = Instant::now() + END_WITHIN;
        while Instant::now() < deadline && !self.running.iter().all(JoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(5));
        }
    }
}
