//! Figures of a day that are far from those of the same weekday, by the median and the median absolute deviation (MAD).

use access::Day;
use uuid::Uuid;

use crate::brief::Anomaly;
use crate::figures::day::{self, weekdays};
use crate::figures::money;
use crate::figures::ratio::Ratio;
use crate::settings::AnomalySettings;

/// The number of earlier days that are read: eight of each weekday.
pub const DAYS_READ: u32 = 56;
/// The number of earlier days with the same weekday below which nothing is compared.
const WEEKDAYS_MIN: usize = 2;
/// The MAD of a normal distribution is this part of its standard deviation, in ten-thousandths.
const NORMAL_MAD: i128 = 6_745;

/// The figures of one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayFigures {
    /// The day in UTC.
    pub day: Day,
    /// The number of requests, without refused ones.
    pub requests: u64,
    /// The number of refused requests.
    pub refused: u64,
    /// The number of tokens.
    pub tokens: u64,
    /// The sum of the known costs in nano-USD that the operator pays.
    pub cost_nano: i64,
    /// The sum of the known costs in nano-USD that users' own credentials paid.
    pub own_cost_nano: i64,
}

/// One figure of a day that is compared.
#[derive(Debug, Clone, Copy)]
enum Measure {
    Requests,
    Tokens,
    Cost,
}

/// Returns the anomalies of `today`, or the reason why none can be found. `earlier` has the earlier days with requests, at
/// most [`DAYS_READ`] days back; `ids` are some requests of the day.
pub fn anomalies(
    today: DayFigures,
    earlier: &[DayFigures],
    settings: &AnomalySettings,
    ids: &[Uuid],
) -> Result<Vec<Anomaly>, String> {
    let days = u32::try_from(earlier.iter().filter(|of| of.day < today.day).count()).unwrap_or(u32::MAX);
    if days < settings.days_min {
        return Err(format!("{days} earlier days have usage; at least {} are needed", settings.days_min));
    }
    let first = earlier.iter().map(|of| of.day).min().unwrap_or(today.day);
    // A weekday without usage after the first day counts as zero.
    let weeks = (1..=DAYS_READ / 7).filter_map(|weeks| day::earlier(today.day, weeks * 7)).filter(|day| *day >= first);
    let compared: Vec<DayFigures> = weeks
        .map(|day| {
            earlier.iter().find(|of| of.day == day).copied().unwrap_or(DayFigures { day, ..DayFigures::default() })
        })
        .collect();
    if compared.len() < WEEKDAYS_MIN {
        return Err(format!("fewer than {WEEKDAYS_MIN} earlier {} have usage", weekdays(today.day)));
    }
    let all = [Measure::Requests, Measure::Tokens, Measure::Cost];
    let found = all.into_iter().filter_map(|measure| {
        let values: Vec<i64> = compared.iter().map(|of| measure.value(of)).collect();
        let value = measure.value(&today);
        let median = median(&values);
        let deviations: Vec<i64> = values.iter().map(|value| value.saturating_sub(median).saturating_abs()).collect();
        let mad = self::median(&deviations);
        let score = score(value, median, mad);
        (score >= settings.score_min).then(|| Anomaly {
            measure: measure.name().to_owned(),
            value,
            median,
            mad,
            score,
            days,
            text: measure.text(value, median, weekdays(today.day)),
            request_ids: ids.iter().take(3).copied().collect(),
        })
    });
    Ok(found.collect())
}

impl Measure {
    fn value(self, day: &DayFigures) -> i64 {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        match self {
            Self::Requests => number(day.requests),
            Self::Tokens => number(day.tokens),
            Self::Cost => day.cost_nano,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Cost => "cost_nano",
        }
    }

    fn text(self, value: i64, median: i64, weekdays: &str) -> String {
        let side = if value > median { "above" } else { "below" };
        match self {
            Self::Requests => format!("{value} requests are far {side} the {median} of other {weekdays}"),
            Self::Tokens => format!("{value} tokens are far {side} the {median} of other {weekdays}"),
            Self::Cost => {
                let value = money::shown(value.into());
                let median = money::shown(median.into());
                format!("a cost of {value} is far {side} the {median} of other {weekdays}")
            }
        }
    }
}

/// Returns the median; of an even number of values, the mean of the middle ones, rounded towards zero.
fn median(values: &[i64]) -> i64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let half = sorted.len() / 2;
    let at = |place: usize| i128::from(sorted.get(place).copied().unwrap_or(0));
    let median = if sorted.len() % 2 == 1 { at(half) } else { (at(half.saturating_sub(1)) + at(half)) / 2 };
    i64::try_from(median).unwrap_or(0)
}

/// Returns the robust score. The MAD counts as at least one hundredth of the median and at least 1, so that equal days do not
/// make every difference an anomaly.
fn score(value: i64, median: i64, mad: i64) -> Ratio {
    let spread = i128::from(mad).max(i128::from(median).abs() / 100).max(1);
    let deviation = (i128::from(value) - i128::from(median)).abs();
    // The score of a whole deviation fits a ratio.
    let score = deviation.saturating_mul(NORMAL_MAD) / spread;
    Ratio(i64::try_from(score).unwrap_or(i64::MAX).min(Ratio::MAX.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Day = Day(20_778);

    fn settings() -> AnomalySettings {
        AnomalySettings { days_min: 14, score_min: Ratio(35_000) }
    }

    fn figures(back: u32, requests: u64) -> DayFigures {
        let day = Day(TODAY.0 - back);
        let tokens = requests * 100;
        let cost_nano = 1_000_000_000;
        DayFigures { day, requests, tokens, cost_nano, ..DayFigures::default() }
    }

    #[test]
    fn a_day_far_from_its_weekday_is_an_anomaly() {
        // Saturdays have 600 to 680 requests, other days 5,000.
        let earlier: Vec<_> = (1..=56)
            .map(|back| figures(back, if back % 7 == 0 { 600 + u64::from(back) * 10 / 7 } else { 5_000 }))
            .collect();
        let found = anomalies(figures(0, 1_000), &earlier, &settings(), &[Uuid::from_u128(1)]).unwrap();
        let told: Vec<_> = found.iter().map(|of| (of.measure.as_str(), of.value, of.median, of.mad)).collect();
        assert_eq!(told, [("requests", 1_000, 645, 20), ("tokens", 100_000, 64_500, 2_000)]);
        assert_eq!(found[0].score, Ratio(355 * 6_745 / 20));
        assert_eq!(found[0].text, "1000 requests are far above the 645 of other Saturdays");
        assert_eq!(anomalies(figures(0, 650), &earlier, &settings(), &[]), Ok(Vec::new()));
        // Equal days tolerate one hundredth.
        let equal: Vec<_> = (1..=56).map(|back| figures(back, 10_000)).collect();
        assert_eq!(anomalies(figures(0, 10_500), &equal, &settings(), &[]), Ok(Vec::new()));
        assert_eq!(anomalies(figures(0, 11_000), &equal, &settings(), &[]).unwrap().len(), 2);
    }

    #[test]
    fn too_few_days_have_a_reason() {
        let thirteen: Vec<_> = (1..=13).map(|back| figures(back, 5)).collect();
        let reason = anomalies(figures(0, 1_000), &thirteen, &settings(), &[]).unwrap_err();
        assert_eq!(reason, "13 earlier days have usage; at least 14 are needed");
        let fourteen: Vec<_> = (1..=14).map(|back| figures(back, 5)).collect();
        assert_eq!(anomalies(figures(0, 5), &fourteen, &settings(), &[]), Ok(Vec::new()));
        let recent = AnomalySettings { days_min: 1, ..settings() };
        assert!(anomalies(figures(0, 5), &[figures(1, 5)], &recent, &[]).unwrap_err().contains("Saturdays"));
        assert!(anomalies(figures(0, 5), &[], &recent, &[]).is_err());
    }

    #[test]
    fn medians_are_of_the_middle() {
        for (values, expected) in
            [(&[][..], 0), (&[3], 3), (&[9, 1], 5), (&[5, 1, 9], 5), (&[i64::MAX, i64::MAX], i64::MAX)]
        {
            assert_eq!(median(values), expected, "{values:?}");
        }
    }
}
