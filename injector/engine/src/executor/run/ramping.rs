//! Waits for orders, and sets what ramps again meanwhile.
//!
//! The clock of a ramp is that of its step: the boot clock, from the step's beginning. A run that was late sets the
//! value of now and not the one that was due, so a ramp keeps to its line whatever the loop has to do besides.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use injector_host::kernel::clock::boot_ns;
use injector_spec::{error::Refusal, quantity::duration::nanos};

use super::{Armed, Run};
use crate::{
    effects::{Step, StepTime},
    executor::Order,
};

impl Run<'_> {
    /// Sets the faults to what they are at a time of their step, or to none.
    pub(super) fn set(&mut self, armed: &mut Armed, time: Option<StepTime>) -> Result<(), Refusal> {
        armed.set_at = time.map_or(Duration::ZERO, |now| now.elapsed);
        self.each(armed, |effect, scene| effect.set(time, scene))
            .map(drop)
    }

    /// Waits so long for an order; `None` where there was none.
    pub(super) fn hear(
        &mut self,
        armed: &mut Armed,
        step: Step,
        orders: &Receiver<Order>,
        rest: Duration,
    ) -> Result<Option<Order>, Refusal> {
        let until = boot_ns().saturating_add(nanos(rest));
        loop {
            let left = Duration::from_nanos(until.saturating_sub(boot_ns()));
            let next = self
                .request
                .plan
                .ramps_again_after(step.index, armed.set_at);
            let wait = next.map_or(left, |next| next.min(left));
            match orders.recv_timeout(wait) {
                Ok(order) => return Ok(Some(order)),
                // No process is left that could stop it; it ends by itself.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(wait),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if next.is_some() {
                self.set(armed, Some(step.now()))?;
            }
            if boot_ns() >= until {
                return Ok(None);
            }
        }
    }
}
