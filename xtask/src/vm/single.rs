//! One program of ours in a virtual machine: a campaign, a bench.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;

use super::{Kernels, Visit, console::End};
use crate::{paths::Project, process::announce};

/// As long as a soak may take on an emulated processor.
const LONGEST: Duration = Duration::from_mins(90);

/// What is run inside.
pub(crate) struct Guest<'g> {
    /// The program; the injector and its victims are there too.
    pub(crate) program: &'g str,
    /// Its words.
    pub(crate) words: &'g [String],
    /// Programs of this host that it starts.
    pub(crate) tools: &'g [PathBuf],
}

/// Boots, and runs it.
pub(crate) fn run(project: &Project, kernel: &str, guest: &Guest<'_>) -> Result<ExitCode> {
    let kernels = Kernels {
        wanted: vec![kernel.to_owned()],
    };
    let program = guest.program;
    let words: Vec<String> = guest.words.iter().map(|word| super::quoted(word)).collect();
    let script = format!(
        "export INJECTOR_BIN=/injector/release/injector\n/injector/release/{program} {} 2>&1\n",
        words.join(" ")
    );
    let visits = super::visit(
        project,
        &kernels,
        super::watched(program, LONGEST),
        |initramfs| {
            for name in ["injector", "victim", program] {
                initramfs.program(&format!("/injector/release/{name}"), &project.binary(name));
            }
            for tool in guest.tools {
                if let Some(name) = tool.file_name() {
                    initramfs.program(&format!("/bin/{}", name.to_string_lossy()), tool);
                }
            }
            initramfs.command(&script);
            Ok(())
        },
    )?;
    let mut code = ExitCode::SUCCESS;
    for (kernel, visit) in visits {
        match visit {
            Visit::Ran(ended) if ended.end == End::Exit(0) => {}
            Visit::Ran(ended) => {
                announce(&format!("{program} on {kernel} ended with {:?}", ended.end));
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
