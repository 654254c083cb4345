//! The run part of `cargo xtask demo`: an agent lives through a bad day of its model API while an
//! identical bystander next to it notices nothing.
//!
//! Ends with exit code 0 only where the agent felt the faults, the bystander did not, and the host
//! is as it was before.

mod picture;
mod programme;
mod progress;
mod stage;
mod story;
mod style;
mod verdict;

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::injector::{Finished, Injector, Report};
use injector_tests::snapshot::Snapshot;

use programme::Programme;
use progress::Ticker;
use stage::Stage;
use story::Story;

/// How often the live line is drawn.
const TICK: Duration = Duration::from_millis(200);
/// Longer than the experiment; it has its own durations.
const LIMIT: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("The demo cannot go on: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "it loads BPF programs and makes cgroups, which takes root; start it with \
         `sudo -E env PATH=$PATH cargo xtask demo`"
    );
    stage::leave_interrupts_to_the_injector();
    let before = Snapshot::take()?;
    let (story, finished, told) = {
        let stage = Stage::set()?;
        let injector = Injector::new()?;
        let programme = Programme::choose(&injector, &stage.agent_cgroup())?;
        picture::opening(&stage, &programme);
        let (story, finished) = play(&stage, &injector, programme.experiment)?;
        let told = told(&injector)?;
        (story, finished, told)
    };
    let left = before.assert_same();
    let report = report_of(&finished)?;
    picture::phases(&story);
    println!();
    let is_good = verdict::give(&story, &report, finished.code, left);
    println!();
    style::say(&told);
    Ok(is_good)
}

/// Runs the experiment and watches agent and bystander live through it.
fn play(stage: &Stage, injector: &Injector, experiment: &str) -> Result<(Story, Finished)> {
    let cgroup = stage.agent_cgroup();
    let text =
        fs::read_to_string(experiment).with_context(|| format!("cannot read {experiment}"))?;
    let played = injector.state().join("played.yaml");
    fs::write(&played, stage.judged(&text)).context("cannot write the experiment")?;
    let played = played.to_string_lossy();
    let mut running =
        injector.start_here(&["run", &played, "--json", "--cgroup", cgroup.as_str()])?;
    let mut story = Story::default();
    let ticker = Ticker::new();
    let deadline = Instant::now() + LIMIT;
    while running.is_running()? && Instant::now() < deadline {
        if let Some(event) = running.next_event(Instant::now() + TICK) {
            if event.event == "step_ended" {
                stage.listen(&mut story);
                story.tell(&event);
                ticker.phase_is_over(&story);
            } else {
                story.tell(&event);
            }
        }
        stage.listen(&mut story);
        ticker.tick(&story);
    }
    while let Some(event) = running.next_event(Instant::now() + TICK) {
        story.tell(&event);
    }
    stage.listen(&mut story);
    ticker.finish();
    Ok((story, running.wait_within(Duration::from_secs(10))?))
}

/// What the run's journal says of it: a card, and where its page is, which stays when the demo is over.
fn told(injector: &Injector) -> Result<String> {
    let card = injector.once(&["report", "last"])?;
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let folder = program
        .ancestors()
        .nth(2)
        .context("this program is in no folder")?;
    let page = folder.join("demo-report.html");
    let path = page.to_string_lossy();
    // As short as a person can type it here.
    let here = std::env::current_dir().unwrap_or_default();
    let shown = page.strip_prefix(here).unwrap_or(&page).display();
    let written = injector.once(&["report", "last", "--format", "html", "--output", &path])?;
    ensure!(
        card.code == Some(0) && written.code == Some(0),
        "the run cannot be reported: {card:?} {written:?}"
    );
    let card: Vec<String> = card
        .stdout
        .lines()
        .map(|line| format!("  {line}"))
        .collect();
    Ok(format!("{}\n\n  its page: {shown}\n", card.join("\n")))
}

fn report_of(finished: &Finished) -> Result<Report> {
    finished.report().with_context(|| {
        format!(
            "the injector ended with exit code {:?} and said:\n{}",
            finished.code,
            finished.stderr.trim()
        )
    })
}
