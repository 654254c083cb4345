//! `cargo xtask campaign NAME --kernel K`: the campaign in a virtual machine.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;

use super::{Kernels, Visit, console::End};
use crate::{paths::Project, process::announce};

/// As long as a soak may take on an emulated processor.
const LONGEST: Duration = Duration::from_mins(90);

/// Boots, and runs the program `campaign` with these words.
pub(crate) fn run(project: &Project, kernel: &str, words: &[String]) -> Result<ExitCode> {
    let kernels = Kernels {
        wanted: vec![kernel.to_owned()],
    };
    let words: Vec<String> = words.iter().map(|word| super::quoted(word)).collect();
    let script = format!(
        "export INJECTOR_BIN=/injector/release/injector\n/injector/release/campaign {} 2>&1\n",
        words.join(" ")
    );
    let visits = super::visit(project, &kernels, "campaign", LONGEST, |initramfs| {
        for name in ["injector", "victim", "campaign"] {
            initramfs.program(&format!("/injector/release/{name}"), &project.binary(name));
        }
        initramfs.command(&script);
        Ok(())
    })?;
    let mut code = ExitCode::SUCCESS;
    for (kernel, visit) in visits {
        match visit {
            Visit::Ran(ended) if ended.end == End::Exit(0) => {}
            Visit::Ran(ended) => {
                announce(&format!(
                    "the campaign on {kernel} ended with {:?}",
                    ended.end
                ));
                code = ExitCode::FAILURE;
            }
            Visit::Skipped(reason) => {
                announce(&format!("{kernel} cannot be had: {reason}"));
                code = ExitCode::from(2);
            }
        }
    }
    Ok(code)
}
