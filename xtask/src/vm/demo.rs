//! `cargo xtask demo --vm`: the demo in a virtual machine, whose root is enough.

use std::process::ExitCode;

use anyhow::Result;

use super::{BRIEF, Kernels, Visit, console::End};
use crate::{
    build::{self, BpfDebug},
    paths::Project,
    process::announce,
};

/// The newest of the stock kernels: every fault works there.
const KERNEL: &str = "debian-7.3";

/// Builds, boots, and shows the demo on a kernel of the catalogue or of a path.
pub(crate) fn run(project: &Project, kernel: Option<&str>) -> Result<ExitCode> {
    build::product(project, BpfDebug::Silent)?;
    let kernels = Kernels {
        wanted: vec![kernel.unwrap_or(KERNEL).to_owned()],
    };
    // The demo reads its experiment from where it stands, and looks for its neighbours beside itself. A
    // serial line is no terminal that could redraw a line, so the demo must not take it for one.
    let script = format!(
        "set -o pipefail\ncd {}\nexport INJECTOR_BIN=/injector/release/injector\n\
         /injector/release/demo | cat\n",
        super::quoted(&project.root().to_string_lossy())
    );
    let visits = super::visit(
        project,
        &kernels,
        super::watched("demo", BRIEF),
        |initramfs| {
            for name in ["injector", "victim", "demo"] {
                initramfs.program(&format!("/injector/release/{name}"), &project.binary(name));
            }
            initramfs.same(&project.root().join("configs"))?;
            initramfs.command(&script);
            Ok(())
        },
    )?;
    let mut code = ExitCode::SUCCESS;
    for (kernel, visit) in visits {
        match visit {
            Visit::Ran(ended) if ended.end == End::Exit(0) => {}
            Visit::Ran(ended) => {
                announce(&format!("the demo on {kernel} ended with {:?}", ended.end));
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
