//! The totals that an audit compares with events and counts: their columns, and the statements built from them.

pub(super) mod grouped;

use meter::RequestResult;
use meter::usage::TokenTotal;

use super::row::summed;
use crate::results;
use crate::usage_columns::sum_of;

/// Columns of the totals of plans, in order.
pub(super) const PLAN_MEASURES: [&str; 4] = ["credits", "charged_tokens", "charged_nano", "own_charged_nano"];
/// Columns of the totals of subjects, in order. A subject has no own credential.
pub(super) const SUBJECT_MEASURES: [&str; 3] = ["credits", "charged_tokens", "charged_nano"];

/// Condition for a request that totals contain: it reached an upstream or was interrupted.
macro_rules! counts {
    () => {
        "(attempts > 0 OR outcome = 'interrupted')"
    };
}
pub(super) use counts;

/// A column of totals, with its expression for one event and for one row of counts.
#[derive(Debug, PartialEq)]
pub(super) struct TotalsColumn {
    pub(super) name: &'static str,
    of_event: EventValue,
    of_counts: CountsValue,
}

/// A grouping column of totals, with its expression for one event and for one row of counts.
#[derive(Debug, PartialEq)]
pub(super) struct GroupingColumn {
    name: &'static str,
    of_event: EventValue,
    of_counts: &'static str,
}

/// The object that each row of a table describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TotalsKind {
    /// A key on a day, as one node counted it.
    Keys,
    /// A model of a user on a day.
    Models,
    /// An hour of a user's key, model and route.
    Hours,
    /// A route of a user on a day.
    Routes,
    /// A label set, a user and a model on a day.
    Labels,
}

/// A table of totals by user, day and further columns.
#[derive(Debug, PartialEq)]
pub(super) struct TotalsTable {
    pub(super) kind: TotalsKind,
    pub(super) table: &'static str,
    /// Grouping columns in addition to user and day.
    pub(super) by: &'static [GroupingColumn],
    /// Condition for the events that the table contains.
    events: &'static str,
    /// Whether the table contains counts.
    has_counts: bool,
    /// Whether the table contains requests without a user, whose user has the number 0.
    has_anonymous: bool,
    /// Columns of the unique index.
    unique: &'static str,
    pub(super) columns: &'static [TotalsColumn],
}

/// Rows that a query covers.
#[derive(Debug, Clone, Copy)]
enum Scope {
    /// `$1` to `$2`: days; `$3` to `$4`: ids of their events.
    Days,
    /// `$1`: a day, `$2`: a user.
    User,
}

/// The expression for one event.
#[derive(Debug, Clone, Copy, PartialEq)]
enum EventValue {
    Text(&'static str),
    /// The sum of the classes that a total contains.
    Tokens(TokenTotal),
    /// 1 for a request with this result.
    Is(RequestResult),
    /// The number of the result.
    Result,
}

/// The expression for one row of counts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum CountsValue {
    Text(&'static str),
    /// The number of the requests, if they have this result.
    Is(RequestResult),
}

impl CountsValue {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text.to_owned(),
            Self::Is(result) => results::of_counts(result),
        }
    }
}

impl EventValue {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text.to_owned(),
            Self::Tokens(total) => sum_of("", |of| of == total),
            Self::Is(result) => results::is(result),
            Self::Result => results::of_event().to_owned(),
        }
    }
}

const fn column(name: &'static str, of_event: &'static str) -> TotalsColumn {
    TotalsColumn { name, of_event: EventValue::Text(of_event), of_counts: CountsValue::Text("0") }
}

const fn result(name: &'static str, result: RequestResult) -> TotalsColumn {
    TotalsColumn { name, of_event: EventValue::Is(result), of_counts: CountsValue::Is(result) }
}

const fn tokens(name: &'static str, total: TokenTotal) -> TotalsColumn {
    TotalsColumn { name, of_event: EventValue::Tokens(total), of_counts: CountsValue::Text("0") }
}

const INPUT: TotalsColumn = tokens("input_tokens", TokenTotal::Input);
const CACHED: TotalsColumn = tokens("cached_input_tokens", TokenTotal::CachedInput);
const SHORT: TotalsColumn = tokens("cache_write_short_tokens", TokenTotal::CacheWriteShort);
const LONG: TotalsColumn = tokens("cache_write_long_tokens", TokenTotal::CacheWriteLong);
const OUTPUT: TotalsColumn = tokens("output_tokens", TokenTotal::Output);
const REASONING: TotalsColumn = tokens("reasoning_tokens", TokenTotal::Reasoning);
const COST: TotalsColumn = column("cost_nano", "coalesce(cost_nano, 0)");
const OWN_COST: TotalsColumn = column("own_cost_nano", "coalesce(own_cost_nano, 0)");
/// The event's row contains the cost of its only attempt. For several attempts it contains the sum of the known costs.
const UNPRICED: TotalsColumn = column(
    "unpriced_requests",
    concat!("CASE WHEN ", counts!(), " AND format IS NOT NULL AND (attempts = 0 OR cost_nano IS NULL
        OR attempts > 1 AND EXISTS (SELECT 1 FROM usage_attempts t WHERE t.event_id = usage_events.id AND t.cost_nano IS NULL))
        THEN 1 ELSE 0 END"),
);

const fn grouping(name: &'static str, of_event: &'static str, of_counts: &'static str) -> GroupingColumn {
    GroupingColumn { name, of_event: EventValue::Text(of_event), of_counts }
}

const SENT: CountsValue = CountsValue::Text(results::SENT_OF_COUNTS);
const CREDITS_OF_COUNTS: CountsValue = CountsValue::Text("credits");
const KEY: GroupingColumn = grouping("key_no", "coalesce(key_no, 0)", "key_no");
const ROUTE: GroupingColumn = grouping("route_no", "route_no", "route_no");
const RESULT: GroupingColumn =
    GroupingColumn { name: "result", of_event: EventValue::Result, of_counts: results::OF_COUNTS };
const REQUESTS: TotalsColumn = column("requests", concat!("CASE WHEN ", counts!(), " THEN 1 ELSE 0 END"));
const SUCCEEDED: TotalsColumn = result("succeeded", RequestResult::Succeeded);
const REFUSED: TotalsColumn = result("refused", RequestResult::Refused);
const ERRORS: TotalsColumn = result("errors", RequestResult::Failed);
const CREDITS: TotalsColumn = column("credits", concat!("CASE WHEN ", counts!(), " THEN credits ELSE 0 END"));

/// Totals of each key.
pub(super) static KEYS: TotalsTable = TotalsTable {
    kind: TotalsKind::Keys,
    table: "daily_usage",
    by: &[KEY],
    events: counts!(),
    has_counts: true,
    has_anonymous: false,
    unique: "day, user_no, key_no, node_id",
    columns: &[
        TotalsColumn { of_counts: SENT, ..column("requests", "1") },
        TotalsColumn { of_counts: CREDITS_OF_COUNTS, ..column("credits", "credits") },
        column("charged_tokens", "charged_tokens"),
        column("charged_nano", "charged_nano"),
        INPUT,
        CACHED,
        SHORT,
        LONG,
        OUTPUT,
        REASONING,
        COST,
        UNPRICED,
        OWN_COST,
    ],
};

/// Totals of each user's models.
pub(super) static MODELS: TotalsTable = TotalsTable {
    kind: TotalsKind::Models,
    table: "daily_models",
    by: &[grouping("model_no", "coalesce(model_no, 0)", "0")],
    events: "format IS NOT NULL",
    has_counts: false,
    has_anonymous: false,
    unique: "user_no, day, model_no",
    columns: &[
        REQUESTS,
        SUCCEEDED,
        REFUSED,
        ERRORS,
        CREDITS,
        INPUT,
        CACHED,
        SHORT,
        LONG,
        OUTPUT,
        REASONING,
        COST,
        UNPRICED,
        column("duration_us", concat!("CASE WHEN ", counts!(), " THEN duration_us ELSE 0 END")),
        OWN_COST,
    ],
};

/// Lists the columns of totals that time series read, and those in the brackets.
macro_rules! series {
    ($($after:expr),*) => {
        &[
            TotalsColumn { of_counts: SENT, ..REQUESTS },
            SUCCEEDED,
            REFUSED,
            ERRORS,
            TotalsColumn { of_counts: CREDITS_OF_COUNTS, ..CREDITS },
            INPUT,
            CACHED,
            SHORT,
            LONG,
            OUTPUT,
            REASONING,
            COST,
            UNPRICED,
            column("timed_requests", "CASE WHEN attempts > 0 THEN 1 ELSE 0 END"),
            column("duration_us", "CASE WHEN attempts > 0 THEN duration_us ELSE 0 END"),
            $($after,)*
        ]
    };
}

/// Totals of each hour by key, model and route.
pub(super) static HOURS: TotalsTable = TotalsTable {
    kind: TotalsKind::Hours,
    table: "hourly_usage",
    by: &[
        grouping("hour", "started_at / 3600000000", "minute / 60"),
        KEY,
        grouping("model_no", "CASE WHEN format IS NULL THEN -1 ELSE coalesce(model_no, 0) END", "-1"),
        ROUTE,
        RESULT,
    ],
    events: "TRUE",
    has_counts: true,
    has_anonymous: true,
    unique: "user_no, hour, key_no, model_no, route_no, day, result",
    columns: series!(),
};

/// Totals of each user's routes.
pub(super) static ROUTES: TotalsTable = TotalsTable {
    kind: TotalsKind::Routes,
    table: "daily_routes",
    by: &[ROUTE],
    events: "TRUE",
    has_counts: true,
    has_anonymous: true,
    unique: "user_no, day, route_no",
    columns: series!(),
};

/// Totals of each label set.
pub(super) static LABELS: TotalsTable = TotalsTable {
    kind: TotalsKind::Labels,
    table: "daily_labels",
    by: &[
        grouping("label_set_no", "coalesce(label_set_no, 0)", "label_set_no"),
        grouping("model_no", "CASE WHEN format IS NULL THEN -1 ELSE coalesce(model_no, 0) END", "-1"),
    ],
    events: "TRUE",
    has_counts: true,
    has_anonymous: true,
    unique: "day, label_set_no, user_no, model_no",
    columns: series!(OWN_COST),
};

/// All tables, in the order in which ingest writes them.
pub(super) static ALL: [&TotalsTable; 5] = [&KEYS, &MODELS, &HOURS, &ROUTES, &LABELS];

impl TotalsTable {
    /// Builds the query for days and users with a sum that may differ from its rows, in order; at most `$5` of them. It
    /// may miss an event whose id is of another day than its admission, so each result is checked again.
    pub(super) fn suspects(&self) -> String {
        let differs = |(nth, _): (usize, &TotalsColumn)| {
            let part = |of: &str| format!("sum(CASE WHEN side = 1 THEN c{nth} {of} ELSE -(c{nth} {of}) END)");
            // SQLite converts an overflowing product to a float, which then is not 0 either.
            format!("{} * 1000000000 + {} <> 0", part("/ 1000000000"), part("% 1000000000"))
        };
        let differs: Vec<String> = self.columns.iter().enumerate().map(differs).collect();
        format!(
            "SELECT DISTINCT day, user_no FROM (SELECT day, user_no FROM ({}) sides GROUP BY day, user_no, {}
            HAVING {}) differing ORDER BY day, user_no LIMIT $5",
            self.sides(Scope::Days),
            self.by_names(),
            differs.join(" OR ")
        )
    }

    /// Builds one query, and so one snapshot, for both sides of a user's day: grouping columns, side (0: totals), sums.
    pub(super) fn of_user(&self) -> String {
        let sums: Vec<String> = (0..self.columns.len()).map(|nth| summed(&format!("c{nth}"))).collect();
        format!(
            "SELECT {by}, CAST(side AS BIGINT), {} FROM ({}) sides GROUP BY {by}, side ORDER BY {by}, side",
            sums.join(", "),
            self.sides(Scope::User),
            by = self.by_names()
        )
    }

    /// Builds the query for the rows of a user's day with one value of each grouping column: columns and id. `$1`: the
    /// day, `$2`: the user, then the grouping columns.
    pub(super) fn rows(&self) -> String {
        let names = self.names();
        let table = self.table;
        let by: String = (3..).zip(self.by).map(|(nth, by)| format!(" AND {} = ${nth}", by.name)).collect();
        format!("SELECT {names}, id FROM {table} WHERE day = $1 AND user_no = $2{by} ORDER BY requests DESC, id")
    }

    /// Builds the update that adds to a row. `$1`: its id, `$2`: the time, then the amount for each column.
    pub(super) fn add(&self) -> String {
        let add = |(nth, column): (usize, &TotalsColumn)| format!("{0} = {0} + ${1}", column.name, nth + 3);
        let adds: Vec<String> = self.columns.iter().enumerate().map(add).collect();
        format!("UPDATE {} SET updated_at = $2, {} WHERE id = $1", self.table, adds.join(", "))
    }

    /// Builds the insert of a row, which adds to an existing row. `$1`: its id, `$2`: the time, `$3` and `$4`: day and
    /// user; then the grouping columns, the node if the table has nodes, and the columns.
    pub(super) fn insert(&self) -> String {
        let table = self.table;
        let by = self.by_names();
        let unique = self.unique;
        let node = if self.has_nodes() { ", node_id" } else { "" };
        let first = 5 + self.by.len() + usize::from(self.has_nodes());
        let values: Vec<String> = (1..first + self.columns.len()).map(|nth| format!("${nth}")).collect();
        let [id, time, rest @ ..] = values.as_slice() else { return String::new() };
        let add = |column: &TotalsColumn| format!("{0} = {table}.{0} + excluded.{0}", column.name);
        let adds: Vec<String> = self.columns.iter().map(add).collect();
        format!(
            "INSERT INTO {table} (id, created_at, updated_at, day, user_no, {by}{node}, {}) VALUES ({id}, {time}, {time}, {})
            ON CONFLICT ({unique}) DO UPDATE SET updated_at = excluded.updated_at, {}",
            self.names(),
            rest.join(", "),
            adds.join(", ")
        )
    }

    /// Whether each row belongs to a node.
    pub(super) const fn has_nodes(&self) -> bool {
        matches!(self.kind, TotalsKind::Keys)
    }

    fn by_names(&self) -> String {
        self.by.iter().map(|by| by.name).collect::<Vec<_>>().join(", ")
    }

    fn names(&self) -> String {
        self.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }

    fn sides(&self, scope: Scope) -> String {
        let columns = |of: fn(&TotalsColumn) -> String| {
            let named = |(nth, column): (usize, &TotalsColumn)| format!("{} AS c{nth}", of(column));
            self.columns.iter().enumerate().map(named).collect::<Vec<_>>().join(", ")
        };
        let (days, ids, from) = match scope {
            Scope::Days => ("day >= $1 AND day <= $2", " AND id >= $3 AND id < $4", " AND id >= $3"),
            Scope::User => (
                "day = $1 AND user_no = $2",
                "",
                " AND key_no IN (SELECT k.no FROM api_keys k JOIN users u ON u.id = k.user_id WHERE u.no = $2
                    UNION SELECT d.key_no FROM daily_usage d WHERE d.day = $1 AND d.user_no = $2
                    UNION SELECT CAST(0 AS BIGINT) WHERE CAST($2 AS BIGINT) = 0)",
            ),
        };
        let by = |of: fn(&GroupingColumn) -> String| self.by.iter().map(of).collect::<Vec<_>>().join(", ");
        let Self { table, events, .. } = self;
        // The two conditions for a user use the index.
        let (of_user, with_user) = match (self.has_anonymous, scope) {
            (true, Scope::User) => ("day = $1 AND (user_no = $2 OR CAST($2 AS BIGINT) = 0 AND user_no IS NULL)", ""),
            (true, Scope::Days) => (days, ""),
            (false, _) => (days, " AND user_no IS NOT NULL"),
        };
        let mut sides = format!(
            "SELECT 0 AS side, day, user_no, {}, {} FROM {table} WHERE {days}
            UNION ALL SELECT 1, day, coalesce(user_no, 0), {}, {} FROM usage_events
            WHERE {of_user}{ids}{with_user} AND {events}",
            self.by_names(),
            columns(|column| column.name.to_owned()),
            by(|by| by.of_event.text()),
            columns(|column| column.of_event.text())
        );
        if self.has_counts {
            let counts = columns(|column| column.of_counts.text());
            let with_key = if self.has_anonymous { "" } else { " AND key_no <> 0 AND status_class < 10" };
            sides.push_str(&format!(
                " UNION ALL SELECT 1, day, user_no, {}, {counts} FROM usage_counts WHERE {days}{from}{with_key}",
                by(|by| by.of_counts.to_owned())
            ));
        }
        sides
    }
}

/// Builds the query for both sides of the totals of plans on days `$1` to `$2`, whose events' ids are from `$3` to
/// `$4`: day, side, credits, tokens, money, the money of own credentials, plan. Side 0 is totals, 1 events, 2 counts. Counts do not contain the plan
/// of their users, so the present one is used.
pub(super) fn plans() -> String {
    let counts = counts!();
    let sums = PLAN_MEASURES.map(summed).join(", ");
    format!(
        "SELECT day, CAST(side AS BIGINT), {sums}, plan_id FROM (
            SELECT 0 AS side, day, credits, charged_tokens, charged_nano, own_charged_nano, plan_id FROM daily_plans
            WHERE day >= $1 AND day <= $2
            UNION ALL SELECT 1, day, credits, charged_tokens, charged_nano, coalesce(own_charged_nano, 0), plan_id FROM usage_events
            WHERE day >= $1 AND day <= $2 AND id >= $3 AND id < $4 AND user_no IS NOT NULL AND {counts}
            UNION ALL SELECT 2, c.day, c.credits, 0, 0, 0, u.plan_id FROM usage_counts c LEFT JOIN users u ON u.no = c.user_no
            WHERE c.day >= $1 AND c.day <= $2 AND c.id >= $3 AND c.key_no <> 0) sides
        GROUP BY day, plan_id, side ORDER BY day, plan_id, side"
    )
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    let of = |totals: &TotalsTable| [totals.suspects(), totals.of_user(), totals.rows(), totals.add(), totals.insert()];
    ALL.into_iter().flat_map(of).chain([plans(), grouped::suspects()]).collect()
}
