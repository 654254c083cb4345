//! What any process does: a call, a little rest, a little work. Who stops, starves or signals it is seen in
//! that.

use std::hint::black_box;
use std::io::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use injector_tests::observation::Summary;
use rustix::process::getppid;
use rustix::time::{ClockId, clock_gettime};
use signal_hook::consts::SIGUSR1;

use crate::Rounds;
use crate::speak::{operations, rounds};

/// The rest in each operation.
const REST: Duration = Duration::from_millis(10);

/// Repeats itself; an operation that a signal came in, or came before, says so.
pub(crate) fn beat(compute: Duration, options: &Rounds) -> Result<()> {
    let signalled = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGUSR1, Arc::clone(&signalled))?;
    rounds(options.wait, || {
        // What came between two rounds belongs to neither.
        signalled.store(false, Ordering::SeqCst);
        round(compute, &signalled, options)
    })
}

fn round(compute: Duration, signalled: &AtomicBool, options: &Rounds) -> Result<Summary> {
    operations(options, |_number| {
        black_box(getppid());
        sleep(REST);
        let until = cpu_time() + compute;
        while cpu_time() < until {
            std::hint::spin_loop();
        }
        if signalled.swap(false, Ordering::SeqCst) {
            return Err(Error::other("signalled"));
        }
        Ok(())
    })
}

/// What this thread has had of the CPU.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
