//! `make demo`: a real data set through two chained Python jobs, with each step told.

#![allow(clippy::expect_used, reason = "a demo ends by panicking when something is wrong")]

use deskgrid_tests::{Deskgrid, Page, log_text, main_job};
use serde_json::Value;

#[tokio::main]
async fn main() {
    let data = main_job::data().expect("the data set");
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    println!("Deskgrid listens on {}; a page is connected to its queue.", server.address);

    println!("\n1. Clean {} bytes of penguin measurements in a Python container", data.len());
    let first = main_job::run(&server, &mut page, &main_job::clean(&data)).await;
    tell(&first);

    let cleaned = &first["finished"]["result"]["outputs"]["clean/penguins.csv"];
    println!("\n2. Pass the output on by its reference, count and draw it\n   {}", cleaned["value"]);
    let second = main_job::run(&server, &mut page, &main_job::summarise(cleaned)).await;
    tell(&second);

    let plot = server.output(&second, "plot ü.svg").await;
    let place = std::env::temp_dir().join("deskgrid-demo.svg");
    std::fs::write(&place, &plot).expect("the temporary folder can be written to");
    println!("\nThe plot is at {}", place.display());

    let summary: Value = serde_json::from_slice(&server.output(&second, "summary.json").await).expect("JSON");
    for (species, (count, mean)) in main_job::expected(&data) {
        assert_eq!(summary[&species]["count"], count, "{species}");
        assert!(
            (summary[&species]["mean_mass"].as_f64().expect("a number") - mean).abs() < 1e-9,
            "{species}"
        );
    }
    println!("The numbers agree with those computed from the data directly.");
}

fn tell(record: &Value) {
    let result = &record["finished"]["result"];
    for line in log_text(record).lines() {
        println!("   | {line}");
    }
    println!("   exit code {} after {} ms", result["StatusCode"], result["duration"]);
    for (name, output) in result["outputs"].as_object().expect("outputs") {
        println!("   {name}  {}", output["value"].as_str().unwrap_or_default());
    }
}
