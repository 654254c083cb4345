//! Where a run stands: step k of n, the time gone, and what is left by the times of the last run.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::plan::Step;
use crate::{paths::Project, process::announce};

/// A run in progress.
pub(super) struct Progress {
    steps: &'static [Step],
    began: Instant,
    times: Times,
}

impl Progress {
    /// A run of these steps begins now.
    pub(super) fn begin(project: &Project, steps: &'static [Step]) -> Self {
        Self {
            steps,
            began: Instant::now(),
            times: Times::read(project),
        }
    }

    /// Says that the step at this place begins.
    pub(super) fn enter(&self, place: usize) {
        announce(&self.line(place, self.began.elapsed()));
    }

    fn line(&self, place: usize, gone: Duration) -> String {
        let to_come = self.steps.get(place..).unwrap_or_default();
        let left: Duration = to_come.iter().map(|step| self.times.usual(*step)).sum();
        let name = to_come.first().map_or("the end", |step| step.name());
        format!(
            "[{} of {}] {name}; {} gone, about {} left",
            place + 1,
            self.steps.len(),
            minutes(gone),
            minutes(left)
        )
    }

    /// The step at this place is over; what it took is kept for the next run's estimate.
    pub(super) fn left(&mut self, place: usize, took: Duration) {
        if let Some(step) = self.steps.get(place) {
            self.times.note(*step, took);
        }
    }

    /// Since the first step began.
    pub(super) fn gone(&self) -> Duration {
        self.began.elapsed()
    }
}

/// `4:07`, minutes and seconds.
pub(super) fn minutes(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

/// What each step took on this machine last time, in seconds by name.
struct Times {
    file: PathBuf,
    seconds: BTreeMap<String, u64>,
}

impl Times {
    /// Those of the target folder; an estimate may be missing, so a file that cannot be read is none.
    fn read(project: &Project) -> Self {
        let file = project.target().join("test-times.json");
        let seconds = fs::read(&file)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        Self { file, seconds }
    }

    fn usual(&self, step: Step) -> Duration {
        let last = self.seconds.get(step.name());
        last.map_or_else(|| step.usual(), |seconds| Duration::from_secs(*seconds))
    }

    fn note(&mut self, step: Step, took: Duration) {
        self.seconds.insert(step.name().to_owned(), took.as_secs());
        // Only an estimate is lost with it.
        if let Ok(text) = serde_json::to_vec_pretty(&self.seconds) {
            let _ = fs::write(&self.file, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::plan::Choice, *};

    #[test]
    fn a_line_says_what_is_gone_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::at(folder.path().into(), folder.path().into());
        let mut progress = Progress::begin(&project, Choice::Lint.steps());
        for (place, seconds) in [30, 100, 20].into_iter().enumerate() {
            progress.left(place, Duration::from_secs(seconds));
        }
        assert_eq!(
            progress.line(1, Duration::from_secs(67)),
            "[2 of 3] lints; 1:07 gone, about 2:00 left"
        );
        // The next run knows it too.
        let next = Progress::begin(&project, Choice::Lint.steps());
        assert_eq!(
            next.line(0, Duration::ZERO),
            "[1 of 3] format; 0:00 gone, about 2:30 left"
        );
    }
}
