//! Finds the name that was probably meant: the known name with the smallest edit distance.

/// Longest name that is compared; the time is proportional to the product of both lengths.
const NAME_LEN_MAX: usize = 64;

/// Returns the closest of the `known` names to `asked` if at most a third of its characters differ; one difference is
/// always allowed.
pub fn near<'a>(asked: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let asked: Vec<char> = asked.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect();
    if asked.len() > NAME_LEN_MAX {
        return None;
    }
    let far = (asked.len() / 3).max(1);
    known
        .into_iter()
        .filter(|name| name.len() <= NAME_LEN_MAX && name.chars().count().abs_diff(asked.len()) <= far)
        .map(|name| (distance(&asked, name), name))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Returns the number of insertions, deletions, replacements and swaps of neighbours between the two names.
fn distance(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect();
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (y, a) in from.iter().enumerate() {
        let mut row = vec![y + 1];
        for (x, b) in to.iter().enumerate() {
            let mut best = (at(&above, x) + usize::from(a != b)).min(at(&above, x + 1) + 1).min(at(&row, x) + 1);
            if let Some(y1) = y.checked_sub(1)
                && let Some(x1) = x.checked_sub(1)
                && from.get(y1) == Some(b)
                && to.get(x1) == Some(a)
            {
                best = best.min(at(&before, x1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    at(&above, to.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_is_named_and_a_far_one_is_not() {
        let known = ["upstreams", "timeouts", "listen", "log", "max_size", "ai"];
        for (asked, near_name) in [
            ("upstream", Some("upstreams")),
            ("upstraems", Some("upstreams")),
            ("timeout", Some("timeouts")),
            ("Listen", Some("listen")),
            ("lgo", Some("log")),
            ("max-size", Some("max_size")),
            ("ia", Some("ai")),
            ("xy", None),
            ("", None),
            ("quota", None),
            ("websocket", None),
        ] {
            assert_eq!(near(asked, known), near_name, "{asked}");
        }
        assert_eq!(near(&"x".repeat(10_000), known), None);
    }
}
