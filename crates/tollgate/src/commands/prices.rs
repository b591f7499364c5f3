//! `tollgate prices list`, `tollgate prices diff` and `tollgate prices check`.

mod check;

use std::collections::BTreeMap;
use std::process::ExitCode;

use access::amounts::usd;
use access::{Clock, Day};
use ai::price::{LongContextRates, Price, Prices};
use config::Flags;
use config::read_price_file;
use config::snapshot::Traffic;
use meter::Rates;
use serde_json::{Value, json};

use crate::cli::{PricesCommand, PricesCommands};
use crate::commands::{load, printable};
use crate::failure::StartFault;
use crate::terminal::say;

/// Decimal places that represent a price exactly: per million tokens, per piece, per second.
const PER_MILLION: usize = 6;
const EACH: usize = 12;
const PER_SECOND: usize = 9;

/// The mark of figures of the built-in table that are older than two weeks.
const STALE: &str = ", older than 2 weeks";

/// The rates of one price, by configuration key.
type Figures = Vec<(String, String)>;

/// Runs the command and prints its result.
pub(crate) fn run(args: &PricesCommands) -> anyhow::Result<ExitCode> {
    let (PricesCommand::List { place, .. } | PricesCommand::Check { place, .. } | PricesCommand::Diff { place, .. }) =
        &args.command;
    let snapshot = load(place, &Flags::default())?.snapshot;
    match &args.command {
        PricesCommand::List { model, on, all, json, .. } => {
            let rows = listed(&snapshot.traffic, model.as_deref(), *on);
            let today = Clock::system().now().day();
            say(&match json {
                true => format!("{:#}\n", json!({"prices": in_json(&rows, today)})),
                false => table(&rows, *all, today),
            });
        }
        PricesCommand::Check { json, .. } => return check::run(&snapshot, *json),
        PricesCommand::Diff { file, .. } => {
            let key = snapshot.traffic.price_file.as_ref().and_then(|file| file.key);
            let (prices, notes) = read_price_file(file, key).map_err(StartFault::from)?;
            for note in notes {
                telemetry::logs::write_stderr(format!("note: {}\n", printable(&note.to_string())));
            }
            say(&diff(&snapshot.traffic.prices_builtin, &prices));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns configured prices, then the others; by name, then by first day.
fn listed<'a>(traffic: &'a Traffic, model: Option<&str>, on: Option<Day>) -> Vec<(String, &'a Price)> {
    let is_selected = |(name, price): &(String, &Price)| {
        model.is_none_or(|text| name.contains(text)) && on.is_none_or(|day| price.period.contains(day))
    };
    let sorted = |prices: &'a Prices| {
        let mut rows: Vec<_> = prices.all().filter(is_selected).collect();
        rows.sort_by(|a, b| (&a.0, a.1.period.from).cmp(&(&b.0, b.1.period.from)));
        rows
    };
    let mut rows = sorted(&traffic.prices);
    rows.extend(sorted(&traffic.prices_builtin));
    rows
}

/// The rates of a line unless all are asked for.
const MAIN_RATES: [&str; 3] = ["input", "cached_input", "output"];

/// Returns one line per price: name, days, rates, the day on which the rates were read, and whether they are old.
fn table(rows: &[(String, &Price)], all: bool, today: Day) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let line = |(name, price): &(String, &Price)| {
        let as_of = if price.as_of.is_empty() { "configuration" } else { &*price.as_of };
        let days = days(price);
        let figures = summary(figures(price), all);
        let age = if price.is_stale(today) { STALE } else { "" };
        printable(&format!("{name:width$}  {days:24}  {figures}  ({as_of}{age})")) + "\n"
    };
    rows.iter().map(line).collect()
}

/// Returns the main rates and the number of the others; all of them if the price has no main rate.
fn summary(mut figures: Figures, all: bool) -> String {
    let is_main = |(key, _): &(String, String)| MAIN_RATES.contains(&key.as_str());
    if all || !figures.iter().any(is_main) {
        return spelled(&figures);
    }
    let count = figures.len();
    figures.retain(is_main);
    let more = count - figures.len();
    if more == 0 { spelled(&figures) } else { format!("{}, {more} more", spelled(&figures)) }
}

/// Formats the days of a price: `2026-11-22..`, or `always`.
fn days(price: &Price) -> String {
    let suffix = price.period.suffix();
    suffix.strip_prefix('@').map_or_else(|| "always".to_owned(), str::to_owned)
}

fn spelled(figures: &Figures) -> String {
    figures.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ")
}

fn in_json(rows: &[(String, &Price)], today: Day) -> Vec<Value> {
    let one = |(name, price): &(String, &Price)| {
        let figures: serde_json::Map<String, Value> =
            figures(price).into_iter().map(|(key, value)| (key, Value::String(value))).collect();
        json!({
            "model": name,
            "from": price.period.from.map(|day| day.to_string()),
            "until": price.period.until.map(|day| day.to_string()),
            "figures": figures,
            "version": &*price.version,
            "source": &*price.source,
            "as_of": Some(&*price.as_of).filter(|as_of| !as_of.is_empty()),
            "stale": price.is_stale(today),
        })
    };
    rows.iter().map(one).collect()
}

/// Returns the known rates of a price, by configuration key.
fn figures(price: &Price) -> Figures {
    let mut figures = Vec::new();
    rates(&mut figures, "", &price.rates);
    long(&mut figures, "", price.long);
    let units = &price.units;
    for (key, rate, digits) in [
        ("per_image", units.image, EACH),
        ("per_second", units.millisecond, PER_SECOND),
        ("per_character", units.character, EACH),
        ("per_search", units.search, EACH),
        ("per_search_prompt", units.search_prompt, EACH),
        ("per_maps_query", units.maps_query, EACH),
        ("per_maps_prompt", units.maps_prompt, EACH),
        ("per_container", units.container, EACH),
        ("per_file_search", units.file_search, EACH),
        ("per_request", units.request, EACH),
    ] {
        figures.extend(rate.map(|rate| (key.to_owned(), usd::written(rate, digits))));
    }
    for (tier, of_tier, of_long) in &price.others.tiers {
        let prefix = format!("{}.", tier.as_str());
        rates(&mut figures, &prefix, of_tier);
        long(&mut figures, &prefix, *of_long);
    }
    if price.others.us_tenth {
        figures.push(("us_uplift".to_owned(), "true".to_owned()));
    }
    if let Some(limits) = price.limits {
        figures.push(("input_tokens_max".to_owned(), limits.input_tokens_max.to_string()));
        figures.push(("output_tokens_max".to_owned(), limits.output_tokens_max.to_string()));
    }
    figures
}

fn long(figures: &mut Figures, prefix: &str, long: Option<LongContextRates>) {
    let Some(LongContextRates { above_tokens, rates: of_long }) = long else { return };
    figures.push((format!("{prefix}long.above_tokens"), above_tokens.to_string()));
    rates(figures, &format!("{prefix}long."), &of_long);
}

fn rates(figures: &mut Figures, prefix: &str, rates: &Rates) {
    for (key, rate) in [
        ("input", rates.input),
        ("cached_input", rates.cached_input),
        ("cache_write", rates.cache_write_short),
        ("cache_write_long", rates.cache_write_long),
        ("output", rates.output),
        ("audio_input", rates.audio_input),
        ("image_input", rates.image_input),
        ("audio_output", rates.audio_output),
        ("image_output", rates.image_output),
    ] {
        figures.extend(rate.map(|rate| (format!("{prefix}{key}"), usd::written(rate, PER_MILLION))));
    }
}

/// Returns one line per new (`+`), removed (`-`) or changed (`~`) price, and the number of each.
fn diff(before: &Prices, after: &Prices) -> String {
    let rows = |prices: &Prices| -> BTreeMap<(String, Option<Day>, String), Figures> {
        prices.all().map(|(name, price)| ((name, price.period.from, days(price)), figures(price))).collect()
    };
    let before = rows(before);
    let after = rows(after);
    let mut lines = String::new();
    let mut added = 0_u32;
    let mut removed = 0_u32;
    let mut changed = 0_u32;
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let (name, _, days) = key;
        let line = match (before.get(key), after.get(key)) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(old), Some(new)) => {
                changed += 1;
                format!("~ {name}  {days}  {}", changes(old, new))
            }
            (None, Some(new)) => {
                added += 1;
                format!("+ {name}  {days}  {}", spelled(new))
            }
            (Some(old), None) => {
                removed += 1;
                format!("- {name}  {days}  {}", spelled(old))
            }
            (None, None) => continue,
        };
        lines += &printable(&line);
        lines.push('\n');
    }
    format!("{lines}{added} added, {removed} removed, {changed} changed\n")
}

/// Returns `input 4 -> 5` for each rate that differs; `-` represents a missing rate.
fn changes(old: &Figures, new: &Figures) -> String {
    let of = |figures: &Figures, key: &str| {
        let found = figures.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        found.unwrap_or_else(|| "-".to_owned())
    };
    let removed = old.iter().filter(|(key, _)| new.iter().all(|(name, _)| name != key));
    let keys = new.iter().chain(removed).map(|(key, _)| key.as_str());
    let differing = keys.map(|key| (key, of(old, key), of(new, key))).filter(|(_, old, new)| old != new);
    differing.map(|(key, old, new)| format!("{key} {old} -> {new}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use ai::price::{self, PricePeriod};
    use meter::UnitRates;

    use super::*;

    /// The day 2026-12-06 in UTC, 15 days after that of the built-in table.
    const TODAY: Day = Day(20_793);

    fn price(input: u64, until: Option<Day>) -> Price {
        let rates = Rates { input: Some(input), output: Some(2_000_000), ..Rates::default() };
        let units = UnitRates { request: Some(5_000_000_000), ..UnitRates::default() };
        let period = PricePeriod { from: None, until };
        Price::of_configuration(price::PriceFigures { rates, units, period, ..price::PriceFigures::default() })
    }

    #[test]
    fn a_difference_is_reported_per_figure() {
        let until = Day::parse("2026-12-31");
        let before = Prices::default()
            .with("p/same", price(1_000_000, None))
            .with("p/dearer", price(1_000_000, None))
            .with("p/gone", price(1_000_000, None))
            .with("p/ends", price(1_000_000, None));
        let free = Price {
            units: UnitRates { container: Some(30_000_000_000), ..UnitRates::default() },
            ..price(1_500_000, None)
        };
        let after = Prices::default()
            .with("p/same", price(1_000_000, None))
            .with("p/dearer", free)
            .with("p/new", price(3_000_000, None))
            .with("p/ends", price(1_000_000, until));
        assert_eq!(
            diff(&before, &after),
            "~ p/dearer  always  input 1 -> 1.5, per_container - -> 0.03, per_request 0.005 -> -\n\
             + p/ends  ..2026-12-31  input 1, output 2, per_request 0.005\n\
             - p/ends  always  input 1, output 2, per_request 0.005\n\
             - p/gone  always  input 1, output 2, per_request 0.005\n\
             + p/new  always  input 3, output 2, per_request 0.005\n\
             2 added, 2 removed, 1 changed\n"
        );
        assert_eq!(diff(&before, &before), "0 added, 0 removed, 0 changed\n");
    }

    #[test]
    fn a_list_has_every_figure_of_a_price() {
        let builtin = Prices::builtin();
        let rows: Vec<_> = builtin.all().filter(|(name, _)| name == "openai/gpt-5.6").collect();
        let text = table(&rows, true, TODAY);
        for part in [
            "..2026-11-21",
            "input 4,",
            "long.above_tokens 272000",
            "flex.long.output 15",
            "(2026-11-21, older than 2 weeks)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        for (name, part) in [
            ("openai/gpt-5.6", "per_search 0.01, per_container 0.03, per_file_search 0.0025"),
            ("gemini/gemini-2.5-pro", "per_search_prompt 0.035, per_maps_prompt 0.025"),
            ("gemini/gemini-3.6-flash", "per_search 0.014, per_maps_query 0.014"),
        ] {
            let rows: Vec<_> = builtin.all().filter(|(of, _)| of == name).collect();
            assert!(table(&rows, true, TODAY).contains(part), "{part}: {}", table(&rows, true, TODAY));
        }
        let json = Value::from(in_json(&rows, TODAY));
        assert_eq!((&json[0]["until"], &json[0]["stale"]), (&json!("2026-11-21"), &json!(true)));
        assert_eq!(json[0]["figures"]["cache_write"], "5");
        assert_eq!(json[0]["version"], "builtin-2026-11-21@..2026-11-21");
    }
}
