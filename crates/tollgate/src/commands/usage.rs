//! `tollgate usage`: what a user used in a month, by day and model.

use std::collections::BTreeMap;
use std::process::ExitCode;

use access::amounts::usd::decimal;
use access::{Clock, Day, UserNo};
use chrono::{Datelike as _, NaiveDate};
use ledger::{GroupName, Ledger, SeriesFilter, SeriesGroup, SeriesStep, UsageTotals};
use store::Store;

use crate::cli::Usage;
use crate::commands::{block_on, load_for_store, open, printable, user};
use crate::terminal::say;

const COLUMNS: &str =
    "day,model,requests,credits,input,cached_input,cache_write,output,reasoning,cost,currency,unpriced_requests";
/// The model of requests without one in the printed table.
const NO_MODEL: &str = "-";

/// The usage of a day with a model; without one, of all other requests.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UsageRow {
    day: Day,
    model: Option<String>,
    used: UsageTotals,
}

/// Runs the command against the store.
pub(crate) fn run(args: &Usage) -> anyhow::Result<ExitCode> {
    let process = load_for_store(&args.place)?;
    let month = args.month.unwrap_or_else(|| Clock::system().now().day());
    block_on(async {
        let store = open(&process).await?;
        let rows = async {
            let found = user(&store, &args.user).await?;
            rows(&store, found.no, month).await
        };
        let rows = rows.await;
        store.close().await;
        let rows = rows?;
        say(&if args.csv { csv(&rows) } else { table(&rows) });
        Ok(ExitCode::SUCCESS)
    })
}

/// Returns the usage of the month that contains `day`, by day and model.
async fn rows(store: &Store, user: UserNo, day: Day) -> anyhow::Result<Vec<UsageRow>> {
    let [first, end] = days(day);
    let filter = |by| SeriesFilter {
        by,
        step: SeriesStep::Day,
        since: first.start(),
        until: end.start(),
        key: None,
        model: None,
        label: None,
        with_label: None,
    };
    let ledger = Ledger::new(store.clone());
    let models = ledger.usage_series(user, &filter(Some(SeriesGroup::Model))).await?;
    let all = ledger.usage_series(user, &filter(None)).await?;
    let mut rest: BTreeMap<Day, UsageTotals> = BTreeMap::new();
    let day_of =
        |since: access::Timestamp, nth: u64| Day(since.day().0.saturating_add(u32::try_from(nth).unwrap_or_default()));
    for (nth, figures) in all.series.iter().flat_map(|series| &series.points) {
        rest.insert(day_of(all.since, *nth), figures.totals);
    }
    let mut rows = Vec::new();
    for series in models.series {
        let model = match series.name {
            GroupName::Model(Some(name)) => name,
            GroupName::Rest(models) => format!("{models} other models"),
            GroupName::Model(None)
            | GroupName::All
            | GroupName::Key(_)
            | GroupName::Route(_)
            | GroupName::User(_)
            | GroupName::Plan(_)
            | GroupName::Status(_)
            | GroupName::Label(_) => "unknown model".to_owned(),
        };
        for (nth, figures) in series.points {
            let day = day_of(models.since, nth);
            if let Some(rest) = rest.get_mut(&day) {
                *rest = without(rest, &figures.totals);
            }
            rows.push(UsageRow { day, model: Some(model.clone()), used: figures.totals });
        }
    }
    rows.extend(rest.into_iter().map(|(day, used)| UsageRow { day, model: None, used }));
    rows.retain(|row| row.used.requests > 0 || row.used.cost.0 != 0);
    rows.sort_by(|a, b| (a.day, &a.model).cmp(&(b.day, &b.model)));
    Ok(rows)
}

/// Returns the first day of a month, and the first day of the next one.
fn days(day: Day) -> [Day; 2] {
    let epoch = NaiveDate::default();
    let date = epoch.checked_add_days(chrono::Days::new(u64::from(day.0))).unwrap_or(epoch);
    let first = date.with_day(1).unwrap_or(date);
    let next = first.checked_add_months(chrono::Months::new(1)).unwrap_or(first);
    [first, next].map(|date| Day(u32::try_from((date - epoch).num_days()).unwrap_or_default()))
}

/// Returns the totals without a part of them.
fn without(all: &UsageTotals, part: &UsageTotals) -> UsageTotals {
    UsageTotals {
        requests: all.requests.saturating_sub(part.requests),
        credits: all.credits.saturating_sub(part.credits),
        input: all.input.saturating_sub(part.input),
        cached_input: all.cached_input.saturating_sub(part.cached_input),
        cache_write_short: all.cache_write_short.saturating_sub(part.cache_write_short),
        cache_write_long: all.cache_write_long.saturating_sub(part.cache_write_long),
        output: all.output.saturating_sub(part.output),
        reasoning: all.reasoning.saturating_sub(part.reasoning),
        cost: access::NanoUsd(all.cost.0.saturating_sub(part.cost.0)),
        charged: None,
        unpriced_requests: all.unpriced_requests.saturating_sub(part.unpriced_requests),
    }
}

fn csv(rows: &[UsageRow]) -> String {
    let mut text = format!("{COLUMNS}\r\n");
    for UsageRow { day, model, used } in rows {
        let model = control::csv_cell(model.as_deref().unwrap_or_default());
        let written = used.cache_write_short.saturating_add(used.cache_write_long);
        let UsageTotals { requests, credits, .. } = used;
        let tokens = [used.input, used.cached_input, written, used.output, used.reasoning];
        let tokens = tokens.map(|count| count.to_string()).join(",");
        let cost = decimal(used.cost);
        let unpriced = used.unpriced_requests;
        text.push_str(&format!("{day},{model},{requests},{credits},{tokens},{cost},USD,{unpriced}\r\n"));
    }
    text
}

/// Returns a table for people, with the sum of all rows.
fn table(rows: &[UsageRow]) -> String {
    if rows.is_empty() {
        return "no usage in this month\n".to_owned();
    }
    let heading = ["DAY", "MODEL", "REQUESTS", "CREDITS", "TOKENS", "COST (USD)"].map(str::to_owned);
    let mut sums = (0_u64, access::Credits::ZERO, 0_u64, access::NanoUsd(0));
    let mut lines = vec![heading];
    for UsageRow { day, model, used } in rows {
        let written = used.cache_write_short.saturating_add(used.cache_write_long);
        let classes = [used.input, used.cached_input, written, used.output, used.reasoning];
        let tokens = classes.into_iter().fold(0, u64::saturating_add);
        sums.0 = sums.0.saturating_add(used.requests);
        sums.1 = sums.1.saturating_add(used.credits);
        sums.2 = sums.2.saturating_add(tokens);
        sums.3 = sums.3.saturating_add(used.cost);
        let model = printable(model.as_deref().unwrap_or(NO_MODEL));
        let [requests, tokens] = [used.requests, tokens].map(|count| count.to_string());
        let credits = used.credits.to_string();
        lines.push([day.to_string(), model, requests, credits, tokens, decimal(used.cost)]);
    }
    let (requests, credits, tokens, cost) = sums;
    let [requests, tokens] = [requests, tokens].map(|count| count.to_string());
    let credits = credits.to_string();
    lines.push(["total".to_owned(), String::new(), requests, credits, tokens, decimal(cost)]);
    let unpriced: u64 = rows.iter().map(|row| row.used.unpriced_requests).sum();
    let mut text: String = lines
        .iter()
        .map(|[day, model, requests, credits, tokens, cost]| {
            format!("{day:<10}  {model:<28}  {requests:>9}  {credits:>9}  {tokens:>12}  {cost:>14}\n")
        })
        .collect();
    if unpriced > 0 {
        text.push_str(&format!("the cost of {unpriced} requests is unknown\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use access::NanoUsd;

    use super::*;

    fn row(model: Option<&str>, requests: u64) -> UsageRow {
        let used = UsageTotals {
            requests,
            credits: access::Credits::whole(2 * requests),
            input: 5,
            cache_write_long: 1,
            output: 7,
            cost: NanoUsd(1_500_000),
            ..UsageTotals::default()
        };
        UsageRow { day: Day::parse("2026-11-30").unwrap(), model: model.map(str::to_owned), used }
    }

    #[test]
    fn a_month_ends_before_the_first_day_of_the_next_one() {
        for (day, expected) in
            [("2026-11-30", ["2026-11-01", "2026-12-01"]), ("2024-12-01", ["2024-12-01", "2025-01-01"])]
        {
            assert_eq!(days(Day::parse(day).unwrap()).map(|day| day.to_string()), expected);
        }
    }

    #[test]
    fn a_statement_has_a_row_per_model_and_no_formula() {
        let rows = [row(None, 1), row(Some("=fast"), 2)];
        assert_eq!(
            csv(&rows),
            format!(
                "{COLUMNS}\r\n2026-11-30,,1,2,5,0,1,7,0,0.0015,USD,0\r\n2026-11-30,'=fast,2,4,5,0,1,7,0,0.0015,USD,0\r\n"
            )
        );
        let shown = table(&rows);
        let last = shown.lines().last().unwrap();
        assert_eq!(last.split_whitespace().collect::<Vec<_>>(), ["total", "3", "6", "26", "0.003"], "{shown}");
        assert_eq!(table(&[]), "no usage in this month\n");
    }

    #[test]
    fn requests_without_a_model_are_the_rest_of_all_requests() {
        let rest = without(&row(None, 5).used, &row(Some("fast"), 3).used);
        assert_eq!((rest.requests, rest.credits, rest.cost), (2, access::Credits::whole(4), NanoUsd(0)));
    }
}
