//! Regular expressions of whole numbers within bounds, for the JSON Schema of values that are texts.
//!
//! They use no lookahead, which not every validator supports.

/// Returns a pattern of the whole numbers from `min` to `max`; zeros may precede them.
pub(crate) fn whole(min: u64, max: u64) -> String {
    format!("^{}$", number(min, max))
}

/// Returns a pattern of the amounts from `min` to `max`, each a whole number and one of the units.
pub(crate) fn amounts(min: u64, max: u64, units: &[(&str, u64)]) -> String {
    let of_unit = units.iter().filter_map(|(name, unit)| {
        let least = min.div_ceil(*unit);
        let most = max / unit;
        (least <= most).then(|| format!("{}{name}", number(least, most)))
    });
    format!("^({})$", of_unit.collect::<Vec<_>>().join("|"))
}

fn number(min: u64, max: u64) -> String {
    let mut parts = Vec::new();
    if min == 0 {
        parts.push("0".to_owned());
    }
    let mut least = min.max(1);
    // The lengths of which every number is valid.
    let mut whole: Option<(u32, u32)> = None;
    for len in digits(least)..=digits(max) {
        let shortest = 10_u64.pow(len - 1);
        let longest = 10_u64.checked_pow(len).map_or(u64::MAX, |power| power - 1);
        let most = longest.min(max);
        if least == shortest && max > longest {
            whole = Some((whole.map_or(len, |(first, _)| first), len));
        } else if least <= most {
            of_one_length(&least.to_string(), &most.to_string(), "", &mut parts);
        }
        least = most.saturating_add(1);
    }
    parts.extend(whole.map(|(first, last)| format!("[1-9][0-9]{{{},{}}}", first - 1, last - 1)));
    format!("0*({})", parts.join("|"))
}

fn digits(number: u64) -> u32 {
    number.checked_ilog10().unwrap_or_default() + 1
}

/// Adds patterns of the texts from `min` to `max`, which have the same number of digits, behind `prefix`.
fn of_one_length(min: &str, max: &str, prefix: &str, parts: &mut Vec<String>) {
    let Some((low, high)) = min.chars().next().zip(max.chars().next()) else {
        return parts.push(prefix.to_owned());
    };
    let low_rest = min.get(1..).unwrap_or_default();
    let high_rest = max.get(1..).unwrap_or_default();
    let is_from_least = low_rest.bytes().all(|digit| digit == b'0');
    let is_to_most = high_rest.bytes().all(|digit| digit == b'9');
    let rest = low_rest.len();
    if low == high && !(is_from_least && is_to_most) {
        return of_one_length(low_rest, high_rest, &format!("{prefix}{low}"), parts);
    }
    let mut whole: Vec<char> = (low..=high).collect();
    if !is_from_least {
        whole.remove(0);
        of_one_length(low_rest, &"9".repeat(rest), &format!("{prefix}{low}"), parts);
    }
    if !is_to_most {
        whole.pop();
    }
    if let Some(first) = whole.first()
        && let Some(last) = whole.last()
    {
        let class = if first == last { first.to_string() } else { format!("[{first}-{last}]") };
        let any = match rest {
            0 => String::new(),
            1 => "[0-9]".to_owned(),
            rest => format!("[0-9]{{{rest}}}"),
        };
        parts.push(format!("{prefix}{class}{any}"));
    }
    if !is_to_most {
        of_one_length(&"0".repeat(rest), high_rest, &format!("{prefix}{high}"), parts);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns whether a validator finds that `text` matches the pattern.
    fn matches(pattern: &str, texts: &[String]) -> Vec<bool> {
        let mut schemas = boon::Schemas::new();
        let mut compiler = boon::Compiler::new();
        compiler.add_resource("t.json", json!({"pattern": pattern})).unwrap();
        let index = compiler.compile("t.json", &mut schemas).unwrap();
        texts.iter().map(|text| schemas.validate(&json!(text), index).is_ok()).collect()
    }

    #[test]
    fn whole_numbers_match_within_their_bounds_only() {
        for (min, max) in [(0, 0), (0, 9), (1, 10), (7, 7), (5, 1_000), (99, 101), (123, 4_567), (1, 366), (10, 19)] {
            let numbers: Vec<u64> = (0..6_000).collect();
            let texts: Vec<String> = numbers.iter().map(u64::to_string).collect();
            let expected: Vec<bool> = numbers.iter().map(|number| (min..=max).contains(number)).collect();
            assert_eq!(matches(&whole(min, max), &texts), expected, "{min} to {max}: {}", whole(min, max));
        }
        let texts = ["", "-1", "1.0", "007", "18446744073709551615", "18446744073709551616"].map(str::to_owned);
        assert_eq!(matches(&whole(1, u64::MAX), &texts), [false, false, false, true, true, false]);
    }

    #[test]
    fn amounts_match_within_their_bounds_in_each_unit() {
        let units = [("s", 1), ("m", 60)];
        let texts = ["1s", "59s", "60s", "600s", "601s", "0m", "1m", "10m", "11m", "60", "1h"].map(str::to_owned);
        let expected = [false, false, true, true, false, false, true, true, false, false, false];
        assert_eq!(matches(&amounts(60, 600, &units), &texts), expected);
    }
}
