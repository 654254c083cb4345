//! A game day for pictures and browsers: its end-to-end test plays it and leaves its journals.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    build,
    paths::Project,
    process::{self, announce},
    root::Root,
};

/// Those of `configs/experiments/game-days`.
pub(crate) const ALL: [&str; 5] = ["holds", "deviates", "halted", "inconclusive", "stages"];

/// Plays the day; the folder of its journals.
pub(crate) fn play(project: &Project, root: Root, day: &str) -> Result<PathBuf> {
    announce(&format!("playing the game day {day}"));
    let test = build::end_to_end(project)?;
    let (injector, folder) = (
        project.binary("injector"),
        project.target().join("game-days"),
    );
    let environment = [
        ("INJECTOR_BIN", injector.as_os_str()),
        ("INJECTOR_KEEP_JOURNALS", folder.as_os_str()),
    ];
    let mut command = root.command(project, &test, &environment);
    command.args(["--exact", &format!("game_day::{day}")]);
    process::run(&mut command, "the game day")?;
    Ok(folder.join(day))
}
