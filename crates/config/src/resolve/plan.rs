//! The models that a plan includes, under the names that its users may request.

use std::borrow::Cow;

use ai::Endpoint;

use super::pattern::is_match;
use super::{ResolveError, ResolvedModel};
use crate::snapshot::{Model, PlanModels, Target, Traffic};

impl PlanModels {
    /// Returns the name in place of `asked`: that of its alias, or `asked` itself.
    fn meant<'a>(&'a self, asked: &'a str) -> &'a str {
        self.aliases.get(asked).map_or(asked, |meant| meant)
    }

    /// Whether `models` has this name.
    fn lists(&self, name: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|model| is_match(model, name)))
    }

    /// Whether the plan includes an entry of `models`, which serves `name`: by its name, or by that of each of its targets.
    fn includes(&self, entry: &Model, name: &str) -> bool {
        let mut targets = entry.targets.iter();
        let is_target =
            |target: &Target| self.lists(&format!("{}/{}", target.provider.name, entry.model_of(target, name)));
        self.lists(name) || self.lists(&entry.name) || targets.all(is_target)
    }
}

impl Traffic {
    /// Resolves `asked` for a client of this plan: as [`Self::resolve_model`] resolves it, or the name in place of an alias.
    ///
    /// # Errors
    /// Returns a [`ResolveError`], also if the plan does not include the model.
    pub fn resolve_model_in_plan(
        &self,
        plan: Option<&str>,
        endpoint: Endpoint,
        asked: &str,
    ) -> Result<ResolvedModel, ResolveError> {
        let Some((plan, of)) = plan.and_then(|plan| self.plan_models.get_key_value(plan)) else {
            return self.resolve_model(endpoint, asked);
        };
        let name = of.meant(asked);
        let resolved = self.resolve_model(endpoint, name);
        let is_included = match (self.entry(name), &resolved) {
            (Some(entry), _) => of.includes(entry, name),
            (None, Ok(ResolvedModel { provider, model, .. })) => of.lists(&format!("{}/{model}", provider.name)),
            (None, Err(_)) => return resolved,
        };
        if is_included { resolved } else { Err(ResolveError::NotInPlan { plan: plan.to_string() }) }
    }

    /// Returns the name in place of an alias of this plan, or `asked` itself.
    #[must_use]
    pub fn meant_in_plan<'a>(&'a self, plan: Option<&str>, asked: &'a str) -> &'a str {
        plan.and_then(|plan| self.plan_models.get(plan)).map_or(asked, |of| of.meant(asked))
    }

    /// Whether a name of `models`, or `PROVIDER/MODEL`, is served in any format to clients of this plan.
    #[must_use]
    pub fn serves_in_plan(&self, plan: &str, name: &str) -> bool {
        let Some(of) = self.plan_models.get(plan) else { return self.serves(name) };
        let meant = of.meant(name);
        self.serves(meant) && self.includes_meant(of, meant)
    }

    /// Whether the plan has a part of the models only.
    #[must_use]
    pub fn plan_has_models(&self, plan: &str) -> bool {
        self.plan_models.get(plan).is_some_and(|of| of.models.is_some())
    }

    /// Whether the plan includes `PROVIDER/MODEL`.
    #[must_use]
    pub fn plan_includes(&self, plan: &str, name: &str) -> bool {
        self.plan_models.get(plan).is_none_or(|of| self.includes_meant(of, name))
    }

    /// Returns the names for `GET /v1/models` of a client of this plan: those of [`Self::model_names`] that the plan includes,
    /// then its aliases.
    #[must_use]
    pub fn model_names_in_plan(&self, plan: &str) -> Vec<Cow<'_, str>> {
        let Some(of) = self.plan_models.get(plan) else { return self.model_names() };
        let listed = self.listed_models(|_| true).into_iter();
        let listed = listed.filter(|listed| !of.aliases.contains_key(&*listed.name));
        let listed = listed.filter(|listed| of.includes(listed.entry, &listed.name)).map(|listed| listed.name);
        let aliases = of.aliases.iter().filter(|(_, meant)| self.serves(meant) && self.includes_meant(of, meant));
        listed.chain(aliases.map(|(alias, _)| Cow::Borrowed(&**alias))).collect()
    }

    /// Whether the plan includes a name that is no alias.
    pub(crate) fn includes_meant(&self, of: &PlanModels, name: &str) -> bool {
        self.entry(name).map_or_else(|| of.lists(name), |entry| of.includes(entry, name))
    }
}

#[cfg(test)]
mod tests;
