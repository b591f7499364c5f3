//! `credits`: by tokens, of the file and of plans.

use access::Credits;
use meter::rating::credit_price::Millionths;

use super::errors::check;
use super::*;

#[test]
fn rates_have_defaults_and_a_plan_has_its_own() {
    let source = "credits: {weights: {cached_input: 0.1, output: 5}, models: {\"openai/gpt-5*\": 2, fast: 0.5}}\n\
        plans: [{name: starter}, {name: pro, credits: {per_tokens: 10, minimum: 0.25}}]\n";
    let rates = snapshot(source).traffic.credit_rates;
    let starter = rates.of_plan("starter").unwrap();
    assert_eq!((starter.per_tokens.get(), starter.minimum), (1_000, Credits::whole(1)));
    let weights = starter.weights;
    assert_eq!((weights.input, weights.cached_input), (Millionths::ONE, Millionths(100_000)));
    assert_eq!((weights.cache_write, weights.output), (Millionths::ONE, Millionths(5_000_000)));
    let factor = |asked| starter.price(asked, "openai", "gpt-5-mini").factor;
    assert_eq!((factor("fast"), factor("other")), (Millionths(500_000), Millionths(2_000_000)));
    let pro = rates.of_plan("pro").unwrap();
    assert_eq!((pro.per_tokens.get(), pro.minimum, pro.weights.output), (10, Credits(250_000), Millionths::ONE));
    assert!(snapshot("plans: [{name: pro}]\n").traffic.credit_rates.of_plan("pro").is_none());
}

#[test]
fn weights_outside_of_their_range_are_refused() {
    for (source, column) in [
        ("credits: {weights: {input: 0}}\n", 28),
        ("credits: {weights: {input: -1}}\n", 28),
        ("credits: {weights: {input: 1000000000}}\n", 28),
        ("credits: {weights: {input: 0.0000001}}\n", 28),
        ("credits: {models: {fast: 0}}\n", 26),
    ] {
        errors::check_codes(source, &[("bad_value", 1, column)]);
    }
    errors::check_codes("credits: {minimum: 1000001}\n", &[("bad_value", 1, 20)]);
    errors::check_codes("credits: {per_tokens: 0}\n", &[("bad_value", 1, 23)]);
    check(
        "credits: {models: {\"a*b\": 2}}\n",
        "
error[bad_value]: `credits.models` has an invalid value
 --> t.yaml:1:20
  |
1 | credits: {models: {\"a*b\": 2}}
  |                    ^^^^^ expected 1 to 256 visible ASCII characters without a space, `*` only at the end",
    );
}
