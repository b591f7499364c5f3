//! Closed sets of words for the OpenAPI document; the code elsewhere handles them as text.

use utoipa::ToSchema;

/// The role of a user. Admins may manage users, plans, budgets and invitations.
#[derive(ToSchema)]
#[schema(as = Role, rename_all = "snake_case")]
#[expect(dead_code, reason = "the words of `access::Role` in the document")]
pub(crate) enum RoleWord {
    Admin,
    Member,
}

/// The kind of a user: a person, or a program that has only keys.
#[derive(ToSchema)]
#[schema(as = UserKind, rename_all = "snake_case")]
#[expect(dead_code, reason = "the words of `sign_in::Account::kind` in the document")]
pub(crate) enum UserKindWord {
    Person,
    Service,
}

/// The status of a user: keys and sessions of `suspended` users are refused.
#[derive(ToSchema)]
#[schema(as = UserStatus, rename_all = "snake_case")]
#[expect(dead_code, reason = "the words of `access::UserStatus` in the document")]
pub(crate) enum StatusWord {
    Active,
    Suspended,
}

/// Whether users may register: never, with an invitation, or without one.
#[derive(ToSchema)]
#[schema(as = Signup, rename_all = "snake_case")]
#[expect(dead_code, reason = "the words of `config::snapshot::SignupMode` in the document")]
pub(crate) enum SignupWord {
    Closed,
    Invite,
    Open,
}

/// The scope of a budget: one key, one user, all users of one plan together, or all users (`global`).
#[derive(ToSchema)]
#[schema(as = BudgetDimension, rename_all = "snake_case")]
#[expect(dead_code, reason = "the words of `config::snapshot::BudgetDimension` in the document")]
pub(crate) enum DimensionWord {
    Key,
    User,
    Plan,
    Global,
}

/// The scope of a budget in an explanation: one key, one user, one client without a user (`subject`), all users of one plan
/// together, or all users (`global`).
#[derive(ToSchema)]
#[schema(as = ExplainedBudgetDimension, rename_all = "snake_case")]
#[expect(dead_code, reason = "the words of `budgets::explained` in the document")]
pub(crate) enum ExplainedDimensionWord {
    Key,
    User,
    Subject,
    Plan,
    Global,
}

/// The origin of a budget: the configuration, the API or a command (`api`), the user's plan, or the key's own quota.
#[derive(ToSchema)]
#[schema(as = BudgetSource, rename_all = "snake_case")]
#[expect(dead_code, reason = "the words of `budgets` in the document")]
pub(crate) enum SourceWord {
    Configuration,
    Api,
    Plan,
    Key,
}

#[cfg(test)]
mod tests {
    use access::{Role, UserStatus};
    use utoipa::PartialSchema;
    use utoipa::openapi::{RefOr, Schema};

    use super::*;

    fn words(schema: &RefOr<Schema>) -> Vec<String> {
        serde_json::from_value(serde_json::to_value(schema).unwrap()["enum"].clone()).unwrap()
    }

    #[test]
    fn words_of_the_api_match_the_internal_enums() {
        let roles = words(&RoleWord::schema());
        let statuses = words(&StatusWord::schema());
        assert_eq!(
            (roles.as_slice(), statuses.as_slice()),
            (&["admin", "member"].map(String::from)[..], &["active", "suspended"].map(String::from)[..])
        );
        let dimensions = config::snapshot::BudgetDimension::ALL.map(|dimension| dimension.as_str().to_owned());
        assert_eq!(words(&DimensionWord::schema()), dimensions);
        let explained: Vec<String> =
            words(&ExplainedDimensionWord::schema()).into_iter().filter(|word| word != "subject").collect();
        assert_eq!(explained, dimensions);
        assert_eq!(words(&SourceWord::schema()), ["configuration", "api", "plan", "key"]);
        assert!(roles.iter().all(|word| Role::parse(word).is_some_and(|role| role.as_str() == word)));
        assert!(statuses.iter().all(|word| UserStatus::parse(word).is_some_and(|status| status.as_str() == word)));
    }
}
