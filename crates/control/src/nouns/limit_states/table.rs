//! The limits as text for a terminal.

use super::of_plans::OWN;
use super::{BusyKeyView, KeyValue, LimitKind, LimitStates, LimitView};

const HEADER: [&str; 5] = ["LIMIT", "OVERSHOOT", "UNUSABLE", "BUSY", "APPLIES TO"];

impl LimitStates {
    /// Returns a header, and a row for each limit and each of its tiers. Only the first row of a limit has the cells that apply
    /// to all its tiers.
    #[must_use]
    pub fn rows(&self) -> Vec<[String; 5]> {
        let rows = self.items.iter().flat_map(LimitView::rows);
        std::iter::once(HEADER.map(str::to_owned)).chain(rows).collect()
    }

    /// Returns a line for each key that is near a limit.
    #[must_use]
    pub fn busy_lines(&self) -> Vec<String> {
        let line = |limit: &LimitView, key: &BusyKeyView| {
            let BusyKeyView { values, limit: most, used, remaining, .. } = key;
            let names: Vec<String> = values.iter().map(KeyValue::text).collect();
            format!("{}: {used} of {most}, {remaining} left, {}", names.join(", "), limit.name)
        };
        self.items.iter().flat_map(|limit| limit.keys.iter().map(move |key| line(limit, key))).collect()
    }
}

impl LimitView {
    fn rows(&self) -> Vec<[String; 5]> {
        let scope = self.scope();
        let of_tier = |tier: &str| match self.kind {
            LimitKind::RateLimit | LimitKind::WithoutKey => format!("{scope}, tier {tier}"),
            LimitKind::RequestsPerMinute | LimitKind::CreditsPerDay if tier.starts_with(OWN) => tier.to_owned(),
            LimitKind::RequestsPerMinute | LimitKind::CreditsPerDay => format!("{scope} on plan {tier}"),
        };
        let usual = self.policy.iter().map(|policy| (self.limit(policy), scope.clone()));
        let tiers = self.tiers.iter().map(|tier| (self.limit(&tier.policy), of_tier(&tier.name)));
        let mut limits: Vec<(String, String)> = usual.chain(tiers).collect();
        if limits.is_empty() {
            limits.push((self.name.clone(), scope.clone()));
        }
        let busy = self.busy_keys.map_or_else(|| "-".to_owned(), |busy| busy.to_string());
        let mut shared = Some([self.overshoot.to_string(), self.unusable.to_string(), busy]);
        let row = |(limit, scope): (String, String)| {
            let [overshoot, unusable, busy] = shared.take().unwrap_or_default();
            [limit, overshoot, unusable, busy, scope]
        };
        limits.into_iter().map(row).collect()
    }

    /// Returns the number of a policy, which is the value of `RateLimit-Policy`.
    fn limit(&self, policy: &str) -> String {
        // The parameters follow the name, which may contain the separator.
        let value = |name: &str| policy.rsplit(';').find_map(|part| part.strip_prefix(name)).unwrap_or_default();
        let limit = value("q=");
        match self.algorithm {
            "concurrent" => format!("{limit} requests in flight"),
            "daily" => format!("{limit} credits a day"),
            _ => format!("{limit} requests in {} s", value("w=")),
        }
    }

    /// Returns the parties to which the limit applies.
    fn scope(&self) -> String {
        let word = |dimension: &String| match dimension.as_str() {
            "subject" => "client without a user".to_owned(),
            other => other.to_owned(),
        };
        let each = self.dimensions.iter().map(word).collect::<Vec<_>>().join(" and ");
        match (self.kind, &self.route) {
            (LimitKind::RateLimit, Some(route)) => format!("each {each}, route {route}"),
            (LimitKind::RateLimit, None) => format!("each {each}, all routes"),
            (LimitKind::WithoutKey, _) => format!("each {each} without a valid key"),
            (LimitKind::RequestsPerMinute | LimitKind::CreditsPerDay, _) => format!("each {each}"),
        }
    }
}

impl KeyValue {
    fn text(&self) -> String {
        let value = self.value.as_deref().unwrap_or("a hidden value");
        let label = self.label.iter().filter(|label| !label.is_empty()).map(|label| format!(" {label}"));
        let owner = self.owner.iter().map(|owner| format!(" of {}", owner.name));
        std::iter::once(value.to_owned()).chain(label).chain(owner).collect()
    }
}

#[cfg(test)]
mod tests {
    use config::ExplainedTier;

    use super::*;

    #[test]
    fn each_tier_has_a_row_and_the_first_row_of_a_limit_its_overshoot() {
        let tier = |name: &str, policy: &str| ExplainedTier { name: name.to_owned(), policy: policy.to_owned() };
        let rates = LimitView {
            kind: LimitKind::RateLimit,
            policy: Some("\"ip\";q=7;w=10".to_owned()),
            tiers: vec![tier("gold", "\"ip\";q=20;w=10")],
            algorithm: "sliding_window",
            overshoot: 20,
            ..LimitKind::CreditsPerDay.view("ip")
        };
        let quotas = LimitView {
            tiers: vec![tier("paid", "\"credits_per_day\";q=100;w=86400")],
            unusable: 8,
            busy_keys: Some(3),
            ..LimitKind::CreditsPerDay.view("subject")
        };
        let own = tier("the largest of 2 keys with their own", "\"credits_per_day\";q=7;w=86400");
        let of_keys = LimitView { tiers: vec![own], ..LimitKind::CreditsPerDay.view("key") };
        let states = LimitStates { is_live: false, is_shared: false, items: vec![rates, quotas, of_keys], next: None };
        assert_eq!(
            states.rows(),
            [
                HEADER,
                ["7 requests in 10 s", "20", "0", "-", "each ip, all routes"],
                ["20 requests in 10 s", "", "", "", "each ip, all routes, tier gold"],
                ["100 credits a day", "0", "8", "3", "each client without a user on plan paid"],
                ["7 credits a day", "0", "0", "-", "the largest of 2 keys with their own"],
            ]
        );
        let in_flight = LimitView { algorithm: "concurrent", ..LimitKind::RequestsPerMinute.view("key") };
        assert_eq!(in_flight.limit("\"user\";q=3;qu=\"concurrent-requests\""), "3 requests in flight");
    }

    #[test]
    fn a_key_near_its_limit_is_named_with_its_label_and_user() {
        let value = Some("…0f97".to_owned());
        let values = vec![KeyValue { label: Some("ci".to_owned()), ..KeyValue::plain("key".to_owned(), value, None) }];
        let key = BusyKeyView { values, limit: 10, used: 4, remaining: 6, resets_at: None, refused: None };
        let limit = LimitView { keys: vec![key], ..LimitKind::RequestsPerMinute.view("key") };
        let states = LimitStates { is_live: true, is_shared: false, items: vec![limit], next: None };
        assert_eq!(states.busy_lines(), ["…0f97 ci: 4 of 10, 6 left, requests_per_minute"]);
    }
}
