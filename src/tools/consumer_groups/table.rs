//! Rows under titles.

use std::io::{self, Write};

use Width::{AtLeast, Fixed};

/// How wide a column is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Width {
    Fixed(usize),
    /// As its longest text, without the title, and no less than so much.
    AtLeast(usize),
}

/// A column: its title, its width, whether it is shown.
pub(super) type Column = (&'static str, Width, bool);

/// The least width of a column of names.
pub(super) const NAMES_WIDTH: usize = 15;

/// A column of names.
pub(super) const fn names(title: &'static str) -> Column {
    (title, AtLeast(NAMES_WIDTH), true)
}

/// The titles and the rows, each as a line.
pub(super) fn lines<const N: usize>(columns: [Column; N], rows: Vec<[String; N]>) -> Vec<String> {
    // Java counts the units of UTF-16.
    let length = |text: &String| text.encode_utf16().count();
    let widths = std::array::from_fn(|at| match columns[at].1 {
        Fixed(width) => width,
        AtLeast(width) => rows.iter().map(|row| length(&row[at])).fold(width, usize::max),
    });
    let line = |row: [String; N]| {
        let cells = row.into_iter().zip(widths as [usize; N]).zip(columns);
        let cells = cells.filter(|(_, (.., is_shown))| *is_shown);
        cells.map(|((cell, width), _)| format!("{cell:width$}")).collect::<Vec<_>>().join(" ")
    };
    [columns.map(|(title, ..)| title.to_owned())].into_iter().chain(rows).map(line).collect()
}

/// Prints a table with an empty line before it.
pub(super) fn print<const N: usize>(
    out: &mut dyn Write,
    columns: [Column; N],
    rows: Vec<[String; N]>,
) -> io::Result<()> {
    writeln!(out, "\n{}", lines(columns, rows).join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_texts() {
        let columns = [("A", AtLeast(1), true), ("B", Fixed(9), false), ("C", Fixed(2), true)];
        let row = |text: &str| [text.to_owned(), "hidden".to_owned(), text.to_owned()];
        assert_eq!(lines(columns, vec![row("abc"), row("d")]), ["A   C ", "abc abc", "d   d "]);
    }
}
