use super::*;
use crate::brief::ClassCount;
use crate::classification::Class;

const APART: FiguresApart = FiguresApart { refused: 2, own_cost_nano: 50 };
const FIGURES: ReviewedFigures = ReviewedFigures { requests: 10, tokens: 100, cost_nano: 1_000, apart: Some(APART) };

fn roles() -> Vec<String> {
    ["team_lead", "finance"].map(str::to_owned).to_vec()
}

fn past(role: &str, user: u128, approve: bool, figures_version: u64) -> PastDecision {
    let comment = (!approve).then(|| "wrong".to_owned());
    let decision = Decision { at: "2026-11-22T08:00:00Z".to_owned(), role: role.to_owned(), approve, comment };
    PastDecision { decision, user: Uuid::from_u128(user), figures_version, figures: FIGURES, classes: None }
}

/// Every state with every event of the table, for the second version of the figures.
#[test]
fn every_state_follows_from_the_decisions() {
    use ReviewState::{Approved, Collecting, PartlyApproved, Ready, Rejected, Reopened};
    let lead = past("team_lead", 1, true, 2);
    let finance = past("finance", 2, true, 2);
    let reject = past("finance", 2, false, 2);
    let old = |role, user| past(role, user, true, 1);
    for (complete, decisions, expected) in [
        (false, vec![], Collecting),
        (false, vec![old("team_lead", 1)], Collecting),
        (true, vec![], Ready),
        (true, vec![lead.clone()], PartlyApproved),
        (true, vec![lead.clone(), finance.clone()], Approved),
        (true, vec![reject.clone()], Rejected),
        (true, vec![lead.clone(), reject.clone()], Rejected),
        (true, vec![lead.clone(), finance.clone(), past("finance", 3, false, 2)], Rejected),
        // Another person of the role that rejected approves.
        (true, vec![reject.clone(), past("finance", 3, true, 2)], PartlyApproved),
        (true, vec![lead.clone(), reject, past("finance", 3, true, 2)], Approved),
        // Late usage: approvals are history.
        (true, vec![old("team_lead", 1)], Reopened),
        (true, vec![old("team_lead", 1), old("finance", 2)], Reopened),
        (true, vec![past("team_lead", 1, false, 1)], Ready),
        // Decisions after the review was reopened.
        (true, vec![old("team_lead", 1), old("finance", 2), lead.clone()], PartlyApproved),
        (true, vec![old("team_lead", 1), lead, finance], Approved),
        // The decision of a role that is not required any more does not count.
        (true, vec![past("auditor", 1, true, 2)], Ready),
    ] {
        let roles = roles();
        let day = ReviewedDay { roles: &roles, complete, figures_version: 2, figures: FIGURES };
        let told = progress(&day, &decisions);
        assert_eq!(told.state, expected, "{complete} {decisions:?}");
        assert_eq!(told.required.len(), 2);
        assert_eq!(told.difference.is_some(), expected == Reopened);
    }
}

#[test]
fn a_reopened_review_shows_the_difference() {
    let roles = roles();
    let apart = Some(FiguresApart { refused: 5, own_cost_nano: 40 });
    let figures = ReviewedFigures { requests: 11, tokens: 90, cost_nano: 1_250, apart };
    let day = ReviewedDay { roles: &roles, complete: true, figures_version: 2, figures };
    let told = progress(&day, &[past("team_lead", 1, true, 1), past("finance", 2, true, 1)]);
    let difference = told.difference.unwrap();
    assert_eq!((difference.requests, difference.tokens, difference.cost.amount_nano), (1, -10, 250));
    assert_eq!((difference.refused, difference.own_cost.amount_nano), (3, -10));
    // An older release stored refused requests and own costs within the others.
    let mut old = past("team_lead", 1, true, 1);
    old.figures = serde_json::from_str(r#"{"requests":12,"tokens":100,"cost_nano":1050}"#).unwrap();
    assert_eq!(old.figures.apart, None);
    let difference = progress(&day, &[old]).difference.unwrap();
    assert_eq!((difference.requests, difference.tokens, difference.cost.amount_nano), (4, -10, 240));
    assert_eq!((difference.refused, difference.own_cost.amount_nano), (0, 0));
    let read: ReviewedFigures = serde_json::from_str(&serde_json::to_string(&FIGURES).unwrap()).unwrap();
    assert_eq!(read, FIGURES);
}

#[test]
fn refusals_name_their_reason() {
    let roles = roles();
    let day = ReviewedDay { roles: &roles, complete: true, figures_version: 2, figures: FIGURES };
    let decided = [past("team_lead", 1, true, 2)];
    let judged = |day: &ReviewedDay<'_>, of: PastDecision| judge(day, &decided, &of.decision, of.user);
    assert_eq!(judged(&day, past("finance", 2, true, 2)), Ok(()));
    assert_eq!(judged(&day, past("finance", 1, true, 2)), Err(SignoffRefusal::SamePerson));
    assert_eq!(judged(&day, past("auditor", 2, true, 2)), Err(SignoffRefusal::UnknownRole));
    let mut mute = past("finance", 2, false, 2);
    mute.decision.comment = Some("  ".to_owned());
    assert_eq!(judged(&day, mute), Err(SignoffRefusal::CommentMissing));
    let open = ReviewedDay { complete: false, ..day };
    assert_eq!(judged(&open, past("finance", 2, true, 2)), Err(SignoffRefusal::Collecting));
    let next = ReviewedDay { figures_version: 3, ..day };
    assert_eq!(judged(&next, past("team_lead", 1, true, 3)), Ok(()));
}

#[test]
fn the_last_approval_of_an_approved_day_has_its_classes() {
    let signed = |role, user, rules_version| {
        let classes = vec![ClassCount { class: Class::Chat, requests: 1 }];
        let of = SignedClasses { rules_version, built_in_rules_version: 1, rules: Vec::new(), classes };
        PastDecision { classes: Some(of), ..past(role, user, true, 2) }
    };
    let lead = signed("team_lead", 1, 4);
    let finance = signed("finance", 2, 5);
    let reject = past("finance", 2, false, 2);
    for (decisions, version, expected) in [
        (vec![lead.clone()], 2, None),
        (vec![lead.clone(), finance.clone()], 2, Some(5)),
        (vec![lead.clone(), reject.clone()], 2, None),
        (vec![lead.clone(), reject, signed("finance", 3, 6)], 2, Some(6)),
        // Late usage reopens the day.
        (vec![lead, finance], 3, None),
        // An older release stored the approvals.
        (vec![past("team_lead", 1, true, 2), past("finance", 2, true, 2)], 2, None),
    ] {
        let roles = roles();
        let day = ReviewedDay { roles: &roles, complete: true, figures_version: version, figures: FIGURES };
        let found = approved_classes(&day, &decisions).map(|of| of.rules_version);
        assert_eq!(found, expected, "{decisions:?}");
    }
}
