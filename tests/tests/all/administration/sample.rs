use deskgrid_tests::{BUSYBOX, Deskgrid};
use serde_json::json;

use super::Desk;

#[tokio::test]
async fn the_sample_draws_a_plot_and_runs_again_at_the_next_click() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    for _ in 0..2 {
        let id =
            desk.done("/api/sample", &json!({"image": BUSYBOX})).await["jobId"].as_str().unwrap().to_owned();
        let finished = server.finished(&id).await;
        assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{finished}");
        let plot = String::from_utf8(server.output(&finished, "plot.svg").await).unwrap();
        assert!(plot.starts_with("<svg ") && plot.trim_end().ends_with("</svg>"), "{plot}");
        let data = String::from_utf8(server.output(&finished, "data.csv").await).unwrap();
        assert_eq!(data.lines().count(), 181);
    }
}
