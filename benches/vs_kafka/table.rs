//! What was measured: figures by column, and what they should be.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// Who was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    Ottla,
    /// The same binary once more: how far it is from [`Column::Ottla`] is what the figures are worth.
    Again,
    Kafka,
    /// What any broker must do; see [`crate::floor`].
    Floor,
    /// A broker whose address was given.
    Other,
}

impl fmt::Display for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ottla => "Ottla",
            Self::Again => "Ottla again",
            Self::Kafka => "Kafka",
            Self::Floor => "floor",
            Self::Other => "other",
        })
    }
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Than {
    /// A number in the figure's own unit.
    Number(f64),
    /// So many times Kafka's.
    Kafka(f64),
    /// So many times the floor's.
    Floor(f64),
    /// So many times what the machine can do, which was measured in the same run.
    Limit(f64, f64),
}

/// What Ottla's figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aim {
    AtMost(Than),
    AtLeast(Than),
}

impl Aim {
    /// Whether it is met; None if what it is compared with was not measured.
    fn is_met(self, figure: &Figure) -> Option<bool> {
        let of = |column| figure.values.get(&column).copied();
        let ours = of(Column::Ottla)?;
        let bound = |than| match than {
            Than::Number(number) => Some(number),
            Than::Kafka(times) => Some(times * of(Column::Kafka)?),
            Than::Floor(times) => Some(times * of(Column::Floor)?),
            Than::Limit(times, limit) => Some(times * limit),
        };
        Some(match self {
            Self::AtMost(than) => ours <= bound(than)?,
            Self::AtLeast(than) => ours >= bound(than)?,
        })
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::AtMost(than) | Self::AtLeast(than)) = self;
        formatter.write_str(if matches!(self, Self::AtMost(_)) { "≤ " } else { "≥ " })?;
        match than {
            Than::Number(number) => write!(formatter, "{number}"),
            Than::Kafka(times) => write!(formatter, "{} × Kafka", digits(*times)),
            Than::Floor(times) => write!(formatter, "{} × floor", digits(*times)),
            Than::Limit(times, limit) => {
                write!(formatter, "{} × {}", digits(*times), digits(*limit))
            }
        }
    }
}

/// One line of a table: what was measured, with its unit in the name.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    name: String,
    aims: Vec<Aim>,
    values: BTreeMap<Column, f64>,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, aims: &[Aim]) -> Self {
        Self { name: name.into(), aims: aims.to_vec(), values: BTreeMap::new() }
    }

    /// The value of each column that has one.
    pub(crate) fn of(
        name: impl Into<String>,
        aims: &[Aim],
        values: impl IntoIterator<Item = (Column, Option<f64>)>,
    ) -> Self {
        let mut figure = Self::new(name, aims);
        for (column, value) in values {
            figure.values.extend(value.map(|value| (column, value)));
        }
        figure
    }

    /// The middle of the rounds of each column; none where a round has no value.
    pub(crate) fn medians<'a, T: 'a>(
        name: impl Into<String>,
        aims: &[Aim],
        rounds: impl IntoIterator<Item = (Column, &'a Vec<T>)>,
        value: impl Fn(&T) -> Option<f64>,
    ) -> Self {
        let middle = |rounds: &Vec<T>| rounds.iter().map(&value).collect::<Option<_>>().map(median);
        Self::of(name, aims, rounds.into_iter().map(|(column, rounds)| (column, middle(rounds))))
    }

    /// The value of one column.
    pub(crate) fn set(&mut self, column: Column, value: f64) {
        self.values.insert(column, value);
    }

    fn ratio(&self) -> Option<f64> {
        let kafka = self.values.get(&Column::Kafka).filter(|kafka| **kafka != 0.0)?;
        Some(self.values.get(&Column::Ottla)? / kafka)
    }

    /// "met" or "missed" for each aim that can be told.
    fn verdict(&self) -> String {
        let tell = |aim: &Aim| {
            aim.is_met(self).map(|met| format!("{aim}: {}", if met { "met" } else { "missed" }))
        };
        self.aims.iter().filter_map(tell).collect::<Vec<_>>().join("; ")
    }
}

/// Figures that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// How it was measured, for a reader who wants to judge it.
    pub(crate) method: String,
    pub(crate) figures: Vec<Figure>,
}

impl Section {
    /// The values of columns that have the same rows in the same order, without an aim.
    pub(crate) fn of_rows(
        title: &'static str,
        method: &str,
        columns: Vec<(Column, Vec<crate::Row>)>,
    ) -> Self {
        let mut figures: Vec<Figure> = Vec::new();
        for (column, rows) in columns {
            for (name, value) in rows {
                let place = figures.iter().position(|figure| figure.name == name);
                let place = place.unwrap_or_else(|| {
                    figures.push(Figure::new(name, &[]));
                    figures.len() - 1
                });
                figures[place].set(column, value);
            }
        }
        Self { title, method: method.to_owned(), figures }
    }

    /// The section as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let with = |column: &Column| self.figures.iter().any(|one| one.values.contains_key(column));
        let all = [Column::Ottla, Column::Again, Column::Kafka, Column::Floor, Column::Other];
        let columns: Vec<Column> = all.into_iter().filter(with).collect();
        let has_aims = self.figures.iter().any(|figure| !figure.aims.is_empty());
        let mut text = format!("## {}\n\n{}\n\n| |", self.title, self.method.trim());
        for column in &columns {
            write!(text, " {column} |").expect("a String takes everything");
        }
        text.push_str(if columns.contains(&Column::Kafka) { " Ottla / Kafka |" } else { "" });
        text.push_str(if has_aims { " aim |\n" } else { "\n" });
        let rules = text.lines().last().unwrap_or("").matches('|').count() - 2;
        writeln!(text, "|---|{}", "---:|".repeat(rules)).expect("a String takes everything");
        for figure in &self.figures {
            write!(text, "| {} |", figure.name).expect("a String takes everything");
            for column in &columns {
                let value = figure.values.get(column).map_or("–".to_owned(), |one| digits(*one));
                write!(text, " {value} |").expect("a String takes everything");
            }
            if columns.contains(&Column::Kafka) {
                let ratio = figure.ratio().map_or("–".to_owned(), digits);
                write!(text, " {ratio} |").expect("a String takes everything");
            }
            if has_aims {
                write!(text, " {} |", figure.verdict()).expect("a String takes everything");
            }
            text.push('\n');
        }
        text
    }
}

/// "1 partition", "16 partitions"
pub(crate) fn partitions_of(count: i32) -> String {
    format!("{count} partition{}", if count == 1 { "" } else { "s" })
}

/// A number with three significant digits.
fn digits(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || size >= 100.0 {
        return format!("{value:.0}");
    }
    let decimals = 2 - size.log10().floor() as i32;
    format!("{value:.*}", decimals.clamp(0, 6) as usize)
}

/// The middle of some values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
