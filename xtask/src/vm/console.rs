//! Reading what a guest prints on its serial line.
//!
//! `init.sh` prints one mark before the command and one after it. What stands outside belongs to the
//! firmware and the kernel, and matters only where the marks are missing.

/// How a boot went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The command ran and returned this.
    Exit(i32),
    /// QEMU's emulation lost a race: a breakpoint of code patching was hit that is not there any more
    /// (`Oops: int3` with QEMU up to 8.0). Not the kernel's fault; another boot will do.
    QemuRace,
    /// The kernel died or hung, in its own words.
    KernelDied(String),
    /// The machine went away before the command began: no kernel, no memory, no processor.
    NeverBegan,
    /// The machine went away while the command ran.
    BrokeOff,
    /// Nothing of that in time.
    TooSlow,
}

const BEGIN: &str = "injector-vm: begin ";
const EXIT: &str = "injector-vm: exit ";
const RACE: &str = "Oops: int3";
const DEATHS: [&str; 3] = ["Kernel panic", "soft lockup", "Oops:"];

/// Collects lines as they come.
#[derive(Debug, Default)]
pub(super) struct Console {
    /// `uname -r`, once the command has begun.
    pub(super) release: Option<String>,
    /// What the command printed.
    pub(super) output: String,
    exit: Option<i32>,
    race: bool,
    death: Option<String>,
}

impl Console {
    /// Takes a line; true if it is one of the command's.
    pub(super) fn take(&mut self, line: &str) -> bool {
        if line.contains(RACE) {
            self.race = true;
        }
        if self.death.is_none() && DEATHS.iter().any(|sign| line.contains(sign)) {
            self.death = Some(line.trim().to_owned());
        }
        if let Some((_, release)) = line.split_once(BEGIN) {
            self.release = Some(release.trim().to_owned());
            return false;
        }
        if self.release.is_none() || self.exit.is_some() {
            return false;
        }
        // The command may have left its last line open.
        if let Some((open, code)) = line.split_once(EXIT) {
            self.output.push_str(open);
            self.exit = code.trim().parse().ok();
            return false;
        }
        self.output.push_str(line);
        self.output.push('\n');
        true
    }

    /// The verdict, given that no more lines will come; `in_time` unless the deadline ended it.
    pub(super) fn end(&self, in_time: bool) -> End {
        match (self.exit, &self.death) {
            (Some(code), _) => End::Exit(code),
            (None, _) if self.race => End::QemuRace,
            (None, Some(words)) => End::KernelDied(words.clone()),
            (None, None) if !in_time => End::TooSlow,
            (None, None) if self.release.is_none() => End::NeverBegan,
            (None, None) => End::BrokeOff,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Console {
        let mut console = Console::default();
        for line in text.lines() {
            console.take(line);
        }
        console
    }

    #[test]
    fn only_the_commands_lines_are_kept() {
        let console = read(
            "SeaBIOS\n\u{1b}[2Jinjector-vm: begin 6.12.1-cloud\none\ntwo\n\
             openinjector-vm: exit 3\n[ 9.1] reboot: Power down\n",
        );
        assert_eq!(console.release.as_deref(), Some("6.12.1-cloud"));
        assert_eq!(console.output, "one\ntwo\nopen");
        assert_eq!(console.end(true), End::Exit(3));
    }

    #[test]
    fn a_race_of_qemu_is_no_death_of_the_kernel() {
        let text = "[ 0.1] Oops: int3: 0000 [#1]\n[ 0.2] Kernel panic - not syncing: Fatal\n";
        assert_eq!(read(text).end(true), End::QemuRace);
    }

    #[test]
    fn a_panic_is_told_in_its_own_words() {
        let died = End::KernelDied("[ 0.2] Kernel panic - not syncing: no init".into());
        let text = "injector-vm: begin 6\n[ 0.2] Kernel panic - not syncing: no init\n\
                    [ 0.3] ---[ end Kernel panic - not syncing: no init ]---\n";
        assert_eq!(read(text).end(true), died);
        assert_eq!(read(text).end(false), died);
    }

    #[test]
    fn silence_is_told_apart() {
        assert_eq!(read("SeaBIOS\n").end(true), End::NeverBegan);
        assert_eq!(read("SeaBIOS\n").end(false), End::TooSlow);
        assert_eq!(read("injector-vm: begin 6\nx\n").end(true), End::BrokeOff);
    }

    #[test]
    fn a_hiccup_that_the_command_survived_is_no_death() {
        let text =
            "injector-vm: begin 6\nwatchdog: BUG: soft lockup - CPU#0\ninjector-vm: exit 0\n";
        assert_eq!(read(text).end(true), End::Exit(0));
    }
}
