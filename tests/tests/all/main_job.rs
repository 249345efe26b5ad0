//! A real data set through two chained Python jobs, sent over the socket as the browser does.

use deskgrid_tests::{Deskgrid, Page, log_text, main_job};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_real_data_set_passes_through_two_chained_jobs_and_comes_out_right() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let data = main_job::data().unwrap();

    let first = main_job::run(&server, &mut page, &main_job::clean(&data)).await;
    assert_eq!(first["finished"]["result"]["StatusCode"], 0, "{}", log_text(&first));
    let cleaned = &first["finished"]["result"]["outputs"]["clean/penguins.csv"];
    assert_eq!(cleaned["type"], "url");
    let rows = String::from_utf8(server.output(&first, "clean/penguins.csv").await).unwrap();
    assert!(!rows.contains("NA") && rows.lines().count() > 300);

    let second = main_job::run(&server, &mut page, &main_job::summarise(cleaned)).await;
    assert_eq!(second["finished"]["result"]["StatusCode"], 0, "{}", log_text(&second));
    let summary: Value = serde_json::from_slice(&server.output(&second, "summary.json").await).unwrap();
    let expected = main_job::expected(&data);
    assert_eq!(summary.as_object().unwrap().len(), expected.len());
    for (species, (count, mean)) in expected {
        assert_eq!(summary[&species]["count"], count, "{species}");
        assert!((summary[&species]["mean_mass"].as_f64().unwrap() - mean).abs() < 1e-9, "{species}");
    }
    let plot = String::from_utf8(server.output(&second, "plot ü.svg").await).unwrap();
    assert_eq!(plot.matches("<rect").count(), 3);
}
