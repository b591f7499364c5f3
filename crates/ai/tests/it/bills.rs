//! Golden bills: responses of the providers, each with its classes and its cost computed by hand.
//!
//! A fixture has one item per line: its purpose, the format, the framing, the path, the model (`PROVIDER/MODEL`, whose
//! price is used), the price's version, the rates if the built-in table has none, the provider's own total, the
//! classes, the calls of the provider's tools, the bill (quantity, class, pico-USD each, amount), the cost in nano-USD,
//! and the request, in which `@N@` is replaced by N bytes of text. The response follows, byte for byte.

use std::fmt::Write as _;

use access::Tokens;
use ai::bound::Reference;
use ai::models::TokenLimits;
use ai::price::PriceTerms;
use ai::{Endpoint, Extent, Format, Price, Prices, ResponseFacts, ResponseFraming, Tap, request};
use bytes::Bytes;
use meter::{Rates, Source, UnitRates, Usage, rating};

/// The day 2026-11-21: every model of a bill has a price on it.
const DAY: access::Day = access::Day(20_778);

struct Bill {
    name: String,
    format: Format,
    framing: ResponseFraming,
    path: String,
    provider: String,
    model: String,
    version: String,
    /// A configured price's rates, by name.
    rates: Vec<(String, u64)>,
    total: Option<u64>,
    classes: Vec<(String, u64)>,
    billed: Option<(String, u64)>,
    tools: Vec<(String, u64)>,
    lines: Vec<[u64; 3]>,
    line_classes: Vec<String>,
    sum: i128,
    cost: Option<i64>,
    request: Option<Bytes>,
    answer: Vec<u8>,
}

fn bills() -> Vec<Bill> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/bills");
    let mut bills: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| read(&entry.unwrap().path())).collect();
    bills.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(bills.len() >= 40, "{} bills", bills.len());
    bills
}

fn read(path: &std::path::Path) -> Bill {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read(path).unwrap();
    let (head, answer) = {
        let marker = b"\nanswer:\n";
        let at = text.windows(marker.len()).position(|window| window == marker).unwrap();
        (std::str::from_utf8(&text[..at]).unwrap().to_owned(), text[at + marker.len()..].to_vec())
    };
    let field = |key: &str| {
        let found = head.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ").map(str::to_owned));
        found.unwrap_or_else(|| panic!("{name} has no {key}"))
    };
    let indented = |key: &str| {
        let behind = head.lines().skip_while(move |line| *line != key).skip(1);
        behind.take_while(|line| line.starts_with("  ")).map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let pair = |line: &str| {
        let (word, number) = line.split_once(' ').unwrap();
        (word.to_owned(), number.parse().unwrap())
    };
    let framing = match &*field("framing") {
        "json" => ResponseFraming::Json,
        "events" => ResponseFraming::Events,
        "array" => ResponseFraming::Array,
        "opaque" => ResponseFraming::Opaque,
        other => panic!("{name}: {other}"),
    };
    let mut bill = indented("bill:");
    let sum = bill
        .pop()
        .map_or(0, |sum| sum.strip_prefix("sum ").unwrap().strip_suffix(" pico-USD").unwrap().parse::<i128>().unwrap());
    let lines = bill.iter().map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        assert!(words.len() == 6 && words[2] == "x" && words[4] == "=", "{name}: {line}");
        ([words[0], words[3], words[5]].map(|word| word.parse().unwrap()), words[1].to_owned())
    });
    let (lines, line_classes) = lines.unzip();
    let (provider, model) = {
        let model = field("model");
        let (provider, model) = model.split_once('/').unwrap();
        (provider.to_owned(), model.to_owned())
    };
    let format = field("format");
    Bill {
        format: Format::ALL.into_iter().find(|known| known.name() == format).unwrap(),
        framing,
        path: field("path"),
        provider,
        model,
        version: field("price"),
        total: field("total").parse().ok(),
        classes: indented("classes:").iter().map(|line| pair(line)).collect(),
        rates: head
            .lines()
            .find_map(|line| line.strip_prefix("rates: "))
            .map_or_else(Vec::new, |rates| rates.split(", ").map(pair).collect()),
        tools: indented("tools:").iter().map(|line| pair(line)).collect(),
        billed: head.lines().find_map(|line| line.strip_prefix("billed: ")).map(pair),
        lines,
        line_classes,
        sum,
        cost: field("cost").parse().ok(),
        request: Some(field("request")).filter(|request| request != "none").map(|request| expanded(&request)),
        answer,
        name,
    }
}

/// Returns the table, with the bill's own price if it has one.
fn prices(bill: &Bill) -> Prices {
    let prices = Prices::builtin();
    if bill.rates.is_empty() {
        return prices;
    }
    let rate = |name: &str| bill.rates.iter().find(|(rate, _)| rate == name).map(|(_, rate)| *rate);
    let rates = Rates {
        input: rate("input"),
        cached_input: rate("cached_input"),
        cache_write_short: rate("cache_write_short").or(rate("input")),
        cache_write_long: rate("cache_write_short").or(rate("input")),
        output: rate("output"),
        ..Rates::default()
    };
    let units = UnitRates { search: rate("search"), file_search: rate("file_search"), ..UnitRates::default() };
    let price = Price { units, ..Price::configured(rates, UnitRates::default()) };
    prices.with(&format!("{}/{}", bill.provider, bill.model), price)
}

/// Returns the request with text in place of `@N@`.
fn expanded(request: &str) -> Bytes {
    let mut out = String::new();
    for (at, part) in request.split('@').enumerate() {
        if at % 2 == 0 {
            out.push_str(part);
        } else {
            out.push_str(&"word ".repeat(part.parse::<usize>().unwrap() / 5 + 1));
        }
    }
    out.into()
}

/// Returns the facts that the tap reads if the response arrives in these pieces.
fn seen<'a>(bill: &Bill, pieces: impl IntoIterator<Item = &'a [u8]>) -> ResponseFacts {
    let mut tap = Tap::new(bill.format, bill.framing, false);
    for piece in pieces {
        tap.push(Bytes::copy_from_slice(piece));
    }
    let mut seen = tap.finish().1;
    // If the response reports no usage, the request determines the billed units.
    if seen.usage.is_none() && seen.ended {
        let billable = requested(bill).and_then(|(requested, _)| requested.billable);
        if let Some(billed) = billable {
            seen.usage = Some(Usage { billed: Some(billed), ..Usage::empty(Source::Counted) });
            seen.terms = Some(PriceTerms::default());
        }
    }
    seen
}

fn requested(bill: &Bill) -> Option<(ai::RequestFields, Extent)> {
    let body = bill.request.as_ref()?;
    let ai::endpoint::EndpointMatch::Endpoint(called) = Endpoint::find("POST", &bill.path) else {
        panic!("{}", bill.path)
    };
    let requested = request::read(&called, Some("application/json"), body).unwrap();
    let extent = Extent::read(&called, &requested, body);
    Some((requested, extent))
}

#[test]
fn every_bill_adds_up_as_it_was_worked_by_hand() {
    for bill in bills() {
        let prices = prices(&bill);
        let Bill { name, .. } = &bill;
        let seen = seen(&bill, [&*bill.answer]);
        let usage = seen.usage.unwrap_or(Usage::empty(Source::Reported));
        let reported = meter::usage::CLASSES.into_iter().zip(usage.classes());
        let reported: Vec<_> = reported.filter_map(|(class, tokens)| Some((class.to_owned(), tokens?.0))).collect();
        assert_eq!(reported, bill.classes, "{name}: the classes");
        let billed = usage.billed.map(|billed| (billed.unit.as_str().to_owned(), billed.quantity));
        assert_eq!(billed, bill.billed, "{name}: what is billed by a unit");
        let tools = meter::usage::TOOL_CALLS.into_iter().zip(usage.tools.counts());
        let tools: Vec<_> = tools.filter_map(|(tool, calls)| Some((tool.to_owned(), calls?))).collect();
        assert_eq!(tools, bill.tools, "{name}: the calls of tools");
        if let Some(total) = bill.total {
            assert_eq!(usage.total(), Tokens(total), "{name}: the classes sum to the provider's own total");
        }
        let names = seen.model.as_deref().into_iter().chain([&*bill.model]);
        let price = prices.find(&bill.provider, names, DAY);
        let at = price.zip(seen.terms).and_then(|(price, terms)| price.with_terms(terms));
        assert_eq!(price.is_some(), bill.version != "none", "{name}");
        if bill.cost.is_some()
            && let Some(at) = at.as_ref()
        {
            assert_eq!(*at.version, *bill.version, "{name}: the price's version");
        }
        let known = if seen.unknown.is_none() { seen.usage } else { None };
        let cost = known.zip(at.as_ref()).and_then(|(usage, at)| at.cost(&usage));
        assert_eq!(cost.map(|cost| cost.0), bill.cost, "{name}: the cost");
        if let Some(price) = price
            && let Some(usage) = &seen.usage
        {
            let least = price.cost_at_least(seen.terms, usage);
            assert!(cost.is_none_or(|cost| cost == least), "{name}: what is known of a known cost is all of it");
        }
        let Some(cost) = cost else { continue };
        let lines = at.unwrap().lines(&usage).unwrap();
        let amounts: Vec<_> =
            lines.iter().map(|line| [line.quantity, line.rate_pico, line.quantity * line.rate_pico]).collect();
        assert_eq!(amounts, bill.lines, "{name}: the lines");
        assert_eq!(lines.iter().map(|line| line.class).collect::<Vec<_>>(), bill.line_classes, "{name}: their classes");
        assert_eq!(lines.iter().map(rating::Line::amount_pico).sum::<i128>(), bill.sum, "{name}: the sum");
        assert_eq!(rating::total(&lines), cost, "{name}: the rounded sum");
    }
}

#[test]
fn every_split_of_an_answer_gives_the_same_bill() {
    for bill in bills() {
        let whole = seen(&bill, [&*bill.answer]);
        for cut in 0..=bill.answer.len() {
            let (head, tail) = bill.answer.split_at(cut);
            assert_eq!(seen(&bill, [head, tail]), whole, "{} cut at {cut}", bill.name);
        }
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(seen(&bill, bill.answer.chunks(size)), whole, "{} in pieces of {size}", bill.name);
        }
    }
}

/// Every byte of a reported usage object is kept, and reading it again gives the same usage.
#[test]
fn the_raw_usage_prices_the_answer_again() {
    for bill in bills() {
        let seen = seen(&bill, [&*bill.answer]);
        let has_object = seen.usage.is_some_and(|usage| usage.source == Source::Reported && usage.has_tokens());
        assert!(!has_object || seen.raw_usage.is_some(), "{}", bill.name);
        let Some(raw) = &seen.raw_usage else { continue };
        let answer = std::str::from_utf8(&bill.answer).unwrap();
        let bare = raw.strip_prefix('[').and_then(|raw| raw.strip_suffix(']')).unwrap_or(raw);
        let (first, second) = if bare.len() == raw.len() { (bare, "") } else { bare.split_once("},{").unwrap() };
        assert!(answer.contains(first) && answer.contains(second), "{}: {raw}", bill.name);
    }
}

#[test]
fn no_answer_used_or_cost_more_than_its_request_was_bounded_by() {
    let mut compared = 0;
    let mut unknown = String::new();
    for bill in bills() {
        let prices = prices(&bill);
        let Some((_, extent)) = requested(&bill) else { continue };
        let Some(usage) = seen(&bill, [&*bill.answer]).usage else { continue };
        let price = prices.find(&bill.provider, [&*bill.model], DAY);
        let bound = extent.bound(price, TokenLimits::find(&bill.provider, [&*bill.model]));
        let Bill { name, cost, .. } = &bill;
        if let Some(tokens) = bound.tokens {
            assert!(usage.total() <= tokens, "{name}: {:?} of {tokens:?}", usage.total());
            let created = [usage.output, usage.reasoning, usage.audio_output, usage.image_output].into_iter().flatten();
            assert!(created.fold(Tokens::ZERO, Tokens::saturating_add) <= bound.output_tokens_max.unwrap(), "{name}");
        }
        match (bound.money, cost) {
            (Some(money), Some(cost)) => {
                compared += 1;
                assert!(*cost <= money.0, "{name}: {cost} of {}", money.0);
            }
            (None, Some(_)) => writeln!(unknown, "{name}: {:?}", bound.unknown()).unwrap(),
            (_, None) => {}
        }
    }
    assert!(compared >= 50, "{compared} were compared");
    assert_eq!(unknown, "", "every bill's request has a bound");
}

#[test]
fn requests_that_refer_to_their_input_are_reported() {
    for (name, reference) in [
        ("chat-audio", Some(Reference::Audio)),
        ("gemini-audio", Some(Reference::Document)),
        ("messages-compaction", Some(Reference::Compaction)),
        ("responses-web-search", Some(Reference::ServerTool)),
        ("messages-web-search", None),
        ("chat-image-seen", None),
        ("chat-plain", None),
    ] {
        let bill = bills().into_iter().find(|bill| bill.name == name).unwrap();
        assert_eq!(requested(&bill).unwrap().1.bound(None, None).unbounded, reference, "{name}");
    }
}
