//! The whole picture: which rows of which section, on a terminal of this size.

use injector_spec::experiment::ProbeRole;
use ratatui_core::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

use super::board::Board;
use crate::page::{Line, Role};

/// Rows that belong together.
struct Section {
    head: &'static str,
    rows: Vec<Line>,
    /// The row that is to be seen whichever are not.
    focus: usize,
    /// How many are shown.
    shown: usize,
}

impl Section {
    fn new(head: &'static str, (rows, focus): (Vec<Line>, usize)) -> Self {
        Self {
            head,
            rows,
            focus,
            shown: 0,
        }
    }

    /// The rows that it takes: those that are shown, and its head.
    const fn height(&self) -> usize {
        match self.shown {
            0 => 0,
            shown => shown + 1,
        }
    }

    fn lines(&self) -> Vec<Line> {
        if self.shown == 0 {
            return Vec::new();
        }
        let count = self.rows.len();
        let from = self
            .focus
            .saturating_sub(self.shown / 2)
            .min(count - self.shown);
        let to = from + self.shown;
        let head = Line::all(Role::Strong, self.head);
        let head = if self.shown < count {
            let shown = match self.shown {
                1 => to.to_string(),
                _ => format!("{}-{to}", from + 1),
            };
            head.and(Role::Dim, format!(" {shown} of {count}"))
        } else {
            head
        };
        std::iter::once(head)
            .chain(self.rows[from..to].iter().cloned())
            .collect()
    }
}

impl Board {
    /// The rows of a terminal of this size, from its first to its last, at this time on the boot clock.
    pub(super) fn picture(&self, now: u64, width: usize, height: usize) -> Vec<Line> {
        let mut rows = Vec::new();
        let keys = self.keys(width);
        let status = self.status(now, width);
        let mut room = height;
        let mut title = Vec::new();
        // The last row is for the keys, the one before it for the time that is left; the title comes after these.
        if height >= 6 {
            title = self.title(width);
        }
        room = room.saturating_sub(title.len() + 2);
        let gate = self.gate(width).filter(|_| room > 0);
        room = room.saturating_sub(usize::from(gate.is_some()));
        let mut sections = self.sections(now, width);
        let blank = share(&mut sections, room);
        rows.extend(title);
        if height > 1 {
            rows.push(status);
        }
        rows.extend(gate);
        for section in sections.iter().filter(|section| section.shown > 0) {
            if blank {
                rows.push(Line::new());
            }
            rows.extend(section.lines());
        }
        while rows.len() + 1 < height {
            rows.push(Line::new());
        }
        rows.push(keys);
        rows.truncate(height);
        rows
    }

    /// In the order in which they stand.
    fn sections(&self, now: u64, width: usize) -> Vec<Section> {
        let of = |role: ProbeRole| (self.probes(|trace| trace.probe.role == role, width), 0);
        vec![
            Section::new("Steps", self.steps(now, width)),
            Section::new("Target", of(ProbeRole::SteadyState)),
            Section::new("Controls", of(ProbeRole::Control)),
            Section::new("Faults", self.hits(width)),
            Section::new("Limits", (self.used_up(width), 0)),
            Section::new("Told", (self.told(width), self.news.len())),
        ]
    }

    /// Draws it.
    pub fn draw(&self, now: u64, area: Rect, buffer: &mut Buffer) {
        let picture = self.picture(now, usize::from(area.width), usize::from(area.height));
        for (y, line) in (area.y..).zip(picture) {
            let mut x = area.x;
            for (role, text) in line.parts() {
                let room = usize::from(area.right().saturating_sub(x));
                (x, _) = buffer.set_stringn(x, y, text, room, style(role));
            }
        }
    }
}

/// Gives rows to sections: one to each, the first first, then one more to each that has more. Says whether there is room
/// for blank rows between them.
fn share(sections: &mut [Section], room: usize) -> bool {
    let used = |sections: &[Section]| sections.iter().map(Section::height).sum::<usize>();
    loop {
        let mut has_grown = false;
        for index in 0..sections.len() {
            let section = &sections[index];
            if section.shown == section.rows.len() {
                continue;
            }
            let more = if section.shown == 0 { 2 } else { 1 };
            if used(sections) + more <= room {
                sections[index].shown += 1;
                has_grown = true;
            }
        }
        if !has_grown {
            break;
        }
    }
    let shown = sections.iter().filter(|section| section.shown > 0).count();
    used(sections) + shown <= room
}

/// The sixteen colours alone, which a person's terminal has chosen to be readable.
const fn style(role: Role) -> Style {
    let style = Style::new();
    match role {
        Role::Plain => style,
        Role::Strong => style.add_modifier(Modifier::BOLD),
        Role::Good => style.fg(Color::Green),
        Role::Doubtful => style.fg(Color::Yellow),
        Role::Bad => style.fg(Color::Red).add_modifier(Modifier::BOLD),
        Role::Dim => style.add_modifier(Modifier::DIM),
    }
}
