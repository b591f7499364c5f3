//! The usage columns of requests and attempts, in SQL texts and rows, generated from [`meter::usage_columns`].

use access::Tokens;
use meter::usage::{TOKEN_CLASS_COUNT, TOKEN_CLASSES, TOOL_CALL_COUNT, TOOL_CALLS, TokenTotal};
use meter::{BilledQuantity, Source, ToolCalls, Unit, Usage};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _};
use store::sql::{Values, signed, unsigned};

/// Lists the columns of a table: those in the first brackets, the usage columns, those in the second brackets.
macro_rules! inserted {
    (
        [[$($before:literal,)*] [$($after:literal,)*]]
        tokens { $($(#[$doc:meta])* $class:ident $column:literal $total:ident,)+ }
        tools { $($(#[$tool_doc:meta])* $tool:ident $tool_column:literal,)+ }
    ) => {
        &[
            $($before,)*
            "usage_source", $($column,)+ "billed_unit", "billed_quantity", $($tool_column,)+
            $($after,)*
        ]
    };
}
pub(crate) use inserted;

/// Lists the usage columns of a query, after the table's alias and a dot.
macro_rules! selected {
    (
        [$of:literal]
        tokens { $($(#[$doc:meta])* $class:ident $column:literal $total:ident,)+ }
        tools { $($(#[$tool_doc:meta])* $tool:ident $tool_column:literal,)+ }
    ) => {
        concat!(
            $of, "usage_source, ", $($of, $column, ", ",)+ $of, "billed_unit, ", $of, "billed_quantity"
            $(, ", ", $of, $tool_column)+
        )
    };
}
pub(crate) use selected;

/// The usage columns of a row.
#[derive(Debug)]
pub(crate) struct UsageRow {
    source: Option<String>,
    classes: [Option<i64>; TOKEN_CLASS_COUNT],
    billed_unit: Option<String>,
    billed_quantity: Option<i64>,
    tools: [Option<i64>; TOOL_CALL_COUNT],
}

macro_rules! read {
    ($row:ty) => {
        impl FromRow<'_, $row> for UsageRow {
            fn from_row(row: &$row) -> Result<Self, sqlx::Error> {
                let mut classes = [None; TOKEN_CLASS_COUNT];
                let mut tools = [None; TOOL_CALL_COUNT];
                for (tokens, class) in classes.iter_mut().zip(TOKEN_CLASSES) {
                    *tokens = row.try_get(class.column)?;
                }
                for (calls, column) in tools.iter_mut().zip(TOOL_CALLS) {
                    *calls = row.try_get(column)?;
                }
                Ok(Self {
                    source: row.try_get("usage_source")?,
                    classes,
                    billed_unit: row.try_get("billed_unit")?,
                    billed_quantity: row.try_get("billed_quantity")?,
                    tools,
                })
            }
        }
    };
}
read!(SqliteRow);
read!(PgRow);

impl UsageRow {
    /// Returns the usage; `None` if its source is missing or unknown to this version.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let word = self.source.as_deref()?;
        let source = Source::ALL.into_iter().find(|source| source.as_str() == word)?;
        let unit = self.billed_unit.as_deref();
        let unit = unit.and_then(|word| Unit::ALL.into_iter().find(|unit| unit.as_str() == word));
        let quantity = self.billed_quantity.map(unsigned);
        Some(Usage {
            billed: unit.zip(quantity).map(|(unit, quantity)| BilledQuantity { unit, quantity }),
            tools: ToolCalls::of_counts(self.tools.map(|calls| calls.map(unsigned))),
            ..Usage::of_classes(source, self.classes.map(|class| class.map(|tokens| Tokens(unsigned(tokens)))))
        })
    }
}

/// Adds the values of the usage columns.
pub(crate) fn bind(usage: Option<&Usage>, row: &mut Values<'_>) {
    row.put(usage.map(|usage| usage.source.as_str()));
    for tokens in usage.map_or([None; TOKEN_CLASS_COUNT], Usage::classes) {
        row.put(tokens.map(|Tokens(tokens)| signed(tokens)));
    }
    let billed = usage.and_then(|usage| usage.billed);
    row.put(billed.map(|billed| billed.unit.as_str())).put(billed.map(|billed| signed(billed.quantity)));
    for calls in usage.map_or([None; TOOL_CALL_COUNT], |usage| usage.tools.counts()) {
        row.put(calls.map(signed));
    }
}

/// Returns the expression that adds up the classes of the chosen totals; `of` is a table's alias and a dot, or empty.
pub(crate) fn sum_of(of: &str, is_part: impl Fn(TokenTotal) -> bool) -> String {
    let parts = TOKEN_CLASSES.into_iter().filter(|class| is_part(class.total));
    let parts: Vec<String> = parts.map(|class| format!("coalesce({of}{}, 0)", class.column)).collect();
    parts.join(" + ")
}
