//! The sides of a comparison, and the orders of their runs within the rounds.

use serde::Serialize;

/// A side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// The backend without a proxy.
    Direct,
    Nginx,
    Haproxy,
    Envoy,
    Traefik,
    Tollgate,
}

impl Side {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Traefik => "traefik",
            Self::Tollgate => "tollgate",
        }
    }
}

/// Returns the orders of the sides, which rounds use in turn. Over all orders, each side runs equally often at each place
/// and equally often after each other side (a Latin square of Williams).
pub(crate) fn orders(sides: &[Side]) -> Vec<Vec<Side>> {
    let count = sides.len();
    // 0, 1, n - 1, 2, n - 2, …: the distances between neighbours differ.
    let places: Vec<usize> =
        (0..count).map(|nth| if nth % 2 == 1 { nth.div_ceil(2) } else { count - nth / 2 }).collect();
    let shifted = |shift: usize| -> Vec<Side> {
        places.iter().filter_map(|place| sides.get((place + shift) % count)).copied().collect()
    };
    let mut orders: Vec<Vec<Side>> = Vec::new();
    for shift in 0..count {
        let order = shifted(shift);
        // With an odd number of sides, only both directions together are balanced.
        let reversed = (count % 2 == 1).then(|| order.iter().rev().copied().collect());
        orders.push(order);
        orders.extend(reversed);
    }
    orders
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const ALL: [Side; 6] = [Side::Direct, Side::Nginx, Side::Haproxy, Side::Envoy, Side::Traefik, Side::Tollgate];

    #[test]
    fn each_side_runs_equally_often_at_each_place_and_after_each_other() {
        for count in 2..=ALL.len() {
            let orders = orders(&ALL[..count]);
            let (mut places, mut pairs) = (BTreeMap::new(), BTreeMap::new());
            for order in &orders {
                for (place, side) in order.iter().enumerate() {
                    *places.entry((place, *side)).or_insert(0) += 1;
                }
                for pair in order.windows(2) {
                    *pairs.entry((pair[0], pair[1])).or_insert(0) += 1;
                }
            }
            let times = orders.len() / count;
            assert!(places.len() == count * count && places.values().all(|found| *found == times), "{places:?}");
            assert!(pairs.len() == count * (count - 1) && pairs.values().all(|found| *found == times), "{pairs:?}");
        }
    }

    #[test]
    fn a_single_side_has_one_order() {
        assert_eq!(orders(&[Side::Tollgate])[0], [Side::Tollgate]);
        assert!(orders(&[]).is_empty());
    }
}
