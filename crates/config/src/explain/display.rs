//! The explanation as text for a terminal.

use std::fmt;

use super::{
    ExplainedAction, ExplainedAuthentication, ExplainedPlan, ExplainedRateLimit, ExplainedTarget, Explanation,
};

/// Width of the column of labels.
const LABEL: usize = 15;

impl ExplainedAuthentication {
    /// Returns the credential that decides about the request; `None` if the request has none of the alternatives.
    #[must_use]
    pub fn deciding(&self) -> Option<&Self> {
        if self.alternatives.is_empty() { Some(self) } else { self.alternatives.iter().find(|one| one.decides) }
    }

    /// Whether the request is refused without a valid credential.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.deciding().is_none_or(|deciding| deciding.kind != "none")
    }

    /// Returns in words which of several alternatives decides; `None` without alternatives.
    pub(super) fn decision(&self) -> Option<String> {
        (!self.alternatives.is_empty()).then(|| match self.deciding() {
            Some(deciding) => format!("decided by: {}", placed(&deciding.needed(), deciding.place.as_deref())),
            None => "decided by: none, as the request has no credential of an alternative".to_owned(),
        })
    }

    /// Returns the needed credential in words.
    pub(super) fn needed(&self) -> String {
        match (self.kind, &self.entry) {
            ("any", _) => self.alternatives.iter().map(Self::needed).collect::<Vec<_>>().join(", or "),
            ("none", _) => "no credential".to_owned(),
            ("jwt", Some(entry)) => format!("an access token of `{entry}`"),
            ("forward", Some(entry)) => format!("the consent of the service `{entry}`"),
            ("basic", Some(entry)) => format!("a user of `{entry}`, with the password"),
            (_, Some(entry)) => format!("a key of `{entry}`"),
            (_, None) => "a key".to_owned(),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = &self.request;
        let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let host = request.host.as_deref().unwrap_or_default();
        writeln!(f, "{} {host}{}{query}\n", request.method, request.path)?;
        match &self.route {
            Some(route) => {
                line(f, "route", &placed(&route.name, route.place.as_deref()))?;
                route.because.iter().try_for_each(|reason| line(f, "", reason))?;
            }
            None => line(f, "route", "none")?,
        }
        for (at, other) in self.others.iter().enumerate() {
            let label = if at == 0 { "not used" } else { "" };
            line(f, label, &format!("{}: {}", placed(&other.name, other.place.as_deref()), other.because))?;
        }
        if let Some(authentication) = &self.authentication {
            line(f, "authentication", &placed(&authentication.needed(), authentication.place.as_deref()))?;
            let claims = authentication.alternatives.iter().chain([authentication]).flat_map(|one| &one.require);
            claims.into_iter().try_for_each(|claim| line(f, "", &format!("with the claim {claim}")))?;
            authentication.decision().map_or(Ok(()), |decision| line(f, "", &decision))?;
            let plan = authentication.deciding().and_then(|deciding| deciding.plan.as_ref());
            plan.map_or(Ok(()), |plan| line(f, "", &plan.to_string()))?;
        }
        for (at, limit) in self.rate_limits.iter().enumerate() {
            line(f, if at == 0 { "rate limits" } else { "" }, &limit.to_string())?;
        }
        if let Some(action) = &self.action {
            action.write(f)?;
        }
        match (&self.refusal, self.status) {
            (Some(refusal), _) => {
                line(f, "response", &format!("{} {}: {}", refusal.status, refusal.code, refusal.message))
            }
            (None, Some(status)) => line(f, "response", &status.to_string()),
            (None, None) if self.action.as_ref().is_some_and(|action| action.kind == "forward") => {
                line(f, "response", "the upstream's, if the credential is valid and no limit is reached")
            }
            (None, None) => line(f, "response", "depends on the credential"),
        }
    }
}

impl fmt::Display for ExplainedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.name.as_ref().map(|name| placed(&format!("plan {name}"), self.place.as_deref()));
        match (&named, &self.named_by) {
            (Some(named), None) => f.write_str(named)?,
            (Some(named), Some(by)) => write!(f, "{named}, unless {by} names another plan")?,
            (None, by) => write!(f, "plan: {} names it", by.as_deref().unwrap_or("the credential"))?,
        }
        if self.limits.is_empty() { Ok(()) } else { write!(f, ": {} for each subject", self.limits.join(", ")) }
    }
}

impl ExplainedAction {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = self.format.map(|format| match self.targets.is_empty() {
            true => format!(" in the format {format}; the model decides the provider (--model NAME shows its targets)"),
            false => format!(" in the format {format}"),
        });
        line(f, "action", &format!("{}{}", self.kind, format.unwrap_or_default()))?;
        if let Some(location) = &self.location {
            line(f, "location", location)?;
        }
        if let Some(target) = &self.target {
            line(f, "target", target)?;
        }
        for (at, target) in self.targets.iter().enumerate() {
            let label = if at == 0 { "targets" } else { "" };
            line(f, label, &target.to_string())?;
        }
        if let Some(strategy) = self.strategy {
            line(f, "strategy", strategy)?;
        }
        let total: u64 = self.upstreams.iter().map(|upstream| u64::from(upstream.weight)).sum();
        for upstream in &self.upstreams {
            let share = match self.upstreams.len() {
                1 => String::new(),
                _ => format!(", {} of {total} requests", upstream.weight),
            };
            line(f, "upstream", &format!("{}{share}", placed(&upstream.name, upstream.place.as_deref())))?;
            if self.target.is_none() {
                line(f, "", &format!("target {}", upstream.target))?;
            }
            for backend in &upstream.backends {
                let weight = match upstream.backends.len() {
                    1 => String::new(),
                    _ => format!(" (weight {})", backend.weight),
                };
                line(f, "", &format!("{}{weight}", backend.url))?;
            }
            for source in &upstream.sources {
                line(f, "", &format!("members of {source}"))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for ExplainedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, model, .. } = self;
        match (&self.skipped, self.translated) {
            (Some(reason), _) => write!(f, "{provider}/{model}, skipped: {reason}"),
            (None, Some(format)) => write!(f, "{provider}/{model}, translated to {format}"),
            (None, None) => write!(f, "{provider}/{model}"),
        }
    }
}

impl fmt::Display for ExplainedRateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tiers = self.tiers.iter().map(|tier| format!("{} for {}", in_words(&tier.policy), tier.name));
        let usual = self.policy.iter().map(|policy| in_words(policy));
        let limits: Vec<String> = usual.chain(tiers).collect();
        let when = if self.after_authentication { "after" } else { "before" };
        let text = format!("{}: {}, {when} authentication", self.name, limits.join(", "));
        f.write_str(&placed(&text, self.place.as_deref()))
    }
}

/// Returns a policy, which is the value of `RateLimit-Policy`, in words.
fn in_words(policy: &str) -> String {
    // The parameters follow the name, which may contain the separator.
    let value = |name: &str| policy.rsplit(';').find_map(|part| part.strip_prefix(name));
    let limit = value("q=").unwrap_or_default();
    let unit = value("qu=").map_or("requests", |unit| unit.trim_matches('"'));
    match (unit, value("w=")) {
        ("concurrent-requests", _) | (_, None) => format!("{limit} requests in flight"),
        (unit, Some(seconds)) => format!("{limit} {} in {seconds} s", unit.replace('_', " ")),
    }
}

/// Returns a text with a position in the file.
fn placed(text: &str, place: Option<&str>) -> String {
    place.map_or_else(|| text.to_owned(), |place| format!("{text} ({place})"))
}

fn line(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    writeln!(f, "{label:LABEL$} {text}")
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn policies_are_written_with_their_unit() {
        for (policy, expected) in [
            ("\"ip\";q=100;w=60", "100 requests in 60 s"),
            ("\"user\";q=20;qu=\"concurrent-requests\"", "20 requests in flight"),
            ("\"plan:input_tokens\";q=30;qu=\"input_tokens\";w=60", "30 input tokens in 60 s"),
        ] {
            assert_eq!(in_words(policy), expected);
        }
    }
}
