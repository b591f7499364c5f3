//! `tollgate leases list` and `tollgate leases reclaim`.

use std::process::ExitCode;

use access::{Amount, SubjectId};
use cluster::{Cluster, LeaseError, OpenLease};
use meter::lease::CounterId;
use meter::{BudgetScope, Measure};
use serde_json::json;
use store::{Actor, ScopeIds, Store, StoredSubject};

use crate::cli::{LeasesCommand, LeasesCommands};
use crate::commands::{amounts, block_on, load_for_store, moment, open, printable};
use crate::failure;
use crate::terminal::say;

/// Runs the command against the store.
pub(crate) fn run(args: &LeasesCommands) -> anyhow::Result<ExitCode> {
    let (LeasesCommand::List { place, .. } | LeasesCommand::Reclaim { place, .. }) = &args.command;
    let process = load_for_store(place)?;
    block_on(async {
        let store = open(&process).await?;
        let output = act(&store, &args.command).await;
        store.close().await;
        say(&output.map_err(|error| failure::of_store(&process, error))?);
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs the command, and returns its output.
async fn act(store: &Store, command: &LeasesCommand) -> Result<String, LeaseError> {
    let cluster = Cluster::new(store.clone());
    Ok(match command {
        LeasesCommand::List { json, .. } => {
            let leases = cluster.open_leases().await?;
            let ids = store.scope_ids(leases.iter().map(|lease| lease.cell.budget.scope)).await?;
            match leases.as_slice() {
                all if *json => format!("{:#}\n", in_json(all, &ids)),
                [] => "no amount is leased\n".to_owned(),
                all => all.iter().map(|lease| line(lease, &ids)).collect(),
            }
        }
        LeasesCommand::Reclaim { node, .. } => {
            let reclaimed = cluster.reclaim_leases(&Actor::COMMAND, *node).await?;
            if reclaimed.is_empty() {
                return Ok("no lease is unusable: nothing was reclaimed\n".to_owned());
            }
            let ids = store.scope_ids(reclaimed.iter().map(|(lease, _)| lease.cell.budget.scope)).await?;
            let reclaimed_line = |(lease, unspent): &(OpenLease, Amount)| {
                let unspent = amounts::number(lease.cell.budget.measure, *unspent);
                format!("{}  reclaimed {unspent} of {}\n", lease.node, of_what(lease.cell, &ids))
            };
            reclaimed.iter().map(reclaimed_line).collect()
        }
    })
}

fn line(lease: &OpenLease, ids: &ScopeIds) -> String {
    let OpenLease { cell, node, incarnation, granted, used, spent, heard_at, unusable } = lease;
    let unusable = if *unusable { "  unusable" } else { "" };
    let what = of_what(*cell, ids);
    let heard = moment(*heard_at);
    let [granted, used, spent] = [granted, used, spent].map(|amount| amounts::number(cell.budget.measure, *amount));
    format!("{node} {incarnation}  granted {granted}, used {used}, spent {spent}  of {what}; heard {heard}{unusable}\n")
}

fn in_json(leases: &[OpenLease], ids: &ScopeIds) -> serde_json::Value {
    let one = |lease: &OpenLease| {
        let OpenLease { cell, node, incarnation, granted, used, spent, heard_at, unusable } = lease;
        let (scope, id, last4) = match cell.budget.scope {
            BudgetScope::Key(no) => {
                let (id, last4) = ids.key(no).unzip();
                ("key", id.map(|id| id.0), last4)
            }
            BudgetScope::User(no) => ("user", ids.user(no).map(|id| id.0), None),
            BudgetScope::Subject(id) => ("subject", Some(id.0), None),
            BudgetScope::Plan(id) => ("plan", Some(id.0), None),
            BudgetScope::Global => ("global", None, None),
        };
        let [granted, used, spent] =
            [granted, used, spent].map(|amount| amounts::in_json(cell.budget.measure, *amount));
        json!({
            "budget": of_what(*cell, ids), "subject": scope, "subject_id": id, "key_last4": last4, "node": node,
            "incarnation": incarnation, "granted": granted, "used": used, "spent": spent, "heard_at": moment(*heard_at),
            "unusable": unusable,
        })
    };
    leases.iter().map(one).collect()
}

/// Describes a budget in a period. Keys, users and plans are named by the ids that `keys list`, `users list` and `plans
/// list` show.
pub(super) fn of_what(CounterId { budget, period }: CounterId, ids: &ScopeIds) -> String {
    let unit = match budget.measure {
        Measure::Credits => "credits",
        Measure::Tokens => "tokens",
        Measure::Money => "nano-USD",
    };
    let owner = match budget.scope {
        BudgetScope::Key(no) => match ids.key(no) {
            Some((id, last4)) => format!("key {id} (…{})", printable(last4)),
            None => format!("a deleted key (number {})", no.0),
        },
        BudgetScope::User(no) => match ids.user(no) {
            Some(id) => format!("user {id}"),
            None => format!("a deleted user (number {})", no.0),
        },
        BudgetScope::Subject(id) => subject_name(id, ids),
        BudgetScope::Plan(id) => format!("plan {}", ids.plan(id).map_or_else(|| id.to_string(), printable)),
        BudgetScope::Global => "all users".to_owned(),
    };
    let first = moment(period.begin().start());
    let first = if budget.per.window().is_some() { &*first } else { first.split('T').next().unwrap_or(&first) };
    format!("{unit} of {owner} in the {} of {first}", budget.per)
}

/// Describes a subject without a user by its kind, issuer and name.
pub(super) fn subject_name(id: SubjectId, ids: &ScopeIds) -> String {
    match ids.subject(id) {
        Some(StoredSubject { kind, issuer, name }) if issuer.is_empty() => format!("{kind} {:?}", printable(name)),
        Some(StoredSubject { kind, issuer, name }) => {
            format!("{kind} {:?} of {:?}", printable(name), printable(issuer))
        }
        None => format!("subject {id}"),
    }
}

#[cfg(test)]
mod tests {
    use access::{Day, KeyNo};
    use meter::{BudgetId, LimitPeriod, Period};

    use super::*;

    #[test]
    fn a_subject_without_a_row_is_printed_by_its_id() {
        let id = SubjectId(uuid::Uuid::from_u128(7));
        let budget = BudgetId::credits_a_day(BudgetScope::Subject(id));
        let cell = CounterId { budget, period: Period::containing(LimitPeriod::Day, Day(20_412)) };
        assert_eq!(
            of_what(cell, &ScopeIds::default()),
            "credits of subject 00000000-0000-0000-0000-000000000007 in the day of 2025-11-20"
        );
    }

    #[test]
    fn a_lease_is_printed_as_text() {
        let budget = BudgetId::credits_a_day(BudgetScope::Key(KeyNo(7)));
        let cell = CounterId { budget, period: Period::containing(LimitPeriod::Day, Day(20_412)) };
        let lease = OpenLease {
            cell,
            node: uuid::Uuid::nil(),
            incarnation: 3,
            granted: Measure::Credits.limit_of(25),
            used: Measure::Credits.limit_of(11),
            spent: Measure::Credits.limit_of(10),
            heard_at: Day(20_412).start(),
            unusable: true,
        };
        assert_eq!(
            line(&lease, &ScopeIds::default()),
            "00000000-0000-0000-0000-000000000000 3  granted 25, used 11, spent 10  of credits of a deleted key \
             (number 7) in the day of 2025-11-20; heard 2025-11-20T00:00:00Z  unusable\n"
        );
        assert_eq!(in_json(&[lease], &ScopeIds::default())[0]["granted"], 25);
    }
}
