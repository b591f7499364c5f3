//! The limit that refused a request, as a text in the store.

use std::sync::Arc;

use access::{Amount, Timestamp};
use meter::{LimitOwner, LimitUnit, RefusedLimit};

use super::clip;

/// A limit in the store: owner and unit as numbers, rule, window in seconds, limit, used, requested, and the time at which it is
/// unused again.
type StoredLimit = (u8, u8, Option<String>, Option<u32>, u64, Option<u64>, u64, Option<u64>);

/// Returns the text of a limit: a JSON list.
pub(crate) fn stored(refused: &RefusedLimit) -> String {
    let RefusedLimit { owner, unit, rule, window_seconds, limit, used, requested, full_at } = refused;
    serde_json::json!([
        owner.number(),
        unit.number(),
        rule.as_deref().map(clip),
        window_seconds,
        limit.0,
        used.map(|used| used.0),
        requested.0,
        full_at.map(|at| at.0),
    ])
    .to_string()
}

/// Reads a text that [`stored`] returned. Another text, such as one of a newer version, has no limit.
pub(crate) fn of_stored(text: Option<&str>) -> Option<RefusedLimit> {
    let (owner, unit, rule, window_seconds, limit, used, requested, full_at): StoredLimit =
        serde_json::from_str(text?).ok()?;
    Some(RefusedLimit {
        owner: LimitOwner::of_number(owner),
        unit: LimitUnit::of_number(unit),
        rule: rule.map(Arc::from),
        window_seconds,
        limit: Amount(limit),
        used: used.map(Amount),
        requested: Amount(requested),
        full_at: full_at.map(Timestamp),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_limit_is_read_again_and_bounded() {
        let limit = RefusedLimit {
            owner: LimitOwner::Rule,
            unit: LimitUnit::Requests,
            rule: Some("ip \"a\"".into()),
            window_seconds: Some(60),
            limit: Amount(u64::MAX),
            used: None,
            requested: Amount(1),
            full_at: Some(Timestamp(7)),
        };
        let text = stored(&limit);
        assert_eq!(text, r#"[6,1,"ip \"a\"",60,18446744073709551615,null,1,7]"#);
        assert_eq!(of_stored(Some(&text)), Some(limit.clone()));
        let long = RefusedLimit { rule: Some("r\0".repeat(999).into()), ..limit };
        assert_eq!(of_stored(Some(&stored(&long))).unwrap().rule.as_deref(), Some("r"));
        assert_eq!(of_stored(None), None);
        for other in ["", "{}", "[]", "[6,1,null,60,5]", "[256,1,null,60,5,null,1,7]", "[6,1,null,60,-5,null,1,7]"] {
            assert_eq!(of_stored(Some(other)), None, "{other}");
        }
    }
}
