//! The table of the scenarios beside Envoy and Traefik.

use crate::median::MedianInterval;
use crate::order::Side;
use crate::rounds::ScenarioResult;
use crate::side::CpuShare;
use crate::target::Target;

const PEERS: [(Side, &str); 2] = [(Side::Envoy, "Envoy"), (Side::Traefik, "Traefik")];
const SHARES: [(CpuShare, &str); 2] = [(CpuShare::Total, "all"), (CpuShare::User, "user")];
pub(crate) const HEAD: &str =
    "| request | time | proxy | its µs | Tollgate to it | must | aim | |\n|---|---|---|---|---|---|---|---|";

/// Returns a row for each measured proxy and share of the processor time.
pub(crate) fn rows(scenarios: &[ScenarioResult], is_result: bool) -> Vec<String> {
    let mut rows = Vec::new();
    for scenario in scenarios {
        for (share, time) in SHARES {
            let Some(cost) = scenario.costs.iter().find(|cost| cost.share == share) else { continue };
            for (side, name) in PEERS {
                let Some(MedianInterval { median: micros, .. }) = cost.micros.get(&side) else { continue };
                let ratio = cost.ratios.get(&side).copied();
                let target = if side == Side::Envoy { cost.envoy_target } else { Target::NONE };
                let figure = ratio.map_or(String::from("not measured"), |MedianInterval { median, low, high }| {
                    format!("{median:.3} ({low:.3} to {high:.3})")
                });
                let judged = target.verdict(ratio, is_result);
                rows.push(format!(
                    "| {} | {time} | {name} | {micros:.2} | {figure} | {target} | {judged} |",
                    scenario.what
                ));
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::rounds::ShareResult;
    use crate::side::CostUnit;

    #[test]
    fn only_measured_proxies_have_rows() {
        let exactly = |median: f64| MedianInterval { median, low: median, high: median };
        let cost = |share, sides: &[Side]| ShareResult {
            share,
            micros: sides.iter().map(|side| (*side, exactly(40.0))).collect(),
            ratios: sides.iter().map(|side| (*side, exactly(0.4))).collect(),
            target: Target::NONE,
            envoy_target: if share == CpuShare::Total { Target::must(0.38) } else { Target::NONE },
        };
        let scenario = |sides: &[Side]| ScenarioResult {
            name: "jwt",
            what: "token",
            unit: CostUnit::Request,
            costs: vec![cost(CpuShare::Total, sides), cost(CpuShare::User, sides), cost(CpuShare::System, sides)],
            forwarded: 1,
            keyed: false,
            failed: 0,
            runs: 1,
        };
        let found = rows(&[scenario(&[Side::Envoy]), scenario(&[Side::Nginx])], true);
        assert_eq!(
            found,
            [
                "| token | all | Envoy | 40.00 | 0.400 (0.400 to 0.400) | 0.38 |  | missed by 5% |",
                "| token | user | Envoy | 40.00 | 0.400 (0.400 to 0.400) |  |  |  |",
            ]
        );
        let unmeasured = ShareResult { ratios: BTreeMap::new(), ..cost(CpuShare::Total, &[Side::Traefik]) };
        let found = rows(&[ScenarioResult { costs: vec![unmeasured], ..scenario(&[]) }], true);
        assert_eq!(found, ["| token | all | Traefik | 40.00 | not measured |  |  |  |"]);
    }
}
