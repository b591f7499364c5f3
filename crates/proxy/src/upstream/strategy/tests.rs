use config::snapshot::Origin;

use super::*;

const PICKS: usize = 40_000;

fn chooser(strategy: &Strategy, weights: &[u32]) -> Chooser {
    let origin = |nth: usize| Origin::parse(&format!("http://10.0.0.{nth}")).unwrap();
    let backends: Vec<Backend> =
        weights.iter().enumerate().map(|(nth, weight)| Backend { origin: origin(nth), weight: *weight }).collect();
    let chooser = Chooser::new(strategy, &backends.iter().collect::<Vec<_>>(), 0);
    // The tests are the same at each run.
    chooser.random.set(0x9e37_79b9_7f4a_7c15);
    chooser
}

fn choice(passed: &[usize]) -> Choice<'_> {
    Choice { passed, is_retry: false, key: None }
}

fn idle(_: usize) -> f64 {
    1.0
}

/// Returns how often `pick` returns each of `count` positions.
fn counts(count: usize, mut pick: impl FnMut() -> usize) -> Vec<usize> {
    let mut counts = vec![0; count];
    for _ in 0..PICKS {
        counts[pick()] += 1;
    }
    counts
}

/// Asserts that the counts are the weights' shares, with at most this error as a part of all picks.
fn check_shares(counts: &[usize], weights: &[u32], error_max: f64) {
    let total = f64::from(weights.iter().sum::<u32>());
    for (count, weight) in counts.iter().zip(weights) {
        let error = (*count as f64 / PICKS as f64 - f64::from(*weight) / total).abs();
        assert!(error <= error_max, "{counts:?} {weights:?}");
    }
}

const WEIGHTS: [&[u32]; 5] = [&[1, 1], &[1, 2, 3], &[1_000, 1], &[7, 7, 1, 1_000], &[1; 20]];

#[test]
fn turns_and_chance_give_each_weight_its_share() {
    for weights in WEIGHTS {
        // Chance differs by the square root of the picks: four standard deviations of 0.25%.
        for (strategy, error_max) in [(Strategy::RoundRobin, 0.001), (Strategy::Random, 0.01)] {
            let chooser = chooser(&strategy, weights);
            check_shares(&counts(weights.len(), || chooser.next(choice(&[]), idle).unwrap()), weights, error_max);
        }
    }
}

#[test]
fn a_chance_among_the_rest_keeps_the_shares_of_the_rest() {
    let chooser = chooser(&Strategy::Random, &[5, 1, 2, 3]);
    let counts = counts(4, || chooser.next(choice(&[0]), idle).unwrap());
    check_shares(&counts, &[0, 1, 2, 3], 0.01);
}

/// Requests that stay for as long as the backend needs: the numbers in flight have the weights' ratio.
fn in_flight(weights: &[u32]) -> Vec<u64> {
    let chooser = chooser(&Strategy::LeastConnections, weights);
    let mut loads = vec![0_u64; weights.len()];
    for _ in 0..PICKS {
        let index = chooser.least(&[], |index| loads[index] as f64).unwrap();
        loads[index] += 1;
    }
    loads
}

#[test]
fn the_least_loaded_backend_is_chosen_by_weight() {
    for weights in [&[1, 1][..], &[1, 2, 3], &[100, 1], &[4; 8]] {
        let loads: Vec<usize> = in_flight(weights).into_iter().map(|load| usize::try_from(load).unwrap()).collect();
        check_shares(&loads, weights, 0.01);
    }
}

#[test]
fn of_many_backends_the_better_of_two_is_chosen() {
    let loads = in_flight(&[1; 40]);
    let least = loads.iter().min().unwrap();
    let most = loads.iter().max().unwrap();
    // Two choices differ by about log log n, one choice by the square root of the mean (Mitzenmacher, 2001).
    assert!(most - least <= 8, "{loads:?}");
}

#[test]
fn of_equal_backends_each_gets_its_turn() {
    let chooser = chooser(&Strategy::LeastConnections, &[1, 1, 1]);
    let chosen: Vec<usize> = (0..6).map(|_| chooser.least(&[], |_| 1.0).unwrap()).collect();
    assert_eq!(chosen, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn idle_backends_take_turns_by_weight() {
    for weights in [&[2, 1][..], &[1, 2, 3], &[100, 1]] {
        let chooser = chooser(&Strategy::LeastConnections, weights);
        check_shares(&counts(weights.len(), || chooser.least(&[], |_| 0.0).unwrap()), weights, 0.001);
    }
}

#[test]
fn no_backend_is_chosen_twice_and_after_all_there_is_none() {
    let value = Strategy::Hash(config::snapshot::HashedValue::Address);
    for strategy in [Strategy::RoundRobin, Strategy::Random, Strategy::LeastConnections, Strategy::Ewma, value] {
        for count in [1, 2, 9, 20] {
            let chooser = chooser(&strategy, &vec![1; count]);
            for key in [None, Some(7)] {
                let mut passed = Vec::new();
                while let Some(index) = chooser.next(Choice { key, ..choice(&passed) }, idle) {
                    assert!(!passed.contains(&index), "{strategy:?} {passed:?} {index}");
                    passed.push(index);
                }
                assert_eq!(passed.len(), count, "{strategy:?}");
            }
        }
    }
}

#[test]
fn names_with_one_address_share_the_hashed_values() {
    let backend = |name: &str| {
        let origin = Origin::parse(&format!("http://{name}.internal")).unwrap().with_address("10.0.0.7".to_owned(), 80);
        Backend { origin, weight: 1 }
    };
    let backends = [backend("one"), backend("two")];
    let value = Strategy::Hash(config::snapshot::HashedValue::Address);
    let chooser = Chooser::new(&value, &backends.each_ref(), 0);
    let mut key = 0;
    let counts = counts(2, || {
        key += 1;
        chooser.next(Choice { key: Some(hash::hash(&u64::to_be_bytes(key))), ..choice(&[]) }, idle).unwrap()
    });
    check_shares(&counts, &[1, 1], 0.02);
}

#[test]
fn fractions_are_below_one_and_spread() {
    let chooser = chooser(&Strategy::Random, &[1]);
    let fractions: Vec<f64> = (0..PICKS).map(|_| chooser.fraction()).collect();
    assert!(fractions.iter().all(|fraction| (0.0..1.0).contains(fraction)));
    let mean = fractions.iter().sum::<f64>() / PICKS as f64;
    assert!((0.49..0.51).contains(&mean), "{mean}");
}
