//! What this machine offers, found out once for all who ask at the same time.
//!
//! A survey loads programs into the kernel and takes the better part of a second of CPU time, so one goes
//! on at a time, however many callers ask, and its outcome is good for [`GOOD_FOR`]: a host does not change faster.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use injector_host::kernel::capability::Capability;
use injector_spec::error::Refusal;

/// How long a survey is not repeated.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// The newest survey, and the right to make one.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey(Arc<Mutex<Option<Taken>>>);

#[derive(Debug)]
struct Taken {
    at: Instant,
    found: Vec<Capability>,
}

impl Survey {
    /// The newest outcome, or that of `survey`. It goes on where its client leaves, since the next one
    /// must not begin meanwhile.
    pub(super) async fn ask<F>(
        &self,
        survey: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Vec<Capability>, Refusal>
    where
        F: Future<Output = Result<Vec<Capability>, Refusal>> + Send,
    {
        let mut newest = Arc::clone(&self.0).lock_owned().await;
        if let Some(taken) = newest.as_ref()
            && taken.at.elapsed() < GOOD_FOR
        {
            return Ok(taken.found.clone());
        }
        let surveying = tokio::spawn(async move {
            let found = survey().await?;
            *newest = Some(Taken {
                at: Instant::now(),
                found: found.clone(),
            });
            Ok(found)
        });
        surveying.await.unwrap_or_else(|_| {
            Err(Refusal::failed(
                "the survey of this machine broke; the daemon's log says how",
            ))
        })
    }
}
