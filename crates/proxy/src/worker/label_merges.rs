//! The label sets that keys and routes make together. Merging allocates, so a worker remembers the last ones.

use std::cell::RefCell;

use access::LabelSet;

/// Number of merged sets that are remembered.
const SLOTS: usize = 64;
/// Distributes addresses: 2^64 divided by the golden ratio.
const ADDRESS_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The sets that were merged last.
pub(crate) struct LabelMerges(RefCell<Vec<Option<MergedLabels>>>);

#[derive(Clone)]
struct MergedLabels {
    of_key: LabelSet,
    of_route: LabelSet,
    merged: LabelSet,
}

impl Default for LabelMerges {
    fn default() -> Self {
        Self(RefCell::new(vec![None; SLOTS]))
    }
}

impl LabelMerges {
    /// Returns the labels of a key, and those of a route with other names.
    pub(crate) fn merge(&self, of_key: &LabelSet, of_route: &LabelSet) -> LabelSet {
        if of_key.is_empty() || of_route.is_empty() {
            return of_key.over(of_route);
        }
        let mut slots = self.0.borrow_mut();
        let Some(slot) = slots.get_mut(place(of_key, of_route)) else { return of_key.over(of_route) };
        if let Some(known) = slot
            && known.of_key.shares_text(of_key)
            && known.of_route.shares_text(of_route)
        {
            return known.merged.clone();
        }
        let merged = of_key.over(of_route);
        *slot = Some(MergedLabels { of_key: of_key.clone(), of_route: of_route.clone(), merged: merged.clone() });
        merged
    }
}

/// Returns the place of two sets, by the addresses of their texts.
fn place(of_key: &LabelSet, of_route: &LabelSet) -> usize {
    let address = |set: &LabelSet| set.as_str().as_ptr().addr() as u64;
    let hash =
        address(of_key).wrapping_mul(ADDRESS_FACTOR).wrapping_add(address(of_route)).wrapping_mul(ADDRESS_FACTOR);
    (hash >> 32) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_labels_are_those_of_the_sets() {
        let merges = LabelMerges::default();
        let keys: Vec<LabelSet> = (0..300).map(|nth| LabelSet::of_text(&format!("team=t{nth}"))).collect();
        let routes = [LabelSet::of_text("team=r,tier=gold"), LabelSet::NONE, LabelSet::of_text("area=x")];
        for _ in 0..2 {
            for key in keys.iter().chain([&LabelSet::NONE]) {
                for route in &routes {
                    assert_eq!(merges.merge(key, route), key.over(route));
                }
            }
        }
        assert!(merges.merge(&keys[0], &routes[0]).shares_text(&merges.merge(&keys[0], &routes[0])));
    }
}
