//! A virtual machine under QEMU.
//!
//! KVM is tried first where there is a `/dev/kvm`, because only a boot shows whether it works: nested
//! in another machine it often opens and then fails, and QEMU then keeps a machine that stands still.
//! The first boot that never begins under KVM turns it off for the rest of the run. Emulation uses one
//! host thread: with several, QEMU up to 8.0 loses a race of code patching in some boots.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::{
    fs::{Access, access},
    process::{Signal, set_parent_process_death_signal},
};

use super::{
    catalogue::Kernel,
    console::{Console, End},
};
use crate::process::{self, announce};

const QEMU: &str = "qemu-system-x86_64";

/// From power on to the command. Under emulation it takes 2 to 3 s on an idle host.
const BOOT: Duration = Duration::from_mins(2);
/// The same under KVM, where it takes less than 1 s or does not come at all.
const BOOT_WITH_KVM: Duration = Duration::from_secs(20);

/// Words for a kernel whose processor is emulated; they more than halve what its tests cost (2.2 s of a CPU in
/// place of 5.3 s for a test of an effect, Linux 6.12, QEMU 7.2). Programs lie at the same addresses in each process:
/// what QEMU has translated it finds again only there, and else it translates each program anew whenever one
/// starts. Page tables have four levels, which QEMU walks for each miss of its own small cache.
const CHEAPER: &str = " norandmaps no5lvl";

/// Memory of a guest, in MiB.
const MEMORY_MIB: u64 = 1024;

/// What part of a guest's memory its initramfs may be. The kernel keeps the archive until its files are made, and
/// those, too, are memory, of which a tmpfs takes half at most. Beyond, it leaves the last files out and goes on
/// (`unpack_to_rootfs`, init/initramfs.c): programs without a loader are then *not found*.
const MOST_OF_MEMORY: u64 = 3;

/// What QEMU says when the host's KVM cannot go on; the machine stands still then.
const KVM_GAVE_UP: &str = "KVM internal error";

/// Boots of one kernel: the first, one more without KVM, one more after a race of QEMU's.
const ATTEMPTS: usize = 3;

/// The machine, and what is known about its host.
pub(super) struct Machine {
    logs: PathBuf,
    /// Whether KVM is still thought to work.
    may_have_kvm: AtomicBool,
    presence: Presence,
    /// How long a guest may run.
    limit: Duration,
}

/// Whether the machine is what the caller waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is: what its command prints appears at once.
    Foreground,
    /// It runs beside other work, and prints into its log alone. It has the same share of a CPU as that: a guest whose
    /// processor stands still for 40 ms takes that for a fault.
    Background,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Accelerator {
    Kvm,
    Emulation,
}

/// A boot that has ended.
pub(super) struct Ended {
    pub(super) end: End,
    /// `uname -r`, if the guest got that far.
    pub(super) release: Option<String>,
    /// What the command printed.
    pub(super) output: String,
    /// Whether the processor was emulated, so that times mean little.
    pub(super) emulated: bool,
    pub(super) took: Duration,
}

/// An error says what is missing for any machine at all.
pub(super) fn ensure_qemu() -> Result<()> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "the kernels and the programs inside are for x86_64, and this machine is another"
    );
    process::answer(Command::new(QEMU).arg("--version"))
        .with_context(|| format!("there is no {QEMU}; run `apt-get install qemu-system-x86`"))?;
    Ok(())
}

/// Whether an archive of so many bytes leaves a guest room for its files.
fn ensure_fits(bytes: u64) -> Result<()> {
    const MIB: u64 = 1 << 20;
    let most = MEMORY_MIB / MOST_OF_MEMORY;
    ensure!(
        bytes <= most * MIB,
        "what should run inside is {} MiB, and a guest of {MEMORY_MIB} MiB takes {most}; leave debug information of \
         dependencies out of the build (`[profile.dev.package]` in Cargo.toml)",
        bytes / MIB
    );
    Ok(())
}

impl Machine {
    /// One that keeps all that its guests print below `logs`, and that ends them after `limit`.
    pub(super) fn new(logs: PathBuf, limit: Duration, presence: Presence) -> Result<Self> {
        fs::create_dir_all(&logs)
            .with_context(|| format!("{} could not be made", logs.display()))?;
        let has_kvm = access("/dev/kvm", Access::READ_OK | Access::WRITE_OK).is_ok();
        Ok(Self {
            logs,
            may_have_kvm: AtomicBool::new(has_kvm),
            presence,
            limit,
        })
    }

    /// Boots a kernel, passes on what the command prints, and waits for the end.
    pub(super) fn boot(&self, kernel: &Kernel, initramfs: &Path, log: &str) -> Result<Ended> {
        ensure_fits(fs::metadata(initramfs)?.len())?;
        let log = self.logs.join(format!("{log}.log"));
        let mut attempt = 1;
        loop {
            let accelerator = self.accelerator();
            let ended = self.attempt(kernel, initramfs, &log, accelerator)?;
            let again = match ended.end {
                End::NeverBegan if accelerator == Accelerator::Kvm => {
                    announce("KVM does not run this kernel here; emulating the processor instead");
                    self.may_have_kvm.store(false, Ordering::Relaxed);
                    true
                }
                End::QemuRace => {
                    announce("QEMU lost a race while the kernel patched itself; booting again");
                    true
                }
                _ => false,
            };
            if !again || attempt == ATTEMPTS {
                if self.presence == Presence::Foreground {
                    announce(&format!("all that it printed is in {}", log.display()));
                }
                return Ok(ended);
            }
            attempt += 1;
        }
    }

    fn accelerator(&self) -> Accelerator {
        if self.may_have_kvm.load(Ordering::Relaxed) {
            Accelerator::Kvm
        } else {
            Accelerator::Emulation
        }
    }

    fn attempt(
        &self,
        kernel: &Kernel,
        initramfs: &Path,
        log: &Path,
        accelerator: Accelerator,
    ) -> Result<Ended> {
        let started = Instant::now();
        let mut log =
            File::create(log).with_context(|| format!("{} could not be made", log.display()))?;
        let mut qemu = Running(
            command(kernel, initramfs, accelerator)
                .spawn()
                .with_context(|| format!("{QEMU} could not be started"))?,
        );
        let lines = lines(&mut qemu.0).context("the machine has no console")?;
        let mut console = Console::default();
        let in_time = loop {
            let limit = if console.release.is_some() {
                self.limit
            } else {
                accelerator.boots_within()
            };
            match lines.recv_timeout(limit.saturating_sub(started.elapsed())) {
                Ok(line) => {
                    writeln!(log, "{line}").context("a log could not be written")?;
                    if line.starts_with(KVM_GAVE_UP) {
                        break true;
                    }
                    if console.take(&line) && self.presence == Presence::Foreground {
                        println!("{line}");
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break true,
                // Under KVM a machine that does not begin stands still; emulation is tried then.
                Err(RecvTimeoutError::Timeout) => {
                    break accelerator == Accelerator::Kvm && console.release.is_none();
                }
            }
        };
        Ok(Ended {
            end: console.end(in_time),
            release: console.release,
            output: console.output,
            emulated: accelerator == Accelerator::Emulation,
            took: started.elapsed(),
        })
    }
}

fn command(kernel: &Kernel, initramfs: &Path, accelerator: Accelerator) -> Command {
    let accelerated_by = match accelerator {
        Accelerator::Kvm => "kvm",
        Accelerator::Emulation => "tcg,thread=single",
    };
    // A kernel that stumbles ends the machine at once instead of hanging until the deadline.
    let mut line = format!("console=ttyS0 quiet panic=-1 oops=panic {}", kernel.options);
    if accelerator == Accelerator::Emulation {
        line.push_str(CHEAPER);
    }
    let mut qemu = Command::new(QEMU);
    qemu.args([
        "-accel",
        accelerated_by,
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        &format!("{MEMORY_MIB}M"),
    ])
    .args(["-nographic", "-no-reboot", "-nic", "none"])
    .arg("-kernel")
    .arg(&kernel.image)
    .arg("-initrd")
    .arg(initramfs)
    .args(["-append", &line])
    .stdin(Stdio::null())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped());
    // SAFETY: between fork and exec only one system call is made; nothing allocates or takes a lock.
    unsafe {
        // A signal that kills this command means the machine too. The thread that starts it waits for its end.
        qemu.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    qemu
}

impl Accelerator {
    const fn boots_within(self) -> Duration {
        match self {
            Self::Kvm => BOOT_WITH_KVM,
            Self::Emulation => BOOT,
        }
    }
}

/// A process that does not outlive its guard.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already in the usual case, which is no error worth telling.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines of the console and of QEMU itself as they come, until the machine is gone.
fn lines(qemu: &mut Child) -> Option<Receiver<String>> {
    let (sender, receiver) = channel();
    pass_on(qemu.stdout.take()?, sender.clone());
    pass_on(qemu.stderr.take()?, sender);
    Some(receiver)
}

fn pass_on(stream: impl Read + Send + 'static, sender: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            // A serial line ends with a carriage return, and firmware prints what it likes.
            let line = String::from_utf8_lossy(&line)
                .trim_end_matches('\r')
                .to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_that_would_be_cut_is_refused() {
        assert!(ensure_fits(MEMORY_MIB << 20 >> 2).is_ok());
        let told = ensure_fits(400 << 20).unwrap_err().to_string();
        assert!(told.contains("400 MiB"), "{told}");
    }
}
