//! Compiles the keys `signup` and `signup_plan`.

use access::Plan;

use crate::note::Note;
use crate::schema::traffic::TrafficInput;
use crate::snapshot::{Signup, SignupMode};

pub(super) fn signup(traffic: &TrafficInput, plans: &[Plan], notes: &mut Vec<Note>) -> Signup {
    let mode = traffic.signup.value;
    let plan = traffic.signup_plan.value.clone();
    if mode != SignupMode::Closed && plans.iter().all(|configured| configured.name != plan) {
        notes.push(Note::SignupPlanElsewhere { plan: plan.clone() });
    }
    Signup { mode, plan }
}
