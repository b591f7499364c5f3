//! The expected cost of a month: the known days, and for each other day the mean of its weekday.

use access::Day;

use crate::anomalies::DayFigures;
use crate::brief::Forecast;
use crate::classify::clamped;
use crate::figures::day::{self, month};
use crate::figures::interval::factor;
use crate::figures::money::NanoMoney;
use crate::settings::ForecastSettings;

/// The number of earlier days that a forecast is computed from.
const DAYS: u32 = 28;
/// The number of days with usage below which there is no forecast.
const DAYS_MIN: u32 = 7;
/// Returns the forecast for the month of `today`. `days` has the days with requests up to `today`, which counts as known.
#[must_use]
pub fn forecast(today: Day, days: &[DayFigures], settings: &ForecastSettings) -> Forecast {
    let (first, last) = month(today);
    let until = day::date(last);
    let begin = day::earlier(today, DAYS).unwrap_or_default();
    let read: Vec<&DayFigures> = days.iter().filter(|of| of.day >= begin && of.day < today).collect();
    let count = u32::try_from(read.len()).unwrap_or(u32::MAX);
    let factor = factor(settings.interval);
    let factor = if count >= DAYS_MIN { factor } else { None };
    let Some(factor) = factor else {
        let reason = format!("{count} of the last {DAYS} days have usage; at least {DAYS_MIN} are needed");
        return Forecast { until, cost: None, low: None, high: None, days: count, reason: Some(reason) };
    };
    let cost_of = |day: Day| days.iter().find(|of| of.day == day).map_or(0, |of| i128::from(of.cost_nano));
    let known: i128 = (first.0..=today.0).map(|day| cost_of(Day(day))).sum();
    // A day before the first usage says nothing about its weekday.
    let since = read.iter().map(|of| of.day).min().unwrap_or(today);
    let mean_of = |day: u32| {
        let same: Vec<i128> =
            (since.0..today.0).filter(|other| other % 7 == day % 7).map(|other| cost_of(Day(other))).collect();
        mean(&same)
    };
    let all: Vec<i128> = (since.0..today.0).map(|day| cost_of(Day(day))).collect();
    let fallback = mean(&all).unwrap_or(0);
    let rest: i128 = (today.0 + 1..=last.0).map(|day| mean_of(day).unwrap_or(fallback)).sum();
    // The deviation of single days from the mean of their weekday.
    let deviations = (since.0..today.0).map(|day| cost_of(Day(day)) - mean_of(day).unwrap_or(0));
    let squares: i128 = deviations.map(|deviation| deviation.saturating_mul(deviation)).fold(0, i128::saturating_add);
    let variance = squares / i128::try_from(all.len().max(1)).unwrap_or(1);
    let remaining = i128::from(last.0.saturating_sub(today.0));
    let spread = factor.saturating_mul(variance.saturating_mul(remaining).isqrt()) / 10_000;
    let cost = known.saturating_add(rest);
    let money = |nano: i128| Some(NanoMoney::from_nano_usd(clamped(nano)));
    let low = cost.saturating_sub(spread).max(known);
    Forecast {
        until,
        cost: money(cost),
        low: money(low),
        high: money(cost.saturating_add(spread)),
        days: count,
        reason: None,
    }
}

fn mean(values: &[i128]) -> Option<i128> {
    let count = i128::try_from(values.len()).ok().filter(|count| *count > 0)?;
    Some(values.iter().sum::<i128>() / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::ratio::Ratio;

    const SETTINGS: ForecastSettings = ForecastSettings { interval: Ratio(8_000) };

    fn days(from: &str, to: &str, cost: impl Fn(u32) -> i64) -> Vec<DayFigures> {
        let of = |text: &str| day::parse(text).unwrap().0;
        (of(from)..=of(to))
            .map(|day| DayFigures { day: Day(day), cost_nano: cost(day), ..DayFigures::default() })
            .collect()
    }

    fn told(today: &str, days: &[DayFigures]) -> Option<[i64; 3]> {
        let Forecast { cost, low, high, .. } = forecast(day::parse(today).unwrap(), days, &SETTINGS);
        Some([cost?, low?, high?].map(|money| money.amount_nano))
    }

    #[test]
    fn equal_days_continue_without_a_spread() {
        let known = days("2026-10-24", "2026-11-21", |_| 1_000);
        assert_eq!(told("2026-11-21", &known), Some([30_000; 3]));
        // The last day of the month has nothing left to expect.
        let whole = days("2026-10-24", "2026-11-30", |_| 1_000);
        assert_eq!(told("2026-11-30", &whole), Some([30_000; 3]));
    }

    #[test]
    fn weekdays_repeat() {
        // One weekday costs 7,000 and the others nothing: nine days remain, with two or one of it.
        let known = days("2026-10-24", "2026-11-21", |day| if day % 7 == 20_778 % 7 { 7_000 } else { 0 });
        // Saturdays of November up to the 21st are three, and the 28th follows.
        assert_eq!(told("2026-11-21", &known), Some([28_000; 3]));
    }

    #[test]
    fn each_day_of_a_whole_month_is_the_mean_of_four_weeks() {
        // The newest week costs 4,000 a day, and the three before nothing.
        let newest = day::parse("2026-09-24").unwrap().0;
        let known = days("2026-09-03", "2026-10-01", |day| if day >= newest { 4_000 } else { 0 });
        let [cost, ..] = told("2026-10-01", &known).unwrap();
        assert_eq!(cost, 4_000 + 30 * 1_000);
    }

    #[test]
    fn days_that_differ_have_an_interval() {
        let known = days("2026-10-24", "2026-11-21", |day| if day % 2 == 0 { 2_000 } else { 0 });
        let [cost, low, high] = told("2026-11-21", &known).unwrap();
        assert!(low < cost && cost < high, "{low} {cost} {high}");
        assert!(high - cost <= 1_282 * 3 + 1, "{}", high - cost);
    }

    #[test]
    fn too_few_days_have_a_reason() {
        let known = days("2026-11-16", "2026-11-21", |_| 1_000);
        let forecast = forecast(day::parse("2026-11-21").unwrap(), &known, &SETTINGS);
        assert_eq!(forecast.cost, None);
        assert_eq!(forecast.reason.as_deref(), Some("5 of the last 28 days have usage; at least 7 are needed"));
        assert_eq!((forecast.until.as_str(), forecast.days), ("2026-11-30", 5));
    }
}
