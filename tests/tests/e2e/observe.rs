//! `observe`: requests are told as they were, nothing secret is, bystanders keep their text, and nothing is left.

mod stage;

use std::io::{Write as _, pipe};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Finished, send};
use rustix::process::Signal;
use serde_json::Value;

use crate::guarded;
use crate::needs::{INJECTOR, openssl, python, uprobes};
use crate::suite::Case;
use stage::{SECRET, Stage};
pub(crate) use stage::{Text, text_of};

/// How soon something has to have happened.
const SOON: Duration = Duration::from_secs(10);

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("observe::{name}"), INJECTOR, run)
            .also_needs(openssl)
            .also_needs(python)
            .also_needs(uprobes)
    };
    vec![
        case("requests_are_told_and_no_secret", told),
        case("children_are_heard_too", children),
        case("nothing_is_left_whichever_way_it_ends", ends),
        case("a_reader_that_stands_still_keeps_no_end_waiting", unread),
    ]
}

fn lines(finished: &Finished) -> Result<Vec<Value>> {
    let lines = finished.stdout.lines().map(serde_json::from_str);
    lines
        .collect::<Result<_, _>>()
        .with_context(|| format!("{finished:?}"))
}

fn told() -> Result<()> {
    let stage = Stage::new()?;
    let victim = stage.client("victim", "all")?;
    let bystander = stage.client("bystander", "all")?;
    let pid = victim.pid().to_string();
    let words = ["observe", "--pid", &pid, "--json", "--for", "3s"];
    let running = stage.injector.start_here(&words)?;
    eventually("a probe in the victim", SOON, || {
        Ok((victim.text()? == Text::Probed).then_some(()))
    })?;
    ensure!(bystander.text()? == Text::Original, "the bystander's text");
    guarded::confined_as_a_worker(running.pid())?;
    let finished = running.wait()?;
    ensure!(finished.code == Some(0), "{finished:?}");
    ensure!(victim.text()? == Text::Original, "the victim's text after");
    for told in [&finished.stdout, &finished.stderr] {
        ensure!(!told.contains(SECRET), "{told}");
    }
    let mut lines = lines(&finished)?;
    let end = lines.pop().context("no end")?;
    let whole: Vec<&Value> = lines.iter().filter(|line| line["end"] == "clean").collect();
    ensure!(
        lines.iter().all(|line| line["pid"] == victim.pid()),
        "{lines:?}"
    );
    let of = |path: &str| {
        let found: Vec<&&Value> = whole.iter().filter(|line| line["path"] == path).collect();
        ensure!(found.len() >= 2, "{path}: {lines:?}");
        Ok(found)
    };
    let chat = of("/v1/chat/completions")?;
    let expected = |line: &Value| {
        line["model"] == "gpt-4o"
            && line["status"] == 200
            && line["through"] == "tls"
            && line["host"] == format!("127.0.0.1:{}", stage.tls)
    };
    ensure!(chat.iter().all(|line| expected(line)), "{chat:?}");
    for line in of("/v1/messages")? {
        let stream = &line["stream"];
        let took = line["took_ms"].as_u64().unwrap_or_default();
        ensure!(
            stream["records"] == 5 && stream["mark"] == "[DONE]" && took >= 80,
            "{line}"
        );
    }
    let limited = of("/v1/limited")?;
    let refused = limited.iter().filter(|line| line["status"] == 429);
    ensure!(
        refused.clone().count() > 0 && refused.clone().all(|line| line["retry_after"] == "1"),
        "{limited:?}"
    );
    let gap = |line: &Value| line["retry"]["gap_ms"].as_u64().unwrap_or_default();
    ensure!(
        limited
            .iter()
            .any(|line| line["status"] == 200 && gap(line) >= 100),
        "{limited:?}"
    );
    ensure!(
        of("/plain")?.iter().all(|line| line["through"] == "plain"),
        "{lines:?}"
    );
    let cut = lines.iter().find(|line| line["path"] == "/cut");
    ensure!(cut.is_some_and(|line| line["end"] == "cut"), "{lines:?}");
    let requests = u64::try_from(lines.len())?;
    ensure!(end["requests"] == requests && end["lost"] == 0, "{end}");
    ensure!(
        bystander.works_on(SOON)? && victim.works_on(SOON)?,
        "clients"
    );
    Ok(())
}

fn children() -> Result<()> {
    let stage = Stage::new()?;
    let parent = stage.client("parent", "children")?;
    let pid = parent.pid().to_string();
    let words = ["observe", "--pid", &pid, "--tree", "--json", "--for", "4s"];
    let finished = stage.injector.once(&words)?;
    let lines = lines(&finished)?;
    let child = lines.iter().find(|line| line["path"] == "/child");
    ensure!(
        child.is_some_and(|line| line["through"] == "tls" && line["pid"] != parent.pid()),
        "{finished:?}"
    );
    Ok(())
}

fn ends() -> Result<()> {
    let stage = Stage::new()?;
    let victim = stage.client("victim", "all")?;
    let pid = victim.pid().to_string();
    let observe = || {
        let running = stage.injector.start_here(&["observe", "--pid", &pid])?;
        eventually("a probe in the victim", SOON, || {
            Ok((victim.text()? == Text::Probed).then_some(running.pid()))
        })?;
        Ok::<_, anyhow::Error>(running)
    };
    let finished = observe()?.interrupt()?;
    ensure!(
        finished.code == Some(0) && finished.stdout.contains(" request"),
        "{finished:?}"
    );
    ensure!(victim.text()? == Text::Original, "after Ctrl-C");
    let killed = observe()?;
    send(killed.pid(), Signal::KILL)?;
    eventually("the victim's own text", SOON, || {
        Ok((victim.text()? == Text::Original).then_some(()))
    })?;
    ensure!(victim.works_on(SOON)?, "the victim stands");
    drop(killed);
    // The target's end is that of the look.
    let running = observe()?;
    drop(victim);
    let finished = running.wait()?;
    ensure!(
        finished.code == Some(0) && finished.stdout.contains("its last process has ended"),
        "{finished:?}"
    );
    Ok(())
}

/// What a pipe takes where nothing is set: 16 pages (pipe(7)).
const PIPE: usize = 65_536;

fn unread() -> Result<()> {
    let stage = Stage::new()?;
    let victim = stage.client("victim", "all")?;
    let pid = victim.pid().to_string();
    // No reader takes anything from it, and the writer is held open.
    let (_reader, mut writer) = pipe()?;
    writer.write_all(&vec![b'\n'; PIPE])?;
    let words = ["observe", "--pid", &pid, "--json", "--for", "1s"];
    let mut command = stage.injector.command(&words);
    let mut observing = command
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start injector")?;
    let ended = eventually("the look's end", SOON, || Ok(observing.try_wait()?));
    if ended.is_err() {
        observing.kill()?;
        observing.wait()?;
    }
    ensure!(ended?.success(), "it has found nothing wrong");
    ensure!(victim.text()? == Text::Original, "the victim's text after");
    Ok(())
}
