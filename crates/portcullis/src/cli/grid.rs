//! What the console answered, and how it is printed as a table or as JSON. It never asks anything and never
//! cuts a value in JSON.

use comfy_table::{Cell, Row};
use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentLineStyle, LineStyle, Table, TableStyle};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::visible;

/// Columns of a statement in a list where no terminal says how many there are.
const CUT: usize = 300;
/// A statement in a list is not cut below this.
const NARROWEST: usize = 20;

/// psql's aligned format.
const PSQL: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction('|'))
    .header_separator(LineStyle::none().fill('-').junction('+'))
    .content_lines(ContentLineStyle::none().junction('|'));

/// Rows of text under named columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Grid {
    /// The rows, one by one.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.rows.iter().map(|values| Record {
            columns: &self.columns,
            values,
        })
    }

    /// As psql would draw it, cut to `width` columns if that is known.
    pub fn table(&self, width: Option<usize>) -> String {
        let shown: Vec<Vec<String>> = self.rows.iter().map(|row| self.row(row)).collect();
        let room = self.statement_room(&shown, width);
        let mut table = Table::new();
        table.load_style(PSQL).force_no_tty();
        let header = self
            .columns
            .iter()
            .map(|name| Cell::new(visible::one_line(name)).set_alignment(CellAlignment::Center));
        table.set_header(Row::from(header.collect::<Vec<_>>()));
        for row in shown {
            let cells = row.iter().zip(&self.columns).map(|(text, name)| {
                if name == "statement" {
                    visible::cut(text, room)
                } else {
                    text.clone()
                }
            });
            table.add_row(cells.collect::<Vec<_>>());
        }
        let mut out = String::new();
        for line in table.lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        let count = self.rows.len();
        let _ = writeln!(out, "({count} row{})", if count == 1 { "" } else { "s" });
        out
    }

    fn row(&self, row: &[Option<String>]) -> Vec<String> {
        let texts = row.iter().zip(&self.columns).map(|(value, name)| {
            let text = value.as_deref().unwrap_or_default();
            // A megabyte need not be made visible to show its first line.
            let text = if name == "statement" {
                beginning(text, CUT * 4)
            } else {
                text
            };
            visible::one_line(text)
        });
        texts.collect()
    }

    /// What the other columns leave of a line.
    fn statement_room(&self, shown: &[Vec<String>], width: Option<usize>) -> usize {
        let Some(width) = width else { return CUT };
        let others = self
            .columns
            .iter()
            .enumerate()
            .filter(|(_, name)| *name != "statement");
        let taken: usize = others
            .map(|(index, name)| {
                let cells = shown.iter().filter_map(|row| row.get(index));
                let widest = cells.map(|text| visible::columns(text)).max().unwrap_or(0);
                widest.max(visible::columns(name)) + 3
            })
            .sum();
        width.saturating_sub(taken + 2).max(NARROWEST)
    }
}

/// At most `most` bytes of it, and not half a character.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let end = text
        .char_indices()
        .map(|it| it.0)
        .take_while(|at| *at <= most)
        .last();
    match end {
        Some(end) if text.len() > most => text.get(..end).unwrap_or(text),
        _ => text,
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    columns: &'a [String],
    values: &'a [Option<String>],
}

impl<'a> Record<'a> {
    /// The value of a column; `None` if it is NULL or there is no such column.
    pub fn value(&self, column: &str) -> Option<&'a str> {
        let index = self.columns.iter().position(|name| name == column)?;
        self.values.get(index)?.as_deref()
    }

    /// The value of a column if there is anything in it.
    pub fn said(&self, column: &str) -> Option<&'a str> {
        self.value(column).filter(|text| !text.trim().is_empty())
    }
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (name, value) in self.columns.iter().zip(self.values) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A grid of literal texts; "NULL" is NULL.
    pub(crate) fn grid(columns: &[&str], rows: &[&[&str]]) -> Grid {
        Grid {
            columns: columns.iter().map(|it| (*it).to_owned()).collect(),
            rows: rows
                .iter()
                .map(|row| {
                    row.iter()
                        .map(|it| (*it != "NULL").then(|| (*it).to_owned()))
                        .collect()
                })
                .collect(),
        }
    }

    #[test]
    fn a_table_as_psql_draws_it() {
        let grid = grid(
            &["id", "waiting_for", "statement"],
            &[
                &["T-1", "1 of dba", "UPDATE a\n  SET b = 1"],
                &["T-12", "NULL", "\u{1b}[2J"],
            ],
        );
        let expected = [
            "  id  | waiting_for |      statement",
            "------+-------------+--------------------",
            " T-1  | 1 of dba    | UPDATE a SET b = 1",
            r" T-12 |             | \u{1b}[2J",
            "(2 rows)",
            "",
        ];
        assert_eq!(grid.table(None), expected.join("\n"));
    }

    #[test]
    fn only_the_statement_is_cut_and_to_the_terminal() {
        let long = format!("SELECT '{}'", "日".repeat(500));
        let grid = grid(
            &["id", "statement", "why"],
            &[&["T-1", &long, &"because ".repeat(4)]],
        );
        let table = grid.table(Some(80));
        assert!(
            table.lines().all(|line| visible::columns(line) <= 80),
            "{table}"
        );
        assert!(table.contains('…') && table.contains("because because because because"));
        assert!(grid.table(Some(10)).contains("SELECT '日"));
        assert!(
            grid.table(None)
                .lines()
                .all(|line| visible::columns(line) <= CUT + 60)
        );
    }

    #[test]
    fn json_keeps_order_nulls_and_every_character() {
        let long = format!("\u{202e}{}", "x".repeat(1000));
        let grid = grid(&["id", "why", "statement"], &[&["T-1", "NULL", &long]]);
        let json = serde_json::to_string(&grid.records().collect::<Vec<_>>()).unwrap();
        assert_eq!(
            json,
            format!("[{{\"id\":\"T-1\",\"why\":null,\"statement\":\"{long}\"}}]")
        );
        let record = grid.records().next().unwrap();
        assert_eq!(
            (
                record.said("id"),
                record.said("why"),
                record.said("nothing")
            ),
            (Some("T-1"), None, None)
        );
    }

    #[test]
    fn the_beginning_of_a_text_is_whole_characters() {
        assert_eq!(beginning("日本語", 4), "日");
        assert_eq!(beginning("abc", 3), "abc");
        assert_eq!(beginning("abcd", 3), "abc");
    }
}
