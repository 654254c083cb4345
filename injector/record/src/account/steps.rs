//! Which step of an experiment a record is about.

use injector_spec::experiment::Experiment;

/// The steps of a run as its journal tells of their beginnings. Two steps may have one name, so they are told by their order;
/// a record that was damaged is missing, so the next one is looked for by its name.
pub(super) struct Steps<'e> {
    experiment: Option<&'e Experiment>,
    next: usize,
}

impl<'e> Steps<'e> {
    /// Before the first of them.
    pub(super) const fn of(experiment: Option<&'e Experiment>) -> Self {
        Self {
            experiment,
            next: 0,
        }
    }

    /// The place of the step that begins under this name.
    pub(super) fn begin(&mut self, name: &str) -> usize {
        let steps = self
            .experiment
            .map_or(&[][..], |experiment| &experiment.steps);
        let mut left = steps.iter().enumerate().skip(self.next);
        let found = left.find(|(_, step)| step.name == name);
        let place = found.map_or(self.next, |(place, _)| place);
        self.next = place + 1;
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_spec::experiment::file;

    #[test]
    fn a_record_that_is_missing_shifts_no_other() {
        let text = "targets: { a: { pid: 7 } }\nsteps: [ { name: a, duration: 1s, faults: [ net.blackhole ] }, { name: b, \
                    duration: 1s }, { name: a, duration: 1s }, { name: c, duration: 1s } ]\n";
        let experiment = file::parse(text, "x", None).unwrap();
        let places = |names: &[&str]| {
            let mut steps = Steps::of(Some(&experiment));
            names
                .iter()
                .map(|name| steps.begin(name))
                .collect::<Vec<_>>()
        };
        assert_eq!(places(&["a", "b", "a", "c"]), [0, 1, 2, 3]);
        assert_eq!(places(&["b", "a", "c"]), [1, 2, 3]);
        assert_eq!(places(&["a", "c"]), [0, 3]);
        let mut unknown = Steps::of(None);
        assert_eq!([unknown.begin("x"), unknown.begin("x")], [0, 1]);
    }
}
