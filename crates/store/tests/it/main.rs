//! What the store does, one async function a behaviour, run on every database that there is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and end their own tasks"
)]

mod directory;
mod ingest;
mod keys;
mod plans;
mod revision;
mod usage;
mod users;
mod world;

/// Runs every behaviour on SQLite. One that is not listed is dead code, and so a warning.
macro_rules! behaviours {
    ($($subject:ident { $($claim:ident,)+ })+) => {
        mod sqlite {
            $(mod $subject {
                $(#[tokio::test]
                async fn $claim() {
                    crate::$subject::$claim(&crate::world::World::sqlite()).await;
                })+
            })+
        }
    };
}

behaviours! {
    plans {
        absent_plans_are_added_and_differing_ones_reported,
    }
    users {
        a_user_is_found_by_id_and_by_address,
        an_address_is_one_users_whatever_its_case,
        a_user_needs_a_plan_that_exists,
        users_are_numbered_in_the_order_they_came,
        demo_users_are_known_as_such,
        nobody_is_suspended_by_a_wrong_name,
        a_name_or_label_that_spoils_a_terminal_is_refused,
        a_users_name_and_address_do_not_print,
    }
    keys {
        a_key_makes_a_principal,
        a_key_that_opens_nothing_says_why,
        a_revocation_keeps_its_first_time,
        keys_are_listed_by_user,
        errors_hold_no_secret,
    }
    revision {
        every_change_raises_the_revision,
        a_change_elsewhere_is_seen_within_a_second,
        a_store_that_is_away_confirms_nothing,
    }
    directory {
        lookups_are_answered_together_and_in_any_number,
        a_store_that_is_away_is_said_to_be_unavailable,
        serving_ends_with_the_directories,
    }
    usage {
        a_day_is_the_sum_of_its_events,
        open_routes_are_nobodys_usage,
        an_unknown_cost_is_counted_as_unpriced,
        attempts_count_together_as_one_request,
        an_event_counts_on_the_day_it_was_admitted,
        usage_of_one_key_leaves_out_the_others,
        credits_of_a_day_rebuild_the_meter,
    }
    ingest {
        an_event_given_twice_counts_once,
        a_dropped_ingest_resumes_where_it_committed,
        a_failing_database_leaves_events_in_the_spool,
        ingest_follows_the_writers,
        hostile_names_do_not_stop_ingest,
    }
}
