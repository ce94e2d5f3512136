//! What every store of tickets must do, whatever keeps them: one suite, generic over
//! `gate::Tickets`. It never looks into a store but through the trait.

mod bench;
mod cases;
mod doubts;
mod scopes;
mod signing;
mod table;

pub(crate) use bench::{
    Bench, DECIDE_MS, Manual, OPTIONS, USE_MS, asked_by, once, spent, standing,
};

use gate::Tickets;

macro_rules! suite {
    ($($module:ident::$case:ident),+ $(,)?) => {
        /// Runs every case, each on a store of its own that tells time by the given clock.
        pub(crate) async fn suite<T: Tickets + Clone + 'static>(make: impl Fn(Manual) -> T) {
            $(
                println!("{}", stringify!($case));
                let clock = Manual::default();
                $module::$case(&Bench { store: make(clock.clone()), clock }).await;
            )+
        }
    };
}

suite! {
    table::every_event_in_every_state,
    cases::a_new_ticket_is_as_asked,
    signing::nobody_signs_for_themselves,
    signing::a_stranger_is_not_asked,
    signing::two_people_are_two_people,
    signing::groups_add_up,
    signing::one_person_counts_for_one_group,
    signing::a_rejection_is_final,
    signing::the_latest_word_counts,
    signing::an_approval_is_checked_again_when_it_is_spent,
    signing::several_are_decided_together_or_none,
    cases::expiry_is_judged_without_a_sweep,
    cases::approval_starts_a_new_time,
    cases::another_digest_is_not_claimed,
    cases::one_of_many_claims_wins,
    cases::a_pending_ticket_is_shared,
    scopes::a_grant_is_used_so_often_until_it_is_over,
    scopes::a_grant_covers_its_classes_person_and_tenant,
    scopes::an_approved_ticket_comes_before_a_grant,
    scopes::broken_glass_runs_once_and_is_reviewed,
    scopes::a_script_is_checked_off_in_its_order,
    scopes::a_script_that_is_left_has_failed,
    doubts::what_took_a_row_is_resolved_by_it,
    doubts::what_took_none_is_for_people,
    doubts::each_use_of_a_grant_has_its_own_row,
    doubts::a_script_has_the_row_of_its_last_step,
    scopes::the_gate_is_closed_and_opened,
    cases::so_many_may_wait_and_no_more,
    cases::an_approved_ticket_is_found,
    cases::a_spent_ticket_is_named_as_previous,
    cases::a_claim_that_was_undone_cannot_be_settled,
    cases::settling_is_all_or_nothing,
    cases::an_unclaimed_ticket_expires_like_any,
    cases::a_rule_has_times_of_its_own,
    cases::a_list_is_filtered,
    cases::an_unknown_ticket_is_unknown,
}
