//! `cargo xtask pictures`: what real commands print in a terminal, as pictures of the book.
//!
//! Each of [`SCENES`] runs the built `injector` (or the demo) in a pseudo-terminal of [`COLUMNS`] columns, on real
//! processes and with a folder of journals of its own, and is drawn as it stands when the command has ended, or while its
//! dashboard is there. A command
//! that ends with another exit code than the scene says leaves no picture.
//!
//! Rejected: pictures that are drawn by hand, which show what no command prints.

mod stage;
mod svg;
mod terminal;

use std::{fs, process::ExitCode, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{
    build::{self, BpfDebug},
    game_day,
    paths::Project,
    process::announce,
    root,
};
use stage::Stage;
use terminal::Moment;

/// The width of the terminal.
const COLUMNS: u16 = 100;

/// One picture.
struct Scene {
    /// Of the file, without its ending.
    name: &'static str,
    program: Program,
    /// What a person types after the program's name; [`stage::PLACEHOLDERS`] are filled in.
    words: &'static str,
    /// When it is drawn.
    moment: Moment,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    Injector,
    /// The injector with the journals of this game day.
    OnGameDay(&'static str),
    Demo,
}

/// In this order: `list` and `audit` show the run that `net-delay` has made.
const SCENES: &[Scene] = &[
    Scene::injector("help", "--help"),
    Scene::injector("doctor", "doctor"),
    Scene::injector(
        "net-delay",
        "net delay --pid {pid} --latency 100ms --duration 5s",
    ),
    Scene::injector(
        "run-dry-run",
        "run configs/experiments/model-latency-spike.yaml --dry-run --pid {pid}",
    ),
    Scene::injector("demo-agent", "demo agent"),
    Scene::injector("list", "list"),
    Scene::injector("audit", "audit {run}"),
    Scene {
        name: "watch",
        program: Program::Injector,
        words: "run {experiment}",
        moment: Moment::OnDashboard(Duration::from_secs(20)),
    },
    Scene::game_day("game-day-holds", "holds"),
    Scene::game_day("game-day-deviates", "deviates"),
    Scene::game_day("game-day-halted", "halted"),
    Scene::game_day("game-day-inconclusive", "inconclusive"),
    Scene::game_day("game-day-stages", "stages"),
    Scene {
        name: "demo",
        program: Program::Demo,
        words: "",
        moment: Moment::AtItsEnd,
    },
];

impl Scene {
    const fn injector(name: &'static str, words: &'static str) -> Self {
        Self {
            name,
            program: Program::Injector,
            words,
            moment: Moment::AtItsEnd,
        }
    }

    const fn game_day(name: &'static str, day: &'static str) -> Self {
        Self {
            program: Program::OnGameDay(day),
            ..Self::injector(name, "report last")
        }
    }

    fn typed(&self, words: &str) -> String {
        match self.program {
            Program::Injector | Program::OnGameDay(_) => format!("sudo injector {words}"),
            Program::Demo => "cargo xtask demo".into(),
        }
    }
}

/// Builds, then draws all scenes, or those whose name has this text, into `docs/src/pictures`.
pub(crate) fn run(project: &Project, wanted: Option<&str>) -> Result<ExitCode> {
    let root = root::available()?;
    build::product(project, BpfDebug::Silent)?;
    root.explain("the scene");
    let folder = project.root().join("docs/src/pictures");
    fs::create_dir_all(&folder).context("there is no folder for the pictures")?;
    let stage = Stage::set(project)?;
    let mut drawn = 0;
    for scene in SCENES {
        if wanted.is_some_and(|wanted| !scene.name.contains(wanted)) {
            continue;
        }
        announce(&format!("drawing {}", scene.name));
        let words = stage.fill_in(root, project, scene.words)?;
        let program = match scene.program {
            Program::Injector | Program::OnGameDay(_) => project.binary("injector"),
            Program::Demo => project.binary("demo"),
        };
        let journals = match scene.program {
            Program::OnGameDay(day) => game_day::play(project, root, day)?,
            Program::Injector | Program::Demo => stage.journals(),
        };
        let injector = project.binary("injector");
        let environment = [
            ("INJECTOR_BIN", injector.as_os_str()),
            ("INJECTOR_STATE_DIR", journals.as_os_str()),
            ("TERM", "xterm-256color".as_ref()),
        ];
        let mut command = root.command(project, &program, &environment);
        command
            .args(words.split_whitespace())
            .env_remove("NO_COLOR");
        let shown = terminal::show(&mut command, &scene.typed(&words), COLUMNS, scene.moment)?;
        ensure!(
            shown.status.code() == Some(scene.moment.code()),
            "`{}` ended with {}, so {} is not drawn:\n{}",
            scene.typed(&words),
            shown.status,
            scene.name,
            shown.screen.contents()
        );
        let path = folder.join(scene.name).with_extension("svg");
        fs::write(&path, svg::draw(&shown.screen, scene.name))
            .with_context(|| format!("{} could not be written", path.display()))?;
        drawn += 1;
    }
    ensure!(drawn > 0, "no scene has this text in its name");
    announce(&format!("drew {drawn} pictures into {}", folder.display()));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scene that is renamed must not leave its old picture in the book.
    #[test]
    fn every_picture_of_the_book_has_its_scene() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/pictures");
        for entry in fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let scene = SCENES
                .iter()
                .any(|scene| name == format!("{}.svg", scene.name));
            let is_page = name == crate::browser::PICTURE;
            assert!(scene || is_page, "no scene draws {name}");
        }
    }
}
