//! Behaviour of the ledger: one async function per behaviour, run on SQLite and on PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and end their own tasks"
)]

#[macro_use]
#[path = "../../../store/tests/it/behaviours.rs"]
mod behaviours;
mod charges;
mod days;
mod ingest;
#[path = "../../src/ingest_fixture.rs"]
mod ingest_fixture;
mod labels;
mod last_use;
#[path = "../../../store/tests/it/lossy_network.rs"]
mod lossy_network;
#[path = "../../../store/tests/it/migrated.rs"]
mod migrated;
mod overview;
#[path = "../../../store/tests/it/postgres.rs"]
mod postgres;
mod requests;
mod series;
mod server;
mod usage;
mod usage_world;
#[allow(dead_code, reason = "each crate with SQL uses a part of the world")]
#[path = "../../../store/tests/it/world.rs"]
mod world;

behaviours! {
    charges {
        charges_are_summed_over_the_days_of_a_period,
        charges_beyond_what_is_kept_end_at_the_most,
    }
    days {
        a_day_adds_up_by_its_totals_groups_and_events,
        durations_models_and_caches_of_a_day_are_read,
        cached_tokens_have_the_price_of_their_own_attempt,
        requests_from_response_caches_are_counted,
        each_batch_raises_the_version_of_earlier_days,
        one_person_decides_once_about_a_version,
        concurrent_decisions_have_one_outcome_each,
        a_decision_beside_a_late_batch_is_about_known_figures,
        settings_change_over_the_expected_version_only,
        a_later_id_that_began_earlier_is_on_one_page,
        a_place_after_all_events_has_no_page,
        a_request_between_two_of_a_group_belongs_to_it,
    }
    labels {
        labels_of_a_day_add_up_to_the_day,
        label_sets_beyond_the_maximum_are_other,
        requests_are_grouped_by_program_tools_and_session,
        requests_are_grouped_by_the_requests_of_their_key,
    }
    usage {
        a_day_is_the_sum_of_its_events,
        open_routes_are_nobodys_usage,
        an_unknown_cost_is_counted_as_unpriced,
        a_sum_that_nobody_can_owe_ends_at_the_most,
        attempts_count_together_as_one_request,
        an_event_counts_on_the_day_it_was_admitted,
        usage_of_one_key_leaves_out_the_others,
        credits_of_a_day_rebuild_the_meter,
        users_near_their_quota_are_found_whatever_the_quota_is,
    }
    requests {
        requests_come_newest_first_and_each_once,
        requests_are_chosen_by_key_model_status_and_time,
        counts_that_are_stored_later_are_listed_by_their_minute,
        names_with_letters_outside_ascii_are_found,
        a_page_looks_at_so_many_rows_and_no_more,
        a_request_is_told_in_full,
        figures_come_back_as_they_were,
        anothers_request_is_not_there,
    }
    overview {
        days_without_use_are_zeros,
        a_sum_of_costs_that_nobody_can_owe_ends_at_the_most,
        an_overview_adds_up_by_key_and_model,
        without_use_an_overview_is_zeros_and_of_nobody_there_is_none,
        an_overview_is_bounded_and_its_sums_are_not,
        each_key_of_the_month_has_its_figures_of_today,
    }
    series {
        steps_of_a_day_are_the_daily_totals,
        finer_steps_are_sums_of_requests_and_counts,
        percentiles_are_exact,
        groups_past_the_tenth_are_one_series,
        a_range_with_too_many_requests_begins_later,
        a_range_with_too_many_totals_begins_later,
    }
    ingest {
        an_event_given_twice_counts_once,
        a_dropped_ingest_resumes_where_it_committed,
        a_failing_database_leaves_events_in_the_spool,
        ingest_follows_the_writers,
        hostile_names_do_not_stop_ingest,
    }
    last_use {
        what_ingest_sees_is_a_use,
    }
}
