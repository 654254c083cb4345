//! The table fault × kernel: what was seen, and what the book says.
//!
//! Its page on kernels carries the table between two marks. It is written by `cargo xtask vm table --write`, and every
//! later run on a kernel must see what it says there, so that it cannot grow old unnoticed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use anyhow::Result;

use super::{
    matrix::Matrix,
    verdict::{Verdict, Verdicts},
};
use crate::{page::Page, paths::Project};

const PAGE: Page = Page {
    path: "docs/src/kernels.md",
    begin: "<!-- faults by kernel: `cargo xtask vm table --write` writes this table -->\n\n",
    end: "\n<!-- end of faults by kernel -->\n",
};

/// What a fault comes to on a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Works,
    /// Refused by name; the kernel lacks this.
    Refused(String),
    /// Neither: a defect, or a test that a slow machine spoilt.
    Failed,
    /// No run has tried it.
    Untried,
}

/// Fault to what it comes to, on one kernel.
pub(super) type Column = BTreeMap<String, Cell>;

/// Kernels in order, and their columns.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    columns: Vec<(String, Column)>,
}

impl Table {
    /// The table of the book.
    pub(super) fn of_book(project: &Project) -> Result<Self> {
        Ok(Self::parse(&PAGE.written(project)?))
    }

    /// Puts this table into the book.
    pub(super) fn write(&self, project: &Project) -> Result<()> {
        PAGE.write(project, &self.to_string())
    }

    /// Replaces a kernel's column, or adds it.
    pub(super) fn set(&mut self, kernel: &str, column: Column) {
        match self.columns.iter_mut().find(|(name, _)| name == kernel) {
            Some((_, old)) => *old = column,
            None => self.columns.push((kernel.to_owned(), column)),
        }
    }

    /// Replaces the columns that another table has, too.
    pub(super) fn take_over(&mut self, other: Self) {
        for (kernel, column) in other.columns {
            self.set(&kernel, column);
        }
    }

    /// Every fault that was tried works or is refused by name.
    pub(super) fn is_answered(&self) -> bool {
        let mut cells = self.columns.iter().flat_map(|(_, column)| column.values());
        cells.all(|cell| matches!(cell, Cell::Works | Cell::Refused(_)))
    }

    /// Brings the columns into this order; kernels that are not in it go.
    pub(super) fn arrange(&mut self, kernels: &[String]) {
        self.columns.retain(|(name, _)| kernels.contains(name));
        self.columns
            .sort_by_key(|(name, _)| kernels.iter().position(|kernel| kernel == name));
    }

    /// The kernels that it has columns for.
    pub(super) fn kernels(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Every fault that any column knows.
    pub(super) fn faults(&self) -> BTreeSet<&str> {
        let columns = self.columns.iter();
        columns
            .flat_map(|(_, column)| column.keys().map(String::as_str))
            .collect()
    }

    /// In how far what was seen on a kernel is not what this table says, a sentence each.
    pub(super) fn contradictions(&self, kernel: &str, seen: &Column) -> Vec<String> {
        let said = self.columns.iter().find(|(name, _)| name == kernel);
        seen.iter()
            .filter_map(|(fault, cell)| {
                let said = said.and_then(|(_, column)| column.get(fault));
                (said != Some(cell)).then(|| {
                    let said = said.map_or_else(|| "nothing".into(), ToString::to_string);
                    format!("{fault}: seen `{cell}`, and the table of kernels says `{said}`")
                })
            })
            .collect()
    }

    fn parse(text: &str) -> Self {
        let mut rows = text.lines().map(|line| {
            let cells = line.trim().trim_matches('|').split('|');
            cells.map(str::trim).collect::<Vec<_>>()
        });
        let heading = rows.next().unwrap_or_default();
        let mut columns: Vec<(String, Column)> = heading
            .into_iter()
            .skip(1)
            .map(|kernel| (kernel.to_owned(), Column::new()))
            .collect();
        // The second line only draws.
        for row in rows.skip(1) {
            let Some((fault, cells)) = row.split_first() else {
                continue;
            };
            for ((_, column), cell) in columns.iter_mut().zip(cells) {
                column.insert(fault.trim_matches('`').to_owned(), Cell::parse(cell));
            }
        }
        Self { columns }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = ["fault"].into_iter().chain(self.kernels());
        let mut matrix = Matrix::new(heading);
        for fault in self.faults() {
            let cells = self.columns.iter().map(|(_, column)| {
                let cell = column.get(fault).unwrap_or(&Cell::Untried);
                cell.to_string()
            });
            matrix.row([format!("`{fault}`")].into_iter().chain(cells));
        }
        matrix.fmt(formatter)
    }
}

const YES: &str = "yes";
const NO: &str = "no: ";
const FAILED: &str = "failed";
const UNTRIED: &str = "?";

impl Cell {
    fn parse(text: &str) -> Self {
        match text {
            YES => Self::Works,
            FAILED => Self::Failed,
            other => other
                .strip_prefix(NO)
                .map_or(Self::Untried, |lack| Self::Refused(lack.to_owned())),
        }
    }

    /// Of two tests about one fault, the worse one counts.
    fn and(self, other: Self) -> Self {
        let badness = |cell: &Self| match cell {
            Self::Untried => 0,
            Self::Works => 1,
            Self::Refused(_) => 2,
            Self::Failed => 3,
        };
        if badness(&self) >= badness(&other) {
            self
        } else {
            other
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => formatter.write_str(YES),
            Self::Refused(lack) => write!(formatter, "{NO}{lack}"),
            Self::Failed => formatter.write_str(FAILED),
            Self::Untried => formatter.write_str(UNTRIED),
        }
    }
}

/// What tests saw of each fault.
pub(super) fn column(verdicts: &Verdicts) -> Column {
    let mut column = Column::new();
    for (test, fault) in &verdicts.shows {
        let cell = match verdicts.tests.get(test) {
            Some(Verdict::Passed) => Cell::Works,
            Some(Verdict::Refused(lack)) => Cell::Refused(lack.clone()),
            Some(Verdict::Failed(_)) => Cell::Failed,
            Some(Verdict::Skipped(_)) | None => Cell::Untried,
        };
        let before = column.remove(fault).unwrap_or(Cell::Untried);
        column.insert(fault.clone(), before.and(cell));
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::{catalogue, local};

    fn column_of(cells: &[(&str, Cell)]) -> Column {
        let owned = cells
            .iter()
            .map(|(fault, cell)| ((*fault).into(), cell.clone()));
        owned.collect()
    }

    fn table() -> Table {
        let mut table = Table::default();
        let refused = Cell::Refused("tcx".into());
        table.set(
            "6.1",
            column_of(&[("net connect", Cell::Works), ("net delay", refused)]),
        );
        table.set("6.12", column_of(&[("net delay", Cell::Works)]));
        table
    }

    #[test]
    fn what_is_written_is_read_back() {
        let read = Table::parse(&table().to_string());
        assert_eq!(read.to_string(), table().to_string());
        assert_eq!(read.columns[0], table().columns[0]);
        assert_eq!(read.columns[1].1["net connect"], Cell::Untried);
    }

    #[test]
    fn what_was_seen_must_be_what_is_said() {
        let refused = |lack: &str| column_of(&[("net delay", Cell::Refused(lack.into()))]);
        assert!(table().contradictions("6.1", &refused("tcx")).is_empty());
        for (kernel, column) in [
            ("6.1", refused("tap")),
            ("6.1", column_of(&[("net delay", Cell::Works)])),
            ("6.1", column_of(&[("net new", Cell::Works)])),
            ("9.9", refused("tcx")),
        ] {
            assert_eq!(table().contradictions(kernel, &column).len(), 1, "{kernel}");
        }
    }

    #[test]
    fn the_worst_test_makes_the_cell() {
        let refused = Cell::Refused("tcx".into());
        assert_eq!(Cell::Works.and(refused.clone()), refused);
        assert_eq!(Cell::Failed.and(refused), Cell::Failed);
        assert_eq!(Cell::Untried.and(Cell::Works), Cell::Works);
    }

    #[test]
    fn only_the_table_is_replaced() {
        let text = format!("a\n{}| old |\n{}b\n", PAGE.begin, PAGE.end);
        assert_eq!(PAGE.parts(&text).unwrap(), ("a\n", "| old |\n", "b\n"));
        assert!(PAGE.parts("no marks").is_err());
    }

    /// The rows are checked by injector's own tests, which know the faults.
    #[test]
    fn the_book_has_a_column_for_every_kernel() {
        let text = include_str!("../../../docs/src/kernels.md");
        let table = Table::parse(PAGE.parts(text).unwrap().1);
        let mut columns: Vec<String> = catalogue::known().into_iter().map(|it| it.name).collect();
        columns.push(local::RESTRICTED.into());
        assert_eq!(table.kernels().collect::<Vec<_>>(), columns);
        assert!(table.is_answered(), "{table}");
    }
}
