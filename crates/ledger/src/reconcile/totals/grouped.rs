//! One query that compares all tables: it reads the events once, and groups them by every column of any table.

use super::{ALL, EventValue, TotalsTable};
use crate::reconcile::sample::IS_SAMPLED;

/// The expressions of the grouped events, each once.
struct GroupedEvents {
    /// Conditions for the events that a table contains.
    conditions: Vec<&'static str>,
    /// Grouping columns of tables, in addition to day and user.
    by: Vec<String>,
    /// Expressions of the summed columns.
    values: Vec<String>,
}

/// Builds the query for the days and users of each table with a sum that may differ from its rows: the position of the table
/// in [`ALL`], the day, and the user. `$1` to `$2`: days; `$3` to `$4`: ids of their events; at most `$5` rows of each table;
/// `$6` to `$8`: the sample. It may miss an event whose id is of another day than its admission, so each result is checked
/// again.
pub(in crate::reconcile) fn suspects() -> String {
    let grouped = GroupedEvents::of_tables();
    let tables: Vec<String> = ALL.iter().enumerate().map(|(nth, table)| grouped.suspects_of(nth, table)).collect();
    format!("WITH grouped AS MATERIALIZED ({}) {}", grouped.text(), tables.join(" UNION ALL "))
}

impl GroupedEvents {
    fn of_tables() -> Self {
        let mut all = Self { conditions: Vec::new(), by: Vec::new(), values: Vec::new() };
        for table in ALL {
            let by = table.by.iter().map(|by| by.of_event.text());
            let values = table.columns.iter().map(|column| column.of_event.text());
            by.for_each(|by| add(&mut all.by, by));
            values.for_each(|value| add(&mut all.values, value));
            add(&mut all.conditions, table.events);
        }
        all
    }

    /// Builds the query for the grouped events: day, user, whether each condition holds, the grouping columns, and billions
    /// and remainder of each sum.
    fn text(&self) -> String {
        let conditions = self.conditions.iter().map(|condition| format!("CASE WHEN {condition} THEN 1 ELSE 0 END"));
        let keys: Vec<String> = ["day".to_owned(), "coalesce(user_no, 0)".to_owned()]
            .into_iter()
            .chain(conditions)
            .chain(self.by.iter().cloned())
            .collect();
        let names = ["day".to_owned(), "user_no".to_owned()]
            .into_iter()
            .chain((0..self.conditions.len()).map(|nth| format!("e{nth}")))
            .chain((0..self.by.len()).map(|nth| format!("g{nth}")));
        let named: Vec<String> = keys.iter().zip(names).map(|(key, name)| format!("{key} AS {name}")).collect();
        let sums = self.values.iter().enumerate();
        let sums: Vec<String> = sums.map(|(nth, value)| sum_parts(nth, value)).collect();
        let positions: Vec<String> = (1..=keys.len()).map(|position| position.to_string()).collect();
        format!(
            "SELECT {}, {} FROM usage_events WHERE day >= $1 AND day <= $2 AND id >= $3 AND id < $4 AND {IS_SAMPLED}
            GROUP BY {}",
            named.join(", "),
            sums.join(", "),
            positions.join(", ")
        )
    }

    fn suspects_of(&self, nth: usize, table: &TotalsTable) -> String {
        let differs = (0..table.columns.len()).map(|nth| format!("sum(q{nth}) * 1000000000 + sum(r{nth}) <> 0"));
        // SQLite converts an overflowing product to a float, which then is not 0 either.
        let differs: Vec<String> = differs.collect();
        format!(
            "SELECT * FROM (SELECT DISTINCT CAST({nth} AS BIGINT) AS of_table, day, user_no FROM (
                SELECT day, user_no FROM ({}) sides GROUP BY day, user_no, {} HAVING {}
            ) differing ORDER BY day, user_no LIMIT $5) t{nth}",
            self.sides(table),
            table.by_names(),
            differs.join(" OR ")
        )
    }

    /// Builds the query for both sides of a table; the stored totals are negative.
    fn sides(&self, table: &TotalsTable) -> String {
        let parts = |columns: Vec<String>, sign: &str| {
            let parts = columns.iter().enumerate().map(|(nth, column)| {
                format!("{sign}(({column}) / 1000000000) AS q{nth}, {sign}(({column}) % 1000000000) AS r{nth}")
            });
            parts.collect::<Vec<_>>().join(", ")
        };
        let stored = parts(table.columns.iter().map(|column| column.name.to_owned()).collect(), "-");
        let by_position = |value: &EventValue| position(&self.by, &value.text());
        let by = table.by.iter().map(|by| format!("g{} AS {}", by_position(&by.of_event), by.name));
        let sums = table.columns.iter().enumerate().map(|(nth, column)| {
            let position = position(&self.values, &column.of_event.text());
            format!("q{position} AS q{nth}, r{position} AS r{nth}")
        });
        let of_events: Vec<String> = by.chain(sums).collect();
        let condition = position(&self.conditions, &table.events);
        let with_user = if table.has_anonymous { "" } else { " AND user_no <> 0" };
        let mut sides = format!(
            "SELECT day, user_no, {}, {stored} FROM {} WHERE day >= $1 AND day <= $2 AND {IS_SAMPLED}
            UNION ALL SELECT day, user_no, {} FROM grouped WHERE e{condition} = 1{with_user}",
            table.by_names(),
            table.table,
            of_events.join(", ")
        );
        if table.has_counts {
            let counts = parts(table.columns.iter().map(|column| column.of_counts.text()).collect(), "");
            let by: Vec<&str> = table.by.iter().map(|by| by.of_counts).collect();
            let with_key = if table.has_anonymous { "" } else { " AND key_no <> 0 AND status_class < 10" };
            sides.push_str(&format!(
                " UNION ALL SELECT day, user_no, {}, {counts} FROM usage_counts
                WHERE day >= $1 AND day <= $2 AND id >= $3{with_key} AND {IS_SAMPLED}",
                by.join(", ")
            ));
        }
        sides
    }
}

/// Builds the billions and the remainder of a sum. Most time of an audit is spent on them: a sum of zeros and ones has no billions
/// of billions, and is not divided.
fn sum_parts(nth: usize, value: &str) -> String {
    if value == "1" || value.ends_with("THEN 1 ELSE 0 END") {
        return format!("CAST(0 AS BIGINT) AS q{nth}, sum({value}) AS r{nth}");
    }
    format!("sum(({value}) / 1000000000) AS q{nth}, sum(({value}) % 1000000000) AS r{nth}")
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// Returns the position of an expression, which [`GroupedEvents::of_tables`] has added.
fn position<T: PartialEq>(list: &[T], item: &T) -> usize {
    list.iter().position(|other| other == item).unwrap_or(list.len())
}
