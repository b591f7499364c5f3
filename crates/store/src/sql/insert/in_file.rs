//! Rows of a batch in a SQLite file: prepared statements of several rows, whose values are bound by reference.

use std::sync::Arc;

use rusqlite::CachedStatement;

use super::{Insert, SHAPES, Shape, UsualValue, Values};
use crate::error::DatabaseError;
use crate::sql::dialect::file_writer::{FileTransaction, fault};
use crate::sql::{Cell, StoreKind};

/// Numbers of rows per statement, tried in this order. Few texts exist, so that each stays prepared. An event in a statement
/// of 16 rows takes 17,600 instructions, of 4 rows 18,500, of one 22,000, of 64 18,800
/// (docs/decisions/0032-rusqlite-for-ingest.md).
pub(super) const ROWS_OF_FILE: [usize; 3] = [16, 4, 1];
/// The number of the parameter that has the time of the batch.
const NOW: usize = 1;

/// For each column, the value that a text contains; `None` for columns with a parameter.
type UsualValues<'a> = &'a [Option<UsualValue>];

/// The prepared statements of one [`Insert`] in a transaction, and the rows that wait for a full statement.
struct FileRows<'f, 'r> {
    insert: &'f Insert,
    file: &'f FileTransaction,
    now: i64,
    /// The number of columns with values.
    columns: usize,
    /// The places of the columns with a usual value, and these values.
    usual_values: Vec<(usize, UsualValue)>,
    /// The places of the other columns.
    other_places: Vec<usize>,
    statements: [[Option<CachedStatement<'f>>; ROWS_OF_FILE.len()]; SHAPES],
    /// The values of fewer than 16 rows with another than a usual value.
    full: Vec<Cell<'r>>,
    /// The values of fewer than 16 other rows, including usual values.
    usual: Vec<Cell<'r>>,
    written: usize,
}

impl Insert {
    pub(super) fn write_to_file<'r, R>(
        &self,
        file: &FileTransaction,
        now: i64,
        rows: &'r [R],
        mut bind: impl FnMut(&'r R, &mut Values<'r>),
    ) -> Result<u64, DatabaseError> {
        let usual_values = self.usual_values(Shape::Usual);
        let places = || usual_values.iter().enumerate();
        let mut waiting = FileRows {
            insert: self,
            file,
            now,
            columns: usual_values.len(),
            usual_values: places().filter_map(|(at, value)| Some((at, (*value)?))).collect(),
            other_places: places().filter(|(_, value)| value.is_none()).map(|(at, _)| at).collect(),
            statements: Default::default(),
            full: Vec::new(),
            usual: Vec::new(),
            written: 0,
        };
        let mut values = Values::default();
        for row in rows {
            bind(row, &mut values);
            self.check_count(values.cells.len())?;
            waiting.add(&mut values)?;
        }
        waiting.write(Shape::Full)?;
        waiting.write(Shape::Usual)?;
        Ok(u64::try_from(waiting.written).unwrap_or(u64::MAX))
    }

    /// Returns the text of a statement of one of [`ROWS_OF_FILE`] rows.
    pub(super) fn file_text(&self, shape: Shape, rows: usize) -> Arc<String> {
        let text = || Arc::new(self.text(StoreKind::Sqlite, shape, rows));
        let nth = ROWS_OF_FILE.iter().position(|size| *size == rows);
        let known = self.sqlite.get(shape as usize).zip(nth).and_then(|(texts, nth)| texts.get(nth));
        known.map_or_else(text, |known| known.get_or_init(text).clone())
    }
}

/// Appends the `VALUES` of rows: for each column a parameter, or the value that the text contains; twice the time is between
/// the columns and the `added` ones.
pub(super) fn push_rows(rows: usize, columns: UsualValues<'_>, added: UsualValues<'_>, text: &mut String) {
    let mut parameters = NOW + 1..;
    let mut value = |column: &Option<UsualValue>| match column {
        Some(UsualValue::Null) => "NULL".to_owned(),
        Some(UsualValue::Bigint(value)) => value.to_string(),
        Some(UsualValue::Text(value)) => format!("'{value}'"),
        None => parameters.next().map(|n| format!("?{n}")).unwrap_or_default(),
    };
    for row in 0..rows {
        let mut values: Vec<String> = columns.iter().map(&mut value).collect();
        values.extend([NOW; 2].map(|n| format!("?{n}")));
        values.extend(added.iter().map(&mut value));
        text.push_str(if row == 0 { "VALUES (" } else { ", (" });
        text.push_str(&values.join(", "));
        text.push(')');
    }
}

impl<'r> FileRows<'_, 'r> {
    /// Takes the values of one row, and writes the waiting rows if they fill a statement.
    fn add(&mut self, values: &mut Values<'r>) -> Result<(), DatabaseError> {
        let has_usual = |(at, usual): &(usize, UsualValue)| values.cells.get(*at).is_some_and(|cell| usual.is(cell));
        let is_usual = !self.usual_values.is_empty() && self.usual_values.iter().all(has_usual);
        let (shape, waiting) = if is_usual { (Shape::Usual, &mut self.usual) } else { (Shape::Full, &mut self.full) };
        waiting.append(&mut values.cells);
        if waiting.len() >= self.columns * ROWS_OF_FILE[0] { self.write(shape) } else { Ok(()) }
    }

    /// Writes the waiting rows of a shape.
    fn write(&mut self, shape: Shape) -> Result<(), DatabaseError> {
        let mut cells = std::mem::take(match shape {
            Shape::Full => &mut self.full,
            Shape::Usual => &mut self.usual,
        });
        let mut rest = cells.as_slice();
        for (nth, rows) in ROWS_OF_FILE.into_iter().enumerate() {
            while let Some((next, later)) = rest.split_at_checked(rows * self.columns) {
                self.run(shape, nth, next)?;
                rest = later;
            }
        }
        // The memory is used again.
        cells.clear();
        match shape {
            Shape::Full => self.full = cells,
            Shape::Usual => self.usual = cells,
        }
        Ok(())
    }

    /// Runs the statement of the `nth` number of rows.
    fn run(&mut self, shape: Shape, nth: usize, cells: &[Cell<'r>]) -> Result<(), DatabaseError> {
        let Some(prepared) = self.statements.get_mut(shape as usize).and_then(|of_shape| of_shape.get_mut(nth)) else {
            return Ok(());
        };
        let statement = match prepared {
            Some(statement) => statement,
            None => {
                let rows = cells.len() / self.columns;
                let statement = self.file.prepare(&self.insert.file_text(shape, rows))?;
                let statement = prepared.insert(statement);
                statement.raw_bind_parameter(NOW, self.now).map_err(fault)?;
                statement
            }
        };
        let mut parameters = NOW + 1..;
        for row in cells.chunks_exact(self.columns) {
            match shape {
                Shape::Full => row.iter().zip(&mut parameters).try_for_each(|(cell, at)| put(statement, at, cell))?,
                Shape::Usual => {
                    let cells = self.other_places.iter().filter_map(|place| row.get(*place));
                    cells.zip(&mut parameters).try_for_each(|(cell, at)| put(statement, at, cell))?;
                }
            }
        }
        self.written += statement.raw_execute().map_err(fault)?;
        Ok(())
    }
}

/// Binds a parameter. A call per type is shorter than one for any value.
fn put(statement: &mut CachedStatement<'_>, at: usize, cell: &Cell<'_>) -> Result<(), DatabaseError> {
    let bound = match cell {
        Cell::Bigint(Some(value)) => statement.raw_bind_parameter(at, *value),
        Cell::Text(Some(text)) => statement.raw_bind_parameter(at, *text),
        Cell::Bigint(None) | Cell::Boolean(_) | Cell::Text(None) | Cell::Uuid(_) | Cell::Bytes(_) => {
            statement.raw_bind_parameter(at, cell)
        }
    };
    Ok(bound.map_err(fault)?)
}
