//! The main job, as the demo shows it and a test checks it: a real data set through two chained Python jobs.
//!
//! The first job cleans the measurements, the second counts and draws them; what the first one wrote travels to the
//! second as the reference in its result, the way metaframes pass data on.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{Deskgrid, PYTHON, Page};

/// Drops the rows with missing values.
const CLEAN: &str = r#"
import csv
with open("/inputs/penguins.csv") as source, open("/outputs/clean/penguins.csv", "w", newline="") as target:
    rows = csv.DictReader(source)
    kept = csv.DictWriter(target, rows.fieldnames)
    kept.writeheader()
    total = clean = 0
    for row in rows:
        total += 1
        if "NA" not in row.values():
            kept.writerow(row)
            clean += 1
print(f"kept {clean} of {total} penguins")
"#;

/// Mean body mass by species, as JSON and as a bar chart.
const SUMMARY: &str = r#"
import csv, json
from collections import defaultdict
masses = defaultdict(list)
for row in csv.DictReader(open("/inputs/penguins.csv")):
    masses[row["species"]].append(int(row["body_mass_g"]))
means = {species: sum(values) / len(values) for species, values in sorted(masses.items())}
json.dump({species: {"count": len(masses[species]), "mean_mass": means[species]} for species in means},
          open("/outputs/summary.json", "w"))
bars = "".join(
    f'<rect x="{20 + 90 * place}" y="{170 - mass / 35}" width="70" height="{mass / 35}" fill="teal"/>'
    f'<text x="{55 + 90 * place}" y="188" text-anchor="middle" font-size="12">{species}</text>'
    for place, (species, mass) in enumerate(means.items()))
open("/outputs/plot ü.svg", "w").write(
    f'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200">{bars}</svg>')
for species, mass in means.items():
    print(f"{species}: {mass:.0f} g")
"#;

/// Where the set-up keeps the data set.
///
/// # Errors
/// Says what to do when the set-up has not run.
pub fn data() -> Result<Vec<u8>, String> {
    let path = std::env::var("DESKGRID_TEST_DATA")
        .map_err(|_| "DESKGRID_TEST_DATA names no data set: run this through `make`".to_owned())?;
    std::fs::read(&path).map_err(|error| format!("{path}: {error}"))
}

/// The first job: the measurements as they are, given inline as the browser does with small files.
pub fn clean(data: &[u8]) -> Value {
    json!({
        "image": PYTHON,
        "command": "sh -c 'mkdir /outputs/clean && python3 /inputs/clean.py'",
        "configFiles": {"clean.py": {"type": "utf8", "value": CLEAN}},
        "inputs": {"penguins.csv": {"type": "utf8", "value": String::from_utf8_lossy(data)}},
    })
}

/// The second job: its input is an output of the first, by reference.
pub fn summarise(cleaned: &Value) -> Value {
    json!({
        "image": PYTHON,
        "command": "python3 /inputs/summary.py",
        "configFiles": {"summary.py": {"type": "utf8", "value": SUMMARY}},
        "inputs": {"penguins.csv": cleaned},
    })
}

/// Submits a job over the socket, as the browser does, and returns its finished record.
pub async fn run(server: &Deskgrid, page: &mut Page, definition: &Value) -> Value {
    let id = crate::sha256(definition.to_string());
    page.submit(&id, definition, &json!({})).await;
    page.until(&id, "Finished").await;
    server.get_json(&format!("/q/local/j/{id}/result.json")).await["data"].take()
}

/// Count and mean body mass in grams of each species, computed here to compare with.
pub fn expected(data: &[u8]) -> BTreeMap<String, (u64, f64)> {
    let text = String::from_utf8_lossy(data);
    let mut sums: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    for row in text.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>()) {
        if let ([species, .., mass, _, _], false) = (row.as_slice(), row.contains(&"NA")) {
            let sum = sums.entry((*species).to_owned()).or_default();
            *sum = (sum.0 + 1, sum.1 + mass.parse::<f64>().unwrap_or_default());
        }
    }
    sums.into_iter().map(|(species, (count, sum))| (species, (count, sum / count as f64))).collect()
}
