//! The tables of the demo, made for 100 columns.

use crate::programme::Programme;
use crate::stage::Stage;
use crate::story::{Figures, Story};
use crate::style::{Look, paint, say, time};

/// Who takes part.
pub(crate) fn opening(stage: &Stage, programme: &Programme) {
    println!(
        "\n{}\n",
        paint(Look::Strong, "An agent, its model API, and a bad day")
    );
    println!(
        "  model API    http://{}, answers in about 5 ms",
        stage.api()
    );
    say(&format!("  agent        {}", stage.agent_cgroup()));
    say(&format!("  bystander    {}", stage.bystander_cgroup()));
    say(&format!("  experiment   {}", programme.experiment));
    if let Some(reason) = &programme.left_out {
        say(&format!("  left out     system calls: {reason}"));
    }
    println!();
}

/// Calls by phase, agent and bystander side by side.
pub(crate) fn phases(story: &Story) {
    println!();
    let heading = format!("  {:<11} {:^40}   {:^40}", "", "agent", "bystander");
    println!("{}", paint(Look::Strong, heading.trim_end()));
    let columns = format!(
        "{:>6} {:>6} {:>7} {:>9} {:>8}",
        "calls", "failed", "retries", "p50", "p99"
    );
    println!(
        "{}",
        paint(
            Look::Faint,
            &format!("  {:<11} {columns}   {columns}", "phase")
        )
    );
    for phase in &story.phases {
        let (agent, bystander) = (phase.figures(&story.agent), phase.figures(&story.bystander));
        println!("  {:<11} {}   {}", phase.name, row(&agent), row(&bystander));
    }
    for phase in &story.phases {
        let reasons = phase.figures(&story.agent).reasons;
        if !reasons.is_empty() {
            let words: Vec<String> = reasons
                .iter()
                .map(|(reason, count)| format!("{count} {reason}"))
                .collect();
            let text = format!("  attempts of the agent that failed in {}: ", phase.name);
            println!("{}{}", paint(Look::Faint, &text), words.join(", "));
        }
    }
}

fn row(figures: &Figures) -> String {
    format!(
        "{:>6} {:>6} {:>7} {:>9} {:>8}",
        figures.calls,
        figures.failed,
        figures.retries,
        time(figures.p50_ns),
        time(figures.p99_ns)
    )
}
